//! The attention that gathers an image's embedding, for Grad-ECLIP. To be called where gradients are recorded.

use tch::Tensor;

use super::{AttentionMask, AttentionPool, Transformer};
use crate::encoder::EncoderError;
use crate::encoder::eclip::TracedAttention;

impl Transformer {
    /// The first token's state, `[1, 1, width]`, and its attention in the last block, which the state depends on differentiably. `x` is
    /// the input of the first block, `[1, tokens, width]`.
    pub(in crate::encoder) fn first_traced(
        &self,
        x: Tensor,
    ) -> Result<(Tensor, TracedAttention), EncoderError> {
        let Some((last, early)) = self.blocks.split_last() else {
            let text = "a tower without blocks has no attention to map";
            return Err(EncoderError::Unsupported(text.to_owned()));
        };
        let tokens = x.size3()?.1;
        let (heads, norm_order) = (self.heads, self.norm_order);
        let (first, [q, k, v]) = tch::no_grad(|| -> Result<_, EncoderError> {
            let x = early.iter().try_fold(x, |x, block| {
                block.forward(&x, tokens, heads, norm_order, AttentionMask::Full)
            })?; // [1, tokens, width]
            let input = last.attention_input(&x, norm_order)?; // [1, tokens, width]
            let of_first = input.f_narrow(1, 0, 1)?; // [1, 1, width]
            let projected = last.attention.project([&of_first, &input, &input], heads)?;
            Ok((x.f_narrow(1, 0, 1)?, projected))
        })?;
        let traced = TracedAttention::new(&q, &k, &v, 1)?;
        let state = last.forward_attended(&first, traced.output(), norm_order)?; // [1, 1, width]
        Ok((state, traced))
    }
}

impl AttentionPool {
    /// As [`Self::forward`] for one image, and the attention that the result depends on differentiably.
    pub(in crate::encoder) fn forward_traced(
        &self,
        x: &Tensor,
    ) -> Result<(Tensor, TracedAttention), EncoderError> {
        let [q, k, v] = tch::no_grad(|| self.project(x, 1))?; // [1, heads, 1 or tokens, width / heads]
        let traced = TracedAttention::new(&q, &k, &v, 0)?;
        Ok((self.forward_attended(traced.output())?, traced))
    }
}
