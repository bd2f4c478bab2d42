//! What the library knows is shown without having been requested.

use std::path::PathBuf;

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, FoundFile, Msg, OfferedModel, Stamp};
use medivision_tui::engine::{Event, RecalledFile};
use medivision_tui::library::{FileIdentity, FileWithResult};
use medivision_tui::media::ErrorKind;
use medivision_tui::scoring::Decision;

use crate::scene::{Program, failure, file, key, path, record, stamp, started};

/// A file as its `version` leaves it, and as [`stamp`] describes it.
fn identity(version: i64) -> FileIdentity {
    FileIdentity {
        size: version,
        modified: version * 1_000_000_000,
        changed: 7,
        inode: 7,
    }
}

fn recalled(name: &str, version: i64, label: &str) -> RecalledFile {
    let record = record(label, 0.9, Decision::Confident).expect("a record");
    RecalledFile {
        path: path(name),
        identity: identity(version),
        records: vec![record].into(),
    }
}

fn changed(name: &str, content: &str) -> FileWithResult {
    FileWithResult {
        path: path(name),
        content: content.to_owned(),
    }
}

/// The files looked up by the last of these effects.
fn looked_up(effects: &[Effect]) -> Vec<PathBuf> {
    let found = effects.iter().rev().find_map(|effect| match effect {
        Effect::Recall(paths) => Some(paths.clone()),
        _ => None,
    });
    let mut paths = found.unwrap_or_default();
    paths.sort();
    paths
}

fn answer(program: &mut Program, files: Vec<RecalledFile>, missing: &[&str]) -> Vec<Effect> {
    let missing = missing.iter().map(|name| path(name)).collect();
    program.send(Msg::Engine(Event::Recalled { files, missing }))
}

/// Chooses another model, whose engine is ready at once. Returns its number, and the effects.
fn use_model(program: &mut Program) -> (u64, Vec<Effect>) {
    program.press("m");
    program.send(Msg::Models(vec![OfferedModel {
        id: "other".to_owned(),
        name: "other".to_owned(),
        entry: None,
        there: true,
    }]));
    let effects = program.send(key(KeyCode::Enter));
    let serial = effects.iter().find_map(|effect| match effect {
        Effect::UseModel { serial, .. } => Some(*serial),
        _ => None,
    });
    let serial = serial.expect("it is loaded");
    let event = Event::Ready {
        model: "other".to_owned(),
        device: "cpu".to_owned(),
        prompts: "general".to_owned(),
        is_builtin: false,
        warnings: Vec::new(),
    };
    let effects = program.send(Msg::OtherEngine { serial, event });
    (serial, effects)
}

/// The row of a file in the list.
fn row(program: &Program, name: &str) -> String {
    let screen = program.screen(80, 24);
    let row = screen.lines().skip(1).find(|line| line.contains(name));
    row.unwrap_or_else(|| panic!("{name}:\n{screen}"))
        .to_owned()
}

/// A folder with a, b and c, found by the scan; the model is ready.
fn found() -> (Program, Vec<Effect>) {
    let mut program = Program::with_library();
    program.list(vec![file("a.png"), file("b.png"), file("c.png")]);
    program.scan(&["a.png", "b.png", "c.png"]);
    assert_eq!(started(&program.effects), []);
    let effects = program.ready(false);
    (program, effects)
}

#[test]
fn known_files_get_their_results_and_only_the_others_become_jobs() {
    let (mut program, effects) = found();
    assert_eq!(
        looked_up(&effects),
        ["a.png", "b.png", "c.png"].map(path),
        "once the model is ready"
    );
    let known = vec![
        recalled("a.png", 1, "tumor"),
        recalled("c.png", 1, "normal"),
    ];
    let effects = answer(&mut program, known, &["b.png"]);
    let jobs = started(&effects);
    assert_eq!(
        jobs.iter().map(|job| &job.path).collect::<Vec<_>>(),
        [&path("b.png")]
    );
    assert!(row(&program, "a.png").contains("tumor"));
    assert!(row(&program, "c.png").contains("normal"));
    program.answer("b.png", record("fracture", 0.9, Decision::Confident));
    assert!(row(&program, "b.png").contains("fracture"));
    program.press("va");
    let screen = program.screen(80, 24);
    assert!(screen.contains("2 results from the library"), "{screen}");
    assert!(screen.contains("1 classified"), "{screen}");
}

#[test]
fn files_outside_what_was_searched_are_looked_up_but_not_classified() {
    let mut program = Program::with_library();
    program.ready(false);
    program.list(vec![file("a.png"), file("b.png")]);
    let effects = program.effects.clone();
    assert_eq!(looked_up(&effects), ["a.png", "b.png"].map(path));
    let effects = answer(
        &mut program,
        vec![recalled("a.png", 1, "tumor")],
        &["b.png"],
    );
    assert_eq!(started(&effects), []);
    assert!(row(&program, "a.png").contains("tumor"));
}

#[test]
fn an_answer_that_was_overtaken_changes_nothing() {
    let (mut program, _) = found();
    // b is classified by key, and c has other content.
    program.press("jc");
    program.send(Msg::Modified {
        path: path("c.png"),
        stamp: stamp(2),
        picture: true,
    });
    program.send(Msg::Removed {
        path: path("a.png"),
    });
    let all = ["a.png", "b.png", "c.png"];
    answer(
        &mut program,
        all.map(|name| recalled(name, 1, "tumor")).to_vec(),
        &[],
    );
    assert!(!program.screen(80, 24).contains("tumor"));
    assert!(!program.screen(80, 24).contains("a.png"));
    for name in ["b.png", "c.png"] {
        program.answer(name, record("normal", 0.9, Decision::Confident));
        assert!(
            row(&program, name).contains("normal"),
            "{}",
            program.screen(80, 24)
        );
    }
}

#[test]
fn a_renamed_file_is_looked_up_under_its_new_name() {
    let (mut program, _) = found();
    program.send(Msg::Renamed {
        from: path("a.png"),
        to: file("z.png"),
    });
    let effects = answer(&mut program, Vec::new(), &["a.png", "b.png", "c.png"]);
    assert_eq!(looked_up(&effects), [path("z.png")]);
    answer(&mut program, vec![recalled("z.png", 1, "tumor")], &[]);
    assert!(row(&program, "z.png").contains("tumor"));
}

#[test]
fn of_many_files_those_on_screen_come_first_and_requests_follow_each_other() {
    let names: Vec<String> = (0..1000).map(|n| format!("{n:04}.png")).collect();
    let mut program = Program::with_library();
    program.list(names.iter().map(|name| file(name)).collect());
    let files = names.iter().rev().map(|name| FoundFile {
        path: path(name),
        stamp: Stamp::from(identity(1)),
    });
    let generation = program.scanning();
    program.send(Msg::Scanned {
        generation,
        files: files.collect(),
        complete: true,
    });
    program.press("G");
    let mut effects = program.ready(false);
    let (mut asked, mut first) = (Vec::new(), None);
    loop {
        let now = looked_up(&effects);
        if now.is_empty() {
            break;
        }
        assert!(now.len() <= 300, "{}", now.len());
        first.get_or_insert_with(|| now.clone());
        asked.extend(now.clone());
        assert_eq!(program.press("j"), [], "one request at a time");
        let missing = now.into_iter();
        effects = program.send(Msg::Engine(Event::Recalled {
            files: Vec::new(),
            missing: missing.collect(),
        }));
    }
    asked.sort();
    assert_eq!(
        asked,
        names.iter().map(|name| path(name)).collect::<Vec<_>>()
    );
    let first = first.expect("a request");
    for n in 985..1000 {
        assert!(first.contains(&path(&format!("{n:04}.png"))), "{n}");
    }
}

#[test]
fn a_list_in_the_order_of_results_is_sorted_once_all_are_there() {
    let names: Vec<String> = (0..1000).map(|n| format!("{n:04}.png")).collect();
    let mut program = Program::with_library();
    program.press("sp");
    program.list(names.iter().map(|name| file(name)).collect());
    let mut effects = program.ready(false);
    let mut probability = 0.5;
    loop {
        let now = looked_up(&effects);
        if now.is_empty() {
            break;
        }
        let files = now.iter().map(|path| {
            probability += 0.0004;
            let name = path.file_name().and_then(|name| name.to_str());
            let mut file = recalled(name.expect("a name"), 1, "tumor");
            let mut record = file.records[0].clone();
            record.verdict.probability = probability;
            file.records = vec![record].into();
            file
        });
        effects = answer(&mut program, files.collect(), &[]);
    }
    program.press("g");
    let screen = program.screen(80, 24);
    let shown: Vec<&str> = screen
        .lines()
        .filter(|line| line.contains("tumor") && line.contains(".png"))
        .filter_map(|line| line.split_whitespace().find(|word| word.contains(".png")))
        .collect();
    let expected: Vec<String> = (990..1000).rev().map(|n| format!("{n:04}.png")).collect();
    assert_eq!(shown[..10], expected, "{screen}");
}

#[test]
fn results_that_another_process_adds_are_shown() {
    let mut program = Program::with_library();
    program.ready(false);
    program.list(vec![file("a.png"), file("b.png")]);
    answer(
        &mut program,
        vec![recalled("a.png", 1, "tumor")],
        &["b.png"],
    );
    // a was replaced, and b is known now; the third lies elsewhere.
    let effects = program.send(Msg::LibraryChanged(vec![
        changed("a.png", "blake3:other"),
        changed("b.png", "blake3:other"),
        FileWithResult {
            path: PathBuf::from("/elsewhere/x.png"),
            content: "blake3:other".to_owned(),
        },
    ]));
    assert_eq!(looked_up(&effects), ["a.png", "b.png"].map(path));
    let known = vec![
        recalled("a.png", 2, "normal"),
        recalled("b.png", 1, "fracture"),
    ];
    answer(&mut program, known, &[]);
    assert!(row(&program, "a.png").contains("normal"));
    assert!(row(&program, "b.png").contains("fracture"));
}

#[test]
fn a_result_of_a_content_that_shows_one_is_not_looked_up() {
    let mut program = Program::with_library();
    program.ready(false);
    program.list(vec![file("a.png")]);
    let shown = recalled("a.png", 1, "tumor");
    let content = shown.records[0].content.clone();
    answer(&mut program, vec![shown], &[]);
    // Another process has scored it with other prompts, or this one has.
    let effects = program.send(Msg::LibraryChanged(vec![changed("a.png", &content)]));
    assert_eq!(effects, []);
    assert!(row(&program, "a.png").contains("tumor"));
}

#[test]
fn a_file_that_failed_shows_the_result_that_another_process_has_got() {
    let (mut program, _) = found();
    answer(&mut program, Vec::new(), &["a.png", "b.png", "c.png"]);
    program.answer("a.png", failure(ErrorKind::Truncated, "it ends early"));
    assert!(row(&program, "a.png").contains("truncated"));
    let effects = program.send(Msg::LibraryChanged(vec![changed("a.png", "blake3:1")]));
    assert_eq!(looked_up(&effects), [path("a.png")]);
    answer(&mut program, vec![recalled("a.png", 1, "tumor")], &[]);
    assert!(row(&program, "a.png").contains("tumor"));
}

#[test]
fn results_that_another_process_adds_one_by_one_are_one_entry_of_the_log() {
    let mut program = Program::with_library();
    program.ready(false);
    program.list(vec![file("a.png"), file("b.png")]);
    answer(&mut program, Vec::new(), &["a.png", "b.png"]);
    for name in ["a.png", "b.png"] {
        program.send(Msg::LibraryChanged(vec![changed(name, "blake3:1")]));
        answer(&mut program, vec![recalled(name, 1, "tumor")], &[]);
        program.rest();
    }
    program.press("va");
    let screen = program.screen(80, 24);
    assert!(screen.contains("2 results from the library"), "{screen}");
    assert!(!screen.contains("1 result "), "{screen}");
}

#[test]
fn another_model_looks_everything_up_again() {
    let (mut program, _) = found();
    let all = ["a.png", "b.png", "c.png"];
    let known = all.map(|name| recalled(name, 1, "tumor")).to_vec();
    answer(&mut program, known, &[]);
    let (serial, effects) = use_model(&mut program);
    assert_eq!(looked_up(&effects), all.map(path));
    let known = all.map(|name| recalled(name, 1, "normal")).to_vec();
    program.send(Msg::OtherEngine {
        serial,
        event: Event::Recalled {
            files: known,
            missing: Vec::new(),
        },
    });
    assert!(row(&program, "b.png").contains("normal"));
    assert_eq!(started(&program.effects), []);
}

#[test]
fn without_a_model_the_files_wait_as_jobs() {
    let mut program = Program::with_library();
    program.list(vec![file("a.png")]);
    program.scan(&["a.png"]);
    program.send(Msg::Engine(Event::Failed {
        message: "no".to_owned(),
    }));
    assert_eq!(looked_up(&program.effects), [] as [PathBuf; 0]);
    let (_, effects) = use_model(&mut program);
    assert_eq!(started(&effects).len(), 1);
}
