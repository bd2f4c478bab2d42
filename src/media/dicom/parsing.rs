//! From the bytes of a file to its data set.

pub(crate) mod body;
pub(crate) mod charset;
pub(crate) mod dataset;
pub(crate) mod file;
pub(crate) mod syntax;
pub(crate) mod what;
