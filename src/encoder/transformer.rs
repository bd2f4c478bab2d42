//! The transformer that all towers share, built under any layout's tensor names.

mod traced;

use tch::Tensor;

use super::block_names::{BlockNames, NormOrder, Projections};
use super::layers::{Activation, LayerNorm, Linear, Mlp};
use super::{EncoderError, Weights};

/// Bounds the search for blocks in the weights; no tower has as many.
const MAX_LAYERS: usize = 1000;

/// Dimensions and arithmetic of one tower.
#[derive(Clone, Debug)]
pub(super) struct TransformerConfig {
    /// Length of a token's state.
    pub(super) width: i64,
    /// Length of the MLP's hidden state.
    pub(super) hidden: i64,
    pub(super) heads: i64,
    pub(super) layers: usize,
    pub(super) activation: Activation,
    /// ε of the layer norms.
    pub(super) eps: f64,
}

impl TransformerConfig {
    /// Infers widths and depth from the weights; the other values do not show in them.
    pub(super) fn inferred(
        w: &Weights,
        name: &str,
        names: &BlockNames,
        heads: i64,
        activation: Activation,
        eps: f64,
    ) -> Result<Self, EncoderError> {
        let first = format!("{name}.{}.0.{}.weight", names.blocks, names.up);
        let [hidden, width] = w.shape(&first)?[..] else {
            return Err(EncoderError::Unsupported(format!(
                "`{first}` is not a matrix"
            )));
        };
        let layers = (0..MAX_LAYERS)
            .take_while(|layer| {
                let norm = format!("{name}.{}.{layer}.{}.weight", names.blocks, names.norm1);
                w.shape(&norm).is_ok()
            })
            .count();
        Ok(Self {
            width,
            hidden,
            heads,
            layers,
            activation,
            eps,
        })
    }
}

/// Which tokens a token may attend to.
#[derive(Clone, Copy)]
pub(super) enum AttentionMask<'a> {
    /// All tokens.
    Full,
    /// Itself and those before it.
    Causal,
    /// Those where the boolean tensor `[batch, 1, 1, tokens]` is true.
    Padding(&'a Tensor),
}

/// Multi-head attention: `q`, `k` and `v` are `[batch, heads, tokens, width / heads]`, the result `[batch, tokens, width]`.
pub(super) fn attend(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: AttentionMask,
) -> Result<Tensor, EncoderError> {
    let (mask, is_causal) = match mask {
        AttentionMask::Full => (None, false),
        AttentionMask::Causal => (None, true),
        AttentionMask::Padding(mask) => (Some(mask), false),
    };
    // [batch, heads, tokens, width / heads]
    let y = Tensor::f_scaled_dot_product_attention(q, k, v, mask, 0.0, is_causal, None, false)?;
    Ok(y.f_transpose(1, 2)?.f_flatten(2, 3)?) // [batch, tokens, width]
}

/// `[batch, tokens, width]` → `[batch, heads, tokens, width / heads]`
pub(super) fn split_heads(x: &Tensor, heads: i64) -> Result<Tensor, EncoderError> {
    let (batch, tokens, width) = x.size3()?;
    let x = x.f_view([batch, tokens, heads, width / heads])?; // [batch, tokens, heads, width / heads]
    Ok(x.f_transpose(1, 2)?) // [batch, heads, tokens, width / heads]
}

/// Self-attention without its output projection; see [`Projections`].
enum Attention {
    Separate([Linear; 3]),
    Fused(Linear),
}

impl Attention {
    fn new(w: &mut Weights, name: &str, names: &BlockNames, d: i64) -> Result<Self, EncoderError> {
        Ok(match names.projections {
            Projections::Separate([q, k, v]) => {
                let mut layer = |part: &str| Linear::new(w, &format!("{name}.{part}"), d, d);
                Self::Separate([layer(q)?, layer(k)?, layer(v)?])
            }
            Projections::Fused(weight, bias) => {
                let (weight, bias) = (format!("{name}.{weight}"), format!("{name}.{bias}"));
                Self::Fused(Linear::named(w, &weight, Some(&bias), 3 * d, d)?)
            }
        })
    }

    /// Queries, keys and values, each of its own input `[batch, tokens, width]`: `[batch, heads, tokens, width / heads]`.
    fn project(&self, inputs: [&Tensor; 3], heads: i64) -> Result<[Tensor; 3], EncoderError> {
        let project = |layer: &Linear, x: &Tensor| split_heads(&layer.forward(x)?, heads);
        let [of_q, of_k, of_v] = inputs;
        Ok(match self {
            Self::Separate([q, k, v]) => [project(q, of_q)?, project(k, of_k)?, project(v, of_v)?],
            Self::Fused(layer) => {
                let d = of_v.size3()?.2;
                [
                    project(&layer.outputs_from(0, d)?, of_q)?,
                    project(&layer.outputs_from(d, d)?, of_k)?,
                    project(&layer.outputs_from(2 * d, d)?, of_v)?,
                ]
            }
        })
    }

    /// As [`Self::forward`] for all tokens, linear in their values: the weights are held, as if they did not depend on `x`.
    fn forward_held(&self, x: &Tensor, heads: i64) -> Result<Tensor, EncoderError> {
        let held = x.f_detach()?; // [batch, tokens, width]
        let [q, k, v] = self.project([&held, &held, x], heads)?; // [batch, heads, tokens, width / heads]
        let y = attention_weights(&q, &k)?.f_matmul(&v)?; // [batch, heads, tokens, width / heads]
        Ok(y.f_transpose(1, 2)?.f_flatten(2, 3)?) // [batch, tokens, width]
    }

    /// `[batch, tokens, width]` → `[batch, queries, width]`: only the first `queries` tokens attend to the others.
    fn forward(
        &self,
        x: &Tensor,
        queries: i64,
        heads: i64,
        mask: AttentionMask,
    ) -> Result<Tensor, EncoderError> {
        let is_all = queries == x.size3()?.1;
        match self {
            // One product for all three.
            Self::Fused(layer) if is_all => {
                let (batch, tokens, width) = x.size3()?;
                let y = layer.forward(x)?; // [batch, tokens, 3 * width]
                let y = y.f_view([batch, tokens, 3, heads, width / heads])?; // [batch, tokens, 3, heads, width / heads]
                let y = y.f_permute([2, 0, 3, 1, 4])?; // [3, batch, heads, tokens, width / heads]
                attend(
                    &y.f_select(0, 0)?,
                    &y.f_select(0, 1)?,
                    &y.f_select(0, 2)?,
                    mask,
                )
            }
            _ => {
                let queries = x.f_narrow(1, 0, queries)?; // [batch, queries, width]
                let [q, k, v] = self.project([&queries, x, x], heads)?; // [batch, heads, …, width / heads]
                attend(&q, &k, &v, mask)
            }
        }
    }
}

/// The attention of each query, `[batch, heads, queries, tokens]`.
pub(super) fn attention_weights(q: &Tensor, k: &Tensor) -> Result<Tensor, EncoderError> {
    let width = q.size().last().copied().unwrap_or(1) as f64;
    let scores = q.f_matmul(&k.f_transpose(-2, -1)?)?; // [batch, heads, queries, tokens]
    Ok(scores
        .f_div_scalar(width.sqrt())?
        .f_softmax(-1, scores.kind())?)
}

/// Refuses a width that is not a multiple of the number of heads.
pub(super) fn check_heads(name: &str, width: i64, heads: i64) -> Result<(), EncoderError> {
    if heads >= 1 && width % heads == 0 {
        return Ok(());
    }
    Err(EncoderError::Unsupported(format!(
        "{name}: a width of {width} cannot be split over {heads} heads"
    )))
}

/// Attention and an MLP, each with a layer norm and a residual connection.
struct TransformerBlock {
    norm1: LayerNorm,
    attention: Attention,
    out: Linear,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl TransformerBlock {
    fn new(
        w: &mut Weights,
        name: &str,
        names: &BlockNames,
        s: &TransformerConfig,
    ) -> Result<Self, EncoderError> {
        let d = s.width;
        let at = |part: &str| format!("{name}.{part}");
        Ok(Self {
            norm1: LayerNorm::new(w, &at(names.norm1), d, s.eps)?,
            attention: Attention::new(w, name, names, d)?,
            out: Linear::new(w, &at(names.out), d, d)?,
            norm2: LayerNorm::new(w, &at(names.norm2), d, s.eps)?,
            mlp: Mlp::new(w, &at(names.up), &at(names.down), s)?,
        })
    }

    /// `[batch, tokens, width]` → `[batch, queries, width]`: the new states of the first `queries` tokens.
    fn forward(
        &self,
        x: &Tensor,
        queries: i64,
        heads: i64,
        norm_order: NormOrder,
        mask: AttentionMask,
    ) -> Result<Tensor, EncoderError> {
        let residual = x.f_narrow(1, 0, queries)?; // [batch, queries, width]
        let input = self.attention_input(x, norm_order)?; // [batch, tokens, width]
        let attended = self.attention.forward(&input, queries, heads, mask)?; // [batch, queries, width]
        self.forward_attended(&residual, &attended, norm_order)
    }

    /// `[batch, tokens, width]` → `[batch, tokens, width]`
    fn attention_input(&self, x: &Tensor, norm_order: NormOrder) -> Result<Tensor, EncoderError> {
        match norm_order {
            NormOrder::PreNorm => self.norm1.forward(x),
            NormOrder::PostNorm => Ok(x.shallow_clone()),
        }
    }

    /// The rest of the block, after attention: `residual` is what came into the block, `attended` what attention made of it before
    /// its projection, `[batch, queries, width]` both and the result.
    fn forward_attended(
        &self,
        residual: &Tensor,
        attended: &Tensor,
        norm_order: NormOrder,
    ) -> Result<Tensor, EncoderError> {
        let x = residual.f_add(&self.out.forward(attended)?)?; // [batch, queries, width]
        match norm_order {
            NormOrder::PreNorm => {
                Ok(x.f_add(&self.mlp.forward(&self.norm2.forward(&x)?)?)?) // [batch, queries, width]
            }
            NormOrder::PostNorm => {
                let x = self.norm1.forward(&x)?; // [batch, queries, width]
                self.norm2.forward(&x.f_add(&self.mlp.forward(&x)?)?) // [batch, queries, width]
            }
        }
    }
}

impl TransformerBlock {
    /// As [`Self::forward`] for all tokens, linear in them: attention, the norms' deviations and the gates of the MLP are held. For
    /// blocks that normalise first.
    fn forward_held(&self, x: &Tensor, heads: i64) -> Result<Tensor, EncoderError> {
        let attended = self
            .attention
            .forward_held(&self.norm1.forward_held(x)?, heads)?;
        let x = x.f_add(&self.out.forward(&attended)?)?; // [batch, tokens, width]
        let added = self.mlp.forward_held(&self.norm2.forward_held(&x)?)?; // [batch, tokens, width]
        Ok(x.f_add(&added)?) // [batch, tokens, width]
    }
}

/// A stack of blocks.
pub(super) struct Transformer {
    heads: i64,
    norm_order: NormOrder,
    blocks: Vec<TransformerBlock>,
}

impl Transformer {
    /// Takes the tensors below `{name}.{names.blocks}.{0, 1, …}` out of the weights.
    pub(super) fn new(
        w: &mut Weights,
        name: &str,
        names: &BlockNames,
        config: &TransformerConfig,
    ) -> Result<Self, EncoderError> {
        check_heads(name, config.width, config.heads)?;
        let blocks = (0..config.layers)
            .map(|layer| {
                let name = format!("{name}.{}.{layer}", names.blocks);
                TransformerBlock::new(w, &name, names, config)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            heads: config.heads,
            norm_order: names.norm_order,
            blocks,
        })
    }

    /// `[batch, tokens, width]` → `[batch, tokens, width]`
    pub(super) fn forward(&self, x: Tensor, mask: AttentionMask) -> Result<Tensor, EncoderError> {
        self.run(x, mask, None)
    }

    /// As [`Self::forward`], but for the first token only: `[batch, 1, width]`. The last block then computes no other token's
    /// state.
    pub(super) fn forward_first(
        &self,
        x: Tensor,
        mask: AttentionMask,
    ) -> Result<Tensor, EncoderError> {
        let x = self.run(x, mask, Some(1))?;
        Ok(x.f_narrow(1, 0, 1)?) // [batch, 1, width]
    }

    /// The first token's state `[batch, 1, width]`, and the input of the late half of the blocks, `[batch, tokens, width]`, of which
    /// it is a linear function once attention, norms and gates are held. To be called where gradients are recorded; for blocks that
    /// normalise first.
    pub(super) fn first_held(&self, x: Tensor) -> Result<(Tensor, Tensor), EncoderError> {
        let (early, late) = self.blocks.split_at(self.blocks.len() / 2);
        let tokens = x.size3()?.1;
        let input = tch::no_grad(|| {
            early.iter().try_fold(x, |x, block| {
                block.forward(&x, tokens, self.heads, self.norm_order, AttentionMask::Full)
            })
        })?;
        let input = input.f_detach()?.f_set_requires_grad(true)?;
        let state = late.iter().try_fold(input.shallow_clone(), |x, block| {
            block.forward_held(&x, self.heads)
        })?;
        Ok((state.f_narrow(1, 0, 1)?, input))
    }

    /// `last`: the number of tokens whose states the last block computes; `None` means all.
    fn run(
        &self,
        x: Tensor,
        mask: AttentionMask,
        last: Option<i64>,
    ) -> Result<Tensor, EncoderError> {
        let (tokens, end) = (x.size3()?.1, self.blocks.len());
        let blocks = self.blocks.iter().zip(1..);
        blocks.into_iter().try_fold(x, |x, (block, number)| {
            let queries = last.filter(|_| number == end).unwrap_or(tokens);
            block.forward(&x, queries, self.heads, self.norm_order, mask)
        })
    }
}

/// SigLIP's pooling head (Zhai et al. 2023, after Lee et al. 2019): a learnt probe attends to all patches.
pub(super) struct AttentionPool {
    /// `[1, 1, width]`
    probe: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm: LayerNorm,
    mlp: Mlp,
    heads: i64,
}

impl AttentionPool {
    /// Takes `{name}.probe`, `.attention`, `.layernorm` and `.mlp`.
    pub(super) fn new(
        w: &mut Weights,
        name: &str,
        s: &TransformerConfig,
    ) -> Result<Self, EncoderError> {
        let d = s.width;
        check_heads(name, d, s.heads)?;
        let at = |part: &str| format!("{name}.{part}");
        let (weight, bias) = (at("attention.in_proj_weight"), at("attention.in_proj_bias"));
        let fused = Linear::named(w, &weight, Some(&bias), 3 * d, d)?;
        Ok(Self {
            probe: w.take(&at("probe"), &[1, 1, d])?,
            query: fused.outputs_from(0, d)?,
            key: fused.outputs_from(d, d)?,
            value: fused.outputs_from(2 * d, d)?,
            out: Linear::new(w, &at("attention.out_proj"), d, d)?,
            norm: LayerNorm::new(w, &at("layernorm"), d, s.eps)?,
            mlp: Mlp::new(w, &at("mlp.fc1"), &at("mlp.fc2"), s)?,
            heads: s.heads,
        })
    }

    /// `[batch, tokens, width]` → `[batch, width]`
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        self.masked(x, x.size3()?.0, AttentionMask::Full)
    }

    /// As [`Self::forward`], with some tokens left out: `kept` is boolean, `[n, 1, 1, tokens]`, and `x` a single image's states
    /// `[1, tokens, width]`. → `[n, width]`
    pub(super) fn forward_without(
        &self,
        x: &Tensor,
        kept: &Tensor,
    ) -> Result<Tensor, EncoderError> {
        let count = kept.size().first().copied().unwrap_or(0);
        self.masked(x, count, AttentionMask::Padding(kept))
    }

    fn masked(&self, x: &Tensor, batch: i64, mask: AttentionMask) -> Result<Tensor, EncoderError> {
        let [q, k, v] = self.project(x, batch)?; // [batch, heads, …, width / heads]
        self.forward_attended(&attend(&q, &k, &v, mask)?)
    }

    /// The probe's query, keys and values: `[batch, heads, 1 or tokens, width / heads]`.
    fn project(&self, x: &Tensor, batch: i64) -> Result<[Tensor; 3], EncoderError> {
        let project = |layer: &Linear, x: &Tensor| -> Result<Tensor, EncoderError> {
            let split = split_heads(&layer.forward(x)?, self.heads)?;
            Ok(split.f_expand([batch, -1, -1, -1], false)?)
        };
        Ok([
            project(&self.query, &self.probe)?,
            project(&self.key, x)?,
            project(&self.value, x)?,
        ])
    }

    /// The rest of the head, after attention: `[batch, 1, width]` → `[batch, width]`
    fn forward_attended(&self, attended: &Tensor) -> Result<Tensor, EncoderError> {
        let x = self.out.forward(attended)?; // [batch, 1, width]
        let x = x.f_add(&self.mlp.forward(&self.norm.forward(&x)?)?)?; // [batch, 1, width]
        Ok(x.f_select(1, 0)?) // [batch, width]
    }
}
