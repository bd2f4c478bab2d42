//! The model room: pictures and phrases become unit vectors. libtorch lives here and nowhere else.
//!
//! No tensor leaves: callers see [`Input`], `Vec<f32>` and [`EncoderError`].

mod archive;
pub mod catalog;
pub mod checkpoint;
mod clean;
pub mod clip;
mod cuda;
pub mod demo;
pub mod hub;
mod layout;
mod names;
mod open_clip;
mod pickle;
mod preprocess;
mod resample;
mod siglip;
mod source;
mod staging;
mod text;
mod texts;
mod tokenize;
mod torch;
mod towers;
mod transformer;
mod vision;
mod vocabulary;
mod weights;

pub use layout::Layout;
pub use preprocess::{Fit, Input, Preprocess};
pub use source::Source;
pub use tokenize::{Tokenized, Tokenizer};
pub use torch::{Device, Precision, give_up_gpu, gpu_note, limit_threads, step_back_on_cpu};
pub use towers::{DualEncoder, Towers};
pub use weights::Weights;

use std::path::PathBuf;

/// Why a model cannot be used. Each message names the file or tensor and says what is wrong with it.
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
    /// The layout is none that is known.
    #[error("{0}")]
    Unsupported(String),
    /// The weights lack a tensor that the configuration calls for.
    #[error("the weights lack the tensor `{0}`")]
    MissingTensor(String),
    /// The weights hold tensors that nothing asked for.
    #[error("the weights hold {count} tensor(s) that the model does not use, first `{first}`")]
    SurplusTensors {
        /// How many.
        count: usize,
        /// The first by name.
        first: String,
    },
    /// A tensor has other dimensions than the configuration says.
    #[error("the tensor `{name}` has the shape {found:?}, the configuration says {expected:?}")]
    Shape {
        /// Tensor name.
        name: String,
        /// Dimensions in the file.
        found: Vec<i64>,
        /// Dimensions expected.
        expected: Vec<i64>,
    },
    /// A tensor holds NaN or infinity.
    #[error("the tensor `{0}` holds numbers that are not finite; the file is damaged")]
    NotFinite(String),
    /// Whatever the model is asked, its answer says nothing.
    #[error("the model cannot be used: {0}; its weights are damaged")]
    Senseless(&'static str),
    /// The tokenizer refused a text.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The device is not there.
    #[error("{0}")]
    Device(String),
    /// The device has no memory left for this batch; a smaller one may fit.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The GPU failed, and with it all that this process had on it.
    #[error("the GPU was lost: {0}")]
    DeviceLost(String),
    /// libtorch failed otherwise.
    #[error("libtorch: {0}")]
    Torch(String),
}

impl From<tch::TchError> for EncoderError {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends a C++ stack trace after the first line; the user needs the sentence.
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().to_owned();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if says(&NO_MEMORY) {
            Self::OutOfMemory(line)
        } else if says(&DEVICE_FAULTS) {
            Self::DeviceLost(line)
        } else {
            Self::Torch(line)
        }
    }
}

/// What libtorch says when memory runs out, on the CPU and on a GPU.
const NO_MEMORY: [&str; 4] = [
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
];
/// What it says when a GPU fails. No later call of the process succeeds on that GPU.
const DEVICE_FAULTS: [&str; 4] = [
    "CUDA error",
    "CUDA driver error",
    "cuDNN error",
    "No CUDA GPUs are available",
];

/// How a model is to be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where it shall run.
    pub device: Device,
    /// In how many bits it shall compute.
    pub precision: Precision,
    /// How a picture is made to fit; `None`: the model's own way.
    pub fit: Option<Fit>,
    /// Where embeddings of texts are kept for the next time; `None`: nowhere.
    pub texts: Option<PathBuf>,
}

/// What a loaded model says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// Short name, as in results: `demo`, or the folder's name.
    pub id: String,
    /// `blake3:<hex>` over weights, configuration and tokenizer.
    pub digest: String,
    /// Device the model runs on: `cpu`, `cuda:0`.
    pub device: String,
    /// Length of an embedding.
    pub dimension: usize,
    /// Factor that turns a cosine into a logit, already exponentiated.
    pub logit_scale: f64,
    /// What is added to a logit before its sigmoid; only models that were trained with a sigmoid have it.
    pub logit_bias: Option<f64>,
    /// Made for synthetic phantoms only: every other picture is to be rejected.
    pub synthetic_only: bool,
}

/// What a model does not read of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// Tokens that it reads, with its marks.
    pub context: usize,
    /// The end of the text, cleaned as the model's tokenizer cleans it.
    pub rest: String,
}

/// Whether an embedding is a direction that can be compared with others: numbers, and not all zero. Arithmetic in 16 bits
/// may overflow, and a damaged model may answer anything.
pub fn is_direction(embedding: &[f32]) -> bool {
    let length: f32 = embedding.iter().map(|x| x * x).sum();
    length.is_finite() && length > 0.0
}

/// A CLIP-family model. It is owned by one thread and never crosses to another.
pub trait Encoder {
    /// What the model says of itself.
    fn card(&self) -> &ModelCard;

    /// The model's own preparation of pictures; cheap to clone, used on other threads.
    fn preprocess(&self) -> Preprocess;

    /// All that an embedding of a picture depends on but the picture: model, device, precision, preparation.
    fn space(&self) -> String {
        let card = self.card();
        format!("{} {} {:?}", card.digest, card.device, self.preprocess())
    }

    /// Unit embeddings of prepared pictures, in their order.
    fn encode_images(&mut self, batch: &[Input]) -> Result<Vec<Vec<f32>>, EncoderError>;

    /// Begins a pass and gives the answer of the one begun before, if there is one: pictures are brought to the device
    /// while it computes that one. After an error neither has an answer. For models on a GPU; others have nothing to gain.
    fn begin(&mut self, batch: &[Input]) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        let _ = batch;
        let text = "this model computes one pass after the other";
        Err(EncoderError::Unsupported(text.to_owned()))
    }

    /// The answer of the pass that was begun last, if there is one.
    fn finish(&mut self) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        Ok(None)
    }

    /// Only brings prepared pictures to the device and normalises them there: what a pass spends before its first layer.
    fn transfer(&mut self, batch: &[Input]) -> Result<(), EncoderError> {
        let _ = batch;
        Ok(())
    }

    /// Unit embeddings of texts, in their order.
    fn encode_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError>;

    /// Words that the model's vocabulary does not have, each once, in the order met.
    fn unknown_words(&self, texts: &[String]) -> Vec<String>;

    /// The end of a text that the model does not read, because the text has more tokens than its context. `None` where it
    /// reads all of it.
    fn cut_off(&self, text: &str) -> Option<CutOff> {
        let _ = text;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libtorch_says_tells_a_full_device_from_a_lost_one() {
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
