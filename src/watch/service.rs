//! The thread that feeds the settle machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::place::{Place, place};
use super::settle::{Settle, Sign, Stamp, Times, Writer};
use super::signs::{Meaning, Signal, meaning};
use super::writer::{ignore_lease_breaks, writer};
use super::{Options, Sink, WatchEvent, mounts, names, scan, signs};

/// How much below the interface the thread runs (`nice`).
const NICENESS: i32 = 10;
/// How often a tree is read again that the kernel tells too little about.
const POLL_REMOTE: Duration = Duration::from_secs(5);
/// The same for a local disk, when the kernel grants no more watches.
const POLL_LOCAL: Duration = Duration::from_secs(2);
/// Lost signs are made up for by reading the tree, at most this often.
const RESCAN: Duration = Duration::from_secs(1);
/// A tree that the kernel tells about is read again this often all the same, and no more than a hundredth of the time:
/// some changes it does not tell (a file system that came back, a share below a folder).
const SAFETY_RESCAN: Duration = Duration::from_secs(300);
/// Files that did not change for this long when the watch begins need not settle.
const OLD: Duration = Duration::from_secs(3);
/// Those that did not change for this long are nobody's work in progress.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The watched folder.
pub(super) struct Roots {
    /// As the user named it, and as events name it.
    pub given: PathBuf,
    /// As the kernel's signs name it.
    pub absolute: PathBuf,
}

pub(super) struct Service {
    roots: Roots,
    options: Options,
    sink: Sink,
    stopped: Arc<AtomicBool>,
    wake: Sender<Signal>,
    start: Instant,
    place: Place,
    machine: Settle,
    /// `None`: the tree is read again and again instead.
    watcher: Option<RecommendedWatcher>,
    /// When to read the tree again, and how often.
    rescan: Option<Duration>,
    every: Option<Duration>,
    /// When the tree was read last, and how long that took.
    read: Duration,
    read_took: Duration,
    /// The folder itself is gone; it may come back.
    lost: bool,
}

impl Service {
    pub(super) fn new(
        roots: Roots,
        options: Options,
        sink: Sink,
        stopped: Arc<AtomicBool>,
        wake: Sender<Signal>,
    ) -> Self {
        let machine =
            Settle::new(roots.absolute.clone(), Times::default()).with_name(roots.given.clone());
        Self {
            roots,
            options,
            sink,
            stopped,
            wake,
            start: Instant::now(),
            place: Place::default(),
            machine,
            watcher: None,
            rescan: None,
            every: None,
            read: Duration::ZERO,
            read_took: Duration::ZERO,
            lost: false,
        }
    }

    /// Runs until stopped.
    pub(super) fn run(mut self, signals: &Receiver<Signal>) {
        // Looking through a large tree takes long; whoever waits for a key does not.
        let _ = rustix::process::nice(NICENESS);
        ignore_lease_breaks();
        let root = self.roots.absolute.clone();
        mounts::follow(root, self.wake.clone(), Arc::clone(&self.stopped));
        self.set_up();
        self.read_all(true);
        self.plan_rescan();
        self.tell();
        self.say(WatchEvent::Scanned);
        while !self.stopped.load(Ordering::Relaxed) {
            match self.next(signals) {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Signal::Event(event)) => self.take_in(event),
                Ok(Signal::Mounts) => self.mounted(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // All that is known before anything is concluded: a look must not be ahead of signs that wait.
            while let Ok(signal) = signals.try_recv() {
                match signal {
                    Signal::Stop => return,
                    Signal::Event(event) => self.take_in(event),
                    Signal::Mounts => self.mounted(),
                }
            }
            self.work();
        }
    }

    fn next(&self, signals: &Receiver<Signal>) -> Result<Signal, RecvTimeoutError> {
        let next = [self.machine.next(), self.rescan]
            .into_iter()
            .flatten()
            .min();
        match next {
            Some(due) => signals.recv_timeout(due.saturating_sub(self.start.elapsed())),
            None => signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Chooses between the kernel's signs and reading again, and says which.
    fn set_up(&mut self) {
        self.place = place(&self.roots.absolute);
        let remote = self.place.remote.then_some(POLL_REMOTE);
        if let Some(every) = self.options.poll.or(remote) {
            self.poll(every);
        } else {
            let wake = self.wake.clone();
            match notify::recommended_watcher(move |event| {
                let _ = wake.send(Signal::Event(event));
            }) {
                Ok(watcher) => self.watcher = Some(watcher),
                Err(error) => self.give_up(&error),
            }
        }
        let polling = self.watcher.is_none();
        self.say(WatchEvent::Standing { polling });
    }

    /// Reads the tree every so often from now on.
    fn poll(&mut self, every: Duration) {
        self.watcher = None;
        self.every = Some(every);
        self.rescan = Some(self.start.elapsed() + every);
        let times = Times::default();
        // What the network's cache shows is as old as one reading: unchanged means unchanged in the next one.
        let settle = every.clamp(times.settle, POLL_REMOTE);
        self.machine.set_times(Times {
            settle,
            held: settle.max(times.held),
            ..times
        });
    }

    /// The kernel's signs are not to be had.
    fn give_up(&mut self, error: &notify::Error) {
        let instead = format!(
            "the folder is read again every {} s instead.",
            POLL_LOCAL.as_secs()
        );
        let text = if signs::is_exhaustion(error) {
            format!(
                "The system's limit on watched folders (fs.inotify.max_user_watches = {}, \
                 fs.inotify.max_user_instances = {}) is reached; {instead} To raise it: \
                 sudo sysctl fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024",
                limit("max_user_watches"),
                limit("max_user_instances"),
            )
        } else {
            format!("The system tells no changes ({error}); {instead}")
        };
        let polled_before = self.every.is_some();
        self.poll(POLL_LOCAL);
        if !polled_before {
            self.say(WatchEvent::Problem(text));
        }
    }

    fn take_in(&mut self, event: Result<notify::Event, notify::Error>) {
        // Signs from a watcher that was given up are no harm, but of no use either.
        if self.watcher.is_none() {
            return;
        }
        match meaning(event) {
            Meaning::Sign(sign) => self.sign(sign),
            Meaning::Lost => self.rescan_soon(),
            Meaning::Exhausted => self.exhausted(),
            Meaning::Nothing => {}
        }
    }

    /// Other file systems may be there now: all is read again, and watched where it lies now.
    fn mounted(&mut self) {
        self.place = place(&self.roots.absolute);
        if self.place.remote && self.every.is_none() {
            self.poll(POLL_REMOTE);
            self.say(WatchEvent::Standing { polling: true });
        }
        self.rescan_soon();
    }

    fn exhausted(&mut self) {
        let error = notify::Error::new(notify::ErrorKind::MaxFilesWatch);
        self.give_up(&error);
        self.say(WatchEvent::Standing { polling: true });
    }

    fn sign(&mut self, sign: Sign) {
        let now = self.start.elapsed();
        match &sign {
            Sign::Gone(path) if *path == self.roots.absolute => self.rescan_soon(),
            // A folder's own word on its end may come after another one took its name.
            Sign::Gone(path) if scan::is_folder(path) => self.read_folder(&path.clone()),
            // Its rights may be what changed.
            Sign::Touched(path) if self.machine.is_refused(path) => self.read_folder(&path.clone()),
            Sign::Folder(path) => {
                let path = path.clone();
                self.machine.sign(now, sign);
                self.read_folder(&path);
            }
            Sign::Arrived { path, tracker, .. } if scan::is_folder(path) => {
                let (path, tracker) = (path.clone(), *tracker);
                let sign = Sign::Arrived {
                    path: path.clone(),
                    tracker,
                    folder: true,
                };
                self.machine.sign(now, sign);
                self.read_folder(&path);
            }
            _ => self.machine.sign(now, sign),
        }
    }

    /// Puts watches on a folder and those below it, and takes in what is there.
    fn read_folder(&mut self, path: &Path) {
        if !names::is_passing(&self.roots.absolute, path) {
            self.read(path, false);
        }
    }

    fn rescan_soon(&mut self) {
        let due = (self.read + RESCAN).max(self.start.elapsed());
        self.rescan = Some(self.rescan.map_or(due, |planned| planned.min(due)));
    }

    /// Does what is due, and passes on what was found out.
    fn work(&mut self) {
        let now = self.start.elapsed();
        if self.rescan.is_some_and(|due| due <= now) {
            self.rescan = None;
            self.read_all(false);
            self.plan_rescan();
        }
        let inodes = self.place.inodes;
        let now = self.start.elapsed();
        self.machine
            .tick(now, &mut |path| scan::stamp(path, inodes));
        for path in self.machine.questions() {
            let answer = self.writer(&path);
            self.machine.answer(now, &path, answer);
        }
        self.tell();
    }

    fn writer(&self, path: &Path) -> Writer {
        // What other machines do with a file is not known here.
        if self.place.remote {
            Writer::Unknown
        } else {
            writer(path)
        }
    }

    /// When the tree is to be read again, unless something happens before.
    fn plan_rescan(&mut self) {
        let wait = self
            .every
            .unwrap_or_else(|| SAFETY_RESCAN.max(self.read_took * 100));
        let due = self.start.elapsed() + wait;
        self.rescan = Some(self.rescan.map_or(due, |planned| planned.min(due)));
    }

    fn read_all(&mut self, at_start: bool) {
        let root = self.roots.absolute.clone();
        match std::fs::read_dir(&root) {
            Ok(_) => {
                if self.lost {
                    self.lost = false;
                    let text = format!("{} is back.", names::shown(&self.roots.given));
                    self.say(WatchEvent::Problem(text));
                }
                self.read(&root, at_start);
            }
            Err(error) => {
                if !self.lost {
                    self.lost = true;
                    let (name, reason) = (names::shown(&self.roots.given), names::reason(&error));
                    self.say(WatchEvent::Problem(format!(
                        "{name} cannot be read: {reason}."
                    )));
                }
                if error.kind() == std::io::ErrorKind::NotFound {
                    self.machine.sign(self.start.elapsed(), Sign::Gone(root));
                }
                self.read = self.start.elapsed();
                self.rescan = Some(self.read + POLL_LOCAL);
            }
        }
    }

    /// Reads `under`, watching each folder before it is read, and hands what was found to the machine.
    fn read(&mut self, under: &Path, at_start: bool) {
        let (root, inodes) = (self.roots.absolute.clone(), self.place.inodes);
        let begun = Instant::now();
        let stopped = Arc::clone(&self.stopped);
        let sweep = scan::sweep(&root, under, inodes, &stopped, &mut |folder| {
            self.put_watch(folder);
            true
        });
        let Some(sweep) = sweep else { return };
        let wall = SystemTime::now();
        let is_remote = self.place.remote;
        let is_old = |path: &Path, stamp: &Stamp| {
            let age = stamp
                .modified
                .and_then(|modified| wall.duration_since(modified).ok());
            // One that pauses may still have it open.
            let is_written = || !is_remote && writer(path) == Writer::Present;
            age.is_some_and(|age| age >= ABANDONED || age >= OLD && !is_written())
        };
        let now = self.start.elapsed();
        self.machine
            .swept(now, sweep, at_start, &is_old, &mut |path| {
                scan::stamp(path, inodes)
            });
        if under == root {
            (self.read, self.read_took) = (self.start.elapsed(), begun.elapsed());
        }
    }

    fn put_watch(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let result = watcher.watch(folder, RecursiveMode::NonRecursive);
        // A folder that is gone again, or that may not be read, is no reason to poll.
        if result.is_err_and(|error| signs::is_exhaustion(&error)) {
            self.exhausted();
        }
    }

    /// Passes on what the machine found out.
    fn tell(&mut self) {
        for event in self.machine.take() {
            self.say(event);
        }
    }

    fn say(&self, event: WatchEvent) {
        if !self.stopped.load(Ordering::Relaxed) {
            (self.sink)(event);
        }
    }
}

/// A limit of the kernel's, for a message.
fn limit(name: &str) -> String {
    let text = std::fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name));
    text.map_or_else(|_| "?".into(), |text| text.trim().to_owned())
}
