//! The mouse.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use medivision_tui::app::{Effect, Graphics, Msg};
use medivision_tui::media::Voi;
use medivision_tui::scoring::Decision;

use crate::scene::{Film, Program, file, folder, key, path, record};
use crate::viewer::looking;

fn mouse(program: &mut Program, kind: MouseEventKind, at: (u16, u16), ms: u64) -> Vec<Effect> {
    let event = MouseEvent {
        kind,
        column: at.0,
        row: at.1,
        modifiers: KeyModifiers::NONE,
    };
    program.send(Msg::Mouse {
        event,
        at: Duration::from_millis(ms),
    })
}

const PRESS: MouseEventKind = MouseEventKind::Down(MouseButton::Left);
const DRAG: MouseEventKind = MouseEventKind::Drag(MouseButton::Left);
const RELEASE: MouseEventKind = MouseEventKind::Up(MouseButton::Left);
const DOWN: MouseEventKind = MouseEventKind::ScrollDown;
const UP: MouseEventKind = MouseEventKind::ScrollUp;

/// A folder of this many files, on 80 × 24: the list in columns 0 to 41, rows 1 to 22.
fn files(count: usize) -> Program {
    let mut program = Program::new(80, 24);
    let entries = (0..count).map(|n| file(&format!("{n:03}.dcm")));
    program.list(entries.collect());
    program
}

/// The file whose picture is wanted.
fn current(program: &Program) -> String {
    let key = program.wanted().expect("a picture is wanted");
    let name = key.path.file_stem().expect("a name");
    name.to_string_lossy().into_owned()
}

/// The column of the line beside the list.
fn line(program: &Program) -> Option<usize> {
    let screen = program.screen(80, 24);
    let title = screen.lines().next().expect("a title").to_owned();
    title.chars().position(|c| c == '┬')
}

#[test]
fn a_click_selects_and_two_open() {
    let mut program = files(10);
    mouse(&mut program, PRESS, (5, 4), 1000);
    assert_eq!(current(&program), "003");
    mouse(&mut program, PRESS, (5, 4), 1900);
    assert!(line(&program).is_some(), "too late for a second click");
    mouse(&mut program, PRESS, (5, 4), 2100);
    assert_eq!(
        (line(&program), current(&program)),
        (None, "003".to_owned())
    );
    program.send(key(KeyCode::Esc));
    mouse(&mut program, PRESS, (5, 20), 9000);
    assert_eq!(current(&program), "003", "no file there");
}

#[test]
fn two_clicks_enter_a_folder() {
    let mut program = Program::new(80, 24);
    program.list(vec![folder("sub"), file("a")]);
    program.press("j");
    mouse(&mut program, PRESS, (9, 1), 10);
    mouse(&mut program, PRESS, (9, 1), 200);
    assert_eq!(program.listing().0, path("sub"));
}

#[test]
fn the_wheel_scrolls_the_list_and_the_cursor_stays_in_sight() {
    let mut program = files(100);
    mouse(&mut program, DOWN, (5, 9), 0);
    assert_eq!(current(&program), "005", "three rows and those kept above");
    program.press("jjjjj");
    mouse(&mut program, DOWN, (5, 9), 0);
    assert_eq!(current(&program), "010", "it is in sight already");
    let first = |program: &Program| program.screen(80, 24).lines().nth(1).map(str::to_owned);
    assert!(first(&program).is_some_and(|row| row.contains("006.dcm")));
    for _ in 0..60 {
        mouse(&mut program, DOWN, (5, 9), 0);
    }
    assert!(
        first(&program).is_some_and(|row| row.contains("078.dcm")),
        "the last page"
    );
    for _ in 0..60 {
        mouse(&mut program, UP, (5, 9), 0);
    }
    assert!(first(&program).is_some_and(|row| row.contains("000.dcm")));
    let mut few = files(3);
    mouse(&mut few, DOWN, (5, 9), 0);
    assert_eq!(current(&few), "000");
    let mut none = files(0);
    mouse(&mut none, DOWN, (5, 9), 0);
    mouse(&mut none, PRESS, (5, 1), 0);
}

#[test]
fn the_wheel_over_a_picture_pages_or_zooms() {
    let mut program = files(1);
    program.show_as(&Film::ct());
    mouse(&mut program, DOWN, (60, 5), 0);
    assert_eq!(program.wanted().map(|key| key.frame), Some(1));
    mouse(&mut program, UP, (60, 5), 0);
    assert_eq!(program.wanted().map(|key| key.frame), Some(0));
    let mut program = files(1);
    program.show();
    mouse(&mut program, UP, (60, 5), 0);
    let zoom = program.wanted().map(|key| key.view.aim.zoom);
    assert!(zoom.is_some_and(|zoom| zoom > 1.0), "{zoom:?}");
}

fn mouse_with(
    program: &mut Program,
    modifiers: KeyModifiers,
    kind: MouseEventKind,
    at: (u16, u16),
) -> Vec<Effect> {
    let event = MouseEvent {
        kind,
        column: at.0,
        row: at.1,
        modifiers,
    };
    program.send(Msg::Mouse {
        event,
        at: Duration::from_secs(60),
    })
}

#[test]
fn the_wheel_zooms_a_stack_while_ctrl_is_held() {
    let mut program = files(1);
    program.show_as(&Film::ct());
    mouse_with(&mut program, KeyModifiers::CONTROL, UP, (60, 5));
    let key = program.wanted().expect("a picture is wanted");
    assert!(key.view.aim.zoom > 1.0);
    assert_eq!(key.frame, 0);
}

#[test]
fn a_zoomed_image_follows_the_mouse_and_a_whole_one_stays() {
    for keys in ["", "Z"] {
        let mut program = looking(Graphics::Kitty, 120, 40);
        program.press(&format!("{keys}i"));
        program.show_as(&Film::ct());
        let aim = |program: &Program| program.wanted().expect("a picture is wanted").view.aim;
        let before = aim(&program);
        mouse(&mut program, PRESS, (90, 8), 10);
        mouse(&mut program, DRAG, (80, 6), 20);
        assert_eq!(aim(&program), before, "all of it is visible");
        mouse(&mut program, RELEASE, (80, 6), 30);
        program.press("+++");
        let zoomed = aim(&program);
        mouse(&mut program, PRESS, (90, 8), 1000);
        mouse(&mut program, DRAG, (85, 7), 1010);
        let dragged = aim(&program).center;
        assert!(dragged.0 > zoomed.center.0 && dragged.1 > zoomed.center.1);
        mouse(&mut program, DRAG, (90, 8), 1020);
        assert_eq!(aim(&program).center, zoomed.center, "back where it was");
        mouse(&mut program, RELEASE, (90, 8), 1030);
        mouse(&mut program, DRAG, (60, 8), 1040);
        assert_eq!(aim(&program).center, zoomed.center, "let go");
    }
}

#[test]
fn the_right_button_or_ctrl_changes_width_and_level() {
    let right = MouseButton::Right;
    let ways = [
        (
            MouseEventKind::Down(right),
            MouseEventKind::Drag(right),
            KeyModifiers::NONE,
        ),
        (PRESS, DRAG, KeyModifiers::CONTROL),
        (PRESS, DRAG, KeyModifiers::ALT),
    ];
    for (press, drag, modifiers) in ways {
        let mut program = looking(Graphics::Kitty, 120, 40);
        mouse_with(&mut program, modifiers, press, (90, 8));
        // The file's own window is 350 wide around 50, a fine step 5.
        mouse_with(&mut program, modifiers, drag, (94, 7));
        let voi = program.wanted().map(|key| key.view.voi);
        let (center, width) = (40.0, 370.0);
        assert_eq!(voi, Some(Voi::Range { center, width }), "{modifiers:?}");
        mouse_with(&mut program, modifiers, drag, (90, 8));
        let voi = program.wanted().map(|key| key.view.voi);
        let (center, width) = (50.0, 350.0);
        assert_eq!(voi, Some(Voi::Range { center, width }), "back at the start");
    }
    let mut program = looking(Graphics::Kitty, 120, 40);
    mouse_with(&mut program, KeyModifiers::CONTROL, PRESS, (5, 4));
    mouse_with(&mut program, KeyModifiers::CONTROL, DRAG, (9, 9));
    let voi = program.wanted().map(|key| key.view.voi);
    assert!(voi.is_none_or(|voi| voi == Voi::Own(0)), "not on the image");
}

#[test]
fn the_line_is_dragged_within_bounds_and_the_picture_follows() {
    let mut program = files(5);
    let at = line(&program).expect("a line") as u16;
    let before = program.wanted().expect("a picture").cols;
    mouse(&mut program, DRAG, (20, 5), 0);
    assert_eq!(line(&program), Some(usize::from(at)), "it was not taken");
    mouse(&mut program, PRESS, (at, 5), 0);
    mouse(&mut program, DRAG, (at - 8, 7), 10);
    assert_eq!(line(&program), Some(usize::from(at) - 8));
    assert_eq!(program.wanted().expect("a picture").cols, before + 8);
    for (x, line_at) in [(0, 20), (79, 59), (at - 8, usize::from(at) - 8)] {
        mouse(&mut program, DRAG, (x, 7), 20);
        assert_eq!(line(&program), Some(line_at));
    }
    mouse(&mut program, RELEASE, (at - 8, 7), 30);
    mouse(&mut program, DRAG, (30, 7), 40);
    assert_eq!(line(&program), Some(usize::from(at) - 8), "let go");
}

#[test]
fn tiles_sides_and_entries_answer_too() {
    let mut program = files(40);
    program.press("vg");
    mouse(&mut program, PRESS, (30, 14), 1000);
    mouse(&mut program, PRESS, (30, 14), 1100);
    assert_eq!(current(&program), "005", "second row, second column");
    program.send(key(KeyCode::Esc));
    mouse(&mut program, DOWN, (30, 14), 0);
    program.send(key(KeyCode::Enter));
    assert_eq!(current(&program), "009", "a row of tiles further");
    program.send(key(KeyCode::Esc));
    program.press("vgg jjvc");
    mouse(&mut program, DOWN, (10, 5), 0);
    assert!(
        program.screen(80, 24).starts_with("─ 001.dcm"),
        "the left side"
    );
    mouse(&mut program, PRESS, (60, 5), 3000);
    mouse(&mut program, PRESS, (60, 5), 3100);
    assert_eq!(current(&program), "003", "the file on the right");
    program.ready(false);
    program.scan(&["007.dcm"]);
    program.answer("007.dcm", record("tumor", 0.9, Decision::Confident));
    program.press("va");
    mouse(&mut program, PRESS, (30, 8), 5000);
    mouse(&mut program, PRESS, (30, 8), 5100);
    assert_eq!(current(&program), "007");
}

#[test]
fn a_popup_and_a_line_being_typed_keep_what_lies_behind() {
    let mut program = files(10);
    program.press("?");
    mouse(&mut program, PRESS, (5, 4), 0);
    mouse(&mut program, DOWN, (5, 4), 0);
    program.send(key(KeyCode::Esc));
    assert_eq!(current(&program), "000");
    program.press("v");
    let screen = program.screen(80, 24);
    let row = screen
        .lines()
        .position(|line| line.contains("grid of small"));
    mouse(&mut program, PRESS, (40, row.expect("an entry") as u16), 0);
    assert_eq!(program.tiles().len(), 10, "an entry of the menu is chosen");
    program.press("vgv");
    mouse(&mut program, PRESS, (40, 0), 5000);
    assert!(
        !program.screen(80, 24).contains("grid of small"),
        "beside it"
    );
    assert_eq!(current(&program), "000");
    program.press("/0");
    mouse(&mut program, PRESS, (5, 4), 0);
    assert_eq!(current(&program), "000");
}

#[test]
fn a_click_places_the_probe_and_the_points_of_the_ruler() {
    let mut program = looking(Graphics::Kitty, 120, 40);
    let marks = |program: &Program| program.wanted().expect("a picture is wanted").marks;
    program.press("V");
    let middle = marks(&program).cursor;
    mouse(&mut program, PRESS, (85, 8), 10);
    let first = marks(&program).cursor;
    assert!(first.is_some() && first != middle);
    mouse(&mut program, PRESS, (5, 8), 1000);
    assert_eq!(marks(&program).cursor, first, "not beside the picture");
    program.press("M");
    mouse(&mut program, PRESS, (85, 8), 2000);
    mouse(&mut program, PRESS, (95, 12), 3000);
    let second = marks(&program).cursor;
    let middle = |pixel: (u32, u32)| [f64::from(pixel.0) + 0.5, f64::from(pixel.1) + 0.5];
    let [from, to] = [first, second].map(|pixel| middle(pixel.expect("it is set")));
    let figures = |program: &Program| {
        let figures = marks(program).figures;
        figures
            .iter()
            .map(|marked| marked.figure.points.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(figures(&program), [vec![from, to]]);
    assert!(from[0] < to[0] && from[1] < to[1], "{from:?} {to:?}");
}

#[test]
fn a_figure_is_drawn_and_its_points_are_moved_by_dragging() {
    let mut program = looking(Graphics::Kitty, 120, 40);
    let points = |program: &Program| {
        let figures = program.wanted().expect("a picture is wanted").marks.figures;
        figures
            .iter()
            .map(|marked| marked.figure.points.clone())
            .collect::<Vec<_>>()
    };
    program.press("M");
    mouse(&mut program, PRESS, (85, 8), 1000);
    mouse(&mut program, DRAG, (90, 9), 1010);
    mouse(&mut program, DRAG, (95, 12), 1020);
    mouse(&mut program, RELEASE, (95, 12), 1030);
    let [drawn] = &points(&program)[..] else {
        panic!("one figure: {:?}", points(&program));
    };
    let drawn = drawn.clone();
    program.send(key(KeyCode::Esc));
    assert_eq!(points(&program)[0], drawn, "it stays");
    mouse(&mut program, PRESS, (95, 12), 3000);
    mouse(&mut program, DRAG, (100, 14), 3010);
    mouse(&mut program, RELEASE, (100, 14), 3020);
    let moved = &points(&program)[0];
    assert!(moved[..1] == drawn[..1], "the other point");
    assert!(moved[1][0] > drawn[1][0] && moved[1][1] > drawn[1][1]);
    let moved = moved.clone();
    mouse(&mut program, PRESS, (88, 14), 5000);
    mouse(&mut program, RELEASE, (88, 14), 5010);
    program.press("jjj");
    program.press("kkk");
    assert_eq!(points(&program), [moved], "a click beside it lets go");
}
