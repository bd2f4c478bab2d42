//! From pixels to what a terminal is sent.

mod kitty;
mod sixel;

use std::io::Cursor;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, imageops};
use ratatui::layout::Size;
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::protocol::Protocol;
use ratatui_image::protocol::iterm2::Iterm2;
use ratatui_image::{FontSize, Resize};

use crate::app::{Graphic, Graphics, PreviewKey, Quality};
use crate::media::{ErrorKind, MediaError};
pub use kitty::Album;

/// The pixels to draw with.
#[derive(Clone, Copy, Debug)]
pub(in crate::graphics) struct Grid {
    /// Pixels of a cell.
    pub cell: FontSize,
    /// How many of them each pixel drawn stands for, across and down.
    pub each: u32,
}

impl Grid {
    /// Cells that a picture of so many pixels of the screen touches.
    pub(in crate::graphics) fn cells(self, (w, h): (u32, u32)) -> Size {
        Size::new(
            w.div_ceil(u32::from(self.cell.width.max(1))) as u16,
            h.div_ceil(u32::from(self.cell.height.max(1))) as u16,
        )
    }

    /// Pixels drawn for a cell, across and down.
    pub(in crate::graphics) fn drawn_cell(self) -> (u16, u16) {
        let side = |pixels: u16| (u32::from(pixels) / self.each).max(1) as u16;
        (side(self.cell.width), side(self.cell.height))
    }

    /// Pixels to draw for so many cells.
    pub(in crate::graphics) fn pixels(self, cells: Size) -> (u32, u32) {
        let side =
            |cells: u16, cell: u16| (u32::from(cells) * u32::from(cell.max(1))).div_ceil(self.each);
        (
            side(cells.width, self.cell.width),
            side(cells.height, self.cell.height),
        )
    }
}

/// A half block is one column wide and two pixels high.
const HALF_BLOCK: FontSize = FontSize::new(1, 2);

/// Makes graphics for one terminal.
pub(super) struct Encoder {
    /// The terminal's own protocol.
    picker: Picker,
    half_blocks: Picker,
    album: Arc<Album>,
}

impl Encoder {
    pub(super) fn new(picker: Picker, album: Arc<Album>) -> Self {
        // The cell size of the public constructor is a guess at a font; half blocks need their own.
        #[allow(deprecated, reason = "no other constructor takes a cell size")]
        let mut half_blocks = Picker::from_fontsize(HALF_BLOCK);
        half_blocks.set_protocol_type(ProtocolType::Halfblocks);
        Self {
            picker,
            half_blocks,
            album,
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
            return protocol(&self.half_blocks, image, size).map(Graphic::new);
        }
        match (key.graphics, image) {
            (Graphics::Kitty, image) => self.album.add(&image, size),
            (Graphics::Sixel, DynamicImage::ImageLuma8(image)) => {
                Ok(sixel::grey(&image, key.quality, self.target(size)))
            }
            (Graphics::Sixel, DynamicImage::ImageRgb8(image)) if key.quality == Quality::Half => {
                Ok(sixel::quick_colour(&image, self.target(size)))
            }
            (graphics, image) => {
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
                let piece = |image: DynamicImage, size: Size| {
                    if graphics == Graphics::Iterm2 {
                        inline(&image, size, self.picker.tmux_detected())
                    } else {
                        protocol(&self.picker, image, size)
                    }
                };
                in_pieces(&image, size, full, piece)
            }
        }
    }

    fn target(&self, size: Size) -> sixel::Target {
        sixel::Target {
            size,
            font: self.picker.font_size(),
            tmux: self.picker.tmux_detected(),
        }
    }
}

fn protocol(picker: &Picker, image: DynamicImage, size: Size) -> Result<Protocol, MediaError> {
    let protocol = picker.new_protocol(image, size, Resize::Fit(None));
    protocol.map_err(|error| fault(&error))
}

/// Makes a protocol of each piece of a picture that fills its cells.
fn in_pieces(
    image: &DynamicImage,
    size: Size,
    font: FontSize,
    piece: impl Fn(DynamicImage, Size) -> Result<Protocol, MediaError>,
) -> Result<Graphic, MediaError> {
    let pieces = sixel::pieces(size, font).map(|part| {
        let [x, width] = [part.x, part.width].map(|cols| u32::from(cols) * u32::from(font.width));
        let [y, height] =
            [part.y, part.height].map(|rows| u32::from(rows) * u32::from(font.height));
        piece(image.crop_imm(x, y, width, height), part.as_size())
    });
    Ok(Graphic::of_pieces(
        size.width,
        pieces.collect::<Result<_, _>>()?,
    ))
}

/// A picture as iTerm2 takes it. Its size is given in cells: on screens that count pixels double nothing comes apart.
fn inline(image: &DynamicImage, size: Size, tmux: bool) -> Result<Protocol, MediaError> {
    let mut png = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
        .map_err(|error| fault(&error))?;
    let (start, escape, end) = if tmux {
        ("\x1bPtmux;", "\x1b\x1b", "\x1b\\")
    } else {
        ("", "\x1b", "")
    };
    let (bytes, cols, rows) = (png.len(), size.width, size.height);
    let content = STANDARD.encode(png);
    Ok(Protocol::ITerm2(Iterm2 {
        data: format!(
            "{start}{escape}]1337;File=inline=1;size={bytes};width={cols};height={rows};\
             preserveAspectRatio=0;doNotMoveCursor=1:{content}\x07{end}"
        ),
        size,
        is_tmux: tmux,
    }))
}

pub(super) fn fault(error: &dyn std::fmt::Display) -> MediaError {
    MediaError::new(
        ErrorKind::Internal,
        format!("the picture cannot be drawn: {error}"),
    )
}

/// The protocol that draws a request.
fn by_half_blocks(graphics: Graphics, quality: Quality) -> bool {
    match graphics {
        Graphics::Halfblocks | Graphics::None => true,
        Graphics::Kitty | Graphics::Sixel | Graphics::Iterm2 => quality == Quality::Fast,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_picture_again() {
        let image = image::GrayImage::from_fn(30, 140, |x, y| image::Luma([(x * y) as u8]));
        let image = DynamicImage::ImageLuma8(image);
        let size = Size::new(3, 7);
        let font = FontSize::new(10, 20);
        let graphic = in_pieces(&image, size, font, |part, size| inline(&part, size, false));
        let graphic = graphic.unwrap();
        assert_eq!(graphic.size(), (3, 7));
        let mut rows = Vec::new();
        for ((_, strip), height) in graphic.pieces().zip([2, 2, 2, 1]) {
            let Protocol::ITerm2(strip) = strip else {
                panic!("another protocol");
            };
            assert!(strip.data.contains(&format!("width=3;height={height};")));
            let (_, content) = strip.data.split_once(':').unwrap();
            let png = STANDARD.decode(content.trim_end_matches('\x07')).unwrap();
            rows.extend(
                image::load_from_memory(&png)
                    .unwrap()
                    .into_luma8()
                    .into_raw(),
            );
        }
        assert_eq!(rows, image.into_luma8().into_raw());
    }
}
