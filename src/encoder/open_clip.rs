//! Models in open_clip's layout: `open_clip_config.json` names the kinds of towers, the weights give their dimensions.
//! OpenAI's own state dictionaries have the same tensor names and no configuration.

mod bert;
mod openai_names;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::block_names::BlockNames;
use super::layers::{Activation, Linear};
use super::text::{Pooling, ProjectionHead, TextTensorNames, TextTower};
use super::tokenize::Clean;
use super::towers::Towers;
use super::transformer::TransformerConfig;
use super::vision::{VisionTensorNames, VisionTower};
use super::{EncoderError, Weights};

use bert::{BertArithmetic, BertConfig};
use openai_names::{matrix_shape, text, vision};
pub(super) use openai_names::{state_dict, state_dict_sizes};

/// Width of an attention head unless the configuration says otherwise: OpenAI's rule, and that of every ViT up to L and of
/// most BERTs.
const HEAD_WIDTH: i64 = 64;

/// open_clip's default number of heads of the text tower, at any width.
const TEXT_HEADS: i64 = 8;

/// `open_clip_config.json`
#[derive(Clone, Debug, Deserialize)]
pub struct OpenClipConfig {
    model_cfg: OpenClipModelConfig,
    /// Parsed by [`super::Preprocess::from_open_clip`].
    #[serde(default)]
    pub(super) preprocess_cfg: Value,
    /// What the `config.json` beside this file says of a BERT.
    #[serde(skip)]
    bert: BertConfig,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct OpenClipModelConfig {
    #[serde(default)]
    quick_gelu: bool,
    #[serde(default)]
    vision_cfg: OpenClipVisionConfig,
    #[serde(default)]
    text_cfg: OpenClipTextConfig,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct OpenClipVisionConfig {
    #[serde(default, deserialize_with = "square_side")]
    image_size: Option<i64>,
    head_width: Option<i64>,
    timm_model_name: Option<String>,
    timm_pool: Option<String>,
    /// `null` and an empty text differ from leaving it out.
    #[serde(default = "default_timm_projection")]
    timm_proj: Option<String>,
    #[serde(default)]
    timm_proj_bias: bool,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct OpenClipTextConfig {
    context_length: Option<i64>,
    vocab_size: Option<usize>,
    heads: Option<i64>,
    hf_model_name: Option<String>,
    hf_tokenizer_name: Option<String>,
    /// `proj` is its older name.
    #[serde(alias = "proj", default = "default_projection")]
    hf_proj_type: Option<String>,
    #[serde(alias = "pooler_type", default = "default_pooler")]
    hf_pooler_type: Option<String>,
    hf_model_config: Option<Value>,
    #[serde(default)]
    tokenizer_kwargs: Option<Map<String, Value>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The side of a size that is a number, or two that are the same.
fn square_side<'de, D: Deserializer<'de>>(value: D) -> Result<Option<i64>, D::Error> {
    let value = Value::deserialize(value)?;
    let side = match value.as_array().map(Vec::as_slice) {
        Some([height, width]) if height == width => height.as_i64(),
        _ => value.as_i64(),
    };
    if side.is_none() && !value.is_null() {
        return Err(D::Error::custom(format!(
            "an image_size of {value} is not supported"
        )));
    }
    Ok(side)
}

/// open_clip's default.
#[allow(clippy::unnecessary_wraps, reason = "the shape that serde calls")]
fn default_timm_projection() -> Option<String> {
    Some("linear".into())
}

/// open_clip's default.
#[allow(clippy::unnecessary_wraps, reason = "the shape that serde calls")]
fn default_projection() -> Option<String> {
    Some("mlp".into())
}

/// open_clip's default.
#[allow(clippy::unnecessary_wraps, reason = "the shape that serde calls")]
fn default_pooler() -> Option<String> {
    Some("mean_pooler".into())
}

/// Settings that can be ignored: the weights show them anyway, or they matter in training only.
const IGNORED_SETTINGS: [&str; 15] = [
    "layers",
    "width",
    "patch_size",
    "mlp_ratio",
    "patch_dropout",
    "output_tokens",
    "attn_pooler_queries",
    "attn_pooler_heads",
    "timm_model_pretrained",
    "timm_drop",
    "timm_drop_path",
    "hf_model_pretrained",
    "pad_id",
    "eos_id",
    "cache_dir",
];

/// Settings at the only values that the code below implements.
const SUPPORTED_SETTINGS: [(&str, &str); 4] = [
    ("proj_type", "linear"),
    ("pool_type", "tok"),
    ("pool_type", "argmax"),
    ("pos_embed_type", "learnable"),
];

/// Refuses settings that are neither ignored nor supported: switched on, they would silently change the results.
fn check_settings(rest: &Map<String, Value>) -> Result<(), EncoderError> {
    let unknown = rest.iter().find(|(key, value)| {
        let is_off = matches!(value, Value::Null | Value::Bool(false))
            || value.as_object().is_some_and(Map::is_empty);
        let is_supported = SUPPORTED_SETTINGS
            .iter()
            .any(|(k, v)| k == key && value == v);
        !is_off && !is_supported && !IGNORED_SETTINGS.contains(&key.as_str())
    });
    match unknown {
        None => Ok(()),
        Some((key, value)) => Err(EncoderError::Unsupported(format!(
            "open_clip_config.json: `{key}` = {value} is not supported"
        ))),
    }
}

fn unsupported<T>(what: &str, value: Option<&String>) -> Result<T, EncoderError> {
    let value = value.map_or("none", String::as_str);
    Err(EncoderError::Unsupported(format!(
        "open_clip_config.json: {what} `{value}` is not supported"
    )))
}

fn unsupported_bert(reason: String) -> EncoderError {
    EncoderError::Unsupported(format!("open_clip_config.json: {reason}"))
}

impl OpenClipConfig {
    /// Maximum length of a text in tokens; open_clip's default is 77.
    pub(super) fn context_length(&self) -> usize {
        self.model_cfg.text_cfg.context_length.unwrap_or(77).max(0) as usize
    }

    /// Number of token ids; open_clip's default is that of CLIP's vocabulary.
    pub(super) fn vocabulary(&self) -> usize {
        self.model_cfg.text_cfg.vocab_size.unwrap_or(49_408)
    }

    /// Side of the images, in pixels; open_clip's default is 224.
    pub(super) fn image_size(&self) -> i64 {
        self.model_cfg.vision_cfg.image_size.unwrap_or(224)
    }

    /// The repository with the tokenizer that open_clip takes if the model's own has none: `hf_tokenizer_name` as an id on the hub.
    pub(super) fn tokenizer_repository(&self) -> Option<String> {
        let name = self.model_cfg.text_cfg.hf_tokenizer_name.as_deref()?;
        match name.split_once('/') {
            Some(_) => Some(name.to_owned()),
            // Names from before models had owners.
            None if name.starts_with("bert-") => Some(format!("google-bert/{name}")),
            None => None,
        }
    }

    /// Whether the text tower has a tokenizer of its own instead of CLIP's.
    pub(super) fn has_own_tokenizer(&self) -> bool {
        self.model_cfg.text_cfg.hf_tokenizer_name.is_some() || self.has_bert()
    }

    /// Whether the text tower is one of Hugging Face's, of which only BERT is supported.
    pub(super) fn has_bert(&self) -> bool {
        self.model_cfg.text_cfg.hf_model_name.is_some()
    }

    /// Adds what the `config.json` beside this one says of the text tower.
    pub(super) fn describe_bert(&mut self, beside: &[u8]) {
        self.bert = bert::described_beside(beside);
    }

    /// How the settings of the tokenizer say that texts are cleaned, if they do; an error names one that is not supported.
    pub(super) fn cleaning(&self) -> Result<Option<Clean>, String> {
        let settings = self.model_cfg.text_cfg.tokenizer_kwargs.iter().flatten();
        let mut cleaning = None;
        for (key, value) in settings {
            cleaning = match (key.as_str(), value.as_str()) {
                ("clean", Some("lower")) => Some(Clean::Lower),
                // CLIP's own vocabulary is used for lower-case texts only.
                ("clean", Some("whitespace")) if self.has_own_tokenizer() => {
                    Some(Clean::Whitespace)
                }
                ("clean", Some("canonicalize")) => Some(Clean::Canonicalized),
                _ if matches!(value, Value::Null | Value::Bool(false)) => continue,
                _ => {
                    return Err(format!(
                        "tokenizer_kwargs: `{key}` = {value} is not supported"
                    ));
                }
            };
        }
        Ok(cleaning)
    }

    /// Refuses what cannot be built whatever the weights are.
    pub(super) fn check(&self) -> Result<(), EncoderError> {
        let OpenClipModelConfig {
            vision_cfg,
            text_cfg,
            ..
        } = &self.model_cfg;
        check_settings(&vision_cfg.rest)?;
        check_settings(&text_cfg.rest)?;
        if vision_cfg.timm_model_name.is_some() {
            vision_cfg.check_timm()?;
        }
        if self.has_bert() {
            text_cfg.check_bert(&self.bert)?;
        }
        Ok(())
    }

    /// Builds the model. A tensor that is missing or left over is an error.
    pub fn build(&self, mut weights: Weights) -> Result<Towers, EncoderError> {
        self.check()?;
        let OpenClipModelConfig {
            quick_gelu,
            vision_cfg,
            text_cfg,
        } = &self.model_cfg;
        let activation = if *quick_gelu {
            Activation::QuickGelu
        } else {
            Activation::Gelu
        };
        let w = &mut weights;
        let side = Some(self.image_size());
        let vision = match &vision_cfg.timm_model_name {
            Some(_) => vision_cfg.timm(w)?.into(),
            None => vision(
                w,
                side,
                vision_cfg.head_width.unwrap_or(HEAD_WIDTH),
                activation,
            )?,
        };
        let text = if self.has_bert() {
            text_cfg.bert(w, &self.bert)?
        } else {
            text(w, Some(text_cfg.heads.unwrap_or(TEXT_HEADS)), activation)?
        };
        Towers::new(weights, vision, text)
    }
}

impl OpenClipVisionConfig {
    /// Refuses timm's models other than its plain ViT, and what is done with their output otherwise.
    fn check_timm(&self) -> Result<(), EncoderError> {
        let name = self.timm_model_name.as_ref();
        let plain = name.is_some_and(|name| is_plain_vit(name));
        if !plain {
            return unsupported("timm_model_name", name);
        }
        if !matches!(self.timm_pool.as_deref(), Some("" | "token")) {
            return unsupported("timm_pool", self.timm_pool.as_ref());
        }
        match self.timm_proj.as_deref() {
            // timm's own classifier projects. Without pooling it would project each patch by itself.
            None | Some("") if self.timm_pool.as_deref() == Some("token") => Ok(()),
            Some("linear" | "none") => Ok(()),
            _ => unsupported("timm_proj", self.timm_proj.as_ref()),
        }
    }

    /// timm's plain ViT below `visual.trunk.`: a class token, exact GELU, norms with ε = 10⁻⁶.
    fn timm(&self, w: &mut Weights) -> Result<VisionTower, EncoderError> {
        self.check_timm()?;
        let at = |part: &str| format!("visual.trunk.{part}");
        let convolution = at("patch_embed.proj.weight");
        let [width, _, _, patch] = w.shape(&convolution)?[..] else {
            let text = format!("`{convolution}` is not a convolution");
            return Err(EncoderError::Unsupported(text));
        };
        let block_names = &BlockNames::TIMM;
        let stack = "visual.trunk";
        let config = TransformerConfig::inferred(
            w,
            stack,
            block_names,
            width / HEAD_WIDTH,
            Activation::Gelu,
            1e-6,
        )?;
        let tensor_names = VisionTensorNames {
            patch_embedding: &convolution,
            patch_bias: Some(&at("patch_embed.proj.bias")),
            class_token: Some((&at("cls_token"), &[1, 1])),
            position_embedding: (&at("pos_embed"), &[1]),
            pre_norm: None,
            blocks: stack,
            post_norm: &at("norm"),
        };
        let side = self.image_size.unwrap_or(224);
        let tower = VisionTower::new(w, &tensor_names, block_names, &config, side, patch)?;
        match self.timm_proj.as_deref() {
            None | Some("") => {
                let (output, _) = matrix_shape(w, &at("head.weight"))?;
                Ok(tower.projected_by(Linear::new(w, &at("head"), output, width)?))
            }
            Some("linear") => {
                let (output, _) = matrix_shape(w, "visual.head.proj.weight")?;
                let bias = self.timm_proj_bias.then_some("visual.head.proj.bias");
                let layer = Linear::named(w, "visual.head.proj.weight", bias, output, width)?;
                Ok(tower.projected_by(layer))
            }
            _ => Ok(tower),
        }
    }
}

/// Whether a timm name has the form `vit_SIZE_patchN_SIDE`, perhaps followed by a dot and a tag. Longer names belong to other
/// architectures.
fn is_plain_vit(name: &str) -> bool {
    let plain = name.split('.').next().unwrap_or_default();
    let parts: Vec<&str> = plain.split('_').collect();
    let [vit, size, patch, side] = parts[..] else {
        return false;
    };
    let number = |text: &str| text.parse::<u32>().is_ok();
    vit == "vit"
        && ["tiny", "small", "base", "large"].contains(&size)
        && patch.strip_prefix("patch").is_some_and(number)
        && number(side)
}

impl OpenClipTextConfig {
    /// How token states are pooled.
    fn pooling(&self) -> Result<Pooling, EncoderError> {
        match self.hf_pooler_type.as_deref() {
            Some("cls_last_hidden_state_pooler") => Ok(Pooling::FirstToken),
            Some("mean_pooler") => Ok(Pooling::Mean),
            _ => unsupported("hf_pooler_type", self.hf_pooler_type.as_ref()),
        }
    }

    /// Refuses a text tower that is no BERT by its name, and what is done with its output otherwise.
    fn check_bert(&self, beside: &BertConfig) -> Result<(), EncoderError> {
        self.pooling()?;
        let heads = [None, Some("linear"), Some("mlp"), Some("by weights")];
        if !heads.contains(&self.hf_proj_type.as_deref()) {
            return unsupported("hf_proj_type", self.hf_proj_type.as_ref());
        }
        let own = self.stated_bert()?.or(beside.clone());
        let name = self.hf_model_name.as_deref().unwrap_or_default();
        own.check(name).map_err(unsupported_bert)
    }

    /// Hugging Face's `BertModel` below `text.transformer.`, without its pooler.
    fn bert(&self, w: &mut Weights, beside: &BertConfig) -> Result<TextTower, EncoderError> {
        let at = |part: &str| format!("text.transformer.{part}");
        let words = at("embeddings.word_embeddings.weight");
        let first = at("encoder.layer.0.attention.self.query.weight");
        if !w.has(&words) || !w.has(&first) {
            return unsupported("hf_model_name", self.hf_model_name.as_ref());
        }
        w.ignore(&at("embeddings.position_ids"));
        let pooling = self.pooling()?;
        let (vocabulary, width) = matrix_shape(w, &words)?;
        let (context, _) = matrix_shape(w, &at("embeddings.position_embeddings.weight"))?;
        let segments = at("embeddings.token_type_embeddings.weight");
        let (types, _) = matrix_shape(w, &segments)?;
        let BertArithmetic {
            heads,
            activation,
            eps,
        } = self.bert_arithmetic(beside, width, types)?;
        let block_names = &BlockNames::BERT;
        let stack = at("encoder");
        let config = TransformerConfig::inferred(w, &stack, block_names, heads, activation, eps)?;
        let head = self.head(w, width)?;
        let tensor_names = TextTensorNames {
            token_embedding: &words,
            position_embedding: &at("embeddings.position_embeddings.weight"),
            segment_embedding: Some(&segments),
            pre_norm: Some(&at("embeddings.LayerNorm")),
            blocks: &stack,
            post_norm: None,
        };
        let tables = (vocabulary, context);
        TextTower::new(
            w,
            &tensor_names,
            block_names,
            &config,
            tables,
            pooling,
            head,
        )
    }

    /// What `hf_model_config` says.
    fn stated_bert(&self) -> Result<BertConfig, EncoderError> {
        match &self.hf_model_config {
            Some(own) if own.is_object() => serde_json::from_value(own.clone())
                .map_err(|error| unsupported_bert(format!("hf_model_config: {error}"))),
            _ => Ok(BertConfig::default()),
        }
    }

    /// What `hf_model_config`, else the configuration beside it, else BERT's custom says of the arithmetic.
    fn bert_arithmetic(
        &self,
        beside: &BertConfig,
        width: i64,
        types: i64,
    ) -> Result<BertArithmetic, EncoderError> {
        let name = self.hf_model_name.as_deref().unwrap_or_default();
        self.stated_bert()?
            .or(beside.clone())
            .arithmetic(name, width, types)
            .map_err(unsupported_bert)
    }

    fn head(&self, w: &mut Weights, width: i64) -> Result<ProjectionHead, EncoderError> {
        let kind = match self.hf_proj_type.as_deref() {
            // Only the catalogue says so, of a model that says nothing itself.
            Some("by weights") if w.has("text.proj.weight") => Some("linear"),
            Some("by weights") => Some("mlp"),
            kind => kind,
        };
        match kind {
            None => Ok(ProjectionHead::None),
            Some("linear") => {
                let (output, _) = matrix_shape(w, "text.proj.weight")?;
                let layer = Linear::named(w, "text.proj.weight", None, output, width)?;
                Ok(ProjectionHead::Linear(layer))
            }
            Some("mlp") => {
                let (hidden, _) = matrix_shape(w, "text.proj.0.weight")?;
                let (output, _) = matrix_shape(w, "text.proj.2.weight")?;
                let up = Linear::named(w, "text.proj.0.weight", None, hidden, width)?;
                let down = Linear::named(w, "text.proj.2.weight", None, output, hidden)?;
                Ok(ProjectionHead::Mlp(up, down))
            }
            Some(_) => unsupported("hf_proj_type", self.hf_proj_type.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_plain_vits_are_accepted() {
        for name in ["vit_base_patch16_224", "vit_small_patch32_384.augreg_in21k"] {
            assert!(is_plain_vit(name), "{name}");
        }
        for name in [
            "vit_base_patch16_siglip_224",
            "vit_base_patch16_clip_224",
            "vit_huge_patch14_224",
            "vit_base_patch16_224_miil",
            "resnet50",
            "",
        ] {
            assert!(!is_plain_vit(name), "{name}");
        }
    }

    #[test]
    fn a_setting_that_changes_the_arithmetic_is_refused_by_name() {
        let read = |json: &str| serde_json::from_str::<OpenClipVisionConfig>(json).unwrap();
        let usual = r#"{"image_size": 224, "layers": 12, "pool_type": "tok", "no_ln_pre": false, "ls_init_value": null, "act_kwargs": {}}"#;
        assert!(check_settings(&read(usual).rest).is_ok());
        let error = check_settings(&read(r#"{"no_ln_pre": true}"#).rest)
            .unwrap_err()
            .to_string();
        assert!(error.contains("`no_ln_pre` = true"), "{error}");
        let error = check_settings(&read(r#"{"pool_type": "avg"}"#).rest)
            .unwrap_err()
            .to_string();
        assert!(error.contains("pool_type"), "{error}");
    }

    #[test]
    fn an_image_size_is_a_side_or_two_that_are_the_same() {
        let read = |json: &str| {
            let config = serde_json::from_str::<OpenClipVisionConfig>(json);
            config.map(|config| config.image_size)
        };
        assert_eq!(read("{}").unwrap(), None);
        assert_eq!(read(r#"{"image_size": 224}"#).unwrap(), Some(224));
        assert_eq!(read(r#"{"image_size": [224, 224]}"#).unwrap(), Some(224));
        let error = read(r#"{"image_size": [224, 336]}"#).unwrap_err();
        assert!(error.to_string().contains("[224,336] is not supported"));
    }

    #[test]
    fn keys_that_a_bert_tower_leaves_out_have_open_clips_defaults() {
        let read = |json: &str| serde_json::from_str::<OpenClipTextConfig>(json).unwrap();
        let usual = read(r#"{"hf_model_name": "bert"}"#);
        assert_eq!(usual.hf_proj_type.as_deref(), Some("mlp"));
        assert_eq!(usual.hf_pooler_type.as_deref(), Some("mean_pooler"));
        let older = read(r#"{"proj": "linear", "pooler_type": "cls_last_hidden_state_pooler"}"#);
        assert_eq!(older.hf_proj_type.as_deref(), Some("linear"));
        assert_eq!(read(r#"{"hf_proj_type": null}"#).hf_proj_type, None);
    }

    #[test]
    fn settings_of_the_tokenizer_are_followed_or_refused() {
        let read = |json: &str| {
            let text = format!(r#"{{"hf_tokenizer_name": "x", "tokenizer_kwargs": {json}}}"#);
            let whole = format!(r#"{{"model_cfg": {{"text_cfg": {text}}}}}"#);
            let config: OpenClipConfig = serde_json::from_str(&whole).unwrap();
            config.cleaning()
        };
        for (json, expected) in [
            ("null", None),
            ("{}", None),
            (r#"{"strip_sep_token": false}"#, None),
            (r#"{"clean": "lower"}"#, Some(Clean::Lower)),
            (r#"{"clean": "whitespace"}"#, Some(Clean::Whitespace)),
            (
                r#"{"language": null, "clean": "canonicalize"}"#,
                Some(Clean::Canonicalized),
            ),
        ] {
            assert_eq!(read(json), Ok(expected), "{json}");
        }
        for json in [
            r#"{"strip_sep_token": true}"#,
            r#"{"clean": "x"}"#,
            r#"{"reduction_mask": "random"}"#,
        ] {
            let reason = read(json).unwrap_err();
            assert!(reason.contains("tokenizer_kwargs"), "{reason}");
        }
        let own = r#"{"model_cfg": {"text_cfg": {"tokenizer_kwargs": {"clean": "whitespace"}}}}"#;
        let own: OpenClipConfig = serde_json::from_str(own).unwrap();
        assert!(own.cleaning().is_err());
        let mode: OpenClipTextConfig =
            serde_json::from_str(r#"{"tokenizer_mode": "clips"}"#).unwrap();
        assert!(check_settings(&mode.rest).is_err());
    }
}
