//! Reads the markers of a JPEG 2000 codestream (ITU-T T.800 annex A): what it claims to be, and whether it is
//! complete.

use memchr::memmem;

use super::packets::{CodingStyles, segments};

/// The markers SOC and SIZ.
const START_MARKERS: &[u8] = b"\xff\x4f\xff\x51";
/// The marker EOC.
pub(super) const END_MARKER: &[u8] = b"\xff\xd9";
/// Size of a tile-part header (A.4.2), in bytes.
pub(super) const TILE_PART_HEADER: usize = 12;

/// A component (A.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jpeg2000Component {
    /// Bits of a sample.
    pub precision: u16,
    /// Steps of the reference grid between samples, across and down.
    pub step: (u32, u32),
}

/// A codestream and its main header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Codestream<'a> {
    /// The stream from its first marker on.
    pub bytes: &'a [u8],
    /// Where it begins in its file.
    offset: usize,
    /// First and last column of the image on the reference grid, the last excluded.
    pub columns: (u32, u32),
    /// First and last row of the image on the reference grid, the last excluded.
    pub rows: (u32, u32),
    /// First column of the tiles on the reference grid, and columns of a tile.
    pub tile_columns: (u32, u32),
    /// First row of the tiles on the reference grid, and rows of a tile.
    pub tile_rows: (u32, u32),
    /// Number of tiles in a row.
    pub across: usize,
    /// Number of tiles.
    pub tiles: usize,
    /// The components.
    pub components: Vec<Jpeg2000Component>,
    /// Whether the components were transformed together (RCT or ICT).
    pub transformed: bool,
    /// The coding styles of the main header.
    pub styles: CodingStyles,
    /// Where the last of them ends.
    styles_end: usize,
    /// Offset of the first tile-part.
    body: usize,
}

/// Whether the tile-parts of a stream are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completeness {
    /// Complete up to this byte.
    Whole(usize),
    /// One is missing or ends beyond the last byte.
    Cut,
    /// Their lengths are not usable.
    Unknown,
}

impl<'a> Codestream<'a> {
    /// Finds the codestream in `bytes`, which may be a JP2 file.
    pub(super) fn find(bytes: &'a [u8]) -> Option<Self> {
        let offset = memmem::find(bytes, START_MARKERS)?;
        let bytes = &bytes[offset..];
        let long = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let (columns, rows) = ((long(16)?, long(8)?), (long(20)?, long(12)?));
        let (width, height) = (long(24)?, long(28)?);
        let (left, top) = (long(32)?, long(36)?);
        let count = usize::from(u16::from_be_bytes(*bytes.get(40..)?.first_chunk()?));
        let components = bytes.get(42..42 + 3 * count)?.as_chunks::<3>().0;
        let across = columns.1.checked_sub(left)?.div_ceil(width.max(1)) as usize;
        let down = rows.1.checked_sub(top)?.div_ceil(height.max(1)) as usize;
        let header = MainHeader::read(bytes, count);
        let size_is_sound = columns.0 < columns.1 && rows.0 < rows.1;
        size_is_sound.then_some(())?;
        Some(Self {
            bytes,
            offset,
            columns,
            rows,
            tile_columns: (left, width.max(1)),
            tile_rows: (top, height.max(1)),
            across,
            tiles: across.checked_mul(down)?,
            components: components
                .iter()
                .map(|&[depth, x, y]| Jpeg2000Component {
                    precision: u16::from(depth & 0x7f) + 1,
                    step: (u32::from(x.max(1)), u32::from(y.max(1))),
                })
                .collect(),
            transformed: header.transformed,
            styles: header.styles,
            styles_end: header.styles_end,
            body: header.end,
        })
    }

    /// Columns and rows of a component (B-2).
    pub(super) fn size(&self, component: Jpeg2000Component) -> (u32, u32) {
        let length =
            |(start, end): (u32, u32), step: u32| end.div_ceil(step) - start.div_ceil(step);
        (
            length(self.columns, component.step.0),
            length(self.rows, component.step.1),
        )
    }

    /// The index of the sample of `component` at each column of the first component, and at each row.
    pub(super) fn sample_positions(
        &self,
        component: Jpeg2000Component,
    ) -> (Vec<usize>, Vec<usize>) {
        let first = self.components[0];
        let (size, own) = (self.size(first), self.size(component));
        let along = |count: u32, start: u32, first: u32, step: u32, own: u32| {
            let origin = start.div_ceil(step);
            (0..count)
                .map(|n| {
                    let position = (start.div_ceil(first) + n) * first / step;
                    position.saturating_sub(origin).min(own.saturating_sub(1)) as usize
                })
                .collect()
        };
        (
            along(
                size.0,
                self.columns.0,
                first.step.0,
                component.step.0,
                own.0,
            ),
            along(size.1, self.rows.0, first.step.1, component.step.1, own.1),
        )
    }

    /// Bytes of the file from which the coding styles of the main header are known.
    pub(super) fn styles_length(&self) -> u64 {
        (self.offset + self.styles_end) as u64
    }

    /// The first tile-part of each tile, which alone may have coding styles: the tile's number, and its offset.
    pub(super) fn first_tile_parts(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut next = Some(self.body);
        let parts = std::iter::from_fn(move || {
            let at = next?;
            let part = self.bytes.get(at..at + TILE_PART_HEADER)?;
            if !part.starts_with(b"\xff\x90") {
                return None;
            }
            let tile = usize::from(u16::from_be_bytes([part[4], part[5]]));
            let length = u32::from_be_bytes([part[6], part[7], part[8], part[9]]) as usize;
            // A length of 0 reaches to the end of the codestream.
            next = at
                .checked_add(length)
                .filter(|_| length >= TILE_PART_HEADER);
            Some((tile, at, part[10] == 0))
        });
        let first = parts.filter(|(tile, _, is_first)| *is_first && *tile < self.tiles);
        first.map(|(tile, at, _)| (tile, at))
    }

    /// Follows the tile-parts by their lengths (A.4.2). A tile without a tile-part is missing, also if the stream has
    /// its end marker: a decoder would leave it black.
    pub(super) fn completeness(&self) -> Completeness {
        let mut at = self.body;
        let available = self.bytes.len().saturating_sub(at);
        if self.tiles.saturating_mul(TILE_PART_HEADER) > available {
            return Completeness::Cut;
        }
        // (Tile-parts seen, total) of each tile; a total of 0 means it is not known.
        let mut parts: Vec<(u8, u8)> = vec![(0, 0); self.tiles];
        while let Some(part) = self.bytes.get(at..at + TILE_PART_HEADER)
            && part.starts_with(b"\xff\x90")
        {
            let tile = usize::from(u16::from_be_bytes([part[4], part[5]]));
            let length = u32::from_be_bytes([part[6], part[7], part[8], part[9]]) as usize;
            let Some((seen, of)) = parts.get_mut(tile) else {
                return Completeness::Unknown;
            };
            *seen = seen.saturating_add(1);
            *of = (*of).max(part[11]);
            // A length of 0 reaches to the end of the codestream.
            if length == 0 {
                return match self.bytes[at..].windows(2).rposition(|w| w == END_MARKER) {
                    Some(end) => completeness_of(&parts, at + end),
                    None => Completeness::Unknown,
                };
            }
            if length < TILE_PART_HEADER {
                return Completeness::Unknown;
            }
            let Some(end) = at
                .checked_add(length)
                .filter(|end| *end <= self.bytes.len())
            else {
                return Completeness::Cut;
            };
            at = end;
        }
        completeness_of(&parts, at)
    }
}

/// [`Completeness::Whole`] if each tile has as many tile-parts as it announces, at least one.
fn completeness_of(parts: &[(u8, u8)], end: usize) -> Completeness {
    if parts.iter().all(|&(seen, of)| seen > 0 && seen >= of) {
        Completeness::Whole(end)
    } else {
        Completeness::Cut
    }
}

/// What the main header says beside the size.
struct MainHeader {
    /// Whether it has a multiple component transformation (A.6.1).
    transformed: bool,
    styles: CodingStyles,
    /// Where the last coding style ends.
    styles_end: usize,
    /// Where the tile-parts begin.
    end: usize,
}

impl MainHeader {
    /// Reads the header of a stream with `count` components.
    fn read(stream: &[u8], count: usize) -> Self {
        let mut header = Self {
            transformed: false,
            styles: CodingStyles::default(),
            styles_end: 2,
            end: 2,
        };
        for segment in segments(stream, header.end) {
            if segment.marker == 0x52 {
                header.transformed = segment.content.get(4) == Some(&1);
            }
            if header.styles.take(&segment, count) {
                header.styles_end = segment.end;
            }
            header.end = segment.end;
        }
        header
    }
}
