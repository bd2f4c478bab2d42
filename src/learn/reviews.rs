//! From reviews of images to what is learned for the conditions of a prompt set.

use super::chance::{Told, count_patients, is_rare, is_told};
use super::ridge::Ridge;
use super::{
    Fitted, HeldOut, LearnError, LearningGain, Method, Problem, Shot, Unproved, check_lengths, fit,
    fit_by, patient_groups,
};
use crate::scoring::learned::LearnedCondition;
use crate::scoring::{EncodedTexts, Mode, Scorer};

/// An image to learn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReviewedImage<'a> {
    /// Its unit embedding.
    pub embedding: &'a [f32],
    /// The conditions that a person says it shows; none if it shows none of them; `None` unless it is reviewed.
    pub labels: Option<&'a [String]>,
    /// What tells its patient from others, see [`patient_marks`](super::patient_marks).
    pub patients: &'a [String],
}

/// What was learned, and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// The conditions for which something was learned.
    pub conditions: Vec<LearnedCondition>,
    /// How; where each condition was learned by itself, [`Method::Transport`] if any was learned so.
    pub method: Method,
    /// The labelled images that took part.
    pub reviews: usize,
    /// Their indices among the images.
    pub shots: Vec<usize>,
    /// Labelled images that did not, as their labels are no conditions of the set, or where one applies not one of them.
    pub other_labels: usize,
    /// The unlabelled images that took part.
    pub unlabelled: usize,
    /// Labelled images scored without their labels.
    pub comparison: LearningGain,
    /// Why these do not show that labels can be told at all; `None` if they do.
    pub unproved: Option<Unproved>,
    /// Conditions that images of too few patients show to say how well they are told; none where each is decided on by itself.
    pub rare: Vec<String>,
}

/// Learns from images under the prompt set of a scorer. Where one condition applies, a review of one label takes part; where each
/// is decided on by itself, every review does that names none but conditions of the set, and conditions that no review or every
/// review says are left as they are. So is the condition that stands for everything else, where a distance tells it.
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

/// The number of reviewed images.
fn reviewed(images: &[ReviewedImage]) -> usize {
    images.iter().filter(|image| image.labels.is_some()).count()
}

/// The patient of each image, as a number.
fn patients(images: &[ReviewedImage]) -> Vec<usize> {
    let marks: Vec<&[String]> = images.iter().map(|image| image.patients).collect();
    patient_groups(&marks)
}

fn learn_exclusive(scorer: &Scorer, images: &[ReviewedImage]) -> Result<Lesson, LearnError> {
    let texts: Vec<EncodedTexts> = scorer.texts().filter(|own| !own.by_distance).collect();
    let logits = scorer.logits();
    let problem = Problem {
        texts: texts.iter().map(|own| own.present.to_vec()).collect(),
        // A bias that all share changes nothing.
        offsets: vec![0.0; texts.len()],
        scale: logits.scale,
    };
    let patients = patients(images);
    let all = images.iter().zip(&patients).enumerate();
    let shots = all.filter_map(|(at, (image, group))| {
        let [label] = image.labels? else { return None };
        let shot = Shot {
            row: image.embedding,
            label: texts.iter().position(|own| own.name == label)?,
            group: *group,
        };
        Some((at, shot))
    });
    let (indices, shots): (Vec<usize>, Vec<Shot>) = shots.unzip();
    check_patients(&shots)?;
    let unlabelled = unlabelled(images);
    let fitted = fit(&problem, &shots, &unlabelled)?;
    let conditions = texts.iter().zip(&fitted.directions);
    let conditions = conditions.map(|(own, direction)| LearnedCondition {
        condition: own.name.to_owned(),
        gate: fitted.gate,
        direction: direction.clone().into(),
    });
    let held_out: Vec<Vec<&HeldOut>> = fitted.held_out.iter().map(|own| vec![own]).collect();
    let groups: Vec<usize> = shots.iter().map(|shot| shot.group).collect();
    let unproved = match is_told(&fitted.held_out, &groups, fitted.gate > 0.0) {
        Told::Better => None,
        Told::NoBetter => Some(Unproved::Guessed(Vec::new())),
        Told::TooFew => Some(Unproved::TooFew {
            patients: count_patients(&groups),
            condition: None,
        }),
    };
    let rare = texts.iter().enumerate();
    let rare = rare.filter(|(at, _)| is_rare(*at, &shots));
    let rare = rare.map(|(_, own)| own.name.to_owned()).collect();
    Ok(Lesson {
        unproved,
        rare,
        conditions: conditions.collect(),
        method: fitted.method,
        reviews: shots.len(),
        shots: indices,
        other_labels: reviewed(images) - shots.len(),
        unlabelled: if fitted.method == Method::Transport {
            unlabelled.len()
        } else {
            0
        },
        comparison: LearningGain::new(&held_out, &groups).ok_or(LearnError::NoLabels)?,
    })
}

fn learn_each(scorer: &Scorer, images: &[ReviewedImage]) -> Result<Lesson, LearnError> {
    let names: Vec<&str> = scorer.texts().map(|texts| texts.name).collect();
    let patients = patients(images);
    // A label that the set has no more may have been another name of a condition: such a review says nothing of its absence.
    let all = images.iter().zip(&patients).enumerate();
    let known = all.filter_map(|(at, (image, group))| {
        let labels = image.labels?;
        let all_known = labels.iter().all(|label| names.contains(&label.as_str()));
        let shot = Shot {
            row: image.embedding,
            label: 0,
            group: *group,
        };
        all_known.then_some((at, (shot, labels)))
    });
    let (indices, known): (Vec<usize>, Vec<_>) = known.unzip();
    let (rows, labels): (Vec<Shot>, Vec<&[String]>) = known.into_iter().unzip();
    if rows.is_empty() {
        return Err(LearnError::NoLabels);
    }
    check_patients(&rows)?;
    let unlabelled = unlabelled(images);
    let (mut conditions, mut fits): (Vec<LearnedCondition>, Vec<Fitted>) = (Vec::new(), Vec::new());
    let problems: Vec<Problem> = scorer.texts().map(|own| presence(&own, scorer)).collect();
    if let Some(problem) = problems.first() {
        check_lengths(problem, &rows, &unlabelled)?;
    }
    let ridge = Ridge::new(&rows);
    let groups: Vec<usize> = rows.iter().map(|shot| shot.group).collect();
    let (mut guessed, mut one_sided, mut few) = (Vec::new(), Vec::new(), None);
    for (texts, problem) in scorer.texts().zip(&problems) {
        let shots = rows.iter().zip(&labels).map(|(shot, labels)| {
            let is_there = labels.iter().any(|label| label == texts.name);
            let label = usize::from(!is_there);
            Shot { label, ..*shot }
        });
        match fit_by(problem, &shots.collect::<Vec<_>>(), &unlabelled, &ridge) {
            Ok(fitted) => {
                match is_told(&fitted.held_out, &groups, fitted.gate > 0.0) {
                    Told::Better => {}
                    Told::NoBetter => guessed.push(texts.name.to_owned()),
                    Told::TooFew => few = few.or_else(|| Some(texts.name.to_owned())),
                }
                conditions.push(LearnedCondition {
                    condition: texts.name.to_owned(),
                    gate: fitted.gate,
                    direction: difference(&fitted.directions).into(),
                });
                fits.push(fitted);
            }
            Err(LearnError::OneLabel) => one_sided.push(texts.name.to_owned()),
            Err(error) => return Err(error),
        }
    }
    score_unused_by_texts(fits.iter_mut().map(|own| (own.gate, &mut own.held_out)));
    let held_out = (0..rows.len()).map(|at| fits.iter().map(|own| &own.held_out[at]).collect());
    let held_out: Vec<Vec<&HeldOut>> = held_out.collect();
    let by_transport = fits.iter().any(|own| own.method == Method::Transport);
    let (method, unlabelled) = if by_transport {
        (Method::Transport, unlabelled.len())
    } else {
        (Method::Ridge, 0)
    };
    let unproved = match few {
        Some(_) => Some(Unproved::TooFew {
            patients: count_patients(&groups),
            condition: few,
        }),
        None if !one_sided.is_empty() => Some(Unproved::OneSided(one_sided)),
        None if !guessed.is_empty() => Some(Unproved::Guessed(guessed)),
        None => None,
    };
    Ok(Lesson {
        unproved,
        rare: Vec::new(),
        conditions,
        method,
        reviews: rows.len(),
        shots: indices,
        other_labels: reviewed(images) - rows.len(),
        unlabelled,
        comparison: LearningGain::new(&held_out, &groups).ok_or(LearnError::OneLabel)?,
    })
}

/// Fails if all images are of one patient.
fn check_patients(shots: &[Shot]) -> Result<(), LearnError> {
    let mut others = shots.windows(2);
    if shots.len() > 1 && others.all(|pair| pair[0].group == pair[1].group) {
        return Err(LearnError::OnePatient);
    }
    Ok(())
}

/// Where what was learned of some conditions is used, the texts alone score the others. Where none is, all stay as they were tried, which
/// is the reason.
pub(super) fn score_unused_by_texts<'a>(
    conditions: impl Iterator<Item = (f64, &'a mut Vec<HeldOut>)>,
) {
    let (used, unused): (Vec<_>, Vec<_>) = conditions.partition(|(gate, _)| *gate > 0.0);
    if used.is_empty() {
        return;
    }
    for image in unused.into_iter().flat_map(|(_, held_out)| held_out) {
        image.after.clone_from(&image.before);
    }
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
pub(super) fn difference(directions: &[Vec<f32>]) -> Vec<f32> {
    let [present, absent] = directions else {
        return Vec::new();
    };
    present.iter().zip(absent).map(|(a, b)| a - b).collect()
}
