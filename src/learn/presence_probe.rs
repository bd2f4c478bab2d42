//! A linear probe where each condition is decided on by itself: a direction for each, by ridge regression that starts at the texts for its
//! presence less those for its absence.
//!
//! Discriminant analysis takes no part: images without a condition are of many kinds, which one normal distribution describes badly.

use super::presence::{self, probability_of_truth};
use super::probe::ProbeMethod;
use super::reviews::score_unused_by_texts;
use super::ridge::Ridge;
use super::{
    GatedCandidate, HeldOut, LearnError, LearningGain, Method, Probe, Problem, Shot, best_of,
    check_lengths, is_gain, ridge_candidates,
};

/// The least number of images with a condition, and of images without it, from which something is learned of it. Fewer say more about
/// their patients than about the condition.
pub const MIN_PRESENCE_IMAGES: usize = 5;

/// An image with the conditions that it shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresenceShot<'a> {
    /// Its unit embedding.
    pub row: &'a [f32],
    /// The indices of its conditions.
    pub shown: &'a [usize],
    /// Images with the same number are left out together.
    pub group: usize,
}

impl<'a> PresenceShot<'a> {
    /// As an image of the choice between a condition's presence, 0, and its absence, 1.
    fn of_condition(&self, condition: usize) -> Shot<'a> {
        Shot {
            row: self.row,
            label: usize::from(!self.shown.contains(&condition)),
            group: self.group,
        }
    }
}

/// Of each condition, whether enough of the images show it, and enough do not. `shown`: the conditions of each image.
pub fn learnable<'a>(
    shown: impl Iterator<Item = &'a [usize]> + Clone,
    conditions: usize,
) -> Vec<bool> {
    let all = shown.clone().count();
    let is_learnable = |condition: usize| {
        let present = shown.clone().filter(|own| own.contains(&condition)).count();
        present >= MIN_PRESENCE_IMAGES && all - present >= MIN_PRESENCE_IMAGES
    };
    (0..conditions).map(is_learnable).collect()
}

/// What was learned of a condition.
struct LearnedPresence {
    gate: f64,
    /// That of presence less that of absence.
    direction: Vec<f32>,
    /// The log-loss of patients that took no part, with the gate that these chose.
    candidate: ProbeMethod,
    held_out: Vec<HeldOut>,
}

/// Learns from images, those of a patient being a group, and measures on others, which decide only whether what is learned of a
/// condition is used at all. `problem`: see [`super::presence_problem`]. Conditions with too few images stay as the texts say, as do
/// those of which the images held out show only one side.
///
/// # Errors
///
/// Fails without images, if no condition has enough, or if an embedding is of another length.
pub fn fit_presence_probe(
    problem: &Problem,
    shots: &[PresenceShot],
    held_out: &[PresenceShot],
) -> Result<Probe, LearnError> {
    let rows: Vec<Shot> = shots.iter().map(|shot| shot.of_condition(0)).collect();
    let others: Vec<Shot> = held_out.iter().map(|shot| shot.of_condition(0)).collect();
    check_lengths(problem, &rows, &[])?;
    check_lengths(problem, &others, &[])?;
    if rows.is_empty() || others.is_empty() {
        return Err(LearnError::NoLabels);
    }
    let conditions = problem.texts.len();
    let enough = learnable(shots.iter().map(|shot| shot.shown), conditions);
    let ridge = Ridge::new(&rows);
    let mut learned: Vec<Option<LearnedPresence>> = (0..conditions)
        .map(|condition| {
            let of_condition = |all: &[PresenceShot]| {
                all.iter()
                    .map(|own| own.shown.contains(&condition))
                    .collect()
            };
            let shown: Vec<bool> = of_condition(held_out);
            let is_judged = shown.contains(&true) && shown.contains(&false);
            (enough[condition] && is_judged)
                .then(|| learn_presence(problem, condition, (shots, &ridge), held_out))
                .flatten()
        })
        .collect();
    let found = learned.iter_mut().flatten();
    score_unused_by_texts(found.map(|own| (own.gate, &mut own.held_out)));
    probe(problem, &learned, held_out)
}

/// The choice between a condition's presence and its absence.
fn pair(problem: &Problem, condition: usize) -> Problem {
    let text = problem.texts[condition].clone();
    Problem {
        texts: vec![text.clone(), vec![0.0; text.len()]],
        offsets: vec![problem.offsets[condition], 0.0],
        scale: problem.scale,
    }
}

fn learn_presence(
    problem: &Problem,
    condition: usize,
    (shots, ridge): (&[PresenceShot], &Ridge),
    held_out: &[PresenceShot],
) -> Option<LearnedPresence> {
    let own: Vec<Shot> = shots
        .iter()
        .map(|shot| shot.of_condition(condition))
        .collect();
    let all = ridge_candidates(&pair(problem, condition), &own, ridge);
    let GatedCandidate { candidate, gate } = best_of(&all, |_| true);
    let candidate = all.into_iter().nth(candidate)?;
    let log_loss = candidate.mean_loss(gate);
    let direction = super::reviews::difference(&candidate.directions);
    let mut learned = LearnedPresence {
        gate,
        direction,
        candidate: ProbeMethod {
            method: candidate.method,
            gate,
            log_loss,
        },
        held_out: Vec::new(),
    };
    learned.held_out = held_out
        .iter()
        .map(|shot| learned.judge(problem, condition, shot))
        .collect();
    // The images held out have the last word: what is no gain for them is not used.
    if !is_gain(&learned.held_out) {
        learned.gate = 0.0;
    }
    Some(learned)
}

impl LearnedPresence {
    /// An image held out, by the texts and by what was learned.
    fn judge(&self, problem: &Problem, condition: usize, shot: &PresenceShot) -> HeldOut {
        let text = problem.logit(condition, shot.row);
        let learned = problem.learned_logit(&self.direction, shot.row);
        let after = (1.0 - self.gate) * text + self.gate * learned;
        let both = |logit: f64| {
            [true, false]
                .map(|own| probability_of_truth(logit, own))
                .into()
        };
        HeldOut {
            truth: usize::from(!shot.shown.contains(&condition)),
            before: both(text),
            after: both(after),
        }
    }
}

fn probe(
    problem: &Problem,
    learned: &[Option<LearnedPresence>],
    held_out: &[PresenceShot],
) -> Result<Probe, LearnError> {
    let found: Vec<&LearnedPresence> = learned.iter().flatten().collect();
    if found.is_empty() {
        return Err(LearnError::FewImages(MIN_PRESENCE_IMAGES));
    }
    let count = found.len() as f64;
    let mean = |pick: &dyn Fn(&LearnedPresence) -> f64| {
        found.iter().map(|own| pick(own)).sum::<f64>() / count
    };
    let rows: Vec<Vec<&HeldOut>> = (0..held_out.len())
        .map(|at| found.iter().map(|own| &own.held_out[at]).collect())
        .collect();
    let groups: Vec<usize> = held_out.iter().map(|shot| shot.group).collect();
    let mut probe = Probe {
        method: Method::Ridge,
        gate: mean(&|own| own.gate),
        gates: learned
            .iter()
            .map(|own| own.as_ref().map_or(0.0, |own| own.gate))
            .collect(),
        directions: learned
            .iter()
            .zip(&problem.texts)
            .map(|(own, text)| own.as_ref().map_or(text, |own| &own.direction).clone())
            .collect(),
        left_out: (0..learned.len())
            .filter(|at| learned[*at].is_none())
            .collect(),
        candidates: vec![ProbeMethod {
            method: Method::Ridge,
            gate: mean(&|own| own.candidate.gate),
            log_loss: mean(&|own| own.candidate.log_loss),
        }],
        before: super::HeldOutFigures::default(),
        after: super::HeldOutFigures::default(),
        gain: LearningGain::new(&rows, &groups).ok_or(LearnError::NoLabels)?,
    };
    let shown: Vec<&[usize]> = held_out.iter().map(|shot| shot.shown).collect();
    let before: Vec<Vec<f64>> = held_out.iter().map(|s| problem.zero_shot(s.row)).collect();
    let after: Vec<Vec<f64>> = held_out
        .iter()
        .map(|s| probe.logits(problem, s.row))
        .collect();
    // Conditions that stay as the texts say gain nothing, and have no part in it.
    let counted: Vec<bool> = learned.iter().map(Option::is_some).collect();
    probe.before = presence::figures(&shown, &before, Some(&counted));
    probe.after = presence::figures(&shown, &after, Some(&counted));
    Ok(probe)
}

#[cfg(test)]
mod tests {
    use super::super::linear;
    use super::*;

    /// Embeddings of three conditions, each in a number of its own of which the texts know little, and any of them beside the others. The
    /// third is rare.
    fn images(count: usize, seed: u64) -> Vec<(Vec<f32>, Vec<usize>)> {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let image = |at: usize| {
            let mut row: Vec<f32> = (0..10).map(|_| rng.random_range(-0.1..0.1)).collect();
            row[0] += 1.0;
            let mut shown = Vec::new();
            for (condition, chance) in [0.5, 0.3, 0.0].into_iter().enumerate() {
                if rng.random_bool(chance) || (condition == 2 && at < 3) {
                    row[1 + condition] += 0.4;
                    shown.push(condition);
                }
            }
            linear::normalize(&mut row);
            (row, shown)
        };
        (0..count).map(image).collect()
    }

    fn shots(images: &[(Vec<f32>, Vec<usize>)]) -> Vec<PresenceShot<'_>> {
        let all = images.iter().enumerate();
        all.map(|(at, (row, shown))| PresenceShot {
            row,
            shown,
            group: at / 2,
        })
        .collect()
    }

    fn problem() -> Problem {
        let text = |condition: usize| {
            let mut text = vec![0.0; 10];
            text[6 + condition] = 0.8;
            text[1 + condition] = 0.05;
            text
        };
        Problem {
            texts: (0..3).map(text).collect(),
            offsets: vec![-0.5; 3],
            scale: 20.0,
        }
    }

    #[test]
    fn each_condition_is_learned_whatever_else_an_image_shows() {
        let (images, others) = (images(200, 1), images(100, 2));
        let (shots, held_out) = (shots(&images), shots(&others));
        let probe = fit_presence_probe(&problem(), &shots, &held_out).unwrap();
        let [before, after] = [&probe.before, &probe.after].map(|own| own.auroc.unwrap());
        assert!(before < 0.8, "{:?}", probe.before);
        assert!(after > before + 0.1 && probe.after.log_loss < probe.before.log_loss);
        // Three images are too few, so that the texts score the third condition.
        assert_eq!((probe.left_out.clone(), probe.gates[2]), (vec![2], 0.0));
        assert!(
            probe.gates[0] > 0.5 && probe.gates[1] > 0.5,
            "{:?}",
            probe.gates
        );
        assert_eq!(probe.directions[2], problem().texts[2]);
        let row = held_out[0].row;
        let logits = probe.logits(&problem(), row);
        assert!((logits[2] - problem().zero_shot(row)[2]).abs() < 1e-9);
        // An image with both gets both.
        let both = others
            .iter()
            .filter(|(_, shown)| shown.starts_with(&[0, 1]));
        let (mut right, mut all) = (0, 0);
        for (row, _) in both {
            let logits = probe.logits(&problem(), row);
            right += usize::from(logits[0] > 0.0 && logits[1] > 0.0);
            all += 1;
        }
        assert!(all > 5 && right * 10 >= all * 8, "{right} of {all}");
    }

    #[test]
    fn labels_that_say_nothing_change_nothing_and_too_few_are_an_error() {
        let (mut images, others) = (images(200, 1), images(100, 2));
        for (at, (_, shown)) in images.iter_mut().enumerate() {
            *shown = if (at / 3) % 2 == 0 { vec![0] } else { vec![1] };
        }
        let (noise, held_out) = (shots(&images), shots(&others));
        let probe = fit_presence_probe(&problem(), &noise, &held_out).unwrap();
        assert!(probe.after.log_loss <= probe.before.log_loss + 1e-12);
        let few = fit_presence_probe(&problem(), &noise[..4], &held_out);
        assert_eq!(few, Err(LearnError::FewImages(MIN_PRESENCE_IMAGES)));
    }
}
