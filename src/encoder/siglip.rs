//! SigLIP as Hugging Face's `SiglipModel` lays it out (Zhai et al. 2023): no class token but a pooling head, texts
//! that are always filled up to the same length and read without a mask, a sigmoid with a bias instead of a softmax.

use serde::Deserialize;

use super::names::Names;
use super::text::{self, Head, Reading, Text};
use super::towers::Towers;
use super::transformer::{Activation, Linear, MapHead, Shape};
use super::vision::{self, Pool, Vision};
use super::{EncoderError, Weights};

/// `config.json` of a `SiglipModel`; what it leaves out has transformers' default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SiglipConfig {
    text_config: TextConfig,
    vision_config: VisionConfig,
}

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
    projection_size: Option<i64>,
    pad_token_id: Option<u32>,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 32000,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            max_position_embeddings: 64,
            hidden_act: "gelu_pytorch_tanh".into(),
            layer_norm_eps: 1e-6,
            projection_size: None,
            pad_token_id: Some(1),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct VisionConfig {
    hidden_size: i64,
    intermediate_size: i64,
    num_hidden_layers: usize,
    num_attention_heads: i64,
    image_size: i64,
    patch_size: i64,
    hidden_act: String,
    layer_norm_eps: f64,
    vision_use_head: bool,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            image_size: 224,
            patch_size: 16,
            hidden_act: "gelu_pytorch_tanh".into(),
            layer_norm_eps: 1e-6,
            vision_use_head: true,
        }
    }
}

impl SiglipConfig {
    /// Tokens of every text.
    pub(super) fn context_length(&self) -> usize {
        self.text_config.max_position_embeddings.max(0) as usize
    }

    /// The id that fills texts up, where the tokenizer does not say.
    pub(super) fn pad(&self) -> Option<u32> {
        self.text_config.pad_token_id
    }

    /// Builds the model; `pad` is the id that fills texts up. Every tensor must have the configuration's shape, and
    /// none may be left over.
    pub(super) fn build(&self, mut weights: Weights, pad: u32) -> Result<Towers, EncoderError> {
        let w = &mut weights;
        w.ignore("text_model.embeddings.position_ids");
        w.ignore("vision_model.embeddings.position_ids");
        let vision = self.vision_config.tower(w)?;
        let length = self.context_length();
        let text = self.text_config.tower(w, Reading::Padded { length, pad })?;
        w.shape("logit_bias")?;
        Towers::new(weights, vision, text)
    }
}

impl VisionConfig {
    fn tower(&self, w: &mut Weights) -> Result<Vision, EncoderError> {
        if !self.vision_use_head {
            let text = "vision_use_head = false is not supported".into();
            return Err(EncoderError::Unsupported(text));
        }
        let shape = Shape {
            width: self.hidden_size,
            hidden: self.intermediate_size,
            heads: self.num_attention_heads,
            layers: self.num_hidden_layers,
            activation: Activation::parse(&self.hidden_act)?,
            eps: self.layer_norm_eps,
        };
        let outside = vision::Outside {
            patches: "vision_model.embeddings.patch_embedding.weight",
            patch_bias: Some("vision_model.embeddings.patch_embedding.bias"),
            class: None,
            positions: ("vision_model.embeddings.position_embedding.weight", &[]),
            before: None,
            blocks: "vision_model.encoder",
            after: "vision_model.post_layernorm",
        };
        let (side, patch) = (self.image_size, self.patch_size);
        let tower = Vision::new(w, &outside, &Names::HUGGING_FACE, &shape, side, patch)?;
        let head = MapHead::new(w, "vision_model.head", &shape)?;
        Ok(tower.pooled_by(Pool::Map(head)))
    }
}

impl TextConfig {
    fn tower(&self, w: &mut Weights, reading: Reading) -> Result<Text, EncoderError> {
        let shape = Shape {
            width: self.hidden_size,
            hidden: self.intermediate_size,
            heads: self.num_attention_heads,
            layers: self.num_hidden_layers,
            activation: Activation::parse(&self.hidden_act)?,
            eps: self.layer_norm_eps,
        };
        let outside = text::Outside {
            tokens: "text_model.embeddings.token_embedding.weight",
            positions: "text_model.embeddings.position_embedding.weight",
            segments: None,
            before: None,
            blocks: "text_model.encoder",
            after: Some("text_model.final_layer_norm"),
        };
        let projection = self.projection_size.unwrap_or(self.hidden_size);
        let head = Linear::new(w, "text_model.head", projection, shape.width)?;
        let tables = (self.vocab_size, self.max_position_embeddings);
        let names = &Names::HUGGING_FACE;
        Text::new(
            w,
            &outside,
            names,
            &shape,
            tables,
            reading,
            Head::Linear(head),
        )
    }
}
