//! The heat map over the image, and what is said of it.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use medivision_tui::app::{Effect, Graphics, Msg, Theme};
use medivision_tui::engine::{Event, MapRequest};
use medivision_tui::scoring::Decision;
use medivision_tui::scoring::heat_map::deletion::DeletionCheck;
use medivision_tui::scoring::heat_map::{HeatMap, MapMethod, PlacedMap, SeenArea};

use crate::scene::{Film, Program, file, path, record};

/// Two classified images, and one that the model is not meant for; the first is on screen.
fn classified() -> Program {
    let mut program = Program::new(100, 30);
    program.list(["a.png", "b.png", "c.png"].map(file).into());
    program.ready(false);
    program.scan(&["a.png", "b.png", "c.png"]);
    for name in ["a.png", "b.png"] {
        program.answer(name, record("tumor", 0.9, Decision::Confident));
    }
    program.answer("c.png", record("tumor", 0.9, Decision::Rejected));
    program.rest();
    program.show_as(&Film::default());
    program
}

fn request(effects: &[Effect]) -> Option<MapRequest> {
    effects.iter().find_map(|effect| match effect {
        Effect::HeatMap(request) => Some(request.clone()),
        _ => None,
    })
}

fn placed() -> Arc<PlacedMap> {
    Arc::new(PlacedMap {
        map: HeatMap {
            covered: 1.0,
            method: MapMethod::Attention,
            columns: 1,
            rows: 1,
            values: vec![1.0],
            rest: Some(0.0),
            score: 1.0,
        },
        seen: SeenArea {
            x: 0.0,
            y: 0.0,
            width: 10.0,
            height: 10.0,
        },
    })
}

fn made(program: &mut Program, generation: u64) {
    let outcome = Ok(placed());
    program.send(Msg::Engine(Event::Mapped {
        generation,
        outcome,
    }));
}

fn checked(program: &mut Program, generation: u64, passed: bool) {
    let outcome = Ok(DeletionCheck {
        score: 1.0,
        deleted: 0.0,
        random: vec![0.5],
        passed,
    });
    program.send(Msg::Engine(Event::MapChecked {
        generation,
        outcome,
    }));
}

fn next_condition(program: &mut Program) -> Vec<Effect> {
    program.send(Msg::Key(KeyEvent::new(
        KeyCode::Char('o'),
        KeyModifiers::ALT,
    )))
}

/// What the result panel and the line below the image say of the map.
fn said(program: &Program) -> String {
    let screen = program.screen(100, 30);
    let lines = screen.lines().filter(|line| line.contains("map"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_map_of_the_label_is_drawn_as_soon_as_it_is_there_and_stays_if_it_passes_its_check() {
    let mut program = classified();
    let asked = request(&program.press("O")).expect("a request");
    assert_eq!(
        (asked.path, asked.condition.as_str()),
        (path("a.png"), "tumor")
    );
    assert!(said(&program).contains("tumor …"), "{}", said(&program));
    assert!(
        program
            .wanted()
            .expect("a preview")
            .marks
            .heat_map
            .is_none()
    );
    made(&mut program, asked.generation);
    assert_eq!(
        program.wanted().expect("a preview").marks.heat_map,
        Some(placed())
    );
    program.show_as(&Film::default());
    assert!(
        said(&program).contains("orange raises"),
        "{}",
        said(&program)
    );
    checked(&mut program, asked.generation, true);
    assert!(
        program
            .wanted()
            .expect("a preview")
            .marks
            .heat_map
            .is_some()
    );
    assert!(!program.screen(100, 30).contains("because"));
    program.press("O");
    assert!(
        program
            .wanted()
            .expect("a preview")
            .marks
            .heat_map
            .is_none()
    );
}

#[test]
fn a_map_no_better_than_random_is_taken_off_the_image_and_that_is_said() {
    let mut program = classified();
    let asked = request(&program.press("O")).expect("a request");
    made(&mut program, asked.generation);
    checked(&mut program, asked.generation, false);
    assert!(
        program
            .wanted()
            .expect("a preview")
            .marks
            .heat_map
            .is_none()
    );
    program.show_as(&Film::default());
    assert!(said(&program).contains("withdrawn"), "{}", said(&program));
}

#[test]
fn a_key_goes_through_the_conditions_and_answers_to_older_requests_change_nothing() {
    let mut program = classified();
    let first = request(&program.press("O")).expect("a request");
    let second = request(&next_condition(&mut program)).expect("a request");
    assert_ne!(second.condition, "tumor");
    made(&mut program, first.generation);
    assert!(
        program
            .wanted()
            .expect("a preview")
            .marks
            .heat_map
            .is_none()
    );
    made(&mut program, second.generation);
    assert!(
        program
            .wanted()
            .expect("a preview")
            .marks
            .heat_map
            .is_some()
    );
    // After the last condition comes the first again.
    let mut seen = vec![second.condition];
    while let Some(next) = request(&next_condition(&mut program)) {
        if seen.contains(&next.condition) {
            break;
        }
        seen.push(next.condition);
    }
    assert!(seen.contains(&"tumor".to_owned()), "{seen:?}");
}

#[test]
fn without_colours_there_is_no_map() {
    let mut program = Program::themed(Theme::None);
    program.send(Msg::Resized {
        cols: 100,
        rows: 30,
    });
    program.send(Msg::Graphics(Graphics::Halfblocks));
    program.list(vec![file("a.png")]);
    program.ready(false);
    program.scan(&["a.png"]);
    program.answer("a.png", record("tumor", 0.9, Decision::Confident));
    program.rest();
    program.show_as(&Film::default());
    assert_eq!(request(&program.press("O")), None);
    assert!(
        said(&program).contains("no colours here"),
        "{}",
        said(&program)
    );
}

#[test]
fn the_map_follows_the_cursor_and_a_rejected_image_has_none() {
    let mut program = classified();
    let first = request(&program.press("O")).expect("a request");
    made(&mut program, first.generation);
    program.press("j");
    program.rest();
    // The old map is not drawn over another image.
    assert!(
        program
            .wanted()
            .expect("a preview")
            .marks
            .heat_map
            .is_none()
    );
    let second = request(&program.show_as(&Film::default())).expect("a request");
    assert_eq!(second.path, path("b.png"));
    program.press("j");
    program.rest();
    assert!(request(&program.show_as(&Film::default())).is_none());
    assert!(
        said(&program).contains("not for this image"),
        "{}",
        said(&program)
    );
}

#[test]
fn nothing_is_said_of_the_map_of_another_image() {
    let mut program = classified();
    let asked = request(&program.press("O")).expect("a request");
    made(&mut program, asked.generation);
    program.show_as(&Film::default());
    assert!(said(&program).contains("orange"), "{}", said(&program));
    // The next image has a result, and is still being read.
    program.press("j");
    assert!(!said(&program).contains("orange"), "{}", said(&program));
    program.press("k");
    program.rest();
    program.show_as(&Film::default());
    assert!(said(&program).contains("orange"), "{}", said(&program));
}

#[test]
fn a_terminal_without_images_says_that_there_is_no_map() {
    let mut program = classified();
    program.send(Msg::Graphics(Graphics::None));
    program.press("O");
    assert!(
        said(&program).contains("no images are drawn here"),
        "{}",
        said(&program)
    );
}
