use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::scoring::calibration::{AnswerRule, CalibratedConditions, SingleCalibration, fit};
use crate::scoring::metrics::{Case, CaseGroups};
use crate::scoring::softmax;

const NAMES: [&str; 3] = ["opacity", "mass", "normal"];

fn is_abnormal(name: &str) -> bool {
    name != "normal"
}

/// An image of a condition: scores of a model that tells conditions apart imperfectly and favours findings.
fn drawn(truth: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut normal = || {
        let sum: f64 = (0..12).map(|_| rng.random::<f64>()).sum();
        sum - 6.0
    };
    let logits: Vec<f64> = (0..3)
        .map(|at| {
            let own = if at == truth { 2.5 } else { 0.0 };
            let favoured = [3.0, 1.0, -2.0][at];
            3.0 * (own + normal()) + favoured
        })
        .collect();
    softmax(&logits)
}

fn case(truth: usize, scores: Vec<f64>) -> Case {
    let best = |best: usize, at: usize| if scores[at] > scores[best] { at } else { best };
    let predicted = (0..3).fold(0, best);
    Case {
        truth,
        predicted,
        scores,
    }
}

fn cases(counts: [usize; 3], rng: &mut ChaCha8Rng) -> Vec<Case> {
    let truths = (0..3).flat_map(|truth| std::iter::repeat_n(truth, counts[truth]));
    let mut all: Vec<Case> = truths.map(|truth| case(truth, drawn(truth, rng))).collect();
    rand::seq::SliceRandom::shuffle(all.as_mut_slice(), rng);
    all
}

fn calibration(cases: &[Case]) -> Calibration {
    let names = NAMES.map(str::to_owned);
    let conditions = CalibratedConditions {
        names: &names,
        normal: &[false, false, true],
        min_probability: 0.5,
    };
    let fitted = fit(&conditions, cases, &CaseGroups::default()).unwrap();
    of(fitted.single)
}

fn of(single: Option<SingleCalibration>) -> Calibration {
    Calibration {
        model: "m".to_owned(),
        model_digest: "m".to_owned(),
        prompts: "set".to_owned(),
        prompts_digest: "p".to_owned(),
        mode: Mode::Single,
        learned: None,
        fit: None,
        synthetic: false,
        at: "2026-01-01T00:00:00Z".to_owned(),
        images: 100,
        error_before: 0.0,
        error_after: 0.0,
        single,
        conditions: Vec::new(),
        normal: Vec::new(),
        left_out: Vec::new(),
    }
}

/// The calibrated scores of a case.
fn scores(case: &Case, calibration: &Calibration) -> Vec<Score> {
    let probabilities = calibration.probabilities(case.scores.clone(), &NAMES);
    named(&probabilities)
}

fn named(probabilities: &[f64]) -> Vec<Score> {
    let both = NAMES.iter().zip(probabilities);
    let score = |(name, probability): (&&str, &f64)| Score {
        condition: (*name).to_owned(),
        probability: *probability,
        max: None,
        similarity: 0.0,
        threshold: None,
        normal: false,
        calibrated: false,
    };
    both.map(score).collect()
}

fn adjuster(
    calibration: &Calibration,
    images: &[Vec<Score>],
    stated: Option<&str>,
) -> Result<Adjuster, MixError> {
    let stated: Option<StatedMix> = stated.map(|text| text.parse().unwrap());
    let images = images.iter().map(AsRef::as_ref);
    Adjuster::new(
        "set",
        is_abnormal,
        Some(calibration),
        images,
        stated.as_ref(),
    )
}

fn shares_of(adjuster: &Adjuster) -> Vec<f64> {
    adjuster.mix().shares.iter().map(|own| own.share).collect()
}

/// Accuracy, and the share called abnormal, without and with adjusting.
struct LabelOutcome {
    accuracy: [f64; 2],
    abnormal: [f64; 2],
}

fn outcome(calibration: &Calibration, cases: &[Case], stated: Option<&str>) -> LabelOutcome {
    let rows: Vec<Vec<Score>> = cases.iter().map(|case| scores(case, calibration)).collect();
    let adjuster = adjuster(calibration, &rows, stated).unwrap();
    let after = rows.iter().map(|row| adjuster.adjusted(row).label);
    let after: Vec<String> = after.collect();
    let count = cases.len() as f64;
    let share = |is: &dyn Fn(&Case, &str) -> bool| {
        let before = cases.iter().filter(|own| is(own, NAMES[own.predicted]));
        let after = cases
            .iter()
            .zip(&after)
            .filter(|(own, label)| is(own, label));
        [before.count() as f64 / count, after.count() as f64 / count]
    };
    LabelOutcome {
        accuracy: share(&|own, label| NAMES[own.truth] == label),
        abnormal: share(&|_, label| is_abnormal(label)),
    }
}

#[test]
fn adjusting_makes_labels_right_more_often_in_every_mix_and_finds_nothing_where_nothing_is() {
    for seed in 0..10 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let calibration = calibration(&cases([70, 70, 70], &mut rng));
        for (abnormal, normal) in [(100, 100), (20, 180), (5, 195)] {
            let own = cases([abnormal / 2, abnormal - abnormal / 2, normal], &mut rng);
            let LabelOutcome { accuracy, .. } = outcome(&calibration, &own, None);
            assert!(accuracy[1] > accuracy[0] + 0.01, "{abnormal}: {accuracy:?}");
        }
        let LabelOutcome { abnormal, .. } =
            outcome(&calibration, &cases([0, 0, 200], &mut rng), None);
        assert!(abnormal[1] <= 0.03 && abnormal[0] > 0.1, "{abnormal:?}");
    }
}

#[test]
fn the_mix_is_found_and_a_stated_one_is_used_as_it_is() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let calibration = calibration(&cases([100, 100, 100], &mut rng));
    let rows: Vec<Vec<Score>> = cases([100, 40, 860], &mut rng)
        .iter()
        .map(|case| scores(case, &calibration))
        .collect();
    let found = shares_of(&adjuster(&calibration, &rows, None).unwrap());
    for (found, truth) in found.iter().zip([0.1, 0.04, 0.86]) {
        assert!((found - truth).abs() < 0.03, "{found} {truth}");
    }
    let stated = adjuster(&calibration, &rows, Some("20% abnormal")).unwrap();
    let shares = shares_of(&stated);
    assert!((shares[2] - 0.8).abs() < 1e-9, "{shares:?}");
    // What is not stated follows from the images.
    assert!(shares[0] > 1.5 * shares[1], "{shares:?}");
    assert!(!stated.mix().estimated);
    let stated = adjuster(
        &calibration,
        &[],
        Some("opacity=5%, 0.05 mass, normal 90 %"),
    );
    let shares = shares_of(&stated.unwrap());
    for (share, truth) in shares.iter().zip([0.05, 0.05, 0.9]) {
        assert!((share - truth).abs() < 1e-9, "{shares:?}");
    }
}

#[test]
fn few_images_are_not_taken_for_all() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let calibration = calibration(&cases([100, 100, 100], &mut rng));
    let sure = vec![named(&[1e-6, 1e-6, 1.0 - 2e-6]); 12];
    let shares = shares_of(&adjuster(&calibration, &sure, None).unwrap());
    assert!(shares[0] > 0.02 && shares[1] > 0.02, "{shares:?}");
    let refused = adjuster(&calibration, &sure[..9], None).unwrap_err();
    assert_eq!(refused, MixError::TooFew(9, "set".to_owned()));
}

#[test]
fn what_is_not_calibrated_is_refused() {
    let none = Adjuster::new("set", is_abnormal, None, std::iter::empty(), None);
    assert_eq!(none.unwrap_err(), MixError::NotCalibrated("set".to_owned()));
    let single = SingleCalibration {
        temperature: 1.0,
        confident_from: None,
        confident: 0.0,
        wrong: 0.0,
        answers: AnswerRule {
            temperature: 1.0,
            least: 0.0,
            coverage: 0.9,
        },
        mix: None,
    };
    let old = adjuster(&of(Some(single)), &[], None).unwrap_err();
    assert_eq!(old, MixError::WithoutMix("set".to_owned()));
    let multi = Calibration {
        mode: Mode::Multi,
        ..of(None)
    };
    assert_eq!(adjuster(&multi, &[], None).unwrap_err(), MixError::Multi);
}

#[test]
fn a_mix_is_read_in_several_spellings_and_wrong_ones_are_named() {
    let read = |text: &str| {
        text.parse::<StatedMix>()
            .map(|mix| mix.groups(&NAMES, is_abnormal))
    };
    for text in [
        "5% abnormal",
        "5 % abnormal",
        "abnormal=5%",
        "abnormal = 0.05",
        "abnormal 5%",
        "abnormal: 5 %",
        "0.05 abnormal",
        "ABNORMAL=5 %",
    ] {
        let groups = read(text).unwrap().unwrap();
        assert_eq!(groups.0[0].members, [0, 1], "{text}");
        assert!((groups.0[0].total - 0.05).abs() < 1e-12, "{text}");
        assert!((groups.0[1].total - 0.95).abs() < 1e-12, "{text}");
    }
    for text in [
        "",
        "abnormal",
        "5%",
        "abnormal=five",
        "abnormal=-5%",
        "normal=120%",
        "=5%",
    ] {
        let wrong = read(text);
        assert!(
            matches!(wrong, Err(StatedMixError::Unreadable(_))),
            "{text}: {wrong:?}"
        );
    }
    let wrong = read("normal=60%, mass=50%");
    assert!(
        matches!(wrong, Err(StatedMixError::TooMuch(_))),
        "{wrong:?}"
    );
    for (text, expected) in [
        ("effusion=5%", "`effusion` is not a condition"),
        (
            "mass=5%, abnormal=10%",
            "the share of `mass` is stated twice",
        ),
        ("normal=50%, abnormal=10%", "sum to 60.0000 %, not to 100 %"),
    ] {
        let wrong = read(text).unwrap().unwrap_err().to_string();
        assert!(wrong.contains(expected), "{text}: {wrong}");
    }
}

fn found(rows: &[Vec<f64>], there: &[f64]) -> Vec<f64> {
    let images = rows.iter().map(|row| (&**row, 1.0));
    shares(images, there, &ConditionGroups::free(there.len()))
}

fn distribution(count: usize) -> impl Strategy<Value = Vec<f64>> {
    let weights = proptest::collection::vec(0.001..1.0, count);
    weights.prop_map(|weights: Vec<f64>| {
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|own| own / sum).collect()
    })
}

proptest! {
    #[test]
    fn probabilities_sum_to_one_and_the_calibrations_own_mix_changes_nothing(
        p in distribution(4), there in distribution(4), here in distribution(4),
    ) {
        let adjusted = posterior(&p, &there, &here);
        prop_assert!((adjusted.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        for (same, p) in posterior(&p, &there, &there).iter().zip(&p) {
            prop_assert!((same - p).abs() < 1e-9);
        }
        // Back again is where it began.
        for (back, p) in posterior(&adjusted, &here, &there).iter().zip(&p) {
            prop_assert!((back - p).abs() < 1e-9);
        }
    }

    #[test]
    fn the_order_of_conditions_and_of_images_does_not_matter(
        rows in proptest::collection::vec(distribution(3), 12..40), there in distribution(3),
    ) {
        let found = found(&rows, &there);
        prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let turned = |row: &[f64]| vec![row[2], row[0], row[1]];
        let others: Vec<Vec<f64>> = rows.iter().rev().map(|row| turned(row)).collect();
        let again = super::tests::found(&others, &turned(&there));
        for (one, other) in turned(&found).iter().zip(again) {
            prop_assert!((one - other).abs() < 1e-6);
        }
    }
}
