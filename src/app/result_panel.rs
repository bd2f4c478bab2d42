//! The content of the result panel for the file, folder, study or series under the cursor, line by line; the view styles
//! it.

mod groups;

use std::path::Path;

use super::context::FileContext;
use super::entry::EntryKind;
use super::environment::Environment;
use super::keys::Action;
use super::mix::MixState;
use super::popup::failure_words;
use super::results::reviews::label_words;
use super::results::{FileState, FileStatus, Tally, tells_kind_only};
use super::review_keys::{self, Leader};
use super::status::EngineState;
use super::text;
use super::urgency::UrgencyLevel;
use crate::library::mixes::shares;
use crate::library::{NOTICE, Record};
use crate::media::FileFormat;
use crate::scoring::calibration::COVERAGE;
use crate::scoring::{Decision, Mode, Score, Verdict, percent, whole_percent};
use groups::tally;

/// A line of the result panel. All text is safe to show and fits the width asked for, except that of facts.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// The most important line: symbol, text, and a word or figure beside it.
    Headline(Option<FileStatus>, String, String),
    /// A line of running text.
    Text(String),
    /// A less important line.
    Aside(String),
    /// A warning.
    Warning(String),
    /// A share drawn as a bar.
    Bar {
        /// What is measured.
        name: String,
        /// 0 to 1; `None` if there is no value to show.
        share: Option<f64>,
        /// The figure beside it.
        figure: String,
    },
    /// A number of images with a label: a bar of parts by the level of their urgency.
    Label {
        /// The label.
        name: String,
        /// The shares of all images by level, the highest first.
        shares: [f64; UrgencyLevel::ALL.len()],
        /// The number.
        count: usize,
        /// The level of the image in the middle.
        level: UrgencyLevel,
    },
    /// A name and its value.
    Fact(&'static str, String),
    /// An empty line.
    Gap,
}

/// Advice where the model judges findings of phantoms only.
const REAL_MODEL: &str =
    "The built-in model tells kinds of image apart. For findings of real images, choose biomedclip";

/// How to get findings where the model judges none, in fewer and fewer words.
pub(crate) fn findings_advice(env: &Environment) -> [String; 4] {
    let key = |action: Action, before: &str| {
        let key = env.keymap.key(action);
        key.map_or_else(String::new, |key| format!(" ({before}{key})"))
    };
    let in_words = |before: &str| {
        let (model, labels) = (key(Action::Model, before), key(Action::Review, before));
        format!("Findings need a medical model{model}, or your own labels{labels}")
    };
    let model = key(Action::Model, "");
    [
        in_words("press "),
        in_words(""),
        format!("Findings need a medical model{model}"),
        format!("no findings{model}"),
    ]
}

/// Everything that the content of the result panel depends on.
pub(crate) struct ResultPanel<'a> {
    pub files: FileContext<'a>,
    pub engine: &'a EngineState,
    /// The review leader, while it waits for a key.
    pub leader: Option<&'a Leader>,
    /// The conditions in the order of their digits, if those are shown.
    pub conditions: Vec<String>,
    /// What is said of the heat map over the image, safe to show.
    pub map: Option<String>,
    /// How it was made.
    pub map_method: Option<&'static str>,
    /// What results are adjusted to.
    pub mix: &'a MixState,
}

impl ResultPanel<'_> {
    /// The lines of a panel `width` columns wide.
    pub(crate) fn lines(&self, width: usize) -> Vec<Detail> {
        let Some(row) = self.files.folder().current() else {
            return self.engine_details(width);
        };
        if let Some(lines) = self.group(row, width) {
            return lines;
        }
        match (row.kind, self.files.results.get(&row.path)) {
            (EntryKind::Folder, state) if !matches!(state, Some(FileState::Failed(_))) => {
                let known = self.files.results.tally(&row.path);
                let mut lines = known.map_or_else(|| self.no_images(width), |t| tally(t, width));
                if lines.is_empty() {
                    lines.push(Detail::Gap);
                }
                lines
            }
            (_, Some(state @ (FileState::Done(_) | FileState::Blind(_)))) => {
                state.subject().map_or_else(Vec::new, |record| {
                    self.record_details(record, state.status(), &row.path, width)
                })
            }
            (_, Some(state @ FileState::Failed(failure))) => {
                let mut lines = vec![Detail::Headline(
                    Some(state.status()),
                    failure_words(failure.kind, failure.content).to_owned(),
                    String::new(),
                )];
                lines.extend(wrapped(&sentence(&failure.message), width, Detail::Text));
                lines
            }
            (_, Some(FileState::Queued)) => match self.engine {
                EngineState::Ready { .. } => {
                    let queued = "queued".to_owned();
                    let headline =
                        Detail::Headline(Some(FileStatus::Queued), queued, String::new());
                    let mut lines = vec![headline];
                    lines.extend(self.first_steps(width));
                    lines
                }
                EngineState::Loading | EngineState::Failed(_) => self.engine_details(width),
            },
            (_, None) if self.files.results.is_ruled_out(&row.path) => {
                vec![Detail::Headline(
                    Some(FileStatus::NotAnImage),
                    "not an image".to_owned(),
                    String::new(),
                )]
            }
            (_, None) => self.unasked(width),
        }
    }

    fn unasked(&self, width: usize) -> Vec<Detail> {
        if self.engine.has_failed() {
            return self.engine_details(width);
        }
        let mut lines = vec![Detail::Headline(
            None,
            "not classified".to_owned(),
            String::new(),
        )];
        let this = self.files.env.advice(Action::Classify, "classifies it");
        let all = self.files.env.advice(
            Action::ClassifyAll,
            "classifies all files, including subfolders",
        );
        for words in this.into_iter().chain(all) {
            lines.extend(wrapped(&words, width, Detail::Aside));
        }
        lines
    }

    /// Hints before the first result.
    fn first_steps(&self, width: usize) -> Vec<Detail> {
        if !matches!(self.engine, EngineState::Ready { .. }) {
            return Vec::new();
        }
        let answered = |tally: &Tally| {
            let statuses = [
                FileStatus::Confident,
                FileStatus::Uncertain,
                FileStatus::Rejected,
            ];
            statuses.iter().any(|status| tally.count(*status) > 0)
        };
        if self
            .files
            .results
            .tally(Path::new("/"))
            .is_some_and(answered)
        {
            return Vec::new();
        }
        let is_builtin = self.engine.is_builtin();
        let model = is_builtin.then(|| self.real_model());
        let help = self.files.env.advice(Action::Help, "shows the keys");
        let words = model.into_iter().chain(help);
        let paragraphs: Vec<String> = words.collect();
        wrapped(&paragraphs.join("\n"), width, Detail::Aside).collect()
    }

    /// How to get a model that knows more than phantoms.
    fn real_model(&self) -> String {
        let key = self.files.env.keymap.key(Action::Model);
        let key = key.map_or_else(String::new, |key| format!(" (key {key})"));
        format!("{REAL_MODEL}{key}, or run `medivision-tui models pull biomedclip`.")
    }

    /// The state of the model, while there is none.
    fn engine_details(&self, width: usize) -> Vec<Detail> {
        match self.engine {
            EngineState::Loading => {
                let mut lines = vec![Detail::Headline(
                    Some(FileStatus::Queued),
                    "loading the model …".to_owned(),
                    String::new(),
                )];
                lines.extend(wrapped(
                    "You can browse; results appear as they are ready.",
                    width,
                    Detail::Aside,
                ));
                let help = self.files.env.advice(Action::Help, "shows the keys");
                lines.extend(help.map(Detail::Aside));
                lines
            }
            EngineState::Failed(message) => {
                let mut lines = vec![Detail::Headline(
                    Some(FileStatus::Failed),
                    "no model".to_owned(),
                    String::new(),
                )];
                lines.extend(wrapped(message, width, Detail::Text));
                lines.push(Detail::Gap);
                lines.extend(wrapped(
                    "Images can be browsed but not classified.",
                    width,
                    Detail::Aside,
                ));
                let other = self
                    .files
                    .env
                    .advice(Action::Model, "chooses another model");
                lines.extend(other.map(Detail::Aside));
                lines
            }
            EngineState::Ready { .. } => self.first_steps(width),
        }
    }

    fn record_details(
        &self,
        record: &Record,
        status: FileStatus,
        path: &Path,
        width: usize,
    ) -> Vec<Detail> {
        let mut lines = match status {
            FileStatus::Blind => self.blind_details(width),
            _ => self.verdict_details(record, status, width),
        };
        if self.leader.is_some() {
            lines.push(Detail::Gap);
            let keys = text::wrap_items(review_keys::hints(), width);
            lines.extend(keys.into_iter().map(Detail::Aside));
        }
        // Below the headline, where they are seen on a small screen, too.
        lines.splice(1..1, self.review_details(path));
        if let Some(words) = &self.map {
            lines.extend(wrapped(&format!("map: {words}"), width, Detail::Text));
            let method = self.map_method.map(|method| format!("by {method}"));
            lines.extend(method.map(Detail::Aside));
            if record.learned.is_some() {
                let words = "It shows what the texts alone say; the scores are learned.";
                lines.extend(wrapped(words, width, Detail::Aside));
            }
        }
        lines.extend(facts(record));
        lines
    }

    /// What can be said to a reviewer who works blind.
    fn blind_details(&self, width: usize) -> Vec<Detail> {
        let mut lines = vec![headline(Some(FileStatus::Blind), "blind", "")];
        let key = self.files.env.key(Action::Review);
        for (at, condition) in self.conditions.iter().enumerate() {
            let is_chosen = self
                .leader
                .is_some_and(|leader| leader.chosen.contains(condition));
            let mark = if is_chosen { " ✓" } else { "" };
            let words = format!("{key} {}  {}{mark}", at + 1, text::safe_str(condition));
            lines.extend(wrapped(&words, width, Detail::Text));
        }
        lines
    }

    /// What reviewers say about the image.
    fn review_details(&self, path: &Path) -> Vec<Detail> {
        let Some(judged) = self.files.results.judged(path) else {
            return Vec::new();
        };
        let Some(reviews) = judged.reviews else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        if let Some(labels) = reviews.labels() {
            let beside = match judged.agrees() {
                Some(true) => ", as the model",
                Some(false) => ", unlike the model",
                None => "",
            };
            let words = format!("{}{beside}", label_words(labels));
            lines.push(Detail::Fact("review", words));
        }
        if reviews.is_flagged() {
            lines.push(Detail::Fact("flag", "⚑".to_owned()));
        }
        let note = reviews
            .mine
            .as_ref()
            .map(|review| text::safe_str(&review.note));
        let note = note.filter(|note| !note.is_empty());
        lines.extend(note.map(|note| Detail::Fact("note", note)));
        if !self.files.results.is_blind() {
            for other in &reviews.others {
                let said = other.labels.as_deref().map_or("–".to_owned(), label_words);
                let note = text::safe_str(&other.note);
                let note = if note.is_empty() {
                    note
                } else {
                    format!(" ({note})")
                };
                let words = format!("{}: {said}{note}", text::safe_str(&other.reviewer));
                lines.push(Detail::Fact("other", words));
            }
        }
        lines
    }

    /// The conditions with their digits in the order of the prompt set, while the review leader waits for one; with their bars, unless the
    /// image is rejected or the model judges other conditions of it.
    fn numbered(&self, record: &Record) -> Vec<Detail> {
        let Some(leader) = self.leader else {
            return Vec::new();
        };
        let is_judged = record.verdict.decision != Decision::Rejected;
        let numbered = self.conditions.iter().enumerate().map(|(at, name)| {
            let mut scores = record.verdict.scores.iter().filter(|_| is_judged);
            let score = scores.find(|score| score.condition == *name);
            let is_chosen = leader.chosen.contains(name);
            let mark = if is_chosen { "✓" } else { "" };
            Detail::Bar {
                name: format!("{}{mark} {}", at + 1, text::safe_str(name)),
                share: score.map(|score| score.probability),
                figure: score.map_or_else(String::new, |score| percent(score.probability)),
            }
        });
        numbered.collect()
    }

    /// What the result is after adjusting to the folder's mix, or why it cannot be.
    fn adjusted(&self, record: &Record, width: usize) -> Vec<Detail> {
        let Some(result) = self.mix.adjusted(record) else {
            let words = self.mix.failure(record);
            let words = words.map(|words| format!("Not adjusted: {}.", text::safe_str(&words)));
            return words.map_or_else(Vec::new, |words| {
                wrapped(&words, width, Detail::Aside).collect()
            });
        };
        let own = &result.adjusted;
        let label = text::safe_str(&own.label);
        let figure = percent(own.probability);
        let how = if result.mix.estimated {
            "the estimated"
        } else {
            "the stated"
        };
        let images = result.mix.images;
        let shares = text::safe_str(&shares(result.mix));
        let words = format!("In {how} mix of {images} images: {shares}.");
        let mut lines = vec![Detail::Fact("adjusted", format!("{label} {figure}"))];
        lines.extend(wrapped(&words, width, Detail::Aside));
        lines
    }

    fn verdict_details(&self, record: &Record, status: FileStatus, width: usize) -> Vec<Detail> {
        let verdict = &record.verdict;
        let rejected = verdict.decision == Decision::Rejected;
        let mut lines = Vec::new();
        if rejected {
            lines.push(Detail::Headline(
                Some(status),
                "rejected".to_owned(),
                String::new(),
            ));
        } else {
            let word = if status == FileStatus::Confident {
                "confident"
            } else {
                "uncertain"
            };
            lines.push(Detail::Headline(
                Some(status),
                match verdict.claimed_label() {
                    Some(label) => text::safe_str(label),
                    None => label_words(&[]),
                },
                word.to_owned(),
            ));
        }
        // Where they are seen on a small screen, too.
        lines.extend(self.numbered(record));
        if rejected && self.leader.is_none() {
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
        if verdict.claimed_label().is_some() {
            lines.extend(wrapped(&verdict.description, width, Detail::Text));
        }
        if (rejected && self.engine.is_builtin()) || tells_kind_only(record) {
            let [advice, ..] = findings_advice(self.files.env);
            lines.extend(wrapped(&advice, width, Detail::Aside));
        }
        if !rejected {
            lines.extend(answers(verdict).map(|words| Detail::Fact("answer", words)));
            if self.leader.is_none() {
                lines.extend(bars(record));
            }
            lines.extend(self.adjusted(record, width));
            let present = operating_points(verdict);
            lines.extend(
                present
                    .iter()
                    .flat_map(|words| wrapped(words, width, Detail::Aside)),
            );
        }
        lines
    }
}

/// The bars of the conditions, the highest first.
fn bars(record: &Record) -> impl Iterator<Item = Detail> {
    let scores = record.verdict.scores.iter();
    scores.map(|score| Detail::Bar {
        name: text::safe_str(&score.condition),
        share: Some(score.probability),
        figure: percent(score.probability),
    })
}

/// Which conditions reach their operating points, where labelled images told these.
fn operating_points(verdict: &Verdict) -> Option<String> {
    let known = verdict.scores.iter().filter_map(|score| {
        let point = whole_percent(score.threshold?);
        Some((
            score,
            format!("{} (from {point})", text::safe_str(&score.condition)),
        ))
    });
    let (present, absent): (Vec<_>, Vec<_>) = known.partition(|(score, _)| score.is_present());
    let list = |all: Vec<(&Score, String)>| {
        let names: Vec<String> = all.into_iter().map(|(_, words)| words).collect();
        names.join(", ")
    };
    match (present.is_empty(), absent.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!("Below the operating point: {}", list(absent))),
        (false, true) => Some(format!("Present: {}", list(present))),
        (false, false) => Some(format!(
            "Present: {}; absent: {}",
            list(present),
            list(absent)
        )),
    }
}

/// The notice that results are not a diagnosis, in lines of at most `width` columns, for the end of a panel `height` rows high:
/// it is visible wherever results are, and shortened where there is no room for all of it.
pub(crate) fn notice(width: usize, height: usize) -> Vec<String> {
    let lines = text::wrap(NOTICE, width);
    match height {
        _ if lines.len() * 3 <= height => lines,
        2.. => vec![text::cut_end("Not a diagnosis.", width)],
        _ => Vec::new(),
    }
}

/// Capitalises a message.
pub(crate) fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// `pneumonia or normal (90 %)`: the conditions of which one is the true one that often; `None` unless that is known.
fn answers(verdict: &Verdict) -> Option<String> {
    let names: Vec<String> = verdict
        .answers
        .iter()
        .map(|name| text::safe_str(name))
        .collect();
    let often = (COVERAGE * 100.0).round();
    (!names.is_empty()).then(|| format!("{} ({often} %)", names.join(" or ")))
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
        (record.mode == Mode::Multi).then(|| "each condition separately".to_owned()),
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
    // Until they are calibrated, scores are not probabilities.
    let scores = match (record.learned, record.calibrated) {
        (None, false) => "zero-shot, not calibrated",
        (Some(_), false) => "learned, not calibrated",
        (None, true) => "calibrated probabilities",
        (Some(_), true) => "learned, calibrated",
    };
    fact("scores", Some(scores.to_owned()));
    fact("learned", record.learned.map(from_reviews));
    fact("device", Some(record.device.clone()));
    fact("at", Some(record.at.clone()));
    lines
}

/// `from 23 reviews`
fn from_reviews(count: usize) -> String {
    match count {
        1 => "from 1 review".to_owned(),
        count => format!("from {count} reviews"),
    }
}

fn headline(status: Option<FileStatus>, text: &str, word: &str) -> Detail {
    Detail::Headline(status, text.to_owned(), word.to_owned())
}

fn wrapped(
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
