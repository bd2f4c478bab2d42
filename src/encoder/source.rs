//! Where a model comes from: the value of `--model`.

use std::path::{Path, PathBuf};

use super::hub::{self, HubCache};
use super::layout::CheckpointLayout;
use super::reference::NOTICE;
use super::{
    Encoder, EncoderError, Fit, ModelOptions, ReferenceRecords, builtin, catalog, checkpoint,
};
use crate::config::{BUILTIN, DEMO};

/// A model that has not been opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// The built-in model.
    Builtin,
    /// A checkpoint's folder, or a file of weights.
    Path(PathBuf),
    /// The id of a hub model that is not in the cache, or not completely; perhaps with `@` and a revision.
    Missing(String),
}

impl ModelSource {
    /// Parses `builtin` or `demo`, a folder or file, a model's id on the hub, or its short name in the catalogue; `@` and a revision may
    /// follow the latter two. An existing path takes precedence over the hub.
    pub fn parse(text: &str) -> Self {
        if [BUILTIN, DEMO].contains(&text) {
            return Self::Builtin;
        }
        let (id, revision) = hub::split_revision(text);
        if Path::new(text).exists() || !hub::is_id(id) {
            return Self::Path(PathBuf::from(text));
        }
        let cache = HubCache::of_user();
        let found = cache.and_then(|cache| cache.find_complete(id, revision));
        let name = || match revision {
            Some(revision) => format!("{id}@{revision}"),
            None => id.to_owned(),
        };
        found.map_or_else(
            || Self::Missing(name()),
            |snapshot| Self::Path(snapshot.folder),
        )
    }

    /// The default: the preferred model if it is in the cache, else the built-in one.
    pub fn preferred() -> Self {
        match Self::parse(catalog::id_of(catalog::PREFERRED)) {
            Self::Missing(_) => Self::Builtin,
            found => found,
        }
    }

    /// The name to show until the model is loaded.
    pub fn name(&self) -> String {
        match self {
            Self::Builtin => BUILTIN.to_owned(),
            Self::Path(path) => checkpoint::name(path),
            Self::Missing(id) => id.clone(),
        }
    }

    /// How the model fits images to its input if nothing else is stated; `None` if its files cannot be read. Reads no weights.
    pub fn own_fit(&self) -> Option<Fit> {
        match self {
            Self::Builtin => checkpoint::own_fit::of_builtin(builtin::files()),
            Self::Path(path) => checkpoint::own_fit::own_fit(path),
            Self::Missing(_) => None,
        }
    }

    /// Reads the model. The first time that a model from the hub is used, a message says what was not proved about it.
    pub fn open(&self, options: ModelOptions) -> Result<Box<dyn Encoder>, EncoderError> {
        match self {
            Self::Builtin => Ok(Box::new(builtin::open(options)?)),
            Self::Path(path) if path.exists() => {
                let records = options.reference_records.clone();
                let encoder = checkpoint::open(path, options)?;
                if let Some(assumption) = encoder.assumption() {
                    tracing::warn!(target: NOTICE, "{}: {assumption}", encoder.card().id);
                }
                let is_published = hub::is_id(&encoder.card().id);
                let records = records.filter(|_| is_published);
                let records = records.map(|folder| ReferenceRecords::at(&folder));
                let comparable = CheckpointLayout::of(path)
                    .is_ok_and(|layout| layout != CheckpointLayout::StateDict);
                let notice = records.and_then(|records| records.notice(encoder.card(), comparable));
                if let Some(notice) = notice {
                    tracing::warn!(target: NOTICE, "{notice}");
                }
                Ok(Box::new(encoder))
            }
            Self::Path(path) => Err(EncoderError::Unsupported(format!(
                "--model {}: not a file, a folder, or the name of a known model; see `medivision-tui models list`",
                path.display()
            ))),
            Self::Missing(id) => Err(EncoderError::Unsupported(format!(
                "--model {id}: {}",
                why_missing(id)
            ))),
        }
    }
}

/// Why [`ModelSource::Missing`] cannot be opened, and what to do.
pub(super) fn why_missing(text: &str) -> String {
    let (id, revision) = hub::split_revision(text);
    let command = match revision {
        Some(revision) => format!("medivision-tui models pull {id} --revision {revision}"),
        None => format!("medivision-tui models pull {id}"),
    };
    let cache = HubCache::of_user();
    let found = cache.as_ref().and_then(|cache| cache.find(id, revision));
    let several = cache.map_or_else(Vec::new, |cache| cache.revisions(id));
    match found {
        Some(part) => {
            let missing = part.missing().join(", ");
            format!("downloaded only in part, without {missing}; finish it with `{command}`")
        }
        None if revision.is_none() && several.len() > 1 => {
            let commit = &several[0].commit;
            format!("several commits of it were downloaded; name one, such as {id}@{commit}")
        }
        None => format!("not downloaded; get it with `{command}`"),
    }
}
