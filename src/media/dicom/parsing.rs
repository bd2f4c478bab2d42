//! From the bytes of a file to its data set.
//!
//! [`body`] holds the bytes, of a large file only their beginning; [`file`](mod@file) takes off what stands before the
//! data set; [`repair`] finds the pixels and puts right what dicom-object would not take; [`reader`] has dicom-object read
//! the rest; [`dataset`] is what the other rooms ask.

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
pub(crate) mod what;
mod writer;
