//! The watch on a real folder: each file is reported once. The command `watch` is tested in `watch/command.rs`, and what
//! surrounds its lines in `watch/service.rs` and `watch/follow_ups.rs`.

#[path = "watch/command.rs"]
mod command;
#[path = "watch/follow_ups.rs"]
mod follow_ups;
#[path = "watch/outputs.rs"]
mod outputs;
#[path = "watch/renames.rs"]
mod renames;
#[path = "watch/restarts.rs"]
mod restarts;
#[path = "cli/schema.rs"]
mod schema;
#[path = "watch/series.rs"]
mod series;
#[path = "watch/service.rs"]
mod service;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use medivision_tui::watch::{ReadyKind, Watch, WatchEvent, WatchOptions};
use tempfile::TempDir;

/// How long anything may take on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// Longer than every wait of the watch: an event that has not arrived by then never will.
const QUIET_TIME: Duration = Duration::from_secs(4);

const KERNEL_EVENTS: WatchOptions = WatchOptions { poll: None };
const POLLING: WatchOptions = WatchOptions {
    poll: Some(Duration::from_millis(200)),
};

/// A watched temporary folder and its events.
struct WatchedFolder {
    dir: TempDir,
    events: Receiver<WatchEvent>,
    watch: Watch,
}

impl WatchedFolder {
    /// Watches a folder filled by `prepare`, and waits for the end of the first scan. Also returns the events until then.
    fn new(options: WatchOptions, prepare: impl FnOnce(&Path)) -> (Self, Vec<WatchEvent>) {
        let dir = tempfile::tempdir().expect("a folder");
        prepare(dir.path());
        let (sender, events) = channel();
        let sink = Box::new(move |event| {
            let _ = sender.send(event);
        });
        let watch = Watch::start(dir.path(), options, sink).expect("the watch starts");
        let watched = Self { dir, events, watch };
        let polling = options.poll.is_some();
        let first = watched.until(|event| *event == WatchEvent::Scanned);
        assert_eq!(first[0], WatchEvent::Started { polling });
        (watched, first)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// All events up to and including the first for which `found` holds.
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

    /// All further events, until none arrives for [`QUIET_TIME`].
    fn rest(&self) -> Vec<WatchEvent> {
        std::iter::from_fn(|| self.events.recv_timeout(QUIET_TIME).ok()).collect()
    }

    fn wait_ready(&self, name: &str, kind: ReadyKind) {
        self.until(|event| is_ready(event, &self.path(name), kind));
    }
}

fn is_ready(event: &WatchEvent, file: &Path, expected: ReadyKind) -> bool {
    matches!(event, WatchEvent::Ready { path, kind, .. } if path == file && *kind == expected)
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

/// Creates a thousand files: written at once, written slowly (many at a time, in pieces), or renamed into place; some of each
/// in folders that are created meanwhile.
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

fn check_that_a_thousand_files_are_reported_once(options: WatchOptions) {
    let (watched, _) = WatchedFolder::new(options, |_| {});
    let paths = drop_a_thousand(watched.dir.path(), &|index| {
        format!("content {index}").into_bytes()
    });
    let mut missing: std::collections::BTreeSet<&Path> =
        paths.iter().map(PathBuf::as_path).collect();
    let mut events = watched.until(|event| {
        if let WatchEvent::Ready { path, .. } = event {
            missing.remove(path.as_path());
        }
        missing.is_empty()
    });
    events.extend(watched.rest());
    let counts = counts(&events);
    assert_eq!(counts.len(), 1000);
    assert!(counts.values().all(|count| *count == 1), "some twice");
}

#[test]
fn a_thousand_files_are_each_reported_once_by_kernel_events() {
    check_that_a_thousand_files_are_reported_once(KERNEL_EVENTS);
}

#[test]
fn a_thousand_files_are_each_reported_once_by_polling() {
    check_that_a_thousand_files_are_reported_once(POLLING);
}

#[test]
fn existing_files_are_reported_first() {
    let (watched, first) = WatchedFolder::new(KERNEL_EVENTS, |dir| {
        fs::create_dir(dir.join("sub")).expect("a folder");
        for name in ["b.png", "a.png", "sub/c.png", "d.png.part", ".hidden"] {
            let file = File::create(dir.join(name)).expect("created");
            let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            file.set_modified(long_ago).expect("dated");
        }
    });
    for (event, name) in first[1..4].iter().zip(["a.png", "b.png", "sub/c.png"]) {
        assert!(
            is_ready(event, &watched.path(name), ReadyKind::Existing),
            "{event:?}"
        );
    }
    assert_eq!(first.len(), 5);
    assert_eq!(watched.rest(), []);
}

#[test]
fn changes_renames_and_deletions_are_reported() {
    for options in [KERNEL_EVENTS, POLLING] {
        let (watched, _) = WatchedFolder::new(options, |_| {});
        fs::write(watched.path("a.png"), "one").expect("written");
        watched.wait_ready("a.png", ReadyKind::New);
        fs::write(watched.path("a.png"), "another").expect("written");
        watched.wait_ready("a.png", ReadyKind::Changed);
        fs::rename(watched.path("a.png"), watched.path("b.png")).expect("renamed");
        let renamed = WatchEvent::Renamed {
            from: watched.path("a.png"),
            to: watched.path("b.png"),
        };
        watched.until(|event| *event == renamed);
        fs::remove_file(watched.path("b.png")).expect("removed");
        let removed = WatchEvent::Removed(watched.path("b.png"));
        watched.until(|event| *event == removed);
        assert_eq!(watched.rest(), []);
    }
}

#[test]
fn changed_permissions_are_reported() {
    use std::os::unix::fs::PermissionsExt;
    for options in [KERNEL_EVENTS, POLLING] {
        let (watched, _) = WatchedFolder::new(options, |_| {});
        fs::write(watched.path("a.png"), "one").expect("written");
        watched.wait_ready("a.png", ReadyKind::New);
        fs::set_permissions(watched.path("a.png"), fs::Permissions::from_mode(0o600)).expect("set");
        watched.until(|event| matches!(event, WatchEvent::Touched { path, .. } if *path == watched.path("a.png")));
    }
}

#[test]
fn a_folder_moved_in_is_scanned_and_one_moved_within_is_followed() {
    let (watched, _) = WatchedFolder::new(KERNEL_EVENTS, |_| {});
    let outside = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(outside.path().join("study/series")).expect("folders");
    fs::write(outside.path().join("study/series/1.dcm"), "x").expect("written");
    fs::rename(outside.path().join("study"), watched.path("study")).expect("moved");
    watched.wait_ready("study/series/1.dcm", ReadyKind::New);

    fs::rename(watched.path("study"), watched.path("archive")).expect("renamed");
    let renamed = WatchEvent::Renamed {
        from: watched.path("study"),
        to: watched.path("archive"),
    };
    watched.until(|event| *event == renamed);
    // The folder is still watched under its new name.
    fs::write(watched.path("archive/series/2.dcm"), "y").expect("written");
    watched.wait_ready("archive/series/2.dcm", ReadyKind::New);

    fs::remove_dir_all(watched.path("archive")).expect("removed");
    let removed = WatchEvent::Removed(watched.path("archive"));
    watched.until(|event| *event == removed);
}

#[test]
fn a_watched_folder_that_vanishes_is_watched_again_when_it_is_back() {
    let (watched, _) = WatchedFolder::new(KERNEL_EVENTS, |dir| {
        fs::write(dir.join("a.png"), "x").expect("written");
    });
    watched.wait_ready("a.png", ReadyKind::Unsettled);
    fs::remove_dir_all(watched.dir.path()).expect("removed");
    watched.until(
        |event| matches!(event, WatchEvent::Problem(text) if text.contains("cannot be read")),
    );
    let root = watched.dir.path().to_owned();
    watched.until(|event| *event == WatchEvent::Removed(root.clone()));
    fs::create_dir(&root).expect("a folder");
    watched.until(|event| *event == WatchEvent::Folder(root.clone()));
    fs::write(watched.path("b.png"), "x").expect("written");
    watched.wait_ready("b.png", ReadyKind::New);
    fs::write(watched.path("c.png"), "x").expect("written");
    watched.wait_ready("c.png", ReadyKind::New);
}

#[test]
fn dropping_a_watch_stops_it_at_once() {
    let (watched, _) = WatchedFolder::new(KERNEL_EVENTS, |_| {});
    let begun = Instant::now();
    drop(watched.watch);
    assert!(begun.elapsed() < Duration::from_millis(150));
    // The sink is gone with it.
    assert!(watched.events.recv().is_err());
}

#[test]
fn a_missing_folder_is_refused_with_a_reason() {
    let error = Watch::start(Path::new("/no/such/folder"), KERNEL_EVENTS, Box::new(drop))
        .expect_err("refused");
    assert_eq!(
        error.to_string(),
        "/no/such/folder cannot be watched: no such file or directory"
    );
}

/// A file system mounted for as long as this lives.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: &Path) -> Self {
        Self::with_size(path, "50%")
    }

    fn with_size(path: &Path, size: &str) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
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
fn files_on_file_systems_mounted_later_are_found() {
    let (watched, _) = WatchedFolder::new(KERNEL_EVENTS, |dir| {
        fs::create_dir(dir.join("sub")).expect("made");
    });
    let below = Mounted::new(&watched.path("sub"));
    fs::write(watched.path("sub/a.png"), b"1").expect("written");
    watched.wait_ready("sub/a.png", ReadyKind::New);
    drop(below);
    watched.until(|event| *event == WatchEvent::Removed(watched.path("sub/a.png")));
    for name in ["b.png", "c.png"] {
        let over = Mounted::new(watched.dir.path());
        fs::write(watched.path(name), b"1").expect("written");
        watched.wait_ready(name, ReadyKind::New);
        fs::write(watched.path(&format!("later {name}")), b"1").expect("written");
        watched.wait_ready(&format!("later {name}"), ReadyKind::New);
        drop(over);
        watched.until(|event| *event == WatchEvent::Removed(watched.path(name)));
    }
    fs::write(watched.path("d.png"), b"1").expect("written");
    watched.wait_ready("d.png", ReadyKind::New);
}

#[test]
fn a_file_is_not_reported_while_its_writer_pauses() {
    let (watched, _) = WatchedFolder::new(KERNEL_EVENTS, |_| {});
    let mut file = File::create(watched.path("a.dcm")).expect("created");
    // The full size first, as some copiers do.
    file.set_len(100).expect("grown");
    file.write_all(&[1; 50]).expect("written");
    let events = watched.rest();
    assert_eq!(counts(&events), BTreeMap::new());
    file.write_all(&[2; 50]).expect("written");
    drop(file);
    watched.wait_ready("a.dcm", ReadyKind::New);
}

#[test]
fn an_internal_error_of_the_watch_is_reported_and_ends_its_events() {
    let dir = tempfile::tempdir().expect("a folder");
    let (sender, events) = channel();
    let sink = Box::new(move |event| {
        assert_ne!(event, WatchEvent::Scanned, "requested by the test");
        let _ = sender.send(event);
    });
    let _watch = Watch::start(dir.path(), KERNEL_EVENTS, sink).expect("the watch starts");
    let events: Vec<WatchEvent> =
        std::iter::from_fn(|| events.recv_timeout(DEADLINE).ok()).collect();
    let last = events.last().expect("events");
    assert!(
        matches!(last, WatchEvent::Problem(text) if text.contains("internal error")),
        "{events:?}"
    );
}
