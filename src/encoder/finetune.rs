//! Fine-tuning of the image tower by low-rank changes of its weights (LoRA, Hu et al. 2022), towards the fixed texts of a prompt
//! set.
//!
//! For each matrix `W` that takes part, `W + (α/r)·B·A` is computed once a step and handed to the same builders that open a
//! checkpoint, so that what is trained is what the merged checkpoint computes, for every family of models. Gradients of the sum give
//! those of `A` and `B`. Every random choice follows from the seed and the number of the step, so that a training that was stopped
//! ends where one that was not does.

pub(super) mod adapter;
mod augment;
mod base;
mod epochs;
mod files;
mod low_rank;
mod pickle_writer;
mod state;
mod step;
mod step_targets;
mod targets;

use serde::{Deserialize, Serialize};

pub use base::FineTuner;
pub use epochs::{EpochFigures, TrainingData, TrainingEnd, TrainingEvent, TrainingState, train};
pub use files::{SavedModel, adapter_folder};

use super::{EncoderError, PreparedImage};

/// Which blocks of the image tower take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum TrainedBlocks {
    /// The last half of a transformer's blocks; of a residual network the last stage and the attention pool
    #[default]
    Half,
    /// All blocks
    All,
}

/// How a model is fine-tuned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraSettings {
    /// Rank `r` of the changes.
    pub rank: usize,
    /// The changes are multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Share of the inputs of each changed matrix that a step leaves out.
    pub dropout: f64,
    /// Which blocks take part.
    pub blocks: TrainedBlocks,
    /// The highest learning rate.
    pub rate: f64,
    /// Passes over the images.
    pub epochs: usize,
    /// Images of a step.
    pub batch: usize,
    /// Images whose gradients are computed together; bounds memory and changes results only by rounding.
    pub micro_batch: usize,
    /// Weight of the divergence from the zero-shot probabilities.
    pub zero_shot_weight: f64,
    /// Epochs after which training ends, if neither the accuracy (or the area) nor the log-loss of the images held out was the best so far.
    pub patience: usize,
    /// Whether images are shifted, scaled and changed in contrast and noise. They are never mirrored or turned.
    pub augment: bool,
    /// Determines every random choice.
    pub seed: u64,
}

impl Default for LoraSettings {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 8.0,
            dropout: 0.1,
            blocks: TrainedBlocks::Half,
            rate: 5e-4,
            epochs: 10,
            batch: 32,
            micro_batch: 16,
            zero_shot_weight: 0.1,
            patience: 3,
            augment: true,
            seed: 0,
        }
    }
}

/// Steps that a training should have, and the bounds of the epochs that make them.
const WANTED_STEPS: usize = 600;
const MIN_EPOCHS: usize = 10;
const MAX_EPOCHS: usize = 60;

impl LoraSettings {
    /// As many passes over so many images as make 600 steps: at least 10, at most 60.
    pub fn usual_epochs(&self, images: usize) -> usize {
        let steps = images.div_ceil(self.batch.max(1)).max(1);
        WANTED_STEPS.div_ceil(steps).clamp(MIN_EPOCHS, MAX_EPOCHS)
    }
}

/// Prepared images by their index: kept in memory, or read anew.
pub trait TrainingImages: Sync {
    /// The image with this index.
    ///
    /// # Errors
    ///
    /// Fails if its file cannot be read any more.
    fn image(&self, index: usize) -> Result<PreparedImage, EncoderError>;
}

#[cfg(test)]
#[path = "finetune/tests.rs"]
mod tests;
