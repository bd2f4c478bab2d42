//! `bench`: the speed of each stage on this machine, and how close the end-to-end rate comes to the limit that the stages set.

pub mod adjust;
mod end_to_end;
mod forward_timer;
pub mod learn;
pub(super) mod phantoms;
mod report;
mod stages;
pub mod strange;
pub mod train;

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::progress::ProgressLine;
use super::run::{self, RunMessage};
use super::{CommandSetup, Fault, exit, leave, on_signals, print, shown};
use crate::cli;
use crate::media::walk;
use crate::phantom;
use report::{BenchReport, peak_memory};

/// Images of the largest batch measured: the engine makes no larger ones.
const MAX_BATCH: usize = 256;
const MAX_BATCH_ON_CPU: usize = 64;
/// Images classified one at a time.
const SINGLE_IMAGES: usize = 50;
/// Number of phantoms drawn if no images are given, and their seed.
const PHANTOMS: usize = 60;
const PHANTOM_SEED: u64 = 7;

/// Runs the measurements; returns the exit code.
pub fn run(arguments: &cli::BenchArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let prompts = setup.load_prompts()?;
    let stop = Arc::new(AtomicBool::new(false));
    let messages = run::messages();
    on_signals(&[SIGINT, SIGTERM], {
        let (stop, sender) = (Arc::clone(&stop), messages.0.clone());
        move || {
            stop.store(true, Ordering::Relaxed);
            let _ = sender.send(RunMessage::Stop);
        }
    })?;
    if let Some(path) = arguments.paths.iter().find(|path| !path.exists()) {
        return Err(Fault::usage(format!("{}: not found", shown(path))));
    }
    let progress = ProgressLine::new();
    let drawn = if arguments.paths.is_empty() {
        progress.message("generating phantoms");
        Some(draw_phantoms()?)
    } else {
        None
    };
    let roots = match &drawn {
        Some(dir) => vec![dir.path().to_owned()],
        None => arguments.paths.clone(),
    };
    let files: Vec<PathBuf> = roots
        .iter()
        .flat_map(|root| walk::files(root).filter_map(Result::ok))
        .take(arguments.limit)
        .collect();
    let mut benchmark = Benchmark {
        report: BenchReport {
            cores: thread::available_parallelism().map_or(1, usize::from),
            ..BenchReport::default()
        },
        exact: arguments.exact,
        stop: &stop,
        messages,
        progress: &progress,
    };
    // On a thread of its own, so that the model's computing threads end with it: together with the engine's they would be more
    // than there are cores, and OpenMP then lets all of them sleep at every barrier.
    let files = thread::scope(|scope| {
        let stages = scope.spawn(|| benchmark.measure_stages(setup, files));
        stages.join().unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    // Memory that this thread freed would stay in the process and count towards the engine's peak.
    // SAFETY: only returns free memory to the system.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    benchmark.measure_end_to_end(setup, prompts, &files)?;
    let mut report = benchmark.report;
    progress.end();
    report.peak_memory = peak_memory();
    report.interrupted = stop.load(Ordering::Relaxed);
    if arguments.json {
        print::json(&report)?;
    } else {
        print::lines(&report.table())?;
    }
    if report.interrupted {
        drop(drawn);
        // A forward pass cannot be stopped. What was measured has been printed.
        leave(exit::INTERRUPTED);
    }
    Ok(exit::OK)
}

fn draw_phantoms() -> Result<tempfile::TempDir, Fault> {
    let failed = |error: String| Fault {
        code: exit::SOME_FAILED,
        message: format!(
            "phantoms cannot be written: {error}; measure with images of your own instead"
        ),
    };
    let dir = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let studies = dir.path().join("studies");
    phantom::write_studies(&studies, PHANTOM_SEED, PHANTOMS, |_| ())
        .map_err(|error| failed(error.to_string()))?;
    Ok(dir)
}

/// A benchmark in progress.
struct Benchmark<'a> {
    report: BenchReport,
    exact: bool,
    stop: &'a AtomicBool,
    /// The channel for the engine's events, to which a signal is sent as well.
    messages: (Sender<RunMessage>, Receiver<RunMessage>),
    progress: &'a ProgressLine,
}

impl Benchmark<'_> {
    /// Whether a signal has interrupted it.
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
