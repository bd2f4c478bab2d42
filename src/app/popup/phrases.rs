//! What the phrases of each condition contribute to the scores of an image, as bars beside a placebo.

use super::{PopupLine, wrapped};
use crate::app::text::{cut_end, safe_str};
use crate::engine::explanation::{ExplainedScore, PhraseExplanation, SimilarityPair};

/// Columns of the longest bar.
const BAR: usize = 10;
/// What the figures are, and are not.
const MEANING: &str = "How much of the condition's lead over the others each phrase makes up, in logits. It is no reason: \
    compare with the placebo, as many phrases of random words.";

/// The phrases of an image; all of it safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhraseTable {
    /// The file.
    pub subject: String,
    /// The conditions, the most probable first.
    conditions: Vec<ConditionRows>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ConditionRows {
    heading: String,
    /// Its presence against its absence.
    pair: Option<String>,
    rows: Vec<PhraseRow>,
}

/// A phrase, or the placebo.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PhraseRow {
    figure: String,
    /// Columns of its bar.
    bar: usize,
    words: String,
    is_placebo: bool,
}

impl PhraseTable {
    /// The table of an explanation.
    pub(in crate::app) fn new(subject: String, explanation: &PhraseExplanation) -> Self {
        let conditions = explanation.conditions.iter();
        let leads = conditions.clone().flat_map(|condition| {
            let phrases = condition.phrases.iter().map(|phrase| phrase.lead);
            phrases.chain([mean_placebo(condition)])
        });
        let longest = leads.fold(f64::MIN_POSITIVE, |longest, lead| longest.max(lead.abs()));
        let rows = |condition| condition_rows(condition, longest, explanation.compared);
        Self {
            subject,
            conditions: conditions.map(rows).collect(),
        }
    }

    pub(super) fn lines(&self, width: usize) -> Vec<PopupLine> {
        let mut lines = wrapped(&self.subject, width, PopupLine::Subject);
        lines.extend(wrapped(MEANING, width, PopupLine::Aside));
        for condition in &self.conditions {
            lines.push(PopupLine::Text(String::new()));
            lines.push(PopupLine::Subject(cut_end(&condition.heading, width)));
            let pair = condition.pair.iter();
            lines.extend(pair.map(|words| PopupLine::Aside(cut_end(&format!("  {words}"), width))));
            for row in &condition.rows {
                let bar = "█".repeat(row.bar);
                let words = format!("{:>7} {bar:<BAR$} {}", row.figure, row.words);
                let line = if row.is_placebo {
                    PopupLine::Aside
                } else {
                    PopupLine::Text
                };
                lines.push(line(cut_end(&words, width)));
            }
        }
        lines
    }
}

/// What a phrase of the placebo makes up on average, beside which each phrase stands.
fn mean_placebo(condition: &ExplainedScore) -> f64 {
    condition.placebo.lead / condition.placebo.phrases.len().max(1) as f64
}

fn condition_rows(condition: &ExplainedScore, longest: f64, compared: usize) -> ConditionRows {
    let row = |lead: f64, words: String, is_placebo| PhraseRow {
        figure: format!("{lead:+.2}"),
        bar: (BAR as f64 * lead.abs() / longest).round() as usize,
        words: safe_str(&words),
        is_placebo,
    };
    let phrases = condition.phrases.iter().map(|phrase| {
        let beside = phrase.percentile.map_or_else(String::new, |share| {
            format!(" (more than in {:.0} % of {compared} here)", 100.0 * share)
        });
        row(phrase.lead, format!("{}{beside}", phrase.phrase), false)
    });
    let words = format!("placebo: {}", condition.placebo.phrases.join("; "));
    let placebo = row(mean_placebo(condition), words, true);
    let point = condition.threshold.map_or_else(String::new, |point| {
        format!(" (present from {:.0} %)", 100.0 * point)
    });
    let heading = format!(
        "{}  {:.0} %{point}, lead {:+.2}",
        condition.condition,
        100.0 * condition.probability,
        condition.lead
    );
    ConditionRows {
        heading: safe_str(&heading),
        pair: condition.pair.as_ref().map(SimilarityPair::words),
        rows: phrases.chain([placebo]).collect(),
    }
}
