//! Reduces a frame to the colours and characters of the terminal, cell by cell and without changing widths. Images of a
//! graphics protocol are left alone: on such a terminal the user has chosen that protocol.
//!
//! `termprofile` 0.2.5 does not replace this: it has neither ASCII nor images without colours, and it does not dither, so that
//! greys turn cyan and yellow in sixteen colours.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;
use unicode_width::UnicodeWidthStr;

use super::limits::Colours;
use super::pacing::{is_pixels, placeholder};
use crate::ui;

/// Replaces characters without an ASCII equivalent.
const REPLACEMENT: char = '?';
/// Characters from dark to bright, for images without colours.
const RAMP: &[u8; 10] = b" .:-=+*#%@";
/// Thresholds of ordered dithering (Bayer, 4 × 4). Without it a radiograph in the four greys of sixteen colours would be four
/// flat areas.
const BAYER: [[i32; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
/// Distance between the greys of [`NAMED`].
const GREY_STEP: i32 = 85;
/// The sixteen named colours with the RGB values of VGA; those of terminals differ little.
const NAMED: [(Color, [i32; 3]); 16] = [
    (Color::Black, [0, 0, 0]),
    (Color::Red, [170, 0, 0]),
    (Color::Green, [0, 170, 0]),
    (Color::Yellow, [170, 85, 0]),
    (Color::Blue, [0, 0, 170]),
    (Color::Magenta, [170, 0, 170]),
    (Color::Cyan, [0, 170, 170]),
    (Color::Gray, [170, 170, 170]),
    (Color::DarkGray, [85, 85, 85]),
    (Color::LightRed, [255, 85, 85]),
    (Color::LightGreen, [85, 255, 85]),
    (Color::LightYellow, [255, 255, 85]),
    (Color::LightBlue, [85, 85, 255]),
    (Color::LightMagenta, [255, 85, 255]),
    (Color::LightCyan, [85, 255, 255]),
    (Color::White, [255, 255, 255]),
];

/// Reduces a frame to these colours, and to ASCII if `ascii`.
pub(super) fn reduce(frame: &mut Buffer, colours: Colours, ascii: bool) {
    let width = usize::from(frame.area.width).max(1);
    for (n, cell) in frame.content.iter_mut().enumerate() {
        if is_graphics(cell) {
            continue;
        }
        let (x, y) = (n % width, n / width);
        if let (Color::Rgb(..), Color::Rgb(..)) = (cell.fg, cell.bg) {
            pixels(cell, (x, y), colours, ascii);
            continue;
        }
        cell.fg = available_colour(cell.fg, (x, y), colours);
        cell.bg = available_colour(cell.bg, (x, y), colours);
        if ascii && !cell.symbol().is_ascii() {
            let ascii_of = ascii_of(cell.symbol());
            cell.set_symbol(&ascii_of);
        }
    }
}

/// Whether the cell belongs to an image of a graphics protocol.
fn is_graphics(cell: &Cell) -> bool {
    is_pixels(cell) || placeholder(cell).is_some()
}

/// Reduces a half block: two pixels of an image, one above the other.
fn pixels(cell: &mut Cell, (x, y): (usize, usize), colours: Colours, ascii: bool) {
    if colours == Colours::None {
        // Rec. 601 luma.
        let [r, g, b] = mean(cell.fg, cell.bg).map(usize::from);
        let luma = (299 * r + 587 * g + 114 * b) / 1000;
        cell.set_char(char::from(RAMP[luma * RAMP.len() / 256]));
        (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
    } else if ascii {
        let [r, g, b] = mean(cell.fg, cell.bg);
        cell.bg = available_colour(Color::Rgb(r, g, b), (x, y), colours);
        cell.fg = Color::Reset;
        cell.set_char(' ');
    } else {
        let upper = usize::from(cell.symbol() == "▄");
        cell.fg = available_colour(cell.fg, (x, 2 * y + upper), colours);
        cell.bg = available_colour(cell.bg, (x, 2 * y + 1 - upper), colours);
    }
}

fn mean(a: Color, b: Color) -> [u8; 3] {
    let parts = |colour| match colour {
        Color::Rgb(r, g, b) => [r, g, b],
        _ => [0; 3],
    };
    let (a, b) = (parts(a), parts(b));
    std::array::from_fn(|i| a[i].midpoint(b[i]))
}

/// The colour to use for `colour` at pixel `at`, where it may be dithered.
fn available_colour(colour: Color, at: (usize, usize), colours: Colours) -> Color {
    match (colours, colour) {
        (Colours::None, _) => Color::Reset,
        (Colours::Indexed, Color::Rgb(r, g, b)) => Color::Indexed(nearest_index([r, g, b])),
        (Colours::Named, Color::Rgb(r, g, b)) => nearest_name([r, g, b], at),
        // Only the themes use these. One without a name becomes the default colour, which is readable.
        (Colours::Named, Color::Indexed(_)) => ui::name_of(colour).unwrap_or_default(),
        _ => colour,
    }
}

/// The nearest of xterm's 256 colours: in the cube from 16 on, or among the greys from 232 on. The first sixteen are left out,
/// because users redefine them.
fn nearest_index(wanted: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let distance = |other: [u8; 3]| -> u32 {
        let pairs = wanted.into_iter().zip(other);
        pairs.map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    let steps = wanted.map(|part| match part {
        0..48 => 0,
        48..115 => 1,
        _ => (part - 35) / 40,
    });
    let in_cube = distance(steps.map(|step| LEVELS[usize::from(step)]));
    let sum: u32 = wanted.into_iter().map(u32::from).sum();
    let grey = ((sum / 3).saturating_sub(3) / 10).min(23) as u8;
    if distance([8 + 10 * grey; 3]) < in_cube {
        232 + grey
    } else {
        16 + 36 * steps[0] + 6 * steps[1] + steps[2]
    }
}

/// The nearest of the sixteen named colours after dithering at pixel (x, y).
fn nearest_name(wanted: [u8; 3], (x, y): (usize, usize)) -> Color {
    let shift = (2 * BAYER[y % 4][x % 4] + 1 - 16) * GREY_STEP / 32;
    let wanted = wanted.map(|part| i32::from(part) + shift);
    let distance = |other: &[i32; 3]| -> i32 {
        let pairs = wanted.iter().zip(other);
        pairs.map(|(a, b)| (a - b).pow(2)).sum()
    };
    let nearest = NAMED.iter().min_by_key(|(_, parts)| distance(parts));
    nearest.map_or(Color::Reset, |(colour, _)| *colour)
}

/// A symbol in ASCII, as wide as before. Combining marks are dropped.
fn ascii_of(symbol: &str) -> String {
    let first = symbol.chars().next().unwrap_or(' ');
    let letter = if first.is_ascii() {
        first
    } else {
        ascii_for(first).unwrap_or(REPLACEMENT)
    };
    letter.to_string().repeat(symbol.width().max(1))
}

/// Converts a line of text for a terminal limited to ASCII.
pub fn in_ascii(text: &str) -> String {
    let mut letter = [0; 4];
    text.chars()
        .map(|c| {
            if c.is_ascii() {
                c.to_string()
            } else {
                ascii_of(c.encode_utf8(&mut letter))
            }
        })
        .collect()
}

/// The ASCII equivalent of a symbol of the interface.
#[allow(clippy::match_same_arms, reason = "they are grouped by what they mean")]
fn ascii_for(symbol: char) -> Option<char> {
    Some(match symbol {
        // File status; uncertain is a question mark.
        '●' | '•' => '*',
        '◐' => '?',
        '○' => 'o',
        '✗' | '×' => 'x',
        '·' => '.',
        '✓' => '+',
        '□' => 'o',
        '≠' => '/',
        '⚑' => 'P',
        '⚠' => '!',
        // Ellipsis.
        '…' => '~',
        // Lines.
        '─' | '╌' | '–' | '−' | '—' | '⁻' => '-',
        '│' => '|',
        '\u{2500}'..='\u{257f}' => '+',
        '‾' => '-',
        // The cursor, then partial blocks of bars.
        '▌' => '>',
        '▏' | '▎' | '▍' | '▋' | '▊' | '▉' => '|',
        '▁' | '▂' => '_',
        '▃' | '▄' => '-',
        '▅' | '▆' => '=',
        '▇' | '█' | '▀' | '■' => '#',
        // Pointers.
        '▸' | '►' | '▶' | '→' | '›' | '⟩' => '>',
        '◄' | '←' | '⟨' | '↵' => '<',
        '▴' | '↑' => '^',
        '▾' | '↓' => 'v',
        // The spinner.
        '⣾' | '⡿' => '|',
        '⣽' | '⣟' => '/',
        '⣻' | '⣯' => '-',
        '⢿' | '⣷' => '\\',
        '↻' => '@',
        // Writing and units.
        '“' | '”' => '"',
        '’' => '\'',
        '⌀' | '°' => 'o',
        'µ' => 'u',
        'Δ' => 'd',
        '¹' => '1',
        '⁶' => '6',
        'ⁿ' => 'n',
        _ => return None,
    })
}

/// Rewrites SGR sequences for the first sixteen of 256 colours to those that sixteen-colour terminals understand (30–37, 90–97
/// and 40–47, 100–107).
pub(super) fn with_basic_colours(frame: &[u8]) -> Vec<u8> {
    const START: &[u8] = b"\x1b[";
    let mut out = Vec::with_capacity(frame.len());
    let mut rest = frame;
    while let Some(at) = rest.windows(START.len()).position(|part| part == START) {
        let (before, from) = rest.split_at(at + START.len());
        let is_end = |byte: &u8| !byte.is_ascii_digit() && *byte != b';';
        let (numbers, after) = from.split_at(from.iter().position(is_end).unwrap_or(from.len()));
        out.extend_from_slice(before);
        match std::str::from_utf8(numbers) {
            Ok(numbers) if after.first() == Some(&b'm') => out.extend(renumbered(numbers).bytes()),
            _ => out.extend_from_slice(numbers),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// Rewrites the parameters of one SGR sequence.
fn renumbered(numbers: &str) -> String {
    let numbers: Vec<&str> = numbers.split(';').collect();
    let mut rest = numbers.as_slice();
    let mut short = Vec::new();
    loop {
        rest = match rest {
            [kind @ ("38" | "48"), "5", index, rest @ ..] => {
                let ground = if *kind == "48" { 10 } else { 0 };
                short.push(match index.parse::<u16>() {
                    Ok(n @ 0..8) => (30 + ground + n).to_string(),
                    Ok(n @ 8..16) => (90 + ground + n - 8).to_string(),
                    _ => format!("{kind};5;{index}"),
                });
                rest
            }
            [other, rest @ ..] => {
                short.push((*other).to_owned());
                rest
            }
            [] => return short.join(";"),
        };
    }
}

#[cfg(test)]
mod tests;
