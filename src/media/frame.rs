//! A decoded frame, grey or colour.

use std::sync::Arc;

use crate::grey::{Grey, Voi};
use crate::{Picture, Pixels, Window, colorless};

/// A decoded frame before its window is applied. Clones share their samples.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Grey values, to be rendered through a window.
    Grey(Grey),
    /// Colour, to which no window applies.
    Color(Arc<Picture>),
}

impl Frame {
    /// The grey values; `None` for colour.
    pub(crate) fn grey(&self) -> Option<&Grey> {
        match self {
            Frame::Grey(grey) => Some(grey),
            Frame::Color(_) => None,
        }
    }

    /// Renders the frame to 8 bits and returns the window that was applied; `None` for colour.
    pub fn render(&self, voi: Voi, invert: bool) -> (Picture, Option<Window>) {
        match self {
            Frame::Grey(grey) => {
                let (picture, window) = grey.render(voi, invert);
                (picture, Some(window))
            }
            Frame::Color(picture) if invert => (picture.negative(), None),
            Frame::Color(picture) => (Picture::clone(picture), None),
        }
    }

    /// Size of the samples in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Frame::Grey(grey) => grey.bytes(),
            Frame::Color(picture) => picture.pixels.bytes().len(),
        }
    }
}

impl From<Picture> for Frame {
    /// Makes a frame of a picture. Grey, also if stored as RGB, gets a window that shows it unchanged.
    fn from(picture: Picture) -> Self {
        let Picture { width, height, .. } = picture;
        let grey = match picture.pixels {
            Pixels::Luma(data) => Ok(data),
            Pixels::Rgb(data) => colorless::into_grey(data),
        };
        match grey {
            Ok(data) => Frame::Grey(Grey::from_bytes(width, height, data)),
            Err(data) => {
                let pixels = Pixels::Rgb(data);
                Frame::Color(Arc::new(Picture {
                    width,
                    height,
                    pixels,
                }))
            }
        }
    }
}
