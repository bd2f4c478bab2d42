//! The phrases behind the scores of the image under the cursor.

use std::path::Path;

use super::Model;
use crate::app::effect::Effect;
use crate::app::msg::Severity;
use crate::app::popup::{PhraseTable, Popup};
use crate::app::results::FileState;
use crate::app::status::EngineState;
use crate::engine::explanation::{ExplanationRequest, PhraseExplanation};
use crate::library::Record;
use crate::scoring::Decision;

/// Images of the folder that are compared at most.
const MAX_COMPARED: usize = 10_000;

/// An image whose phrases are awaited.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PendingPhrases {
    generation: u64,
    /// The file, safe to show.
    subject: String,
    /// The number of reviews from which its scores are learned.
    learned: Option<usize>,
}

impl Model {
    /// Requests what the phrases contribute to the scores of the image under the cursor; says so if it has none.
    pub(super) fn explain_scores(&mut self) -> Vec<Effect> {
        let found = self.file_in_sight().and_then(|file| {
            let FileState::Done(records) = self.results.get(&file.path)? else {
                return None;
            };
            let record = self.record_in_sight(&file.path, records)?.clone();
            let mut subject = self.env.show_path(&file.path);
            let frames = records.iter().filter(|record| record.embedding.is_some());
            if let Some(frame) = record.frame.filter(|_| frames.count() > 1) {
                subject = format!("{subject}, frame {}", frame + 1);
            }
            Some((subject, record))
        });
        let Some((subject, record)) = found else {
            self.say(Severity::Info, "nothing failed here");
            return Vec::new();
        };
        if record.verdict.decision == Decision::Rejected {
            let words = "the model is not for this image, so its scores are not explained";
            self.say(Severity::Info, words);
            return Vec::new();
        }
        let Some(embedding) = record.embedding.clone() else {
            return Vec::new();
        };
        if !matches!(self.engine, EngineState::Ready { .. }) {
            self.say(Severity::Info, "there is no model to explain with yet");
            return Vec::new();
        }
        let same_model = |other: &&Record| other.model_digest == record.model_digest;
        let rows = self.folder().visible_entries();
        let others = rows.filter_map(|row| match self.results.get(&row.path)? {
            FileState::Done(records) => {
                // The image itself, and copies of it, are nothing to compare it with.
                let is_other = |other: &&Record| other.content != record.content;
                let mut records = records.iter().filter(same_model).filter(is_other);
                records.find_map(|record| record.embedding.clone())
            }
            _ => None,
        });
        let others = others.take(MAX_COMPARED).collect();
        let generation = self.env.next_generation();
        self.phrases = Some(PendingPhrases {
            generation,
            subject,
            learned: record.learned,
        });
        let prompts = self.results.reviews().set_of(&record).to_owned();
        let findings = self.results.reviews().findings_set(&record);
        let scores = record.verdict.scores.iter();
        let labels = findings.map_or_else(
            || scores.map(|score| score.condition.clone()).collect(),
            |set| set.conditions.iter().map(|own| own.name.clone()).collect(),
        );
        vec![Effect::Explain(ExplanationRequest {
            prompts_digest: record.prompts_digest,
            content: record.content,
            prompts,
            labels,
            reviewer: self.results.reviews().reviewer().to_owned(),
            scores: record.learned.is_none().then_some(record.verdict.scores),
            embedding,
            others,
            generation,
        })]
    }

    /// The result of the frame that the viewer shows of a file, else of the first that has an embedding.
    fn record_in_sight<'a>(&self, path: &Path, records: &'a [Record]) -> Option<&'a Record> {
        let scored = || records.iter().filter(|record| record.embedding.is_some());
        let viewed = self.viewer.file().filter(|viewed| *viewed == path);
        let frame = viewed.map(|_| self.viewer.frame_number());
        let of_frame = scored().find(|record| frame.is_some() && record.frame == frame);
        of_frame.or_else(|| scored().next())
    }

    /// Shows the phrases, unless something else has been opened meanwhile.
    pub(super) fn explained(
        &mut self,
        generation: u64,
        outcome: Result<PhraseExplanation, String>,
    ) {
        let pending = self.phrases.take_if(|own| own.generation == generation);
        let Some(pending) = pending else { return };
        match outcome {
            Err(message) => self.say(Severity::Error, &message),
            Ok(_) if self.popups.current().is_some() || self.line.is_some() => {}
            Ok(explanation) => {
                let table = PhraseTable::new(pending.subject, pending.learned, &explanation);
                self.popups.open(Popup::Phrases(table));
            }
        }
    }
}
