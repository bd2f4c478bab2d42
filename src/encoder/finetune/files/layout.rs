//! What a merged checkpoint consists of beside its weights: the files of its base, so that every program reads it as it does the base.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::encoder::checkpoint::{self, is_chexzero};
use crate::encoder::finetune::base::BaseOrigin;
use crate::encoder::layout::{
    CheckpointLayout, MAX_SETTINGS_BYTES, OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, TOKENIZERS,
    folder_of, read, weights_file,
};
use crate::encoder::taught::KNOWN;
use crate::encoder::{EncoderError, builtin, catalog};

/// Ends of the names of files that hold weights, or what belongs to them.
const WEIGHT_ENDS: [&str; 9] = [
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".h5",
    ".msgpack",
    ".onnx",
    ".index.json",
];
/// The file of weights of a state dictionary.
const STATE_DICT: &str = "model.pt";
/// The same for a model whose preprocessing is known by this name.
const CHEXZERO: &str = "chexzero.pt";
/// Files beside a state dictionary that belong to it.
const BESIDE: [&str; 2] = ["preprocessor_config.json", "tokenizer.json"];

/// The layout in which a model is written.
pub(super) enum SavedLayout {
    /// A folder with a configuration: the base's.
    Folder {
        base: PathBuf,
        layout: CheckpointLayout,
    },
    /// The built-in model, in open_clip's layout.
    Builtin,
    /// A state dictionary in OpenAI's format, a copy of this one.
    StateDict(PathBuf),
    /// A file of weights that the catalogue describes, in open_clip's layout: the description, and the folder with a tokenizer.
    Described {
        architecture: &'static str,
        tokenizer: PathBuf,
    },
}

impl SavedLayout {
    /// The layout of a base.
    pub(super) fn of(origin: &BaseOrigin) -> Result<Self, EncoderError> {
        let BaseOrigin::Path(path) = origin else {
            return Ok(Self::Builtin);
        };
        let layout = CheckpointLayout::of(path)?;
        if layout != CheckpointLayout::StateDict {
            let base = folder_of(path).to_owned();
            return Ok(Self::Folder { base, layout });
        }
        let file = weights_file(path)?;
        let entry = catalog::find_by_file(&checkpoint::name(path), &file);
        let described = entry.and_then(|entry| Some((entry, entry.architecture.as_deref()?)));
        Ok(match described {
            Some((entry, architecture)) => Self::Described {
                architecture,
                tokenizer: checkpoint::described_tokenizer(
                    path,
                    folder_of(&file),
                    entry.tokenizer.as_deref(),
                )?,
            },
            None => Self::StateDict(file),
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Folder { layout, .. } => layout.name(),
            Self::Builtin | Self::Described { .. } => CheckpointLayout::OpenClip.name(),
            Self::StateDict(_) => CheckpointLayout::StateDict.name(),
        }
    }

    /// The name of the file of weights.
    pub(super) fn weights(&self) -> &'static str {
        match self {
            Self::Folder {
                layout: CheckpointLayout::Clip | CheckpointLayout::Siglip,
                ..
            } => "model.safetensors",
            Self::StateDict(base) if is_chexzero(base) => CHEXZERO,
            Self::StateDict(_) => STATE_DICT,
            _ => OPEN_CLIP_WEIGHTS[0],
        }
    }

    /// All other files: name and content.
    pub(super) fn settings(&self) -> Result<Vec<(String, Vec<u8>)>, EncoderError> {
        match self {
            Self::Folder { base, .. } => {
                let mut all = copied(base, &is_setting)?;
                let other = checkpoint::other_tokenizer(base);
                let other = other.and_then(|id| checkpoint::tokenizer_snapshot(base, &id));
                if let Some(tokenizer) = other {
                    all.extend(copied(&tokenizer.folder, &is_of_tokenizer)?);
                }
                Ok(all)
            }
            Self::Builtin => {
                let files = builtin::files();
                Ok(vec![
                    (OPEN_CLIP_CONFIG.to_owned(), files.config.to_vec()),
                    ("tokenizer.json".to_owned(), files.tokenizer.to_vec()),
                    (KNOWN.to_owned(), files.known.to_vec()),
                ])
            }
            Self::StateDict(file) => {
                let folder = file.parent().unwrap_or(Path::new("."));
                copied(folder, &|name, _| BESIDE.contains(&name))
            }
            Self::Described {
                architecture,
                tokenizer,
            } => {
                let mut all = copied(tokenizer, &is_of_tokenizer)?;
                let config = architecture.as_bytes().to_vec();
                all.push((OPEN_CLIP_CONFIG.to_owned(), config));
                Ok(all)
            }
        }
    }
}

/// Whether a file belongs to a tokenizer.
fn is_of_tokenizer(name: &str, _: &Path) -> bool {
    TOKENIZERS.contains(&name) || ["merges.txt", "tokenizer_config.json"].contains(&name)
}

/// Whether a file of a checkpoint's folder belongs to every copy: not the weights, and not what is said of the base alone.
fn is_setting(name: &str, path: &Path) -> bool {
    let is_about_base = name.to_lowercase().starts_with("readme") || name.starts_with('.');
    let is_small = fs::metadata(path).is_ok_and(|data| data.len() <= MAX_SETTINGS_BYTES);
    let is_weights = WEIGHT_ENDS.iter().any(|end| name.ends_with(end));
    !is_about_base && is_small && (!is_weights || name == KNOWN)
}

/// The contents of a folder's files that are wanted, by name.
fn copied(
    folder: &Path,
    is_wanted: &dyn Fn(&str, &Path) -> bool,
) -> Result<Vec<(String, Vec<u8>)>, EncoderError> {
    let folder = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    let entries = fs::read_dir(folder).map_err(|error| super::fault(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let Some(name) = path.file_name().and_then(OsStr::to_str) else {
            continue;
        };
        if path.is_file() && is_wanted(name, &path) {
            all.push((name.to_owned(), read(&path)?));
        }
    }
    Ok(all)
}
