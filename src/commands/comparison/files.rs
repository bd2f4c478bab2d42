//! The images that prompt sets are compared on.

use std::path::{Path, PathBuf};

use super::super::eval::labels::{self, Labelled};
use super::super::{Fault, print, shown};
use crate::media::walk;
use crate::prompts::PromptSet;

/// An image.
pub(in crate::commands) struct ComparedFile {
    pub(super) path: PathBuf,
    /// The index of its condition, if it is known.
    pub(super) label: Option<usize>,
    /// Whether it was named, rather than being found in a folder.
    pub(super) named: bool,
}

impl From<Labelled> for ComparedFile {
    fn from(file: Labelled) -> Self {
        Self {
            path: file.path,
            label: Some(file.label),
            named: file.named,
        }
    }
}

/// All images with labels, and the conditions that these may be: those of the first set, then what only the second one has.
pub(in crate::commands) fn labelled(
    labels: &Path,
    sets: &[PromptSet; 2],
    map: &[(String, String)],
) -> Result<(Vec<ComparedFile>, Vec<String>), Fault> {
    let (files, conditions) = labels::read_any(labels, sets, map)?;
    let files = files.into_iter().map(ComparedFile::from).collect();
    Ok((files, conditions))
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
                    label: None,
                    named,
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
