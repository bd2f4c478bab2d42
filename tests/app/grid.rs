//! The files as small pictures.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Entry, Graphics, Msg, Previewed, Quality};
use medivision_tui::media::{ErrorKind, MediaError};
use medivision_tui::scoring::Decision;

use crate::scene::{Program, failure, file, folder, key, path, record, stamp};
use crate::screens::{at_all_sizes, browsing};

/// A screen that most terminals have, others that fewer have.
/// A grid of this many files, `000.dcm` and so on, on 80 × 24: four columns, two rows.
fn grid(files: usize) -> Program {
    let mut program = Program::new(80, 24);
    program.list(names(files).iter().map(|name| file(name)).collect());
    program.press("vg");
    program
}

fn names(files: usize) -> Vec<String> {
    (0..files).map(|n| format!("{n:03}.dcm")).collect()
}

/// The name under the cursor: its tile has the bar.
fn current(program: &Program) -> String {
    let screen = program.screen(80, 24);
    let name = |line: &str| {
        let at = line.find('▌')?;
        let rest = line[at..].trim_start_matches('▌');
        let word = rest.split_whitespace().next()?;
        word.strip_suffix(".dcm").map(str::to_owned)
    };
    screen
        .lines()
        .find_map(name)
        .expect("a tile has the cursor")
}

#[test]
fn small_pictures_with_what_the_model_says() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press(" vg");
        program.show_tiles();
    }));
}

#[test]
fn larger_tiles_and_what_cannot_be_seen() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("vg+");
        let keys = program.tiles();
        for key in keys {
            if key.path == path("chest-002.dcm") {
                let outcome = Err(MediaError::new(ErrorKind::Truncated, "it ends early"));
                program.send(Msg::Tile(Box::new(Previewed { key, outcome })));
            }
        }
    }));
}

#[test]
fn keys_move_in_two_dimensions() {
    let mut program = grid(10);
    for (keys, at) in [
        ("l", "001"),
        ("j", "005"),
        ("j", "009"),
        ("j", "009"),
        ("k", "005"),
        ("h", "004"),
        ("h", "003"),
        ("l", "004"),
        ("G", "009"),
        ("l", "009"),
        ("g", "000"),
        ("k", "000"),
        ("h", "000"),
    ] {
        program.press(keys);
        assert_eq!(current(&program), at, "after {keys}");
    }
    program.press("lll");
    program.send(key(KeyCode::Down));
    program.send(key(KeyCode::Down));
    assert_eq!(current(&program), "009", "there is no tile right below");
    program.send(key(KeyCode::Left));
    program.send(key(KeyCode::PageUp));
    assert_eq!(current(&program), "000");
}

#[test]
fn the_cursor_marks_and_order_are_those_of_the_list() {
    let mut program = grid(6);
    program.press("ll  ");
    assert_eq!(current(&program), "004");
    program.press("S");
    assert_eq!(current(&program), "004", "it stays on its file");
    program.press("vg");
    let screen = program.screen(80, 24);
    for name in ["002.dcm", "003.dcm"] {
        let row = screen.lines().find(|line| line.contains(name));
        assert!(row.is_some_and(|row| row.contains('*')), "{screen}");
    }
    program.press("vg/005");
    program.send(key(KeyCode::Enter));
    assert_eq!(current(&program), "005");
    assert_eq!(program.tiles().len(), 1, "of what the filter shows");
}

#[test]
fn enter_opens_the_picture_and_the_way_back_is_the_grid() {
    let mut program = grid(6);
    program.press("l");
    program.send(key(KeyCode::Enter));
    let wanted = program.wanted().expect("the picture");
    assert_eq!((wanted.path, wanted.cols), (path("001.dcm"), 80));
    assert_eq!(program.tiles(), [], "nothing else is decoded meanwhile");
    program.press("j");
    program.send(key(KeyCode::Esc));
    assert_eq!(current(&program), "002", "the next file was looked at");
    assert_eq!(program.wanted(), None);
    program.send(key(KeyCode::Esc));
    assert!(program.screen(80, 24).contains('│'), "the panels are back");
}

#[test]
fn folders_are_entered_and_left_within_the_grid() {
    let mut program = Program::new(80, 24);
    program.list(vec![folder("series-7"), file("a.dcm")]);
    program.press("vg");
    program.send(key(KeyCode::Enter));
    assert_eq!(program.listing().0, path("series-7"));
    program.list(vec![file("series-7/001.dcm")]);
    assert_eq!(current(&program), "001");
    program.send(key(KeyCode::Backspace));
    assert_eq!(program.listing().0, path(""));
}

#[test]
fn only_what_is_in_sight_and_the_next_page_is_decoded() {
    let entries: Vec<Entry> = (0..100_000).map(|n| file(&format!("{n:06}.dcm"))).collect();
    let mut program = Program::new(80, 24);
    program.list(entries);
    program.press("vg");
    let names = |program: &Program| -> Vec<String> {
        let name = |key: &medivision_tui::app::PreviewKey| {
            key.path.file_stem().unwrap().to_string_lossy().into_owned()
        };
        program.tiles().iter().map(name).collect()
    };
    let first: Vec<String> = (0..16).map(|n| format!("{n:06}")).collect();
    assert_eq!(names(&program), first);
    program.show_tiles();
    assert!(program.press("lh").is_empty(), "nothing scrolled");
    program.press("jj");
    let next: Vec<String> = (16..20).map(|n| format!("{n:06}")).collect();
    assert_eq!(names(&program), next, "the others are there");
    program.press("G");
    let last: Vec<String> = (99_992..100_000).map(|n| format!("{n:06}")).collect();
    assert_eq!(names(&program), last);
}

#[test]
fn half_blocks_while_it_scrolls_and_the_terminals_pictures_at_rest() {
    let mut program = grid(40);
    program.send(Msg::Graphics(Graphics::Sixel));
    let qualities = |program: &Program| -> (usize, usize) {
        let count = |quality| {
            let tiles = program.tiles();
            tiles.iter().filter(|key| key.quality == quality).count()
        };
        (count(Quality::Fast), count(Quality::Half))
    };
    program.press("G");
    assert_eq!(qualities(&program), (8, 0));
    program.show_tiles();
    program.rest();
    assert_eq!(qualities(&program), (0, 8), "once the cursor rests");
    program.show_tiles();
    assert_eq!(program.press("k"), [], "what is in sight stays as it is");
    program.rest();
    program.press("k");
    assert_eq!(qualities(&program), (4, 0), "a row scrolled in");
}

#[test]
fn a_changed_file_has_a_new_tile_and_a_removed_one_none() {
    let mut program = grid(3);
    program.show_tiles();
    program.send(Msg::Modified {
        path: path("001.dcm"),
        stamp: stamp(2),
        picture: true,
    });
    let asked = program.tiles();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (&asked[0].path, asked[0].stamp),
        (&path("001.dcm"), stamp(2))
    );
    program.send(Msg::Removed {
        path: path("001.dcm"),
    });
    assert!(!program.screen(80, 24).contains("001.dcm"));
}

#[test]
fn leaving_the_grid_calls_the_rest_off() {
    let mut program = grid(8);
    assert_eq!(program.tiles().len(), 8);
    let effects = program.press("vg");
    assert!(effects.contains(&Effect::Tiles(Vec::new())), "{effects:?}");
    assert!(program.wanted().is_some(), "the picture is back");
}

#[test]
fn tiles_have_other_sizes() {
    let mut program = grid(40);
    let usual = program.tiles()[0].cols;
    program.press("+");
    let larger = program.tiles()[0].cols;
    program.press("--");
    let smaller = program.tiles()[0].cols;
    assert!(
        smaller < usual && usual < larger,
        "{smaller} {usual} {larger}"
    );
    program.press("0");
    program.ready(true);
    let state = |program: &mut Program| program.screen(80, 24);
    program.scan(&["000.dcm", "001.dcm"]);
    program.answer("000.dcm", record("tumor", 0.8, Decision::Confident));
    program.answer("001.dcm", failure(ErrorKind::Truncated, "cut"));
    let screen = state(&mut program);
    assert!(
        screen.contains("● tumor") && screen.contains("80%"),
        "{screen}"
    );
    assert!(screen.contains("✗ truncated"), "{screen}");
}
