//! Reads the bits of a JPEG-LS scan. After a byte of ones the next byte has seven bits, so that no marker can occur
//! (T.87 A.1).

#![allow(
    clippy::inline_always,
    reason = "a reader stays in registers only where all that reads is inlined"
)]

use crate::error::{MediaError, truncated};

/// A bit reader, most significant bit first.
#[derive(Clone, Copy)]
pub(crate) struct JpegLsBits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, the first one highest, followed by zeros.
    buffer: u64,
    /// Number of valid bits in the buffer.
    count: u32,
    /// Whether the previous byte was 0xff.
    stuffed: bool,
    /// Whether more bits were read than there are.
    missing: bool,
}

impl<'a> JpegLsBits<'a> {
    pub(crate) fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            buffer: 0,
            count: 0,
            stuffed: false,
            missing: false,
        }
    }

    /// Where to search the next marker; bytes read ahead are all before it.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Fills the buffer to more than 56 bits, or to the end of the scan.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(next) = self.data.get(self.at..).and_then(|rest| rest.first_chunk())
            && !self.stuffed
        {
            let next = u64::from_be_bytes(*next);
            // A byte of ones is a byte of zeros in the complement.
            let zeros = (!next).wrapping_sub(0x0101_0101_0101_0101) & next & 0x8080_8080_8080_8080;
            if zeros == 0 {
                let bytes = (63 - self.count) / 8;
                let taken = !(u64::MAX >> (8 * bytes));
                self.buffer |= (next & taken) >> self.count;
                self.count += 8 * bytes;
                self.at += bytes as usize;
                return;
            }
        }
        *self = self.refilled_slowly();
    }

    /// By value, so that the reader can stay in registers elsewhere.
    #[cold]
    fn refilled_slowly(mut self) -> Self {
        while self.count <= 56 {
            let Some(&byte) = self.data.get(self.at) else {
                break;
            };
            let bits = if self.stuffed { 7 } else { 8 };
            if (self.stuffed && byte >= 0x80)
                || (byte == 0xff && self.data.get(self.at + 1).is_none_or(|&b| b >= 0x80))
            {
                // A marker: its first byte was only read ahead if it is data.
                break;
            }
            self.at += 1;
            self.stuffed = byte == 0xff;
            self.buffer |= u64::from(byte) << (64 - bits - self.count);
            self.count += bits;
        }
        self
    }

    /// Reads the next bits, at most 32, as a number.
    #[inline(always)]
    pub(crate) fn read(&mut self, bits: u32) -> u32 {
        if self.count < bits {
            self.refill();
        }
        self.missing |= self.count < bits;
        // Two shifts, because one must not be of 64 bits.
        let value = (self.buffer >> 1 >> (63 - bits)) as u32;
        self.buffer <<= bits;
        self.count = self.count.saturating_sub(bits);
        value
    }

    /// Reads a limited Golomb code of order `k` (A.5.3): zeros and a one give the multiple of `1 << k`. `escape` zeros
    /// precede a plain value of `plain` bits, less one.
    #[inline(always)]
    pub(crate) fn read_golomb(&mut self, k: u32, escape: u32, plain: u32) -> u32 {
        if self.count < 32 {
            self.refill();
        }
        let zeros = self.buffer.leading_zeros();
        let length = zeros + 1 + k;
        if zeros < escape && length <= self.count {
            let rest = self.buffer << zeros << 1;
            let value = (zeros << k) | (rest >> 1 >> (63 - k)) as u32;
            self.buffer = rest << k;
            self.count -= length;
            return value;
        }
        let (value, after) = self.golomb_slowly(k, escape, plain);
        *self = after;
        value
    }

    #[cold]
    fn golomb_slowly(mut self, k: u32, escape: u32, plain: u32) -> (u32, Self) {
        let mut zeros = 0;
        while self.read(1) == 0 {
            zeros += 1;
            if self.missing || zeros > escape {
                break;
            }
        }
        let value = if zeros < escape {
            (zeros << k) + self.read(k)
        } else {
            self.read(plain) + 1
        };
        (value, self)
    }

    /// Returns an error if more bits were read than there are.
    pub(crate) fn check(&self) -> Result<(), MediaError> {
        if self.missing {
            return Err(truncated("JPEG-LS: the stream ends before its image does"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bit_after_a_byte_of_ones_is_dropped() {
        let mut bits = JpegLsBits::new(&[0xff, 0b0101_0101, 0x80, 0xff, 0xd9], 0);
        assert_eq!(bits.read(8), 0xff);
        assert_eq!(bits.read(7), 0b101_0101);
        assert_eq!(bits.read(0), 0);
        assert_eq!(bits.read_golomb(0, 30, 8), 0);
        assert_eq!(bits.read(7), 0);
        assert!(bits.check().is_ok());
        bits.read(1);
        assert!(bits.check().is_err());
    }

    #[test]
    fn reading_ahead_does_not_change_the_bits() {
        let data: Vec<u8> = (0..200).map(|n: u32| (n * 37 % 255) as u8).collect();
        let mut bits = JpegLsBits::new(&data, 0);
        for &byte in &data {
            assert_eq!(bits.read(3) << 5 | bits.read(5), u32::from(byte));
        }
        assert!(bits.check().is_ok());
    }

    #[test]
    fn golomb_codes_are_decoded() {
        let mut bits = JpegLsBits::new(&[0b0001_1010, 0b0000_0000, 0b0100_0000, 0b1010_0000], 0);
        assert_eq!(bits.read_golomb(2, 30, 8), 3 << 2 | 0b10);
        assert_eq!(bits.read(2), 0b10);
        assert_eq!(bits.read_golomb(0, 9, 3), 1);
    }
}
