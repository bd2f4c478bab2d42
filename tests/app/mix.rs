//! Results adjusted to the folder's mix: asked for with a key, followed while results change, and shown beside the scores.

use std::sync::Arc;

use medivision_tui::app::mix::{MixRequest, MixSetting};
use medivision_tui::app::{Effect, Msg};
use medivision_tui::library::mixes::FolderMixes;
use medivision_tui::library::{Outcome, Record};
use medivision_tui::scoring::calibration::{
    AnswerRule, Calibration, Calibrations, ConditionMix, MixCalibration, SingleCalibration,
};
use medivision_tui::scoring::{Decision, Mode, Score};

use crate::scene::{Program, file, prompts, record};

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// A calibrated result.
fn calibrated(tumor: f64) -> Outcome {
    let label = if tumor > 0.5 { "tumor" } else { "normal" };
    let score = |condition: &str, probability: f64| Score {
        condition: condition.to_owned(),
        probability,
        max: None,
        similarity: 0.2,
        threshold: None,
        normal: false,
        calibrated: false,
    };
    let mut own = record(label, tumor.max(1.0 - tumor), Decision::Confident)?;
    own.verdict.scores = vec![score("tumor", tumor), score("normal", 1.0 - tumor)];
    own.verdict
        .scores
        .sort_by(|a, b| b.probability.total_cmp(&a.probability));
    own.calibrated = true;
    Ok(own)
}

/// A calibration to as many tumors as normal images.
fn calibrations(of: &Record) -> Calibrations {
    let condition = |name: &str| ConditionMix {
        condition: name.to_owned(),
        offset: 0.0,
        share: 0.5,
    };
    Calibrations(vec![Calibration {
        model: of.model.clone(),
        model_digest: of.model_digest.clone(),
        prompts: of.prompts.clone(),
        prompts_digest: of.prompts_digest.clone(),
        mode: Mode::Single,
        learned: None,
        fit: None,
        synthetic: false,
        at: "2026-01-01T00:00:00Z".to_owned(),
        images: 100,
        error_before: 0.1,
        error_after: 0.01,
        single: Some(SingleCalibration {
            temperature: 1.0,
            confident_from: None,
            confident: 0.0,
            wrong: 0.0,
            answers: AnswerRule {
                temperature: 1.0,
                least: 0.1,
                coverage: 0.9,
            },
            mix: Some(MixCalibration {
                slope: 1.0,
                conditions: vec![condition("tumor"), condition("normal")],
                checks: Vec::new(),
            }),
        }),
        conditions: Vec::new(),
        normal: Vec::new(),
        left_out: Vec::new(),
    }])
}

/// Twelve images: one that the scores barely call a tumor, the others normal.
fn folder(setting: MixSetting, cols: u16) -> Program {
    let mut program = Program::adjusting(setting);
    program.send(Msg::Resized { cols, rows: 24 });
    program.list(NAMES.map(file).into());
    program.ready(false);
    program.scan(&NAMES);
    program.answer("a", calibrated(0.6));
    for name in &NAMES[1..] {
        program.answer(name, calibrated(0.03));
    }
    program
}

fn request(effects: &[Effect]) -> Option<MixRequest> {
    effects.iter().find_map(|effect| match effect {
        Effect::Adjust(request) => Some(request.clone()),
        _ => None,
    })
}

/// Carries the request out, as the runtime does.
fn answer(program: &mut Program, request: &MixRequest, calibrations: &Calibrations) {
    let records = request.files.iter().filter_map(|own| own.last());
    let prompts = prompts();
    let mixes = FolderMixes::new(records, calibrations, &prompts, request.stated.as_ref());
    program.send(Msg::Adjusted {
        generation: request.generation,
        mixes: Box::new(mixes),
    });
}

fn any_record() -> Record {
    calibrated(0.6).expect("a record")
}

#[test]
fn a_key_adds_a_second_figure_and_takes_it_away() {
    let mut program = folder(MixSetting::default(), 80);
    let before = program.screen(80, 24);
    assert!(!before.contains("adjusted"), "{before}");
    let asked = request(&program.press("%")).expect("a request");
    assert_eq!((asked.files.len(), &asked.stated), (12, &None));
    answer(&mut program, &asked, &calibrations(&any_record()));
    let screen = program.screen(80, 24);
    assert!(screen.contains("estimated mix of 12 images"), "{screen}");
    insta::assert_snapshot!(screen);
    program.press("%");
    let after = program.screen(80, 24);
    assert!(
        !after.contains("adjusted") && after.contains("as they are"),
        "{after}"
    );
}

#[test]
fn a_wide_list_names_the_other_label() {
    let mut program = folder(MixSetting::default(), 140);
    let asked = request(&program.press("%")).expect("a request");
    answer(&mut program, &asked, &calibrations(&any_record()));
    let screen = program.screen(140, 24);
    let first = screen
        .lines()
        .find(|line| line.contains("tumor"))
        .expect("the tumor");
    assert!(first.contains("normal"), "{screen}");
}

#[test]
fn the_mix_follows_the_results_once_a_second_and_late_answers_change_nothing() {
    let stated = "20% tumor".parse().expect("a mix");
    let setting = MixSetting {
        is_on: true,
        stated: Some(stated),
    };
    let mut program = folder(setting, 80);
    // It was asked for at the start, when nothing was known, and is not asked for twice.
    let first = program
        .effects
        .iter()
        .find_map(|effect| request(std::slice::from_ref(effect)));
    let first = first.expect("a request");
    assert!(request(&program.press("j")).is_none());
    answer(&mut program, &first, &calibrations(&any_record()));
    let mut later = None;
    for _ in 0..60 {
        later = later.or(request(&program.rest()));
    }
    let later = later.expect("a request after a second");
    assert_eq!(later.files.len(), 12);
    assert!(later.generation > first.generation);
    answer(&mut program, &first, &Calibrations::default());
    assert!(!program.screen(80, 24).contains("Not adjusted"));
    answer(&mut program, &later, &calibrations(&any_record()));
    assert!(
        program.screen(80, 24).contains("stated mix"),
        "{}",
        program.screen(80, 24)
    );
}

#[test]
fn scores_that_are_not_calibrated_are_not_adjusted_and_that_is_said() {
    let mut program = folder(MixSetting::default(), 100);
    let asked = request(&program.press("%")).expect("a request");
    answer(&mut program, &asked, &Calibrations::default());
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("not calibrated") && screen.contains("Not adjusted"),
        "{screen}"
    );
    assert!(Arc::strong_count(&asked.files[0]) > 1, "nothing was copied");
}
