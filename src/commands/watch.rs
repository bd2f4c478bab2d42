//! `watch`: what is in a folder and what arrives there, a line each as results come, until a signal.

mod files;

use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::print::{self, closed_pipe};
use super::{Fault, Setup, exit, leave, on_signals, shown, sink};
use crate::cli;
use crate::engine::{Engine, Event, Job, Lane, Submitter};
use crate::library::Outcome;
use crate::library::export::{Format, Writer};
use crate::prompts::Prompts;
use crate::watch::{Options, Watch, WatchEvent};
use files::Files;

/// How long the second signal waits for the pass that is running.
const PATIENCE: Duration = Duration::from_secs(1);
/// Reading a tree more often than this only heats the disk.
const SHORTEST_POLL: f64 = 0.05;

/// What the parts of the command tell its main loop.
enum Note {
    /// The folder.
    Watch(WatchEvent),
    /// The engine; a job's generation tells it from others of the same file.
    Engine(Event),
    /// SIGINT or SIGTERM.
    Stop,
}

/// Watches until it is told to stop; the exit code.
pub fn run(arguments: &cli::Watch, setup: &Setup) -> Result<u8, Fault> {
    let poll = arguments.poll.map(interval).transpose()?;
    let prompts = setup.load_prompts()?;
    let writer = open(arguments, &prompts)?;
    let (sender, notes) = unbounded();
    on_signals(&[SIGINT, SIGTERM], {
        let sender = sender.clone();
        move || drop(sender.send(Note::Stop))
    })?;
    let events = sender.clone();
    let watch = Watch::start(
        &arguments.dir,
        Options { poll },
        Box::new(move |event| drop(events.send(Note::Watch(event)))),
    )
    .map_err(Fault::usage)?;
    let engine = Engine::start(
        setup.factory(arguments.results.fit),
        arguments.results.settings(prompts),
        sink(sender, Note::Engine),
    );
    let jobs = feed(engine.submitter()).map_err(|error| Fault::unusable(&error))?;
    let mut follower = Follower {
        writer,
        jobs,
        files: Files::default(),
        watch: Some(watch),
        shown: shown(&arguments.dir),
        begun: Instant::now(),
        classified: 0,
        failed: 0,
        passed_over: 0,
    };
    let ended = follower.follow(&notes)?;
    follower.leave()?;
    if ended == Ended::Drained {
        drop(follower);
        engine.finish();
    } else if !engine.shutdown(PATIENCE) {
        // A forward pass cannot be stopped; everything finished is written.
        leave(exit::OK);
    }
    Ok(exit::OK)
}

fn interval(seconds: f64) -> Result<Duration, Fault> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|_| seconds >= SHORTEST_POLL)
        .ok_or_else(|| {
            let reason = format!("--poll {seconds}: at least {SHORTEST_POLL} seconds are needed");
            Fault::usage(reason)
        })
}

/// Where the lines go: to the end of a file, or to stdout.
fn open(
    arguments: &cli::Watch,
    prompts: &Prompts,
) -> Result<Writer<BufWriter<Box<dyn Write>>>, Fault> {
    let Some(path) = &arguments.output else {
        let format = arguments.results.format();
        let out = BufWriter::new(print::stdout());
        return Ok(Writer::new(out, format, prompts));
    };
    let unwritable = |error: io::Error| Fault::usage(format!("{}: {error}", shown(path)));
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(path);
    let file = file.map_err(unwritable)?;
    let has_header = file.metadata().map_err(unwritable)?.len() > 0;
    let out: Box<dyn Write> = Box::new(file);
    let format = arguments.results.format.unwrap_or(Format::Jsonl);
    let writer = Writer::new(BufWriter::new(out), format, prompts);
    Ok(if has_header {
        writer.without_header()
    } else {
        writer
    })
}

/// Hands files to the engine, whose bounded lanes may hold whoever does that, from a thread of its own.
fn feed(submitter: Submitter) -> io::Result<Sender<Job>> {
    let (jobs, waiting) = unbounded::<Job>();
    let body = move || {
        for job in waiting {
            if submitter.submit(job).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("feed".into())
        .spawn(body)?;
    Ok(jobs)
}

#[derive(PartialEq, Eq)]
enum Ended {
    /// Everything accepted is through.
    Drained,
    /// A second signal came before that.
    AtOnce,
}

struct Follower<W: Write> {
    writer: Writer<W>,
    jobs: Sender<Job>,
    files: Files,
    /// `None` while what was accepted is being finished.
    watch: Option<Watch>,
    /// The folder, for messages.
    shown: String,
    begun: Instant,
    classified: u64,
    failed: u64,
    passed_over: u64,
}

impl<W: Write> Follower<W> {
    fn follow(&mut self, notes: &Receiver<Note>) -> Result<Ended, Fault> {
        while self.watch.is_some() || !self.files.are_through() {
            match self.next(notes) {
                Ok(Note::Watch(event)) => self.seen(event),
                Ok(Note::Engine(event)) => self.heard(event)?,
                Ok(Note::Stop) if self.watch.is_none() => return Ok(Ended::AtOnce),
                Ok(Note::Stop) => self.stop(notes)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let due = self.files.due(self.begun.elapsed());
            for path in due {
                self.submit(path);
            }
            if notes.is_empty() {
                self.writer.flush().or_else(closed_pipe)?;
            }
        }
        Ok(Ended::Drained)
    }

    fn next(&self, notes: &Receiver<Note>) -> Result<Note, RecvTimeoutError> {
        match self.files.next_due() {
            Some(due) => notes.recv_timeout(due.saturating_sub(self.begun.elapsed())),
            None => notes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn submit(&mut self, path: PathBuf) {
        let generation = self.files.submitted(&path);
        // The feeder ends only with the engine, which says so itself.
        let _ = self.jobs.send(Job {
            path,
            lane: Lane::Bulk,
            generation,
        });
    }

    fn seen(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Ready { path, news } => {
                self.files.ready(&path, news);
                self.submit(path);
            }
            WatchEvent::Removed(path) => self.files.removed(&path),
            WatchEvent::Renamed { from, to } => {
                let again = self.files.renamed(&from, &to);
                for path in again {
                    self.submit(path);
                }
            }
            WatchEvent::Standing { polling } => {
                let how = if polling {
                    ", reading it repeatedly"
                } else {
                    ""
                };
                let folder = &self.shown;
                print::message(format_args!("watching {folder}{how}; Ctrl-C ends it"));
            }
            WatchEvent::Problem(text) => print::message(format_args!("warning: {text}")),
            WatchEvent::Folder(_) | WatchEvent::Scanned => {}
        }
    }

    fn heard(&mut self, event: Event) -> Result<(), Fault> {
        match event {
            Event::Done {
                path,
                generation,
                outcomes,
            } => {
                let now = self.watch.is_some().then(|| self.begun.elapsed());
                match self.files.done(now, &path, generation, outcomes) {
                    Some(outcomes) => self.line(&path, &outcomes),
                    None => Ok(()),
                }
            }
            Event::Ready { warnings, .. } => {
                for warning in warnings {
                    print::message(format_args!("warning: {warning}"));
                }
                Ok(())
            }
            Event::Failed { message } => Err(Fault::unusable(message)),
            // Prompts stay what they are.
            _ => Ok(()),
        }
    }

    /// Accepts nothing more. What would be tried again counts as it is.
    fn stop(&mut self, notes: &Receiver<Note>) -> Result<(), Fault> {
        self.watch = None;
        // Files that the watch reported before it ended are accepted.
        for note in notes.try_iter().collect::<Vec<_>>() {
            match note {
                Note::Watch(event) => self.seen(event),
                Note::Engine(event) => self.heard(event)?,
                // The same signal sent to the whole process group more than once.
                Note::Stop => {}
            }
        }
        for (path, outcomes) in self.files.give_up() {
            self.line(&path, &outcomes)?;
        }
        Ok(())
    }

    fn line(&mut self, path: &std::path::Path, outcomes: &[Outcome]) -> Result<(), Fault> {
        if outcomes
            .iter()
            .all(|outcome| matches!(outcome, Err(failure) if failure.not_picture))
        {
            self.passed_over += 1;
            return Ok(());
        }
        if outcomes.iter().any(Result::is_err) {
            self.failed += 1;
        } else {
            self.classified += 1;
        }
        let writer = &mut self.writer;
        outcomes
            .iter()
            .try_for_each(|outcome| writer.write(path, outcome))
            .or_else(closed_pipe)
    }

    /// Writes what is left and says on stderr how it went.
    fn leave(&mut self) -> Result<(), Fault> {
        self.writer.finish().or_else(closed_pipe)?;
        let mut parts = vec![format!("{} classified", self.classified)];
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if self.passed_over > 0 {
            parts.push(format!("{} passed over (no pictures)", self.passed_over));
        }
        if parts.len() > 1 || io::stderr().is_terminal() {
            print::message(parts.join(", "));
        }
        Ok(())
    }
}
