//! Collects the embeddings of the images to search.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::progress::ProgressLine;
use super::super::run::BatchHandler;
use super::super::summary::is_not_an_image;
use super::super::{Fault, exit, shown};
use crate::encoder::ModelCard;
use crate::engine::StoredFile;
use crate::jobs::{End, Ended};
use crate::library::search::EmbeddingMatrix;
use crate::library::{Outcome, Record};
use crate::media::FileFormat;

/// Inputs between two updates of the progress line.
const PROGRESS_STEP: u64 = 256;

/// A file for the search.
pub(super) enum SearchInput {
    /// An image of the query.
    Query { term: usize, path: PathBuf },
    /// A file whose embeddings the library holds.
    Known {
        path: PathBuf,
        stored: Box<StoredFile>,
    },
    /// A file to be encoded.
    New(PathBuf),
    /// A folder that cannot be listed.
    Unreadable { path: PathBuf, message: String },
}

/// Why a file is encoded.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// As a term of the query.
    QueryTerm(usize),
    /// To be searched; its number in the order of the walk.
    File(u64),
}

/// An image that can be found: a frame of a file.
#[derive(Debug)]
pub(super) struct SearchedImage {
    /// Its file's number in the order of the walk.
    seq: u64,
    pub(super) path: Arc<PathBuf>,
    pub(super) frame: u32,
    /// Frames in the file.
    pub(super) frames: u32,
    /// `blake3:<hex>` of the file's content.
    pub(super) content: Arc<str>,
    pub(super) kind: FileFormat,
    pub(super) modality: Option<String>,
    pub(super) body_part: Option<String>,
}

/// All images, and what became of the other files.
pub(super) struct Collection {
    /// In the order of their paths.
    pub(super) images: Vec<SearchedImage>,
    /// One row per image, in the same order.
    pub(super) matrix: EmbeddingMatrix,
    /// The embeddings of the query's images, by term.
    pub(super) terms: Vec<Option<Arc<[f32]>>>,
    /// Files that failed, with the reasons.
    pub(super) failures: Vec<(PathBuf, String)>,
    /// Files that are not images.
    skipped: u64,
    /// Links that were left out.
    links: usize,
}

impl Collection {
    /// Leaves out the images of symbolic links, and all but the first name of each file. They are no duplicates of the file that they
    /// lead to, and whoever keeps one of them and removes the file has lost it.
    pub(super) fn leave_out_links(&mut self) {
        let mut names: HashMap<(u64, u64), Arc<PathBuf>> = HashMap::new();
        let is_own = |image: &SearchedImage| {
            let Ok(found) = image.path.symlink_metadata() else {
                return false;
            };
            let first = names.entry((found.dev(), found.ino()));
            let first = first.or_insert_with(|| Arc::clone(&image.path));
            !found.is_symlink() && *first == image.path
        };
        let is_kept: Vec<bool> = self.images.iter().map(is_own).collect();
        let kept = (0..is_kept.len()).filter(|&row| is_kept[row]);
        self.matrix = self.matrix.reordered(kept);
        let left_out = self.images.iter().zip(&is_kept).filter(|(_, kept)| !**kept);
        let left_out: HashSet<_> = left_out.map(|(image, _)| &image.path).collect();
        self.links = left_out.len();
        let mut is_kept = is_kept.into_iter();
        self.images.retain(|_| is_kept.next().unwrap_or_default());
    }

    /// Whether some files were not searched.
    pub(super) fn is_notable(&self) -> bool {
        !self.failures.is_empty() || self.skipped > 0 || self.links > 0
    }

    /// The counts as parts of a sentence.
    pub(super) fn parts(&self) -> Vec<String> {
        let mut parts = vec![format!("{} searched", self.images.len())];
        if !self.failures.is_empty() {
            parts.push(format!("{} failed", self.failures.len()));
        }
        if self.skipped > 0 {
            parts.push(format!("{} skipped (not images)", self.skipped));
        }
        if self.links > 0 {
            parts.push(format!("{} skipped (links)", self.links));
        }
        parts
    }
}

/// Collects images as they come, from the library or from the engine.
pub(super) struct ImageCollector {
    collection: Collection,
    /// Number of files so far, and of those that are done.
    begun: u64,
    done: u64,
    total: Option<u64>,
}

impl ImageCollector {
    /// For images that this model encodes, and a query of this many terms.
    pub(super) fn new(card: &ModelCard, terms: usize) -> Self {
        Self {
            collection: Collection {
                images: Vec::new(),
                matrix: EmbeddingMatrix::new(card.dimension),
                terms: vec![None; terms],
                failures: Vec::new(),
                skipped: 0,
                links: 0,
            },
            begun: 0,
            done: 0,
            total: None,
        }
    }

    /// The images in the order of their paths.
    pub(super) fn finish(self) -> Collection {
        let mut collection = self.collection;
        let images = &collection.images;
        if !images.is_sorted_by_key(|image| image.seq) {
            let mut order: Vec<usize> = (0..images.len()).collect();
            order.sort_by_key(|&row| images[row].seq);
            collection.matrix = collection.matrix.reordered(order);
            collection.images.sort_by_key(|image| image.seq);
        }
        collection
    }

    fn add(&mut self, image: SearchedImage, embedding: &[f32]) {
        if self.collection.matrix.push(embedding) {
            self.collection.images.push(image);
        } else {
            let message = "its embedding is zero or not finite".to_owned();
            self.fail(image.path.to_path_buf(), message);
        }
    }

    fn fail(&mut self, path: PathBuf, message: String) {
        self.collection.failures.push((path, message));
    }

    fn add_known(&mut self, seq: u64, path: PathBuf, stored: &StoredFile) {
        let facts = &stored.content.facts;
        let (path, content) = (Arc::new(path), Arc::from(stored.content.hash.as_str()));
        for (frame, embedding) in &stored.embeddings {
            let image = SearchedImage {
                seq,
                path: Arc::clone(&path),
                frame: *frame,
                frames: facts.frames,
                content: Arc::clone(&content),
                kind: facts.kind,
                modality: facts.modality.clone(),
                body_part: facts.body_part.clone(),
            };
            self.add(image, embedding);
        }
    }

    fn add_outcomes(&mut self, seq: u64, path: PathBuf, outcomes: &[Outcome]) {
        if is_not_an_image(outcomes) {
            self.collection.skipped += 1;
            return;
        }
        let path = Arc::new(path);
        for outcome in outcomes {
            match outcome {
                Ok(record) => {
                    // The aggregate of several frames has none.
                    if let Some(embedding) = &record.embedding {
                        self.add(searched_image(seq, &path, record), embedding);
                    }
                }
                Err(failure) => self.fail(path.to_path_buf(), failure.message.clone()),
            }
        }
    }

    /// Notes the embedding of an image of the query: of its first frame.
    fn set_term(&mut self, term: usize, path: &Path, outcomes: &[Outcome]) -> Result<(), Fault> {
        let path = shown(path);
        match outcomes.first() {
            Some(Ok(record)) => {
                self.collection.terms[term].clone_from(&record.embedding);
                Ok(())
            }
            Some(Err(failure)) => Err(Fault {
                code: exit::SOME_FAILED,
                message: format!("{path}: {}", failure.message),
            }),
            None => Ok(()),
        }
    }
}

fn searched_image(seq: u64, path: &Arc<PathBuf>, record: &Record) -> SearchedImage {
    SearchedImage {
        seq,
        path: Arc::clone(path),
        frame: record.frame.unwrap_or_default(),
        frames: record.frames,
        content: record.content.as_str().into(),
        kind: record.kind,
        modality: record.modality.clone(),
        body_part: record.body_part.clone(),
    }
}

impl BatchHandler<SearchInput, Wanted> for ImageCollector {
    fn begin(&mut self, input: SearchInput) -> Option<(PathBuf, Wanted)> {
        if let SearchInput::Query { term, path } = input {
            return Some((path, Wanted::QueryTerm(term)));
        }
        let seq = self.begun;
        self.begun += 1;
        match input {
            SearchInput::New(path) => return Some((path, Wanted::File(seq))),
            SearchInput::Known { path, stored } => self.add_known(seq, path, &stored),
            SearchInput::Unreadable { path, message } => self.fail(path, message),
            SearchInput::Query { .. } => {}
        }
        self.done += 1;
        None
    }

    fn end(&mut self, ended: Ended<Wanted>, progress: &ProgressLine) -> Result<(), Fault> {
        if let End::Answered(outcomes) = ended.end {
            for waiter in ended.waiters {
                match waiter {
                    Wanted::QueryTerm(term) => self.set_term(term, &ended.path, &outcomes)?,
                    Wanted::File(seq) => {
                        self.done += 1;
                        self.add_outcomes(seq, ended.path.clone(), &outcomes);
                    }
                }
            }
        }
        progress.set(self.done, self.total);
        Ok(())
    }

    fn all_begun(&mut self) {
        self.total = Some(self.begun);
    }

    fn pause(&mut self, progress: &ProgressLine) -> Result<(), Fault> {
        if self.done.is_multiple_of(PROGRESS_STEP) {
            progress.set(self.done, self.total);
        }
        Ok(())
    }
}
