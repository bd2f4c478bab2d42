//! Studies and series of a folder, DICOMDIR; and that nothing of a patient is seen unless it is asked for.

use std::sync::Arc;

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, FoundFile, Msg, SeriesStack};
use medivision_tui::media::{DicomHeader, ErrorKind, MediaError, Member};
use medivision_tui::scoring::Decision;

use crate::scene::{Film, Program, failure, file, folder, key, path, record, stamp};
use crate::screens::at_all_sizes;
use crate::tags::{asked, hides, line_of};

fn header(study: u32, series: u32, number: i64, z: f64) -> DicomHeader {
    DicomHeader {
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
        body_part: "CHEST".to_owned(),
        slice_thickness: Some(if series == 2 { 1.25 } else { 5.0 }),
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

fn found(name: &str) -> FoundFile {
    FoundFile {
        path: path(name),
        stamp: stamp(1),
    }
}

fn headers() -> Vec<(FoundFile, Option<DicomHeader>)> {
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
    assert!(program.screen(120, 40).contains("CT 2 (3) CHEST axial"));
    program.press("vs");
    assert!(!program.screen(120, 40).contains("CT 2"));
    program.effects.clear();
    program.press("vs");
    assert_eq!(files(&program), None, "all headers are known");
    assert!(program.screen(120, 40).contains("CT 2 (3) CHEST axial"));
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
    assert!(program.screen(120, 40).contains("CT 2 (4) CHEST axial"));
    program.send(Msg::Removed {
        path: path("1.dcm"),
    });
    assert!(program.screen(120, 40).contains("CT 2 (3) CHEST axial"));
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
    assert!(program.screen(80, 24).contains("CT 2 (4) CHEST"));
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
fn the_files_of_a_series_are_asked_for_as_one_stack() {
    let mut program = Program::new(120, 40);
    by_series(&mut program);
    let mut stack = |keys: &str| {
        program.press(keys);
        program.rest();
        program.wanted().expect("a preview is wanted").stack
    };
    let names = |stack: &SeriesStack| {
        let files = stack.sample.iter();
        files.map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    let first = stack("gjj").expect("a stack");
    assert_eq!(names(&first), ["2.dcm", "3.dcm", "1.dcm"].map(path));
    assert_eq!(stack("]"), Some(first.clone()), "its files share it");
    let second = stack("j").expect("a stack");
    assert_eq!(names(&second), ["4.dcm", "5.dcm"].map(path));
    assert_ne!(first, second);
    assert_eq!(stack("kl"), Some(first), "among its files, too");
}

#[test]
fn the_mean_of_a_series_counts_what_the_model_stands_by() {
    let mut program = Program::new(120, 40);
    by_series(&mut program);
    program.press("gjj");
    // normal: (0.1 + 0.2 + 0.7) / 3, pneumonia: (0.8 + 0.6 + 0.15) / 3.
    let screen = program.screen(120, 40);
    assert!(screen.contains("Mean over 3 images."), "{screen}");
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
                Effect::Prefetch(files) => Some(files.clone()),
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
fn a_number_leads_to_an_image_of_the_series() {
    let mut program = Program::new(100, 30);
    by_series(&mut program);
    program.press("gjj#");
    let screen = program.screen(100, 30);
    assert!(screen.contains("image (1–3)"), "{screen}");
    program.press("1");
    program.send(key(KeyCode::Enter));
    // By place: 2 at 10 mm, 3 at 20 mm, 1 at 30 mm.
    assert_eq!(program.wanted().map(|key| key.path), Some(path("2.dcm")));
    program.press("#9");
    program.send(key(KeyCode::Enter));
    let last = program.wanted().map(|key| key.path);
    assert_eq!(last, Some(path("1.dcm")), "the nearest there is");
}

#[test]
fn where_a_series_is_one_file_frame_keys_page_its_frames() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("1.dcm")]);
    program.ready(false);
    program.scan(&["1.dcm"]);
    program.press("vs");
    let generation = asked(&program);
    program.send(Msg::Headers {
        generation,
        read: headers().into_iter().take(1).collect(),
        complete: true,
    });
    program.press("G");
    program.rest();
    program.show_as(&Film::ct());
    program.press("]");
    let wanted = program.wanted().map(|key| (key.path, key.frame));
    assert_eq!(wanted, Some((path("1.dcm"), 1)));
    program.press("x");
    assert!(program.model.is_playing());
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
    assert!(program.screen(80, 24).contains("▶ 10/s"));
    program.press(">");
    assert!(program.screen(80, 24).contains("12 frames per second"));
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
    let jobs = crate::scene::started(&effects);
    let classified: Vec<_> = jobs.into_iter().map(|job| job.path).collect();
    assert_eq!(classified, ["2.dcm", "3.dcm", "1.dcm"].map(path));
}

#[test]
fn out_of_a_series_the_cursor_is_on_it() {
    let mut program = Program::new(80, 24);
    by_series(&mut program);
    program.press("gjjl");
    assert!(program.screen(80, 24).contains("› CT 2 CHEST axial"));
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

fn member(name: &str, present: bool, header: DicomHeader) -> Member {
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
