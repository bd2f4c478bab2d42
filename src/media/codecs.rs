//! Coded streams to samples: what JPEG files and DICOM frames are made of.
//!
//! A codec takes the bytes of a frame and the [`FrameShape`](shape::Shape) that it must have, and appends its samples, pixel
//! by pixel, the low byte of each first. [`stream`] tells streams apart and reads their headers; [`registry`] makes the
//! codecs known to dicom-rs.

pub(crate) mod jpeg;
pub(crate) mod jpeg2000;
pub(crate) mod jpegls;
pub(crate) mod jpegxl;
pub(crate) mod registry;
pub(crate) mod rle;
pub(crate) mod shape;
pub(crate) mod stream;
