//! A radiograph of long bones with a joint, whole or broken.

use super::canvas::{Area, Canvas, Point, Pose, at, cover, mix, ramp};
use super::dice::{Dice, clouds, texture};
use super::{Condition, Drawing, Plan};

/// A long bone: a straight axis, and a half width that widens towards its ends.
struct Bone {
    start: Point,
    /// Unit vector along the bone.
    along: Point,
    length: f32,
    shaft: f32,
    /// Half width at the start and at the end.
    ends: (f32, f32),
    /// Sideways deflection in the middle.
    bow: f32,
    broken: Option<Break>,
    key: u32,
}

/// Where and how a bone is broken.
struct Break {
    /// Distance from the bone's start.
    place: f32,
    /// Advance along the bone per distance across it.
    slant: f32,
    gap: f32,
    /// How far the second piece stands aside.
    step: f32,
    /// How much it leans.
    lean: f32,
    key: u32,
}

/// A part of the body: its DICOM term, its bones and the soft tissue's half width.
struct Part {
    term: &'static str,
    bones: Vec<Bone>,
    flesh: f32,
}

pub(super) fn draw(plan: &Plan, dice: &mut Dice) -> Drawing {
    let left = dice.chance(0.5);
    let upside_down = dice.chance(0.25);
    let pose = Pose::roll(dice, 0.16, (0.95, 1.12), 0.07, left);
    let mut part = match dice.below(3) {
        0 => knee(dice),
        1 => elbow(dice),
        _ => ankle(dice),
    };
    if plan.condition == Condition::Fracture {
        fracture(&mut part, &mut Dice::for_finding(plan.seed));
    }
    let flip = if upside_down { -1.0 } else { 1.0 };
    let mut canvas = Canvas::new(plan.width, plan.height, pose, 0.02);
    flesh(&mut canvas, &part, flip, dice);
    for bone in &part.bones {
        paint_bone(&mut canvas, bone, flip);
    }
    let (tone, lift, noise) = (
        dice.between(0.7, 1.3),
        dice.between(0.0, 0.05),
        dice.between(0.006, 0.026),
    );
    canvas.expose(tone, lift, noise, dice.bits());
    let broken = part
        .bones
        .iter()
        .filter_map(|bone| Some((bone, bone.broken.as_ref()?)));
    let findings = broken
        .map(|(bone, broken)| {
            let (x, y) = (
                bone.start.x + bone.along.x * broken.place,
                bone.start.y + bone.along.y * broken.place,
            );
            canvas.locate(at(x, y * flip), 1.3 * bone.shaft)
        })
        .collect();
    Drawing {
        width: canvas.width,
        height: canvas.height,
        values: canvas.values,
        body_part: part.term,
        findings,
        side: Some(if left { 'L' } else { 'R' }),
    }
}

fn bone(dice: &mut Dice, from: Point, to: Point, shaft: f32, ends: (f32, f32)) -> Bone {
    let d = to.minus(from);
    let length = d.length();
    let stout = dice.between(0.92, 1.10);
    Bone {
        start: from,
        along: at(d.x / length, d.y / length),
        length,
        shaft: shaft * stout,
        ends: (ends.0 * stout, ends.1 * stout),
        bow: dice.between(-0.03, 0.03),
        broken: None,
        key: dice.bits(),
    }
}

fn knee(dice: &mut Dice) -> Part {
    let joint = dice.between(-0.45, -0.15);
    let gap = dice.between(0.025, 0.04);
    let lean = dice.between(-0.06, 0.06);
    let femur = bone(
        dice,
        at(lean, -1.6),
        at(0.0, joint - gap),
        0.125,
        (0.16, 0.245),
    );
    let tibia = bone(
        dice,
        at(0.0, joint + gap),
        at(-lean * 0.5, 1.6),
        0.115,
        (0.235, 0.14),
    );
    let fibula = bone(
        dice,
        at(0.235, joint + 0.16),
        at(0.26, 1.6),
        0.042,
        (0.065, 0.06),
    );
    Part {
        term: "KNEE",
        bones: vec![femur, tibia, fibula],
        flesh: dice.between(0.46, 0.60),
    }
}

fn elbow(dice: &mut Dice) -> Part {
    let joint = dice.between(-0.60, -0.40);
    let spread = dice.between(0.13, 0.17);
    let lean = dice.between(-0.10, 0.10);
    let humerus = bone(
        dice,
        at(lean, -1.8),
        at(0.0, joint - 0.03),
        0.105,
        (0.13, 0.215),
    );
    let radius = bone(
        dice,
        at(spread, joint + 0.035),
        at(spread + 0.03, 1.45),
        0.072,
        (0.098, 0.12),
    );
    let ulna = bone(
        dice,
        at(-spread * 0.75, joint + 0.02),
        at(-spread, 1.45),
        0.075,
        (0.125, 0.085),
    );
    Part {
        term: "FOREARM",
        bones: vec![humerus, radius, ulna],
        flesh: dice.between(0.38, 0.50),
    }
}

fn ankle(dice: &mut Dice) -> Part {
    let joint = dice.between(0.42, 0.58);
    let tibia = bone(dice, at(-0.06, -1.6), at(-0.04, joint), 0.11, (0.16, 0.185));
    let fibula = bone(
        dice,
        at(0.20, -1.6),
        at(0.20, joint + 0.10),
        0.045,
        (0.05, 0.075),
    );
    let talus = bone(
        dice,
        at(-0.02, joint + 0.055),
        at(0.02, joint + 0.85),
        0.20,
        (0.19, 0.22),
    );
    Part {
        term: "ANKLE",
        bones: vec![tibia, fibula, talus],
        flesh: dice.between(0.36, 0.46),
    }
}

/// Breaks a shaft well inside the picture; beside it sometimes its thinner neighbour at the same height.
fn fracture(part: &mut Part, dice: &mut Dice) {
    let roomy: Vec<usize> = (0..part.bones.len())
        .filter(|&index| part.bones[index].shaft > 0.06 && visible(&part.bones[index]).is_some())
        .collect();
    let chosen = dice.pick(&roomy);
    let Some((low, high)) = visible(&part.bones[chosen]) else {
        return;
    };
    let place = dice.between(low, high);
    let height = part.bones[chosen].start.y + place * part.bones[chosen].along.y;
    snap(&mut part.bones[chosen], place, dice);
    let both = dice.chance(0.35);
    for (index, neighbour) in part.bones.iter_mut().enumerate() {
        let local = (height - neighbour.start.y) / neighbour.along.y + dice.between(-0.08, 0.08);
        let Some((low, high)) = visible(neighbour) else {
            continue;
        };
        if both && index != chosen && neighbour.shaft < 0.09 && local > low && local < high {
            snap(neighbour, local, dice);
        }
    }
}

/// The stretch of a shaft, as distances from its start, that lies well inside the picture and away from its ends.
fn visible(bone: &Bone) -> Option<(f32, f32)> {
    let place = |y: f32| (y - bone.start.y) / bone.along.y;
    let low = place(-0.58).max(0.22);
    let high = place(0.58).min(bone.length - 0.24);
    (high - low > 0.12).then_some((low, high))
}

fn snap(bone: &mut Bone, place: f32, dice: &mut Dice) {
    bone.broken = Some(Break {
        place,
        slant: dice.between(-0.75, 0.75),
        gap: dice.between(0.036, 0.062),
        step: dice.sign() * (bone.shaft * dice.between(0.55, 1.15)).max(0.05),
        lean: dice.between(-0.12, 0.12),
        key: dice.bits(),
    });
}

/// Soft tissue: wide at the thick end, darker towards the skin.
fn flesh(canvas: &mut Canvas, part: &Part, flip: f32, dice: &mut Dice) {
    let (soft, key, density) = (canvas.soft(0.02), dice.bits(), dice.between(0.24, 0.33));
    let taper = dice.between(-0.02, 0.08);
    let half = part.flesh;
    canvas.paint(Area::EVERYWHERE, |p, v| {
        let y = p.y * flip;
        let width = half - taper * y + 0.03 * texture(1.3 * y, 0.5, key);
        let depth = (1.0 - (p.x / width) * (p.x / width)).max(0.0).sqrt();
        let tissue = density * (0.45 + 0.55 * depth) + 0.02 * clouds(p.x * 5.0, p.y * 2.0, key);
        mix(v, tissue, cover(p.x.abs() - width, soft))
    });
}

impl Bone {
    /// Half width at a distance from the start: a smooth waist.
    fn half_width(&self, t: f32) -> f32 {
        let reach = 0.36_f32.min(self.length * 0.45);
        let near = 1.0 - ramp(0.0, reach, t);
        let far = 1.0 - ramp(0.0, reach, self.length - t);
        self.shaft + (self.ends.0 - self.shaft) * near + (self.ends.1 - self.shaft) * far
    }

    /// Brightness added at bone coordinates: `t` along, `n` across.
    fn shade(&self, t: f32, n: f32, soft: f32) -> f32 {
        let half = self.half_width(t);
        // Rounded ends: the corner of a joint surface is not square.
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
        // The cortex is thick along the shaft and thin at the ends, where spongy bone fills the inside.
        let spongy = ramp(self.shaft * 1.15, self.shaft * 1.6, half);
        let cortex = mix(0.34 * self.shaft, 0.014, spongy);
        let wall = cover(
            (distance + cortex * 0.5).abs() - cortex * 0.5,
            soft.max(0.008),
        );
        let sponge = spongy * 0.06 * texture(t * 34.0, n * 34.0, self.key);
        body * (0.26 + 0.06 * spongy + sponge + 0.26 * wall)
    }

    fn value(&self, p: Point, soft: f32) -> f32 {
        let d = p.minus(self.start);
        let t = d.dot(self.along);
        let middle = t / self.length;
        let n = d.x * self.along.y - d.y * self.along.x - self.bow * 4.0 * middle * (1.0 - middle);
        let Some(broken) = &self.broken else {
            return self.shade(t, n, soft);
        };
        // The edge of each piece is the same ragged line, half a gap away from it.
        let edge = |t: f32, n: f32| {
            let ragged = 0.045 * texture(n * 22.0, 0.5, broken.key)
                + 0.02 * texture(n * 60.0, 0.5, broken.key);
            t - broken.place - broken.slant * n - ragged
        };
        let first = self.shade(t, n, soft) * cover(edge(t, n) + broken.gap / 2.0, soft);
        let aside = n - broken.step - broken.lean * (t - broken.place);
        let second = self.shade(t, aside, soft) * cover(broken.gap / 2.0 - edge(t, aside), soft);
        first.max(second) + 0.4 * first.min(second)
    }
}

fn paint_bone(canvas: &mut Canvas, bone: &Bone, flip: f32) {
    let reach = bone.ends.0.max(bone.ends.1).max(bone.shaft) + bone.shaft * 1.5 + 0.25;
    let end = at(
        bone.start.x + bone.along.x * bone.length,
        bone.start.y + bone.along.y * bone.length,
    );
    let (y0, y1) = (bone.start.y * flip, end.y * flip);
    let area = Area {
        low: at(bone.start.x.min(end.x) - reach, y0.min(y1) - 0.1),
        high: at(bone.start.x.max(end.x) + reach, y0.max(y1) + 0.1),
    };
    let soft = canvas.soft(0.008);
    canvas.paint(area, |p, v| v + bone.value(at(p.x, p.y * flip), soft));
}
