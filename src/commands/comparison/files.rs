//! The images that prompt sets are compared on.

use std::path::{Path, PathBuf};

use super::super::eval::labels;
use super::super::{Fault, print, shown};
use crate::media::walk;
use crate::prompts::PromptSet;
use crate::scoring::Mode;

/// An image.
pub(in crate::commands) struct ComparedFile {
    pub(super) path: PathBuf,
    /// The indices of its conditions, if they are known: one, unless each is decided on by itself.
    pub(super) labels: Option<Vec<usize>>,
    /// Whether it was named, rather than being found in a folder.
    pub(super) named: bool,
    /// The patient, where a table has the column `patient`.
    pub(super) patient: Option<String>,
}

/// All images with labels, and the conditions that these may be: those of the first set, then what only the second one has. Several of
/// an image are read if each is decided on by itself, by both sets.
pub(in crate::commands) fn labelled(
    (labels, map): (&Path, &[(String, String)]),
    sets: &[PromptSet; 2],
    mode: Mode,
) -> Result<(Vec<ComparedFile>, Vec<String>), Fault> {
    let takes_several = sets.iter().all(|set| !set.is_exhaustive());
    let (files, conditions) = labels::read_any_as(labels, (sets, takes_several), map, mode)?;
    let normal = conditions.iter().position(|name| {
        let is_normal = |set: &PromptSet| is_normal(set, name) == Some(true);
        sets.iter().all(is_normal)
    });
    let files = files.into_iter().map(|mut file| {
        file.fill_normal(normal);
        ComparedFile {
            path: file.path,
            labels: Some(file.labels),
            named: file.named,
            patient: file.patient,
        }
    });
    Ok((files.collect(), conditions))
}

/// Whether a condition of a set says that there is no finding; `None` if the set does not have it.
pub(super) fn is_normal(set: &PromptSet, name: &str) -> Option<bool> {
    let own = set.conditions.iter().find(|own| own.name == name);
    own.map(|own| own.normal)
}

/// The files of arguments, without labels. Folders that cannot be read are printed.
pub(in crate::commands) fn unlabelled(paths: &[PathBuf]) -> Vec<ComparedFile> {
    let mut files = Vec::new();
    for root in paths {
        let named = !root.is_dir();
        for found in walk::files(root) {
            match found {
                Ok(path) => files.push(ComparedFile {
                    path,
                    labels: None,
                    named,
                    patient: None,
                }),
                Err(error) => print::message(format_args!(
                    "{}: {}",
                    shown(&error.path),
                    error.error.message
                )),
            }
        }
    }
    files
}

/// Those of the labelled files that are one of the paths or lie below it.
pub(in crate::commands) fn below(
    files: Vec<ComparedFile>,
    paths: &[PathBuf],
) -> Result<Vec<ComparedFile>, Fault> {
    let full = |path: &Path| std::fs::canonicalize(path);
    let mut roots = Vec::with_capacity(paths.len());
    for path in paths {
        let root = full(path).map_err(|error| Fault::usage(format!("{}: {error}", shown(path))))?;
        roots.push(root);
    }
    let is_below = |file: &ComparedFile| {
        full(&file.path).is_ok_and(|path| roots.iter().any(|root| path.starts_with(root)))
    };
    let kept: Vec<ComparedFile> = files.into_iter().filter(is_below).collect();
    if kept.is_empty() {
        return Err(Fault::usage(
            "none of the labelled files is below the paths",
        ));
    }
    Ok(kept)
}
