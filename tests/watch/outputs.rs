//! The file that the command `watch` writes to: full, torn, removed, or written to by another.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::command::{Session, command, picture, write_old_images};
use crate::service::{home, wait_until};

/// The paths of the lines, all of which must be whole.
fn paths(output: &Path) -> Vec<String> {
    let text = fs::read_to_string(output).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let path = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a whole line");
        line["path"].as_str().expect("a path").to_owned()
    };
    text.lines().map(path).collect()
}

#[test]
fn without_a_library_too_a_torn_last_line_is_removed() {
    let home = home();
    let output = home.path().join("out.jsonl");
    fs::write(&output, "{\"path\":\"in/whole.png\"}\n{\"path\":\"in/to").expect("written");
    let arguments = ["--output", "out.jsonl", "--library", "none"];
    let session = Session::at(home, &arguments);
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    wait_until("there is a line", || {
        fs::read_to_string(&output)
            .is_ok_and(|text| text.ends_with("}\n") && text.contains("a.png"))
    });
    assert_eq!(paths(&output), ["in/whole.png", "in/a.png"]);
    assert_eq!(session.end(Signal::TERM).0, Some(0));
}

#[test]
fn an_output_that_cannot_grow_ends_it_and_keeps_whole_lines_only() {
    const LIMIT: u64 = 10_000;
    let home = home();
    write_old_images(&home.path().join("in"), 60);
    let output = home.path().join("out.jsonl");
    let mut command = command(home.path(), &["--output", "out.jsonl", "--library", "none"]);
    // SAFETY: setrlimit(2) and signal(2) may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit {
                rlim_cur: LIMIT,
                rlim_max: LIMIT,
            };
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit);
            Ok(())
        });
    }
    let child = command.spawn().expect("it starts");
    let (code, _, errors, _home) = Session::of(home, child).collect();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("the output cannot be written"), "{errors}");
    let lines = paths(&output);
    assert!(lines.len() < 60, "{lines:?}");
}

#[test]
fn a_removed_output_is_created_again() {
    let session = Session::new(&["--output", "out.jsonl"], |_| {});
    let output = session.home.path().join("out.jsonl");
    for (index, name) in ["a.png", "b.png", "c.png"].into_iter().enumerate() {
        fs::write(session.folder().join(name), picture(index)).expect("written");
        let path = format!("in/{name}");
        wait_until("the line is written", || {
            fs::read_to_string(&output).is_ok_and(|text| text.contains(&path))
        });
        assert_eq!(paths(&output), [path]);
        match index {
            0 => fs::remove_file(&output).expect("removed"),
            1 => fs::rename(&output, output.with_extension("1")).expect("renamed"),
            _ => {}
        }
    }
    let (code, _, errors) = session.end(Signal::TERM);
    assert_eq!(code, Some(0));
    let warning = "out.jsonl was removed, renamed or replaced";
    assert_eq!(errors.matches(warning).count(), 2, "{errors}");
}

#[test]
fn two_watches_do_not_write_to_one_file() {
    let session = Session::new(&["--output", "out.jsonl"], |_| {});
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    let output = session.home.path().join("out.jsonl");
    wait_until("it has the file", || paths(&output).len() == 1);
    let mut other = command(session.home.path(), &["--output", "out.jsonl"]);
    let other = other.output().expect("it runs");
    let errors = String::from_utf8_lossy(&other.stderr);
    assert_eq!(other.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("another `watch` writes to this file"),
        "{errors}"
    );
    // It keeps the file when it opens it again.
    session.signal(Signal::HUP);
    fs::write(session.folder().join("b.png"), picture(2)).expect("written");
    wait_until("it goes on", || paths(&output).len() == 2);
    let (code, _, errors) = session.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(!errors.contains("cannot be opened"), "{errors}");
}
