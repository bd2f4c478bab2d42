//! Conditions of the chest that no model of this program was trained on, to measure what learning from a few labels gains.

use super::canvas::{PhantomCanvas, ShapeBounds, Stroke, at, cover, ellipse, mix, ramp};
use super::random::{PhantomRng, clouds, texture};
use super::{Anatomy, Phantom, PhantomCondition, Plan, chest, draw};

/// A condition that belongs to no prompt set that ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnseenCondition {
    /// Fluid at the bottom of a lung, with a level that rises at the chest wall.
    Effusion,
    /// Air beside a lung, which has no vessels there.
    Pneumothorax,
    /// A heart that fills half of the chest.
    LargeHeart,
    /// A box of metal below a clavicle, with a wire to the heart.
    Pacemaker,
    /// Many small spots in both lungs.
    Spots,
}

impl UnseenCondition {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Effusion,
        Self::Pneumothorax,
        Self::LargeHeart,
        Self::Pacemaker,
        Self::Spots,
    ];

    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Effusion => "effusion",
            Self::Pneumothorax => "pneumothorax",
            Self::LargeHeart => "large heart",
            Self::Pacemaker => "pacemaker",
            Self::Spots => "spots",
        }
    }
}

/// Draws a chest with such a condition: that of the same seed without a finding, and the condition over it.
pub fn draw_unseen(condition: UnseenCondition, seed: u64, side: u32) -> Phantom {
    let plan = Plan {
        anatomy: Anatomy::Chest,
        condition: PhantomCondition::Normal,
        seed,
        width: side,
        height: side,
        level: 0.0,
    };
    let mut phantom = draw(&plan);
    let pose = chest::pose(&mut PhantomRng::new(seed));
    let mut canvas = PhantomCanvas::new(phantom.width, phantom.height, pose, 0.0);
    canvas.values = std::mem::take(&mut phantom.values);
    let rng = &mut PhantomRng::for_finding(seed);
    match condition {
        UnseenCondition::Effusion => effusion(&mut canvas, rng),
        UnseenCondition::Pneumothorax => pneumothorax(&mut canvas, rng),
        UnseenCondition::LargeHeart => large_heart(&mut canvas, rng),
        UnseenCondition::Pacemaker => pacemaker(&mut canvas, rng),
        UnseenCondition::Spots => spots(&mut canvas, rng),
    }
    phantom.values = canvas.values;
    phantom
}

fn effusion(canvas: &mut PhantomCanvas, rng: &mut PhantomRng) {
    let (side, level) = (rng.sign(), rng.between(0.10, 0.34));
    let (amount, key) = (rng.between(0.55, 0.8), rng.bits());
    let bounds = ShapeBounds {
        low: at(-0.85, -0.2),
        high: at(0.85, 0.9),
    };
    canvas.paint(bounds, |p, v| {
        let x = side * p.x;
        // The level rises towards the wall.
        let surface = level - 0.22 * ramp(0.45, 0.78, x);
        let inside = ramp(0.10, 0.16, x) * cover(x - 0.78, 0.03);
        let share = amount * inside * ramp(-0.03, 0.03, p.y - surface);
        mix(v, 0.66 + 0.03 * clouds(p.x * 4.0, p.y * 4.0, key), share)
    });
}

fn pneumothorax(canvas: &mut PhantomCanvas, rng: &mut PhantomRng) {
    let (side, depth) = (rng.sign(), rng.between(0.10, 0.2));
    let amount = rng.between(0.6, 0.85);
    canvas.paint(ShapeBounds::EVERYWHERE, |p, v| {
        let q = at(side * p.x - 0.05 * (p.y + 0.2), p.y);
        let lung = ellipse(q, at(0.43, 0.0), at(0.31, 0.74));
        let collapsed = ellipse(
            q,
            at(0.40 - 0.5 * depth, 0.06),
            at(0.31 - depth, 0.74 - depth),
        );
        let air = cover(lung, 0.015) * ramp(-0.012, 0.012, collapsed) * cover(p.y - 0.42, 0.05);
        let rim = cover(collapsed.abs() - 0.006, 0.01) * cover(lung, 0.015);
        let seen = mix(v, 0.06, amount * air) + 0.18 * rim * cover(p.y - 0.42, 0.05);
        seen.clamp(0.0, 1.0)
    });
}

fn large_heart(canvas: &mut PhantomCanvas, rng: &mut PhantomRng) {
    let size = at(rng.between(0.44, 0.54), rng.between(0.30, 0.38));
    let (amount, key) = (rng.between(0.75, 0.95), rng.bits());
    let soft = canvas.soft(0.025);
    canvas.paint(ShapeBounds::around(at(0.12, 0.24), 0.7, 0.6), |p, v| {
        let q = at(p.x - 0.12, p.y - 0.24);
        let turned = at(0.9 * q.x + 0.43 * q.y, 0.9 * q.y - 0.43 * q.x);
        let share = amount * cover(ellipse(turned, at(0.0, 0.0), size), soft);
        v.max(mix(
            v,
            0.64 + 0.02 * clouds(p.x * 5.0, p.y * 5.0, key),
            share,
        ))
    });
}

fn pacemaker(canvas: &mut PhantomCanvas, rng: &mut PhantomRng) {
    let center = at(rng.between(0.42, 0.58), rng.between(-0.52, -0.36));
    let size = at(rng.between(0.10, 0.13), rng.between(0.08, 0.11));
    let tip = at(rng.between(0.12, 0.24), rng.between(0.28, 0.4));
    let wire = Stroke::curve(
        center,
        at(rng.between(-0.02, 0.06), -0.42),
        tip,
        (0.011, 0.011),
    );
    let soft = canvas.soft(0.008);
    canvas.paint(ShapeBounds::EVERYWHERE, |p, v| {
        let q = p.minus(center);
        let square = (q.x.abs() / size.x).powi(4) + (q.y.abs() / size.y).powi(4);
        let metal = (1.0 - ramp(0.85, 1.25, square)).max(cover(wire.distance(p), soft));
        mix(v, 0.96, metal)
    });
}

fn spots(canvas: &mut PhantomCanvas, rng: &mut PhantomRng) {
    let soft = canvas.soft(0.008);
    for _ in 0..rng.below(30) + 45 {
        let center = at(rng.sign() * rng.between(0.22, 0.66), rng.between(-0.5, 0.4));
        let radius = rng.between(0.012, 0.026);
        let (amount, key) = (rng.between(0.12, 0.26), rng.bits());
        canvas.paint(ShapeBounds::around(center, 0.05, 0.05), |p, v| {
            let edge = 0.15 * radius * texture(p.x * 40.0, p.y * 40.0, key);
            v + amount * cover(p.minus(center).length() - radius + edge, soft)
        });
    }
    for value in &mut canvas.values {
        *value = value.clamp(0.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_changes_the_chest_and_a_seed_gives_the_same_image_again() {
        for (at, condition) in UnseenCondition::ALL.into_iter().enumerate() {
            let plan = Plan {
                anatomy: Anatomy::Chest,
                condition: PhantomCondition::Normal,
                seed: 7,
                width: 96,
                height: 96,
                level: 0.0,
            };
            let (healthy, shown) = (draw(&plan), draw_unseen(condition, 7, 96));
            assert_eq!(shown, draw_unseen(condition, 7, 96));
            assert!(
                shown.values.iter().all(|v| (0.0..=1.0).contains(v)),
                "{condition:?}"
            );
            let both = healthy.values.iter().zip(&shown.values);
            let changed = both.filter(|(a, b)| (*a - *b).abs() > 0.05).count();
            let share = changed as f64 / healthy.values.len() as f64;
            assert!((0.005..0.4).contains(&share), "{condition:?}: {share}");
            let others = UnseenCondition::ALL.into_iter().skip(at + 1);
            for other in others {
                assert_ne!(shown, draw_unseen(other, 7, 96));
            }
        }
    }
}
