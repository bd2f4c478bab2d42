//! From pixels to what a terminal is sent.

use std::sync::Weak;

use image::{DynamicImage, imageops};
use ratatui::layout::Size;
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::protocol::Protocol;
use ratatui_image::protocol::kitty::Kitty;
use ratatui_image::{FontSize, Resize};

use super::draw::Grid;
use super::maker::by_half_blocks;
use super::{fault, sixel};
use crate::app::{Graphic, Graphics, PreviewKey, Quality};
use crate::media::MediaError;

/// A half block is one column wide and two pixels high.
const HALF_BLOCK: FontSize = FontSize::new(1, 2);

/// Makes graphics for one terminal.
pub(super) struct Encoder {
    /// The terminal's own protocol.
    picker: Picker,
    half_blocks: Picker,
    names: Names,
}

impl Encoder {
    pub(super) fn new(picker: Picker) -> Self {
        // The cell size of the public constructor is a guess at a font; half blocks need their own.
        #[allow(deprecated, reason = "no other constructor takes a cell size")]
        let mut half_blocks = Picker::from_fontsize(HALF_BLOCK);
        half_blocks.set_protocol_type(ProtocolType::Halfblocks);
        Self {
            picker,
            half_blocks,
            names: Names::new(),
        }
    }

    /// The pixels that a picture of this quality is drawn with.
    pub(super) fn grid(&self, graphics: Graphics, quality: Quality) -> Grid {
        if by_half_blocks(graphics, quality) {
            return Grid {
                cell: HALF_BLOCK,
                each: 1,
            };
        }
        Grid {
            cell: self.picker.font_size(),
            each: if quality == Quality::Half { 2 } else { 1 },
        }
    }

    /// Encodes a picture that fills so many cells.
    pub(super) fn encode(
        &mut self,
        image: DynamicImage,
        size: Size,
        key: &PreviewKey,
    ) -> Result<Graphic, MediaError> {
        if by_half_blocks(key.graphics, key.quality) {
            return plain(&self.half_blocks, image, size);
        }
        let tmux = self.picker.tmux_detected();
        match (key.graphics, image) {
            (Graphics::Kitty, image) => {
                let kitty = Kitty::new(image, size, self.names.free(), tmux, false);
                let graphic = Graphic::new(Protocol::Kitty(kitty.map_err(|e| fault(&e))?));
                self.names.give(&graphic);
                Ok(graphic)
            }
            (Graphics::Sixel, DynamicImage::ImageLuma8(image)) => {
                let sixel = sixel::grey(&image, key.quality, self.target(size));
                Ok(Graphic::new(Protocol::Sixel(sixel)))
            }
            (Graphics::Sixel, DynamicImage::ImageRgb8(image)) if key.quality == Quality::Half => {
                let sixel = sixel::quick_colour(&image, self.target(size));
                Ok(Graphic::new(Protocol::Sixel(sixel)))
            }
            (_, image) => {
                let full = self.picker.font_size();
                let (w, h) = (
                    u32::from(size.width) * u32::from(full.width),
                    u32::from(size.height) * u32::from(full.height),
                );
                let image = if (image.width(), image.height()) == (w, h) {
                    image
                } else {
                    image.resize_exact(w, h, imageops::FilterType::Nearest)
                };
                plain(&self.picker, image, size)
            }
        }
    }
}

impl Encoder {
    fn target(&self, size: Size) -> sixel::Target {
        sixel::Target {
            size,
            font: self.picker.font_size(),
            tmux: self.picker.tmux_detected(),
        }
    }
}

fn plain(picker: &Picker, image: DynamicImage, size: Size) -> Result<Graphic, MediaError> {
    let protocol = picker.new_protocol(image, size, Resize::Fit(None));
    protocol.map(Graphic::new).map_err(|error| fault(&error))
}

/// The names under which a kitty terminal keeps its pictures. A name is given again once nobody can draw its picture any
/// more, which replaces that picture in the terminal: a film does not fill its memory.
struct Names {
    /// Other programs in the same window name their pictures too.
    base: u32,
    /// Who has each name.
    given: Vec<Weak<Protocol>>,
    next: usize,
}

impl Names {
    fn new() -> Self {
        Self {
            base: rand::random::<u32>() & 0x00ff_ff00 | 1,
            given: Vec::new(),
            next: 0,
        }
    }

    /// A name that nobody has.
    fn free(&mut self) -> u32 {
        let unused = |owner: &Weak<Protocol>| owner.strong_count() == 0;
        self.next = self.given.iter().position(unused).unwrap_or_else(|| {
            self.given.push(Weak::new());
            self.given.len() - 1
        });
        self.base + self.next as u32
    }

    /// The last free name belongs to this picture.
    fn give(&mut self, graphic: &Graphic) {
        if let Some(owner) = self.given.get_mut(self.next) {
            *owner = graphic.weak();
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.given.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_reuses_the_names_of_pictures_that_are_gone() {
        let mut names = Names::new();
        let mut alive = std::collections::VecDeque::new();
        let mut in_use = std::collections::HashMap::new();
        for n in 0..100 {
            let name = names.free();
            let image = DynamicImage::new_luma8(2, 2);
            let kitty = Kitty::new(image, Size::new(1, 1), name, false, false).unwrap();
            let graphic = Graphic::new(Protocol::Kitty(kitty));
            names.give(&graphic);
            alive.push_back((name, graphic));
            assert!(in_use.insert(name, n).is_none(), "{name} is still in use");
            if alive.len() > 5 {
                let (name, _) = alive.pop_front().unwrap();
                in_use.remove(&name);
            }
        }
        assert!(names.count() <= 6, "{} names", names.count());
    }
}
