//! Fitting conditions of which each is decided on by itself.

use super::super::DEFAULT_THRESHOLD;
use super::super::decider::label_of_each;
use super::super::metrics::{CaseGroups, MultiLabelCase};
use super::fit::{calibration_error, platt};
use super::{
    CalibratedConditions, CalibrationError, ConditionCalibration, FittedCalibration,
    LabelConfidence, LeftOutCondition, MIN_POSITIVES, NormalCalibration, shifted,
};

/// What the logit of a condition becomes.
#[derive(Clone, Copy)]
struct ConditionSigmoid {
    /// The index of the condition.
    at: usize,
    slope: f64,
    offset: f64,
}

/// The conditions that can be fitted.
struct Fittable {
    /// Those that share a slope.
    abnormal: Vec<usize>,
    /// Those with a slope of their own: that nothing is there is not told as a finding is.
    normal: Vec<usize>,
    left_out: Vec<LeftOutCondition>,
}

/// Fits the conditions that enough images show; there must be an abnormal one.
pub(super) fn fit(
    of: &CalibratedConditions,
    cases: &[MultiLabelCase],
    groups: &CaseGroups,
) -> Result<FittedCalibration, CalibrationError> {
    let fittable = Fittable::new(of, cases)?;
    let all: Vec<&MultiLabelCase> = cases.iter().collect();
    let halves = super::halves(cases, groups);
    let held_out =
        [(0, 1), (1, 0)].map(|(from, on)| decisions(&halves[on], &fittable.fits(&halves[from])));
    let fits = fittable.fits(&all);
    let unchanged: Vec<ConditionSigmoid> = fits
        .iter()
        .map(|own| ConditionSigmoid {
            slope: 1.0,
            offset: 0.0,
            ..*own
        })
        .collect();
    let (conditions, normal) = CasesUnderFits::new(of, cases, &fits).conditions(&fittable);
    Ok(FittedCalibration {
        error_before: calibration_error(&decisions(&all, &unchanged)),
        error_after: calibration_error(&held_out.concat()),
        single: None,
        conditions,
        normal,
        left_out: fittable.left_out,
    })
}

impl Fittable {
    fn new(of: &CalibratedConditions, cases: &[MultiLabelCase]) -> Result<Self, CalibrationError> {
        let positives = |at: usize| cases.iter().filter(|case| case.shown[at]).count();
        let is_fittable = |at: usize| (MIN_POSITIVES..cases.len()).contains(&positives(at));
        let (fittable, others): (Vec<usize>, Vec<usize>) =
            (0..of.names.len()).partition(|at| is_fittable(*at));
        let (normal, abnormal): (Vec<usize>, Vec<usize>) =
            fittable.into_iter().partition(|at| of.normal[*at]);
        let left_out = others.iter().map(|&at| LeftOutCondition {
            condition: of.names[at].clone(),
            positives: positives(at),
        });
        let findings = others.iter().copied().filter(|at| !of.normal[*at]);
        // The one that most images show lacks least.
        if abnormal.is_empty()
            && let Some(most) = findings.rev().max_by_key(|at| positives(*at))
        {
            let (condition, count) = (of.names[most].clone(), positives(most));
            return Err(if count == cases.len() {
                CalibrationError::OneOfAll(condition)
            } else {
                CalibrationError::TooFewOfCondition { condition, count }
            });
        }
        Ok(Self {
            left_out: left_out.collect(),
            abnormal,
            normal,
        })
    }

    fn fits(&self, cases: &[&MultiLabelCase]) -> Vec<ConditionSigmoid> {
        let alone = self.normal.iter().map(std::slice::from_ref);
        let together = std::iter::once(&self.abnormal[..]).chain(alone);
        let fits = together.flat_map(|conditions| {
            let (slope, offsets) = platt(cases, conditions);
            let each = conditions.iter().zip(offsets);
            let each = each.map(|(&at, offset)| ConditionSigmoid { at, slope, offset });
            each.collect::<Vec<_>>()
        });
        fits.collect()
    }
}

/// Each fitted condition of each case: its probability, and whether it is there.
fn decisions(cases: &[&MultiLabelCase], fits: &[ConditionSigmoid]) -> Vec<(f64, bool)> {
    let of_case = |case: &&MultiLabelCase| {
        let each = fits.iter().map(|fit| decision(case, *fit));
        each.collect::<Vec<_>>()
    };
    cases.iter().flat_map(of_case).collect()
}

fn decision(
    case: &MultiLabelCase,
    ConditionSigmoid { at, slope, offset }: ConditionSigmoid,
) -> (f64, bool) {
    (shifted(case.scores[at], slope, offset), case.shown[at])
}

/// Labelled images under fitted conditions.
struct CasesUnderFits<'a> {
    of: &'a CalibratedConditions<'a>,
    cases: &'a [MultiLabelCase],
    fits: &'a [ConditionSigmoid],
    /// The operating point of each condition, also of those that are not fitted.
    thresholds: Vec<f64>,
    /// The label of each case: the index of a condition.
    labels: Vec<usize>,
}

impl<'a> CasesUnderFits<'a> {
    fn new(
        of: &'a CalibratedConditions,
        cases: &'a [MultiLabelCase],
        fits: &'a [ConditionSigmoid],
    ) -> Self {
        let mut thresholds = vec![DEFAULT_THRESHOLD; of.names.len()];
        for fit in fits.iter().filter(|fit| !of.normal[fit.at]) {
            let of_cases: Vec<(f64, bool)> =
                cases.iter().map(|case| decision(case, *fit)).collect();
            thresholds[fit.at] = best_threshold(&of_cases);
        }
        let label = |case: &MultiLabelCase| {
            let mut probabilities = case.scores.clone();
            for fit in fits {
                probabilities[fit.at] = decision(case, *fit).0;
            }
            label_of_each(&probabilities, |at| of.normal[at], |at| thresholds[at])
        };
        Self {
            labels: cases.iter().map(label).collect(),
            of,
            cases,
            fits,
            thresholds,
        }
    }

    /// From when a label is confident: by the images that have it.
    fn confidence(&self, fit: ConditionSigmoid) -> LabelConfidence {
        let labelled = self.cases.iter().zip(&self.labels);
        let labelled = labelled.filter(|(_, label)| **label == fit.at);
        let own: Vec<(f64, bool)> = labelled.map(|(case, _)| decision(case, fit)).collect();
        LabelConfidence::of(&own, self.of.min_probability)
    }

    fn conditions(
        &self,
        fittable: &Fittable,
    ) -> (Vec<ConditionCalibration>, Vec<NormalCalibration>) {
        let positives = |at: usize| self.cases.iter().filter(|case| case.shown[at]).count();
        let (abnormal, normal) = self.fits.split_at(fittable.abnormal.len());
        let abnormal = abnormal.iter().map(|fit| ConditionCalibration {
            condition: self.of.names[fit.at].clone(),
            slope: fit.slope,
            offset: fit.offset,
            threshold: self.thresholds[fit.at],
            positives: positives(fit.at),
            confidence: Some(self.confidence(*fit)),
        });
        let normal = normal.iter().map(|fit| NormalCalibration {
            condition: self.of.names[fit.at].clone(),
            slope: fit.slope,
            offset: fit.offset,
            positives: positives(fit.at),
            confidence: self.confidence(*fit),
        });
        (abnormal.collect(), normal.collect())
    }
}

/// The probability that separates cases best: with the largest sum of sensitivity and specificity (Youden 1950), in the middle
/// between the cases on both sides.
fn best_threshold(cases: &[(f64, bool)]) -> f64 {
    let mut sorted = cases.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = sorted
        .iter()
        .filter(|(_, is_there)| *is_there)
        .count()
        .max(1) as f64;
    let negatives = (sorted.len() as f64 - positives).max(1.0);
    let (mut hits, mut alarms) = (0.0, 0.0);
    let (mut best, mut threshold) = (f64::NEG_INFINITY, DEFAULT_THRESHOLD);
    for pair in sorted.windows(2) {
        let (probability, is_there) = pair[0];
        if is_there {
            hits += 1.0;
        } else {
            alarms += 1.0;
        }
        let gain = hits / positives - alarms / negatives;
        if pair[1].0 < probability && gain > best {
            (best, threshold) = (gain, f64::midpoint(probability, pair[1].0));
        }
    }
    threshold
}
