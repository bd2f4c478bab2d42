//! How good scores are where each condition is decided on by itself: its presence told from its absence.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::figures::{DRAWS, HeldOutFigures};
use crate::scoring::metrics::{Estimate, Ranking, estimate};

/// How well scores tell presence from absence, with intervals of 95 % by bootstrap over patients.
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
    /// The mean over these; `None` without any.
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

/// The scores of images for one condition.
struct ConditionScores {
    ranking: Ranking,
    /// Whether each image shows it, and whether its score says so.
    cases: Vec<[bool; 2]>,
}

impl ConditionScores {
    /// Of each condition, from the conditions that images show and their logits.
    fn of_conditions(shown: &[&[usize]], logits: &[Vec<f64>]) -> Vec<Self> {
        let conditions = logits.first().map_or(0, Vec::len);
        let of_condition = |condition: usize| {
            let all = || {
                let both = shown.iter().zip(logits);
                both.map(move |(own, logits)| (logits[condition], own.contains(&condition)))
            };
            Self {
                ranking: Ranking::new(all()),
                cases: all()
                    .map(|(logit, is_shown)| [is_shown, logit >= 0.0])
                    .collect(),
            }
        };
        (0..conditions).map(of_condition).collect()
    }

    /// `counts`: how often each image counts. `None` unless some show it and some do not.
    fn areas(&self, counts: &[u32]) -> Option<Areas> {
        let auroc = self.ranking.auroc_counting(counts)?;
        let (mut right, mut all) = ([0.0; 2], [0.0; 2]);
        for ([is_shown, is_said], count) in self.cases.iter().zip(counts) {
            let side = usize::from(*is_shown);
            all[side] += f64::from(*count);
            if is_shown == is_said {
                right[side] += f64::from(*count);
            }
        }
        Some([auroc, 0.5 * (right[0] / all[0] + right[1] / all[1])])
    }
}

/// The mean over the conditions that have areas.
fn mean(areas: &[Option<Areas>]) -> Option<Areas> {
    let found: Vec<Areas> = areas.iter().flatten().copied().collect();
    let count = found.len() as f64;
    let sum = found
        .into_iter()
        .reduce(|a, b| [a[0] + b[0], a[1] + b[1]])?;
    Some(sum.map(|value| value / count))
}

/// The figures of images: the conditions that each shows, and its logit of each condition, which is compared with 0.
pub(super) fn figures(shown: &[&[usize]], logits: &[Vec<f64>]) -> HeldOutFigures {
    let counts = vec![1; shown.len()];
    let scores = ConditionScores::of_conditions(shown, logits);
    let areas: Vec<Option<Areas>> = scores.iter().map(|own| own.areas(&counts)).collect();
    let [auroc, balanced_accuracy] = mean(&areas).unwrap_or([0.5; 2]);
    let losses = shown.iter().zip(logits).flat_map(|(shown, logits)| {
        let all = logits.iter().enumerate();
        all.map(|(at, logit)| probability_of_truth(*logit, shown.contains(&at)))
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

/// How well logits of images tell each condition's presence.
pub fn separations(cases: &[PresenceCase], logits: &[Vec<f64>]) -> Separations {
    let scores = ConditionScores::of_conditions(&shown(cases), logits);
    let mut found = PatientDraws::new(cases).estimates(|counts| {
        let mut areas: Vec<Option<Areas>> = scores.iter().map(|own| own.areas(counts)).collect();
        areas.push(mean(&areas));
        areas
    });
    Separations {
        mean: found.pop().flatten(),
        conditions: found,
    }
}

/// What the second logits of images tell better than the first: differences of the means over conditions. `None` if no condition is
/// shown by some images and not by others.
pub fn compare_separations(
    cases: &[PresenceCase],
    [before, after]: [&[Vec<f64>]; 2],
) -> Option<Separation> {
    let shown = shown(cases);
    let both = [before, after].map(|logits| ConditionScores::of_conditions(&shown, logits));
    let found = PatientDraws::new(cases).estimates(|counts| {
        let [before, after] = [0, 1].map(|side: usize| {
            let areas = both[side].iter().map(|own| own.areas(counts));
            mean(&areas.collect::<Vec<_>>())
        });
        let difference = before.zip(after);
        vec![difference.map(|(before, after)| [after[0] - before[0], after[1] - before[1]])]
    });
    found.into_iter().next().flatten()
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
        let found = figures(&shown, &logits);
        // 2 is above both, −1 above one of two.
        assert_eq!(found.auroc, Some(0.75));
        // One of two with it says so, one of two without it.
        assert_eq!((found.images, found.balanced_accuracy), (4, 0.5));
        let losses = [2.0, -1.0, -1.0, 3.0].map(|own: f64| (1.0 + (-own).exp()).ln());
        let expected = (losses.iter().sum::<f64>() + 4.0 * 2.0_f64.ln()) / 8.0;
        assert!((found.log_loss - expected).abs() < 1e-12, "{found:?}");
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
        let found = separations(&cases(&patients, &shown), &logits);
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
            let same = compare_separations(&cases, [&after, &after]).unwrap();
            assert_eq!((same.auroc.value, same.auroc.high), (0.0, Some(0.0)));
            compare_separations(&cases, [&wrong, &after])
                .unwrap()
                .balanced_accuracy
        };
        let (alone, many) = (of(2), of(20));
        assert!((alone.value - 0.5).abs() < 1e-9 && (many.value - 0.5).abs() < 1e-9);
        let width = |own: Estimate| own.high.unwrap() - own.low.unwrap();
        assert!(width(many) > 1.5 * width(alone), "{alone:?} {many:?}");
    }
}
