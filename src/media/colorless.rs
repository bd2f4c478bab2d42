//! Grey stored as RGB, as most public data sets have it: it gets windows and no dithering of colours.

use multiversion::multiversion;

/// Bytes compared before the next look at the result: 64 pixels.
const BLOCK: usize = 192;

/// Ones at the first and second sample of each pixel, which equal their successor in grey.
const NOT_LAST: [u8; BLOCK] = {
    let mut mask = [0xff; BLOCK];
    let mut at = 2;
    while at < BLOCK {
        mask[at] = 0;
        at += 3;
    }
    mask
};

/// The grey values of interleaved RGB in which R = G = B for every pixel; `None` from the first coloured block on.
/// Equal means equal: a shade of chroma that rounding left is colour.
pub(crate) fn grey_of(rgb: &[u8]) -> Option<Vec<u8>> {
    is_grey(rgb).then(|| {
        rgb.as_chunks::<3>()
            .0
            .iter()
            .map(|pixel| pixel[0])
            .collect()
    })
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
            assert_eq!(grey_of(&rgb), Some(grey));
            for at in 0..rgb.len() {
                rgb[at] ^= 1;
                assert_eq!(grey_of(&rgb), None, "{at} of {pixels}");
                rgb[at] ^= 1;
            }
        }
    }
}
