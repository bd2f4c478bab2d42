//! The terms of a filter about results and reviews. Those about results are named as in the rules on results.

use super::dates::{DateValue, DaySpan};
use crate::app::results::FileStatus;
use crate::app::results::reviews::{ImageReviews, Judged};
use crate::config::similar;
use crate::library::Record;
use crate::scoring::Decision;

/// What is compared with a text: `label:pneumonia`.
pub(super) const TEXTS: [(&str, TextTerm); 5] = [
    ("label", TextTerm::Label),
    ("review", TextTerm::Review),
    ("modality", TextTerm::Modality),
    ("decision", TextTerm::Decision),
    ("set", TextTerm::Set),
];
/// The term about the time of the last change: `date:2026-11`, `date>2026-11-01`.
pub(super) const DATE: &str = "date";
/// What is compared with a number: `urgency>0.9`.
pub(super) const NUMBERS: [(&str, NumberTerm); 3] = [
    ("p", NumberTerm::Probability),
    ("probability", NumberTerm::Probability),
    ("urgency", NumberTerm::Urgency),
];
/// What stands alone.
pub(super) const STATUSES: [(&str, FileStatus); 4] = [
    ("error", FileStatus::Failed),
    ("rejected", FileStatus::Rejected),
    ("uncertain", FileStatus::Uncertain),
    ("confident", FileStatus::Confident),
];
/// What stands alone and concerns reviews.
pub(super) const REVIEWS: [(&str, ReviewTerm); 5] = [
    ("reviewed", ReviewTerm::Reviewed),
    ("flagged", ReviewTerm::Flagged),
    ("noted", ReviewTerm::Noted),
    ("sampled", ReviewTerm::Sampled),
    ("disagrees", ReviewTerm::Disagrees),
];
/// How numbers are compared; the longer signs come first, as others begin with the same character.
const SIGNS: [(&str, Inequality); 4] = [
    (">=", Inequality::AtLeast),
    ("<=", Inequality::AtMost),
    (">", Inequality::Above),
    ("<", Inequality::Below),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTerm {
    Label,
    Review,
    Modality,
    Decision,
    /// The prompt set.
    Set,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberTerm {
    Probability,
    Urgency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inequality {
    Above,
    AtLeast,
    Below,
    AtMost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReviewTerm {
    Reviewed,
    Flagged,
    Noted,
    Sampled,
    Disagrees,
}

#[derive(Clone, Debug, PartialEq)]
enum Criterion {
    Status(FileStatus),
    Review(ReviewTerm),
    /// The text is in lower case.
    Text(TextTerm, String),
    Number(NumberTerm, Inequality, f64),
    /// The probability of the conditions whose names match a text in lower case.
    Condition(String, Inequality, f64),
    /// Within a span of days, or before or after it.
    Date(Option<Inequality>, DaySpan),
}

/// A term about a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResultTerm {
    criterion: Criterion,
    negated: bool,
}

/// A filter, parsed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ParsedFilter {
    /// The words that names must match, as the matcher reads them.
    pub words: String,
    pub on_results: Vec<ResultTerm>,
    /// What is wrong with the first wrong term, and what may be meant.
    pub fault: Option<String>,
}

/// What a part of a filter is.
enum Parsed {
    Word,
    /// A term whose value is still to be typed.
    Unfinished,
    Term(Criterion),
}

impl ParsedFilter {
    /// Parses a filter. A term whose value is missing is ignored: it is being typed.
    pub(super) fn parse(text: &str) -> Self {
        let mut terms = Self::default();
        for part in parts(text) {
            let (negated, bare) = match part.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, part.as_str()),
            };
            match parse_part(bare) {
                Ok(Parsed::Term(criterion)) => {
                    terms.on_results.push(ResultTerm { criterion, negated });
                }
                Ok(Parsed::Unfinished) => {}
                Ok(Parsed::Word) => {
                    if !terms.words.is_empty() {
                        terms.words.push(' ');
                    }
                    terms.words.push_str(&part);
                }
                Err(fault) => terms.fault = terms.fault.or(Some(fault)),
            }
        }
        terms
    }
}

/// The parts between blanks; blanks in double quotes do not separate, and the quotes are dropped.
fn parts(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Parses a part without its `!`.
///
/// # Errors
///
/// Says what is wrong, and what may be meant.
fn parse_part(part: &str) -> Result<Parsed, String> {
    if let Some((_, status)) = STATUSES.iter().find(|(name, _)| *name == part) {
        return Ok(Parsed::Term(Criterion::Status(*status)));
    }
    if let Some((_, term)) = REVIEWS.iter().find(|(name, _)| *name == part) {
        return Ok(Parsed::Term(Criterion::Review(*term)));
    }
    let name_end = part.find(|c: char| !c.is_ascii_alphabetic() && c != '_');
    let Some((name, rest)) = name_end
        .map(|end| part.split_at(end))
        .filter(|(name, _)| !name.is_empty())
    else {
        return Ok(Parsed::Word);
    };
    if let Some(rest) = rest.strip_prefix('(') {
        return condition_term(name, rest);
    }
    if let Some(value) = rest.strip_prefix(':') {
        if name == DATE {
            return date_term(None, value);
        }
        return text_term(name, value);
    }
    let sign = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign));
    match sign {
        Some((sign, bound)) if name == DATE => date_term(Some(*bound), &rest[sign.len()..]),
        Some((sign, bound)) => number_term(name, sign, *bound, &rest[sign.len()..]),
        None => Ok(Parsed::Word),
    }
}

fn date_term(by: Option<Inequality>, value: &str) -> Result<Parsed, String> {
    match DateValue::parse(value) {
        DateValue::Unfinished => Ok(Parsed::Unfinished),
        DateValue::Span(span) => Ok(Parsed::Term(Criterion::Date(by, span))),
        DateValue::Wrong => Err(format!(
            "`{value}` is not a day, month or year: write {DATE}:2026-11 or {DATE}>2026-11-01"
        )),
    }
}

fn text_term(name: &str, value: &str) -> Result<Parsed, String> {
    let Some((_, term)) = TEXTS.iter().find(|(known, _)| *known == name) else {
        return Err(match NUMBERS.iter().find(|(known, _)| *known == name) {
            Some(_) => format!("`{name}` is a number: write {name}>0.5"),
            None => unknown(name),
        });
    };
    let value = value.to_lowercase();
    if value.is_empty() {
        return Ok(Parsed::Unfinished);
    }
    let decisions = &STATUSES[1..];
    if *term == TextTerm::Decision
        && !decisions
            .iter()
            .any(|(decision, _)| decision.starts_with(&value))
    {
        let meant = similar(&value, decisions.iter().map(|(decision, _)| *decision));
        let names: Vec<&str> = decisions.iter().map(|(decision, _)| *decision).collect();
        return Err(format!(
            "the decision is never `{value}`; {}",
            match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("use one of `{}`", names.join("`, `")),
            }
        ));
    }
    Ok(Parsed::Term(Criterion::Text(*term, value)))
}

/// `rest`: what follows the bracket in `p(tumor)>0.6`.
fn condition_term(name: &str, rest: &str) -> Result<Parsed, String> {
    let known = NUMBERS.iter().find(|(known, _)| *known == name);
    if !matches!(known, Some((_, NumberTerm::Probability))) {
        return Ok(Parsed::Word);
    }
    let Some((condition, rest)) = rest.split_once(')') else {
        return Ok(Parsed::Unfinished);
    };
    let Some((sign, bound)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) else {
        return if rest.is_empty() {
            Ok(Parsed::Unfinished)
        } else {
            Err(format!(
                "compare with a number: write {name}({condition})>0.5"
            ))
        };
    };
    let term = number_term(name, sign, *bound, &rest[sign.len()..])?;
    Ok(match term {
        Parsed::Term(Criterion::Number(_, bound, number)) => Parsed::Term(Criterion::Condition(
            condition.to_lowercase(),
            bound,
            number,
        )),
        other => other,
    })
}

fn number_term(name: &str, sign: &str, bound: Inequality, value: &str) -> Result<Parsed, String> {
    let Some((_, term)) = NUMBERS.iter().find(|(known, _)| *known == name) else {
        return Err(match TEXTS.iter().find(|(known, _)| *known == name) {
            Some(_) => format!("`{name}` is a text: write {name}:{value}"),
            None => unknown(name),
        });
    };
    if value.is_empty() {
        return Ok(Parsed::Unfinished);
    }
    match value.parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => {
            let criterion = Criterion::Number(*term, bound, number);
            Ok(Parsed::Term(criterion))
        }
        Ok(number) => Err(format!(
            "`{name}` is between 0 and 1, never near {number}; for 90 % write {name}{sign}0.9"
        )),
        Err(_) => Err(format!(
            "`{name}` is compared with a number: write {name}{sign}0.9"
        )),
    }
}

fn unknown(name: &str) -> String {
    let texts = TEXTS.iter().map(|(name, _)| *name);
    let numbers = NUMBERS.iter().map(|(name, _)| *name);
    let known: Vec<&str> = texts.chain(numbers).chain([DATE]).collect();
    let advice = crate::config::advice(name, known);
    format!("unknown term `{name}`; {advice} (for a name with these signs write '{name}…)")
}

impl ResultTerm {
    /// Whether the term compares the time of the last change.
    pub(super) fn is_about_dates(&self) -> bool {
        matches!(self.criterion, Criterion::Date(..))
    }

    /// Whether the term compares the urgency.
    pub(super) fn is_about_urgency(&self) -> bool {
        matches!(self.criterion, Criterion::Number(NumberTerm::Urgency, ..))
    }

    /// Whether the term holds. A rejected result has no label, probability or urgency, and a result without a normal condition no
    /// urgency: only negated terms about these hold.
    pub(super) fn holds(&self, judged: Judged) -> bool {
        self.criterion.holds(judged) != self.negated
    }
}

impl Criterion {
    fn holds(&self, judged: Judged) -> bool {
        let Judged { state, reviews, .. } = judged;
        match self {
            Self::Status(status) => return state.status() == *status,
            Self::Review(term) => return term.holds(judged),
            Self::Date(by, span) => {
                let time = judged.modified;
                return time.is_some_and(|time| span.holds(*by, time, judged.zone));
            }
            Self::Text(TextTerm::Review, text) => {
                let labels = reviews.and_then(ImageReviews::labels);
                return match (labels, text.as_str()) {
                    (Some([]), "=none") => true,
                    (labels, text) => {
                        let mut labels = labels.unwrap_or_default().iter();
                        labels.any(|label| matches(label, text))
                    }
                };
            }
            _ => {}
        }
        let Some(record) = state.record() else {
            return false;
        };
        match self {
            Self::Status(_)
            | Self::Review(_)
            | Self::Date(..)
            | Self::Text(TextTerm::Review, _) => false,
            Self::Text(TextTerm::Set, text) => matches(&record.prompts, text),
            Self::Text(TextTerm::Modality, text) => {
                let modality = record.modality.as_deref();
                modality.is_some_and(|modality| modality.trim().to_lowercase() == *text)
            }
            Self::Text(TextTerm::Decision, text) => {
                let named = STATUSES.iter().find(|(_, known)| *known == state.status());
                named.is_some_and(|(name, _)| name.starts_with(text.as_str()))
            }
            Self::Text(TextTerm::Label, text) => {
                let claimed = record.claim().unwrap_or_default();
                has_claim(record)
                    && (record
                        .verdict
                        .claimed_label()
                        .is_some_and(|label| matches(label, text))
                        || claimed.iter().any(|label| matches(label, text)))
            }
            Self::Condition(text, bound, number) => {
                let scores = record.verdict.scores.iter();
                let named = scores.filter(|score| matches(&score.condition, text));
                let highest = named.map(|score| score.probability).reduce(f64::max);
                has_claim(record) && highest.is_some_and(|highest| bound.holds(highest, *number))
            }
            Self::Number(term, bound, number) => {
                let value = match term {
                    NumberTerm::Probability => Some(record.verdict.probability),
                    NumberTerm::Urgency => record.verdict.urgency,
                };
                has_claim(record) && value.is_some_and(|value| bound.holds(value, *number))
            }
        }
    }
}

impl ReviewTerm {
    fn holds(self, judged: Judged) -> bool {
        let Some(reviews) = judged.reviews else {
            return false;
        };
        match self {
            Self::Reviewed => reviews.is_decided(),
            Self::Flagged => reviews.is_flagged(),
            Self::Noted => reviews
                .mine
                .as_ref()
                .is_some_and(|review| !review.note.is_empty()),
            Self::Sampled => reviews.sampled,
            Self::Disagrees => judged.agrees() == Some(false),
        }
    }
}

impl Inequality {
    fn holds(self, value: f64, number: f64) -> bool {
        match self {
            Self::Above => value > number,
            Self::AtLeast => value >= number,
            Self::Below => value < number,
            Self::AtMost => value <= number,
        }
    }
}

/// Whether a name contains a text in lower case; after `=`, whether it is that text.
fn matches(name: &str, text: &str) -> bool {
    let name = name.to_lowercase();
    match text.strip_prefix('=') {
        Some(exact) => name == exact,
        None => name.contains(text),
    }
}

fn has_claim(record: &Record) -> bool {
    record.verdict.decision != Decision::Rejected
}

#[cfg(test)]
mod tests;
