//! Palettes, plain and segmented (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6 and C.7.9.2): of PALETTE COLOR pixels, of the alpha
//! plane of ARGB, and supplemental ones of grey frames.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::Warnings;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt, words};
use crate::dicom::pixels::layout::PixelLayout;
use crate::dicom::pixels::lut::{Descriptor, MAX_ENTRIES};
use crate::error::{MediaError, malformed};
use crate::grey::lut::bits_of;
use crate::grey::samples::Samples;

/// A palette: the tables of red, green and blue.
pub(crate) struct Palette {
    channels: [Channel; 3],
}

/// The table of one channel, reduced to 8 bits.
struct Channel {
    first: i32,
    entries: Vec<u8>,
}

/// Converts PALETTE COLOR samples to interleaved RGB of 8 bits a channel.
pub(crate) fn rgb(
    set: &DataSet,
    samples: &Samples,
    layout: &PixelLayout,
    warnings: &mut Warnings,
) -> Result<Vec<u8>, MediaError> {
    let palette = Palette::read(set, layout.signed, warnings)?;
    let color = |value: i32| palette.at(value);
    Ok(match samples {
        Samples::U8(data) => data.iter().flat_map(|&v| color(i32::from(v))).collect(),
        Samples::U16(data) => data.iter().flat_map(|&v| color(i32::from(v))).collect(),
        Samples::I16(data) => data.iter().flat_map(|&v| color(i32::from(v))).collect(),
        _ => {
            return Err(malformed(
                "DICOM: PALETTE COLOR with more than 16 bits a sample",
            ));
        }
    })
}

impl Palette {
    /// Reads the tables. `signed` says whether looked-up values can be negative.
    pub(crate) fn read(
        set: &DataSet,
        signed: bool,
        warnings: &mut Warnings,
    ) -> Result<Self, MediaError> {
        let [red, green, blue] = [0, 1, 2].map(|channel| ChannelTable::read(set, channel, signed));
        let tables = [red?, green?, blue?];
        if tables
            .iter()
            .any(|table| table.entries.len() < table.descriptor.count)
        {
            warnings.add("A table of the palette has fewer entries than its descriptor says; the last one is repeated.");
        }
        let shift = entry_shift(&tables, warnings);
        Ok(Self {
            channels: tables.map(|table| {
                let shift = if table.packed { 0 } else { shift };
                let entries = table.entries.iter().map(|&e| (e >> shift) as u8);
                Channel {
                    first: table.descriptor.first,
                    entries: entries.collect(),
                }
            }),
        })
    }

    /// The colours of black (0) to white (255), with each table spread over that range.
    pub(crate) fn spread(&self) -> Box<[[u8; 3]; 256]> {
        let mut colors = Box::new([[0; 3]; 256]);
        for (shade, color) in (0..).zip(colors.iter_mut()) {
            *color = self.channels.each_ref().map(|channel| {
                let last = channel.entries.len() as i32 - 1;
                channel.at(channel.first + (shade * last + 127) / 255)
            });
        }
        colors
    }

    /// The colour of a stored value; values beyond the table get its first or last entry.
    pub(crate) fn at(&self, value: i32) -> [u8; 3] {
        self.channels.each_ref().map(|channel| channel.at(value))
    }

    /// The colour of a stored value; `None` below the first mapped value, which a supplemental palette leaves grey.
    pub(crate) fn mapped(&self, stored: f64) -> Option<[u8; 3]> {
        let first = self.channels.iter().map(|channel| channel.first).min()?;
        (stored >= f64::from(first)).then(|| self.at(stored as i32))
    }
}

/// How far word entries must be shifted down to 8 bits, found for the three tables together because one alone may be
/// all dark.
fn entry_shift(tables: &[ChannelTable; 3], warnings: &mut Warnings) -> u16 {
    let words = || tables.iter().filter(|table| !table.packed);
    let entries = words().flat_map(|table| &table.entries);
    let largest = entries.copied().max().unwrap_or(0);
    let declared = words()
        .map(|table| table.descriptor.bits)
        .max()
        .unwrap_or(8);
    let bits = match declared {
        // Some declare 16 bits and have 8.
        _ if largest <= 0xff => 8,
        // Some declare 8, but have words.
        0..=8 => 16,
        declared => bits_of(declared, largest),
    };
    if bits != declared && !words().any(|table| table.descriptor.bits == bits) {
        warnings.add(format!(
            "The palette says that its entries have {declared} bits; judging by their values they have {bits}."
        ));
    }
    bits - 8
}

/// A table as stored in the data set.
struct ChannelTable {
    descriptor: Descriptor,
    entries: Vec<u16>,
    /// Whether the entries were bytes; these have 8 bits, whatever the other tables have.
    packed: bool,
}

impl ChannelTable {
    /// Reads the table of red (0), green (1) or blue (2).
    fn read(set: &DataSet, channel: u16, signed: bool) -> Result<Self, MediaError> {
        let missing = || malformed("DICOM: a palette table is missing or damaged");
        let tag = |Tag(group, element): Tag| Tag(group, element + channel);
        let descriptor = Descriptor::read(
            set,
            tag(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR),
            signed,
        )
        .ok_or_else(missing)?;
        let (entries, packed) =
            if let Some(bytes) = set.bytes(tag(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA)) {
                descriptor.entries(&bytes)
            } else {
                let bytes = set.bytes(tag(tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA));
                expand_segmented(descriptor, &bytes.ok_or_else(missing)?).ok_or_else(missing)?
            };
        if entries.is_empty() {
            return Err(missing());
        }
        Ok(Self {
            descriptor,
            entries,
            packed,
        })
    }
}

impl Channel {
    /// The entry of a stored value; values beyond the table get its first or last entry.
    fn at(&self, value: i32) -> u8 {
        let last = self.entries.len() as i32 - 1;
        self.entries[value.saturating_sub(self.first).clamp(0, last) as usize]
    }
}

/// Expands a segmented table; also returns whether it was written in bytes. The descriptor says so, unless only the
/// other reading gives the declared number of entries.
fn expand_segmented(descriptor: Descriptor, bytes: &[u8]) -> Option<(Vec<u16>, bool)> {
    let single: Vec<u16> = bytes.iter().map(|&b| u16::from(b)).collect();
    let double = words(bytes);
    let read = |narrow: bool| expand_units(narrow, if narrow { &single } else { &double });
    let is_whole = |table: &Vec<u16>| table.len() == descriptor.count;
    let narrow = descriptor.bits <= 8;
    let (table, narrow) = match read(narrow).filter(is_whole) {
        Some(table) => (table, narrow),
        None => match read(!narrow).filter(is_whole) {
            Some(table) => (table, !narrow),
            None => (read(narrow)?, narrow),
        },
    };
    let entries = table.into_iter().take(descriptor.count).collect();
    Some((entries, narrow))
}

/// Expands the segments of a table (C.7.9.2): discrete values, straight lines, and copies of earlier segments. `None`
/// if it is damaged, or has more segments than a table has entries: those without values would go on for ever.
fn expand_units(narrow: bool, units: &[u16]) -> Option<Vec<u16>> {
    let mut table = Vec::new();
    let (mut at, mut left) = (0, MAX_ENTRIES);
    // A single unit at the end is padding.
    while at + 1 < units.len() && table.len() < MAX_ENTRIES {
        if units[at] != 2 {
            left = left.checked_sub(1)?;
            at = direct(units, at, &mut table)?;
            continue;
        }
        // Offsets count bytes and are stored as four bytes, the lowest first, or as two words.
        let (mut from, size) = if narrow { (0, 4) } else { (0, 2) };
        for (position, &unit) in units.get(at + 2..at + 2 + size)?.iter().enumerate() {
            from |= usize::from(unit) << (position * if narrow { 8 } else { 16 });
        }
        let mut source = if narrow { from } else { from / 2 };
        for _ in 0..units[at + 1] {
            left = left.checked_sub(1)?;
            source = direct(units, source, &mut table)?;
            if table.len() > MAX_ENTRIES {
                break;
            }
        }
        at += 2 + size;
    }
    Some(table)
}

/// Expands a segment that is not a copy of others; returns the position behind it.
fn direct(units: &[u16], at: usize, table: &mut Vec<u16>) -> Option<usize> {
    let (&kind, &count) = (units.get(at)?, units.get(at + 1)?);
    match kind {
        0 => {
            let end = at + 2 + usize::from(count);
            table.extend(units.get(at + 2..end)?);
            Some(end)
        }
        1 => {
            let (from, to) = (f64::from(*table.last()?), f64::from(*units.get(at + 2)?));
            let step = (to - from) / f64::from(count);
            table.extend((1..=count).map(|i| (from + step * f64::from(i)).round() as u16));
            Some(at + 3)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_expand_to_values_lines_and_copies() {
        // Two values, a line of four to 60, and copies of both.
        let words = [0, 2, 10, 20, 1, 4, 60, 2, 2, 0, 0];
        let expected = [10, 20, 30, 40, 50, 60, 10, 20, 30, 40, 50, 60];
        assert_eq!(
            expand_units(false, &words).as_deref(),
            Some(expected.as_slice())
        );
        let bytes = [0, 2, 10, 20, 1, 4, 60, 2, 2, 0, 0, 0, 0, 0];
        assert_eq!(
            expand_units(true, &bytes).as_deref(),
            Some(expected.as_slice())
        );
    }

    /// Copies of segments without values add nothing, so that the size of the table does not end them.
    #[test]
    fn segments_without_values_do_not_go_on_for_ever() {
        let copies = [[0, 0].repeat(40_000), [2, 40_000, 0, 0].repeat(2)].concat();
        assert_eq!(expand_units(false, &copies), None);
        let few = [&[0, 0, 0, 2, 10, 20], &[2, 2, 0, 0][..]].concat();
        assert_eq!(
            expand_units(false, &few).as_deref(),
            Some(&[10, 20, 10, 20][..])
        );
    }

    #[test]
    fn damaged_segments_are_refused() {
        for words in [
            [1, 4, 60].as_slice(),
            &[0, 5, 1],
            &[7, 1, 1],
            &[2, 1, 0, 0],
            &[0, 1, 9, 2, 1, 0xffff, 0xffff],
        ] {
            assert_eq!(expand_units(false, words), None, "{words:?}");
        }
    }
}
