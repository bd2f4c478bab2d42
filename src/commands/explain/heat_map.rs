//! The heat map of `explain`: asks the engine for it and for its deletion check, and draws it over the image.

use std::io::{self, Write};
use std::path::Path;

use crossbeam_channel::Receiver;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};
use serde::Serialize;

use super::super::run::{Run, RunMessage};
use super::super::{Fault, exit, shown};
use crate::engine::{Event, MapRequest};
use crate::files::{self, Access};
use crate::graphics::preview::letters;
use crate::library::Record;
use crate::media::{self, DecodeOptions, Pixels};
use crate::scoring::heat_map::deletion::DeletionCheck;
use crate::scoring::heat_map::{MapChoice, MapMethod, PlacedMap, SeenArea, tint};

/// The number of the only request.
const GENERATION: u64 = 1;
/// Width of the image for which the legend's letters are drawn at their own size.
const LETTER_WIDTH: u32 = 400;
/// Letters that the bar with the hues is wide.
const BAR: usize = 8;
/// What the hues at its ends mean.
const RAISES: &str = "raises it";
/// Pixels that the legend of a narrower image may take: enough for any name that people give to a condition.
const MAX_LEGEND_WIDTH: usize = 1024;

/// What is printed of a map.
#[derive(Serialize)]
pub(super) struct MapReport {
    pub(super) condition: String,
    pub(super) method: MapMethod,
    /// Columns and rows.
    grid: [usize; 2],
    /// The area of the grid in the image, in pixels.
    area: SeenArea,
    /// Contributions in logits, by Grad-ECLIP relative ones, row by row; `None` if the map is withheld.
    values: Option<Vec<f32>>,
    /// What else makes up the score.
    rest: Option<f64>,
    /// The score of the condition against its alternative, in logits.
    score: f64,
    pub(super) deletion: DeletionCheck,
    /// Why the map is not shown.
    pub(super) withheld: Option<&'static str>,
}

/// Why a map that fails its check is not shown.
const WITHHELD: &str =
    "deleting what it marks lowers the score no faster than deleting random regions";

/// A map and what its check said.
pub(super) struct CheckedMap {
    condition: String,
    placed: std::sync::Arc<PlacedMap>,
    check: DeletionCheck,
}

/// Asks for the map of a condition, and waits for its check; `None` if a signal interrupted that.
pub(super) fn request<W>(
    run: &mut Run<'_, W>,
    path: &Path,
    record: &Record,
    condition: Option<&str>,
    method: MapChoice,
) -> Result<Option<CheckedMap>, Fault> {
    let condition = condition.unwrap_or(&record.verdict.label).to_owned();
    run.request_map(MapRequest {
        path: path.to_owned(),
        frame: record.frame.unwrap_or(0),
        prompts_digest: record.prompts_digest.clone(),
        condition: condition.clone(),
        method,
        generation: GENERATION,
    });
    let messages: Receiver<RunMessage> = run.messages().clone();
    let mut placed = None;
    while let Ok(message) = messages.recv() {
        let event = match message {
            RunMessage::Stop => return Ok(None),
            RunMessage::Engine(event) => event,
        };
        match event {
            Event::Mapped { outcome, .. } => placed = Some(outcome.map_err(|m| fault(path, &m))?),
            Event::MapChecked { outcome, .. } => {
                let check = outcome.map_err(|message| fault(path, &message))?;
                return Ok(placed.map(|placed| CheckedMap {
                    condition,
                    placed,
                    check,
                }));
            }
            event => drop(run.handle_event(event)?),
        }
    }
    Err(Fault::unusable("the engine has ended"))
}

fn fault(path: &Path, message: &str) -> Fault {
    Fault {
        code: exit::SOME_FAILED,
        message: format!("{}: no heat map: {message}", shown(path)),
    }
}

impl CheckedMap {
    /// What is printed of it.
    pub(super) fn report(&self) -> MapReport {
        let map = &self.placed.map;
        let withheld = (!self.check.passed).then_some(WITHHELD);
        MapReport {
            condition: self.condition.clone(),
            method: map.method,
            grid: [map.columns, map.rows],
            area: self.placed.seen,
            values: withheld.is_none().then(|| map.values.clone()),
            rest: map.rest,
            score: map.score,
            deletion: self.check.clone(),
            withheld,
        }
    }

    /// Writes the frame with the map over it, and a legend below; a map that is withheld is not drawn, and the legend says so.
    pub(super) fn render(&self, path: &Path, record: &Record, out: &Path) -> Result<(), Fault> {
        let failed = |file: &Path, error: &dyn std::fmt::Display| Fault {
            code: exit::SOME_FAILED,
            message: format!("{}: {error}", shown(file)),
        };
        let options = DecodeOptions {
            frame: record.frame.unwrap_or(0),
            ..DecodeOptions::default()
        };
        let loaded = media::load(path, &options).map_err(|error| failed(path, &error))?;
        let (image_width, height) = (loaded.picture.width as usize, loaded.picture.height);
        let (size, words) = legend_words(image_width, &self.condition, self.check.passed);
        let (width, legend) = legend(image_width, size, &words, self.check.passed);
        let rows = (legend.len() / (width * 3)) as u32;
        // All in one piece of memory, black beside an image that is narrower than its legend.
        let mut bytes = vec![0_u8; width * height as usize * 3 + legend.len()];
        let (above, below) = bytes.split_at_mut(width * height as usize * 3);
        below.copy_from_slice(&legend);
        let lines = above.chunks_exact_mut(width * 3);
        match &loaded.picture.pixels {
            Pixels::Rgb(from) => {
                for (line, from) in lines.zip(from.chunks_exact(image_width * 3)) {
                    line[..image_width * 3].copy_from_slice(from);
                }
            }
            Pixels::Luma(from) => {
                for (line, from) in lines.zip(from.chunks_exact(image_width)) {
                    for (pixel, &value) in line.as_chunks_mut::<3>().0.iter_mut().zip(from) {
                        *pixel = [value; 3];
                    }
                }
            }
        }
        drop(loaded);
        if self.check.passed {
            self.placed.blend_onto(above, width, (0, 0));
        }
        files::replace(out, Access::Kept, |to| {
            write_png(&bytes, (width as u32, height + rows), to)
        })
        .map_err(|error| failed(out, &error))
    }
}

/// The words of a legend and the size of their letters: the usual one, or a smaller one with which the legend is no wider than the
/// image. If the smallest is too wide, the condition's name is cut.
fn legend_words(image_width: usize, condition: &str, has_hues: bool) -> (usize, String) {
    let words = |name: &str| {
        if has_hues {
            format!("{name}: lowers the score")
        } else {
            format!("heat map withheld: {name}")
        }
    };
    let needed = |words: &str| legend_letters(words, has_hues) * letters::GLYPH_SIZE as usize;
    let whole = words(condition);
    let usual = image_width / LETTER_WIDTH as usize;
    let size = usual.min(image_width / needed(&whole)).max(1);
    let limit = image_width.max(MAX_LEGEND_WIDTH);
    if needed(&whole) <= limit {
        return (size, whole);
    }
    let surplus = (needed(&whole) - limit).div_ceil(letters::GLYPH_SIZE as usize) + 1;
    let kept = condition.chars().count().saturating_sub(surplus);
    let cut: String = condition.chars().take(kept).collect();
    (size, words(&format!("{}…", cut.trim_end())))
}

/// The width of a legend in letters, with half a letter at either end.
fn legend_letters(words: &str, has_hues: bool) -> usize {
    let hues = if has_hues { BAR + 1 + RAISES.len() } else { 0 };
    words.chars().count() + hues + 1
}

/// A strip of RGB rows, at least `width` wide: the words in letters of a size, and for a map its two hues. Also returns its width.
fn legend(width: usize, size: usize, words: &str, has_hues: bool) -> (usize, Vec<u8>) {
    let letter = letters::GLYPH_SIZE as usize * size;
    let needed = legend_letters(words, has_hues) * letter;
    let (width, rows) = (width.max(needed), letter * 2);
    let mut strip = vec![0_u8; width * rows * 3];
    let mut set = |x: usize, y: usize, colour: [u8; 3]| {
        if x < width && y < rows {
            strip[(y * width + x) * 3..][..3].copy_from_slice(&colour);
        }
    };
    let mut write = |words: &str, left: usize| {
        for (at, glyph) in letters::glyphs(words).enumerate() {
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..letters::GLYPH_SIZE as usize).filter(|c| bits >> c & 1 == 1) {
                    for dot in 0..size * size {
                        let x = left + at * letter + column * size + dot % size;
                        set(x, letter / 2 + row * size + dot / size, [220; 3]);
                    }
                }
            }
        }
        left + words.chars().count() * letter
    };
    let end = write(words, letter / 2);
    if !has_hues {
        return (width, strip);
    }
    let bar = BAR * letter;
    write(RAISES, end + bar + letter);
    for x in 0..bar {
        let share = 2.0 * x as f32 / bar as f32 - 1.0;
        for y in letter / 2..letter * 3 / 2 {
            let at = (y * width + end + letter / 2 + x) * 3;
            strip[at..at + 3].copy_from_slice(&tint::blend([60; 3], share));
        }
    }
    (width, strip)
}

fn write_png(bytes: &[u8], (width, height): (u32, u32), to: &mut dyn Write) -> io::Result<()> {
    PngEncoder::new(to)
        .write_image(bytes, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| match error {
            ImageError::IoError(error) => error,
            other => io::Error::other(other),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_makes_letters_smaller_and_is_cut_at_last() {
        let long = "x".repeat(1500);
        for has_hues in [true, false] {
            // As wide as a large image, its letters grow with it.
            assert_eq!(legend_words(4000, "tumor", has_hues).0, 10);
            let name = "consolidation of the lung with air bronchograms";
            let (size, words) = legend_words(4000, name, has_hues);
            assert!((2..10).contains(&size) && words.contains(name), "{size}");
            for image_width in [10, 512, 4000, 20_000] {
                let (size, words) = legend_words(image_width, &long, has_hues);
                let (width, _) = legend(image_width, size, &words, has_hues);
                assert!(width <= image_width.max(MAX_LEGEND_WIDTH), "{width}");
                let is_whole = words.contains(&long);
                assert_eq!(words.contains('…'), !is_whole, "{words}");
                assert_eq!(is_whole, image_width == 20_000);
                let said = if has_hues {
                    "lowers the score"
                } else {
                    "withheld"
                };
                assert!(words.contains(said), "{words}");
            }
        }
    }

    #[test]
    fn a_legend_is_whole_below_the_narrowest_image() {
        let lit = |strip: &[u8], width: usize| {
            let column = |x: usize| {
                strip
                    .chunks_exact(width * 3)
                    .any(|row| row[x * 3..][..3] != [0; 3])
            };
            (0..width).filter(|x| column(*x)).max()
        };
        for (words, has_hues) in [
            ("tumor: lowers the score", true),
            ("heat map withheld: tumor", false),
        ] {
            let (wide, strip) = legend(2000, 1, words, has_hues);
            assert_eq!(wide, 2000);
            let (narrow, short) = legend(10, 1, words, has_hues);
            assert!(narrow < 2000);
            assert_eq!(lit(&short, narrow), lit(&strip, wide), "{words}");
        }
    }
}
