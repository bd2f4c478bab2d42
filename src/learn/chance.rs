//! Whether labels are told better than by guessing: balanced accuracy of images that took no part, with intervals over patients.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution as _};
use serde::{Deserialize, Serialize};

use super::{HeldOut, Shot};
use crate::scoring::metrics::{Estimate, estimate};

/// Draws for the intervals.
const DRAWS: usize = 1000;
/// Patients (images, where none is known) below which nothing is said.
const MIN_PATIENTS: usize = 10;
/// Patients of each of at least two conditions below which nothing is said.
const MIN_OF_CONDITION: usize = 3;

/// Balanced accuracy, and what guessing gets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BalancedAccuracy {
    /// By the texts, with an interval of 95 %, by bootstrap over the patients of each condition.
    pub before: Estimate,
    /// With what was learned.
    pub after: Estimate,
    /// That of a guess: 0.5 of two conditions.
    pub chance: f64,
    /// What it gained, with an interval of 95 % over the same draws of patients. `None` in files of earlier versions.
    #[serde(default)]
    pub gain: Option<Estimate>,
}

/// Why labelled images do not show that their labels can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// They are too few to tell.
    TooFew {
        /// Patients among them; images of which none is known count by themselves.
        patients: usize,
        /// The condition concerned, where each is decided on by itself.
        condition: Option<String>,
    },
    /// No image shows these conditions, or all do; only where each is decided on by itself.
    OneSided(Vec<String>),
    /// Guessing may do as well. The conditions concerned, where each is decided on by itself; else none.
    Guessed(Vec<String>),
}

/// Whether decisions are better than guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// They are, with 95 % confidence.
    Better,
    /// They may be guesses.
    NoBetter,
    /// There are too few patients to tell.
    TooFew,
}

impl BalancedAccuracy {
    /// That of images, each with one entry for each problem that it took part in, and of the patient with its number in `groups`; the mean
    /// over the problems.
    pub(super) fn new(images: &[Vec<&HeldOut>], groups: &[usize]) -> Self {
        let problems = images.iter().map(Vec::len).max().unwrap_or(0);
        let of_problem = |at: usize, after: bool| {
            let own = images.iter().zip(groups);
            let own = own.filter_map(|(all, group)| Some((*all.get(at)?, *group)));
            Recalls::new(own, after)
        };
        let draws = if count_patients(groups) > 1 { DRAWS } else { 0 };
        // Both sides draw the same patients, so that their draws are pairs.
        let side = |after: bool| {
            let all: Vec<Recalls> = (0..problems).map(|at| of_problem(at, after)).collect();
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            let draws = (0..draws).map(|_| mean(all.iter().map(|own| own.drawn(&mut rng))));
            let draws: Vec<f64> = draws.collect();
            (mean(all.iter().map(Recalls::balanced)), draws)
        };
        let (before, after) = (side(false), side(true));
        let pairs = before.1.iter().zip(&after.1);
        let gains = pairs.map(|(before, after)| after - before).collect();
        Self {
            gain: Some(estimate(after.0 - before.0, gains)),
            before: estimate(before.0, before.1),
            after: estimate(after.0, after.1),
            chance: mean((0..problems).map(|at| of_problem(at, true).chance())),
        }
    }
}

/// Whether the decisions of a problem are better than guesses: those with what was learned (`after`), or those by the texts. The share of a
/// condition's patients that are right is as uncertain as their number leaves it, also where all are right (a Beta distribution whose
/// prior weighs one patient of guesses); a condition with too few of them counts as never found.
pub(super) fn is_told(held_out: &[HeldOut], groups: &[usize], after: bool) -> Told {
    let recalls = Recalls::new(held_out.iter().zip(groups.iter().copied()), after);
    let chance = recalls.chance();
    let known = recalls.conditions.values();
    let known = known.filter(|patients| patients.len() >= MIN_OF_CONDITION);
    let shares = known.filter_map(|patients| {
        let right = patients
            .iter()
            .map(|(right, all)| *right as f64 / *all as f64);
        let right = right.sum::<f64>();
        Beta::new(right + chance, patients.len() as f64 - right + 1.0 - chance).ok()
    });
    let shares: Vec<Beta<f64>> = shares.collect();
    if count_patients(groups) < MIN_PATIENTS || shares.len() < 2 {
        return Told::TooFew;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let draw = |_| {
        let sum = shares.iter().map(|own| own.sample(&mut rng)).sum::<f64>();
        sum / recalls.conditions.len() as f64
    };
    let low = estimate(recalls.balanced(), (0..DRAWS).map(draw).collect()).low;
    if low.is_some_and(|low| low > chance) {
        Told::Better
    } else {
        Told::NoBetter
    }
}

/// The number of patients.
pub(super) fn count_patients(groups: &[usize]) -> usize {
    groups.iter().collect::<BTreeSet<_>>().len()
}

/// Whether so few of the images are of a condition that nothing can be said of it.
pub(super) fn is_rare(condition: usize, shots: &[Shot]) -> bool {
    let own = shots.iter().filter(|shot| shot.label == condition);
    let own: Vec<usize> = own.map(|shot| shot.group).collect();
    count_patients(&own) < MIN_OF_CONDITION
}

/// Of each condition that has images, and of each patient: how many images are right, and how many there are.
pub(super) struct Recalls {
    conditions: BTreeMap<usize, Vec<(usize, usize)>>,
}

impl Recalls {
    pub(super) fn new<'a>(images: impl Iterator<Item = (&'a HeldOut, usize)>, after: bool) -> Self {
        let mut patients: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
        for (image, group) in images {
            let probabilities = if after { &image.after } else { &image.before };
            let (right, all) = patients.entry((image.truth, group)).or_default();
            *right += usize::from(is_right(image.truth, probabilities));
            *all += 1;
        }
        let mut conditions: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for ((condition, _), counts) in patients {
            conditions.entry(condition).or_default().push(counts);
        }
        Self { conditions }
    }

    pub(super) fn balanced(&self) -> f64 {
        let shares = self.conditions.values();
        mean(shares.map(|patients| share(patients.iter().copied())))
    }

    /// The same where the patients of each condition are drawn anew: no condition is missing from a draw.
    fn drawn(&self, rng: &mut ChaCha8Rng) -> f64 {
        let shares = self.conditions.values().map(|patients| {
            let count = patients.len();
            share((0..count).map(|_| patients[rng.random_range(0..count)]))
        });
        let shares: Vec<f64> = shares.collect();
        mean(shares.into_iter())
    }

    fn chance(&self) -> f64 {
        1.0 / self.conditions.len().max(1) as f64
    }
}

fn share(patients: impl Iterator<Item = (usize, usize)>) -> f64 {
    let (right, all) = patients.fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    right as f64 / all.max(1) as f64
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), own| (sum + own, count + 1));
    sum / f64::from(count.max(1))
}

/// Whether the probability of the true condition is above all others.
pub(super) fn is_right(truth: usize, probabilities: &[f64]) -> bool {
    let mut others = probabilities.iter().enumerate();
    others.all(|(class, other)| class == truth || *other < probabilities[truth])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of a condition among four, which what was learned takes for `said`; the texts say nothing.
    fn held_out(truth: usize, said: usize) -> HeldOut {
        let mut after = vec![0.1; 4];
        after[said] = 0.7;
        HeldOut {
            truth,
            before: vec![0.25; 4],
            after,
        }
    }

    fn found(truth: usize, is_found: bool) -> HeldOut {
        held_out(truth, if is_found { truth } else { 3 })
    }

    fn balanced(images: &[HeldOut]) -> BalancedAccuracy {
        let groups: Vec<usize> = (0..images.len()).collect();
        let images: Vec<Vec<&HeldOut>> = images.iter().map(|own| vec![own]).collect();
        BalancedAccuracy::new(&images, &groups)
    }

    fn told(images: &[HeldOut]) -> Told {
        let groups: Vec<usize> = (0..images.len()).collect();
        is_told(images, &groups, true)
    }

    #[test]
    fn each_condition_that_has_images_counts_alike() {
        let mut images = vec![found(0, true); 30];
        images.extend([found(2, true), found(2, false)]);
        let own = balanced(&images);
        assert!((own.after.value - 0.75).abs() < 1e-9);
        assert!(own.before.value.abs() < 1e-9, "a tie is not right");
        assert!((own.chance - 0.5).abs() < 1e-9, "of two conditions");
        // Of problems by themselves it is the mean.
        let (right, wrong) = (found(0, true), found(1, false));
        let both = BalancedAccuracy::new(&[vec![&right, &wrong], vec![&right, &wrong]], &[0, 1]);
        assert!((both.after.value - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_gain_is_that_of_the_same_draws() {
        // Each image is right before and after, or neither: no draw gains anything, however much both sides vary.
        let images: Vec<HeldOut> = (0..20)
            .map(|at| HeldOut {
                before: held_out(at % 2, if at % 3 == 0 { 3 } else { at % 2 }).after,
                ..held_out(at % 2, if at % 3 == 0 { 3 } else { at % 2 })
            })
            .collect();
        let own = balanced(&images);
        assert!(own.after.high.unwrap() - own.after.low.unwrap() > 0.2);
        let gain = own.gain.unwrap();
        assert_eq!(
            (gain.value, gain.low, gain.high),
            (0.0, Some(0.0), Some(0.0))
        );
    }

    #[test]
    fn ten_images_of_two_conditions_are_needed_to_tell() {
        let both = |count: usize| (0..count).map(|at| found(at % 2, true)).collect::<Vec<_>>();
        assert_eq!(told(&both(10)), Told::Better);
        assert_eq!(told(&both(8)), Told::TooFew);
        let mut images = vec![found(0, true); 20];
        images.extend([found(1, true), found(1, true)]);
        assert_eq!(
            told(&images),
            Told::TooFew,
            "two of a condition are too few"
        );
        let groups: Vec<usize> = (0..10).collect();
        assert_eq!(
            is_told(&both(10), &groups, false),
            Told::NoBetter,
            "by the texts"
        );
    }

    #[test]
    fn neither_the_most_frequent_condition_nor_rare_ones_make_guesses_look_better() {
        let mut images = vec![held_out(0, 0); 90];
        images.extend(vec![held_out(1, 0); 10]);
        assert_eq!(told(&images), Told::NoBetter);
        // Three of three of a rare condition are found by whoever says it nearly always.
        let mut images = vec![held_out(0, 0); 3];
        images.extend((0..60).map(|at| held_out(1, usize::from(at < 6))));
        assert_eq!(told(&images), Told::NoBetter);
        // Two rare conditions that are always missed.
        let mut images = vec![held_out(0, 0); 40];
        images.extend(vec![held_out(1, 0); 40]);
        images.extend([held_out(2, 0), held_out(3, 0)]);
        assert_eq!(told(&images), Told::NoBetter);
    }

    #[test]
    fn slices_of_few_patients_are_few_images() {
        // Two patients of each condition are right in all ten slices, one of each wrong.
        let slices = (0..60).map(|at| (found(at / 10 % 2, at < 40), at / 10));
        let (images, groups): (Vec<HeldOut>, Vec<usize>) = slices.unzip();
        assert_eq!(is_told(&images, &groups, true), Told::TooFew);
        let single: Vec<usize> = (0..60).collect();
        assert_eq!(is_told(&images, &single, true), Told::Better);
        // Ten coins tossed for patients say no more with five slices each.
        let slices = (0..60).map(|at| (found(at / 5 % 2, at / 5 % 4 < 2 || at / 5 == 2), at / 5));
        let (images, groups): (Vec<HeldOut>, Vec<usize>) = slices.unzip();
        assert_eq!(is_told(&images, &groups, true), Told::NoBetter);
    }
}
