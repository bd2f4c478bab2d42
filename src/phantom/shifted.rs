//! Phantoms as another machine might make them: less contrast, coarser noise, other proportions, and objects that no other phantom has.
//! They measure what training on new images gains.

use super::random::{PhantomRng, clouds, grain};
use super::{Phantom, PhantomCondition, Plan, draw_with};

/// Separates what is random here from what the phantom's own seed decides.
const SHIFT_KEY: u64 = 0x5417_F7ED;
/// The most objects in an image.
const MAX_OBJECTS: u32 = 4;

/// Draws a phantom and shifts its appearance; what it shows, and where, is as the plan says but for the proportions. No findings are
/// located.
pub fn draw_shifted(plan: &Plan) -> Phantom {
    draw_shifted_with(plan, &[])
}

/// The same with further conditions beside the plan's, see [`draw_with`].
pub fn draw_shifted_with(plan: &Plan, others: &[PhantomCondition]) -> Phantom {
    let mut phantom = draw_with(plan, others);
    let rng = &mut PhantomRng::new(plan.seed ^ SHIFT_KEY);
    stretch(&mut phantom, rng);
    objects(&mut phantom, rng);
    expose(&mut phantom, rng);
    phantom.findings.clear();
    phantom
}

/// Squeezes one direction and widens the other.
fn stretch(phantom: &mut Phantom, rng: &mut PhantomRng) {
    let factor = rng.between(1.05, 1.3);
    let (across, down) = if rng.chance(0.5) {
        (factor, 1.0 / factor)
    } else {
        (1.0 / factor, factor)
    };
    let (width, height) = (phantom.width as usize, phantom.height as usize);
    let place = |at: usize, length: usize, factor: f32| {
        let middle = (length as f32 - 1.0) / 2.0;
        let from = (at as f32 - middle) * factor + middle;
        from.clamp(0.0, length as f32 - 1.0)
    };
    let mut values = Vec::with_capacity(phantom.values.len());
    for y in 0..height {
        let row = place(y, height, down) as usize * width;
        for x in 0..width {
            let from = place(x, width, across);
            let left = from as usize;
            let right = (left + 1).min(width - 1);
            let share = from - left as f32;
            let (a, b) = (phantom.values[row + left], phantom.values[row + right]);
            values.push(a + (b - a) * share);
        }
    }
    phantom.values = values;
}

/// Rings and plates over the image, as of monitoring and clothing.
fn objects(phantom: &mut Phantom, rng: &mut PhantomRng) {
    let side = phantom.width.min(phantom.height) as f32;
    for _ in 0..=rng.below(MAX_OBJECTS) {
        let (x, y) = (
            rng.between(0.1, 0.9) * phantom.width as f32,
            rng.between(0.1, 0.9) * phantom.height as f32,
        );
        let size = rng.between(0.02, 0.06) * side;
        let (is_ring, value) = (rng.chance(0.5), rng.between(0.75, 1.0));
        let width = phantom.width as usize;
        for (at, pixel) in phantom.values.iter_mut().enumerate() {
            let (dx, dy) = ((at % width) as f32 - x, (at / width) as f32 - y);
            let is_inside = if is_ring {
                let distance = (dx * dx + dy * dy).sqrt();
                distance < size && distance > 0.7 * size
            } else {
                dx.abs() < size && dy.abs() < 0.35 * size
            };
            if is_inside {
                *pixel = value;
            }
        }
    }
}

/// Less contrast, an uneven exposure, and noise in grains of two pixels.
fn expose(phantom: &mut Phantom, rng: &mut PhantomRng) {
    let (contrast, lift) = (rng.between(0.35, 0.6), rng.between(0.1, 0.4));
    let (tone, unevenness) = (rng.between(0.5, 2.0), rng.between(0.05, 0.15));
    let (noise, key) = (rng.between(0.03, 0.08), rng.bits());
    let (width, side) = (phantom.width, phantom.width.max(phantom.height) as f32);
    for (at, value) in phantom.values.iter_mut().enumerate() {
        let (x, y) = (at as u32 % width, at as u32 / width);
        let toned = *value / (*value + tone * (1.0 - *value));
        let clouds = clouds(2.0 * x as f32 / side, 2.0 * y as f32 / side, key);
        let noise = noise * grain(x / 2, y / 2, key);
        *value = (lift + contrast * toned + unevenness * clouds + noise).clamp(0.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::{Anatomy, draw};

    #[test]
    fn a_shifted_phantom_has_less_contrast_and_its_plans_seed_decides_all() {
        for anatomy in [Anatomy::Chest, Anatomy::Head, Anatomy::Limb] {
            let plan = |seed| Plan {
                anatomy,
                condition: PhantomCondition::Normal,
                seed,
                width: 96,
                height: 80,
                level: 0.0,
            };
            let shifted = draw_shifted(&plan(1));
            assert_eq!(shifted, draw_shifted(&plan(1)));
            assert_ne!(shifted.values, draw_shifted(&plan(2)).values);
            assert!(
                shifted
                    .values
                    .iter()
                    .all(|value| (0.0..=1.0).contains(value))
            );
            let darkest = |phantom: &Phantom| {
                let mut values = phantom.values.clone();
                values.sort_by(f32::total_cmp);
                values[values.len() / 20]
            };
            assert!(darkest(&shifted) > darkest(&draw(&plan(1))) + 0.05);
        }
    }
}
