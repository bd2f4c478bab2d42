//! The catalogue of models that are known to work and to be useful.

use std::sync::LazyLock;

use serde::Deserialize;

/// A model of the catalogue.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// Short name, which may be used instead of the id.
    pub name: String,
    /// Id on the hub.
    pub id: String,
    /// What it is for.
    pub purpose: String,
    /// Size of the weights, in 10⁶ bytes.
    pub megabytes: u64,
    /// Licence.
    pub licence: String,
    /// Whether the hub demands an account and consent.
    pub gated: bool,
    /// Published zero-shot performance.
    pub figure: Option<String>,
    /// Where `figure` was published.
    pub source: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::hub::is_id;

    #[test]
    fn every_entry_has_a_valid_id_and_can_be_found_by_its_name() {
        assert!(entries().len() >= 9);
        assert!(find(PREFERRED).is_some());
        for entry in entries() {
            assert!(is_id(&entry.id), "{}", entry.id);
            assert!(!entry.name.contains('/'), "{}", entry.name);
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
