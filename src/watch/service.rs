//! The watch's thread, which passes file system events and scans to the settle machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::events::{Interpretation, WatchMessage, interpret};
use super::filesystem::{FileSystem, filesystem_of};
use super::settle::{FileStamp, FsEvent, Settle, SettleTimes};
use super::writer::{ignore_lease_breaks, is_filled, may_be_written, writer_of};
use super::{EventSink, WatchEvent, WatchOptions, events, mounts, names, scan};

/// Niceness of the thread, below the interface.
const NICENESS: i32 = 10;
/// How often a tree on a remote file system is scanned, because the kernel does not see all changes there.
const REMOTE_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How often a local tree is scanned when the kernel grants no more watches.
const LOCAL_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Shortest time between scans that make up for lost events.
const MIN_RESCAN_INTERVAL: Duration = Duration::from_secs(1);
/// A tree with kernel events is scanned at this interval, too, because the kernel does not report everything (a file system
/// that came back, a share below a folder). Scanning takes at most a hundredth of the time.
const SAFETY_SCAN_INTERVAL: Duration = Duration::from_secs(300);
/// How often it is checked that the watched folder is still the one at its path. The kernel does not report that a link on the way
/// leads elsewhere, or that a folder above has been replaced.
const ROOT_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Files unchanged for this long when the watch begins need not settle, unless they are or may be open for writing.
const MIN_SETTLED_AGE: Duration = Duration::from_secs(3);
/// Files unchanged for this long when the watch begins need not settle even if they are open for writing.
const MIN_ABANDONED_AGE: Duration = Duration::from_secs(3600);

/// The watched folder.
pub(super) struct Roots {
    /// The path as the user gave it, which the watch's events use.
    pub given: PathBuf,
    /// The absolute path, which the kernel's events use.
    pub absolute: PathBuf,
}

/// The state of the watch's thread.
pub(super) struct Service {
    roots: Roots,
    options: WatchOptions,
    sink: EventSink,
    stopped: Arc<AtomicBool>,
    wake: Sender<WatchMessage>,
    /// The moment to which times are relative.
    start: Instant,
    filesystem: FileSystem,
    machine: Settle,
    /// The source of the kernel's events; `None` while polling.
    watcher: Option<RecommendedWatcher>,
    /// When the tree is scanned next.
    next_scan: Option<Duration>,
    /// The polling interval, while polling.
    poll_interval: Option<Duration>,
    /// When the tree was last scanned.
    last_scan: Duration,
    /// How long that scan took.
    last_scan_took: Duration,
    /// Whether the watched folder itself could not be read at the last scan.
    root_lost: bool,
    /// Device and inode number of the watched folder.
    root_id: Option<(u64, u64)>,
    /// When these are compared next, while there are kernel events.
    next_root_check: Duration,
}

impl Service {
    pub(super) fn new(
        roots: Roots,
        options: WatchOptions,
        sink: EventSink,
        stopped: Arc<AtomicBool>,
        wake: Sender<WatchMessage>,
    ) -> Self {
        let machine = Settle::new(roots.absolute.clone(), SettleTimes::default())
            .with_name(roots.given.clone());
        Self {
            roots,
            options,
            sink,
            stopped,
            wake,
            start: Instant::now(),
            filesystem: FileSystem::default(),
            machine,
            watcher: None,
            next_scan: None,
            poll_interval: None,
            last_scan: Duration::ZERO,
            last_scan_took: Duration::ZERO,
            root_lost: false,
            root_id: None,
            next_root_check: ROOT_CHECK_INTERVAL,
        }
    }

    /// Runs until stopped.
    pub(super) fn run(&mut self, messages: &Receiver<WatchMessage>) {
        // Scanning a large tree takes long and must not slow the interface down.
        let _ = rustix::process::nice(NICENESS);
        ignore_lease_breaks();
        let root = self.roots.absolute.clone();
        mounts::watch_mounts(root, self.wake.clone(), Arc::clone(&self.stopped));
        self.set_up();
        self.scan_root(true);
        self.plan_scan();
        self.send_events();
        self.send(WatchEvent::Scanned);
        while !self.stopped.load(Ordering::Relaxed) {
            match self.next_message(messages) {
                Ok(WatchMessage::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(WatchMessage::Event(event)) => self.handle_kernel_event(event),
                Ok(WatchMessage::Mounts) => self.mounts_changed(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // All waiting events first: a check must not run ahead of them.
            while let Ok(message) = messages.try_recv() {
                match message {
                    WatchMessage::Stop => return,
                    WatchMessage::Event(event) => self.handle_kernel_event(event),
                    WatchMessage::Mounts => self.mounts_changed(),
                }
            }
            self.run_due();
        }
    }

    /// Waits for a message until the next check or scan is due.
    fn next_message(
        &self,
        messages: &Receiver<WatchMessage>,
    ) -> Result<WatchMessage, RecvTimeoutError> {
        let root_check = self.watcher.as_ref().map(|_| self.next_root_check);
        let next = [self.machine.next_due(), self.next_scan, root_check]
            .into_iter()
            .flatten()
            .min();
        match next {
            Some(due) => messages.recv_timeout(due.saturating_sub(self.start.elapsed())),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Chooses between the kernel's events and polling, and reports which.
    fn set_up(&mut self) {
        self.filesystem = filesystem_of(&self.roots.absolute);
        let remote = self.filesystem.remote.then_some(REMOTE_POLL_INTERVAL);
        if let Some(interval) = self.options.poll.or(remote) {
            self.start_polling(interval);
        } else {
            self.start_watcher();
        }
        let polling = self.watcher.is_none();
        self.send(WatchEvent::Started { polling });
    }

    /// Asks for the kernel's events, instead of those of an earlier watcher.
    fn start_watcher(&mut self) {
        let wake = self.wake.clone();
        match notify::recommended_watcher(move |event| {
            let _ = wake.send(WatchMessage::Event(event));
        }) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => self.fall_back_to_polling(&error),
        }
    }

    /// Changes to polling at this interval.
    fn start_polling(&mut self, interval: Duration) {
        self.watcher = None;
        self.poll_interval = Some(interval);
        self.next_scan = Some(self.start.elapsed() + interval);
        let times = SettleTimes::default();
        // A network file system's cache may be as old as one interval: a file is unchanged only if the next scan agrees.
        let settle = interval.clamp(times.settle, REMOTE_POLL_INTERVAL);
        self.machine.set_times(SettleTimes {
            settle,
            held: settle.max(times.held),
            // Where writers cannot be seen, that would hold up every file.
            unsure: settle,
            ..times
        });
        self.machine.events_lost(self.start.elapsed());
    }

    /// Falls back to polling because the kernel's events are not available, and reports why.
    fn fall_back_to_polling(&mut self, error: &notify::Error) {
        let instead = format!(
            "the folder is scanned every {} s instead.",
            LOCAL_POLL_INTERVAL.as_secs()
        );
        let text = if events::is_exhaustion(error) {
            format!(
                "The system's limit on watched folders (fs.inotify.max_user_watches = {}, \
                 fs.inotify.max_user_instances = {}) is reached; {instead} To raise it: \
                 sudo sysctl fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024",
                limit("max_user_watches"),
                limit("max_user_instances"),
            )
        } else {
            format!("The system does not report changes ({error}); {instead}")
        };
        let polled_before = self.poll_interval.is_some();
        self.start_polling(LOCAL_POLL_INTERVAL);
        if !polled_before {
            self.send(WatchEvent::Problem(text));
        }
    }

    fn handle_kernel_event(&mut self, event: Result<notify::Event, notify::Error>) {
        // Late events of a watcher that is no longer used.
        if self.watcher.is_none() {
            return;
        }
        match interpret(event) {
            Interpretation::Event(event) => self.apply_event(event),
            Interpretation::EventsLost => {
                self.machine.events_lost(self.start.elapsed());
                self.scan_soon();
            }
            Interpretation::WatchesExhausted => self.watches_exhausted(),
            Interpretation::Ignored => {}
        }
    }

    /// Scans and watches the tree again, because other file systems may be mounted in it now.
    fn mounts_changed(&mut self) {
        self.filesystem = filesystem_of(&self.roots.absolute);
        if self.filesystem.remote && self.poll_interval.is_none() {
            self.start_polling(REMOTE_POLL_INTERVAL);
            self.send(WatchEvent::Started { polling: true });
        }
        self.scan_soon();
    }

    /// Falls back to polling because the kernel grants no more watches.
    fn watches_exhausted(&mut self) {
        let error = notify::Error::new(notify::ErrorKind::MaxFilesWatch);
        self.fall_back_to_polling(&error);
        self.send(WatchEvent::Started { polling: true });
    }

    /// Passes an event to the machine, and scans the folder that it is about, if any.
    fn apply_event(&mut self, event: FsEvent) {
        let now = self.start.elapsed();
        match &event {
            FsEvent::Gone(path) if *path == self.roots.absolute => self.scan_soon(),
            // The event that a folder is gone may arrive after another folder has taken its name.
            FsEvent::Gone(path) if scan::is_folder(path) => self.scan_folder(&path.clone()),
            // Its permissions may have changed.
            FsEvent::Touched(path) if self.machine.is_refused(path) => {
                self.scan_folder(&path.clone());
            }
            FsEvent::Folder(path) => {
                let path = path.clone();
                self.machine.apply_event(now, event);
                self.scan_folder(&path);
            }
            FsEvent::Arrived { path, tracker, .. } if scan::is_folder(path) => {
                let (path, tracker) = (path.clone(), *tracker);
                let event = FsEvent::Arrived {
                    path: path.clone(),
                    tracker,
                    folder: true,
                };
                self.machine.apply_event(now, event);
                self.scan_folder(&path);
            }
            _ => self.machine.apply_event(now, event),
        }
    }

    /// Watches and scans a folder and everything below it, unless it is ignored.
    fn scan_folder(&mut self, path: &Path) {
        if !names::is_ignored(&self.roots.absolute, path) {
            self.scan(path, false);
        }
    }

    /// Plans a scan of the tree as soon as [`MIN_RESCAN_INTERVAL`] allows.
    fn scan_soon(&mut self) {
        let due = (self.last_scan + MIN_RESCAN_INTERVAL).max(self.start.elapsed());
        self.next_scan = Some(self.next_scan.map_or(due, |planned| planned.min(due)));
    }

    /// Performs the scan and the checks that are due, and sends the resulting events.
    fn run_due(&mut self) {
        let now = self.start.elapsed();
        if self.watcher.is_some() && self.next_root_check <= now {
            self.next_root_check = now + ROOT_CHECK_INTERVAL;
            if scan::folder_id(&self.roots.absolute) != self.root_id {
                self.scan_soon();
            }
        }
        if self.next_scan.is_some_and(|due| due <= now) {
            self.next_scan = None;
            self.scan_root(false);
            self.plan_scan();
        }
        let inodes = self.filesystem.inodes;
        let now = self.start.elapsed();
        self.machine
            .tick(now, &mut |path| scan::stamp(path, inodes));
        for path in self.machine.take_writer_queries() {
            let writer = writer_of(&path, self.filesystem.remote);
            self.machine
                .answer_writer_query(now, &path, writer, || is_filled(&path));
        }
        self.send_events();
    }

    /// Plans the next regular scan.
    fn plan_scan(&mut self) {
        let wait = self
            .poll_interval
            .unwrap_or_else(|| SAFETY_SCAN_INTERVAL.max(self.last_scan_took * 100));
        let due = self.start.elapsed() + wait;
        self.next_scan = Some(self.next_scan.map_or(due, |planned| planned.min(due)));
    }

    /// Scans the whole tree, and reports when the watched folder becomes unreadable or readable again.
    fn scan_root(&mut self, at_start: bool) {
        let root = self.roots.absolute.clone();
        match std::fs::read_dir(&root) {
            Ok(_) => {
                if self.root_lost {
                    self.root_lost = false;
                    let text =
                        format!("{} is accessible again.", names::display(&self.roots.given));
                    self.send(WatchEvent::Problem(text));
                    self.send(WatchEvent::Folder(self.roots.given.clone()));
                }
                self.note_root();
                self.scan(&root, at_start);
            }
            Err(error) => {
                let is_gone = error.kind() == std::io::ErrorKind::NotFound;
                if !self.root_lost {
                    self.root_lost = true;
                    let name = names::display(&self.roots.given);
                    let reason = names::reason(&error);
                    self.send(WatchEvent::Problem(format!(
                        "{name} cannot be read: {reason}."
                    )));
                    if is_gone {
                        self.send(WatchEvent::Removed(self.roots.given.clone()));
                    }
                }
                if is_gone {
                    let now = self.start.elapsed();
                    self.machine.apply_event(now, FsEvent::Gone(root));
                }
                self.last_scan = self.start.elapsed();
                self.next_scan = Some(self.last_scan + LOCAL_POLL_INTERVAL);
            }
        }
    }

    /// Watches another folder that is at the path of the watched one by now.
    fn note_root(&mut self) {
        let id = scan::folder_id(&self.roots.absolute);
        let before = std::mem::replace(&mut self.root_id, id);
        if before.is_some() && before != id && self.watcher.is_some() {
            self.machine.events_lost(self.start.elapsed());
            self.start_watcher();
            if self.watcher.is_none() {
                self.send(WatchEvent::Started { polling: true });
            }
        }
    }

    /// Scans `under`, watching each folder before it is read, and passes the result to the machine. `at_start`: files that look
    /// complete need not settle.
    fn scan(&mut self, under: &Path, at_start: bool) {
        let inodes = self.filesystem.inodes;
        let begun = Instant::now();
        let stopped = Arc::clone(&self.stopped);
        let scan = scan::scan_tree(under, inodes, &stopped, &mut |folder| {
            self.add_watch(folder);
            true
        });
        let Some(scan) = scan else { return };
        let wall = SystemTime::now();
        let (is_remote, times) = (self.filesystem.remote, self.machine.times());
        let is_old = |path: &Path, stamp: &FileStamp| {
            let age = stamp
                .modified
                .and_then(|modified| wall.duration_since(modified).ok());
            age.is_some_and(|age| {
                age >= MIN_ABANDONED_AGE
                    || age >= MIN_SETTLED_AGE && !may_be_written(path, is_remote, age, times)
            })
        };
        let now = self.start.elapsed();
        self.machine
            .apply_scan(now, scan, at_start, &is_old, &mut |path| {
                scan::stamp(path, inodes)
            });
        if under == self.roots.absolute {
            (self.last_scan, self.last_scan_took) = (self.start.elapsed(), begun.elapsed());
        }
    }

    /// Adds a kernel watch for a folder, unless the tree is polled.
    fn add_watch(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let result = watcher.watch(folder, RecursiveMode::NonRecursive);
        // If the folder is gone again or unreadable, polling would not help.
        if result.is_err_and(|error| events::is_exhaustion(&error)) {
            self.watches_exhausted();
        }
    }

    /// Sends the machine's events.
    fn send_events(&mut self) {
        for event in self.machine.take_events() {
            self.send(event);
        }
    }

    /// Reports that [`Self::run`] has panicked.
    pub(super) fn report_panic(&self) {
        let name = names::display(&self.roots.given);
        self.send(WatchEvent::Problem(format!(
            "{name} is not watched any more: internal error; see the log."
        )));
    }

    fn send(&self, event: WatchEvent) {
        if !self.stopped.load(Ordering::Relaxed) {
            (self.sink)(event);
        }
    }
}

/// An inotify limit of the kernel, for a message.
fn limit(name: &str) -> String {
    let text = std::fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name));
    text.map_or_else(|_| "?".into(), |text| text.trim().to_owned())
}
