//! How folders were left: remembered while the program runs, and persisted.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use medivision_tui::app::sort::{Key, Sort};
use medivision_tui::app::{
    Effect, Entry, FileName, Filter, FolderState, Graphics, ListOptions, Msg, ScreenLayout,
};

use crate::objects::{by_series, directory};
use crate::scene::{Program, file, folder, key, path};

fn at(name: &str) -> FolderState {
    FolderState {
        cursor: Some(FileName::Text(name.to_owned())),
        ..FolderState::default()
    }
}

fn filtered(text: &str) -> FolderState {
    FolderState {
        options: ListOptions {
            filter: Filter::new(text),
            ..ListOptions::default()
        },
        ..FolderState::default()
    }
}

fn by(by: Key, reversed: bool) -> FolderState {
    FolderState {
        options: ListOptions {
            sort: Sort { by, reversed },
            ..ListOptions::default()
        },
        ..FolderState::default()
    }
}

fn laid_out(layout: ScreenLayout) -> FolderState {
    FolderState {
        layout,
        ..FolderState::default()
    }
}

/// Started in a folder that was left so, on a screen of 80 × 24.
fn started(state: FolderState) -> Program {
    let mut program = Program::left(state);
    program.send(Msg::Resized { cols: 80, rows: 24 });
    program.send(Msg::Graphics(Graphics::Halfblocks));
    program
}

/// A part of the listing that was asked for last.
fn part(program: &mut Program, entries: Vec<Entry>, complete: bool) {
    let (dir, generation) = program.listing();
    program.send(Msg::Listed {
        dir,
        generation,
        entries,
        complete,
    });
}

/// What was persisted of the folder that is being listed comes.
fn recall(program: &mut Program, state: FolderState) {
    let (dir, generation) = program.listing();
    program.send(Msg::FolderState {
        dir,
        generation,
        state: Box::new(state),
    });
}

/// The row of the cursor.
fn current(program: &Program) -> String {
    let screen = program.screen(80, 24);
    let row = screen.lines().find(|line| line.starts_with('▌'));
    let words = row.unwrap_or_default().trim_start_matches('▌');
    let name = words.split_whitespace().find(|word| word.len() > 1);
    name.unwrap_or_default().to_owned()
}

/// The names on screen, in their order.
fn names(program: &Program) -> String {
    let screen = program.screen(80, 24);
    let list = screen.lines().skip(1).filter_map(|line| {
        let mut words = line.split('│').next()?.split_whitespace();
        words.find(|word| word.contains(".png") || word.ends_with('/'))
    });
    list.collect::<Vec<_>>().join(" ")
}

/// What was persisted of each folder, in order.
fn keeps(effects: &[Effect]) -> Vec<(&std::path::Path, &FolderState)> {
    let mut keeps = Vec::new();
    for effect in effects {
        if let Effect::PersistFolder { dir, state } = effect {
            keeps.push((dir.as_path(), state));
        }
    }
    keeps
}

fn abc() -> Vec<Entry> {
    ["a.png", "b.png", "c.png", ".d.png"].map(file).to_vec()
}

#[test]
fn the_cursor_is_found_again_unless_it_was_moved_before() {
    for (state, keys, found) in [
        ("c.png", "", "c.png"),
        ("c.png", "j", "b.png"),
        ("c.png", "jk", "a.png"),
        ("gone.png", "", "a.png"),
        (".d.png", "", "a.png"),
        ("", "", "a.png"),
    ] {
        // The name comes with the last part of the listing; keys are pressed before.
        let mut program = started(at(state));
        part(&mut program, abc()[..2].to_vec(), false);
        assert_eq!(current(&program), "a.png", "{state:?}");
        program.press(keys);
        part(&mut program, abc()[2..].to_vec(), true);
        assert_eq!(current(&program), found, "{state:?} and {keys:?}");
    }
}

#[test]
fn a_name_that_comes_after_the_listing_does_not_take_the_cursor_away() {
    let mut program = started(at("b.png"));
    program.list(vec![file("a.png")]);
    program.send(Msg::Appeared {
        entry: file("b.png"),
        picture: true,
    });
    assert_eq!(current(&program), "a.png");
}

#[test]
fn order_filter_and_hidden_files_are_as_they_were() {
    let hidden = FolderState {
        options: ListOptions {
            hidden: true,
            ..ListOptions::default()
        },
        ..FolderState::default()
    };
    for (state, shown, title) in [
        (FolderState::default(), "a.png b.png c.png", "1/3"),
        (by(Key::Name, true), "c.png b.png a.png", "↑ name  1/3"),
        (filtered("!b"), "a.png c.png", "“!b”  1 hidden  1/2"),
        (hidden, ".d.png a.png b.png c.png", "1/4"),
    ] {
        let mut program = started(state);
        program.list(abc());
        assert_eq!(names(&program), shown);
        assert!(program.screen(80, 24).contains(title), "{title}");
    }
    let mut program = started(filtered("zz"));
    program.list(abc());
    assert!(program.screen(80, 24).contains("Nothing here matches “zz”"));
    program.send(key(KeyCode::Esc));
    assert_eq!(names(&program), "a.png b.png c.png");
}

#[test]
fn the_screen_is_divided_as_it_was() {
    let line = |program: &Program, cols| {
        let screen = program.screen(cols, 24);
        let title = screen.lines().next().map(str::to_owned);
        title.and_then(|title| title.chars().position(|c| c == '┬'))
    };
    let list = |percent| ScreenLayout {
        list: Some(percent),
        ..ScreenLayout::default()
    };
    for (percent, column) in [(37.5, 30), (50.0, 40), (-1.0, 20), (1e9, 59)] {
        let mut program = started(laid_out(list(percent)));
        program.list(abc());
        assert_eq!(line(&program, 80), Some(column), "{percent} %");
    }
    // A share of another screen, too.
    let mut program = started(laid_out(list(37.5)));
    program.send(Msg::Resized {
        cols: 120,
        rows: 24,
    });
    assert_eq!(line(&program, 120), Some(45));

    let mut program = started(laid_out(ScreenLayout {
        grid: true,
        tiles: 5,
        series: true,
        ..ScreenLayout::default()
    }));
    program.list(abc());
    assert_eq!(line(&program, 80), None, "the grid");
    assert_eq!(program.tiles()[0].cols, 78, "one tile a row");
    let headers = |effect: &Effect| matches!(effect, Effect::Headers { .. });
    assert!(program.effects.iter().any(headers), "by series");
}

#[test]
fn another_folder_is_found_as_it_was_left_in_an_earlier_run() {
    let mut program = started(FolderState::default());
    program.list(vec![folder("sub"), file("a.png")]);
    let inside = || ["sub/a.png", "sub/b.png", "sub/c.png"].map(file).to_vec();
    program.press("l");
    recall(
        &mut program,
        FolderState {
            cursor: Some(FileName::Text("b.png".to_owned())),
            ..by(Key::Name, true)
        },
    );
    program.list(inside());
    assert_eq!(names(&program), "c.png b.png a.png");
    assert_eq!(current(&program), "b.png");
    // What was done in this run goes before what an earlier one has state.
    program.press("Sg");
    program.send(key(KeyCode::Backspace));
    program.list(vec![folder("sub"), file("a.png")]);
    assert_eq!(current(&program), "sub/");
    program.press("l");
    recall(&mut program, by(Key::Time, false));
    program.list(inside());
    assert_eq!(names(&program), "a.png b.png c.png");
    assert_eq!(current(&program), "a.png");
}

#[test]
fn what_a_key_has_asked_for_meanwhile_goes_before_what_was_kept() {
    let inside = || ["sub/a.png", "sub/b.png", "sub/c.png"].map(file).to_vec();
    for (keys, shown, cursor) in [
        ("", "b.png c.png", "c.png"),
        ("S", "c.png b.png a.png", "c.png"),
        ("j", "b.png c.png", "b.png"),
    ] {
        let mut program = started(FolderState::default());
        program.list(vec![folder("sub"), file("a.png")]);
        program.press("l");
        program.press(keys);
        recall(
            &mut program,
            FolderState {
                cursor: Some(FileName::Text("c.png".to_owned())),
                ..filtered("!a")
            },
        );
        program.list(inside());
        assert_eq!(names(&program), shown, "{keys:?}");
        assert_eq!(current(&program), cursor, "{keys:?}");
    }
}

#[test]
fn each_folder_has_its_own_look_and_the_filter_stays_behind() {
    let mut program = started(FolderState::default());
    let root = || vec![folder("sub"), folder("two"), file("a.png")];
    program.list(root());
    program.press("/sub");
    program.send(key(KeyCode::Enter));
    program.press("Sl");
    program.list(["sub/a.png", "sub/b.png"].map(file).to_vec());
    assert_eq!(names(&program), "b.png a.png", "the order goes along");
    program.press("S");
    program.send(key(KeyCode::Backspace));
    program.list(root());
    assert_eq!(names(&program), "sub/", "the filter is here again");
    assert!(program.screen(80, 24).contains("↑ name"));
}

#[test]
fn leaving_keeps_the_folder_and_at_the_end_the_root_too() {
    let mut program = started(FolderState::default());
    program.list(vec![folder("sub"), file("a.png")]);
    let effects = program.press("Sl");
    let of_root = FolderState {
        cursor: Some(FileName::Text("sub".to_owned())),
        ..by(Key::Name, true)
    };
    assert_eq!(keeps(&effects), [(path("").as_path(), &of_root)]);
    program.list(["sub/a.png", "sub/b.png"].map(file).to_vec());
    program.press("jvg+/a");
    let effects = program.send(Msg::Terminated);
    let layout = ScreenLayout {
        grid: true,
        tiles: 3,
        ..ScreenLayout::default()
    };
    let sub = FolderState {
        cursor: Some(FileName::Text("a.png".to_owned())),
        options: ListOptions {
            filter: Filter::new("a"),
            ..of_root.options.clone()
        },
        layout: layout.clone(),
    };
    let root = FolderState { layout, ..of_root };
    let (dir, inside) = (path(""), path("sub"));
    let state = [(inside.as_path(), &sub), (dir.as_path(), &root)];
    assert_eq!(keeps(&effects), state);
    assert_eq!(effects.last(), Some(&Effect::Quit));
}

#[test]
fn a_dragged_line_is_kept_as_a_share() {
    let mut program = started(FolderState::default());
    program.list(abc());
    let mut mouse = |kind, column| {
        let event = MouseEvent {
            kind,
            column,
            row: 5,
            modifiers: KeyModifiers::NONE,
        };
        program.send(Msg::Mouse {
            event,
            at: Duration::ZERO,
        });
    };
    mouse(MouseEventKind::Down(MouseButton::Left), 42);
    mouse(MouseEventKind::Drag(MouseButton::Left), 30);
    let effects = program.press("q");
    let lists = keeps(&effects).into_iter().map(|(_, k)| k.layout.list);
    assert_eq!(lists.collect::<Vec<_>>(), [Some(37.5)]);
}

#[test]
fn before_anything_is_known_of_a_folder_what_was_kept_of_it_stays() {
    let mut program = started(at("c.png"));
    assert_eq!(program.press("q"), [Effect::Quit]);
    // The name is still to come.
    part(&mut program, abc()[..2].to_vec(), false);
    let effects = program.press("q");
    assert_eq!(keeps(&effects), [(path("").as_path(), &at("c.png"))]);
    let (dir, generation) = program.listing();
    program.send(Msg::ListFailed {
        dir,
        generation,
        message: "gone".to_owned(),
    });
    assert_eq!(program.press("q"), [Effect::Quit]);
}

#[test]
fn of_studies_series_and_a_dicomdir_no_name_is_kept() {
    let mut program = started(FolderState::default());
    by_series(&mut program);
    let grouped = laid_out(ScreenLayout {
        series: true,
        ..ScreenLayout::default()
    });
    program.press("gjj");
    let effects = program.press("q");
    assert_eq!(keeps(&effects), [(path("").as_path(), &grouped)]);
    program.press("l");
    let effects = program.press("q");
    assert_eq!(
        keeps(&effects),
        [(path("").as_path(), &grouped)],
        "its base"
    );

    let mut program = started(FolderState::default());
    directory(&mut program);
    let effects = program.press("q");
    let dirs: Vec<_> = keeps(&effects).iter().map(|(dir, _)| *dir).collect();
    assert_eq!(dirs, [path("").as_path()]);
}

#[test]
fn a_filter_of_an_earlier_run_is_announced() {
    let mut program = started(filtered("chest"));
    let said = |program: &Program| {
        program
            .screen(80, 24)
            .contains("filtered by “chest”, as last time")
    };
    assert!(said(&program), "at the start");
    program.send(key(KeyCode::Esc));
    assert!(!program.screen(80, 24).contains("“chest”  "));
    // In a folder that is entered, too; but not where it was typed in this run.
    let mut program = started(FolderState::default());
    program.list(vec![folder("sub"), file("chest.png")]);
    program.send(key(KeyCode::Enter));
    let (dir, generation) = program.listing();
    program.send(Msg::FolderState {
        dir,
        generation,
        state: Box::new(filtered("chest")),
    });
    assert!(said(&program), "{}", program.screen(80, 24));
}
