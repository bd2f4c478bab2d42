//! Edits a draft and saves it.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::super::super::ask::{confirm, is_interactive};
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

    /// Saves a text, edited if `edits`; `None` if the user decided against it.
    pub(super) fn save(
        &self,
        text: &str,
        edits: bool,
        is_confirmed: bool,
    ) -> Result<Option<PromptSet>, Fault> {
        let folder = match self.file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let failed = |error: std::io::Error| Fault {
            code: exit::SOME_FAILED,
            message: format!("{} cannot be written: {error}", shown(&self.file)),
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let prefix = format!(".{}-", self.name);
        let mut draft = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".draft")
            .tempfile_in(folder)
            .map_err(failed)?;
        draft
            .write_all(text.as_bytes())
            .and_then(|()| draft.flush())
            .map_err(failed)?;
        if edits {
            let outcome = edited(draft.path());
            if !matches!(outcome, Ok(true)) {
                // What was written is not thrown away.
                let (_, kept) = draft.keep().map_err(|error| failed(error.error))?;
                print::message(format_args!("the draft is in {}", shown(&kept)));
                return outcome.map(|_| None);
            }
        }
        if self.is_there && !is_confirmed {
            let question = format!("Replace {}?", shown(&self.file));
            if !is_interactive() {
                return Err(Fault::usage(format!(
                    "{} exists; --yes replaces it",
                    shown(&self.file)
                )));
            }
            if !confirm(&question, false) {
                return Ok(None);
            }
        } else if !is_confirmed && !confirm(&format!("Save {}?", shown(&self.file)), true) {
            return Ok(None);
        }
        let set = PromptSet::read(draft.path()).map_err(Fault::unusable)?;
        // An editor may have replaced the file, so that only its name is still right.
        let text = std::fs::read_to_string(draft.path()).map_err(failed)?;
        prompts::save(&self.file, &text).map_err(failed)?;
        Ok(Some(PromptSet {
            file: Some(self.file.clone()),
            ..set
        }))
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
