//! Where a model comes from, as `--model` says.

use std::path::{Path, PathBuf};

use super::hub::{self, Cache};
use super::{Encoder, EncoderError, Options, catalog, checkpoint, demo};
use crate::config::DEMO;

/// A model before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The one that is built in.
    Demo,
    /// A checkpoint's folder, or a file of weights.
    Path(PathBuf),
    /// A model of the hub that is not in the cache.
    Missing(String),
}

impl Source {
    /// `demo`, a folder or file, a model's id on the hub, or its short name in the catalogue. What exists in the file
    /// system goes before the hub.
    pub fn parse(text: &str) -> Self {
        if text == DEMO {
            return Self::Demo;
        }
        let id = catalog::id_of(text);
        if Path::new(text).exists() || !hub::is_id(id) {
            return Self::Path(PathBuf::from(text));
        }
        let found = Cache::of_user().and_then(|cache| cache.find(id, None));
        found.map_or_else(
            || Self::Missing(id.to_owned()),
            |snapshot| Self::Path(snapshot.folder),
        )
    }

    /// What is used when nothing is chosen: the preferred model where it is in the cache, else the demo.
    pub fn preferred() -> Self {
        match Self::parse(catalog::id_of(catalog::PREFERRED)) {
            Self::Missing(_) => Self::Demo,
            found => found,
        }
    }

    /// Name while the model is not loaded yet.
    pub fn name(&self) -> String {
        match self {
            Self::Demo => DEMO.to_owned(),
            Self::Path(path) => checkpoint::name(path),
            Self::Missing(id) => id.clone(),
        }
    }

    /// Reads the model.
    pub fn open(&self, options: Options) -> Result<Box<dyn Encoder>, EncoderError> {
        match self {
            Self::Demo => Ok(Box::new(demo::open(options)?)),
            Self::Path(path) if path.exists() => Ok(Box::new(checkpoint::open(path, options)?)),
            Self::Path(path) => Err(EncoderError::Unsupported(format!(
                "--model {}: no such file or folder, and no model of that name is known; see `medivision-tui models list`",
                path.display()
            ))),
            Self::Missing(id) => Err(EncoderError::Unsupported(format!(
                "--model {id}: not in the cache; get it with `medivision-tui models pull {id}`"
            ))),
        }
    }
}
