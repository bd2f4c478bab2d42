//! Bits of entropy-coded data, and the Huffman codes in them (ITU-T T.81 annex C and F.2.2).

use super::super::error::{MediaError, malformed};

/// Every byte 1.
const ONES: u64 = u64::from_be_bytes([1; 8]);

/// Reads bits from the highest down, drops stuffed zeros, stops at markers. Past a marker zeros are fed, as libjpeg
/// does: a damaged stream yields a picture with a damaged end.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, the first one highest.
    buffer: u64,
    /// Valid bits of `buffer`.
    count: u32,
    /// How many of these were fed, not read.
    fed: u32,
    /// The data ended without a marker.
    ended: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            buffer: 0,
            count: 0,
            fed: 0,
            ended: false,
        }
    }

    /// At least 32 bits are there afterwards: the longest code and the longest number behind it.
    #[inline]
    pub(super) fn fill(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    fn refill(&mut self) {
        if let Some(next) = self.data.get(self.at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_be_bytes(*next);
            // Most words hold no 0xff, and so neither stuffing nor a marker.
            if (!word).wrapping_sub(ONES) & word & (ONES << 7) == 0 {
                let bytes = (64 - self.count) / 8;
                let taken = 8 * bytes;
                self.buffer |= word >> (64 - taken) << (64 - taken - self.count);
                self.at += bytes as usize;
                self.count += taken;
                return;
            }
        }
        self.refill_carefully();
    }

    #[cold]
    fn refill_carefully(&mut self) {
        while self.count <= 56 {
            let byte = match self.data.get(self.at..) {
                Some([0xff, 0x00, ..]) => {
                    self.at += 2;
                    0xff
                }
                Some([0xff, 0xff, ..]) => {
                    // Fill bytes before a marker.
                    self.at += 1;
                    continue;
                }
                Some([byte, ..]) if *byte != 0xff => {
                    self.at += 1;
                    *byte
                }
                other => {
                    self.ended |= !matches!(other, Some([0xff, _, ..]));
                    self.fed += 8;
                    0
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next bits, at most 16, without taking them.
    #[inline]
    fn peek(&self, bits: u32) -> u32 {
        (self.buffer >> 48) as u32 >> (16 - bits)
    }

    #[inline]
    fn skip(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count = self.count.saturating_sub(bits);
    }

    /// The next bits, at most 16, as a number.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        if bits == 0 {
            return 0;
        }
        self.fill();
        let value = self.peek(bits);
        self.skip(bits);
        value
    }

    /// A number of `bits` bits whose highest tells the sign (F.2.2.1, EXTEND).
    #[inline]
    pub(super) fn signed(&mut self, bits: u32) -> i32 {
        extended(self.take(bits), bits)
    }

    /// Drops what is left of the last byte and steps over a restart marker, where one stands here or further on.
    pub(super) fn restart(&mut self) {
        (self.buffer, self.count, self.fed) = (0, 0, 0);
        let marker = self
            .data
            .get(self.at..)
            .unwrap_or_default()
            .windows(2)
            .position(|w| w[0] == 0xff && !matches!(w[1], 0 | 0xff));
        if let Some(offset) = marker
            && matches!(self.data[self.at + offset + 1], 0xd0..=0xd7)
        {
            self.at += offset + 2;
        }
    }

    /// Whether the data ended, not at a marker, and more was asked for than was there.
    pub(super) fn exhausted(&self) -> bool {
        self.ended && self.fed > self.count
    }
}

/// A number of `bits` bits whose highest tells the sign (F.2.2.1, EXTEND).
#[inline]
fn extended(value: u32, bits: u32) -> i32 {
    let value = value as i32;
    if bits > 0 && value < 1 << (bits - 1) {
        value - (1 << bits) + 1
    } else {
        value
    }
}

/// Codes of up to this length are looked up at once.
const QUICK: u32 = 10;

/// A code together with the number behind it, where both are in the next `QUICK` bits; `length` is 0 where they are not.
#[derive(Clone, Copy, Default)]
pub(super) struct Short {
    /// Bits of both.
    pub length: u8,
    /// The high half of the symbol: zeros before the number.
    pub zeros: u8,
    /// The number, its sign extended.
    pub value: i16,
}

/// A Huffman table.
#[derive(Clone)]
pub(super) struct Huffman {
    /// By the next `QUICK` bits: length and symbol, or length 0 for longer codes.
    quick: [(u8, u8); 1 << QUICK],
    /// By the next `QUICK` bits: codes of AC coefficients with their coefficient.
    short: [Short; 1 << QUICK],
    /// By length: the first code beyond that length, aligned to 16 bits.
    limit: [u32; 17],
    /// By length: index of its first symbol minus its first code.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// A table from the counts of codes by length, and their symbols (C.2).
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, MediaError> {
        let mut table = Self {
            quick: [(0, 0); 1 << QUICK],
            short: [Short::default(); 1 << QUICK],
            limit: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(counts) {
            table.offset[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                if code >> length != 0 {
                    return Err(malformed("JPEG: impossible Huffman table"));
                }
                if length <= QUICK {
                    let first = (code << (QUICK - length)) as usize;
                    table.quick[first..first + (1 << (QUICK - length))]
                        .fill((length as u8, symbols[index]));
                }
                (code, index) = (code + 1, index + 1);
            }
            table.limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        table.shorten();
        Ok(table)
    }

    /// Finds the numbers that lie behind short codes.
    fn shorten(&mut self) {
        for (next, short) in (0_u32..).zip(&mut self.short) {
            let (length, symbol) = self.quick[next as usize];
            let (length, size) = (u32::from(length), u32::from(symbol & 15));
            if length > 0 && size > 0 && length + size <= QUICK {
                let value = next >> (QUICK - length - size) & ((1 << size) - 1);
                *short = Short {
                    length: (length + size) as u8,
                    zeros: symbol >> 4,
                    value: extended(value, size) as i16,
                };
            }
        }
    }

    /// The next code with its number, taken if both are short.
    #[inline]
    pub(super) fn short(&self, bits: &mut Bits) -> Option<Short> {
        bits.fill();
        let short = self.short[bits.peek(QUICK) as usize];
        if short.length == 0 {
            return None;
        }
        bits.skip(u32::from(short.length));
        Some(short)
    }

    /// The next symbol; an impossible code counts as 0, as in libjpeg.
    #[inline]
    pub(super) fn decode(&self, bits: &mut Bits) -> u8 {
        bits.fill();
        let (length, symbol) = self.quick[bits.peek(QUICK) as usize];
        if length > 0 {
            bits.skip(u32::from(length));
            return symbol;
        }
        self.long(bits)
    }

    fn long(&self, bits: &mut Bits) -> u8 {
        let next = bits.peek(16);
        for length in QUICK + 1..=16 {
            if next < self.limit[length as usize] {
                bits.skip(length);
                let index = (next >> (16 - length)) as i32 + self.offset[length as usize];
                return self.symbols.get(index as usize).copied().unwrap_or(0);
            }
        }
        bits.skip(16);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_all_lengths_are_found() {
        // One code of each length from 1 to 16: 0, 10, 110, …
        let symbols: Vec<u8> = (1..=16).collect();
        let table = Huffman::new(&[1; 16], &symbols).expect("a table");
        let stream = [
            0b0101_1011,
            0b1011_1110,
            0b1111_1100,
            0b1111_1111,
            0x00,
            0b1111_1110,
        ];
        let mut bits = Bits::new(&stream, 0);
        let found: Vec<u8> = (0..5).map(|_| table.decode(&mut bits)).collect();
        assert_eq!(found, [1, 2, 3, 4, 6]);
        assert!(Huffman::new(&[3; 16], &[0; 48]).is_err());
    }

    #[test]
    fn stuffed_zeros_are_dropped_and_markers_are_not_crossed() {
        let mut bits = Bits::new(&[0xff, 0x00, 0x12, 0xff, 0xd0, 0x34, 0xff, 0xd9], 0);
        assert_eq!((bits.take(8), bits.take(8), bits.take(8)), (0xff, 0x12, 0));
        assert!(!bits.exhausted());
        bits.restart();
        assert_eq!(bits.take(8), 0x34);
        let mut cut = Bits::new(&[0x12], 0);
        assert_eq!(cut.take(8), 0x12);
        assert!(!cut.exhausted());
        cut.take(8);
        assert!(cut.exhausted());
    }
}
