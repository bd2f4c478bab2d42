//! What happened.

use crossterm::event::KeyCode;
use medivision_tui::app::{Entry, Msg};
use medivision_tui::media::ErrorKind;
use medivision_tui::scoring::Decision;

use crate::scene::{Program, failure, file, folder, key, path, record, stamp, started};
use crate::screens::{at_all_sizes, browsing};

/// The row with the cursor bar.
fn current(program: &Program) -> String {
    let screen = program.screen(80, 24);
    let row = screen.lines().find(|line| line.starts_with('▌'));
    row.expect("a row has the cursor").to_owned()
}

fn arrive(program: &mut Program, name: &str) {
    program.send(Msg::Appeared {
        entry: file(name),
        picture: true,
    });
}

/// In the order of the messages: a decided, b arrived and failed, the cursor in the folder on a.
fn busy() -> Program {
    let mut program = Program::new(80, 24);
    program.list(vec![folder("sub"), file("a"), file("c")]);
    program.ready(false);
    program.scan(&["a"]);
    program.answer("a", record("tumor", 0.8, Decision::Confident));
    program.rest();
    arrive(&mut program, "b");
    program.give_up(
        "b",
        &failure(ErrorKind::Truncated, "it ends after 12 bytes"),
    );
    program.rest();
    program.press("va");
    program
}

#[test]
fn what_came_in_was_decided_and_failed() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.rest();
        program.send(Msg::Removed {
            path: path("head-001.png"),
        });
        program.press("va");
        for _ in 0..20 {
            program.rest();
        }
        for n in 0..30 {
            let name = format!("ward/{n}.dcm");
            arrive(program, &name);
            program.answer(&name, record("normal", 0.9, Decision::Confident));
            if n % 7 == 0 {
                program.rest();
                program.rest();
            }
        }
        program.press("jj");
    }));
}

#[test]
fn a_file_that_was_asked_for_twice_is_decided_once() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("a")]);
    program.ready(false);
    program.scan(&["a"]);
    // The cursor has it go ahead of the others; both askings are answered.
    program.rest();
    for _ in 0..2 {
        program.answer("a", record("tumor", 0.8, Decision::Confident));
    }
    program.press("va");
    let screen = program.screen(80, 24);
    assert!(screen.contains("1 classified"), "{screen}");
}

#[test]
fn entries_lead_to_their_file_and_tell_why() {
    let mut program = busy();
    assert!(
        current(&program).contains("truncated: it ends"),
        "{}",
        current(&program)
    );
    program.press("e");
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("Why it failed")
            && screen.contains("It ends after") | screen.contains("it ends after")
    );
    program.send(key(KeyCode::Esc));
    program.send(key(KeyCode::Enter));
    assert_eq!(program.wanted().map(|key| key.path), Some(path("b")));
    arrive(&mut program, "sub/new");
    program.press("va");
    program.send(key(KeyCode::Enter));
    assert_eq!(program.listing().0, path("sub"));
    program.list(vec![file("sub/1"), file("sub/new"), file("sub/z")]);
    assert_eq!(program.wanted().map(|key| key.path), Some(path("sub/new")));
}

#[test]
fn a_filter_does_not_hide_where_an_entry_leads() {
    let mut program = busy();
    program.send(key(KeyCode::Esc));
    program.press("/c");
    program.send(key(KeyCode::Enter));
    program.press("va");
    program.send(key(KeyCode::Enter));
    assert_eq!(program.wanted().map(|key| key.path), Some(path("b")));
}

#[test]
fn the_cursor_stays_on_its_entry_while_others_come_and_with_the_newest_at_the_top() {
    let mut program = busy();
    arrive(&mut program, "x1");
    assert!(current(&program).contains("x1"), "it stays with the newest");
    program.press("j");
    let entry = current(&program);
    assert!(entry.contains("truncated"), "{entry}");
    for n in 0..50 {
        arrive(&mut program, &format!("y{n}"));
    }
    assert!(current(&program).contains("truncated"));
    program.press("g");
    assert!(current(&program).contains("y49"));
    program.press("G");
    let oldest = current(&program);
    assert!(oldest.contains("is ready on cpu"), "{oldest}");
}

#[test]
fn the_log_is_bounded() {
    let mut program = busy();
    let folder: Vec<Entry> = (0..3000).map(|n| file(&format!("n{n}"))).collect();
    for entry in folder {
        program.send(Msg::Appeared {
            entry,
            picture: true,
        });
    }
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("1/2000") && screen.contains("3001 arrived"),
        "{screen}"
    );
}

#[test]
fn ages_go_on_while_they_are_seen_and_changes_are_told() {
    let mut program = busy();
    program.send(Msg::Modified {
        path: path("a"),
        stamp: stamp(9),
        picture: true,
    });
    program.rest();
    assert!(
        current(&program).contains("changed"),
        "{}",
        current(&program)
    );
    for _ in 0..70 {
        program.rest();
    }
    assert!(current(&program).contains("1 min"), "{}", current(&program));
}

#[test]
fn keys_that_are_about_a_file_do_nothing_here() {
    let mut program = busy();
    for letter in " Ctyi+x".chars() {
        assert_eq!(program.press(&letter.to_string()), [], "{letter:?}");
    }
    program.press("va");
    assert!(!program.screen(80, 24).contains("▌*"), "nothing was marked");
}

/// As [`busy`], and then c failed, too.
fn failures() -> Program {
    let mut program = busy();
    arrive(&mut program, "sub/c");
    let refused = failure(ErrorKind::Permission, "permission denied");
    program.give_up("sub/c", &refused);
    program
}

#[test]
fn failed_files_are_counted_visited_and_tried_again() {
    let mut program = failures();
    assert!(program.screen(80, 24).contains("2 failed"));
    for expected in ["b", "sub/c", "b"] {
        program.press("n");
        assert!(
            current(&program).contains(&format!(" {expected} ")),
            "{expected}: {}",
            current(&program)
        );
    }
    program.press("N");
    assert!(current(&program).contains("no permission"));
    let effects = program.press("c");
    assert_eq!(started(&effects).len(), 1);
    assert!(program.screen(80, 24).contains("1 file is tried again"));
    program.answer("sub/c", record("tumor", 0.8, Decision::Confident));
    for _ in 0..2 {
        program.press("n");
        assert!(current(&program).contains("truncated"), "the only one left");
    }
    let effects = program.press("A");
    assert_eq!(started(&effects).len(), 1);
    program.answer("b", record("tumor", 0.8, Decision::Confident));
    program.press("n");
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("no file failed") && screen.contains("0 failed"),
        "{screen}"
    );
}

#[test]
fn the_list_of_files_that_failed() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        arrive(program, "ward/1.dcm");
        let refused = failure(ErrorKind::Permission, "permission denied");
        program.give_up("ward/1.dcm", &refused);
        program.press("vfj");
    }));
}

#[test]
fn the_list_of_files_that_failed_shows_and_retries_them() {
    let mut program = failures();
    program.press("vf");
    let effects = program.press("jc");
    assert_eq!(started(&effects)[0].path, path("sub/c"));
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("truncated") && !screen.contains("no permission"),
        "{screen}"
    );
    program.give_up(
        "sub/c",
        &failure(ErrorKind::Permission, "permission denied"),
    );
    assert_eq!(started(&program.press("A")).len(), 2);
    assert!(program.screen(80, 24).contains("Nothing here"));
    program.answer("b", failure(ErrorKind::Truncated, "it ends"));
    program.send(key(KeyCode::Enter));
    program.rest();
    assert_eq!(program.wanted().map(|key| key.path), Some(path("b")));
}
