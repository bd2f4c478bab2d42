//! Reads bits of entropy-coded data, and the Huffman codes in them (ITU-T T.81 annex C and F.2.2).

use crate::error::{MediaError, malformed};

/// A word in which every byte is 1.
const ONES: u64 = u64::from_be_bytes([1; 8]);

/// A bit reader, most significant bit first, that removes stuffed zeros and stops at markers. Past a marker or the end
/// it supplies zeros; [`JpegBits::is_starved`] tells whether they were used.
pub(crate) struct JpegBits<'a> {
    data: &'a [u8],
    at: usize,
    /// Bits that were read but not consumed.
    pub next: BitBuffer,
    /// How many of these bits were supplied, not read.
    supplied: u32,
}

/// The next bits. A loop over many codes keeps them in registers and returns them for a refill.
#[derive(Clone, Copy, Default)]
pub(crate) struct BitBuffer {
    /// The bits, the first one highest.
    buffer: u64,
    /// Number of valid bits.
    count: u32,
}

impl BitBuffer {
    /// Whether there are enough bits for the longest code and the longest number behind it.
    #[inline]
    pub(crate) fn is_enough(self) -> bool {
        self.count >= 32
    }

    /// The next bits, at most 16, without consuming them.
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
            next: BitBuffer::default(),
            supplied: 0,
        }
    }

    /// Refills to at least 32 bits: the longest code and the longest number behind it.
    #[inline]
    pub(crate) fn fill(&mut self) {
        if !self.next.is_enough() {
            self.next = self.refilled(self.next);
        }
    }

    /// Refills `next`.
    #[inline]
    pub(crate) fn refilled(&mut self, mut next: BitBuffer) -> BitBuffer {
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
    fn refilled_carefully(&mut self, mut next: BitBuffer) -> BitBuffer {
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
                    self.supplied = self.supplied.saturating_add(8);
                    0
                }
            };
            next.buffer |= u64::from(byte) << (56 - next.count);
            next.count += 8;
        }
        next
    }

    /// Reads the next bits, at most 16, as a number.
    #[inline]
    pub(crate) fn read(&mut self, bits: u32) -> u32 {
        if bits == 0 {
            return 0;
        }
        self.fill();
        let value = self.next.peek(bits);
        self.next.skip(bits);
        value
    }

    /// Reads a number of `bits` bits whose highest gives the sign (F.2.2.1, EXTEND).
    #[inline]
    pub(crate) fn signed(&mut self, bits: u32) -> i32 {
        extended(self.read(bits), bits)
    }

    /// Skips to the next marker, and past it if it is a restart marker. At any other marker, and at the end, nothing
    /// is left to read: the following intervals are missing.
    pub(crate) fn restart(&mut self) {
        (self.next, self.supplied) = (BitBuffer::default(), 0);
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

    /// Whether more bits were consumed than there were: a marker, or the end, came too early.
    #[inline]
    pub(crate) fn is_starved(&self) -> bool {
        self.supplied > self.next.count
    }
}

/// Extends a number of `bits` bits whose highest gives the sign (F.2.2.1, EXTEND).
#[inline]
fn extended(value: u32, bits: u32) -> i32 {
    let value = value as i32;
    if bits > 0 && value < 1 << (bits - 1) {
        value - (1 << bits) + 1
    } else {
        value
    }
}

/// Longest code that is looked up directly, in bits.
const LOOKUP_BITS: u32 = 10;

/// A code together with the number behind it: their length in the lowest byte, then the number of zeros before the
/// number, then the number. For codes without a number the number is 0: a run of 16 zeros is 15 before it, the end of
/// a block is [`TO_THE_END`]. The value is 0 if code and number do not both fit in the next `LOOKUP_BITS` bits.
#[derive(Clone, Copy, Default)]
struct CodeAndValue(u32);

impl CodeAndValue {
    fn new(length: u32, zeros: u8, value: i32) -> Self {
        Self((value as u32) << 16 | u32::from(zeros) << 8 | length)
    }
}

/// More zeros than any block has.
const TO_THE_END: u8 = 64;

/// A Huffman table.
#[derive(Clone)]
pub(crate) struct Huffman {
    /// By the next `LOOKUP_BITS` bits: length and symbol; length 0 for longer codes.
    quick: [(u8, u8); 1 << LOOKUP_BITS],
    /// By the next `LOOKUP_BITS` bits: codes with their number, for sequential coding.
    short: [CodeAndValue; 1 << LOOKUP_BITS],
    /// By length: the first code beyond that length, aligned to 16 bits.
    limit: [u32; 17],
    /// By length: index of its first symbol minus its first code.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// Creates a table from the number of codes of each length, and their symbols (C.2).
    pub(crate) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, MediaError> {
        let mut table = Self {
            quick: [(0, 0); 1 << LOOKUP_BITS],
            short: [CodeAndValue::default(); 1 << LOOKUP_BITS],
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
                if length <= LOOKUP_BITS {
                    let first = (code << (LOOKUP_BITS - length)) as usize;
                    table.quick[first..first + (1 << (LOOKUP_BITS - length))]
                        .fill((length as u8, symbols[index]));
                }
                (code, index) = (code + 1, index + 1);
            }
            table.limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        table.fill_short();
        Ok(table)
    }

    /// Fills the table of codes with the numbers behind them.
    fn fill_short(&mut self) {
        for (next, short) in (0_u32..).zip(&mut self.short) {
            let (length, symbol) = self.quick[next as usize];
            let (length, size) = (u32::from(length), u32::from(symbol & 15));
            if length == 0 || length + size > LOOKUP_BITS {
                continue;
            }
            let value = next >> (LOOKUP_BITS - length - size) & ((1 << size) - 1);
            let zeros = match symbol {
                0x00..0xf0 if size == 0 => TO_THE_END,
                _ => symbol >> 4,
            };
            *short = CodeAndValue::new(length + size, zeros, extended(value, size));
        }
    }

    /// Reads zeros and number of the next code if it is short. There must be enough bits.
    #[inline]
    pub(crate) fn short(&self, next: &mut BitBuffer) -> Option<(usize, i16)> {
        let CodeAndValue(packed) = self.short[next.peek(LOOKUP_BITS) as usize];
        if packed == 0 {
            return None;
        }
        next.skip(packed & 0xff);
        Some(((packed >> 8 & 0xff) as usize, (packed >> 16) as i16))
    }

    /// Reads the next symbol; an invalid code counts as 0, as in libjpeg.
    #[inline]
    pub(crate) fn decode(&self, bits: &mut JpegBits) -> u8 {
        bits.fill();
        let (length, symbol) = self.quick[bits.next.peek(LOOKUP_BITS) as usize];
        let (length, symbol) = if length > 0 {
            (u32::from(length), symbol)
        } else {
            self.long(bits.next.peek(16))
        };
        bits.next.skip(length);
        symbol
    }

    /// Finds length and symbol of a code longer than `LOOKUP_BITS`.
    #[inline(never)]
    fn long(&self, next: u32) -> (u32, u8) {
        for length in LOOKUP_BITS + 1..=16 {
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
    fn codes_of_all_lengths_are_decoded() {
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
        assert_eq!((bits.read(8), bits.read(8)), (0xff, 0x12));
        assert!(!bits.is_starved());
        assert_eq!(bits.read(1), 0);
        assert!(bits.is_starved(), "a marker came first");
        bits.restart();
        assert_eq!(bits.read(8), 0x34);
        assert!(!bits.is_starved());
        bits.restart();
        bits.read(1);
        assert!(bits.is_starved(), "there are no more intervals");
        let mut cut = JpegBits::new(&[0x12], 0);
        assert_eq!(cut.read(8), 0x12);
        assert!(!cut.is_starved());
        cut.read(8);
        assert!(cut.is_starved());
    }
}
