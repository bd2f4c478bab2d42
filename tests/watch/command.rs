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
    pub(crate) home: TempDir,
    pub(crate) child: Child,
    lines: Receiver<String>,
    errors: Option<std::thread::JoinHandle<String>>,
}

/// Capabilities by which root reads files without permission (`linux/capability.h`).
const CAP_DAC_OVERRIDE: libc::c_ulong = 1;
const CAP_DAC_READ_SEARCH: libc::c_ulong = 2;

/// Starts the command on the folder `in`, without a controlling terminal.
pub(crate) fn spawn(home: &Path, arguments: &[&str]) -> Child {
    command(home, arguments).spawn().expect("the binary starts")
}

/// The command on the folder `in`, without a controlling terminal.
pub(crate) fn command(home: &Path, arguments: &[&str]) -> Command {
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
    command
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
        let child = spawn(home.path(), arguments);
        Self::of(home, child)
    }

    /// The session of a command that runs in `home`.
    pub(crate) fn of(home: TempDir, mut child: Child) -> Self {
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
        let line = serde_json::from_str(&line).expect("a JSON line");
        assert!(crate::schema::is_valid(&line), "{line}");
        line
    }

    /// Sends a signal; returns the exit code, the remaining lines, and stderr.
    pub(crate) fn end(self, signal: Signal) -> (Option<i32>, Vec<String>, String) {
        let (code, rest, errors, _) = self.end_and_keep(signal);
        (code, rest, errors)
    }

    /// The same, and the home.
    pub(crate) fn end_and_keep(
        self,
        signal: Signal,
    ) -> (Option<i32>, Vec<String>, String, TempDir) {
        self.signal(signal);
        self.collect()
    }

    /// Waits for the end.
    pub(crate) fn collect(mut self) -> (Option<i32>, Vec<String>, String, TempDir) {
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

    pub(crate) fn signal(&self, signal: Signal) {
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
pub(crate) fn picture(index: usize) -> Vec<u8> {
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
pub(crate) fn write_old_images(dir: &Path, count: usize) {
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
