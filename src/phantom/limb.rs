//! A radiograph of long bones and a joint, intact or fractured.

use super::canvas::{PhantomCanvas, Point, Pose, ShapeBounds, at, cover, mix, ramp};
use super::random::{PhantomRng, clouds, texture};
use super::{Phantom, PhantomCondition, Plan};

/// A long bone: a straight axis, with a half width that grows towards its ends.
struct Bone {
    start: Point,
    /// Unit vector along the bone.
    along: Point,
    length: f32,
    shaft: f32,
    /// Half width at the start and at the end.
    ends: (f32, f32),
    /// Lateral deflection at the middle.
    bow: f32,
    broken: Option<Break>,
    key: u32,
}

/// A fracture.
struct Break {
    /// Distance from the bone's start, along its axis.
    position: f32,
    /// Advance along the bone per distance across it.
    slant: f32,
    gap: f32,
    /// Lateral displacement of the second fragment.
    step: f32,
    /// Its angulation, as a slope.
    lean: f32,
    key: u32,
}

/// A body part: its DICOM term, its bones, and the half width of its soft tissue.
struct LimbAnatomy {
    term: &'static str,
    bones: Vec<Bone>,
    flesh: f32,
}

pub(super) fn draw(plan: &Plan, rng: &mut PhantomRng) -> Phantom {
    let left = rng.chance(0.5);
    let upside_down = rng.chance(0.25);
    let pose = Pose::random(rng, 0.16, (0.95, 1.12), 0.07, left);
    let mut part = match rng.below(3) {
        0 => knee(rng),
        1 => elbow(rng),
        _ => ankle(rng),
    };
    if plan.condition == PhantomCondition::Fracture {
        fracture(&mut part, &mut PhantomRng::for_finding(plan.seed));
    }
    let flip = if upside_down { -1.0 } else { 1.0 };
    let mut canvas = PhantomCanvas::new(plan.width, plan.height, pose, 0.02);
    flesh(&mut canvas, &part, flip, rng);
    for bone in &part.bones {
        paint_bone(&mut canvas, bone, flip);
    }
    let (tone, lift, noise) = (
        rng.between(0.7, 1.3),
        rng.between(0.0, 0.05),
        rng.between(0.006, 0.026),
    );
    canvas.expose(tone, lift, noise, rng.bits());
    let broken = part
        .bones
        .iter()
        .filter_map(|bone| Some((bone, bone.broken.as_ref()?)));
    let findings = broken
        .map(|(bone, broken)| {
            let (x, y) = (
                bone.start.x + bone.along.x * broken.position,
                bone.start.y + bone.along.y * broken.position,
            );
            canvas.locate(at(x, y * flip), 1.3 * bone.shaft)
        })
        .collect();
    Phantom {
        width: canvas.width,
        height: canvas.height,
        values: canvas.values,
        body_part: part.term,
        findings,
        side: Some(if left { 'L' } else { 'R' }),
    }
}

fn bone(rng: &mut PhantomRng, from: Point, to: Point, shaft: f32, ends: (f32, f32)) -> Bone {
    let d = to.minus(from);
    let length = d.length();
    let stout = rng.between(0.92, 1.10);
    Bone {
        start: from,
        along: at(d.x / length, d.y / length),
        length,
        shaft: shaft * stout,
        ends: (ends.0 * stout, ends.1 * stout),
        bow: rng.between(-0.03, 0.03),
        broken: None,
        key: rng.bits(),
    }
}

fn knee(rng: &mut PhantomRng) -> LimbAnatomy {
    let joint = rng.between(-0.45, -0.15);
    let gap = rng.between(0.025, 0.04);
    let lean = rng.between(-0.06, 0.06);
    let femur = bone(
        rng,
        at(lean, -1.6),
        at(0.0, joint - gap),
        0.125,
        (0.16, 0.245),
    );
    let tibia = bone(
        rng,
        at(0.0, joint + gap),
        at(-lean * 0.5, 1.6),
        0.115,
        (0.235, 0.14),
    );
    let fibula = bone(
        rng,
        at(0.235, joint + 0.16),
        at(0.26, 1.6),
        0.042,
        (0.065, 0.06),
    );
    LimbAnatomy {
        term: "KNEE",
        bones: vec![femur, tibia, fibula],
        flesh: rng.between(0.46, 0.60),
    }
}

fn elbow(rng: &mut PhantomRng) -> LimbAnatomy {
    let joint = rng.between(-0.60, -0.40);
    let spread = rng.between(0.13, 0.17);
    let lean = rng.between(-0.10, 0.10);
    let humerus = bone(
        rng,
        at(lean, -1.8),
        at(0.0, joint - 0.03),
        0.105,
        (0.13, 0.215),
    );
    let radius = bone(
        rng,
        at(spread, joint + 0.035),
        at(spread + 0.03, 1.45),
        0.072,
        (0.098, 0.12),
    );
    let ulna = bone(
        rng,
        at(-spread * 0.75, joint + 0.02),
        at(-spread, 1.45),
        0.075,
        (0.125, 0.085),
    );
    LimbAnatomy {
        term: "FOREARM",
        bones: vec![humerus, radius, ulna],
        flesh: rng.between(0.38, 0.50),
    }
}

fn ankle(rng: &mut PhantomRng) -> LimbAnatomy {
    let joint = rng.between(0.42, 0.58);
    let tibia = bone(rng, at(-0.06, -1.6), at(-0.04, joint), 0.11, (0.16, 0.185));
    let fibula = bone(
        rng,
        at(0.20, -1.6),
        at(0.20, joint + 0.10),
        0.045,
        (0.05, 0.075),
    );
    let talus = bone(
        rng,
        at(-0.02, joint + 0.055),
        at(0.02, joint + 0.85),
        0.20,
        (0.19, 0.22),
    );
    LimbAnatomy {
        term: "ANKLE",
        bones: vec![tibia, fibula, talus],
        flesh: rng.between(0.36, 0.46),
    }
}

/// Fractures one shaft well within the image, and sometimes its thinner neighbour at the same height.
fn fracture(part: &mut LimbAnatomy, rng: &mut PhantomRng) {
    let candidates: Vec<usize> = (0..part.bones.len())
        .filter(|&index| part.bones[index].shaft > 0.06 && visible(&part.bones[index]).is_some())
        .collect();
    let chosen = rng.pick(&candidates);
    let Some((low, high)) = visible(&part.bones[chosen]) else {
        return;
    };
    let position = rng.between(low, high);
    let height = part.bones[chosen].start.y + position * part.bones[chosen].along.y;
    break_bone(&mut part.bones[chosen], position, rng);
    let both = rng.chance(0.35);
    for (index, neighbour) in part.bones.iter_mut().enumerate() {
        let local = (height - neighbour.start.y) / neighbour.along.y + rng.between(-0.08, 0.08);
        let Some((low, high)) = visible(neighbour) else {
            continue;
        };
        if both && index != chosen && neighbour.shaft < 0.09 && local > low && local < high {
            break_bone(neighbour, local, rng);
        }
    }
}

/// The part of a shaft that lies well within the image and away from the bone's ends, as distances from its start.
fn visible(bone: &Bone) -> Option<(f32, f32)> {
    let distance = |y: f32| (y - bone.start.y) / bone.along.y;
    let low = distance(-0.58).max(0.22);
    let high = distance(0.58).min(bone.length - 0.24);
    (high - low > 0.12).then_some((low, high))
}

fn break_bone(bone: &mut Bone, position: f32, rng: &mut PhantomRng) {
    bone.broken = Some(Break {
        position,
        slant: rng.between(-0.75, 0.75),
        gap: rng.between(0.036, 0.062),
        step: rng.sign() * (bone.shaft * rng.between(0.55, 1.15)).max(0.05),
        lean: rng.between(-0.12, 0.12),
        key: rng.bits(),
    });
}

/// Draws the soft tissue, which is darker towards the skin.
fn flesh(canvas: &mut PhantomCanvas, part: &LimbAnatomy, flip: f32, rng: &mut PhantomRng) {
    let (soft, key, density) = (canvas.soft(0.02), rng.bits(), rng.between(0.24, 0.33));
    let taper = rng.between(-0.02, 0.08);
    let half = part.flesh;
    canvas.paint(ShapeBounds::EVERYWHERE, |p, v| {
        let y = p.y * flip;
        let width = half - taper * y + 0.03 * texture(1.3 * y, 0.5, key);
        let depth = (1.0 - (p.x / width) * (p.x / width)).max(0.0).sqrt();
        let tissue = density * (0.45 + 0.55 * depth) + 0.02 * clouds(p.x * 5.0, p.y * 2.0, key);
        mix(v, tissue, cover(p.x.abs() - width, soft))
    });
}

impl Bone {
    /// Half width at distance `t` from the start.
    fn half_width(&self, t: f32) -> f32 {
        let reach = 0.36_f32.min(self.length * 0.45);
        let near = 1.0 - ramp(0.0, reach, t);
        let far = 1.0 - ramp(0.0, reach, self.length - t);
        self.shaft + (self.ends.0 - self.shaft) * near + (self.ends.1 - self.shaft) * far
    }

    /// The brightness of the bone at `t` along and `n` across its axis.
    fn shade(&self, t: f32, n: f32, soft: f32) -> f32 {
        let half = self.half_width(t);
        // The corners of the joint surface are rounded.
        let end = (-t).max(t - self.length);
        let corner = 0.35 * half;
        let (dx, dy) = ((n.abs() - half + corner).max(0.0), (end + corner).max(0.0));
        let distance = if dx > 0.0 && dy > 0.0 {
            (dx * dx + dy * dy).sqrt() - corner
        } else {
            (n.abs() - half).max(end)
        };
        let body = cover(distance, soft);
        if body <= 0.0 {
            return 0.0;
        }
        // The cortex is thick along the shaft and thin at the ends, which are filled by spongy bone.
        let spongy = ramp(self.shaft * 1.15, self.shaft * 1.6, half);
        let cortex = mix(0.34 * self.shaft, 0.014, spongy);
        let wall = cover(
            (distance + cortex * 0.5).abs() - cortex * 0.5,
            soft.max(0.008),
        );
        let sponge = spongy * 0.06 * texture(t * 34.0, n * 34.0, self.key);
        body * (0.26 + 0.06 * spongy + sponge + 0.26 * wall)
    }

    /// The brightness of the bone at a point, fractured or not.
    fn value(&self, p: Point, soft: f32) -> f32 {
        let d = p.minus(self.start);
        let t = d.dot(self.along);
        let middle = t / self.length;
        let n = d.x * self.along.y - d.y * self.along.x - self.bow * 4.0 * middle * (1.0 - middle);
        let Some(broken) = &self.broken else {
            return self.shade(t, n, soft);
        };
        // Both fragments end at the same ragged line, each half a gap away from it.
        let edge = |t: f32, n: f32| {
            let ragged = 0.045 * texture(n * 22.0, 0.5, broken.key)
                + 0.02 * texture(n * 60.0, 0.5, broken.key);
            t - broken.position - broken.slant * n - ragged
        };
        let first = self.shade(t, n, soft) * cover(edge(t, n) + broken.gap / 2.0, soft);
        let aside = n - broken.step - broken.lean * (t - broken.position);
        let second = self.shade(t, aside, soft) * cover(broken.gap / 2.0 - edge(t, aside), soft);
        first.max(second) + 0.4 * first.min(second)
    }
}

fn paint_bone(canvas: &mut PhantomCanvas, bone: &Bone, flip: f32) {
    let reach = bone.ends.0.max(bone.ends.1).max(bone.shaft) + bone.shaft * 1.5 + 0.25;
    let end = at(
        bone.start.x + bone.along.x * bone.length,
        bone.start.y + bone.along.y * bone.length,
    );
    let (y0, y1) = (bone.start.y * flip, end.y * flip);
    let area = ShapeBounds {
        low: at(bone.start.x.min(end.x) - reach, y0.min(y1) - 0.1),
        high: at(bone.start.x.max(end.x) + reach, y0.max(y1) + 0.1),
    };
    let soft = canvas.soft(0.008);
    canvas.paint(area, |p, v| v + bone.value(at(p.x, p.y * flip), soft));
}
