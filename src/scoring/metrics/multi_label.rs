//! The metrics of cases that may show any number of conditions, each of which is decided on by itself.

use serde::Serialize;

use super::{
    Bootstrap, BootstrapSample, Case, DrawProgress, Estimate, PresenceScores, SampledMetrics,
    counted_estimate, mean_of_counted, scores,
};
use crate::scoring::{DEFAULT_THRESHOLD, Verdict};

/// One labelled case. All three are by class.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiLabelCase {
    /// Whether it shows the class.
    pub shown: Vec<bool>,
    /// Whether it is said to.
    pub said: Vec<bool>,
    /// The model's probability of the class.
    pub scores: Vec<f64>,
}

impl MultiLabelCase {
    /// What a verdict says of a case of these classes, whatever was decided: see [`Verdict::present`]. Classes without a score get 0.
    pub fn of(names: &[String], shown: &[usize], verdict: &Verdict) -> Self {
        let present = verdict.present();
        Self {
            shown: (0..names.len()).map(|at| shown.contains(&at)).collect(),
            said: names.iter().map(|own| present.contains(&&**own)).collect(),
            scores: scores(names, verdict),
        }
    }
}

/// A case that shows exactly one class, and is said to.
impl From<Case> for MultiLabelCase {
    fn from(case: Case) -> Self {
        let only = |class: usize| (0..case.scores.len()).map(|at| at == class).collect();
        Self {
            shown: only(case.truth),
            said: only(case.predicted),
            scores: case.scores,
        }
    }
}

/// A condition as it is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedCondition {
    /// Its name.
    pub name: String,
    /// Whether it says that there is no finding.
    pub normal: bool,
    /// The probability from which it is said to be there; `None` if that follows from the others.
    pub threshold: Option<f64>,
}

impl JudgedCondition {
    /// Conditions, and which of them say that there is no finding, as they are judged where this verdict is one of the results.
    pub fn of_verdict(names: &[String], normal: &[bool], verdict: &Verdict) -> Vec<Self> {
        let has_points = verdict.scores.iter().any(|own| own.threshold.is_some());
        let of_name = |(name, is_normal): (&String, &bool)| {
            let mut scores = verdict.scores.iter();
            let point = scores.find(|own| own.condition == *name);
            let point = point.and_then(|own| own.threshold);
            Self {
                name: name.clone(),
                normal: *is_normal,
                threshold: point.or((!has_points).then_some(DEFAULT_THRESHOLD)),
            }
        };
        names.iter().zip(normal).map(of_name).collect()
    }
}

/// How well the presence of a condition is told from its absence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PresenceMetrics {
    /// The condition's name.
    #[serde(skip)]
    pub condition: String,
    /// Number of cases that show it.
    pub positives: usize,
    /// Number of cases that do not.
    pub negatives: usize,
    /// Area under the receiver operating characteristic; `None` unless some cases show it and some do not.
    #[serde(skip)]
    pub auroc: Option<Estimate>,
    /// Area under the curve of precision and recall by steps; chance is the share of positives. `None` as with the other area.
    pub average_precision: Option<Estimate>,
    /// See [`JudgedCondition::threshold`].
    pub threshold: Option<f64>,
    /// Share of the positives that are said to show it; `None` without any.
    pub sensitivity: Option<Estimate>,
    /// Share of the negatives that are not said to show it; `None` without any.
    pub specificity: Option<Estimate>,
    /// Share of the cases said to show it that do; `None` without any.
    pub precision: Option<Estimate>,
}

/// The metrics of all conditions together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MultiLabelSummary {
    /// Number of conditions that some cases show and some do not, of which the means are. Draws that lack one of these do not count.
    pub averaged: usize,
    /// Mean area under the receiver operating characteristic.
    pub mean_auroc: Option<Estimate>,
    /// Mean average precision.
    pub mean_average_precision: Option<Estimate>,
    /// Share of cases of which all is said right that is no normal condition. `None` if all conditions are normal.
    pub exact_match: Option<Estimate>,
    /// Share of wrong statements about a condition of a case, without normal conditions. `None` if all are normal.
    pub hamming_loss: Option<Estimate>,
}

/// The metrics of each condition and of all.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiLabelEvaluation {
    /// By condition.
    pub conditions: Vec<PresenceMetrics>,
    /// Of all.
    pub summary: MultiLabelSummary,
}

/// Values of a condition: the two areas, sensitivity, specificity, precision.
type ConditionValues<T> = [T; 5];
/// Values of all: the two mean areas, exact match, Hamming loss.
type SummaryValues<T> = [T; 4];

impl MultiLabelEvaluation {
    /// Computes the metrics; `None` without cases. The same seed gives the same intervals, and the same cases are drawn as by
    /// [`super::Evaluation::drawing`]. Before each draw, `progress` decides whether to go on.
    pub fn new(
        conditions: &[JudgedCondition],
        cases: &[MultiLabelCase],
        bootstrap: &Bootstrap,
        progress: DrawProgress<'_>,
    ) -> Option<Self> {
        if cases.is_empty() {
            return None;
        }
        let mut draws = MultiLabelDraws::new(conditions, cases);
        bootstrap.draw(cases.len(), &mut [&mut draws], progress);
        draws.finish()
    }
}

/// A [`MultiLabelEvaluation`] whose intervals are being drawn.
pub struct MultiLabelDraws<'a> {
    conditions: &'a [JudgedCondition],
    cases: &'a [MultiLabelCase],
    judged: JudgedCases,
    /// The number of draws so far.
    made: usize,
    /// Their values, by condition.
    drawn: Vec<ConditionValues<Vec<f64>>>,
    /// Their values of all conditions.
    drawn_all: SummaryValues<Vec<f64>>,
}

impl<'a> MultiLabelDraws<'a> {
    /// Begins without draws.
    pub fn new(conditions: &'a [JudgedCondition], cases: &'a [MultiLabelCase]) -> Self {
        Self {
            conditions,
            cases,
            judged: JudgedCases::new(conditions.iter().map(|own| own.normal), cases),
            made: 0,
            drawn: vec![ConditionValues::default(); conditions.len()],
            drawn_all: SummaryValues::default(),
        }
    }

    /// The metrics with the intervals of the draws; `None` without cases.
    pub fn finish(self) -> Option<MultiLabelEvaluation> {
        if self.cases.is_empty() {
            return None;
        }
        let (own, all) = self.judged.measure(&BootstrapSample::all(self.cases.len()));
        let made = self.made;
        let conditions = self
            .conditions
            .iter()
            .enumerate()
            .zip(own.into_iter().zip(self.drawn));
        let conditions = conditions.map(|((at, condition), (values, drawn))| {
            let positives = self.cases.iter().filter(|case| case.shown[at]).count();
            let counts = [positives, self.cases.len() - positives];
            PresenceMetrics::new(condition, counts, &estimates(values, drawn, made))
        });
        let [
            mean_auroc,
            mean_average_precision,
            exact_match,
            hamming_loss,
        ] = estimates(all, self.drawn_all, made);
        Some(MultiLabelEvaluation {
            conditions: conditions.collect(),
            summary: MultiLabelSummary {
                averaged: self.judged.told.iter().filter(|is_told| **is_told).count(),
                mean_auroc,
                mean_average_precision,
                exact_match,
                hamming_loss,
            },
        })
    }
}

impl SampledMetrics for MultiLabelDraws<'_> {
    fn measure(&mut self, sample: &BootstrapSample) {
        let (own, all) = self.judged.measure(sample);
        let each = self.drawn.iter_mut().flatten();
        each.zip(own.into_iter().flatten())
            .chain(self.drawn_all.iter_mut().zip(all))
            .for_each(|(drawn, value)| drawn.extend(value));
        self.made += 1;
    }
}

impl PresenceMetrics {
    fn new(
        condition: &JudgedCondition,
        [positives, negatives]: [usize; 2],
        values: &ConditionValues<Option<Estimate>>,
    ) -> Self {
        let [
            auroc,
            average_precision,
            sensitivity,
            specificity,
            precision,
        ] = *values;
        Self {
            condition: condition.name.clone(),
            positives,
            negatives,
            auroc,
            average_precision,
            threshold: condition.threshold,
            sensitivity,
            specificity,
            precision,
        }
    }
}

/// Values with the percentiles of their draws.
fn estimates<const N: usize>(
    values: [Option<f64>; N],
    drawn: [Vec<f64>; N],
    made: usize,
) -> [Option<Estimate>; N] {
    let mut drawn = drawn.into_iter();
    values.map(|value| {
        let drawn = drawn.next().unwrap_or_default();
        value.map(|value| counted_estimate(value, drawn, made))
    })
}

/// Cases by condition, and what is said of each as a whole.
pub(in crate::scoring) struct JudgedCases {
    pub(in crate::scoring) conditions: Vec<PresenceScores>,
    /// Of each condition, whether some cases show it and some do not.
    pub(in crate::scoring) told: Vec<bool>,
    /// Of each case, the number of wrong statements about conditions that are not normal.
    wrong: Vec<usize>,
    /// The number of conditions that are not normal.
    findings: usize,
}

impl JudgedCases {
    /// `normal`: which of the conditions say that there is no finding.
    pub(in crate::scoring) fn new(
        normal: impl Iterator<Item = bool>,
        cases: &[MultiLabelCase],
    ) -> Self {
        let normal: Vec<bool> = normal.collect();
        let conditions = (0..normal.len()).map(|at| {
            let of_case =
                |case: &MultiLabelCase| (case.scores[at], [case.shown[at], case.said[at]]);
            PresenceScores::new(cases.iter().map(of_case))
        });
        let told = (0..normal.len()).map(|at| {
            let positives = cases.iter().filter(|case| case.shown[at]).count();
            (1..cases.len()).contains(&positives)
        });
        let wrong = cases.iter().map(|case| {
            let findings = (0..normal.len()).filter(|at| !normal[*at]);
            findings
                .filter(|at| case.shown[*at] != case.said[*at])
                .count()
        });
        Self {
            conditions: conditions.collect(),
            told: told.collect(),
            wrong: wrong.collect(),
            findings: normal.iter().filter(|is_normal| !**is_normal).count(),
        }
    }

    fn measure(
        &self,
        sample: &BootstrapSample,
    ) -> (
        Vec<ConditionValues<Option<f64>>>,
        SummaryValues<Option<f64>>,
    ) {
        let of_condition = |own: &PresenceScores| {
            let counts = own.counts(&sample.counts);
            [
                own.auroc_counting(&sample.counts),
                own.average_precision_counting(&sample.counts),
                counts.sensitivity(),
                counts.specificity(),
                counts.precision(),
            ]
        };
        let own: Vec<ConditionValues<Option<f64>>> =
            self.conditions.iter().map(of_condition).collect();
        let [auroc, precision] =
            [0, 1].map(|area: usize| self.mean(own.iter().map(|values| values[area])));
        let all = [
            auroc,
            precision,
            self.exact_match(sample),
            self.hamming_loss(sample),
        ];
        (own, all)
    }

    /// The mean over the conditions that some of all cases show and some do not; `None` without any, or if one has no value.
    pub(in crate::scoring) fn mean(
        &self,
        values: impl Iterator<Item = Option<f64>>,
    ) -> Option<f64> {
        mean_of_counted(values, &self.told)
    }

    /// See [`MultiLabelSummary::exact_match`].
    pub(in crate::scoring) fn exact_match(&self, sample: &BootstrapSample) -> Option<f64> {
        let is_right = |index: &&usize| self.wrong[**index] == 0;
        let right = sample.indices.iter().filter(is_right).count();
        (self.findings > 0).then(|| right as f64 / sample.indices.len() as f64)
    }

    /// See [`MultiLabelSummary::hamming_loss`].
    fn hamming_loss(&self, sample: &BootstrapSample) -> Option<f64> {
        let wrong: usize = sample.indices.iter().map(|index| self.wrong[*index]).sum();
        let all = sample.indices.len() * self.findings;
        (all > 0).then(|| wrong as f64 / all as f64)
    }
}

#[cfg(test)]
#[path = "multi_label/tests.rs"]
mod tests;
