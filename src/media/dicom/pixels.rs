//! From Pixel Data to grey values or colours, and the rules of their display.

pub(crate) mod codec;
pub(crate) mod color;
mod cost;
pub(crate) mod frames;
pub(crate) mod groups;
pub(crate) mod layout;
pub(crate) mod native;
pub(crate) mod overlays;
pub(crate) mod palette;
pub(crate) mod samples;
pub(crate) mod voi;
