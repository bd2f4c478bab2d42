//! Files are moved by keys, and moved back; and they are opened with other programs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::Signal;

use crate::session::{Kind, Session, is_classified, row};

#[test]
fn a_file_is_moved_into_a_folder_and_back_and_its_result_with_it() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a result", |screen| is_classified(screen, "a.png"));
    let folder = session.home.path().join("in");
    let before = fs::read(folder.join("a.png")).expect("a file");
    session.press("g;mdone\r");
    display.shows("1 file moved to");
    display.until("the move", |screen| {
        row(&screen.contents(), "a.png").is_none()
    });
    assert_eq!(fs::read(folder.join("done/a.png")).expect("moved"), before);
    assert!(!folder.join("a.png").exists());
    session.press(";u");
    display.shows("moved back");
    display.until("the result", |screen| is_classified(screen, "a.png"));
    assert_eq!(fs::read(folder.join("a.png")).expect("moved back"), before);
    assert!(!folder.join("done").exists());
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn marked_files_are_copied_and_moved_to_another_file_system_and_back() {
    let other = tempfile::tempdir_in("/dev/shm").expect("a tmpfs");
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a result", |screen| is_classified(screen, "c.png"));
    let folder = session.home.path().join("in");
    let device = |path: &Path| fs::metadata(path).expect("a folder").dev();
    assert_ne!(device(&folder), device(other.path()), "two file systems");
    let state = |path: &Path| {
        let found = fs::metadata(path).expect("a file");
        let times = (found.modified().expect("a time"), found.mode());
        (fs::read(path).expect("a file"), times)
    };
    let names = ["a.png", "b.png"];
    let before = names.map(|name| state(&folder.join(name)));

    let to = other.path().join("new");
    session.press(&format!("g  ;c{}\r", to.display()));
    display.shows("2 files copied to");
    assert_eq!(names.map(|name| state(&to.join(name))), before);
    session.press(";u");
    display.shows("undone: 2 files removed from");
    assert!(!to.exists(), "it was created for the copies");
    assert_eq!(names.map(|name| state(&folder.join(name))), before);

    // The folder typed last is offered again.
    session.press("g  ;m\r");
    display.shows("2 files moved to");
    display.until("the moves", |screen| {
        names
            .iter()
            .all(|name| row(&screen.contents(), name).is_none())
    });
    assert_eq!(names.map(|name| state(&to.join(name))), before);
    session.press(";u");
    display.shows("undone: 2 files moved back");
    assert_eq!(names.map(|name| state(&folder.join(name))), before);
    assert!(!to.exists());
    display.until("the results", |screen| {
        names.iter().all(|name| is_classified(screen, name))
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn quitting_right_after_an_export_was_begun_leaves_all_of_it_or_nothing() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    for name in ["a.png", "b.png", "c.png"] {
        display.until("a result", |screen| is_classified(screen, name));
    }
    session.press(":export out.jsonl\rq");
    assert_eq!(session.ended(), 0);
    let entries = fs::read_dir(session.home.path()).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let begun = names.filter(|name| name.to_string_lossy().starts_with(".medivision-"));
    assert_eq!(begun.count(), 0, "nothing is left half written");
    if let Ok(text) = fs::read_to_string(session.home.path().join("out.jsonl")) {
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("}\n"), "{text}");
    }
}

#[test]
fn a_program_that_opens_a_file_has_the_terminal_until_it_ends() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a result", |screen| is_classified(screen, "a.png"));
    // It is an ordinary terminal meanwhile: what is typed is echoed, and a line reaches the program when it is complete.
    let program =
        r#"sh -c 'echo "ready for ${1##*/}"; read word; echo "<$word>"; exit 3' sh {path}"#;
    session.press(&format!("g;o{program}\r"));
    display.shows("ready for a.png");
    session.assert_restored();
    session.press("jqq\r");
    display.shows("<jqq>");
    display.shows("exit status: 3; any key goes back");
    session.press("q");
    display.until("the list", |screen| {
        screen.alternate_screen() && is_classified(screen, "c.png")
    });
    // The next one begins with the same command; a program that does not exist is named.
    session.press(";o");
    display.shows("exit 3' sh {path}");
    session.press("\x15nowhere --at {path}\r");
    display.shows("there is no program nowhere");
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn a_program_is_stopped_and_goes_on_as_one_job_with_this_one() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a result", |screen| is_classified(screen, "a.png"));
    // What is typed must not look like what is printed: Ctrl-Z is for the program.
    session.press(";osh -c 'echo ready$((6*7)); read word; echo \"<$word>\"; sleep 1'\r");
    display.shows("ready42");
    session.press("\x1a");
    session.until_stopped();
    session.signal(Signal::CONT);
    session.press("go on\r");
    display.shows("<go on>");
    display.until("the list", |screen| {
        screen.alternate_screen() && is_classified(screen, "c.png")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn a_program_in_the_background_leaves_the_screen_alone() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a result", |screen| is_classified(screen, "a.png"));
    session.press("g;osh -c 'cp \"$0\" copy.png; echo seen; exit 1' &\r");
    display.shows("sh ended with exit status: 1");
    assert!(
        !display
            .parser
            .lock()
            .expect("whole")
            .screen()
            .contents()
            .contains("seen")
    );
    assert!(session.home.path().join("copy.png").exists());
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn a_built_in_prompt_set_is_edited_as_a_copy_and_changes_the_results_at_once() {
    let editor = r#"sed -i 's/^name = "\([ptfn]\)/name = "zz\1/'"#;
    let environment = [("EDITOR", editor), ("MEDIVISION_PROMPTS", "general")];
    let session = Session::start(Kind::Plain, &environment);
    let display = &session.display;
    display.until("a result", |screen| is_classified(screen, "c.png"));
    session.press("E");
    display.shows("any key goes back");
    session.press("x");
    display.until("the new labels", |screen| {
        row(&screen.contents(), "a.png").is_some_and(|row| row.contains("zz"))
    });
    session.press("vd");
    display.shows("Labels that changed");
    session.press("h");
    let copy = session
        .home
        .path()
        .join(".config/medivision-tui/prompts/general.toml");
    assert!(
        fs::read_to_string(copy)
            .expect("copied")
            .contains("zzpneumonia")
    );
    session.press("q");
    assert_eq!(session.ended(), 0);
}
