//! The layout of a checkpoint, and the files that belong to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::EncoderError;
use super::pointer::{IS_POINTER, is_pointer};
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

/// The preprocessing of images.
pub(super) const PREPROCESSOR_CONFIG: &str = "preprocessor_config.json";
/// The preprocessing of images and texts, as newer versions of transformers write it.
pub(super) const PROCESSOR_CONFIG: &str = "processor_config.json";
/// What is to be known of a tokenizer besides its vocabulary.
pub(super) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The tokens of CLIP's tokenizer in its older form, to which [`MERGES`] belongs.
pub(super) const BYTE_PAIRS: &str = "vocab.json";
/// The merges of [`BYTE_PAIRS`].
pub(super) const MERGES: &str = "merges.txt";
/// Files with a tokenizer, in order of preference.
pub(super) const TOKENIZERS: [&str; 4] =
    ["tokenizer.json", "vocab.txt", "spiece.model", BYTE_PAIRS];

/// The layout of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointLayout {
    /// Hugging Face's `CLIPModel`.
    Clip,
    /// Hugging Face's `SiglipModel`.
    Siglip,
    /// open_clip.
    OpenClip,
    /// One file with a state dictionary in OpenAI's format, or a folder with one such file and no configuration.
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
    /// if its weights and preprocessing are present. A file of weights is of open_clip's layout if a configuration beside it describes it.
    pub fn of(path: &Path) -> Result<Self, EncoderError> {
        if !path.is_dir() {
            open_file(path).map_err(|e| EncoderError::File {
                path: path.to_owned(),
                reason: e.to_string(),
            })?;
            return Ok(if is_described(path) {
                Self::OpenClip
            } else {
                Self::StateDict
            });
        }
        let has = |name: &str| path.join(name).is_file();
        if !has(CONFIG) && !has(OPEN_CLIP_CONFIG) {
            weights_file(path)?;
            return Ok(Self::StateDict);
        }
        Self::of_folder(path, &has)
    }

    /// As [`Self::of`], for a folder in which the weights may still be missing: `has` says which files the repository has.
    fn of_folder(path: &Path, has: &dyn Fn(&str) -> bool) -> Result<Self, EncoderError> {
        let open_clip = has(OPEN_CLIP_CONFIG);
        if !has(CONFIG) && open_clip {
            return Ok(Self::OpenClip);
        }
        let json = read(&path.join(CONFIG))?;
        let config = match parse::<ModelTypeConfig>(&json, &path.join(CONFIG)) {
            // open_clip does not read this file.
            Err(_) if open_clip => return Ok(Self::OpenClip),
            config => config?,
        };
        // timm's repositories have its own `config.json` and weights, of the image tower only, beside open_clip's.
        let weights = config.model_type.is_some() && WEIGHTS.iter().any(|name| has(name));
        let preprocessing = has(PREPROCESSOR_CONFIG) || has(PROCESSOR_CONFIG);
        // Of two layouts the one that is complete.
        let is_better =
            weights && (preprocessing || !OPEN_CLIP_WEIGHTS.iter().any(|name| has(name)));
        match (config.layout(), open_clip) {
            (Ok(layout), false) => Ok(layout),
            (Ok(layout), true) if is_better => Ok(layout),
            (_, true) => Ok(Self::OpenClip),
            (Err(reason), false) => Err(EncoderError::Unsupported(format!(
                "{}: {reason}; use a CLIP or SigLIP checkpoint",
                path.join(CONFIG).display(),
            ))),
        }
    }
}

/// The folder of a checkpoint: the path itself, or the folder of a file of weights.
pub(super) fn folder_of(path: &Path) -> &Path {
    if path.is_dir() {
        return path;
    }
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Whether a file of weights is described by the configuration of open_clip beside it: one of open_clip's own, or, if there is none, any.
fn is_described(file: &Path) -> bool {
    let folder = folder_of(file);
    let is_usual = OPEN_CLIP_WEIGHTS.iter().any(|name| file.ends_with(name));
    let has_usual = || {
        OPEN_CLIP_WEIGHTS
            .iter()
            .any(|name| folder.join(name).is_file())
    };
    folder.join(OPEN_CLIP_CONFIG).is_file() && (is_usual || !has_usual())
}

/// The file of weights at a path: the path itself, or the only such file in a folder.
pub(super) fn weights_file(path: &Path) -> Result<PathBuf, EncoderError> {
    weights_in(path, &only_weights)
}

/// The file of weights of an open_clip model: the path itself, or in a folder one of [`OPEN_CLIP_WEIGHTS`], else the only one of a
/// training run.
pub(super) fn open_clip_weights_file(path: &Path) -> Result<PathBuf, EncoderError> {
    weights_in(path, &open_clip_weights)
}

/// Finds a file of weights among the names in a folder.
fn weights_in(
    path: &Path,
    find: &dyn Fn(&BTreeSet<String>) -> Result<&str, String>,
) -> Result<PathBuf, EncoderError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let fault = |reason: String| EncoderError::File {
        path: path.to_owned(),
        reason,
    };
    let entries = std::fs::read_dir(path).map_err(|e| fault(e.to_string()))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let names: BTreeSet<String> = names.filter_map(|name| name.into_string().ok()).collect();
    let name = find(&names).map_err(fault)?;
    Ok(path.join(name))
}

/// The weights among the files of a repository of open_clip's layout.
fn open_clip_weights(names: &BTreeSet<String>) -> Result<&str, String> {
    let mut usual = OPEN_CLIP_WEIGHTS.into_iter();
    if let Some(name) = usual.find(|name| names.contains(*name)) {
        return Ok(name);
    }
    let none = |_| {
        format!(
            "it has none of {}, nor a single .pt file",
            OPEN_CLIP_WEIGHTS.join(", ")
        )
    };
    only_weights(names).map_err(none)
}

/// How the names of the files begin in which macOS keeps what other file systems have no place for.
pub(super) const MACOS_START: &str = "._";

/// The only file of weights among the files of a repository without a configuration.
fn only_weights(names: &BTreeSet<String>) -> Result<&str, String> {
    let is_weights = |name: &&String| {
        let extension = Path::new(name.as_str()).extension();
        extension.is_some_and(|e| e == "pt" || e == "pth") && !name.starts_with(MACOS_START)
    };
    let found: Vec<&str> = names
        .iter()
        .filter(is_weights)
        .map(String::as_str)
        .collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(format!(
            "it has neither {CONFIG} nor {OPEN_CLIP_CONFIG} nor a .pt file"
        )),
        _ => Err(format!(
            "it has neither {CONFIG} nor {OPEN_CLIP_CONFIG}, and several files of weights: {}; give one of them by its path",
            found.join(", ")
        )),
    }
}

/// The files of a repository that a model needs.
pub(super) struct NeededFiles<'a> {
    names: &'a BTreeSet<String>,
}

/// All files except the weights.
pub(super) const SETTINGS: [&str; 11] = [
    CONFIG,
    OPEN_CLIP_CONFIG,
    "tokenizer.json",
    "vocab.txt",
    "spiece.model",
    BYTE_PAIRS,
    MERGES,
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    PREPROCESSOR_CONFIG,
    PROCESSOR_CONFIG,
];

impl<'a> NeededFiles<'a> {
    /// Selects from the names of all files in a repository; an error says why no layout fits.
    pub(super) fn of(names: &'a BTreeSet<String>) -> Result<Self, String> {
        let needs = Self { names };
        if !needs.has_configuration() {
            only_weights(names)?;
        }
        Ok(needs)
    }

    fn has_configuration(&self) -> bool {
        self.names.contains(CONFIG) || self.names.contains(OPEN_CLIP_CONFIG)
    }

    /// The files of the tokenizer only, from a repository that need not have a supported model.
    pub(super) fn of_tokenizer(names: &BTreeSet<String>) -> Result<Vec<&'static str>, String> {
        let best = TOKENIZERS.into_iter().find(|name| names.contains(*name));
        let best = best.ok_or_else(|| format!("it has none of {}", TOKENIZERS.join(", ")))?;
        let others = [MERGES, TOKENIZER_CONFIG].into_iter();
        let others =
            others.filter(|name| names.contains(*name) && (*name != MERGES || best == BYTE_PAIRS));
        Ok([best].into_iter().chain(others).collect())
    }

    /// The small files, including the index of sharded weights.
    pub(super) fn settings(&self) -> impl Iterator<Item = &'static str> + '_ {
        let indices = WEIGHTS.into_iter().filter(|name| is_index(name));
        let all = SETTINGS.into_iter().chain(indices);
        // The older kinds of files are needed only if the newest is missing, except that transformers' SigLIP reads no tokenizer but
        // `spiece.model`: the cache serves it, too.
        let is_spare = |name: &str| {
            let is_older = matches!(name, "vocab.txt" | BYTE_PAIRS | MERGES);
            is_older && self.names.contains("tokenizer.json")
        };
        all.filter(move |name| self.names.contains(*name) && !is_spare(name))
    }

    /// The layout; the small files must already be in `folder`.
    pub(super) fn layout(&self, folder: &Path) -> Result<CheckpointLayout, EncoderError> {
        if !self.has_configuration() {
            return Ok(CheckpointLayout::StateDict);
        }
        CheckpointLayout::of_folder(folder, &|name| self.names.contains(name))
    }

    /// The files of weights; the small files must already be in `folder`.
    pub(super) fn weights(&self, folder: &Path) -> Result<Vec<String>, String> {
        match self.layout(folder).map_err(|e| e.to_string())? {
            CheckpointLayout::StateDict => return Ok(vec![only_weights(self.names)?.to_owned()]),
            CheckpointLayout::OpenClip => {
                return Ok(vec![open_clip_weights(self.names)?.to_owned()]);
            }
            CheckpointLayout::Clip | CheckpointLayout::Siglip => {}
        }
        let file = WEIGHTS.iter().find(|name| self.names.contains(**name));
        let file = file.ok_or_else(|| format!("it has none of {}", WEIGHTS.join(", ")))?;
        if is_index(file) {
            return shards(&folder.join(file)).map_err(|e| e.to_string());
        }
        Ok(vec![(*file).to_owned()])
    }
}

/// Whether a file has a name as the files of models have, weights included.
pub(super) fn is_model_file(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    SETTINGS.contains(&name)
        || is_index(name)
        || matches!(extension, Some("safetensors" | "bin" | "pt" | "pth"))
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
    /// The repository's own code.
    auto_map: Option<serde_json::Value>,
    text_config: Option<TowerTypeConfig>,
    vision_config: Option<TowerTypeConfig>,
}

/// The part of `text_config` or `vision_config` that names the architecture.
#[derive(Default, Deserialize)]
struct TowerTypeConfig {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    /// Only BERT has types of tokens.
    type_vocab_size: Option<serde_json::Value>,
}

impl ModelTypeConfig {
    /// The layout, or why there is none.
    fn layout(self) -> Result<CheckpointLayout, String> {
        let layout = match self.model_type.as_deref() {
            Some("clip") | None => CheckpointLayout::Clip,
            Some("siglip") => CheckpointLayout::Siglip,
            Some(other) => return Err(format!("models of the type `{other}` are not supported")),
        };
        if self.auto_map.is_some_and(|map| !map.is_null()) {
            let text = "the model needs code of its own (`auto_map`), which is not run";
            return Err(text.into());
        }
        self.text_config.unwrap_or_default().check("text")?;
        self.vision_config.unwrap_or_default().check("vision")?;
        Ok(layout)
    }
}

impl TowerTypeConfig {
    /// Refuses a tower of another family, which would be read as CLIP's by the names of its numbers.
    fn check(self, tower: &str) -> Result<(), String> {
        let own = |name: &str| {
            let rest = name
                .strip_prefix("clip")
                .or_else(|| name.strip_prefix("siglip"));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        let named = self.model_type.filter(|name| !own(name));
        let architectures = self.architectures.into_iter().flatten();
        let mut foreign = named.into_iter().chain(
            architectures.filter(|name| !name.starts_with("CLIP") && !name.starts_with("Siglip")),
        );
        let bert = self.type_vocab_size.is_some_and(|size| !size.is_null());
        match foreign.next() {
            Some(name) => Err(format!(
                "a {tower} tower of the type `{name}` is not supported"
            )),
            None if bert => Err(format!(
                "a {tower} tower of the type `bert` is not supported"
            )),
            None => Ok(()),
        }
    }
}

/// Maximum size of a file beside the weights: a vocabulary of 256,000 tokens takes 35 MB.
pub(super) const MAX_SETTINGS_BYTES: u64 = 128 << 20;

/// Reads a file beside the weights.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, EncoderError> {
    let fault = |reason: String| EncoderError::File {
        path: path.to_owned(),
        reason,
    };
    let content = read_file(path, MAX_SETTINGS_BYTES).map_err(|e| fault(e.to_string()))?;
    if is_pointer(&content) {
        return Err(fault(IS_POINTER.to_owned()));
    }
    Ok(content)
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
        let complete = |name: &str| has(name) || name == OPEN_CLIP_WEIGHTS[0];
        let found = CheckpointLayout::of_folder(folder.path(), &complete).unwrap();
        assert_eq!(
            found,
            CheckpointLayout::OpenClip,
            "the other has no preprocessing"
        );
        let both = |name: &str| complete(name) || name == PREPROCESSOR_CONFIG;
        let found = CheckpointLayout::of_folder(folder.path(), &both).unwrap();
        assert_eq!(found, CheckpointLayout::Clip);
    }

    #[test]
    fn towers_of_other_families_and_code_of_the_repositorys_own_are_refused_by_name() {
        let layout = |json: &str| {
            serde_json::from_str::<ModelTypeConfig>(json)
                .unwrap()
                .layout()
        };
        for json in [
            "{}",
            r#"{"model_type": "clip", "auto_map": null}"#,
            r#"{"model_type": "clip", "text_config": {"model_type": "clip_text_model", "architectures": null}, "vision_config": {"model_type": "clip_vision_model"}}"#,
            r#"{"model_type": "siglip", "text_config": {"model_type": "siglip_text_model"}}"#,
        ] {
            assert!(layout(json).is_ok(), "{json}");
        }
        for (json, named) in [
            (r#"{"model_type": "chinese_clip"}"#, "`chinese_clip`"),
            (
                r#"{"model_type": "clip", "auto_map": {"AutoModel": "m.M"}}"#,
                "`auto_map`",
            ),
            (
                r#"{"model_type": "clip", "text_config": {"model_type": "bert"}}"#,
                "text tower of the type `bert`",
            ),
            (
                r#"{"text_config": {"architectures": ["BertModel"]}}"#,
                "`BertModel`",
            ),
            (r#"{"text_config": {"type_vocab_size": 2}}"#, "`bert`"),
            (
                r#"{"vision_config": {"model_type": "swin"}}"#,
                "vision tower of the type `swin`",
            ),
        ] {
            let reason = layout(json).unwrap_err();
            assert!(reason.contains(named), "{json}: {reason}");
        }
    }

    #[test]
    fn a_repository_without_configuration_may_have_one_file_of_weights() {
        let names = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect();
        let one = names(&["README.md", "._weights.pt", "weights.pt"]);
        assert_eq!(only_weights(&one), Ok("weights.pt"));
        assert_eq!(
            NeededFiles::of(&one).unwrap().weights(Path::new("/")),
            Ok(vec!["weights.pt".to_owned()])
        );
        let two = names(&["a.pt", "b.pth"]);
        assert!(only_weights(&two).unwrap_err().contains("a.pt, b.pth"));
        assert!(NeededFiles::of(&names(&["README.md"])).is_err());
    }
}
