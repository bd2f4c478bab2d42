//! From embeddings to results: what this takes of a model is computed once, so that it needs neither the model nor its thread.

use std::path::Path;
use std::sync::Arc;

use super::phrases;
use crate::encoder::{Encoder, ModelCard};
use crate::library::{self, Failure, ImageContent, Outcome, Provenance, Record};
use crate::media::FrameOrder;
use crate::prompts::{ImageTraits, Prompts};
use crate::scoring::calibration::Calibrations;
use crate::scoring::{Logits, Mode, Scorer, Verdict};

/// The reason why a model for phantoms rejects any other image.
pub const NOT_FOR_PATIENTS: &str = "the demo model knows only synthetic phantoms; `medivision-tui models pull biomedclip` gets one for real images";

/// The number of a frame, and its unit embedding.
pub(super) type FrameResult = (u32, Result<Arc<[f32]>, Failure>);

/// Prompt sets, encoded by a model.
pub(super) struct Scorers {
    pub(super) prompts: Prompts,
    /// One per prompt set, in the same order.
    scorers: Vec<Scorer>,
    pub(super) mode: Mode,
    /// The model.
    card: ModelCard,
}

impl Scorers {
    /// Encodes the prompts' texts, and calibrates those for which labelled images did. Also returns what the user should know of them, one sentence each.
    pub(super) fn new(
        prompts: Prompts,
        mode: Mode,
        calibrations: &Calibrations,
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
            let scorer = scorer.map_err(|error| format!("prompt set `{}`: {error}", set.name))?;
            let calibration = calibrations.find(&encoder.card().digest, &set.digest, mode);
            scorers.push(scorer.calibrated(calibration.cloned()));
        }
        let scorers = Self {
            prompts,
            scorers,
            mode,
            card: encoder.card().clone(),
        };
        Ok((scorers, warnings))
    }

    /// The scorer for an image, and what its result depends on.
    fn choose(&self, image: ImageTraits) -> (&Scorer, Provenance<'_>) {
        let set = self.prompts.choose(image);
        let provenance = Provenance {
            card: &self.card,
            prompts: &self.prompts.sets()[set],
            mode: self.mode,
            calibrated: self.scorers[set].is_calibrated(),
        };
        (&self.scorers[set], provenance)
    }

    /// Rejects every image but phantoms if the model is for phantoms only.
    fn reject_unsuitable(&self, content: &ImageContent, verdict: Verdict) -> Verdict {
        if self.card.synthetic_only && !content.facts.synthetic {
            verdict.reject(NOT_FOR_PATIENTS.to_owned())
        } else {
            verdict
        }
    }

    /// One outcome per frame of a file, followed by their aggregate if there are several. `order`: the order of the frames in
    /// space.
    pub(super) fn outcomes(
        &self,
        path: &Path,
        content: &ImageContent,
        order: &FrameOrder,
        mut results: Vec<FrameResult>,
    ) -> Vec<Outcome> {
        let (scorer, provenance) = self.choose(content.facts.traits());
        let record = |frame, verdict, embedding| {
            let verdict = self.reject_unsuitable(content, verdict);
            library::record(path, content, frame, verdict, embedding, &provenance)
        };
        // Failed frames skip the model and so arrive before the others.
        results.sort_by_key(|(frame, _)| order.position(*frame));
        let has_several = results.len() > 1;
        let mut verdicts: Vec<Verdict> = Vec::new();
        let mut outcomes: Vec<Outcome> = Vec::new();
        for (frame, result) in results {
            outcomes.push(result.map(|embedding| {
                let verdict = scorer.verdict(&embedding);
                verdicts.push(verdict.clone());
                record(Some(frame), verdict, Some(embedding))
            }));
        }
        // A file of which all frames failed is one failure.
        if verdicts.is_empty() {
            outcomes.truncate(1);
        }
        if has_several && !verdicts.is_empty() {
            outcomes.push(Ok(record(None, scorer.aggregate(&verdicts), None)));
        }
        outcomes
    }

    /// The records of one file under these prompts; `None` if another model encoded its images.
    pub(super) fn rescored(&self, records: &[Record]) -> Option<Arc<[Record]>> {
        let first = records.first()?;
        if first.model_digest != self.card.digest {
            return None;
        }
        let (scorer, provenance) = self.choose(first.traits());
        let mut verdicts = Vec::new();
        let mut rescored = Vec::with_capacity(records.len());
        for record in records {
            let verdict = match &record.embedding {
                Some(embedding) => {
                    let verdict = scorer.verdict(embedding);
                    if records.len() > 1 {
                        verdicts.push(verdict.clone());
                    }
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
