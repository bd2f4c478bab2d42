//! A simulated folder tree, and a caller that checks the machine's events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::*;

pub(super) const MS: Duration = Duration::from_millis(1);

/// A folder tree: files, which of them are open for writing, and the kernel's events not yet delivered.
#[derive(Default)]
pub(super) struct FakeTree {
    files: BTreeMap<PathBuf, FakeFile>,
    open: BTreeSet<PathBuf>,
    pub(super) events: Vec<FsEvent>,
    clock: u64,
    moves: usize,
}

/// A file, whose content is a version number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FakeFile {
    stamp: FileStamp,
    version: u64,
}

impl FakeTree {
    /// Advances the clock, which is also the version of what is written now.
    fn next_time(&mut self) -> SystemTime {
        self.clock += 1;
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock)
    }

    pub(super) fn write(&mut self, path: &Path) {
        let modified = Some(self.next_time());
        let version = self.clock;
        if !self.files.contains_key(path) {
            self.events.push(FsEvent::Created(path.into()));
        }
        if self.open.insert(path.into()) {
            self.events.push(FsEvent::Opened(path.into()));
        }
        let size = self.files.get(path).map_or(0, |file| file.stamp.size) + 7;
        let inode = self
            .files
            .get(path)
            .map_or(version, |file| file.stamp.inode);
        let stamp = FileStamp {
            size,
            modified,
            inode,
            status_changed: i128::from(version),
        };
        self.files.insert(path.into(), FakeFile { stamp, version });
        self.events.push(FsEvent::Written(path.into()));
    }

    /// Writes other content of the same size, and sets the time of modification back; `None` if it is not there or open.
    pub(super) fn rewrite(&mut self, path: &Path) -> Option<()> {
        self.next_time();
        let file = self
            .files
            .get_mut(path)
            .filter(|_| !self.open.contains(path))?;
        file.version = self.clock;
        file.stamp.status_changed = i128::from(self.clock);
        for event in [
            FsEvent::Opened,
            FsEvent::Written,
            FsEvent::Closed,
            FsEvent::Touched,
        ] {
            self.events.push(event(path.into()));
        }
        Some(())
    }

    pub(super) fn close(&mut self, path: &Path) {
        if self.open.remove(path) {
            self.events.push(FsEvent::Closed(path.into()));
        }
    }

    pub(super) fn touch(&mut self, path: &Path) {
        let modified = Some(self.next_time());
        if let Some(file) = self.files.get_mut(path) {
            file.stamp.modified = modified;
            file.stamp.status_changed = i128::from(self.clock);
            self.events.push(FsEvent::Touched(path.into()));
        }
    }

    pub(super) fn delete(&mut self, path: &Path) {
        if self.files.remove(path).is_some() {
            self.open.remove(path);
            self.events.push(FsEvent::Gone(path.into()));
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        if from == to {
            return;
        }
        let Some(mut content) = self.files.remove(from) else {
            return;
        };
        self.next_time();
        content.stamp.status_changed = i128::from(self.clock);
        self.moves += 1;
        let tracker = Some(self.moves);
        self.open.remove(to);
        if self.open.remove(from) {
            self.open.insert(to.into());
        }
        self.files.insert(to.into(), content);
        self.events.push(FsEvent::Left {
            path: from.into(),
            tracker,
        });
        self.events.push(FsEvent::Arrived {
            path: to.into(),
            tracker,
            folder: false,
        });
    }

    pub(super) fn stamp_of(&self, path: &Path) -> Option<FileStamp> {
        self.files.get(path).map(|file| file.stamp)
    }

    fn scan(&self) -> TreeScan {
        let visible = self
            .files
            .iter()
            .filter(|(path, _)| !is_ignored(Path::new("/in"), path));
        TreeScan {
            files: visible
                .map(|(path, file)| (path.clone(), file.stamp))
                .collect(),
            ..TreeScan::new("/in".into())
        }
    }
}

/// Ticks the machine; no file is open for writing.
pub(super) fn tick(machine: &mut Settle, now: Duration, stamp_of: &mut StampFn) {
    machine.tick(now, stamp_of);
    for path in machine.take_writer_queries() {
        machine.answer_writer_query(now, &path, WriterPresence::Absent, || Some(true));
    }
}

/// A caller of the machine that keeps track of its events, and fails when a content is reported twice.
pub(super) struct Harness {
    pub(super) tree: FakeTree,
    pub(super) machine: Settle,
    pub(super) now: Duration,
    /// Whether the kernel does not tell who has a file open.
    pub(super) is_blind: bool,
    /// Whether files end in something other than zeros.
    pub(super) is_filled: Option<bool>,
    /// Each file as it was when it was reported.
    pub(super) reported: HashMap<PathBuf, FakeFile>,
    pub(super) events: Vec<WatchEvent>,
}

impl Harness {
    pub(super) fn new() -> Self {
        Self {
            tree: FakeTree::default(),
            machine: Settle::new("/in".into(), SettleTimes::default()),
            now: Duration::ZERO,
            is_blind: false,
            is_filled: Some(true),
            reported: HashMap::new(),
            events: Vec::new(),
        }
    }

    /// Delivers the next `count` events of the kernel.
    pub(super) fn deliver(&mut self, count: usize) {
        let count = count.min(self.tree.events.len());
        for event in self.tree.events.drain(..count).collect::<Vec<_>>() {
            self.machine.apply_event(self.now, event);
        }
        self.check_events();
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.machine.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let tree = &self.tree;
            self.machine.tick(self.now, &mut |path| tree.stamp_of(path));
            for path in self.machine.take_writer_queries() {
                let writer = match (self.is_blind, tree.open.contains(&path)) {
                    (true, _) => WriterPresence::Unknown,
                    (_, true) => WriterPresence::Present,
                    (_, false) => WriterPresence::Absent,
                };
                let is_filled = self.is_filled;
                self.machine
                    .answer_writer_query(self.now, &path, writer, || is_filled);
            }
            self.check_events();
        }
        self.now = end;
    }

    pub(super) fn scan(&mut self) {
        let tree = &self.tree;
        self.machine
            .apply_scan(self.now, tree.scan(), false, &|_, _| false, &mut |path| {
                tree.stamp_of(path)
            });
        self.check_events();
    }

    fn check_events(&mut self) {
        for event in take_events(&mut self.machine) {
            match &event {
                WatchEvent::Touched { .. } => continue,
                WatchEvent::Ready { path, .. } => {
                    let now = self.tree.files[path];
                    // If events were lost, a changed time alone may mean another content.
                    let before = self.reported.insert(path.clone(), now);
                    assert!(before != Some(now), "{} reported twice", path.display());
                }
                WatchEvent::Removed(path) => {
                    self.reported.retain(|file, _| !file.starts_with(path));
                }
                WatchEvent::Renamed { from, to } => {
                    let content = self
                        .reported
                        .remove(from)
                        .expect("only reported files are renamed");
                    self.reported.insert(to.clone(), content);
                }
                other => panic!("{other:?} is not sent by the machine"),
            }
            self.events.push(event);
        }
    }

    /// Closes all files, delivers all events and lets time pass: then what was reported is what exists.
    pub(super) fn conclude(&mut self) {
        for path in self.tree.open.clone() {
            self.tree.close(&path);
        }
        self.deliver(usize::MAX);
        self.pass(Duration::from_secs(60));
        let existing: HashMap<PathBuf, u64> = self
            .tree
            .scan()
            .files
            .into_iter()
            .map(|(path, _)| (path.clone(), self.tree.files[&path].version))
            .collect();
        let reported = self
            .reported
            .iter()
            .map(|(path, content)| (path.clone(), content.version));
        assert_eq!(reported.collect::<HashMap<_, _>>(), existing);
        assert_eq!(self.machine.next_due(), None, "nothing is due any more");
    }
}

pub(super) const NAMES: [&str; 5] = ["a.png", "b.dcm", "c.png.part", "sub/d.dcm", ".e.png.x1"];

pub(super) fn name(index: usize) -> PathBuf {
    Path::new("/in").join(NAMES[index])
}

/// The stamp in expected events, where it does not matter.
const ANY_STAMP: FileStamp = FileStamp {
    size: 0,
    modified: None,
    inode: 0,
    status_changed: 0,
};

pub(super) fn ready(name: &str, kind: ReadyKind) -> WatchEvent {
    WatchEvent::Ready {
        path: Path::new("/in").join(name),
        kind,
        stamp: ANY_STAMP,
        is_closed: true,
    }
}

/// The machine's events with [`ANY_STAMP`], as if all files were known to be closed.
pub(super) fn take_events(machine: &mut Settle) -> Vec<WatchEvent> {
    let events = machine.take_events().into_iter();
    let plain = events.map(|event| match event {
        WatchEvent::Ready { path, kind, .. } => WatchEvent::Ready {
            path,
            kind,
            stamp: ANY_STAMP,
            is_closed: true,
        },
        other => other,
    });
    plain.collect()
}

pub(super) fn stamp(size: u64, second: u64) -> FileStamp {
    FileStamp {
        size,
        modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(second)),
        inode: second,
        status_changed: 0,
    }
}
