//! The transformer that all towers share, with the names that each layout gives to its parts.

use tch::Tensor;

use super::names::{Names, Order, Projections};
use super::{EncoderError, Weights};

/// A linear layer, `[out, in]` and `[out]`.
pub(super) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    pub(super) fn new(
        w: &mut Weights,
        name: &str,
        output: i64,
        input: i64,
    ) -> Result<Self, EncoderError> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        Self::named(w, &weight, Some(&bias), output, input)
    }

    /// As [`Self::new`], with weights and bias times a factor each.
    fn times(
        w: &mut Weights,
        name: &str,
        output: i64,
        input: i64,
        (weight, bias): (f64, f64),
    ) -> Result<Self, EncoderError> {
        Ok(Self {
            weight: w.take_times(&format!("{name}.weight"), &[output, input], weight)?,
            bias: Some(w.take_times(&format!("{name}.bias"), &[output], bias)?),
        })
    }

    /// Where the layer has no bias, or its parts have names of their own.
    pub(super) fn named(
        w: &mut Weights,
        weight: &str,
        bias: Option<&str>,
        output: i64,
        input: i64,
    ) -> Result<Self, EncoderError> {
        let weight = w.take(weight, &[output, input])?;
        let bias = bias.map(|bias| w.take(bias, &[output])).transpose()?;
        Ok(Self { weight, bias })
    }

    /// Of a weight `[out, in]` and a bias `[out]` that were taken already.
    pub(super) fn from_parts(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// A parameter that rows are multiplied with from the right, `[in, out]`; not copied.
    pub(super) fn turned(
        w: &mut Weights,
        name: &str,
        input: i64,
        output: i64,
    ) -> Result<Self, EncoderError> {
        let weight = w.take(name, &[input, output])?.f_transpose(0, 1)?;
        Ok(Self { weight, bias: None })
    }

    /// Rows `from..from + count` of the outputs, as a view.
    fn part(&self, from: i64, count: i64) -> Result<Self, EncoderError> {
        let bias = self.bias.as_ref();
        Ok(Self {
            weight: self.weight.f_narrow(0, from, count)?,
            bias: bias.map(|b| b.f_narrow(0, from, count)).transpose()?,
        })
    }

    /// Length of a result.
    pub(super) fn outputs(&self) -> i64 {
        self.weight.size().first().copied().unwrap_or(0)
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(x.f_linear(&self.weight, self.bias.as_ref())?)
    }
}

/// Layer normalisation over the last axis.
pub(super) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    pub(super) fn new(
        w: &mut Weights,
        name: &str,
        width: i64,
        eps: f64,
    ) -> Result<Self, EncoderError> {
        let weight = w.take(&format!("{name}.weight"), &[width])?;
        let bias = w.take(&format!("{name}.bias"), &[width])?;
        Ok(Self { weight, bias, eps })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        let width = self.weight.size();
        Ok(x.f_layer_norm(width, Some(&self.weight), Some(&self.bias), self.eps, false)?)
    }
}

/// The nonlinearity between the two layers of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// `x · σ(1.702 x)`, OpenAI's approximation.
    QuickGelu,
    /// `x · σ(x)`, of which QuickGELU is made: see [`Mlp::folded`].
    Silu,
    /// The exact Gaussian error linear unit.
    Gelu,
    /// Its approximation by a hyperbolic tangent.
    GeluTanh,
}

impl Activation {
    /// By the name that `hidden_act` uses.
    pub(super) fn parse(name: &str) -> Result<Self, EncoderError> {
        match name {
            "quick_gelu" => Ok(Self::QuickGelu),
            "gelu" => Ok(Self::Gelu),
            "gelu_pytorch_tanh" => Ok(Self::GeluTanh),
            other => Err(EncoderError::Unsupported(format!(
                "hidden_act `{other}` is not supported"
            ))),
        }
    }

    pub(super) fn apply(self, x: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(match self {
            Self::QuickGelu => x.f_mul(&x.f_mul_scalar(QUICK)?.f_sigmoid_()?)?,
            Self::Silu => x.f_silu()?,
            Self::Gelu => x.f_gelu("none")?,
            Self::GeluTanh => x.f_gelu("tanh")?,
        })
    }
}

/// QuickGELU's factor.
const QUICK: f64 = 1.702;

/// More blocks than any tower has.
const MOST_LAYERS: usize = 1000;

/// Dimensions of one tower.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) width: i64,
    pub(super) hidden: i64,
    pub(super) heads: i64,
    pub(super) layers: usize,
    pub(super) activation: Activation,
    pub(super) eps: f64,
}

impl Shape {
    /// Width, hidden width and depth out of the weights; the rest cannot be seen in them.
    pub(super) fn inferred(
        w: &Weights,
        name: &str,
        names: &Names,
        heads: i64,
        activation: Activation,
        eps: f64,
    ) -> Result<Self, EncoderError> {
        let first = format!("{name}.{}.0.{}.weight", names.blocks, names.up);
        let [hidden, width] = w.shape(&first)?[..] else {
            return Err(EncoderError::Unsupported(format!("`{first}` is no matrix")));
        };
        let layers = (0..MOST_LAYERS)
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

/// What a token may look at.
#[derive(Clone, Copy)]
pub(super) enum Sight<'a> {
    /// Every token.
    All,
    /// Itself and those before it.
    Causal,
    /// Those where the mask, `[batch, 1, 1, tokens]` of truth values, says so.
    Masked(&'a Tensor),
}

/// Multi-head attention over `[batch, heads, tokens, width / heads]`, heads side by side again in the result.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, sight: Sight) -> Result<Tensor, EncoderError> {
    let (mask, causal) = match sight {
        Sight::All => (None, false),
        Sight::Causal => (None, true),
        Sight::Masked(mask) => (Some(mask), false),
    };
    let y = Tensor::f_scaled_dot_product_attention(q, k, v, mask, 0.0, causal, None, false)?;
    Ok(y.f_transpose(1, 2)?.f_flatten(2, 3)?) // [batch, tokens, width]
}

/// `[batch, tokens, width]` → `[batch, heads, tokens, width / heads]`
fn split(x: &Tensor, heads: i64) -> Result<Tensor, EncoderError> {
    let (batch, tokens, width) = x.size3()?;
    let x = x.f_view([batch, tokens, heads, width / heads])?;
    Ok(x.f_transpose(1, 2)?)
}

enum Attention {
    Apart([Linear; 3]),
    Joined(Linear),
}

impl Attention {
    fn new(w: &mut Weights, name: &str, names: &Names, d: i64) -> Result<Self, EncoderError> {
        Ok(match names.projections {
            Projections::Apart([q, k, v]) => {
                let mut layer = |part: &str| Linear::new(w, &format!("{name}.{part}"), d, d);
                Self::Apart([layer(q)?, layer(k)?, layer(v)?])
            }
            Projections::Joined(weight, bias) => {
                let (weight, bias) = (format!("{name}.{weight}"), format!("{name}.{bias}"));
                Self::Joined(Linear::named(w, &weight, Some(&bias), 3 * d, d)?)
            }
        })
    }

    /// `x`: `[batch, tokens, width]`; the result has the first `asked` tokens of it.
    fn forward(
        &self,
        x: &Tensor,
        asked: i64,
        heads: i64,
        sight: Sight,
    ) -> Result<Tensor, EncoderError> {
        let part = |layer: &Linear, x: &Tensor| split(&layer.forward(x)?, heads);
        let all = asked == x.size3()?.1;
        match self {
            Self::Apart([q, k, v]) => {
                let queries = x.f_narrow(1, 0, asked)?;
                attend(&part(q, &queries)?, &part(k, x)?, &part(v, x)?, sight)
            }
            Self::Joined(layer) if all => {
                let (batch, tokens, width) = x.size3()?;
                let y = layer.forward(x)?; // [batch, tokens, 3 * width]
                let y = y.f_view([batch, tokens, 3, heads, width / heads])?;
                let y = y.f_permute([2, 0, 3, 1, 4])?; // [3, batch, heads, tokens, width / heads]
                attend(
                    &y.f_select(0, 0)?,
                    &y.f_select(0, 1)?,
                    &y.f_select(0, 2)?,
                    sight,
                )
            }
            Self::Joined(layer) => {
                let (_, _, d) = x.size3()?;
                let queries = x.f_narrow(1, 0, asked)?;
                attend(
                    &part(&layer.part(0, d)?, &queries)?,
                    &part(&layer.part(d, d)?, x)?,
                    &part(&layer.part(2 * d, d)?, x)?,
                    sight,
                )
            }
        }
    }
}

/// Refuses a width that the heads cannot share.
fn shared(name: &str, width: i64, heads: i64) -> Result<(), EncoderError> {
    if heads >= 1 && width % heads == 0 {
        return Ok(());
    }
    Err(EncoderError::Unsupported(format!(
        "{name}: a width of {width} cannot be split over {heads} heads"
    )))
}

/// Two layers with the nonlinearity between them.
struct Mlp {
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl Mlp {
    fn new(w: &mut Weights, up: &str, down: &str, s: &Shape) -> Result<Self, EncoderError> {
        let (d, h) = (s.width, s.hidden);
        if s.activation == Activation::QuickGelu && w.device().is_cuda() {
            return Self::folded(w, up, down, s);
        }
        Ok(Self {
            up: Linear::new(w, up, h, d)?,
            down: Linear::new(w, down, d, h)?,
            activation: s.activation,
        })
    }

    /// QuickGELU as one pass over the hidden states, not three: `x · σ(c x) = silu(c x) / c`, and the two factors go into the
    /// layers. A GPU spends more time on reading and writing these states than on computing them; on the CPU it would cost the
    /// copies of the layers.
    fn folded(w: &mut Weights, up: &str, down: &str, s: &Shape) -> Result<Self, EncoderError> {
        let (d, h) = (s.width, s.hidden);
        Ok(Self {
            up: Linear::times(w, up, h, d, (QUICK, QUICK))?,
            down: Linear::times(w, down, d, h, (1.0 / QUICK, 1.0))?,
            activation: Activation::Silu,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        let y = self.activation.apply(&self.up.forward(x)?)?; // [batch, tokens, hidden]
        self.down.forward(&y)
    }
}

struct Block {
    norm1: LayerNorm,
    attention: Attention,
    out: Linear,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn new(w: &mut Weights, name: &str, names: &Names, s: &Shape) -> Result<Self, EncoderError> {
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

    /// `x`: `[batch, tokens, width]`; the result has the first `asked` tokens of it.
    fn forward(
        &self,
        x: &Tensor,
        asked: i64,
        heads: i64,
        order: Order,
        sight: Sight,
    ) -> Result<Tensor, EncoderError> {
        let attended = |x: &Tensor| {
            let attended = self.attention.forward(x, asked, heads, sight)?;
            self.out.forward(&attended)
        };
        let kept = x.f_narrow(1, 0, asked)?;
        match order {
            Order::Before => {
                let x = kept.f_add(&attended(&self.norm1.forward(x)?)?)?;
                Ok(x.f_add(&self.mlp.forward(&self.norm2.forward(&x)?)?)?)
            }
            Order::After => {
                let x = self.norm1.forward(&kept.f_add(&attended(x)?)?)?;
                self.norm2.forward(&x.f_add(&self.mlp.forward(&x)?)?)
            }
        }
    }
}

/// A stack of blocks.
pub(super) struct Transformer {
    heads: i64,
    order: Order,
    blocks: Vec<Block>,
}

impl Transformer {
    /// Takes `{name}.{blocks}.{0..}` out of the weights.
    pub(super) fn new(
        w: &mut Weights,
        name: &str,
        names: &Names,
        shape: &Shape,
    ) -> Result<Self, EncoderError> {
        shared(name, shape.width, shape.heads)?;
        let blocks = (0..shape.layers)
            .map(|layer| Block::new(w, &format!("{name}.{}.{layer}", names.blocks), names, shape))
            .collect::<Result<_, _>>()?;
        let (heads, order) = (shape.heads, names.order);
        Ok(Self {
            heads,
            order,
            blocks,
        })
    }

    /// `x`: `[batch, tokens, width]`; so is the result.
    pub(super) fn forward(&self, x: Tensor, sight: Sight) -> Result<Tensor, EncoderError> {
        self.run(x, sight, None)
    }

    /// As [`Self::forward`], but the first token's state only, `[batch, 1, width]`: the last block does for no other token
    /// what only its own state would need.
    pub(super) fn first(&self, x: Tensor, sight: Sight) -> Result<Tensor, EncoderError> {
        let x = self.run(x, sight, Some(1))?;
        Ok(x.f_narrow(1, 0, 1)?)
    }

    /// `last`: of how many tokens the last block is to give the state; `None`: of all.
    fn run(&self, x: Tensor, sight: Sight, last: Option<i64>) -> Result<Tensor, EncoderError> {
        let (tokens, end) = (x.size3()?.1, self.blocks.len());
        let blocks = self.blocks.iter().zip(1..);
        blocks.into_iter().try_fold(x, |x, (block, number)| {
            let asked = last.filter(|_| number == end).unwrap_or(tokens);
            block.forward(&x, asked, self.heads, self.order, sight)
        })
    }
}

/// SigLIP's pooling (Zhai et al. 2023, after Lee et al. 2019): a learnt probe attends to all patches.
pub(super) struct MapHead {
    probe: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm: LayerNorm,
    mlp: Mlp,
    heads: i64,
}

impl MapHead {
    /// Takes `{name}.probe`, `.attention`, `.layernorm` and `.mlp`.
    pub(super) fn new(w: &mut Weights, name: &str, s: &Shape) -> Result<Self, EncoderError> {
        let d = s.width;
        shared(name, d, s.heads)?;
        let at = |part: &str| format!("{name}.{part}");
        let (weight, bias) = (at("attention.in_proj_weight"), at("attention.in_proj_bias"));
        let joined = Linear::named(w, &weight, Some(&bias), 3 * d, d)?;
        Ok(Self {
            probe: w.take(&at("probe"), &[1, 1, d])?,
            query: joined.part(0, d)?,
            key: joined.part(d, d)?,
            value: joined.part(2 * d, d)?,
            out: Linear::new(w, &at("attention.out_proj"), d, d)?,
            norm: LayerNorm::new(w, &at("layernorm"), d, s.eps)?,
            mlp: Mlp::new(w, &at("mlp.fc1"), &at("mlp.fc2"), s)?,
            heads: s.heads,
        })
    }

    /// `[batch, tokens, width]` → `[batch, width]`
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        let (batch, _, width) = x.size3()?;
        let probe = self.probe.f_expand([batch, 1, width], false)?;
        let part = |layer: &Linear, x: &Tensor| split(&layer.forward(x)?, self.heads);
        let (q, k, v) = (
            part(&self.query, &probe)?,
            part(&self.key, x)?,
            part(&self.value, x)?,
        );
        let x = self.out.forward(&attend(&q, &k, &v, Sight::All)?)?; // [batch, 1, width]
        let x = x.f_add(&self.mlp.forward(&self.norm.forward(&x)?)?)?;
        Ok(x.f_select(1, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn quick_gelu_is_the_same_when_its_factors_lie_in_the_layers() {
        tch::manual_seed(5);
        let shape = Shape {
            width: 8,
            hidden: 32,
            heads: 1,
            layers: 1,
            activation: Activation::QuickGelu,
            eps: 1e-5,
        };
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let tensors: Vec<(&str, Tensor)> = vec![
            ("up.weight", random(&[32, 8])),
            ("up.bias", random(&[32])),
            ("down.weight", random(&[8, 32])),
            ("down.bias", random(&[8])),
        ];
        let weights = || {
            let named = |(name, tensor): &(&str, Tensor)| ((*name).to_owned(), tensor.copy());
            Weights::from_tensors(tensors.iter().map(named))
        };
        let plain = Mlp::new(&mut weights(), "up", "down", &shape).unwrap();
        let folded = Mlp::folded(&mut weights(), "up", "down", &shape).unwrap();
        assert!(folded.activation == Activation::Silu && plain.activation != Activation::Silu);
        let x = random(&[3, 5, 8]);
        let (plain, folded) = (plain.forward(&x).unwrap(), folded.forward(&x).unwrap());
        assert!(plain.allclose(&folded, 1e-5, 1e-5, false));
        assert!(!plain.allclose(&random(&[3, 5, 8]), 1e-5, 1e-5, false));
    }
}
