//! Tags, DICOMDIR, studies and series; and that nothing of a patient is seen unless it is asked for.

use std::sync::Arc;

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Found, Msg};
use medivision_tui::media::{ErrorKind, Header, MediaError, Member, TagRow, TagTree};
use medivision_tui::scoring::Decision;

use crate::scene::{Program, failure, file, folder, key, path, record, stamp};
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
        ..identifying(row(
            0,
            "(0029,1008)",
            "CS",
            "SIEMENS CSA HEADER",
            "IMAGE NUM 4",
        ))
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
fn asked(program: &Program) -> u64 {
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
fn line_of<'s>(screen: &'s str, text: &str) -> &'s str {
    let mut lines = screen.lines().skip(1);
    lines.find(|line| line.contains(text)).expect("its row")
}

fn hides(program: &Program) {
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

fn header(study: u32, series: u32, number: i64, z: f64) -> Header {
    Header {
        patient_name: "Doe^Jane".to_owned(),
        patient_id: "4711".to_owned(),
        study: format!("1.{study}"),
        study_date: "20260131".to_owned(),
        study_description: "thorax of Jane".to_owned(),
        series: format!("1.{study}.{series}"),
        series_number: Some(i64::from(series)),
        series_description: if series == 2 {
            "lung".to_owned()
        } else {
            String::new()
        },
        modality: "CT".to_owned(),
        instance: Some(number),
        position: Some([0.0, 0.0, z]),
        orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
    }
}

/// Five files of two series, one that is no DICOM file, and a folder.
fn folder_of_series(program: &mut Program) {
    let names = ["1.dcm", "2.dcm", "3.dcm", "4.dcm", "5.dcm", "notes.txt"];
    let mut entries: Vec<_> = names.map(file).to_vec();
    entries.push(folder("older"));
    program.list(entries);
    program.ready(false);
    program.scan(&names[..5]);
    program.send(Msg::Watching { polling: false });
    program.answer("1.dcm", record("pneumonia", 0.8, Decision::Confident));
    program.answer("2.dcm", record("pneumonia", 0.6, Decision::Uncertain));
    program.answer("3.dcm", record("normal", 0.7, Decision::Confident));
    program.answer("5.dcm", failure(ErrorKind::Truncated, "the file ends"));
}

fn found(name: &str) -> Found {
    Found {
        path: path(name),
        stamp: stamp(1),
    }
}

fn headers() -> Vec<(Found, Option<Header>)> {
    vec![
        (found("1.dcm"), Some(header(1, 2, 1, 30.0))),
        (found("2.dcm"), Some(header(1, 2, 2, 10.0))),
        (found("3.dcm"), Some(header(1, 2, 3, 20.0))),
        (found("4.dcm"), Some(header(1, 3, 1, 0.0))),
        (found("5.dcm"), Some(header(1, 3, 2, 5.0))),
        (found("notes.txt"), None),
    ]
}

/// The same in series view.
pub fn by_series(program: &mut Program) {
    folder_of_series(program);
    program.press("vs");
    let generation = asked(program);
    program.send(Msg::Headers {
        generation,
        read: headers(),
        complete: true,
    });
}

#[test]
fn the_view_menu() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        folder_of_series(program);
        program.press("v");
    }));
}

#[test]
fn studies_and_series_of_a_folder() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        by_series(program);
        program.press("gjj");
        program.rest();
        program.show();
        hides(program);
    }));
}

#[test]
fn a_stack_in_the_order_of_its_sections() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        by_series(program);
        program.press("gjjl");
        program.rest();
        program.show();
    }));
}

#[test]
fn headers_are_read_with_progress_and_only_once() {
    let mut program = Program::new(120, 40);
    folder_of_series(&mut program);
    program.press("vs");
    let files = |program: &Program| {
        let find = |effect: &Effect| match effect {
            Effect::Headers { files, .. } => Some(files.len()),
            _ => None,
        };
        program.effects.iter().rev().find_map(find)
    };
    assert_eq!(files(&program), Some(6));
    let generation = asked(&program);
    program.send(Msg::Headers {
        generation,
        read: headers()[..2].to_vec(),
        complete: false,
    });
    assert!(program.screen(120, 40).contains("reading headers 2/6"));
    program.send(Msg::Headers {
        generation,
        read: headers()[2..].to_vec(),
        complete: true,
    });
    assert!(program.screen(120, 40).contains("CT 2 ••• (3)"));
    program.press("vs");
    assert!(!program.screen(120, 40).contains("CT 2"));
    program.effects.clear();
    program.press("vs");
    assert_eq!(files(&program), None, "all headers are known");
    assert!(program.screen(120, 40).contains("CT 2 ••• (3)"));
    // A new file of a series is read alone, and joins it.
    program.send(Msg::Appeared {
        entry: file("6.dcm"),
        picture: true,
    });
    assert_eq!(files(&program), Some(1));
    let generation = asked(&program);
    program.send(Msg::Headers {
        generation,
        read: vec![(found("6.dcm"), Some(header(1, 2, 4, 15.0)))],
        complete: true,
    });
    assert!(program.screen(120, 40).contains("CT 2 ••• (4)"));
    program.send(Msg::Removed {
        path: path("1.dcm"),
    });
    assert!(program.screen(120, 40).contains("CT 2 ••• (3)"));
}

#[test]
fn files_that_come_while_headers_are_read_are_read_afterwards() {
    let mut program = Program::new(80, 24);
    folder_of_series(&mut program);
    program.press("vs");
    let generation = asked(&program);
    program.send(Msg::Appeared {
        entry: file("6.dcm"),
        picture: true,
    });
    assert_eq!(asked(&program), generation, "one reading at a time");
    program.send(Msg::Headers {
        generation,
        read: headers(),
        complete: true,
    });
    let after = asked(&program);
    assert!(after > generation);
    program.send(Msg::Headers {
        generation: after,
        read: vec![(found("6.dcm"), Some(header(1, 2, 4, 15.0)))],
        complete: true,
    });
    assert!(program.screen(80, 24).contains("CT 2 ••• (4)"));
    assert_eq!(asked(&program), after, "all is known now");
}

#[test]
fn another_folder_makes_the_reading_pointless() {
    let mut program = Program::new(80, 24);
    folder_of_series(&mut program);
    program.press("vs");
    let generation = asked(&program);
    program.press("gl");
    program.list(vec![file("older/x.dcm")]);
    assert!(asked(&program) > generation);
    program.send(Msg::Headers {
        generation,
        read: headers(),
        complete: true,
    });
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("x.dcm") && !screen.contains("CT 2"),
        "{screen}"
    );
}

#[test]
fn the_mean_of_a_series_counts_what_the_model_stands_by() {
    let mut program = Program::new(120, 40);
    by_series(&mut program);
    program.press("gjj");
    // normal: (0.1 + 0.2 + 0.7) / 3, pneumonia: (0.8 + 0.6 + 0.15) / 3.
    let screen = program.screen(120, 40);
    assert!(screen.contains("Means over 3 pictures."), "{screen}");
    let line = line_of(&screen, "CT 2");
    assert!(
        line.contains("pneumonia") && line.contains("mean  52%"),
        "{line}"
    );
}

#[test]
fn frame_keys_scroll_the_stack_of_a_series() {
    let mut program = Program::new(80, 24);
    by_series(&mut program);
    program.press("gjj");
    let shown = |program: &Program| program.wanted().map(|key| key.path);
    // By place: 2 at 10 mm, 3 at 20 mm, 1 at 30 mm; the middle first.
    assert_eq!(shown(&program), Some(path("3.dcm")));
    // What lies on both sides is decoded while the user looks.
    let nearby = |program: &Program| {
        let told = program
            .effects
            .iter()
            .rev()
            .find_map(|effect| match effect {
                Effect::Nearby(files) => Some(files.clone()),
                _ => None,
            });
        let paths = told.expect("told").into_iter().map(|(path, _)| path);
        paths.collect::<Vec<_>>()
    };
    assert_eq!(nearby(&program), [path("1.dcm"), path("2.dcm")]);
    program.press("]");
    assert_eq!(shown(&program), Some(path("1.dcm")));
    assert_eq!(nearby(&program), [path("3.dcm")]);
    program.press("]");
    assert_eq!(shown(&program), Some(path("1.dcm")));
    program.press("{");
    assert_eq!(shown(&program), Some(path("2.dcm")));
    assert!(program.press("t").iter().any(
        |effect| matches!(effect, Effect::Tags { path: asked, .. } if *asked == path("2.dcm"))
    ));
}

#[test]
fn a_series_is_played_round_its_end_until_the_cursor_leaves() {
    let mut program = Program::new(80, 24);
    by_series(&mut program);
    program.press("gjj");
    program.rest();
    program.show();
    program.effects.clear();
    let next = |program: &mut Program| {
        program.effects.clear();
        for _ in 0..100 {
            let tick = program.model.next_tick()?;
            let now = program.model.now() + tick;
            program.send(Msg::Tick(now));
            if let Some(key) = program.wanted() {
                program.show();
                return Some(key.path);
            }
        }
        None
    };
    program.press("x");
    let seen: Vec<_> = (0..4).filter_map(|_| next(&mut program)).collect();
    let files = ["1.dcm", "2.dcm", "3.dcm", "1.dcm"];
    assert_eq!(seen, files.map(path), "in the order of the sections");
    program.press(">");
    assert!(program.screen(80, 24).contains("12 frames a second"));
    program.press("k");
    assert!(!program.model.is_playing(), "another row");
    program.press("jx]");
    assert!(!program.model.is_playing(), "scrolled by hand");
}

#[test]
fn classifying_a_series_classifies_its_files() {
    let mut program = Program::new(80, 24);
    by_series(&mut program);
    let effects = program.press("gjjc");
    let classified = effects.iter().find_map(|effect| match effect {
        Effect::Classify { paths, .. } => Some(paths.clone()),
        _ => None,
    });
    assert_eq!(
        classified,
        Some(["2.dcm", "3.dcm", "1.dcm"].map(path).to_vec())
    );
}

#[test]
fn out_of_a_series_the_cursor_is_on_it() {
    let mut program = Program::new(80, 24);
    by_series(&mut program);
    program.press("gjjl");
    assert!(program.screen(80, 24).contains("› CT 2 •••"));
    program.press("h");
    program.list(
        ["1.dcm", "2.dcm", "3.dcm", "4.dcm", "5.dcm"]
            .map(file)
            .to_vec(),
    );
    let screen = program.screen(80, 24);
    let line = line_of(&screen, "CT 2");
    assert!(line.starts_with('▌'), "{screen}");
}

fn member(name: &str, present: bool, header: Header) -> Member {
    Member {
        path: path(name),
        present,
        header: Arc::new(header),
    }
}

/// Inside a DICOMDIR of two studies.
pub fn directory(program: &mut Program) {
    program.list(vec![file("DICOMDIR"), folder("IMAGES")]);
    program.ready(true);
    program.scan(&["IMAGES/A", "IMAGES/B"]);
    program.press("jl");
    let generation = asked(program);
    let outcome = Ok(vec![
        member("IMAGES/A", true, header(1, 1, 1, 0.0)),
        member("IMAGES/B", true, header(1, 1, 2, 5.0)),
        member("IMAGES/C", false, header(1, 1, 3, 9.0)),
        member("IMAGES/D", false, header(2, 2, 1, 0.0)),
    ]);
    program.send(Msg::Directory {
        generation,
        outcome,
    });
}

#[test]
fn a_dicomdir_by_study_and_series() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        directory(program);
        hides(program);
    }));
}

#[test]
fn a_series_of_a_dicomdir_with_missing_files() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        directory(program);
        program.press("jl");
        program.rest();
        program.show();
        hides(program);
    }));
}

#[test]
fn in_and_out_of_a_dicomdir() {
    let mut program = Program::new(80, 24);
    directory(&mut program);
    program.press("jl");
    assert_eq!(program.wanted().map(|key| key.path), Some(path("IMAGES/A")));
    program.press("h");
    let screen = program.screen(80, 24);
    let line = line_of(&screen, "CT 1");
    assert!(line.starts_with('▌'), "{screen}");
    program.press("h");
    program.list(vec![file("DICOMDIR"), folder("IMAGES")]);
    let screen = program.screen(80, 24);
    let line = line_of(&screen, " DICOMDIR");
    assert!(line.starts_with('▌'), "{screen}");
}

#[test]
fn patient_values_of_a_dicomdir_are_shown_when_asked_for() {
    let mut program = Program::new(120, 40);
    directory(&mut program);
    hides(&program);
    program.press("P");
    let screen = program.screen(120, 40);
    assert!(screen.contains("2026-01-31 Doe^Jane (4711)"), "{screen}");
    program.press("P");
    hides(&program);
}

#[test]
fn a_dicomdir_that_cannot_be_read_says_why() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("DICOMDIR")]);
    program.press("l");
    let generation = asked(&program);
    program.send(Msg::Directory {
        generation,
        outcome: Err(MediaError::new(ErrorKind::Malformed, "no records")),
    });
    assert!(program.screen(80, 24).contains("no records"));
    program.press("h");
    program.list(vec![file("DICOMDIR")]);
    assert!(program.screen(80, 24).contains("DICOMDIR"));
}
