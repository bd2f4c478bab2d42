//! The tags of a file; and that nothing of a patient is seen unless it is asked for.

use std::sync::Arc;

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Msg};
use medivision_tui::media::{ErrorKind, MediaError, TagRow, TagTree};

use crate::scene::{Program, file, key, path, stamp};
use crate::screens::at_all_sizes;

/// What must not be seen.
const SECRETS: [&str; 4] = ["Doe", "4711", "2026-01-31", "thorax of Jane"];

fn row(depth: u16, id: &str, vr: &str, name: &str, value: &str) -> TagRow {
    TagRow {
        depth,
        id: id.to_owned(),
        vr: vr.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        ..TagRow::default()
    }
}

fn identifying(row: TagRow) -> TagRow {
    TagRow {
        identifying: true,
        ..row
    }
}

fn described(row: TagRow) -> TagRow {
    TagRow {
        described: true,
        ..row
    }
}

fn tree() -> TagTree {
    let class = TagRow {
        meaning: "CT Image Storage".to_owned(),
        ..row(
            0,
            "(0008,0016)",
            "UI",
            "SOPClassUID",
            "1.2.840.10008.5.1.4.1.1.2",
        )
    };
    let private = TagRow {
        private: true,
        creator: "SIEMENS CSA HEADER".to_owned(),
        ..identifying(row(0, "(0029,1008)", "CS", "private", "IMAGE NUM 4"))
    };
    let rows = vec![
        row(
            0,
            "(0002,0010)",
            "UI",
            "TransferSyntaxUID",
            "1.2.840.10008.1.2.1",
        ),
        row(0, "(0008,0005)", "CS", "SpecificCharacterSet", "ISO_IR 192"),
        row(
            0,
            "(0008,0008)",
            "CS",
            "ImageType",
            "ORIGINAL\\PRIMARY\\AXIAL",
        ),
        class,
        identifying(row(0, "(0008,0020)", "DA", "StudyDate", "20260131")),
        row(0, "(0008,0060)", "CS", "Modality", "CT"),
        identifying(row(
            0,
            "(0008,1030)",
            "LO",
            "StudyDescription",
            "thorax of Jane",
        )),
        described(row(
            0,
            "(0008,2218)",
            "SQ",
            "AnatomicRegionSequence",
            "1 item",
        )),
        described(row(1, "", "", "Item 1", "2 attributes")),
        row(2, "(0008,0100)", "SH", "CodeValue", "T-D3000"),
        row(2, "(0008,0104)", "LO", "CodeMeaning", "Chest"),
        identifying(row(0, "(0010,0010)", "PN", "PatientName", "Doe^Jane")),
        identifying(row(0, "(0010,0020)", "LO", "PatientID", "4711")),
        row(0, "(0018,0050)", "DS", "SliceThickness", "1.5"),
        row(
            0,
            "(0018,1400)",
            "LO",
            "AcquisitionDeviceProcessingDescription",
            "two\nlines",
        ),
        private,
        described(row(0, "(7fe0,0010)", "OW", "PixelData", "524,288 bytes")),
    ];
    TagTree { rows }
}

/// The generation of the last request for tags, headers or a DICOMDIR.
pub fn asked(program: &Program) -> u64 {
    let find = |effect: &Effect| match effect {
        Effect::Tags { generation, .. }
        | Effect::Headers { generation, .. }
        | Effect::Directory { generation, .. } => Some(*generation),
        _ => None,
    };
    program
        .effects
        .iter()
        .rev()
        .find_map(find)
        .expect("something was asked for")
}

/// The tags of a file are on screen.
fn with_tags(program: &mut Program) {
    program.list(vec![file("a.dcm"), file("b.dcm")]);
    program.ready(true);
    program.send(Msg::Watching { polling: false });
    program.rest();
    program.show();
    program.press("t");
    let generation = asked(program);
    let outcome = Ok(Arc::new(tree()));
    program.send(Msg::Tags {
        generation,
        outcome,
    });
}

fn copied(effects: &[Effect]) -> Option<&str> {
    effects.iter().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text.as_str()),
        _ => None,
    })
}

/// The row of the list that holds a text.
pub fn line_of<'s>(screen: &'s str, text: &str) -> &'s str {
    let mut lines = screen.lines().skip(1);
    lines.find(|line| line.contains(text)).expect("its row")
}

pub fn hides(program: &Program) {
    // Large enough for whatever the program draws.
    let screen = program.screen(200, 60);
    for secret in SECRETS {
        assert!(!screen.contains(secret), "{secret} is seen:\n{screen}");
    }
}

#[test]
fn tags_are_a_tree_with_masked_values() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        with_tags(program);
        program.press("G8k");
        program.press("jjj");
        hides(program);
    }));
}

#[test]
fn tags_with_patient_values_shown() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        with_tags(program);
        program.press("P");
        program.press(&"j".repeat(11));
        program.rest();
    }));
}

#[test]
fn tags_searched() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        with_tags(program);
        program.press("/patient");
    }));
}

#[test]
fn a_value_in_full() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        with_tags(program);
        program.press("/deviceprocessing");
        program.send(key(KeyCode::Enter));
        program.press("Gl");
    }));
}

#[test]
fn tags_are_asked_for_once_and_answered_by_their_key() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("a.dcm")]);
    let effects = program.press("t");
    assert!(
        matches!(&effects[..], [Effect::Tags { path: asked, .. }, ..] if *asked == path("a.dcm")),
        "{effects:?}"
    );
    program.send(Msg::Tags {
        generation: asked(&program) - 1,
        outcome: Ok(Arc::new(tree())),
    });
    assert!(program.screen(80, 24).contains("reading"));
    program.send(Msg::Tags {
        generation: asked(&program),
        outcome: Err(MediaError::new(ErrorKind::Truncated, "the file ends")),
    });
    assert!(program.screen(80, 24).contains("the file ends"));
    program.press("t");
    assert!(!program.screen(80, 24).contains("Tags ·"));
}

#[test]
fn a_masked_value_is_neither_copied_nor_found() {
    let mut program = Program::new(80, 24);
    with_tags(&mut program);
    program.press("/doe");
    assert!(program.screen(80, 24).contains("nothing found"));
    program.send(key(KeyCode::Esc));
    program.press("/patientname");
    program.send(key(KeyCode::Enter));
    let effects = program.press("y");
    assert_eq!(copied(&effects), None, "{effects:?}");
    assert!(program.screen(80, 24).contains("masked, so not copied"));
    program.press("l");
    hides(&program);
    program.press("h");
    let effects = program.press("Py");
    assert_eq!(copied(&effects), Some("Doe^Jane"));
    assert!(program.screen(80, 24).contains("copied: PatientName"));
    assert!(program.screen(200, 60).contains("patient values shown"));
    program.send(Msg::Resized { cols: 30, rows: 8 });
    assert!(program.screen(30, 8).contains('⚠'));
    program.send(Msg::Resized { cols: 80, rows: 24 });
    program.press("P");
    hides(&program);
}

#[test]
fn masking_again_closes_a_value_that_was_shown() {
    let mut program = Program::new(80, 24);
    with_tags(&mut program);
    program.press("P/patientname");
    program.send(key(KeyCode::Enter));
    program.press("l");
    assert!(program.screen(80, 24).contains("Doe"));
    program.press("P");
    hides(&program);
}

#[test]
fn letters_go_into_the_search_and_commands_do_not() {
    let mut program = Program::new(80, 24);
    with_tags(&mut program);
    let effects = program.press("/qqq");
    assert!(!effects.contains(&Effect::Quit));
    assert!(program.screen(80, 24).contains("/qqq"));
    program.send(key(KeyCode::Esc));
    assert!(program.press("q").contains(&Effect::Quit));
}

#[test]
fn outside_the_tags_y_copies_the_path() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("a.dcm")]);
    let effects = program.press("y");
    assert_eq!(copied(&effects), path("a.dcm").to_str());
}

#[test]
fn a_file_that_changes_has_its_tags_read_again() {
    let mut program = Program::new(80, 24);
    with_tags(&mut program);
    let before = asked(&program);
    program.send(Msg::Modified {
        path: path("a.dcm"),
        stamp: stamp(2),
        picture: true,
    });
    assert!(asked(&program) > before);
}
