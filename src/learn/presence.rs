//! How good scores are where each condition is decided on by itself: its presence told from its absence.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::figures::{DRAWS, HeldOutFigures};
use crate::scoring::metrics::{Estimate, PresenceScores, estimate};

/// The least number of patients with a condition, and of those without it, over whom an interval is given. Draws of fewer hardly differ.
const MIN_PATIENTS: usize = 3;

/// How well scores tell presence from absence, with intervals of 95 % by bootstrap over patients: none over too few of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Separation {
    /// The area under the receiver operating characteristic.
    pub auroc: Estimate,
    /// The mean of two shares: of images with the condition that score one half or more, and of images without it that score less.
    pub balanced_accuracy: Estimate,
}

/// The separation of each condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Separations {
    /// By condition; `None` for one that all of the images show, or none of them.
    pub conditions: Vec<Option<Separation>>,
    /// The mean over those of these that count; `None` without any.
    pub mean: Option<Separation>,
}

/// An image, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct PresenceCase<'a> {
    /// The patient.
    pub patient: &'a str,
    /// The indices of the conditions that it shows.
    pub shown: &'a [usize],
}

/// Area and balanced accuracy.
type Areas = [f64; 2];

/// The probability of what is true; a logit is compared with 0.
pub(super) fn probability_of_truth(logit: f64, is_shown: bool) -> f64 {
    let signed = if is_shown { logit } else { -logit };
    1.0 / (1.0 + (-signed).exp())
}

/// The scores of images for each condition, from the conditions that they show and their logits.
fn presence_scores(shown: &[&[usize]], logits: &[Vec<f64>]) -> Vec<PresenceScores> {
    let conditions = logits.first().map_or(0, Vec::len);
    let of_condition = |condition: usize| {
        let both = shown.iter().zip(logits);
        PresenceScores::new(both.map(|(own, logits)| {
            let logit = logits[condition];
            (logit, [own.contains(&condition), logit >= 0.0])
        }))
    };
    (0..conditions).map(of_condition).collect()
}

/// `counts`: how often each image counts. `None` unless some show the condition and some do not.
fn areas(scores: &PresenceScores, counts: &[u32]) -> Option<Areas> {
    let auroc = scores.auroc_counting(counts)?;
    let cells = scores.counts(counts);
    Some([auroc, 0.5 * (cells.sensitivity()? + cells.specificity()?)])
}

/// The mean over the conditions that count; `None` if one of them has no areas, or none counts.
fn mean(areas: &[Option<Areas>], counted: &[bool]) -> Option<Areas> {
    let all = areas.iter().zip(counted).filter(|(_, counts)| **counts);
    let found: Vec<Areas> = all.map(|(areas, _)| *areas).collect::<Option<_>>()?;
    let count = found.len() as f64;
    let sum = found
        .into_iter()
        .reduce(|a, b| [a[0] + b[0], a[1] + b[1]])?;
    Some(sum.map(|value| value / count))
}

/// Of each condition, whether it counts and has areas.
fn told(areas: &[Option<Areas>], counted: Option<&[bool]>) -> Vec<bool> {
    let counts = |at: usize| counted.is_none_or(|own| own[at]);
    let all = areas.iter().enumerate();
    all.map(|(at, areas)| counts(at) && areas.is_some())
        .collect()
}

/// The figures of images: the conditions that each shows, and its logit of each condition, which is compared with 0. `counted`: of each
/// condition, whether it counts; all without.
pub(super) fn figures(
    shown: &[&[usize]],
    logits: &[Vec<f64>],
    counted: Option<&[bool]>,
) -> HeldOutFigures {
    let counts = vec![1; shown.len()];
    let scores = presence_scores(shown, logits);
    let areas: Vec<Option<Areas>> = scores.iter().map(|own| self::areas(own, &counts)).collect();
    let [auroc, balanced_accuracy] = mean(&areas, &told(&areas, counted)).unwrap_or([0.5; 2]);
    let losses = shown.iter().zip(logits).flat_map(|(shown, logits)| {
        let all = logits.iter().enumerate();
        let own = all.filter(|(at, _)| counted.is_none_or(|own| own[*at]));
        own.map(|(at, logit)| probability_of_truth(*logit, shown.contains(&at)))
    });
    let losses: Vec<f64> = losses.map(|p| -p.max(f64::MIN_POSITIVE).ln()).collect();
    HeldOutFigures {
        images: shown.len(),
        balanced_accuracy,
        log_loss: losses.iter().sum::<f64>() / losses.len().max(1) as f64,
        auroc: Some(auroc),
    }
}

/// Patients that are drawn with replacement.
struct PatientDraws {
    /// The images of each.
    patients: Vec<Vec<usize>>,
    images: usize,
}

impl PatientDraws {
    fn new(cases: &[PresenceCase]) -> Self {
        let mut patients: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, case) in cases.iter().enumerate() {
            patients.entry(case.patient).or_default().push(at);
        }
        Self {
            patients: patients.into_values().collect(),
            images: cases.len(),
        }
    }

    /// The values of a statistic of how often each image counts; `None` where it has none over all images.
    fn estimates(
        &self,
        statistic: impl Fn(&[u32]) -> Vec<Option<Areas>>,
    ) -> Vec<Option<Separation>> {
        let all = statistic(&vec![1; self.images]);
        let mut drawn: Vec<[Vec<f64>; 2]> = vec![Default::default(); all.len()];
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for _ in 0..DRAWS {
            let mut counts = vec![0; self.images];
            for _ in 0..self.patients.len() {
                let patient = rng.random_range(0..self.patients.len());
                self.patients[patient]
                    .iter()
                    .for_each(|at| counts[*at] += 1);
            }
            for (drawn, areas) in drawn.iter_mut().zip(statistic(&counts)) {
                for (drawn, value) in drawn.iter_mut().zip(areas.into_iter().flatten()) {
                    drawn.push(value);
                }
            }
        }
        let both = all.into_iter().zip(drawn);
        both.map(|(areas, [auroc, accuracy])| {
            areas.map(|[area, balanced]| Separation {
                auroc: estimate(area, auroc),
                balanced_accuracy: estimate(balanced, accuracy),
            })
        })
        .collect()
    }
}

fn shown<'a>(cases: &[PresenceCase<'a>]) -> Vec<&'a [usize]> {
    cases.iter().map(|case| case.shown).collect()
}

/// Of each condition, whether enough patients show it, and enough do not, for an interval.
fn has_interval(cases: &[PresenceCase], conditions: usize) -> Vec<bool> {
    let of_condition = |condition: usize| {
        let mut sides = [BTreeSet::new(), BTreeSet::new()];
        for case in cases {
            sides[usize::from(case.shown.contains(&condition))].insert(case.patient);
        }
        sides.iter().all(|own| own.len() >= MIN_PATIENTS)
    };
    (0..conditions).map(of_condition).collect()
}

impl Separation {
    fn without_interval(self) -> Self {
        let value = |own: Estimate| Estimate {
            low: None,
            high: None,
            ..own
        };
        Self {
            auroc: value(self.auroc),
            balanced_accuracy: value(self.balanced_accuracy),
        }
    }

    /// With its interval if it may have one.
    fn with_interval_if(self, may: bool) -> Self {
        if may { self } else { self.without_interval() }
    }
}

/// How well logits of images tell each condition's presence. `counted`: of each condition, whether it counts in the mean; all without.
pub fn separations(
    cases: &[PresenceCase],
    logits: &[Vec<f64>],
    counted: Option<&[bool]>,
) -> Separations {
    let scores = presence_scores(&shown(cases), logits);
    let areas = |counts: &[u32]| -> Vec<Option<Areas>> {
        scores.iter().map(|own| self::areas(own, counts)).collect()
    };
    let told = told(&areas(&vec![1; cases.len()]), counted);
    let mut found = PatientDraws::new(cases).estimates(|counts| {
        let mut areas = areas(counts);
        // A draw that lacks a condition would be a mean over others.
        areas.push(mean(&areas, &told));
        areas
    });
    let has_interval = has_interval(cases, scores.len());
    let is_certain = told.iter().zip(&has_interval).any(|(a, b)| *a && *b);
    let mean = found.pop().flatten();
    let both = found.into_iter().zip(has_interval);
    Separations {
        mean: mean.map(|own| own.with_interval_if(is_certain)),
        conditions: both
            .map(|(own, may)| own.map(|own| own.with_interval_if(may)))
            .collect(),
    }
}

/// What the second logits of images tell better than the first: differences of the means over the conditions that count, see
/// [`separations`]. `None` if none of these is shown by some images and not by others.
pub fn compare_separations(
    cases: &[PresenceCase],
    [before, after]: [&[Vec<f64>]; 2],
    counted: Option<&[bool]>,
) -> Option<Separation> {
    let shown = shown(cases);
    let both = [before, after].map(|logits| presence_scores(&shown, logits));
    let areas = |side: usize, counts: &[u32]| -> Vec<Option<Areas>> {
        both[side]
            .iter()
            .map(|own| self::areas(own, counts))
            .collect()
    };
    let told = told(&areas(0, &vec![1; cases.len()]), counted);
    let found = PatientDraws::new(cases).estimates(|counts| {
        let [before, after] = [0, 1].map(|side| mean(&areas(side, counts), &told));
        let difference = before.zip(after);
        vec![difference.map(|(before, after)| [after[0] - before[0], after[1] - before[1]])]
    });
    let has_interval = has_interval(cases, told.len());
    let is_certain = told.iter().zip(&has_interval).any(|(a, b)| *a && *b);
    let found = found.into_iter().next().flatten();
    found.map(|own| own.with_interval_if(is_certain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases<'a>(patients: &'a [String], shown: &'a [Vec<usize>]) -> Vec<PresenceCase<'a>> {
        let both = patients.iter().zip(shown);
        both.map(|(patient, shown)| PresenceCase { patient, shown })
            .collect()
    }

    #[test]
    fn figures_equal_those_computed_by_hand() {
        // The first condition: 2 and −1 with it, 1 and −3 without; the second is shown by all.
        let shown: [&[usize]; 4] = [&[0, 1], &[0, 1], &[1], &[1]];
        let logits = [2.0, -1.0, 1.0, -3.0].map(|logit| vec![logit, 0.0]);
        let found = figures(&shown, &logits, None);
        // 2 is above both, −1 above one of two.
        assert_eq!(found.auroc, Some(0.75));
        // One of two with it says so, one of two without it.
        assert_eq!((found.images, found.balanced_accuracy), (4, 0.5));
        let losses = [2.0, -1.0, -1.0, 3.0].map(|own: f64| (1.0 + (-own).exp()).ln());
        let expected = (losses.iter().sum::<f64>() + 4.0 * 2.0_f64.ln()) / 8.0;
        assert!((found.log_loss - expected).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn figures_are_of_the_conditions_that_count() {
        // The first condition is told perfectly, the second wrongly.
        let shown: [&[usize]; 2] = [&[0], &[1]];
        let logits = [vec![1.0, 1.0], vec![-1.0, -1.0]];
        let all = figures(&shown, &logits, None);
        assert_eq!((all.auroc, all.balanced_accuracy), (Some(0.5), 0.5));
        let first = figures(&shown, &logits, Some(&[true, false]));
        assert_eq!((first.auroc, first.balanced_accuracy), (Some(1.0), 1.0));
        let expected = (1.0 + (-1.0_f64).exp()).ln();
        assert!((first.log_loss - expected).abs() < 1e-12, "{first:?}");
    }

    #[test]
    fn too_few_patients_give_no_interval_and_a_mean_is_always_over_the_same_conditions() {
        // The first condition is shown by half of the patients and told well, the second by two of them and told badly.
        let of = |rare: usize| {
            let patients: Vec<String> = (0..40).map(|at| at.to_string()).collect();
            let shown: Vec<Vec<usize>> = (0..40)
                .map(|at| [(at % 2 == 0, 0), (at < rare, 1)])
                .map(|all| all.iter().filter(|own| own.0).map(|own| own.1).collect())
                .collect();
            let logits: Vec<Vec<f64>> = shown
                .iter()
                .map(|own| [own.contains(&0), !own.contains(&1)].map(|own| f64::from(own) - 0.5))
                .map(Vec::from)
                .collect();
            separations(&cases(&patients, &shown), &logits, None)
        };
        let found = of(2);
        let [common, rare] = [0, 1].map(|at: usize| found.conditions[at].unwrap().auroc);
        assert_eq!((common.value, common.low), (1.0, Some(1.0)));
        assert_eq!((rare.value, rare.low, rare.high), (0.0, None, None));
        // A draw without the rare condition would have a mean of 1.
        let mean = found.mean.unwrap().auroc;
        assert_eq!(
            (mean.value, mean.low, mean.high),
            (0.5, Some(0.5), Some(0.5))
        );
        assert!(of(3).conditions[1].unwrap().auroc.low.is_some());
    }

    #[test]
    fn a_gain_over_two_patients_has_no_interval() {
        let patients: Vec<String> = (0..20).map(|at| (at % 2).to_string()).collect();
        let shown: Vec<Vec<usize>> = (0..20).map(|at| vec![at / 10]).collect();
        let logits: Vec<Vec<f64>> = (0..20).map(|at| vec![f64::from(at), 0.0]).collect();
        let gain = compare_separations(&cases(&patients, &shown), [&logits, &logits], None);
        let gain = gain.unwrap().auroc;
        assert_eq!((gain.value, gain.low, gain.high), (0.0, None, None));
        let none = compare_separations(
            &cases(&patients, &shown),
            [&logits, &logits],
            Some(&[false; 2]),
        );
        assert_eq!(none, None);
    }

    #[test]
    fn a_condition_that_all_images_show_has_no_separation_and_no_part_in_the_mean() {
        let patients: Vec<String> = (0..40).map(|at| at.to_string()).collect();
        let shown: Vec<Vec<usize>> = (0..40)
            .map(|at| if at % 2 == 0 { vec![0, 1] } else { vec![1] })
            .collect();
        let logits: Vec<Vec<f64>> = (0..40)
            .map(|at| vec![f64::from(at % 2 == 0) - 0.5, -1.0])
            .collect();
        let found = separations(&cases(&patients, &shown), &logits, None);
        let separated = found.conditions[0].unwrap();
        assert_eq!(
            (separated.auroc.value, separated.auroc.low),
            (1.0, Some(1.0))
        );
        assert_eq!(found.conditions[1], None);
        assert_eq!(found.mean, Some(separated));
    }

    #[test]
    fn a_gain_is_a_paired_difference_and_its_interval_wider_over_few_patients() {
        let shown: Vec<Vec<usize>> = (0..80).map(|at| vec![at % 2]).collect();
        // After, the images of every other patient of ten are scored right, the others as before: wrong.
        let of = |per_patient: usize| {
            let patients: Vec<String> = (0..80).map(|at| (at / per_patient).to_string()).collect();
            let wrong: Vec<Vec<f64>> = (0..80)
                .map(|at| {
                    if at % 2 == 0 {
                        vec![-1.0, 1.0]
                    } else {
                        vec![1.0, -1.0]
                    }
                })
                .collect();
            let after = wrong.iter().enumerate().map(|(at, own)| {
                let sign = if (at / per_patient).is_multiple_of(2) {
                    -1.0
                } else {
                    1.0
                };
                own.iter().map(|logit| sign * logit).collect()
            });
            let after: Vec<Vec<f64>> = after.collect();
            let cases = cases(&patients, &shown);
            let same = compare_separations(&cases, [&after, &after], None).unwrap();
            assert_eq!((same.auroc.value, same.auroc.high), (0.0, Some(0.0)));
            compare_separations(&cases, [&wrong, &after], None)
                .unwrap()
                .balanced_accuracy
        };
        let (alone, many) = (of(2), of(20));
        assert!((alone.value - 0.5).abs() < 1e-9 && (many.value - 0.5).abs() < 1e-9);
        let width = |own: Estimate| own.high.unwrap() - own.low.unwrap();
        assert!(width(many) > 1.5 * width(alone), "{alone:?} {many:?}");
    }
}
