//! Pictures as sixels, where the palette is known beforehand: grey ones, and colour while it moves. The general encoder first
//! searches a palette, and takes so long that a window could not be seen to move.

use std::fmt::Write;

use image::{GrayImage, RgbImage};
use ratatui::layout::Size;
use ratatui_image::FontSize;
use ratatui_image::protocol::Protocol;
use ratatui_image::protocol::sixel::Sixel;

use crate::app::{Graphic, Quality};

/// Sixel colours are given in percent: more greys there are not.
const FINE: u32 = 101;
/// Greys while the picture moves: a third of the bytes.
const COARSE: u32 = 26;
/// Steps of red, green and blue while a colour picture moves.
const STEPS: u32 = 6;
/// Thresholds that spread what lies between two steps over neighbouring pixels (Bayer, 4 × 4).
const SPREAD: [[u32; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
/// Rows of a band.
const BAND: usize = 6;
/// Pixels that a strip is high, at least: each names its colours anew.
const STRIP: u16 = 36;
/// From here on a run is shorter when it is counted.
const RUN: usize = 4;

/// What is to be covered, and through what.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// Cells.
    pub size: Size,
    /// Pixels of each.
    pub font: FontSize,
    /// Inside tmux, which passes on what is wrapped.
    pub tmux: bool,
}

/// A picture by the numbers of its colours.
struct Indexed {
    width: usize,
    height: usize,
    /// Row-major.
    indices: Vec<u8>,
    /// Red, green and blue in percent.
    palette: Vec<[u32; 3]>,
}

/// A grey picture, each of its pixels as large as needed to fill its cells.
pub(super) fn grey(image: &GrayImage, quality: Quality, target: Target) -> Graphic {
    let greys = if quality == Quality::Full {
        FINE
    } else {
        COARSE
    };
    let percent = |grey: u32| grey * 100 / (greys - 1);
    let step = |value: u32| ((value * (greys - 1) + 127) / 255) as u8;
    let steps: Vec<u8> = (0..256).map(step).collect();
    let indices = image
        .as_raw()
        .iter()
        .map(|value| steps[usize::from(*value)]);
    let picture = Indexed {
        width: image.width() as usize,
        height: image.height() as usize,
        indices: indices.collect(),
        palette: (0..greys).map(|grey| [percent(grey); 3]).collect(),
    };
    strips(&picture, target)
}

/// A colour picture in a palette that suits any.
pub(super) fn quick_colour(image: &RgbImage, target: Target) -> Graphic {
    let step = |value: u8, threshold: u32| {
        // From 0 to STEPS − 1, in sixteenths.
        let sixteenths = u32::from(value) * (STEPS - 1) * 16 / 255;
        (sixteenths / 16 + u32::from(sixteenths % 16 > threshold)).min(STEPS - 1)
    };
    let index = |(x, y, pixel): (u32, u32, &image::Rgb<u8>)| {
        let threshold = SPREAD[y as usize % 4][x as usize % 4];
        let [r, g, b] = pixel.0.map(|value| step(value, threshold));
        ((r * STEPS + g) * STEPS + b) as u8
    };
    let percent = |step: u32| step * 100 / (STEPS - 1);
    let colour = |n: u32| [n / (STEPS * STEPS), n / STEPS % STEPS, n % STEPS].map(percent);
    let picture = Indexed {
        width: image.width() as usize,
        height: image.height() as usize,
        indices: image.enumerate_pixels().map(index).collect(),
        palette: (0..STEPS * STEPS * STEPS).map(colour).collect(),
    };
    strips(&picture, target)
}

/// Rows of cells of a strip.
pub(super) fn strip_rows(cell_height: u16) -> u16 {
    STRIP.div_ceil(cell_height.max(1))
}

/// The picture in strips: so long as one is being sent, nothing else can be.
fn strips(picture: &Indexed, target: Target) -> Graphic {
    let Size { width, height } = target.size;
    let rows = strip_rows(target.font.height);
    let strip = |top: u16| {
        let size = Size::new(width, rows.min(height - top));
        let from = usize::from(top) * usize::from(target.font.height);
        let sixel = sixel(picture, from, Target { size, ..target }, height);
        Protocol::Sixel(sixel)
    };
    Graphic::of_strips((0..height).step_by(usize::from(rows)).map(strip).collect())
}

/// The strip `target` from pixel row `from` on, of a picture `all_rows` of cells high.
fn sixel(picture: &Indexed, from: usize, target: Target, all_rows: u16) -> Sixel {
    let Target { size, font, tmux } = target;
    let pixels = |cells: u16, pixels: u16| usize::from(cells) * usize::from(pixels);
    let (width, height) = (
        pixels(size.width, font.width),
        pixels(size.height, font.height),
    );
    let all = pixels(all_rows, font.height).max(1);
    let (start, escape, end) = if tmux {
        ("\x1bPtmux;", "\x1b\x1b", "\x1b\\")
    } else {
        ("", "\x1b", "")
    };
    let rows: Vec<&[u8]> = (from..from + height)
        .filter_map(|y| {
            let first = y * picture.height / all * picture.width;
            picture.indices.get(first..first + picture.width)
        })
        .collect();
    let mut present = vec![false; picture.palette.len()];
    for index in rows.iter().copied().flatten() {
        present[usize::from(*index)] = true;
    }
    let mut data = String::with_capacity(width * height);
    // The cells are not cleared first, as they would be for a picture with holes: this one covers them wholly, and a film
    // would flicker.
    let _ = write!(data, "{start}{escape}P0;1;0q\"1;1;{width};{height}");
    for (n, [r, g, b]) in picture.palette.iter().enumerate() {
        if present[n] {
            let _ = write!(data, "#{n};2;{r};{g};{b}");
        }
    }
    bands(&mut data, &rows, picture, width);
    let _ = write!(data, "{escape}\\{end}");
    Sixel {
        data,
        size,
        is_tmux: tmux,
    }
}

/// Columns with pixels of one colour in a band: where, and which of the six rows.
type Columns = Vec<(usize, u8)>;

/// Rows of pixels, as wide as the screen wants them.
fn bands(data: &mut String, rows: &[&[u8]], picture: &Indexed, width: usize) {
    if picture.width == 0 {
        return;
    }
    // Which column of the picture each pixel shows.
    let columns: Vec<usize> = (0..width).map(|x| x * picture.width / width).collect();
    let mut of_colour: Vec<Columns> = vec![Vec::new(); picture.palette.len()];
    for (n, band) in rows.chunks(BAND).enumerate() {
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

/// One colour of a band, from the left; runs and gaps are counted.
fn write_columns(data: &mut String, columns: &Columns) {
    let mut at = 0;
    let mut rest = columns.as_slice();
    while let Some(&(x, bits)) = rest.first() {
        let run = rest
            .iter()
            .zip(x..)
            .take_while(|((column, other), expected)| column == expected && *other == bits)
            .count();
        put(data, 0, x - at);
        put(data, bits, run);
        at = x + run;
        rest = &rest[run..];
    }
}

fn put(data: &mut String, bits: u8, count: usize) {
    let sixel = char::from(b'?' + bits);
    if count < RUN {
        data.extend(std::iter::repeat_n(sixel, count));
    } else {
        let _ = write!(data, "!{count}{sixel}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another program's reading of what is written: width, and RGBA of all rows.
    fn decoded(graphic: &Graphic, cell_height: usize) -> (usize, Vec<u8>) {
        let (mut width, mut pixels) = (0, Vec::new());
        for strip in graphic.strips() {
            let Protocol::Sixel(strip) = strip else {
                panic!("another protocol");
            };
            let start = strip.data.find("\x1bP").unwrap();
            let read = icy_sixel::SixelImage::decode(&strip.data.as_bytes()[start..]).unwrap();
            // The last band is filled up to six rows.
            let height = usize::from(strip.size.height) * cell_height;
            assert!((height..height + BAND).contains(&read.height));
            width = read.width;
            pixels.extend_from_slice(&read.pixels[..width * height * 4]);
        }
        (width, pixels)
    }

    fn picture(width: u32, height: u32) -> GrayImage {
        GrayImage::from_fn(width, height, |x, y| {
            image::Luma([((x * 7 + y * 13) % 256) as u8])
        })
    }

    fn target(width: u16, height: u16, font: FontSize, tmux: bool) -> Target {
        Target {
            size: Size::new(width, height),
            font,
            tmux,
        }
    }

    #[test]
    fn what_is_written_is_read_back_within_a_percent() {
        let image = picture(50, 140);
        let font = FontSize::new(10, 20);
        let sixel = grey(&image, Quality::Full, target(5, 7, font, false));
        assert_eq!(sixel.strips().len(), 4, "two rows a strip");
        let (width, pixels) = decoded(&sixel, 20);
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
    fn half_the_pixels_fill_the_same_cells_also_where_they_do_not_go_up() {
        let image = picture(4 * 5, 9 * 2);
        let font = FontSize::new(9, 19);
        let sixel = grey(&image, Quality::Half, target(5, 2, font, false));
        let (width, pixels) = decoded(&sixel, 19);
        assert_eq!(width, 45);
        let at = |x: usize, y: usize| pixels[(y * 45 + x) * 4];
        let (first, last) = (image.as_raw()[0], image.as_raw()[4 * 5 * 9 * 2 - 1]);
        assert!(at(0, 0).abs_diff(first) <= 8 && at(44, 37).abs_diff(last) <= 8);
    }

    #[test]
    fn quick_colours_are_right_on_the_whole() {
        let colours = [[200, 30, 90], [0, 0, 0], [255, 255, 255], [10, 120, 250]];
        for colour in colours {
            let image = RgbImage::from_pixel(40, 40, image::Rgb(colour));
            let sixel = quick_colour(&image, target(4, 2, FontSize::new(10, 20), false));
            let (_, pixels) = decoded(&sixel, 20);
            for (channel, expected) in colour.iter().enumerate() {
                let shown = pixels.chunks_exact(4).take(1600);
                let sum: u32 = shown.map(|pixel| u32::from(pixel[channel])).sum();
                let mean = (sum / 1600) as u8;
                assert!(mean.abs_diff(*expected) <= 5, "{colour:?}: {mean}");
            }
        }
    }

    #[test]
    fn inside_tmux_every_escape_is_passed_on() {
        let image = picture(10, 20);
        let font = FontSize::new(10, 20);
        let sixel = grey(&image, Quality::Full, target(1, 1, font, true));
        let Protocol::Sixel(sixel) = &sixel.strips()[0] else {
            panic!("another protocol");
        };
        let inner = sixel.data.strip_prefix("\x1bPtmux;").unwrap();
        let inner = inner.strip_suffix("\x1b\\").unwrap();
        assert!(!inner.replace("\x1b\x1b", "").contains('\x1b'));
    }
}
