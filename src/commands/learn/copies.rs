//! Labels and patients of files with the same content, which are one image.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use super::super::{Fault, shown};
use crate::media::clean;

/// What is said of each content so far.
#[derive(Default)]
pub(in crate::commands) struct Copies(HashMap<String, LabelledContent>);

struct LabelledContent {
    /// The first file that has it.
    path: PathBuf,
    labels: Vec<String>,
    /// What tells its patient, as the rows of all copies name it.
    patients: Vec<String>,
}

impl Copies {
    /// Adds a file; whether it is the first with its content. One image that is labelled in two ways is an error, which names both
    /// files, as the last one would silently win. Where copies name several patients, the image is of all of them.
    pub(in crate::commands) fn add(
        &mut self,
        content: &str,
        path: &Path,
        (labels, patients): (&[String], &[String]),
    ) -> Result<bool, Fault> {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        match self.0.entry(content.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(LabelledContent {
                    path: path.to_owned(),
                    labels,
                    patients: patients.to_vec(),
                });
                Ok(true)
            }
            Entry::Occupied(mut first) if first.get().labels == labels => {
                let known = &mut first.get_mut().patients;
                let others = patients.iter().filter(|own| !known.contains(own));
                let others: Vec<String> = others.cloned().collect();
                known.extend(others);
                Ok(false)
            }
            Entry::Occupied(first) => {
                let first = first.get();
                let files = if first.path == path {
                    format!("{} is labelled twice, and the labels differ", shown(path))
                } else {
                    let [a, b] = [&*first.path, path].map(shown);
                    format!("{a} and {b} are copies of one image, and their labels differ")
                };
                let [a, b] = [&first.labels, &labels].map(|own| words(own));
                Err(Fault::usage(format!("{files}: {a} and {b}")))
            }
        }
    }

    /// What tells the patient of a content, as far as it is named.
    pub(in crate::commands) fn patients(&self, content: &str) -> &[String] {
        self.0.get(content).map_or(&[], |own| &own.patients)
    }
}

fn words(labels: &[String]) -> String {
    match labels {
        [] => "none".to_owned(),
        _ => format!("`{}`", clean(&labels.join(", "))),
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
            let patients = [format!("of {path}")];
            copies.add(content, Path::new(path), (&labels, &patients))
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
        // What any of the copies says of the patient is known of the image.
        assert_eq!(copies.patients("1"), ["of a.png", "of b.png"]);
        assert!(copies.patients("3").is_empty());
    }
}
