//! Files are copied and moved, filters completed, and views and bookmarks saved.

use std::path::PathBuf;

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Msg, PlaceChange, Places};
use medivision_tui::transfer::TransferKind;

use crate::scene::{Program, ROOT, file, key, path};

/// A folder of three files on a screen of 100 × 24 cells.
fn program() -> Program {
    let mut program = Program::new(100, 24);
    program.list(["a.png", "b.png", "c.png"].map(file).to_vec());
    program
}

fn transfer(effects: &[Effect]) -> Option<(TransferKind, Vec<PathBuf>, String)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Transfer {
            kind,
            files,
            folder,
            ..
        } => Some((*kind, files.clone(), folder.clone())),
        _ => None,
    })
}

fn change(effects: &[Effect]) -> Option<PlaceChange> {
    effects.iter().find_map(|effect| match effect {
        Effect::Places(change) => change.clone(),
        _ => None,
    })
}

#[test]
fn the_marked_files_go_to_the_folder_typed_else_the_one_under_the_cursor() {
    let mut program = program();
    program.press(";cout");
    assert!(
        program.screen(100, 24).contains("copy 1 file to: out"),
        "{}",
        program.screen(100, 24)
    );
    let effects = program.send(key(KeyCode::Enter));
    let expected = (TransferKind::Copy, vec![path("a.png")], "out".to_owned());
    assert_eq!(transfer(&effects), Some(expected));
    // One at a time.
    program.press(";m");
    assert!(
        program
            .screen(100, 24)
            .contains("are being copied or moved")
    );
    let outcome = Err("out: is a file, not a folder".to_owned());
    program.send(Msg::Transferred {
        is_undo: false,
        outcome,
        placed: Vec::new(),
    });
    assert!(program.screen(100, 24).contains("is a file, not a folder"));
    program.press("g  :move-to x/y");
    let effects = program.send(key(KeyCode::Enter));
    let (kind, files, folder) = transfer(&effects).expect("a move");
    assert_eq!((kind, folder.as_str()), (TransferKind::Move, "x/y"));
    assert!(files.len() > 1, "{files:?}");
}

#[test]
fn there_is_nothing_to_undo_or_to_stop_at_first() {
    let mut program = program();
    program.press(";u");
    assert!(program.screen(100, 24).contains("no copy or move to undo"));
    program.press(";x");
    assert!(
        program
            .screen(100, 24)
            .contains("no file is being copied or moved")
    );
}

#[test]
fn tab_completes_a_filter_and_goes_on_to_the_next_candidate() {
    let mut program = program();
    program.press("/mod");
    program.send(key(KeyCode::Tab));
    assert!(
        program.screen(100, 24).contains("filter: modality:"),
        "{}",
        program.screen(100, 24)
    );
    program.send(key(KeyCode::Esc));
    program.press("/re");
    program.send(key(KeyCode::Tab));
    let screen = program.screen(100, 24);
    assert!(screen.contains("review:  rejected  reviewed"), "{screen}");
    program.send(key(KeyCode::Tab));
    program.send(key(KeyCode::Tab));
    assert!(program.screen(100, 24).contains("filter: rejected"));
    assert!(program.screen(100, 24).contains("[rejected]"));
    program.send(key(KeyCode::BackTab));
    assert!(program.screen(100, 24).contains("filter: review:"));
}

#[test]
fn a_view_is_saved_with_filter_and_order_and_restores_them() {
    let mut program = program();
    program.press("/b");
    program.send(key(KeyCode::Enter));
    program.press("sn:save-view bees");
    let effects = program.send(key(KeyCode::Enter));
    let Some(PlaceChange::SaveView(view)) = change(&effects) else {
        panic!("no view is saved: {effects:?}");
    };
    assert_eq!((view.name.as_str(), view.filter.as_str()), ("bees", "b"));
    assert_eq!(view.folder, Some(PathBuf::from(ROOT)));
    program.send(key(KeyCode::Esc));
    assert!(program.screen(100, 24).contains("a.png"));
    program.press(":view be");
    program.send(key(KeyCode::Enter));
    let screen = program.screen(100, 24);
    assert!(
        !screen.contains("a.png") && screen.contains("2 hidden"),
        "{screen}"
    );
    program.press(";v");
    let effects = program.send(key(KeyCode::Delete));
    assert_eq!(
        change(&effects),
        Some(PlaceChange::RemoveView("bees".to_owned()))
    );
}

#[test]
fn a_letter_leads_to_its_folder() {
    let mut program = program();
    let effects = program.press(";ba");
    let expected = PlaceChange::SetBookmark('a', PathBuf::from(ROOT));
    assert_eq!(change(&effects), Some(expected));
    let mut places = Places::default();
    places.apply(PlaceChange::SetBookmark('j', PathBuf::from("/data/ward")));
    program.press("'");
    program.send(Msg::Places(Ok(places)));
    assert!(program.screen(100, 24).contains("j  /data/ward"));
    program.press("j");
    assert_eq!(program.listing().0, PathBuf::from("/data/ward"));
    program.send(Msg::Places(Err("places.toml: line 3: wrong".to_owned())));
    assert!(program.screen(100, 24).contains("line 3: wrong"));
}
