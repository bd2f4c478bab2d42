//! What labelled images show, and what follows from that alone: how they are split, what a probe learns, how scores are judged.

use super::figures::compare;
use super::presence::{self, PresenceCase, Separations, compare_separations, separations};
use super::presence_probe::{PresenceShot, fit_presence_probe, learnable};
use super::split::{split_by_patient, split_presence_by_patient};
use super::{
    HeldOutFigures, LearnError, PatientSplit, Probe, Problem, Shot, SplitError, fit_probe,
};
use crate::scoring::metrics::Estimate;

/// What labelled images show, by the index of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Truths {
    /// One condition each.
    One(Vec<usize>),
    /// Any conditions each, or none.
    Any {
        /// The number of conditions.
        conditions: usize,
        /// The indices of those that each image shows.
        shown: Vec<Vec<usize>>,
    },
}

/// What scores gain on images that took no part, with intervals of 95 % by bootstrap over patients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingGain {
    /// Balanced accuracy, from −1 to 1.
    pub balanced_accuracy: Estimate,
    /// The mean area over conditions; only where each is decided on by itself.
    pub auroc: Option<Estimate>,
}

impl Truths {
    /// The number of images.
    pub fn len(&self) -> usize {
        match self {
            Self::One(labels) => labels.len(),
            Self::Any { shown, .. } => shown.len(),
        }
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The conditions of an image.
    pub fn of(&self, image: usize) -> &[usize] {
        match self {
            Self::One(labels) => std::slice::from_ref(&labels[image]),
            Self::Any { shown, .. } => &shown[image],
        }
    }

    /// Those of some of the images, in this order.
    #[must_use]
    pub fn subset(&self, images: &[usize]) -> Self {
        match self {
            Self::One(labels) => Self::One(images.iter().map(|at| labels[*at]).collect()),
            Self::Any { conditions, shown } => Self::Any {
                conditions: *conditions,
                shown: images.iter().map(|at| shown[*at].clone()).collect(),
            },
        }
    }

    /// The number of images that show each of so many conditions.
    pub fn counts(&self, conditions: usize) -> Vec<usize> {
        let mut counts = vec![0; conditions];
        for image in 0..self.len() {
            self.of(image).iter().for_each(|label| counts[*label] += 1);
        }
        counts
    }

    /// Of each condition, whether enough of these images show it, and enough do not; `None` where one applies to each image.
    pub fn learnable(&self, images: &[usize]) -> Option<Vec<bool>> {
        match self {
            Self::One(_) => None,
            Self::Any { conditions, shown } => {
                let own = images.iter().map(|at| shown[*at].as_slice());
                Some(learnable(own, *conditions))
            }
        }
    }

    /// Whether images held out can judge what is learned from others: where each condition is decided on by itself, whether a
    /// condition that is learned is shown by some of them and not by others.
    pub fn can_judge(&self, train: &[usize], held_out: &[usize]) -> bool {
        let Some(learnable) = self.learnable(train) else {
            return true;
        };
        learnable.iter().enumerate().any(|(condition, is_learned)| {
            let shows = |at: &&usize| self.of(**at).contains(&condition);
            let present = held_out.iter().filter(shows).count();
            *is_learned && present > 0 && present < held_out.len()
        })
    }

    /// The number of images that show none of the conditions; `None` where one applies to each.
    pub fn without_condition(&self) -> Option<usize> {
        match self {
            Self::One(_) => None,
            Self::Any { shown, .. } => Some(shown.iter().filter(|own| own.is_empty()).count()),
        }
    }

    /// Holds out a share of the images, whole patients only.
    ///
    /// # Errors
    ///
    /// See [`split_by_patient`] and [`split_presence_by_patient`].
    pub fn split(
        &self,
        patients: &[String],
        share: f64,
        seed: u64,
    ) -> Result<PatientSplit, SplitError> {
        match self {
            Self::One(labels) => split_by_patient(patients, labels, share, seed),
            Self::Any { conditions, shown } => {
                split_presence_by_patient(patients, shown, *conditions, (share, seed))
            }
        }
    }

    /// Fits a probe on some of the images; others judge it. `groups`: the patient of each image, as a number.
    ///
    /// # Errors
    ///
    /// See [`fit_probe`] and [`fit_presence_probe`].
    pub fn fit_probe<R: AsRef<[f32]>>(
        &self,
        problem: &Problem,
        (embeddings, groups): (&[R], &[usize]),
        (train, held_out): (&[usize], &[usize]),
    ) -> Result<Probe, LearnError> {
        match self {
            Self::One(labels) => {
                let shot = |at: &usize| Shot {
                    row: embeddings[*at].as_ref(),
                    label: labels[*at],
                    group: groups[*at],
                };
                let [train, held_out] =
                    [train, held_out].map(|side| side.iter().map(shot).collect::<Vec<_>>());
                fit_probe(problem, &train, &held_out)
            }
            Self::Any { shown, .. } => {
                let shot = |at: &usize| PresenceShot {
                    row: embeddings[*at].as_ref(),
                    shown: &shown[*at],
                    group: groups[*at],
                };
                let [train, held_out] =
                    [train, held_out].map(|side| side.iter().map(shot).collect::<Vec<_>>());
                fit_presence_probe(problem, &train, &held_out)
            }
        }
    }

    /// How good logits of some of the images are, in the order of these. `counted`: of each condition, whether it counts where each is
    /// decided on by itself; all without.
    pub fn figures(
        &self,
        images: &[usize],
        logits: &[Vec<f64>],
        counted: Option<&[bool]>,
    ) -> HeldOutFigures {
        match self {
            Self::One(labels) => {
                let truths = images.iter().map(|at| labels[*at]);
                HeldOutFigures::of(truths.zip(logits.iter().cloned()))
            }
            Self::Any { shown, .. } => {
                let shown: Vec<&[usize]> = images.iter().map(|at| &*shown[*at]).collect();
                presence::figures(&shown, logits, counted)
            }
        }
    }

    /// What the second logits of some of the images gain over the first. `counted`: see [`Self::figures`].
    pub fn gain(
        &self,
        (images, patients): (&[usize], &[String]),
        [before, after]: [&[Vec<f64>]; 2],
        counted: Option<&[bool]>,
    ) -> TrainingGain {
        match self {
            Self::One(labels) => {
                let cases = images.iter().zip(before.iter().zip(after));
                let cases = cases.map(|(at, (before, after))| {
                    let both = [before.as_slice(), after.as_slice()];
                    (patients[*at].as_str(), labels[*at], both)
                });
                TrainingGain {
                    balanced_accuracy: compare(&cases.collect::<Vec<_>>(), 0),
                    auroc: None,
                }
            }
            Self::Any { .. } => {
                let cases = self.cases(images, patients);
                let gain = compare_separations(&cases, [before, after], counted);
                let nothing = Estimate {
                    value: 0.0,
                    low: None,
                    high: None,
                    draws: None,
                };
                TrainingGain {
                    balanced_accuracy: gain.map_or(nothing, |own| own.balanced_accuracy),
                    auroc: Some(gain.map_or(nothing, |own| own.auroc)),
                }
            }
        }
    }

    /// How well logits of some of the images tell each condition's presence; `None` where one condition applies to each image.
    /// `counted`: of each condition, whether it counts in the mean; all without.
    pub fn separations(
        &self,
        (images, patients): (&[usize], &[String]),
        logits: &[Vec<f64>],
        counted: Option<&[bool]>,
    ) -> Option<Separations> {
        match self {
            Self::One(_) => None,
            Self::Any { .. } => {
                let cases = self.cases(images, patients);
                Some(separations(&cases, logits, counted))
            }
        }
    }

    fn cases<'a>(&'a self, images: &[usize], patients: &'a [String]) -> Vec<PresenceCase<'a>> {
        let cases = images.iter().map(|at| PresenceCase {
            patient: &patients[*at],
            shown: self.of(*at),
        });
        cases.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_held_out_judge_only_what_is_learned() {
        // The first condition can be learned, and the second is shown by one image that is learned from and one held out.
        let mut shown: Vec<Vec<usize>> = (0..12).map(|at| vec![0; at % 2]).collect();
        shown[0].push(1);
        shown.extend([vec![1], Vec::new()]);
        let truths = Truths::Any {
            conditions: 2,
            shown: shown.clone(),
        };
        let train: Vec<usize> = (0..12).collect();
        assert_eq!(truths.learnable(&train), Some(vec![true, false]));
        assert!(!truths.can_judge(&train, &[12, 13]));
        assert_eq!(truths.without_condition(), Some(6));
        shown[13].push(0);
        let truths = Truths::Any {
            conditions: 2,
            shown,
        };
        assert!(truths.can_judge(&train, &[12, 13]));
        assert!(!truths.can_judge(&train, &[13]), "all held out show it");
        assert!(Truths::One(vec![0, 1]).can_judge(&[0], &[1]));
    }
}
