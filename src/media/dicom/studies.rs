//! Groups files into series and studies: headers, the order of frames, and the index of a medium (DICOMDIR).

pub(crate) mod directory;
pub(crate) mod frame_order;
pub(crate) mod header;
pub(crate) mod identity;
pub(crate) mod series;
