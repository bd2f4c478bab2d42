//! Reads the coefficients of a block from the bits of a scan: sequential (T.81 F.2.2) and the four progressive passes
//! (G.1.2).

use crate::codecs::jpeg::bits::{Huffman, JpegBits};
use crate::codecs::jpeg::headers::Process;
use crate::codecs::jpeg::tables::{JpegScan, Tables, ZIGZAG};
use crate::error::{MediaError, malformed};

/// The entropy decoder of a scan.
pub(crate) struct CoefficientDecoder<'t> {
    dc: Vec<Option<&'t Huffman>>,
    ac: Vec<Option<&'t Huffman>>,
    /// The last DC of each component in the scan.
    predictions: Vec<i32>,
    /// Blocks left in a run without further coefficients (progressive AC only).
    run: u32,
    start: usize,
    end: usize,
    low: u32,
    refines: bool,
}

impl<'t> CoefficientDecoder<'t> {
    /// Creates a decoder for a scan, whose tables must be defined.
    pub(crate) fn new(
        scan: &JpegScan,
        tables: &'t Tables,
        process: Process,
    ) -> Result<Self, MediaError> {
        let progressive = process == Process::Progressive;
        let (start, end) = if progressive {
            (usize::from(scan.start), usize::from(scan.end))
        } else {
            (0, 63)
        };
        if end > 63 || start > end || (start == 0 && end > 0 && progressive) || scan.low > 13 {
            return Err(malformed("JPEG: impossible progression"));
        }
        if progressive && start > 0 && scan.components.len() != 1 {
            return Err(malformed(
                "JPEG: a scan of AC coefficients holds more than one component",
            ));
        }
        let refines = progressive && scan.high > 0;
        let (needs_dc, needs_ac) = (start == 0 && !refines, end > 0);
        let pick = |class: &'t [Option<Huffman>; 4], slot: usize, needed: bool| {
            let table = class.get(slot).and_then(Option::as_ref);
            if needed && table.is_none() {
                Err(malformed("JPEG: a Huffman table is missing"))
            } else {
                Ok(table)
            }
        };
        let components = &scan.components;
        Ok(Self {
            dc: components
                .iter()
                .map(|c| pick(&tables.dc, c.1, needs_dc))
                .collect::<Result<_, _>>()?,
            ac: components
                .iter()
                .map(|c| pick(&tables.ac, c.2, needs_ac))
                .collect::<Result<_, _>>()?,
            predictions: vec![0; components.len()],
            run: 0,
            start,
            end,
            low: u32::from(scan.low),
            refines,
        })
    }

    /// Resets what a restart marker resets (F.2.1.3.1, G.1.2.2).
    pub(crate) fn restart(&mut self) {
        self.predictions.fill(0);
        self.run = 0;
    }

    /// Reads a whole block, which must be all zeros before.
    pub(crate) fn sequential(&mut self, bits: &mut JpegBits, slot: usize, block: &mut [i16; 64]) {
        let (Some(dc), Some(ac)) = (self.dc[slot], self.ac[slot]) else {
            return;
        };
        bits.fill();
        let mut next = bits.next;
        let difference = if let Some((_, value)) = dc.short(&mut next) {
            i32::from(value)
        } else {
            let difference = Self::difference(dc, bits);
            next = bits.next;
            difference
        };
        block[0] = self.predicted(slot, difference) as i16;
        let mut k = 1;
        while k < 64 {
            if !next.is_enough() {
                next = bits.refilled(next);
            }
            if let Some((zeros, value)) = ac.short(&mut next) {
                k += zeros;
                if k < 64 {
                    block[usize::from(ZIGZAG[k])] = value;
                }
                k += 1;
                continue;
            }
            bits.next = next;
            let symbol = ac.decode(bits);
            let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 && zeros < 15 {
                return;
            }
            let value = bits.signed(size);
            next = bits.next;
            k += zeros;
            // A run beyond the end of the block is damage; libjpeg drops the value too.
            if k < 64 {
                block[usize::from(ZIGZAG[k])] = value as i16;
            }
            k += 1;
        }
        bits.next = next;
    }

    /// Reads one progressive pass over a block.
    pub(crate) fn progressive(&mut self, bits: &mut JpegBits, slot: usize, block: &mut [i16; 64]) {
        match (self.start, self.refines) {
            (0, false) => block[0] = (self.next_dc(bits, slot) << self.low) as i16,
            (0, true) => block[0] |= (bits.read(1) << self.low) as i16,
            (_, false) => self.first_ac(bits, slot, block),
            (_, true) => self.refine_ac(bits, slot, block),
        }
    }

    fn next_dc(&mut self, bits: &mut JpegBits, slot: usize) -> i32 {
        let Some(dc) = self.dc[slot] else { return 0 };
        let difference = Self::difference(dc, bits);
        self.predicted(slot, difference)
    }

    fn difference(dc: &Huffman, bits: &mut JpegBits) -> i32 {
        let size = u32::from(dc.decode(bits)).min(16);
        bits.signed(size)
    }

    /// The DC that exceeds the last one by `difference`.
    fn predicted(&mut self, slot: usize, difference: i32) -> i32 {
        self.predictions[slot] = self.predictions[slot].wrapping_add(difference);
        self.predictions[slot]
    }

    fn first_ac(&mut self, bits: &mut JpegBits, slot: usize, block: &mut [i16; 64]) {
        if self.run > 0 {
            self.run -= 1;
            return;
        }
        let Some(ac) = self.ac[slot] else { return };
        let mut k = self.start;
        while k <= self.end {
            let symbol = ac.decode(bits);
            let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 && zeros < 15 {
                // A run of completed blocks, starting with this one.
                self.run = (1 << zeros) - 1 + bits.read(zeros);
                return;
            }
            k += zeros as usize;
            let value = bits.signed(size);
            if size > 0 && k < 64 {
                block[usize::from(ZIGZAG[k])] = (value << self.low) as i16;
            }
            k += 1;
        }
    }

    /// Reads one more bit of the non-zero coefficients, and new coefficients among the zeros (G.1.2.3).
    fn refine_ac(&mut self, bits: &mut JpegBits, slot: usize, block: &mut [i16; 64]) {
        let Some(ac) = self.ac[slot] else { return };
        let mut k = self.start;
        if self.run == 0 {
            while k <= self.end {
                let symbol = ac.decode(bits);
                let (mut zeros, size) = (u32::from(symbol >> 4), symbol & 15);
                let mut new = 0;
                if size > 0 {
                    new = if bits.read(1) == 1 {
                        1 << self.low
                    } else {
                        -(1 << self.low)
                    };
                } else if zeros < 15 {
                    self.run = (1 << zeros) + bits.read(zeros);
                    break;
                }
                while k <= self.end {
                    let coefficient = &mut block[usize::from(ZIGZAG[k])];
                    if *coefficient != 0 {
                        refine(coefficient, bits, self.low);
                    } else if zeros == 0 {
                        *coefficient = new as i16;
                        k += 1;
                        break;
                    } else {
                        zeros -= 1;
                    }
                    k += 1;
                }
            }
        }
        if self.run > 0 {
            while k <= self.end {
                let coefficient = &mut block[usize::from(ZIGZAG[k])];
                if *coefficient != 0 {
                    refine(coefficient, bits, self.low);
                }
                k += 1;
            }
            self.run -= 1;
        }
    }
}

/// Reads and applies a correction bit, unless the coefficient already has it.
fn refine(coefficient: &mut i16, bits: &mut JpegBits, low: u32) {
    if bits.read(1) == 1 && *coefficient & (1 << low) == 0 {
        let step = 1_i16 << low;
        *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { step } else { -step });
    }
}
