//! The pre-norm transformer that CLIP's two towers share.

use tch::Tensor;

use super::{EncoderError, Weights};

/// A linear layer, `[out, in]` and `[out]`.
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(w: &mut Weights, name: &str, output: i64, input: i64) -> Result<Self, EncoderError> {
        let weight = w.take(&format!("{name}.weight"), &[output, input])?;
        let bias = w.take(&format!("{name}.bias"), &[output])?;
        Ok(Self { weight, bias })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(x.f_linear(&self.weight, Some(&self.bias))?)
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
    /// The exact Gaussian error linear unit.
    Gelu,
}

impl Activation {
    /// By the name that `hidden_act` uses.
    pub(super) fn parse(name: &str) -> Result<Self, EncoderError> {
        match name {
            "quick_gelu" => Ok(Self::QuickGelu),
            "gelu" => Ok(Self::Gelu),
            other => Err(EncoderError::Unsupported(format!(
                "hidden_act `{other}` is not supported"
            ))),
        }
    }

    fn apply(self, x: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(match self {
            Self::QuickGelu => x.f_mul(&x.f_mul_scalar(1.702)?.f_sigmoid()?)?,
            Self::Gelu => x.f_gelu("none")?,
        })
    }
}

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

struct Block {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Block {
    fn new(w: &mut Weights, name: &str, shape: &Shape) -> Result<Self, EncoderError> {
        let (d, h) = (shape.width, shape.hidden);
        let mut project =
            |part: &str| Linear::new(w, &format!("{name}.self_attn.{part}_proj"), d, d);
        let (query, key, value, out) =
            (project("q")?, project("k")?, project("v")?, project("out")?);
        Ok(Self {
            norm1: LayerNorm::new(w, &format!("{name}.layer_norm1"), d, shape.eps)?,
            query,
            key,
            value,
            out,
            norm2: LayerNorm::new(w, &format!("{name}.layer_norm2"), d, shape.eps)?,
            up: Linear::new(w, &format!("{name}.mlp.fc1"), h, d)?,
            down: Linear::new(w, &format!("{name}.mlp.fc2"), d, h)?,
        })
    }

    /// `x`: `[batch, tokens, width]`; the result has the same shape.
    fn forward(&self, x: &Tensor, shape: &Shape, causal: bool) -> Result<Tensor, EncoderError> {
        let (batch, tokens, width) = x.size3()?;
        let split = |t: &Tensor| {
            // [batch, tokens, width] -> [batch, heads, tokens, width / heads]
            t.f_view([batch, tokens, shape.heads, width / shape.heads])?
                .f_transpose(1, 2)
        };
        let y = self.norm1.forward(x)?;
        let q = split(&self.query.forward(&y)?)?;
        let k = split(&self.key.forward(&y)?)?;
        let v = split(&self.value.forward(&y)?)?;
        let none: Option<&Tensor> = None;
        let y = Tensor::f_scaled_dot_product_attention(&q, &k, &v, none, 0.0, causal, None, false)?;
        let y = y.f_transpose(1, 2)?.f_reshape([batch, tokens, width])?; // heads side by side again
        let x = x.f_add(&self.out.forward(&y)?)?;
        let y = shape
            .activation
            .apply(&self.up.forward(&self.norm2.forward(&x)?)?)?; // [batch, tokens, hidden]
        Ok(x.f_add(&self.down.forward(&y)?)?)
    }
}

/// A stack of blocks.
pub(super) struct Transformer {
    shape: Shape,
    blocks: Vec<Block>,
}

impl Transformer {
    /// Takes `{name}.layers.{0..}` out of the weights.
    pub(super) fn new(w: &mut Weights, name: &str, shape: Shape) -> Result<Self, EncoderError> {
        if shape.heads < 1 || shape.width % shape.heads != 0 {
            let text = format!(
                "{name}: a width of {} cannot be split over {} heads",
                shape.width, shape.heads
            );
            return Err(EncoderError::Unsupported(text));
        }
        let blocks = (0..shape.layers)
            .map(|layer| Block::new(w, &format!("{name}.layers.{layer}"), &shape))
            .collect::<Result<_, _>>()?;
        Ok(Self { shape, blocks })
    }

    /// `x`: `[batch, tokens, width]`; with `causal`, a token sees itself and those before it.
    pub(super) fn forward(&self, x: Tensor, causal: bool) -> Result<Tensor, EncoderError> {
        self.blocks
            .iter()
            .try_fold(x, |x, block| block.forward(&x, &self.shape, causal))
    }
}
