//! Other prompts while the engine runs: pictures keep their embeddings, so only texts are encoded.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::worker::Worker;
use super::{Event, Mode, phrases};
use crate::encoder::Encoder;
use crate::library::{Provenance, Record};
use crate::prompts::Prompts;
use crate::scoring::{Logits, Scorer, Verdict};

/// Files between two batches: a few milliseconds, so that a picture does not wait for thousands of results.
const RESCORE_BATCH: usize = 256;

/// A classified file.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// As its results name it.
    pub path: PathBuf,
    /// That of the answer; comes back.
    pub generation: u64,
    /// Its results: one, or one per frame and their aggregate.
    pub records: Arc<[Record]>,
}

/// What the engine's thread does between two batches.
pub(super) enum Order {
    Prompts(Prompts),
    Rescore(Vec<Known>),
}

/// Prompt sets in a model's space.
pub(super) struct Scorers {
    pub(super) prompts: Prompts,
    /// One per prompt set, in their order.
    scorers: Vec<Scorer>,
    pub(super) mode: Mode,
}

impl Scorers {
    /// Encodes the texts; and what the user should know, one sentence each.
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
                && !logits.knows_absence()
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

    /// The scorer for pictures of a modality and body part, and which of the sets it is made of.
    pub(super) fn choose(
        &self,
        modality: Option<&str>,
        body_part: Option<&str>,
    ) -> (usize, &Scorer) {
        let set = self.prompts.choose(modality, body_part);
        (set, &self.scorers[set])
    }
}

impl Worker<'_> {
    /// Does what was ordered meanwhile, and a part of what is to be scored anew.
    pub(super) fn follow_orders(&mut self) {
        loop {
            let mut orders = self
                .shared
                .orders
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let next = orders.pop_front();
            drop(orders);
            match next {
                Some(Order::Prompts(prompts)) => self.use_prompts(prompts),
                Some(Order::Rescore(files)) => self.again = files.into(),
                None => break,
            }
        }
        if self.again.is_empty() {
            return;
        }
        let part: Vec<Known> = self
            .again
            .drain(..RESCORE_BATCH.min(self.again.len()))
            .collect();
        let files = part
            .iter()
            .filter_map(|known| {
                Some(Known {
                    records: self.scored_anew(&known.records)?,
                    ..known.clone()
                })
            })
            .collect();
        let left = self.again.len();
        (self.shared.sink)(Event::Rescored { files, left });
        if left > 0 {
            self.shared.prepared.wake();
        }
    }

    fn use_prompts(&mut self, prompts: Prompts) {
        self.again.clear();
        let name = prompts.name().to_owned();
        match Scorers::new(prompts, self.scorers.mode, self.encoder.as_mut()) {
            Ok((scorers, warnings)) => {
                self.scorers = scorers;
                (self.shared.sink)(Event::Prompts {
                    prompts: name,
                    warnings,
                });
            }
            Err(message) => (self.shared.sink)(Event::PromptsFailed { message }),
        }
    }

    /// `None` where the pictures were not encoded by this model.
    fn scored_anew(&self, records: &[Record]) -> Option<Arc<[Record]>> {
        let first = records.first()?;
        if first.model_digest != self.encoder.card().digest {
            return None;
        }
        let (set, scorer) = self
            .scorers
            .choose(first.modality.as_deref(), first.body_part.as_deref());
        let provenance = Provenance {
            card: self.encoder.card(),
            prompts: &self.scorers.prompts.sets()[set],
            mode: self.scorers.mode,
        };
        let mut verdicts = Vec::new();
        let mut anew = Vec::new();
        for record in records {
            let verdict = match &record.embedding {
                Some(embedding) => {
                    let verdict = scorer.verdict(embedding);
                    verdicts.push(verdict.clone());
                    verdict
                }
                // The aggregate follows its frames.
                None if !verdicts.is_empty() => scorer.aggregate(&verdicts),
                None => return None,
            };
            let verdict = still_rejected(&record.verdict, verdict);
            anew.push(record.rescored(verdict, &provenance));
        }
        Some(anew.into())
    }
}

/// Whether a model is meant for a picture does not depend on the prompts.
fn still_rejected(before: &Verdict, now: Verdict) -> Verdict {
    match &before.reason {
        Some(reason) => now.reject(reason.clone()),
        None => now,
    }
}
