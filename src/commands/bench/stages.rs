//! Measures each stage on its own: decoding, preparing, transfer to the device, forward pass.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::report::{StageTiming, quantile};
use super::{Benchmark, MAX_BATCH, MAX_BATCH_ON_CPU};
use crate::commands::{CommandSetup, Fault, print, shown};
use crate::encoder::{Encoder, PreparedImage, Preprocess, limit_threads};
use crate::engine::{self, Lane};
use crate::media::{self, MediaError};

/// Forward passes measured at each batch size, after one that is not.
const MEASURED_PASSES: usize = 9;

/// A prepared image, and the seconds that its two stages took.
pub(super) struct PreparedFile {
    file: PathBuf,
    /// `None` beyond the first [`MAX_BATCH`] files, which no batch needs.
    pub(super) input: Option<PreparedImage>,
    decode: f64,
    preprocess: f64,
}

impl Benchmark<'_> {
    /// Measures each stage; returns the files that can be decoded.
    pub(super) fn measure_stages(
        &mut self,
        setup: &CommandSetup,
        files: Vec<PathBuf>,
    ) -> Result<Vec<PathBuf>, Fault> {
        self.progress.message("loading the model");
        limit_threads(self.report.cores);
        let mut encoder = setup.factory(None)().map_err(Fault::unusable)?;
        self.report.model.clone_from(&encoder.card().id);
        self.report.device.clone_from(&encoder.card().device);
        self.progress.message("decoding");
        let requested = files.len();
        // Fills the page cache, so that decoding is measured and not the disk. Files that cannot be read are reported below.
        for file in files.iter().take_while(|_| !self.is_stopped()) {
            let _ = media::read_file(file, media::limits::MAX_BYTES);
        }
        let prepared = self.prepare_all(files, &encoder.preprocess());
        if !self.is_stopped() {
            self.report.failed = requested - prepared.len();
        }
        self.report.pictures = prepared.len();
        if prepared.is_empty() {
            if self.is_stopped() {
                return Ok(Vec::new());
            }
            return Err(Fault::unusable(
                "there are no images to measure with; give files or folders that contain images",
            ));
        }
        let mean = |of: fn(&PreparedFile) -> f64| {
            prepared.iter().map(of).sum::<f64>() / prepared.len() as f64
        };
        let (decode, preprocess) = (mean(|p| p.decode), mean(|p| p.preprocess));
        let cores = self.report.cores as f64;
        self.add_stage("decode", decode, cores / decode);
        self.add_stage("preprocess", preprocess, cores / preprocess);
        let inputs: Vec<PreparedImage> = prepared.iter().filter_map(|p| p.input.clone()).collect();
        self.progress.message("the model alone");
        let Some((transfer, forward)) = self.measure_model(encoder.as_mut(), &inputs)? else {
            return Ok(Vec::new());
        };
        self.add_stage("transfer", transfer, 1.0 / transfer);
        self.add_stage("forward", forward, 1.0 / forward);
        let host = (decode + preprocess) / cores;
        self.report.limit = Some(if self.report.device.starts_with("cuda") {
            1.0 / host.max(transfer).max(forward)
        } else {
            1.0 / (host + transfer + forward)
        });
        Ok(prepared.into_iter().map(|p| p.file).collect())
    }

    fn add_stage(&mut self, name: &'static str, seconds: f64, images_per_second: f64) {
        self.report.stages.push(StageTiming {
            name,
            milliseconds: seconds * 1e3,
            images_per_second,
        });
    }

    /// Decodes and prepares the files on all cores, as the engine does. The result is in the order of the files.
    fn prepare_all(&self, files: Vec<PathBuf>, preprocess: &Preprocess) -> Vec<PreparedFile> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let total = files.len() as u64;
        let work = || {
            while !self.is_stopped() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(file) = files.get(index) else { break };
                let mut prepared = prepare(file, preprocess, self.exact);
                if let Ok(prepared) = &mut prepared {
                    prepared.input.take_if(|_| index >= MAX_BATCH);
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
                Err(error) => self.progress.suspend(|| {
                    let path = shown(&files[index]);
                    print::message(format_args!("{path}: {error}"));
                }),
            }
        }
        all
    }

    /// Seconds per image for transfer and forward pass at the fastest batch size, which goes into the report. `None` if
    /// interrupted.
    fn measure_model(
        &mut self,
        encoder: &mut dyn Encoder,
        inputs: &[PreparedImage],
    ) -> Result<Option<(f64, f64)>, Fault> {
        let mut best: Option<(f64, f64)> = None;
        let on_cpu = self.report.device == "cpu";
        let max_batch = if on_cpu { MAX_BATCH_ON_CPU } else { MAX_BATCH };
        for batch in [1, 4, 16, 64, MAX_BATCH] {
            // The engine does not make batches that take much longer than its bulk passes.
            let too_long = best.is_some_and(|(transfer, forward)| {
                (transfer + forward) * batch as f64 > 2.0 * engine::BULK_PASS_TIME.as_secs_f64()
            });
            if batch > inputs.len().min(max_batch) || too_long {
                break;
            }
            let Some(now) = self.measure_passes(encoder, &inputs[..batch])? else {
                return Ok(None);
            };
            if best.is_none_or(|best| now.0 + now.1 < best.0 + best.1) {
                best = Some(now);
                self.report.batch = batch;
            } else if on_cpu {
                // On the CPU larger batches are not faster either, and take longer to measure.
                break;
            }
        }
        Ok(best)
    }

    /// Seconds per image for transfer and forward pass: medians over [`MEASURED_PASSES`]. `None` if interrupted.
    fn measure_passes(
        &self,
        encoder: &mut dyn Encoder,
        batch: &[PreparedImage],
    ) -> Result<Option<(f64, f64)>, Fault> {
        let (mut transfers, mut passes) = (Vec::new(), Vec::new());
        for pass in 0..=MEASURED_PASSES {
            if self.is_stopped() {
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
}

/// Prepares a file's first frame as the engine does, and measures decoding (reading included) and preparing.
pub(super) fn prepare(
    file: &Path,
    preprocess: &Preprocess,
    exact: bool,
) -> Result<PreparedFile, MediaError> {
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
    Ok(PreparedFile {
        file: file.to_owned(),
        input: Some(input),
        decode,
        preprocess: begun.elapsed().as_secs_f64(),
    })
}
