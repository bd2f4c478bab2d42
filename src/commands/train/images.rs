//! Images prepared for the model: kept in memory up to a limit, beyond it decoded anew for each use.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::super::progress::ProgressLine;
use super::super::reviews::content_of;
use super::super::{Fault, print, shown};
use super::TrainingStop;
use super::labels::{self, LabelledImage};
use crate::encoder::finetune::TrainingImages;
use crate::encoder::{EncoderError, PreparedImage, Preprocess};
use crate::engine::{self, Lane};
use crate::media::{self, ErrorKind, MediaError};
use crate::prompts::PromptSet;

/// Labelled images that can be decoded, and as many as may be kept.
pub(super) struct PreparedImages {
    pub(super) images: Vec<LabelledImage>,
    /// Files that are images and could not be read.
    pub(super) failed: usize,
    /// Files that are left out, as they have the content of another one.
    pub(super) copies: usize,
    /// `blake3:<hex>` of each file.
    contents: Vec<String>,
    /// Which of them are marked as synthetic.
    pub(super) synthetic: Vec<bool>,
    kept: Vec<Option<PreparedImage>>,
    preprocess: Preprocess,
}

/// Decodes and prepares the first frame of a file, as when it is classified.
pub(in crate::commands) fn prepare(
    file: &Path,
    preprocess: &Preprocess,
) -> Result<PreparedImage, MediaError> {
    prepare_marked(file, preprocess).map(|(image, _)| image)
}

/// The same, and whether the file is marked as synthetic.
fn prepare_marked(
    file: &Path,
    preprocess: &Preprocess,
) -> Result<(PreparedImage, bool), MediaError> {
    let source = media::open(file)?;
    source.content()?;
    let decoding = engine::Decoding {
        preprocess,
        exact: false,
        lane: Lane::Bulk,
        cancelled: &|| false,
    };
    let shown = engine::decode_frame(&source, 0, &decoding)?;
    let image = engine::preprocess_frame(preprocess, &shown.picture, &source, Lane::Bulk)?;
    Ok((image, source.info().synthetic))
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
                let prepared = prepare_marked(&image.path, &preprocess);
                let prepared = prepared.and_then(|(own, synthetic)| {
                    let kept = (index < limit).then_some(own);
                    let content = content_of(&image.path)
                        .map_err(|error| MediaError::new(ErrorKind::Malformed, error.to_string()));
                    Ok((kept, synthetic, content?))
                });
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
            copies: 0,
            contents: Vec::new(),
            synthetic: Vec::new(),
            kept: Vec::new(),
            preprocess,
        };
        for (image, (_, prepared)) in images.into_iter().zip(done) {
            match prepared {
                Ok((prepared, synthetic, content)) => {
                    all.images.push(image);
                    all.contents.push(content);
                    all.synthetic.push(synthetic);
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

    /// Each content once. Fails if copies have different labels.
    pub(super) fn without_copies(mut self, set: &PromptSet) -> Result<Self, Fault> {
        let images = std::mem::take(&mut self.images).into_iter();
        let contents = self.contents.iter().cloned();
        let mut labelled: Vec<(LabelledImage, String)> = images.zip(contents).collect();
        let is_first = labels::first_of_copies(&mut labelled, set)?;
        self.images = labelled.into_iter().map(|(image, _)| image).collect();
        let (mut firsts, copies) = self.partition(&is_first);
        firsts.copies = copies.images.len();
        Ok(firsts)
    }

    /// Splits the images into those to keep and the others; files that could not be read, and copies, stay with the former.
    pub(super) fn partition(self, keep: &[bool]) -> (Self, Self) {
        let part = |failed, copies| Self {
            images: Vec::new(),
            failed,
            copies,
            contents: Vec::new(),
            synthetic: Vec::new(),
            kept: Vec::new(),
            preprocess: self.preprocess.clone(),
        };
        let (mut own, mut others) = (part(self.failed, self.copies), part(0, 0));
        let all = self.images.into_iter().zip(self.contents);
        let all = all.zip(self.synthetic).zip(self.kept);
        for ((((image, content), synthetic), kept), keep) in all.zip(keep) {
            let side = if *keep { &mut own } else { &mut others };
            side.images.push(image);
            side.contents.push(content);
            side.synthetic.push(synthetic);
            side.kept.push(kept);
        }
        (own, others)
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
