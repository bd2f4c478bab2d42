//! A file's TOML becomes a [`PromptSet`], or the list of all that is wrong with it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Condition, MIN_MARGIN, MIN_PROBABILITY, PromptError, PromptSet};
use crate::config::advice;

/// Keys of a set.
const SET_KEYS: [&str; 8] = [
    "name",
    "title",
    "modalities",
    "body_parts",
    "templates",
    "min_probability",
    "min_margin",
    "condition",
];
/// Keys of a condition.
const CONDITION_KEYS: [&str; 5] = ["name", "description", "phrases", "absent", "normal"];

/// Reads a set; `file` stands in the errors.
pub(super) fn read(text: &str, file: &str) -> Result<PromptSet, PromptError> {
    let mut reader = Reader {
        file,
        text,
        faults: Vec::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        // The parser says on a second line what it expected.
        let lines: Vec<&str> = error.message().lines().collect();
        reader.fault(error.span(), lines.join("; "));
    }
    // What follows from a wrong syntax is not told.
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

type Value<'a> = Spanned<DeValue<'a>>;

/// The file, and what was found wrong with it so far.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    faults: Vec<PromptError>,
}

impl Reader<'_> {
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
        self.keys(table, &SET_KEYS);
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
            templates: self.templates(table.get("templates")),
            min_probability: self.share(table, "min_probability", MIN_PROBABILITY),
            min_margin: self.share(table, "min_margin", MIN_MARGIN),
            conditions: self.conditions(table.get("condition")),
            digest: format!("blake3:{}", blake3::hash(self.text.as_bytes()).to_hex()),
            file: None,
        }
    }

    /// Notes the keys that are not known.
    fn keys(&mut self, table: &DeTable, known: &[&str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let advice = advice(name, known.iter().copied());
                self.fault(Some(key.span()), format!("unknown key `{name}`; {advice}"));
            }
        }
    }

    fn string(&mut self, value: &Value, key: &str) -> String {
        let Some(text) = value.get_ref().as_str() else {
            self.fault(Some(value.span()), format!("{key} must be a text"));
            return String::new();
        };
        text.trim().to_owned()
    }

    /// A text for the model, or a name in results, which must say something and hold no control character.
    fn phrase(&mut self, value: &Value, what: &str) -> String {
        let Some(text) = value.get_ref().as_str().map(str::trim) else {
            self.fault(Some(value.span()), format!("{what} must be a text"));
            return String::new();
        };
        if text.is_empty() {
            self.fault(Some(value.span()), format!("{what} is empty"));
        } else if text.chars().any(char::is_control) {
            let reason = format!("{what} holds a control character");
            self.fault(Some(value.span()), reason);
        }
        text.to_owned()
    }

    fn list<'a>(&mut self, value: Option<&'a Value<'a>>, key: &str) -> &'a [Value<'a>] {
        match value.map(|value| (value, value.get_ref().as_array())) {
            None => &[],
            Some((_, Some(list))) => list,
            Some((value, None)) => {
                self.fault(Some(value.span()), format!("{key} must be a list"));
                &[]
            }
        }
    }

    fn phrases(&mut self, value: Option<&Value>, key: &str, what: &str) -> Vec<String> {
        let list = self.list(value, key);
        list.iter().map(|text| self.phrase(text, what)).collect()
    }

    /// Values of DICOM, in capitals as there.
    fn codes(&mut self, table: &DeTable, key: &str) -> Vec<String> {
        let list = self.list(table.get(key), key);
        list.iter()
            .map(|code| self.string(code, key).to_uppercase())
            .collect()
    }

    fn share(&mut self, table: &DeTable, key: &str, default: f64) -> f64 {
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
                let reason = format!("{key} must lie between 0 and 1");
                self.fault(Some(value.span()), reason);
                default
            }
        }
    }

    fn templates(&mut self, value: Option<&Value>) -> Vec<String> {
        let list = self.list(value, "templates");
        if list.is_empty() {
            return vec!["{}".to_owned()];
        }
        let mut templates = Vec::with_capacity(list.len());
        for template in list {
            let text = self.phrase(template, "a template");
            if !text.is_empty() && text.matches("{}").count() != 1 {
                let reason =
                    format!("the template `{text}` must hold `{{}}` once, where the phrase goes");
                self.fault(Some(template.span()), reason);
            }
            templates.push(text);
        }
        templates
    }

    fn conditions(&mut self, value: Option<&Value>) -> Vec<Condition> {
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
                self.fault(Some(span), "a second condition is marked `normal = true`");
            }
            conditions.push(condition);
        }
        if list.len() < 2 {
            self.fault(
                None,
                "at least two [[condition]] tables are needed, to choose between",
            );
        }
        conditions
    }

    fn condition(&mut self, table: &DeTable, span: Range<usize>) -> Condition {
        self.keys(table, &CONDITION_KEYS);
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
        let normal = table.get("normal").is_some_and(|value| {
            value.get_ref().as_bool().unwrap_or_else(|| {
                self.fault(Some(value.span()), "normal must be true or false");
                false
            })
        });
        let description = table.get("description");
        Condition {
            phrases,
            absent: self.phrases(table.get("absent"), "absent", "an absent phrase"),
            description: description
                .map_or_else(String::new, |value| self.string(value, "description")),
            normal,
            name,
        }
    }
}
