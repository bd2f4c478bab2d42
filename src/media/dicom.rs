//! DICOM objects: from bytes to the picture that the object asks for.
//!
//! The way of a pixel stands at the head of [`pixels::display`], and where each step of it is.
//! Colour goes to RGB without window. The object's own first window or LUT is used; without one the full range of the
//! frame's modality values, padding excluded.

pub(crate) mod attributes;
pub(crate) mod checked;
mod geometry;
mod object;
pub(crate) mod parsing;
pub(crate) mod pixels;
mod regions;
pub(crate) mod related;
pub(crate) mod studies;
pub(crate) mod tags;
mod tiled;

pub(super) use object::DicomObject;
pub(super) use parsing::body::Body;
pub(super) use studies::directory::members;
pub(super) use studies::header::header;
pub(super) use tags::tree::tree;

#[cfg(test)]
mod tests;
