//! State that survives a restart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use vt100::Screen;

use super::session::{Kind, Session, is_classified, is_current, picture, row};

/// The names in the list, from the top.
fn names(screen: &Screen) -> Vec<String> {
    let contents = screen.contents();
    let list = contents.lines().skip(1).filter_map(|line| {
        let list = line.split('│').next().unwrap_or_default();
        let mut words = list.split_whitespace();
        words.find(|word| word.contains(".png") || ["sub/", ".hidden"].contains(word))
    });
    list.map(str::to_owned).collect()
}

/// The column of the line beside the list.
fn divider(screen: &Screen) -> Option<usize> {
    let contents = screen.contents();
    let title = contents.lines().next()?.to_owned();
    title.chars().position(|c| c == '┬')
}

/// The files with saved folder states.
fn saved_states(session: &Session) -> Vec<PathBuf> {
    let state = session
        .home
        .path()
        .join(".local/state/medivision-tui/folders");
    let files = fs::read_dir(state).expect("states were saved");
    files.map(|file| file.expect("listed").path()).collect()
}

#[test]
fn a_folder_is_shown_as_it_was_left() {
    let session = Session::start_with(Kind::Plain, &[], |folder| {
        fs::create_dir(folder.join("sub")).expect("a folder");
        fs::write(folder.join(".hidden"), "").expect("written");
    });
    let display = &session.display;
    display.until("the whole folder", |screen| {
        is_classified(screen, "c.png") && names(screen) == ["sub/", "a.png", "b.png", "c.png"]
    });
    // Reversed, with hidden files, the cursor in the middle, the line dragged to column 30.
    session.press("S.gjj");
    let other = ["sub/", "c.png", "b.png", "a.png", ".hidden"];
    display.until("another order", |screen| {
        names(screen) == other && is_current(screen, "b.png")
    });
    let at = divider(display.parser.lock().expect("whole").screen()).expect("a line");
    for (code, x, end) in [(0, at + 1, 'M'), (32, 31, 'M'), (0, 31, 'm')] {
        session.press(&format!("\x1b[<{code};{x};9{end}"));
    }
    display.until("the line moved", |screen| divider(screen) == Some(30));
    session.press("q");
    assert_eq!(session.ended(), 0);

    let session = session.again(Kind::Plain);
    session.display.until("the same", |screen| {
        let place = divider(screen) == Some(30) && is_current(screen, "b.png");
        names(screen) == other && place
    });
    // In a folder below, too.
    session.press("g\r");
    session.display.shows("This folder is empty.");
    session.press("q");
    assert_eq!(session.ended(), 0);
    assert_eq!(saved_states(&session).len(), 2);
}

#[test]
fn a_file_is_shown_in_its_folder_whatever_hid_it_there() {
    let session = Session::start(Kind::Plain, &[]);
    session.display.until("the whole folder", |screen| {
        names(screen) == ["a.png", "b.png", "c.png"]
    });
    session.press("/a\r");
    session
        .display
        .until("one file", |screen| names(screen) == ["a.png"]);
    session.press("q");
    assert_eq!(session.ended(), 0);
    let session = session.again_on(Kind::Plain, "in/b.png");
    session
        .display
        .until("the file among the others", |screen| {
            names(screen) == ["a.png", "b.png", "c.png"] && is_current(screen, "b.png")
        });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn embeddings_are_saved_when_the_connection_is_lost() {
    let model = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/parity/clip-late"
    );
    let session = Session::start(Kind::Plain, &[("MEDIVISION_MODEL", model)]);
    session.display.until("all labels", |screen| {
        ["a.png", "b.png", "c.png"]
            .iter()
            .all(|name| is_classified(screen, name))
    });
    session.signal(Signal::HUP);
    assert_eq!(session.ended(), 0);
    let data = session.home.path().join(".local/share/medivision-tui");
    let database = rusqlite::Connection::open(data.join("library.sqlite3")).expect("it is there");
    let count = database.query_row("SELECT count(*) FROM embeddings", [], |row| row.get(0));
    assert_eq!(count, Ok(3));
}

#[test]
fn results_of_another_process_are_shown_while_the_interface_is_open() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "c.png"));
    // A folder that the interface only shows: nobody has asked for its results.
    let other = session.home.path().join("other");
    fs::create_dir(&other).expect("a folder");
    picture(&other.join("x.png"), 10);
    picture(&other.join("y.png"), 20);
    session.press("h");
    display.shows("other/");
    session.press("Gl");
    display.shows("c classifies it");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/clip-late");
    let output = Command::new(env!("CARGO_BIN_EXE_medivision-tui"))
        .env_clear()
        .env("HOME", session.home.path())
        .arg("--model")
        .arg(model)
        .arg("classify")
        .arg(&other)
        .output();
    assert!(output.expect("it runs").status.success());
    for name in ["x.png", "y.png"] {
        display.until("its result", |screen| is_classified(screen, name));
    }
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn an_edited_prompt_file_changes_what_is_on_screen() {
    let write = |folder: &Path, name: &str, condition: &str| {
        let text = format!(
            "name = \"ward\"\n[[condition]]\nname = {condition}\nphrases = [\"haze\"]\n\
             [[condition]]\nname = \"clear\"\nphrases = [\"no haze\"]\n"
        );
        fs::write(folder.join(name), text).expect("written");
    };
    let environment = [("MEDIVISION_PROMPTS", "ward.toml")];
    let session = Session::start_with(Kind::Plain, &environment, |folder| {
        write(&folder.join(".."), "ward.toml", "\"haze\"");
    });
    let (display, home) = (&session.display, session.home.path());
    display.until("a label", |screen| is_classified(screen, "c.png"));
    write(home, "ward.toml", "\"fog\"");
    display.shows("fog");
    // An editor that replaces the file, with a mistake.
    write(home, "ward.new", "7");
    fs::rename(home.join("ward.new"), home.join("ward.toml")).expect("replaced");
    display.shows("ward.toml:3: ");
    display.shows("fog");
    write(home, "ward.toml", "\"mist\"");
    display.until("the set put right", |screen| {
        let screen = screen.contents();
        screen.contains("mist") && !screen.contains("ward.toml:3: ")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn without_a_writable_state_folder_it_runs_and_says_so() {
    let session = Session::start(Kind::Plain, &[("XDG_STATE_HOME", "/dev/null")]);
    session.display.shows("/dev/null/medivision-tui: ");
    let all = |screen: &Screen| is_classified(screen, "c.png");
    session.display.until("a label", all);
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn state_is_saved_on_every_signal_and_damaged_state_is_only_logged() {
    for signal in [Signal::TERM, Signal::HUP] {
        let session = Session::start(Kind::Plain, &[]);
        let display = &session.display;
        display.until("a label", |screen| is_classified(screen, "c.png"));
        let filtered_grid = |screen: &Screen| {
            let contents = screen.contents();
            divider(screen).is_none() && contents.contains("“!b”  1 hidden  2/2")
        };
        session.press("/!b\rGvg");
        display.until("the grid", filtered_grid);
        session.signal(signal);
        assert_eq!(session.ended(), 0);

        let session = session.again(Kind::Plain);
        session.display.until("the grid again", filtered_grid);
        session.signal(signal);
        assert_eq!(session.ended(), 0);

        fs::write(&saved_states(&session)[0], "{").expect("damaged");
        let session = session.again(Kind::Plain);
        session.display.until("the list", |screen| {
            is_current(screen, "a.png") && row(&screen.contents(), "b.png").is_some()
        });
        session.press("q");
        assert_eq!(session.ended(), 0);
        let log = session
            .home
            .path()
            .join(".local/state/medivision-tui/log.txt");
        let mode = fs::metadata(&log).expect("a log").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let log = fs::read_to_string(log).expect("a log");
        assert!(
            log.contains("the state of a folder cannot be read"),
            "{log}"
        );
    }
}
