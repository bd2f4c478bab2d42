//! Measurements on an image: drawn, read, changed, listed, removed, and stored in the library.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, FoundFile, Measurement, MeasurementId, Msg};
use medivision_tui::media::measure::{Figure, FigureKind, Measured};

use crate::scene::{Film, Program, file, key, path, stamp};

/// A CT in half blocks, known to a library, with its image shown.
fn ct() -> Program {
    let mut program = Program::with_library();
    program.send(Msg::Graphics(medivision_tui::app::Graphics::Halfblocks));
    program.send(Msg::Resized {
        cols: 120,
        rows: 40,
    });
    program.list(vec![file("ct-1.dcm"), file("ct-2.dcm")]);
    program.ready(false);
    program.rest();
    program.show_as(&Film::ct());
    program.rest();
    program
}

fn here() -> FoundFile {
    FoundFile {
        path: path("ct-1.dcm"),
        stamp: stamp(1),
    }
}

/// The measurements that effects store.
fn kept(effects: &[Effect]) -> Vec<Measurement> {
    let kept = effects.iter().filter_map(|effect| match effect {
        Effect::KeepMeasurement { file, measurement } => {
            assert_eq!(*file, here());
            Some((**measurement).clone())
        }
        _ => None,
    });
    kept.collect()
}

/// Draws a figure: a point, then one after each of the movements.
fn draw(program: &mut Program, movements: &[&str]) {
    program.send(key(KeyCode::Enter));
    for keys in movements {
        program.press(keys);
        program.send(key(KeyCode::Enter));
    }
}

fn figures(program: &Program) -> Vec<FigureKind> {
    let figures = program.wanted().expect("an image is wanted").marks.figures;
    figures.iter().map(|marked| marked.figure.kind).collect()
}

#[test]
fn a_measurement_stays_on_its_frame_and_is_stored_once_its_values_are_there() {
    let mut program = ct();
    program.effects.clear();
    program.press("M");
    draw(&mut program, &["lllljjj"]);
    program.send(key(KeyCode::Esc));
    assert_eq!(figures(&program), [FigureKind::Length]);
    assert_eq!(kept(&program.effects), [], "its values are on their way");
    let stored = kept(&program.show_as(&Film::ct()));
    let [stored] = &stored[..] else {
        panic!("stored once: {stored:?}");
    };
    assert_eq!((stored.frame, &stored.id), (0, &MeasurementId::New(0)));
    let length = stored.measured.length.expect("a length").value;
    assert!((length - 3.5).abs() < 1e-9, "5 pixels of 0.7 mm: {length}");
    program.press("]");
    assert_eq!(figures(&program), [], "another frame");
    program.press("[");
    assert_eq!(figures(&program), [FigureKind::Length]);
    assert_eq!(
        kept(&program.show_as(&Film::ct())),
        [],
        "nothing has changed"
    );
}

#[test]
fn tab_goes_from_figure_to_figure() {
    let mut program = ct();
    let tab = |program: &mut Program| program.send(key(KeyCode::Tab));
    program.press("M");
    tab(&mut program);
    draw(&mut program, &["llll", "jjjj"]);
    tab(&mut program);
    draw(&mut program, &["lllljjjj"]);
    tab(&mut program);
    draw(&mut program, &["llll", "jjjj"]);
    assert_eq!(figures(&program).len(), 3, "a polygon is not closed yet");
    program.send(key(KeyCode::Enter));
    program.send(key(KeyCode::Esc));
    let drawn = [FigureKind::Angle, FigureKind::Ellipse, FigureKind::Polygon];
    assert_eq!(figures(&program), drawn);
    let stored = kept(&program.show_as(&Film::ct()));
    assert!(stored[0].measured.degrees.is_some());
    let values = stored[1].measured.statistics.expect("values");
    assert_eq!((values.mean, stored[1].unit.as_deref()), (40.0, Some("HU")));
    program.press("I");
    let screen = program.screen(120, 40);
    assert!(screen.contains("90.0°"), "{screen}");
    assert!(screen.contains("40.0 ± 2.5 HU, "), "{screen}");
    assert!(screen.contains("mm²"), "{screen}");
}

#[test]
fn a_point_is_taken_back_and_a_figure_given_up() {
    let mut program = ct();
    program.press("M");
    program.send(key(KeyCode::Enter));
    program.press("llll");
    assert_eq!(figures(&program).len(), 1, "it ends at the pointer");
    program.send(key(KeyCode::Backspace));
    assert_eq!(figures(&program), []);
    program.send(key(KeyCode::Enter));
    program.press("llll");
    program.send(key(KeyCode::Esc));
    assert_eq!(figures(&program), []);
    assert!(
        program.screen(120, 40).contains("Enter set point"),
        "the ruler stays"
    );
    program.send(key(KeyCode::Esc));
    assert!(!program.screen(120, 40).contains("Enter set point"));
}

#[test]
fn the_list_selects_a_measurement_whose_points_are_moved_and_which_is_removed() {
    let mut program = ct();
    program.press("M");
    draw(&mut program, &["lllljjj"]);
    program.press("]");
    draw(&mut program, &["llllllll"]);
    program.send(key(KeyCode::Esc));
    program.show_as(&Film::ct());
    program.press("Ik");
    program.send(key(KeyCode::Enter));
    let wanted = program.wanted().expect("an image is wanted");
    assert_eq!(wanted.frame, 0, "the frame of the first");
    let marked = &wanted.marks.figures[0];
    assert!(marked.is_selected);
    let before = marked.figure.points.clone();
    program.send(key(KeyCode::Tab));
    program.press("ll");
    let after = program.wanted().expect("one").marks.figures[0]
        .figure
        .points
        .clone();
    assert_eq!((before[0], before[1][0] + 2.0), (after[0], after[1][0]));
    let stored = kept(&program.show_as(&Film::ct()));
    assert_eq!(stored.len(), 1, "stored again: {stored:?}");
    assert_eq!(stored[0].figure.points, after);
    let effects = program.send(key(KeyCode::Delete));
    let removed = Effect::RemoveMeasurement(MeasurementId::New(0));
    assert!(effects.contains(&removed), "{effects:?}");
    assert_eq!(figures(&program), []);
    program.press("I");
    let effects = program.send(key(KeyCode::Delete));
    let removed = Effect::RemoveMeasurement(MeasurementId::New(1));
    assert!(effects.contains(&removed), "from the list: {effects:?}");
    let said = program.press("I");
    assert_eq!(said, []);
    let screen = program.screen(120, 40);
    assert!(
        screen.contains("no measurements on this image; M begins one"),
        "{screen}"
    );
}

#[test]
fn what_waits_for_its_values_is_stored_when_the_user_goes_on_or_quits() {
    let mut program = ct();
    program.press("M");
    draw(&mut program, &["lllljjj"]);
    program.send(key(KeyCode::Esc));
    let stored = kept(&program.press("j"));
    assert_eq!(stored.len(), 1, "the next file");
    let mut program = ct();
    program.press("M");
    draw(&mut program, &["lllljjj"]);
    program.send(key(KeyCode::Esc));
    let stored = kept(&program.press("q"));
    assert_eq!(stored.len(), 1, "quit");
}

#[test]
fn what_the_library_has_is_drawn_and_can_be_changed() {
    let mut program = ct();
    let requests: Vec<_> = program
        .effects
        .iter()
        .filter(|e| **e == Effect::Measurements(here()))
        .collect();
    assert_eq!(requests.len(), 1, "requested once");
    let stored = Measurement {
        id: MeasurementId::Stored("key-1".into()),
        frame: 0,
        figure: Figure {
            kind: FigureKind::Ellipse,
            points: vec![[100.5, 100.5], [140.5, 120.5]],
        },
        measured: Measured::default(),
        unit: None,
        author: Some("doe".to_owned()),
    };
    let answer = || Msg::Measurements {
        file: here(),
        all: vec![stored.clone()],
    };
    program.send(answer());
    program.send(answer());
    assert_eq!(figures(&program), [FigureKind::Ellipse], "not twice");
    program.press("I");
    assert!(program.screen(120, 40).contains("by doe"));
    let effects = program.send(key(KeyCode::Delete));
    assert!(effects.contains(&Effect::RemoveMeasurement(stored.id.clone())));
}

#[test]
fn switching_to_blind_hides_what_others_measured_at_once_and_back() {
    let mut program = ct();
    let by = |author: &str, at: f64| Measurement {
        id: MeasurementId::Stored(author.into()),
        frame: 0,
        figure: Figure {
            kind: FigureKind::Length,
            points: vec![[at, at], [at + 40.0, at]],
        },
        measured: Measured::default(),
        unit: None,
        author: Some(author.to_owned()),
    };
    let drawn = |program: &Program| figures(program).len();
    // The reviewer's own one is made here.
    program.press("M");
    draw(&mut program, &["llll"]);
    program.send(key(KeyCode::Esc));
    program.send(Msg::Measurements {
        file: here(),
        all: vec![by("doe", 100.5), by("roe", 200.5)],
    });
    assert_eq!(drawn(&program), 3);
    program.press("I");
    let screen = program.screen(120, 40);
    assert!(screen.contains("by doe"), "{screen}");
    // A point of another's figure is held.
    program.send(key(KeyCode::Enter));
    let marked = program.wanted().expect("an image is wanted").marks;
    assert!(marked.figures[0].is_selected && marked.cursor.is_some());
    program.send(key(KeyCode::Esc));
    program.press(",b");
    assert_eq!(drawn(&program), 1, "the reviewer's own");
    program.press("I");
    let screen = program.screen(120, 40);
    assert!(
        !screen.contains("doe") && !screen.contains("roe"),
        "{screen}"
    );
    program.send(key(KeyCode::Esc));
    program.press(",b");
    assert_eq!(drawn(&program), 3, "shown again");
}
