//! Metrics of predictions against labels. Confidence intervals are bootstrap percentiles (Efron & Tibshirani 1993, chapter 13):
//! each draw is a sample of all cases with replacement, as large as their number, or of all patients. Means over classes are of
//! the same classes in each draw: one that lacks a class does not count. There is no interval where few draws count.

mod multi_label;
mod ranking;
mod sampling;

use std::ops::ControlFlow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Verdict;
pub(super) use multi_label::JudgedCases;
pub use multi_label::{
    JudgedCondition, MultiLabelCase, MultiLabelDraws, MultiLabelEvaluation, MultiLabelSummary,
    PresenceMetrics,
};
pub(crate) use ranking::{PresenceScores, Ranking};
pub(super) use sampling::mean_of_counted;
pub use sampling::{Bootstrap, BootstrapSample, CaseGroups, DrawProgress, SampledMetrics};

/// One labelled case. Classes are indices.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The true class.
    pub truth: usize,
    /// The predicted class.
    pub predicted: usize,
    /// The model's probability of each class.
    pub scores: Vec<f64>,
}

impl Case {
    /// What a verdict says of a case of the class `truth`, whatever was decided. Classes without a score get 0. `None` if the
    /// label is not among the names.
    pub fn of(names: &[String], truth: usize, verdict: &Verdict) -> Option<Self> {
        Some(Self {
            truth,
            predicted: names.iter().position(|name| *name == verdict.label)?,
            scores: scores(names, verdict),
        })
    }
}

/// A verdict's probability of each name; 0 where it has none.
fn scores(names: &[String], verdict: &Verdict) -> Vec<f64> {
    let scores = names.iter().map(|name| {
        let mut scores = verdict.scores.iter();
        let found = scores.find(|score| score.condition == *name);
        found.map_or(0.0, |score| score.probability)
    });
    scores.collect()
}

/// Counted draws without which there is no interval: of fewer, not one lies beyond an end of 2.5 %.
pub const MIN_DRAWS: usize = 40;

/// A metric with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value over all cases.
    pub value: f64,
    /// The lower end of the interval; `None` without enough draws.
    pub low: Option<f64>,
    /// The upper end of the interval; `None` without enough draws.
    pub high: Option<f64>,
    /// The number of draws in which the metric has a value; `None` without draws, or where all have one by design.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draws: Option<usize>,
}

impl Estimate {
    /// The value and its interval, as in `0.91 (0.85 to 0.96)`. `show` writes a number.
    pub fn text(&self, show: impl Fn(f64) -> String) -> String {
        let value = show(self.value);
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!("{value} ({} to {})", show(low), show(high)),
            _ => value,
        }
    }
}

/// The metrics of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// The class's name.
    pub condition: String,
    /// Number of cases of this class, by truth.
    pub cases: usize,
    /// Share of these cases that were predicted as this class; `None` without cases.
    pub recall: Option<f64>,
    /// Share of the predictions of this class that are correct; `None` without predictions.
    pub precision: Option<f64>,
    /// Area under the receiver operating characteristic of this class against all others; `None` if either has no cases.
    pub auroc: Option<Estimate>,
}

/// The metrics of all cases together and of each class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Number of cases.
    pub cases: usize,
    /// Share of correct predictions.
    pub accuracy: Estimate,
    /// Mean recall over the classes that have cases. Draws that lack one of these do not count.
    pub balanced_accuracy: Estimate,
    /// The metrics of each class.
    pub conditions: Vec<ClassMetrics>,
    /// Number of cases by truth (row) and prediction (column), in the order of `conditions`.
    pub confusion: Vec<Vec<usize>>,
}

impl Evaluation {
    /// Computes the metrics of cases of which each is of another patient; `None` without cases. The same seed gives the same
    /// intervals.
    pub fn new(names: &[String], cases: &[Case], draws: usize, seed: u64) -> Option<Self> {
        let bootstrap = Bootstrap {
            draws,
            seed,
            groups: CaseGroups::default(),
        };
        Self::drawing(names, cases, &bootstrap, &mut |_| ControlFlow::Continue(()))
    }

    /// Computes the metrics; `None` without cases. Before each draw, `progress` decides whether to go on.
    pub fn drawing(
        names: &[String],
        cases: &[Case],
        bootstrap: &Bootstrap,
        progress: DrawProgress<'_>,
    ) -> Option<Self> {
        if cases.is_empty() {
            return None;
        }
        let mut draws = EvaluationDraws::new(names, cases);
        bootstrap.draw(cases.len(), &mut [&mut draws], progress);
        draws.finish()
    }
}

/// An [`Evaluation`] whose intervals are being drawn.
pub struct EvaluationDraws<'a> {
    names: &'a [String],
    cases: &'a [Case],
    /// The position of each of all cases among these; `None` if these are all.
    positions: Option<Vec<Option<usize>>>,
    /// Which classes have cases.
    shown: Vec<bool>,
    rankings: Vec<Ranking>,
    /// Values of the draws so far.
    accuracies: Vec<f64>,
    balanced: Vec<f64>,
    /// By class.
    areas: Vec<Vec<f64>>,
}

impl<'a> EvaluationDraws<'a> {
    /// Begins without draws.
    pub fn new(names: &'a [String], cases: &'a [Case]) -> Self {
        Self {
            names,
            cases,
            positions: None,
            shown: shown_classes(cases, names.len()),
            rankings: Ranking::of_classes(cases, names.len()),
            accuracies: Vec::new(),
            balanced: Vec::new(),
            areas: vec![Vec::new(); names.len()],
        }
    }

    /// The same of some of the cases that are drawn; `positions`: where each of all is among these.
    #[must_use]
    pub fn among(mut self, positions: Vec<Option<usize>>) -> Self {
        self.positions = Some(positions);
        self
    }

    /// The metrics with the intervals of the draws; `None` without cases.
    pub fn finish(self) -> Option<Evaluation> {
        if self.cases.is_empty() {
            return None;
        }
        let (made, all) = (
            self.accuracies.len(),
            BootstrapSample::all(self.cases.len()),
        );
        let table = confusion(self.cases, &all, self.names.len());
        let conditions = self
            .names
            .iter()
            .zip(self.areas.into_iter().zip(&self.rankings))
            .enumerate()
            .map(|(class, (name, (areas, ranking)))| ClassMetrics {
                condition: name.clone(),
                cases: table[class].iter().sum(),
                recall: recall(&table, class),
                precision: precision(&table, class),
                auroc: ranking
                    .auroc(&all)
                    .map(|value| counted_estimate(value, areas, made)),
            });
        Some(Evaluation {
            cases: self.cases.len(),
            accuracy: counted_estimate(accuracy(&table), self.accuracies, made),
            balanced_accuracy: counted_estimate(
                balanced_accuracy(&table, &self.shown)?,
                self.balanced,
                made,
            ),
            conditions: conditions.collect(),
            confusion: table,
        })
    }
}

impl SampledMetrics for EvaluationDraws<'_> {
    fn measure(&mut self, sample: &BootstrapSample) {
        let own = self.positions.as_ref().map(|own| sample.within(own));
        let sample = own.as_ref().unwrap_or(sample);
        if sample.indices.is_empty() {
            return;
        }
        let table = confusion(self.cases, sample, self.names.len());
        self.accuracies.push(accuracy(&table));
        self.balanced.extend(balanced_accuracy(&table, &self.shown));
        for (ranking, areas) in self.rankings.iter().zip(&mut self.areas) {
            areas.extend(ranking.auroc(sample));
        }
    }
}

/// Number of cases by truth (row) and prediction (column).
pub(super) type ConfusionMatrix = Vec<Vec<usize>>;

pub(super) fn confusion(
    cases: &[Case],
    sample: &BootstrapSample,
    classes: usize,
) -> ConfusionMatrix {
    let mut table = vec![vec![0; classes]; classes];
    for &index in &sample.indices {
        table[cases[index].truth][cases[index].predicted] += 1;
    }
    table
}

/// The quotient; `None` if `whole` is 0.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

pub(super) fn accuracy(table: &ConfusionMatrix) -> f64 {
    let correct = (0..table.len()).map(|class| table[class][class]).sum();
    share(correct, table.iter().flatten().sum()).unwrap_or(0.0)
}

fn recall(table: &ConfusionMatrix, class: usize) -> Option<f64> {
    share(table[class][class], table[class].iter().sum())
}

fn precision(table: &ConfusionMatrix, class: usize) -> Option<f64> {
    share(
        table[class][class],
        table.iter().map(|row| row[class]).sum(),
    )
}

/// Which classes have cases.
pub(super) fn shown_classes(cases: &[Case], classes: usize) -> Vec<bool> {
    let mut shown = vec![false; classes];
    for case in cases {
        shown[case.truth] = true;
    }
    shown
}

/// The mean recall over the classes that are `shown` by some of all cases; `None` where one of these has none in the table.
pub(super) fn balanced_accuracy(table: &ConfusionMatrix, shown: &[bool]) -> Option<f64> {
    mean_of_counted((0..table.len()).map(|class| recall(table, class)), shown)
}

/// The mean of values, with its interval by 1000 bootstrap draws of as many values.
pub(crate) fn bootstrap_mean(values: &[f64]) -> Estimate {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let count = values.len().max(1) as f64;
    let mut draw = || {
        let drawn = values
            .iter()
            .map(|_| values[rng.random_range(0..values.len())]);
        drawn.sum::<f64>() / count
    };
    // One value says nothing of how far others would lie from it.
    let draws = if values.len() > 1 { 1000 } else { 0 };
    let drawn = (0..draws).map(|_| draw()).collect();
    estimate(values.iter().sum::<f64>() / count, drawn)
}

/// A value with the interval of the draws that count, of those that were `made`. There is none if these are too few, or fewer than half:
/// draws that happen to have a value are not like the others. Nor is there one that does not contain the value, as where resampling
/// shifts a metric.
pub(super) fn counted_estimate(value: f64, drawn: Vec<f64>, made: usize) -> Estimate {
    /// Sums in another order differ by less.
    const ROUNDING: f64 = 1e-9;
    let counted = drawn.len();
    let is_enough = counted >= MIN_DRAWS && 2 * counted >= made;
    let found = estimate(value, if is_enough { drawn } else { Vec::new() });
    let interval = found.low.zip(found.high);
    let interval = interval
        .filter(|(low, high)| *low <= value + ROUNDING && value <= *high + ROUNDING)
        .map(|(low, high)| (low.min(value), high.max(value)));
    Estimate {
        value,
        low: interval.map(|own| own.0),
        high: interval.map(|own| own.1),
        draws: (made > 0).then_some(counted),
    }
}

/// A value with the 2.5th and 97.5th percentiles of the draws, linearly interpolated.
pub(crate) fn estimate(value: f64, mut drawn: Vec<f64>) -> Estimate {
    drawn.sort_by(f64::total_cmp);
    let percentile = |share: f64| {
        let at = share * drawn.len().checked_sub(1)? as f64;
        let (low, high) = (drawn[at.floor() as usize], drawn[at.ceil() as usize]);
        Some(low + (high - low) * at.fract())
    };
    Estimate {
        value,
        low: percentile(0.025),
        high: percentile(0.975),
        draws: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["ill", "well"].map(str::to_owned).to_vec()
    }

    fn case(truth: usize, ill: f64) -> Case {
        Case {
            truth,
            predicted: usize::from(ill < 0.5),
            scores: vec![ill, 1.0 - ill],
        }
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn metrics_equal_those_computed_by_hand() {
        // Ill: 0.9, 0.6, 0.3. Well: 0.6, 0.2.
        let cases = [
            case(0, 0.9),
            case(0, 0.6),
            case(0, 0.3),
            case(1, 0.6),
            case(1, 0.2),
        ];
        let report = Evaluation::new(&names(), &cases, 0, 0).unwrap();
        assert_eq!(report.confusion, [[2, 1], [1, 1]]);
        near(report.accuracy.value, 0.6);
        near(report.balanced_accuracy.value, 7.0 / 12.0);
        assert_eq!(report.conditions[0].precision, Some(2.0 / 3.0));
        // Of the six pairs, 0.9 wins two, 0.6 wins one and ties one, 0.3 wins one: 4.5 of 6.
        near(report.conditions[0].auroc.unwrap().value, 0.75);
        near(report.conditions[1].auroc.unwrap().value, 0.75);
        assert_eq!(report.accuracy.low, None);
    }

    #[test]
    fn an_area_is_the_share_of_pairs_in_the_right_order_also_of_a_draw() {
        let cases: Vec<Case> = (0..40)
            .map(|at| case(at % 3 % 2, ((at * 7) % 10) as f64 / 10.0))
            .collect();
        let alone: Vec<Vec<usize>> = (0..cases.len()).map(|at| vec![at]).collect();
        let sample = BootstrapSample::drawn(&alone, cases.len(), &mut ChaCha8Rng::seed_from_u64(5));
        assert!(sample.counts.iter().any(|count| *count > 1));
        let drawn = || sample.indices.iter().map(|index| &cases[*index]);
        let (mut wins, mut pairs) = (0.0, 0.0);
        for (ill, well) in drawn().flat_map(|a| drawn().map(move |b| (a, b))) {
            if (ill.truth, well.truth) == (0, 1) {
                pairs += 1.0;
                wins += match ill.scores[0].total_cmp(&well.scores[0]) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        let ranking = &Ranking::of_classes(&cases, 2)[0];
        near(ranking.auroc(&sample).unwrap(), wins / pairs);
    }

    #[test]
    fn progress_is_told_before_each_draw() {
        let mut told = Vec::new();
        let cases = [case(0, 0.9), case(1, 0.2)];
        let plain = Evaluation::new(&names(), &cases, 3, 1);
        let bootstrap = Bootstrap {
            draws: 3,
            seed: 1,
            groups: CaseGroups::default(),
        };
        let found = Evaluation::drawing(&names(), &cases, &bootstrap, &mut |draw| {
            told.push(draw);
            ControlFlow::Continue(())
        });
        assert_eq!((found, told), (plain, vec![0, 1, 2]));
    }

    #[test]
    fn draws_without_a_rare_class_do_not_count_for_the_mean_over_classes() {
        // The only ill case is always missed: any mean over both classes is at most one half.
        let mut cases = vec![case(1, 0.2); 30];
        cases.push(case(0, 0.2));
        let found = Evaluation::new(&names(), &cases, 300, 1).unwrap();
        near(found.balanced_accuracy.value, 0.5);
        assert_eq!(found.balanced_accuracy.high, Some(0.5));
    }

    #[test]
    fn several_images_of_a_patient_do_not_narrow_an_interval() {
        let cases: Vec<Case> = (0..400)
            .map(|at| case(1, if at / 40 % 2 == 0 { 0.2 } else { 0.8 }))
            .collect();
        let width = |per_patient: usize| {
            let bootstrap = Bootstrap {
                draws: 400,
                seed: 1,
                groups: CaseGroups::new((0..400).map(|at| at / per_patient).collect()),
            };
            let found = Evaluation::drawing(&names(), &cases, &bootstrap, &mut |_| {
                ControlFlow::Continue(())
            });
            let accuracy = found.unwrap().accuracy;
            accuracy.high.unwrap() - accuracy.low.unwrap()
        };
        // Ten patients of forty images that are alike say as much as ten images.
        assert!(width(40) > 4.0 * width(1), "{} {}", width(40), width(1));
    }

    #[test]
    fn an_interval_needs_enough_draws_that_count_and_contains_its_value() {
        let ends = |value, drawn: Vec<f64>, made| {
            let found = counted_estimate(value, drawn, made);
            assert_eq!(found.low.is_some(), found.high.is_some());
            (found.low.is_some(), found.draws)
        };
        let around = |count: usize| [0.4, 0.6].repeat(count / 2);
        assert_eq!(ends(0.5, around(200), 200), (true, Some(200)));
        assert_eq!(ends(0.5, around(200), 400), (true, Some(200)));
        assert_eq!(ends(0.5, around(200), 402), (false, Some(200)));
        assert_eq!(ends(0.5, around(40), 40), (true, Some(40)));
        assert_eq!(ends(0.5, around(38), 40), (false, Some(38)));
        assert_eq!(ends(0.3, around(400), 400), (false, Some(400)));
        assert_eq!(ends(0.5, Vec::new(), 0), (false, None));
        // Forty classes of two images each: hardly a draw has all of them.
        let names: Vec<String> = (0..40).map(|at| at.to_string()).collect();
        let cases: Vec<Case> = (0..80)
            .map(|at| Case {
                truth: at / 2,
                predicted: at % 40,
                scores: vec![0.025; 40],
            })
            .collect();
        let found = Evaluation::new(&names, &cases, 1000, 0).unwrap();
        assert_eq!(found.balanced_accuracy.low, None);
        assert!(found.balanced_accuracy.draws < Some(10));
        assert_eq!(found.accuracy.draws, Some(1000));
        assert!(found.accuracy.low.is_some());
    }

    #[test]
    fn metrics_of_some_cases_are_of_the_same_draws_as_those_of_all() {
        let cases: Vec<Case> = (0..60)
            .map(|at| case(at % 2, (at % 7) as f64 / 7.0))
            .collect();
        let some: Vec<Case> = cases.iter().skip(30).cloned().collect();
        let names = names();
        let positions = (0..60_usize).map(|at| at.checked_sub(30)).collect();
        let (mut all, mut own) = (
            EvaluationDraws::new(&names, &cases),
            EvaluationDraws::new(&names, &some).among(positions),
        );
        let bootstrap = Bootstrap {
            draws: 300,
            seed: 1,
            groups: CaseGroups::default(),
        };
        let mut go_on = |_| ControlFlow::Continue(());
        bootstrap.draw(60, &mut [&mut all, &mut own], &mut go_on);
        let plain = Evaluation::new(&names, &cases, 300, 1);
        assert_eq!(all.finish(), plain, "as if drawn alone");
        let own = own.finish().unwrap();
        assert_eq!((own.cases, own.accuracy.draws), (30, Some(300)));
        assert!(own.accuracy.low.is_some());
    }

    #[test]
    fn one_image_has_no_interval() {
        let found = Evaluation::new(&names(), &[case(0, 0.9)], 100, 1).unwrap();
        assert_eq!((found.accuracy.value, found.accuracy.low), (1.0, None));
        assert_eq!(found.balanced_accuracy.high, None);
    }

    #[test]
    fn an_estimate_is_written_with_its_interval_if_there_is_one() {
        let mut estimate = estimate(0.5, vec![0.25, 0.25]);
        let show = |value: f64| format!("{value:+.2}");
        assert_eq!(estimate.text(show), "+0.50 (+0.25 to +0.25)");
        estimate.low = None;
        assert_eq!(estimate.text(show), "+0.50");
    }

    #[test]
    fn a_class_without_cases_has_no_recall_and_no_auroc() {
        let report = Evaluation::new(&names(), &[case(0, 0.9), case(0, 0.4)], 50, 1).unwrap();
        let well = &report.conditions[1];
        assert_eq!(
            (well.cases, well.recall, well.precision),
            (0, None, Some(0.0))
        );
        assert_eq!(well.auroc, None);
        near(report.balanced_accuracy.value, 0.5);
        assert_eq!(Evaluation::new(&names(), &[], 50, 1), None);
    }

    #[test]
    fn intervals_contain_the_value_narrow_with_more_cases_and_follow_the_seed() {
        let some = |count: usize| -> Vec<Case> {
            (0..count)
                .map(|i| case(i % 2, [0.8, 0.3, 0.4, 0.6][i % 4]))
                .collect()
        };
        let width = |count: usize, seed: u64| {
            let accuracy = Evaluation::new(&names(), &some(count), 400, seed)
                .unwrap()
                .accuracy;
            let (low, high) = (accuracy.low.unwrap(), accuracy.high.unwrap());
            assert!(
                low <= accuracy.value && accuracy.value <= high,
                "{accuracy:?}"
            );
            high - low
        };
        assert!(width(400, 1) < width(40, 1) / 2.0);
        near(width(40, 7), width(40, 7));
    }
}
