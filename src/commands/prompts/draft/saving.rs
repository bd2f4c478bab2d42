//! Edits a draft and saves it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::super::ask::confirm;
use super::super::super::language_model::{edit, set_unsaved};
use super::super::super::output::unwritable;
use super::super::super::{Fault, exit, print, shown};
use super::folder_of;
use crate::cli::DraftArgs;
use crate::exec;
use crate::files::check_writable;
use crate::prompts::{self, AUTO, DraftFile, KINDS, PromptSet};

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
            Some(set) => set.draft_name(),
            None => slug(conditions),
        };
        let name = arguments.name.clone().or(stem).unwrap_or_else(made);
        if !prompts::is_plain_name(&name) || [AUTO, KINDS].contains(&name.as_str()) {
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
        // An answer that cannot be saved may have cost money.
        check_writable(&file).map_err(|error| unwritable(&file, &error))?;
        Ok(Self {
            existing: existing(&file)?,
            name,
            file,
            is_named,
        })
    }

    /// Keeps a text in a file until it is saved; a signal that ends the program names it.
    pub(super) fn keep(&self, text: &str) -> Result<DraftFile, Fault> {
        let folder = match self.file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let draft = DraftFile::new(&self.name, text, Some(folder));
        let draft = draft.map_err(|error| self.fault(&error))?;
        set_unsaved(Some(draft.path()));
        Ok(draft)
    }

    /// Saves a text, edited if `edits`; `None` if the user decided against it. If that fails, the error names the file in which
    /// the draft is kept. `draft`: the file of the answer, and the text that it has become.
    pub(super) fn save(
        &self,
        (answer, text): (DraftFile, &str),
        edits: bool,
        is_confirmed: bool,
    ) -> Result<Option<PromptSet>, Fault> {
        let draft = match self.keep(text) {
            Ok(draft) => draft,
            Err(fault) => return Err(with_draft(fault, answer)),
        };
        drop(answer);
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
            set_unsaved(None);
            return Ok(None);
        }
        match self.write(draft.path(), is_confirmed) {
            Ok(set) => {
                set_unsaved(None);
                Ok(Some(set))
            }
            Err(fault) => Err(with_draft(fault, draft)),
        }
    }

    /// Says what was saved, and how it is used.
    pub(super) fn tell_saved(&self) -> io::Result<()> {
        let file = shown(&self.file);
        print::try_lines(&format!("saved: {file}\n"))?;
        let how = if self.is_named { &self.name } else { &file };
        print::message(format_args!(
            "use it with --prompts {how}; `prompts compare` shows whether it is better than another set"
        ));
        Ok(())
    }

    /// Ends a command that saved the set, whether it could print all of that or not; returns the exit code.
    pub(super) fn end(&self, printed: io::Result<()>) -> Result<u8, Fault> {
        let done = printed.or_else(print::closed_pipe);
        done.map(|()| exit::OK).map_err(|fault| Fault {
            message: format!("{}; the set is saved: {}", fault.message, shown(&self.file)),
            ..fault
        })
    }

    /// Asks whether the set is to be saved. Somebody can answer: nothing is sent without either consent or `--yes`.
    fn is_wanted(&self) -> bool {
        let file = shown(&self.file);
        if self.file.exists() {
            confirm(&format!("Replace {file}?"), false)
        } else {
            let place = if self.hides_built_in() {
                " in place of the built-in set of that name"
            } else {
                ""
            };
            confirm(&format!("Save {file}{place}?"), true)
        }
    }

    /// Whether the name will mean this set instead of a built-in one.
    fn hides_built_in(&self) -> bool {
        self.is_named && prompts::built_in_text(&self.name).is_some()
    }

    /// Saves what is in the file of the draft. Where nobody was asked, an earlier file is copied first.
    fn write(&self, draft: &Path, is_confirmed: bool) -> Result<PromptSet, Fault> {
        let set = PromptSet::read(draft).map_err(Fault::unusable)?;
        let is_new = !self.file.exists();
        // An editor may have replaced the file, so that only its name is still right.
        let text = fs::read_to_string(draft).map_err(|error| self.fault(&error))?;
        if is_confirmed {
            let copy = prompts::back_up(&self.file, &text).map_err(|error| self.fault(&error))?;
            if let Some(copy) = copy {
                print::message(format_args!(
                    "the earlier {} is kept as {}",
                    shown(&self.file),
                    shown(&copy)
                ));
            }
        }
        prompts::save(&self.file, &text).map_err(|error| self.fault(&error))?;
        if is_confirmed && is_new && self.hides_built_in() {
            print::message(format_args!(
                "{} is now this set instead of the built-in one, until its file is removed",
                self.name
            ));
        }
        Ok(PromptSet {
            file: Some(self.file.clone()),
            ..set
        })
    }

    fn fault(&self, error: &io::Error) -> Fault {
        unwritable(&self.file, error)
    }
}

/// The set in a file; `None` if there is no file. One that is no set is never replaced, which is said before anything is sent.
fn existing(file: &Path) -> Result<Option<PromptSet>, Fault> {
    match PromptSet::read(file) {
        Ok(set) => Ok(Some(set)),
        Err(error) if file.is_file() => Err(Fault::usage(format!(
            "{error}; as it is no usable prompt set, it is not replaced: give another --name or --out"
        ))),
        Err(_) => Ok(None),
    }
}

/// Keeps the file of a draft, and says where it is.
fn kept(draft: DraftFile) -> String {
    let kept = draft.keep();
    set_unsaved(None);
    match kept {
        Ok(file) => format!("the draft is in {}", shown(&file)),
        Err(error) => format!("the draft cannot be kept: {error}"),
    }
}

fn with_draft(fault: Fault, draft: DraftFile) -> Fault {
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

    const SET: &str = r#"name = "ward"
[[condition]]
name = "a"
phrases = ["a"]
[[condition]]
name = "b"
phrases = ["b"]
"#;

    fn target(file: &Path) -> Result<Target, Fault> {
        let arguments = DraftArgs {
            conditions: Vec::new(),
            modality: None,
            name: None,
            set: None,
            yes: true,
            out: Some(file.to_owned()),
            no_edit: true,
            json: false,
        };
        Target::new(&arguments, None, None, &[])
    }

    #[test]
    fn a_file_that_is_no_prompt_set_is_refused_before_anything_is_sent() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("mine.toml");
        fs::write(&file, "[package]\nname = \"x\"\n").unwrap();
        let refused = target(&file).err().unwrap();
        assert_eq!(refused.code, exit::USAGE);
        assert!(refused.message.contains("mine.toml") && refused.message.contains("--out"));
    }

    #[test]
    fn without_a_question_an_earlier_set_is_replaced_only_beside_its_copy() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("ward.toml");
        let by_hand = format!("# by hand\n{SET}");
        fs::write(&file, &by_hand).unwrap();
        let target = target(&file).unwrap();
        let answer = target.keep("as answered").unwrap();
        let saved = target.save((answer, SET), false, true).unwrap();
        assert_eq!(saved.unwrap().name, "ward");
        assert_eq!(fs::read_to_string(&file).unwrap(), SET);
        let copy = home.path().join("ward.toml~");
        assert_eq!(fs::read_to_string(copy).unwrap(), by_hand);
        let left = fs::read_dir(home.path()).unwrap().count();
        assert_eq!(left, 2, "the drafts are gone");
    }

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
