//! Measures the whole engine: throughput over many files, and latency of one file at a time.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::forward_timer::ForwardTimer;
use super::report::{SingleLatency, quantile};
use super::{Benchmark, MAX_BATCH, SINGLE_IMAGES};
use crate::commands::progress::ProgressLine;
use crate::commands::run::{self, BatchHandler, Run, RunEnd};
use crate::commands::{CommandSetup, Fault};
use crate::engine::{self, FrameSelection, Lane, Settings};
use crate::jobs::Ended;
use crate::learn::LearnedSets;
use crate::prompts::Prompts;
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;

/// Pause between single images. OpenMP's threads keep their cores busy for some milliseconds after a pass; the next image is
/// to find them idle.
const PAUSE: Duration = Duration::from_millis(20);

impl Benchmark<'_> {
    /// Runs all files through the engine, then single files.
    pub(super) fn measure_end_to_end(
        &mut self,
        setup: &CommandSetup,
        prompts: Prompts,
        files: &[PathBuf],
    ) -> Result<(), Fault> {
        if self.is_stopped() || files.is_empty() {
            return Ok(());
        }
        let settings = Settings {
            prompts,
            mode: Mode::Single,
            calibrations: Calibrations::default(),
            learned: LearnedSets::default(),
            frames: FrameSelection::First,
            batch_size: None,
            decode_threads: None,
            exact: self.exact,
            pass_time: engine::BULK_PASS_TIME,
            library: None,
            stores_results: true,
        };
        let timer = Arc::new(ForwardTimer::default());
        let factory = timer.wrap(setup.factory(None));
        let messages = self.messages.clone();
        let mut run = Run::start(factory, settings, messages, self.progress);
        let mut classify = |lane, files: &[PathBuf]| -> Result<bool, Fault> {
            let mut count = FileCount {
                done: 0,
                total: files.len(),
            };
            let inputs = run::inputs(files.iter().cloned());
            let end = run.classify_all(lane, &inputs, &mut count)?;
            Ok(end == RunEnd::All)
        };
        // Warm-up: loads the model, and lets the batch size settle.
        let enough = if self.report.device == "cpu" {
            8
        } else {
            2 * MAX_BATCH
        };
        let warm_up = files.len().min(enough);
        if !classify(Lane::Bulk, &files[..warm_up])? {
            return Ok(());
        }
        self.progress.message("all stages together");
        let begun = Instant::now();
        if !classify(Lane::Bulk, files)? {
            return Ok(());
        }
        let rate = files.len() as f64 / begun.elapsed().as_secs_f64();
        self.report.end_to_end = Some(rate);
        self.report.ratio = self.report.limit.map(|limit| rate / limit);
        self.progress.message("one image at a time");
        timer.enabled.store(true, Ordering::Relaxed);
        let (mut took, mut passes) = (Vec::new(), Vec::new());
        for file in files.iter().cycle().take(SINGLE_IMAGES) {
            thread::sleep(PAUSE);
            let begun = Instant::now();
            if !classify(Lane::Interactive, std::slice::from_ref(file))? {
                break;
            }
            let pass = Duration::from_nanos(timer.nanoseconds.load(Ordering::Relaxed));
            took.push(begun.elapsed().saturating_sub(pass).as_secs_f64() * 1e3);
            passes.push(pass.as_secs_f64() * 1e3);
        }
        if !took.is_empty() {
            let (p50_ms, forward_ms) = (quantile(&mut took, 0.5), quantile(&mut passes, 0.5));
            self.report.single = Some(SingleLatency {
                p50_ms,
                p99_ms: quantile(&mut took, 0.99),
                forward_ms,
                ratio: p50_ms / forward_ms,
            });
        }
        run.shutdown();
        Ok(())
    }
}

/// Counts the classified files.
struct FileCount {
    done: usize,
    total: usize,
}

impl BatchHandler<PathBuf, ()> for FileCount {
    fn begin(&mut self, path: PathBuf) -> Option<(PathBuf, ())> {
        Some((path, ()))
    }

    fn end(&mut self, ended: Ended<()>, progress: &ProgressLine) -> Result<(), Fault> {
        self.done += ended.waiters.len();
        progress.set(self.done as u64, Some(self.total as u64));
        Ok(())
    }
}
