//! The built-in demo model: a small CLIP that knows synthetic phantoms, so that the program works before any
//! download. It is not for patients. `demo/train` trains it anew.

use super::checkpoint::{Embedded, embedded};
use super::{DualEncoder, EncoderError, Options};

/// Reads the model out of the binary.
pub fn open(options: Options) -> Result<DualEncoder, EncoderError> {
    let parts = Embedded {
        id: crate::config::DEMO,
        config: include_bytes!("demo/config.json"),
        tokenizer: include_bytes!("demo/tokenizer.json"),
        preprocessor: include_bytes!("demo/preprocessor_config.json"),
        weights: include_bytes!("demo/model.safetensors"),
    };
    embedded(&parts, options)
}
