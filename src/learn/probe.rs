//! A linear probe: a direction for each condition from many labelled images, that starts at the texts. Ridge regression or Gaussian
//! discriminant analysis, and how much of it, are chosen by the log-loss of images whose patients took no part.

use serde::Serialize;

use super::gda::Gda;
use super::ridge::Ridge;
use super::{
    GatedCandidate, HeldOut, HeldOutFigures, LearnError, LearnedCandidate, LearningGain, Method,
    Problem, Shot, best_of, check_labels, check_lengths, folds, gate, is_gain, ridge_candidates,
};
use crate::scoring::{Scorer, softmax};

/// Parts of the patients that are left out in turn.
const FOLDS: usize = 5;
/// Images of each condition from which discriminant analysis takes part.
const MIN_GDA_SHOTS: usize = 4;

/// What a probe is.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// How its directions were found.
    pub method: Method,
    /// The share of the learned logits, from 0 to 1; 0 if the images held out get no better scores. Where each condition is decided on
    /// by itself, the mean over those of which something was learned.
    pub gate: f64,
    /// That of each condition.
    pub gates: Vec<f64>,
    /// A direction for each condition. Its logit is `scale × direction · embedding`.
    pub directions: Vec<Vec<f32>>,
    /// The conditions that have too few images, and stay as the texts say; only where each is decided on by itself.
    pub left_out: Vec<usize>,
    /// Each method, and its log-loss on patients that took no part.
    pub candidates: Vec<ProbeMethod>,
    /// The texts alone on the images held out.
    pub before: HeldOutFigures,
    /// The probe on them.
    pub after: HeldOutFigures,
    /// What it is worth on them.
    pub gain: LearningGain,
}

/// A method, as it was judged among the images that are learned from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ProbeMethod {
    /// The method.
    pub method: Method,
    /// Its best gate.
    pub gate: f64,
    /// The mean log-loss with it.
    pub log_loss: f64,
}

impl Probe {
    /// The logits of an image.
    pub fn logits(&self, problem: &Problem, row: &[f32]) -> Vec<f64> {
        let learned = learned(problem, &self.directions, row).into_iter();
        let both = problem.zero_shot(row).into_iter().zip(learned);
        both.zip(&self.gates)
            .map(|((text, learned), gate)| (1.0 - gate) * text + gate * learned)
            .collect()
    }
}

fn mixed(problem: &Problem, directions: &[Vec<f32>], gate: f64, row: &[f32]) -> Vec<f64> {
    let text = problem.zero_shot(row).into_iter();
    let learned = learned(problem, directions, row);
    text.zip(learned)
        .map(|(text, learned)| (1.0 - gate) * text + gate * learned)
        .collect()
}

fn learned(problem: &Problem, directions: &[Vec<f32>], row: &[f32]) -> Vec<f64> {
    let all = directions.iter();
    all.map(|own| problem.learned_logit(own, row)).collect()
}

/// Learns from labelled images, those of a patient being a group, and measures on others, which decide only whether the probe is used at
/// all.
///
/// # Errors
///
/// Fails without labels, if all are the same, or if an embedding is of another length.
pub fn fit_probe(
    problem: &Problem,
    shots: &[Shot],
    held_out: &[Shot],
) -> Result<Probe, LearnError> {
    check_lengths(problem, shots, &[])?;
    check_lengths(problem, held_out, &[])?;
    check_labels(shots)?;
    if held_out.is_empty() {
        return Err(LearnError::NoLabels);
    }
    let mut all = ridge_candidates(problem, shots, &Ridge::new(shots));
    all.extend(discriminant_analysis(problem, shots));
    let GatedCandidate { candidate, gate } = best_of(&all, |_| true);
    let candidates = [Method::Ridge, Method::Gda].into_iter();
    let candidates = candidates.filter_map(|method| ProbeMethod::best(method, &all));
    let candidates = candidates.collect();
    let best = all.into_iter().nth(candidate).ok_or(LearnError::NoLabels)?;
    let directions = best.directions;
    let probabilities =
        |gate: f64, shot: &Shot| softmax(&mixed(problem, &directions, gate, shot.row));
    let judged: Vec<HeldOut> = held_out
        .iter()
        .map(|shot| HeldOut {
            truth: shot.label,
            before: probabilities(0.0, shot),
            after: probabilities(gate, shot),
        })
        .collect();
    // The images held out have the last word: what is no gain for them is not used.
    let gate = if is_gain(&judged) { gate } else { 0.0 };
    let figures = |gate: f64| {
        let all = held_out.iter();
        HeldOutFigures::of(
            all.map(|shot| (shot.label, mixed(problem, &directions, gate, shot.row))),
        )
    };
    let (before, after) = (figures(0.0), figures(gate));
    let rows: Vec<Vec<&HeldOut>> = judged.iter().map(|own| vec![own]).collect();
    let groups: Vec<usize> = held_out.iter().map(|shot| shot.group).collect();
    let gain = LearningGain::new(&rows, &groups).ok_or(LearnError::NoLabels)?;
    Ok(Probe {
        method: best.method,
        gate,
        gates: vec![gate; directions.len()],
        directions,
        left_out: Vec::new(),
        candidates,
        before,
        after,
        gain,
    })
}

/// The choice between the conditions of a scorer by their texts, of which one applies.
pub fn exclusive_problem(scorer: &Scorer) -> Problem {
    let texts: Vec<Vec<f32>> = scorer.texts().map(|own| own.present.to_vec()).collect();
    Problem {
        // A bias that all share changes nothing.
        offsets: vec![0.0; texts.len()],
        scale: scorer.logits().scale,
        texts,
    }
}

/// The decisions on each condition of a scorer by its texts: present or absent. Without texts for its absence, the logit with the
/// model's bias is compared with 0.
pub fn presence_problem(scorer: &Scorer) -> Problem {
    let logits = scorer.logits();
    let (texts, offsets) = scorer
        .texts()
        .map(|own| match own.absent {
            Some(absent) => {
                let both = own.present.iter().zip(absent);
                (both.map(|(a, b)| a - b).collect(), 0.0)
            }
            None => (own.present.to_vec(), logits.bias.unwrap_or_default()),
        })
        .unzip();
    Problem {
        texts,
        offsets,
        scale: logits.scale,
    }
}

impl ProbeMethod {
    /// A method with its best candidate, if it has any.
    fn best(method: Method, all: &[LearnedCandidate]) -> Option<Self> {
        let own = all.iter().filter(|candidate| candidate.method == method);
        let judged = own.map(|candidate| {
            let gate = gate::best(candidate.pairs.iter());
            Self {
                method,
                gate,
                log_loss: candidate.mean_loss(gate),
            }
        });
        judged.min_by(|a, b| a.log_loss.total_cmp(&b.log_loss))
    }
}

/// What discriminant analysis learns, if there are enough images of each condition. Patients are left out a fold at a time.
fn discriminant_analysis(problem: &Problem, shots: &[Shot]) -> Option<LearnedCandidate> {
    let count = |class: usize| shots.iter().filter(|shot| shot.label == class).count();
    if (0..problem.texts.len()).any(|class| count(class) < MIN_GDA_SHOTS) {
        return None;
    }
    let directions = |shots: &[Shot]| Gda::new(problem, shots).directions(problem, shots);
    let folds = folds(shots, FOLDS);
    let mut left_out = vec![Vec::new(); shots.len()];
    for fold in 0..FOLDS {
        let others = shots.iter().zip(&folds).filter(|(_, of)| **of != fold);
        let others: Vec<Shot> = others.map(|(shot, _)| *shot).collect();
        let own = folds.iter().enumerate().filter(|(_, of)| **of == fold);
        let own: Vec<usize> = own.map(|(at, _)| at).collect();
        if own.is_empty() {
            continue;
        }
        let directions = directions(&others);
        for at in own {
            left_out[at] = learned(problem, &directions, shots[at].row);
        }
    }
    let own = (problem, shots);
    let candidate = LearnedCandidate::new(own, Method::Gda, directions(shots), left_out);
    Some(candidate)
}

#[cfg(test)]
mod tests {
    use super::super::linear;
    use super::*;

    /// Embeddings of two conditions that differ in the second number, which the texts do not know, and noise.
    fn rows(count: usize, seed: u64) -> Vec<(Vec<f32>, usize)> {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let row = |at: usize| {
            let label = at % 2;
            let mut row: Vec<f32> = (0..8).map(|_| rng.random_range(-0.2..0.2)).collect();
            row[0] += 1.0;
            row[1] += if label == 0 { 0.3 } else { -0.3 };
            linear::normalize(&mut row);
            (row, label)
        };
        (0..count).map(row).collect()
    }

    fn shots(rows: &[(Vec<f32>, usize)]) -> Vec<Shot<'_>> {
        let all = rows.iter().enumerate();
        let shots = all.map(|(at, (row, label))| Shot {
            row,
            label: *label,
            group: at / 3,
        });
        shots.collect()
    }

    fn problem() -> Problem {
        let text = |place: usize| {
            let mut text = vec![0.0; 8];
            text[place] = 1.0;
            text
        };
        Problem {
            texts: vec![text(2), text(3)],
            offsets: vec![0.0; 2],
            scale: 20.0,
        }
    }

    #[test]
    fn a_probe_learns_what_the_texts_do_not_say() {
        let (rows, others) = (rows(120, 1), rows(60, 2));
        let (shots, held_out) = (shots(&rows), shots(&others));
        let probe = fit_probe(&problem(), &shots, &held_out).unwrap();
        assert!(probe.before.balanced_accuracy < 0.7, "{:?}", probe.before);
        assert!(probe.after.balanced_accuracy > 0.9, "{:?}", probe.after);
        assert_eq!(probe.candidates.len(), 2);
        // What is stored gives the logits that were measured.
        let logits = held_out.iter();
        let logits = logits.map(|shot| (shot.label, probe.logits(&problem(), shot.row)));
        assert_eq!(HeldOutFigures::of(logits), probe.after);
    }

    #[test]
    fn discriminant_analysis_keeps_its_offsets_in_directions() {
        let rows = rows(120, 1);
        let (shots, problem) = (shots(&rows), problem());
        let gda = Gda::new(&problem, &shots);
        let directions = gda.directions(&problem, &shots);
        // An offset is exact where all images have the same dot product with the common direction, as embeddings of one model nearly do.
        let (mut error, mut size, mut agree) = (0.0, 0.0, 0);
        for shot in &shots {
            let text = problem.zero_shot(shot.row).into_iter();
            let exact: Vec<f64> = text.zip(gda.terms(shot.row)).map(|(a, b)| a + b).collect();
            let stored = learned(&problem, &directions, shot.row);
            let [exact, stored] = [exact, stored].map(|all| all[0] - all[1]);
            error += (exact - stored).abs();
            size += exact.abs();
            agree += usize::from((exact > 0.0) == (stored > 0.0));
        }
        assert!(error < 0.15 * size, "{error} of {size}");
        assert!(agree >= shots.len() * 95 / 100, "{agree}");
    }

    #[test]
    fn labels_that_say_nothing_change_nothing() {
        let (mut rows, others) = (rows(120, 1), rows(60, 2));
        for (at, (_, label)) in rows.iter_mut().enumerate() {
            *label = (at / 2) % 2;
        }
        let (shots, held_out) = (shots(&rows), shots(&others));
        let probe = fit_probe(&problem(), &shots, &held_out).unwrap();
        assert!(probe.after.log_loss <= probe.before.log_loss + 1e-12);
    }
}
