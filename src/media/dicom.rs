//! DICOM objects: from bytes to the picture that the object asks for.
//!
//! The way of a pixel (PS3.4 N.2): stored value → modality LUT → VOI LUT or window → 8 bits → inverted for MONOCHROME1.
//! Colour goes to RGB without window. The object's own first window or LUT is used; without one the full range of the
//! frame's modality values, padding excluded.

mod body;
mod charset;
mod codec;
mod color;
mod dataset;
mod directory;
mod file;
mod frames;
mod geometry;
mod groups;
mod header;
mod layout;
mod native;
mod object;
mod overlays;
mod palette;
mod phi;
mod rle;
mod samples;
mod syntax;
mod tags;
mod tree;
mod values;
mod voi;
mod what;

use super::{WindowSource, clean};
pub(super) use body::Body;
pub(super) use directory::members;
pub(super) use header::header;
pub(super) use object::Object;
pub(super) use tree::tree;

#[cfg(test)]
mod tests;
