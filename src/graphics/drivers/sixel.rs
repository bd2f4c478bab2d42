//! Sixel graphics.
//!
//! ratatui-image's encoder computes a palette first, which is too slow to follow a window level as it changes. It is used where
//! a palette has to be computed: for colour images at rest. Where the palette is known beforehand (grey, and colour in motion)
//! it is bypassed.

use std::fmt::Write;

use image::{DynamicImage, GrayImage, RgbImage};
use ratatui::layout::Rect;
use ratatui_image::protocol::sixel::Sixel;

use super::{EncodeTarget, Encoded, ImagePiece, draw_error, pieces};
use crate::app::{EncodedImage, Quality};
use crate::graphics::Route;
use crate::graphics::tmux::Wrapper;
use crate::media::MediaError;

/// Greys of an image at rest. Sixel colours are percentages, so that there are no more.
const FULL_GREYS: u32 = 101;
/// Greys of an image in motion, which take a third of the bytes.
const MOVING_GREYS: u32 = 26;
/// Levels each of red, green and blue of a colour image in motion.
const COLOUR_STEPS: u32 = 6;
/// Thresholds of ordered dithering (Bayer, 4 × 4).
const BAYER: [[u32; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
/// Pixel rows in a sixel band.
const BAND_HEIGHT: usize = 6;
/// Shortest run for which a repeat count saves bytes.
const MIN_RUN: usize = 4;

/// Encodes an image that fills its cells.
pub(super) fn encode(
    image: DynamicImage,
    quality: Quality,
    target: EncodeTarget,
) -> Result<EncodedImage, MediaError> {
    let pieces = match image {
        DynamicImage::ImageLuma8(image) => grey(&image, quality, target),
        DynamicImage::ImageRgb8(image) if quality == Quality::Half => quick_colour(&image, target),
        image => pieces::encode(&image, target, |piece, size| {
            let is_tmux = target.route == Route::Tmux;
            let sixel = Sixel::new(piece, size, is_tmux).map_err(|error| draw_error(&error))?;
            Ok(sixel.data)
        })?,
    };
    Ok(Encoded::Pieces(pieces).into_image(target.size))
}

/// An image of palette indices.
struct Indexed {
    width: usize,
    height: usize,
    /// Palette index of each pixel, row-major.
    indices: Vec<u8>,
    /// Red, green and blue of each colour in percent.
    palette: Vec<[u32; 3]>,
}

/// Encodes a grey image, its pixels enlarged to fill the cells.
fn grey(image: &GrayImage, quality: Quality, target: EncodeTarget) -> Vec<ImagePiece> {
    let greys = if quality == Quality::Full {
        FULL_GREYS
    } else {
        MOVING_GREYS
    };
    let percent = |grey: u32| grey * 100 / (greys - 1);
    let step = |value: u32| ((value * (greys - 1) + 127) / 255) as u8;
    let steps: Vec<u8> = (0..256).map(step).collect();
    let indices = image
        .as_raw()
        .iter()
        .map(|value| steps[usize::from(*value)]);
    let indexed = Indexed {
        width: image.width() as usize,
        height: image.height() as usize,
        indices: indices.collect(),
        palette: (0..greys).map(|grey| [percent(grey); 3]).collect(),
    };
    encode_pieces(&indexed, target)
}

/// Encodes a colour image with a fixed palette and ordered dithering.
fn quick_colour(image: &RgbImage, target: EncodeTarget) -> Vec<ImagePiece> {
    let step = |value: u8, threshold: u32| {
        // 0 to COLOUR_STEPS − 1, in sixteenths.
        let sixteenths = u32::from(value) * (COLOUR_STEPS - 1) * 16 / 255;
        (sixteenths / 16 + u32::from(sixteenths % 16 > threshold)).min(COLOUR_STEPS - 1)
    };
    let index = |(x, y, pixel): (u32, u32, &image::Rgb<u8>)| {
        let threshold = BAYER[y as usize % 4][x as usize % 4];
        let [r, g, b] = pixel.0.map(|value| step(value, threshold));
        ((r * COLOUR_STEPS + g) * COLOUR_STEPS + b) as u8
    };
    let percent = |step: u32| step * 100 / (COLOUR_STEPS - 1);
    let colour = |n: u32| {
        [
            n / (COLOUR_STEPS * COLOUR_STEPS),
            n / COLOUR_STEPS % COLOUR_STEPS,
            n % COLOUR_STEPS,
        ]
        .map(percent)
    };
    let indexed = Indexed {
        width: image.width() as usize,
        height: image.height() as usize,
        indices: image.enumerate_pixels().map(index).collect(),
        palette: (0..COLOUR_STEPS * COLOUR_STEPS * COLOUR_STEPS)
            .map(colour)
            .collect(),
    };
    encode_pieces(&indexed, target)
}

fn encode_pieces(image: &Indexed, target: EncodeTarget) -> Vec<ImagePiece> {
    let areas = pieces::areas(target.size, target.cell);
    let piece = |area| ImagePiece {
        area,
        data: sequence(image, area, target).into(),
    };
    areas.map(piece).collect()
}

/// The control sequence that draws one piece.
fn sequence(image: &Indexed, part: Rect, target: EncodeTarget) -> String {
    let EncodeTarget { size, cell, route } = target;
    let [left, width, all_width] =
        [part.x, part.width, size.width].map(|cols| usize::from(cols) * usize::from(cell.width));
    let [top, height, all_height] =
        [part.y, part.height, size.height].map(|rows| usize::from(rows) * usize::from(cell.height));
    let Wrapper { start, escape, end } = route.wrapper();
    let rows: Vec<&[u8]> = (top..top + height)
        .filter_map(|y| {
            let first = y * image.height / all_height * image.width;
            image.indices.get(first..first + image.width)
        })
        .collect();
    // The image column that each screen column shows.
    let columns: Vec<usize> = (left..left + width)
        .map(|x| x * image.width / all_width)
        .collect();
    let mut present = vec![false; image.palette.len()];
    for row in &rows {
        for column in &columns {
            present[usize::from(row[*column])] = true;
        }
    }
    let mut data = String::with_capacity(width * height);
    // P2=1 keeps the cells' content: the image covers them completely, and clearing them first would make a film flicker.
    let _ = write!(data, "{start}{escape}P0;1;0q\"1;1;{width};{height}");
    for (n, [r, g, b]) in image.palette.iter().enumerate() {
        if present[n] {
            let _ = write!(data, "#{n};2;{r};{g};{b}");
        }
    }
    write_bands(&mut data, &rows, &columns, image.palette.len());
    let _ = write!(data, "{escape}\\{end}");
    data
}

/// The columns of a band that have pixels of one colour: x, and a bit for each of the six rows.
type BandColumns = Vec<(usize, u8)>;

/// Writes rows of pixels as sixel bands; `columns` says which image column each screen column shows.
fn write_bands(data: &mut String, rows: &[&[u8]], columns: &[usize], colours: usize) {
    let mut of_colour: Vec<BandColumns> = vec![Vec::new(); colours];
    for (n, band) in rows.chunks(BAND_HEIGHT).enumerate() {
        if n > 0 {
            data.push('-');
        }
        for (x, column) in columns.iter().enumerate() {
            for (bit, row) in band.iter().enumerate() {
                let columns = &mut of_colour[usize::from(row[*column])];
                match columns.last_mut() {
                    Some((at, bits)) if *at == x => *bits |= 1 << bit,
                    _ => columns.push((x, 1 << bit)),
                }
            }
        }
        let present = of_colour.iter_mut().enumerate();
        for (n, columns) in present.filter(|(_, columns)| !columns.is_empty()) {
            let _ = write!(data, "#{n}");
            write_columns(data, columns);
            data.push('$');
            columns.clear();
        }
    }
}

/// Writes one colour of a band from the left, with runs and gaps as repeat counts.
fn write_columns(data: &mut String, columns: &BandColumns) {
    let mut at = 0;
    let mut rest = columns.as_slice();
    while let Some(&(x, bits)) = rest.first() {
        let run = rest
            .iter()
            .zip(x..)
            .take_while(|((column, other), expected)| column == expected && *other == bits)
            .count();
        write_run(data, 0, x - at);
        write_run(data, bits, run);
        at = x + run;
        rest = &rest[run..];
    }
}

fn write_run(data: &mut String, bits: u8, count: usize) {
    let sixel = char::from(b'?' + bits);
    if count < MIN_RUN {
        data.extend(std::iter::repeat_n(sixel, count));
    } else {
        let _ = write!(data, "!{count}{sixel}");
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Size;
    use ratatui_image::FontSize;

    use super::*;

    /// Decodes the pieces with an independent decoder: width, and RGBA of all rows.
    fn decoded(pieces: &[ImagePiece], target: EncodeTarget) -> (usize, Vec<u8>) {
        let [cell_width, cell_height] = [target.cell.width, target.cell.height].map(usize::from);
        let (cols, rows) = (target.size.width, target.size.height);
        let width = usize::from(cols) * cell_width;
        let mut pixels = vec![0; width * usize::from(rows) * cell_height * 4];
        for ImagePiece { area, data } in pieces {
            let (x, y) = (area.x, area.y);
            let start = data.find("\x1bP").unwrap();
            let read = icy_sixel::SixelImage::decode(&data.as_bytes()[start..]).unwrap();
            // The last band is padded to six rows.
            let height = usize::from(area.height) * cell_height;
            assert!((height..height + BAND_HEIGHT).contains(&read.height));
            assert!(read.width <= usize::from(pieces::MAX_WIDTH));
            let (left, top) = (usize::from(x) * cell_width, usize::from(y) * cell_height);
            let rows = read.pixels.chunks_exact(read.width * 4).take(height);
            for (row, pixel_row) in (top..).zip(rows) {
                let at = (row * width + left) * 4;
                pixels[at..at + pixel_row.len()].copy_from_slice(pixel_row);
            }
        }
        (width, pixels)
    }

    fn picture(width: u32, height: u32) -> GrayImage {
        GrayImage::from_fn(width, height, |x, y| {
            image::Luma([((x * 7 + y * 13) % 256) as u8])
        })
    }

    fn target(width: u16, height: u16, cell: (u16, u16)) -> EncodeTarget {
        EncodeTarget {
            size: Size::new(width, height),
            cell: FontSize::new(cell.0, cell.1),
            route: Route::Direct,
        }
    }

    #[test]
    fn a_grey_image_decodes_to_within_one_percent() {
        let image = picture(50, 140);
        let target = target(5, 7, (10, 20));
        let sixel = grey(&image, Quality::Full, target);
        assert_eq!(sixel.len(), 4, "two rows a piece");
        let (width, pixels) = decoded(&sixel, target);
        assert_eq!((width, pixels.len()), (50, 50 * 140 * 4));
        for (pixel, expected) in pixels.chunks_exact(4).zip(image.as_raw()) {
            assert!(
                pixel[0].abs_diff(*expected) <= 3,
                "{pixel:?} for {expected}"
            );
            assert_eq!((pixel[0], pixel[0], 255), (pixel[1], pixel[2], pixel[3]));
        }
    }

    #[test]
    fn an_image_too_wide_for_xterm_is_split_side_by_side() {
        let image = picture(1230, 60);
        let target = target(123, 3, (10, 20));
        let sixel = grey(&image, Quality::Full, target);
        let place = |piece: &ImagePiece| ((piece.area.x, piece.area.y), piece.area.width);
        let places: Vec<_> = sixel.iter().map(place).collect();
        assert_eq!(
            places,
            [((0, 0), 62), ((62, 0), 61), ((0, 2), 62), ((62, 2), 61)]
        );
        let (width, pixels) = decoded(&sixel, target);
        assert_eq!((width, pixels.len()), (1230, 1230 * 60 * 4));
        for (pixel, expected) in pixels.chunks_exact(4).zip(image.as_raw()) {
            assert!(pixel[0].abs_diff(*expected) <= 3);
        }
    }

    #[test]
    fn an_image_of_half_the_pixels_fills_the_same_cells_even_with_a_remainder() {
        let image = picture(4 * 5, 9 * 2);
        let target = target(5, 2, (9, 19));
        let sixel = grey(&image, Quality::Half, target);
        let (width, pixels) = decoded(&sixel, target);
        assert_eq!(width, 45);
        let at = |x: usize, y: usize| pixels[(y * 45 + x) * 4];
        let (first, last) = (image.as_raw()[0], image.as_raw()[4 * 5 * 9 * 2 - 1]);
        assert!(at(0, 0).abs_diff(first) <= 8 && at(44, 37).abs_diff(last) <= 8);
    }

    #[test]
    fn fixed_palette_colours_are_right_on_average() {
        let colours = [[200, 30, 90], [0, 0, 0], [255, 255, 255], [10, 120, 250]];
        for colour in colours {
            let image = RgbImage::from_pixel(40, 40, image::Rgb(colour));
            let target = target(4, 2, (10, 20));
            let sixel = quick_colour(&image, target);
            let (_, pixels) = decoded(&sixel, target);
            for (channel, expected) in colour.iter().enumerate() {
                let shown = pixels.chunks_exact(4).take(1600);
                let sum: u32 = shown.map(|pixel| u32::from(pixel[channel])).sum();
                let mean = (sum / 1600) as u8;
                assert!(mean.abs_diff(*expected) <= 5, "{colour:?}: {mean}");
            }
        }
    }

    #[test]
    fn inside_tmux_every_escape_is_doubled() {
        let image = picture(10, 20);
        let target = EncodeTarget {
            route: Route::Tmux,
            ..target(1, 1, (10, 20))
        };
        let sixel = grey(&image, Quality::Full, target);
        let inner = sixel[0].data.strip_prefix("\x1bPtmux;").unwrap();
        let inner = inner.strip_suffix("\x1b\\").unwrap();
        assert!(!inner.replace("\x1b\x1b", "").contains('\x1b'));
    }
}
