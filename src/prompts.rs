//! Prompt sets: TOML files of conditions × phrases, built in or the user's.

mod parse;

use std::fs;
use std::path::{Path, PathBuf};

use crate::media::read_text;

/// The sets that ship, by name; the order is that of `prompts list`.
const SHIPPED: [(&str, &str); 4] = [
    ("general", include_str!("../prompts/general.toml")),
    ("chest-xray", include_str!("../prompts/chest-xray.toml")),
    ("brain-mri", include_str!("../prompts/brain-mri.toml")),
    ("bone-xray", include_str!("../prompts/bone-xray.toml")),
];

/// The set used when none is named, and where none matches.
pub const DEFAULT: &str = "general";

/// Size of the largest file of a prompt set.
const MAX_BYTES: u64 = 1 << 20;
/// Least probability of a confident decision, unless the set says otherwise.
const MIN_PROBABILITY: f64 = 0.7;
/// Least lead over the next condition of a confident decision, unless the set says otherwise.
const MIN_MARGIN: f64 = 0.2;

/// Why a prompt set cannot be used: file, line and reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map(|n| format!(":{n}")).unwrap_or_default())]
pub struct PromptError {
    /// The file, or `NAME.toml (built in)`.
    pub file: String,
    /// Line, from 1.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub reason: String,
    /// What else is wrong with the file, further down.
    pub more: Vec<PromptError>,
}

impl PromptError {
    /// All that is wrong with the file, from the top.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.more)
    }
}

/// What may be found, and the texts that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Name in results.
    pub name: String,
    /// A sentence for the user.
    pub description: String,
    /// Texts that say it is there, each filled into each template.
    pub phrases: Vec<String>,
    /// Texts that say it is not there; needed in `multi` mode.
    pub absent: Vec<String>,
    /// The healthy condition.
    pub normal: bool,
}

/// A task: the conditions to tell apart and how to ask for them.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptSet {
    /// Name in results.
    pub name: String,
    /// Name for the user.
    pub title: String,
    /// DICOM modalities that the set is for; empty: any.
    pub modalities: Vec<String>,
    /// DICOM body parts that the set is for; empty: any.
    pub body_parts: Vec<String>,
    /// Texts with `{}` where the phrase goes.
    pub templates: Vec<String>,
    /// Least probability of a confident decision.
    pub min_probability: f64,
    /// Least lead of a confident decision.
    pub min_margin: f64,
    /// The conditions, two or more.
    pub conditions: Vec<Condition>,
    /// `blake3:<hex>` of the file.
    pub digest: String,
    /// Where it came from; `None`: built in.
    pub file: Option<PathBuf>,
}

impl PromptSet {
    /// Reads a set; `file` stands in the errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, PromptError> {
        parse::read(text, file)
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, PromptError> {
        let file = path.display().to_string();
        let text = read_text(path, MAX_BYTES).map_err(|error| PromptError {
            file: file.clone(),
            line: None,
            reason: error.to_string(),
            more: Vec::new(),
        })?;
        Ok(Self {
            file: Some(path.to_owned()),
            ..Self::parse(&text, &file)?
        })
    }

    /// Whether the set is made for pictures of this modality and body part.
    fn suits(&self, modality: Option<&str>, body_part: Option<&str>) -> bool {
        let fits = |list: &[String], value: Option<&str>| {
            list.is_empty()
                || value.is_some_and(|value| {
                    list.iter()
                        .any(|item| item.eq_ignore_ascii_case(value.trim()))
                })
        };
        fits(&self.modalities, modality) && fits(&self.body_parts, body_part)
    }

    /// Conditions without `absent` phrases, which `multi` mode needs.
    pub fn without_absent(&self) -> Vec<&str> {
        self.conditions
            .iter()
            .filter(|c| c.absent.is_empty())
            .map(|c| c.name.as_str())
            .collect()
    }

    /// Templates × phrases, as the model is asked.
    pub fn texts(&self, phrases: &[String]) -> Vec<String> {
        self.templates
            .iter()
            .flat_map(|template| {
                phrases
                    .iter()
                    .map(move |phrase| template.replacen("{}", phrase, 1))
            })
            .collect()
    }
}

/// The sets in force: one for everything, or several to choose from by modality and body part.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompts {
    sets: Vec<PromptSet>,
}

impl Prompts {
    /// `NAME`, a file, or `auto`. A user's `NAME.toml` in `folder` goes before the built-in one.
    pub fn select(name: &str, folder: Option<&Path>) -> Result<Self, PromptError> {
        if name == "auto" {
            return Ok(Self::auto(all(folder)?));
        }
        let path = Path::new(name);
        if path.extension().is_some() || path.components().count() > 1 {
            return Ok(Self {
                sets: vec![PromptSet::read(path)?],
            });
        }
        if let Some(path) = folder
            .map(|folder| folder.join(format!("{name}.toml")))
            .filter(|path| path.is_file())
        {
            return Ok(Self {
                sets: vec![PromptSet::read(&path)?],
            });
        }
        let set = shipped()
            .find(|set| set.as_ref().map_or(true, |set| set.name == name))
            .transpose()?;
        let missing = || {
            PromptError {
            file: name.to_owned(),
            line: None,
            reason: "no prompt set has this name, and it is not a .toml file; see `medivision-tui prompts list`".into(),
            more: Vec::new(),
        }
        };
        Ok(Self {
            sets: vec![set.ok_or_else(missing)?],
        })
    }

    /// One set for every picture.
    pub fn only(set: PromptSet) -> Self {
        Self { sets: vec![set] }
    }

    /// Sets of which each picture gets the one that suits.
    pub fn auto(mut sets: Vec<PromptSet>) -> Self {
        // The fallback goes last: `choose` takes the first that suits.
        sets.sort_by_key(|set| set.name == DEFAULT);
        Self { sets }
    }

    /// The sets, in order of preference.
    pub fn sets(&self) -> &[PromptSet] {
        &self.sets
    }

    /// Index of the set for a picture: the first that suits, else `general`, else the first.
    pub fn choose(&self, modality: Option<&str>, body_part: Option<&str>) -> usize {
        if self.sets.len() == 1 {
            return 0;
        }
        let specific = |set: &PromptSet| !(set.modalities.is_empty() && set.body_parts.is_empty());
        let found = self
            .sets
            .iter()
            .position(|set| specific(set) && set.suits(modality, body_part));
        found
            .or_else(|| self.sets.iter().position(|set| set.name == DEFAULT))
            .unwrap_or(0)
    }

    /// Name for the status line.
    pub fn name(&self) -> &str {
        if let [only] = self.sets.as_slice() {
            &only.name
        } else {
            "auto"
        }
    }
}

fn shipped() -> impl Iterator<Item = Result<PromptSet, PromptError>> {
    SHIPPED
        .iter()
        .map(|(name, text)| PromptSet::parse(text, &format!("{name}.toml (built in)")))
}

/// Every set that can be named: the shipped ones, replaced by the user's of the same file name, then the user's others.
pub fn all(folder: Option<&Path>) -> Result<Vec<PromptSet>, PromptError> {
    each(folder).into_iter().map(|(_, set)| set).collect()
}

/// The same, with the name that [`Prompts::select`] knows each by; what is wrong with one does not hide the others.
pub fn each(folder: Option<&Path>) -> Vec<(String, Result<PromptSet, PromptError>)> {
    let mut own: Vec<PathBuf> = folder
        .and_then(|folder| fs::read_dir(folder).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
                && path.is_file()
        })
        .collect();
    own.sort();
    let mut sets = Vec::new();
    for (name, text) in SHIPPED {
        let replaced = own
            .iter()
            .position(|path| path.file_stem().is_some_and(|stem| stem == name));
        let set = match replaced {
            Some(index) => PromptSet::read(&own.remove(index)),
            None => PromptSet::parse(text, &format!("{name}.toml (built in)")),
        };
        sets.push((name.to_owned(), set));
    }
    for path in own {
        let stem = path.file_stem().unwrap_or_default();
        sets.push((stem.to_string_lossy().into_owned(), PromptSet::read(&path)));
    }
    sets
}

#[cfg(test)]
#[path = "prompts/tests.rs"]
mod tests;
