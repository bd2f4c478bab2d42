//! The layers that transformers are made of: linear, layer norm, activation, MLP.

use tch::{Kind, Tensor};

use super::transformer::TransformerConfig;
use super::{EncoderError, Weights};

/// A linear layer: weight `[out, in]` and bias `[out]`.
pub(super) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Takes `{name}.weight` and `{name}.bias`.
    pub(super) fn new(
        w: &mut Weights,
        name: &str,
        output: i64,
        input: i64,
    ) -> Result<Self, EncoderError> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        Self::named(w, &weight, Some(&bias), output, input)
    }

    /// As [`Self::new`], with weight and bias each multiplied by a factor.
    pub(super) fn scaled(
        w: &mut Weights,
        name: &str,
        output: i64,
        input: i64,
        (weight, bias): (f64, f64),
    ) -> Result<Self, EncoderError> {
        Ok(Self {
            weight: w.take_scaled(&format!("{name}.weight"), &[output, input], weight)?,
            bias: Some(w.take_scaled(&format!("{name}.bias"), &[output], bias)?),
        })
    }

    /// Takes a layer without a bias, or one whose tensors do not follow the usual naming.
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

    /// Makes a layer of a weight `[out, in]` and a bias `[out]`.
    pub(super) fn from_parts(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// Takes a layer that is stored transposed, `[in, out]`, without a bias; a view, not a copy.
    pub(super) fn transposed(
        w: &mut Weights,
        name: &str,
        input: i64,
        output: i64,
    ) -> Result<Self, EncoderError> {
        let weight = w.take(name, &[input, output])?.f_transpose(0, 1)?; // [out, in]
        Ok(Self { weight, bias: None })
    }

    /// The layer that computes the outputs `from..from + count` only, as a view.
    pub(super) fn outputs_from(&self, from: i64, count: i64) -> Result<Self, EncoderError> {
        let bias = self.bias.as_ref();
        Ok(Self {
            weight: self.weight.f_narrow(0, from, count)?, // [count, in]
            bias: bias.map(|b| b.f_narrow(0, from, count)).transpose()?, // [count]
        })
    }

    /// Length of an output row.
    pub(super) fn outputs(&self) -> i64 {
        self.weight.size().first().copied().unwrap_or(0)
    }

    /// `[…, in]` → `[…, out]`
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(x.f_linear(&self.weight, self.bias.as_ref())?)
    }

    /// The bias, `[out]`, in f32.
    pub(super) fn bias(&self) -> Result<Option<Tensor>, EncoderError> {
        let bias = self.bias.as_ref();
        Ok(bias.map(|bias| bias.f_to_kind(Kind::Float)).transpose()?)
    }

    /// The inputs along which the outputs grow in given directions: `[n, out]` → `[n, in]`, in f32.
    pub(super) fn pulled_back(&self, directions: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(directions.f_matmul(&self.weight.f_to_kind(Kind::Float)?)?) // [n, in]
    }
}

/// Layer normalisation over the last axis: weight and bias `[width]`.
pub(super) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Takes `{name}.weight` and `{name}.bias`.
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

    /// `[…, width]` → `[…, width]`
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        let width = self.weight.size();
        Ok(x.f_layer_norm(width, Some(&self.weight), Some(&self.bias), self.eps, false)?)
    }

    /// As [`Self::forward`], linear in `x`: the deviation that it divides by is held.
    pub(super) fn forward_held(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        let mean = x.f_mean_dim([-1_i64].as_slice(), true, x.kind())?; // […, 1]
        let variance = x.f_detach()?.f_var_dim([-1_i64].as_slice(), false, true)?; // […, 1]
        let deviation = variance.f_add_scalar(self.eps)?.f_sqrt()?; // […, 1]
        let normed = x.f_sub(&mean)?.f_div(&deviation)?; // […, width]
        Ok(normed.f_mul(&self.weight)?.f_add(&self.bias)?)
    }
}

/// The nonlinearity between the two layers of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// `x · σ(1.702 x)`, OpenAI's approximation.
    QuickGelu,
    /// `x · σ(x)`, which computes QuickGELU with its factor folded into the layers: see [`Mlp::folded`].
    Silu,
    /// The exact Gaussian error linear unit.
    Gelu,
    /// GELU approximated by a hyperbolic tangent.
    GeluTanh,
}

impl Activation {
    /// Parses the value of `hidden_act` in a Hugging Face configuration.
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

    /// Element by element; the shape stays.
    pub(super) fn apply(self, x: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(match self {
            Self::QuickGelu => x.f_mul(&x.f_mul_scalar(QUICK_GELU_FACTOR)?.f_sigmoid_()?)?,
            Self::Silu => x.f_silu()?,
            Self::Gelu => x.f_gelu("none")?,
            Self::GeluTanh => x.f_gelu("tanh")?,
        })
    }
}

impl Activation {
    /// The factor by which [`Self::apply`] multiplies each element.
    fn gate(self, x: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(match self {
            Self::QuickGelu => x.f_mul_scalar(QUICK_GELU_FACTOR)?.f_sigmoid()?,
            Self::Silu => x.f_sigmoid()?,
            // Φ(x)
            Self::Gelu => {
                let erf = x.f_mul_scalar(std::f64::consts::FRAC_1_SQRT_2)?.f_erf()?;
                erf.f_add_scalar(1.0)?.f_mul_scalar(0.5)?
            }
            // Hendrycks and Gimpel 2016: Φ(x) ≈ ½ (1 + tanh(√(2/π) (x + 0.044715 x³)))
            Self::GeluTanh => {
                let cubic = x
                    .f_pow_tensor_scalar(3)?
                    .f_mul_scalar(0.044_715)?
                    .f_add(x)?;
                let factor = (2.0 / std::f64::consts::PI).sqrt();
                let tanh = cubic.f_mul_scalar(factor)?.f_tanh()?;
                tanh.f_add_scalar(1.0)?.f_mul_scalar(0.5)?
            }
        })
    }
}

/// The factor in `x · σ(1.702 x)`.
const QUICK_GELU_FACTOR: f64 = 1.702;

/// Two linear layers with a nonlinearity between them.
pub(super) struct Mlp {
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl Mlp {
    pub(super) fn new(
        w: &mut Weights,
        up: &str,
        down: &str,
        s: &TransformerConfig,
    ) -> Result<Self, EncoderError> {
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

    /// QuickGELU in one pass over the hidden states instead of three: `x · σ(c x) = silu(c x) / c`, and both factors are folded
    /// into the layers. A GPU spends more time on reading and writing these states than on computing them. On the CPU the
    /// scaled copies of the layers would cost more than is gained.
    fn folded(
        w: &mut Weights,
        up: &str,
        down: &str,
        s: &TransformerConfig,
    ) -> Result<Self, EncoderError> {
        let (d, h) = (s.width, s.hidden);
        Ok(Self {
            up: Linear::scaled(w, up, h, d, (QUICK_GELU_FACTOR, QUICK_GELU_FACTOR))?,
            down: Linear::scaled(w, down, d, h, (1.0 / QUICK_GELU_FACTOR, 1.0))?,
            activation: Activation::Silu,
        })
    }

    /// `[batch, tokens, width]` → `[batch, tokens, width]`
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        let y = self.activation.apply(&self.up.forward(x)?)?; // [batch, tokens, hidden]
        self.down.forward(&y)
    }

    /// As [`Self::forward`], linear in `x`: the gates of the nonlinearity are held.
    pub(super) fn forward_held(&self, x: &Tensor) -> Result<Tensor, EncoderError> {
        let up = self.up.forward(x)?; // [batch, tokens, hidden]
        let gate = self.activation.gate(&up.f_detach()?)?; // [batch, tokens, hidden]
        self.down.forward(&up.f_mul(&gate)?)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    /// The value stays the same, and the function is linear: it equals its gradient times its input, and what it is at zero.
    #[test]
    fn held_layers_compute_the_same_value() {
        tch::manual_seed(6);
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let x = random(&[2, 3, 8]);
        for activation in [
            Activation::QuickGelu,
            Activation::Silu,
            Activation::Gelu,
            Activation::GeluTanh,
        ] {
            let mlp = Mlp {
                up: Linear::from_parts(random(&[16, 8]), Some(random(&[16]))),
                down: Linear::from_parts(random(&[8, 16]), Some(random(&[8]))),
                activation,
            };
            let (plain, held) = (mlp.forward(&x).unwrap(), mlp.forward_held(&x).unwrap());
            assert!(plain.allclose(&held, 1e-5, 1e-5, false), "{activation:?}");
        }
        let norm = LayerNorm {
            weight: random(&[8]),
            bias: random(&[8]),
            eps: 1e-5,
        };
        let held = norm.forward_held(&x).unwrap();
        assert!(norm.forward(&x).unwrap().allclose(&held, 1e-5, 1e-5, false));
    }

    #[test]
    fn quick_gelu_gives_the_same_with_its_factors_folded_into_the_layers() {
        tch::manual_seed(5);
        let config = TransformerConfig {
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
        let plain = Mlp::new(&mut weights(), "up", "down", &config).unwrap();
        let folded = Mlp::folded(&mut weights(), "up", "down", &config).unwrap();
        assert!(folded.activation == Activation::Silu && plain.activation != Activation::Silu);
        let x = random(&[3, 5, 8]);
        let (plain, folded) = (plain.forward(&x).unwrap(), folded.forward(&x).unwrap());
        assert!(plain.allclose(&folded, 1e-5, 1e-5, false));
        assert!(!plain.allclose(&random(&[3, 5, 8]), 1e-5, 1e-5, false));
    }
}
