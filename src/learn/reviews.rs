//! From reviews of images to what is learned for the conditions of a prompt set.

use super::{Fitted, HeldOut, LearnError, LearningGain, Method, Problem, Shot, fit};
use crate::scoring::learned::LearnedCondition;
use crate::scoring::{EncodedTexts, Mode, Scorer};

/// An image to learn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReviewedImage<'a> {
    /// Its unit embedding.
    pub embedding: &'a [f32],
    /// The conditions that a person says it shows; none if it shows none of them; `None` unless it is reviewed.
    pub labels: Option<&'a [String]>,
}

/// What was learned, and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// The conditions for which something was learned.
    pub conditions: Vec<LearnedCondition>,
    /// How.
    pub method: Method,
    /// The labelled images that took part.
    pub reviews: usize,
    /// The unlabelled ones.
    pub unlabelled: usize,
    /// Labelled images scored without their labels.
    pub comparison: LearningGain,
}

/// Learns from images under the prompt set of a scorer. Where one condition applies, a review of one label takes part; where each
/// is decided on by itself, every review does, and conditions that no review or every review says are left as they are.
///
/// # Errors
///
/// Fails if there is nothing to learn from.
pub fn learn(scorer: &Scorer, images: &[ReviewedImage]) -> Result<Lesson, LearnError> {
    match scorer.mode() {
        Mode::Single => learn_exclusive(scorer, images),
        Mode::Multi => learn_each(scorer, images),
    }
}

fn unlabelled<'a>(images: &[ReviewedImage<'a>]) -> Vec<&'a [f32]> {
    let all = images.iter().filter(|image| image.labels.is_none());
    all.map(|image| image.embedding).collect()
}

fn learn_exclusive(scorer: &Scorer, images: &[ReviewedImage]) -> Result<Lesson, LearnError> {
    let texts: Vec<EncodedTexts> = scorer.texts().collect();
    let logits = scorer.logits();
    let problem = Problem {
        texts: texts.iter().map(|own| own.present.to_vec()).collect(),
        // A bias that all share changes nothing.
        offsets: vec![0.0; texts.len()],
        scale: logits.scale,
    };
    let shots = images.iter().filter_map(|image| {
        let [label] = image.labels? else { return None };
        let label = texts.iter().position(|own| own.name == label)?;
        let row = image.embedding;
        Some(Shot { row, label })
    });
    let shots: Vec<Shot> = shots.collect();
    let unlabelled = unlabelled(images);
    let fitted = fit(&problem, &shots, &unlabelled)?;
    let conditions = texts.iter().zip(&fitted.directions);
    let conditions = conditions.map(|(own, direction)| LearnedCondition {
        condition: own.name.to_owned(),
        gate: fitted.gate,
        direction: direction.clone().into(),
    });
    let held_out: Vec<Vec<&HeldOut>> = fitted.held_out.iter().map(|own| vec![own]).collect();
    Ok(Lesson {
        conditions: conditions.collect(),
        method: fitted.method,
        reviews: shots.len(),
        unlabelled: unlabelled.len(),
        comparison: LearningGain::new(&held_out).ok_or(LearnError::NoLabels)?,
    })
}

fn learn_each(scorer: &Scorer, images: &[ReviewedImage]) -> Result<Lesson, LearnError> {
    let reviewed = images.iter();
    let reviewed: Vec<(&[f32], &[String])> = reviewed
        .filter_map(|image| Some((image.embedding, image.labels?)))
        .collect();
    if reviewed.is_empty() {
        return Err(LearnError::NoLabels);
    }
    let unlabelled = unlabelled(images);
    let (mut conditions, mut fits): (Vec<LearnedCondition>, Vec<Fitted>) = (Vec::new(), Vec::new());
    for texts in scorer.texts() {
        let problem = presence(&texts, scorer);
        let shots = reviewed.iter().map(|(row, labels)| {
            let is_there = labels.iter().any(|label| label == texts.name);
            let label = usize::from(!is_there);
            Shot { row, label }
        });
        match fit(&problem, &shots.collect::<Vec<_>>(), &unlabelled) {
            Ok(fitted) => {
                conditions.push(LearnedCondition {
                    condition: texts.name.to_owned(),
                    gate: fitted.gate,
                    direction: difference(&fitted.directions).into(),
                });
                fits.push(fitted);
            }
            Err(LearnError::OneLabel) => {}
            Err(error) => return Err(error),
        }
    }
    let held_out = (0..reviewed.len()).map(|at| fits.iter().map(|own| &own.held_out[at]).collect());
    let held_out: Vec<Vec<&HeldOut>> = held_out.collect();
    Ok(Lesson {
        conditions,
        method: fits.first().map_or(Method::Ridge, |own| own.method),
        reviews: reviewed.len(),
        unlabelled: unlabelled.len(),
        comparison: LearningGain::new(&held_out).ok_or(LearnError::OneLabel)?,
    })
}

/// Whether a condition is there, as a choice of two. Without texts for its absence, its logit is compared with 0.
fn presence(texts: &EncodedTexts, scorer: &Scorer) -> Problem {
    let logits = scorer.logits();
    let (absent, offset) = match texts.absent {
        Some(absent) => (absent.to_vec(), 0.0),
        None => (
            vec![0.0; texts.present.len()],
            logits.bias.unwrap_or_default(),
        ),
    };
    Problem {
        texts: vec![texts.present.to_vec(), absent],
        offsets: vec![offset, 0.0],
        scale: logits.scale,
    }
}

/// The direction of presence less that of absence.
fn difference(directions: &[Vec<f32>]) -> Vec<f32> {
    let [present, absent] = directions else {
        return Vec::new();
    };
    present.iter().zip(absent).map(|(a, b)| a - b).collect()
}
