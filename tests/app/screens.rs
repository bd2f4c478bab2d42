//! What the screen looks like, at sizes from a phone's to a wall's.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crossterm::event::KeyCode;
use medivision_tui::app::{Entry, Graphics, Msg, Severity, Theme};
use medivision_tui::engine::Event;
use medivision_tui::media::ErrorKind;
use medivision_tui::scoring::Decision;
use ratatui::style::Color;

use crate::scene::{Program, ROOT, failure, file, folder, key, record};

const SIZES: [(u16, u16); 5] = [(80, 24), (120, 40), (200, 60), (30, 8), (20, 5)];

/// One scene at all sizes, one below the other.
pub fn at_all_sizes(scene: impl Fn(&mut Program)) -> String {
    let screen = |(cols, rows): (u16, u16)| {
        let mut program = Program::new(cols, rows);
        scene(&mut program);
        format!("── {cols}×{rows} ──\n{}\n", program.screen(cols, rows))
    };
    SIZES.map(screen).join("\n")
}

const NAMES: [&str; 10] = [
    "chest-001.dcm",
    "chest-002.dcm",
    "chest-003.dcm",
    "chest-010.dcm",
    "forearm-lateral-view-second-exposure-2026-03-01.dcm",
    "head-001.png",
    "head-002.jpg",
    "notes.txt",
    "scan.part.dcm",
    "胸部レントゲン写真.png",
];

/// A folder with something of everything.
pub fn browsing(program: &mut Program) {
    let mut entries: Vec<Entry> = NAMES.map(file).to_vec();
    entries.push(folder("series-7"));
    program.list(entries);
    program.ready(true);
    let pictures: Vec<&str> = NAMES
        .into_iter()
        .filter(|name| *name != "notes.txt")
        .collect();
    program.scan(
        &[
            &pictures[..],
            &["series-7/1.dcm", "series-7/2.dcm", "series-7/3.dcm"],
        ]
        .concat(),
    );
    program.send(Msg::Watching { polling: false });
    program.answer(
        "chest-001.dcm",
        record("pneumonia", 0.914, Decision::Confident),
    );
    program.answer("chest-002.dcm", record("normal", 0.58, Decision::Uncertain));
    program.answer(
        "chest-003.dcm",
        record("normal", 0.9996, Decision::Confident),
    );
    program.answer(
        "forearm-lateral-view-second-exposure-2026-03-01.dcm",
        record("fracture", 0.873, Decision::Confident),
    );
    program.answer("head-001.png", record("tumor", 0.31, Decision::Rejected));
    program.answer(
        "scan.part.dcm",
        failure(
            ErrorKind::Truncated,
            "the file ends after 1,204 of 6,291,456 bytes of pixels",
        ),
    );
    program.answer(
        "series-7/1.dcm",
        record("normal", 0.91, Decision::Confident),
    );
    program.answer("series-7/2.dcm", record("tumor", 0.45, Decision::Uncertain));
    program.send(Msg::Engine(Event::Rate {
        images_per_second: 12.34,
        queued: 4,
    }));
    program.send(Msg::Appeared {
        entry: file("chest-004.dcm"),
        picture: true,
    });
    program.press("gj");
    program.rest();
    program.show();
}

/// The cursor to a name, counted from the first row.
fn go_to(program: &mut Program, name: &str) {
    let names = NAMES.iter().position(|n| *n == name);
    // The folder and the file that appeared stand before all that these tests go to.
    let rows = names.expect("a name of the scene") + 2;
    program.press("g");
    program.press(&"j".repeat(rows));
    program.rest();
    program.show();
}

#[test]
fn browsing_with_results() {
    insta::assert_snapshot!(at_all_sizes(browsing));
}

#[test]
fn result_panel_where_panels_fold() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.send(key(KeyCode::Tab));
        program.send(key(KeyCode::Tab));
    }));
}

#[test]
fn rejected_by_the_built_in_model() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        go_to(program, "head-001.png");
    }));
}

#[test]
fn folder_under_the_cursor() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("g");
    }));
}

#[test]
fn loading() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        program.list(vec![file("a.dcm"), file("b.dcm")]);
        program.scan(&["a.dcm", "b.dcm"]);
    }));
}

#[test]
fn model_failed() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        program.list(vec![file("a.dcm"), file("b.dcm")]);
        program.scan(&["a.dcm", "b.dcm"]);
        let message =
            "vision_model.embeddings.patch_embedding.weight is missing from model.safetensors"
                .to_owned();
        program.send(Msg::Engine(Event::Failed { message }));
        program.rest();
        program.show();
    }));
}

#[test]
fn empty_folder() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        program.list(Vec::new());
        program.scan(&[]);
        program.ready(false);
        program.send(Msg::Watching { polling: false });
    }));
}

#[test]
fn no_name_matches_the_filter() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("/zebra");
        program.send(key(KeyCode::Enter));
        program.rest();
    }));
}

#[test]
fn a_filter_as_it_is_typed() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("/chest 00");
    }));
}

#[test]
fn the_palette() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press(":window");
    }));
}

/// The built-in model is in use, and has answered nothing yet.
#[test]
fn first_start() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        program.list(vec![file("a.dcm"), file("b.dcm")]);
        program.scan(&["a.dcm", "b.dcm"]);
        program.ready(true);
        program.rest();
        program.show();
    }));
}

#[test]
fn nothing_classified_yet() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        program.list(vec![file("a.dcm"), file("b.dcm")]);
        program.ready(false);
        program.rest();
        program.show();
    }));
}

/// The first heading of the help, wherever it lies.
fn first_heading(program: &Program) -> Option<String> {
    let screen = program.screen(80, 24);
    let mut lines = screen.lines().skip_while(|line| !line.contains("╭ Help"));
    let words = lines.nth(1)?.split_whitespace().nth(1)?;
    Some(words.to_owned())
}

#[test]
fn help_begins_with_the_place_and_gives_back_what_it_lay_upon() {
    for (keys, heading, beneath) in [
        ("", "Move", "─ Result"),
        ("Z", "Image", "─ chest-001.dcm"),
        ("vg", "Grid", "3 images"),
        ("jvc", "Compare", ""),
        ("va", "Activity", "Throughput"),
        ("t", "Tags", "Tags · chest-001.dcm"),
        ("p", "Choose", "╭ Prompt set"),
        ("m", "Choose", "╭ Model"),
        ("v", "View", "╭ View"),
    ] {
        let mut program = Program::new(80, 24);
        browsing(&mut program);
        if heading == "Compare" {
            program.press(" ");
        }
        program.press(keys);
        let before = program.screen(80, 24);
        assert!(before.contains(beneath), "{keys}:\n{before}");
        for away in [KeyCode::Char('?'), KeyCode::Esc] {
            program.press("?");
            assert_eq!(first_heading(&program).as_deref(), Some(heading), "{keys}");
            program.send(key(away));
            assert_eq!(program.screen(80, 24), before, "{keys}");
        }
    }
}

#[test]
fn unreadable_folder() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        let (dir, generation) = program.listing();
        program.send(Msg::ListFailed {
            dir,
            generation,
            message: "Permission denied.".to_owned(),
        });
        program.ready(false);
    }));
}

#[test]
fn why_a_file_failed() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        go_to(program, "scan.part.dcm");
        program.press("e");
    }));
}

#[test]
fn help() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("?");
    }));
}

#[test]
fn old_picture_until_the_new_one_is_there() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("j");
    }));
}

#[test]
fn an_error_to_report() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        let text = "the watch has reached the limit of inotify watches (8192)".to_owned();
        program.send(Msg::Report {
            severity: Severity::Error,
            text,
        });
    }));
}

/// No name and no message can bring a control character to the terminal, at any size, in any panel.
#[test]
fn hostile_names_stay_text_at_every_size() {
    let names: [&[u8]; 5] = [
        b"\x1b[2J\x1b]0;x\x07.png",
        b"\xff\xfe.dcm",
        "a\u{202e}gnp.exe".as_bytes(),
        b"a\nb\tc",
        &[b'x'; 255],
    ];
    for (cols, rows) in (0..90)
        .step_by(3)
        .flat_map(|cols| (0..30).map(move |rows| (cols, rows)))
    {
        let mut program = Program::new(cols, rows);
        let entry = |name: &&[u8]| Entry {
            path: std::path::Path::new(ROOT).join(OsStr::from_bytes(name)),
            ..file("x")
        };
        program.list(names.iter().map(entry).collect());
        for keys in ["", "j", "c", "e", "?"] {
            program.press(keys);
            program.send(Msg::Report {
                severity: Severity::Error,
                text: "\u{1b}[31m".to_owned(),
            });
            let screen = program.screen(cols, rows);
            assert!(
                !screen.chars().any(|c| c.is_control() && c != '\n'),
                "{cols}×{rows} after {keys:?}:\n{screen}"
            );
        }
    }
}

/// Whatever is said by colour is said by a symbol or a word as well.
#[test]
fn standing_is_told_without_colour() {
    let mut program = Program::new(120, 40);
    browsing(&mut program);
    let screen = program.screen(120, 40);
    for (name, marks) in [
        ("chest-001.dcm", ["●", "pneumonia ", "91%▲"]),
        ("chest-002.dcm", ["◐", "normal?", "58%"]),
        ("head-001.png", ["○", "rejected", ""]),
        ("scan.part.dcm", ["✗", "truncated", ""]),
        ("chest-010.dcm", ["·", "queued", ""]),
        ("chest-004.dcm", ["+", "queued", ""]),
    ] {
        let line = screen
            .lines()
            .find(|line| line.contains(name) && !line.starts_with('─'))
            .unwrap_or_default();
        assert!(
            marks.iter().all(|mark| line.contains(mark)),
            "{name}: {line}"
        );
    }
    assert!(
        !screen
            .lines()
            .any(|line| line.contains("head-001.png") && line.contains("31%")),
        "a rejected label is no claim"
    );
}

#[test]
fn the_notice_is_in_sight_wherever_results_are() {
    for (cols, rows) in [(60, 20), (40, 15), (80, 24), (200, 60)] {
        let mut program = Program::new(cols, rows);
        browsing(&mut program);
        let screen = program.screen(cols, rows);
        assert!(
            screen.to_lowercase().contains("not a diagnosis"),
            "{screen}"
        );
    }
}

#[test]
fn images_lie_on_a_dark_ground_whatever_the_terminal_has() {
    let ground = |theme| {
        let mut program = Program::themed(theme);
        program.send(Msg::Resized { cols: 80, rows: 24 });
        program.send(Msg::Graphics(Graphics::Halfblocks));
        program.list(vec![file("a.png")]);
        program.ready(false);
        program.rest();
        program.show();
        // The corners of the preview, beside the image, and of the list.
        let buffer = program.buffer(80, 24);
        [(79, 1), (0, 20)].map(|at| buffer[at].bg)
    };
    for theme in [Theme::Dark, Theme::Light] {
        assert_eq!(ground(theme), [Color::Indexed(16), Color::Reset]);
    }
    assert_eq!(ground(Theme::None), [Color::Reset; 2]);
}
