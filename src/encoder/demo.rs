//! The built-in model: a small CLIP trained on synthetic phantoms, with which the program works before any download. It is
//! not for patients' images. `demo/train` is the program that trained it.

use super::checkpoint::{Embedded, open_embedded};
use super::{DualEncoder, EncoderError, ModelOptions};

/// Opens the model in the binary.
pub fn open(options: ModelOptions) -> Result<DualEncoder, EncoderError> {
    let parts = Embedded {
        id: crate::config::DEMO,
        config: include_bytes!("demo/config.json"),
        tokenizer: include_bytes!("demo/tokenizer.json"),
        preprocessor: include_bytes!("demo/preprocessor_config.json"),
        weights: include_bytes!("demo/model.safetensors"),
    };
    open_embedded(&parts, options)
}
