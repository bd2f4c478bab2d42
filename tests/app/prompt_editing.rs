//! Editing prompt sets, letting a language model draft them, and what a change does to the labels.

use crossterm::event::KeyCode;
use medivision_tui::app::{DraftedSet, Effect, LanguageModel, Msg, Severity, UnsavedDraft};
use medivision_tui::engine::Event;
use medivision_tui::prompts::draft::{LeftOut, PhraseFault};
use medivision_tui::prompts::{PromptSet, Prompts};
use medivision_tui::scoring::Mode;

use crate::pickers::{choosing, scored, switched};
use crate::scene::{Program, key};
use crate::screens::at_all_sizes;

fn local() -> LanguageModel {
    LanguageModel {
        url: "http://127.0.0.1:8080/v1/chat/completions".to_owned(),
        name: "qwen".to_owned(),
        is_local: true,
    }
}

/// The list of prompt sets is open, with the cursor on `general`; `j` goes to `chest-xray`.
fn drafting() -> Program {
    let mut program = Program::with_language_model(Ok(local()));
    choosing(&mut program);
    program
}

fn requests(effects: &[Effect]) -> usize {
    let is_request = |effect: &&Effect| matches!(effect, Effect::DraftPrompts { .. });
    effects.iter().filter(is_request).count()
}

#[test]
fn what_would_be_sent_is_shown_and_only_y_sends_it() {
    let mut program = drafting();
    assert_eq!(requests(&program.press("jd")), 0);
    let mut seen = String::new();
    for _ in 0..6 {
        seen.push_str(&program.screen(100, 24));
        program.press("jjjjjjjj");
    }
    for words in [
        "127.0.0.1:8080",
        "on this machine",
        "y sends this",
        "- pneumonia",
        "- tumor",
        "- normal (the healthy state)",
        "Modality: X-ray",
        "temperature: 0",
        "json_schema",
    ] {
        assert!(seen.contains(words), "{words}:\n{seen}");
    }
    let other_keys = [
        KeyCode::Enter,
        KeyCode::Right,
        KeyCode::Char('l'),
        KeyCode::Esc,
    ];
    for code in other_keys {
        assert_eq!(requests(&program.send(key(code))), 0, "{code:?}");
    }
    assert_eq!(requests(&program.press("y")), 0, "it is closed");
    program.press("p");
    program.press("jd");
    let effects = program.press("y");
    let Some(Effect::DraftPrompts { request, base, .. }) = effects.first() else {
        panic!("{effects:?}");
    };
    assert_eq!(request.conditions(), ["pneumonia", "tumor", "normal"]);
    assert_eq!(
        (request.modality(), base.name.as_str()),
        ("X-ray", "chest-xray")
    );
    assert!(program.screen(100, 24).contains("qwen writes phrases"));
}

#[test]
fn what_would_be_sent_fits_every_screen() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        *program = drafting();
        program.press("jd");
    }));
}

/// A draft for the set chest-xray, of which one phrase was left out.
fn a_draft() -> Box<DraftedSet> {
    let prompts = Prompts::select("chest-xray", None).unwrap();
    let base = prompts.sets()[0].clone();
    let mut set = base.clone();
    "chest-xray-draft".clone_into(&mut set.name);
    set.conditions[0].phrases = vec![
        set.conditions[0].name.clone(),
        "dense patch with air-filled bronchi".to_owned(),
    ];
    Box::new(DraftedSet {
        set,
        base,
        provenance: vec!["Drafted by qwen.".to_owned()],
        left_out: vec![LeftOut {
            condition: "pneumonia".to_owned(),
            phrase: "clouding without a border".to_owned(),
            fault: PhraseFault::Negation("without".to_owned()),
        }],
        not_compared: None,
        not_saved: None,
        kept: None,
    })
}

#[test]
fn a_draft_is_shown_beside_the_set_that_it_is_to_replace_and_saved_only_on_request() {
    let mut program = drafting();
    let drafted = |serial| Msg::Drafted {
        serial,
        outcome: Ok(a_draft()),
    };
    program.press("jdy");
    assert_eq!(program.send(drafted(7)), [], "another request");
    assert_eq!(program.send(drafted(1)), []);
    let screen = program.screen(100, 200);
    for part in [
        "chest-xray-draft, beside chest-xray",
        "  + dense patch with air-filled bronchi",
        "“clouding without a border”: “without” negates",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
    let saves = |effects: &[Effect]| {
        let is_save = |effect: &&Effect| matches!(effect, Effect::SaveDraft(_));
        effects.iter().filter(is_save).count()
    };
    assert_eq!(saves(&program.send(key(KeyCode::Enter))), 0);
    let effects = program.press("y");
    assert_eq!(effects, [Effect::SaveDraft(a_draft())]);
    let saved = Msg::DraftSaved(Ok("chest-xray-draft".to_owned()));
    assert_eq!(program.send(saved), [Effect::PromptSets]);
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("saved chest-xray-draft; p lists it"),
        "{screen}"
    );
}

#[test]
fn a_draft_that_nobody_wants_is_not_saved() {
    let mut program = drafting();
    program.press("jdy");
    program.send(Msg::Drafted {
        serial: 1,
        outcome: Ok(a_draft()),
    });
    assert_eq!(program.send(key(KeyCode::Esc)), []);
    let effects = program.press("y");
    let is_save = |effect: &Effect| matches!(effect, Effect::SaveDraft(_));
    assert!(!effects.iter().any(is_save), "{effects:?}");
}

#[test]
fn a_draft_that_could_not_be_saved_is_shown_again_and_y_tries_again() {
    let mut program = drafting();
    program.press("jdy");
    program.send(Msg::Drafted {
        serial: 1,
        outcome: Ok(a_draft()),
    });
    assert_eq!(program.press("y"), [Effect::SaveDraft(a_draft())]);
    assert!(!program.screen(80, 24).contains("beside chest-xray"));
    let reason = "/p/chest-xray-draft.toml: No space left; the draft is in /tmp/.d.draft";
    let kept = Some("/tmp/.d.draft".into());
    program.send(Msg::DraftSaved(Err(UnsavedDraft {
        reason: reason.to_owned(),
        kept: kept.clone(),
    })));
    let screen = program.screen(100, 24);
    for part in [
        "chest-xray-draft, beside chest-xray",
        "Not saved: /p/chest-xray-draft.toml: No space left",
        "/tmp/.d.draft. y tries",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
    let effects = program.press("y");
    assert!(
        matches!(effects.as_slice(), [Effect::SaveDraft(draft)] if draft.set == a_draft().set && draft.kept == kept),
        "{effects:?}"
    );
    program.send(Msg::DraftSaved(Ok("chest-xray-draft".to_owned())));
    assert!(!program.screen(80, 24).contains("beside chest-xray"));
}

#[test]
fn why_a_draft_failed_can_be_read_in_full_in_the_activity_log() {
    let mut program = drafting();
    program.press("jdy");
    let reason = format!(
        "the answer is not usable: “{}”; try again",
        "word ".repeat(60)
    );
    let outcome = Err(reason);
    program.send(Msg::Drafted { serial: 1, outcome });
    program.press("va");
    program.send(key(KeyCode::Enter));
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("What failed") && screen.contains("; try again"),
        "{screen}"
    );
}

#[test]
fn a_drafted_set_fits_every_screen() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        *program = drafting();
        program.press("jdy");
        program.send(Msg::Drafted {
            serial: 1,
            outcome: Ok(a_draft()),
        });
    }));
}

#[test]
fn a_draft_can_be_stopped_and_a_failure_is_told() {
    let mut program = drafting();
    program.press("jdy");
    program.press("p");
    assert_eq!(program.press("jd"), [Effect::StopDraft]);
    let outcome = Ok(a_draft());
    assert_eq!(
        program.send(Msg::Drafted { serial: 1, outcome }),
        [],
        "nobody waits for it"
    );
    program.press("d");
    program.press("y");
    let outcome = Err("the answer is not usable: it is empty; try again".to_owned());
    program.send(Msg::Drafted { serial: 2, outcome });
    assert!(program.screen(100, 24).contains("the answer is not usable"));
}

#[test]
fn without_a_language_model_nothing_is_drafted_and_the_reason_is_told() {
    let mut program = Program::new(100, 24);
    choosing(&mut program);
    assert_eq!(program.press("jd"), []);
    assert!(program.screen(100, 24).contains("set MEDIVISION_LLM_URL"));
    let mut program =
        Program::with_language_model(Err("the endpoint `x` is not an address".to_owned()));
    choosing(&mut program);
    assert_eq!(program.press("jd"), []);
    assert!(program.screen(100, 24).contains("`x` is not an address"));
}

/// The set that an editor is opened for.
fn edited(effects: &[Effect]) -> Option<&str> {
    match effects {
        [Effect::EditPrompts(set)] => Some(&set.name),
        _ => None,
    }
}

#[test]
fn the_set_under_the_cursor_or_in_use_is_edited() {
    let mut program = Program::new(80, 24);
    choosing(&mut program);
    assert_eq!(edited(&program.press("jE")), Some("chest-xray"));
    program.press("g");
    assert_eq!(program.press("E"), [], "auto is no file");
    let broken = program.press("GE");
    assert!(
        matches!(broken.as_slice(), [Effect::EditPrompts(set)] if set.file.as_deref().is_some_and(|file| file.ends_with("broken.toml"))),
        "{broken:?}"
    );
    program.press("p");
    assert_eq!(edited(&program.press("E")), Some("general"));
}

#[test]
fn a_set_that_was_edited_is_used_at_once() {
    let mut program = Program::new(80, 24);
    choosing(&mut program);
    program.press("p");
    let shipped = Prompts::select("general", None).expect("shipped").sets()[0].clone();
    let file = Some("/home/u/prompts/general.toml".into());
    let own = PromptSet { file, ..shipped };
    let used = |effects: &[Effect]| {
        let uses = |effect: &&Effect| matches!(effect, Effect::UsePrompts { prompts, .. } if prompts.sets() == [own.clone()]);
        effects.iter().filter(uses).count()
    };
    assert_eq!(program.send(Msg::PromptSetEdited(Ok(None))), []);
    assert!(program.screen(80, 24).contains("was not changed"));
    assert_eq!(
        used(&program.send(Msg::PromptSetEdited(Ok(Some(own.clone()))))),
        1
    );
    program.engine_uses(Event::Prompts {
        prompts: "general".to_owned(),
        mode: Mode::Single,
        warnings: Vec::new(),
        revision: 0,
    });
    // From now on its file is watched, which tells of changes by itself.
    assert_eq!(
        used(&program.send(Msg::PromptSetEdited(Ok(Some(own.clone()))))),
        0
    );
    program.send(Msg::PromptSetEdited(Err("general.toml:3: no".to_owned())));
    assert!(program.screen(80, 24).contains("general.toml:3: no"));
}

#[test]
fn the_labels_that_changed_are_counted_and_listed() {
    let mut program = Program::new(80, 24);
    choosing(&mut program);
    program.press("p");
    program.press("vd");
    assert!(
        program
            .screen(80, 24)
            .contains("no other prompts were used")
    );
    let known = switched(&mut program);
    let part = vec![scored(&known[0], "haze")];
    program.send(Msg::Engine(Event::Rescored {
        files: part,
        left: 1,
    }));
    assert!(!program.screen(80, 24).contains("labels changed"));
    let mut same = known[1].clone();
    same.generation = known[1].generation;
    program.send(Msg::Engine(Event::Rescored {
        files: vec![same],
        left: 0,
    }));
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("1 of 2 labels changed; v d lists them"),
        "{screen}"
    );
    program.press("vd");
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("pneumonia → haze") && screen.contains("a.png"),
        "{screen}"
    );
    program.send(key(KeyCode::Enter));
    assert!(!program.screen(80, 24).contains("Labels that changed"));
}

#[test]
fn nothing_is_said_of_labels_that_stay_or_are_hidden() {
    let mut program = Program::new(80, 24);
    choosing(&mut program);
    program.press("p");
    let files = switched(&mut program);
    program.send(Msg::Engine(Event::Rescored { files, left: 0 }));
    assert!(program.screen(80, 24).contains("no label changed"));
    let mut failed = Program::new(80, 24);
    choosing(&mut failed);
    failed.press("p");
    let files = switched(&mut failed);
    failed.send(Msg::Report {
        severity: Severity::Error,
        text: "/no/such/editor failed".to_owned(),
    });
    failed.send(Msg::Engine(Event::Rescored { files, left: 0 }));
    assert!(failed.screen(80, 24).contains("/no/such/editor failed"));
    let mut blind = Program::reviewing("anna", true);
    blind.press("vd");
    let screen = blind.screen(100, 24);
    assert!(screen.contains("changes of labels are hidden"), "{screen}");
}

#[test]
fn a_warning_about_prompts_is_told_once_and_hides_nothing() {
    let mut program = Program::new(100, 24);
    program.ready(false);
    let warning = "prompt set `weak`: the model does not know these words: lesion";
    let uses = |warnings: &[&str]| Event::Prompts {
        prompts: "weak".to_owned(),
        mode: Mode::Single,
        warnings: warnings.iter().map(|own| (*own).to_owned()).collect(),
        revision: 0,
    };
    program.engine_uses(uses(&[warning]));
    let told = program.screen(100, 24);
    assert!(told.contains("these words: lesion"), "{told}");
    program.engine_uses(uses(&[warning]));
    let again = program.screen(100, 24);
    assert!(!again.contains("these words"), "{again}");
    assert!(again.contains("prompts: weak"), "{again}");
}
