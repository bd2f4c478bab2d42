//! Prompt sets: TOML files of conditions × phrases, built in or the user's.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

/// The sets that ship, by name; the order is that of `prompts list`.
const SHIPPED: [(&str, &str); 4] = [
    ("general", include_str!("../prompts/general.toml")),
    ("chest-xray", include_str!("../prompts/chest-xray.toml")),
    ("brain-mri", include_str!("../prompts/brain-mri.toml")),
    ("bone-xray", include_str!("../prompts/bone-xray.toml")),
];

/// The set used when none is named, and where none matches.
pub const DEFAULT: &str = "general";

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSet {
    name: Spanned<String>,
    title: Option<String>,
    #[serde(default)]
    modalities: Vec<String>,
    #[serde(default)]
    body_parts: Vec<String>,
    templates: Option<Vec<Spanned<String>>>,
    min_probability: Option<Spanned<f64>>,
    min_margin: Option<Spanned<f64>>,
    #[serde(default)]
    condition: Vec<Spanned<RawCondition>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCondition {
    name: Spanned<String>,
    #[serde(default)]
    description: String,
    phrases: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    absent: Vec<Spanned<String>>,
    #[serde(default)]
    normal: bool,
}

/// Turns byte offsets of one file into errors with lines.
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn fault(
        &self,
        span: Option<std::ops::Range<usize>>,
        reason: impl Into<String>,
    ) -> PromptError {
        let line = span.map(|span| {
            let before = self.text.get(..span.start).unwrap_or(self.text);
            before.matches('\n').count() + 1
        });
        PromptError {
            file: self.file.to_owned(),
            line,
            reason: reason.into(),
        }
    }

    /// The text without outer spaces, which must not be empty.
    fn filled(&self, text: &Spanned<String>, what: &str) -> Result<String, PromptError> {
        let trimmed = text.get_ref().trim();
        if trimmed.is_empty() {
            return Err(self.fault(Some(text.span()), format!("{what} is empty")));
        }
        if trimmed.chars().any(char::is_control) {
            return Err(self.fault(
                Some(text.span()),
                format!("{what} holds a control character"),
            ));
        }
        Ok(trimmed.to_owned())
    }

    fn share(
        &self,
        value: Option<&Spanned<f64>>,
        key: &str,
        default: f64,
    ) -> Result<f64, PromptError> {
        let Some(value) = value else {
            return Ok(default);
        };
        if (0.0..=1.0).contains(value.get_ref()) {
            Ok(*value.get_ref())
        } else {
            Err(self.fault(
                Some(value.span()),
                format!("{key} must lie between 0 and 1"),
            ))
        }
    }

    fn templates(&self, raw: Option<&Vec<Spanned<String>>>) -> Result<Vec<String>, PromptError> {
        let Some(raw) = raw.filter(|raw| !raw.is_empty()) else {
            return Ok(vec!["{}".to_owned()]);
        };
        raw.iter()
            .map(|template| {
                let text = self.filled(template, "a template")?;
                if text.matches("{}").count() == 1 {
                    return Ok(text);
                }
                let reason =
                    format!("the template `{text}` must hold `{{}}` once, where the phrase goes");
                Err(self.fault(Some(template.span()), reason))
            })
            .collect()
    }

    fn condition(&self, raw: &RawCondition) -> Result<Condition, PromptError> {
        let name = self.filled(&raw.name, "a condition's name")?;
        let texts = |list: &[Spanned<String>], what: &str| {
            list.iter()
                .map(|text| self.filled(text, what))
                .collect::<Result<Vec<_>, _>>()
        };
        if raw.phrases.get_ref().is_empty() {
            let reason = format!("the condition `{name}` needs at least one phrase");
            return Err(self.fault(Some(raw.phrases.span()), reason));
        }
        Ok(Condition {
            phrases: texts(raw.phrases.get_ref(), "a phrase")?,
            absent: texts(&raw.absent, "an absent phrase")?,
            description: raw.description.trim().to_owned(),
            normal: raw.normal,
            name,
        })
    }
}

impl PromptSet {
    /// Reads a set; `file` stands in the errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, PromptError> {
        let source = Source { file, text };
        let raw: RawSet = toml::from_str(text).map_err(|e| source.fault(e.span(), e.message()))?;
        let name = source.filled(&raw.name, "the name")?;
        let mut conditions: Vec<Condition> = Vec::new();
        for spanned in &raw.condition {
            let (span, condition) = (
                spanned.get_ref().name.span(),
                source.condition(spanned.get_ref())?,
            );
            if conditions.iter().any(|other| other.name == condition.name) {
                let reason = format!("the condition `{}` is given twice", condition.name);
                return Err(source.fault(Some(span), reason));
            }
            if condition.normal && conditions.iter().any(|other| other.normal) {
                return Err(
                    source.fault(Some(span), "a second condition is marked `normal = true`")
                );
            }
            conditions.push(condition);
        }
        if conditions.len() < 2 {
            return Err(source.fault(
                None,
                "at least two [[condition]] tables are needed, to choose between",
            ));
        }
        let upper = |list: Vec<String>| {
            list.into_iter()
                .map(|text| text.trim().to_uppercase())
                .collect()
        };
        Ok(Self {
            title: raw.title.unwrap_or_else(|| name.clone()),
            name,
            modalities: upper(raw.modalities),
            body_parts: upper(raw.body_parts),
            templates: source.templates(raw.templates.as_ref())?,
            min_probability: source.share(
                raw.min_probability.as_ref(),
                "min_probability",
                MIN_PROBABILITY,
            )?,
            min_margin: source.share(raw.min_margin.as_ref(), "min_margin", MIN_MARGIN)?,
            conditions,
            digest: format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex()),
            file: None,
        })
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, PromptError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| PromptError {
            file: file.clone(),
            line: None,
            reason: error.to_string(),
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
            reason: "no prompt set has this name, and it is no .toml file; see `medivision-tui prompts list`".into(),
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
