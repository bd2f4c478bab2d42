//! A folder as the hub serves it becomes an [`Encoder`].

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::clip::{ClipConfig, ClipEncoder, Parts};
use super::weights::Backing;
use super::{Device, Encoder, EncoderError, Fit, Preprocess, Tokenizer, Weights};

#[derive(Deserialize)]
struct Head {
    model_type: Option<String>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

/// Reads `config.json`, the weights (one file or a sharded index), `tokenizer.json` and the preprocessing.
pub fn open(
    folder: &Path,
    device: Device,
    fit: Option<Fit>,
) -> Result<Box<dyn Encoder>, EncoderError> {
    Ok(Box::new(open_clip(folder, device, fit)?))
}

/// The same for a folder known to hold a `CLIPModel`.
pub fn open_clip(
    folder: &Path,
    device: Device,
    fit: Option<Fit>,
) -> Result<ClipEncoder, EncoderError> {
    let device = device.resolve()?;
    let path = folder.join("config.json");
    let json = read(&path)?;
    let fault = |e: serde_json::Error| EncoderError::File {
        path: path.clone(),
        reason: e.to_string(),
    };
    let head: Head = serde_json::from_slice(&json).map_err(fault)?;
    match head.model_type.as_deref() {
        Some("clip") | None => {}
        Some(other) => {
            return Err(EncoderError::Unsupported(format!(
                "{}: models of the type `{other}` are not supported; use a CLIP checkpoint",
                path.display()
            )));
        }
    }
    let config: ClipConfig = serde_json::from_slice(&json).map_err(fault)?;
    let mut digest = blake3::Hasher::new();
    digest.update(&json);
    let path = folder.join("tokenizer.json");
    let json = read(&path)?;
    digest.update(&json);
    let tokenizer = Tokenizer::from_json(&json, config.context_length())?;
    let preprocess = preprocessing(folder, &mut digest)?.with_fit(fit);
    let weights = weights(folder, device)?;
    for part in weights.backing() {
        digest.update(part.bytes());
    }
    ClipEncoder::new(Parts {
        id: name(folder),
        digest: format!("blake3:{}", digest.finalize().to_hex()),
        synthetic_only: false,
        device,
        config,
        weights,
        tokenizer,
        preprocess,
    })
}

/// A checkpoint built into the binary.
pub(super) struct Embedded {
    pub(super) id: &'static str,
    pub(super) config: &'static [u8],
    pub(super) tokenizer: &'static [u8],
    pub(super) preprocessor: &'static [u8],
    pub(super) weights: &'static [u8],
}

/// The same from bytes; such a model knows synthetic pictures only.
pub(super) fn embedded(
    parts: &Embedded,
    device: Device,
    fit: Option<Fit>,
) -> Result<ClipEncoder, EncoderError> {
    let device = device.resolve()?;
    let config: ClipConfig = serde_json::from_slice(parts.config)
        .map_err(|e| EncoderError::Unsupported(format!("{}: config.json: {e}", parts.id)))?;
    let mut digest = blake3::Hasher::new();
    for bytes in [
        parts.config,
        parts.tokenizer,
        parts.preprocessor,
        parts.weights,
    ] {
        digest.update(bytes);
    }
    ClipEncoder::new(Parts {
        id: parts.id.to_owned(),
        digest: format!("blake3:{}", digest.finalize().to_hex()),
        synthetic_only: true,
        device,
        tokenizer: Tokenizer::from_json(parts.tokenizer, config.context_length())?,
        preprocess: Preprocess::from_json(
            parts.preprocessor,
            Path::new("preprocessor_config.json"),
        )?
        .with_fit(fit),
        weights: Weights::read(Backing::Static(parts.weights), device)?,
        config,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, EncoderError> {
    fs::read(path).map_err(|e| EncoderError::File {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

fn preprocessing(folder: &Path, digest: &mut blake3::Hasher) -> Result<Preprocess, EncoderError> {
    for file in ["preprocessor_config.json", "processor_config.json"] {
        let path = folder.join(file);
        if path.is_file() {
            let json = read(&path)?;
            digest.update(&json);
            return Preprocess::from_json(&json, &path);
        }
    }
    let reason = "not found, nor processor_config.json; copy it from where the model was published"
        .to_owned();
    Err(EncoderError::File {
        path: folder.join("preprocessor_config.json"),
        reason,
    })
}

fn weights(folder: &Path, device: tch::Device) -> Result<Weights, EncoderError> {
    let index = folder.join("model.safetensors.index.json");
    if !index.is_file() {
        return Weights::open(&folder.join("model.safetensors"), device);
    }
    let fault = |reason: String| EncoderError::File {
        path: index.clone(),
        reason,
    };
    let map: Index = serde_json::from_slice(&read(&index)?).map_err(|e| fault(e.to_string()))?;
    let files: std::collections::BTreeSet<_> = map.weight_map.into_values().collect();
    let mut all: Option<Weights> = None;
    for file in files {
        if Path::new(&file).components().count() != 1 {
            return Err(fault(format!(
                "the shard `{file}` is not a plain file name"
            )));
        }
        let shard = Weights::open(&folder.join(file), device)?;
        match &mut all {
            Some(weights) => weights.merge(shard),
            None => all = Some(shard),
        }
    }
    all.ok_or_else(|| fault("names no shards".into()))
}

/// The folder's own name; in the hub's cache (`models--org--name/snapshots/hash`) the model's.
fn name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let parts: Vec<String> = folder
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if let [.., repository, snapshots, _] = parts.as_slice()
        && snapshots == "snapshots"
        && let Some(id) = repository.strip_prefix("models--")
    {
        return id.replace("--", "/");
    }
    parts.last().cloned().unwrap_or_default()
}

/// Where a model comes from, as `--model` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The one that is built in.
    Demo,
    /// A checkpoint's folder.
    Folder(PathBuf),
}

impl Source {
    /// `demo`, else a folder.
    pub fn parse(text: &str) -> Self {
        if text == crate::config::DEMO {
            Self::Demo
        } else {
            Self::Folder(PathBuf::from(text))
        }
    }

    /// Name while the model is not loaded yet.
    pub fn name(&self) -> String {
        match self {
            Self::Demo => crate::config::DEMO.to_owned(),
            Self::Folder(folder) => name(folder),
        }
    }

    /// Reads the model.
    pub fn open(&self, device: Device, fit: Option<Fit>) -> Result<Box<dyn Encoder>, EncoderError> {
        match self {
            Self::Demo => Ok(Box::new(super::demo::open(device, fit)?)),
            Self::Folder(folder) if folder.is_dir() => open(folder, device, fit),
            Self::Folder(folder) => Err(EncoderError::Unsupported(format!(
                "--model {}: no such folder; give `demo`, or a folder that holds config.json, model.safetensors, \
                 tokenizer.json and preprocessor_config.json",
                folder.display()
            ))),
        }
    }
}
