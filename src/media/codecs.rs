//! Coded streams to samples: what JPEG files and DICOM frames are made of.

pub(crate) mod jpeg;
pub(crate) mod jpeg2000;
pub(crate) mod jpegls;
pub(crate) mod jpegxl;
pub(crate) mod rle;
