//! What a filter that is being typed can go on with: names of terms, then values that occur.

use std::collections::BTreeSet;
use std::time::SystemTime;

use jiff::tz::TimeZone;

use super::dates::month;
use super::terms::{DATE, NUMBERS, REVIEWS, STATUSES, TEXTS, TextTerm};

/// Maximum number of candidates that are offered.
const MAX_CANDIDATES: usize = 50;

/// Values that occur in the files that are loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Labels of results, and conditions of the prompt sets in use.
    pub labels: BTreeSet<String>,
    /// DICOM modalities.
    pub modalities: BTreeSet<String>,
    /// Prompt sets.
    pub sets: BTreeSet<String>,
    /// Months of the last change: `2026-11`.
    pub months: BTreeSet<String>,
}

impl Vocabulary {
    /// Adds the month of a time.
    pub fn add_month(&mut self, time: SystemTime, zone: &TimeZone) {
        self.months.extend(month(time, zone));
    }
}

/// Texts that may replace the end of what is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// Where the text to be replaced begins, in bytes.
    pub start: usize,
    /// The candidates, in order; at most fifty.
    pub candidates: Vec<String>,
}

impl Completions {
    /// What a filter that ends at the cursor can go on with.
    pub fn of_filter(typed: &str, words: &Vocabulary) -> Self {
        let mut start = part_start(typed);
        start += usize::from(typed[start..].starts_with('!'));
        let part = &typed[start..];
        let value_at = part.find([':', '<', '>']).map(|at| {
            let rest = &part[at..];
            at + rest.len() - rest.trim_start_matches([':', '<', '>', '=']).len()
        });
        let Some(value_at) = value_at else {
            return Self::beginning_with(start, part, names());
        };
        let name = part.split([':', '<', '>']).next().unwrap_or_default();
        let text = TEXTS.iter().find(|(known, _)| *known == name);
        let quoted = |values: &BTreeSet<String>| values.iter().map(|v| quoted(v)).collect();
        let values: Vec<String> = match text.map(|(_, term)| term) {
            Some(TextTerm::Label | TextTerm::Review) => quoted(&words.labels),
            Some(TextTerm::Modality) => quoted(&words.modalities),
            Some(TextTerm::Set) => quoted(&words.sets),
            Some(TextTerm::Decision) => {
                let decisions = STATUSES.iter().skip(1);
                decisions.map(|(name, _)| (*name).to_owned()).collect()
            }
            None if name == DATE => words.months.iter().rev().cloned().collect(),
            None => Vec::new(),
        };
        let value = &part[value_at..];
        Self::beginning_with(start + value_at, value, values)
    }

    /// The candidates that begin with what is typed, whatever the case.
    pub fn beginning_with(start: usize, typed: &str, all: Vec<String>) -> Self {
        let bare = |text: &str| text.trim_start_matches('"').to_lowercase();
        let typed = bare(typed);
        let matching = all
            .into_iter()
            .filter(|text| bare(text).starts_with(&typed));
        Self {
            start,
            candidates: matching.take(MAX_CANDIDATES).collect(),
        }
    }
}

/// Where the part under the cursor begins: after the last blank that is not in quotes.
fn part_start(typed: &str) -> usize {
    let (mut start, mut is_quoted) = (0, false);
    for (at, c) in typed.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => start = at + c.len_utf8(),
            _ => {}
        }
    }
    start
}

/// All terms, up to their values.
fn names() -> Vec<String> {
    let texts = TEXTS.iter().map(|(name, _)| format!("{name}:"));
    let dates = [format!("{DATE}:"), format!("{DATE}>"), format!("{DATE}<")];
    let numbers = NUMBERS.iter().map(|(name, _)| format!("{name}>"));
    let states = STATUSES.iter().map(|(name, _)| (*name).to_owned());
    let reviews = REVIEWS.iter().map(|(name, _)| (*name).to_owned());
    let all = texts.chain(numbers).chain(dates).chain(states);
    all.chain(reviews).collect()
}

/// A value as a term has it: in quotes if it contains blanks.
fn quoted(value: &str) -> String {
    if value.contains(char::is_whitespace) {
        format!("\"{value}\"")
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(typed: &str) -> (String, Vec<String>) {
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let words = Vocabulary {
            labels: set(&["pleural effusion", "pneumonia", "tumor"]),
            modalities: set(&["CR", "CT"]),
            sets: set(&["general"]),
            months: set(&["2026-10", "2026-11"]),
        };
        let found = Completions::of_filter(typed, &words);
        (typed[..found.start].to_owned(), found.candidates)
    }

    #[test]
    fn names_of_terms_are_completed_then_values_that_occur() {
        for (typed, kept, expected) in [
            ("lab", "", &["label:"][..]),
            ("x !un", "x !", &["uncertain"]),
            ("re", "", &["review:", "rejected", "reviewed"]),
            ("label:P", "label:", &["\"pleural effusion\"", "pneumonia"]),
            ("label:\"pleural e", "label:", &["\"pleural effusion\""]),
            ("label:=t", "label:=", &["tumor"]),
            ("a !modality:c", "a !modality:", &["CR", "CT"]),
            (
                "decision:",
                "decision:",
                &["rejected", "uncertain", "confident"],
            ),
            ("date:", "date:", &["2026-11", "2026-10"]),
            ("date>=2026-1", "date>=", &["2026-11", "2026-10"]),
            ("p>0", "p>", &[]),
            ("größe:", "größe:", &[]),
        ] {
            let (start, candidates) = completed(typed);
            assert_eq!(
                (start.as_str(), candidates),
                (kept, expected.iter().map(|c| (*c).to_owned()).collect()),
                "{typed}"
            );
        }
    }
}
