//! Two files side by side.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Graphics, Msg, Quality};
use medivision_tui::engine::{ClassifiedFile, Event};
use medivision_tui::media::{ErrorKind, Geometry, Spacing, TargetFrame, Voi};
use medivision_tui::scoring::Decision;

use crate::scene::{Film, Program, failure, file, folder, key, path, record, stamp};
use crate::screens::{at_all_sizes, browsing};

/// Four files with results; the first and the third are compared.
fn compared() -> Program {
    let mut program = Program::new(80, 24);
    program.list(vec![
        folder("sub"),
        file("a"),
        file("b"),
        file("c"),
        file("d"),
    ]);
    program.ready(false);
    program.scan(&["a", "b", "c", "d"]);
    program.answer("a", record("tumor", 0.8, Decision::Confident));
    program.answer("b", record("normal", 0.9, Decision::Confident));
    program.answer("c", record("fracture", 0.6, Decision::Uncertain));
    program.answer("d", failure(ErrorKind::Truncated, "cut"));
    program.press("j jvc");
    program
}

/// The files in the titles, left and right.
fn titles(program: &Program) -> [String; 2] {
    let screen = program.screen(80, 24);
    let title = screen.lines().next().expect("a title").to_owned();
    let (left, right) = title.split_once('┬').expect("two of them");
    [left, right].map(|title| {
        let name = title.trim_matches(|c| c == '─' || c == ' ');
        name.rsplit('/').next().unwrap_or_default().to_owned()
    })
}

#[test]
fn two_files_with_their_scores() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("gj vc");
        program.rest();
        program.show_sides();
    }));
}

#[test]
fn the_marked_file_stands_beside_the_one_under_the_cursor() {
    let mut program = compared();
    assert_eq!(titles(&program), ["a", "c"]);
    let files = program.sides().map(|key| key.map(|key| key.path));
    assert_eq!(files, [Some(path("a")), Some(path("c"))]);
    assert!(
        program.wanted().is_none(),
        "the panels' picture is not seen"
    );
    program.send(key(KeyCode::Esc));
    assert!(program.wanted().is_some());
    program.press("jj vc");
    assert_eq!(titles(&program), ["a", "d"], "both are marked");
    program.send(key(KeyCode::Esc));
    program.press("k vc");
    assert!(program.screen(80, 24).contains("more than two"));
}

/// The results of a file scored by other prompts.
fn rescored(program: &mut Program, name: &str) {
    let mut other = record("effusion", 0.62, Decision::Uncertain).expect("a record");
    "chest-xray".clone_into(&mut other.prompts);
    let generation = program.asked(name).expect("it was classified");
    let file = ClassifiedFile {
        path: path(name),
        generation,
        records: vec![other].into(),
    };
    program.send(Msg::Engine(Event::Rescored {
        files: vec![file],
        left: 0,
    }));
}

#[test]
fn one_file_under_two_prompt_sets() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("vc");
        program.rest();
        rescored(program, "chest-001.dcm");
        program.show_sides();
    }));
}

#[test]
fn one_file_keeps_its_result_on_the_left() {
    let mut program = compared();
    program.send(key(KeyCode::Esc));
    program.press("gj ");
    program.press("kvc");
    let title = |program: &Program| {
        let screen = program.screen(80, 24);
        let words = screen
            .lines()
            .next()
            .unwrap_or_default()
            .replace(['─', '┬'], " ");
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(title(&program), "general a general a");
    rescored(&mut program, "a");
    assert_eq!(title(&program), "general a chest-xray a");
    let screen = program.screen(80, 24);
    let scores = screen.lines().find(|line| line.contains(" effusion  ╌"));
    let scores = scores.expect("a condition of the other set").to_owned();
    let (left, right) = scores.split_once('│').expect("two sides");
    assert!(left.contains('–') && right.contains("62.0%"), "{scores}");
    program.press("j");
    assert!(program.screen(80, 24).contains("p chooses other prompts"));
    assert_eq!(program.press("p"), [Effect::PromptSets]);
}

#[test]
fn without_a_mark_it_says_what_to_do() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("a"), file("b")]);
    let effects = program.press("vc");
    assert_eq!(effects, []);
    assert!(
        program
            .screen(80, 24)
            .contains("mark two files to compare (Space)")
    );
}

#[test]
fn one_side_is_chosen_and_goes_through_the_list() {
    let mut program = compared();
    program.press("j");
    assert_eq!(titles(&program), ["a", "d"]);
    program.press("kk");
    assert_eq!(titles(&program), ["a", "b"]);
    program.press("hjj");
    assert_eq!(titles(&program), ["c", "b"]);
    program.press("g");
    assert_eq!(
        titles(&program),
        ["c", "b"],
        "no file further up than the folder"
    );
    program.press("k");
    program.send(key(KeyCode::Tab));
    program.press("G");
    assert_eq!(titles(&program), ["b", "d"]);
    let asked = program.press("c");
    let again = crate::scene::started(&asked);
    let again: Vec<_> = again.into_iter().map(|job| job.path).collect();
    assert_eq!(again, [path("d")], "the keys are about the side chosen");
    program.send(key(KeyCode::Enter));
    assert_eq!(program.wanted().map(|key| key.path), Some(path("d")));
}

#[test]
fn both_pictures_come_in_half_blocks_and_in_full_at_rest() {
    let mut program = compared();
    program.send(Msg::Graphics(Graphics::Kitty));
    program.press("j");
    let qualities = |program: &Program| program.sides().map(|key| key.map(|key| key.quality));
    assert_eq!(qualities(&program), [Some(Quality::Fast); 2]);
    program.show_sides();
    program.rest();
    assert_eq!(qualities(&program), [Some(Quality::Full); 2]);
}

#[test]
fn what_changes_meanwhile_is_seen() {
    let mut program = compared();
    program.send(Msg::Modified {
        path: path("c"),
        stamp: stamp(2),
        picture: true,
    });
    program.answer("c", record("pneumonia", 0.95, Decision::Confident));
    assert!(program.screen(80, 24).contains("pneumonia  confident"));
    program.send(Msg::Renamed {
        from: path("a"),
        to: file("z"),
    });
    assert_eq!(titles(&program), ["z", "c"]);
}

#[test]
fn one_file_on_both_sides_is_said_to_be_one() {
    let mut program = compared();
    program.send(key(KeyCode::Esc));
    program.send(key(KeyCode::Esc));
    program.press("vc");
    let screen = program.screen(120, 24);
    assert!(screen.contains("the same file twice: p"), "{screen}");
}

#[test]
fn a_popup_leaves_both_images_as_they_are() {
    let mut program = compared();
    program.send(Msg::Graphics(Graphics::Sixel));
    program.rest();
    program.show_sides();
    let before = program.screen(80, 24);
    program.press("p");
    let after = program.screen(80, 24);
    // In the rows above the popup nothing has changed.
    let rows = |screen: &str| {
        screen
            .lines()
            .skip(1)
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(after.contains('╭'), "{after}");
    assert_eq!(rows(&after), rows(&before));
}

/// A CT slice in a frame of reference, 100 × 100 pixels of a millimetre.
fn slice(orientation: [f64; 6], position: [f64; 3]) -> Film {
    let geometry = Geometry {
        spacing: Some(Spacing {
            rows_mm: 1.0,
            columns_mm: 1.0,
            at_detector: false,
            within: None,
        }),
        orientation: Some(orientation),
        position: Some(position),
        ..Geometry::default()
    };
    let mut film = Film::ct();
    film.about.target = Some(TargetFrame {
        frame_of_reference: "1.2.3".to_owned(),
        width: 100,
        height: 100,
        geometry: geometry.clone(),
        ..TargetFrame::default()
    });
    Film {
        geometry,
        size: (100, 100),
        ..film
    }
}

const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
const SAGITTAL: [f64; 6] = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0];

#[test]
fn what_is_done_on_one_side_is_done_on_the_other_while_they_are_linked() {
    let mut program = compared();
    let ct = Film::ct();
    program.show_sides_as([&ct, &ct]);
    let views = |program: &Program| program.sides().map(|key| key.expect("a side").view);
    program.press("++r4");
    let [left, right] = views(&program);
    assert_eq!(left, right);
    assert!(right.aim.zoom > 1.9 && right.aim.turn.quarters() == 1);
    let bone = Voi::Range {
        center: 480.0,
        width: 2500.0,
    };
    assert_eq!(right.voi, bone);
    program.press("]]");
    let frames = |program: &Program| program.sides().map(|key| key.expect("a side").frame);
    assert_eq!(frames(&program), [2, 2], "frames, too");
    program.press("b+]");
    let [left, right] = views(&program);
    assert!(left.aim.zoom < right.aim.zoom, "no longer linked");
    assert_eq!(frames(&program), [2, 3]);
    program.press("b]");
    assert_eq!(frames(&program), [3, 4], "by the same distance");
    // A window in Hounsfield units means nothing on another modality.
    let mut program = compared();
    program.show_sides_as([&Film::default(), &ct]);
    program.press("4i");
    let [left, right] = views(&program);
    assert_eq!((left.voi, right.voi), (Voi::Own(0), bone));
    assert!(left.invert && right.invert);
}

#[test]
fn images_of_one_frame_of_reference_show_where_they_cut_each_other() {
    let mut program = compared();
    let axial = slice(AXIAL, [-50.0, -50.0, 10.0]);
    let sagittal = slice(SAGITTAL, [-20.0, -50.0, 60.0]);
    program.show_sides_as([&axial, &sagittal]);
    let lines = program
        .sides()
        .map(|key| key.expect("a side").marks.lines.to_vec());
    let rounded = |lines: &[[[f64; 2]; 2]]| {
        let mut points = lines.concat();
        points.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        points
            .iter()
            .map(|p| p.map(|at| (at * 10.0).round() / 10.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(rounded(&lines[0]), [[30.5, 0.0], [30.5, 100.0]]);
    assert_eq!(rounded(&lines[1]), [[0.0, 50.5], [100.0, 50.5]]);
    let mut elsewhere = sagittal.clone();
    if let Some(target) = &mut elsewhere.about.target {
        target.frame_of_reference = "9.9".to_owned();
    }
    program.show_sides_as([&axial, &elsewhere]);
    let lines = program
        .sides()
        .map(|key| key.expect("a side").marks.lines.len());
    assert_eq!(lines, [0, 0], "another frame of reference");
}
