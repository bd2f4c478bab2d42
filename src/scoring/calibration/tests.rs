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

/// Fits cases of as many patients.
fn fit_all(cases: &[Case]) -> Result<FittedCalibration, CalibrationError> {
    let names = names();
    fit(&of(&names), cases, &CaseGroups::default())
}

fn fit_each_all(cases: &[MultiLabelCase]) -> Result<FittedCalibration, CalibrationError> {
    let names = names();
    fit_each(&of(&names), cases, &CaseGroups::default())
}

fn of(names: &[String]) -> CalibratedConditions<'_> {
    CalibratedConditions {
        names,
        normal: &NORMAL,
        min_probability: 0.5,
    }
}

#[test]
fn a_temperature_takes_back_what_logits_were_multiplied_by() {
    for factor in [0.5, 1.0, 4.0] {
        let cases = drawn(4000, factor, 1);
        let fitted = fit_all(&cases).unwrap();
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
    let single = fit_all(&cases).unwrap().single.unwrap();
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
    let single = fit_all(&random).unwrap().single.unwrap();
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
        normal,
        left_out,
    } = fit_all(cases).unwrap();
    Calibration {
        model: "m".to_owned(),
        model_digest: "blake3:1".to_owned(),
        prompts: "p".to_owned(),
        prompts_digest: "blake3:2".to_owned(),
        mode: Mode::Single,
        learned: None,
        fit: None,
        synthetic: false,
        at: String::new(),
        images: cases.len(),
        error_before,
        error_after,
        single,
        conditions,
        normal,
        left_out,
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
    let mut cases: Vec<Case> = (0..6000)
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
    // Halves of them must not differ in their labels.
    cases.shuffle(&mut rng);
    let fitted = fit_each_all(&each(&cases)).unwrap();
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
    let error = fit_all(&cases[..19]).unwrap_err();
    assert_eq!(error, CalibrationError::TooFew(19));
    let of_one: Vec<Case> = cases.iter().filter(|c| c.truth == 1).cloned().collect();
    let error = fit_all(&of_one).unwrap_err();
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
    let fitted = fit_each_all(&cases).unwrap();
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
    let wrong = fit_each_all(&firsts).unwrap();
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
fn a_condition_that_all_images_show_or_too_few_is_left_out_and_named() {
    let mut cases = of_any(40);
    for (at, case) in cases.iter_mut().enumerate() {
        case.shown = vec![true, at < 9, at % 2 == 0, false];
    }
    let fitted = fit_each_all(&cases).unwrap();
    let names: Vec<&str> = fitted
        .conditions
        .iter()
        .map(|own| &*own.condition)
        .collect();
    assert_eq!(names, ["c"]);
    let left_out = [("a", 40), ("b", 9), ("d", 0)].map(|(name, positives)| LeftOutCondition {
        condition: name.to_owned(),
        positives,
    });
    assert_eq!(fitted.left_out, left_out);
    // Where none is left, nothing can be said.
    for case in &mut cases {
        case.shown[2] = case.shown[1];
    }
    let error = fit_each_all(&cases).unwrap_err();
    assert_eq!(error, CalibrationError::OneOfAll("a".to_owned()));
    for case in &mut cases {
        case.shown[0] = case.shown[1];
    }
    let error = fit_each_all(&cases).unwrap_err();
    assert_eq!(
        error.to_string(),
        "too few images show a finding: `a`, which most show, has 9, and at least 10 must show one for it to be decided on by itself"
    );
    for case in &mut cases {
        case.shown = vec![true, true, false, false];
    }
    let error = fit_each_all(&cases).unwrap_err();
    assert_eq!(error, CalibrationError::OneLabel);
    let error = fit_each_all(&cases[..19]).unwrap_err();
    assert_eq!(error, CalibrationError::TooFew(19));
}

#[test]
fn what_is_normal_gets_a_sigmoid_of_its_own_if_labels_tell_it() {
    let mut cases = of_any(2000);
    for case in &mut cases {
        case.shown[3] = !case.shown[..3].contains(&true);
        // As if the texts were sure of it half the time, whatever the image shows.
        case.scores[3] = if case.shown[3] { 0.9 } else { 0.7 };
    }
    let fitted = fit_each_all(&cases).unwrap();
    let [normal] = &fitted.normal[..] else {
        panic!("one: {:?}", fitted.normal)
    };
    assert_eq!(fitted.conditions.len(), 3);
    let of = |score| shifted(score, normal.slope, normal.offset);
    assert!(of(0.9) > 0.98 && of(0.7) < 0.02, "{normal:?}");
    assert!(normal.confidence.confident_from.is_some(), "{normal:?}");
}

#[test]
fn a_few_labels_that_are_told_apart_completely_do_not_make_every_probability_one() {
    let cases: Vec<Case> = (0..20)
        .map(|at| {
            let sure = 0.7 + 0.01 * f64::from(at);
            let truth = at as usize % 2;
            let mut scores = vec![(1.0 - sure) / 3.0; 4];
            scores[truth] = sure;
            Case {
                truth,
                predicted: truth,
                scores,
            }
        })
        .collect();
    let calibration = calibration(&cases);
    assert!(!calibration.is_at_bound(), "{calibration:?}");
    let mean: f64 = cases
        .iter()
        .map(|case| {
            calibration.probabilities(case.scores.clone(), &["a", "b", "c", "d"])[case.truth]
        })
        .sum::<f64>()
        / 20.0;
    // 21 of 22.
    assert!((0.93..0.97).contains(&mean), "{mean}");
    assert!(calibration.single.unwrap().answers.least < 0.99);
}

#[test]
fn scores_that_say_nothing_end_at_the_bound_of_the_search() {
    let cases: Vec<Case> = (0..80)
        .map(|at| Case {
            truth: at % 2,
            predicted: at / 2 % 2,
            scores: [[0.97, 0.01, 0.01, 0.01], [0.01, 0.97, 0.01, 0.01]][at / 2 % 2].to_vec(),
        })
        .collect();
    let random = calibration(&cases);
    assert!(!random.is_at_bound(), "two of four: {random:?}");
    let even: Vec<Case> = (0..80)
        .map(|at| Case {
            truth: at % 4,
            predicted: at / 4 % 4,
            scores: (0..4)
                .map(|own| if own == at / 4 % 4 { 0.97 } else { 0.01 })
                .collect(),
        })
        .collect();
    assert!(calibration(&even).is_at_bound());
}

#[test]
fn images_of_one_patient_are_not_in_both_halves_and_of_one_alone_nothing_is_said() {
    let cases = drawn(40, 2.0, 9);
    let names = names();
    let patients = |per_patient: usize| {
        let groups = CaseGroups::new((0..40).map(|at| at / per_patient).collect());
        fit(&of(&names), &cases, &groups)
    };
    let [alone, ten] = [1, 10].map(|count| patients(count).unwrap());
    assert_ne!(alone.error_after.to_bits(), ten.error_after.to_bits());
    assert_eq!(patients(40).unwrap_err(), CalibrationError::OnePatient);
}

#[test]
fn a_label_that_no_score_tells_is_not_confident_by_what_is_known_of_others() {
    let mut cases = of_any(400);
    for (at, case) in cases.iter_mut().enumerate() {
        // The first condition is told without a fault, the second by no score.
        case.scores[0] = if case.shown[0] { 0.95 } else { 0.05 };
        case.scores[1] = 0.3 + 0.001 * (at % 7) as f64;
        case.shown[1] = at % 2 == 0;
    }
    let fitted = fit_each_all(&cases).unwrap();
    let from = |at: usize| fitted.conditions[at].confidence.unwrap().confident_from;
    assert!(
        from(0).is_some() && from(1).is_none(),
        "{:?}",
        fitted.conditions
    );
}

#[test]
fn the_calibration_error_is_the_mean_distance_of_what_is_stated_from_what_is_right() {
    let half_right: Vec<(f64, bool)> = (0..100).map(|n| (0.9, n % 2 == 0)).collect();
    assert!((calibration_error(&half_right) - 0.4).abs() < 1e-9);
    let in_two_bins = [(0.95, true), (0.95, true), (0.1, false), (0.1, true)];
    assert!((calibration_error(&in_two_bins) - (0.1 + 0.8) / 4.0).abs() < 1e-9);
    assert!(calibration_error(&[]).abs() < 1e-12);
}

/// Cases of which these are normal, and each is told to be of the first condition; they belong to the two halves in turn.
fn with_normal(is_normal: fn(usize) -> bool) -> MixCalibration {
    let cases: Vec<Case> = (0..40)
        .map(|at| Case {
            truth: if is_normal(at) { 3 } else { at / 2 % 3 },
            predicted: 0,
            scores: vec![0.7, 0.1, 0.1, 0.1],
        })
        .collect();
    fit_all(&cases).unwrap().single.unwrap().mix.unwrap()
}

#[test]
fn a_mix_is_checked_only_on_halves_with_both_normal_and_other_images() {
    // The only normal image is told wrong.
    let checks = with_normal(|at| at == 0).checks;
    let all_normal = checks.last().unwrap();
    assert!((all_normal.normal - 1.0).abs() < 1e-12 && all_normal.before.abs() < 1e-12);
    // Six of the nineteen others in its half are told right.
    let half = checks[0];
    assert!((half.before - 0.5 * 6.0 / 19.0).abs() < 1e-9, "{half:?}");
    let apart = with_normal(|at| at % 2 == 0);
    assert_eq!(apart.checks, [], "each half is of one sort");
    assert_eq!(apart.failed_check(), None);
}

#[test]
fn each_image_held_out_counts_alike_for_the_error_however_large_the_halves_are() {
    let cases = drawn(40, 3.0, 9);
    let names = names();
    // One patient with 39 images comes last.
    let groups = CaseGroups::new((0..40).map(|at| usize::from(at == 0)).collect());
    let fitted = fit(&of(&names), &cases, &groups).unwrap();
    let [small, large]: [Vec<&Case>; 2] =
        [cases[..1].iter().collect(), cases[1..].iter().collect()];
    let told = [
        tops(&small, temperature(&large)),
        tops(&large, temperature(&small)),
    ];
    let expected = calibration_error(&told.concat());
    let mean = f64::midpoint(calibration_error(&told[0]), calibration_error(&told[1]));
    assert!((fitted.error_after - expected).abs() < 1e-12);
    assert!((mean - expected).abs() > 0.01, "{mean} {expected}");
}
