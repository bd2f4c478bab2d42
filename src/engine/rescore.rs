//! Changing the prompts while the engine runs: images keep their embeddings, so only texts are encoded.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::worker::InferenceWorker;
use super::{Event, Mode, phrases};
use crate::encoder::Encoder;
use crate::library::{Provenance, Record};
use crate::prompts::{ImageTraits, Prompts};
use crate::scoring::{Logits, Scorer, Verdict};

/// Files scored between two batches: a few milliseconds of work, so that an image does not wait for thousands of files.
const RESCORE_BATCH: usize = 256;

/// A classified file.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifiedFile {
    /// The file, as its results name it.
    pub path: PathBuf,
    /// The generation of the job that classified it; returned unchanged.
    pub generation: u64,
    /// The results: one, or one per frame and their aggregate.
    pub records: Arc<[Record]>,
}

/// A request that the engine thread handles between two batches.
pub(super) enum EngineRequest {
    UsePrompts(Prompts),
    Rescore(Vec<ClassifiedFile>),
}

/// Prompt sets, encoded by a model.
pub(super) struct Scorers {
    pub(super) prompts: Prompts,
    /// One per prompt set, in the same order.
    scorers: Vec<Scorer>,
    pub(super) mode: Mode,
}

impl Scorers {
    /// Encodes the prompts' texts. Also returns what the user should know of them, one sentence each.
    pub(super) fn new(
        prompts: Prompts,
        mode: Mode,
        encoder: &mut dyn Encoder,
    ) -> Result<(Self, Vec<String>), String> {
        let logits = Logits {
            scale: encoder.card().logit_scale,
            bias: encoder.card().logit_bias,
        };
        let (mut scorers, mut warnings) = (Vec::new(), Vec::new());
        for set in prompts.sets() {
            if mode == Mode::Multi
                && logits.needs_absent_phrases()
                && let Some(condition) = set.without_absent().first()
            {
                return Err(format!(
                    "prompt set `{}`: `{condition}` has no `absent` phrases, which --mode multi needs",
                    set.name
                ));
            }
        }
        for set in prompts.sets() {
            warnings.extend(phrases::warnings(set, encoder));
            let scorer = Scorer::new(set, mode, logits, |texts| encoder.encode_texts(texts));
            scorers.push(scorer.map_err(|error| format!("prompt set `{}`: {error}", set.name))?);
        }
        let scorers = Self {
            prompts,
            scorers,
            mode,
        };
        Ok((scorers, warnings))
    }

    /// The scorer for an image, and the index of its prompt set.
    pub(super) fn choose(&self, image: ImageTraits) -> (usize, &Scorer) {
        let set = self.prompts.choose(image);
        (set, &self.scorers[set])
    }
}

impl InferenceWorker<'_> {
    /// Handles the requests that have arrived, and rescores the next part of the files.
    pub(super) fn handle_requests(&mut self) {
        loop {
            let mut requests = self
                .shared
                .requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let next = requests.pop_front();
            drop(requests);
            match next {
                Some(EngineRequest::UsePrompts(prompts)) => self.use_prompts(prompts),
                Some(EngineRequest::Rescore(files)) => self.to_rescore = files.into(),
                None => break,
            }
        }
        if self.to_rescore.is_empty() {
            return;
        }
        let part: Vec<ClassifiedFile> = self
            .to_rescore
            .drain(..RESCORE_BATCH.min(self.to_rescore.len()))
            .collect();
        let files: Vec<ClassifiedFile> = part
            .iter()
            .filter_map(|file| {
                Some(ClassifiedFile {
                    records: self.rescored(&file.records)?,
                    ..file.clone()
                })
            })
            .collect();
        let left = self.to_rescore.len();
        if let Some(library) = &self.shared.settings.library {
            library.put_results(files.iter().map(|file| Arc::clone(&file.records)).collect());
        }
        (self.shared.handler)(Event::Rescored { files, left });
        if left > 0 {
            self.shared.prepared.wake();
        }
    }

    fn use_prompts(&mut self, prompts: Prompts) {
        self.to_rescore.clear();
        let name = prompts.name().to_owned();
        match Scorers::new(prompts, self.scorers.mode, self.encoder.as_mut()) {
            Ok((scorers, warnings)) => {
                self.scorers = scorers;
                (self.shared.handler)(Event::Prompts {
                    prompts: name,
                    warnings,
                });
            }
            Err(message) => (self.shared.handler)(Event::PromptsFailed { message }),
        }
    }

    /// The records of one file under the current prompts; `None` if another model encoded its images.
    fn rescored(&self, records: &[Record]) -> Option<Arc<[Record]>> {
        let first = records.first()?;
        if first.model_digest != self.encoder.card().digest {
            return None;
        }
        let (set, scorer) = self.scorers.choose(first.traits());
        let provenance = Provenance {
            card: self.encoder.card(),
            prompts: &self.scorers.prompts.sets()[set],
            mode: self.scorers.mode,
        };
        let mut verdicts = Vec::new();
        let mut rescored = Vec::new();
        for record in records {
            let verdict = match &record.embedding {
                Some(embedding) => {
                    let verdict = scorer.verdict(embedding);
                    verdicts.push(verdict.clone());
                    verdict
                }
                // The aggregate comes after its frames.
                None if !verdicts.is_empty() => scorer.aggregate(&verdicts),
                None => return None,
            };
            let verdict = keep_rejection(&record.verdict, verdict);
            rescored.push(record.rescored(verdict, &provenance));
        }
        Some(rescored.into())
    }
}

/// Rejects the new verdict if the old one was rejected: whether a model is meant for an image does not depend on the prompts.
fn keep_rejection(before: &Verdict, now: Verdict) -> Verdict {
    match &before.reason {
        Some(reason) => now.reject(reason.clone()),
        None => now,
    }
}
