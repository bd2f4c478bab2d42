//! Planes across a stack: chosen, paged, made thicker, and left again.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use medivision_tui::app::{Graphics, Msg, Reformat, VolumePart, VolumeProgress};
use medivision_tui::media::volume::{Projection, ReformatPlane};

use crate::scene::{Film, Program, alt, key, path};
use crate::viewer::looking;

/// A CT of 60 frames, in full screen.
fn ct() -> Program {
    let mut program = looking(Graphics::Kitty, 120, 40);
    program.press("Z");
    program.show_as(&Film::ct());
    program
}

fn reformat(program: &Program) -> Option<Reformat> {
    let key = program.wanted().expect("an image is wanted");
    key.reformat.map(|reformat| (*reformat).clone())
}

fn at(program: &Program) -> [u32; 3] {
    let reformat = reformat(program).expect("a reformat");
    reformat.at.expect("a place")
}

/// A reformat of a CT, shown.
fn reformatted(keys: &str) -> Program {
    let mut program = ct();
    program.press(keys);
    program.show_as(&Film::ct());
    program
}

#[test]
fn a_key_goes_from_plane_to_plane_and_back_to_the_images() {
    let mut program = ct();
    let mut planes = Vec::new();
    for _ in 0..4 {
        program.press("X");
        program.show_as(&Film::ct());
        planes.push(reformat(&program).map(|reformat| reformat.plane));
    }
    let [sagittal, coronal, axial] = [
        ReformatPlane::Sagittal,
        ReformatPlane::Coronal,
        ReformatPlane::Axial,
    ];
    assert_eq!(planes, [Some(sagittal), Some(coronal), Some(axial), None]);
    program.press("X");
    let shown = reformat(&program).expect("a reformat");
    let stack: Vec<_> = shown.stack.iter().map(|file| file.path.clone()).collect();
    assert_eq!(stack, [path("ct-1.dcm")], "the frames of the file");
    program.send(key(KeyCode::Esc));
    assert_eq!(reformat(&program), None);
    program.press("Xj");
    program.send(key(KeyCode::Esc));
    program.send(key(KeyCode::Esc));
    program.press("j");
    assert_eq!(reformat(&program), None, "another file");
}

#[test]
fn planes_are_paged_through_the_volume_and_keep_the_cross() {
    let mut program = reformatted("X");
    assert_eq!(at(&program), [256, 256, 30], "the middle");
    program.press("jj]");
    assert_eq!(at(&program), [259, 256, 30]);
    program.press("G");
    assert_eq!(at(&program), [511, 256, 30]);
    program.press("j");
    assert_eq!(at(&program), [511, 256, 30], "the last");
    program.press("X");
    program.show_as(&Film::ct());
    program.press("kk");
    assert_eq!(at(&program), [511, 254, 30], "coronal");
    program.press("X");
    program.show_as(&Film::ct());
    program.press("{");
    assert_eq!(at(&program), [511, 254, 0], "axial");
}

#[test]
fn a_click_moves_the_cross() {
    let mut program = reformatted("X");
    let event = |kind| Msg::Mouse {
        event: MouseEvent {
            kind,
            column: 40,
            row: 30,
            modifiers: KeyModifiers::NONE,
        },
        at: std::time::Duration::from_secs(1),
    };
    program.send(event(MouseEventKind::Down(MouseButton::Left)));
    let [x, y, z] = at(&program);
    assert_eq!(x, 256, "the plane stays");
    assert!(y < 256, "to the left lies the front: {y}");
    assert!(z < 30, "below lie the feet: {z}");
}

#[test]
fn three_planes_are_shown_side_by_side_and_one_of_them_is_in_focus() {
    let mut program = ct();
    program.send(alt('x'));
    program.show_as(&Film::ct());
    let shown = reformat(&program).expect("a reformat");
    assert!(shown.all_planes && shown.plane == ReformatPlane::Axial);
    assert_eq!(at(&program), [256, 256, 30], "the middle");
    program.press("jj");
    assert_eq!(at(&program), [256, 256, 32], "j pages the one in focus");
    let click = |program: &mut Program, column| {
        let event = MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column,
            row: 10,
            modifiers: KeyModifiers::NONE,
        };
        let at = std::time::Duration::from_secs(1);
        program.send(Msg::Mouse { event, at });
        program.show_as(&Film::ct());
    };
    // The film is square, in the middle of a wide screen.
    click(&mut program, 60);
    let shown = reformat(&program).expect("a reformat");
    assert_eq!(
        shown.plane,
        ReformatPlane::Sagittal,
        "a click sets the focus"
    );
    let [x, y, z] = at(&program);
    assert_eq!(x, 256, "the plane stays");
    assert!(y != 256 && z > 32, "the cross is placed: {y} {z}");
    program.press("k");
    assert_eq!(at(&program), [255, y, z], "the sagittal plane is paged");
    program.send(alt('x'));
    let shown = reformat(&program).expect("a reformat");
    assert!(!shown.all_planes && shown.plane == ReformatPlane::Sagittal);
    program.send(key(KeyCode::Esc));
    assert_eq!(reformat(&program), None);
}

fn volume_progress(part: VolumePart, done: usize) -> Msg {
    let all = 60;
    Msg::VolumeProgress(VolumeProgress { part, done, all })
}

#[test]
fn a_volume_that_takes_long_tells_its_progress_and_can_be_given_up() {
    let mut program = ct();
    program.send(alt('x'));
    for (part, done, expected) in [
        (VolumePart::Headers, 59, "reading headers 59/60"),
        (VolumePart::Slices, 20, "reading slices 20/60"),
    ] {
        program.send(volume_progress(part, done));
        let screen = program.screen(120, 40);
        assert!(screen.contains(expected), "{screen}");
        assert!(screen.contains("Esc cancel"), "{screen}");
    }
    program.send(key(KeyCode::Esc));
    assert_eq!(reformat(&program), None);
    program.send(volume_progress(VolumePart::Slices, 21));
    assert!(!program.screen(120, 40).contains("reading slices"));
    program.send(alt('x'));
    program.send(volume_progress(VolumePart::Slices, 60));
    program.show_as(&Film::ct());
    assert!(!program.screen(120, 40).contains("reading slices"), "shown");
}

#[test]
fn a_slab_shows_the_brightest_or_darkest_values_of_a_chosen_thickness() {
    let mut program = reformatted("XY");
    let slab = |program: &Program| {
        let slab = reformat(program).expect("a reformat").slab?;
        Some((slab.projection, slab.thickness_mm))
    };
    assert_eq!(slab(&program), Some((Projection::Maximum, 10.0)));
    program.press(">>");
    assert_eq!(slab(&program), Some((Projection::Maximum, 40.0)));
    program.press("Y<");
    assert_eq!(slab(&program), Some((Projection::Minimum, 20.0)));
    program.press("<<<<<<");
    assert_eq!(slab(&program), Some((Projection::Minimum, 2.0)));
    program.press("Y");
    assert_eq!(slab(&program), None);
    let mut program = ct();
    program.press("Y");
    assert!(program.screen(120, 40).contains("show one first"));
}

#[test]
fn a_single_image_has_no_reformat_and_says_what_has() {
    let mut program = looking(Graphics::Kitty, 120, 40);
    program.press("G");
    program.rest();
    program.show_as(&Film::default());
    program.press("X");
    let screen = program.screen(120, 40);
    assert!(
        screen.contains("a reformat takes a series or a file with frames"),
        "{screen}"
    );
}
