//! Hugging Face's `SiglipModel` (Zhai et al. 2023): a pooling head instead of a class token, texts that are always padded to
//! the same length and read without a mask, and a sigmoid with a bias instead of a softmax.

use serde::Deserialize;

use super::block_names::BlockNames;
use super::layers::{Activation, Linear};
use super::text::{Pooling, ProjectionHead, TextTensorNames, TextTower};
use super::towers::Towers;
use super::transformer::{AttentionPool, TransformerConfig};
use super::vision::{VisionPooling, VisionTensorNames, VisionTower};
use super::{EncoderError, Weights};

/// `config.json` of a `SiglipModel`; keys that are left out have the defaults of the `transformers` library.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SiglipConfig {
    text_config: SiglipTextConfig,
    vision_config: SiglipVisionConfig,
}

/// `text_config`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct SiglipTextConfig {
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

impl Default for SiglipTextConfig {
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

/// `vision_config`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct SiglipVisionConfig {
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

impl Default for SiglipVisionConfig {
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
    /// Positions that the text tower has.
    pub(super) fn context_length(&self) -> usize {
        self.text_config.max_position_embeddings.max(0) as usize
    }

    /// The id of the padding token, for when the tokenizer does not name it.
    pub(super) fn pad_token(&self) -> Option<u32> {
        self.text_config.pad_token_id
    }

    /// Builds the model; each text is padded to `length` tokens with `pad`. Every tensor must have the shape that the configuration
    /// implies, and none may be left over.
    pub(super) fn build(
        &self,
        mut weights: Weights,
        (length, pad): (usize, u32),
    ) -> Result<Towers, EncoderError> {
        let w = &mut weights;
        w.ignore("text_model.embeddings.position_ids");
        w.ignore("vision_model.embeddings.position_ids");
        let vision = self.vision_config.tower(w)?;
        let text = self.text_config.tower(w, Pooling::Padded { length, pad })?;
        w.shape("logit_bias")?; // SigLIP is never without it.
        Towers::new(weights, vision, text)
    }
}

impl SiglipVisionConfig {
    fn tower(&self, w: &mut Weights) -> Result<VisionTower, EncoderError> {
        if !self.vision_use_head {
            let text = "vision_use_head = false is not supported".into();
            return Err(EncoderError::Unsupported(text));
        }
        let config = TransformerConfig {
            width: self.hidden_size,
            hidden: self.intermediate_size,
            heads: self.num_attention_heads,
            layers: self.num_hidden_layers,
            activation: Activation::parse(&self.hidden_act)?,
            eps: self.layer_norm_eps,
        };
        let tensor_names = VisionTensorNames {
            patch_embedding: "vision_model.embeddings.patch_embedding.weight",
            patch_bias: Some("vision_model.embeddings.patch_embedding.bias"),
            class_token: None,
            position_embedding: ("vision_model.embeddings.position_embedding.weight", &[]),
            pre_norm: None,
            blocks: "vision_model.encoder",
            post_norm: "vision_model.post_layernorm",
        };
        let (side, patch) = (self.image_size, self.patch_size);
        let tower = VisionTower::new(
            w,
            &tensor_names,
            &BlockNames::HUGGING_FACE,
            &config,
            side,
            patch,
        )?;
        let head = AttentionPool::new(w, "vision_model.head", &config)?;
        Ok(tower.pooled_by(VisionPooling::Attention(head)))
    }
}

impl SiglipTextConfig {
    fn tower(&self, w: &mut Weights, pooling: Pooling) -> Result<TextTower, EncoderError> {
        let config = TransformerConfig {
            width: self.hidden_size,
            hidden: self.intermediate_size,
            heads: self.num_attention_heads,
            layers: self.num_hidden_layers,
            activation: Activation::parse(&self.hidden_act)?,
            eps: self.layer_norm_eps,
        };
        let tensor_names = TextTensorNames {
            token_embedding: "text_model.embeddings.token_embedding.weight",
            position_embedding: "text_model.embeddings.position_embedding.weight",
            segment_embedding: None,
            pre_norm: None,
            blocks: "text_model.encoder",
            post_norm: Some("text_model.final_layer_norm"),
        };
        let projection = self.projection_size.unwrap_or(self.hidden_size);
        let head = Linear::new(w, "text_model.head", projection, config.width)?;
        let tables = (self.vocab_size, self.max_position_embeddings);
        let block_names = &BlockNames::HUGGING_FACE;
        TextTower::new(
            w,
            &tensor_names,
            block_names,
            &config,
            tables,
            pooling,
            ProjectionHead::Linear(head),
        )
    }
}
