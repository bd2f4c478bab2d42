//! Bits of a JPEG-LS scan: after a byte of ones the next byte has seven bits, so that no marker can arise (T.87 A.1).

use crate::error::{MediaError, truncated};

pub(crate) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, the first one highest.
    buffer: u64,
    count: u32,
    /// The byte before was 0xff.
    stuffed: bool,
    /// Bits taken that were not there.
    missing: bool,
}

impl<'a> Bits<'a> {
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

    fn refill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.data.get(self.at) else {
                return;
            };
            let bits = if self.stuffed { 7 } else { 8 };
            if (self.stuffed && byte >= 0x80)
                || (byte == 0xff && self.data.get(self.at + 1).is_none_or(|&b| b >= 0x80))
            {
                // A marker; its first byte may have been read ahead as data only where it is data.
                return;
            }
            self.at += 1;
            self.stuffed = byte == 0xff;
            self.buffer |= u64::from(byte) << (64 - bits - self.count);
            self.count += bits;
        }
    }

    /// The next bits, at most 32, as a number.
    #[inline]
    pub(crate) fn take(&mut self, bits: u32) -> u32 {
        if bits == 0 {
            return 0;
        }
        if self.count < bits {
            self.refill();
        }
        self.missing |= self.count < bits;
        let value = (self.buffer >> 32) as u32 >> (32 - bits);
        self.buffer <<= bits;
        self.count = self.count.saturating_sub(bits);
        value
    }

    /// Zeros before the next one, which is taken too; at most `most` are looked for.
    #[inline]
    pub(crate) fn zeros(&mut self, most: u32) -> u32 {
        let mut zeros = 0;
        loop {
            if self.count < 32 {
                self.refill();
            }
            let here = self.buffer.leading_zeros().min(self.count);
            if here < self.count {
                self.buffer = (self.buffer << here) << 1;
                self.count -= here + 1;
                return zeros + here;
            }
            zeros += here;
            (self.buffer, self.count) = (0, 0);
            self.refill();
            if self.count == 0 || zeros > most {
                self.missing |= self.count == 0;
                return zeros;
            }
        }
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
        let mut bits = Bits::new(&[0xff, 0b0101_0101, 0x80, 0xff, 0xd9], 0);
        assert_eq!(bits.take(8), 0xff);
        assert_eq!(bits.take(7), 0b101_0101);
        assert_eq!(bits.zeros(30), 0);
        assert_eq!(bits.take(7), 0);
        assert!(bits.check().is_ok());
        bits.take(1);
        assert!(bits.check().is_err());
    }
}
