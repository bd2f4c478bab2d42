//! Terminals with few colours or without Unicode: exactly which bytes they are sent.

use std::fs;

use medivision_tui::phantom::write_studies;
use vt100::{Color, Screen};

use crate::session::{COLS, Kind, ROWS, Session, row};

/// Columns of the list.
const LIST: u16 = 42;

/// Whether the file has its label and probability. Lines and bars may be ASCII, so that only the list's columns are searched.
fn is_classified(screen: &Screen, name: &str) -> bool {
    let mut rows = screen.rows(0, LIST).skip(1);
    rows.any(|row| row.contains(&format!(" {name}")) && row.contains('%'))
}

/// The query for the terminal's colours.
const COLOUR_QUERY: &str = "\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m";

/// Everything that the program sent.
fn raw(session: &Session) -> Vec<u8> {
    session.display.raw.lock().expect("whole").clone()
}

/// Everything that the program sent except that query, which must be included.
fn raw_without_query(session: &Session) -> Vec<u8> {
    let text = String::from_utf8(raw(session)).expect("UTF-8");
    let (before, after) = text.split_once(COLOUR_QUERY).expect("asked");
    [before, after].concat().into_bytes()
}

fn sent(raw: &[u8], what: &str) -> bool {
    raw.windows(what.len()).any(|part| part == what.as_bytes())
}

/// The parameters of all SGR sequences.
fn sgr_parameters(raw: &[u8]) -> Vec<Vec<u16>> {
    let text = String::from_utf8_lossy(raw);
    text.split("\x1b[")
        .skip(1)
        .filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
            let numbers = rest[..end].split(';').map(|n| n.parse().unwrap_or(0));
            rest[end..].starts_with('m').then(|| numbers.collect())
        })
        .collect()
}

/// Opens everything that has lines, symbols, images and popups in it, then quits.
fn look_around(session: &Session) {
    let display = &session.display;
    for name in ["a.png", "b.png", "c.png"] {
        display.until("a label", |screen| is_classified(screen, name));
    }
    // Without Esc, which together with the next key would be read as Alt.
    for (key, shown) in [
        ("?", "Help"),
        ("?", "Result"),
        ("va", "classified"),
        ("va", "Result"),
        ("vg", "c.png"),
        ("vg", "Result"),
        ("D", "255"),
        ("/zz", "Nothing here matches"),
        ("\x7f\x7f\r", "b.png"),
    ] {
        session.press(key);
        display.shows(shown);
    }
    session.press("q");
    assert_eq!(session.ended(), 0);
}

/// Background colours in the right half, where the image is.
fn backgrounds(screen: &Screen) -> Vec<Color> {
    let cells = (1..ROWS - 1).flat_map(|y| (COLS / 2..COLS).map(move |x| (y, x)));
    let cells = cells.filter_map(|(y, x)| screen.cell(y, x));
    cells.map(vt100::Cell::bgcolor).collect()
}

#[test]
fn the_linux_console_gets_ascii_and_sixteen_colours() {
    let session = Session::start(Kind::Plain, &[("TERM", "linux"), ("COLORTERM", "")]);
    session.display.shows("c.png");
    session.press("G");
    // c.png is a grey of 120, dithered from two of the four greys.
    session.display.until("the image", |screen| {
        let backgrounds = backgrounds(screen);
        backgrounds.contains(&Color::Idx(7)) && backgrounds.contains(&Color::Idx(8))
    });
    session.press("g");
    look_around(&session);
    let raw = raw(&session);
    assert!(raw.is_ascii(), "{}", String::from_utf8_lossy(&raw));
    let numbers = sgr_parameters(&raw);
    assert!(numbers.iter().flatten().any(|n| (90..=97).contains(n)));
    for numbers in numbers {
        assert!(
            numbers.iter().all(|n| ![38, 48].contains(n)),
            "{numbers:?} needs more than sixteen colours"
        );
    }
}

#[test]
fn a_locale_without_unicode_gets_ascii_in_all_colours() {
    let session = Session::start_with(Kind::Plain, &[("LANG", "C")], |folder| {
        crate::session::picture(&folder.join("Jörg-胸.png"), 200);
    });
    session.display.shows("J?rg-??.png");
    session.press("G");
    session.display.until("the image", |screen| {
        backgrounds(screen).contains(&Color::Rgb(200, 200, 200))
    });
    look_around(&session);
    let raw = raw(&session);
    assert!(raw.is_ascii(), "{}", String::from_utf8_lossy(&raw));
    assert!(sent(&raw, "48;2;200;200;200"));
}

#[test]
fn a_terminal_of_256_colours_is_sent_no_others() {
    let session = Session::start(Kind::Plain, &[("COLORTERM", "")]);
    session.display.shows("c.png");
    session.press("G");
    session.display.until("the image", |screen| {
        // 120 is nearest to the grey of 118.
        backgrounds(screen).contains(&Color::Idx(243))
    });
    look_around(&session);
    let raw = raw_without_query(&session);
    assert!(!sent(&raw, "38;2;") && !sent(&raw, "48;2;"));
    assert!(sent(&raw, "▌"), "it has Unicode");
}

#[test]
fn a_terminal_that_answers_for_all_colours_is_sent_them() {
    let session = Session::start(Kind::FullColours, &[("COLORTERM", "")]);
    session.display.shows("c.png");
    session.press("G");
    session.display.until("the image", |screen| {
        backgrounds(screen).contains(&Color::Rgb(120, 120, 120))
    });
    look_around(&session);
    let raw = raw_without_query(&session);
    assert!(sent(&raw, "38;2;") && sent(&raw, "48;2;120;120;120"));
}

#[test]
fn colours_are_not_queried_if_they_are_known() {
    for (environment, text) in [
        (("COLORTERM", "truecolor"), ""),
        (("COLORTERM", ""), "colours = \"256\""),
        (("COLORTERM", ""), "graphics = \"halfblocks\""),
        (("TERM", "linux"), ""),
        (("TERM", "dumb"), ""),
    ] {
        let session = with_settings(&[environment], text);
        for name in ["a.png", "b.png", "c.png"] {
            let classified = |screen: &Screen| is_classified(screen, name);
            session.display.until("a label", classified);
        }
        session.press("q");
        assert_eq!(session.ended(), 0);
        let raw = raw(&session);
        assert!(!sent(&raw, "\x1bP"), "{environment:?} {text}");
        let is_old = environment.0 == "TERM";
        let asked = !is_old && !text.starts_with("graphics");
        assert_eq!(sent(&raw, "\x1b_G"), asked, "{environment:?} {text}");
    }
}

#[test]
fn a_late_answer_about_colours_presses_no_keys() {
    let session = Session::start(Kind::Silent, &[("COLORTERM", "")]);
    session.display.shows("c.png");
    // Once the first image is shown, the time for answers is over.
    session.display.until("an image", |screen| {
        backgrounds(screen)
            .iter()
            .any(|ground| matches!(ground, Color::Idx(16..)))
    });
    session.press("\x1bP1$r0;48:2::1:2:3m\x1b\\");
    session.press("G");
    session.display.until("the last file", |screen| {
        crate::session::is_current(screen, "c.png")
    });
    // As keys, `:` and `P` in the answer would open something.
    let contents = session
        .display
        .parser
        .lock()
        .expect("whole")
        .screen()
        .contents();
    assert!(contents.contains("Result"), "{contents}");
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn without_colours_an_image_is_drawn_with_characters() {
    let session = Session::start_with(Kind::Plain, &[("TERM", "vt100")], |folder| {
        let studies = folder.parent().expect("a home").join("studies");
        write_studies(&studies, 7, 3, |_| {}).expect("phantoms");
        let mut files = fs::read_dir(&studies).expect("a folder");
        let dicom = files.find_map(|file| {
            let path = file.expect("a file").path();
            path.extension().is_some_and(|e| e == "dcm").then_some(path)
        });
        let dicom = dicom.expect("one among them");
        fs::rename(dicom, folder.join("0.dcm")).expect("moved");
    });
    session.display.until("the image", |screen| {
        let contents = screen.contents();
        [":-", "=+", "*#"]
            .iter()
            .any(|part| contents.contains(part))
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
    let raw = raw(&session);
    assert!(raw.is_ascii());
    // Only resets to the terminal's own colours.
    let colours: Vec<u16> = sgr_parameters(&raw).concat();
    assert!(
        colours.iter().all(|n| matches!(n, 0..30 | 39 | 49 | 59)),
        "{colours:?}"
    );
}

/// Browses with these settings.
fn with_settings(environment: &[(&str, &str)], text: &str) -> Session {
    Session::start_with(Kind::Plain, environment, |folder| {
        let home = folder
            .parent()
            .expect("a home")
            .join(".config/medivision-tui");
        fs::create_dir_all(&home).expect("a folder");
        fs::write(home.join("config.toml"), text).expect("written");
    })
}

#[test]
fn settings_override_the_environment() {
    let session = with_settings(&[], "colours = \"16\"\nascii = true");
    look_around(&session);
    let poor = raw(&session);
    assert!(poor.is_ascii() && !sent(&poor, "8;2;") && !sent(&poor, "8;5;"));

    let session = with_settings(
        &[("TERM", "linux"), ("LANG", "C")],
        "colours = \"full\"\nascii = false",
    );
    session.display.until("the cursor", |screen| {
        row(&screen.contents(), "a.png").is_some_and(|row| row.starts_with('▌'))
    });
    session.display.shows("c.png");
    session.press("G");
    session.display.until("the image", |screen| {
        backgrounds(screen).contains(&Color::Rgb(120, 120, 120))
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}
