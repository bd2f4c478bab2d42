//! Learning from reviews while the engine runs, and what that does to calibrations.

use super::*;
use crate::engine::explanation::ExplanationRequest;
use crate::engine::learning::{LearnImage, LearnRequest};
use crate::learn::{Learned, LearnedSets};
use crate::library::Record;
use crate::scoring::Score;
use crate::scoring::calibration::{CalibratedConditions, Calibration, fit};
use crate::scoring::metrics::{Case, CaseGroups};

const WARD: &str = r#"
name = "ward"
[[condition]]
name = "haze"
phrases = ["haze"]
[[condition]]
name = "clear"
phrases = ["clear lungs"]
normal = true
"#;

fn ward() -> crate::prompts::PromptSet {
    crate::prompts::PromptSet::parse(WARD, "ward.toml").unwrap()
}

/// A calibration of zero-shot scores of the fake model under this set.
fn calibration() -> Calibration {
    let case = |at: usize| {
        let sure = if at.is_multiple_of(5) { 0.6 } else { 0.9 };
        let truth = usize::from(at.is_multiple_of(7));
        Case {
            truth,
            predicted: 0,
            scores: vec![sure, 1.0 - sure],
        }
    };
    let cases: Vec<Case> = (0..40).map(case).collect();
    let names = ["haze", "clear"].map(str::to_owned);
    let of = CalibratedConditions {
        names: &names,
        normal: &[false, true],
        min_probability: 0.5,
    };
    let fitted = fit(&of, &cases, &CaseGroups::default()).unwrap();
    Calibration {
        model: "fake".into(),
        model_digest: "blake3:0".into(),
        prompts: "ward".into(),
        prompts_digest: ward().digest,
        mode: Mode::Single,
        learned: None,
        fit: None,
        synthetic: false,
        at: String::new(),
        images: 40,
        error_before: fitted.error_before,
        error_after: fitted.error_after,
        single: fitted.single,
        conditions: fitted.conditions,
        normal: fitted.normal,
        left_out: fitted.left_out,
    }
}

impl TestEngine {
    fn next<T>(&self, wanted: impl Fn(Event) -> Option<T>) -> T {
        self.events
            .iter()
            .find_map(wanted)
            .expect("the event comes")
    }

    /// Scores these images, of which some are labelled.
    fn learn(&self, images: Vec<LearnImage>) -> Result<Box<learning::Proposal>, String> {
        self.next(|event| matches!(event, Event::Ready { .. }).then_some(()));
        self.engine.learn(LearnRequest {
            prompts: "ward".into(),
            images,
            generation: 3,
        });
        self.next(|event| match event {
            Event::Learned {
                generation: 3,
                outcome,
            } => Some(outcome),
            _ => None,
        })
    }

    /// The probabilities beside the phrases of an image, of all conditions.
    fn explained(&self, record: &Record, scores: Option<Vec<Score>>) -> Vec<(String, f64)> {
        self.engine.explain(ExplanationRequest {
            prompts_digest: record.prompts_digest.clone(),
            scores,
            embedding: record.embedding.clone().unwrap(),
            content: record.content.clone(),
            prompts: String::new(),
            labels: Vec::new(),
            reviewer: String::new(),
            others: Vec::new(),
            generation: 4,
        });
        let found = self.next(|event| match event {
            Event::Explained { outcome, .. } => Some(outcome.unwrap()),
            _ => None,
        });
        let conditions = found.conditions.into_iter();
        conditions
            .map(|own| (own.condition, own.probability))
            .collect()
    }

    /// The records of a file under what was learned.
    fn rescored(&self, learned: LearnedSets, before: &ClassifiedFile) -> ClassifiedFile {
        self.engine.use_learned(learned);
        self.engine
            .use_prompts(Prompts::only(ward()), Mode::Single, 1);
        self.next(|event| matches!(event, Event::Prompts { .. }).then_some(()));
        self.engine.rescore(vec![before.clone()]);
        self.next(|event| match event {
            Event::Rescored { mut files, .. } => files.pop(),
            _ => None,
        })
    }
}

/// Images at two angles, whose labels contradict the texts.
fn images() -> Vec<LearnImage> {
    let image = |at: usize| {
        let degrees = if at.is_multiple_of(2) { 20.0_f32 } else { 70.0 } + at as f32;
        let (sin, cos) = degrees.to_radians().sin_cos();
        let label = if at.is_multiple_of(2) {
            "clear"
        } else {
            "haze"
        };
        LearnImage {
            path: PathBuf::from(at.to_string()),
            content: format!("blake3:{at:04}"),
            embedding: vec![cos, sin].into(),
            labels: (at < 8).then(|| vec![label.to_owned()]),
            patients: Vec::new(),
            synthetic: false,
        }
    };
    (0..12).map(image).collect()
}

#[test]
fn what_was_learned_is_used_and_taken_back_and_drops_a_calibration_of_other_scores() {
    let (_folder, paths) = pictures(1);
    let running = start(
        Behaviour::Answer,
        false,
        Settings {
            prompts: Prompts::only(ward()),
            calibrations: Calibrations(vec![calibration()]),
            ..settings()
        },
    );
    let proposal = running.learn(images()).unwrap();
    assert!(proposal.was_calibrated);
    assert_eq!((proposal.learned.reviews, proposal.images), (8, 12));
    assert!(proposal.learned.changes_results() && !proposal.moved.is_empty());
    running.submit(&paths[0], Lane::Bulk, 7);
    let before = running.next(|event| match event {
        Event::Done {
            path,
            generation,
            outcomes,
        } => Some(ClassifiedFile {
            path,
            generation,
            records: outcomes.into_iter().map(Result::unwrap).collect(),
        }),
        _ => None,
    });
    assert!(before.records[0].calibrated && before.records[0].learned.is_none());
    let learned = LearnedSets(vec![proposal.learned.clone()]);
    let after = running.rescored(learned, &before);
    let record = &after.records[0];
    assert_eq!((record.learned, record.calibrated), (Some(8), false));
    assert_ne!(record.verdict, before.records[0].verdict);
    // What phrases are explained beside are the scores of the texts, not those that are learned.
    let explained = running.explained(record, None);
    let sum: f64 = explained.iter().map(|(_, probability)| probability).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{explained:?}");
    assert_ne!(
        explained,
        running.explained(record, Some(record.verdict.scores.clone()))
    );
    let back = running.rescored(LearnedSets::default(), &after);
    assert_eq!(running.explained(record, None), explained);
    assert_eq!(back.records[0].verdict, before.records[0].verdict);
    assert!(back.records[0].calibrated && back.records[0].learned.is_none());
}

#[test]
fn what_calibrates_phantoms_is_not_for_real_images_of_the_built_in_model() {
    let (_folder, paths) = pictures(1);
    let settings = Settings {
        prompts: Prompts::only(ward()),
        calibrations: Calibrations(vec![calibration()]),
        ..settings()
    };
    let running = start(Behaviour::Answer, true, settings);
    running.submit(&paths[0], Lane::Bulk, 7);
    let real = running.next(|event| match event {
        Event::Done {
            path,
            generation,
            outcomes,
        } => Some(ClassifiedFile {
            path,
            generation,
            records: outcomes.into_iter().map(Result::unwrap).collect(),
        }),
        _ => None,
    });
    assert_eq!(real.records[0].verdict.decision, Decision::Rejected);
    assert!(!real.records[0].calibrated && real.records[0].verdict.answers.is_empty());
    let mut phantom = real.clone();
    phantom.records = real
        .records
        .iter()
        .map(|own| crate::library::Record {
            synthetic: true,
            ..own.clone()
        })
        .collect();
    let phantom = running.rescored(LearnedSets::default(), &phantom);
    let phantom = &phantom.records[0];
    assert!(phantom.calibrated && !phantom.verdict.answers.is_empty());
}

#[test]
fn a_calibration_belongs_to_the_scores_that_it_was_fitted_to() {
    let running = start(
        Behaviour::Answer,
        false,
        Settings {
            prompts: Prompts::only(ward()),
            ..settings()
        },
    );
    let learned: Learned = running.learn(images()).unwrap().learned;
    let anew = Calibration {
        learned: Some(learned.digest()),
        ..calibration()
    };
    let all = Calibrations(vec![calibration(), anew.clone()]);
    let fits = |learned: LearnedSets| learned.calibrations(&all).0;
    assert_eq!(fits(LearnedSets::default()), [calibration()]);
    assert_eq!(fits(LearnedSets(vec![learned.clone()])), [anew]);
    let other = Learned {
        conditions: learned.conditions[..1].to_vec(),
        ..learned
    };
    assert_eq!(fits(LearnedSets(vec![other])), []);
}

#[test]
fn what_cannot_be_learned_is_answered_too() {
    let running = start(
        Behaviour::Answer,
        false,
        Settings {
            prompts: Prompts::only(ward()),
            ..settings()
        },
    );
    let unlabelled: Vec<LearnImage> = images().split_off(8);
    let reason = running.learn(unlabelled).unwrap_err();
    assert!(reason.contains("reviewed"), "{reason}");
}

#[test]
fn a_file_that_does_not_fit_model_or_prompts_scores_nothing_and_is_named() {
    let running = start(
        Behaviour::Answer,
        false,
        Settings {
            prompts: Prompts::only(ward()),
            ..settings()
        },
    );
    let learned = running.learn(images()).unwrap().learned;
    let mut longer = learned.clone();
    longer.conditions[0].direction = vec![0.5; 7].into();
    let mut unknown = learned;
    unknown.conditions[0].condition = "mass".to_owned();
    for (own, words) in [
        (longer, "7 numbers"),
        (unknown, "`mass` is not a condition"),
    ] {
        running.engine.use_learned(LearnedSets(vec![own]));
        running
            .engine
            .use_prompts(Prompts::only(ward()), Mode::Single, 1);
        let warnings = running.next(|event| match event {
            Event::Prompts { warnings, .. } => Some(warnings),
            _ => None,
        });
        let is_named = |own: &String| own.contains(words) && own.contains("is not used");
        assert!(warnings.iter().any(is_named), "{words}: {warnings:?}");
    }
}
