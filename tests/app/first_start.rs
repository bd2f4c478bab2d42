//! The built-in model and real images: their kind is told, and where findings come from is said once.

use medivision_tui::app::Effect;
use medivision_tui::library::{Outcome, Record};
use medivision_tui::scoring::Decision;

use crate::scene::{Program, file, record};

/// What the built-in model says of a real image, or with the prompts of findings of a phantom.
fn told(label: &str, prompts: &str) -> Outcome {
    record(label, 0.9, Decision::Confident).map(|record| Record {
        model: "builtin".to_owned(),
        prompts: prompts.to_owned(),
        synthetic: prompts != "kinds",
        ..record
    })
}

fn started(offers_model: bool) -> Program {
    let mut program = Program::offering(offers_model);
    program.list(["a.png", "b.png"].map(file).to_vec());
    program.scan(&["a.png", "b.png"]);
    program.ready(true);
    program
}

fn offers(program: &Program) -> usize {
    let all = program.effects.iter();
    all.filter(|effect| **effect == Effect::ModelOffered)
        .count()
}

#[test]
fn a_model_for_findings_is_offered_once_at_the_first_real_image() {
    let mut program = started(true);
    program.answer("a.png", told("pneumonia", "chest-xray"));
    assert_eq!(offers(&program), 0, "a phantom needs no other model");
    program.answer("b.png", told("chest radiograph", "kinds"));
    assert_eq!(offers(&program), 1);
    let screen = program.screen(160, 50);
    assert!(
        screen.contains("findings need a medical model: m gets one, for example BiomedCLIP"),
        "{screen}"
    );
    program.answer("a.png", told("chest radiograph", "kinds"));
    assert_eq!(offers(&program), 1);
}

#[test]
fn nothing_is_offered_again() {
    let mut program = started(false);
    program.answer("b.png", told("chest radiograph", "kinds"));
    assert_eq!(offers(&program), 0);
    assert!(!program.screen(160, 50).contains("for example BiomedCLIP"));
}

#[test]
fn one_banner_says_where_findings_come_from() {
    let banner = "Findings need a medical model (press m), or your own labels (press ,)";
    let mut program = started(false);
    program.answer("a.png", told("pneumonia", "chest-xray"));
    assert!(!program.screen(160, 50).contains(banner));
    program.answer("b.png", told("chest radiograph", "kinds"));
    program.rest();
    let list = |program: &Program| {
        let screen = program.screen(160, 50);
        let lines = screen.lines().skip(1).take(4);
        let list = lines.map(|line| line.split('│').next().unwrap_or_default().to_owned());
        list.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        list(&program).matches("Findings need").count(),
        1,
        "{}",
        list(&program)
    );
    assert!(
        list(&program).contains("chest radiograph"),
        "{}",
        list(&program)
    );
    // The image's own panel says it in full.
    program.press("j");
    program.rest();
    let screen = program.screen(100, 60);
    let words: Vec<&str> = screen.split(['│', '\n']).map(str::trim).collect();
    let screen = words.join(" ");
    assert!(screen.contains("Findings need a medical model"), "{screen}");
}
