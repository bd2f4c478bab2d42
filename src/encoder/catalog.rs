//! The catalogue of models that are known to work and to be useful.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A model of the catalogue.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// Short name, which may be used instead of the id.
    pub name: String,
    /// Id on the hub.
    pub id: String,
    /// What it is for.
    pub purpose: String,
    /// The kinds of image that it is for, as conditions of the prompt set `kinds`; empty if it is for any, or that is not known.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Exact size of the weights, in bytes.
    pub bytes: Option<u64>,
    /// Size of the weights by an estimate, in 10⁶ bytes.
    #[serde(skip_serializing)]
    pub megabytes: Option<u64>,
    /// Licence, as the model's page states it.
    pub licence: String,
    /// What the model's card says it is not for.
    pub excludes: Option<String>,
    /// Whether the hub demands an account and consent.
    pub gated: bool,
    /// Published zero-shot performance.
    pub figure: Option<String>,
    /// Where `figure` was published.
    pub source: Option<String>,
    /// The `open_clip_config.json` that its repository lacks. `hf_proj_type` may be `by weights`.
    #[serde(skip_serializing)]
    pub architecture: Option<String>,
    /// The id of the repository that has its tokenizer, if its own does not.
    pub tokenizer: Option<String>,
}

impl CatalogEntry {
    /// The size of the weights in bytes, exact or estimated; `None` if not known.
    pub fn size(&self) -> Option<u64> {
        let estimate = || Some(self.megabytes? * 1_000_000);
        self.bytes.or_else(estimate)
    }
}

#[derive(Deserialize)]
struct Catalog {
    model: Vec<CatalogEntry>,
}

static ENTRIES: LazyLock<Vec<CatalogEntry>> = LazyLock::new(|| {
    // Built in; a test makes sure that it parses.
    toml::from_str::<Catalog>(include_str!("catalog.toml")).map_or_else(|_| Vec::new(), |c| c.model)
});

/// The model that is used by default if it is in the cache.
pub const PREFERRED: &str = "biomedclip";

/// All entries.
pub fn entries() -> &'static [CatalogEntry] {
    &ENTRIES
}

/// The entry with this name or id.
pub fn find(text: &str) -> Option<&'static CatalogEntry> {
    entries().iter().find(|e| e.name == text || e.id == text)
}

/// The id for a short name; any other text is returned as it is.
pub fn id_of(text: &str) -> &str {
    find(text).map_or(text, |entry| &entry.id)
}

/// Whether a model of the catalogue has its tokenizer from this repository.
pub(super) fn has_tokenizer_of_another(id: &str) -> bool {
    let mut tokenizers = entries()
        .iter()
        .filter_map(|entry| entry.tokenizer.as_deref());
    tokenizers.any(|tokenizer| tokenizer == id)
}

/// The entry of a file of weights, by the id of the model in the cache or by the file's name.
pub(super) fn find_by_file(id: &str, file: &Path) -> Option<&'static CatalogEntry> {
    let stem = file.file_stem().and_then(OsStr::to_str);
    let is_named = |entry: &&CatalogEntry| entry.id.split_once('/').map(|(_, name)| name) == stem;
    let described = || {
        entries()
            .iter()
            .filter(|entry| entry.architecture.is_some())
    };
    let by_id = described().find(|entry| entry.id == id);
    by_id.or_else(|| described().find(is_named))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::hub::is_id;

    #[test]
    fn every_entry_has_a_valid_id_and_can_be_found_by_its_name() {
        assert!(entries().len() >= 18);
        assert!(find(PREFERRED).is_some());
        let kinds = crate::prompts::kinds().expect("a prompt set").conditions;
        for entry in entries() {
            for kind in &entry.kinds {
                let is_known = kinds.iter().any(|known| known.name == *kind);
                assert!(is_known, "{}: {kind}", entry.name);
            }
            assert!(is_id(&entry.id), "{}", entry.id);
            assert!(!entry.name.contains('/'), "{}", entry.name);
            let names = entries().iter().filter(|other| other.name == entry.name);
            assert_eq!(names.count(), 1, "{}", entry.name);
            assert_eq!(find(&entry.name), Some(entry));
            assert_eq!(
                entry.figure.is_some(),
                entry.source.is_some(),
                "{}",
                entry.name
            );
        }
    }
}
