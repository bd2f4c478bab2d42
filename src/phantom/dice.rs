//! Chance and texture from a seed: the same numbers on every machine.
//!
//! Only `+ − × ÷ √` on `f32` and integer arithmetic are used here and by the drawing code, for those are exact by
//! IEEE 754 everywhere; `sin` or `exp` differ in their last bit from one C library to the next.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A stream of choices.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A stream for what is found, so that the anatomy's own stream is the same with and without it.
    pub(super) fn for_finding(seed: u64) -> Self {
        Self::new(seed ^ 0xF1_4D)
    }

    pub(super) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in `[low, high)`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * unit(self.bits())
    }

    /// Uniform in `0..count`.
    pub(super) fn below(&mut self, count: u32) -> u32 {
        ((u64::from(self.bits()) * u64::from(count)) >> 32) as u32
    }

    pub(super) fn chance(&mut self, probability: f32) -> bool {
        unit(self.bits()) < probability
    }

    /// Either side, as a factor.
    pub(super) fn sign(&mut self) -> f32 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }

    /// Fisher–Yates.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

/// The upper 24 bits as a number in `[0, 1)`.
fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 / 16_777_216.0
}

/// A hash of a lattice point (constants of the `lowbias32` finaliser): texture without a stored table.
fn hash(x: i32, y: i32, key: u32) -> u32 {
    let mut h = key
        ^ (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77).rotate_left(13);
    h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
    h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
    h ^ (h >> 16)
}

/// Smooth texture in `[-1, 1]` that varies over a length of about 1 (value noise).
pub(super) fn texture(x: f32, y: f32, key: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ix, iy) = (fx as i32, fy as i32);
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (ease(x - fx), ease(y - fy));
    let at = |dx: i32, dy: i32| unit(hash(ix + dx, iy + dy, key));
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * tx;
    let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * tx;
    (top + (bottom - top) * ty) * 2.0 - 1.0
}

/// Three octaves of [`texture`]: cloudy, in about `[-1, 1]`.
pub(super) fn clouds(x: f32, y: f32, key: u32) -> f32 {
    (texture(x, y, key)
        + 0.5 * texture(2.03 * x, 2.03 * y, key ^ 0x51)
        + 0.25 * texture(4.1 * x, 4.1 * y, key ^ 0xA7))
        / 1.4
}

/// Noise of one pixel: nearly Gaussian, zero mean, unit variance (a sum of four uniform numbers).
pub(super) fn grain(x: u32, y: u32, key: u32) -> f32 {
    let h = hash(x as i32, y as i32, key);
    let sum: u32 = (0..4).map(|shift| (h >> (8 * shift)) & 0xFF).sum();
    (sum as f32 - 510.0) / 147.8
}
