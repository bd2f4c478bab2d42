//! JSON that is safe to print: characters that control a terminal are escaped, which does not change the meaning.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;

use crate::media::is_unprintable;

/// Serialises a value on one line.
pub fn line(value: &impl Serialize) -> io::Result<String> {
    Ok(escaped(&serde_json::to_string(value)?))
}

/// Serialises a value on several lines, for people.
pub fn pretty(value: &impl Serialize) -> io::Result<String> {
    Ok(escaped(&serde_json::to_string_pretty(value)?))
}

/// The name of a unit variant, as it is serialised.
pub fn name(variant: &impl Serialize) -> String {
    let value = serde_json::to_value(variant).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// Escapes DEL, C1 and Unicode's format characters, which serde_json leaves as they are, in contrast to C0. They occur within
/// JSON strings only, and each is one UTF-16 unit.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_unprintable(c) {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_parse_back_unchanged() {
        let text = "a\u{1b}]0;x\u{7}\u{7f}\u{9b}\u{202e}\u{2028}\n胸";
        for json in [line(&[text]).unwrap(), pretty(&[text]).unwrap()] {
            assert!(json.contains(r"\u009b\u202e\u2028\n胸"), "{json}");
            assert!(
                json.chars().all(|c| c == '\n' || !is_unprintable(c)),
                "{json}"
            );
            let back: Vec<String> = serde_json::from_str(&json).unwrap();
            assert_eq!(back, [text]);
        }
    }
}
