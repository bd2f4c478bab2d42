//! Which labelled images train the built-in model: those that are alike, as for `learn`; and whether images held out show that it may
//! judge more of them.

use super::super::Fault;
use crate::engine::ImageNature;
use crate::learn::{HeldOutProof, Unproved};

/// Labelled images that are alike: phantoms, or real images of one kind. For other models all are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct AlikeImages {
    /// The kind, of real images.
    pub(super) kind: Option<String>,
    /// Of each image, whether it is one of them.
    pub(super) keep: Vec<bool>,
}

impl AlikeImages {
    /// Those that are as most; an image that shows no condition may be of another kind, and has no say in it (`shows_condition`).
    pub(super) fn among(natures: &[ImageNature], shows_condition: &[bool]) -> Result<Self, Fault> {
        let shown = natures.iter().zip(shows_condition);
        let shown = shown.filter(|(_, shows)| **shows).map(|(own, _)| own);
        let kind = match ImageNature::of_most(shown) {
            // Whatever is wrong with no images is said where they are split.
            None | Some(ImageNature::Phantom) => None,
            Some(ImageNature::Kind(kind)) => Some(kind.clone()),
            Some(ImageNature::Unclear) => {
                return Err(Fault::unusable(
                    "the built-in model is trained with phantoms, or with real images of one kind, and of most of these it is not sure of \
                     which kind they are; use another model",
                ));
            }
        };
        let most = kind.clone().map_or(ImageNature::Phantom, ImageNature::Kind);
        Ok(Self {
            kind,
            keep: natures.iter().map(|own| *own == most).collect(),
        })
    }

    /// The number of the others.
    pub(super) fn others(&self) -> usize {
        self.keep.iter().filter(|keep| !**keep).count()
    }
}

/// Why images held out do not show that labels are told better than by guessing; `None` if they do.
pub(super) fn unproved_words(proof: &HeldOutProof, images: usize) -> Option<String> {
    let conditions = match proof.unproved.as_ref()? {
        Unproved::TooFew {
            patients,
            condition,
        } => {
            let of = condition.as_ref().map_or_else(
                || "of each of two conditions".to_owned(),
                |name| format!("with {name}, and three without"),
            );
            return Some(format!(
                "to tell whether findings can be told, ten images held out of as many patients are needed, three {of}; there are {images} \
                 of {patients}: label more images, or hold out more of them (--held-out)"
            ));
        }
        Unproved::OneSided(conditions) => {
            return Some(format!(
                "no image held out shows {0}, or all do: nothing is known of how well {0} can be told; label images with and without, or \
                 use a prompt set without",
                conditions.join(", ")
            ));
        }
        Unproved::Guessed(conditions) if conditions.is_empty() => "findings".to_owned(),
        Unproved::Guessed(conditions) => conditions.join(", "),
    };
    let percent = |share: f64| format!("{:.0}", share * 100.0);
    let own = &proof.balanced_accuracy;
    Some(format!(
        "{images} images held out do not show that {conditions} can be told better than by guessing (balanced accuracy {} %, where \
         guessing gets {} %); label more images of each condition",
        own.after.text(percent),
        percent(own.chance)
    ))
}

/// What is said of images that are left out; nothing of none.
pub(super) fn left_out_words(kind: Option<&str>, others: usize) -> Option<String> {
    let own = kind.unwrap_or("phantoms");
    (others > 0).then(|| {
        format!(
            "{others} images left out: the built-in model is trained with images of one kind, most are {own}, and these are others, or of \
             no kind that is certain"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_like_most_that_show_a_condition_are_trained_with() {
        let kind = |name: &str| ImageNature::Kind(name.to_owned());
        let (chest, limb) = (kind("chest radiograph"), kind("limb radiograph"));
        let natures = [
            chest.clone(),
            limb.clone(),
            chest,
            ImageNature::Phantom,
            limb.clone(),
            limb,
            ImageNature::Unclear,
        ];
        let all = AlikeImages::among(&natures, &[true; 7]).unwrap();
        assert_eq!(all.kind.as_deref(), Some("limb radiograph"));
        assert_eq!(all.keep, [false, true, false, false, true, true, false]);
        assert_eq!(all.others(), 4);
        let shows = [true, true, true, false, false, false, false];
        let chests = AlikeImages::among(&natures, &shows).unwrap();
        assert_eq!(chests.kind.as_deref(), Some("chest radiograph"));
        let phantoms = AlikeImages::among(&natures[3..4], &[true]).unwrap();
        assert_eq!((phantoms.kind, phantoms.keep), (None, vec![true]));
        assert!(AlikeImages::among(&natures[6..], &[true]).is_err());
    }
}
