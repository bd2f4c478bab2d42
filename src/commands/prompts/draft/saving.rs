//! Edits a draft and saves it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::super::super::ask::confirm;
use super::super::super::language_model::edit;
use super::super::super::{Fault, exit, print, shown};
use super::folder_of;
use crate::cli::DraftArgs;
use crate::exec;
use crate::prompts::{self, AUTO, KINDS, PromptSet};

/// Maximum length of a name that is made of conditions, in characters.
const MAX_MADE_NAME: usize = 40;

/// The set to be written.
pub(super) struct Target {
    /// Its name.
    pub(super) name: String,
    /// Its file.
    pub(super) file: PathBuf,
    /// Whether `--prompts NAME` finds it.
    pub(super) is_named: bool,
    /// What the file holds now.
    pub(super) existing: Option<PromptSet>,
    /// Whether there is such a file.
    is_there: bool,
}

impl Target {
    pub(super) fn new(
        arguments: &DraftArgs,
        base: Option<&PromptSet>,
        folder: Option<PathBuf>,
        conditions: &[String],
    ) -> Result<Self, Fault> {
        let stem = arguments.out.as_deref().and_then(Path::file_stem);
        let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
        let made = || match base {
            Some(set) => format!("{}-draft", set.name),
            None => slug(conditions),
        };
        let name = arguments.name.clone().or(stem).unwrap_or_else(made);
        let is_plain = |c: char| c.is_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) || [AUTO, KINDS].contains(&name.as_str())
        {
            return Err(Fault::usage(format!(
                "`{}` cannot be the name of a prompt set; use letters, digits, - and _",
                crate::media::clean(&name)
            )));
        }
        let is_named = arguments.out.is_none();
        let file = match &arguments.out {
            Some(file)
                if file
                    .extension()
                    .is_some_and(|extension| extension == "toml") =>
            {
                file.clone()
            }
            Some(file) => {
                return Err(Fault::usage(format!(
                    "--out: {} is not a .toml file",
                    shown(file)
                )));
            }
            None => folder_of(folder)?.join(format!("{name}.toml")),
        };
        Ok(Self {
            existing: PromptSet::read(&file).ok(),
            is_there: file.exists(),
            name,
            file,
            is_named,
        })
    }

    /// Saves a text, edited if `edits`; `None` if the user decided against it. If that fails, the error names the file in which
    /// the draft is kept: the answer of a language model took time, and perhaps money.
    pub(super) fn save(
        &self,
        text: &str,
        edits: bool,
        is_confirmed: bool,
    ) -> Result<Option<PromptSet>, Fault> {
        let draft = self.draft(text).map_err(|error| self.fault(&error))?;
        if edits {
            match edited(draft.path()) {
                Ok(true) => {}
                Ok(false) => {
                    print::message(kept(draft));
                    return Ok(None);
                }
                Err(fault) => return Err(with_draft(fault, draft)),
            }
        }
        if !is_confirmed && !self.is_wanted() {
            return Ok(None);
        }
        let saved = self.write(draft.path());
        saved.map(Some).map_err(|fault| with_draft(fault, draft))
    }

    /// A new file with a text: beside the set's file, or if that fails, in the folder for temporary files.
    fn draft(&self, text: &str) -> io::Result<NamedTempFile> {
        let prefix = format!(".{}-", self.name);
        let draft_in = |folder: &Path| {
            fs::create_dir_all(folder)?;
            let mut draft = tempfile::Builder::new()
                .prefix(&prefix)
                .suffix(".draft")
                .tempfile_in(folder)?;
            draft.write_all(text.as_bytes())?;
            draft.flush()?;
            Ok(draft)
        };
        let folder = match self.file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        draft_in(folder).or_else(|_| draft_in(&std::env::temp_dir()))
    }

    /// Asks whether the set is to be saved. Somebody can answer: nothing is sent without either consent or `--yes`.
    fn is_wanted(&self) -> bool {
        let file = shown(&self.file);
        if self.is_there {
            confirm(&format!("Replace {file}?"), false)
        } else {
            confirm(&format!("Save {file}?"), true)
        }
    }

    /// Saves what is in the file of the draft.
    fn write(&self, draft: &Path) -> Result<PromptSet, Fault> {
        let set = PromptSet::read(draft).map_err(Fault::unusable)?;
        // An editor may have replaced the file, so that only its name is still right.
        let saved = fs::read_to_string(draft).and_then(|text| prompts::save(&self.file, &text));
        saved.map_err(|error| self.fault(&error))?;
        Ok(PromptSet {
            file: Some(self.file.clone()),
            ..set
        })
    }

    fn fault(&self, error: &io::Error) -> Fault {
        Fault {
            code: exit::SOME_FAILED,
            message: format!("{} cannot be written: {error}", shown(&self.file)),
        }
    }
}

/// Keeps the file of a draft, and says where it is.
fn kept(draft: NamedTempFile) -> String {
    match draft.keep() {
        Ok((_, file)) => format!("the draft is in {}", shown(&file)),
        Err(error) => format!("the draft cannot be kept: {}", error.error),
    }
}

fn with_draft(fault: Fault, draft: NamedTempFile) -> Fault {
    Fault {
        message: format!("{}; {}", fault.message, kept(draft)),
        ..fault
    }
}

/// Opens a draft in the user's editor until it is a valid set; false if the user gives up.
fn edited(file: &Path) -> Result<bool, Fault> {
    let editor = match exec::editor() {
        None => {
            print::message(
                "neither VISUAL nor EDITOR is set, so the draft is not opened in an editor",
            );
            return Ok(true);
        }
        Some(editor) => editor.map_err(Fault::usage)?,
    };
    loop {
        edit(&editor, file)?;
        let Err(error) = PromptSet::read(file) else {
            return Ok(true);
        };
        error.all().for_each(print::message);
        if !confirm("The set cannot be used. Edit it again?", true) {
            return Ok(false);
        }
    }
}

/// A name made of conditions: `pneumonia-pleural-effusion`.
fn slug(conditions: &[String]) -> String {
    let mut slug = String::new();
    for word in conditions
        .iter()
        .flat_map(|name| name.split(|c: char| !c.is_alphanumeric()))
    {
        let is_short = slug.chars().count() + word.chars().count() < MAX_MADE_NAME;
        if !word.is_empty() && (slug.is_empty() || is_short) {
            if !slug.is_empty() {
                slug.push('-');
            }
            slug.push_str(&word.to_lowercase());
        }
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_the_conditions() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            slug(&names)
        };
        assert_eq!(
            of(&["Pleural effusion", "normal"]),
            "pleural-effusion-normal"
        );
        assert_eq!(
            of(&["pneumothorax", "consolidation", "cardiomegaly", "normal"]),
            "pneumothorax-consolidation-cardiomegaly"
        );
    }
}
