//! The built-in demo model: a small CLIP that knows synthetic phantoms, so that the program works before any
//! download. It is not for patients.
//!
//! `cargo run --example train-demo -- DIR` trains it anew; `demo/train/main.rs` says how.

use super::checkpoint::{self, Embedded};
use super::clip::ClipEncoder;
use super::{Device, EncoderError, Fit};

/// The files as a folder would hold them.
const FILES: Embedded = Embedded {
    id: "demo",
    config: include_bytes!("demo/config.json"),
    tokenizer: include_bytes!("demo/tokenizer.json"),
    preprocessor: include_bytes!("demo/preprocessor_config.json"),
    weights: include_bytes!("demo/model.safetensors"),
};

/// Reads the model out of the binary.
pub fn open(device: Device, fit: Option<Fit>) -> Result<ClipEncoder, EncoderError> {
    checkpoint::embedded(&FILES, device, fit)
}
