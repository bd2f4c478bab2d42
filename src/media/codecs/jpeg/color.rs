//! Converts full-range luma and chroma to RGB, in the fixed-point arithmetic of libjpeg (ITU-R T.871).

#![allow(
    clippy::inline_always,
    reason = "what is not inlined is not compiled for the wider instructions of its callers"
)]

use multiversion::multiversion;

#[inline(always)]
fn pixel(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let byte = |value: i32| value.clamp(0, 255) as u8;
    [
        byte(y + ((91_881 * cr + HALF) >> 16)),
        byte(y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16)),
        byte(y + ((116_130 * cb + HALF) >> 16)),
    ]
}

/// Converts a row of three planes to interleaved RGB: three bytes in `out` for each of `y`.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn rgb(y: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    for (((out, &y), &cb), &cr) in out.as_chunks_mut::<3>().0.iter_mut().zip(y).zip(cb).zip(cr) {
        *out = pixel(y, cb, cr);
    }
}

/// Converts interleaved YCbCr to RGB in place.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn ycbcr_to_rgb(data: &mut [u8]) {
    for out in data.as_chunks_mut::<3>().0 {
        *out = pixel(out[0], out[1], out[2]);
    }
}
