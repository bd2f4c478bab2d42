use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Cases whose labels are drawn with the probabilities of their logits, and whose scores are those of `factor` times the logits.
fn drawn(count: usize, factor: f64, seed: u64) -> Vec<Case> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut case = || {
        let logits: Vec<f64> = (0..4).map(|_| rng.random_range(-3.0..3.0)).collect();
        let probabilities = super::super::softmax(&logits);
        let mut left: f64 = rng.random();
        let truth = probabilities.iter().position(|p| {
            left -= p;
            left < 0.0
        });
        let stated: Vec<f64> = logits.iter().map(|logit| logit * factor).collect();
        let scores = super::super::softmax(&stated);
        let highest = scores.iter().copied().fold(0.0, f64::max);
        Case {
            truth: truth.unwrap_or(3),
            predicted: scores.iter().position(|p| *p >= highest).unwrap_or(0),
            scores,
        }
    };
    (0..count).map(|_| case()).collect()
}

fn names() -> Vec<String> {
    ["a", "b", "c", "d"].map(str::to_owned).to_vec()
}

const NORMAL: [bool; 4] = [false, false, false, true];

#[test]
fn a_temperature_takes_back_what_logits_were_multiplied_by() {
    for factor in [0.5, 1.0, 4.0] {
        let cases = drawn(4000, factor, 1);
        let fitted = fit(&names(), &NORMAL, &cases).unwrap();
        let single = fitted.single.unwrap();
        assert!(
            (single.temperature / factor - 1.0).abs() < 0.08,
            "{factor}: {}",
            single.temperature
        );
        assert!(
            fitted.error_after < 0.05,
            "{factor}: {}",
            fitted.error_after
        );
        if factor > 1.0 {
            assert!(fitted.error_before > 0.1, "{}", fitted.error_before);
        }
    }
}

#[test]
fn at_most_one_confident_label_in_twenty_is_wrong() {
    let cases = drawn(2000, 3.0, 2);
    let single = fit(&names(), &NORMAL, &cases).unwrap().single.unwrap();
    let from = single.confident_from.unwrap();
    let confident: Vec<&Case> = cases
        .iter()
        .filter(|case| {
            let own = tempered(&case.scores, single.temperature);
            own.into_iter().fold(0.0, f64::max) >= from
        })
        .collect();
    let wrong = confident.iter().filter(|case| case.truth != case.predicted);
    let wrong = wrong.count() as f64 / confident.len() as f64;
    assert!(
        wrong <= MAX_ERROR && (wrong - single.wrong).abs() < 1e-12,
        "{wrong}"
    );
    assert!(confident.len() > 100, "{}", confident.len());
    // Where labels are drawn at random, none is confident.
    let random: Vec<Case> = (0..400)
        .map(|n| Case {
            truth: n % 4,
            predicted: n / 4 % 4,
            scores: (0..4)
                .map(|at| if at == n / 4 % 4 { 0.97 } else { 0.01 })
                .collect(),
        })
        .collect();
    let single = fit(&names(), &NORMAL, &random).unwrap().single.unwrap();
    assert_eq!((single.confident_from, single.confident), (None, 0.0));
}

#[test]
fn answers_contain_the_true_label_nine_times_in_ten_over_a_thousand_splits() {
    let mut cases = drawn(400, 2.5, 3);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (mut hits, mut all, mut answers) = (0, 0, 0);
    for _ in 0..1000 {
        cases.shuffle(&mut rng);
        let (labelled, others) = cases.split_at(200);
        let rule = calibration(labelled);
        for case in others {
            let found = rule.answers(&case.scores);
            hits += usize::from(found.contains(&case.truth));
            answers += found.len();
            all += 1;
        }
    }
    let coverage = f64::from(hits as u32) / f64::from(all);
    assert!((coverage - COVERAGE).abs() <= 0.01, "{coverage}");
    let mean = answers as f64 / f64::from(all);
    assert!(mean < 3.0, "they say something: {mean} of 4 labels");
}

/// The calibration of cases in single mode.
fn calibration(cases: &[Case]) -> Calibration {
    let FittedCalibration {
        error_before,
        error_after,
        single,
        conditions,
    } = fit(&names(), &NORMAL, cases).unwrap();
    Calibration {
        model: "m".to_owned(),
        model_digest: "blake3:1".to_owned(),
        prompts: "p".to_owned(),
        prompts_digest: "blake3:2".to_owned(),
        mode: Mode::Single,
        learned: None,
        at: String::new(),
        images: cases.len(),
        error_before,
        error_after,
        single,
        conditions,
    }
}

#[test]
fn with_a_few_labels_the_answers_are_all_labels_rather_than_too_few() {
    // With ten scores the eleventh exceeds the largest with a probability of one in eleven.
    let calibration = calibration(&drawn(20, 2.0, 5));
    let rule = &calibration.single.as_ref().unwrap().answers;
    assert!(rule.least < 0.5, "{}", rule.least);
    let quantile = |scores: Vec<f64>, coverage| nonconformity_quantile(scores, coverage);
    assert!((quantile(vec![0.1; 8], 0.9) - 1.0).abs() < 1e-12);
    assert!((quantile(vec![0.3, 0.1, 0.2], 0.5) - 0.2).abs() < 1e-12);
}

fn each(cases: &[Case]) -> Vec<MultiLabelCase> {
    cases.iter().cloned().map(MultiLabelCase::from).collect()
}

#[test]
fn each_condition_by_itself_gets_an_offset_and_all_the_same_slope() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    // The stated logit is half of what it should be, less 1 for `b`.
    let cases: Vec<Case> = (0..6000)
        .map(|n| {
            let truth = n % 4;
            let score = |at: usize| {
                let z: f64 = rng.random_range(-1.0..1.0) + if at == truth { 1.5 } else { -1.5 };
                let shift = if at == 1 { -1.0 } else { 0.0 };
                1.0 / (1.0 + (-(z / 2.0 + shift)).exp())
            };
            Case {
                truth,
                predicted: truth,
                scores: (0..4).map(score).collect(),
            }
        })
        .collect();
    let fitted = fit_each(&names(), &NORMAL, &each(&cases)).unwrap();
    assert_eq!(fitted.conditions.len(), 3, "what is normal has no finding");
    let [a, b, c] = &fitted.conditions[..] else {
        panic!("three");
    };
    assert!((a.slope - b.slope).abs() + (a.slope - c.slope).abs() < 1e-12);
    // The offset of `b` takes its shift back.
    assert!((b.offset - a.offset - b.slope).abs() < 0.2, "{a:?} {b:?}");
    assert!((a.offset - c.offset).abs() < 0.2, "{a:?} {c:?}");
    assert!(fitted.error_after < 0.05, "{}", fitted.error_after);
    assert!(fitted.error_before > fitted.error_after);
    // The conditions are told apart completely, and so the threshold lies between them.
    for condition in &fitted.conditions {
        assert!((0.1..0.9).contains(&condition.threshold), "{condition:?}");
        assert_eq!(condition.positives, 1500);
    }
}

#[test]
fn what_cannot_be_calibrated_is_refused_with_the_reason() {
    let cases = drawn(400, 1.0, 7);
    let error = fit(&names(), &NORMAL, &cases[..19]).unwrap_err();
    assert_eq!(error, CalibrationError::TooFew(19));
    let of_two: Vec<Case> = cases.iter().filter(|c| c.truth != 1).cloned().collect();
    let error = fit_each(&names(), &NORMAL, &each(&of_two)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`b` has 0 labelled images; each condition needs at least 10 to be decided on by itself"
    );
    let of_one: Vec<Case> = cases.iter().filter(|c| c.truth == 1).cloned().collect();
    let error = fit(&names(), &NORMAL, &of_one).unwrap_err();
    assert_eq!(error, CalibrationError::OneLabel);
}

/// Cases of which each condition is shown by every other image, whatever the others are, with scores that tell it.
fn of_any(count: usize) -> Vec<MultiLabelCase> {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut case = || {
        let shown: Vec<bool> = (0..4).map(|at| at < 3 && rng.random_bool(0.5)).collect();
        let mut score = |is_shown: bool| {
            let noise: f64 = rng.random_range(-1.0..1.0) + rng.random_range(-1.0..1.0);
            let z = noise + if is_shown { 1.0 } else { -1.0 };
            1.0 / (1.0 + (-z).exp())
        };
        MultiLabelCase {
            said: shown.clone(),
            scores: shown.iter().map(|own| score(*own)).collect(),
            shown,
        }
    };
    (0..count).map(|_| case()).collect()
}

#[test]
fn images_that_show_several_conditions_count_for_each_and_against_none_of_them() {
    let cases = of_any(4000);
    let fitted = fit_each(&names(), &NORMAL, &cases).unwrap();
    for (at, own) in fitted.conditions.iter().enumerate() {
        let positives = cases.iter().filter(|case| case.shown[at]).count();
        assert_eq!(own.positives, positives, "{own:?}");
        // Both sides are alike: there is nothing to shift, and the best threshold lies in the middle.
        assert!(own.offset.abs() < 0.2, "{own:?}");
        assert!((own.threshold - 0.5).abs() < 0.25, "{own:?}");
    }
    assert!(fitted.error_after < 0.05, "{}", fitted.error_after);
    // As if an image had its first condition only: the later ones then seem rarer than they are.
    let firsts: Vec<MultiLabelCase> = cases.iter().cloned().map(of_first).collect();
    let wrong = fit_each(&names(), &NORMAL, &firsts).unwrap();
    assert!(wrong.conditions[2].offset < -1.0, "{:?}", wrong.conditions);
}

fn of_first(mut case: MultiLabelCase) -> MultiLabelCase {
    let first = case.shown.iter().position(|own| *own);
    for (at, own) in case.shown.iter_mut().enumerate() {
        *own &= first == Some(at);
    }
    case
}

#[test]
fn a_condition_that_all_images_show_or_too_few_is_refused() {
    let mut cases = of_any(40);
    for case in &mut cases {
        case.shown[1] = true;
    }
    let error = fit_each(&names(), &NORMAL, &cases).unwrap_err();
    assert_eq!(error, CalibrationError::OneOfAll("b".to_owned()));
    for (at, case) in cases.iter_mut().enumerate() {
        case.shown[1] = at < 9;
    }
    let error = fit_each(&names(), &NORMAL, &cases).unwrap_err();
    let too_few = CalibrationError::TooFewOfCondition {
        condition: "b".to_owned(),
        count: 9,
    };
    assert_eq!(error, too_few);
    for case in &mut cases {
        case.shown = vec![true, true, false, false];
    }
    let error = fit_each(&names(), &NORMAL, &cases).unwrap_err();
    assert_eq!(error, CalibrationError::OneLabel);
    let error = fit_each(&names(), &NORMAL, &cases[..19]).unwrap_err();
    assert_eq!(error, CalibrationError::TooFew(19));
}

#[test]
fn the_calibration_error_is_the_mean_distance_of_what_is_stated_from_what_is_right() {
    let half_right: Vec<(f64, bool)> = (0..100).map(|n| (0.9, n % 2 == 0)).collect();
    assert!((calibration_error(&half_right) - 0.4).abs() < 1e-9);
    let in_two_bins = [(0.95, true), (0.95, true), (0.1, false), (0.1, true)];
    assert!((calibration_error(&in_two_bins) - (0.1 + 0.8) / 4.0).abs() < 1e-9);
    assert!(calibration_error(&[]).abs() < 1e-12);
}
