//! DICOM objects: from bytes to the picture that the object asks for.
//!
//! The way of a pixel (PS3.4 N.2): stored value → modality LUT → VOI LUT or window → 8 bits → inverted for MONOCHROME1.
//! Colour goes to RGB without window. The object's own first window or LUT is used; without one the full range of the
//! frame's modality values, padding excluded.

pub(crate) mod attributes;
mod geometry;
mod object;
pub(crate) mod parsing;
pub(crate) mod pixels;
mod regions;
pub(crate) mod related;
pub(crate) mod studies;
pub(crate) mod tags;

pub(super) use object::Object;
pub(super) use parsing::body::Body;
pub(super) use studies::directory::members;
pub(super) use studies::header::header;
pub(super) use tags::tree::tree;

#[cfg(test)]
mod tests;
