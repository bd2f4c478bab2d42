//! The built-in demo model: a small CLIP that knows synthetic phantoms, so that the program works before any
//! download. It is not for patients.

use super::clip::ClipEncoder;
use super::{Device, EncoderError, Fit};

/// Reads the model out of the binary.
pub fn open(_device: Device, _fit: Option<Fit>) -> Result<ClipEncoder, EncoderError> {
    Err(EncoderError::Unsupported("pending".into()))
}
