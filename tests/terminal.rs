//! The real binary in a pseudo-terminal: what the user sees, and that the terminal is restored.

#[path = "terminal/files.rs"]
mod files;
#[path = "terminal/graphics.rs"]
mod graphics;
#[path = "terminal/limited.rs"]
mod limited;
#[path = "terminal/persistence.rs"]
mod persistence;
#[path = "terminal/reviews.rs"]
mod reviews;
#[path = "terminal/robustness.rs"]
mod robustness;
#[path = "terminal/session.rs"]
mod session;
#[path = "terminal/shutdown.rs"]
mod shutdown;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use medivision_tui::phantom::write_studies;
use rustix::process::Signal;
use session::{COLS, Kind, ROWS, Session, is_classified, is_current, picture, row};
use vt100::{MouseProtocolMode, Screen};

#[test]
fn files_are_browsed_classified_and_watched_and_the_terminal_is_restored() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("the files", |screen| {
        screen.alternate_screen()
            && ["a.png", "b.png", "c.png"]
                .iter()
                .all(|name| row(&screen.contents(), name).is_some())
    });
    for name in ["a.png", "b.png", "c.png"] {
        display.until("a label", |screen| is_classified(screen, name));
    }
    session.press("j");
    display.until("the cursor", |screen| is_current(screen, "b.png"));

    // A file arrives where sorting puts it, and the cursor stays on its file.
    let temporary = session.home.path().join("new.png");
    picture(&temporary, 200);
    fs::rename(temporary, session.path("aa.png")).expect("moved in");
    display.until("the new file", |screen| is_classified(screen, "aa.png"));
    display.until("the cursor", |screen| is_current(screen, "b.png"));
    fs::remove_file(session.path("aa.png")).expect("removed");
    display.until("its removal", |screen| {
        row(&screen.contents(), "aa.png").is_none()
    });

    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn tags_show_the_patient_name_only_on_request() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "a.png"));
    let studies = session.home.path().join("studies");
    write_studies(&studies, 7, 12, |_| {}).expect("phantoms");
    let dicom = fs::read_dir(&studies)
        .expect("a folder")
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "dcm"))
        .expect("a DICOM phantom among them");
    fs::rename(dicom, session.path("0.dcm")).expect("moved in");
    display.until("the file", |screen| {
        row(&screen.contents(), "0.dcm").is_some()
    });
    session.press("gt");
    display.shows("Tags · 0.dcm");
    session.press("/patientname");
    display.until("the masked name", |screen| {
        let contents = screen.contents();
        let line = contents.lines().find(|line| line.contains("PatientName"));
        line.is_some_and(|line| line.contains("•••"))
    });
    let seen = |text: &str| {
        let raw = display.raw.lock().expect("whole");
        raw.windows(text.len()).any(|part| part == text.as_bytes())
    };
    session.press("\ry");
    display.shows("masked, so not copied");
    assert!(!seen("PHANTOM"), "the name was sent to the terminal");
    session.press("P");
    display.shows("SYNTHETIC^PHANTOM");
    session.press("y");
    display.shows("copied: PatientName");
    // SYNTHETIC^PHANTOM
    assert!(seen("\x1b]52;c;U1lOVEhFVElDXlBIQU5UT00=\x07"));
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn the_grid_shows_the_images_of_all_files_and_opens_one() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    for name in ["a.png", "b.png", "c.png"] {
        display.until("a label", |screen| is_classified(screen, name));
    }
    session.press("vg");
    // The greys of files that the cursor is not on.
    let grey = |screen: &Screen, level| {
        let grey = vt100::Color::Rgb(level, level, level);
        let cells = (0..ROWS).flat_map(|y| (0..COLS).map(move |x| (y, x)));
        let mut cells = cells.filter_map(|(y, x)| screen.cell(y, x));
        cells.any(|cell| cell.fgcolor() == grey || cell.bgcolor() == grey)
    };
    display.until("the other images", |screen| {
        grey(screen, 60) && grey(screen, 120)
    });
    session.press("l\r");
    display.until("one of them", |screen| {
        screen.contents().starts_with("─ b.png") && grey(screen, 60) && !grey(screen, 120)
    });
    session.press("\x1b");
    display.until("all of them", |screen| {
        grey(screen, 60) && grey(screen, 120)
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn two_files_are_compared_and_the_activity_log_leads_to_a_file() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    for name in ["a.png", "b.png", "c.png"] {
        display.until("a label", |screen| is_classified(screen, name));
    }
    session.press("g jvc");
    display.until("both", |screen| {
        let contents = screen.contents();
        contents.starts_with("─ a.png") && contents.contains("┬─ c.png")
    });
    session.press("\x1b");
    display.until("the list", |screen| is_current(screen, "c.png"));
    session.press("va");
    display.shows("3 classified, 0 failed");
    display.until("the times", |screen| {
        !screen.contents().contains("        ●")
    });
    let damaged = session.home.path().join("damaged.png");
    picture(&damaged, 9);
    let whole = fs::read(&damaged).expect("read");
    fs::write(&damaged, &whole[..whole.len() / 2]).expect("cut");
    fs::rename(damaged, session.path("damaged.png")).expect("moved in");
    display.shows("1 failed");
    session.press("e");
    display.shows("Why it failed");
    session.press("\x1b");
    display.until("the log", |screen| {
        !screen.contents().contains("Why it failed")
    });
    session.press("\r");
    display.until("the file", |screen| is_current(screen, "damaged.png"));
    session.press("q");
    assert_eq!(session.ended(), 0);
}

/// A mouse event as the terminal reports it: the code, then column and row from 1.
fn mouse(code: u16, x: usize, y: usize, up: bool) -> String {
    let end = if up { 'm' } else { 'M' };
    format!("\x1b[<{code};{x};{y}{end}")
}

#[test]
fn the_mouse_selects_opens_and_drags_the_divider() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("the files", |screen| is_classified(screen, "c.png"));
    display.until("the mouse", |screen| {
        screen.mouse_protocol_mode() == MouseProtocolMode::ButtonMotion
    });
    // Below the title a.png, b.png, c.png.
    session.press(&mouse(0, 8, 3, false));
    session.press(&mouse(0, 8, 3, true));
    display.until("a click", |screen| is_current(screen, "b.png"));
    let line = |screen: &Screen| {
        let contents = screen.contents();
        let title = contents.lines().next().unwrap_or_default().to_owned();
        title.chars().position(|c| c == '┬')
    };
    let at = line(display.parser.lock().expect("whole").screen()).expect("a line");
    session.press(&mouse(0, at + 1, 9, false));
    session.press(&mouse(32, at - 9, 9, false));
    session.press(&mouse(0, at - 9, 9, true));
    display.until("the line moved", |screen| line(screen) == Some(at - 10));
    for _ in 0..2 {
        session.press(&mouse(0, 8, 4, false));
        session.press(&mouse(0, 8, 4, true));
    }
    display.until("the image alone", |screen| {
        screen.contents().starts_with("─ c.png") && line(screen).is_none()
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn with_no_mouse_the_terminal_keeps_it() {
    let session = Session::start(Kind::Plain, &[("MEDIVISION_NO_MOUSE", "1")]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "c.png"));
    let raw = display.raw.lock().expect("whole").clone();
    assert!(!raw.windows(8).any(|part| part == b"\x1b[?1000h"));
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn show_phi_shows_patient_values_from_the_start() {
    let session = Session::start(Kind::Plain, &[("MEDIVISION_SHOW_PHI", "1")]);
    session.display.shows("patient values shown");
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn sigterm_restores_the_terminal() {
    let session = Session::start(Kind::Plain, &[]);
    session.display.shows("b.png");
    session.signal(Signal::TERM);
    assert_eq!(session.ended(), 0);
}

#[test]
#[cfg(debug_assertions)]
fn a_panic_restores_the_terminal_and_is_reported() {
    let session = Session::start(Kind::Plain, &[("MEDIVISION_TEST_PANIC", "1")]);
    assert_eq!(session.ended(), 101);
    session.display.shows("please report it");
}

#[test]
fn no_key_is_lost_if_the_terminal_does_not_answer() {
    let session = Session::start(Kind::Silent, &[]);
    session
        .display
        .until("the screen", Screen::alternate_screen);
    // While the queries are not answered yet.
    session.press("?");
    session.display.shows("╭ Help");
    session.press("?q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    let session = Session::start(Kind::Plain, &[]);
    session.display.shows("b.png");
    session.resize(120, 40);
    // The status line moves to the new bottom.
    session.display.until("the new size", |screen| {
        screen
            .rows(0, 120)
            .nth(39)
            .is_some_and(|row| row.contains("quit"))
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn ctrl_z_restores_the_terminal_until_the_program_continues() {
    let session = Session::start(Kind::Plain, &[]);
    session
        .display
        .until("a label", |screen| is_classified(screen, "b.png"));
    session.suspend_and_continue();
    session.display.until("the screen", |screen| {
        screen.alternate_screen()
            && is_classified(screen, "b.png")
            && screen.mouse_protocol_mode() == MouseProtocolMode::ButtonMotion
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn without_a_terminal_the_error_says_what_to_use_instead() {
    let output = Command::new(env!("CARGO_BIN_EXE_medivision-tui"))
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        text.contains("needs a terminal") && text.contains("classify"),
        "{text}"
    );
}

/// Copies the demo's stack of nine sections.
fn stack(folder: &Path) {
    let demo = tempfile::tempdir().expect("a folder");
    medivision_tui::phantom::write_studies(demo.path(), 1, 2, |_| {}).expect("written");
    let frames = |path: &Path| {
        let source = medivision_tui::media::open(path);
        source.map_or(0, |source| source.info().frames)
    };
    let mut files = fs::read_dir(demo.path()).expect("written");
    let many = files.find_map(|file| {
        let path = file.expect("written").path();
        (frames(&path) == 9).then_some(path)
    });
    fs::copy(many.expect("a stack"), folder.join("stack.dcm")).expect("copied");
}

#[test]
fn a_file_of_many_frames_is_paged_played_and_rotated() {
    let session = Session::start_with(Kind::Plain, &[], stack);
    session.display.shows("stack.dcm");
    session.press("G");
    session.display.shows(" 1/9 ");
    session.press("]");
    session.display.shows(" 2/9 ");
    session.press("}");
    session.display.shows(" 9/9 ");
    session.press("#5\r");
    session.display.shows(" 5/9 ");
    session.press("x");
    session.display.shows("▶");
    for frame in ["7/9", "8/9", "9/9", "1/9", "2/9"] {
        session.display.shows(frame);
    }
    session.press("x");
    session
        .display
        .until("a halt", |screen| !screen.contents().contains('▶'));
    session.press("ri");
    session.display.shows("inverted");
    // The whole screen has room for all facts.
    session.press("Z");
    session.display.until("the image alone", |screen| {
        !screen.contents().contains("Result") && screen.contents().contains("↻ 90°")
    });
    session.press("V");
    session.display.until("a value", |screen| {
        let contents = screen.contents();
        let value = contents
            .split_once(" y ")
            .and_then(|(_, rest)| rest.split_once("  "));
        value.is_some_and(|(_, value)| value.starts_with(|c: char| c.is_ascii_digit()))
    });
    session.press("\x1b");
    session
        .display
        .until("no pointer", |screen| !screen.contents().contains("x 1"));
    session.press("u\x1b");
    session.display.until("the reset view", |screen| {
        let contents = screen.contents();
        contents.contains("Result") && !contents.contains("inverted")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}
