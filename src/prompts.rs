//! Prompt sets: TOML files of conditions and their phrases, built in or the user's.

pub mod draft;
mod draft_file;
mod images;
mod parse;
pub mod placebo;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

use crate::media::read_text;
pub use draft_file::DraftFile;
pub use images::{ImageCriteria, ImageTraits};
pub use write::{Change, back_up, difference, save};

/// The built-in sets with their names, in the order of `prompts list`.
const BUILT_IN: [(&str, &str); 7] = [
    ("general", include_str!("../prompts/general.toml")),
    ("chest-xray", include_str!("../prompts/chest-xray.toml")),
    ("brain-mri", include_str!("../prompts/brain-mri.toml")),
    ("bone-xray", include_str!("../prompts/bone-xray.toml")),
    ("mass", include_str!("../prompts/mass.toml")),
    (
        "fracture-mass",
        include_str!("../prompts/fracture-mass.toml"),
    ),
    (KINDS, include_str!("../prompts/kinds.toml")),
];

/// The name that chooses a set for each image.
pub const AUTO: &str = "auto";

/// The set that tells kinds of image apart.
pub const KINDS: &str = "kinds";

/// The built-in sets for images of which there are no phantoms. The built-in model is neither trained nor calibrated with them.
pub const WITHOUT_PHANTOMS: [&str; 2] = ["mass", "fracture-mass"];

/// The default set, which `auto` also uses if no other matches and the image may show what it asks for.
pub const DEFAULT: &str = "general";

/// Characters of a set's name in that of its draft: with four bytes each, they leave room in a file's name.
const MAX_DRAFT_NAME: usize = 40;

/// Maximum size of a file.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Default of [`PromptSet::min_probability`].
const DEFAULT_MIN_PROBABILITY: f64 = 0.7;
/// Default of [`PromptSet::min_margin`].
const DEFAULT_MIN_MARGIN: f64 = 0.2;

/// Why a prompt set cannot be used: the first error in its file, and the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map(|n| format!(":{n}")).unwrap_or_default())]
pub struct PromptError {
    /// The file, or `NAME.toml (built in)`.
    pub file: String,
    /// The line, from 1; `None` if the error has none.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub reason: String,
    /// The other errors in the file, in the order of their lines.
    pub more: Vec<PromptError>,
}

impl PromptError {
    /// All errors in the file, this one first.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.more)
    }
}

/// Whether a name consists of letters, digits, `-` and `_`, so that a file of that name is in the folder of the sets.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_plain)
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-_".contains(c)
}

/// A condition that an image may show, and the phrases that describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Name in results.
    pub name: String,
    /// A sentence for the user.
    pub description: String,
    /// Phrases for its presence, each inserted into each template.
    pub phrases: Vec<String>,
    /// Phrases for its absence, which `multi` mode needs.
    pub absent: Vec<String>,
    /// Whether it is the healthy condition; true of one at most.
    pub normal: bool,
    /// Whether it stands for everything that the other conditions do not; true of one at most.
    pub other: bool,
}

/// A set of conditions to distinguish, with the phrases that describe them.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptSet {
    /// Name in results.
    pub name: String,
    /// Name to show.
    pub title: String,
    /// DICOM modalities that the set is for; empty means any.
    pub modalities: Vec<String>,
    /// DICOM body parts that the set is for; empty means any.
    pub body_parts: Vec<String>,
    /// Conditions of the set [`KINDS`] that the set is for, where DICOM attributes do not say what an image is.
    pub kinds: Vec<String>,
    /// Texts with one `{}`, where the phrase is inserted.
    pub templates: Vec<String>,
    /// Minimum probability of a confident decision.
    pub min_probability: f64,
    /// Minimum lead of a confident decision over the next condition.
    pub min_margin: f64,
    /// The conditions, at least two.
    pub conditions: Vec<Condition>,
    /// `blake3:<hex>` of the file's content, without `modalities`, `body_parts` and `kinds`, which do not change the scores.
    pub digest: String,
    /// The user's file; `None` if the set is built in.
    pub file: Option<PathBuf>,
}

impl PromptSet {
    /// Parses a set; `file` is its name in error messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, PromptError> {
        parse::read(text, file)
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, PromptError> {
        let file = path.display().to_string();
        let text = read_text(path, MAX_FILE_BYTES).map_err(|error| PromptError {
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

    /// The name of a draft for the set: after that by which it is listed, and a [plain](is_plain_name) one, whatever the set calls itself.
    pub fn draft_name(&self) -> String {
        let listed = self.file.as_deref().and_then(Path::file_stem);
        let listed = listed.map_or(self.name.as_str().into(), |stem| stem.to_string_lossy());
        let plain = |c: char| if is_plain(c) { c } else { '-' };
        let name: String = listed.chars().take(MAX_DRAFT_NAME).map(plain).collect();
        format!("{name}-draft")
    }

    /// Whether it and another are of the same content, wherever their files are.
    pub fn has_content_of(&self, other: &Self) -> bool {
        let without_file = |set: &Self| Self {
            file: None,
            ..set.clone()
        };
        without_file(self) == without_file(other)
    }

    /// Whether the set is for images of this modality and body part.
    fn suits(&self, image: ImageTraits) -> bool {
        image.has_modality(&self.modalities) && image.has_body_part(&self.body_parts)
    }

    /// Whether the set is for the kind that was read from the pixels, and no DICOM attribute contradicts.
    fn suits_kind(&self, image: ImageTraits) -> bool {
        let is_for = |kind: &str| self.kinds.iter().any(|own| own == kind);
        image.kind.is_some_and(is_for) && !self.is_contradicted(image)
    }

    /// Whether the DICOM attributes say that the image is none that the set is for.
    fn is_contradicted(&self, image: ImageTraits) -> bool {
        image.contradicts_modalities(&self.modalities)
            || image.contradicts_body_parts(&self.body_parts)
    }

    /// Whether it is the built-in one for images of which nothing is known.
    fn is_fallback(&self) -> bool {
        self.name == DEFAULT && self.file.is_none()
    }

    /// Whether it tells kinds of image apart, as the built-in set [`KINDS`] or one in its place: of its name, with a condition for
    /// everything else, and none for the healthy.
    pub fn tells_kinds(&self) -> bool {
        self.name == KINDS && self.is_exhaustive() && !self.conditions.iter().any(|own| own.normal)
    }

    /// How many of modality and body part the set names.
    fn specificity(&self) -> usize {
        usize::from(!self.modalities.is_empty()) + usize::from(!self.body_parts.is_empty())
    }

    /// Whether exactly one of its conditions applies to any image, in every mode.
    pub fn is_exhaustive(&self) -> bool {
        self.conditions.iter().any(|condition| condition.other)
    }

    /// The names of conditions without `absent` phrases, which `multi` mode needs; an exhaustive set is never scored in it.
    pub fn without_absent(&self) -> Vec<&str> {
        let is_needed = !self.is_exhaustive();
        self.conditions
            .iter()
            .filter(|c| is_needed && c.absent.is_empty())
            .map(|c| c.name.as_str())
            .collect()
    }

    /// The texts for the model: every phrase in every template.
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

/// The prompt sets in use: one for all images, or several from which one is chosen by modality and body part. Rules may ask
/// for other sets for the images that they are for.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompts {
    /// The sets for images that no rule is for, then those of the rules.
    sets: Vec<PromptSet>,
    /// The number of sets before those of the rules.
    general: usize,
    /// Which images each rule is for, and the index of its set.
    rules: Vec<(ImageCriteria, usize)>,
}

impl Prompts {
    /// Loads the set of that name, that file, or for `auto` all sets. `NAME.toml` in the user's `folder` replaces a built-in
    /// set.
    pub fn select(name: &str, folder: Option<&Path>) -> Result<Self, PromptError> {
        if name == AUTO {
            return Ok(Self::auto(with_kinds(all(folder)?)?));
        }
        let path = Path::new(name);
        if path.extension().is_some() || path.components().count() > 1 {
            return Ok(Self::only(PromptSet::read(path)?));
        }
        if let Some(path) = folder
            .map(|folder| folder.join(format!("{name}.toml")))
            .filter(|path| path.is_file())
        {
            return Ok(Self::only(PromptSet::read(&path)?));
        }
        let set = built_in()
            .find(|set| set.as_ref().map_or(true, |set| set.name == name))
            .transpose()?;
        let missing = || PromptError {
            file: name.to_owned(),
            line: None,
            reason:
                "not the name of a prompt set, nor a .toml file; see `medivision-tui prompts list`"
                    .into(),
            more: Vec::new(),
        };
        Ok(Self::only(set.ok_or_else(missing)?))
    }

    /// Uses one set for all images.
    pub fn only(set: PromptSet) -> Self {
        Self::of(vec![set])
    }

    /// Uses for each image the set that suits it: of those that suit it alike the first, one of the user's own before one that is
    /// built in.
    pub fn auto(mut sets: Vec<PromptSet>) -> Self {
        sets.sort_by_key(|set| (set.name == DEFAULT, set.file.is_none()));
        Self::of(sets)
    }

    fn of(sets: Vec<PromptSet>) -> Self {
        Self {
            general: sets.len(),
            sets,
            rules: Vec::new(),
        }
    }

    /// Uses `set` for the images that meet `criteria`, unless an earlier rule is for them.
    #[must_use]
    pub fn with_rule(mut self, criteria: ImageCriteria, set: PromptSet) -> Self {
        let known = self.sets.iter().position(|other| *other == set);
        let index = known.unwrap_or(self.sets.len());
        if known.is_none() {
            self.sets.push(set);
        }
        self.rules.push((criteria, index));
        self
    }

    /// The sets, in order of preference; those that only rules ask for come last.
    pub fn sets(&self) -> &[PromptSet] {
        &self.sets
    }

    /// The same choice with a set in place of the built-in one of its name; `None` if that is not among them.
    pub fn replacing(&self, set: &PromptSet) -> Option<Self> {
        let is_same = |other: &&mut PromptSet| other.file.is_none() && other.name == set.name;
        let mut all = self.clone();
        let mut same = all.sets.iter_mut().filter(is_same).peekable();
        same.peek()?;
        same.for_each(|other| *other = set.clone());
        Some(all)
    }

    /// Whether the set is chosen for each image, rules aside.
    pub fn is_auto(&self) -> bool {
        self.general != 1
    }

    /// The files that the sets come from; where one is chosen for each image, also the others in the user's `folder`.
    pub fn files(&self, folder: Option<&Path>) -> Vec<PathBuf> {
        let own = if self.is_auto() {
            files_in(folder)
        } else {
            Vec::new()
        };
        let used = self.sets.iter().filter_map(|set| set.file.clone());
        used.chain(own).collect()
    }

    /// The same choice, with its files read again. A set whose file has become invalid stays as it is; the error is returned,
    /// too.
    #[must_use]
    pub fn reread(&self, folder: Option<&Path>) -> (Self, Option<PromptError>) {
        let mut first_error = None;
        let mut usable = |file: Option<&Path>, set: Result<PromptSet, PromptError>| match set {
            Ok(set) => Some(set),
            Err(error) => {
                let before = self.sets.iter().find(|set| set.file.as_deref() == file);
                first_error.get_or_insert(error);
                before.cloned()
            }
        };
        let general = &self.sets[..self.general];
        let is_elsewhere = |file: &Path| !self.is_auto() || file.parent() != folder;
        let elsewhere = general.iter().filter_map(|set| set.file.as_deref());
        let elsewhere: Vec<&Path> = elsewhere.filter(|file| is_elsewhere(file)).collect();
        let mut sets = Vec::new();
        if self.is_auto() {
            for (file, set) in available(folder) {
                sets.extend(usable(file.as_deref(), set));
            }
        }
        for file in elsewhere {
            sets.extend(usable(Some(file), PromptSet::read(file)));
        }
        let mut prompts = match sets.len() {
            0 => Self::of(general.to_vec()),
            1 => Self::of(sets),
            // The built-in one cannot be wrong.
            _ => Self::auto(with_kinds(sets).unwrap_or_else(|_| general.to_vec())),
        };
        for (criteria, index) in &self.rules {
            let before = &self.sets[*index];
            let file = before.file.as_deref();
            let set = file.and_then(|path| usable(file, PromptSet::read(path)));
            prompts = prompts.with_rule(criteria.clone(), set.unwrap_or_else(|| before.clone()));
        }
        (prompts, first_error)
    }

    /// The index of the set that a rule asks for.
    pub fn ruled(&self, image: ImageTraits) -> Option<usize> {
        let mut rules = self.rules.iter();
        let found = rules.find(|(criteria, _)| criteria.admit(image));
        found.map(|(_, index)| *index)
    }

    /// The index of the set with this name among those for images that no rule is for.
    pub fn position(&self, name: &str) -> Option<usize> {
        let general = &self.sets[..self.general];
        general.iter().position(|set| set.name == name)
    }

    /// The index of the set that tells kinds of image apart, among those for images that no rule is for.
    pub fn kinds(&self) -> Option<usize> {
        self.sets[..self.general]
            .iter()
            .position(PromptSet::tells_kinds)
    }

    /// Leaves out the sets that cannot be used, unless a rule asks for them or none would be left.
    #[must_use]
    pub fn without(self, is_unusable: impl Fn(&PromptSet) -> bool) -> Self {
        let general = &self.sets[..self.general];
        let kept: Vec<PromptSet> = general
            .iter()
            .filter(|set| !is_unusable(set))
            .cloned()
            .collect();
        if kept.is_empty() || kept.len() == general.len() {
            return self;
        }
        let rules = self.rules.iter();
        rules.fold(Self::of(kept), |prompts, (criteria, index)| {
            prompts.with_rule(criteria.clone(), self.sets[*index].clone())
        })
    }

    /// The index of the set for an image: that of the first rule for it, else the set for its modality and body part, or for one of
    /// them, else the first one for the kind that was read from its pixels, else `kinds` if no set is for that kind, else `general` unless
    /// the attributes say that the image cannot show what it asks for, else `kinds`, else the first.
    pub fn choose(&self, image: ImageTraits) -> usize {
        if let Some(index) = self.ruled(image) {
            return index;
        }
        let general = &self.sets[..self.general];
        if general.len() == 1 {
            return 0;
        }
        let by_attributes = [2, 1].iter().find_map(|specificity| {
            general.iter().position(|set| {
                set.specificity() == *specificity && !set.is_fallback() && set.suits(image)
            })
        });
        let by_kind = || general.iter().position(|set| set.suits_kind(image));
        let of_kind = || {
            let is_for = |set: &PromptSet, kind: &str| set.kinds.iter().any(|own| own == kind);
            let is_known = |kind| general.iter().any(|set| is_for(set, kind));
            let kind = image.kind?;
            (!is_known(kind)).then(|| self.kinds()).flatten()
        };
        let fallback = || {
            let is_possible = |at: &usize| !general[*at].is_contradicted(image);
            let default = self.position(DEFAULT);
            let kinds = || self.kinds();
            default.filter(is_possible).or_else(kinds).or(default)
        };
        by_attributes
            .or_else(by_kind)
            .or_else(of_kind)
            .or_else(fallback)
            .unwrap_or(0)
    }

    /// The name to show: that of the set for images that no rule is for, or `auto` if there are several.
    pub fn name(&self) -> &str {
        if let [only] = &self.sets[..self.general] {
            &only.name
        } else {
            AUTO
        }
    }
}

/// The set that tells kinds of image apart, as it is built in.
///
/// # Errors
///
/// Fails never, unless the file in the program is wrong.
pub fn kinds() -> Result<PromptSet, PromptError> {
    let (_, text) = BUILT_IN[BUILT_IN.len() - 1];
    PromptSet::parse(text, "kinds.toml (built in)")
}

/// Sets among which one tells kinds of image apart: if none does, the built-in one is added. By it sets are chosen, and images told of
/// which a model judges no findings.
fn with_kinds(mut sets: Vec<PromptSet>) -> Result<Vec<PromptSet>, PromptError> {
    if !sets.iter().any(PromptSet::tells_kinds) {
        sets.push(kinds()?);
    }
    Ok(sets)
}

/// The built-in sets.
fn built_in() -> impl Iterator<Item = Result<PromptSet, PromptError>> {
    BUILT_IN
        .iter()
        .map(|(name, text)| PromptSet::parse(text, &format!("{name}.toml (built in)")))
}

/// The text of a built-in set.
pub fn built_in_text(name: &str) -> Option<&'static str> {
    let found = BUILT_IN.iter().find(|(own, _)| *own == name);
    found.map(|(_, text)| *text)
}

/// All available sets: the built-in ones, replaced by the user's files of the same name, then the user's other files.
pub fn all(folder: Option<&Path>) -> Result<Vec<PromptSet>, PromptError> {
    all_named(folder).into_iter().map(|(_, set)| set).collect()
}

/// As [`all`], each with its name for [`Prompts::select`]; an error in one does not hide the others.
pub fn all_named(folder: Option<&Path>) -> Vec<(String, Result<PromptSet, PromptError>)> {
    let built_in = BUILT_IN.iter().map(|(name, _)| (*name).to_owned());
    let names = built_in.map(Some).chain(std::iter::repeat(None));
    let named = available(folder).into_iter().zip(names);
    named
        .map(|((file, set), name)| {
            let stem = file.as_deref().and_then(Path::file_stem);
            let stem = stem.unwrap_or_default().to_string_lossy();
            (name.unwrap_or_else(|| stem.into_owned()), set)
        })
        .collect()
}

/// All available sets with the user's files that they come from: first the built-in ones, in their order.
fn available(folder: Option<&Path>) -> Vec<(Option<PathBuf>, Result<PromptSet, PromptError>)> {
    let mut own = files_in(folder);
    let mut sets = Vec::new();
    for (name, text) in BUILT_IN {
        let replaced = own
            .iter()
            .position(|path| path.file_stem().is_some_and(|stem| stem == name));
        if let Some(index) = replaced {
            let path = own.remove(index);
            let set = PromptSet::read(&path);
            sets.push((Some(path), set));
        } else {
            let file = format!("{name}.toml (built in)");
            sets.push((None, PromptSet::parse(text, &file)));
        }
    }
    for path in own {
        let set = PromptSet::read(&path);
        sets.push((Some(path), set));
    }
    sets
}

/// The user's files, by name.
fn files_in(folder: Option<&Path>) -> Vec<PathBuf> {
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
    // By name without extension: `ward` before `ward-draft`, which `auto` would prefer otherwise.
    own.sort_by(|a, b| a.file_stem().cmp(&b.file_stem()));
    own
}

#[cfg(test)]
#[path = "prompts/tests.rs"]
mod tests;
