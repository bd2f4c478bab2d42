//! Draws a decoded frame as screen pixels. Only the visible part is windowed and resized.

use std::borrow::Cow;
use std::sync::Arc;

use fast_image_resize as fr;
use image::{DynamicImage, GrayImage, RgbImage, imageops};
use ratatui::layout::Size;

use super::marks;
use super::related::ComposedOverlays;
use crate::app::viewer::facts;
use crate::app::{Decorations, OverlayText, PreviewKey, Scene};
use crate::graphics::drivers::{PixelGrid, draw_error};
use crate::media::{Frame, MediaError, OverlayPlane, Picture, PixelRect, Pixels, Window};
use crate::view::placement::{Placement, VisiblePart};

/// Magnification from which pixels are shown as squares (nearest neighbour) instead of being interpolated.
const MIN_NEAREST_SCALE: f64 = 8.0;

/// An image in its size on the screen, without marks.
#[derive(Clone)]
pub(super) struct Drawn {
    pub image: DynamicImage,
    /// Its placement, in drawn pixels.
    pub place: Placement,
    /// Cells that it touches.
    pub cells: Size,
    /// Columns and rows of the whole frame.
    pub size: (u32, u32),
    /// The window applied; `None` for colour.
    pub window: Option<Window>,
    /// Texts over the image.
    pub labels: Vec<OverlayText>,
}

/// The marks that affect more than the lines drawn over the image: those that require drawing it again.
pub(super) fn without_moving_marks(marks: Decorations) -> Decorations {
    Decorations {
        lines: Arc::default(),
        figures: Arc::default(),
        // Only whether there is a cursor matters, because its value takes a row of the panel.
        cursor: marks.cursor.map(|_| (0, 0)),
        ..marks
    }
}

/// Draws the visible part of a frame, with its overlay planes and the overlays of related objects.
pub(super) fn draw(
    frame: &Frame,
    planes: &[OverlayPlane],
    over: &ComposedOverlays,
    key: &PreviewKey,
    scene: &Scene,
    grid: PixelGrid,
) -> Result<Drawn, MediaError> {
    let size = match frame {
        Frame::Grey(grey) => (grey.width, grey.height),
        Frame::Color(picture) => (picture.width, picture.height),
    };
    let full = facts::placed(size, key, scene, (grid.cell.width, grid.cell.height));
    // A reduced drawing covers the same place, so that nothing jumps when the full one follows.
    let place = Placement {
        width: full.width.div_ceil(grid.reduction),
        height: full.height.div_ceil(grid.reduction),
        scale: full.scale / f64::from(grid.reduction),
        ..full
    };
    let area = whole_pixels(&place.part, size);
    let (mut part, window) = match frame {
        Frame::Grey(grey) => {
            let (part, window) = grey.render_part(key.view.voi, key.view.invert, area);
            (Cow::Owned(part), Some(window))
        }
        // Borrowed, because a copy of a large image would take as much memory again.
        Frame::Color(picture) if !key.view.invert && (area.width, area.height) == size => {
            (Cow::Borrowed(&**picture), None)
        }
        Frame::Color(picture) => (Cow::Owned(crop(picture, area, key.view.invert)), None),
    };
    for plane in planes {
        draw_overlay_plane(part.to_mut(), plane, area);
    }
    if over.is_visible() {
        over.blend_onto(part.to_mut(), area);
    }
    if let Some(map) = &key.marks.heat_map {
        let part = part.to_mut();
        let mut rgb = part.to_rgb();
        map.blend_onto(&mut rgb, part.width as usize, (area.x, area.y));
        part.pixels = Pixels::Rgb(rgb);
    }
    let image = oriented(resized(&part, area, &place)?, &place);
    let labels = over.labels(&place);
    let cell = grid.drawn_cell();
    // Where images are cells, the interface writes the texts over them.
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

/// The whole pixels that a part touches, within an image of `size`.
fn whole_pixels(part: &VisiblePart, size: (u32, u32)) -> PixelRect {
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

/// Crops a colour image, and inverts it if `invert`.
fn crop(picture: &Picture, area: PixelRect, invert: bool) -> Picture {
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

/// Draws an overlay plane in white into the part of the image at `area`, so that it is turned and magnified with the image.
fn draw_overlay_plane(part: &mut Picture, plane: &OverlayPlane, area: PixelRect) {
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

/// Resizes the part to its size on the screen, before it is turned.
fn resized(part: &Picture, area: PixelRect, place: &Placement) -> Result<DynamicImage, MediaError> {
    let (w, h) = place.turn.size((place.width, place.height));
    let (kind, bytes) = match &part.pixels {
        Pixels::Luma(v) => (fr::PixelType::U8, v),
        Pixels::Rgb(v) => (fr::PixelType::U8x3, v),
    };
    let source = fr::images::ImageRef::new(part.width, part.height, bytes, kind)
        .map_err(|e| draw_error(&e))?;
    let mut target = fr::images::Image::new(w, h, kind);
    let method = if place.scale >= MIN_NEAREST_SCALE {
        fr::ResizeAlg::Nearest
    } else {
        fr::ResizeAlg::Convolution(fr::FilterType::CatmullRom)
    };
    let visible = &place.part;
    let left = visible.x - f64::from(area.x);
    let top = visible.y - f64::from(area.y);
    let options = fr::ResizeOptions::new()
        .resize_alg(method)
        .use_alpha(false)
        .crop(
            left.max(0.0),
            top.max(0.0),
            visible.width.min(f64::from(area.width) - left.max(0.0)),
            visible.height.min(f64::from(area.height) - top.max(0.0)),
        );
    fr::Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|e| draw_error(&e))?;
    let bytes = target.into_vec();
    let image = match kind {
        fr::PixelType::U8 => GrayImage::from_raw(w, h, bytes).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(w, h, bytes).map(DynamicImage::ImageRgb8),
    };
    image.ok_or_else(|| draw_error(&"the resized image has an unexpected size"))
}

/// Mirrors, then rotates the image: the order of [`crate::view::turn::Turn`].
fn oriented(mut image: DynamicImage, place: &Placement) -> DynamicImage {
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

/// Adds the marks, and pads the image with black to whole cells so that no protocol stretches it.
pub(super) fn finish(
    drawn: &Drawn,
    key: &PreviewKey,
    scene: &Scene,
    grid: PixelGrid,
) -> DynamicImage {
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
            let ground = on_black(&image, (w, 3), (full_w, full_h), at);
            RgbImage::from_raw(full_w, full_h, ground).map(DynamicImage::ImageRgb8)
        }
        other => {
            let ground = on_black(&other.into_luma8(), (w, 1), (full_w, full_h), at);
            GrayImage::from_raw(full_w, full_h, ground).map(DynamicImage::ImageLuma8)
        }
    }
    .unwrap_or_default()
}

/// Copies rows of `width` pixels of `channels` bytes onto a black image of size `full`.
fn on_black(
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
