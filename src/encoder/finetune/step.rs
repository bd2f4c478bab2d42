//! One step of the training: the loss, its gradients, and the change of the factors.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::base::FineTuner;
use super::low_rank::{Factors, generator};
use super::step_targets::BatchTargets;
use crate::encoder::towers::unit_rows;
use crate::encoder::{EncoderError, PreparedImage};
use crate::learn::Problem;

/// Maximum norm of the gradient of all factors together.
const MAX_GRADIENT: f64 = 1.0;
/// The stream of random numbers that dropout uses.
const DROPOUT_STREAM: u64 = 2;

/// The images of a step.
pub(super) struct StepBatch {
    pub(super) images: Vec<PreparedImage>,
    pub(super) targets: BatchTargets,
}

/// The fixed texts that images are trained towards.
pub(super) struct Prototypes {
    /// The conditions' embeddings times the scale from cosine to logit, `[d, conditions]`.
    scaled: Tensor,
    /// What is added to each logit, `[conditions]`.
    offsets: Tensor,
}

impl Prototypes {
    /// The logits of unit embeddings `[n, d]`: `[n, conditions]`.
    fn logits(&self, rows: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(rows.f_matmul(&self.scaled)?.f_add(&self.offsets)?)
    }
}

impl FineTuner {
    /// The embeddings of the conditions' texts on the device, multiplied by the model's scale.
    pub(super) fn prototypes(&self, problem: &Problem) -> Result<Prototypes, EncoderError> {
        let conditions = problem.texts.len() as i64;
        let flat: Vec<f32> = problem.texts.iter().flatten().copied().collect();
        let rows = Tensor::f_from_slice(&flat)?.f_view([conditions, -1])?; // [conditions, d]
        let scaled = rows.f_transpose(0, 1)?.f_mul_scalar(problem.scale)?;
        let offsets: Vec<f32> = problem.offsets.iter().map(|own| *own as f32).collect();
        Ok(Prototypes {
            scaled: scaled.f_to_device(self.device)?,
            offsets: Tensor::f_from_slice(&offsets)?.f_to_device(self.device)?,
        })
    }

    /// Changes the factors along the gradient of the loss of a batch; `number` counts steps from 0. Returns the loss. A gradient
    /// that is not finite changes nothing.
    pub(super) fn step(
        &mut self,
        batch: &StepBatch,
        prototypes: &Prototypes,
        (number, rate): (u64, f64),
    ) -> Result<f64, EncoderError> {
        let mut rng = generator(self.settings.seed, DROPOUT_STREAM, number);
        let mut masks = Vec::with_capacity(self.changes.len());
        for own in &self.changes {
            masks.push(own.mask(self.settings.dropout, &mut rng, self.device)?);
        }
        let factors: Vec<&Factors> = self.changes.iter().map(|own| &own.factors).collect();
        let mut sums = self.sums(&factors, &masks)?;
        for sum in sums.values_mut() {
            *sum = sum.f_set_requires_grad(true)?;
        }
        let loss = tch::with_grad(|| self.backward(batch, prototypes, &sums))?;
        self.descend(&sums, &masks, (number, rate))?;
        Ok(loss)
    }

    /// Computes the loss in micro-batches, whose gradients add up in the tensors of `sums`.
    fn backward(
        &self,
        batch: &StepBatch,
        prototypes: &Prototypes,
        sums: &BTreeMap<String, Tensor>,
    ) -> Result<f64, EncoderError> {
        // Folded norms and scaled layers are functions of the sums, so that each micro-batch builds the towers anew: gradients
        // free the functions that they flow through.
        let mut loss = 0.0;
        let size = self.settings.micro_batch.max(1);
        for start in (0..batch.images.len()).step_by(size) {
            let range = start..batch.images.len().min(start + size);
            let towers = self.towers(sums)?;
            let pixels = self.pixels(&batch.images[range.clone()])?;
            let rows = unit_rows(&towers.image_features(&pixels)?)?; // [n, d]
            let logits = prototypes.logits(&rows)?; // [n, conditions]
            let part = batch
                .targets
                .loss(&logits, range, self.settings.zero_shot_weight)?;
            part.f_backward()?;
            loss += part.f_double_value(&[])?;
        }
        Ok(loss)
    }

    fn descend(
        &mut self,
        sums: &BTreeMap<String, Tensor>,
        masks: &[Option<Tensor>],
        (number, rate): (u64, f64),
    ) -> Result<(), EncoderError> {
        let _guard = tch::no_grad_guard();
        let scale = self.scale();
        let mut gradients = Vec::with_capacity(self.changes.len());
        let mut squares = 0.0;
        for (own, mask) in self.changes.iter().zip(masks) {
            let target = &own.target;
            let missing = || EncoderError::MissingTensor(target.tensor.clone());
            let of_tensor = sums.get(&target.tensor).ok_or_else(missing)?.f_grad()?;
            let (from, count) = target.rows;
            let of_sum = if of_tensor.defined() {
                let rows = of_tensor.f_narrow(0, from, count)?;
                rows.f_reshape([count, target.inputs()])?
            } else {
                let shape = [count, target.inputs()];
                Tensor::f_zeros(shape, (Kind::Float, self.device))?
            };
            let own = own.gradients(&of_sum, mask.as_ref(), scale)?;
            for part in [&own.a, &own.b] {
                squares += part.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
            }
            gradients.push(own);
        }
        let norm = squares.sqrt();
        if !norm.is_finite() {
            return Ok(());
        }
        let factor = (MAX_GRADIENT / (norm + 1e-6)).min(1.0);
        for (own, gradients) in self.changes.iter_mut().zip(&gradients) {
            own.descend(gradients, factor, rate, number + 1)?;
        }
        Ok(())
    }
}
