//! Towers by OpenAI's names of tensors, which open_clip's own towers share.

use super::HEAD_WIDTH;
use crate::encoder::block_names::BlockNames;
use crate::encoder::layers::{Activation, Linear};
use crate::encoder::resnet::{REDUCTION, ResidualTower};
use crate::encoder::text::{Pooling, ProjectionHead, TextTensorNames, TextTower};
use crate::encoder::towers::{ImageTower, Towers};
use crate::encoder::transformer::TransformerConfig;
use crate::encoder::vision::{VisionTensorNames, VisionTower};
use crate::encoder::{EncoderError, Weights};

/// Builds a model from a state dictionary in OpenAI's format: all dimensions come from the weights, the activation is
/// QuickGELU.
pub(in crate::encoder) fn state_dict(mut weights: Weights) -> Result<Towers, EncoderError> {
    let w = &mut weights;
    // OpenAI's archives contain these beside the weights; its own loader drops them, too.
    for name in ["input_resolution", "context_length", "vocab_size"] {
        w.ignore(name);
    }
    let vision = vision(w, None, HEAD_WIDTH, Activation::QuickGelu)?;
    let text = text(w, None, Activation::QuickGelu)?;
    Towers::new(weights, vision, text)
}

/// The side of the images in pixels and the number of token positions of a state dictionary in OpenAI's format.
pub(in crate::encoder) fn state_dict_sizes(w: &Weights) -> Result<(usize, usize), EncoderError> {
    let side = if ResidualTower::is_in(w) {
        let positions = w.shape("visual.attnpool.positional_embedding")?;
        side_of(positions.first().copied().unwrap_or(0), REDUCTION)
    } else {
        let patch = w.shape("visual.conv1.weight")?.last().copied().unwrap_or(0);
        side_of(matrix_shape(w, "visual.positional_embedding")?.0, patch)
    };
    let texts = format!("{}positional_embedding", text_prefix(w));
    let (context, _) = matrix_shape(w, &texts)?;
    Ok((side.max(0) as usize, context.max(0) as usize))
}

/// Rows and columns of a matrix.
pub(super) fn matrix_shape(w: &Weights, name: &str) -> Result<(i64, i64), EncoderError> {
    match w.shape(name)?[..] {
        [rows, columns] => Ok((rows, columns)),
        _ => Err(EncoderError::Unsupported(format!(
            "`{name}` is not a matrix"
        ))),
    }
}

/// Side of the images, in pixels, by the number of positions, one of which is the class token's.
fn side_of(positions: i64, patch: i64) -> i64 {
    let patches = (positions - 1).max(0) as f64;
    patches.sqrt().round() as i64 * patch
}

/// CLIP's own image tower below `visual.`, of either architecture.
pub(super) fn vision(
    w: &mut Weights,
    side: Option<i64>,
    head: i64,
    activation: Activation,
) -> Result<ImageTower, EncoderError> {
    if ResidualTower::is_in(w) {
        return Ok(ResidualTower::new(w, head, side)?.into());
    }
    Ok(vision_transformer(w, side, head, activation)?.into())
}

/// CLIP's own vision transformer below `visual.`.
fn vision_transformer(
    w: &mut Weights,
    side: Option<i64>,
    head: i64,
    activation: Activation,
) -> Result<VisionTower, EncoderError> {
    let patch = w.shape("visual.conv1.weight")?.last().copied().unwrap_or(0);
    let (tokens, width) = matrix_shape(w, "visual.positional_embedding")?;
    let block_names = &BlockNames::OPEN_CLIP;
    let (stack, heads) = ("visual.transformer", width / head.max(1));
    let config = TransformerConfig::inferred(w, stack, block_names, heads, activation, 1e-5)?;
    let tensor_names = VisionTensorNames {
        patch_embedding: "visual.conv1.weight",
        patch_bias: None,
        class_token: Some(("visual.class_embedding", &[])),
        position_embedding: ("visual.positional_embedding", &[]),
        pre_norm: Some("visual.ln_pre"),
        blocks: stack,
        post_norm: "visual.ln_post",
    };
    let side = side.unwrap_or_else(|| side_of(tokens, patch));
    let tower = VisionTower::new(w, &tensor_names, block_names, &config, side, patch)?;
    let (_, output) = matrix_shape(w, "visual.proj")?;
    Ok(tower.projected_by(Linear::transposed(w, "visual.proj", width, output)?))
}

/// What the names of CLIP's own text transformer begin with.
fn text_prefix(w: &Weights) -> &'static str {
    if w.has("text.token_embedding.weight") {
        "text."
    } else {
        ""
    }
}

/// CLIP's own text transformer, at the root or below `text.`.
pub(super) fn text(
    w: &mut Weights,
    heads: Option<i64>,
    activation: Activation,
) -> Result<TextTower, EncoderError> {
    let prefix = text_prefix(w);
    let at = |name: &str| format!("{prefix}{name}");
    w.ignore(&at("attn_mask"));
    let (vocabulary, width) = matrix_shape(w, &at("token_embedding.weight"))?;
    let (context, _) = matrix_shape(w, &at("positional_embedding"))?;
    let block_names = &BlockNames::OPEN_CLIP;
    let (stack, heads) = (at("transformer"), heads.unwrap_or(width / HEAD_WIDTH));
    let config = TransformerConfig::inferred(w, &stack, block_names, heads, activation, 1e-5)?;
    let projection = at("text_projection");
    let (_, output) = matrix_shape(w, &projection)?;
    let head = ProjectionHead::Linear(Linear::transposed(w, &projection, width, output)?);
    let tensor_names = TextTensorNames {
        token_embedding: &at("token_embedding.weight"),
        position_embedding: &at("positional_embedding"),
        segment_embedding: None,
        pre_norm: None,
        blocks: &stack,
        post_norm: Some(&at("ln_final")),
    };
    let tables = (vocabulary, context);
    TextTower::new(
        w,
        &tensor_names,
        block_names,
        &config,
        tables,
        Pooling::HighestToken,
        head,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_side_follows_from_patches_and_positions() {
        assert_eq!(side_of(50, 32), 224);
        assert_eq!(side_of(577, 14), 336);
    }
}
