//! CLIP as Hugging Face's `CLIPModel` lays it out (Radford et al. 2021): a ViT and a causal text transformer,
//! each projected into one space.

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::tokenize::Tokenizer;
use super::transformer::{Activation, LayerNorm, Shape, Transformer};
use super::weights::Backing;
use super::{Encoder, EncoderError, Input, ModelCard, Preprocess, Tokenized, Weights};

/// `config.json` of a `CLIPModel`; what it leaves out has transformers' default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    text_config: TextConfig,
    vision_config: VisionConfig,
    projection_dim: Option<i64>,
}

/// The text tower's part.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct TextConfig {
    vocab_size: i64,
    hidden_size: i64,
    intermediate_size: i64,
    num_hidden_layers: usize,
    num_attention_heads: i64,
    max_position_embeddings: i64,
    hidden_act: String,
    layer_norm_eps: f64,
    eos_token_id: i64,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
        }
    }
}

/// The vision tower's part.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct VisionConfig {
    hidden_size: i64,
    intermediate_size: i64,
    num_hidden_layers: usize,
    num_attention_heads: i64,
    num_channels: i64,
    image_size: i64,
    patch_size: i64,
    hidden_act: String,
    layer_norm_eps: f64,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
        }
    }
}

impl ClipConfig {
    /// Length of the longest text, in tokens with the two marks.
    pub fn context_length(&self) -> usize {
        self.text_config.max_position_embeddings.max(0) as usize
    }

    /// Side of the pictures that the vision tower takes, in pixels.
    pub fn image_size(&self) -> usize {
        self.vision_config.image_size.max(0) as usize
    }

    /// Which token's state stands for the text. Checkpoints from before transformers 4.31 carry the wrong id 2;
    /// for them it is the highest id, which is the end mark in CLIP's vocabulary.
    fn pooled_position(&self, ids: &[u32]) -> i64 {
        let end = self.text_config.eos_token_id;
        let highest = ids.iter().max().copied();
        let position = if end == 2 {
            ids.iter().position(|&id| Some(id) == highest)
        } else {
            ids.iter().position(|&id| i64::from(id) == end)
        };
        position.unwrap_or(0) as i64
    }

    /// Embedding length; `text_projection` has the last word.
    fn projection(&self, weights: &Weights) -> Result<i64, EncoderError> {
        let found = weights.shape("text_projection.weight")?;
        let expected = self
            .projection_dim
            .or_else(|| found.first().copied())
            .unwrap_or(512);
        Ok(expected)
    }
}

/// The vision tower.
struct Vision {
    class: Tensor,
    patches: Tensor,
    positions: Tensor,
    before: LayerNorm,
    blocks: Transformer,
    after: LayerNorm,
    projection: Tensor,
    patch: i64,
    width: i64,
}

impl Vision {
    fn new(w: &mut Weights, c: &VisionConfig, projection: i64) -> Result<Self, EncoderError> {
        let (d, p) = (c.hidden_size, c.patch_size);
        if p < 1 || c.image_size < p || c.image_size > 4096 {
            let text = format!(
                "an image size of {} with patches of {p} cannot be used",
                c.image_size
            );
            return Err(EncoderError::Unsupported(text));
        }
        let tokens = (c.image_size / p).pow(2) + 1;
        let at = |part: &str| format!("vision_model.{part}");
        w.ignore(&at("embeddings.position_ids"));
        Ok(Self {
            class: w.take(&at("embeddings.class_embedding"), &[d])?,
            patches: w.take(
                &at("embeddings.patch_embedding.weight"),
                &[d, c.num_channels, p, p],
            )?,
            positions: w.take(&at("embeddings.position_embedding.weight"), &[tokens, d])?,
            before: LayerNorm::new(w, &at("pre_layrnorm"), d, c.layer_norm_eps)?, // the format's own spelling
            blocks: Transformer::new(
                w,
                &at("encoder"),
                Shape {
                    width: d,
                    hidden: c.intermediate_size,
                    heads: c.num_attention_heads,
                    layers: c.num_hidden_layers,
                    activation: Activation::parse(&c.hidden_act)?,
                    eps: c.layer_norm_eps,
                },
            )?,
            after: LayerNorm::new(w, &at("post_layernorm"), d, c.layer_norm_eps)?,
            projection: w.take("visual_projection.weight", &[projection, d])?,
            patch: p,
            width: d,
        })
    }

    /// `[b, patches + 1, d]`: the states behind the last block, the class token first.
    fn states(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        let batch = pixels.size()[0];
        let none: Option<&Tensor> = None;
        let x = pixels.f_conv2d(
            &self.patches,
            none,
            [self.patch, self.patch],
            [0, 0],
            [1, 1],
            1,
        )?; // [b, d, h/p, w/p]
        let x = x.f_flatten(2, 3)?.f_transpose(1, 2)?; // [b, patches, d]
        let class = self.class.f_expand([batch, 1, self.width], false)?;
        let x = Tensor::f_cat(&[class, x], 1)?.f_add(&self.positions)?; // [b, patches + 1, d]
        self.blocks.forward(self.before.forward(&x)?, false)
    }

    fn pool(&self, states: &Tensor) -> Result<Tensor, EncoderError> {
        let none: Option<&Tensor> = None;
        let x = self.after.forward(&states.f_select(1, 0)?)?; // [b, d], the class token
        Ok(x.f_linear(&self.projection, none)?) // [b, projection]
    }
}

/// The text tower.
struct Text {
    tokens: Tensor,
    positions: Tensor,
    blocks: Transformer,
    after: LayerNorm,
    projection: Tensor,
}

impl Text {
    fn new(w: &mut Weights, c: &TextConfig, projection: i64) -> Result<Self, EncoderError> {
        let d = c.hidden_size;
        let at = |part: &str| format!("text_model.{part}");
        w.ignore(&at("embeddings.position_ids"));
        Ok(Self {
            tokens: w.take(&at("embeddings.token_embedding.weight"), &[c.vocab_size, d])?,
            positions: w.take(
                &at("embeddings.position_embedding.weight"),
                &[c.max_position_embeddings, d],
            )?,
            blocks: Transformer::new(
                w,
                &at("encoder"),
                Shape {
                    width: d,
                    hidden: c.intermediate_size,
                    heads: c.num_attention_heads,
                    layers: c.num_hidden_layers,
                    activation: Activation::parse(&c.hidden_act)?,
                    eps: c.layer_norm_eps,
                },
            )?,
            after: LayerNorm::new(w, &at("final_layer_norm"), d, c.layer_norm_eps)?,
            projection: w.take("text_projection.weight", &[projection, d])?,
        })
    }

    /// `ids`: `[batch, tokens]`, padded at the end with anything: the mask is causal and `ends` come before it.
    fn forward(&self, ids: &Tensor, ends: &Tensor) -> Result<Tensor, EncoderError> {
        let (batch, length) = ids.size2()?;
        let x = Tensor::f_embedding(&self.tokens, ids, -1, false, false)?; // [b, t, d]
        let x = x.f_add(&self.positions.f_narrow(0, 0, length)?)?;
        let x = self.blocks.forward(x, true)?;
        let rows = Tensor::f_arange(batch, (Kind::Int64, ids.device()))?;
        let x = x.f_index(&[Some(rows), Some(ends.shallow_clone())])?; // [b, d], the end mark's state
        let none: Option<&Tensor> = None;
        Ok(self.after.forward(&x)?.f_linear(&self.projection, none)?) // [b, projection]
    }
}

/// Both towers as functions of tensors; training differentiates through them, [`ClipEncoder`] runs them.
pub struct Clip {
    config: ClipConfig,
    vision: Vision,
    text: Text,
    logit_scale: Tensor,
    dimension: usize,
    _backing: Vec<Backing>,
}

impl Clip {
    /// Builds the model; every tensor must have the configuration's shape, and none may be left over.
    pub fn new(config: &ClipConfig, mut weights: Weights) -> Result<Self, EncoderError> {
        let projection = config.projection(&weights)?;
        let vision = Vision::new(&mut weights, &config.vision_config, projection)?;
        let text = Text::new(&mut weights, &config.text_config, projection)?;
        let logit_scale = weights.take("logit_scale", &[])?;
        let backing = weights.finish()?;
        let dimension = projection.max(0) as usize;
        Ok(Self {
            config: config.clone(),
            vision,
            text,
            logit_scale,
            dimension,
            _backing: backing,
        })
    }

    /// Normalised pixels `[batch, 3, size, size]` → `[batch, projection]`, not yet unit vectors.
    pub fn image_features(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        self.pool(&self.image_states(pixels)?)
    }

    /// Normalised pixels → `[batch, patches + 1, width]`, the class token's state first; training also looks at the
    /// patches.
    pub fn image_states(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        self.vision.states(pixels)
    }

    /// States → `[batch, projection]`, not yet unit vectors.
    pub fn pool(&self, states: &Tensor) -> Result<Tensor, EncoderError> {
        self.vision.pool(states)
    }

    /// Token ids → `[batch, projection]`, not yet unit vectors.
    pub fn text_features(&self, batch: &[Tokenized]) -> Result<Tensor, EncoderError> {
        let length = batch.iter().map(|t| t.ids.len()).max().unwrap_or(0);
        let mut ids = vec![0_i64; batch.len() * length];
        for (row, text) in ids.chunks_mut(length.max(1)).zip(batch) {
            for (slot, &id) in row.iter_mut().zip(&text.ids) {
                *slot = i64::from(id);
            }
        }
        let ends: Vec<i64> = batch
            .iter()
            .map(|t| self.config.pooled_position(&t.ids))
            .collect();
        let device = self.logit_scale.device();
        let ids = Tensor::f_from_slice(&ids)?
            .f_view([batch.len() as i64, length as i64])?
            .f_to_device(device)?;
        let ends = Tensor::f_from_slice(&ends)?.f_to_device(device)?;
        self.text.forward(&ids, &ends)
    }

    /// Natural logarithm of the factor from cosine to logit, a scalar tensor.
    pub fn logit_scale(&self) -> &Tensor {
        &self.logit_scale
    }
}

/// The number of texts encoded at a time: enough to keep the cores busy, few enough to stay small in memory.
const TEXT_BATCH: usize = 64;

/// A [`Clip`] with its tokenizer and preprocessing, ready to be asked.
pub struct ClipEncoder {
    clip: Clip,
    card: ModelCard,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
    /// Per channel factor and offset from bytes to normalised values, `[1, 3, 1, 1]`.
    scale: Tensor,
    offset: Tensor,
    device: Device,
}

/// The parts that [`ClipEncoder::new`] joins.
pub(super) struct Parts {
    pub(super) id: String,
    pub(super) digest: String,
    pub(super) synthetic_only: bool,
    pub(super) device: Device,
    pub(super) config: ClipConfig,
    pub(super) weights: Weights,
    pub(super) tokenizer: Tokenizer,
    pub(super) preprocess: Preprocess,
}

impl ClipEncoder {
    pub(super) fn new(parts: Parts) -> Result<Self, EncoderError> {
        let Parts {
            id,
            digest,
            synthetic_only,
            device,
            config,
            weights,
            tokenizer,
            preprocess,
        } = parts;
        let side = config.image_size();
        if (preprocess.width(), preprocess.height()) != (side, side) {
            return Err(EncoderError::Unsupported(format!(
                "the preprocessing makes pictures of {}×{}, the model takes {side}×{side}",
                preprocess.width(),
                preprocess.height(),
            )));
        }
        let clip = Clip::new(&config, weights)?;
        let logit_scale = clip.logit_scale.f_double_value(&[])?.exp();
        if !logit_scale.is_finite() {
            return Err(EncoderError::Unsupported(
                "logit_scale is not a finite number".into(),
            ));
        }
        let (mean, std) = preprocess.normalisation();
        let per_channel = |f: &dyn Fn(usize) -> f32| -> Result<Tensor, EncoderError> {
            let values: Vec<f32> = (0..3).map(f).collect();
            Ok(Tensor::f_from_slice(&values)?
                .f_view([1, 3, 1, 1])?
                .f_to_device(device)?)
        };
        let rescale = preprocess.rescale();
        let scale = per_channel(&|c| rescale / std[c])?;
        let offset = per_channel(&|c| -mean[c] / std[c])?;
        let dimension = clip.dimension;
        let device_name = match device {
            Device::Cuda(index) => format!("cuda:{index}"),
            _ => "cpu".to_owned(),
        };
        let card = ModelCard {
            id,
            digest,
            device: device_name,
            dimension,
            logit_scale,
            synthetic_only,
        };
        Ok(Self {
            clip,
            card,
            tokenizer,
            preprocess,
            scale,
            offset,
            device,
        })
    }

    /// Ids of a text as the model receives them.
    pub fn tokenize(&self, text: &str) -> Result<Tokenized, EncoderError> {
        self.tokenizer.encode(text)
    }

    /// Bytes `[batch, size, size, 3]` → normalised `[batch, 3, size, size]`.
    fn pixels(&self, batch: &[Input]) -> Result<Tensor, EncoderError> {
        let (w, h) = (self.preprocess.width(), self.preprocess.height());
        let mut bytes = Vec::with_capacity(batch.len() * w * h * 3);
        for input in batch {
            bytes.extend_from_slice(input.bytes());
        }
        let shape = [batch.len() as i64, h as i64, w as i64, 3];
        let x = Tensor::f_from_data_size(&bytes, &shape, Kind::Uint8)?.f_to_device(self.device)?;
        let x = x
            .f_permute([0, 3, 1, 2])?
            .f_to_kind(Kind::Float)?
            .f_contiguous()?;
        Ok(x.f_mul(&self.scale)?.f_add(&self.offset)?)
    }
}

/// Rows of `[n, d]` as unit vectors.
fn unit_rows(x: &Tensor) -> Result<Vec<Vec<f32>>, EncoderError> {
    let norm = x.f_norm_scalaropt_dim(2.0, [1], true)?;
    let x = x
        .f_div(&norm)?
        .f_to_kind(Kind::Float)?
        .f_to_device(Device::Cpu)?
        .f_contiguous()?;
    let (rows, width) = x.size2()?;
    let mut flat = vec![0.0_f32; (rows * width) as usize];
    let count = flat.len();
    x.f_copy_data(&mut flat, count)?;
    Ok(flat
        .chunks(width.max(1) as usize)
        .map(<[f32]>::to_vec)
        .collect())
}

impl Encoder for ClipEncoder {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn preprocess(&self) -> Preprocess {
        self.preprocess.clone()
    }

    fn encode_images(&mut self, batch: &[Input]) -> Result<Vec<Vec<f32>>, EncoderError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let _guard = tch::no_grad_guard();
        unit_rows(&self.clip.image_features(&self.pixels(batch)?)?)
    }

    fn encode_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let _guard = tch::no_grad_guard();
        let mut rows = Vec::with_capacity(texts.len());
        for chunk in texts.chunks(TEXT_BATCH) {
            let tokens = chunk
                .iter()
                .map(|text| self.tokenize(text))
                .collect::<Result<Vec<_>, _>>()?;
            rows.extend(unit_rows(&self.clip.text_features(&tokens)?)?);
        }
        Ok(rows)
    }

    fn unknown_words(&self, texts: &[String]) -> Vec<String> {
        self.tokenizer.unknown_words(texts)
    }
}
