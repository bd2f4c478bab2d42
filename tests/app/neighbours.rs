//! The nearest reviewed images: named beside the explanation of a score, and shown as small images.

use std::path::PathBuf;

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Graphics, Msg, Quality};
use medivision_tui::engine::Event;
use medivision_tui::library::neighbours::{Neighbour, Neighbours};

use crate::phrases::{classified, explanation, request};
use crate::scene::{Program, key, path};

fn neighbour(label: Option<&str>, name: &str, similarity: f32) -> Neighbour {
    Neighbour {
        label: label.map(ToOwned::to_owned),
        path: path(name),
        similarity,
        is_near_copy: similarity >= 0.99,
        is_missing: false,
    }
}

fn neighbours() -> Neighbours {
    let elsewhere = Neighbour {
        path: PathBuf::from("/elsewhere/old.dcm"),
        is_missing: true,
        ..neighbour(Some("normal"), "", 0.62)
    };
    let nearest = vec![
        neighbour(Some("tumor"), "b.png", 0.997),
        neighbour(Some("tumor"), "c.png", 0.91),
        neighbour(Some("tumor"), "d.png", 0.74),
        neighbour(Some("normal"), "e.png", 0.70),
        elsewhere,
        neighbour(None, "f.png", 0.12),
    ];
    Neighbours {
        compared: 23,
        nearest,
    }
}

/// Asks for the explanation of the first image, and answers with neighbours.
fn explained(neighbours: Result<Neighbours, String>) -> Program {
    let mut program = classified();
    program.send(Msg::Resized { cols: 80, rows: 24 });
    let asked = request(&program.press("e")).expect("a request");
    let mut outcome = explanation();
    outcome.neighbours = neighbours;
    program.send(Msg::Engine(Event::Explained {
        generation: asked.generation,
        outcome: Ok(outcome),
    }));
    program
}

#[test]
fn the_explanation_names_the_nearest_of_each_label_and_copies_only_where_there_is_nothing_else() {
    let program = explained(Ok(neighbours()));
    let screen = program.screen(80, 24);
    for words in [
        "Nearest of 23 reviewed images; Enter shows them",
        "0.91  tumor: c.png",
        "0.70  normal: e.png",
        "0.12  none of the conditions: f.png",
    ] {
        assert!(screen.contains(words), "{words}\n{screen}");
    }
    assert!(!screen.contains("tumor: b.png"), "{screen}");
    let only_a_copy = Neighbours {
        compared: 1,
        nearest: vec![neighbour(Some("tumor"), "b.png", 0.997)],
    };
    let screen = explained(Ok(only_a_copy)).screen(80, 24);
    assert!(screen.contains("tumor: b.png, a copy"), "{screen}");
}

#[test]
fn small_images_have_a_row_for_each_label() {
    let mut program = explained(Ok(neighbours()));
    program.send(key(KeyCode::Enter));
    program.show_tiles();
    insta::assert_snapshot!(program.screen(80, 24));
    // Left and right within the labels, down to the next one.
    program.press("lj");
    let screen = program.screen(80, 24);
    assert!(screen.contains("The file is missing"), "{screen}");
    let effects = program.send(key(KeyCode::Enter));
    assert!(
        effects
            .iter()
            .all(|effect| !matches!(effect, Effect::List { .. }))
    );
    assert!(program.screen(80, 24).contains("old.dcm is missing"));
    program.press("G");
    program.show_tiles();
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("none") && screen.contains("f.png"),
        "{screen}"
    );
    program.send(key(KeyCode::Esc));
    assert!(!program.screen(80, 24).contains("reviewed image"));
}

#[test]
fn enter_goes_to_the_image_also_in_another_folder() {
    let mut program = explained(Ok(neighbours()));
    program.send(key(KeyCode::Enter));
    program.press("l");
    program.send(key(KeyCode::Enter));
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("▌") && !screen.contains("Nearest reviewed"),
        "{screen}"
    );
    assert_eq!(program.wanted().map(|key| key.path), Some(path("c.png")));

    let other = Neighbours {
        compared: 1,
        nearest: vec![Neighbour {
            path: PathBuf::from("/elsewhere/x.dcm"),
            ..neighbour(Some("tumor"), "", 0.8)
        }],
    };
    let mut program = explained(Ok(other));
    program.send(key(KeyCode::Enter));
    let effects = program.send(key(KeyCode::Enter));
    let listed = effects.iter().find_map(|effect| match effect {
        Effect::List { dir, .. } => Some(dir.clone()),
        _ => None,
    });
    assert_eq!(listed, Some(PathBuf::from("/elsewhere")), "{effects:?}");
}

#[test]
fn in_a_protocol_half_blocks_come_first_and_missing_files_are_not_requested() {
    let mut program = explained(Ok(neighbours()));
    program.send(Msg::Graphics(Graphics::Kitty));
    program.send(key(KeyCode::Enter));
    let keys = program.tiles();
    assert!(keys.iter().all(|key| !key.path.ends_with("old.dcm")));
    assert_eq!(keys.first().map(|key| key.quality), Some(Quality::Fast));
    assert_eq!(keys.last().map(|key| key.quality), Some(Quality::Half));
    // None is wanted any more once the view is closed.
    program.send(key(KeyCode::Esc));
    assert!(program.tiles().is_empty());
}

#[test]
fn without_reviews_or_a_library_that_can_be_read_that_is_said() {
    let mut program = explained(Ok(Neighbours::default()));
    let screen = program.screen(80, 24);
    assert!(screen.contains("No other image is reviewed"), "{screen}");
    program.send(key(KeyCode::Enter));
    assert!(!program.screen(80, 24).contains("Nearest reviewed images"));
    let screen = explained(Err("the file is damaged".to_owned())).screen(80, 24);
    assert!(
        screen.contains("not known: the file is damaged"),
        "{screen}"
    );
}
