//! Edits a prompt set in the user's editor.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exec::{self, CommandLine};
use crate::prompts::{self, PromptSet};

/// A set while it is edited.
#[derive(Debug)]
pub(super) struct PromptEdit {
    editor: CommandLine,
    file: PathBuf,
    /// The set before.
    before: Box<PromptSet>,
    /// Whether the file was made for this edit, from a built-in set.
    is_copy: bool,
}

impl PromptEdit {
    /// Finds the editor and the file of the set; a built-in set is copied to the user's folder. An error is a sentence.
    pub(super) fn begin(set: &PromptSet, folder: Option<&Path>) -> Result<Self, String> {
        let editor = exec::editor()
            .ok_or("set VISUAL or EDITOR to the program that edits prompt sets")??;
        Self::with_editor(editor, set, folder)
    }

    fn with_editor(
        editor: CommandLine,
        set: &PromptSet,
        folder: Option<&Path>,
    ) -> Result<Self, String> {
        let (file, is_copy) = match &set.file {
            Some(file) => (file.clone(), false),
            None => copied(set, folder)?,
        };
        Ok(Self {
            editor,
            file,
            before: Box::new(set.clone()),
            is_copy,
        })
    }

    /// The editor with the file.
    pub(super) fn command(&self) -> Command {
        self.editor.command_for(&self.file)
    }

    /// What has become of the set; `None` if it was not changed. A copy that was not changed is removed again.
    pub(super) fn finish(&self, outcome: io::Result<()>) -> Result<Option<PromptSet>, String> {
        let read = PromptSet::read(&self.file);
        let is_unchanged = read
            .as_ref()
            .is_ok_and(|set| set.has_content_of(&self.before));
        if self.is_copy && is_unchanged {
            // A copy that stays would only hide later versions of the built-in set.
            let _ = std::fs::remove_file(&self.file);
        }
        if let Err(error) = outcome {
            return Err(format!("{} failed: {error}", self.editor.program()));
        }
        match read {
            Ok(_) if is_unchanged => Ok(None),
            Ok(set) => Ok(Some(set)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The file in the user's folder that replaces a built-in set, and whether it was made just now.
fn copied(set: &PromptSet, folder: Option<&Path>) -> Result<(PathBuf, bool), String> {
    let folder = folder.ok_or("there is no home folder for your own prompt sets")?;
    let file = folder.join(format!("{}.toml", set.name));
    if file.exists() {
        return Ok((file, false));
    }
    let text = prompts::built_in_text(&set.name);
    let text = text.ok_or_else(|| format!("{} has no file to edit", set.name))?;
    let saved = prompts::save(&file, text);
    saved.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok((file, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompts::Prompts;

    fn edited(script: &str, set: &PromptSet, folder: &Path) -> Result<Option<PromptSet>, String> {
        let editor = CommandLine::parse(script).unwrap();
        let edit = PromptEdit::with_editor(editor, set, Some(folder)).unwrap();
        let outcome = edit.command().status().map(drop);
        edit.finish(outcome)
    }

    #[test]
    fn a_built_in_set_is_copied_only_if_it_is_changed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("prompts");
        let shipped = Prompts::select("chest-xray", None).unwrap();
        let shipped = &shipped.sets()[0];
        assert_eq!(edited("true", shipped, &folder), Ok(None));
        assert!(
            edited("/no/such/editor", shipped, &folder)
                .unwrap_err()
                .contains("failed: No such file")
        );
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        let set = edited("sed -i s/consolidation/haze/", shipped, &folder)
            .unwrap()
            .unwrap();
        let file = folder.join("chest-xray.toml");
        assert_eq!(set.file.as_deref(), Some(file.as_path()));
        assert!(
            set.conditions[0]
                .phrases
                .iter()
                .any(|phrase| phrase.contains("haze"))
        );
        // A terminal that went away meanwhile does not take the edit with it.
        std::fs::remove_file(&file).unwrap();
        let editor = CommandLine::parse("sed -i s/consolidation/haze/").unwrap();
        let edit = PromptEdit::with_editor(editor, shipped, Some(&folder)).unwrap();
        edit.command().status().unwrap();
        let lost = edit.finish(Err(io::Error::other("no terminal")));
        assert!(lost.unwrap_err().contains("no terminal"));
        assert!(std::fs::read_to_string(&file).unwrap().contains("haze"));
        // From now on it is the user's file.
        assert_eq!(edited("true", &set, &folder), Ok(None));
        let fault = edited("sed -i s/phrases/phases/", &set, &folder).unwrap_err();
        assert!(fault.contains("chest-xray.toml:"), "{fault}");
        assert!(file.is_file());
    }
}
