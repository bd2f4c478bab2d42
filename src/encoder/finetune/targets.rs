//! The matrices of an image tower that fine-tuning changes.

use std::collections::BTreeMap;

use tch::Tensor;

use super::TrainedBlocks;
use crate::encoder::EncoderError;
use crate::encoder::block_names::{BlockNames, Projections};

/// A matrix, or some of its rows, that is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrainedMatrix {
    /// The tensor that contains it.
    pub(super) tensor: String,
    /// The module by which an adapter names it: PEFT's name where the layout is Hugging Face's.
    pub(super) module: String,
    /// The first of its rows in the tensor, and their number.
    pub(super) rows: (i64, i64),
    /// The dimensions of an output, as the tensor has them: `[in]`, or `[in, k, k]` of a convolution.
    pub(super) input: Vec<i64>,
}

impl TrainedMatrix {
    /// Numbers of an input row.
    pub(super) fn inputs(&self) -> i64 {
        self.input.iter().product()
    }
}

/// The names of image towers' blocks in the layouts.
const TRANSFORMERS: [(&str, &BlockNames); 3] = [
    ("vision_model.encoder", &BlockNames::HUGGING_FACE),
    ("visual.transformer", &BlockNames::OPEN_CLIP),
    ("visual.trunk", &BlockNames::TIMM),
];
/// Stages of a residual network.
const STAGES: usize = 4;
/// Bounds the search for blocks.
const MAX_BLOCKS: usize = 1000;
/// The parts of a fused projection, in its order.
const FUSED_PARTS: [&str; 3] = ["q", "k", "v"];

/// The matrices of the tower in these tensors.
///
/// # Errors
///
/// Fails if the tower is of no known architecture.
pub(super) fn find(
    tensors: &BTreeMap<String, Tensor>,
    blocks: TrainedBlocks,
) -> Result<Vec<TrainedMatrix>, EncoderError> {
    let mut found = MatrixSearch {
        tensors,
        all: Vec::new(),
    };
    for (prefix, names) in TRANSFORMERS {
        let at = |block: usize| format!("{prefix}.{}.{block}", names.blocks);
        let norm = |block: usize| format!("{}.{}.weight", at(block), names.norm1);
        let count = (0..MAX_BLOCKS)
            .take_while(|block| tensors.contains_key(&norm(*block)))
            .count();
        for block in first(count, blocks)..count {
            found.add_block(&at(block), names)?;
        }
    }
    if tensors.contains_key("visual.layer1.0.conv1.weight") {
        found.add_residual(blocks)?;
    }
    if found.all.is_empty() {
        return Err(EncoderError::Unsupported(
            "the image tower has no blocks that fine-tuning knows; it knows transformers and OpenAI's residual networks"
                .to_owned(),
        ));
    }
    Ok(found.all)
}

/// The first of the blocks that take part.
fn first(count: usize, blocks: TrainedBlocks) -> usize {
    match blocks {
        TrainedBlocks::Half => count / 2,
        TrainedBlocks::All => 0,
    }
}

/// The matrices found so far.
struct MatrixSearch<'a> {
    tensors: &'a BTreeMap<String, Tensor>,
    all: Vec<TrainedMatrix>,
}

impl MatrixSearch<'_> {
    fn shape(&self, tensor: &str) -> Result<Vec<i64>, EncoderError> {
        let found = self.tensors.get(tensor).map(Tensor::size);
        found
            .filter(|shape| shape.len() > 1)
            .ok_or_else(|| EncoderError::MissingTensor(tensor.to_owned()))
    }

    /// Adds `{module}.weight`.
    fn add(&mut self, module: &str) -> Result<(), EncoderError> {
        let tensor = format!("{module}.weight");
        let shape = self.shape(&tensor)?;
        self.all.push(TrainedMatrix {
            tensor,
            module: module.to_owned(),
            rows: (0, shape[0]),
            input: shape[1..].to_vec(),
        });
        Ok(())
    }

    /// Adds the three parts of a fused projection.
    fn add_fused(&mut self, tensor: &str) -> Result<(), EncoderError> {
        let shape = self.shape(tensor)?;
        let count = shape[0] / 3;
        for (part, from) in FUSED_PARTS.into_iter().zip([0, count, 2 * count]) {
            self.all.push(TrainedMatrix {
                tensor: tensor.to_owned(),
                module: format!("{tensor}.{part}"),
                rows: (from, count),
                input: shape[1..].to_vec(),
            });
        }
        Ok(())
    }

    /// Adds the projections of attention of a block.
    fn add_block(&mut self, block: &str, names: &BlockNames) -> Result<(), EncoderError> {
        match names.projections {
            Projections::Separate(parts) => {
                for part in parts {
                    self.add(&format!("{block}.{part}"))?;
                }
            }
            Projections::Fused(weight, _) => self.add_fused(&format!("{block}.{weight}"))?,
        }
        self.add(&format!("{block}.{}", names.out))
    }

    /// Adds the convolutions of the last stage, or of all, and the projections of the attention pool.
    fn add_residual(&mut self, blocks: TrainedBlocks) -> Result<(), EncoderError> {
        let begin = match blocks {
            TrainedBlocks::Half => STAGES,
            TrainedBlocks::All => 1,
        };
        for stage in begin..=STAGES {
            for block in 0..MAX_BLOCKS {
                let at = |part: &str| format!("visual.layer{stage}.{block}.{part}");
                let has = |part: &str| self.tensors.contains_key(&format!("{}.weight", at(part)));
                if !has("conv1") {
                    break;
                }
                let has_shortcut = has("downsample.0");
                for part in ["conv1", "conv2", "conv3"] {
                    self.add(&at(part))?;
                }
                if has_shortcut {
                    self.add(&at("downsample.0"))?;
                }
            }
        }
        for part in ["q_proj", "k_proj", "v_proj", "c_proj"] {
            self.add(&format!("visual.attnpool.{part}"))?;
        }
        Ok(())
    }
}
