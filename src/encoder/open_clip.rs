//! Models in open_clip's layout: `open_clip_config.json` says what the towers are, their dimensions are in the weights.
//! OpenAI's own state dictionaries have the same names and no configuration.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::names::Names;
use super::text::{self, Head, Reading, Text};
use super::towers::Towers;
use super::transformer::{Activation, Linear, Shape};
use super::vision::{self, Vision};
use super::{EncoderError, Weights};

/// Width of an attention head where no configuration says otherwise: OpenAI's rule, and that of every ViT up to L and
/// of every BERT.
const HEAD: i64 = 64;

/// `open_clip_config.json`
#[derive(Clone, Debug, Deserialize)]
pub(super) struct OpenClipConfig {
    model_cfg: ModelConfig,
    /// Read by [`super::Preprocess::from_open_clip`].
    #[serde(default)]
    pub(super) preprocess_cfg: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct ModelConfig {
    #[serde(default)]
    quick_gelu: bool,
    #[serde(default)]
    vision_cfg: VisionConfig,
    #[serde(default)]
    text_cfg: TextConfig,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct VisionConfig {
    image_size: Option<i64>,
    head_width: Option<i64>,
    timm_model_name: Option<String>,
    timm_pool: Option<String>,
    timm_proj: Option<String>,
    #[serde(default)]
    timm_proj_bias: bool,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct TextConfig {
    context_length: Option<i64>,
    vocab_size: Option<usize>,
    heads: Option<i64>,
    hf_model_name: Option<String>,
    hf_tokenizer_name: Option<String>,
    /// `proj` is its older name.
    #[serde(alias = "proj", default = "usual_projection")]
    hf_proj_type: Option<String>,
    #[serde(alias = "pooler_type", default = "usual_pooler")]
    hf_pooler_type: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// open_clip's default.
#[allow(clippy::unnecessary_wraps, reason = "the shape that serde calls")]
fn usual_projection() -> Option<String> {
    Some("mlp".into())
}

/// open_clip's default.
#[allow(clippy::unnecessary_wraps, reason = "the shape that serde calls")]
fn usual_pooler() -> Option<String> {
    Some("mean_pooler".into())
}

/// Settings that the weights show anyway, or that matter to training only.
const HARMLESS: [&str; 18] = [
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
    "hf_model_config",
    "pad_id",
    "eos_id",
    "tokenizer_kwargs",
    "tokenizer_mode",
    "cache_dir",
];

/// Settings at the value that the code below takes for granted.
const USUAL: [(&str, &str); 4] = [
    ("proj_type", "linear"),
    ("pool_type", "tok"),
    ("pool_type", "argmax"),
    ("pos_embed_type", "learnable"),
];

/// Any other setting that is switched on changes the arithmetic, and would do so unseen.
fn known(rest: &Map<String, Value>) -> Result<(), EncoderError> {
    let odd = rest.iter().find(|(key, value)| {
        let off = matches!(value, Value::Null | Value::Bool(false));
        let usual = USUAL.iter().any(|(k, v)| k == key && value == v);
        !off && !usual && !HARMLESS.contains(&key.as_str())
    });
    match odd {
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

impl OpenClipConfig {
    /// Tokens of the longest text; open_clip's default.
    pub(super) fn context_length(&self) -> usize {
        self.model_cfg.text_cfg.context_length.unwrap_or(77).max(0) as usize
    }

    /// Rows of the token table; open_clip's default.
    pub(super) fn vocabulary(&self) -> usize {
        self.model_cfg.text_cfg.vocab_size.unwrap_or(49_408)
    }

    /// Side of the pictures, in pixels; open_clip's default.
    pub(super) fn image_size(&self) -> i64 {
        self.model_cfg.vision_cfg.image_size.unwrap_or(224)
    }

    /// The text tower brings a tokenizer of its own, instead of CLIP's.
    pub(super) fn own_tokenizer(&self) -> bool {
        self.model_cfg.text_cfg.hf_tokenizer_name.is_some() || self.bert()
    }

    fn bert(&self) -> bool {
        self.model_cfg.text_cfg.hf_model_name.is_some()
    }

    /// Builds the model; a tensor that is missing or left over is an error.
    pub(super) fn build(&self, mut weights: Weights) -> Result<Towers, EncoderError> {
        let ModelConfig {
            quick_gelu,
            vision_cfg,
            text_cfg,
        } = &self.model_cfg;
        known(&vision_cfg.rest)?;
        known(&text_cfg.rest)?;
        let activation = if *quick_gelu {
            Activation::QuickGelu
        } else {
            Activation::Gelu
        };
        let w = &mut weights;
        let side = Some(self.image_size());
        let vision = match &vision_cfg.timm_model_name {
            Some(_) => vision_cfg.timm(w)?,
            None => vision(w, side, vision_cfg.head_width.unwrap_or(HEAD), activation)?,
        };
        let text = if self.bert() {
            text_cfg.bert(w)?
        } else {
            text(w, text_cfg.heads, activation)?
        };
        Towers::new(weights, vision, text)
    }
}

/// An OpenAI-format state dictionary: everything is in the weights, the activation is QuickGELU.
pub(super) fn state_dict(mut weights: Weights) -> Result<Towers, EncoderError> {
    let w = &mut weights;
    // What OpenAI's archives carry beside the weights, and its own loader drops.
    for name in ["input_resolution", "context_length", "vocab_size"] {
        w.ignore(name);
    }
    if w.has("visual.layer1.0.conv1.weight") {
        let text = "CLIP's ResNet models are not supported, only its vision transformers";
        return Err(EncoderError::Unsupported(text.into()));
    }
    let vision = vision(w, None, HEAD, Activation::QuickGelu)?;
    let text = text(w, None, Activation::QuickGelu)?;
    Towers::new(weights, vision, text)
}

/// Rows and columns of a matrix, whose name may begin with one of the prefixes.
fn matrix(w: &Weights, name: &str) -> Result<(i64, i64), EncoderError> {
    match w.shape(name)?[..] {
        [rows, columns] => Ok((rows, columns)),
        _ => Err(EncoderError::Unsupported(format!("`{name}` is no matrix"))),
    }
}

/// Side of the pictures by the number of positions, one of which is the class token's.
fn side_of(positions: i64, patch: i64) -> i64 {
    let patches = (positions - 1).max(0) as f64;
    patches.sqrt().round() as i64 * patch
}

/// CLIP's own vision transformer below `visual.`.
fn vision(
    w: &mut Weights,
    side: Option<i64>,
    head: i64,
    activation: Activation,
) -> Result<Vision, EncoderError> {
    let patch = w.shape("visual.conv1.weight")?.last().copied().unwrap_or(0);
    let (tokens, width) = matrix(w, "visual.positional_embedding")?;
    let names = &Names::OPEN_CLIP;
    let (stack, heads) = ("visual.transformer", width / head.max(1));
    let shape = Shape::inferred(w, stack, names, heads, activation, 1e-5)?;
    let outside = vision::Outside {
        patches: "visual.conv1.weight",
        patch_bias: None,
        class: Some(("visual.class_embedding", &[])),
        positions: ("visual.positional_embedding", &[]),
        before: Some("visual.ln_pre"),
        blocks: stack,
        after: "visual.ln_post",
    };
    let side = side.unwrap_or_else(|| side_of(tokens, patch));
    let tower = Vision::new(w, &outside, names, &shape, side, patch)?;
    let (_, output) = matrix(w, "visual.proj")?;
    Ok(tower.projected_by(Linear::turned(w, "visual.proj", width, output)?))
}

/// CLIP's own text transformer, at the root or below `text.`.
fn text(w: &mut Weights, heads: Option<i64>, activation: Activation) -> Result<Text, EncoderError> {
    let prefix = if w.has("text.token_embedding.weight") {
        "text."
    } else {
        ""
    };
    let at = |name: &str| format!("{prefix}{name}");
    w.ignore(&at("attn_mask"));
    let (vocabulary, width) = matrix(w, &at("token_embedding.weight"))?;
    let (context, _) = matrix(w, &at("positional_embedding"))?;
    let names = &Names::OPEN_CLIP;
    let (stack, heads) = (at("transformer"), heads.unwrap_or(width / HEAD));
    let shape = Shape::inferred(w, &stack, names, heads, activation, 1e-5)?;
    let projection = at("text_projection");
    let (_, output) = matrix(w, &projection)?;
    let head = Head::Linear(Linear::turned(w, &projection, width, output)?);
    let outside = text::Outside {
        tokens: &at("token_embedding.weight"),
        positions: &at("positional_embedding"),
        segments: None,
        before: None,
        blocks: &stack,
        after: Some(&at("ln_final")),
    };
    let tables = (vocabulary, context);
    Text::new(w, &outside, names, &shape, tables, Reading::Highest, head)
}

impl VisionConfig {
    /// timm's plain ViT below `visual.trunk.`: a class token, exact GELU, norms with ε = 10⁻⁶.
    fn timm(&self, w: &mut Weights) -> Result<Vision, EncoderError> {
        let name = self.timm_model_name.as_ref();
        let plain = name.is_some_and(|name| is_plain_vit(name));
        if !plain {
            return unsupported("timm_model_name", name);
        }
        if !matches!(self.timm_pool.as_deref(), Some("" | "token")) {
            return unsupported("timm_pool", self.timm_pool.as_ref());
        }
        let at = |part: &str| format!("visual.trunk.{part}");
        let convolution = at("patch_embed.proj.weight");
        let [width, _, _, patch] = w.shape(&convolution)?[..] else {
            let text = format!("`{convolution}` is no convolution");
            return Err(EncoderError::Unsupported(text));
        };
        let names = &Names::TIMM;
        let stack = "visual.trunk";
        let shape = Shape::inferred(w, stack, names, width / HEAD, Activation::Gelu, 1e-6)?;
        let outside = vision::Outside {
            patches: &convolution,
            patch_bias: Some(&at("patch_embed.proj.bias")),
            class: Some((&at("cls_token"), &[1, 1])),
            positions: (&at("pos_embed"), &[1]),
            before: None,
            blocks: stack,
            after: &at("norm"),
        };
        let side = self.image_size.unwrap_or(224);
        let tower = Vision::new(w, &outside, names, &shape, side, patch)?;
        match self.timm_proj.as_deref() {
            None | Some("linear") => {
                let (output, _) = matrix(w, "visual.head.proj.weight")?;
                let bias = self.timm_proj_bias.then_some("visual.head.proj.bias");
                let layer = Linear::named(w, "visual.head.proj.weight", bias, output, width)?;
                Ok(tower.projected_by(layer))
            }
            Some("") => Ok(tower),
            Some(_) => unsupported("timm_proj", self.timm_proj.as_ref()),
        }
    }
}

/// `vit_SIZE_patchN_SIDE`, perhaps with a tag behind a dot. Names with more in them differ in more than weights.
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

impl TextConfig {
    /// Hugging Face's `BertModel` below `text.transformer.`, without its pooler: exact GELU, norms with ε = 10⁻¹².
    fn bert(&self, w: &mut Weights) -> Result<Text, EncoderError> {
        let at = |part: &str| format!("text.transformer.{part}");
        let words = at("embeddings.word_embeddings.weight");
        let first = at("encoder.layer.0.attention.self.query.weight");
        if !w.has(&words) || !w.has(&first) {
            return unsupported("hf_model_name", self.hf_model_name.as_ref());
        }
        w.ignore(&at("embeddings.position_ids"));
        let reading = match self.hf_pooler_type.as_deref() {
            Some("cls_last_hidden_state_pooler") => Reading::First,
            Some("mean_pooler") => Reading::Mean,
            _ => return unsupported("hf_pooler_type", self.hf_pooler_type.as_ref()),
        };
        let (vocabulary, width) = matrix(w, &words)?;
        let (context, _) = matrix(w, &at("embeddings.position_embeddings.weight"))?;
        let names = &Names::BERT;
        let stack = at("encoder");
        let shape = Shape::inferred(w, &stack, names, width / HEAD, Activation::Gelu, 1e-12)?;
        let head = self.head(w, width)?;
        let outside = text::Outside {
            tokens: &words,
            positions: &at("embeddings.position_embeddings.weight"),
            segments: Some(&at("embeddings.token_type_embeddings.weight")),
            before: Some(&at("embeddings.LayerNorm")),
            blocks: &stack,
            after: None,
        };
        let tables = (vocabulary, context);
        Text::new(w, &outside, names, &shape, tables, reading, head)
    }

    fn head(&self, w: &mut Weights, width: i64) -> Result<Head, EncoderError> {
        match self.hf_proj_type.as_deref() {
            None => Ok(Head::None),
            Some("linear") => {
                let (output, _) = matrix(w, "text.proj.weight")?;
                let layer = Linear::named(w, "text.proj.weight", None, output, width)?;
                Ok(Head::Linear(layer))
            }
            Some("mlp") => {
                let (hidden, _) = matrix(w, "text.proj.0.weight")?;
                let (output, _) = matrix(w, "text.proj.2.weight")?;
                let up = Linear::named(w, "text.proj.0.weight", None, hidden, width)?;
                let down = Linear::named(w, "text.proj.2.weight", None, output, hidden)?;
                Ok(Head::Mlp(up, down))
            }
            Some(_) => unsupported("hf_proj_type", self.hf_proj_type.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_vits_are_taken_for_plain_vits() {
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
        let read = |json: &str| serde_json::from_str::<VisionConfig>(json).unwrap();
        let usual = r#"{"image_size": 224, "layers": 12, "pool_type": "tok", "no_ln_pre": false, "ls_init_value": null}"#;
        assert!(known(&read(usual).rest).is_ok());
        let error = known(&read(r#"{"no_ln_pre": true}"#).rest)
            .unwrap_err()
            .to_string();
        assert!(error.contains("`no_ln_pre` = true"), "{error}");
        let error = known(&read(r#"{"pool_type": "avg"}"#).rest)
            .unwrap_err()
            .to_string();
        assert!(error.contains("pool_type"), "{error}");
    }

    #[test]
    fn what_a_bert_tower_leaves_out_is_open_clips_default() {
        let read = |json: &str| serde_json::from_str::<TextConfig>(json).unwrap();
        let usual = read(r#"{"hf_model_name": "bert"}"#);
        assert_eq!(usual.hf_proj_type.as_deref(), Some("mlp"));
        assert_eq!(usual.hf_pooler_type.as_deref(), Some("mean_pooler"));
        let older = read(r#"{"proj": "linear", "pooler_type": "cls_last_hidden_state_pooler"}"#);
        assert_eq!(older.hf_proj_type.as_deref(), Some("linear"));
        assert_eq!(read(r#"{"hf_proj_type": null}"#).hf_proj_type, None);
    }

    #[test]
    fn the_side_follows_from_patches_and_positions() {
        assert_eq!(side_of(50, 32), 224);
        assert_eq!(side_of(577, 14), 336);
    }
}
