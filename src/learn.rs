//! Few-shot learning: what reviews of some images say about how to score all of them. Plain arithmetic on embeddings.
//!
//! A condition is a direction: its score is the cosine of an image with it. Texts give the first directions; here they follow from
//! labelled images, from unlabelled ones that optimal transport assigns to conditions, and from the texts (SS-Text-U, Silva-Rodríguez
//! and Konukoglu 2026, arXiv 2603.02959), or from ridge regression that starts at the texts: whichever scores labelled images better
//! that took no part. A gate γ mixes the logits of texts and learned directions, `(1 − γ)·text + γ·learned`, and is chosen by the log-loss of
//! labelled images that took no part: γ = 0 is zero-shot. It stays 0 where that is no gain, or nothing but another temperature. From many labelled images a probe learns directions in the same form.

mod chance;
mod comparison;
mod figures;
mod gain;
mod gate;
pub(crate) mod gda;
pub(crate) mod linear;
mod patients;
mod presence;
mod presence_probe;
mod probe;
mod proof;
mod reviews;
mod ridge;
mod split;
mod stored;
mod transport;
mod truths;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub use chance::{BalancedAccuracy, Unproved};
pub use comparison::LearningGain;
pub use figures::{HeldOutFigures, compare};
use gain::is_gain;
use gate::LogitPair;
pub use patients::{patient_groups, patient_marks};
pub use presence::{PresenceCase, Separation, Separations, compare_separations, separations};
pub use presence_probe::{MIN_PRESENCE_IMAGES, PresenceShot, fit_presence_probe, learnable};
pub use probe::{Probe, ProbeMethod, exclusive_problem, fit_probe, presence_problem};
pub use proof::HeldOutProof;
pub use reviews::{Lesson, ReviewedImage, learn};
use ridge::Ridge;
pub use split::{PatientSplit, SplitError, split_by_patient, split_presence_by_patient};
pub use stored::{Learned, LearnedError, LearnedFor, LearnedSets, TaughtBy, refusal};
pub use truths::{TrainingGain, Truths};

/// Unlabelled images for each condition from which they take part.
pub const MIN_UNLABELLED: usize = 4;
/// How sure ridge regression may be: factors of its logits, as images that it learned from look surer than others.
const CERTAINTIES: [f64; 2] = [1.0, 0.5];
/// Folds of labelled images that are left out together when unlabelled ones are assigned. Up to so many groups, each is its own fold.
const MAX_FOLDS: usize = 16;

/// Conditions of which one applies, as texts describe them; or conditions that are each decided on alone, whose logits are compared with 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// A unit embedding for each condition; zeros for one that has no text. Where each is decided on alone, that of its presence less
    /// that of its absence.
    pub texts: Vec<Vec<f32>>,
    /// What is added to the logit of each condition.
    pub offsets: Vec<f64>,
    /// The factor from cosine to logit.
    pub scale: f64,
}

impl Problem {
    /// The logits of an image by the texts.
    pub(crate) fn zero_shot(&self, row: &[f32]) -> Vec<f64> {
        let all = 0..self.texts.len();
        all.map(|condition| self.logit(condition, row)).collect()
    }

    /// The logit of one condition by its texts.
    fn logit(&self, condition: usize, row: &[f32]) -> f64 {
        self.learned_logit(&self.texts[condition], row) + self.offsets[condition]
    }

    /// The logit along a direction.
    fn learned_logit(&self, direction: &[f32], row: &[f32]) -> f64 {
        self.scale * f64::from(linear::dot(row, direction))
    }
}

/// A labelled image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shot<'a> {
    /// Its unit embedding.
    pub row: &'a [f32],
    /// The index of its condition.
    pub label: usize,
    /// Images with the same number are left out together, as those of one patient are too alike to examine each other.
    pub group: usize,
}

/// How directions were learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// From labelled images and those that optimal transport assigns.
    Transport,
    /// By ridge regression from the texts.
    Ridge,
    /// By Gaussian discriminant analysis beside the texts.
    Gda,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// How.
    pub method: Method,
    /// The share of the learned logits, from 0 to 1.
    pub gate: f64,
    /// A direction for each condition, in the order of the texts. Its logit is `scale × direction · embedding`.
    pub directions: Vec<Vec<f32>>,
    /// Each labelled image, scored without its label: in the order of the shots.
    pub held_out: Vec<HeldOut>,
}

/// A labelled image, scored without its label.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// The index of its condition.
    pub truth: usize,
    /// The probabilities by the texts.
    pub before: Vec<f64>,
    /// The probabilities with what the other images say. Method and gate were chosen without the image's own, too.
    pub after: Vec<f64>,
}

/// Why nothing can be learned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// No image is labelled.
    #[error("no image with a stored embedding is reviewed under this prompt set")]
    NoLabels,
    /// All have the same label.
    #[error("all reviews say the same; at least two conditions need a review")]
    OneLabel,
    /// All are of one patient.
    #[error(
        "all reviewed images are of one patient, as their PatientID, their study or a table says, so that none could take no part and \
         show what is learned from the others"
    )]
    OnePatient,
    /// Each condition is decided on by itself, and none has enough images.
    #[error(
        "no condition has enough images: at least {0} with it and {0} without it to learn from, and one of each held out"
    )]
    FewImages(usize),
    /// An embedding is of another length than the texts.
    #[error("an embedding has {0} numbers, and those of the texts have {1}")]
    Length(usize, usize),
}

/// Learns from labelled images (`shots`) and unlabelled ones.
///
/// # Errors
///
/// Fails without labels, if all are the same, or if an embedding is of another length.
pub fn fit(problem: &Problem, shots: &[Shot], unlabelled: &[&[f32]]) -> Result<Fitted, LearnError> {
    check_lengths(problem, shots, unlabelled)?;
    fit_by(problem, shots, unlabelled, &Ridge::new(shots))
}

/// The same where the lengths of all embeddings are right, with what does not depend on labels.
fn fit_by(
    problem: &Problem,
    shots: &[Shot],
    unlabelled: &[&[f32]],
    ridge: &Ridge,
) -> Result<Fitted, LearnError> {
    check_labels(shots)?;
    let folds = folds(shots, MAX_FOLDS);
    let candidates = candidates(problem, shots, unlabelled, (ridge, &folds));
    let chosen = best_of(&candidates, |_| true);
    let choices: Vec<GatedCandidate> = (0..folds.iter().max().map_or(0, |last| last + 1))
        .map(|fold| best_of(&candidates, |at| folds[at] != fold))
        .collect();
    let held_out = folds.iter().enumerate().map(|(at, fold)| {
        let GatedCandidate { candidate, gate } = choices[*fold];
        let pair = &candidates[candidate].pairs[at];
        HeldOut {
            truth: pair.truth,
            before: pair.probabilities(0.0),
            after: pair.probabilities(gate),
        }
    });
    let held_out: Vec<HeldOut> = held_out.collect();
    // The chosen gate has seen all labels. If gates that have not do harm, so may it.
    let gate = if is_gain(&held_out) { chosen.gate } else { 0.0 };
    let best = candidates.into_iter().nth(chosen.candidate);
    let best = best.ok_or(LearnError::NoLabels)?;
    Ok(Fitted {
        method: best.method,
        gate,
        directions: best.directions,
        held_out,
    })
}

/// What one method learns.
struct LearnedCandidate {
    method: Method,
    directions: Vec<Vec<f32>>,
    /// Each labelled image without its label, in the order of the shots.
    pairs: Vec<LogitPair>,
}

/// The index of a candidate, and its gate.
#[derive(Clone, Copy)]
struct GatedCandidate {
    candidate: usize,
    gate: f64,
}

impl LearnedCandidate {
    /// `learned`: the learned logits of each shot without its label.
    fn new(
        (problem, shots): (&Problem, &[Shot]),
        method: Method,
        directions: Vec<Vec<f32>>,
        learned: Vec<Vec<f64>>,
    ) -> Self {
        let pairs = shots.iter().zip(learned).map(|(shot, learned)| LogitPair {
            truth: shot.label,
            text: problem.zero_shot(shot.row),
            learned,
        });
        Self {
            method,
            directions,
            pairs: pairs.collect(),
        }
    }

    /// The mean log-loss of the labelled images with a gate.
    fn mean_loss(&self, gate: f64) -> f64 {
        gate::loss(self.pairs.iter(), gate) / self.pairs.len().max(1) as f64
    }
}

/// What transport learns, if there are enough unlabelled images, and what ridge regression does.
fn candidates(
    problem: &Problem,
    shots: &[Shot],
    unlabelled: &[&[f32]],
    (ridge, folds): (&Ridge, &[usize]),
) -> Vec<LearnedCandidate> {
    let mut all = Vec::new();
    if unlabelled.len() >= MIN_UNLABELLED * problem.texts.len() {
        let transport = transport::Transport::new(problem, unlabelled);
        let directions = transport.directions(shots, None);
        let learned = transport.held_out(shots, folds);
        let own = (problem, shots);
        all.push(LearnedCandidate::new(
            own,
            Method::Transport,
            directions,
            learned,
        ));
    }
    all.extend(ridge_candidates(problem, shots, ridge));
    all
}

/// What ridge regression learns, with each penalty and each certainty.
fn ridge_candidates(problem: &Problem, shots: &[Shot], ridge: &Ridge) -> Vec<LearnedCandidate> {
    let mut all = Vec::new();
    for fit in ridge.fits(problem, shots) {
        for certainty in CERTAINTIES {
            let mut directions = fit.directions.clone();
            let numbers = directions.iter_mut().flatten();
            numbers.for_each(|number| *number *= certainty as f32);
            let learned = fit.held_out.iter();
            let learned = learned.map(|row| row.iter().map(|logit| certainty * logit).collect());
            let (own, learned) = ((problem, shots), learned.collect());
            all.push(LearnedCandidate::new(
                own,
                Method::Ridge,
                directions,
                learned,
            ));
        }
    }
    all
}

/// The candidate and the gate with the least log-loss of the images to `keep`, by their index; the first among equals.
fn best_of(candidates: &[LearnedCandidate], keep: impl Fn(usize) -> bool + Copy) -> GatedCandidate {
    let choices = candidates.iter().enumerate().map(|(at, own)| {
        let pairs = own.pairs.iter().enumerate();
        let pairs = pairs.filter(|(at, _)| keep(*at)).map(|(_, pair)| pair);
        let gate = gate::best(pairs.clone());
        let choice = GatedCandidate {
            candidate: at,
            gate,
        };
        (choice, gate::loss(pairs, gate))
    });
    let best = choices.reduce(|best, next| if next.1 < best.1 { next } else { best });
    best.map_or(
        GatedCandidate {
            candidate: 0,
            gate: 0.0,
        },
        |(choice, _)| choice,
    )
}

/// Directions from all shots by transport alone, without a gate. The embeddings must be of the texts' length, and at least
/// [`MIN_UNLABELLED`] unlabelled ones must be there for each condition.
pub fn directions(problem: &Problem, shots: &[Shot], unlabelled: &[&[f32]]) -> Vec<Vec<f32>> {
    transport::Transport::new(problem, unlabelled).directions(shots, None)
}

fn check_lengths(
    problem: &Problem,
    shots: &[Shot],
    unlabelled: &[&[f32]],
) -> Result<(), LearnError> {
    let length = problem.texts.first().map_or(0, Vec::len);
    let rows = shots.iter().map(|shot| shot.row);
    for row in rows.chain(unlabelled.iter().copied()) {
        if row.len() != length {
            return Err(LearnError::Length(row.len(), length));
        }
    }
    Ok(())
}

fn check_labels(shots: &[Shot]) -> Result<(), LearnError> {
    let first = shots.first().ok_or(LearnError::NoLabels)?;
    if shots.iter().all(|shot| shot.label == first.label) {
        return Err(LearnError::OneLabel);
    }
    Ok(())
}

/// The images of each group, in the order of the groups' first images.
fn groups(shots: &[Shot]) -> Vec<Vec<usize>> {
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, shot) in shots.iter().enumerate() {
        let place = *places.entry(shot.group).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(at);
    }
    groups
}

/// The fold of each shot, of at most so many, which is that of its group. Groups of one label are spread over the folds.
fn folds(shots: &[Shot], most: usize) -> Vec<usize> {
    let mut order: Vec<&Shot> = shots.iter().collect();
    order.sort_by_key(|shot| shot.label);
    let mut places: HashMap<usize, usize> = HashMap::new();
    for shot in order {
        let place = places.len();
        places.entry(shot.group).or_insert(place);
    }
    let count = places.len().min(most);
    shots
        .iter()
        .map(|shot| places[&shot.group] % count)
        .collect()
}

#[cfg(test)]
#[path = "learn/tests.rs"]
mod tests;
