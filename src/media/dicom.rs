//! DICOM objects: from bytes to the image as the object asks for it to be shown.
//!
//! The head of [`pixels::display`] lists the steps that a pixel goes through, and where each one is. Colour becomes
//! RGB and has no window. Grey uses the object's own first window or LUT, else the full range of the frame's modality
//! values without padding.

mod anatomy;
pub(crate) mod attributes;
pub(crate) mod caption;
pub(crate) mod checked;
mod geometry;
mod modality;
mod object;
pub(crate) mod parsing;
pub(crate) mod pixels;
mod regions;
pub(crate) mod related;
pub(crate) mod studies;
pub(crate) mod tags;
mod tiled;

pub(super) use object::DicomObject;
pub use object::patient_mark;
pub(super) use parsing::body::Body;
pub(super) use studies::directory::members;
pub(super) use studies::header::header;
pub(super) use studies::identity::object_identity;
pub(super) use tags::tree::tree;

#[cfg(test)]
mod tests;
