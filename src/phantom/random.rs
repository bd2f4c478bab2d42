//! Random numbers and textures from a seed, the same on every machine.
//!
//! This file and the drawing code use only integer arithmetic and `+ − × ÷ √` on `f32`, which IEEE 754 defines exactly.
//! `sin` and `exp` differ in the last bit between C libraries.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A random number generator.
pub(super) struct PhantomRng(ChaCha8Rng);

impl PhantomRng {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A separate generator for the finding, so that the anatomy is the same with and without it.
    pub(super) fn for_finding(seed: u64) -> Self {
        Self::new(seed ^ 0xF1_4D)
    }

    /// Uniform in all of `u32`.
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

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        unit(self.bits()) < probability
    }

    /// 1 or −1, with equal probability.
    pub(super) fn sign(&mut self) -> f32 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    /// One of the items; panics if there are none.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }

    /// Shuffles in place (Fisher–Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

/// Converts the upper 24 bits to a number in `[0, 1)`.
fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 / 16_777_216.0
}

/// Hashes a lattice point, with the constants of the `lowbias32` finaliser.
fn hash(x: i32, y: i32, key: u32) -> u32 {
    let mut h = key
        ^ (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77).rotate_left(13);
    h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
    h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
    h ^ (h >> 16)
}

/// Value noise: a smooth texture in `[-1, 1]` that varies over a length of about 1.
pub(super) fn texture(x: f32, y: f32, key: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ix, iy) = (fx as i32, fy as i32);
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (ease(x - fx), ease(y - fy));
    let along = |dy: i32| {
        let at = |dx: i32| unit(hash(ix + dx, iy + dy, key));
        let left = at(0);
        left + (at(1) - left) * tx
    };
    let (top, bottom) = (along(0), along(1));
    (top + (bottom - top) * ty) * 2.0 - 1.0
}

/// Cloud-like texture: three octaves of [`texture`], in about `[-1, 1]`.
pub(super) fn clouds(x: f32, y: f32, key: u32) -> f32 {
    (texture(x, y, key)
        + 0.5 * texture(2.03 * x, 2.03 * y, key ^ 0x51)
        + 0.25 * texture(4.1 * x, 4.1 * y, key ^ 0xA7))
        / 1.4
}

/// Noise of one pixel: nearly Gaussian with zero mean and unit variance, as a sum of four uniform numbers.
pub(super) fn grain(x: u32, y: u32, key: u32) -> f32 {
    let h = hash(x as i32, y as i32, key);
    let sum: u32 = (0..4).map(|shift| (h >> (8 * shift)) & 0xFF).sum();
    (sum as f32 - 510.0) / 147.8
}
