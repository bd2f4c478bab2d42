use std::convert::Infallible;

use proptest::prelude::*;

use super::calibration::ConditionCalibration;
use super::*;

const SET: &str = r#"
name = "t"
[[condition]]
name = "haze"
phrases = ["haze"]
absent = ["no haze"]
[[condition]]
name = "mass"
phrases = ["mass"]
absent = ["no mass"]
[[condition]]
name = "well"
phrases = ["well"]
absent = ["ill"]
normal = true
"#;

/// Encodes texts as fixed directions in a plane.
#[allow(
    clippy::unnecessary_wraps,
    reason = "the signature that a scorer calls"
)]
fn encode(texts: &[String]) -> Result<Vec<Vec<f32>>, Infallible> {
    let angle = |text: &String| match text.as_str() {
        "haze" => 0.0_f32,
        "no haze" => 180.0,
        "mass" => 90.0,
        "no mass" => 270.0,
        "well" => 225.0,
        _ => 45.0,
    };
    Ok(texts
        .iter()
        .map(|text| {
            let a = angle(text).to_radians();
            vec![a.cos(), a.sin()]
        })
        .collect())
}

fn scorer(mode: Mode, scale: f64) -> Scorer {
    let set = PromptSet::parse(SET, "t.toml").unwrap();
    let logits = Logits { scale, bias: None };
    Scorer::new(&set, mode, logits, encode).unwrap()
}

fn at(degrees: f32) -> Vec<f32> {
    vec![degrees.to_radians().cos(), degrees.to_radians().sin()]
}

#[test]
fn single_mode_is_the_softmax_of_scaled_cosines() {
    let verdict = scorer(Mode::Single, 2.0).verdict(&at(0.0));
    // Cosines 1, 0 and cos 225° = -0.7071; logits 2, 0 and -1.4142.
    let sum = 2.0_f64.exp() + 1.0 + (-std::f64::consts::SQRT_2).exp();
    assert_eq!(verdict.label, "haze");
    assert!((verdict.probability - 2.0_f64.exp() / sum).abs() < 1e-6);
    assert!((verdict.scores[0].similarity - 1.0).abs() < 1e-6);
    let order: Vec<_> = verdict
        .scores
        .iter()
        .map(|s| s.condition.as_str())
        .collect();
    assert_eq!(order, ["haze", "mass", "well"]);
}

#[test]
fn multi_mode_scores_each_condition_independently() {
    let scorer = scorer(Mode::Multi, 2.0);
    let verdict = scorer.verdict(&at(45.0));
    // present cos 45°, absent cos 135°: logits ±1.4142, for haze and for mass.
    let p = 1.0 / (1.0 + (-2.0 * std::f64::consts::SQRT_2).exp());
    let of = |name: &str| {
        verdict
            .scores
            .iter()
            .find(|s| s.condition == name)
            .unwrap()
            .probability
    };
    assert!((of("haze") - p).abs() < 1e-6 && (of("mass") - p).abs() < 1e-6);
    assert!(
        of("haze") + of("mass") > 1.0,
        "independent: they do not sum to 1"
    );
    assert_eq!(
        verdict.decision,
        Decision::Uncertain,
        "two at once leave no lead"
    );
    assert_eq!(
        scorer.verdict(&at(225.0)).label,
        "well",
        "nothing abnormal reaches one half"
    );
}

#[test]
fn labelled_images_move_the_operating_point_of_a_condition() {
    let calibration = Calibration {
        model: "m".to_owned(),
        model_digest: "blake3:1".to_owned(),
        prompts: "t".to_owned(),
        prompts_digest: "blake3:2".to_owned(),
        mode: Mode::Multi,
        learned: None,
        fit: None,
        synthetic: false,
        at: String::new(),
        images: 40,
        error_before: 0.1,
        error_after: 0.1,
        single: None,
        conditions: vec![ConditionCalibration {
            condition: "haze".to_owned(),
            slope: 1.0,
            offset: 0.0,
            threshold: 0.97,
            positives: 12,
            confidence: None,
        }],
        normal: Vec::new(),
        left_out: Vec::new(),
    };
    // Both haze and mass have 0.944.
    let verdict = scorer(Mode::Multi, 2.0).verdict(&at(45.0));
    let present = |verdict: &Verdict| {
        let scores = verdict.scores.iter().filter(|score| score.is_present());
        scores
            .map(|score| score.condition.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(present(&verdict), ["haze", "mass"]);
    assert!(verdict.scores.iter().all(|score| score.threshold.is_none()));
    let calibrated = scorer(Mode::Multi, 2.0).calibrated(Some(calibration));
    let verdict = calibrated.verdict(&at(45.0));
    assert_eq!(present(&verdict), ["mass"]);
    assert_eq!(verdict.label, "mass");
    // The most urgent condition is not the one with the highest probability, but the one furthest beyond its operating point.
    let beside = |name: &str| {
        let score = verdict.scores.iter().find(|score| score.condition == name);
        score.unwrap().beside_threshold()
    };
    assert!(beside("haze") < 0.5 && beside("mass") > 0.9);
    assert!((verdict.urgency.unwrap() - beside("mass")).abs() < 1e-12);
}

#[test]
fn without_a_condition_for_the_healthy_nothing_is_urgent_and_nothing_normal() {
    let logits = Logits {
        scale: 2.0,
        bias: None,
    };
    let urgency = |set: &str, mode: Mode| {
        let set = PromptSet::parse(set, "t.toml").unwrap();
        let scorer = Scorer::new(&set, mode, logits, encode).unwrap();
        scorer.verdict(&at(0.0)).urgency
    };
    let without_normal = SET.replace("normal = true", "");
    assert_eq!(urgency(&without_normal, Mode::Single), None);
    assert!(urgency(SET, Mode::Single).is_some_and(|urgency| urgency > 0.5));
    // Each condition alone is present or absent: that needs no normal one.
    assert!(urgency(&without_normal, Mode::Multi).is_some_and(|urgency| urgency > 0.9));
}

#[test]
fn an_operating_point_is_one_half_beside_all_others() {
    for threshold in [0.02, 0.5, 0.97] {
        let at = |probability| beside_threshold(probability, Some(threshold));
        assert_eq!((at(0.0), at(threshold), at(1.0)), (0.0, 0.5, 1.0));
        assert!(at(threshold * 0.9) < 0.5 && at(threshold + 0.01) > 0.5);
    }
    assert!((beside_threshold(0.3, None) - 0.3).abs() < 1e-12);
    assert!((beside_threshold(1.0, Some(1.0)) - 0.5).abs() < 1e-12);
}

#[test]
fn a_confident_decision_needs_probability_and_lead() {
    assert_eq!(
        scorer(Mode::Single, 10.0).verdict(&at(0.0)).decision,
        Decision::Confident
    );
    assert_eq!(
        scorer(Mode::Single, 0.1).verdict(&at(0.0)).decision,
        Decision::Uncertain
    );
    assert_eq!(
        scorer(Mode::Single, 10.0).verdict(&at(45.0)).decision,
        Decision::Uncertain
    );
}

#[test]
fn what_is_there_is_abnormal_or_else_normal() {
    let names = |degrees: f32| {
        let verdict = scorer(Mode::Multi, 2.0).verdict(&at(degrees));
        let present = verdict.present().into_iter().map(str::to_owned);
        (present.collect::<Vec<_>>(), verdict.none_applies)
    };
    // Haze is there, and well is more likely than not: its texts are those of another direction.
    let verdict = scorer(Mode::Multi, 2.0).verdict(&at(300.0));
    let likely = |name: &str| {
        let score = verdict.scores.iter().find(|score| score.condition == name);
        score.unwrap().is_present()
    };
    assert!(likely("haze") && likely("well"));
    assert_eq!(names(300.0), (vec!["haze".to_owned()], false));
    assert_eq!(names(225.0), (vec!["well".to_owned()], false));
}

#[test]
fn of_a_set_that_knows_nothing_normal_none_may_apply() {
    let set = SET.replace("normal = true", "");
    let set = PromptSet::parse(&set, "t.toml").unwrap();
    let logits = Logits {
        scale: 2.0,
        bias: None,
    };
    let scorer = Scorer::new(&set, Mode::Multi, logits, encode).unwrap();
    let verdict = scorer.verdict(&at(225.0));
    assert_eq!(verdict.present(), ["well"], "it is one like the others");
    let two = SET.split("[[condition]]\nname = \"well\"").next().unwrap();
    let set = PromptSet::parse(two, "t.toml").unwrap();
    let scorer = Scorer::new(&set, Mode::Multi, logits, encode).unwrap();
    let verdict = scorer.verdict(&at(225.0));
    assert!(verdict.none_applies && verdict.present().is_empty());
    assert_eq!(verdict.claimed_label(), None);
    assert_eq!(scorer.verdict(&at(10.0)).claimed_label(), Some("haze"));
}

#[test]
fn a_rejected_verdict_keeps_its_scores_and_names_the_reason() {
    let verdict = scorer(Mode::Single, 10.0).verdict(&at(0.0));
    let rejected = verdict.clone().reject("not meant for this".into());
    assert_eq!(rejected.decision, Decision::Rejected);
    assert_eq!(rejected.reason.as_deref(), Some("not meant for this"));
    assert_eq!(rejected.scores, verdict.scores);
    let multi = scorer(Mode::Multi, 10.0).verdict(&at(0.0));
    assert!(!multi.present().is_empty());
    assert!(
        multi
            .reject("not meant for this".into())
            .present()
            .is_empty()
    );
}

#[test]
fn frames_are_aggregated_by_mean_and_maximum() {
    let scorer = scorer(Mode::Single, 2.0);
    let frames = [scorer.verdict(&at(0.0)), scorer.verdict(&at(90.0))];
    let joined = scorer.aggregate(&frames);
    for score in &joined.scores {
        let of = |v: &Verdict| {
            v.scores
                .iter()
                .find(|s| s.condition == score.condition)
                .unwrap()
                .probability
        };
        assert!((score.probability - f64::midpoint(of(&frames[0]), of(&frames[1]))).abs() < 1e-12);
        assert_eq!(score.max, Some(of(&frames[0]).max(of(&frames[1]))));
    }
}

#[test]
fn texts_are_averaged_to_a_unit_vector() {
    let mean = mean_direction(&[vec![1.0, 0.0], vec![0.0, 1.0]]);
    let half = std::f32::consts::FRAC_1_SQRT_2;
    assert!((mean[0] - half).abs() < 1e-6 && (mean[1] - half).abs() < 1e-6);
    assert_eq!(
        mean_direction(&[vec![1.0, 0.0], vec![-1.0, 0.0]]),
        [0.0, 0.0]
    );
}

proptest! {
    #[test]
    fn single_probabilities_sum_to_one(degrees in 0.0_f32..360.0, scale in 0.0_f64..200.0) {
        let verdict = scorer(Mode::Single, scale).verdict(&at(degrees));
        let sum: f64 = verdict.scores.iter().map(|s| s.probability).sum();
        prop_assert!((sum - 1.0).abs() < 1e-9);
        prop_assert!(verdict.scores.windows(2).all(|w| w[0].probability >= w[1].probability));
        prop_assert_eq!(&verdict.label, &verdict.scores[0].condition);
    }

    #[test]
    fn multi_probabilities_lie_between_zero_and_one(degrees in 0.0_f32..360.0, scale in 0.0_f64..200.0) {
        let verdict = scorer(Mode::Multi, scale).verdict(&at(degrees));
        prop_assert!(verdict.scores.iter().all(|s| (0.0..=1.0).contains(&s.probability)));
    }
}

fn sigmoid_scorer(mode: Mode) -> Scorer {
    // A sigmoid needs no phrases for absence.
    let bare: String = SET
        .lines()
        .filter(|l| !l.starts_with("absent"))
        .collect::<Vec<_>>()
        .join("\n");
    let set = PromptSet::parse(&bare, "t.toml").unwrap();
    let logits = Logits {
        scale: 4.0,
        bias: Some(-3.0),
    };
    Scorer::new(&set, mode, logits, encode).unwrap()
}

#[test]
fn multi_mode_with_a_bias_is_a_sigmoid_of_each_condition() {
    let verdict = sigmoid_scorer(Mode::Multi).verdict(&at(0.0));
    // Cosines 1, 0 and -0.7071: logits 1, -3 and -5.8284.
    let expected = [
        ("haze", 0.731_059),
        ("mass", 0.047_426),
        ("well", 0.002_934),
    ];
    for (score, (name, probability)) in verdict.scores.iter().zip(expected) {
        assert_eq!(score.condition, name);
        assert!((score.probability - probability).abs() < 1e-6, "{score:?}");
    }
    assert_eq!(verdict.label, "haze");
    // Nothing is likelier than not at the other side of the plane.
    assert_eq!(
        sigmoid_scorer(Mode::Multi).verdict(&at(225.0)).label,
        "well"
    );
}

#[test]
fn single_mode_with_a_bias_is_still_a_softmax() {
    let with = sigmoid_scorer(Mode::Single).verdict(&at(10.0));
    let without = scorer(Mode::Single, 4.0).verdict(&at(10.0));
    for (a, b) in with.scores.iter().zip(&without.scores) {
        assert!((a.probability - b.probability).abs() < 1e-12);
    }
}

fn taught(condition: &str, gate: f64, direction: Vec<f32>) -> LearnedCondition {
    LearnedCondition {
        condition: condition.to_owned(),
        gate,
        direction: direction.into(),
    }
}

#[test]
fn a_gate_mixes_logits_and_shut_it_is_zero_shot_bit_for_bit() {
    for mode in [Mode::Single, Mode::Multi] {
        let plain = scorer(mode, 2.0);
        let shut = [taught("haze", 0.0, at(10.0)), taught("mass", 0.0, at(20.0))];
        let open = plain.clone().learning(&[taught("haze", 0.5, at(90.0))]);
        let image = at(33.0);
        assert_eq!(
            plain.clone().learning(&shut).verdict(&image),
            plain.verdict(&image)
        );
        let undone = open.clone().learning(&[]);
        assert_eq!(undone.verdict(&image), plain.verdict(&image));
        // Half of the texts' logit and half of that of the learned direction; the cosine stays that with the texts.
        let cosine = |degrees: f64| degrees.to_radians().cos();
        let of_texts = match mode {
            Mode::Single => 2.0 * cosine(33.0),
            Mode::Multi => 2.0 * (cosine(33.0) - cosine(180.0 - 33.0)),
        };
        let logit = f64::midpoint(of_texts, 2.0 * cosine(90.0 - 33.0));
        let wanted = match mode {
            Mode::Single => {
                let others = [2.0 * cosine(90.0 - 33.0), 2.0 * cosine(225.0 - 33.0)];
                softmax(&[logit, others[0], others[1]])[0]
            }
            Mode::Multi => 1.0 / (1.0 + (-logit).exp()),
        };
        let verdict = open.verdict(&image);
        let haze = verdict
            .scores
            .iter()
            .find(|s| s.condition == "haze")
            .unwrap();
        assert!(
            (haze.probability - wanted).abs() < 1e-6,
            "{haze:?} {wanted}"
        );
        assert!((haze.similarity - cosine(33.0)).abs() < 1e-6);
    }
}

#[test]
fn a_direction_of_another_length_changes_nothing() {
    let plain = scorer(Mode::Single, 2.0);
    let other = plain.clone().learning(&[taught("haze", 0.5, vec![1.0; 3])]);
    assert_eq!(other.verdict(&at(33.0)), plain.verdict(&at(33.0)));
}
