//! Where a model comes from, as `--model` says.

use std::path::PathBuf;

use super::checkpoint;
use super::{Encoder, EncoderError, Options, demo};
use crate::config::DEMO;

/// A model before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The one that is built in.
    Demo,
    /// A checkpoint's folder, or a file of weights.
    Path(PathBuf),
}

impl Source {
    /// `demo`, else a folder or file.
    pub fn parse(text: &str) -> Self {
        if text == DEMO {
            Self::Demo
        } else {
            Self::Path(PathBuf::from(text))
        }
    }

    /// Name while the model is not loaded yet.
    pub fn name(&self) -> String {
        match self {
            Self::Demo => DEMO.to_owned(),
            Self::Path(path) => checkpoint::name(path),
        }
    }

    /// Reads the model.
    pub fn open(&self, options: Options) -> Result<Box<dyn Encoder>, EncoderError> {
        match self {
            Self::Demo => Ok(Box::new(demo::open(options)?)),
            Self::Path(path) if path.exists() => Ok(Box::new(checkpoint::open(path, options)?)),
            Self::Path(path) => Err(EncoderError::Unsupported(format!(
                "--model {}: no such file or folder",
                path.display()
            ))),
        }
    }
}
