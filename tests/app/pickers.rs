//! Choosing prompts and models: what is listed, what is asked for, and how results follow.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Msg, NamedPromptSet, OfferedModel};
use medivision_tui::encoder::catalog;
use medivision_tui::engine::{ClassifiedFile, Event, Lane};
use medivision_tui::prompts::{self, PromptSet, Prompts};
use medivision_tui::scoring::Decision;
use medivision_tui::scoring::Mode;

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
pub fn sets() -> Vec<NamedPromptSet> {
    let mut sets = prompts::all_named(None);
    sets.push(("ward".to_owned(), PromptSet::parse(WARD, "ward.toml")));
    let broken = PromptSet::parse(
        "name = \"broken\"\nnames = 1\n",
        "/home/u/prompts/broken.toml",
    );
    sets.push(("broken".to_owned(), broken));
    sets
}

/// Three pictures, two of them classified, and the list of sets open.
pub fn choosing(program: &mut Program) {
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
        Effect::UsePrompts { prompts, .. } => Some(prompts.name().to_owned()),
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
pub fn switched(program: &mut Program) -> Vec<ClassifiedFile> {
    let effects = program.engine_uses(Event::Prompts {
        prompts: "ward".to_owned(),
        mode: Mode::Single,
        warnings: Vec::new(),
        revision: 0,
    });
    let known = effects.into_iter().find_map(|effect| match effect {
        Effect::Rescore(files) => Some(files),
        _ => None,
    });
    let mut known = known.unwrap_or_default();
    known.sort_by(|a, b| a.path.cmp(&b.path));
    known
}

pub fn scored(known: &ClassifiedFile, label: &str) -> ClassifiedFile {
    let verdict = record(label, 0.8, Decision::Confident)
        .expect("a record")
        .verdict;
    let mut records = known.records.to_vec();
    records[0].verdict = verdict;
    ClassifiedFile {
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
    program.press("sp");
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
    assert!(screen.contains("rescoring 1/2"), "{screen}");
}

/// The report that the file of the prompts in use was edited.
fn edited(revision: u64, set: Option<&str>, fault: Option<&str>) -> Msg {
    let set = set.map(|text| PromptSet::parse(text, "ward.toml").expect("a prompt set"));
    Msg::PromptsEdited {
        revision,
        prompts: set.map(Prompts::only),
        fault: fault.map(str::to_owned),
    }
}

#[test]
fn an_edited_prompt_set_is_used_at_once_and_those_on_screen_come_first() {
    let names: Vec<String> = (0..100).map(|n| format!("{n:02}.png")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut program = Program::new(80, 24);
    program.list(names.iter().map(|name| file(name)).collect());
    program.ready(false);
    program.scan(&names);
    for name in &names {
        program.answer(name, record("pneumonia", 0.9, Decision::Confident));
    }
    program.press("G");
    let effects = program.send(edited(0, Some(WARD), None));
    let used = effects.iter().any(
        |effect| matches!(effect, Effect::UsePrompts { prompts, .. } if prompts.name() == "ward"),
    );
    assert!(used, "{effects:?}");
    let effects = program.engine_uses(Event::Prompts {
        prompts: "ward".to_owned(),
        mode: Mode::Single,
        warnings: Vec::new(),
        revision: 0,
    });
    let [Effect::Rescore(files)] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(files.len(), 100);
    let screen = program.screen(80, 24);
    for file in &files[..20] {
        let name = file.path.file_name().and_then(|name| name.to_str());
        assert!(
            screen.contains(name.expect("a name")),
            "{name:?}:\n{screen}"
        );
    }
}

#[test]
fn an_invalid_prompt_file_is_shown_with_its_reason_until_it_is_right() {
    let mut program = program();
    assert_eq!(chosen(&mut program, "Gk"), ["ward"]);
    program.engine_uses(Event::Prompts {
        prompts: "ward".to_owned(),
        mode: Mode::Single,
        warnings: Vec::new(),
        revision: 0,
    });
    let fault = "ward.toml:7: phrases: expected a list";
    assert_eq!(program.send(edited(0, None, Some(fault))), []);
    assert!(
        !program.screen(80, 24).contains(fault),
        "it is about prompts that are no longer in use"
    );
    assert_eq!(program.send(edited(1, None, Some(fault))), []);
    assert!(program.screen(80, 24).contains(fault));
    program.press("j");
    assert!(program.screen(80, 24).contains(fault), "it stays");
    program.press("e");
    let screen = program.screen(80, 24);
    assert!(screen.contains("stay in use"), "{screen}");
    program.send(key(KeyCode::Esc));
    program.send(edited(1, None, None));
    assert!(!program.screen(80, 24).contains(fault));
}

// ── models ────────────────────────────────────────────────────────────────────────────────────────────────────────

fn offered(id: &str, there: bool) -> OfferedModel {
    OfferedModel {
        id: id.to_owned(),
        name: id.to_owned(),
        entry: catalog::find(id),
        there,
    }
}

const BIOMEDCLIP: &str = "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224";
const PLIP: &str = "vinid/plip";

/// The built-in model has rejected two pictures, and the list of models is open.
fn choosing_a_model(program: &mut Program) {
    program.list(["a.png", "b.png", "c.png"].map(file).to_vec());
    program.ready(true);
    program.scan(&["a.png", "b.png", "c.png"]);
    program.answer("a.png", record("normal", 0.9, Decision::Rejected));
    program.answer("b.png", record("tumor", 0.4, Decision::Rejected));
    program.rest();
    assert!(program.press("m").contains(&Effect::Models));
    let gated = "google/medsiglip-448";
    let own = OfferedModel {
        name: "ours".to_owned(),
        ..offered("/models/ours", true)
    };
    program.send(Msg::Models(vec![
        offered("builtin", true),
        offered(BIOMEDCLIP, false),
        offered(gated, false),
        offered(PLIP, true),
        own,
    ]));
}

fn with_models() -> Program {
    let mut program = Program::new(80, 24);
    choosing_a_model(&mut program);
    program
}

fn pulled(effects: &[Effect]) -> Option<(String, u64)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Pull { id, serial } => Some((id.clone(), *serial)),
        _ => None,
    })
}

fn used(effects: &[Effect]) -> Option<(String, u64)> {
    effects.iter().find_map(|effect| match effect {
        Effect::UseModel { id, serial } => Some((id.clone(), *serial)),
        _ => None,
    })
}

fn enter(program: &mut Program) -> Vec<Effect> {
    program.send(key(KeyCode::Enter))
}

fn ready(name: &str) -> Event {
    Event::Ready {
        model: name.to_owned(),
        device: "cpu".to_owned(),
        prompts: "general".to_owned(),
        is_builtin: false,
        warnings: Vec::new(),
    }
}

#[test]
fn the_list_of_models() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        choosing_a_model(program);
        program.press("j");
    }));
}

#[test]
fn a_model_on_its_way() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        choosing_a_model(program);
        program.press("j");
        let (_, serial) = pulled(&enter(program)).expect("it is fetched");
        program.send(Msg::Pulling {
            serial,
            came: 196_000_000,
            size: Some(784_000_000),
            waits: false,
        });
    }));
}

#[test]
fn a_model_that_cannot_be_had() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        choosing_a_model(program);
        program.press("j");
        let (_, serial) = pulled(&enter(program)).expect("it is fetched");
        program.send(key(KeyCode::Esc));
        program.send(Msg::Pulled {
            serial,
            outcome: Err("/home/u/.cache/huggingface/hub needs 784 MB more, and 12 MB are free; free some, or set \
                          HF_HOME to a folder on a larger disk".to_owned()),
        });
    }));
}

#[test]
fn what_is_missing_is_fetched_and_then_taken_into_use() {
    let mut program = with_models();
    program.press("j");
    let (id, serial) = pulled(&enter(&mut program)).expect("it is fetched");
    assert_eq!(id, BIOMEDCLIP);
    program.send(Msg::Pulling {
        serial,
        came: 50,
        size: Some(200),
        waits: false,
    });
    assert!(program.screen(80, 24).contains("25 % of 200 bytes"));
    program.send(key(KeyCode::Esc));
    assert!(
        program
            .screen(120, 24)
            .contains("downloading biomedclip: 25 %")
    );
    let effects = program.send(Msg::Pulled {
        serial,
        outcome: Ok(()),
    });
    let (id, _) = used(&effects).expect("it is taken into use");
    assert_eq!(id, BIOMEDCLIP);
}

#[test]
fn enter_again_stops_and_what_comes_later_changes_nothing() {
    let mut program = with_models();
    program.press("j");
    let (_, serial) = pulled(&enter(&mut program)).expect("it is fetched");
    assert!(enter(&mut program).contains(&Effect::StopPull));
    let late = program.send(Msg::Pulled {
        serial,
        outcome: Ok(()),
    });
    assert_eq!(used(&late), None);
    let (_, again) = pulled(&enter(&mut program)).expect("it is fetched again");
    assert_ne!(again, serial);
}

#[test]
fn one_model_is_fetched_at_a_time() {
    let mut program = with_models();
    program.press("j");
    enter(&mut program);
    program.press("j");
    assert_eq!(pulled(&enter(&mut program)), None);
    assert!(program.screen(80, 24).contains("one download at a time"));
    // One that is there can be used meanwhile.
    program.press("j");
    assert_eq!(
        used(&enter(&mut program)).map(|(id, _)| id).as_deref(),
        Some(PLIP)
    );
}

/// PLIP is being read; the number of its engine.
fn reading_plip(program: &mut Program) -> u64 {
    program.press("jjj");
    let (id, serial) = used(&enter(program)).expect("it is taken into use");
    assert_eq!(id, PLIP);
    serial
}

#[test]
fn the_model_before_answers_until_the_next_is_ready() {
    let mut program = with_models();
    let serial = reading_plip(&mut program);
    let event = Event::Loading;
    program.send(Msg::OtherEngine { serial, event });
    let screen = program.screen(120, 24);
    assert!(
        screen.contains("builtin") && screen.contains("loading vinid/plip"),
        "{screen}"
    );
    program.answer("c.png", record("fracture", 0.9, Decision::Rejected));
    let event = ready(PLIP);
    let effects = program.send(Msg::OtherEngine { serial, event });
    let asked = |lane: Lane| -> Vec<_> {
        let jobs = crate::scene::started(&effects).into_iter();
        let jobs = jobs.filter(|job| job.lane == lane);
        jobs.map(|job| job.path).collect()
    };
    assert_eq!(effects[0], Effect::AdoptEngine { serial });
    assert_eq!(asked(Lane::Interactive), [path("a.png")]);
    assert_eq!(asked(Lane::Bulk), [path("b.png"), path("c.png")]);
    assert!(program.screen(120, 24).contains("vinid/plip"));
    // The engine of the start has no say any more.
    program.send(Msg::Engine(ready("builtin")));
    program.send(Msg::Engine(Event::Failed {
        message: "gone".to_owned(),
    }));
    assert!(program.screen(120, 24).contains("vinid/plip"));
}

#[test]
fn a_model_that_cannot_be_read_leaves_the_one_before() {
    let mut program = with_models();
    let serial = reading_plip(&mut program);
    let event = Event::Failed {
        message: "model.safetensors: the weights lack the tensor `logit_scale`".to_owned(),
    };
    let effects = program.send(Msg::OtherEngine { serial, event });
    assert_eq!(effects[0], Effect::DropEngine { serial });
    let screen = program.screen(80, 24);
    for words in ["not usable", "logit_scale", "builtin stays in use"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    program.send(key(KeyCode::Esc));
    assert!(!program.press("c").is_empty(), "it still classifies");
}

#[test]
fn of_two_models_chosen_in_a_row_the_later_counts() {
    let mut program = with_models();
    let first = reading_plip(&mut program);
    program.press("m");
    program.press("G");
    let (id, second) = used(&enter(&mut program)).expect("it is taken into use");
    assert_eq!(id, "/models/ours");
    for (serial, name) in [(first, PLIP), (second, "ours")] {
        let event = ready(name);
        program.send(Msg::OtherEngine { serial, event });
    }
    let screen = program.screen(120, 24);
    assert!(
        screen.contains(" ours") && !screen.contains("vinid/plip"),
        "{screen}"
    );
}

#[test]
fn where_no_model_could_be_read_another_can_be_chosen() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("a.png")]);
    program.send(Msg::Engine(Event::Failed {
        message: "no".to_owned(),
    }));
    program.scan(&["a.png"]);
    program.press("m");
    program.send(Msg::Models(vec![offered("builtin", true)]));
    let (_, serial) = used(&enter(&mut program)).expect("it is taken into use");
    let event = ready("builtin");
    program.send(Msg::OtherEngine { serial, event });
    assert!(program.asked("a.png").is_some());
    assert!(!program.screen(80, 24).contains("no model"));
}
