//! What the phrases of each condition contribute to the scores of an image, as bars beside a placebo.

use super::{PopupLine, wrapped};
use crate::app::text::{self, cut_end, safe, safe_str};
use crate::engine::explanation::{BY_DISTANCE, ExplainedScore, PhraseExplanation, SimilarityPair};
use crate::library::neighbours::{Neighbour, Neighbours};

/// Columns of the longest bar.
const BAR: usize = 10;
/// What the figures are, and are not.
const MEANING: &str = "How much of the condition's lead over the others each phrase makes up, in logits. It is no reason: \
    compare with the placebo, as many phrases of random words.";

/// The phrases of an image; all of it safe to show.
#[derive(Clone, Debug, PartialEq)]
pub struct PhraseTable {
    /// The file.
    pub subject: String,
    /// The conditions, the most probable first.
    conditions: Vec<ConditionRows>,
    /// The nearest reviewed images, or why they are not known.
    neighbours: Result<Neighbours, String>,
    /// The number of reviews from which the scores are learned.
    learned: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ConditionRows {
    heading: String,
    /// Its presence against its absence.
    pair: Option<String>,
    by_distance: bool,
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
    pub(in crate::app) fn new(
        subject: String,
        learned: Option<usize>,
        explanation: &PhraseExplanation,
    ) -> Self {
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
            neighbours: explanation.neighbours.clone(),
            learned,
        }
    }

    /// The nearest reviewed images, if there are any.
    pub(in crate::app) fn neighbours(&self) -> Option<&Neighbours> {
        let neighbours = self.neighbours.as_ref().ok();
        neighbours.filter(|own| !own.nearest.is_empty())
    }

    pub(super) fn lines(&self, width: usize) -> Vec<PopupLine> {
        let mut lines = wrapped(&self.subject, width, PopupLine::Subject);
        lines.extend(wrapped(MEANING, width, PopupLine::Aside));
        if let Some(reviews) = self.learned {
            let words = format!(
                "The scores are learned from {}; this explains what the texts alone say.",
                count_words(reviews, "review")
            );
            lines.extend(wrapped(&words, width, PopupLine::Aside));
        }
        lines.push(PopupLine::Text(String::new()));
        lines.extend(self.neighbour_lines(width));
        for condition in &self.conditions {
            lines.push(PopupLine::Text(String::new()));
            lines.extend(wrapped(&condition.heading, width, PopupLine::Subject));
            let pair = condition.pair.iter();
            lines.extend(pair.map(|words| PopupLine::Aside(cut_end(&format!("  {words}"), width))));
            if condition.by_distance {
                lines.extend(wrapped(BY_DISTANCE, width, PopupLine::Aside));
            }
            lines.extend(condition.rows.iter().flat_map(|row| row.lines(width)));
        }
        lines
    }
}

impl PhraseRow {
    /// Figure, bar and words.
    fn lines(&self, width: usize) -> impl Iterator<Item = PopupLine> {
        let bar = "█".repeat(self.bar);
        let beside = format!("{:>7} {bar:<BAR$} ", self.figure);
        let line = if self.is_placebo {
            PopupLine::Aside
        } else {
            PopupLine::Text
        };
        hanging(&beside, &self.words, width).into_iter().map(line)
    }
}

/// Words beside a figure, which go on below themselves.
fn hanging(beside: &str, words: &str, width: usize) -> Vec<String> {
    let indent = text::width(beside);
    let parts = text::wrap(words, width.saturating_sub(indent)).into_iter();
    let lines = parts.enumerate().map(|(at, part)| match at {
        0 => format!("{beside}{part}"),
        _ => format!("{:indent$}{part}", ""),
    });
    lines.collect()
}

impl PhraseTable {
    /// The nearest reviewed images in words: the nearest of each label.
    fn neighbour_lines(&self, width: usize) -> Vec<PopupLine> {
        let found = match &self.neighbours {
            Err(message) => {
                let words = format!(
                    "The nearest reviewed images are not known: {}",
                    safe_str(message)
                );
                return wrapped(&words, width, PopupLine::Aside);
            }
            Ok(found) if found.nearest.is_empty() => {
                let words = "No other image is reviewed under this prompt set: there is none to compare with.";
                return wrapped(words, width, PopupLine::Aside);
            }
            Ok(found) => found,
        };
        let heading = format!(
            "Nearest of {}; Enter shows them",
            count_words(found.compared, "reviewed image")
        );
        let mut lines = vec![PopupLine::Subject(cut_end(&heading, width))];
        for own in found.nearest.chunk_by(|a, b| a.label == b.label) {
            // A copy only where there is nothing else.
            let first = own.iter().find(|own| !own.is_near_copy).or(own.first());
            let words = first.into_iter().flat_map(|first| {
                let beside = format!("{:>7.2}  ", first.similarity);
                hanging(&beside, &neighbour_words(first), width)
            });
            lines.extend(words.map(PopupLine::Text));
        }
        lines
    }
}

fn count_words(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn neighbour_words(own: &Neighbour) -> String {
    let label = own.label.as_deref().unwrap_or("none of the conditions");
    let name = own.path.file_name().unwrap_or_default();
    let copy = if own.is_near_copy { ", a copy" } else { "" };
    let missing = if own.is_missing { ", missing" } else { "" };
    format!("{}: {}{copy}{missing}", safe_str(label), safe(name))
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
        condition.lead,
    );
    ConditionRows {
        heading: safe_str(&heading),
        pair: condition.pair.as_ref().map(SimilarityPair::words),
        by_distance: condition.by_distance,
        rows: phrases.chain([placebo]).collect(),
    }
}
