//! Rejected images: plain rows, and one banner that says why and what to do.

use std::time::Duration;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use medivision_tui::app::Msg;
use medivision_tui::scoring::Decision;

use crate::scene::{Program, file, path, record};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Six files, of which `b`, `d` and `e` are rejected.
fn mixed() -> Program {
    let mut program = Program::new(160, 50);
    program.list(NAMES.map(file).to_vec());
    program.scan(&NAMES);
    program.ready(false);
    for (name, urgency) in [("a", 0.6), ("c", 0.95), ("f", 0.7)] {
        program.answer(name, record("pneumonia", urgency, Decision::Confident));
    }
    for name in ["b", "d", "e"] {
        program.answer(name, record("tumor", 0.4, Decision::Rejected));
    }
    program
}

/// The list, line by line.
fn list(program: &Program) -> Vec<String> {
    let screen = program.screen(160, 50);
    let lines = screen.lines().skip(1).take(8);
    let list = lines.map(|line| line.split('│').next().unwrap_or_default());
    list.map(|line| line.trim_end().to_owned()).collect()
}

fn current(program: &Program) -> Option<std::path::PathBuf> {
    program.wanted().map(|key| key.path)
}

fn click(program: &mut Program, row: u16) {
    let event = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: 8,
        row,
        modifiers: KeyModifiers::NONE,
    };
    let at = Duration::from_secs(u64::from(row) * 10);
    program.send(Msg::Mouse { event, at });
}

#[test]
fn the_banner_is_at_the_head_of_the_rejected_and_their_rows_say_nothing() {
    let mut program = mixed();
    program.press("su");
    insta::assert_snapshot!(list(&program).join("\n"));
}

#[test]
fn where_rejected_images_are_scattered_the_banner_is_above_the_list() {
    let program = mixed();
    insta::assert_snapshot!(list(&program).join("\n"));
}

#[test]
fn cursor_and_mouse_skip_the_banner() {
    let mut program = mixed();
    program.press("sug");
    for name in ["c", "f", "a", "b", "d"] {
        assert_eq!(current(&program), Some(path(name)));
        program.press("j");
    }
    // Title, three rows, the banner, three rows.
    for (row, name) in [(1, "c"), (3, "a"), (5, "b"), (4, "b"), (7, "e")] {
        click(&mut program, row);
        assert_eq!(current(&program), Some(path(name)), "line {row}");
    }
}

#[test]
fn no_row_shifts_while_results_arrive_in_the_order_of_names() {
    let mut program = Program::new(160, 50);
    program.list(NAMES.map(file).to_vec());
    program.scan(&NAMES);
    program.ready(false);
    program.answer("a", record("tumor", 0.4, Decision::Rejected));
    assert!(list(&program)[0].contains(" a "), "{:?}", list(&program));
}

#[test]
fn the_key_under_the_banner_is_that_of_the_models() {
    let mut program = mixed();
    let screen = program.screen(160, 50);
    assert_eq!(screen.matches("press m to choose a model").count(), 0);
    assert!(
        screen.contains("3 not for this model: m chooses one"),
        "{screen}"
    );
    assert!(!screen.contains("3 rejected"), "said once: {screen}");
    program.press("vg");
    assert!(
        program.screen(160, 50).contains("3 rejected"),
        "the grid has no banner"
    );
}
