//! One low-rank change of a matrix, its gradients, and the optimizer (AdamW, Loshchilov & Hutter 2019).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::targets::TrainedMatrix;
use crate::encoder::EncoderError;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;
const WEIGHT_DECAY: f64 = 0.01;

/// A generator for one purpose (`stream`) at one step.
pub(super) fn generator(seed: u64, stream: u64, step: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    // A step has 2³⁶ words for itself.
    rng.set_word_pos(u128::from(step) << 36);
    rng
}

/// The two factors of a change, `A` `[r, in]` and `B` `[out, r]`.
pub(super) struct Factors {
    pub(super) a: Tensor,
    pub(super) b: Tensor,
}

impl Factors {
    /// `A` uniform as of a linear layer, `B` zero: no change yet. `index`: that of the target.
    pub(super) fn initial(
        target: &TrainedMatrix,
        rank: usize,
        (seed, index): (u64, usize),
        device: Device,
    ) -> Result<Self, EncoderError> {
        let inputs = target.inputs();
        let bound = 1.0 / (inputs.max(1) as f32).sqrt();
        let mut rng = generator(seed, 1, index as u64);
        let values: Vec<f32> = (0..inputs as usize * rank)
            .map(|_| rng.random_range(-bound..bound))
            .collect();
        let a = Tensor::f_from_slice(&values)?.f_view([rank as i64, inputs])?; // [r, in]
        let b = Tensor::f_zeros([target.rows.1, rank as i64], (Kind::Float, device))?; // [out, r]
        let a = a.f_to_device(device)?;
        Ok(Self { a, b })
    }

    /// A copy that shares no memory.
    pub(super) fn copied(&self) -> Result<Self, EncoderError> {
        Ok(Self {
            a: self.a.f_detach_copy()?,
            b: self.b.f_detach_copy()?,
        })
    }
}

/// A change that is being trained.
pub(super) struct LowRank {
    pub(super) target: TrainedMatrix,
    pub(super) factors: Factors,
    /// Means of the gradients of `A` and `B`, and of their squares.
    pub(super) moments: [Factors; 2],
}

impl LowRank {
    pub(super) fn new(target: TrainedMatrix, factors: Factors) -> Result<Self, EncoderError> {
        let zeros = || -> Result<Factors, EncoderError> {
            Ok(Factors {
                a: factors.a.f_zeros_like()?,
                b: factors.b.f_zeros_like()?,
            })
        };
        let moments = [zeros()?, zeros()?];
        Ok(Self {
            target,
            factors,
            moments,
        })
    }

    /// Which inputs take part in a step, `[in]`: 0, or what makes up for those that do not. `None` if all do.
    pub(super) fn mask(
        &self,
        dropout: f64,
        rng: &mut ChaCha8Rng,
        device: Device,
    ) -> Result<Option<Tensor>, EncoderError> {
        if dropout <= 0.0 {
            return Ok(None);
        }
        let kept = (1.0 / (1.0 - dropout)) as f32;
        let values: Vec<f32> = (0..self.target.inputs())
            .map(|_| if rng.random_bool(dropout) { 0.0 } else { kept })
            .collect();
        Ok(Some(Tensor::f_from_slice(&values)?.f_to_device(device)?)) // [in]
    }

    /// The gradients of the factors, from that of the rows of the sum, `[out, in]`.
    pub(super) fn gradients(
        &self,
        of_sum: &Tensor,
        mask: Option<&Tensor>,
        scale: f64,
    ) -> Result<Factors, EncoderError> {
        let a = masked(&self.factors.a, mask)?; // [r, in]
        let b = of_sum.f_matmul(&a.f_transpose(0, 1)?)?; // [out, r]
        let a = self.factors.b.f_transpose(0, 1)?.f_matmul(of_sum)?; // [r, in]
        Ok(Factors {
            a: masked(&a, mask)?.f_mul_scalar(scale)?,
            b: b.f_mul_scalar(scale)?,
        })
    }

    /// One step of the optimizer, the `number`th from 1, along gradients that are multiplied by `factor` first.
    pub(super) fn descend(
        &mut self,
        gradients: &Factors,
        factor: f64,
        rate: f64,
        number: u64,
    ) -> Result<(), EncoderError> {
        let _guard = tch::no_grad_guard();
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let [first, second] = [BETA1, BETA2].map(|beta: f64| 1.0 - beta.powi(number));
        let [means, squares] = &mut self.moments;
        let both = [
            (
                &mut self.factors.a,
                &gradients.a,
                &mut means.a,
                &mut squares.a,
            ),
            (
                &mut self.factors.b,
                &gradients.b,
                &mut means.b,
                &mut squares.b,
            ),
        ];
        for (values, gradient, mean, square) in both {
            let gradient = gradient.f_mul_scalar(factor)?;
            *mean = mean
                .f_mul_scalar(BETA1)?
                .f_add(&gradient.f_mul_scalar(1.0 - BETA1)?)?;
            *square = square
                .f_mul_scalar(BETA2)?
                .f_add(&gradient.f_square()?.f_mul_scalar(1.0 - BETA2)?)?;
            let length = square.f_div_scalar(second)?.f_sqrt()?.f_add_scalar(EPS)?;
            let change = mean.f_div_scalar(first)?.f_div(&length)?;
            *values = values
                .f_mul_scalar(1.0 - rate * WEIGHT_DECAY)?
                .f_sub(&change.f_mul_scalar(rate)?)?;
        }
        Ok(())
    }
}

/// `A` with the columns that a mask leaves out set to zero.
fn masked(a: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, EncoderError> {
    match mask {
        Some(mask) => Ok(a.f_mul(mask)?),
        None => Ok(a.shallow_clone()),
    }
}

/// Adds a change, `(α/r)·B·A`, to its rows of a tensor in f32.
pub(super) fn add_change(
    tensor: &Tensor,
    target: &TrainedMatrix,
    factors: &Factors,
    mask: Option<&Tensor>,
    scale: f64,
) -> Result<(), EncoderError> {
    let (from, count) = target.rows;
    let product = factors.b.f_matmul(&masked(&factors.a, mask)?)?; // [out, in]
    let shape = [&[count], target.input.as_slice()].concat();
    let product = product.f_mul_scalar(scale)?.f_view(shape.as_slice())?;
    let _ = tensor.f_narrow(0, from, count)?.f_add_(&product)?;
    Ok(())
}
