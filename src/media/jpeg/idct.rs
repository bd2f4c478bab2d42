//! The inverse DCT in the integer arithmetic of libjpeg's "islow" (Loeffler, Ligtenberg and Moschytz 1989), so that
//! pictures come out as they do in the reference, bit by bit.

use std::num::Wrapping;

type W = Wrapping<i32>;

/// Bits of the constants' fraction.
const FRACTION: usize = 13;

const fn w(value: i32) -> W {
    Wrapping(value)
}

/// `coefficients` (natural order, dequantised) to samples centred on zero. `extra` bits are kept between the passes: 2
/// for samples of 8 bits, 1 for 12.
pub(super) fn inverse(coefficients: &[i32; 64], extra: usize) -> [i32; 64] {
    let mut between = [w(0); 64];
    for x in 0..8 {
        let column: [W; 8] = std::array::from_fn(|y| w(coefficients[8 * y + x]));
        let out = if column[1..].iter().all(|c| c.0 == 0) {
            [column[0] << extra; 8]
        } else {
            one_dimension(column, FRACTION - extra)
        };
        for (y, value) in out.into_iter().enumerate() {
            between[8 * y + x] = value;
        }
    }
    let mut samples = [0; 64];
    for (row, out) in between
        .as_chunks::<8>()
        .0
        .iter()
        .zip(samples.as_chunks_mut::<8>().0)
    {
        *out = one_dimension(*row, FRACTION + extra + 3).map(|value| value.0);
    }
    samples
}

/// One pass over eight values, rounded down by `shift` bits. Names as in jidctint.c.
#[inline]
fn one_dimension(v: [W; 8], shift: usize) -> [W; 8] {
    let z1 = (v[2] + v[6]) * w(4433);
    let tmp2 = z1 - v[6] * w(15137);
    let tmp3 = z1 + v[2] * w(6270);
    let tmp0 = (v[0] + v[4]) << FRACTION;
    let tmp1 = (v[0] - v[4]) << FRACTION;
    let even = [tmp0 + tmp3, tmp1 + tmp2, tmp1 - tmp2, tmp0 - tmp3];

    let z5 = (v[7] + v[3] + v[5] + v[1]) * w(9633);
    let z1 = (v[7] + v[1]) * w(-7373);
    let z2 = (v[5] + v[3]) * w(-20995);
    let z3 = (v[7] + v[3]) * w(-16069) + z5;
    let z4 = (v[5] + v[1]) * w(-3196) + z5;
    let odd = [
        v[1] * w(12299) + z1 + z4,
        v[3] * w(25172) + z2 + z3,
        v[5] * w(16819) + z2 + z4,
        v[7] * w(2446) + z1 + z3,
    ];
    let round = w(1 << (shift - 1));
    let down = |value: W| (value + round) >> shift;
    std::array::from_fn(|i| {
        if i < 4 {
            down(even[i] + odd[i])
        } else {
            down(even[7 - i] - odd[7 - i])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_inverse_dct() {
        // Against the definition (T.81 A.3.3) in floating point.
        let mut coefficients = [0; 64];
        for (i, value) in [(0, 400), (1, -73), (8, 55), (18, 31), (63, -20), (40, 12)] {
            coefficients[i] = value;
        }
        let c = |k: usize| {
            if k == 0 {
                std::f64::consts::FRAC_1_SQRT_2
            } else {
                1.0
            }
        };
        let basis = |x: usize, u: usize| {
            ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos()
        };
        let samples = inverse(&coefficients, 2);
        for (i, sample) in samples.iter().enumerate() {
            let (y, x) = (i / 8, i % 8);
            let exact: f64 = (0..64)
                .map(|k| {
                    c(k / 8)
                        * c(k % 8)
                        * f64::from(coefficients[k])
                        * basis(y, k / 8)
                        * basis(x, k % 8)
                        / 4.0
                })
                .sum();
            assert!(
                (f64::from(*sample) - exact).abs() <= 1.0,
                "{i}: {sample} {exact}"
            );
        }
    }
}
