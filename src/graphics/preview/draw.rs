//! From a decoded frame to the pixels of the screen: only what is seen is windowed and resized.

use std::borrow::Cow;

use fast_image_resize as fr;
use image::{DynamicImage, GrayImage, RgbImage, imageops};
use ratatui::layout::Size;

use super::marks;
use super::related::Composed;
use crate::app::viewer::facts;
use crate::app::{Label, Marks, PreviewKey, Scene};
use crate::graphics::drivers::{Grid, fault};
use crate::media::{Frame, MediaError, Overlay, Picture, PixelRect, Pixels, Window};
use crate::view::placement::{Part, Placement};

/// From this magnification on each pixel of the file is seen as what it is, instead of being smoothed into its neighbours.
const SQUARES: f64 = 8.0;

/// An image as large as on the screen, without marks.
#[derive(Clone)]
pub(super) struct Drawn {
    pub image: DynamicImage,
    /// In pixels drawn.
    pub place: Placement,
    /// Cells that it touches.
    pub cells: Size,
    /// Columns and rows of the file.
    pub size: (u32, u32),
    /// The window applied; `None` for colour.
    pub window: Option<Window>,
    /// Texts over it.
    pub labels: Vec<Label>,
}

/// What of the marks changes more than lines drawn upon the image.
pub(super) fn bare(marks: Marks) -> Marks {
    Marks {
        line: None,
        // Where it is does not matter, only that it takes its row.
        cursor: marks.cursor.map(|_| (0, 0)),
        ..marks
    }
}

/// Draws what is seen of a frame.
pub(super) fn draw(
    frame: &Frame,
    planes: &[Overlay],
    over: &Composed,
    key: &PreviewKey,
    scene: &Scene,
    grid: Grid,
) -> Result<Drawn, MediaError> {
    let size = match frame {
        Frame::Grey(grey) => (grey.width, grey.height),
        Frame::Color(picture) => (picture.width, picture.height),
    };
    let full = facts::placed(size, key, scene, (grid.cell.width, grid.cell.height));
    // Fewer pixels cover the same place: nothing jumps when the full image follows.
    let place = Placement {
        width: full.width.div_ceil(grid.each),
        height: full.height.div_ceil(grid.each),
        scale: full.scale / f64::from(grid.each),
        ..full
    };
    let area = whole_pixels(&place.part, size);
    let (mut part, window) = match frame {
        Frame::Grey(grey) => {
            let (part, window) = grey.render_part(key.view.voi, key.view.invert, area);
            (Cow::Owned(part), Some(window))
        }
        // A large one would take as much memory again.
        Frame::Color(picture) if !key.view.invert && (area.width, area.height) == size => {
            (Cow::Borrowed(&**picture), None)
        }
        Frame::Color(picture) => (Cow::Owned(cut(picture, area, key.view.invert)), None),
    };
    for plane in planes {
        lay_over(part.to_mut(), plane, area);
    }
    if over.is_visible() {
        over.lay_over(part.to_mut(), area);
    }
    let image = turned(resized(&part, area, &place)?, &place);
    let labels = over.labels(&place);
    let cell = grid.drawn_cell();
    // Where images are cells, texts are letters upon them.
    let written = if key.is_cells() { &[][..] } else { &labels[..] };
    Ok(Drawn {
        image: marks::annotate(image, &place, over.annotations(), written, cell),
        place,
        labels,
        cells: grid.cells((full.width, full.height)),
        size,
        window,
    })
}

/// The pixels that a part touches.
fn whole_pixels(part: &Part, size: (u32, u32)) -> PixelRect {
    let side = |from: f64, length: f64, size: u32| {
        let first = (from.floor().max(0.0) as u32).min(size.saturating_sub(1));
        let end = ((from + length).ceil() as u32).clamp(first + 1, size.max(first + 1));
        (first, end - first)
    };
    let (x, width) = side(part.x, part.width, size.0);
    let (y, height) = side(part.y, part.height, size.1);
    PixelRect {
        x,
        y,
        width,
        height,
    }
}

/// A part of a colour image.
fn cut(picture: &Picture, area: PixelRect, invert: bool) -> Picture {
    let channels = match picture.pixels {
        Pixels::Luma(_) => 1,
        Pixels::Rgb(_) => 3,
    };
    let stride = picture.width as usize * channels;
    let mut bytes = Vec::with_capacity((area.width * area.height) as usize * channels);
    for row in picture
        .pixels
        .bytes()
        .chunks_exact(stride.max(1))
        .skip(area.y as usize)
        .take(area.height as usize)
    {
        let from = area.x as usize * channels;
        bytes.extend_from_slice(&row[from..from + area.width as usize * channels]);
    }
    if invert {
        for byte in &mut bytes {
            *byte = 255 - *byte;
        }
    }
    Picture {
        width: area.width,
        height: area.height,
        pixels: if channels == 1 {
            Pixels::Luma(bytes)
        } else {
            Pixels::Rgb(bytes)
        },
    }
}

/// Draws an overlay plane in white: it stays where the image is seen from another side, or larger.
fn lay_over(part: &mut Picture, plane: &Overlay, area: PixelRect) {
    let width = part.width as usize;
    let (bytes, channels) = match &mut part.pixels {
        Pixels::Luma(bytes) => (bytes, 1),
        Pixels::Rgb(bytes) => (bytes, 3),
    };
    for (y, row) in bytes
        .chunks_exact_mut((width * channels).max(1))
        .enumerate()
    {
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            if plane.covers(area.x + x as u32, area.y + y as u32) {
                pixel.fill(255);
            }
        }
    }
}

/// The part as large as on the screen, from the file's side.
fn resized(part: &Picture, area: PixelRect, place: &Placement) -> Result<DynamicImage, MediaError> {
    let (w, h) = place.turn.size((place.width, place.height));
    let (kind, bytes) = match &part.pixels {
        Pixels::Luma(v) => (fr::PixelType::U8, v),
        Pixels::Rgb(v) => (fr::PixelType::U8x3, v),
    };
    let source =
        fr::images::ImageRef::new(part.width, part.height, bytes, kind).map_err(|e| fault(&e))?;
    let mut target = fr::images::Image::new(w, h, kind);
    let method = if place.scale >= SQUARES {
        fr::ResizeAlg::Nearest
    } else {
        fr::ResizeAlg::Convolution(fr::FilterType::CatmullRom)
    };
    let seen = &place.part;
    let (left, top) = (seen.x - f64::from(area.x), seen.y - f64::from(area.y));
    let options = fr::ResizeOptions::new()
        .resize_alg(method)
        .use_alpha(false)
        .crop(
            left.max(0.0),
            top.max(0.0),
            seen.width.min(f64::from(area.width) - left.max(0.0)),
            seen.height.min(f64::from(area.height) - top.max(0.0)),
        );
    fr::Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|e| fault(&e))?;
    let bytes = target.into_vec();
    let image = match kind {
        fr::PixelType::U8 => GrayImage::from_raw(w, h, bytes).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(w, h, bytes).map(DynamicImage::ImageRgb8),
    };
    image.ok_or_else(|| fault(&"its size changed on the way"))
}

/// First mirrored, then turned: as [`crate::view::turn::Turn`] has it.
fn turned(mut image: DynamicImage, place: &Placement) -> DynamicImage {
    if place.turn.is_mirrored() {
        imageops::flip_horizontal_in_place(&mut image);
    }
    match place.turn.quarters() {
        0 => image,
        1 => image.rotate90(),
        2 => image.rotate180(),
        _ => image.rotate270(),
    }
}

/// The image with its marks, on a black ground that fills whole cells: so no protocol stretches it.
pub(super) fn finish(drawn: &Drawn, key: &PreviewKey, scene: &Scene, grid: Grid) -> DynamicImage {
    let mut image = drawn.image.clone();
    marks::draw(&mut image, drawn, key, scene, grid.drawn_cell());
    let (w, h) = (image.width(), image.height());
    let (full_w, full_h) = grid.pixels(drawn.cells);
    if (full_w, full_h) == (w, h) {
        return image;
    }
    let at = ((full_w - w) / 2, (full_h - h) / 2);
    match image {
        DynamicImage::ImageRgb8(image) => {
            let ground = on_ground(&image, (w, 3), (full_w, full_h), at);
            RgbImage::from_raw(full_w, full_h, ground).map(DynamicImage::ImageRgb8)
        }
        other => {
            let ground = on_ground(&other.into_luma8(), (w, 1), (full_w, full_h), at);
            GrayImage::from_raw(full_w, full_h, ground).map(DynamicImage::ImageLuma8)
        }
    }
    .unwrap_or_default()
}

/// Rows of `width` pixels of `channels` bytes, moved onto a black ground.
fn on_ground(
    bytes: &[u8],
    (width, channels): (u32, usize),
    full: (u32, u32),
    (left, top): (u32, u32),
) -> Vec<u8> {
    let length = width as usize * channels;
    let stride = full.0 as usize * channels;
    let mut ground = vec![0; stride * full.1 as usize];
    let rows = ground.chunks_exact_mut(stride).skip(top as usize);
    for (to, from) in rows.zip(bytes.chunks_exact(length)) {
        let start = left as usize * channels;
        to[start..start + length].copy_from_slice(from);
    }
    ground
}

#[cfg(test)]
mod tests;
