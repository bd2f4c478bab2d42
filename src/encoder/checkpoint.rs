//! Opens a checkpoint, a folder as on the hub or a file of weights, as a [`DualEncoder`].

pub(super) mod own_fit;
mod tokenizer_source;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::builtin::{BuiltinFacts, BuiltinFiles};
use super::clip::ClipConfig;
use super::finetune::adapter;
use super::layout::{
    BYTE_PAIRS, CONFIG, CheckpointLayout, MERGES, OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS,
    PREPROCESSOR_CONFIG, PROCESSOR_CONFIG, TOKENIZER_CONFIG, WEIGHTS, folder_of, is_index,
    open_clip_weights_file, parse, read, shards, weights_file,
};
use super::open_clip::{self, OpenClipConfig};
use super::siglip::SiglipConfig;
use super::tokenize::{Clean, files};
use super::towers::{ModelParts, Towers};
use super::weights::{Backing, DeviceAndKind};
use super::{
    DualEncoder, EncoderError, ModelOptions, Preprocess, Tokenizer, Weights, catalog, taught,
    torch, vocabulary,
};
use crate::config::BUILTIN;

pub(super) use tokenizer_source::{
    described_tokenizer, has_tokenizer, other_tokenizer, tokenizer_snapshot,
};

/// Opens a checkpoint: a folder with configuration, weights, tokenizer and preprocessing, a file of weights, or a folder with an
/// adapter, whose base is then opened with it.
pub fn open(path: &Path, options: ModelOptions) -> Result<DualEncoder, EncoderError> {
    let device = torch::resolve_device(options.device)?;
    let target = (device, options.precision.kind(device));
    let loaded = if adapter::is_adapter(path) {
        adapter::load(path, target)?
    } else {
        load(path, target)?
    };
    loaded.into_encoder(options)
}

/// Reads a checkpoint, without building its towers.
pub(super) fn load(path: &Path, target: DeviceAndKind) -> Result<LoadedCheckpoint, EncoderError> {
    let layout = CheckpointLayout::of(path)?;
    let mut reader = CheckpointReader::new(path, target);
    let mut assumption = None;
    let (blueprint, weights, tokenizer, preprocess) = if layout == CheckpointLayout::StateDict {
        let (parts, assumed) = reader.state_dict()?;
        assumption = assumed;
        parts
    } else {
        reader.path = folder_of(path);
        let (blueprint, tokenizer, preprocess) = reader.settings(layout)?;
        let weights = if layout == CheckpointLayout::OpenClip {
            let file = open_clip_weights_file(path)?;
            reader.digested(Weights::open(&file, target)?)
        } else {
            reader.weights()?
        };
        (blueprint, weights, tokenizer, preprocess)
    };
    let builtin = taught::read_facts(path, &mut reader.digest)?;
    Ok(LoadedCheckpoint {
        id: name(path),
        digest: format!("blake3:{}", reader.digest.finalize().to_hex()),
        builtin,
        assumption,
        blueprint,
        weights,
        tokenizer,
        preprocess,
    })
}

/// Refuses a model by the files beside its weights, which need not be there yet: an architecture or a setting that is not supported,
/// or a file that is missing or cannot be read.
pub(super) fn check_settings(folder: &Path, layout: CheckpointLayout) -> Result<(), EncoderError> {
    let mut reader = CheckpointReader::new(folder, (tch::Device::Cpu, tch::Kind::Float));
    match reader.settings(layout)?.0 {
        Blueprint::OpenClip(config) => config.check(),
        _ => Ok(()),
    }
}

/// The folder of a checkpoint, and its file of weights where that has not one of the usual names, as that of an open_clip training run.
pub fn folder_and_weights(path: &Path) -> Result<(PathBuf, Option<PathBuf>), EncoderError> {
    let folder = folder_of(path).to_owned();
    if CheckpointLayout::of(path)? != CheckpointLayout::OpenClip {
        return Ok((folder, None));
    }
    let file = open_clip_weights_file(path)?;
    let is_usual = OPEN_CLIP_WEIGHTS.iter().any(|name| file.ends_with(name));
    Ok((folder, Some(file).filter(|_| !is_usual)))
}

/// What is assumed of a file of weights that does not say it.
const ASSUMED: &str = "the file does not say which activation its layers have, so OpenAI's QuickGELU is assumed; weights that open_clip \
    trained mostly have GELU: if so, put the open_clip_config.json of the model beside the file";

/// A checkpoint that was read: what a model is made of.
pub(super) struct LoadedCheckpoint {
    /// The model's short name.
    pub(super) id: String,
    /// `blake3:<hex>` of all that was read.
    pub(super) digest: String,
    /// What is known of it if it is the built-in model, or was fine-tuned from it.
    pub(super) builtin: Option<Arc<BuiltinFacts>>,
    /// What is assumed because its files do not say it.
    pub(super) assumption: Option<&'static str>,
    pub(super) blueprint: Blueprint,
    pub(super) weights: Weights,
    pub(super) tokenizer: Tokenizer,
    pub(super) preprocess: Preprocess,
}

impl LoadedCheckpoint {
    /// Builds the model, on the device of the weights.
    pub(super) fn into_encoder(self, options: ModelOptions) -> Result<DualEncoder, EncoderError> {
        // Encoding the built-in model's texts takes less time than reading a file.
        let is_builtin = self.builtin.is_some();
        DualEncoder::new(ModelParts {
            id: self.id,
            digest: self.digest,
            builtin: self.builtin,
            assumption: self.assumption,
            device: self.weights.device(),
            towers: self.blueprint.build(self.weights)?,
            tokenizer: self.tokenizer,
            preprocess: self.preprocess.with_fit(options.fit),
            text_cache: options.text_cache.filter(|_| !is_builtin),
        })
    }
}

/// How towers are built from the weights of a checkpoint.
pub(super) enum Blueprint {
    /// Hugging Face's `CLIPModel`.
    Clip(ClipConfig),
    /// Hugging Face's `SiglipModel`, the number of tokens that each text has, and the id of the token that fills it up.
    Siglip(SiglipConfig, (usize, u32)),
    /// open_clip's layout.
    OpenClip(Box<OpenClipConfig>),
    /// A state dictionary in OpenAI's format.
    StateDict,
}

impl Blueprint {
    /// Builds the towers. Every tensor must have its shape, and none may be left over.
    pub(super) fn build(&self, weights: Weights) -> Result<Towers, EncoderError> {
        match self {
            Self::Clip(config) => config.build(weights),
            Self::Siglip(config, filling) => config.build(weights, *filling),
            Self::OpenClip(config) => config.build(weights),
            Self::StateDict => open_clip::state_dict(weights),
        }
    }
}

/// A checkpoint without its name and digest.
type LoadedParts = (Blueprint, Weights, Tokenizer, Preprocess);

/// What the files beside the weights say.
type Settings = (Blueprint, Tokenizer, Preprocess);

/// Reads a checkpoint's files, and hashes all that it reads.
struct CheckpointReader<'a> {
    path: &'a Path,
    target: DeviceAndKind,
    digest: blake3::Hasher,
}

impl<'a> CheckpointReader<'a> {
    fn new(path: &'a Path, target: DeviceAndKind) -> Self {
        Self {
            path,
            target,
            digest: blake3::Hasher::new(),
        }
    }

    /// Reads the files of a folder beside its weights; a state dictionary has none that this could read.
    fn settings(&mut self, layout: CheckpointLayout) -> Result<Settings, EncoderError> {
        match layout {
            CheckpointLayout::Clip => self.clip(),
            CheckpointLayout::Siglip => self.siglip(),
            CheckpointLayout::OpenClip => self.open_clip(),
            CheckpointLayout::StateDict => Err(EncoderError::Unsupported(
                "a file of weights has no configuration".into(),
            )),
        }
    }

    fn clip(&mut self) -> Result<Settings, EncoderError> {
        let config: ClipConfig = self.parsed(CONFIG)?;
        // XrayCLIP has 256 positions, of which its tokenizer fills 77.
        let length = self.limited(config.context_length())?;
        let tokenizer = self.transformers_tokenizer(length, config.vocabulary())?;
        let preprocess = self.preprocessing()?;
        Ok((Blueprint::Clip(config), tokenizer, preprocess))
    }

    fn siglip(&mut self) -> Result<Settings, EncoderError> {
        let config: SiglipConfig = self.parsed(CONFIG)?;
        let settings = self.tokenizer_settings()?;
        let json = settings.apply_marks(self.tokenizer_json(self.path)?)?;
        // The tokenizer fills texts up to its own length, and the model pools the last token: one with more positions than that
        // (XraySigLIP: 64 of 256) saw them in training as transformers makes them.
        let length = settings.limit(config.context_length());
        let tokenizer = Tokenizer::from_json(&json, length)?;
        let pad = settings.pad(&tokenizer).or(config.pad_token());
        let preprocess = self.preprocessing()?;
        let pad = pad.ok_or_else(|| {
            EncoderError::Tokenizer(
                "tokenizer_config.json names no pad_token of the vocabulary".into(),
            )
        })?;
        let tokenizer = tokenizer.cleaning(settings.clean());
        Ok((
            Blueprint::Siglip(config, (length, pad)),
            tokenizer,
            preprocess,
        ))
    }

    fn open_clip(&mut self) -> Result<Settings, EncoderError> {
        let mut config: OpenClipConfig = self.parsed(OPEN_CLIP_CONFIG)?;
        if config.has_bert() && self.path.join(CONFIG).is_file() {
            config.describe_bert(&self.file(CONFIG)?);
        }
        let fault = |reason| EncoderError::File {
            path: self.path.join(OPEN_CLIP_CONFIG),
            reason,
        };
        let side = config.image_size().max(0) as usize;
        let preprocess = Preprocess::from_open_clip(&config.preprocess_cfg, side).map_err(fault)?;
        let context = config.context_length();
        let cleaning = config.cleaning().map_err(fault)?;
        let tokenizer = if config.has_own_tokenizer() {
            let other = config.tokenizer_repository();
            let folder = described_tokenizer(self.path, self.path, other.as_deref())?;
            let json = self.tokenizer_json(&folder)?;
            let tokenizer = Tokenizer::from_json(&json, context)?;
            if config.has_bert() {
                tokenizer.require_word_pieces()?;
            }
            tokenizer.cleaning(cleaning.unwrap_or(Clean::Whitespace))
        } else {
            let tokenizer = self.clip_tokenizer(context, config.vocabulary())?;
            tokenizer.cleaning(cleaning.unwrap_or(Clean::Lower))
        };
        Ok((Blueprint::OpenClip(Box::new(config)), tokenizer, preprocess))
    }

    /// A file of weights does not describe the preprocessing. A `preprocessor_config.json` beside it does; without one,
    /// CheXzero's preprocessing is used if the path contains `chexzero`, else OpenAI's. Likewise the tokenizer is the
    /// `tokenizer.json` beside it, else CLIP's own vocabulary. Also returns what else is assumed of it.
    fn state_dict(&mut self) -> Result<(LoadedParts, Option<&'static str>), EncoderError> {
        let file = weights_file(self.path)?;
        if let Some(entry) = catalog::find_by_file(&name(self.path), &file)
            && let Some(architecture) = &entry.architecture
        {
            let parts = self.described(&file, architecture, entry.tokenizer.as_deref());
            return Ok((parts?, None));
        }
        let weights = self.digested(Weights::open(&file, self.target)?);
        let is_script = weights.is_script();
        let is_known = is_script || is_chexzero(&file);
        let (side, context) = open_clip::state_dict_sizes(&weights)?;
        let beside = file.with_file_name(PREPROCESSOR_CONFIG);
        let preprocess = if beside.is_file() {
            let json = read(&beside)?;
            self.digest.update(&json);
            Preprocess::from_json(&json, &beside)?
        } else if !is_script && is_chexzero(&file) {
            self.digest.update(b"chexzero");
            Preprocess::chexzero(side)
        } else {
            Preprocess::open_ai(side)
        };
        let beside = file.with_file_name("tokenizer.json");
        let tokenizer = if beside.is_file() {
            let json = read(&beside)?;
            self.digest.update(&json);
            Tokenizer::from_json(&json, context)?.cleaning(Clean::Lower)
        } else {
            self.digest.update(vocabulary::MERGES);
            Tokenizer::clip(context)?
        };
        let parts = (Blueprint::StateDict, weights, tokenizer, preprocess);
        Ok((parts, Some(ASSUMED).filter(|_| !is_known)))
    }

    /// A file of weights whose architecture the catalogue knows, with open_clip's names. Its tokenizer lies beside it or in
    /// another repository of the cache.
    fn described(
        &mut self,
        file: &Path,
        architecture: &str,
        tokenizer: Option<&str>,
    ) -> Result<LoadedParts, EncoderError> {
        let fault = |reason: String| EncoderError::File {
            path: file.to_owned(),
            reason: format!("the catalogue's description of it: {reason}"),
        };
        let config: OpenClipConfig =
            serde_json::from_str(architecture).map_err(|e| fault(e.to_string()))?;
        self.digest.update(architecture.as_bytes());
        let side = config.image_size().max(0) as usize;
        let preprocess = Preprocess::from_open_clip(&config.preprocess_cfg, side).map_err(fault)?;
        let folder = described_tokenizer(self.path, folder_of(file), tokenizer)?;
        let json = self.tokenizer_json(&folder)?;
        let tokenizer = Tokenizer::from_json(&json, config.context_length())?;
        let mut weights = self.digested(Weights::open(file, self.target)?);
        weights.rename_prefix("text_encoder.", "text.");
        let tokenizer = tokenizer.cleaning(Clean::Whitespace);
        Ok((
            Blueprint::OpenClip(Box::new(config)),
            weights,
            tokenizer,
            preprocess,
        ))
    }

    /// Reads a file of the folder.
    fn file(&mut self, name: &str) -> Result<Vec<u8>, EncoderError> {
        self.digested_file(&self.path.join(name))
    }

    /// Reads and hashes a file beside the weights.
    fn digested_file(&mut self, path: &Path) -> Result<Vec<u8>, EncoderError> {
        let content = read(path)?;
        self.digest.update(&content);
        Ok(content)
    }

    /// Reads and parses a JSON file of the folder.
    fn parsed<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<T, EncoderError> {
        let json = self.file(name)?;
        parse(&json, &self.path.join(name))
    }

    /// The first of several files that exists.
    fn first(&self, names: &[&str]) -> Result<PathBuf, EncoderError> {
        let mut paths = names.iter().map(|name| self.path.join(name));
        paths
            .find(|path| path.is_file())
            .ok_or_else(|| EncoderError::File {
                path: self.path.join(names[0]),
                reason: format!("not found, and neither is {}", names[1..].join(", ")),
            })
    }

    /// The tokenizer of a `CLIPModel`, which cleans texts as transformers does: that in `tokenizer.json`, or that made from
    /// `vocab.json` and `merges.txt`; without these CLIP's vocabulary, if the model has as many tokens.
    fn transformers_tokenizer(
        &mut self,
        length: usize,
        size: usize,
    ) -> Result<Tokenizer, EncoderError> {
        let has = |name: &str| self.path.join(name).is_file();
        if has("tokenizer.json") || !(has(BYTE_PAIRS) || size == vocabulary::TOKEN_COUNT) {
            return Tokenizer::from_json(&self.file("tokenizer.json")?, length);
        }
        let json = if has(BYTE_PAIRS) {
            let tokens = self.file(BYTE_PAIRS)?;
            let merges = self.file(MERGES)?;
            files::byte_pairs(&tokens, &merges)
        } else {
            self.digest.update(vocabulary::MERGES);
            vocabulary::byte_pairs()
        };
        let fault = |reason| EncoderError::File {
            path: self.path.join(BYTE_PAIRS),
            reason,
        };
        Tokenizer::from_json(&json.map_err(fault)?, length)
    }

    /// The tokenizer in `tokenizer.json`; without that file CLIP's vocabulary, if the model has as many tokens.
    fn clip_tokenizer(&mut self, context: usize, size: usize) -> Result<Tokenizer, EncoderError> {
        if size == vocabulary::TOKEN_COUNT && !self.path.join("tokenizer.json").is_file() {
            self.digest.update(vocabulary::MERGES);
            return Tokenizer::clip(context);
        }
        Tokenizer::from_json(&self.file("tokenizer.json")?, context)
    }

    /// The tokenizer in a folder's `tokenizer.json`, or the same made from its older files.
    fn tokenizer_json(&mut self, folder: &Path) -> Result<Vec<u8>, EncoderError> {
        let found = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let fault = |path: PathBuf| move |reason| EncoderError::File { path, reason };
        if let Some(path) = found("tokenizer.json") {
            return self.digested_file(&path);
        }
        if let Some(path) = found("vocab.txt") {
            let mut settings = files::WordPieceConfig::default();
            if let Some(path) = found(TOKENIZER_CONFIG) {
                settings = parse(&self.digested_file(&path)?, &path)?;
            }
            let vocabulary = self.digested_file(&path)?;
            return files::word_pieces(&vocabulary, &settings).map_err(fault(path));
        }
        if let Some(path) = found("spiece.model") {
            let model = self.digested_file(&path)?;
            return files::sentence_pieces(&model).map_err(fault(path));
        }
        if let (Some(path), Some(merges)) = (found(BYTE_PAIRS), found(MERGES)) {
            let (tokens, merges) = (self.digested_file(&path)?, self.digested_file(&merges)?);
            return files::byte_pairs(&tokens, &merges).map_err(fault(path));
        }
        let reason = "not found, and neither is vocab.txt, spiece.model, or vocab.json with merges.txt; copy it from where the model was published";
        Err(fault(folder.join("tokenizer.json"))(reason.into()))
    }

    /// The tokens of the longest text for a tower with so many positions. The file that says so is hashed only where it matters, so
    /// that the digests of other models stay as they were.
    fn limited(&mut self, positions: usize) -> Result<usize, EncoderError> {
        let path = self.path.join(TOKENIZER_CONFIG);
        if !path.is_file() {
            return Ok(positions);
        }
        let json = read(&path)?;
        let settings: TokenizerSettings = parse(&json, &path)?;
        let length = settings.limit(positions);
        if length != positions {
            self.digest.update(&json);
        }
        Ok(length)
    }

    /// The keys of `tokenizer_config.json` that matter, if there is one.
    fn tokenizer_settings(&mut self) -> Result<TokenizerSettings, EncoderError> {
        if self.path.join(TOKENIZER_CONFIG).is_file() {
            return self.parsed(TOKENIZER_CONFIG);
        }
        Ok(TokenizerSettings::default())
    }

    /// The preprocessing that `processor_config.json` nests, as transformers prefers it; else that of `preprocessor_config.json`.
    fn preprocessing(&mut self) -> Result<Preprocess, EncoderError> {
        let newer = self.path.join(PROCESSOR_CONFIG);
        if newer.is_file() {
            let json = read(&newer)?;
            if let Some(nested) = Preprocess::nested_in(&json, &newer)? {
                self.digest.update(&json);
                return Ok(nested);
            }
        }
        let path = self.path.join(PREPROCESSOR_CONFIG);
        if path.is_file() {
            return Preprocess::from_json(&self.file(PREPROCESSOR_CONFIG)?, &path);
        }
        if newer.is_file() {
            return Preprocess::from_json(&self.file(PROCESSOR_CONFIG)?, &newer);
        }
        let reason = "not found, and neither is processor_config.json; copy it from where the model was published";
        Err(EncoderError::File {
            path,
            reason: reason.to_owned(),
        })
    }

    /// The weights in one file, or in the shards that an index lists.
    fn weights(&mut self) -> Result<Weights, EncoderError> {
        let file = self.first(&WEIGHTS)?;
        if !is_index(&file.to_string_lossy()) {
            return Ok(self.digested(Weights::open(&file, self.target)?));
        }
        let mut all: Option<Weights> = None;
        for shard in shards(&file)? {
            let shard = Weights::open(&self.path.join(shard), self.target)?;
            match &mut all {
                Some(weights) => weights.merge(shard),
                None => all = Some(shard),
            }
        }
        let none = || EncoderError::Unsupported("no shards".into());
        Ok(self.digested(all.ok_or_else(none)?))
    }

    /// Hashes the weights.
    fn digested(&mut self, weights: Weights) -> Weights {
        for part in weights.backing() {
            self.digest.update(part.bytes());
        }
        weights
    }
}

/// The keys of `tokenizer_config.json` that matter to SigLIP.
#[derive(Default, Deserialize)]
struct TokenizerSettings {
    pad_token: Option<SpecialToken>,
    tokenizer_class: Option<String>,
    /// Tokens of the longest text; where there is no limit, a huge number.
    model_max_length: Option<f64>,
    /// Gemma's tokenizer adds begin and end tokens as these say, not as `tokenizer.json` says.
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
    bos_token: Option<SpecialToken>,
    eos_token: Option<SpecialToken>,
}

/// A token, or an object that describes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum SpecialToken {
    Text(String),
    Object { content: String },
}

impl SpecialToken {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Object { content: text } => text,
        }
    }
}

impl TokenizerSettings {
    /// Tokens of the longest text for a tower with so many positions.
    fn limit(&self, positions: usize) -> usize {
        let own = self.model_max_length.filter(|own| *own >= 1.0);
        own.map_or(positions, |own| positions.min(own as usize))
    }

    /// The id of the padding token, if it is named and in the vocabulary.
    fn pad(&self, tokenizer: &Tokenizer) -> Option<u32> {
        tokenizer.id(self.pad_token.as_ref()?.text())
    }

    /// Whether the tokenizer is that of SigLIP 2, which is Gemma's.
    fn is_gemma(&self) -> bool {
        let class = self.tokenizer_class.as_deref().unwrap_or_default();
        class.starts_with("Gemma") || class.starts_with("Siglip2")
    }

    /// How texts are cleaned: SigLIP 2 was trained with punctuation.
    fn clean(&self) -> Clean {
        if self.is_gemma() {
            Clean::LowerCase
        } else {
            Clean::Canonical
        }
    }

    /// The `tokenizer.json` with the begin and end tokens that these settings demand, if they demand any.
    fn apply_marks(&self, json: Vec<u8>) -> Result<Vec<u8>, EncoderError> {
        if !self.is_gemma() || (self.add_bos_token.is_none() && self.add_eos_token.is_none()) {
            return Ok(json);
        }
        let mark = |add: Option<bool>, token: &Option<SpecialToken>, usual: &str| {
            let text = || token.as_ref().map_or(usual, SpecialToken::text).to_owned();
            add.unwrap_or(false).then(text)
        };
        let first = mark(self.add_bos_token, &self.bos_token, "<bos>");
        let last = mark(self.add_eos_token, &self.eos_token, "<eos>");
        files::with_marks(&json, first, last).map_err(EncoderError::Tokenizer)
    }
}

/// Whether the name of the file, of its folder, or of its repository in the hub's cache contains `chexzero`.
pub(super) fn is_chexzero(path: &Path) -> bool {
    let folder = |path: &Path| path.parent().map(name).unwrap_or_default();
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    [name(path), folder(path), name(&resolved), folder(&resolved)]
        .iter()
        .any(|name| name.to_lowercase().contains("chexzero"))
}

/// Reads the model that is built into the binary, in open_clip's layout.
pub(super) fn load_builtin(
    files: &BuiltinFiles,
    facts: BuiltinFacts,
    target: DeviceAndKind,
) -> Result<LoadedCheckpoint, EncoderError> {
    let config: OpenClipConfig = parse(files.config, Path::new(OPEN_CLIP_CONFIG))?;
    let mut digest = blake3::Hasher::new();
    for bytes in [files.config, files.tokenizer, files.weights, files.known] {
        digest.update(bytes);
    }
    let side = config.image_size().max(0) as usize;
    let preprocess = Preprocess::from_open_clip(&config.preprocess_cfg, side);
    let tokenizer = Tokenizer::from_json(files.tokenizer, config.context_length())?;
    Ok(LoadedCheckpoint {
        id: BUILTIN.to_owned(),
        digest: format!("blake3:{}", digest.finalize().to_hex()),
        builtin: Some(Arc::new(facts)),
        assumption: None,
        weights: Weights::read(Backing::Static(files.weights), target)?,
        tokenizer: tokenizer.cleaning(Clean::Lower),
        preprocess: preprocess.map_err(EncoderError::Unsupported)?,
        blueprint: Blueprint::OpenClip(Box::new(config)),
    })
}

/// A model's name: that of its folder or file, or in the hub's cache (`models--org--name/snapshots/hash`) the model's id.
pub(super) fn name(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let parts: Vec<String> = path
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_in_the_hubs_cache_is_named_by_the_models_id() {
        let path = Path::new("/c/hub/models--microsoft--Biomed-CLIP/snapshots/0abc");
        assert_eq!(name(path), "microsoft/Biomed-CLIP");
        assert_eq!(name(Path::new("/models/mine")), "mine");
        assert_eq!(name(Path::new("/models/ViT-B-32.pt")), "ViT-B-32.pt");
    }

    #[test]
    fn chexzero_is_recognised_by_the_name_of_the_file_or_its_folder() {
        for path in ["/m/CheXzero/best_64.pt", "/m/chexzero.pt"] {
            assert!(is_chexzero(Path::new(path)), "{path}");
        }
        for path in ["/chexzero/m/best.pt", "/m/ViT-B-32.pt"] {
            assert!(!is_chexzero(Path::new(path)), "{path}");
        }
    }
}
