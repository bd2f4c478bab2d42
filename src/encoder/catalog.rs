//! The models that are known to be of use.

use std::sync::LazyLock;

use serde::Deserialize;

/// One of them.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// A short name, which may stand for the id.
    pub name: String,
    /// Its id on the hub.
    pub id: String,
    /// What it is for.
    pub purpose: String,
    /// Size of its weights, in 10⁶ bytes.
    pub megabytes: u64,
    /// Its licence.
    pub licence: String,
    /// The hub asks for an account and consent.
    pub gated: bool,
    /// What it reaches without training, as published.
    pub figure: Option<String>,
    /// Where that is published.
    pub source: Option<String>,
}

#[derive(Deserialize)]
struct File {
    model: Vec<Entry>,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    // Built in, and read by a test.
    toml::from_str::<File>(include_str!("catalog.toml")).map_or_else(|_| Vec::new(), |f| f.model)
});

/// The model that is used when none is chosen and it is there.
pub const PREFERRED: &str = "biomedclip";

/// All entries.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

/// By name or id.
pub fn find(text: &str) -> Option<&'static Entry> {
    entries().iter().find(|e| e.name == text || e.id == text)
}

/// The id that a short name stands for; any other text stays.
pub fn id_of(text: &str) -> &str {
    find(text).map_or(text, |entry| &entry.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::hub::is_id;

    #[test]
    fn the_catalogue_is_sound() {
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
