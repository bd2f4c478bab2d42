//! Lookup tables of the Modality and VOI LUT Sequences (PS3.3 C.11.1.1 and C.11.2.1.1).

/// A lookup table. Values below the first entry map to the first, values beyond the last to the last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lut {
    /// The value that maps to the first entry.
    first: i32,
    /// Bits of an entry according to the descriptor.
    declared: u16,
    /// Actual bits of an entry, 8 to 16.
    bits: u16,
    entries: Vec<u16>,
}

impl Lut {
    /// Creates a table whose descriptor declares `declared` bits an entry; `None` without entries.
    pub(crate) fn new(first: i32, declared: u16, entries: Vec<u16>) -> Option<Self> {
        let largest = entries.iter().copied().max()?;
        Some(Self {
            first,
            declared,
            bits: bits_of(declared, largest),
            entries,
        })
    }

    /// The entry for a value, whose fraction is dropped.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let index = (value - f64::from(self.first)).clamp(0.0, (self.entries.len() - 1) as f64);
        f64::from(self.entries[index as usize])
    }

    /// The entry that means white, if entries are shades (VOI LUT).
    pub(crate) fn white(&self) -> f64 {
        f64::from((1_u32 << self.bits) - 1)
    }

    /// The largest value that an entry can have by the descriptor, if entries are values (modality LUT).
    pub(crate) fn largest(&self) -> f64 {
        let bits = self.declared.clamp(8, 16).max(self.bits);
        f64::from((1_u32 << bits) - 1)
    }

    /// Declared and actual bits of the entries, if they differ.
    pub(crate) fn corrected_bits(&self) -> Option<(u16, u16)> {
        let stated = self.declared.clamp(8, 16);
        (stated != self.bits).then_some((self.declared, self.bits))
    }

    /// The domain of the table: (first value, number of entries).
    pub(crate) fn domain(&self) -> (f64, f64) {
        (f64::from(self.first), self.entries.len() as f64)
    }
}

/// The actual bits of entries, given the declared bits and the largest entry.
///
/// Some descriptors declare too few bits, so that entries would exceed the range. Some declare 16, the width of the
/// word, for entries of 10, 12 or 14 bits, so that white would be out of reach. A table that reaches half of 16 bits
/// is believed, as it may end in grey on purpose, unless it ends where a signed word does.
pub(crate) fn bits_of(declared: u16, largest: u16) -> u16 {
    const WORD: u16 = 16;
    let needed = ((u16::BITS - largest.leading_zeros()) as u16).max(8);
    let declares_word_width = declared >= WORD && (needed <= 14 || largest == 0x7fff);
    if largest > 0 && declares_word_width {
        needed
    } else {
        declared.clamp(8, WORD).max(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_the_table_get_its_first_or_last_entry() {
        let lut = Lut::new(-2, 12, vec![10, 20, 4000]).expect("a table");
        let looked_up: Vec<f64> = [-100.0, -2.0, -1.0, 0.0, 7.0].map(|v| lut.at(v)).to_vec();
        assert_eq!(looked_up, [10.0, 10.0, 20.0, 4000.0, 4000.0]);
        assert!((lut.white() - 4095.0).abs() < f64::EPSILON);
        let wide = Lut::new(0, 16, vec![4000]).expect("a table");
        assert_eq!((wide.white(), wide.largest()), (4095.0, 65535.0));
        assert_eq!(lut.domain(), (-2.0, 3.0));
        assert_eq!(Lut::new(0, 16, Vec::new()), None);
    }

    #[test]
    fn white_is_what_the_entries_reach_if_the_descriptor_is_implausible() {
        for (declared, largest, bits) in [
            // The width of the word declared instead of that of the entry.
            (16, 255, 8),
            (16, 1023, 10),
            (16, 4095, 12),
            (16, 3500, 12),
            (16, 16_383, 14),
            (16, 0x7fff, 15),
            // Entries that exceed the declared bits.
            (8, 4095, 12),
            (12, 0xffff, 16),
            (0, 255, 8),
            // Tables that stay low on purpose, and an empty one.
            (16, 40_000, 16),
            (16, 20_000, 16),
            (12, 900, 12),
            (8, 100, 8),
            (16, 0, 16),
        ] {
            assert_eq!(
                bits_of(declared, largest),
                bits,
                "{declared} bits, {largest}"
            );
        }
    }
}
