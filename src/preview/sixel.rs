//! Grey pictures as sixels. The general encoder first finds a palette, which for grey is known beforehand, and takes many
//! times as long: a window could not be seen to move.

use std::fmt::Write;

use image::GrayImage;
use ratatui::layout::Size;
use ratatui_image::FontSize;
use ratatui_image::protocol::sixel::Sixel;

use crate::app::Quality;

/// Sixel colours are given in percent: more greys there are not.
const FINE: u32 = 101;
/// Greys while the picture moves: a third of the bytes.
const COARSE: u32 = 26;
/// Rows of a band.
const BAND: usize = 6;
/// From here on a run is shorter when it is counted.
const RUN: usize = 4;

/// A picture for `size` cells of `font` pixels, each of its pixels as large as needed to fill them.
pub(super) fn grey(
    image: &GrayImage,
    size: Size,
    quality: Quality,
    font: FontSize,
    tmux: bool,
) -> Sixel {
    let width = usize::from(size.width) * usize::from(font.width);
    let height = usize::from(size.height) * usize::from(font.height);
    let greys = if quality == Quality::Full {
        FINE
    } else {
        COARSE
    };
    let (start, escape, end) = if tmux {
        ("\x1bPtmux;", "\x1b\x1b", "\x1b\\")
    } else {
        ("", "\x1b", "")
    };
    let mut data = String::with_capacity(width * height);
    data.push_str(start);
    clear(&mut data, escape, size);
    // No pixel is left to the background, whatever its colour is.
    let _ = write!(data, "{escape}P0;1;0q\"1;1;{width};{height}");
    for grey in 0..greys {
        let percent = grey * 100 / (greys - 1);
        let _ = write!(data, "#{grey};2;{percent};{percent};{percent}");
    }
    bands(&mut data, image, (width, height), greys);
    let _ = write!(data, "{escape}\\{end}");
    Sixel {
        data,
        size,
        is_tmux: tmux,
    }
}

/// Blanks the cells: what stood in them would shine through otherwise.
fn clear(data: &mut String, escape: &str, size: Size) {
    for _ in 0..size.height {
        let _ = write!(data, "{escape}[{}X{escape}[1B", size.width);
    }
    let _ = write!(data, "{escape}[{}A", size.height);
}

/// Columns with pixels of one grey in a band: where, and which of the six rows.
type Columns = Vec<(usize, u8)>;

fn bands(data: &mut String, image: &GrayImage, (width, height): (usize, usize), greys: u32) {
    let (w, h) = (image.width() as usize, image.height() as usize);
    if w == 0 || h == 0 {
        return;
    }
    let steps: Vec<u8> = (0..256)
        .map(|value| ((value * (greys - 1) + 127) / 255) as u8)
        .collect();
    // Which column and row of the picture each pixel shows.
    let columns: Vec<usize> = (0..width).map(|x| x * w / width).collect();
    let mut of_grey: Vec<Columns> = vec![Vec::new(); greys as usize];
    for top in (0..height).step_by(BAND) {
        if top > 0 {
            data.push('-');
        }
        let rows: Vec<&[u8]> = (top..height.min(top + BAND))
            .map(|y| {
                let from = y * h / height * w;
                &image.as_raw()[from..from + w]
            })
            .collect();
        for (x, column) in columns.iter().enumerate() {
            for (bit, row) in rows.iter().enumerate() {
                let columns = &mut of_grey[usize::from(steps[usize::from(row[*column])])];
                match columns.last_mut() {
                    Some((at, bits)) if *at == x => *bits |= 1 << bit,
                    _ => columns.push((x, 1 << bit)),
                }
            }
        }
        for (grey, columns) in of_grey
            .iter_mut()
            .enumerate()
            .filter(|(_, c)| !c.is_empty())
        {
            let _ = write!(data, "#{grey}");
            write_columns(data, columns);
            data.push('$');
            columns.clear();
        }
    }
}

/// One grey of a band, from the left; runs and gaps are counted.
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

    /// Another program's reading of what is written; it fills the last band up to six rows.
    fn decoded(sixel: &Sixel, height: usize) -> icy_sixel::SixelImage {
        let start = sixel.data.find("\x1bP").unwrap();
        let read = icy_sixel::SixelImage::decode(&sixel.data.as_bytes()[start..]).unwrap();
        assert!(
            (height..height + BAND).contains(&read.height),
            "{}",
            read.height
        );
        read
    }

    fn picture(width: u32, height: u32) -> GrayImage {
        GrayImage::from_fn(width, height, |x, y| {
            image::Luma([((x * 7 + y * 13) % 256) as u8])
        })
    }

    #[test]
    fn what_is_written_is_read_back_within_a_percent() {
        let image = picture(50, 40);
        let sixel = grey(
            &image,
            Size::new(5, 2),
            Quality::Full,
            FontSize::new(10, 20),
            false,
        );
        let read = decoded(&sixel, 40);
        assert_eq!(read.width, 50);
        for (pixel, expected) in read.pixels.chunks_exact(4).zip(image.as_raw()) {
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
        let sixel = grey(&image, Size::new(5, 2), Quality::Half, font, false);
        let read = decoded(&sixel, 38);
        assert_eq!(read.width, 45);
        let at = |x: usize, y: usize| read.pixels[(y * 45 + x) * 4];
        let (first, last) = (image.as_raw()[0], image.as_raw()[4 * 5 * 9 * 2 - 1]);
        assert!(at(0, 0).abs_diff(first) <= 8 && at(44, 37).abs_diff(last) <= 8);
    }

    #[test]
    fn inside_tmux_every_escape_is_passed_on() {
        let image = picture(10, 20);
        let sixel = grey(
            &image,
            Size::new(1, 1),
            Quality::Full,
            FontSize::new(10, 20),
            true,
        );
        let inner = sixel.data.strip_prefix("\x1bPtmux;").unwrap();
        let inner = inner.strip_suffix("\x1b\\").unwrap();
        assert!(!inner.replace("\x1b\x1b", "").contains('\x1b'));
    }
}
