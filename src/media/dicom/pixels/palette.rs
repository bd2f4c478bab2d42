//! PALETTE COLOR: colour tables, plain and segmented (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6 and C.7.9.2).

use dicom_core::Tag;

use crate::dicom::attributes;
use crate::dicom::parsing::dataset::{DataSet, Values, words};
use crate::dicom::pixels::layout::Layout;
use crate::error::{MediaError, malformed};
use crate::grey::samples::Samples;

/// Longest table: a descriptor has no more.
const MOST_ENTRIES: usize = 1 << 16;

/// One channel's table.
struct Channel {
    first: i32,
    entries: Vec<u8>,
}

/// Interleaved RGB of 8 bits a channel.
pub(crate) fn rgb(
    set: &DataSet,
    samples: &Samples,
    layout: &Layout,
) -> Result<Vec<u8>, MediaError> {
    let [red, green, blue] = [0, 1, 2].map(|i| Channel::read(set, i, layout.signed));
    let channels = [red?, green?, blue?];
    let color = |value: i32| channels.each_ref().map(|channel| channel.at(value));
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

/// The tables as the colours of black (0) to white (255), each spread over all of them.
pub(crate) fn spread(set: &DataSet) -> Result<Box<[[u8; 3]; 256]>, MediaError> {
    let [red, green, blue] = [0, 1, 2].map(|i| Channel::read(set, i, false));
    let channels = [red?, green?, blue?];
    let mut colors = Box::new([[0; 3]; 256]);
    for (shade, color) in (0..).zip(colors.iter_mut()) {
        *color = channels.each_ref().map(|channel| {
            let last = channel.entries.len() as i32 - 1;
            channel.at(channel.first + (shade * last + 127) / 255)
        });
    }
    Ok(colors)
}

impl Channel {
    /// The table of red (0), green (1) or blue (2).
    fn read(set: &DataSet, channel: u16, signed: bool) -> Result<Self, MediaError> {
        let missing =
            || malformed("DICOM: a table of the PALETTE COLOR picture is missing or damaged");
        let tag = |Tag(group, element): Tag| Tag(group, element + channel);
        let descriptor = set
            .words(tag(attributes::RED_DESCRIPTOR))
            .ok_or_else(missing)?;
        let [count, first, bits, ..] = descriptor[..] else {
            return Err(missing());
        };
        let count = if count == 0 {
            MOST_ENTRIES
        } else {
            usize::from(count)
        };
        let mut entries = if let Some(bytes) = set.bytes(tag(attributes::RED_TABLE)) {
            if (bits == 8 && bytes.len() < 2 * count) || bytes.len() <= count {
                // Packed two to a word.
                bytes.iter().map(|&b| u16::from(b)).collect()
            } else {
                words(&bytes)
            }
        } else {
            let bytes = set
                .bytes(tag(attributes::RED_SEGMENTS))
                .ok_or_else(missing)?;
            expand(&bytes, bits == 8, &words(&bytes)).ok_or_else(missing)?
        };
        entries.truncate(count);
        if entries.is_empty() {
            return Err(missing());
        }
        // Some tables say 16 bits and hold 8.
        let wide = bits > 8 && entries.iter().any(|&e| e > 0xff);
        let entries = entries
            .into_iter()
            .map(|e| if wide { (e >> 8) as u8 } else { e as u8 });
        let first = if signed {
            i32::from(first as i16)
        } else {
            i32::from(first)
        };
        Ok(Self {
            first,
            entries: entries.collect(),
        })
    }

    /// The entry of a stored value; beyond the table its ends go on.
    fn at(&self, value: i32) -> u8 {
        let last = self.entries.len() as i32 - 1;
        self.entries[(value - self.first).clamp(0, last) as usize]
    }
}

/// A segmented table (C.7.9.2): runs of values, of straight lines, and of segments seen before. `None` where it is
/// damaged.
fn expand(bytes: &[u8], narrow: bool, words: &[u16]) -> Option<Vec<u16>> {
    let units: Vec<u16> = if narrow {
        bytes.iter().map(|&b| u16::from(b)).collect()
    } else {
        words.to_vec()
    };
    let mut table = Vec::new();
    let mut at = 0;
    // A last unit alone is padding.
    while at + 1 < units.len() && table.len() < MOST_ENTRIES {
        if units[at] != 2 {
            at = direct(&units, at, &mut table)?;
            continue;
        }
        // Offsets count bytes: four bytes, the lowest first, or two words.
        let (mut from, size) = if narrow { (0, 4) } else { (0, 2) };
        for (place, &unit) in units.get(at + 2..at + 2 + size)?.iter().enumerate() {
            from |= usize::from(unit) << (place * if narrow { 8 } else { 16 });
        }
        let mut source = if narrow { from } else { from / 2 };
        for _ in 0..units[at + 1] {
            source = direct(&units, source, &mut table)?;
            if table.len() > MOST_ENTRIES {
                break;
            }
        }
        at += 2 + size;
    }
    Some(table)
}

/// Expands a segment that is not a copy of others; gives the place after it.
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
    fn segments_are_expanded_as_the_standard_describes_them() {
        // Two values, a line of four to 60, and both again.
        let words = [0, 2, 10, 20, 1, 4, 60, 2, 2, 0, 0];
        let expected = [10, 20, 30, 40, 50, 60, 10, 20, 30, 40, 50, 60];
        assert_eq!(
            expand(&[], false, &words).as_deref(),
            Some(expected.as_slice())
        );
        let bytes = [0, 2, 10, 20, 1, 4, 60, 2, 2, 0, 0, 0, 0, 0];
        assert_eq!(
            expand(&bytes, true, &[]).as_deref(),
            Some(expected.as_slice())
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
            assert_eq!(expand(&[], false, words), None, "{words:?}");
        }
    }
}
