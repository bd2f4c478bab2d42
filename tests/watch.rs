//! The watch on a real folder, and the command that prints what it finds: each file once.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use medivision_tui::watch::{ReadyKind, Watch, WatchEvent, WatchOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// Longer than every wait of the watch: what was not said by then will not be said.
const QUIET: Duration = Duration::from_secs(4);

const BY_SIGNS: WatchOptions = WatchOptions { poll: None };
const BY_POLLING: WatchOptions = WatchOptions {
    poll: Some(Duration::from_millis(200)),
};

struct Bench {
    dir: TempDir,
    events: Receiver<WatchEvent>,
    watch: Watch,
}

impl Bench {
    /// Watches a folder prepared by `prepare`, and waits until what was there is known.
    fn new(options: WatchOptions, prepare: impl FnOnce(&Path)) -> (Self, Vec<WatchEvent>) {
        let dir = tempfile::tempdir().expect("a folder");
        prepare(dir.path());
        let (sender, events) = channel();
        let sink = Box::new(move |event| {
            let _ = sender.send(event);
        });
        let watch = Watch::start(dir.path(), options, sink).expect("the watch starts");
        let bench = Self { dir, events, watch };
        let polling = options.poll.is_some();
        let first = bench.until(|event| *event == WatchEvent::Scanned);
        assert_eq!(first[0], WatchEvent::Standing { polling });
        (bench, first)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// All events up to and including the one that is waited for.
    fn until(&self, mut found: impl FnMut(&WatchEvent) -> bool) -> Vec<WatchEvent> {
        let end = Instant::now() + DEADLINE;
        let mut events = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            events.push(event.unwrap_or_else(|_| panic!("never came; so far {events:?}")));
            if events.last().is_some_and(&mut found) {
                return events;
            }
        }
    }

    /// Everything until nothing more is said.
    fn rest(&self) -> Vec<WatchEvent> {
        std::iter::from_fn(|| self.events.recv_timeout(QUIET).ok()).collect()
    }

    fn wait_ready(&self, name: &str, kind: ReadyKind) {
        self.until(|event| is_ready(event, &self.path(name), kind));
    }
}

fn is_ready(event: &WatchEvent, file: &Path, why: ReadyKind) -> bool {
    matches!(event, WatchEvent::Ready { path, kind, .. } if path == file && *kind == why)
}

/// How often each file was reported.
fn counts(events: &[WatchEvent]) -> BTreeMap<&Path, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        if let WatchEvent::Ready { path, .. } = event {
            *counts.entry(path.as_path()).or_default() += 1;
        }
    }
    counts
}

/// Drops a thousand files: written whole, written slowly (many at a time, in pieces), renamed in; a part of each in
/// folders that are made meanwhile.
fn drop_a_thousand(dir: &Path, contents: &dyn Fn(usize) -> Vec<u8>) -> Vec<PathBuf> {
    let place = |index: usize| {
        let folder = match index % 10 {
            0 => dir.join(format!("sub{}", index / 100)),
            1 => dir.join(format!("deep/{}/er", index / 200)),
            _ => dir.to_owned(),
        };
        fs::create_dir_all(&folder).expect("a folder");
        folder.join(format!("{index:04}.dcm"))
    };
    let paths: Vec<PathBuf> = (0..1000).map(place).collect();
    let mut slow = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let content = contents(index);
        match index % 3 {
            0 => fs::write(path, content).expect("written"),
            1 => slow.push((File::create(path).expect("created"), content)),
            _ => {
                let temporary = path.with_extension("dcm.part");
                fs::write(&temporary, content).expect("written");
                fs::rename(&temporary, path).expect("renamed");
            }
        }
    }
    for piece in 0..4 {
        for (file, content) in &mut slow {
            let mut pieces = content.chunks(content.len().div_ceil(4));
            if let Some(bytes) = pieces.nth(piece) {
                file.write_all(bytes).expect("written");
            }
        }
    }
    paths
}

fn each_of_a_thousand_is_told_once(options: WatchOptions) {
    let (bench, _) = Bench::new(options, |_| {});
    let paths = drop_a_thousand(bench.dir.path(), &|index| {
        format!("content {index}").into_bytes()
    });
    let mut missing: std::collections::BTreeSet<&Path> =
        paths.iter().map(PathBuf::as_path).collect();
    let mut events = bench.until(|event| {
        if let WatchEvent::Ready { path, .. } = event {
            missing.remove(path.as_path());
        }
        missing.is_empty()
    });
    events.extend(bench.rest());
    let counts = counts(&events);
    assert_eq!(counts.len(), 1000);
    assert!(counts.values().all(|count| *count == 1), "some twice");
}

#[test]
fn a_thousand_files_are_told_once_each_by_the_kernels_signs() {
    each_of_a_thousand_is_told_once(BY_SIGNS);
}

#[test]
fn a_thousand_files_are_told_once_each_by_polling() {
    each_of_a_thousand_is_told_once(BY_POLLING);
}

#[test]
fn what_was_there_is_told_first() {
    let (bench, first) = Bench::new(BY_SIGNS, |dir| {
        fs::create_dir(dir.join("sub")).expect("a folder");
        for name in ["b.png", "a.png", "sub/c.png", "d.png.part", ".hidden"] {
            let file = File::create(dir.join(name)).expect("created");
            let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            file.set_modified(long_ago).expect("dated");
        }
    });
    for (event, name) in first[1..4].iter().zip(["a.png", "b.png", "sub/c.png"]) {
        assert!(
            is_ready(event, &bench.path(name), ReadyKind::Existing),
            "{event:?}"
        );
    }
    assert_eq!(first.len(), 5);
    assert_eq!(bench.rest(), []);
}

#[test]
fn changes_renames_and_deletions_are_followed() {
    for options in [BY_SIGNS, BY_POLLING] {
        let (bench, _) = Bench::new(options, |_| {});
        fs::write(bench.path("a.png"), "one").expect("written");
        bench.wait_ready("a.png", ReadyKind::New);
        fs::write(bench.path("a.png"), "another").expect("written");
        bench.wait_ready("a.png", ReadyKind::Changed);
        fs::rename(bench.path("a.png"), bench.path("b.png")).expect("renamed");
        let renamed = WatchEvent::Renamed {
            from: bench.path("a.png"),
            to: bench.path("b.png"),
        };
        bench.until(|event| *event == renamed);
        fs::remove_file(bench.path("b.png")).expect("removed");
        let removed = WatchEvent::Removed(bench.path("b.png"));
        bench.until(|event| *event == removed);
        assert_eq!(bench.rest(), []);
    }
}

#[test]
fn rights_that_change_are_told() {
    use std::os::unix::fs::PermissionsExt;
    for options in [BY_SIGNS, BY_POLLING] {
        let (bench, _) = Bench::new(options, |_| {});
        fs::write(bench.path("a.png"), "one").expect("written");
        bench.wait_ready("a.png", ReadyKind::New);
        fs::set_permissions(bench.path("a.png"), fs::Permissions::from_mode(0o600)).expect("set");
        bench.until(|event| matches!(event, WatchEvent::Touched { path, .. } if *path == bench.path("a.png")));
    }
}

#[test]
fn a_folder_moved_in_is_read_and_one_moved_within_is_followed() {
    let (bench, _) = Bench::new(BY_SIGNS, |_| {});
    let outside = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(outside.path().join("study/series")).expect("folders");
    fs::write(outside.path().join("study/series/1.dcm"), "x").expect("written");
    fs::rename(outside.path().join("study"), bench.path("study")).expect("moved");
    bench.wait_ready("study/series/1.dcm", ReadyKind::New);

    fs::rename(bench.path("study"), bench.path("archive")).expect("renamed");
    let renamed = WatchEvent::Renamed {
        from: bench.path("study"),
        to: bench.path("archive"),
    };
    bench.until(|event| *event == renamed);
    // The folder is still watched under its new name.
    fs::write(bench.path("archive/series/2.dcm"), "y").expect("written");
    bench.wait_ready("archive/series/2.dcm", ReadyKind::New);

    fs::remove_dir_all(bench.path("archive")).expect("removed");
    let removed = WatchEvent::Removed(bench.path("archive"));
    bench.until(|event| *event == removed);
}

#[test]
fn a_watched_folder_that_vanishes_is_watched_again_when_it_is_back() {
    let (bench, _) = Bench::new(BY_SIGNS, |dir| {
        fs::write(dir.join("a.png"), "x").expect("written");
    });
    bench.wait_ready("a.png", ReadyKind::Existing);
    fs::remove_dir_all(bench.dir.path()).expect("removed");
    bench.until(
        |event| matches!(event, WatchEvent::Problem(text) if text.contains("cannot be read")),
    );
    fs::create_dir(bench.dir.path()).expect("a folder");
    fs::write(bench.path("b.png"), "x").expect("written");
    bench.wait_ready("b.png", ReadyKind::New);
    fs::write(bench.path("c.png"), "x").expect("written");
    bench.wait_ready("c.png", ReadyKind::New);
}

#[test]
fn it_stops_at_once() {
    let (bench, _) = Bench::new(BY_SIGNS, |_| {});
    let begun = Instant::now();
    drop(bench.watch);
    assert!(begun.elapsed() < Duration::from_millis(150));
    // The sink is gone with it.
    assert!(bench.events.recv().is_err());
}

#[test]
fn a_folder_that_is_not_there_is_refused_with_a_reason() {
    let error =
        Watch::start(Path::new("/no/such/folder"), BY_SIGNS, Box::new(drop)).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "/no/such/folder cannot be watched: no such file or directory"
    );
}

/// The command on the folder `in` of a home of its own.
struct Session {
    home: TempDir,
    child: Child,
    lines: Receiver<String>,
    errors: Option<std::thread::JoinHandle<String>>,
}

/// Capabilities by which root reads what it has no rights to (`linux/capability.h`).
const CAP_DAC_OVERRIDE: libc::c_ulong = 1;
const CAP_DAC_READ_SEARCH: libc::c_ulong = 2;

/// Starts the command on the folder `in`.
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
    // SAFETY: signal(2) and prctl(2) may be called there. Whoever runs the tests may have the signal ignored, and may be
    // somebody whom rights do not keep out; for others the capabilities cannot be dropped, nor need be.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            for capability in [CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH] {
                libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
            }
            Ok(())
        });
    }
    command.spawn().expect("the binary starts")
}

impl Session {
    fn new(arguments: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        fs::create_dir(home.path().join("in")).expect("a folder");
        prepare(&home.path().join("in"));
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

    fn folder(&self) -> PathBuf {
        self.home.path().join("in")
    }

    fn line(&self) -> Value {
        let line = self.lines.recv_timeout(DEADLINE).expect("a line comes");
        serde_json::from_str(&line).expect("a JSON line")
    }

    /// Sends a signal; the exit code, the lines that still came, and stderr.
    fn end(mut self, signal: Signal) -> (Option<i32>, Vec<String>, String) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
        let mut rest = Vec::new();
        // The sender goes when stdout is closed.
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            rest.push(line);
        }
        let status = self.child.wait().expect("it ends");
        let errors = self
            .errors
            .take()
            .map(|thread| thread.join().expect("read"));
        (status.code(), rest, errors.unwrap_or_default())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A PNG of its own for each index.
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
fn a_thousand_files_yield_a_thousand_lines_and_sigterm_is_a_good_end() {
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
fn what_may_not_be_read_is_read_when_its_rights_change() {
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

/// Writes pictures that nobody can still be writing.
fn old_pictures(dir: &Path, count: usize) {
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
fn what_was_accepted_is_finished_before_the_end() {
    for signal in [Signal::INT, Signal::HUP] {
        let session = Session::new(&[], |dir| old_pictures(dir, 50));
        session.line();
        let (code, rest, _) = session.end(signal);
        assert_eq!((code, rest.len()), (Some(0), 49), "{signal:?}");
    }
}

#[test]
fn a_second_signal_ends_it_even_while_nobody_reads_its_output() {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("a folder");
    old_pictures(&home.path().join("in"), 200);
    let mut child = spawn(home.path(), &[]);
    let (mut output, id) = (child.stdout.take().expect("piped"), Pid::from_child(&child));
    // It has begun, and all lines together are more than a pipe holds.
    output.read_exact(&mut [0]).expect("a line");
    let (sender, ended) = channel();
    std::thread::spawn(move || sender.send(child.wait()));
    for _ in 0..100 {
        let _ = kill_process(id, Signal::TERM);
        // One signal only would let it drain for ever.
        if let Ok(status) = ended.recv_timeout(Duration::from_millis(200)) {
            assert_eq!(status.expect("it ended").code(), Some(0));
            return;
        }
    }
    let _ = kill_process(id, Signal::KILL);
    panic!("it goes on");
}

#[test]
fn a_damaged_file_gets_its_line_and_what_is_no_picture_none() {
    let session = Session::new(&[], |_| {});
    fs::write(session.folder().join("README"), "not a picture").expect("written");
    let whole = picture(7);
    fs::write(session.folder().join("cut.png"), &whole[..whole.len() / 2]).expect("written");
    let line = session.line();
    assert_eq!(line["path"], "in/cut.png");
    assert!(line["error"]["kind"].is_string(), "{line}");
    // The rest of it arrives after all.
    fs::write(session.folder().join("cut.png"), &whole).expect("written");
    assert!(session.line()["label"].is_string());
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]));
    assert!(errors.contains("1 skipped"), "{errors}");
}

#[test]
fn an_output_file_is_appended_to_under_one_header() {
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
fn polling_finds_files_too() {
    let session = Session::new(&["--poll", "0.2"], |_| {});
    fs::write(session.folder().join("a.png"), picture(9)).expect("written");
    assert_eq!(session.line()["path"], "in/a.png");
    let (code, _, errors) = session.end(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(errors.contains("by polling"), "{errors}");
}

#[test]
fn unusable_prompts_are_exit_code_3() {
    let mut session = Session::new(&["--prompts", "no-such-set"], |_| {});
    assert_eq!(session.child.wait().expect("it ends").code(), Some(3));
}

#[test]
fn a_wrong_interval_is_a_usage_error() {
    for poll in ["--poll=0", "--poll=-1", "--poll=nan"] {
        let mut session = Session::new(&[poll], |_| {});
        assert_eq!(
            session.child.wait().expect("it ends").code(),
            Some(2),
            "{poll}"
        );
    }
}

/// A file system mounted for as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: &Path) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "none"])
            .arg(path)
            .status();
        assert!(status.expect("mount(8)").success(), "may not mount");
        Self(path.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
#[ignore = "mounts file systems: needs root"]
fn files_on_what_is_mounted_later_are_found() {
    let (bench, _) = Bench::new(BY_SIGNS, |dir| {
        fs::create_dir(dir.join("sub")).expect("made");
    });
    let below = Mounted::new(&bench.path("sub"));
    fs::write(bench.path("sub/a.png"), b"1").expect("written");
    bench.wait_ready("sub/a.png", ReadyKind::New);
    drop(below);
    bench.until(|event| *event == WatchEvent::Removed(bench.path("sub/a.png")));
    for name in ["b.png", "c.png"] {
        let over = Mounted::new(bench.dir.path());
        fs::write(bench.path(name), b"1").expect("written");
        bench.wait_ready(name, ReadyKind::New);
        fs::write(bench.path(&format!("later {name}")), b"1").expect("written");
        bench.wait_ready(&format!("later {name}"), ReadyKind::New);
        drop(over);
        bench.until(|event| *event == WatchEvent::Removed(bench.path(name)));
    }
    fs::write(bench.path("d.png"), b"1").expect("written");
    bench.wait_ready("d.png", ReadyKind::New);
}

#[test]
fn a_writer_that_pauses_is_waited_for() {
    let (bench, _) = Bench::new(BY_SIGNS, |_| {});
    let mut file = File::create(bench.path("a.dcm")).expect("created");
    // The full size first, as some copiers do.
    file.set_len(100).expect("grown");
    file.write_all(&[1; 50]).expect("written");
    let told = bench.rest();
    assert_eq!(counts(&told), BTreeMap::new());
    file.write_all(&[2; 50]).expect("written");
    drop(file);
    bench.wait_ready("a.dcm", ReadyKind::New);
}
