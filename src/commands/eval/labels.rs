//! Which file shows what: folders named by condition, or a table.

use std::path::{Path, PathBuf};

use super::super::{Fault, shown};
use crate::media::walk;
use crate::prompts::PromptSet;

/// A file and the number of its condition in the prompt set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labelled {
    pub(super) path: PathBuf,
    pub(super) label: usize,
    /// By a table; else it was met in a folder.
    pub(super) named: bool,
}

/// Reads the labels of a folder or of a CSV file.
pub(super) fn read(path: &Path, set: &PromptSet) -> Result<Vec<Labelled>, Fault> {
    let files = if path.is_dir() {
        folders(path, set)?
    } else {
        table(path, set)?
    };
    if files.is_empty() {
        return Err(Fault::usage(format!("{}: no labelled files", shown(path))));
    }
    Ok(files)
}

fn label(text: &str, set: &PromptSet) -> Result<usize, String> {
    let found = set.conditions.iter().position(|c| c.name == text);
    found.ok_or_else(|| {
        let names: Vec<_> = set.conditions.iter().map(|c| c.name.as_str()).collect();
        format!(
            "`{}` is no condition of the prompt set `{}` ({})",
            crate::media::clean(text),
            set.name,
            names.join(", ")
        )
    })
}

/// `DIR/CONDITION/…`; files beside the folders have no label and are passed over.
fn folders(root: &Path, set: &PromptSet) -> Result<Vec<Labelled>, Fault> {
    let fault = |e: std::io::Error| Fault::usage(format!("{}: {e}", shown(root)));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if !hidden && root.join(&name).is_dir() {
            names.push(name);
        }
    }
    names.sort();
    let mut files = Vec::new();
    for name in names {
        let label = label(&name.to_string_lossy(), set).map_err(Fault::usage)?;
        for found in walk::files(&root.join(&name)) {
            let path = found
                .map_err(|e| Fault::usage(format!("{}: {}", shown(&e.path), e.error.message)))?;
            let named = false;
            files.push(Labelled { path, label, named });
        }
    }
    Ok(files)
}

/// Columns `path` (relative to the table) and `label`, or `condition` as `demo` writes it; others are passed over.
fn table(path: &Path, set: &PromptSet) -> Result<Vec<Labelled>, Fault> {
    let fault = |reason: &dyn std::fmt::Display| Fault::usage(format!("{}: {reason}", shown(path)));
    let mut reader = csv::Reader::from_path(path).map_err(|e| fault(&e))?;
    let headers = reader.headers().map_err(|e| fault(&e))?.clone();
    let column = |names: &[&str]| {
        headers
            .iter()
            .position(|header| names.contains(&header.trim()))
    };
    let (Some(file), Some(truth)) = (column(&["path"]), column(&["label", "condition"])) else {
        return Err(fault(
            &"the first line must name the columns `path` and `label`",
        ));
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| fault(&e))?;
        let line = row.position().map_or(0, csv::Position::line);
        let label = label(row.get(truth).unwrap_or_default().trim(), set);
        let label =
            label.map_err(|reason| Fault::usage(format!("{}:{line}: {reason}", shown(path))))?;
        let path = folder.join(row.get(file).unwrap_or_default());
        let named = true;
        files.push(Labelled { path, label, named });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &str = "name = \"t\"\n[[condition]]\nname = \"ill\"\nphrases = [\"a\"]\n[[condition]]\nname = \"well\"\nphrases = [\"b\"]\n";

    fn set() -> PromptSet {
        PromptSet::parse(SET, "t.toml").unwrap()
    }

    #[test]
    fn folders_and_tables_say_the_same() {
        let root = tempfile::tempdir().unwrap();
        for name in ["ill/a.png", "well/deep/b.png", ".git/c.png", "notes.txt"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let table = root.path().join("t.csv");
        std::fs::write(
            &table,
            "path,modality,condition\nill/a.png,DX,ill\nwell/deep/b.png,CR,well\n",
        )
        .unwrap();
        let found = read(root.path(), &set()).unwrap();
        assert_eq!(found.len(), 2);
        let places = |files: Vec<Labelled>| -> Vec<_> {
            files
                .into_iter()
                .map(|file| (file.path, file.label))
                .collect()
        };
        assert_eq!(places(read(&table, &set()).unwrap()), places(found));
    }

    #[test]
    fn a_label_that_the_set_does_not_have_is_named_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        let table = root.path().join("t.csv");
        std::fs::write(&table, "path,label\na.png,ill\nb.png,wel\n").unwrap();
        let message = read(&table, &set()).unwrap_err().message;
        assert!(
            message.contains("t.csv:3")
                && message.contains("`wel`")
                && message.contains("ill, well"),
            "{message}"
        );
        std::fs::write(&table, "file,label\n").unwrap();
        assert!(
            read(&table, &set())
                .unwrap_err()
                .message
                .contains("`path` and `label`")
        );
        std::fs::create_dir(root.path().join("sick")).unwrap();
        assert!(
            read(root.path(), &set())
                .unwrap_err()
                .message
                .contains("`sick`")
        );
    }
}
