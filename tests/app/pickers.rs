//! Choosing prompts: what is listed, what is asked for, and how results follow.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Msg, Named};
use medivision_tui::engine::{Event, Known};
use medivision_tui::prompts::{self, PromptSet};
use medivision_tui::scoring::Decision;

use crate::scene::{Program, file, key, path, record};
use crate::screens::at_all_sizes;

const WARD: &str = r#"
name = "ward"
title = "Our ward"
modalities = ["DX"]
[[condition]]
name = "haze"
phrases = ["haze"]
[[condition]]
name = "clear"
phrases = ["clear lungs"]
"#;

/// The shipped sets, one of the user's, and one that is wrong.
fn sets() -> Vec<Named> {
    let mut sets = prompts::each(None);
    sets.push(("ward".to_owned(), PromptSet::parse(WARD, "ward.toml")));
    let broken = PromptSet::parse(
        "name = \"broken\"\nnames = 1\n",
        "/home/u/prompts/broken.toml",
    );
    sets.push(("broken".to_owned(), broken));
    sets
}

/// Three pictures, two of them classified, and the list of sets open.
fn choosing(program: &mut Program) {
    program.list(["a.png", "b.png", "c.png"].map(file).to_vec());
    program.ready(false);
    program.scan(&["a.png", "b.png", "c.png"]);
    program.answer("a.png", record("pneumonia", 0.9, Decision::Confident));
    program.answer("b.png", record("tumor", 0.4, Decision::Rejected));
    program.rest();
    assert!(program.press("p").contains(&Effect::PromptSets));
    program.send(Msg::PromptSets(sets()));
}

fn program() -> Program {
    let mut program = Program::new(80, 24);
    choosing(&mut program);
    program
}

/// The left panel.
fn list(program: &Program) -> String {
    let screen = program.screen(120, 40);
    let left = |line: &str| line.split('│').next().unwrap_or_default().to_owned();
    screen.lines().map(left).collect::<Vec<_>>().join("\n")
}

/// The prompts asked for by the keys.
fn chosen(program: &mut Program, keys: &str) -> Vec<String> {
    program.press(keys);
    let effects = program.send(key(KeyCode::Enter));
    let names = effects.iter().filter_map(|effect| match effect {
        Effect::UsePrompts(prompts) => Some(prompts.name().to_owned()),
        _ => None,
    });
    names.collect()
}

#[test]
fn the_list_of_prompt_sets() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        choosing(program);
        program.press("jj");
    }));
}

#[test]
fn a_prompt_set_that_is_wrong_says_where() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        choosing(program);
        program.press("G");
    }));
}

#[test]
fn the_cursor_is_on_what_is_in_force_and_enter_asks_for_what_it_is_on() {
    for (keys, name) in [
        ("", "general"),
        ("g", "auto"),
        ("j", "chest-xray"),
        ("Gk", "ward"),
    ] {
        let mut program = program();
        assert_eq!(chosen(&mut program, keys), [name], "{keys}");
        assert!(!program.screen(80, 24).contains("Prompt set"), "{keys}");
    }
}

#[test]
fn a_set_that_is_wrong_is_not_used_and_the_list_stays() {
    let mut program = program();
    assert!(chosen(&mut program, "G").is_empty());
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("Prompt set") && screen.contains("broken.toml:2"),
        "{screen}"
    );
    program.press("p");
    assert!(!program.screen(80, 24).contains("Prompt set"));
}

/// The engine scores by other prompts; what it is then asked to score anew.
fn switched(program: &mut Program) -> Vec<Known> {
    let effects = program.send(Msg::Engine(Event::Prompts {
        prompts: "ward".to_owned(),
        warnings: Vec::new(),
    }));
    let known = effects.into_iter().find_map(|effect| match effect {
        Effect::Rescore(files) => Some(files),
        _ => None,
    });
    let mut known = known.unwrap_or_default();
    known.sort_by(|a, b| a.path.cmp(&b.path));
    known
}

fn scored(known: &Known, label: &str) -> Known {
    let verdict = record(label, 0.8, Decision::Confident)
        .expect("a record")
        .verdict;
    let mut records = known.records.to_vec();
    records[0].verdict = verdict;
    Known {
        records: records.into(),
        ..known.clone()
    }
}

#[test]
fn every_result_follows_the_prompts_and_what_is_queued_stays_queued() {
    let mut program = program();
    chosen(&mut program, "Gk");
    let known = switched(&mut program);
    let paths: Vec<_> = known.iter().map(|known| known.path.clone()).collect();
    assert_eq!(paths, [path("a.png"), path("b.png")]);
    assert!(
        list(&program).contains("pneumonia"),
        "the old result stays until the new one is there"
    );
    let files = vec![scored(&known[0], "haze"), scored(&known[1], "clear")];
    program.send(Msg::Engine(Event::Rescored { files, left: 0 }));
    let screen = list(&program);
    for words in ["a.png", "haze", "clear"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    assert!(!screen.contains("pneumonia"), "{screen}");
}

#[test]
fn a_result_that_came_meanwhile_is_newer_than_one_scored_anew() {
    let mut program = program();
    let known = switched(&mut program);
    program.press("p");
    program.press("c");
    program.answer("a.png", record("fracture", 0.9, Decision::Confident));
    let files = vec![scored(&known[0], "haze")];
    program.send(Msg::Engine(Event::Rescored { files, left: 0 }));
    let screen = list(&program);
    assert!(
        screen.contains("fracture") && !screen.contains("haze"),
        "{screen}"
    );
}

#[test]
fn the_order_follows_the_new_results() {
    let mut program = program();
    program.press("p");
    program.press("sss"); // by probability
    program.press("g");
    let known = switched(&mut program);
    let mut better = scored(&known[1], "clear");
    let mut records = better.records.to_vec();
    records[0].verdict.probability = 0.99;
    better.records = records.into();
    program.send(Msg::Engine(Event::Rescored {
        files: vec![scored(&known[0], "haze"), better],
        left: 0,
    }));
    let screen = program.screen(80, 24);
    let at = |name: &str| screen.lines().skip(1).position(|line| line.contains(name));
    assert!(at("b.png") < at("a.png"), "{screen}");
}

#[test]
fn how_far_it_is_stands_in_the_last_row() {
    let mut program = program();
    program.press("p");
    program.rest();
    let known = switched(&mut program);
    program.send(Msg::Engine(Event::Rescored {
        files: vec![scored(&known[0], "haze")],
        left: 1,
    }));
    for _ in 0..6 {
        program.rest(); // until what was said last has gone
    }
    let screen = program.screen(120, 24);
    assert!(screen.contains("scoring anew 1/2"), "{screen}");
}
