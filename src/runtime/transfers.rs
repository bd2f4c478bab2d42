//! Copies and moves files on a thread of its own, offers folders to do so, and opens files with other programs.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::folders::{MsgSender, entry, spawn};
use crate::app::{Msg, Severity};
use crate::exec::CommandLine;
use crate::transfer::{Transfer, TransferKind, TransferProgress, transfer, undo};

/// Interval between two reports of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// Entries of a folder that are looked at to complete a path.
const MAX_ENTRIES: usize = 10_000;

/// Tells the transfer under way to end, or a later one not to.
#[derive(Clone, Default)]
pub(super) struct TransferStop(Arc<AtomicBool>);

impl TransferStop {
    /// Ends the transfer under way.
    pub(super) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is to be done.
pub(super) enum TransferRequest {
    /// Copy or move files into a folder.
    Begin(TransferKind, Vec<PathBuf>, PathBuf),
    /// Take a transfer back.
    Undo(Transfer),
}

/// Carries out a request, until it is stopped or the program ends. `guard` is dropped at the end.
pub(super) fn run<G: Send + 'static>(
    request: TransferRequest,
    is_ending: Arc<AtomicBool>,
    guard: G,
    send: MsgSender,
) -> TransferStop {
    let stop = TransferStop::default();
    let is_stopped = stop.clone();
    let answer = Arc::clone(&send);
    spawn("transfer", &answer, move || {
        let _guard = guard;
        let word = match &request {
            TransferRequest::Begin(kind, ..) => kind.done(),
            TransferRequest::Undo(_) => "taken back",
        };
        let mut last = Instant::now();
        let mut proceed = |progress: TransferProgress| {
            if last.elapsed() >= PROGRESS_INTERVAL {
                last = Instant::now();
                let TransferProgress { files, all, bytes } = progress;
                let text = match bytes >> 20 {
                    0 => format!("{files} of {all} files {word}"),
                    megabytes => format!("{files} of {all} files {word}, {megabytes} MiB"),
                };
                let severity = Severity::Info;
                send(Msg::Report { severity, text });
            }
            !is_stopped.0.load(Ordering::Relaxed) && !is_ending.load(Ordering::Relaxed)
        };
        let (is_undo, outcome) = match request {
            TransferRequest::Begin(kind, files, folder) => {
                let outcome = transfer(kind, &files, &folder, &mut proceed);
                let outcome = outcome.map_err(|error| format!("{}: {error}", folder.display()));
                (false, outcome)
            }
            TransferRequest::Undo(done) => (true, Ok(undo(&done, &mut proceed))),
        };
        let placed = outcome.as_ref().map_or(Vec::new(), |done| {
            let path = |file: &crate::transfer::TransferredFile| match (is_undo, done.kind) {
                (false, _) => Some(file.to.clone()),
                (true, TransferKind::Move) => Some(file.from.clone()),
                (true, TransferKind::Copy) => None,
            };
            let paths = done.files.iter().filter_map(path);
            paths.filter_map(entry).collect()
        });
        send(Msg::Transferred {
            is_undo,
            outcome,
            placed,
        });
    });
    stop
}

/// Opens a file with a program that runs beside this one.
pub(super) fn open(program: &CommandLine, path: PathBuf, send: MsgSender) {
    let program = program.clone();
    let answer = Arc::clone(&send);
    spawn("open", &answer, move || {
        let mut command = program.command_for(&path);
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        // It may run for hours; waiting for it keeps it from staying as a zombie.
        let text = match command.status() {
            Ok(status) if status.success() => return,
            Ok(status) => format!("{} ended with {status}", program.program()),
            Err(error) => not_started(&program, &error),
        };
        let severity = Severity::Error;
        send(Msg::Report { severity, text });
    });
}

/// Says why a program did not run.
pub(super) fn not_started(program: &CommandLine, error: &io::Error) -> String {
    let name = program.program();
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no program {name}"),
        _ => format!("{name} cannot be run: {error}"),
    }
}

/// The path that was typed: `~/` is the home folder, and other relative paths begin at `base`.
pub(super) fn expanded(typed: &str, base: &Path) -> PathBuf {
    match typed
        .strip_prefix('~')
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    {
        Some(rest) => match std::env::home_dir() {
            Some(home) => home.join(rest.trim_start_matches('/')),
            None => base.join(typed),
        },
        None => base.join(typed),
    }
}

/// Sends the folders that a path which is being typed may lead to.
pub(super) fn folders(typed: String, base: PathBuf, send: MsgSender) {
    let answer = Arc::clone(&send);
    spawn("complete", &answer, move || {
        let (parent, begun) = typed
            .rsplit_once('/')
            .map_or(("", typed.as_str()), |(parent, begun)| {
                (&typed[..=parent.len()], begun)
            });
        let entries = fs::read_dir(expanded(parent, &base));
        let entries = entries.into_iter().flatten().flatten().take(MAX_ENTRIES);
        let mut found: Vec<String> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let is_hidden = name.starts_with('.') && !begun.starts_with('.');
                let fits = name.to_lowercase().starts_with(&begun.to_lowercase()) && !is_hidden;
                let is_folder = || fs::metadata(entry.path()).is_ok_and(|found| found.is_dir());
                (fits && is_folder()).then(|| format!("{parent}{name}/"))
            })
            .collect();
        found.sort();
        send(Msg::Folders { typed, found });
    });
}
