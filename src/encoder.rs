//! Models: images and phrases become unit vectors. This is the only layer that calls libtorch.
//!
//! No tensor leaves it: callers see [`PreparedImage`], `Vec<f32>` and [`EncoderError`].

mod archive;
mod attribution;
mod block_names;
pub mod builtin;
pub mod catalog;
pub mod checkpoint;
mod clean;
pub mod clip;
mod cuda;
mod eclip;
pub mod finetune;
pub mod hub;
mod inventory;
mod layers;
mod layout;
mod occlusion;
pub mod open_clip;
mod pickle;
mod pointer;
mod preprocess;
mod reference;
mod resample;
mod resnet;
mod siglip;
mod similarity;
mod source;
mod staging;
mod taught;
mod text;
mod text_cache;
mod tokenize;
mod torch;
mod towers;
mod transformer;
mod vision;
mod vocabulary;
mod weights;

pub use builtin::BuiltinFacts;
pub use layout::CheckpointLayout;
pub use occlusion::{Masker, occlusion_map, scores_along};
pub use preprocess::{Fit, PreparedImage, Preprocess};
pub use reference::{NOTICE, ReferenceRecord, ReferenceRecords};
pub use similarity::similarities;
pub use source::ModelSource;
pub use taught::TaughtFindings;
pub use tokenize::{Tokenized, Tokenizer};
pub use torch::{
    Device, Precision, give_up_gpu, gpu_note, limit_threads, resolve_device, set_cpu_niceness,
};
pub use towers::{DualEncoder, Towers};
pub use weights::Weights;

use std::path::PathBuf;
use std::sync::Arc;

use crate::scoring::heat_map::HeatMap;

/// Why a model cannot be used. Each message names the file or tensor, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// A file of the checkpoint is missing or cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A file that a fine-tuning writes cannot be written.
    #[error("{} cannot be written: {reason}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The checkpoint's layout, architecture or a setting in it is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// The weights lack a tensor that the configuration implies.
    #[error("the weights lack the tensor `{0}`")]
    MissingTensor(String),
    /// The weights contain tensors that the model does not use.
    #[error(
        "the weights contain {count} tensor(s) that the model does not use, the first being `{first}`"
    )]
    SurplusTensors {
        /// How many.
        count: usize,
        /// The first one by name.
        first: String,
    },
    /// A tensor's dimensions are not those that the configuration implies.
    #[error("the tensor `{name}` has the shape {found:?}, but the configuration says {expected:?}")]
    Shape {
        /// Tensor name.
        name: String,
        /// Dimensions in the file.
        found: Vec<i64>,
        /// Dimensions expected.
        expected: Vec<i64>,
    },
    /// A tensor contains NaN or infinity.
    #[error("the tensor `{0}` contains numbers that are not finite; the file is damaged")]
    NotFinite(String),
    /// The model's embeddings do not depend on its input, or are not finite.
    #[error("the model cannot be used: {0}; its weights are damaged")]
    Senseless(&'static str),
    /// The tokenizer cannot be used, or failed on a text.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The requested device cannot be used.
    #[error("{0}")]
    Device(String),
    /// The device has not enough memory for this batch; a smaller one may fit.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The GPU failed; everything that this process had on it is lost.
    #[error("the GPU was lost: {0}")]
    DeviceLost(String),
    /// Any other error of libtorch.
    #[error("libtorch: {0}")]
    Torch(String),
}

impl From<tch::TchError> for EncoderError {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends a C++ stack trace after the first line, which is of no use to the user.
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().to_owned();
        let contains_any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if contains_any(&OUT_OF_MEMORY_TEXTS) {
            Self::OutOfMemory(line)
        } else if contains_any(&DEVICE_LOST_TEXTS) {
            Self::DeviceLost(line)
        } else {
            Self::Torch(line)
        }
    }
}

/// Parts of libtorch's messages when memory runs out, on the CPU and on a GPU.
const OUT_OF_MEMORY_TEXTS: [&str; 4] = [
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
];
/// Parts of its messages when a GPU fails. No later call of this process succeeds on that GPU.
const DEVICE_LOST_TEXTS: [&str; 4] = [
    "CUDA error",
    "CUDA driver error",
    "cuDNN error",
    "No CUDA GPUs are available",
];

/// How to open a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelOptions {
    /// The device to run on.
    pub device: Device,
    /// Numeric precision.
    pub precision: Precision,
    /// How images that are not square are fitted; `None` means as the model's files say.
    pub fit: Option<Fit>,
    /// The folder that caches embeddings of texts; `None` disables the cache.
    pub text_cache: Option<PathBuf>,
    /// The folder of [`ReferenceRecords`]; with `None`, nothing is said of checkpoints that were not compared.
    pub reference_records: Option<PathBuf>,
}

/// Facts about a loaded model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// Short name for results: `builtin`, the model's id on the hub, or the name of its folder or file.
    pub id: String,
    /// `blake3:<hex>` over weights, configuration and tokenizer.
    pub digest: String,
    /// The device it runs on: `cpu`, `cuda:0`.
    pub device: String,
    /// Length of an embedding.
    pub dimension: usize,
    /// The factor from cosine to logit; the checkpoint stores its logarithm.
    pub logit_scale: f64,
    /// The bias added to a logit before its sigmoid; only models trained with a sigmoid (SigLIP) have one.
    pub logit_bias: Option<f64>,
    /// What is known of the model if it is the built-in one, which judges findings of phantoms only, or was fine-tuned from it.
    pub builtin: Option<Arc<BuiltinFacts>>,
    /// The kinds of image that it is for, as far as the catalogue says so: conditions of the prompt set `kinds`.
    pub kinds: &'static [String],
}

/// The end of a text that exceeds a model's context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// The model's context in tokens, begin and end tokens included.
    pub context: usize,
    /// The part that the model does not read, cleaned as its tokenizer cleans texts.
    pub rest: String,
}

/// Whether an embedding can be scaled to a unit vector: finite, and not zero. Arithmetic in 16 bits may overflow, and a damaged
/// model may produce anything.
pub fn is_direction(embedding: &[f32]) -> bool {
    let length: f32 = embedding.iter().map(|x| x * x).sum();
    length.is_finite() && length > 0.0
}

/// A model of the CLIP family. It stays on the thread that opened it.
pub trait Encoder {
    /// Facts about the model.
    fn card(&self) -> &ModelCard;

    /// The model's preprocessing of images; cheap to clone, and used on other threads.
    fn preprocess(&self) -> Preprocess;

    /// Identifies everything but the image that an image's embedding depends on: model, device, precision, preprocessing.
    fn embedding_key(&self) -> String {
        let card = self.card();
        format!("{} {} {:?}", card.digest, card.device, self.preprocess())
    }

    /// Unit embeddings of prepared images, in their order.
    fn encode_images(&mut self, batch: &[PreparedImage]) -> Result<Vec<Vec<f32>>, EncoderError>;

    /// Starts a forward pass and returns the embeddings of the pass started before it, if there is one. The images are
    /// transferred to the device while it still computes the previous pass. After an error both passes are lost. Only models
    /// on a GPU support this.
    fn begin_pass(
        &mut self,
        batch: &[PreparedImage],
    ) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        let _ = batch;
        let text = "this model cannot overlap forward passes";
        Err(EncoderError::Unsupported(text.to_owned()))
    }

    /// Waits for the pass started last, if there is one, and returns its embeddings.
    fn finish_pass(&mut self) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        Ok(None)
    }

    /// Transfers prepared images to the device and normalises them there, without a forward pass; for benchmarks.
    fn transfer(&mut self, batch: &[PreparedImage]) -> Result<(), EncoderError> {
        let _ = batch;
        Ok(())
    }

    /// What regions of an image contribute to its score along each direction: the product of `logit_scale`, the image's unit
    /// embedding and the direction, which need not be a unit vector. Takes one forward pass, and for convolutions a backward one.
    /// `None`: this model has no such maps, and [`occlusion_map`] is the way.
    fn attribution(
        &mut self,
        image: &PreparedImage,
        directions: &[Vec<f32>],
    ) -> Result<Option<Vec<HeatMap>>, EncoderError> {
        let _ = (image, directions);
        Ok(None)
    }

    /// What speaks for and against the same scores by Grad-ECLIP: each patch's values in the last attention layer, weighted by the
    /// gradient of the score and by how alike its key is to the query of the embedding (Zhao et al. 2024, here with the model's own
    /// heads). Takes one forward pass. The values rank regions, and do not add up to the score. `None`: this model has no such maps.
    fn grad_eclip(
        &mut self,
        image: &PreparedImage,
        directions: &[Vec<f32>],
    ) -> Result<Option<Vec<HeatMap>>, EncoderError> {
        let _ = (image, directions);
        Ok(None)
    }

    /// Unit embeddings of texts, in their order.
    fn encode_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError>;

    /// The words that are missing from the model's vocabulary, each once, in order of appearance.
    fn unknown_words(&self, texts: &[String]) -> Vec<String>;

    /// The end of a text that the model does not read, because the text has more tokens than its context. `None` if the text
    /// fits.
    fn cut_off(&self, text: &str) -> Option<CutOff> {
        let _ = text;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_libtorch_tell_a_full_device_from_a_lost_one() {
        let said = |text: &str| EncoderError::from(tch::TchError::Torch(text.to_owned()));
        for text in [
            "CUDA out of memory. Tried to allocate 2.00 GiB.\nException raised from malloc",
            "CUDA error: out of memory",
            "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        ] {
            assert!(matches!(said(text), EncoderError::OutOfMemory(_)), "{text}");
        }
        for text in [
            "CUDA error: an illegal memory access was encountered\nCompile with",
            "CUDA error: unspecified launch failure",
            "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        ] {
            let EncoderError::DeviceLost(line) = said(text) else {
                panic!("{text}")
            };
            assert!(line.ends_with(text.lines().next().unwrap()), "{line}");
        }
        let other = said("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)");
        assert!(matches!(other, EncoderError::Torch(_)));
    }
}
