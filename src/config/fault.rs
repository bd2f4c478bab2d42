//! Errors in the settings, with their place and what to do.

use std::path::{Path, PathBuf};

/// Minimum similarity of two words for a suggestion, from 0 to 1.
const ALIKE: f64 = 0.8;

/// Why a rule cannot have a key that users look for.
const NO_MODEL_IN_RULE: &str = "a rule cannot choose the model, as one model is open for all images; choose it with --model, or \
                                with `model` at the top of this file";

/// Why the settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {reason}", path.display(), line.map(|n| format!(":{n}")).unwrap_or_default())]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl ConfigError {
    pub(super) fn of(mut error: toml::de::Error, text: &str, path: &Path) -> Self {
        let line = error.span().map(|span| line_at(text, span.start));
        // Without the text the error says in which key it is instead of drawing the line.
        error.set_input(None);
        let whole = error.to_string();
        let place = whole.trim_end().strip_prefix(error.message());
        let place = place.map_or("", str::trim);
        let reason = reworded(error.message(), place).unwrap_or_else(|| {
            let place = if place.is_empty() {
                ""
            } else {
                &format!(" {place}")
            };
            // The parser says on a second line what it expected.
            let lines: Vec<&str> = error.message().lines().collect();
            format!("{}{place}", lines.join("; "))
        });
        Self {
            path: path.to_owned(),
            line,
            reason,
        }
    }
}

/// Serde's message about an unknown name, reworded for the user; `None` for any other message.
fn reworded(message: &str, place: &str) -> Option<String> {
    let what = match message {
        _ if message.starts_with("unknown field `") => "key",
        _ if message.starts_with("unknown variant `") => "value",
        _ => return None,
    };
    let mut names = message.split('`').skip(1).step_by(2);
    let word = names.next()?;
    let known: Vec<&str> = names.collect();
    // The path of an unknown key ends with the key itself.
    let place = place.trim_start_matches("in `").trim_end_matches('`');
    let table = match place.rsplit_once('.') {
        Some((table, last)) if last == word => table,
        None if place == word => "",
        _ => place,
    };
    if word == "model" && table == "rule" {
        return Some(NO_MODEL_IN_RULE.to_owned());
    }
    let place = match table {
        "" => String::new(),
        table => format!(" in `{table}`"),
    };
    Some(format!(
        "unknown {what} `{word}`{place}; {}",
        advice(word, known)
    ))
}

/// Suggests the known name most similar to a word, or lists all of them if none is similar.
pub fn advice<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match similar(word, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("use one of `{}`", known.join("`, `")),
    }
}

/// The known name most similar to a word, if any is similar enough.
pub fn similar<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(&word.to_lowercase(), &name.to_lowercase());
    let known = known.into_iter().map(|name| (likeness(name), name));
    let best = known.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// The line of a byte, from 1.
pub(super) fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_most_alike_is_meant_and_what_is_not_alike_is_not() {
        let known = ["model", "prompts", "no_mouse", "log_level"];
        for (word, meant) in [
            ("modle", Some("model")),
            ("Model", Some("model")),
            ("promts", Some("prompts")),
            ("no-mouse", Some("no_mouse")),
            ("loglevel", Some("log_level")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(similar(word, known), meant, "{word}");
        }
        assert_eq!(similar("model", []), None);
    }
}
