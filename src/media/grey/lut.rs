//! Lookup tables of the Modality and VOI LUT Sequences (PS3.3 C.11.1.1 and C.11.2.1.1).

/// A table from values to values; below its first entry it gives the first, beyond its last the last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lut {
    /// The value that maps to the first entry.
    first: i32,
    /// Bits of an entry, 8 to 16.
    bits: u16,
    entries: Vec<u16>,
}

impl Lut {
    /// A table from its descriptor and its data; `signed` says whether the values looked up can be negative, which
    /// decides how the descriptor's first value is meant. `None` where the table is empty.
    pub(crate) fn new<'a>(
        count: u16,
        first: u16,
        bits: u16,
        signed: bool,
        bytes: &'a [u8],
        words: impl Fn(&'a [u8]) -> Vec<u16>,
    ) -> Option<Self> {
        // Zero stands for 65536 (C.11.1.1).
        let count = if count == 0 {
            1 << 16
        } else {
            usize::from(count)
        };
        // Entries of 8 bits may be packed two to a word.
        let mut entries: Vec<u16> = if bits <= 8 && bytes.len() < 2 * count {
            bytes.iter().map(|&b| u16::from(b)).collect()
        } else {
            words(bytes)
        };
        entries.truncate(count);
        if entries.is_empty() {
            return None;
        }
        // Some tables use more bits than they own up to; their entries would leave the range.
        let largest = entries.iter().copied().max().unwrap_or(0);
        let bits = bits.clamp(8, 16).max(16 - largest.leading_zeros() as u16);
        let first = if signed {
            i32::from(first as i16)
        } else {
            i32::from(first)
        };
        Some(Self {
            first,
            bits,
            entries,
        })
    }

    /// The entry of a value; fractions are dropped.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let index = (value - f64::from(self.first)).clamp(0.0, (self.entries.len() - 1) as f64);
        f64::from(self.entries[index as usize])
    }

    /// The largest value that an entry can have.
    pub(crate) fn largest(&self) -> f64 {
        f64::from((1_u32 << self.bits) - 1)
    }

    /// The range of values looked up: (first, number of entries).
    pub(crate) fn domain(&self) -> (f64, f64) {
        (f64::from(self.first), self.entries.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_the_table_its_ends_go_on() {
        let lut = Lut {
            first: -2,
            bits: 12,
            entries: vec![10, 20, 4000],
        };
        let looked_up: Vec<f64> = [-100.0, -2.0, -1.0, 0.0, 7.0].map(|v| lut.at(v)).to_vec();
        assert_eq!(looked_up, [10.0, 10.0, 20.0, 4000.0, 4000.0]);
        assert!((lut.largest() - 4095.0).abs() < f64::EPSILON);
    }

    #[test]
    fn descriptors_are_read_as_the_standard_means_them() {
        let words = |b: &[u8]| {
            b.chunks_exact(2)
                .map(|p| u16::from_le_bytes([p[0], p[1]]))
                .collect::<Vec<u16>>()
        };
        let bytes = [0; 4];
        assert_eq!(
            Lut::new(2, 0xfffe, 16, true, &bytes, words).map(|l| l.domain()),
            Some((-2.0, 2.0))
        );
        assert_eq!(
            Lut::new(2, 0xfffe, 16, false, &bytes, words).map(|l| l.domain()),
            Some((65534.0, 2.0))
        );
        // 8-bit entries, packed.
        assert_eq!(
            Lut::new(4, 0, 8, false, &[1, 2, 3, 4], words).map(|l| l.at(2.0)),
            Some(3.0)
        );
        // 65536 entries, of which four bytes are there.
        assert_eq!(
            Lut::new(0, 0, 16, false, &bytes, words).map(|l| l.domain().1),
            Some(2.0)
        );
        assert_eq!(Lut::new(2, 0, 16, false, &[], words), None);
    }
}
