//! Images prepared for the model: kept in memory up to a limit, beyond it decoded anew for each use.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::super::progress::ProgressLine;
use super::super::{print, shown};
use super::TrainingStop;
use super::labels::LabelledImage;
use crate::encoder::finetune::TrainingImages;
use crate::encoder::{EncoderError, PreparedImage, Preprocess};
use crate::engine::{self, Lane};
use crate::media::{self, MediaError};

/// Labelled images that can be decoded, and as many as may be kept.
pub(super) struct PreparedImages {
    pub(super) images: Vec<LabelledImage>,
    /// Files that are images and could not be read.
    pub(super) failed: usize,
    kept: Vec<Option<PreparedImage>>,
    preprocess: Preprocess,
}

/// Decodes and prepares the first frame of a file, as when it is classified.
pub(in crate::commands) fn prepare(
    file: &Path,
    preprocess: &Preprocess,
) -> Result<PreparedImage, MediaError> {
    let source = media::open(file)?;
    source.content()?;
    let decoding = engine::Decoding {
        preprocess,
        exact: false,
        lane: Lane::Bulk,
        cancelled: &|| false,
    };
    let shown = engine::decode_frame(&source, 0, &decoding)?;
    engine::preprocess_frame(preprocess, &shown.picture, &source, Lane::Bulk)
}

impl PreparedImages {
    /// Decodes all images on all cores, and keeps `limit` bytes of them. Those that cannot be read are printed. `None` if it was
    /// stopped.
    pub(super) fn read(
        images: Vec<LabelledImage>,
        preprocess: Preprocess,
        limit: u64,
        (progress, stop): (&ProgressLine, &TrainingStop),
    ) -> Option<Self> {
        let bytes = (preprocess.width() * preprocess.height() * 3).max(1) as u64;
        let limit = usize::try_from(limit / bytes).unwrap_or(usize::MAX);
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let total = images.len() as u64;
        let work = || {
            while !stop.is_raised() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(image) = images.get(index) else {
                    break;
                };
                let prepared = prepare(&image.path, &preprocess);
                let prepared = prepared.map(|own| (index < limit).then_some(own));
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push((index, prepared));
                progress.set(done.len() as u64, Some(total));
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        if stop.is_raised() {
            return None;
        }
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        let mut all = Self {
            images: Vec::new(),
            failed: 0,
            kept: Vec::new(),
            preprocess,
        };
        for (image, (_, prepared)) in images.into_iter().zip(done) {
            match prepared {
                Ok(prepared) => {
                    all.images.push(image);
                    all.kept.push(prepared);
                }
                // Files that are not images are no fault of a folder.
                Err(error) if !error.content.is_image() => {}
                Err(error) => {
                    all.failed += 1;
                    let path = shown(&image.path);
                    progress.suspend(|| print::message(format_args!("{path}: {error}")));
                }
            }
        }
        Some(all)
    }

    /// The number of images that are decoded anew for each use.
    pub(super) fn not_kept(&self) -> usize {
        self.kept.iter().filter(|own| own.is_none()).count()
    }
}

impl TrainingImages for PreparedImages {
    fn image(&self, index: usize) -> Result<PreparedImage, EncoderError> {
        if let Some(kept) = &self.kept[index] {
            return Ok(kept.clone());
        }
        let path = &self.images[index].path;
        prepare(path, &self.preprocess).map_err(|error| EncoderError::File {
            path: path.clone(),
            reason: error.to_string(),
        })
    }
}
