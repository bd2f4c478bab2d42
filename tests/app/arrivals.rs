//! Files that come while the program runs: they may be half written, no images at all, or not to be read yet.

use std::path::Path;

use medivision_tui::app::{Effect, Msg};
use medivision_tui::config::Config;
use medivision_tui::jobs::retry;
use medivision_tui::library::{Failure, Outcome};
use medivision_tui::media::{ErrorKind, FileContent};
use medivision_tui::rules::Rules;
use medivision_tui::scoring::Decision;

use crate::scene::{Program, failure, file, folder, key, path, record, stamp, started};

fn program() -> Program {
    let mut program = Program::new(100, 24);
    program.list(vec![file("a.png")]);
    program.ready(false);
    program.scan(&["a.png"]);
    program.answer("a.png", record("normal", 0.9, Decision::Confident));
    program
}

fn arrive(program: &mut Program, name: &str) {
    program.send(Msg::Appeared {
        entry: file(name),
        picture: true,
    });
}

fn row(program: &Program, name: &str) -> String {
    let screen = program.screen(100, 24);
    let row = screen.lines().skip(1).find(|line| line.contains(name));
    row.unwrap_or_default().to_owned()
}

fn no_image() -> Outcome {
    Err(Failure {
        kind: ErrorKind::Unsupported,
        message: "not a picture".to_owned(),
        content: FileContent::Other,
    })
}

#[test]
fn a_file_that_came_half_written_is_tried_again_before_it_is_called_damaged() {
    let mut program = program();
    arrive(&mut program, "new.png");
    let cut = failure(ErrorKind::Truncated, "cut");
    program.answer("new.png", cut.clone());
    assert!(row(&program, "new.png").contains("queued"));
    let again = started(&program.rest());
    assert_eq!(again.len(), 1, "half a second later");
    program.answer("new.png", record("fracture", 0.9, Decision::Confident));
    assert!(row(&program, "new.png").contains("fracture"));

    arrive(&mut program, "cut.png");
    program.effects.clear();
    arrive(&mut program, "damaged.png");
    program.give_up("damaged.png", &cut);
    assert_eq!(started(&program.effects).len(), 1 + retry::WAITS.len());
    assert!(row(&program, "damaged.png").contains("truncated"));
    // What was there is damaged, and nobody is writing it.
    program.press("gc");
    program.answer("a.png", cut);
    assert!(row(&program, "a.png").contains("truncated"));
}

#[test]
fn what_came_and_is_no_image_leaves_no_trace() {
    let mut program = program();
    let before = program.screen(100, 24);
    arrive(&mut program, "sub/notes.txt");
    program.answer("sub/notes.txt", no_image());
    program.rest();
    assert_eq!(program.screen(100, 24), before);
    program.press("va");
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("0 arrived") && !screen.contains("notes"),
        "{screen}"
    );
    program.send(key(crossterm::event::KeyCode::Esc));
    // It is written to again and again; that is not seen either, until it is an image.
    for version in 2..4 {
        program.send(Msg::Modified {
            path: path("sub/notes.txt"),
            stamp: stamp(version),
            picture: true,
        });
        assert!(!program.screen(100, 24).contains("queued"));
        program.answer("sub/notes.txt", no_image());
    }
}

#[test]
fn the_bell_rings_for_new_results_that_a_rule_is_for() {
    let settings = "[[rule]]\nwhen = \"label == 'fracture'\"\nbell = true\n";
    let settings = Config::parse(settings, Path::new("config.toml")).expect("it is valid");
    let mut program = Program::with_rules(Rules::new(&settings).expect("they are valid"));
    program.list(vec![file("a.png")]);
    program.ready(false);
    program.scan(&["a.png"]);
    let rings = |program: &mut Program, name: &str, label: &str| {
        program.effects.retain(|effect| *effect != Effect::Bell);
        program.answer(name, record(label, 0.9, Decision::Confident));
        program.effects.contains(&Effect::Bell)
    };
    assert!(!rings(&mut program, "a.png", "fracture"), "it was there");
    arrive(&mut program, "b.png");
    assert!(!rings(&mut program, "b.png", "normal"));
    arrive(&mut program, "c.png");
    assert!(rings(&mut program, "c.png", "fracture"));
    program.press("G");
    program.press("c");
    assert!(!rings(&mut program, "c.png", "fracture"), "it was rung for");
}

#[test]
fn rights_that_change_bring_a_refused_file_back() {
    let mut program = program();
    arrive(&mut program, "new.png");
    program.give_up("new.png", &failure(ErrorKind::Permission, "no permission"));
    assert!(row(&program, "new.png").contains("permission"));
    let touch = |program: &mut Program, name: &str| {
        let (path, stamp) = (path(name), stamp(1));
        started(&program.send(Msg::Touched { path, stamp })).len()
    };
    assert_eq!(touch(&mut program, "a.png"), 0, "its content is known");
    assert_eq!(touch(&mut program, "new.png"), 1);
    program.answer("new.png", record("tumor", 0.9, Decision::Confident));
    assert!(row(&program, "new.png").contains("tumor"));
}

#[test]
fn classifying_all_tells_what_is_queued_from_what_is_done() {
    let mut program = program();
    arrive(&mut program, "b.png");
    arrive(&mut program, "c.png");
    for (name, words) in [
        ("b.png", "2 images here are already queued"),
        ("c.png", "1 image here is already queued"),
    ] {
        program.press("A");
        program.scan(&["a.png", "b.png", "c.png"]);
        assert!(program.screen(100, 24).contains(words), "{words}");
        program.answer(name, record("normal", 0.9, Decision::Confident));
    }
    program.press("A");
    program.scan(&["a.png", "b.png", "c.png"]);
    assert!(
        program
            .screen(100, 24)
            .contains("everything here has been classified")
    );
}

#[test]
fn files_that_are_no_images_are_not_counted_as_images() {
    let mut program = Program::new(140, 40);
    program.list(vec![folder("ct")]);
    program.ready(false);
    let names = ["ct/1.dcm", "ct/2.dcm", "ct/state.dcm"];
    program.scan(&names);
    program.answer("ct/1.dcm", record("tumor", 0.9, Decision::Confident));
    program.answer("ct/2.dcm", failure(ErrorKind::Truncated, "the file ends"));
    program.answer("ct/state.dcm", no_image());
    program.rest();
    let screen = program.screen(140, 40);
    for words in ["2 images, 1 other object", "1 confident, 1 failed"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    assert!(!screen.contains("3 images"), "{screen}");
}
