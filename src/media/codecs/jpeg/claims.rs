//! What a stream claims to hold, against the bytes that it has: judged by its segments alone, before memory is taken for
//! the picture.

use crate::codecs::jpeg::ends_early;
use crate::codecs::jpeg::headers::{CodedScan, JpegHeaders, Process};
use crate::codecs::jpeg::planes::{mcus, own_blocks};
use crate::codecs::jpeg::tables::JpegScan;
use crate::error::{MediaError, malformed};

/// Blocks visited for each bit of coded data. Every block needs a bit at least for its DC, so that a picture of up to so
/// many passes is never refused; known encoders make fourteen.
const MAX_VISITS_PER_BIT: u64 = 64;
/// Blocks visited in all scans of a progressive picture together: four times as many as the usual ten scans of the
/// largest picture take ([`limits::MAX_PIXELS`](crate::limits::MAX_PIXELS), without subsampling), and seconds of work.
const MAX_VISITS: u64 = 1 << 28;
/// Blocks that one code can leave without coefficients (G.1.2.2): the longest end-of-bands run.
const MAX_RUN: u64 = (1 << 15) - 1;

/// Accepts a stream whose scans can make up the picture, and whose decoding costs no more than its size warrants.
pub(crate) fn check(headers: &JpegHeaders) -> Result<(), MediaError> {
    if !is_covered(headers) {
        return Err(ends_early());
    }
    for scan in &headers.scans {
        if least_bits(headers, scan) > bits(scan) {
            return Err(ends_early());
        }
    }
    if headers.process == Process::Progressive {
        let visits: u64 = headers.scans.iter().map(|s| units(headers, s)).sum();
        let there: u64 = headers.scans.iter().map(bits).sum();
        if visits > MAX_VISITS || visits > there.saturating_mul(MAX_VISITS_PER_BIT) {
            return Err(malformed("JPEG: more scans than a picture has use for"));
        }
    }
    Ok(())
}

/// Whether every component has its scans.
///
/// Of a progressive picture with an end marker the DC is enough: T.81 asks for no more, and encoders may leave out scans
/// whose coefficients are all zero. Without that marker nothing tells that the scans that are missing were left out.
fn is_covered(headers: &JpegHeaders) -> bool {
    let begins = |scan: &JpegScan| match headers.process {
        Process::Progressive => scan.start == 0 && scan.high == 0,
        Process::Sequential | Process::Lossless => true,
    };
    (0..headers.components.len()).all(|place| of(headers, place).any(begins))
        && (headers.complete || is_finished(headers))
}

/// Whether every bit of every coefficient was coded, which only a progressive picture can do without.
pub(crate) fn is_finished(headers: &JpegHeaders) -> bool {
    let finished = |place: usize| {
        let mut finished = [false; 64];
        for scan in of(headers, place).filter(|scan| scan.low == 0) {
            let band = usize::from(scan.start)..usize::from(scan.end) + 1;
            if let Some(band) = finished.get_mut(band) {
                band.fill(true);
            }
        }
        finished == [true; 64]
    };
    headers.process != Process::Progressive || (0..headers.components.len()).all(finished)
}

/// The scans of a component.
fn of<'h>(headers: &'h JpegHeaders, place: usize) -> impl Iterator<Item = &'h JpegScan> {
    let scans = headers.scans.iter().map(|coded| &coded.scan);
    scans.filter(move |scan| scan.components.iter().any(|c| c.0 == place))
}

/// Bits of a scan's coded data; a few of them are markers and stuffing.
fn bits(scan: &CodedScan) -> u64 {
    8 * scan.length as u64
}

/// Blocks that a scan visits, or samples where the process is lossless.
fn units(headers: &JpegHeaders, scan: &CodedScan) -> u64 {
    let units = |&(place, ..): &(usize, usize, usize)| {
        if headers.process == Process::Lossless {
            return u64::from(headers.width) * u64::from(headers.height);
        }
        let (across, down) = if scan.scan.components.len() == 1 {
            own_blocks(headers, place)
        } else {
            let ((across, down), (h, v)) = (mcus(headers), headers.components[place].sampling);
            (across * usize::from(h), down * usize::from(v))
        };
        across as u64 * down as u64
    };
    scan.scan.components.iter().map(units).sum()
}

/// Bits without which a scan cannot be whole, as every code has one at least.
fn least_bits(headers: &JpegHeaders, coded: &CodedScan) -> u64 {
    let units = units(headers, coded);
    match headers.process {
        // A difference a sample.
        Process::Lossless => units,
        // A DC and the end of the block.
        Process::Sequential => 2 * units,
        // A difference, or a bit more of it.
        Process::Progressive if coded.scan.start == 0 => units,
        Process::Progressive => match coded.restart as u64 {
            0 => units.div_ceil(MAX_RUN),
            interval => units.div_ceil(MAX_RUN.min(interval)),
        },
    }
}
