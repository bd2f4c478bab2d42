//! `bench`: what this machine makes of the model and of some pictures, stage by stage, and how near the whole comes to
//! what its stages allow.

mod bare;

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use bare::Bare;

use super::progress::Progress;
use super::run::{self, Batch, Note, Run, RunEnd};
use super::{Fault, Setup, exit, leave, on_signals, print, shown};
use crate::cli;
use crate::encoder::{Encoder, PreparedImage, Preprocess, limit_threads};
use crate::engine::{self, FrameSelection, Lane, Settings};
use crate::jobs::Ended;
use crate::media::{self, MediaError, walk};
use crate::phantom;
use crate::prompts::Prompts;
use crate::scoring::Mode;

/// Pictures of the largest batch that is tried: the engine makes no larger ones.
const INPUTS: usize = 256;
const INPUTS_ON_CPU: usize = 64;
/// Passes of the model that are measured at each size of batch, after one that is not.
const PASSES: usize = 9;
/// Pictures asked for one at a time.
const SINGLES: usize = 50;
/// Between two of them: OpenMP's threads keep their cores busy for some milliseconds after a pass, and the next picture is to
/// find them idle.
const REST: Duration = Duration::from_millis(20);
/// Phantoms drawn where no pictures are given, and their seed.
const PHANTOMS: usize = 60;
const SEED: u64 = 7;

/// What one stage does alone.
#[derive(Debug, Serialize)]
struct Stage {
    name: &'static str,
    /// Milliseconds a picture takes: of one core where several work side by side, of the device otherwise.
    milliseconds: f64,
    /// Pictures a second if the machine did nothing else; which is the limit that this stage sets.
    images_per_second: f64,
}

/// Latency of one picture at a time.
#[derive(Debug, Serialize)]
struct Single {
    /// Median over [`SINGLES`], from the file's path to the scores, milliseconds.
    p50_ms: f64,
    /// The slowest in a hundred.
    p99_ms: f64,
    /// The model's pass alone, median; each is measured right after the answer it belongs to.
    forward_ms: f64,
    /// `p50_ms` / `forward_ms`
    ratio: f64,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    model: String,
    device: String,
    cores: usize,
    pictures: usize,
    /// Files that could not be decoded; they are left out.
    failed: usize,
    /// Pictures in one pass of the model, while stages were measured.
    batch: usize,
    stages: Vec<Stage>,
    /// Pictures a second that the stages allow together: on a GPU the slowest one's, on the CPU what is left when
    /// they share the cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    /// Pictures a second through all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_to_end: Option<f64>,
    /// `end_to_end` / `limit`
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    single: Option<Single>,
    /// Most memory the process ever held, bytes.
    peak_memory: u64,
    interrupted: bool,
}

/// Measures; the exit code.
pub fn run(arguments: &cli::Bench, setup: &Setup) -> Result<u8, Fault> {
    let prompts = setup.load_prompts()?;
    let stop = Arc::new(AtomicBool::new(false));
    let notes = run::notes();
    on_signals(&[SIGINT, SIGTERM], {
        let (stop, sender) = (Arc::clone(&stop), notes.0.clone());
        move || {
            stop.store(true, Ordering::Relaxed);
            let _ = sender.send(Note::Stop);
        }
    })?;
    let progress = Progress::new();
    let drawn = if arguments.paths.is_empty() {
        progress.message("drawing phantoms");
        Some(phantoms()?)
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
    let mut bench = Bench {
        report: Report {
            cores: thread::available_parallelism().map_or(1, usize::from),
            ..Report::default()
        },
        exact: arguments.exact,
        stop: &stop,
        notes,
        progress: &progress,
    };
    // On a thread of its own, with which the model's computing threads end: beside the engine's they would be more than there
    // are cores, and OpenMP then lets all of them sleep at every barrier.
    let files = thread::scope(|scope| {
        let stages = scope.spawn(|| bench.stages(setup, files));
        stages.join().unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    // What that thread freed would stay in the process, and count as the engine's.
    // SAFETY: gives free memory back, no more.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    bench.whole(setup, prompts, &files)?;
    let mut report = bench.report;
    progress.end();
    report.peak_memory = peak_memory();
    report.interrupted = stop.load(Ordering::Relaxed);
    if arguments.json {
        print::json(&report)?;
    } else {
        print::lines(&table(&report))?;
    }
    if report.interrupted {
        drop(drawn);
        // A pass cannot be stopped; what was measured is told.
        leave(exit::INTERRUPTED);
    }
    Ok(exit::OK)
}

fn phantoms() -> Result<tempfile::TempDir, Fault> {
    let failed = |error: String| Fault {
        code: exit::SOME_FAILED,
        message: format!("phantoms cannot be drawn: {error}; name pictures of yours"),
    };
    let dir = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let studies = dir.path().join("studies");
    phantom::write_studies(&studies, SEED, PHANTOMS, |_| ())
        .map_err(|error| failed(error.to_string()))?;
    Ok(dir)
}

struct Bench<'a> {
    report: Report,
    exact: bool,
    stop: &'a AtomicBool,
    /// Those of the engine to come; a signal goes there too.
    notes: (Sender<Note>, Receiver<Note>),
    progress: &'a Progress,
}

/// A prepared picture, and the seconds that its two stages took.
struct Prepared {
    file: PathBuf,
    /// Of the first [`INPUTS`] files only: more pictures at a time the model is not given.
    input: Option<PreparedImage>,
    decode: f64,
    preprocess: f64,
}

impl Bench<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Each stage alone; the files that can be decoded.
    fn stages(&mut self, setup: &Setup, files: Vec<PathBuf>) -> Result<Vec<PathBuf>, Fault> {
        self.progress.message("reading the model");
        limit_threads(self.report.cores);
        let mut encoder = setup.factory(None)().map_err(Fault::unusable)?;
        self.report.model.clone_from(&encoder.card().id);
        self.report.device.clone_from(&encoder.card().device);
        self.progress.message("decoding");
        let asked = files.len();
        // Decoding is measured, not the disk: what does not open says so below.
        for file in files.iter().take_while(|_| !self.stopped()) {
            let _ = media::read_file(file, media::limits::MAX_BYTES);
        }
        let prepared = self.prepare(files, &encoder.preprocess());
        if !self.stopped() {
            self.report.failed = asked - prepared.len();
        }
        self.report.pictures = prepared.len();
        if prepared.is_empty() {
            if self.stopped() {
                return Ok(Vec::new());
            }
            return Err(Fault::unusable(
                "there is no picture to measure with; name files or folders that hold some",
            ));
        }
        let mean =
            |of: fn(&Prepared) -> f64| prepared.iter().map(of).sum::<f64>() / prepared.len() as f64;
        let (decode, preprocess) = (mean(|p| p.decode), mean(|p| p.preprocess));
        let cores = self.report.cores as f64;
        self.stage("decode", decode, cores / decode);
        self.stage("preprocess", preprocess, cores / preprocess);
        let inputs: Vec<PreparedImage> = prepared.iter().filter_map(|p| p.input.clone()).collect();
        self.progress.message("the model alone");
        let Some((transfer, forward)) = self.model(encoder.as_mut(), &inputs)? else {
            return Ok(Vec::new());
        };
        self.stage("transfer", transfer, 1.0 / transfer);
        self.stage("forward", forward, 1.0 / forward);
        let host = (decode + preprocess) / cores;
        self.report.limit = Some(if self.report.device.starts_with("cuda") {
            1.0 / host.max(transfer).max(forward)
        } else {
            1.0 / (host + transfer + forward)
        });
        Ok(prepared.into_iter().map(|p| p.file).collect())
    }

    fn stage(&mut self, name: &'static str, seconds: f64, images_per_second: f64) {
        self.report.stages.push(Stage {
            name,
            milliseconds: seconds * 1e3,
            images_per_second,
        });
    }

    /// Decodes and prepares on all cores, as the engine does; in the order of the files.
    fn prepare(&self, files: Vec<PathBuf>, preprocess: &Preprocess) -> Vec<Prepared> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let total = files.len() as u64;
        let work = || {
            while !self.stopped() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(file) = files.get(index) else { break };
                let mut prepared = prepare(file, preprocess, self.exact);
                if let Ok(prepared) = &mut prepared {
                    prepared.input.take_if(|_| index >= INPUTS);
                }
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push((index, prepared));
                self.progress.set(done.len() as u64, Some(total));
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.report.cores {
                scope.spawn(work);
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        let mut all = Vec::with_capacity(done.len());
        for (index, prepared) in done {
            match prepared {
                Ok(prepared) => all.push(prepared),
                Err(error) => self.progress.around(|| {
                    let path = shown(&files[index]);
                    print::message(format_args!("{path}: {error}"));
                }),
            }
        }
        all
    }

    /// Seconds a picture for transfer and forward pass, at the size of batch that is quickest; the size goes into the
    /// report. `None` when interrupted.
    fn model(
        &mut self,
        encoder: &mut dyn Encoder,
        inputs: &[PreparedImage],
    ) -> Result<Option<(f64, f64)>, Fault> {
        let mut best: Option<(f64, f64)> = None;
        let on_cpu = self.report.device == "cpu";
        let most = if on_cpu { INPUTS_ON_CPU } else { INPUTS };
        for batch in [1, 4, 16, 64, INPUTS] {
            // Nor any that takes much longer than it lets a pass take.
            let long = best.is_some_and(|(transfer, forward)| {
                (transfer + forward) * batch as f64 > 2.0 * engine::BULK_PASS_TIME.as_secs_f64()
            });
            if batch > inputs.len().min(most) || long {
                break;
            }
            let Some(now) = self.passes(encoder, &inputs[..batch])? else {
                return Ok(None);
            };
            if best.is_none_or(|best| now.0 + now.1 < best.0 + best.1) {
                best = Some(now);
                self.report.batch = batch;
            } else if on_cpu {
                // Larger ones only take longer to try.
                break;
            }
        }
        Ok(best)
    }

    /// Seconds a picture for transfer and forward pass: medians over [`PASSES`].
    fn passes(
        &self,
        encoder: &mut dyn Encoder,
        batch: &[PreparedImage],
    ) -> Result<Option<(f64, f64)>, Fault> {
        let (mut transfers, mut passes) = (Vec::new(), Vec::new());
        for pass in 0..=PASSES {
            if self.stopped() {
                return Ok(None);
            }
            let begun = Instant::now();
            encoder.transfer(batch).map_err(Fault::unusable)?;
            let transfer = begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            encoder.encode_images(batch).map_err(Fault::unusable)?;
            let both = begun.elapsed().as_secs_f64();
            if pass > 0 {
                transfers.push(transfer / batch.len() as f64);
                passes.push(both / batch.len() as f64);
            }
        }
        let transfer = quantile(&mut transfers, 0.5);
        Ok(Some((
            transfer,
            (quantile(&mut passes, 0.5) - transfer).max(1e-9),
        )))
    }

    /// The engine over all files, then one file at a time.
    fn whole(&mut self, setup: &Setup, prompts: Prompts, files: &[PathBuf]) -> Result<(), Fault> {
        if self.stopped() || files.is_empty() {
            return Ok(());
        }
        let settings = Settings {
            prompts,
            mode: Mode::Single,
            frames: FrameSelection::First,
            batch_size: None,
            decode_threads: None,
            exact: self.exact,
            pass_time: engine::BULK_PASS_TIME,
            embeddings: None,
        };
        let bare = Arc::new(Bare::default());
        let factory = bare.beside(setup.factory(None));
        let notes = self.notes.clone();
        let mut run = Run::start(factory, settings, notes, self.progress);
        let mut through = |lane, files: &[PathBuf]| -> Result<bool, Fault> {
            let mut count = Count {
                done: 0,
                all: files.len(),
            };
            let end = run.through(lane, &run::inputs(files.iter().cloned()), &mut count)?;
            Ok(end == RunEnd::All)
        };
        // Warm: the model is there, and the first batches have found their size.
        let enough = if self.report.device == "cpu" {
            8
        } else {
            2 * INPUTS
        };
        let warm = files.len().min(enough);
        if !through(Lane::Bulk, &files[..warm])? {
            return Ok(());
        }
        self.progress.message("all of it");
        let begun = Instant::now();
        if !through(Lane::Bulk, files)? {
            return Ok(());
        }
        let rate = files.len() as f64 / begun.elapsed().as_secs_f64();
        self.report.end_to_end = Some(rate);
        self.report.ratio = self.report.limit.map(|limit| rate / limit);
        self.progress.message("one at a time");
        bare.wanted.store(true, Ordering::Relaxed);
        let (mut took, mut passes) = (Vec::new(), Vec::new());
        for file in files.iter().cycle().take(SINGLES) {
            thread::sleep(REST);
            let begun = Instant::now();
            if !through(Lane::Interactive, std::slice::from_ref(file))? {
                break;
            }
            let pass = Duration::from_nanos(bare.took.load(Ordering::Relaxed));
            took.push(begun.elapsed().saturating_sub(pass).as_secs_f64() * 1e3);
            passes.push(pass.as_secs_f64() * 1e3);
        }
        if !took.is_empty() {
            let (p50_ms, forward_ms) = (quantile(&mut took, 0.5), quantile(&mut passes, 0.5));
            self.report.single = Some(Single {
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

/// Counts the files that are through.
struct Count {
    done: usize,
    all: usize,
}

impl Batch<()> for Count {
    type Input = PathBuf;

    fn begin(&mut self, path: PathBuf) -> Option<(PathBuf, ())> {
        Some((path, ()))
    }

    fn end(&mut self, ended: Ended<()>, progress: &Progress) -> Result<(), Fault> {
        self.done += ended.waiters.len();
        progress.set(self.done as u64, Some(self.all as u64));
        Ok(())
    }
}

/// A file's first frame as the engine prepares it, with the time that decoding (reading included) and preparing took.
fn prepare(file: &Path, preprocess: &Preprocess, exact: bool) -> Result<Prepared, MediaError> {
    let begun = Instant::now();
    let source = media::open(file)?;
    source.content()?;
    let decoding = engine::Decoding {
        preprocess,
        exact,
        lane: Lane::Bulk,
        cancelled: &|| false,
    };
    let shown = engine::decode_frame(&source, 0, &decoding)?;
    let decode = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let input = engine::preprocess_frame(preprocess, &shown.picture, &source, Lane::Bulk)?;
    Ok(Prepared {
        file: file.to_owned(),
        input: Some(input),
        decode,
        preprocess: begun.elapsed().as_secs_f64(),
    })
}

/// The value below which a part `q` of the values lies.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get((last as f64 * q).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// The kernel's high-water mark of this process; 0 where it tells none.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
    kilobytes.unwrap_or(0_u64) * 1024
}

fn table(report: &Report) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "{} on {}, {} cores, {} pictures, passes of {}\n\n",
        report.model, report.device, report.cores, report.pictures, report.batch
    );
    let _ = writeln!(
        text,
        "{:<12}{:>12}{:>14}",
        "stage", "ms/picture", "pictures/s"
    );
    for stage in &report.stages {
        let (name, ms, rate) = (stage.name, stage.milliseconds, stage.images_per_second);
        let _ = writeln!(text, "{name:<12}{ms:>12.2}{rate:>14.1}");
    }
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<24}{value:>14}");
    };
    if let Some(limit) = report.limit {
        line("limit of all stages", format!("{limit:.1}"));
    }
    if let Some(rate) = report.end_to_end {
        line("end to end", format!("{rate:.1}"));
    }
    if let Some(ratio) = report.ratio {
        line("of the limit", format!("{:.1} %", ratio * 100.0));
    }
    if let Some(single) = &report.single {
        line("one picture, p50", format!("{:.1} ms", single.p50_ms));
        line("one picture, p99", format!("{:.1} ms", single.p99_ms));
        line(
            "the model's pass alone",
            format!("{:.1} ms", single.forward_ms),
        );
        line("one picture / pass", format!("{:.2}", single.ratio));
    }
    line(
        "peak memory",
        format!("{:.0} MB", report.peak_memory as f64 / 1e6),
    );
    if report.failed > 0 {
        line("could not be decoded", report.failed.to_string());
    }
    if report.interrupted {
        text.push_str("\ninterrupted: what is missing was not measured\n");
    }
    text
}
