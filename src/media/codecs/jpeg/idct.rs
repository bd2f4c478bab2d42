//! The inverse DCT in the integer arithmetic of libjpeg's "islow" (Loeffler, Ligtenberg and Moschytz 1989),
//! bit-identical to the reference, and its reductions to 4×4, 2×2 and 1×1 samples (jidctred.c).

#![allow(
    clippy::inline_always,
    reason = "what is not inlined is not compiled for the wider instructions of its callers"
)]

use std::num::Wrapping;

use multiversion::multiversion;

/// Fraction bits of the constants.
const FRACTION_BITS: u32 = 13;

const fn w(value: i32) -> Wrapping<i32> {
    Wrapping(value)
}

/// How the transform's values become samples of a precision.
#[derive(Clone, Copy)]
pub(crate) struct SampleRange {
    /// Extra bits kept between the passes: 2 for 8-bit samples, 1 for 12-bit ones.
    extra: u32,
    /// Added to every value.
    center: i32,
    /// Largest sample.
    largest: i32,
}

impl SampleRange {
    pub(crate) fn new(precision: u8) -> Self {
        Self {
            extra: if precision == 8 { 2 } else { 1 },
            center: 1 << (precision - 1),
            largest: (1 << precision) - 1,
        }
    }

    /// Converts a value centred on zero to a sample.
    #[inline(always)]
    pub(crate) fn sample(self, value: i32) -> i32 {
        value.saturating_add(self.center).clamp(0, self.largest)
    }
}

/// Transforms coefficients (natural order), dequantised by `table`, to 8×8 samples.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn eight(block: &[i16; 64], table: &[u16; 64], to: SampleRange) -> [i32; 64] {
    let (mut values, mut out) = ([0; 64], [0; 64]);
    dequantise(block, table, &mut values);
    columns::<8>(&values, &mut out, FRACTION_BITS - to.extra, pass);
    transpose(&out, &mut values);
    columns::<8>(&values, &mut out, FRACTION_BITS + to.extra + 3, pass);
    transpose(&out, &mut values);
    for value in &mut values {
        *value = to.sample(*value);
    }
    values
}

/// Transforms to 4×4 samples.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn four(block: &[i16; 64], table: &[u16; 64], to: SampleRange) -> [i32; 16] {
    let (mut values, mut out) = ([0; 64], [0; 64]);
    dequantise(block, table, &mut values);
    columns::<4>(&values, &mut out, FRACTION_BITS - to.extra + 1, halved);
    transpose(&out, &mut values);
    columns::<4>(&values, &mut out, FRACTION_BITS + to.extra + 4, halved);
    let mut samples = [0; 16];
    for (i, sample) in samples.iter_mut().enumerate() {
        *sample = to.sample(out[i % 4 * 8 + i / 4]);
    }
    samples
}

/// Transforms to 2×2 samples.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn two(block: &[i16; 64], table: &[u16; 64], to: SampleRange) -> [i32; 4] {
    let (mut values, mut out) = ([0; 64], [0; 64]);
    dequantise(block, table, &mut values);
    columns::<2>(&values, &mut out, FRACTION_BITS - to.extra + 2, quartered);
    transpose(&out, &mut values);
    columns::<2>(&values, &mut out, FRACTION_BITS + to.extra + 5, quartered);
    let mut samples = [0; 4];
    for (i, sample) in samples.iter_mut().enumerate() {
        *sample = to.sample(out[i % 2 * 8 + i / 2]);
    }
    samples
}

/// Transforms to one sample, which only needs the first coefficient. It is also the value of every sample of a block
/// without other coefficients.
#[inline]
pub(crate) fn one(first: i16, table: &[u16; 64], to: SampleRange) -> i32 {
    to.sample((i32::from(first) * i32::from(table[0]) + 4) >> 3)
}

#[inline(always)]
fn dequantise(block: &[i16; 64], table: &[u16; 64], values: &mut [i32; 64]) {
    for ((value, &coefficient), &factor) in values.iter_mut().zip(block).zip(table) {
        *value = i32::from(coefficient) * i32::from(factor);
    }
}

/// One pass over each of eight independent columns, which the compiler vectorises.
#[inline(always)]
fn columns<const N: usize>(
    values: &[i32; 64],
    out: &mut [i32; 64],
    shift: u32,
    pass: impl Fn([i32; 8]) -> [i32; N],
) {
    let round = 1 << (shift - 1);
    for x in 0..8 {
        let column = [
            values[x],
            values[8 + x],
            values[16 + x],
            values[24 + x],
            values[32 + x],
            values[40 + x],
            values[48 + x],
            values[56 + x],
        ];
        for (y, value) in pass(column).into_iter().enumerate() {
            out[8 * y + x] = value.wrapping_add(round) >> shift;
        }
    }
}

#[inline(always)]
fn transpose(values: &[i32; 64], out: &mut [i32; 64]) {
    for y in 0..8 {
        for x in 0..8 {
            out[8 * y + x] = values[8 * x + y];
        }
    }
}

/// One pass over eight values. Names as in jidctint.c.
#[inline(always)]
fn pass(v: [i32; 8]) -> [i32; 8] {
    let v = v.map(Wrapping);
    let z1 = (v[2] + v[6]) * w(4433);
    let tmp2 = z1 - v[6] * w(15137);
    let tmp3 = z1 + v[2] * w(6270);
    let tmp0 = (v[0] + v[4]) << FRACTION_BITS as usize;
    let tmp1 = (v[0] - v[4]) << FRACTION_BITS as usize;
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
    [
        (even[0] + odd[0]).0,
        (even[1] + odd[1]).0,
        (even[2] + odd[2]).0,
        (even[3] + odd[3]).0,
        (even[3] - odd[3]).0,
        (even[2] - odd[2]).0,
        (even[1] - odd[1]).0,
        (even[0] - odd[0]).0,
    ]
}

/// One pass to half as many values; the fifth coefficient is not used. Names as in jidctred.c.
#[inline(always)]
fn halved(v: [i32; 8]) -> [i32; 4] {
    let v = v.map(Wrapping);
    let tmp0 = v[0] << (FRACTION_BITS as usize + 1);
    let tmp2 = v[2] * w(15137) - v[6] * w(6270);
    let (tmp10, tmp12) = (tmp0 + tmp2, tmp0 - tmp2);
    let tmp0 = v[7] * w(-1730) + v[5] * w(11893) + v[3] * w(-17799) + v[1] * w(8697);
    let tmp2 = v[7] * w(-4176) + v[5] * w(-4926) + v[3] * w(7373) + v[1] * w(20995);
    [
        (tmp10 + tmp2).0,
        (tmp12 + tmp0).0,
        (tmp12 - tmp0).0,
        (tmp10 - tmp2).0,
    ]
}

/// One pass to a quarter as many values; of the even coefficients only the first is used. Names as in jidctred.c.
#[inline(always)]
fn quartered(v: [i32; 8]) -> [i32; 2] {
    let v = v.map(Wrapping);
    let tmp10 = v[0] << (FRACTION_BITS as usize + 2);
    let tmp0 = v[7] * w(-5906) + v[5] * w(6967) + v[3] * w(-10426) + v[1] * w(29692);
    [(tmp10 + tmp0).0, (tmp10 - tmp0).0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inverse DCT by its definition (T.81 A.3.3) in floating point, of the lowest `n` × `n` coefficients, to as
    /// many samples.
    fn exact(coefficients: &[i16; 64], n: usize) -> Vec<f64> {
        let c = |k: usize| {
            if k == 0 {
                std::f64::consts::FRAC_1_SQRT_2
            } else {
                1.0
            }
        };
        let basis = |x: usize, u: usize| {
            ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / (2 * n) as f64).cos()
        };
        let sample = |i: usize| {
            let terms = (0..n * n).map(|k| {
                let (v, u) = (k / n, k % n);
                c(v) * c(u) * f64::from(coefficients[8 * v + u]) * basis(i / n, v) * basis(i % n, u)
            });
            terms.sum::<f64>() / 4.0
        };
        (0..n * n).map(sample).collect()
    }

    #[test]
    fn the_transforms_agree_with_the_definition() {
        let mut block = [0; 64];
        for (i, value) in [(0, 400), (1, -73), (8, 55), (18, 31), (63, -20), (40, 12)] {
            block[i] = value;
        }
        let to = SampleRange::new(8);
        let near = |samples: &[i32], n: usize, within: f64| {
            for (i, (sample, exact)) in samples.iter().zip(exact(&block, n)).enumerate() {
                let difference = (f64::from(*sample) - 128.0 - exact).abs();
                assert!(difference <= within, "{n}: {i}: {sample} {exact}");
            }
        };
        near(&eight(&block, &[1; 64], to), 8, 1.0);
        // The reductions also use some of the higher coefficients.
        near(&four(&block, &[1; 64], to), 4, 8.0);
        near(&two(&block, &[1; 64], to), 2, 8.0);
        assert_eq!(one(400, &[1; 64], to), 128 + 50);
    }
}
