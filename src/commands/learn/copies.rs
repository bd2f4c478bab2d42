//! Labels of files with the same content, which are one image.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use super::super::{Fault, shown};
use crate::media::clean;

/// The labels of each content so far, with the first file that has it.
#[derive(Default)]
pub(in crate::commands) struct Copies(HashMap<String, (PathBuf, Vec<String>)>);

impl Copies {
    /// Adds a file; whether it is the first with its content. One image that a table labels in two ways is an error, which names both
    /// files, as the last one would silently win.
    pub(in crate::commands) fn add(
        &mut self,
        content: &str,
        path: &Path,
        labels: &[String],
    ) -> Result<bool, Fault> {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        match self.0.entry(content.to_owned()) {
            Entry::Vacant(place) => {
                place.insert((path.to_owned(), labels));
                Ok(true)
            }
            Entry::Occupied(first) if first.get().1 == labels => Ok(false),
            Entry::Occupied(first) => {
                let words = |labels: &[String]| match labels {
                    [] => "none".to_owned(),
                    _ => format!("`{}`", clean(&labels.join(", "))),
                };
                let (other, others) = first.get();
                Err(Fault::usage(format!(
                    "{} and {} are copies of one image, and their labels differ: {} and {}",
                    shown(other),
                    shown(path),
                    words(others),
                    words(&labels)
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_have_the_same_labels_or_are_an_error_that_names_both() {
        let mut copies = Copies::default();
        let mut add = |content: &str, path: &str, labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|own| (*own).to_owned()).collect();
            copies.add(content, Path::new(path), &labels)
        };
        assert!(add("1", "a.png", &["mass", "effusion"]).is_ok_and(|is_first| is_first));
        assert!(add("1", "b.png", &["effusion", "mass"]).is_ok_and(|is_first| !is_first));
        assert!(add("2", "c.png", &["normal"]).is_ok_and(|is_first| is_first));
        let fault = add("2", "d.png", &["mass"])
            .err()
            .map(|fault| fault.message);
        let message = fault.expect("an error");
        for words in ["c.png", "d.png", "`normal` and `mass`"] {
            assert!(message.contains(words), "{message}");
        }
    }
}
