//! Warnings: what was repaired or assumed so that a file can be shown.
//!
//! Code that works around a fault, or decides what a file leaves open, adds one plain sentence; `inspect` prints them
//! under `warnings`. Warnings known when a file is opened are in [`ImageInfo::warnings`](crate::ImageInfo::warnings);
//! those found only while decoding a frame are in [`RenderedFrame::warnings`](crate::RenderedFrame::warnings);
//! [`load`](crate::load) returns both. A sentence names the attribute or the part of the file, and what was done about
//! it. It never quotes a value of the data set (a damaged file may have a patient's name anywhere) unless that value
//! has been verified to be a code or a number.

use std::ops::Deref;

use serde::Serialize;

use crate::clean;

/// Most warnings listed for one file: a thousand frames may each report the same fault in other words.
const MAX_WARNINGS: usize = 20;

/// Sentences about what was repaired or assumed, without duplicates, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Warnings(Vec<String>);

impl Warnings {
    /// Adds a sentence unless it is already listed.
    pub fn add(&mut self, sentence: impl AsRef<str>) {
        let sentence = clean(sentence.as_ref());
        if self.0.contains(&sentence) || self.0.len() > MAX_WARNINGS {
            return;
        }
        if self.0.len() == MAX_WARNINGS {
            self.0.push("There are more warnings.".to_owned());
        } else {
            self.0.push(sentence);
        }
    }

    /// Adds the sentences of another list.
    pub fn append(&mut self, other: &Warnings) {
        other.iter().for_each(|sentence| self.add(sentence));
    }
}

impl Deref for Warnings {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sentence_is_listed_once_and_the_list_ends() {
        let mut warnings = Warnings::default();
        warnings.add("One\x1b.");
        warnings.add("One\x1b.");
        assert_eq!(*warnings, ["One\u{fffd}."]);
        let mut many = Warnings::default();
        (0..100).for_each(|n| many.add(format!("{n}.")));
        warnings.append(&many);
        assert_eq!(warnings.len(), MAX_WARNINGS + 1);
        assert_eq!(
            warnings.last().map(String::as_str),
            Some("There are more warnings.")
        );
    }
}
