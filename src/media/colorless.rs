//! Finds grey stored as RGB, as in most public data sets, so that it gets windows and is not dithered in colours.

use multiversion::multiversion;

/// Bytes compared between two checks of the result: 64 pixels.
const BLOCK: usize = 192;

/// Mask of the first and second sample of each pixel, which equal their successor in grey.
const NOT_LAST: [u8; BLOCK] = {
    let mut mask = [0xff; BLOCK];
    let mut at = 2;
    while at < BLOCK {
        mask[at] = 0;
        at += 3;
    }
    mask
};

/// Returns the grey values if R = G = B for every pixel of interleaved RGB, in the same buffer; else the buffer
/// unchanged. Equal means equal: a trace of chroma left by rounding is colour.
pub(crate) fn into_grey(mut rgb: Vec<u8>) -> Result<Vec<u8>, Vec<u8>> {
    if !is_grey(&rgb) {
        return Err(rgb);
    }
    let pixels = rgb.len() / 3;
    let mut block = [0; BLOCK / 3];
    for start in (0..pixels).step_by(block.len()) {
        let count = block.len().min(pixels - start);
        let (colors, _) = rgb[3 * start..].as_chunks::<3>();
        for (grey, color) in block.iter_mut().zip(colors) {
            *grey = color[0];
        }
        rgb[start..start + count].copy_from_slice(&block[..count]);
    }
    rgb.truncate(pixels);
    rgb.shrink_to_fit();
    Ok(rgb)
}

#[multiversion(targets("x86_64+avx2"))]
fn is_grey(rgb: &[u8]) -> bool {
    let (blocks, rest) = rgb.as_chunks::<BLOCK>();
    let differs = |block: &[u8; BLOCK]| {
        let pairs = block[..BLOCK - 1].iter().zip(&block[1..]);
        let mut differing = 0;
        for ((a, b), mask) in pairs.zip(&NOT_LAST) {
            differing |= (a ^ b) & mask;
        }
        differing != 0
    };
    let equal = |pixel: &[u8; 3]| pixel[0] == pixel[1] && pixel[1] == pixel[2];
    !blocks.iter().any(differs) && rest.as_chunks::<3>().0.iter().all(equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_that_differs_makes_a_colour() {
        for pixels in [0, 1, 64, 65, 200] {
            let grey: Vec<u8> = (0..pixels).map(|n| n as u8).collect();
            let mut rgb: Vec<u8> = grey.iter().flat_map(|&v| [v; 3]).collect();
            assert_eq!(into_grey(rgb.clone()), Ok(grey));
            for at in 0..rgb.len() {
                rgb[at] ^= 1;
                assert_eq!(into_grey(rgb.clone()), Err(rgb.clone()), "{at} of {pixels}");
                rgb[at] ^= 1;
            }
        }
    }
}
