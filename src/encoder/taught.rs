//! What was taught to a model that was fine-tuned from the built-in one: two small files beside its weights, by which it is told, as the
//! built-in model is, of which images it judges findings.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::EncoderError;
use super::builtin::{BuiltinFacts, known_images};
use super::layout::read;
use crate::scoring::Mode;

/// The file with [`TaughtFindings`].
pub(super) const TAUGHT: &str = "taught.toml";
/// The file with the images that the model knows, as the built-in model has it.
pub(super) const KNOWN: &str = "known.safetensors";

/// Of which images a model that was fine-tuned from the built-in one judges findings.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaughtFindings {
    /// The kind of real images: a condition of the prompt set `kinds`. `None` if it was taught by phantoms, and judges no findings of
    /// real images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The prompt set under which it was trained.
    pub prompts: String,
    /// The digest of that set.
    pub prompts_digest: String,
    /// How the conditions relate.
    pub mode: Mode,
}

impl TaughtFindings {
    /// The file's content.
    pub(super) fn to_toml(&self) -> Result<String, EncoderError> {
        let fault = |error: toml::ser::Error| EncoderError::Unsupported(error.to_string());
        let table = toml::to_string(self).map_err(fault)?;
        Ok(format!(
            "# Of which images this model, fine-tuned from the built-in one, judges findings. Without this file nothing is known of that.\n{table}"
        ))
    }
}

/// What a folder says of findings that were taught, if anything; all that is read is added to the digest.
pub(super) fn read_taught(
    folder: &Path,
    digest: &mut blake3::Hasher,
) -> Result<Option<TaughtFindings>, EncoderError> {
    let path = folder.join(TAUGHT);
    if !path.is_file() {
        return Ok(None);
    }
    let fault = |reason: String| EncoderError::File {
        path: path.clone(),
        reason,
    };
    let content = read(&path)?;
    digest.update(&content);
    let text = std::str::from_utf8(&content).map_err(|error| fault(error.to_string()))?;
    let taught = toml::from_str(text).map_err(|error| fault(error.message().to_owned()))?;
    Ok(Some(taught))
}

/// What is known of a checkpoint that was fine-tuned from the built-in model; `None` of any other.
pub(super) fn read_facts(
    folder: &Path,
    digest: &mut blake3::Hasher,
) -> Result<Option<Arc<BuiltinFacts>>, EncoderError> {
    let Some(taught) = read_taught(folder, digest)? else {
        return Ok(None);
    };
    let content = read(&folder.join(KNOWN))?;
    digest.update(&content);
    Ok(Some(Arc::new(BuiltinFacts {
        known: Arc::new(known_images(&content)?),
        findings: Vec::new(),
        taught: Some(taught),
    })))
}
