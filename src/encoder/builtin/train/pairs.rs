//! Which phantoms are drawn for training. The training of the built-in model uses them, too.

use medivision_tui::phantom::{Anatomy, PhantomCondition, Plan};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::statements::Cell;

/// Phantoms are drawn in pairs of one patient that differ in the finding only, so that nothing else can tell them apart.
/// Limbs are more frequent, as fractures are the hardest to recognise.
const PAIRS: [(Anatomy, [PhantomCondition; 2]); 9] = [
    (
        Anatomy::Limb,
        [PhantomCondition::Normal, PhantomCondition::Fracture],
    ),
    (
        Anatomy::Chest,
        [PhantomCondition::Normal, PhantomCondition::Pneumonia],
    ),
    (
        Anatomy::Limb,
        [PhantomCondition::Normal, PhantomCondition::Fracture],
    ),
    (
        Anatomy::Head,
        [PhantomCondition::Normal, PhantomCondition::Tumor],
    ),
    (
        Anatomy::Chest,
        [PhantomCondition::Normal, PhantomCondition::Tumor],
    ),
    (
        Anatomy::Limb,
        [PhantomCondition::Normal, PhantomCondition::Fracture],
    ),
    (
        Anatomy::Chest,
        [PhantomCondition::Pneumonia, PhantomCondition::Tumor],
    ),
    (
        Anatomy::Head,
        [PhantomCondition::Normal, PhantomCondition::Tumor],
    ),
    (
        Anatomy::Limb,
        [PhantomCondition::Normal, PhantomCondition::Fracture],
    ),
];

/// What the phantom of an index shows; an even index and the next one are a pair.
pub fn cell(index: usize) -> Cell {
    let (anatomy, conditions) = PAIRS[index / 2 % PAIRS.len()];
    (anatomy, conditions[index % 2])
}

/// How the phantom of an index is drawn.
pub fn plan(index: usize, seed: u64) -> Plan {
    let (anatomy, condition) = cell(index);
    // Both phantoms of a pair show the same patient.
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(index as u64 / 2));
    let short = rng.random_range(130.0_f32..270.0);
    let long = short * rng.random_range(1.0_f32..1.14);
    let (width, height) = if rng.random_bool(0.5) {
        (short, long)
    } else {
        (long, short)
    };
    let level = if rng.random_bool(0.5) {
        rng.random_range(-1.0..1.0)
    } else {
        0.0
    };
    Plan {
        anatomy,
        condition,
        seed: rng.random(),
        width: width as u32,
        height: height as u32,
        level,
    }
}
