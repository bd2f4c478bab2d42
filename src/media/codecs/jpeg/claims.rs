//! Checks what a stream claims to hold against its number of bytes, from its segments alone, before memory is
//! allocated for the image.

use crate::codecs::jpeg::ends_early;
use crate::codecs::jpeg::headers::{CodedScan, JpegHeaders, Process};
use crate::codecs::jpeg::planes::{image_blocks, mcu_count};
use crate::codecs::jpeg::tables::JpegScan;
use crate::error::{MediaError, malformed};

/// Largest number of block visits for each bit of coded data. Every block needs at least one bit for its DC, so an
/// image with up to this many passes is never refused; known encoders make fourteen.
const MAX_VISITS_PER_BIT: u64 = 64;
/// Largest number of block visits in all scans of a progressive image together: four times as many as the usual ten
/// scans of the largest image take ([`limits::MAX_PIXELS`](crate::limits::MAX_PIXELS), without subsampling), and
/// seconds of work.
const MAX_VISITS: u64 = 1 << 28;
/// Largest number of blocks that one code can leave without coefficients (G.1.2.2): the longest end-of-bands run.
const MAX_RUN: u64 = (1 << 15) - 1;

/// Accepts a stream whose scans can make up the image, and whose decoding costs no more than its size warrants.
pub(crate) fn check(headers: &JpegHeaders) -> Result<(), MediaError> {
    if !is_covered(headers) {
        return Err(ends_early());
    }
    for scan in &headers.scans {
        if min_bits(headers, scan) > bits(scan) {
            return Err(ends_early());
        }
    }
    if headers.process == Process::Progressive {
        let visits: u64 = headers.scans.iter().map(|s| units(headers, s)).sum();
        let available: u64 = headers.scans.iter().map(bits).sum();
        if visits > MAX_VISITS || visits > available.saturating_mul(MAX_VISITS_PER_BIT) {
            return Err(malformed("JPEG: more scans than an image can use"));
        }
    }
    Ok(())
}

/// Whether every component has its scans.
///
/// For a progressive image with an end marker the DC is enough: T.81 requires no more, and encoders may omit scans
/// whose coefficients are all zero. Without the marker, missing scans may not have been omitted on purpose.
fn is_covered(headers: &JpegHeaders) -> bool {
    let begins = |scan: &JpegScan| match headers.process {
        Process::Progressive => scan.start == 0 && scan.high == 0,
        Process::Sequential | Process::Lossless => true,
    };
    (0..headers.components.len()).all(|index| scans_of(headers, index).any(begins))
        && (headers.complete || is_finished(headers))
}

/// Whether every bit of every coefficient was coded, which only a progressive image can lack.
pub(crate) fn is_finished(headers: &JpegHeaders) -> bool {
    let finished = |index: usize| {
        let mut finished = [false; 64];
        for scan in scans_of(headers, index).filter(|scan| scan.low == 0) {
            let band = usize::from(scan.start)..usize::from(scan.end) + 1;
            if let Some(band) = finished.get_mut(band) {
                band.fill(true);
            }
        }
        finished == [true; 64]
    };
    headers.process != Process::Progressive || (0..headers.components.len()).all(finished)
}

/// The scans that contain a component.
fn scans_of<'h>(headers: &'h JpegHeaders, index: usize) -> impl Iterator<Item = &'h JpegScan> {
    let scans = headers.scans.iter().map(|coded| &coded.scan);
    scans.filter(move |scan| scan.components.iter().any(|c| c.0 == index))
}

/// Bits of a scan's coded data, a few of which are markers and stuffing.
fn bits(scan: &CodedScan) -> u64 {
    8 * scan.length as u64
}

/// Number of blocks that a scan visits; of samples in the lossless process.
fn units(headers: &JpegHeaders, scan: &CodedScan) -> u64 {
    let units = |&(index, ..): &(usize, usize, usize)| {
        if headers.process == Process::Lossless {
            return u64::from(headers.width) * u64::from(headers.height);
        }
        let (across, down) = if scan.scan.components.len() == 1 {
            image_blocks(headers, index)
        } else {
            let ((across, down), (h, v)) = (mcu_count(headers), headers.components[index].sampling);
            (across * usize::from(h), down * usize::from(v))
        };
        across as u64 * down as u64
    };
    scan.scan.components.iter().map(units).sum()
}

/// Smallest number of bits of a complete scan, as every code has at least one.
fn min_bits(headers: &JpegHeaders, coded: &CodedScan) -> u64 {
    let units = units(headers, coded);
    match headers.process {
        // One difference per sample.
        Process::Lossless => units,
        // One DC code and one end of block per block.
        Process::Sequential => 2 * units,
        // One difference, or one more bit of it, per block.
        Process::Progressive if coded.scan.start == 0 => units,
        Process::Progressive => match coded.restart as u64 {
            0 => units.div_ceil(MAX_RUN),
            interval => units.div_ceil(MAX_RUN.min(interval)),
        },
    }
}
