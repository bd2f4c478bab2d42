use std::ops::ControlFlow;

use super::super::Evaluation;
use super::*;
use crate::scoring::{Decision, Score};

/// Conditions with their operating points; the fourth, if there is one, is normal.
fn conditions(points: &[Option<f64>]) -> Vec<JudgedCondition> {
    let names = ["a", "b", "c", "none"].into_iter().zip(points);
    let of_name = |(name, threshold): (&str, &Option<f64>)| JudgedCondition {
        name: name.to_owned(),
        normal: name == "none",
        threshold: *threshold,
    };
    names.map(of_name).collect()
}

const POINTS: [Option<f64>; 3] = [Some(0.5), Some(0.35), Some(0.65)];

/// The conditions that ten images show, and their scores.
const IMAGES: [(&[usize], [f64; 3]); 10] = [
    (&[0, 2], [0.9, 0.2, 0.6]),
    (&[0, 1], [0.7, 0.8, 0.6]),
    (&[1], [0.7, 0.4, 0.1]),
    (&[], [0.3, 0.4, 0.3]),
    (&[2], [0.2, 0.1, 0.9]),
    (&[0], [0.4, 0.3, 0.2]),
    (&[1, 2], [0.1, 0.6, 0.5]),
    (&[], [0.6, 0.7, 0.6]),
    (&[0, 1, 2], [0.8, 0.9, 0.7]),
    (&[], [0.1, 0.2, 0.2]),
];

fn case(shown: &[usize], scores: &[f64], points: &[Option<f64>]) -> MultiLabelCase {
    let said = scores.iter().zip(points);
    let said = said.map(|(score, point)| point.is_some_and(|from| *score >= from));
    MultiLabelCase {
        shown: (0..scores.len()).map(|at| shown.contains(&at)).collect(),
        said: said.collect(),
        scores: scores.to_vec(),
    }
}

fn cases() -> Vec<MultiLabelCase> {
    let all = IMAGES.iter();
    all.map(|(shown, scores)| case(shown, scores, &POINTS))
        .collect()
}

fn evaluated(
    conditions: &[JudgedCondition],
    cases: &[MultiLabelCase],
    draws: usize,
) -> MultiLabelEvaluation {
    let mut go_on = |_| ControlFlow::Continue(());
    MultiLabelEvaluation::new(conditions, cases, &bootstrap(draws, 1), &mut go_on).unwrap()
}

fn bootstrap(draws: usize, seed: u64) -> Bootstrap {
    Bootstrap {
        draws,
        seed,
        ..Bootstrap::default()
    }
}

fn value(estimate: Option<Estimate>) -> f64 {
    estimate.unwrap().value
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
}

#[test]
fn metrics_equal_those_of_scikit_learn() {
    // roc_auc_score, average_precision_score, recall_score of y and of 1 − y, precision_score.
    let expected = [
        [43.0 / 48.0, 41.0 / 48.0, 0.75, 2.0 / 3.0, 0.6],
        [43.0 / 48.0, 41.0 / 48.0, 1.0, 2.0 / 3.0, 2.0 / 3.0],
        [0.875, 49.0 / 60.0, 0.5, 1.0, 1.0],
    ];
    let found = evaluated(&conditions(&POINTS), &cases(), 0);
    for (own, expected) in found.conditions.iter().zip(expected) {
        assert_eq!((own.positives, own.negatives), (4, 6));
        let values = [
            own.auroc,
            own.average_precision,
            own.sensitivity,
            own.specificity,
            own.precision,
        ];
        for (found, expected) in values.into_iter().zip(expected) {
            near(value(found), expected);
        }
        assert_eq!(own.auroc.unwrap().low, None);
    }
    // average="macro"; accuracy_score, which is of whole rows; hamming_loss.
    let all = found.summary;
    assert_eq!(all.averaged, 3);
    near(value(all.mean_auroc), 8.0 / 9.0);
    near(value(all.mean_average_precision), 101.0 / 120.0);
    near(value(all.exact_match), 0.4);
    near(value(all.hamming_loss), 7.0 / 30.0);
}

#[test]
fn a_case_that_is_drawn_twice_counts_as_two() {
    let cases = cases();
    let conditions = conditions(&POINTS);
    let judged = JudgedCases::new(conditions.iter().map(|own| own.normal), &cases);
    let (bootstrap, mut go_on) = (bootstrap(1, 3), |_| ControlFlow::Continue(()));
    let sample = bootstrap.samples(cases.len(), &mut go_on).next().unwrap();
    assert!(sample.counts.iter().any(|count| *count > 1));
    let drawn = sample.indices.iter().map(|index| cases[*index].clone());
    let drawn: Vec<MultiLabelCase> = drawn.collect();
    let found = judged.measure(&sample);
    let expected = evaluated(&conditions, &drawn, 0);
    for (own, expected) in found.0.iter().zip(&expected.conditions) {
        let values = [expected.auroc, expected.average_precision];
        for (found, expected) in own.iter().zip(values) {
            near(found.unwrap(), value(expected));
        }
        assert_eq!(own[2], expected.sensitivity.map(|own| own.value));
        assert_eq!(own[4], expected.precision.map(|own| own.value));
    }
    near(found.1[2].unwrap(), value(expected.summary.exact_match));
    near(found.1[3].unwrap(), value(expected.summary.hamming_loss));
}

#[test]
fn areas_and_intervals_of_images_with_one_label_are_those_of_labels() {
    let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    let of_one: Vec<Case> = (0..60)
        .map(|at| Case {
            truth: at % 3,
            predicted: at % 2,
            scores: (0..3)
                .map(|class| ((at * 7 + class * 11) % 13) as f64 / 13.0)
                .collect(),
        })
        .collect();
    let labels = Evaluation::new(&names, &of_one, 200, 1).unwrap();
    let each: Vec<MultiLabelCase> = of_one.into_iter().map(MultiLabelCase::from).collect();
    let mut told = 0;
    let found = MultiLabelEvaluation::new(
        &conditions(&POINTS),
        &each,
        &bootstrap(200, 1),
        &mut |draw| {
            assert_eq!(draw, told);
            told += 1;
            ControlFlow::Continue(())
        },
    );
    assert_eq!(told, 200);
    for (own, label) in found.unwrap().conditions.iter().zip(&labels.conditions) {
        assert_eq!(own.auroc, label.auroc);
        assert_eq!(own.positives, label.cases);
        // What is said of an image is its label.
        assert_eq!(own.sensitivity.map(|own| own.value), label.recall);
        assert_eq!(own.precision.map(|own| own.value), label.precision);
        let precision = own.average_precision.unwrap();
        assert!(precision.low < Some(precision.value) && Some(precision.value) < precision.high);
    }
    assert_eq!(
        MultiLabelEvaluation::new(&conditions(&POINTS), &[], &bootstrap(9, 1), &mut |_| {
            ControlFlow::Continue(())
        }),
        None
    );
}

#[test]
fn a_condition_that_all_images_show_or_none_has_no_area_and_no_part_in_the_mean() {
    let images: [(&[usize], [f64; 3]); 4] = [
        (&[0, 1], [0.9, 0.6, 0.1]),
        (&[1], [0.2, 0.3, 0.1]),
        (&[0, 1], [0.8, 0.6, 0.1]),
        (&[1], [0.1, 0.6, 0.1]),
    ];
    let cases = images.map(|(shown, scores)| case(shown, &scores, &POINTS));
    let found = evaluated(&conditions(&POINTS), &cases, 50);
    assert_eq!(found.summary.averaged, 1);
    near(value(found.summary.mean_auroc), 1.0);
    let [_, always, never] = &found.conditions[..] else {
        panic!("three");
    };
    assert_eq!((always.auroc, always.average_precision), (None, None));
    assert_eq!((always.negatives, always.specificity), (0, None));
    near(value(always.sensitivity), 0.75);
    assert_eq!(
        (never.auroc, never.sensitivity, never.precision),
        (None, None, None)
    );
    near(value(never.specificity), 1.0);
}

#[test]
fn a_mean_is_always_over_the_same_conditions() {
    // The first condition is told well; the second, which two images show, badly.
    let cases: Vec<MultiLabelCase> = (0..40)
        .map(|at| {
            let shown = [at % 2 == 0, at < 2];
            let scores = [shown[0], !shown[1]].map(|own| if own { 0.9 } else { 0.1 });
            MultiLabelCase {
                shown: shown.to_vec(),
                said: scores.iter().map(|score| *score > 0.5).collect(),
                scores: scores.to_vec(),
            }
        })
        .collect();
    let mean = evaluated(&conditions(&POINTS[..2]), &cases, 300)
        .summary
        .mean_auroc
        .unwrap();
    // A draw without the second condition would have a mean of 1.
    assert_eq!(
        (mean.value, mean.low, mean.high),
        (0.5, Some(0.5), Some(0.5))
    );
}

fn verdict(label: &str, scores: [(&str, f64, Option<f64>); 3]) -> Verdict {
    let scores = scores.map(|(name, probability, threshold)| Score {
        condition: name.to_owned(),
        probability,
        max: None,
        similarity: 0.0,
        threshold,
        normal: name == "none",
        calibrated: false,
    });
    Verdict {
        label: label.to_owned(),
        description: String::new(),
        probability: 0.5,
        calibrated: false,
        decision: Decision::Confident,
        reason: None,
        scores: scores.to_vec(),
        urgency: None,
        answers: Vec::new(),
        none_applies: false,
    }
}

#[test]
fn what_is_said_follows_from_operating_points_and_normal_images_have_none_of_them() {
    let names = ["a", "b", "none"].map(str::to_owned);
    let normal = [false, false, true];
    let said = |verdict: &Verdict| MultiLabelCase::of(&names, &[0], verdict).said;
    let points = [("b", 0.5, Some(0.6)), ("none", 0.4, None)];
    let with = |a: f64| [("a", a, Some(0.2)), points[0], points[1]];
    let found = verdict("a", with(0.3));
    assert_eq!(said(&found), [true, false, false]);
    let nothing = verdict("none", with(0.1));
    assert_eq!(said(&nothing), [false, false, true]);
    let of_verdict = |own: &Verdict| {
        let all = JudgedCondition::of_verdict(&names, &normal, own).into_iter();
        all.map(|own| own.threshold).collect::<Vec<_>>()
    };
    assert_eq!(of_verdict(&found), [Some(0.2), Some(0.6), None]);
    // Without labelled images it is one half.
    let raw = verdict(
        "b",
        [("b", 0.7, None), ("a", 0.5, None), ("none", 0.3, None)],
    );
    assert_eq!(said(&raw), [true, true, false]);
    assert_eq!(of_verdict(&raw), [Some(0.5); 3]);
    let case = MultiLabelCase::of(&names, &[0], &raw);
    assert_eq!(case.scores, [0.5, 0.7, 0.3]);
    assert_eq!(case.shown, [true, false, false]);
}

#[test]
fn normal_conditions_have_no_part_in_what_is_said_of_an_image_as_a_whole() {
    let points = [Some(0.5), Some(0.5), Some(0.5), None];
    let normal_wrong = MultiLabelCase {
        shown: vec![false, false, true, false],
        said: vec![false, false, true, true],
        scores: vec![0.1, 0.1, 0.9, 0.8],
    };
    let two_wrong = MultiLabelCase {
        said: vec![true, true, true, false],
        ..normal_wrong.clone()
    };
    let found = evaluated(&conditions(&points), &[normal_wrong, two_wrong], 0).summary;
    near(value(found.exact_match), 0.5);
    near(value(found.hamming_loss), 2.0 / 6.0);
    let only_normal = evaluated(
        &conditions(&points)[3..],
        &[MultiLabelCase {
            shown: vec![true],
            said: vec![true],
            scores: vec![0.9],
        }],
        5,
    );
    assert_eq!(
        (
            only_normal.summary.exact_match,
            only_normal.summary.hamming_loss
        ),
        (None, None)
    );
}
