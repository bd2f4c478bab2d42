//! The command `watch` as a service: what it tells the service manager, and its metrics.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::DEADLINE;
use crate::command::{Session, command, picture, write_old_images};

/// A temporary home with the folder `in`.
pub(crate) fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("a folder");
    home
}

pub(crate) fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_true() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

/// A service manager's socket.
struct Manager(UnixDatagram);

impl Manager {
    fn new(home: &Path) -> Self {
        let socket = UnixDatagram::bind(home.join("notify")).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self(socket)
    }

    /// Sets the variables that a service manager sets, with a time limit for the watchdog.
    fn starts(command: &mut Command, home: &Path, watchdog: Duration) {
        let limit = watchdog.as_micros().to_string();
        command
            .env("NOTIFY_SOCKET", home.join("notify"))
            .env("WATCHDOG_USEC", limit);
    }

    fn message(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).expect("a message comes");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// All messages up to the first with this line.
    fn until(&self, line: &str) -> Vec<String> {
        let mut messages = Vec::new();
        loop {
            messages.push(self.message());
            let last = messages.last().expect("just pushed");
            if last.lines().any(|found| found == line) {
                return messages;
            }
        }
    }
}

#[test]
fn a_service_manager_learns_when_the_watch_is_ready_alive_and_stopping() {
    let home = home();
    let manager = Manager::new(home.path());
    let mut command = command(home.path(), &[]);
    Manager::starts(&mut command, home.path(), Duration::from_secs(1));
    let child = command.spawn().expect("it starts");
    let session = Session::of(home, child);
    let before = manager.until("READY=1");
    let is_status = |message: &String| message.contains("STATUS=loading the model");
    assert!(before.iter().any(is_status), "{before:?}");
    manager.until("WATCHDOG=1");
    manager.until("WATCHDOG=1");
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    session.line();
    let status = manager.until("STATUS=1 classified");
    assert!(!status.concat().contains("READY"), "it is ready once");
    kill_process(Pid::from_child(&session.child), Signal::TERM).expect("it runs");
    manager.until("STOPPING=1");
    assert_eq!(session.end(Signal::CONT).0, Some(0));
}

#[test]
fn a_reader_that_does_not_read_does_not_trigger_the_watchdog() {
    let home = home();
    let manager = Manager::new(home.path());
    for n in 0..200 {
        fs::write(home.path().join("in").join(format!("{n}.png")), picture(n)).expect("written");
    }
    let mut command = command(home.path(), &[]);
    let limit = Duration::from_secs(2);
    Manager::starts(&mut command, home.path(), limit);
    let mut child = command.spawn().expect("it starts");
    let output = child.stdout.take().expect("piped");
    // A pipe holds 64 KiB; then the watch waits until someone reads.
    let mut unread = 0;
    wait_until("the pipe is full", || {
        let before = std::mem::replace(
            &mut unread,
            rustix::io::ioctl_fionread(&output).expect("a pipe"),
        );
        manager.until("WATCHDOG=1");
        before > 0 && before == unread
    });
    for _ in 0..5 {
        let begun = Instant::now();
        manager.until("WATCHDOG=1");
        assert!(begun.elapsed() < limit);
    }
    let mut output = BufReader::new(output);
    let lines = output.by_ref().lines().take(200);
    assert_eq!(lines.map_while(Result::ok).count(), 200);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn metrics_count_what_happened_and_others_can_read_them() {
    let home = home();
    let mut command = command(home.path(), &["--metrics", "node/medivision.prom"]);
    fs::create_dir(home.path().join("node")).expect("a folder");
    // SAFETY: umask(2) may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o077);
            Ok(())
        });
    }
    let child = command.spawn().expect("it starts");
    let session = Session::of(home, child);
    let metrics = session.home.path().join("node/medivision.prom");
    wait_until("the file is there from the start", || metrics.exists());
    let mode = fs::metadata(&metrics).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    fs::write(session.folder().join("README"), "not an image").expect("written");
    let whole = picture(7);
    fs::write(session.folder().join("cut.png"), &whole[..whole.len() / 2]).expect("written");
    assert!(session.line()["error"].is_object());
    fs::write(session.folder().join("a.png"), &whole).expect("written");
    let line = session.line();
    let folder = session.folder();
    kill_process(Pid::from_child(&session.child), Signal::TERM).expect("it runs");
    let done =
        |text: &str| text.contains("medivision_lines_written_total") && text.contains("} 2\n");
    let mut text = String::new();
    wait_until("the last numbers are written", || {
        text = fs::read_to_string(&metrics).unwrap_or_default();
        done(&text)
    });
    let folder = folder.display();
    let (label, decision) = (line["label"].as_str(), line["decision"].as_str());
    let result = format!(
        "medivision_results_total{{decision=\"{}\",label=\"{}\",folder=\"{folder}\"}} 1",
        decision.expect("a decision"),
        label.expect("a label"),
    );
    let number =
        |name: &str, count| format!("medivision_{name} {count}").replace('F', &folder.to_string());
    for expected in [
        result,
        number("files_total{outcome=\"classified\",folder=\"F\"}", 1),
        number("files_total{outcome=\"failed\",folder=\"F\"}", 1),
        number("files_total{outcome=\"skipped\",folder=\"F\"}", 1),
        number("files_waiting{folder=\"F\"}", 0),
        number("scan_done{folder=\"F\"}", 1),
    ] {
        assert!(
            text.lines().any(|line| line == expected),
            "{expected}\n{text}"
        );
    }
    assert_eq!(session.end(Signal::CONT).0, Some(0));
}

#[test]
fn metrics_that_cannot_be_written_are_reported_once_and_the_watch_goes_on() {
    let session = Session::new(&["--metrics", "missing/medivision.prom"], |_| {});
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    assert_eq!(session.line()["path"], "in/a.png");
    let (code, _, errors) = session.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert_eq!(
        errors.matches("missing/medivision.prom").count(),
        1,
        "{errors}"
    );
}

#[test]
fn results_wait_while_many_commands_do_but_signals_are_heard() {
    const FILES: usize = 150;
    // The commands that run and wait.
    const FULL: usize = 68;
    let home = home();
    let manager = Manager::new(home.path());
    write_old_images(&home.path().join("in"), FILES);
    let output = home.path().join("out.jsonl");
    let lines = || fs::read_to_string(&output).map_or(0, |text| text.lines().count());
    let wait = "sh -c 'until test -e go; do sleep 0.05; done'";
    let mut command = command(home.path(), &["--output", "out.jsonl", "--exec", wait]);
    Manager::starts(&mut command, home.path(), Duration::from_secs(1));
    let mut child = command.spawn().expect("it starts");
    wait_until("many commands wait", || {
        manager.message();
        lines() >= FULL
    });
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    manager.until("STOPPING=1");
    assert!(lines() < FILES, "{} lines", lines());
    fs::write(home.path().join("go"), "").expect("written");
    manager.0.set_nonblocking(true).expect("a socket");
    wait_until("it ends", || {
        let _ = manager.0.recv(&mut [0; 4096]);
        child.try_wait().expect("a state").is_some()
    });
    assert_eq!(child.wait().expect("it ended").code(), Some(0));
    assert_eq!(lines(), FILES);
}

#[test]
fn an_internal_error_of_the_watch_ends_it_with_an_error() {
    let home = home();
    write_old_images(&home.path().join("in"), 3);
    let mut command = command(home.path(), &[]);
    command.env("MEDIVISION_TEST_PANIC", "1");
    let child = command.spawn().expect("it starts");
    let (code, lines, errors, _home) = Session::of(home, child).collect();
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(lines.len(), 3, "what was accepted is classified");
    assert!(
        errors.contains("the watch ended because of an internal error"),
        "{errors}"
    );
}
