//! Grad-ECLIP (Zhao et al. 2024, "Gradient-based Visual Explanation for Transformer-based CLIP"), with a model's own heads.
//!
//! The embedding is what an attention layer gathers for one token: a vision transformer's class token in its last block, the probe
//! of SigLIP's pooling head, the mean of a residual network's attention pooling. With `o` that layer's output before its projection,
//! a patch *i* has the value `Σ_h λ_hi · Σ_c ∂S/∂o_hc · v_ihc` over the heads *h* and their channels *c*: the gradient of the score
//! says which channels count, and `λ` where the token looks. Softmax would leave but a few patches, so `λ_hi` is the cosine of the
//! query and the patch's key, scaled from 0 to 1 over the patches of each head.
//!
//! Different from the authors' code: that computes one attention over all channels, which is not what the model computes, and takes
//! the cosines behind the output projection, which mixes heads; and it sets what is below zero to zero. Here values stay signed, as
//! those of other maps are; what is above zero, and so what the deletion check deletes first, is the same.

use tch::{Kind, Tensor};

use super::EncoderError;
use super::attribution::Contributions;
use super::transformer::{AttentionMask, attend, split_heads};
use crate::scoring::heat_map::MapMethod;

/// Least spread of a head's cosines that is scaled to 1. Below it the head tells no patches apart.
const MIN_SPREAD: f64 = 1e-6;
/// Least length of a query or key in a cosine, PyTorch's default.
const MIN_LENGTH: f64 = 1e-8;

/// The attention layer that gathers one image's embedding.
pub(super) struct TracedAttention {
    /// Values of the patches, `[1, heads, patches, d / heads]` in f32.
    values: Tensor,
    /// Likeness of the token's query and each patch's key, from 0 to 1: `[1, heads, patches]` in f32.
    likeness: Tensor,
    /// What attention gathers for the token, before its projection, `[1, 1, d]`; gradients with respect to it are recorded.
    output: Tensor,
}

impl TracedAttention {
    /// Attends: `q` is the query of the token, `[1, heads, 1, d / heads]`; `k` and `v` are the keys and values of all tokens,
    /// `[1, heads, tokens, d / heads]`, of which the first `before` are not patches.
    pub(super) fn new(
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        before: i64,
    ) -> Result<Self, EncoderError> {
        let _guard = tch::no_grad_guard();
        let output = attend(q, k, v, AttentionMask::Full)?; // [1, 1, d]
        let patches = k.size4()?.2 - before;
        let of_patches = |x: &Tensor| x.f_narrow(2, before, patches)?.f_to_kind(Kind::Float);
        let (query, keys) = (q.f_to_kind(Kind::Float)?, of_patches(k)?); // [1, heads, 1 or patches, d / heads]
        let cosines = Tensor::f_cosine_similarity(&query, &keys, -1, MIN_LENGTH)?; // [1, heads, patches]
        let lowest = cosines.f_amin([-1_i64].as_slice(), true)?; // [1, heads, 1]
        let highest = cosines.f_amax([-1_i64].as_slice(), true)?; // [1, heads, 1]
        let spread = highest.f_sub(&lowest)?.f_clamp_min(MIN_SPREAD)?; // [1, heads, 1]
        Ok(Self {
            values: of_patches(v)?,
            likeness: cosines.f_sub(&lowest)?.f_div(&spread)?,
            output: output.f_detach()?.f_set_requires_grad(true)?,
        })
    }

    /// What attention gathers, before its projection: `[1, 1, d]`.
    pub(super) fn output(&self) -> &Tensor {
        &self.output
    }

    /// The map's values, `[patches]` in f32; `gradient` is that of the score with respect to the output.
    fn map(&self, gradient: &Tensor) -> Result<Tensor, EncoderError> {
        let heads = self.values.size4()?.1;
        let weights = split_heads(&gradient.f_to_kind(Kind::Float)?, heads)?; // [1, heads, 1, d / heads]
        let products = self.values.f_mul(&weights)?; // [1, heads, patches, d / heads]
        let of_heads = products.f_sum_dim_intlist([-1_i64].as_slice(), false, Kind::Float)?; // [1, heads, patches]
        let of_heads = of_heads.f_mul(&self.likeness)?; // [1, heads, patches]
        Ok(of_heads.f_sum_dim_intlist([0_i64, 1].as_slice(), false, Kind::Float)?) // [patches]
    }

    /// The map's values for the scores along `directions`, `[n, projection]` in f32; `features`, `[1, projection]`, depend on the
    /// output, and `covered` is the share of the square's sides that the tower's tokens cover. To be called where gradients are recorded.
    pub(super) fn contributions(
        &self,
        features: &Tensor,
        directions: &Tensor,
        covered: f64,
    ) -> Result<Contributions, EncoderError> {
        let features = features.f_to_kind(Kind::Float)?; // [1, projection]
        let length = features.f_norm()?;
        let unit = features.f_div(&length)?; // [1, projection]
        // Contributions are those to features of this length.
        let along = directions
            .f_matmul(&unit.f_select(0, 0)?)?
            .f_mul(&length.f_detach()?)?; // [n]
        let mut values = Vec::new();
        for along in along.f_unbind(0)? {
            let gradients = Tensor::f_run_backward(&[along], &[&self.output], true, false)?;
            values.push(self.map(&gradients[0])?);
        }
        let values = Tensor::f_stack(&values, 0)?; // [n, patches]
        Ok(Contributions {
            method: MapMethod::Eclip,
            cells: (values.size2()?.1 as f64).sqrt().round() as i64,
            values,
            rest: None,
            covered,
            features: features.f_detach()?,
        })
    }
}
