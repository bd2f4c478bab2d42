//! Bits of a JPEG-LS scan: after a byte of ones the next byte has seven bits, so that no marker can arise (T.87 A.1).

#![allow(
    clippy::inline_always,
    reason = "a reader stays in registers only where all that reads is inlined"
)]

use crate::error::{MediaError, truncated};

#[derive(Clone, Copy)]
pub(crate) struct JpegLsBits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, the first one highest; zeros behind them.
    buffer: u64,
    /// How many bits of the buffer are there.
    count: u32,
    /// The byte before was 0xff.
    stuffed: bool,
    /// Bits taken that were not there.
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

    /// Where the next marker is to be looked for; bytes read ahead are all before it.
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

    /// By value, so that the reader can stay in registers where this is not needed.
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
                // A marker; its first byte may have been read ahead as data only where it is data.
                break;
            }
            self.at += 1;
            self.stuffed = byte == 0xff;
            self.buffer |= u64::from(byte) << (64 - bits - self.count);
            self.count += bits;
        }
        self
    }

    /// The next bits, at most 32, as a number.
    #[inline(always)]
    pub(crate) fn take(&mut self, bits: u32) -> u32 {
        if self.count < bits {
            self.refill();
        }
        self.missing |= self.count < bits;
        // Two shifts, as none may be of 64 bits.
        let value = (self.buffer >> 1 >> (63 - bits)) as u32;
        self.buffer <<= bits;
        self.count = self.count.saturating_sub(bits);
        value
    }

    /// A limited Golomb code of order `k` (A.5.3): zeros and a one say how often `1 << k` is in the value. `escape` zeros
    /// stand before a value of `plain` bits, less one.
    #[inline(always)]
    pub(crate) fn golomb(&mut self, k: u32, escape: u32, plain: u32) -> u32 {
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
        while self.take(1) == 0 {
            zeros += 1;
            if self.missing || zeros > escape {
                break;
            }
        }
        let value = if zeros < escape {
            (zeros << k) + self.take(k)
        } else {
            self.take(plain) + 1
        };
        (value, self)
    }

    /// An error once more was taken than was there.
    pub(crate) fn check(&self) -> Result<(), MediaError> {
        if self.missing {
            return Err(truncated(
                "JPEG-LS: the stream ends before its picture does",
            ));
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
        assert_eq!(bits.take(8), 0xff);
        assert_eq!(bits.take(7), 0b101_0101);
        assert_eq!(bits.take(0), 0);
        assert_eq!(bits.golomb(0, 30, 8), 0);
        assert_eq!(bits.take(7), 0);
        assert!(bits.check().is_ok());
        bits.take(1);
        assert!(bits.check().is_err());
    }

    #[test]
    fn many_bytes_at_once_are_those_one_by_one() {
        let data: Vec<u8> = (0..200).map(|n: u32| (n * 37 % 255) as u8).collect();
        let mut bits = JpegLsBits::new(&data, 0);
        for &byte in &data {
            assert_eq!(bits.take(3) << 5 | bits.take(5), u32::from(byte));
        }
        assert!(bits.check().is_ok());
    }

    #[test]
    fn a_golomb_code_is_zeros_a_one_and_the_rest() {
        let mut bits = JpegLsBits::new(&[0b0001_1010, 0b0000_0000, 0b0100_0000, 0b1010_0000], 0);
        assert_eq!(bits.golomb(2, 30, 8), 3 << 2 | 0b10);
        assert_eq!(bits.take(2), 0b10);
        assert_eq!(bits.golomb(0, 9, 3), 1);
    }
}
