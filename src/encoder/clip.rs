//! CLIP as Hugging Face's `CLIPModel` lays it out (Radford et al. 2021): a ViT and a causal text transformer,
//! each projected into one space.

use serde::Deserialize;

use super::names::Names;
use super::text::{self, Head, Reading, Text};
use super::towers::Towers;
use super::transformer::{Activation, Linear, Shape};
use super::vision::{self, Vision};
use super::{EncoderError, Weights};

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

    /// Rows of the token table.
    pub(super) fn vocabulary(&self) -> usize {
        self.text_config.vocab_size.max(0) as usize
    }

    /// Which token's state stands for the text. Checkpoints from before transformers 4.31 carry the wrong id 2;
    /// for them it is the highest id.
    fn reading(&self) -> Reading {
        match self.text_config.eos_token_id {
            2 => Reading::Highest,
            end => Reading::End(end),
        }
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

    /// Builds the model; every tensor must have the configuration's shape, and none may be left over.
    pub fn build(&self, mut weights: Weights) -> Result<Towers, EncoderError> {
        let w = &mut weights;
        let projection = self.projection(w)?;
        // Positions as numbers, which some exports carry and which are 0, 1, 2, …
        w.ignore("text_model.embeddings.position_ids");
        w.ignore("vision_model.embeddings.position_ids");
        let vision = self.vision_config.tower(w, projection)?;
        let text = self.text_config.tower(w, projection, self.reading())?;
        Towers::new(weights, vision, text)
    }
}

impl VisionConfig {
    fn tower(&self, w: &mut Weights, projection: i64) -> Result<Vision, EncoderError> {
        if self.num_channels != 3 {
            let text = format!(
                "pictures of {} channels are not supported",
                self.num_channels
            );
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
            patch_bias: None,
            class: Some(("vision_model.embeddings.class_embedding", &[])),
            positions: ("vision_model.embeddings.position_embedding.weight", &[]),
            before: Some("vision_model.pre_layrnorm"), // the format's own spelling
            blocks: "vision_model.encoder",
            after: "vision_model.post_layernorm",
        };
        let (side, patch) = (self.image_size, self.patch_size);
        let tower = Vision::new(w, &outside, &Names::HUGGING_FACE, &shape, side, patch)?;
        let name = "visual_projection.weight";
        let layer = Linear::named(w, name, None, projection, shape.width)?;
        Ok(tower.projected_by(layer))
    }
}

impl TextConfig {
    fn tower(
        &self,
        w: &mut Weights,
        projection: i64,
        reading: Reading,
    ) -> Result<Text, EncoderError> {
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
        let name = "text_projection.weight";
        let head = Linear::named(w, name, None, projection, shape.width)?;
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
