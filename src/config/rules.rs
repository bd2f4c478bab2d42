//! `[[rule]]` as written in the settings file.

use serde::Deserialize;
use toml::Spanned;

/// A rule. What is left out is not asked for, or not done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleSettings {
    /// What messages call it.
    pub name: Option<String>,
    /// DICOM modalities of the images that it is for.
    pub modality: Option<Spanned<Vec<String>>>,
    /// Their DICOM body parts.
    pub body_part: Option<Spanned<Vec<String>>>,
    /// The stations that made them.
    pub station: Option<Spanned<Vec<String>>>,
    /// The prompt set for them.
    pub prompts: Option<Spanned<String>>,
    /// The condition on the result.
    pub when: Option<Spanned<String>>,
    /// The command to run.
    pub exec: Option<Spanned<String>>,
    /// Whether to ring the bell.
    pub bell: bool,
}
