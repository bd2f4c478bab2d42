//! The command `watch` on a real folder: a line for each file, and how it ends.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{DEADLINE, drop_a_thousand};

/// The running command on the folder `in` of a temporary home.
pub(crate) struct Session {
    home: TempDir,
    child: Child,
    lines: Receiver<String>,
    errors: Option<std::thread::JoinHandle<String>>,
}

/// Capabilities by which root reads files without permission (`linux/capability.h`).
const CAP_DAC_OVERRIDE: libc::c_ulong = 1;
const CAP_DAC_READ_SEARCH: libc::c_ulong = 2;

/// Starts the command on the folder `in`, without a controlling terminal.
fn spawn(home: &Path, arguments: &[&str]) -> Child {
    // A tiny CLIP with random weights: its answers mean nothing, but they are computed for real.
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/clip-late");
    let mut command = Command::new(env!("CARGO_BIN_EXE_medivision-tui"));
    command
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .args(["watch", "in", "--model"])
        .arg(model)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: signal(2) and prctl(2) may be called between fork and exec. The tests may run with SIGHUP ignored, or as root,
    // whom permissions do not stop; other users cannot drop the capabilities, nor do they have them.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            libc::setsid();
            for capability in [CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH] {
                libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
            Ok(())
        });
    }
    command.spawn().expect("the binary starts")
}

impl Session {
    pub(crate) fn new(arguments: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        fs::create_dir(home.path().join("in")).expect("a folder");
        prepare(&home.path().join("in"));
        Self::at(home, arguments)
    }

    /// The same in a home where it has run before.
    pub(crate) fn at(home: TempDir, arguments: &[&str]) -> Self {
        let mut child = spawn(home.path(), arguments);
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .try_for_each(|l| sender.send(l))
        });
        let mut errors = child.stderr.take().expect("piped");
        let errors =
            std::thread::spawn(move || std::io::read_to_string(&mut errors).unwrap_or_default());
        Self {
            home,
            child,
            lines,
            errors: Some(errors),
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("in")
    }

    pub(crate) fn line(&self) -> Value {
        let line = self.lines.recv_timeout(DEADLINE).expect("a line comes");
        serde_json::from_str(&line).expect("a JSON line")
    }

    /// Sends a signal; returns the exit code, the remaining lines, and stderr.
    pub(crate) fn end(self, signal: Signal) -> (Option<i32>, Vec<String>, String) {
        let (code, rest, errors, _) = self.end_and_keep(signal);
        (code, rest, errors)
    }

    /// The same, and the home.
    pub(crate) fn end_and_keep(
        mut self,
        signal: Signal,
    ) -> (Option<i32>, Vec<String>, String, TempDir) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
        let mut rest = Vec::new();
        // The channel disconnects when stdout is closed.
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            rest.push(line);
        }
        let status = self.child.wait().expect("it ends");
        let errors = self
            .errors
            .take()
            .map(|thread| thread.join().expect("read"));
        let empty = tempfile::tempdir().expect("a folder");
        let home = std::mem::replace(&mut self.home, empty);
        (status.code(), rest, errors.unwrap_or_default(), home)
    }

    /// Waits until it ends by itself.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A PNG with different content for each index.
fn picture(index: usize) -> Vec<u8> {
    let grey = image::Luma([(index % 256) as u8]);
    let mut picture = image::GrayImage::from_pixel(16 + (index / 256) as u32, 16, grey);
    picture.put_pixel(0, 0, image::Luma([0]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("encoded");
    bytes.into_inner()
}

#[test]
fn a_thousand_files_yield_a_thousand_lines_and_sigterm_exits_with_0() {
    let session = Session::new(&[], |dir| {
        fs::write(dir.join("first.png"), picture(0)).expect("written");
    });
    assert_eq!(session.line()["path"], "in/first.png");
    let paths = drop_a_thousand(&session.folder(), &picture);
    let mut seen: Vec<String> = (0..paths.len())
        .map(|_| {
            let line = session.line();
            assert!(line["label"].is_string(), "{line}");
            line["path"].as_str().expect("a path").to_owned()
        })
        .collect();
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1000, "none twice");
}

#[test]
fn a_refused_file_or_folder_is_read_when_its_permissions_change() {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
    let session = Session::new(&[], |_| {});
    let (file, folder) = (session.folder().join("a.png"), session.folder().join("t"));
    fs::DirBuilder::new()
        .mode(0o000)
        .create(&folder)
        .expect("a folder");
    let mut options = File::options();
    let mut closed = options
        .mode(0o000)
        .create_new(true)
        .write(true)
        .open(&file)
        .expect("created");
    closed.write_all(&picture(1)).expect("written");
    drop(closed);
    assert_eq!(session.line()["error"]["kind"], "permission");
    // By then the folder has been tried as well.
    for (path, mode) in [(&file, 0o600), (&folder, 0o700)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }
    let line = session.line();
    assert!(
        line["path"] == "in/a.png" && line["label"].is_string(),
        "{line}"
    );
    fs::write(folder.join("c.png"), picture(2)).expect("written");
    let line = session.line();
    assert!(
        line["path"] == "in/t/c.png" && line["label"].is_string(),
        "{line}"
    );
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]));
    assert!(
        errors.contains("in/t: no permission to read this folder"),
        "{errors}"
    );
}

/// Writes images old enough that they need not settle.
fn write_old_images(dir: &Path, count: usize) {
    for index in 0..count {
        let file = dir.join(format!("{index}.png"));
        fs::write(&file, picture(index)).expect("written");
        let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        File::options()
            .append(true)
            .open(&file)
            .and_then(|f| f.set_modified(long_ago))
            .expect("dated");
    }
}

#[test]
fn accepted_files_are_finished_after_a_signal() {
    for signal in [Signal::INT, Signal::TERM] {
        let session = Session::new(&[], |dir| write_old_images(dir, 50));
        session.line();
        let (code, rest, _) = session.end(signal);
        assert_eq!((code, rest.len()), (Some(0), 49), "{signal:?}");
    }
}

#[test]
fn a_second_signal_ends_it_even_while_nobody_reads_its_output() {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("a folder");
    write_old_images(&home.path().join("in"), 200);
    let mut child = spawn(home.path(), &[]);
    let (mut output, id) = (child.stdout.take().expect("piped"), Pid::from_child(&child));
    // It has begun, and all lines together do not fit into the pipe.
    output.read_exact(&mut [0]).expect("a line");
    let (sender, ended) = channel();
    std::thread::spawn(move || sender.send(child.wait()));
    for _ in 0..100 {
        let _ = kill_process(id, Signal::TERM);
        // A single signal would let it drain forever.
        if let Ok(status) = ended.recv_timeout(Duration::from_millis(200)) {
            assert_eq!(status.expect("it ended").code(), Some(0));
            return;
        }
    }
    let _ = kill_process(id, Signal::KILL);
    panic!("it keeps running");
}

#[test]
fn a_damaged_image_gets_a_line_and_a_file_that_is_not_an_image_none() {
    let session = Session::new(&[], |_| {});
    fs::write(session.folder().join("README"), "not an image").expect("written");
    let whole = picture(7);
    fs::write(session.folder().join("cut.png"), &whole[..whole.len() / 2]).expect("written");
    let line = session.line();
    assert_eq!(line["path"], "in/cut.png");
    assert!(line["error"]["kind"].is_string(), "{line}");
    // Then the rest of it arrives.
    fs::write(session.folder().join("cut.png"), &whole).expect("written");
    assert!(session.line()["label"].is_string());
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]));
    assert!(errors.contains("1 skipped"), "{errors}");
}

#[test]
fn an_output_file_is_appended_to_with_a_single_header() {
    let home = tempfile::tempdir().expect("a folder");
    let output = home.path().join("out.csv");
    for name in ["a.png", "b.png"] {
        let arguments = [
            "--format",
            "csv",
            "--output",
            output.to_str().expect("UTF-8"),
        ];
        let session = Session::new(&arguments, |_| {});
        fs::write(session.folder().join(name), picture(3)).expect("written");
        let end = Instant::now() + DEADLINE;
        while !fs::read_to_string(&output).is_ok_and(|text| text.contains(name)) {
            assert!(Instant::now() < end, "no line for {name}");
            std::thread::yield_now();
        }
        assert_eq!(session.end(Signal::TERM).0, Some(0));
    }
    let text = fs::read_to_string(&output).expect("written");
    let begins: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(begins, ["path", "in/a.png", "in/b.png"]);
}

/// The output of a killed run, and what the next one adds.
#[test]
fn killed_at_any_moment_it_goes_on_with_each_line_exactly_once() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("in");
    fs::create_dir(&folder).expect("a folder");
    let count = 200;
    for n in 0..count {
        fs::write(folder.join(format!("{n}.png")), picture(n)).expect("written");
    }
    let output = home.path().join("out.jsonl");
    let arguments = ["--output", output.to_str().expect("UTF-8")];
    let text = || fs::read_to_string(&output).unwrap_or_default();
    for kill in 0..6 {
        let mut child = spawn(home.path(), &arguments);
        // Each run is killed with other work under way: while starting, early, later.
        let until = text().len() + kill * 4000;
        let end = Instant::now() + DEADLINE;
        while text().len() <= until && text().lines().count() < count {
            assert!(Instant::now() < end, "no more lines");
            std::thread::yield_now();
        }
        child.kill().expect("it runs");
        child.wait().expect("it ended");
    }
    // Whatever the last write was, it may have been cut.
    let torn = text().len() - 50;
    File::options()
        .write(true)
        .open(&output)
        .and_then(|file| file.set_len(torn as u64))
        .expect("cut");
    let mut child = spawn(home.path(), &arguments);
    let end = Instant::now() + DEADLINE;
    while text().lines().count() < count {
        assert!(Instant::now() < end, "{} lines", text().lines().count());
        std::thread::yield_now();
    }
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a number");
    kill_process(pid, Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("it ended").code(), Some(0));
    let paths = text()
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("a whole line");
            line["path"].as_str().expect("a path").to_owned()
        })
        .collect::<Vec<_>>();
    let unique: std::collections::BTreeSet<&String> = paths.iter().collect();
    assert_eq!((paths.len(), unique.len()), (count, count));
}

#[test]
fn a_restarted_watch_prints_only_what_was_not_printed_yet() {
    let session = Session::new(&[], |dir| write_old_images(dir, 3));
    let first: Vec<Value> = (0..3).map(|_| session.line()).collect();
    let (_, _, _, home) = session.end_and_keep(Signal::TERM);
    fs::write(home.path().join("in/new.png"), picture(50)).expect("written");
    // The content of another file under this name.
    fs::write(home.path().join("in/1.png"), picture(51)).expect("written");
    let session = Session::at(home, &[]);
    let mut paths = [session.line(), session.line()].map(|line| line["path"].to_string());
    paths.sort();
    assert_eq!(paths, ["\"in/1.png\"", "\"in/new.png\""]);
    let (code, rest, errors, home) = session.end_and_keep(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    assert!(errors.contains("2 written before"), "{errors}");
    // Other prompts are another result.
    let session = Session::at(home, &["--prompts", "chest-xray"]);
    let all: Vec<Value> = (0..4).map(|_| session.line()).collect();
    assert!(all.iter().all(|line| line["prompts"] == "chest-xray"));
    let (_, rest, _, home) = session.end_and_keep(Signal::TERM);
    assert_eq!(rest, Vec::<String>::new());
    let session = Session::at(home, &["--library", "none"]);
    let again: Vec<Value> = (0..4).map(|_| session.line()).collect();
    let paths = |lines: &[Value]| -> std::collections::BTreeSet<String> {
        lines.iter().map(|line| line["path"].to_string()).collect()
    };
    assert_eq!((paths(&first).len(), paths(&again).len()), (3, 4));
}

#[test]
fn a_service_reads_prompts_and_settings_again_on_sighup() {
    const SET: &str = "name = \"own\"\n[[condition]]\nname = \"a\"\ndescription = \"A.\"\n\
        phrases = [\"one\"]\n[[condition]]\nname = \"b\"\ndescription = \"B.\"\nphrases = [\"two\"]\n";
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("a folder");
    write_old_images(&home.path().join("in"), 2);
    let set = home.path().join("own.toml");
    fs::write(&set, SET).expect("written");
    let session = Session::at(home, &["--prompts", "own.toml"]);
    let before: Vec<Value> = (0..2).map(|_| session.line()).collect();
    fs::write(&set, "name = ").expect("written");
    session.signal(Signal::HUP);
    fs::write(session.folder().join("new.png"), picture(60)).expect("written");
    let line = session.line();
    assert_eq!(
        line["prompts_digest"], before[0]["prompts_digest"],
        "{line}"
    );
    fs::write(&set, SET.replace("\"two\"", "\"three\"")).expect("written");
    session.signal(Signal::HUP);
    let after: Vec<Value> = (0..3).map(|_| session.line()).collect();
    for line in &after {
        assert_ne!(
            line["prompts_digest"], before[0]["prompts_digest"],
            "{line}"
        );
    }
    // Nothing has changed.
    session.signal(Signal::HUP);
    fs::write(session.folder().join("last.png"), picture(61)).expect("written");
    assert_eq!(session.line()["path"], "in/last.png");
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    assert!(errors.contains("own.toml:1"), "{errors}");
}

#[test]
fn a_rotated_output_goes_on_in_a_new_file_also_after_a_restart() {
    for format in ["jsonl", "csv"] {
        let home = tempfile::tempdir().expect("a folder");
        let (output, rotated) = (home.path().join("out"), home.path().join("out.1"));
        fs::create_dir(home.path().join("in")).expect("a folder");
        write_old_images(&home.path().join("in"), 3);
        let name = output.to_str().expect("UTF-8").to_owned();
        let arguments = ["--format", format, "--output", &name];
        let wait = |what: &str| {
            let end = Instant::now() + DEADLINE;
            while !fs::read_to_string(&output).is_ok_and(|text| text.contains(what)) {
                assert!(Instant::now() < end, "no line for {what}");
                std::thread::yield_now();
            }
        };
        let session = Session::at(home, &arguments);
        for name in ["0", "1", "2"] {
            wait(&format!("in/{name}.png"));
        }
        fs::rename(&output, &rotated).expect("renamed");
        session.signal(Signal::HUP);
        let end = Instant::now() + DEADLINE;
        while !output.exists() {
            assert!(Instant::now() < end, "it is not opened again");
            std::thread::yield_now();
        }
        fs::write(session.folder().join("new.png"), picture(50)).expect("written");
        wait("in/new.png");
        let (code, _, errors, home) = session.end_and_keep(Signal::TERM);
        assert_eq!(code, Some(0), "{errors}");
        let session = Session::at(home, &arguments);
        fs::write(session.folder().join("last.png"), picture(51)).expect("written");
        wait("in/last.png");
        let (_, _, _, home) = session.end_and_keep(Signal::TERM);
        let header = usize::from(format == "csv");
        let lines = |file: &Path| fs::read_to_string(file).expect("text").lines().count() - header;
        assert_eq!((lines(&rotated), lines(&output)), (3, 2), "{format}");
        // A new file gets everything.
        fs::remove_file(&output).expect("removed");
        let session = Session::at(home, &arguments);
        for name in ["0", "1", "2", "new", "last"] {
            wait(&format!("in/{name}.png"));
        }
        session.end(Signal::TERM);
    }
}

#[test]
fn with_a_terminal_sighup_ends_it_as_the_terminal_is_gone() {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("a folder");
    write_old_images(&home.path().join("in"), 5);
    let output = home.path().join("out.jsonl");
    let line = format!(
        "{} watch in --model demo --output {}",
        env!("CARGO_BIN_EXE_medivision-tui"),
        output.display()
    );
    // `script` gives it a terminal of its own.
    let mut script = Command::new("script")
        .args(["-qec", &format!("exec {line}"), "/dev/null"])
        .current_dir(home.path())
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("script runs");
    let end = Instant::now() + DEADLINE;
    while fs::read_to_string(&output).map_or(0, |text| text.lines().count()) < 5 {
        assert!(Instant::now() < end, "no lines");
        std::thread::yield_now();
    }
    let children = format!("/proc/{0}/task/{0}/children", script.id());
    let children = fs::read_to_string(children).expect("Linux says");
    let pid = children.split_whitespace().next().expect("a child");
    let pid = Pid::from_raw(pid.parse().expect("a number")).expect("a process");
    kill_process(pid, Signal::HUP).expect("it runs");
    assert_eq!(script.wait().expect("it ends").code(), Some(0));
}

#[test]
fn polling_finds_new_files() {
    let session = Session::new(&["--poll", "0.2"], |_| {});
    fs::write(session.folder().join("a.png"), picture(9)).expect("written");
    assert_eq!(session.line()["path"], "in/a.png");
    let (code, _, errors) = session.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(errors.contains("by polling"), "{errors}");
}

#[test]
fn unusable_prompts_exit_with_3() {
    let session = Session::new(&["--prompts", "no-such-set"], |_| {});
    assert_eq!(session.exit_code(), Some(3));
}

#[test]
fn an_invalid_interval_is_a_usage_error() {
    for poll in ["--poll=0", "--poll=-1", "--poll=nan"] {
        let session = Session::new(&[poll], |_| {});
        assert_eq!(session.exit_code(), Some(2), "{poll}");
    }
}
