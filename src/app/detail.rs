//! What the result panel says of the file or folder under the cursor, line by line; the view gives it its looks.

use std::path::Path;

use super::entry::EntryKind;
use super::keys::Action;
use super::model::{EngineState, Model};
use super::popup::kind_word;
use super::results::{FileState, Standing, Tally};
use super::text;
use crate::library::{NOTICE, Record};
use crate::media::FileFormat;
use crate::scoring::{Decision, Mode};

/// A line of the result panel. All text is safe to show and fits the width asked for, except that of facts.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// The most important line: its mark, what it says, and the figure beside it.
    Headline(Option<Standing>, String, String),
    /// A line of running text.
    Text(String),
    /// A line that matters less.
    Aside(String),
    /// A line that asks for attention.
    Warning(String),
    /// A share of one, drawn as a bar; `None` is a bar that makes no claim.
    Bar {
        /// What it is the share of.
        name: String,
        /// 0 to 1.
        share: Option<f64>,
        /// The figure beside it.
        figure: String,
    },
    /// A name and its value.
    Fact(&'static str, String),
    /// An empty line.
    Gap,
}

/// What to do about a model that knows phantoms only.
const REAL_MODEL: &str =
    "The demo model knows synthetic studies only. For real pictures choose biomedclip";

impl Model {
    /// What the result panel says, for a panel `width` columns wide.
    pub(crate) fn details(&self, width: usize) -> Vec<Detail> {
        let Some(row) = self.folder.current() else {
            return self.engine_details(width);
        };
        if let Some(lines) = self.shelf_details(row, width) {
            return lines;
        }
        match (row.kind, self.results.get(&row.path)) {
            (EntryKind::Folder, state) if !matches!(state, Some(FileState::Failed(_))) => {
                let mut lines = self
                    .results
                    .tally(&row.path)
                    .map_or_else(|| no_pictures(self, width), |t| tally(t, width));
                if lines.is_empty() {
                    lines.push(Detail::Gap);
                }
                lines
            }
            (_, Some(state @ FileState::Done(_))) => {
                state.record().map_or_else(Vec::new, |record| {
                    self.record_details(record, state.standing(), width)
                })
            }
            (_, Some(state @ FileState::Failed(failure))) => {
                let mut lines = vec![Detail::Headline(
                    Some(state.standing()),
                    if failure.not_picture {
                        "no picture".to_owned()
                    } else {
                        kind_word(failure.kind).to_owned()
                    },
                    String::new(),
                )];
                lines.extend(wrapped(&sentence(&failure.message), width, Detail::Text));
                lines
            }
            (_, Some(FileState::Queued)) => match &self.engine {
                EngineState::Ready { .. } => {
                    let queued = "queued".to_owned();
                    let headline = Detail::Headline(Some(Standing::Queued), queued, String::new());
                    let mut lines = vec![headline];
                    lines.extend(self.first_steps(width));
                    lines
                }
                EngineState::Loading | EngineState::Failed(_) => self.engine_details(width),
            },
            (_, None) if self.is_other(row) => {
                vec![Detail::Headline(
                    Some(Standing::NoPicture),
                    "not a picture".to_owned(),
                    String::new(),
                )]
            }
            (_, None) => self.unasked(width),
        }
    }

    fn unasked(&self, width: usize) -> Vec<Detail> {
        if matches!(self.engine, EngineState::Failed(_)) {
            return self.engine_details(width);
        }
        let mut lines = vec![Detail::Headline(
            None,
            "not classified".to_owned(),
            String::new(),
        )];
        let this = self.advice(Action::Classify, "classifies it");
        let all = self.advice(Action::ClassifyAll, "classifies all files, in folders too");
        for words in this.into_iter().chain(all) {
            lines.extend(wrapped(&words, width, Detail::Aside));
        }
        lines
    }

    /// What there is to know before the first result.
    fn first_steps(&self, width: usize) -> Vec<Detail> {
        let EngineState::Ready { synthetic_only, .. } = self.engine else {
            return Vec::new();
        };
        let answered = |tally: &Tally| {
            let standings = [Standing::Confident, Standing::Uncertain, Standing::Rejected];
            standings.iter().any(|standing| tally.count(*standing) > 0)
        };
        if self.results.tally(Path::new("/")).is_some_and(answered) {
            return Vec::new();
        }
        let model = synthetic_only.then(|| self.real_model());
        let help = self.advice(Action::Help, "shows the keys");
        let words = model.into_iter().chain(help);
        let paragraphs: Vec<String> = words.collect();
        wrapped(&paragraphs.join("\n"), width, Detail::Aside).collect()
    }

    /// How to get a model that knows more than phantoms.
    fn real_model(&self) -> String {
        let key = self.keymap.key(Action::Model);
        let key = key.map_or_else(String::new, |key| format!(" (key {key})"));
        format!("{REAL_MODEL}{key}, or run `medivision-tui models pull biomedclip`.")
    }

    /// While there is no model, that is the news.
    fn engine_details(&self, width: usize) -> Vec<Detail> {
        match &self.engine {
            EngineState::Loading => {
                let mut lines = vec![Detail::Headline(
                    Some(Standing::Queued),
                    "loading the model …".to_owned(),
                    String::new(),
                )];
                lines.extend(wrapped(
                    "Browse meanwhile; results follow by themselves.",
                    width,
                    Detail::Aside,
                ));
                let help = self.advice(Action::Help, "shows the keys");
                lines.extend(help.map(Detail::Aside));
                lines
            }
            EngineState::Failed(message) => {
                let mut lines = vec![Detail::Headline(
                    Some(Standing::Failed),
                    "no model".to_owned(),
                    String::new(),
                )];
                lines.extend(wrapped(message, width, Detail::Text));
                lines.push(Detail::Gap);
                lines.extend(wrapped(
                    "Pictures can be browsed but not classified.",
                    width,
                    Detail::Aside,
                ));
                let other = self.advice(Action::Model, "chooses another model");
                lines.extend(other.map(Detail::Aside));
                lines
            }
            EngineState::Ready { .. } => self.first_steps(width),
        }
    }

    fn record_details(&self, record: &Record, standing: Standing, width: usize) -> Vec<Detail> {
        let verdict = &record.verdict;
        let rejected = verdict.decision == Decision::Rejected;
        let mut lines = Vec::new();
        if rejected {
            lines.push(Detail::Headline(
                Some(standing),
                "rejected".to_owned(),
                String::new(),
            ));
        } else {
            let word = if standing == Standing::Confident {
                "confident"
            } else {
                "uncertain"
            };
            lines.push(Detail::Headline(
                Some(standing),
                text::safe_str(&verdict.label),
                word.to_owned(),
            ));
        }
        if rejected {
            // No claim: not even the order of the conditions is shown.
            lines.push(Detail::Bar {
                name: String::new(),
                share: None,
                figure: "–".to_owned(),
            });
        }
        if let Some(reason) = &verdict.reason {
            lines.extend(wrapped(&sentence(reason), width, Detail::Warning));
        }
        if rejected
            && matches!(
                self.engine,
                EngineState::Ready {
                    synthetic_only: true,
                    ..
                }
            )
            && let Some(advice) = self.advice(
                Action::Model,
                "fetches and chooses a model for real pictures",
            )
        {
            lines.extend(wrapped(&advice, width, Detail::Aside));
        }
        if !rejected {
            lines.extend(wrapped(&verdict.description, width, Detail::Text));
            lines.extend(verdict.scores.iter().map(|score| Detail::Bar {
                name: text::safe_str(&score.condition),
                share: Some(score.probability),
                figure: percent(score.probability),
            }));
        }
        lines.extend(facts(record));
        lines
    }
}

/// What results are not for, in lines of at most `width` columns, for the end of a panel `height` rows high: it is in sight
/// wherever results are, and shortened only where there is no room for all of it.
pub(crate) fn notice(width: usize, height: usize) -> Vec<String> {
    let lines = text::wrap(NOTICE, width);
    match height {
        _ if lines.len() * 3 <= height => lines,
        2.. => vec![text::cut_end("Not a diagnosis.", width)],
        _ => Vec::new(),
    }
}

/// A message with a capital letter in front.
pub(crate) fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// A probability as a percentage with one digit after the point; never rounded up to certainty.
pub(crate) fn percent(probability: f64) -> String {
    let shown = (probability * 1000.0).round() / 10.0;
    if shown >= 100.0 && probability < 1.0 {
        "99.9%".to_owned()
    } else {
        format!("{shown:.1}%")
    }
}

/// The same in whole percent, for the list.
pub(crate) fn whole_percent(probability: f64) -> String {
    let shown = (probability * 100.0).round();
    if shown >= 100.0 && probability < 1.0 {
        "99%".to_owned()
    } else {
        format!("{shown:.0}%")
    }
}

fn facts(record: &Record) -> Vec<Detail> {
    let kind = match record.kind {
        FileFormat::Jpeg => "JPEG",
        FileFormat::Png => "PNG",
        FileFormat::Dicom => "DICOM",
    };
    let mut lines = Vec::new();
    let mut fact = |name, value: Option<String>| {
        lines.extend(value.map(|value| Detail::Fact(name, text::safe_str(&value))));
    };
    fact("model", Some(record.model.clone()));
    fact("prompts", Some(record.prompts.clone()));
    fact(
        "mode",
        (record.mode == Mode::Multi).then(|| "each condition alone".to_owned()),
    );
    fact(
        "file",
        Some(format!("{kind} {} × {}", record.width, record.height)),
    );
    let frame = match record.frame {
        Some(frame) => format!("{} of {}", frame + 1, record.frames),
        None => format!("mean of {}", record.frames),
    };
    fact("frame", (record.frames > 1).then_some(frame));
    fact("modality", record.modality.clone());
    fact("body part", record.body_part.clone());
    fact("device", Some(record.device.clone()));
    fact("at", Some(record.at.clone()));
    lines
}

fn no_pictures(model: &Model, width: usize) -> Vec<Detail> {
    if model.root_scanned {
        let nothing = "no pictures here".to_owned();
        let mut lines = vec![Detail::Headline(None, nothing, String::new())];
        lines.extend(model.first_steps(width));
        lines
    } else {
        model.engine_details(width)
    }
}

/// How many pictures, how they stand, what they are.
fn tally(tally: &Tally, width: usize) -> Vec<Detail> {
    let pictures = if tally.pictures == 1 {
        "1 picture".to_owned()
    } else {
        format!("{} pictures", tally.pictures)
    };
    let mut lines = vec![Detail::Headline(None, pictures, String::new())];
    let named = [
        (Standing::Confident, "confident"),
        (Standing::Uncertain, "uncertain"),
        (Standing::Rejected, "rejected"),
        (Standing::Queued, "queued"),
        (Standing::Failed, "failed"),
    ];
    let counts: Vec<String> = named
        .iter()
        .filter(|(standing, _)| tally.count(*standing) > 0)
        .map(|(standing, word)| format!("{} {word}", tally.count(*standing)))
        .collect();
    lines.extend(wrapped(&counts.join(", "), width, Detail::Aside));
    let mut labels: Vec<_> = tally.labels.iter().collect();
    labels.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    lines.extend(labels.into_iter().map(|(label, count)| Detail::Bar {
        name: text::safe_str(label),
        share: Some(*count as f64 / tally.pictures as f64),
        figure: count.to_string(),
    }));
    lines
}

pub(super) fn wrapped(
    sentence: &str,
    width: usize,
    line: fn(String) -> Detail,
) -> impl Iterator<Item = Detail> {
    let clean: String = sentence
        .lines()
        .map(text::safe_str)
        .collect::<Vec<_>>()
        .join("\n");
    text::wrap(&clean, width).into_iter().map(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_never_claims_certainty_that_is_not_there() {
        assert_eq!(
            (percent(0.9999), percent(1.0), percent(0.914)),
            ("99.9%".to_owned(), "100.0%".to_owned(), "91.4%".to_owned())
        );
        assert_eq!(
            (
                whole_percent(0.996),
                whole_percent(1.0),
                whole_percent(0.004)
            ),
            ("99%".to_owned(), "100%".to_owned(), "0%".to_owned())
        );
    }
}
