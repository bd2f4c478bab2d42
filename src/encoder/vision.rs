//! The vision tower: a ViT that turns a square image into one vector.

use tch::{Kind, Tensor};

use super::attribution::{Contributions, windows_left_out};
use super::block_names::BlockNames;
use super::eclip::TracedAttention;
use super::layers::{LayerNorm, Linear};
use super::transformer::{AttentionMask, AttentionPool, Transformer, TransformerConfig};
use super::{EncoderError, Weights};
use crate::scoring::heat_map::MapMethod;

/// How the states of all tokens become one vector.
pub(super) enum VisionPooling {
    /// The state of the class token, which is the first.
    ClassToken,
    /// A learnt probe attends to all patches.
    Attention(AttentionPool),
}

/// A vision transformer.
pub(super) struct VisionTower {
    /// Embeds the pixels of one patch: `[d, 3 · patch · patch]`.
    patch_embedding: Linear,
    /// `[d]`, or with leading dimensions of 1.
    class_token: Option<Tensor>,
    /// `[tokens, d]`, or with leading dimensions of 1.
    position_embedding: Tensor,
    pre_norm: Option<LayerNorm>,
    blocks: Transformer,
    post_norm: LayerNorm,
    pooling: VisionPooling,
    projection: Option<Linear>,
    /// Side of a patch, in pixels.
    patch: i64,
    /// Side of the images, in pixels.
    side: i64,
    /// Length `d` of a token's state.
    width: i64,
}

/// A checkpoint layout's names of the tensors around the transformer blocks.
pub(super) struct VisionTensorNames<'a> {
    /// The convolution that embeds the patches, `[d, 3, patch, patch]`.
    pub(super) patch_embedding: &'a str,
    /// Its bias, if it has one.
    pub(super) patch_bias: Option<&'a str>,
    /// The class token, and its leading dimensions before `d`.
    pub(super) class_token: Option<(&'a str, &'a [i64])>,
    /// The position embeddings, and their leading dimensions before `[tokens, d]`.
    pub(super) position_embedding: (&'a str, &'a [i64]),
    /// The layer norm before the blocks, if there is one.
    pub(super) pre_norm: Option<&'a str>,
    /// The prefix of the blocks' names.
    pub(super) blocks: &'a str,
    /// The layer norm after the blocks.
    pub(super) post_norm: &'a str,
}

impl VisionTower {
    /// Takes the tower's tensors out of `w`. `side` is that of the images, in pixels. Pools the class token and has no
    /// projection: see [`Self::pooled_by`] and [`Self::projected_by`].
    pub(super) fn new(
        w: &mut Weights,
        tensor_names: &VisionTensorNames,
        block_names: &BlockNames,
        config: &TransformerConfig,
        side: i64,
        patch: i64,
    ) -> Result<Self, EncoderError> {
        if patch < 1 || side < patch || side > 4096 {
            return Err(EncoderError::Unsupported(format!(
                "an image size of {side} with patches of {patch} cannot be used"
            )));
        }
        let d = config.width;
        let shaped = |before: &[i64], rest: &[i64]| [before, rest].concat();
        let class_token = match tensor_names.class_token {
            Some((name, ones)) => Some(w.take(name, &shaped(ones, &[d]))?),
            None => None,
        };
        let tokens = (side / patch).pow(2) + i64::from(class_token.is_some());
        let (positions, ones) = tensor_names.position_embedding;
        let norm = |w: &mut Weights, name: &str| LayerNorm::new(w, name, d, config.eps);
        let filters = w.take(tensor_names.patch_embedding, &[d, 3, patch, patch])?;
        Ok(Self {
            patch_embedding: Linear::from_parts(
                filters.f_flatten(1, 3)?, // [d, 3 · patch · patch]
                tensor_names
                    .patch_bias
                    .map(|b| w.take(b, &[d]))
                    .transpose()?,
            ),
            class_token,
            position_embedding: w.take(positions, &shaped(ones, &[tokens, d]))?,
            pre_norm: tensor_names
                .pre_norm
                .map(|name| norm(w, name))
                .transpose()?,
            blocks: Transformer::new(w, tensor_names.blocks, block_names, config)?,
            post_norm: norm(w, tensor_names.post_norm)?,
            pooling: VisionPooling::ClassToken,
            projection: None,
            patch,
            side,
            width: d,
        })
    }

    /// Replaces the pooling.
    pub(super) fn pooled_by(self, pooling: VisionPooling) -> Self {
        Self { pooling, ..self }
    }

    /// Adds a projection into the space shared with texts.
    pub(super) fn projected_by(self, projection: Linear) -> Self {
        let projection = Some(projection);
        Self { projection, ..self }
    }

    /// Side of the images, in pixels.
    pub(super) fn side(&self) -> usize {
        self.side.max(0) as usize
    }

    /// The share of the square's sides that patches cover, from the upper left corner: pixels beyond the last whole patch are not seen.
    pub(super) fn covered(&self) -> f64 {
        (self.side / self.patch * self.patch) as f64 / self.side as f64
    }

    /// Length of an embedding.
    pub(super) fn dimension(&self) -> i64 {
        self.projection.as_ref().map_or(self.width, Linear::outputs)
    }

    /// Pixels `[b, 3, side, side]` → `[b, projection]`, not yet unit vectors.
    pub(super) fn features(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        let x = self.embed(pixels)?; // [b, tokens, d]
        self.pool(&match &self.pooling {
            VisionPooling::ClassToken => self.blocks.forward_first(x, AttentionMask::Full)?,
            VisionPooling::Attention(_) => self.blocks.forward(x, AttentionMask::Full)?,
        })
    }

    /// Pixels → `[b, tokens, d]`: the states after the last block, a class token first.
    pub(super) fn states(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        self.blocks
            .forward(self.embed(pixels)?, AttentionMask::Full)
    }

    /// Pixels → `[b, patches, 3 · patch · patch]`. The layouts define the patch embedding as a convolution whose stride is the
    /// patch size. Every pixel is then in at most one patch, so it equals a matrix product, which is faster on a GPU.
    fn split_into_patches(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        let (batch, p, n) = (pixels.size()[0], self.patch, self.side / self.patch);
        let whole = pixels.f_narrow(2, 0, n * p)?.f_narrow(3, 0, n * p)?; // [b, 3, n · p, n · p]
        let whole = whole.f_reshape([batch, 3, n, p, n, p])?; // [b, 3, n, p, n, p]
        let patches = whole.f_permute([0, 2, 4, 1, 3, 5])?; // [b, n, n, 3, p, p]
        Ok(patches.f_reshape([batch, n * n, 3 * p * p])?) // [b, n · n, 3 · p · p]
    }

    /// Pixels → `[b, tokens, d]`: the input of the first block.
    fn embed(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        let batch = pixels.size()[0];
        let patches = self.split_into_patches(pixels)?; // [b, patches, 3 · patch · patch]
        let mut x = self.patch_embedding.forward(&patches)?; // [b, patches, d]
        if let Some(class) = &self.class_token {
            let width = self.width;
            let class = class.f_reshape([1, 1, width])?; // [1, 1, d]
            let class = class.f_expand([batch, 1, width], false)?; // [b, 1, d]
            x = Tensor::f_cat(&[class, x], 1)?; // [b, patches + 1, d]
        }
        let x = x.f_add(&self.position_embedding)?; // [b, tokens, d]
        match &self.pre_norm {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// What regions of one image, `[1, 3, side, side]`, contribute along `directions`, `[n, projection]` in f32.
    pub(super) fn contributions(
        &self,
        pixels: &Tensor,
        directions: &Tensor,
    ) -> Result<Contributions, EncoderError> {
        let x = self.embed(pixels)?; // [1, tokens, d]
        let cells = self.side / self.patch;
        match &self.pooling {
            VisionPooling::ClassToken => self.decomposed(x, directions, cells),
            VisionPooling::Attention(head) => {
                let states = self.blocks.forward(x, AttentionMask::Full)?; // [1, patches, d]
                let states = self.post_norm.forward(&states)?; // [1, patches, d]
                let kept = windows_left_out(cells, states.device())?; // [patches + 1, 1, 1, patches]
                let pooled = head.forward_without(&states, &kept)?; // [patches + 1, d]
                let features = self.projected(pooled)?.f_to_kind(Kind::Float)?; // [patches + 1, projection]
                Contributions::of_masked(&features, directions, (cells, self.covered()))
            }
        }
    }

    /// The features of one image, `[1, 3, side, side]`, before they are scaled to unit length, and the attention that gathers them, which
    /// they depend on differentiably. To be called where gradients are recorded.
    pub(super) fn traced(
        &self,
        pixels: &Tensor,
    ) -> Result<(Tensor, TracedAttention), EncoderError> {
        let x = tch::no_grad(|| self.embed(pixels))?; // [1, tokens, d]
        let (x, traced) = match &self.pooling {
            VisionPooling::ClassToken => {
                let (state, traced) = self.blocks.first_traced(x)?; // [1, 1, d]
                (self.post_norm.forward(&state.f_select(1, 0)?)?, traced)
            }
            VisionPooling::Attention(head) => {
                let states = tch::no_grad(|| {
                    let states = self.blocks.forward(x, AttentionMask::Full)?; // [1, patches, d]
                    self.post_norm.forward(&states)
                })?; // [1, patches, d]
                head.forward_traced(&states)?
            }
        }; // [1, d]
        Ok((self.projected(x)?, traced))
    }

    /// Contributions to the class token of one image; `x` is the input of the first block, `[1, tokens, d]`.
    ///
    /// With attention, the deviations of the norms and the gates of the MLPs held, the late half of the blocks is linear in its
    /// input, and the score so a sum over tokens. It contains what Gandelsman et al. (2024) attribute to late attention, which
    /// takes tokens to the class token directly, and the paths by way of other tokens.
    fn decomposed(
        &self,
        x: Tensor,
        directions: &Tensor,
        cells: i64,
    ) -> Result<Contributions, EncoderError> {
        let plain = tch::no_grad(|| {
            let first = self
                .blocks
                .forward_first(x.shallow_clone(), AttentionMask::Full)?;
            self.pool(&first)?
                .f_to_kind(Kind::Float)
                .map_err(EncoderError::from)
        })?; // [1, projection]
        let (state, input) = self.blocks.first_held(x)?; // [1, 1, d], [1, tokens, d]
        let pooled = self.post_norm.forward_held(&state.f_select(1, 0)?)?; // [1, d]
        let along = self.projected(pooled)?.f_to_kind(Kind::Float)?;
        let along = directions.f_matmul(&along.f_select(0, 0)?)?; // [n]
        let first = i64::from(self.class_token.is_some());
        let mut values = Vec::new();
        for along in along.f_unbind(0)? {
            let gradients = Tensor::f_run_backward(&[along], &[&input], true, false)?;
            let gradient = gradients[0].f_to_kind(Kind::Float)?; // [1, tokens, d]
            let products = input.f_detach()?.f_to_kind(Kind::Float)?.f_mul(&gradient)?;
            let of_tokens = products.f_sum_dim_intlist([2_i64].as_slice(), false, Kind::Float)?; // [1, tokens]
            values.push(
                of_tokens
                    .f_select(0, 0)?
                    .f_narrow(0, first, cells * cells)?,
            );
        }
        let values = Tensor::f_stack(&values, 0)?; // [n, cells · cells]
        let in_cells = values.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)?; // [n]
        Ok(Contributions {
            method: MapMethod::Attention,
            rest: Some(along.f_detach()?.f_sub(&in_cells)?),
            values,
            features: plain,
            cells,
            covered: self.covered(),
        })
    }

    /// States `[b, tokens, d]`, or `[b, 1, d]` with a class token → `[b, projection]`.
    pub(super) fn pool(&self, states: &Tensor) -> Result<Tensor, EncoderError> {
        let x = match &self.pooling {
            // A layer norm works on each token alone, so it may come after the choice of one.
            VisionPooling::ClassToken => self.post_norm.forward(&states.f_select(1, 0)?)?,
            VisionPooling::Attention(head) => head.forward(&self.post_norm.forward(states)?)?,
        }; // [b, d]
        self.projected(x)
    }

    /// `[b, d]` → `[b, projection]`
    fn projected(&self, x: Tensor) -> Result<Tensor, EncoderError> {
        match &self.projection {
            Some(projection) => projection.forward(&x),
            None => Ok(x),
        }
    }
}
