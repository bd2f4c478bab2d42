//! From the embeddings of a file's frames to its outcomes.

use std::sync::Arc;

use super::pool::OpenedFile;
use super::worker::InferenceWorker;
use crate::library::{self, Failure, Outcome, Provenance, Record};
use crate::scoring::Verdict;

/// The reason why a model for phantoms rejects any other image.
const NOT_FOR_PATIENTS: &str = "the demo model knows only synthetic phantoms; `medivision-tui models pull biomedclip` gets one for real images";

/// The number of a frame, and its unit embedding.
pub(super) type FrameResult = (u32, Result<Arc<[f32]>, Failure>);

impl InferenceWorker<'_> {
    /// Rejects every image but phantoms if the model is for phantoms only.
    fn reject_unsuitable(&self, file: &OpenedFile, verdict: Verdict) -> Verdict {
        if self.encoder.card().synthetic_only && !file.content.facts.synthetic {
            verdict.reject(NOT_FOR_PATIENTS.to_owned())
        } else {
            verdict
        }
    }

    /// Records a frame's result; finishes the job with the last frame of its file.
    pub(super) fn record_frame(
        &mut self,
        file: &Arc<OpenedFile>,
        frame: u32,
        result: Result<Arc<[f32]>, Failure>,
    ) {
        let key = Arc::as_ptr(file);
        let results = self.partial.entry(key).or_default();
        results.push((frame, result));
        if results.len() < file.frames {
            return;
        }
        let results = self.partial.remove(&key).unwrap_or_default();
        if self.shared.is_wanted(&file.job) {
            let outcomes = self.outcomes(file, results);
            self.store(outcomes.iter().flatten().cloned().collect());
            self.shared.finish_job(&file.job, outcomes);
        } else {
            self.shared.drop_job(&file.job);
        }
    }

    /// Stores the results of a file in the library.
    fn store(&self, records: Arc<[Record]>) {
        if let Some(library) = &self.shared.settings.library
            && !records.is_empty()
        {
            library.put_results(vec![records]);
        }
    }

    /// One outcome per frame, followed by their aggregate if there are several.
    fn outcomes(&self, file: &OpenedFile, mut results: Vec<FrameResult>) -> Vec<Outcome> {
        let facts = &file.content.facts;
        let (set, scorer) = self.scorers.choose(facts.traits());
        let provenance = Provenance {
            card: self.encoder.card(),
            prompts: &self.scorers.prompts.sets()[set],
            mode: self.scorers.mode,
        };
        let record = |frame, verdict, embedding| {
            library::record(
                &file.job.path,
                &file.content,
                frame,
                self.reject_unsuitable(file, verdict),
                embedding,
                &provenance,
            )
        };
        // Failed frames skip the model and so arrive before the others.
        results.sort_by_key(|(frame, _)| file.order.position(*frame));
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
}
