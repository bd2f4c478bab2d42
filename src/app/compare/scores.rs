//! The scores below the sides of a comparison.

use super::Comparison;
use crate::app::popup::failure_words;
use crate::app::result_panel::Detail;
use crate::app::results::reviews::label_shown;
use crate::app::results::{FileState, FileStatus, Results};
use crate::app::text;
use crate::library::Record;
use crate::scoring::Decision;
use crate::scoring::percent;

impl Comparison {
    /// The result lines of both sides, with the conditions in the same order.
    pub(crate) fn scores(&self, results: &Results) -> [Vec<Detail>; 2] {
        let before = self.before.clone().map(FileState::Done);
        let [left, right] = self.files().map(|path| results.get(path));
        let states = [before.as_ref().or(left), right];
        let mut conditions: Vec<&str> = Vec::new();
        for record in states.iter().filter_map(|state| unless_rejected((*state)?)) {
            for score in &record.verdict.scores {
                if !conditions.contains(&score.condition.as_str()) {
                    conditions.push(&score.condition);
                }
            }
        }
        states.map(|state| side_lines(state, &conditions))
    }

    /// The prompt sets of the two sides; `None` if two files are compared.
    pub(crate) fn prompt_sets(&self, results: &Results) -> Option<[String; 2]> {
        let before = self.before.as_ref()?.first()?;
        let now = results.get(&self.sides[1].path).and_then(FileState::record);
        let names = [Some(before), now].map(|record| record.map_or("", |record| &record.prompts));
        let is_edited = now.is_some_and(|now| {
            now.prompts == before.prompts && now.prompts_digest != before.prompts_digest
        });
        Some(match names.map(text::safe_str) {
            [before, now] if is_edited => [format!("{before}, before"), format!("{now}, edited")],
            names => names,
        })
    }
}

/// The record, unless the image was rejected.
fn unless_rejected(state: &FileState) -> Option<&Record> {
    let record = state.record()?;
    (record.verdict.decision != Decision::Rejected).then_some(record)
}

/// The headline and the scores of a side.
fn side_lines(state: Option<&FileState>, conditions: &[&str]) -> Vec<Detail> {
    let status = state.map(FileState::status);
    let (text, word) = match (state, state.and_then(FileState::record)) {
        (_, Some(_)) if status == Some(FileStatus::Rejected) => ("rejected".to_owned(), ""),
        (_, Some(record)) => {
            let word = if status == Some(FileStatus::Confident) {
                "confident"
            } else {
                "uncertain"
            };
            (label_shown(record), word)
        }
        (Some(FileState::Failed(failure)), _) => {
            let words = failure_words(failure.kind, failure.content);
            (words.to_owned(), "")
        }
        (Some(FileState::Queued), _) => ("queued".to_owned(), ""),
        _ => ("not classified".to_owned(), ""),
    };
    let mut lines = vec![Detail::Headline(status, text, word.to_owned())];
    let shown = state.and_then(unless_rejected);
    lines.extend(conditions.iter().map(|condition| {
        let score = shown.and_then(|record| {
            let mut scores = record.verdict.scores.iter();
            scores.find(|score| score.condition == *condition)
        });
        Detail::Bar {
            name: text::safe_str(condition),
            share: score.map(|score| score.probability),
            figure: score.map_or_else(|| "–".to_owned(), |score| percent(score.probability)),
        }
    }));
    lines
}
