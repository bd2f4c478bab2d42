//! Parses the TOML of a [`PromptSet`], and collects all errors in it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Condition, DEFAULT_MIN_MARGIN, DEFAULT_MIN_PROBABILITY, PromptError, PromptSet};
use crate::config::advice;

/// Keys of a set.
const SET_KEYS: [&str; 9] = [
    "name",
    "title",
    "modalities",
    "body_parts",
    "kinds",
    "templates",
    "min_probability",
    "min_margin",
    "condition",
];
/// Keys of a set that only choose the images that it is for.
const SELECTING_KEYS: [&str; 3] = ["modalities", "body_parts", "kinds"];
/// Keys of a condition.
const CONDITION_KEYS: [&str; 6] = [
    "name",
    "description",
    "phrases",
    "absent",
    "normal",
    "other",
];

/// Parses a set; `file` is its name in error messages.
pub(super) fn read(text: &str, file: &str) -> Result<PromptSet, PromptError> {
    let mut reader = SetParser {
        file,
        text,
        faults: Vec::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        // The parser's message names on a second line what it expected.
        let lines: Vec<&str> = error.message().lines().collect();
        reader.fault(error.span(), lines.join("; "));
    }
    // Wrong syntax causes further errors, which would only mislead.
    let set = errors.is_empty().then(|| reader.set(table.get_ref()));
    let mut faults = reader.faults;
    faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
    let mut faults = faults.into_iter();
    match (faults.next(), set) {
        (None, Some(set)) => Ok(set),
        (first, _) => Err(PromptError {
            more: faults.collect(),
            ..first.unwrap_or_else(|| PromptError {
                file: file.to_owned(),
                line: None,
                reason: "not a prompt set".into(),
                more: Vec::new(),
            })
        }),
    }
}

type TomlValue<'a> = Spanned<DeValue<'a>>;

/// The file, and the errors found so far.
struct SetParser<'a> {
    file: &'a str,
    text: &'a str,
    faults: Vec<PromptError>,
}

impl SetParser<'_> {
    /// Records an error at a position in the file.
    fn fault(&mut self, span: Option<Range<usize>>, reason: impl Into<String>) {
        let line = span.map(|span| {
            let before = self.text.get(..span.start).unwrap_or(self.text);
            before.matches('\n').count() + 1
        });
        self.faults.push(PromptError {
            file: self.file.to_owned(),
            line,
            reason: reason.into(),
            more: Vec::new(),
        });
    }

    fn set(&mut self, table: &DeTable) -> PromptSet {
        self.check_keys(table, &SET_KEYS);
        let name = if let Some(name) = table.get("name") {
            self.phrase(name, "the name")
        } else {
            self.fault(None, "the set has no `name`");
            String::new()
        };
        let title = table.get("title").map(|title| self.string(title, "title"));
        PromptSet {
            title: title.unwrap_or_else(|| name.clone()),
            name,
            modalities: self.codes(table, "modalities"),
            body_parts: self.codes(table, "body_parts"),
            kinds: self.phrases(table.get("kinds"), "kinds", "a kind"),
            templates: self.templates(table.get("templates")),
            min_probability: self.fraction(table, "min_probability", DEFAULT_MIN_PROBABILITY),
            min_margin: self.fraction(table, "min_margin", DEFAULT_MIN_MARGIN),
            conditions: self.conditions(table.get("condition")),
            digest: self.digest(table),
            file: None,
        }
    }

    /// `blake3:<hex>` of the text without the lines that only choose images: what was calibrated, learned or judged under a set holds
    /// for whichever images it is meant.
    fn digest(&self, table: &DeTable) -> String {
        let selecting = table.iter().filter(|(key, _)| {
            let name: &str = key.get_ref();
            SELECTING_KEYS.contains(&name)
        });
        let mut lines: Vec<Range<usize>> = selecting
            .map(|(key, value)| self.whole_lines(key.span().start..value.span().end))
            .collect();
        lines.sort_by_key(|lines| lines.start);
        let mut hasher = blake3::Hasher::new();
        let mut end = 0;
        for line in lines {
            hasher.update(&self.text.as_bytes()[end..line.start]);
            end = line.end;
        }
        hasher.update(&self.text.as_bytes()[end..]);
        format!("blake3:{}", hasher.finalize().to_hex())
    }

    /// A range with the white space before it on its line, and the end of the line if only white space is left.
    fn whole_lines(&self, range: Range<usize>) -> Range<usize> {
        let (before, after) = (&self.text[..range.start], &self.text[range.end..]);
        let indent = before.len() - before.trim_end_matches([' ', '\t']).len();
        let rest = after.find('\n').map(|at| &after[..=at]);
        let rest = rest.filter(|rest| rest.trim().is_empty());
        range.start - indent..range.end + rest.map_or(0, str::len)
    }

    /// Records an error for each unknown key.
    fn check_keys(&mut self, table: &DeTable, known: &[&str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let advice = advice(name, known.iter().copied());
                self.fault(Some(key.span()), format!("unknown key `{name}`; {advice}"));
            }
        }
    }

    fn string(&mut self, value: &TomlValue, key: &str) -> String {
        let Some(text) = value.get_ref().as_str() else {
            self.fault(Some(value.span()), format!("{key} must be a string"));
            return String::new();
        };
        text.trim().to_owned()
    }

    /// A text for the model, or a name in results; neither empty nor with control characters.
    fn phrase(&mut self, value: &TomlValue, what: &str) -> String {
        let Some(text) = value.get_ref().as_str().map(str::trim) else {
            self.fault(Some(value.span()), format!("{what} must be a string"));
            return String::new();
        };
        if text.is_empty() {
            self.fault(Some(value.span()), format!("{what} is empty"));
        } else if text.chars().any(char::is_control) {
            let reason = format!("{what} contains a control character");
            self.fault(Some(value.span()), reason);
        }
        text.to_owned()
    }

    fn list<'a>(&mut self, value: Option<&'a TomlValue<'a>>, key: &str) -> &'a [TomlValue<'a>] {
        match value.map(|value| (value, value.get_ref().as_array())) {
            None => &[],
            Some((_, Some(list))) => list,
            Some((value, None)) => {
                self.fault(Some(value.span()), format!("{key} must be a list"));
                &[]
            }
        }
    }

    fn phrases(&mut self, value: Option<&TomlValue>, key: &str, what: &str) -> Vec<String> {
        let list = self.list(value, key);
        list.iter().map(|text| self.phrase(text, what)).collect()
    }

    /// A list of DICOM terms, in capitals as in DICOM.
    fn codes(&mut self, table: &DeTable, key: &str) -> Vec<String> {
        let list = self.list(table.get(key), key);
        list.iter()
            .map(|code| self.string(code, key).to_uppercase())
            .collect()
    }

    /// A number from 0 to 1.
    fn fraction(&mut self, table: &DeTable, key: &str, default: f64) -> f64 {
        let Some(value) = table.get(key) else {
            return default;
        };
        let number: Option<f64> = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if (0.0..=1.0).contains(&number) => number,
            _ => {
                let reason = format!("{key} must be between 0 and 1");
                self.fault(Some(value.span()), reason);
                default
            }
        }
    }

    fn templates(&mut self, value: Option<&TomlValue>) -> Vec<String> {
        let list = self.list(value, "templates");
        if list.is_empty() {
            return vec!["{}".to_owned()];
        }
        let mut templates = Vec::with_capacity(list.len());
        for template in list {
            let text = self.phrase(template, "a template");
            if !text.is_empty() && text.matches("{}").count() != 1 {
                let reason = format!(
                    "the template `{text}` must contain `{{}}` once, where the phrase goes"
                );
                self.fault(Some(template.span()), reason);
            }
            templates.push(text);
        }
        templates
    }

    fn conditions(&mut self, value: Option<&TomlValue>) -> Vec<Condition> {
        let list = self.list(value, "condition");
        let mut conditions: Vec<Condition> = Vec::with_capacity(list.len());
        for value in list {
            let Some(table) = value.get_ref().as_table() else {
                self.fault(Some(value.span()), "condition must be a list of tables");
                continue;
            };
            let condition = self.condition(table, value.span());
            let span = table.get("name").map_or(value.span(), Spanned::span);
            if conditions.iter().any(|other| other.name == condition.name) {
                let reason = format!("the condition `{}` is given twice", condition.name);
                self.fault(Some(span.clone()), reason);
            }
            if condition.normal && conditions.iter().any(|other| other.normal) {
                self.fault(
                    Some(span.clone()),
                    "a second condition is marked `normal = true`",
                );
            }
            if condition.other && conditions.iter().any(|other| other.other) {
                self.fault(Some(span), "a second condition is marked `other = true`");
            }
            conditions.push(condition);
        }
        if list.len() < 2 {
            self.fault(
                None,
                "at least two [[condition]] tables are needed, as there is nothing to choose otherwise",
            );
        }
        conditions
    }

    fn condition(&mut self, table: &DeTable, span: Range<usize>) -> Condition {
        self.check_keys(table, &CONDITION_KEYS);
        let name = if let Some(name) = table.get("name") {
            self.phrase(name, "a condition's name")
        } else {
            self.fault(Some(span.clone()), "a condition has no `name`");
            String::new()
        };
        let phrases = self.phrases(table.get("phrases"), "phrases", "a phrase");
        let value = table.get("phrases");
        if phrases.is_empty() && value.is_none_or(|value| value.get_ref().is_array()) {
            let span = value.map_or(span, Spanned::span);
            let reason = format!("the condition `{name}` needs at least one phrase");
            self.fault(Some(span), reason);
        }
        let description = table.get("description");
        Condition {
            phrases,
            absent: self.phrases(table.get("absent"), "absent", "an absent phrase"),
            description: description
                .map_or_else(String::new, |value| self.string(value, "description")),
            normal: self.flag(table, "normal"),
            other: self.flag(table, "other"),
            name,
        }
    }

    /// A key that is true or false; false where it is missing.
    fn flag(&mut self, table: &DeTable, key: &str) -> bool {
        table.get(key).is_some_and(|value| {
            value.get_ref().as_bool().unwrap_or_else(|| {
                self.fault(Some(value.span()), format!("{key} must be true or false"));
                false
            })
        })
    }
}
