//! Decodes compressed streams to samples: JPEG files and the frames of DICOM objects.
//!
//! A codec takes the bytes of a frame and the [`FrameShape`](shape::FrameShape) that it must have, and appends its
//! samples pixel by pixel, each in little-endian order. [`stream`] recognises streams and reads their headers;
//! [`registry`] registers the codecs with dicom-rs.

pub(crate) mod jpeg;
pub(crate) mod jpeg2000;
pub(crate) mod jpegls;
pub(crate) mod jpegxl;
pub(crate) mod registry;
pub(crate) mod rle;
pub(crate) mod shape;
pub(crate) mod stream;
