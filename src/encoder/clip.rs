//! Hugging Face's `CLIPModel` (Radford et al. 2021): a ViT and a causal text transformer, both projected into one space.

use serde::Deserialize;

use super::block_names::BlockNames;
use super::layers::{Activation, Linear};
use super::text::{Pooling, ProjectionHead, TextTensorNames, TextTower};
use super::towers::Towers;
use super::transformer::TransformerConfig;
use super::vision::{VisionTensorNames, VisionTower};
use super::{EncoderError, Weights};

/// `config.json` of a `CLIPModel`; keys that are left out have the defaults of the `transformers` library.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    text_config: ClipTextConfig,
    vision_config: ClipVisionConfig,
    /// From transformers before 4.22; where it is present, it counts, and what it leaves out has the default.
    text_config_dict: Option<ClipTextConfig>,
    /// As [`Self::text_config_dict`].
    vision_config_dict: Option<ClipVisionConfig>,
    projection_dim: Option<i64>,
}

/// `text_config`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct ClipTextConfig {
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

impl Default for ClipTextConfig {
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

/// `vision_config`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct ClipVisionConfig {
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

impl Default for ClipVisionConfig {
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
    fn text(&self) -> &ClipTextConfig {
        self.text_config_dict.as_ref().unwrap_or(&self.text_config)
    }

    fn vision(&self) -> &ClipVisionConfig {
        let newer = self.vision_config_dict.as_ref();
        newer.unwrap_or(&self.vision_config)
    }

    /// Maximum length of a text in tokens, begin and end tokens included.
    pub fn context_length(&self) -> usize {
        self.text().max_position_embeddings.max(0) as usize
    }

    /// Number of token ids.
    pub(super) fn vocabulary(&self) -> usize {
        self.text().vocab_size.max(0) as usize
    }

    /// How a text is pooled: at its end token. Checkpoints from before transformers 4.31 give its id wrongly as 2; in them the
    /// end token has the highest id.
    fn pooling(&self) -> Pooling {
        match self.text().eos_token_id {
            2 => Pooling::HighestToken,
            end => Pooling::EndToken(end),
        }
    }

    /// Length of an embedding: `projection_dim`, or what the weights of `text_projection` say where that is left out.
    fn projection(&self, weights: &Weights) -> Result<i64, EncoderError> {
        let found = weights.shape("text_projection.weight")?;
        let expected = self
            .projection_dim
            .or_else(|| found.first().copied())
            .unwrap_or(512);
        Ok(expected)
    }

    /// Builds the model. Every tensor must have the shape that the configuration implies, and none may be left over.
    pub fn build(&self, mut weights: Weights) -> Result<Towers, EncoderError> {
        let w = &mut weights;
        let projection = self.projection(w)?;
        // Some exports contain the position indices 0, 1, 2, …, which are not weights.
        w.ignore("text_model.embeddings.position_ids");
        w.ignore("vision_model.embeddings.position_ids");
        let vision = self.vision().tower(w, projection)?;
        let text = self.text().tower(w, projection, self.pooling())?;
        Towers::new(weights, vision, text)
    }
}

impl ClipVisionConfig {
    fn tower(&self, w: &mut Weights, projection: i64) -> Result<VisionTower, EncoderError> {
        if self.num_channels != 3 {
            let text = format!(
                "models for images with {} channels are not supported",
                self.num_channels
            );
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
            patch_bias: None,
            class_token: Some(("vision_model.embeddings.class_embedding", &[])),
            position_embedding: ("vision_model.embeddings.position_embedding.weight", &[]),
            pre_norm: Some("vision_model.pre_layrnorm"), // the format's own spelling
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
        let name = "visual_projection.weight";
        let layer = Linear::named(w, name, None, projection, config.width)?;
        Ok(tower.projected_by(layer))
    }
}

impl ClipTextConfig {
    fn tower(
        &self,
        w: &mut Weights,
        projection: i64,
        pooling: Pooling,
    ) -> Result<TextTower, EncoderError> {
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
        let name = "text_projection.weight";
        let head = Linear::named(w, name, None, projection, config.width)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_keys_of_a_configuration_count_where_they_are_present() {
        let read = |json: &str| serde_json::from_str::<ClipConfig>(json).unwrap();
        let both = read(
            r#"{"text_config": {"max_position_embeddings": 12, "vocab_size": 9}, "text_config_dict": {"vocab_size": 8},
                "vision_config": {"image_size": 64}, "vision_config_dict": null}"#,
        );
        assert_eq!((both.vocabulary(), both.context_length()), (8, 77));
        assert_eq!(both.vision().image_size, 64);
    }
}
