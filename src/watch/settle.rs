//! The settle machine: signs and time in, "this file is ready" out. Pure: it looks at files through a function it is
//! given, and time is a number.
//!
//! ```text
//!            created            opened, written              closed, renamed into
//!  (unknown) ───────► Unchanged ──────────────► Written ──────────────────────► Complete
//!                         │  same twice            │  same twice, much later        │  looked at
//!                         └────────► Asked ◄───────┘                                │
//!                                      │  nobody has it open for writing            │
//!                                      └───────────────► Ready ◄────────────────────┘
//! ```
//!
//! That a file does not change proves little: its writer may pause. Who uses the machine is therefore
//! [asked](Settle::questions) whether somebody has it open.
//!
//! A file is reported once for each content; contents are told apart by size and time of change ([`Stamp`]).

mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::names::is_passing;
use super::{News, WatchEvent};

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Time of the last change.
    pub modified: Option<SystemTime>,
    /// The file's number on its disk, 0 where there are none. Not part of what makes two stamps equal.
    pub inode: u64,
    /// Time of the last change of its rights, times or content, in nanoseconds. Not part of that either.
    pub status_changed: i128,
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        (self.size, self.modified) == (other.size, other.modified)
    }
}

impl Eq for Stamp {}

impl Stamp {
    /// The same content with other times, as far as one can tell.
    fn may_be_touched(&self, now: &Self) -> bool {
        (self.size, self.inode) == (now.size, now.inode)
    }

    /// The same file under another name, as far as one can tell.
    fn is_same_file(&self, other: &Self) -> bool {
        self.inode != 0 && self.inode == other.inode && self == other
    }
}

/// Something seen in the tree. Paths are complete; those that are hidden or temporary are ignored here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A name appeared: a new file, a link.
    Created(PathBuf),
    /// Someone opened the file.
    Opened(PathBuf),
    /// Someone changed the content; this one's close will be told.
    Written(PathBuf),
    /// Someone who could write closed the file.
    Closed(PathBuf),
    /// Times, owner or rights changed.
    Touched(PathBuf),
    /// A folder appeared.
    Folder(PathBuf),
    /// A file or folder is no longer called this.
    Left {
        /// Its name until now.
        path: PathBuf,
        /// Joins it to an [`Sign::Arrived`].
        tracker: Option<usize>,
    },
    /// A file or folder is called this from now on.
    Arrived {
        /// Its new name.
        path: PathBuf,
        /// Joins it to a [`Sign::Left`].
        tracker: Option<usize>,
        /// It is a folder.
        folder: bool,
    },
    /// A file or folder was deleted.
    Gone(PathBuf),
}

/// What a reading of a folder tree found.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Where it began.
    pub under: PathBuf,
    /// All files.
    pub files: Vec<(PathBuf, Stamp)>,
    /// All folders, without `under`.
    pub folders: Vec<PathBuf>,
    /// Folders of which nothing is known because they could not be read.
    pub unreadable: Vec<PathBuf>,
    /// Those among them that may not be read.
    pub refused: Vec<PathBuf>,
}

impl Sweep {
    /// Nothing found yet.
    pub fn new(under: PathBuf) -> Self {
        Self {
            under,
            files: Vec::new(),
            folders: Vec::new(),
            unreadable: Vec::new(),
            refused: Vec::new(),
        }
    }
}

/// Whether a process has a file open for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// One has.
    Present,
    /// None has.
    Absent,
    /// It cannot be found out: the file is another user's, or lies on another machine.
    Unknown,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From a close to the look: joins the bursts in which programs open, append, close, and set times.
    pub grace: Duration,
    /// A file whose writer is unknown is complete when it does not change for this long.
    pub settle: Duration,
    /// As `settle`, while a writer was seen that has not closed, and for files that are still empty.
    pub held: Duration,
    /// As `held`, where it cannot be found out whether the writer that was seen still has the file open.
    pub unsure: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            grace: Duration::from_millis(60),
            settle: Duration::from_millis(500),
            held: Duration::from_secs(3),
            unsure: Duration::from_secs(60),
        }
    }
}

/// What is awaited of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing: it was reported as it is.
    Resting,
    /// That it does not change.
    Unchanged,
    /// That its writer, who was seen, closes it.
    Written,
    /// That it gets a content.
    Empty,
    /// The answer to whether somebody has it open.
    Asked {
        /// A writer was seen that has not closed it.
        seen: bool,
    },
    /// Only the look.
    Complete,
    /// The look after a change of rights or times.
    Touched,
}

#[derive(Clone, Debug)]
struct File {
    phase: Phase,
    due: Option<Duration>,
    /// At the last look.
    last: Option<Stamp>,
    /// The first look at which it was like that.
    since: Duration,
    /// When it was reported.
    reported: Option<Stamp>,
    /// `reported` was brought up to date on the word of a touch alone.
    assumed: bool,
    news: News,
}

/// A name that was left, until its new name is told or it is clear that there is none in the tree.
#[derive(Debug)]
struct Departure {
    path: PathBuf,
    tracker: Option<usize>,
    due: Duration,
}

/// Looks at a file: `None` when there is none.
pub type Look<'a> = dyn FnMut(&Path) -> Option<Stamp> + 'a;

/// The machine. Times are since any fixed moment.
#[derive(Debug)]
pub struct Settle {
    root: PathBuf,
    /// What the root is called in events.
    name: PathBuf,
    times: Times,
    files: BTreeMap<PathBuf, File>,
    folders: BTreeSet<PathBuf>,
    /// Folders that may not be read.
    refused: BTreeSet<PathBuf>,
    due: BTreeSet<(Duration, PathBuf)>,
    departures: Vec<Departure>,
    questions: Vec<PathBuf>,
    out: Vec<WatchEvent>,
}

impl Settle {
    /// Knows nothing yet of the tree at `root`.
    pub fn new(root: PathBuf, times: Times) -> Self {
        Self {
            name: root.clone(),
            root,
            times,
            files: BTreeMap::new(),
            folders: BTreeSet::new(),
            refused: BTreeSet::new(),
            due: BTreeSet::new(),
            departures: Vec::new(),
            questions: Vec::new(),
            out: Vec::new(),
        }
    }

    /// The same, with events that name the root as the user did.
    #[must_use]
    pub fn with_name(self, name: PathBuf) -> Self {
        Self { name, ..self }
    }

    /// Changes what is waited for from now on.
    pub fn set_times(&mut self, times: Times) {
        self.times = times;
    }

    /// What has been found out since the last call.
    pub fn take(&mut self) -> Vec<WatchEvent> {
        let events = std::mem::take(&mut self.out);
        let name = |path: PathBuf| match path.strip_prefix(&self.root) {
            Ok(rest) => tree::join(&self.name, rest),
            Err(_) => path,
        };
        events
            .into_iter()
            .map(|event| event.renamed(&name))
            .collect()
    }

    /// Whether a folder might not be read when it was last tried.
    pub fn is_refused(&self, path: &Path) -> bool {
        self.refused.contains(path)
    }

    /// When [`tick`](Self::tick) has something to do.
    pub fn next(&self) -> Option<Duration> {
        let file = self.due.first().map(|(due, _)| *due);
        let departure = self.departures.iter().map(|d| d.due).min();
        [file, departure].into_iter().flatten().min()
    }

    /// Takes in a sign.
    pub fn sign(&mut self, now: Duration, sign: Sign) {
        match sign {
            Sign::Arrived {
                path,
                tracker,
                folder,
            } => {
                let left =
                    tracker.and_then(|_| self.departures.iter().position(|d| d.tracker == tracker));
                let from = left.map(|index| self.departures.remove(index).path);
                self.depart_at(&path);
                match from {
                    Some(from) => self.renamed(now, &from, path, folder),
                    None => self.arrived(now, path, folder),
                }
            }
            Sign::Left { path, tracker } => {
                self.depart_at(&path);
                if !is_passing(&self.root, &path) {
                    let due = now + self.times.grace;
                    self.departures.push(Departure { path, tracker, due });
                }
            }
            Sign::Gone(path) => {
                self.depart_at(&path);
                self.gone(&path);
            }
            Sign::Folder(path) => {
                self.depart_at(&path);
                self.folder(path);
            }
            Sign::Created(path) => self.step(now, path, |times| (Phase::Unchanged, times.settle)),
            Sign::Written(path) => self.step(now, path, |times| (Phase::Written, times.held)),
            Sign::Closed(path) => self.step(now, path, |times| (Phase::Complete, times.grace)),
            Sign::Opened(path) => {
                // Right after the name appeared it is the one who made it; later it may well be a reader.
                let made = self.files.get(&path);
                if made.is_some_and(|file| file.phase == Phase::Unchanged && file.last.is_none()) {
                    self.step(now, path, |times| (Phase::Written, times.held));
                }
            }
            Sign::Touched(path) => {
                if self
                    .files
                    .get(&path)
                    .is_some_and(|file| file.phase == Phase::Resting)
                {
                    self.step(now, path, |times| (Phase::Touched, times.grace));
                }
            }
        }
    }

    /// Does what is due: looks at files, and reports those that are complete.
    pub fn tick(&mut self, now: Duration, look: &mut Look) {
        while let Some(index) = self.departures.iter().position(|d| d.due <= now) {
            let path = self.departures.remove(index).path;
            self.gone(&path);
            // Another file has the name by now, and what told of it was lost.
            if look(&path).is_some() {
                self.step(now, path, |times| (Phase::Unchanged, times.settle));
            }
        }
        while self.due.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, path)) = self.due.pop_first() else {
                break;
            };
            let stamp = look(&path);
            self.looked(now, &path, stamp);
        }
    }

    /// Files that seem to be complete, if nobody has them open for writing. Each is to be [answered](Self::answer)
    /// at once.
    pub fn questions(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.questions)
    }

    /// Answers a question: the file is complete, or looked at again later.
    pub fn answer(&mut self, now: Duration, path: &Path, writer: Writer) {
        let Some(file) = self.files.get(path) else {
            return;
        };
        let (Phase::Asked { seen }, Some(stamp)) = (file.phase, file.last) else {
            return;
        };
        let is_written = match writer {
            Writer::Present => true,
            Writer::Absent => false,
            Writer::Unknown => seen && now < file.since + self.times.unsure,
        };
        if is_written {
            self.wait(now, path, (Phase::Written, self.times.held));
        } else {
            self.report(path, stamp);
        }
    }

    /// A name that has a pending departure is being used again: the departure is final.
    fn depart_at(&mut self, path: &Path) {
        while let Some(index) = self
            .departures
            .iter()
            .position(|d| path.starts_with(&d.path))
        {
            let left = self.departures.remove(index).path;
            self.gone(&left);
        }
    }

    /// Sets what is awaited of a file, known or not.
    fn step(
        &mut self,
        now: Duration,
        path: PathBuf,
        next: impl FnOnce(&Times) -> (Phase, Duration),
    ) {
        self.depart_at(&path);
        if is_passing(&self.root, &path) || self.folders.contains(&path) {
            return;
        }
        let next = next(&self.times);
        if self.files.contains_key(&path) {
            self.wait(now, &path, next);
        } else {
            self.insert(now, path, News::New, next);
        }
    }

    fn insert(&mut self, now: Duration, path: PathBuf, news: News, next: (Phase, Duration)) {
        let file = File {
            phase: Phase::Resting,
            due: None,
            last: None,
            since: now,
            reported: None,
            assumed: false,
            news,
        };
        self.files.insert(path.clone(), file);
        self.wait(now, &path, next);
    }

    fn wait(&mut self, now: Duration, path: &Path, (phase, wait): (Phase, Duration)) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        if let Some(due) = file.due.take() {
            self.due.remove(&(due, path.to_owned()));
        }
        file.phase = phase;
        file.due = Some(now + wait);
        self.due.insert((now + wait, path.to_owned()));
    }

    fn rest(&mut self, path: &Path) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        file.phase = Phase::Resting;
        if let Some(due) = file.due.take() {
            self.due.remove(&(due, path.to_owned()));
        }
    }

    /// A file was looked at because it was due.
    fn looked(&mut self, now: Duration, path: &Path, stamp: Option<Stamp>) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        file.due = None;
        let Some(stamp) = stamp else {
            self.gone(path);
            return;
        };
        let unchanged = file.last.replace(stamp) == Some(stamp);
        if !unchanged {
            file.since = now;
        }
        match file.phase {
            Phase::Unchanged if stamp.size == 0 && unchanged => {
                self.wait(now, path, (Phase::Empty, self.times.held));
            }
            Phase::Unchanged | Phase::Empty if !unchanged => {
                self.wait(now, path, (Phase::Unchanged, self.times.settle));
            }
            Phase::Written if !unchanged => self.wait(now, path, (Phase::Written, self.times.held)),
            Phase::Unchanged | Phase::Empty | Phase::Written => {
                let seen = file.phase == Phase::Written;
                file.phase = Phase::Asked { seen };
                self.questions.push(path.to_owned());
            }
            Phase::Touched
                if file
                    .reported
                    .is_some_and(|reported| reported.may_be_touched(&stamp)) =>
            {
                file.assumed |= file.reported.replace(stamp) != Some(stamp);
                self.rest(path);
                let path = path.to_owned();
                self.out.push(WatchEvent::Touched { path, stamp });
            }
            Phase::Touched => self.wait(now, path, (Phase::Unchanged, self.times.settle)),
            Phase::Complete | Phase::Resting | Phase::Asked { .. } => self.report(path, stamp),
        }
    }

    /// The file is complete: says so, unless this content was reported before.
    fn report(&mut self, path: &Path, stamp: Stamp) {
        self.rest(path);
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        let before = file.reported.replace(stamp);
        file.last = Some(stamp);
        // A write told after a touch may have been seen, and taken for it, before it was told.
        let assumed = std::mem::take(&mut file.assumed);
        if before == Some(stamp) && !assumed {
            return;
        }
        let news = if before.is_some() {
            News::Changed
        } else {
            file.news
        };
        let path = path.to_owned();
        self.out.push(WatchEvent::Ready { path, news, stamp });
    }

    /// A name has come by a rename from outside the tree, or from a name in passing.
    fn arrived(&mut self, now: Duration, path: PathBuf, folder: bool) {
        if folder {
            self.folder(path);
        } else {
            self.step(now, path, |times| (Phase::Complete, times.grace));
        }
    }

    /// A name has come by a rename inside the tree.
    fn renamed(&mut self, now: Duration, from: &Path, to: PathBuf, folder: bool) {
        if is_passing(&self.root, &to) {
            self.gone(from);
        } else if self.folders.contains(from) {
            self.rename_folder(from, &to);
        } else if self.files.contains_key(from) {
            self.rename_file(now, from, to);
        } else {
            self.arrived(now, to, folder);
        }
    }

    fn rename_file(&mut self, now: Duration, from: &Path, to: PathBuf) {
        self.rest(&to);
        let overwritten = self.files.remove(&to).and_then(|file| file.reported);
        let awaited = self.files.get(from).map(|file| file.phase);
        self.rest(from);
        let Some(mut file) = self.files.remove(from) else {
            return;
        };
        if file.reported.is_some() {
            let (from, to) = (from.to_owned(), to.clone());
            self.out.push(WatchEvent::Renamed { from, to });
        } else {
            file.reported = overwritten;
            self.out.push(WatchEvent::Removed(from.to_owned()));
        }
        self.files.insert(to.clone(), file);
        // Whoever writes to it still does, under the new name; otherwise a rename says that it is complete.
        let next = match awaited {
            Some(Phase::Written) => (Phase::Written, self.times.held),
            _ => (Phase::Complete, self.times.grace),
        };
        self.wait(now, &to, next);
    }
}

#[cfg(test)]
#[path = "settle/tests.rs"]
mod tests;
