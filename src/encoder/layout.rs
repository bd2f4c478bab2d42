//! The layout of a checkpoint, and the files that belong to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::EncoderError;
use crate::media::{open_file, read_file};

/// The configuration of a `CLIPModel` or `SiglipModel`.
pub(super) const CONFIG: &str = "config.json";
/// The configuration of an open_clip model.
pub(super) const OPEN_CLIP_CONFIG: &str = "open_clip_config.json";
/// Files of weights beside [`CONFIG`], in order of preference. Sharded weights have an index.
pub(super) const WEIGHTS: [&str; 4] = [
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
];
/// Files of weights beside [`OPEN_CLIP_CONFIG`], in order of preference.
pub(super) const OPEN_CLIP_WEIGHTS: [&str; 2] =
    ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"];

/// The layout of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointLayout {
    /// Hugging Face's `CLIPModel`.
    Clip,
    /// Hugging Face's `SiglipModel`.
    Siglip,
    /// open_clip.
    OpenClip,
    /// One file with a state dictionary in OpenAI's format.
    StateDict,
}

impl CheckpointLayout {
    /// The name to show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "CLIPModel of Hugging Face",
            Self::Siglip => "SiglipModel of Hugging Face",
            Self::OpenClip => "open_clip",
            Self::StateDict => "state dictionary of OpenAI's format",
        }
    }

    /// Detects the layout of a file or folder. Many repositories on the hub contain two layouts: Hugging Face's own is chosen
    /// if its weights are present.
    pub fn of(path: &Path) -> Result<Self, EncoderError> {
        if !path.is_dir() {
            open_file(path).map_err(|e| EncoderError::File {
                path: path.to_owned(),
                reason: e.to_string(),
            })?;
            return Ok(Self::StateDict);
        }
        Self::of_folder(path, &|name| path.join(name).is_file())
    }

    /// As [`Self::of`], for a folder in which the weights may still be missing: `has` says which files the repository has.
    fn of_folder(path: &Path, has: &dyn Fn(&str) -> bool) -> Result<Self, EncoderError> {
        let open_clip = has(OPEN_CLIP_CONFIG);
        if !has(CONFIG) && open_clip {
            return Ok(Self::OpenClip);
        }
        let json = read(&path.join(CONFIG))?;
        let config: ModelTypeConfig = parse(&json, &path.join(CONFIG))?;
        let found = match config.model_type.as_deref() {
            Some("clip") | None => Some(Self::Clip),
            Some("siglip") => Some(Self::Siglip),
            Some(_) => None,
        };
        // timm's repositories have its own `config.json` and weights, of the image tower only, beside open_clip's.
        let weights = config.model_type.is_some() && WEIGHTS.iter().any(|name| has(name));
        match (found, config.model_type) {
            (Some(layout), _) if !open_clip || weights => Ok(layout),
            (_, _) if open_clip => Ok(Self::OpenClip),
            (_, model_type) => Err(EncoderError::Unsupported(format!(
                "{}: models of the type `{}` are not supported; use a CLIP or SigLIP checkpoint",
                path.join(CONFIG).display(),
                model_type.unwrap_or_default()
            ))),
        }
    }
}

/// The files of a repository that a model needs.
pub(super) struct NeededFiles<'a> {
    names: &'a BTreeSet<String>,
}

/// All files except the weights.
const SETTINGS: [&str; 7] = [
    CONFIG,
    OPEN_CLIP_CONFIG,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "processor_config.json",
];

impl<'a> NeededFiles<'a> {
    /// Selects from the names of all files in a repository; an error says why no layout fits.
    pub(super) fn of(names: &'a BTreeSet<String>) -> Result<Self, String> {
        if names.contains(CONFIG) || names.contains(OPEN_CLIP_CONFIG) {
            return Ok(Self { names });
        }
        Err(format!("it has neither {CONFIG} nor {OPEN_CLIP_CONFIG}"))
    }

    /// The small files, including the index of sharded weights.
    pub(super) fn settings(&self) -> impl Iterator<Item = &'static str> + '_ {
        let indices = WEIGHTS.into_iter().filter(|name| is_index(name));
        let all = SETTINGS.into_iter().chain(indices);
        all.filter(|name| self.names.contains(*name))
    }

    /// The files of weights; the small files must already be in `folder`.
    pub(super) fn weights(&self, folder: &Path) -> Result<Vec<String>, String> {
        let has = |name: &str| self.names.contains(name);
        let wanted: &[&str] =
            match CheckpointLayout::of_folder(folder, &has).map_err(|e| e.to_string())? {
                CheckpointLayout::OpenClip => &OPEN_CLIP_WEIGHTS,
                _ => &WEIGHTS,
            };
        let file = wanted.iter().find(|name| has(name));
        let file = file.ok_or_else(|| format!("it has none of {}", wanted.join(", ")))?;
        if is_index(file) {
            return shards(&folder.join(file)).map_err(|e| e.to_string());
        }
        Ok(vec![(*file).to_owned()])
    }
}

/// Whether a file is the index of sharded weights.
pub(super) fn is_index(name: &str) -> bool {
    name.ends_with(".index.json")
}

/// The names of the files that an index lists; none contains a path.
pub(super) fn shards(index: &Path) -> Result<Vec<String>, EncoderError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let fault = |reason: String| EncoderError::File {
        path: index.to_owned(),
        reason,
    };
    let map: Index = parse(&read(index)?, index)?;
    let shards: BTreeSet<String> = map.weight_map.into_values().collect();
    for shard in &shards {
        if Path::new(shard).components().count() != 1 || shard.starts_with('.') {
            return Err(fault(format!(
                "the shard `{shard}` is not a plain file name"
            )));
        }
    }
    if shards.is_empty() {
        return Err(fault("it lists no shards".into()));
    }
    Ok(shards.into_iter().collect())
}

/// The part of `config.json` that names the architecture.
#[derive(Deserialize)]
struct ModelTypeConfig {
    model_type: Option<String>,
}

/// Maximum size of a file beside the weights: a vocabulary of 256,000 tokens takes 35 MB.
pub(super) const MAX_SETTINGS_BYTES: u64 = 128 << 20;

/// Reads a file beside the weights.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, EncoderError> {
    read_file(path, MAX_SETTINGS_BYTES).map_err(|e| EncoderError::File {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

/// Parses JSON; `path` is for the error message.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    json: &[u8],
    path: &Path,
) -> Result<T, EncoderError> {
    serde_json::from_slice(json).map_err(|e| EncoderError::File {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_of_timm_with_two_models_is_read_as_open_clip() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join(CONFIG);
        let has = |name: &str| [CONFIG, OPEN_CLIP_CONFIG, "model.safetensors"].contains(&name);
        std::fs::write(&config, r#"{"architecture": "resnet50_clip"}"#).unwrap();
        let found = CheckpointLayout::of_folder(folder.path(), &has).unwrap();
        assert_eq!(found, CheckpointLayout::OpenClip);
        std::fs::write(&config, r#"{"model_type": "clip"}"#).unwrap();
        let found = CheckpointLayout::of_folder(folder.path(), &has).unwrap();
        assert_eq!(found, CheckpointLayout::Clip);
    }
}
