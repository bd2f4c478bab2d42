//! Objects about the picture: which are listed, what switching them on asks for, and what is seen of it.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, FoundFile, Msg, OverlayText, RelatedContent};
use medivision_tui::media::{Legend, RelatedObject, TargetFrame, Wording, open, related};
use medivision_tui::view::placement::Aim;
use medivision_tui::view::turn::Turn;

use crate::scene::{Film, Program, file, key, path, stamp};
use crate::screens::at_all_sizes;
use crate::tags::hides;

const OBJECTS: [&str; 4] = ["gsps", "turned", "seg_binary", "rtstruct"];

fn fixture(name: &str) -> std::path::PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/media/related");
    std::path::PathBuf::from(folder).join(format!("{name}.dcm"))
}

fn target(image: &str) -> TargetFrame {
    let source = open(&fixture(image)).expect("an image");
    source.target(0).expect("a DICOM object")
}

fn object(name: &str) -> RelatedObject {
    related(&fixture(name)).expect("an object")
}

fn wording(text: &str, identifying: bool) -> Wording {
    Wording {
        text: text.to_owned(),
        identifying,
    }
}

/// A section, of which two segments and a region are told when objects are on.
fn section(image: &str) -> Film {
    let entry = |number, color, name| Legend {
        color,
        number,
        name,
    };
    Film {
        frames: 1,
        series: Some("2.25.13"),
        size: (32, 32),
        about: RelatedContent {
            target: Some(target(image)),
            legend: vec![
                entry(1, [230, 159, 0], wording("disc", false)),
                entry(2, [0, 255, 0], wording("stripe", false)),
                entry(7, [86, 180, 233], wording("Doe Prostate", true)),
            ],
            labels: vec![OverlayText {
                lines: vec!["Nodule?".to_owned()],
                at: (0.25, 0.5),
            }],
            remarks: Vec::new(),
        },
        ..Film::ct()
    }
}

fn search(program: &Program) -> Option<(Vec<String>, u64)> {
    program
        .effects
        .iter()
        .rev()
        .find_map(|effect| match effect {
            Effect::Related { files, generation } => {
                let name = |found: &FoundFile| {
                    let name = found.path.file_name().expect("a name");
                    name.to_string_lossy().into_owned()
                };
                Some((files.iter().map(name).collect(), *generation))
            }
            _ => None,
        })
}

fn found(name: &str) -> FoundFile {
    FoundFile {
        path: path(&format!("{name}.dcm")),
        stamp: stamp(1),
    }
}

/// The section wanted comes, if there is room for one.
fn see(program: &mut Program) {
    if program.wanted().is_some() {
        program.show_as(&section("ct2"));
    }
}

/// A folder of two sections and the objects about them, the cursor at rest on a section.
fn looking(program: &mut Program) {
    let names = ["ct1", "ct2", "gsps", "rtstruct", "seg_binary", "turned"];
    program.list(names.map(|name| file(&format!("{name}.dcm"))).to_vec());
    program.ready(false);
    program.scan(&["ct1.dcm", "ct2.dcm"]);
    program.press("gj");
    see(program);
    program.rest();
    see(program);
    // On a screen too small for a picture nothing belongs to one.
    let Some((_, generation)) = search(program) else {
        return;
    };
    let read = names.map(|name| {
        let object = OBJECTS.contains(&name).then(|| object(name));
        (found(name), object)
    });
    program.send(Msg::Related {
        generation,
        read: read.to_vec(),
        complete: true,
    });
}

fn program() -> Program {
    let mut program = Program::new(120, 40);
    looking(&mut program);
    program
}

/// Files of the objects that the picture wanted has over it.
fn over(program: &Program) -> Vec<String> {
    let key = program.wanted().expect("a picture is wanted");
    let objects = key.related.objects.iter();
    let names = objects.map(|(path, _)| {
        path.file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    });
    names.collect()
}

/// Opens the list, goes down and presses Enter.
fn switch(program: &mut Program, down: usize) {
    program.press("Bg");
    program.press(&"j".repeat(down));
    program.send(key(KeyCode::Enter));
    program.send(key(KeyCode::Esc));
}

#[test]
fn the_list_of_what_belongs_to_a_picture() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        looking(program);
        program.press("Bjj");
        program.send(key(KeyCode::Enter));
        hides(program);
    }));
}

#[test]
fn a_picture_with_segments_regions_and_texts_over_it() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        looking(program);
        switch(program, 2);
        see(program);
        hides(program);
    }));
}

#[test]
fn a_folder_is_searched_once_and_what_is_new_when_it_is_asked_for() {
    let mut program = program();
    let (files, first) = search(&program).expect("sought");
    assert_eq!(files.len(), 6, "the files of the folder");
    program.press("gj");
    program.rest();
    program.show_as(&section("ct2"));
    program.press("B");
    assert_eq!(search(&program), Some((files, first)), "all is known");
    program.send(key(KeyCode::Esc));
    program.send(Msg::Modified {
        path: path("gsps.dcm"),
        stamp: stamp(2),
        picture: false,
    });
    program.press("B");
    let (files, second) = search(&program).expect("sought");
    assert_eq!((files, second > first), (vec!["gsps.dcm".to_owned()], true));
}

#[test]
fn objects_are_switched_on_and_off() {
    let mut program = program();
    assert_eq!(over(&program), [""; 0]);
    switch(&mut program, 2);
    assert_eq!(over(&program), ["seg_binary"]);
    switch(&mut program, 3);
    assert_eq!(over(&program), ["seg_binary", "rtstruct"]);
    // It stays on from picture to picture.
    program.press("k");
    assert_eq!(over(&program), ["seg_binary", "rtstruct"]);
    program.press("o");
    assert_eq!(over(&program), [""; 0], "the overlay switch hides all");
    program.press("oj");
    program.show_as(&section("ct2"));
    switch(&mut program, 2);
    assert_eq!(over(&program), ["rtstruct"]);
}

#[test]
fn a_picture_is_presented_in_one_way_at_a_time() {
    let mut program = program();
    switch(&mut program, 0);
    assert_eq!(over(&program), ["gsps"]);
    switch(&mut program, 1);
    assert_eq!(over(&program), ["turned"]);
}

#[test]
fn a_presentation_state_turns_the_view_and_leaves_it_as_it_was() {
    let mut program = program();
    let aim = |program: &Program| program.wanted().expect("wanted").view.aim;
    switch(&mut program, 1);
    let turned = aim(&program);
    assert_eq!(turned.turn, Turn::default().right().flip());
    // Columns 5 to 28 and rows 8 to 25 of 32.
    let near = |(x, y): (f64, f64)| (x - 0.5).abs() < 0.1 && (y - 0.5).abs() < 0.1;
    assert!(near(turned.center), "{turned:?}");
    program.press("r");
    assert_eq!(
        aim(&program).turn,
        turned.turn.right(),
        "keys go on from there"
    );
    program.press("o");
    assert_eq!(aim(&program).turn, Turn::default());
    program.press("o");
    assert_eq!(aim(&program).turn, turned.turn);
    switch(&mut program, 1);
    assert_eq!(aim(&program), Aim::default());
}

#[test]
fn a_state_of_another_picture_does_not_turn_this_one() {
    let mut program = program();
    switch(&mut program, 0);
    program.press("H");
    program.press("k");
    program.show_as(&section("ct1"));
    program.press("B");
    // The state of the other section is not listed here.
    let screen = program.screen(120, 40);
    assert!(
        !screen.contains("READING") && screen.contains("TURNED"),
        "{screen}"
    );
}

#[test]
fn opacity_has_its_bounds() {
    let mut program = program();
    switch(&mut program, 2);
    let opacity = |program: &Program| program.wanted().expect("wanted").related.opacity;
    assert_eq!(opacity(&program), 50);
    program.press("B++");
    assert_eq!(opacity(&program), 70);
    program.press("+++++++");
    assert_eq!(opacity(&program), 100);
    program.press("---------------");
    assert_eq!(opacity(&program), 10, "what is on is seen");
}

#[test]
fn names_that_identify_are_masked_until_they_are_asked_for() {
    let mut program = program();
    switch(&mut program, 3);
    program.show_as(&section("ct2"));
    let screen = program.screen(120, 40);
    assert!(
        screen.contains("■ 1 disc") && screen.contains("7 •••"),
        "{screen}"
    );
    assert!(!program.wanted().expect("wanted").related.show_phi);
    program.press("P");
    assert!(
        program.wanted().expect("wanted").related.show_phi,
        "drawn texts, too"
    );
    program.show_as(&section("ct2"));
    assert!(program.screen(120, 40).contains("7 Doe Prostate"));
    program.press("B");
    let screen = program.screen(120, 40);
    assert!(
        screen.contains("PLAN A") && screen.contains("2026-01-31"),
        "{screen}"
    );
}

#[test]
fn what_is_not_drawn_says_why() {
    let mut program = program();
    switch(&mut program, 2);
    let mut film = section("ct2");
    film.about.legend.clear();
    film.about.remarks = vec![(path("seg_binary.dcm"), "it lies across".to_owned())];
    program.show_as(&film);
    assert!(
        program
            .screen(120, 40)
            .contains("seg_binary.dcm: it lies across")
    );
    program.press("Bgjj");
    assert!(program.screen(120, 40).contains("✗ it lies across"));
}

#[test]
fn a_segmentation_looked_at_does_not_belong_to_itself() {
    let mut program = program();
    program.press("gjjjj");
    let mut film = section("ct2");
    film.about.target = Some(target("seg_binary"));
    program.show_as(&film);
    program.press("B");
    let screen = program.screen(120, 40);
    assert!(
        screen.contains("structure set") && !screen.contains("ORGANS"),
        "{screen}"
    );
}

#[test]
fn nothing_is_sought_for_what_is_no_dicom_object() {
    let mut program = Program::new(120, 40);
    program.list(vec![file("a.png")]);
    program.ready(false);
    program.scan(&["a.png"]);
    program.show();
    program.rest();
    program.show();
    assert_eq!(search(&program), None);
    program.press("B");
    let (_, generation) = search(&program).expect("asked for");
    assert!(program.screen(120, 40).contains("Reading"));
    program.send(Msg::Related {
        generation,
        read: vec![(found("a"), None)],
        complete: true,
    });
    assert!(program.screen(120, 40).contains("Nothing here."));
}
