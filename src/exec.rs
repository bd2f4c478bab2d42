//! Runs the user's programs on results: a [`CommandLine`] says what, a [`CommandRunner`] when, for how long, and how many at once.

mod command_line;
mod process;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::library::{Record, json};
pub use command_line::CommandLine;
use process::StopSignal;

/// The user's editor, `$VISUAL` or else `$EDITOR`; `None` if neither is set. An error is a sentence.
pub fn editor() -> Option<Result<CommandLine, String>> {
    ["VISUAL", "EDITOR"].into_iter().find_map(|name| {
        let text = std::env::var(name).ok()?;
        let parsed = (!text.trim().is_empty()).then(|| CommandLine::parse(&text))?;
        Some(parsed.map_err(|reason| format!("{name} {reason}")))
    })
}

/// Number of programs that run at once.
const MAX_PROGRAMS: usize = 4;
/// Number of waiting runs from which no more results should be taken on. The results of one file may exceed it.
const MAX_WAITING_RUNS: usize = 64;

/// How long a program may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// Time until its process group gets SIGTERM.
    pub time: Duration,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30),
            grace: Duration::from_secs(2),
        }
    }
}

/// Why a run did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    /// The program could not be started.
    #[error("cannot be started: {0}")]
    NotStarted(io::Error),
    /// It ended with an error or by a signal.
    #[error("{0}")]
    Status(ExitStatus),
    /// It was ended because it ran too long.
    #[error("ended after {} seconds, the time limit", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It was ended, or not started, because this process ends.
    #[error("ended because the watch was interrupted")]
    Interrupted,
}

/// A run that ended.
#[derive(Debug)]
pub struct FinishedRun {
    /// The file of the result.
    pub path: PathBuf,
    /// The command as the user wrote it.
    pub command: String,
    /// How it ended.
    pub result: Result<(), RunFailure>,
}

/// A run that waits.
struct WaitingRun {
    command: CommandLine,
    path: PathBuf,
    arguments: Vec<std::ffi::OsString>,
    /// The result as a line of JSON.
    input: Vec<u8>,
}

impl WaitingRun {
    fn finished(self, result: Result<(), RunFailure>) -> FinishedRun {
        FinishedRun {
            path: self.path,
            command: self.command.to_string(),
            result,
        }
    }
}

/// The runs that wait, and those under way.
#[derive(Default)]
struct RunQueue {
    waiting: VecDeque<WaitingRun>,
    running: usize,
    is_closed: bool,
}

/// What the threads share.
struct SharedQueue {
    queue: Mutex<RunQueue>,
    changed: Condvar,
    stop: StopSignal,
    limits: RunLimits,
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, RunQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs programs on results, at most four at once, in the order of the requests. Dropping it ends those that run.
///
/// A program gets the result's line of JSON on its stdin, which it need not read. What it writes to stdout or stderr goes to
/// this process's stderr. It leads a process group of its own, so that Ctrl-C does not reach it; what it leaves running in that
/// group is killed when it ends.
pub struct CommandRunner {
    shared: Arc<SharedQueue>,
    sender: Sender<FinishedRun>,
    finished: Receiver<FinishedRun>,
    /// One per program that ran at once so far.
    threads: Vec<JoinHandle<()>>,
}

impl CommandRunner {
    /// A runner of no programs so far.
    pub fn new(limits: RunLimits) -> io::Result<Self> {
        let (sender, finished) = unbounded();
        let shared = SharedQueue {
            queue: Mutex::default(),
            changed: Condvar::new(),
            stop: StopSignal::new()?,
            limits,
        };
        Ok(Self {
            shared: Arc::new(shared),
            sender,
            finished,
            threads: Vec::new(),
        })
    }

    /// Requests a run of `command` on the result of the file at `path`. Never blocks: see [`Self::has_room`].
    pub fn run(&mut self, command: &CommandLine, path: &Path, record: &Record) -> io::Result<()> {
        let mut input = json::line(record)?.into_bytes();
        input.push(b'\n');
        let run = WaitingRun {
            arguments: command.arguments(&std::path::absolute(path)?, &record.verdict),
            command: command.clone(),
            path: path.to_owned(),
            input,
        };
        let is_busy = self.unfinished_count() >= self.threads.len();
        if is_busy && self.threads.len() < MAX_PROGRAMS {
            let thread = self.start_thread();
            // With one thread, the others are not needed.
            if self.threads.is_empty() || thread.is_ok() {
                self.threads.push(thread?);
            }
        }
        self.shared.lock().waiting.push_back(run);
        self.shared.changed.notify_one();
        Ok(())
    }

    fn start_thread(&self) -> io::Result<JoinHandle<()>> {
        let (shared, sender) = (Arc::clone(&self.shared), self.sender.clone());
        let thread = std::thread::Builder::new().name("exec".into());
        thread.spawn(move || run_programs(&shared, &sender))
    }

    /// Whether few enough runs wait. While false, the caller should not produce more results.
    pub fn has_room(&self) -> bool {
        self.shared.lock().waiting.len() < MAX_WAITING_RUNS
    }

    /// Number of runs that wait or are under way.
    pub fn unfinished_count(&self) -> usize {
        let queue = self.shared.lock();
        queue.waiting.len() + queue.running
    }

    /// Ends the programs that run, and the runs that wait. They are finished as interrupted; what is requested later, never is.
    pub fn stop(&mut self) {
        self.shared.stop.send();
        let mut queue = self.shared.lock();
        queue.is_closed = true;
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        self.shared.changed.notify_all();
        for run in waiting {
            let _ = self.sender.send(run.finished(Err(RunFailure::Interrupted)));
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// The runs that ended; each is received once.
    pub fn finished(&self) -> &Receiver<FinishedRun> {
        &self.finished
    }
}

impl Drop for CommandRunner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The body of a thread. It lives as long as the process may need the programs: the kernel kills a program whose starter ends.
fn run_programs(shared: &SharedQueue, finished: &Sender<FinishedRun>) {
    let mut queue = shared.lock();
    loop {
        if queue.is_closed {
            return;
        }
        let Some(run) = queue.waiting.pop_front() else {
            let waited = shared.changed.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        queue.running += 1;
        drop(queue);
        let result = process::run(&run, shared.limits, &shared.stop, Instant::now());
        let ended = run.finished(result);
        queue = shared.lock();
        queue.running -= 1;
        // Under the lock: whoever counts no unfinished run finds all of them in the channel.
        let _ = finished.send(ended);
    }
}

#[cfg(test)]
mod tests;
