//! Two prompt sets on the same labelled images. Differences are paired: in each bootstrap draw, all sets are measured on the same
//! images (Efron & Tibshirani 1993, chapter 16).

use serde::Serialize;

use super::calibration::calibration_error;
use super::metrics::{
    Bootstrap, BootstrapSample, Case, DrawProgress, Estimate, JudgedCases, MultiLabelCase, Ranking,
    accuracy, balanced_accuracy, confusion, counted_estimate, mean_of_counted, shown_classes,
};

/// A metric of both sets and of the placebo, and how it differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairedMetric {
    /// Of the first set.
    pub a: f64,
    /// Of the second set.
    pub b: f64,
    /// Mean over the second set's placebos.
    pub placebo: f64,
    /// The second less the first.
    pub b_minus_a: Estimate,
    /// The second less its placebo.
    pub b_minus_placebo: Estimate,
}

/// What a prompt set gains. The rule: a gain is a lower bound above 0 of the paired difference of [`SetComparison::verdict_by`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Gain {
    /// Better than the other set and than its placebo.
    #[serde(rename = "measured gain")]
    Measured,
    /// Better than the other set only.
    #[serde(rename = "not better than its placebo")]
    NotOverPlacebo,
    /// Better than its placebo only.
    #[serde(rename = "better than its placebo only")]
    OverPlaceboOnly,
    /// Better than neither.
    #[serde(rename = "no measured gain")]
    None,
}

impl Gain {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Measured => "measured gain",
            Self::NotOverPlacebo => "not better than its placebo",
            Self::OverPlaceboOnly => "better than its placebo only",
            Self::None => "no measured gain",
        }
    }
}

/// The metric that decides what a set gains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DecidingMetric {
    /// Where one condition applies to each image.
    Accuracy,
    /// Where each is decided on by itself: one half means little as a threshold of scores before calibration.
    Auroc,
}

/// The paired comparison of two prompt sets. Where images show any number of conditions, each is decided on by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetComparison {
    /// Number of labelled images.
    pub cases: usize,
    /// Share of correct labels; of images of which all is said right, where each condition is decided on by itself.
    pub accuracy: PairedMetric,
    /// Mean share of correct labels over the conditions; where each is decided on by itself, of the mean of sensitivity and
    /// specificity, and `None` if all images show the same ones.
    pub balanced_accuracy: Option<PairedMetric>,
    /// Mean area under the receiver operating characteristic over the conditions; `None` if the images have one label.
    pub auroc: Option<PairedMetric>,
    /// Expected calibration error of the labels' scores; less is better. Of the scores of each condition where it is decided on by itself.
    pub calibration_error: PairedMetric,
    /// What decides.
    pub verdict_by: DecidingMetric,
    /// What the second set gains; `None` without enough draws.
    pub verdict: Option<Gain>,
}

/// The metrics of one set on the drawn images.
#[derive(Clone, Copy)]
struct MeasuredSet {
    accuracy: f64,
    balanced_accuracy: Option<f64>,
    auroc: Option<f64>,
    calibration_error: f64,
}

/// The images under one set.
trait MeasureSample {
    /// The metrics on the drawn images.
    fn measure(&self, sample: &BootstrapSample) -> MeasuredSet;
}

/// The images under one set, and their order by the scores of each class.
struct RankedSet<'a> {
    cases: &'a [Case],
    rankings: Vec<Ranking>,
    /// Which classes some of all images have. A draw that lacks one has no mean over classes.
    shown: Vec<bool>,
    /// Which classes some of all images have and some do not.
    told: Vec<bool>,
}

impl<'a> RankedSet<'a> {
    fn new(cases: &'a [Case], classes: usize) -> Self {
        let shown = shown_classes(cases, classes);
        let has_several = shown.iter().filter(|is_shown| **is_shown).count() > 1;
        Self {
            cases,
            rankings: Ranking::of_classes(cases, classes),
            told: shown.iter().map(|own| *own && has_several).collect(),
            shown,
        }
    }
}

impl MeasureSample for RankedSet<'_> {
    fn measure(&self, sample: &BootstrapSample) -> MeasuredSet {
        let table = confusion(self.cases, sample, self.rankings.len());
        let areas = self.rankings.iter().map(|ranking| ranking.auroc(sample));
        let stated = sample.indices.iter().map(|&index| {
            let case = &self.cases[index];
            (case.scores[case.predicted], case.predicted == case.truth)
        });
        MeasuredSet {
            accuracy: accuracy(&table),
            balanced_accuracy: balanced_accuracy(&table, &self.shown),
            auroc: mean_of_counted(areas, &self.told),
            calibration_error: calibration_error(&stated.collect::<Vec<_>>()),
        }
    }
}

/// The images under one set, where each condition is decided on by itself.
struct PresenceSet<'a> {
    cases: &'a [MultiLabelCase],
    judged: JudgedCases,
}

impl<'a> PresenceSet<'a> {
    fn new(cases: &'a [MultiLabelCase], normal: &[bool]) -> Self {
        Self {
            cases,
            judged: JudgedCases::new(normal.iter().copied(), cases),
        }
    }
}

impl MeasureSample for PresenceSet<'_> {
    fn measure(&self, sample: &BootstrapSample) -> MeasuredSet {
        let each = || self.judged.conditions.iter();
        let balanced = each().map(|own| {
            let counts = own.counts(&sample.counts);
            Some(f64::midpoint(counts.sensitivity()?, counts.specificity()?))
        });
        let stated = sample.indices.iter().flat_map(|&index| {
            let MultiLabelCase { shown, scores, .. } = &self.cases[index];
            scores.iter().copied().zip(shown.iter().copied())
        });
        let areas = each().map(|own| own.auroc_counting(&sample.counts));
        MeasuredSet {
            accuracy: self.judged.exact_match(sample).unwrap_or_default(),
            balanced_accuracy: self.judged.mean(balanced),
            auroc: self.judged.mean(areas),
            calibration_error: calibration_error(&stated.collect::<Vec<_>>()),
        }
    }
}

/// Both sets and the mean placebo on the drawn images.
struct Draw {
    a: MeasuredSet,
    b: MeasuredSet,
    placebos: Vec<MeasuredSet>,
}

impl Draw {
    /// A metric of the three; `None` where it is not defined.
    fn read(&self, of: impl Fn(&MeasuredSet) -> Option<f64>) -> Option<[f64; 3]> {
        let placebos: Option<Vec<f64>> = self.placebos.iter().map(&of).collect();
        let placebos = placebos?;
        let mean = placebos.iter().sum::<f64>() / placebos.len().max(1) as f64;
        Some([of(&self.a)?, of(&self.b)?, mean])
    }
}

impl SetComparison {
    /// Compares `b` with `a` and with its placebos, of which there must be one at least. All are of the same images in the same
    /// order. `None` without images. The same seed gives the same intervals. Before each draw, `progress` decides whether to go on.
    pub fn new(
        classes: usize,
        (a, b): (&[Case], &[Case]),
        placebos: &[Vec<Case>],
        bootstrap: &Bootstrap,
        progress: DrawProgress<'_>,
    ) -> Option<Self> {
        let ranked = |cases| RankedSet::new(cases, classes);
        let placebos: Vec<RankedSet> = placebos.iter().map(|own| ranked(own)).collect();
        let sets = [&ranked(a), &ranked(b)];
        Self::of(
            (a.len(), DecidingMetric::Accuracy),
            (sets, &placebos),
            bootstrap,
            progress,
        )
    }

    /// The same where each condition is decided on by itself. `normal`: which of them say that there is no finding.
    pub fn of_each(
        normal: &[bool],
        (a, b): (&[MultiLabelCase], &[MultiLabelCase]),
        placebos: &[Vec<MultiLabelCase>],
        bootstrap: &Bootstrap,
        progress: DrawProgress<'_>,
    ) -> Option<Self> {
        let judged = |cases| PresenceSet::new(cases, normal);
        let placebos: Vec<PresenceSet> = placebos.iter().map(|own| judged(own)).collect();
        let sets = [&judged(a), &judged(b)];
        Self::of(
            (a.len(), DecidingMetric::Auroc),
            (sets, &placebos),
            bootstrap,
            progress,
        )
    }

    fn of<M: MeasureSample>(
        (count, verdict_by): (usize, DecidingMetric),
        ([a, b], placebos): ([&M; 2], &[M]),
        bootstrap: &Bootstrap,
        progress: DrawProgress<'_>,
    ) -> Option<Self> {
        if count == 0 || placebos.is_empty() {
            return None;
        }
        let measure = |sample: &BootstrapSample| Draw {
            a: a.measure(sample),
            b: b.measure(sample),
            placebos: placebos.iter().map(|own| own.measure(sample)).collect(),
        };
        let all = measure(&BootstrapSample::all(count));
        let samples = bootstrap.samples(count, progress);
        let samples: Vec<Draw> = samples.map(|sample| measure(&sample)).collect();
        let paired = |of: fn(&MeasuredSet) -> Option<f64>| paired(&all, &samples, of);
        let accuracy = paired(|m| Some(m.accuracy))?;
        let auroc = paired(|m| m.auroc);
        let deciding = match verdict_by {
            DecidingMetric::Accuracy => Some(&accuracy),
            DecidingMetric::Auroc => auroc.as_ref(),
        };
        Some(Self {
            cases: count,
            verdict_by,
            verdict: deciding.and_then(gain),
            balanced_accuracy: paired(|m| m.balanced_accuracy),
            calibration_error: paired(|m| Some(m.calibration_error))?,
            accuracy,
            auroc,
        })
    }
}

fn paired(
    all: &Draw,
    samples: &[Draw],
    of: fn(&MeasuredSet) -> Option<f64>,
) -> Option<PairedMetric> {
    let [a, b, placebo] = all.read(of)?;
    let drawn: Vec<[f64; 3]> = samples.iter().filter_map(|draw| draw.read(of)).collect();
    let differences = |from: usize| {
        drawn
            .iter()
            .map(|values| values[1] - values[from])
            .collect()
    };
    Some(PairedMetric {
        a,
        b,
        placebo,
        b_minus_a: counted_estimate(b - a, differences(0), samples.len()),
        b_minus_placebo: counted_estimate(b - placebo, differences(2), samples.len()),
    })
}

fn gain(metric: &PairedMetric) -> Option<Gain> {
    let is_above = |difference: &Estimate| difference.low.map(|low| low > 0.0);
    let over_a = is_above(&metric.b_minus_a)?;
    let over_placebo = is_above(&metric.b_minus_placebo)?;
    Some(match (over_a, over_placebo) {
        (true, true) => Gain::Measured,
        (true, false) => Gain::NotOverPlacebo,
        (false, true) => Gain::OverPlaceboOnly,
        (false, false) => Gain::None,
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    /// Cases of two classes, of which the first `right` in `of` are predicted correctly.
    fn cases(count: usize, (right, of): (usize, usize)) -> Vec<Case> {
        let case = |index: usize| {
            let truth = index / of % 2;
            let predicted = if index % of < right { truth } else { 1 - truth };
            let mut scores = vec![0.2, 0.2];
            scores[predicted] = 0.8;
            Case {
                truth,
                predicted,
                scores,
            }
        };
        (0..count).map(case).collect()
    }

    fn new(
        sets: (&[Case], &[Case]),
        placebos: &[Vec<Case>],
        draws: usize,
    ) -> Option<SetComparison> {
        SetComparison::new(2, sets, placebos, &bootstrap(draws), &mut go_on)
    }

    fn bootstrap(draws: usize) -> Bootstrap {
        Bootstrap {
            draws,
            seed: 1,
            ..Bootstrap::default()
        }
    }

    fn go_on(_: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn compared(a: (usize, usize), b: (usize, usize), placebo: (usize, usize)) -> SetComparison {
        let placebos = [cases(200, placebo), cases(200, placebo)];
        let sets = (cases(200, a), cases(200, b));
        new((&sets.0, &sets.1), &placebos, 400).unwrap()
    }

    #[test]
    fn differences_equal_those_computed_by_hand() {
        let found = compared((6, 10), (8, 10), (5, 10));
        let near = |value: f64, expected: f64| {
            assert!((value - expected).abs() < 1e-9, "{value} {expected}");
        };
        near(found.accuracy.a, 0.6);
        near(found.accuracy.b_minus_a.value, 0.2);
        near(found.accuracy.b_minus_placebo.value, 0.3);
        // Scores of 0.8 that are right in 0.6, 0.8 and 0.5 of all cases.
        near(found.calibration_error.a, 0.2);
        near(found.calibration_error.b, 0.0);
        near(found.calibration_error.placebo, 0.3);
        near(found.auroc.unwrap().b, 0.8);
        assert_eq!(found.verdict, Some(Gain::Measured));
    }

    #[test]
    fn a_set_is_judged_by_the_lower_bounds() {
        assert_eq!(
            compared((8, 10), (8, 10), (5, 10)).verdict,
            Some(Gain::OverPlaceboOnly)
        );
        assert_eq!(
            compared((6, 10), (8, 10), (8, 10)).verdict,
            Some(Gain::NotOverPlacebo)
        );
        assert_eq!(
            compared((8, 10), (8, 10), (8, 10)).verdict,
            Some(Gain::None)
        );
        assert_eq!(
            compared((9, 10), (5, 10), (6, 10)).verdict,
            Some(Gain::None)
        );
        assert_eq!(Gain::None.words(), "no measured gain");
    }

    #[test]
    fn a_pair_narrows_the_interval_of_its_difference() {
        // The same images are wrong under both sets, except for one in ten.
        let found = compared((7, 10), (8, 10), (5, 10)).accuracy.b_minus_a;
        let (low, high) = (found.low.unwrap(), found.high.unwrap());
        // Unpaired, the standard error would be sqrt(0.21 / 200 + 0.16 / 200) = 0.043; paired, it is sqrt(0.09 / 200) = 0.021.
        assert!(
            low > 0.04 && high < 0.16 && high - low < 0.1,
            "{low} {high}"
        );
    }

    /// Cases of two conditions, of which every second and every third image shows one; `score` is what those have that show it.
    fn each(score: f64) -> Vec<MultiLabelCase> {
        let case = |at: usize| {
            let shown = vec![at.is_multiple_of(2), at.is_multiple_of(3)];
            let scores = shown.iter().enumerate().map(|(condition, is_shown)| {
                // Others have any score from 0.05 to 0.95, and none has that of those.
                let other = 0.05 + 0.1 * ((at / 6 + 3 * condition) % 10) as f64;
                if *is_shown { score } else { other }
            });
            let scores: Vec<f64> = scores.collect();
            MultiLabelCase {
                said: scores.iter().map(|score| *score >= 0.5).collect(),
                shown,
                scores,
            }
        };
        (0..240).map(case).collect()
    }

    #[test]
    fn sets_for_images_with_several_conditions_are_judged_by_the_mean_area() {
        let (a, b, placebo) = (each(0.4), each(0.8), each(0.5));
        let compared = |a: &[MultiLabelCase], b: &[MultiLabelCase], draws| {
            let placebos = [placebo.clone(), placebo.clone()];
            let normal = [false, false];
            let bootstrap = bootstrap(draws);
            SetComparison::of_each(&normal, (a, b), &placebos, &bootstrap, &mut go_on).unwrap()
        };
        let found = compared(&a, &b, 200);
        assert_eq!(found.verdict_by, DecidingMetric::Auroc);
        assert_eq!(found.verdict, Some(Gain::Measured));
        // Four, eight and five of the ten scores of others are below.
        let auroc = found.auroc.unwrap();
        let near = |value: f64, expected: f64| {
            assert!((value - expected).abs() < 1e-9, "{value} {expected}");
        };
        near(auroc.a, 0.4);
        near(auroc.b, 0.8);
        near(auroc.placebo, 0.5);
        near(auroc.b_minus_a.value, 0.4);
        assert!(auroc.b_minus_a.low > Some(0.3), "{auroc:?}");
        // Half of the others are said to show a condition, and of those that do none with 0.4 and all with 0.8.
        let balanced = found.balanced_accuracy.unwrap();
        near(balanced.a, 0.25);
        near(balanced.b, 0.75);
        // With 0.4, an image is told right if it shows nothing and both scores are below one half.
        let right = |case: &&MultiLabelCase| case.said == case.shown;
        let share = |cases: &[MultiLabelCase]| cases.iter().filter(right).count() as f64 / 240.0;
        near(found.accuracy.a, share(&a));
        near(found.accuracy.b, share(&b));
        assert!(share(&b) > share(&a) && share(&a) > 0.0);
        assert_eq!(compared(&b, &a, 200).verdict, Some(Gain::None));
        assert_eq!(compared(&a, &b, 0).verdict, None);
        // Where all images show the same, nothing tells which set is better.
        let same = |mut cases: Vec<MultiLabelCase>| {
            for own in &mut cases {
                own.shown = vec![true, false];
            }
            cases
        };
        let found = compared(&same(a.clone()), &same(b.clone()), 20);
        assert_eq!(
            (found.auroc, found.balanced_accuracy, found.verdict),
            (None, None, None)
        );
    }

    #[test]
    fn draws_without_a_rare_class_have_no_mean_over_classes() {
        // Two classes that no set tells apart, and one image of a third, of which only A is sure.
        let set = |of_rare: f64| -> Vec<Case> {
            let case = |at: usize| Case {
                truth: if at == 0 { 2 } else { at % 2 },
                predicted: 0,
                scores: vec![0.5, 0.5, if at == 0 { of_rare } else { 0.5 }],
            };
            (0..41).map(case).collect()
        };
        let (a, b) = (set(1.0), set(0.0));
        let placebos = [b.clone()];
        let found =
            SetComparison::new(3, (&a, &b), &placebos, &bootstrap(500), &mut go_on).unwrap();
        let auroc = found.auroc.unwrap().b_minus_a;
        let near = |found: f64| assert!((found + 1.0 / 3.0).abs() < 1e-9, "{auroc:?}");
        near(auroc.value);
        near(auroc.low.unwrap());
        near(auroc.high.unwrap());
    }

    #[test]
    fn without_images_or_draws_there_is_no_verdict() {
        let some = cases(20, (8, 10));
        assert_eq!(new((&[], &[]), &[Vec::new()], 10), None);
        let found = new((&some, &some), std::slice::from_ref(&some), 0).unwrap();
        assert_eq!((found.verdict, found.accuracy.b_minus_a.low), (None, None));
    }
}
