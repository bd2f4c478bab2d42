//! From the bytes of a file to its data set.
//!
//! [`body`] holds the bytes, for a large file only the beginning; [`file`](mod@file) splits off what comes before the
//! data set; [`repair`] finds the pixels and repairs what dicom-object would reject; [`reader`] lets dicom-object read
//! the rest; [`dataset`] gives the other modules typed access to values.

pub(crate) mod body;
pub(crate) mod charset;
pub(crate) mod dataset;
mod deflated;
pub(crate) mod elements;
pub(crate) mod file;
pub(crate) mod notes;
pub(crate) mod numbers;
pub(crate) mod parsed;
mod reader;
pub(crate) mod repair;
pub(crate) mod syntax;
pub(crate) mod without_pixels;
mod writer;
