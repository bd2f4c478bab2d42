//! The worklist: all images below the root in one live list, its order and its filter.

use std::path::Path;

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, EntryKind, Msg};
use medivision_tui::library::{Failure, Outcome};
use medivision_tui::media::{ErrorKind, FileContent};
use medivision_tui::scoring::Decision;
use proptest::prelude::*;

use crate::scene::{Program, ROOT, failure, file, folder, key, path, record, started};

const NAMES: [&str; 5] = [
    "a.png",
    "b.png",
    "ct/one.dcm",
    "ct/old/two.dcm",
    "hand/three.dcm",
];

/// Five images in four folders, all with a result but one that failed and one that is queued; the root is on screen.
fn five() -> Program {
    let mut program = Program::new(100, 24);
    program.list(vec![
        file("a.png"),
        file("b.png"),
        folder("ct"),
        folder("hand"),
    ]);
    program.ready(false);
    program.scan(&NAMES);
    program.answer("a.png", record("normal", 0.95, Decision::Confident));
    program.answer("b.png", failure(ErrorKind::Truncated, "too short"));
    program.answer("ct/one.dcm", record("tumor", 0.7, Decision::Uncertain));
    program.answer(
        "ct/old/two.dcm",
        record("pneumonia", 0.9, Decision::Confident),
    );
    program
}

/// The paths on screen, in their order.
fn paths(program: &Program) -> String {
    let screen = program.screen(100, 24);
    let lines = screen.lines().skip(1).take(22);
    let path = |line: &str| {
        let list: String = line.chars().take(51).collect();
        let mut words = list.split_whitespace().map(str::to_owned);
        words.find(|word| [".png", ".dcm", "/"].iter().any(|end| word.ends_with(end)))
    };
    lines.filter_map(path).collect::<Vec<_>>().join(" ")
}

/// The line of the cursor.
fn cursor(program: &Program) -> String {
    let screen = program.screen(100, 24);
    let line = screen.lines().find(|line| line.starts_with('▌'));
    line.unwrap_or_default().to_owned()
}

fn title(program: &Program) -> String {
    let screen = program.screen(100, 24);
    let line = screen.lines().next().unwrap_or_default();
    line.split('┬').next().unwrap_or_default().to_owned()
}

#[test]
fn all_images_below_the_root_are_ranked_by_urgency_which_is_the_number_shown() {
    let mut program = five();
    program.press("W");
    assert_eq!(
        paths(&program),
        "ct/old/two.dcm ct/one.dcm a.png b.png hand/three.dcm"
    );
    insta::assert_snapshot!(program.screen(100, 24));
    let line = |program: &Program, name: &str| {
        let screen = program.screen(100, 24);
        let line = screen.lines().skip(1).find(|line| line.contains(name));
        line.map_or_else(String::new, |line| line.chars().take(51).collect())
    };
    assert!(
        line(&program, "a.png").contains("5%"),
        "normal is not urgent"
    );
    program.press("sp");
    assert!(
        title(&program).contains("↓ probability"),
        "{}",
        title(&program)
    );
    assert!(line(&program, "a.png").contains("95%"));
}

#[test]
fn images_of_which_only_the_kind_is_told_have_no_urgency_and_come_after_all_that_may_get_one() {
    let mut program = five();
    let mut kind = record("chest x-ray", 0.99, Decision::Confident);
    if let Ok(record) = &mut kind {
        record.verdict.urgency = None;
    }
    program.answer("hand/three.dcm", kind);
    program.press("W");
    assert_eq!(
        paths(&program),
        "ct/old/two.dcm ct/one.dcm a.png b.png hand/three.dcm"
    );
    let line = |program: &Program| {
        let screen = program.screen(100, 24);
        let line = screen
            .lines()
            .skip(1)
            .find(|line| line.contains("three.dcm"));
        line.map_or_else(String::new, |line| line.chars().take(51).collect())
    };
    assert!(line(&program).contains("–"), "{}", line(&program));
    assert!(!line(&program).contains('%'), "{}", line(&program));
    program.press("S");
    assert!(
        paths(&program).ends_with(" hand/three.dcm"),
        "the other way round, too"
    );
    program.press("sp");
    assert!(line(&program).contains("99%"), "{}", line(&program));
}

#[test]
fn results_move_rows_while_the_cursor_stays_on_its_file() {
    let mut program = five();
    program.press("Wj");
    assert!(cursor(&program).contains("ct/one.dcm"));
    program.answer(
        "hand/three.dcm",
        record("fracture", 0.99, Decision::Confident),
    );
    assert_eq!(
        paths(&program),
        "hand/three.dcm ct/old/two.dcm ct/one.dcm a.png b.png"
    );
    assert!(cursor(&program).contains("ct/one.dcm"));
}

#[test]
fn files_that_come_and_go_anywhere_below_the_root_do_so_in_the_worklist() {
    let mut program = five();
    program.press("W");
    for (name, may_be_image) in [("new/x.dcm", true), ("new/notes.txt", false)] {
        program.send(Msg::Appeared {
            entry: file(name),
            picture: may_be_image,
        });
    }
    let all = "ct/old/two.dcm ct/one.dcm a.png b.png hand/three.dcm";
    assert_eq!(paths(&program), format!("{all} new/x.dcm"));
    let other = Failure {
        kind: ErrorKind::Unsupported,
        message: String::new(),
        content: FileContent::Other,
    };
    program.answer("new/x.dcm", Err(other));
    assert_eq!(paths(&program), all, "it proved to be no image");
    program.press("j");
    program.send(Msg::Renamed {
        from: path("ct"),
        to: folder("mr"),
    });
    assert_eq!(
        paths(&program),
        "mr/old/two.dcm mr/one.dcm a.png b.png hand/three.dcm"
    );
    assert!(
        cursor(&program).contains("mr/one.dcm"),
        "it follows its file"
    );
    program.send(Msg::Removed { path: path("mr") });
    program.send(Msg::Removed {
        path: path("b.png"),
    });
    assert_eq!(paths(&program), "a.png hand/three.dcm");
}

#[test]
fn w_h_and_esc_lead_back_to_where_one_was() {
    for back in [
        KeyCode::Char('W'),
        KeyCode::Char('h'),
        KeyCode::Left,
        KeyCode::Esc,
    ] {
        let mut program = five();
        program.press("gl");
        program.list(vec![folder("ct/old"), file("ct/one.dcm")]);
        program.press("jWG");
        program.send(key(back));
        assert_eq!(program.listing().0, path("ct"), "{back:?}");
        program.list(vec![folder("ct/old"), file("ct/one.dcm")]);
        assert!(cursor(&program).contains("one.dcm"), "{back:?}");
        program.press("W");
        assert!(
            cursor(&program).contains("hand/three.dcm"),
            "as it was left"
        );
    }
}

#[test]
fn enter_opens_the_folder_of_an_image() {
    let mut program = five();
    program.press("W");
    program.send(key(KeyCode::Enter));
    assert_eq!(program.listing().0, path("ct/old"));
    program.list(vec![file("ct/old/one.dcm"), file("ct/old/two.dcm")]);
    assert!(cursor(&program).contains("two.dcm"));
    assert!(
        !title(&program).contains("urgency"),
        "the order is the folder's"
    );
    program.press("W");
    program.press("jj");
    assert!(cursor(&program).contains("a.png"));
    program.press("l");
    assert_eq!(
        program.listing().0,
        Path::new(ROOT),
        "also from the root itself"
    );
}

#[test]
fn the_keys_for_files_do_what_they_do_in_a_folder() {
    let mut program = five();
    program.press("W");
    let jobs = started(&program.press("c"));
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].path, path("ct/old/two.dcm"));
    program.answer(
        "ct/old/two.dcm",
        record("pneumonia", 0.9, Decision::Confident),
    );
    program.press("  ");
    assert!(cursor(&program).contains("a.png"));
    let mut jobs = started(&program.press("C"));
    jobs.sort_by(|a, b| a.path.cmp(&b.path));
    let jobs: Vec<_> = jobs.into_iter().map(|job| job.path).collect();
    assert!(jobs.contains(&path("ct/one.dcm")), "{jobs:?}");
    program.press("j");
    program.press("e");
    assert!(program.screen(100, 24).contains("Why it failed"));
    program.send(key(KeyCode::Esc));
    let effects = program.press("A");
    let below =
        |effect: &Effect| matches!(effect, Effect::Scan { root, .. } if root == Path::new(ROOT));
    assert!(effects.iter().any(below));
}

#[test]
fn a_filter_of_terms_hides_what_does_not_satisfy_them_and_says_how_many() {
    let mut program = five();
    program.press("W");
    program.press("/urgency>0.6 !uncertain");
    program.send(key(KeyCode::Enter));
    assert_eq!(paths(&program), "ct/old/two.dcm");
    assert!(title(&program).contains("4 hidden"), "{}", title(&program));
    insta::assert_snapshot!(program.screen(100, 24));
    program.answer(
        "hand/three.dcm",
        record("fracture", 0.8, Decision::Confident),
    );
    assert_eq!(paths(&program), "ct/old/two.dcm hand/three.dcm", "live");
    program.press("/");
    program.press(" hand");
    assert_eq!(paths(&program), "hand/three.dcm", "words match the path");
    program.send(key(KeyCode::Esc));
    assert_eq!(paths(&program).split(' ').count(), 5);
    program.press("/error");
    assert_eq!(paths(&program), "b.png");
}

#[test]
fn the_number_of_hidden_files_is_shown_even_where_little_else_is() {
    let mut program = five();
    program.press("W/label:pneumonia");
    program.send(key(KeyCode::Enter));
    for cols in [30, 40, 64, 80, 200] {
        program.send(Msg::Resized { cols, rows: 12 });
        let screen = program.screen(cols, 12);
        assert!(screen.contains("4 hidden"), "{screen}");
    }
}

#[test]
fn a_wrong_term_shows_nothing_but_what_may_be_meant() {
    let mut program = five();
    program.press("W/lable:tumor");
    assert_eq!(paths(&program), "");
    let screen = program.screen(100, 24);
    assert!(screen.contains("did you mean `label`?"), "{screen}");
    program.send(key(KeyCode::Esc));
    assert_eq!(paths(&program).split(' ').count(), 5);
}

#[test]
fn in_a_folder_too_results_can_be_filtered_by() {
    let mut program = five();
    program.press("/!error label:normal");
    program.send(key(KeyCode::Enter));
    assert_eq!(paths(&program), "a.png", "a folder has no result");
    program.press("c");
    assert_eq!(paths(&program), "", "it is classified again");
    program.answer("a.png", record("normal", 0.9, Decision::Confident));
    assert_eq!(paths(&program), "a.png");
}

#[test]
fn the_menu_of_orders_shows_its_letters_and_the_present_order() {
    let mut program = five();
    program.press("Ws");
    insta::assert_snapshot!(program.screen(100, 24));
    program.press("s");
    assert!(title(&program).contains("↓ size"), "{}", title(&program));
    program.press("S");
    assert!(title(&program).contains("↑ size"), "{}", title(&program));
    program.press("s");
    program.send(key(KeyCode::Down));
    program.send(key(KeyCode::Esc));
    assert!(title(&program).contains("↑ size"), "Esc changes nothing");
}

#[test]
fn the_program_can_begin_with_the_worklist() {
    let mut program = Program::with_worklist();
    assert!(program.screen(100, 24).contains("Searching for images"));
    let lists = |effect: &Effect| matches!(effect, Effect::List { .. });
    assert!(!program.effects.iter().any(lists));
    program.scan(&["b.png", "ct/a.dcm"]);
    assert_eq!(paths(&program), "b.png ct/a.dcm");
    program.send(key(KeyCode::Esc));
    assert_eq!(program.listing().0, Path::new(ROOT));
    let mut empty = Program::with_worklist();
    empty.scan(&[]);
    assert!(
        empty
            .screen(100, 24)
            .contains("No images in this folder or below")
    );
}

#[test]
fn the_worklist_does_not_change_how_folders_are_left() {
    let mut program = five();
    program.press("W/error");
    program.send(key(KeyCode::Enter));
    let saved = |effects: &[Effect]| -> Vec<_> {
        let saved = effects.iter().filter_map(|effect| match effect {
            Effect::PersistFolder { dir, state } => Some((
                dir.clone(),
                state.options.sort.by.name(),
                state.options.filter.is_empty(),
            )),
            _ => None,
        });
        saved.collect()
    };
    let effects = program.press("q");
    assert_eq!(saved(&effects), [(ROOT.into(), "name", true)]);
}

#[derive(Clone, Debug)]
enum Step {
    Scan(Vec<u8>),
    Answer(u8, u8),
    Appear(u8),
    Remove(u8),
    RemoveFolder(u8),
    RenameFolder(u8, u8),
    Key(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(0..24u8, 0..24).prop_map(Step::Scan),
        (0..24u8, any::<u8>()).prop_map(|(n, result)| Step::Answer(n, result)),
        (0..24u8, any::<u8>()).prop_map(|(n, result)| Step::Answer(n, result)),
        (0..24u8).prop_map(Step::Appear),
        (0..24u8).prop_map(Step::Remove),
        (0..3u8).prop_map(Step::RemoveFolder),
        (0..3u8, 0..3u8).prop_map(|(from, to)| Step::RenameFolder(from, to)),
        (0..9usize).prop_map(Step::Key),
    ]
}

fn name(n: u8) -> String {
    format!("{}/IM{n}.png", n % 3)
}

fn outcome(result: u8) -> Outcome {
    let probability = 0.25 + f64::from(result) / 400.0;
    match result % 5 {
        0 => record("normal", probability, Decision::Uncertain),
        1 => record("tumor", probability, Decision::Rejected),
        2 => failure(ErrorKind::Truncated, "too short"),
        _ => record("pneumonia", probability, Decision::Confident),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn whatever_happens_the_rows_are_those_of_a_list_opened_afterwards(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut program = Program::with_worklist();
        program.ready(false);
        program.scan(&[]);
        let keys = ["su", "sl", "sc", "sn", "st", "S", "/label:p", "/!error IM1", "/p>0.6"];
        for step in steps {
            match step {
                Step::Scan(files) => {
                    program.press("A");
                    let names: Vec<String> = files.into_iter().map(name).collect();
                    program.scan(&names.iter().map(String::as_str).collect::<Vec<_>>());
                }
                Step::Answer(n, result) if program.asked(&name(n)).is_some() => {
                    program.answer(&name(n), outcome(result));
                }
                Step::Appear(n) => {
                    program.send(Msg::Appeared { entry: file(&name(n)), picture: true });
                }
                Step::Remove(n) => {
                    program.send(Msg::Removed { path: path(&name(n)) });
                }
                Step::RemoveFolder(n) => {
                    program.send(Msg::Removed { path: path(&n.to_string()) });
                }
                Step::RenameFolder(from, to) if from != to => {
                    let to = folder(&to.to_string());
                    assert_eq!(to.kind, EntryKind::Folder);
                    program.send(Msg::Renamed { from: path(&from.to_string()), to });
                }
                Step::Answer(..) | Step::RenameFolder(..) => {}
                Step::Key(n) => {
                    program.press(keys[n]);
                    if keys[n].starts_with('/') {
                        program.send(key(KeyCode::Enter));
                    }
                }
            }
        }
        program.press("g");
        let (live, before) = (paths(&program), title(&program));
        program.press("W");
        program.press("W");
        program.press("g");
        prop_assert_eq!(paths(&program), live);
        prop_assert_eq!(title(&program), before);
    }
}
