//! The file that the command `watch` writes to: full, torn, removed, or written to by another.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

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

/// Lets no file of a command grow beyond `bytes`.
fn limit_files(command: &mut Command, bytes: u64) {
    // SAFETY: setrlimit(2) and signal(2) may be called between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let limit = libc::rlimit {
                rlim_cur: bytes,
                rlim_max: bytes,
            };
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit);
            Ok(())
        });
    }
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
    limit_files(&mut command, LIMIT);
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

/// Makes a named pipe.
fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("it runs");
    assert!(made.success());
}

#[test]
fn it_ends_in_silence_when_the_reader_of_its_pipe_has_gone() {
    let home = home();
    let output = home.path().join("pipe");
    pipe(&output);
    let session = Session::at(home, &["--output", "pipe"]);
    let mut reader = BufReader::new(fs::File::open(&output).expect("it opens the other end"));
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    assert!(line.contains("in/a.png"), "{line}");
    drop(reader);
    fs::write(session.folder().join("b.png"), picture(2)).expect("written");
    let (code, _, errors, _home) = session.collect();
    assert_eq!(code, Some(0), "{errors}");
    assert!(!errors.contains("written"), "{errors}");
}

#[test]
fn a_pipe_without_a_reader_is_waited_for_and_that_can_be_ended() {
    let home = home();
    pipe(&home.path().join("pipe"));
    let mut child = command(home.path(), &["--output", "pipe"])
        .spawn()
        .expect("it starts");
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("a line");
    assert_eq!(line, "waiting for a process that reads pipe\n");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM)
        .expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn commands_for_lines_that_are_written_end_before_a_full_disk_ends_the_watch() {
    const LIMIT: u64 = 20_000;
    const BEFORE: usize = 5;
    let home = home();
    write_old_images(&home.path().join("in"), BEFORE);
    let output = home.path().join("out.jsonl");
    let exec = "sh -c 'until test -e go; do sleep 0.05; done; echo done >> ran'";
    let options = ["--output", "out.jsonl", "--library", "none", "--exec", exec];
    let mut command = command(home.path(), &options);
    limit_files(command.args(["--metrics", "metrics"]), LIMIT);
    let mut child = command.spawn().expect("it starts");
    wait_until("the first lines are written", || {
        fs::read_to_string(&output).is_ok_and(|text| text.lines().count() == BEFORE)
    });
    for index in 0..50 {
        let file = home.path().join(format!("in/more{index}.png"));
        fs::write(file, picture(100 + index)).expect("written");
    }
    let mut errors = BufReader::new(child.stderr.take().expect("piped")).lines();
    let waits = errors.find(|line| {
        let line = line.as_ref().expect("text");
        line.contains("for lines that are written come to an end first")
    });
    assert!(waits.is_some(), "it did not wait for the commands");
    fs::write(home.path().join("go"), "").expect("written");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    let last = errors.map_while(Result::ok).last().expect("an error");
    assert!(last.contains("the output cannot be written"), "{last}");
    let lines = paths(&output).len();
    assert!(lines >= BEFORE);
    let ran = fs::read_to_string(home.path().join("ran")).expect("they ran");
    assert_eq!(ran.lines().count(), lines);
    let metrics = fs::read_to_string(home.path().join("metrics")).expect("metrics");
    let succeeded = metrics
        .lines()
        .find(|line| line.starts_with("medivision_exec_runs_total{outcome=\"succeeded\""));
    assert!(succeeded.is_some_and(|line| line.ends_with(&format!(" {lines}"))));
}
