//! Bits of entropy-coded data, and the Huffman codes in them (ITU-T T.81 annex C and F.2.2).

use crate::error::{MediaError, malformed};

/// Every byte 1.
const ONES: u64 = u64::from_be_bytes([1; 8]);

/// Reads bits from the highest down, drops stuffed zeros, stops at markers. Past a marker, and past the end, zeros are
/// fed, and [`JpegBits::starved`] tells when they were used.
pub(crate) struct JpegBits<'a> {
    data: &'a [u8],
    at: usize,
    /// What was read and not taken.
    pub next: Next,
    /// How many of these bits were fed, not read.
    fed: u32,
}

/// The next bits. A loop over many codes has them in registers, and gives them back for more.
#[derive(Clone, Copy, Default)]
pub(crate) struct Next {
    /// The first one highest.
    buffer: u64,
    /// How many are valid.
    count: u32,
}

impl Next {
    /// Enough for the longest code and the longest number behind it.
    #[inline]
    pub(crate) fn is_enough(self) -> bool {
        self.count >= 32
    }

    /// So many, at most 16, without taking them.
    #[inline]
    fn peek(self, bits: u32) -> u32 {
        (self.buffer >> 48) as u32 >> (16 - bits)
    }

    #[inline]
    fn skip(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count -= bits;
    }
}

impl<'a> JpegBits<'a> {
    pub(crate) fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            next: Next::default(),
            fed: 0,
        }
    }

    /// At least 32 bits are there afterwards: the longest code and the longest number behind it.
    #[inline]
    pub(crate) fn fill(&mut self) {
        if !self.next.is_enough() {
            self.next = self.refilled(self.next);
        }
    }

    /// More bits behind the `next` ones.
    #[inline]
    pub(crate) fn refilled(&mut self, mut next: Next) -> Next {
        if let Some(word) = self.data.get(self.at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_be_bytes(*word);
            // Most words hold no 0xff, and so neither stuffing nor a marker.
            if (!word).wrapping_sub(ONES) & word & (ONES << 7) == 0 {
                let bytes = (64 - next.count) / 8;
                let taken = 8 * bytes;
                next.buffer |= word >> (64 - taken) << (64 - taken - next.count);
                self.at += bytes as usize;
                next.count += taken;
                return next;
            }
        }
        self.refilled_carefully(next)
    }

    #[cold]
    fn refilled_carefully(&mut self, mut next: Next) -> Next {
        while next.count <= 56 {
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
                _ => {
                    self.fed = self.fed.saturating_add(8);
                    0
                }
            };
            next.buffer |= u64::from(byte) << (56 - next.count);
            next.count += 8;
        }
        next
    }

    /// The next bits, at most 16, as a number.
    #[inline]
    pub(crate) fn take(&mut self, bits: u32) -> u32 {
        if bits == 0 {
            return 0;
        }
        self.fill();
        let value = self.next.peek(bits);
        self.next.skip(bits);
        value
    }

    /// A number of `bits` bits whose highest tells the sign (F.2.2.1, EXTEND).
    #[inline]
    pub(crate) fn signed(&mut self, bits: u32) -> i32 {
        extended(self.take(bits), bits)
    }

    /// Drops what is left before the next marker, and steps over it if it is a restart. At any other marker, and at the
    /// end, there is nothing left to read: the intervals that follow are missing.
    pub(crate) fn restart(&mut self) {
        (self.next, self.fed) = (Next::default(), 0);
        let rest = self.data.get(self.at..).unwrap_or_default();
        let marker = memchr::memchr_iter(0xff, rest).find(|&at| {
            rest.get(at + 1)
                .is_some_and(|&next| !matches!(next, 0 | 0xff))
        });
        self.at += match marker {
            Some(at) if matches!(rest[at + 1], 0xd0..=0xd7) => at + 2,
            Some(at) => at,
            None => rest.len(),
        };
    }

    /// Whether more was taken than there was: a marker, or the end, came too early.
    #[inline]
    pub(crate) fn starved(&self) -> bool {
        self.fed > self.next.count
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

/// A code together with the number behind it: their length in the lowest byte, then the zeros before
/// the number, then the number. Codes without a number have the number 0: a run of 16 zeros as 15 before it, the end of a
/// block as [`TO_THE_END`]. It is 0 where code and number are not both in the next `QUICK` bits.
#[derive(Clone, Copy, Default)]
struct Short(u32);

impl Short {
    fn new(length: u32, zeros: u8, value: i32) -> Self {
        Self((value as u32) << 16 | u32::from(zeros) << 8 | length)
    }
}

/// Zeros beyond the end of any block.
const TO_THE_END: u8 = 64;

/// A Huffman table.
#[derive(Clone)]
pub(crate) struct Huffman {
    /// By the next `QUICK` bits: length and symbol, or length 0 for longer codes.
    quick: [(u8, u8); 1 << QUICK],
    /// By the next `QUICK` bits: codes with their number, of sequential coding.
    short: [Short; 1 << QUICK],
    /// By length: the first code beyond that length, aligned to 16 bits.
    limit: [u32; 17],
    /// By length: index of its first symbol minus its first code.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// A table from the counts of codes by length, and their symbols (C.2).
    pub(crate) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, MediaError> {
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
            if length == 0 || length + size > QUICK {
                continue;
            }
            let value = next >> (QUICK - length - size) & ((1 << size) - 1);
            let zeros = match symbol {
                0x00..0xf0 if size == 0 => TO_THE_END,
                _ => symbol >> 4,
            };
            *short = Short::new(length + size, zeros, extended(value, size));
        }
    }

    /// Zeros and number of the next code, taken if it is short. There must be enough bits.
    #[inline]
    pub(crate) fn short(&self, next: &mut Next) -> Option<(usize, i16)> {
        let Short(packed) = self.short[next.peek(QUICK) as usize];
        if packed == 0 {
            return None;
        }
        next.skip(packed & 0xff);
        Some(((packed >> 8 & 0xff) as usize, (packed >> 16) as i16))
    }

    /// The next symbol; an impossible code counts as 0, as in libjpeg.
    #[inline]
    pub(crate) fn decode(&self, bits: &mut JpegBits) -> u8 {
        bits.fill();
        let (length, symbol) = self.quick[bits.next.peek(QUICK) as usize];
        let (length, symbol) = if length > 0 {
            (u32::from(length), symbol)
        } else {
            self.long(bits.next.peek(16))
        };
        bits.next.skip(length);
        symbol
    }

    /// Length and symbol of a code beyond `QUICK` bits.
    #[inline(never)]
    fn long(&self, next: u32) -> (u32, u8) {
        for length in QUICK + 1..=16 {
            if next < self.limit[length as usize] {
                let index = (next >> (16 - length)) as i32 + self.offset[length as usize];
                let symbol = self.symbols.get(index as usize).copied();
                return (length, symbol.unwrap_or(0));
            }
        }
        (16, 0)
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
        let mut bits = JpegBits::new(&stream, 0);
        let found: Vec<u8> = (0..5).map(|_| table.decode(&mut bits)).collect();
        assert_eq!(found, [1, 2, 3, 4, 6]);
        assert!(Huffman::new(&[3; 16], &[0; 48]).is_err());
    }

    #[test]
    fn stuffed_zeros_are_dropped_and_markers_are_not_crossed() {
        let mut bits = JpegBits::new(&[0xff, 0x00, 0x12, 0xff, 0xd0, 0x34, 0xff, 0xd9], 0);
        assert_eq!((bits.take(8), bits.take(8)), (0xff, 0x12));
        assert!(!bits.starved());
        assert_eq!(bits.take(1), 0);
        assert!(bits.starved(), "a marker came first");
        bits.restart();
        assert_eq!(bits.take(8), 0x34);
        assert!(!bits.starved());
        bits.restart();
        bits.take(1);
        assert!(bits.starved(), "there is no other interval");
        let mut cut = JpegBits::new(&[0x12], 0);
        assert_eq!(cut.take(8), 0x12);
        assert!(!cut.starved());
        cut.take(8);
        assert!(cut.starved());
    }
}
