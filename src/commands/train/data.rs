//! The embeddings of labelled images: those that the library holds, and for the others the model's, which the library then holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Sender, bounded};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::super::progress::ProgressLine;
use super::super::run::{self, BatchHandler, Run, RunEnd, RunMessage};
use super::super::{CommandSetup, Fault, exit, leave, on_signals, print, shown};
use super::alike::AlikeImages;
use super::labels::{self, LabelledImage};
use crate::encoder::{Encoder, ModelCard};
use crate::engine::{self, Factory, FrameSelection, Lane, NatureReader, Settings};
use crate::jobs::{End, Ended};
use crate::learn::{LearnedSets, Problem, exclusive_problem, presence_problem};
use crate::library::Failure;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::calibration::Calibrations;
use crate::scoring::{Decision, Logits, Mode, Scorer};

/// Labelled images with their embeddings.
pub(super) struct EncodedImages {
    pub(super) images: Vec<LabelledImage>,
    pub(super) embeddings: Vec<Arc<[f32]>>,
    /// `blake3:<hex>` of each file.
    pub(super) contents: Vec<String>,
    /// Files that are images, or were named, and could not be read.
    pub(super) failed: usize,
    /// Files that are left out, as they have the content of another one.
    pub(super) copies: usize,
    /// Images that the model is not for.
    pub(super) rejected: usize,
    /// The kind of the images, if they are real ones and the model is the built-in one.
    pub(super) kind: Option<String>,
    /// Images that are left out, as they are of other kinds.
    pub(super) other_kinds: usize,
    pub(super) model: ScoredModel,
}

/// A model and what it makes of a prompt set's texts.
#[derive(Clone)]
pub(in crate::commands) struct ScoredModel {
    pub(in crate::commands) card: ModelCard,
    pub(in crate::commands) problem: Problem,
    /// How the conditions relate.
    pub(in crate::commands) mode: Mode,
    /// Tells what images are to it, where that matters.
    pub(in crate::commands) natures: Option<NatureReader>,
}

impl ScoredModel {
    /// Encodes the texts of a set. The error says what the set lacks for the mode.
    pub(in crate::commands) fn new(
        encoder: &mut dyn Encoder,
        set: &PromptSet,
        mode: Mode,
    ) -> Result<Self, String> {
        let card = encoder.card().clone();
        let logits = Logits {
            scale: card.logit_scale,
            bias: card.logit_bias,
        };
        engine::check_mode(set, mode, logits)?;
        let scorer = Scorer::new(set, mode, logits, |texts| encoder.encode_texts(texts));
        let scorer = scorer.map_err(|error| error.to_string())?;
        let mode = scorer.mode();
        let problem = match mode {
            Mode::Single => exclusive_problem(&scorer),
            Mode::Multi => presence_problem(&scorer),
        };
        Ok(Self {
            card,
            problem,
            mode,
            natures: None,
        })
    }

    /// The same, where it matters which images the model is trained with. `fits`: the calibrations, and what was learned, that are in use.
    pub(in crate::commands) fn to_train(
        encoder: &mut dyn Encoder,
        set: &PromptSet,
        mode: Mode,
        fits: (&Calibrations, &LearnedSets),
    ) -> Result<Self, String> {
        Ok(Self {
            natures: NatureReader::new(encoder, set, mode, fits)?,
            ..Self::new(encoder, set, mode)?
        })
    }
}

/// What became of each file, by its index.
#[derive(Default)]
struct EncodedFiles {
    count: usize,
    /// Also of those that were rejected; whether the image is marked as synthetic; and its content.
    embeddings: BTreeMap<usize, (Arc<[f32]>, bool, String)>,
    rejected: BTreeSet<usize>,
    failures: BTreeMap<usize, Failure>,
}

impl BatchHandler<(usize, PathBuf), usize> for EncodedFiles {
    fn begin(&mut self, (index, path): (usize, PathBuf)) -> Option<(PathBuf, usize)> {
        Some((path, index))
    }

    fn end(&mut self, ended: Ended<usize>, progress: &ProgressLine) -> Result<(), Fault> {
        if let End::Answered(outcomes) = ended.end {
            for index in ended.waiters {
                for outcome in &outcomes {
                    match outcome {
                        Ok(record) => {
                            if record.verdict.decision == Decision::Rejected {
                                self.rejected.insert(index);
                            }
                            let embedding = record.embedding.clone();
                            let embedding = embedding
                                .map(|own| (own, record.synthetic, record.content.clone()));
                            self.embeddings.extend(embedding.map(|own| (index, own)));
                        }
                        Err(failure) => {
                            self.failures.insert(index, failure.clone());
                        }
                    }
                }
            }
        }
        let done = self.embeddings.len() + self.failures.len();
        progress.set(done as u64, Some(self.count as u64));
        Ok(())
    }
}

/// Encodes the images; ends the program if it is interrupted.
pub(super) fn encode(
    images: Vec<LabelledImage>,
    setup: &CommandSetup,
    set: &PromptSet,
    mode: Mode,
) -> Result<EncodedImages, Fault> {
    let settings = Settings {
        prompts: Prompts::only(set.clone()),
        mode,
        calibrations: Calibrations::default(),
        // Whatever was learned before plays no part.
        learned: LearnedSets::default(),
        frames: FrameSelection::First,
        batch_size: None,
        decode_threads: None,
        exact: false,
        pass_time: engine::BULK_PASS_TIME,
        library: setup.library_with_messages(),
        // These are not the scores of `classify`.
        stores_results: false,
    };
    let messages = run::messages();
    on_signals(&[SIGINT, SIGTERM], {
        let sender = messages.0.clone();
        move || drop(sender.send(RunMessage::Stop))
    })?;
    let (opened, opening) = bounded(1);
    let fits = (setup.calibrations(None), setup.learned());
    let factory = also_scoring(setup.factory(None), (set, mode, fits), opened);
    let progress = ProgressLine::new();
    let mut run = Run::start(factory, settings, messages, &progress);
    let paths = images.iter().map(|image| image.path.clone());
    let inputs = run::inputs(paths.enumerate());
    let mut files = EncodedFiles {
        count: images.len(),
        ..EncodedFiles::default()
    };
    let ended = run.classify_all(Lane::Bulk, &inputs, &mut files)?;
    progress.end();
    if ended == RunEnd::Interrupted {
        run.shutdown();
        leave(exit::INTERRUPTED);
    }
    run.finish();
    let model = opening.try_recv();
    let model = model.map_err(|_| Fault::unusable("the model's texts are missing"))?;
    files.joined(images, set, model.map_err(Fault::unusable)?)
}

impl EncodedFiles {
    /// Joins images and embeddings, and prints which failed.
    fn joined(
        self,
        images: Vec<LabelledImage>,
        set: &PromptSet,
        model: ScoredModel,
    ) -> Result<EncodedImages, Fault> {
        let mut failed = 0;
        for (index, failure) in &self.failures {
            // Files that are not images are no fault of a folder.
            if failure.content.is_image() {
                failed += 1;
                let path = shown(&images[*index].path);
                print::message(format_args!("{path}: {}", failure.message));
            }
        }
        let mut encoded = EncodedImages {
            images: Vec::new(),
            embeddings: Vec::new(),
            contents: Vec::new(),
            failed,
            copies: 0,
            rejected: 0,
            kind: None,
            other_kinds: 0,
            model,
        };
        let mut embeddings = self.embeddings;
        let (mut labelled, mut facts) = (Vec::new(), Vec::new());
        for (index, image) in images.into_iter().enumerate() {
            if let Some((embedding, synthetic, content)) = embeddings.remove(&index) {
                let is_rejected = self.rejected.contains(&index);
                labelled.push((image, content));
                facts.push((embedding, synthetic, is_rejected));
            }
        }
        let is_first = labels::first_of_copies(&mut labelled, set)?;
        encoded.copies = is_first.iter().filter(|own| !**own).count();
        let firsts = labelled.into_iter().zip(facts).zip(is_first);
        let firsts = firsts.filter(|(_, is_first)| *is_first).map(|(own, _)| own);
        let all: Vec<_> = firsts.collect();
        // The built-in model rejects real images until it is taught.
        let keep: Vec<bool> = if let Some(reader) = &encoded.model.natures {
            let natures = all.iter();
            let natures = natures.map(|(_, (row, synthetic, _))| reader.nature(row, *synthetic));
            let shows = all.iter().map(|((image, _), _)| !image.labels.is_empty());
            let (natures, shows): (Vec<_>, Vec<_>) = natures.zip(shows).unzip();
            let alike = AlikeImages::among(&natures, &shows)?;
            encoded.other_kinds = alike.others();
            encoded.kind = alike.kind;
            alike.keep
        } else {
            let keep: Vec<bool> = all.iter().map(|(_, facts)| !facts.2).collect();
            encoded.rejected = keep.iter().filter(|own| !**own).count();
            keep
        };
        let kept = all.into_iter().zip(keep).filter(|own| own.1);
        for (((image, content), (embedding, ..)), _) in kept {
            encoded.images.push(image);
            encoded.contents.push(content);
            encoded.embeddings.push(embedding);
        }
        Ok(encoded)
    }
}

/// A factory that also encodes the texts, on the thread that owns the model.
fn also_scoring(
    mut open: Factory,
    (set, mode, fits): (&PromptSet, Mode, (Calibrations, LearnedSets)),
    opened: Sender<Result<ScoredModel, String>>,
) -> Factory {
    let set = set.clone();
    Box::new(move || {
        let mut encoder = open()?;
        // When a GPU was lost and the model is opened again, nobody waits for it any more.
        let fits = (&fits.0, &fits.1);
        let _ = opened.try_send(ScoredModel::to_train(encoder.as_mut(), &set, mode, fits));
        Ok(encoder)
    })
}
