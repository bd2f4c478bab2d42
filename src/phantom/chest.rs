//! A frontal chest radiograph: trunk, lungs, heart, ribs, clavicles, spine; opacities or a mass in the lungs.

use super::canvas::{
    PhantomCanvas, Point, Pose, ShapeBounds, Stroke, at, bell, cover, ellipse, mix, ramp,
};
use super::random::{PhantomRng, clouds, texture};
use super::{Finding, Phantom, PhantomCondition, Plan};

/// The dimensions of one chest.
struct ChestAnatomy {
    /// Half width of the trunk.
    girth: f32,
    /// Half width of a lung.
    lung: f32,
    /// Height of the diaphragm's domes, viewer's left and right.
    domes: [f32; 2],
    heart: f32,
    /// Darkness of air.
    air: f32,
    ribs: f32,
    key: u32,
}

pub(super) fn draw(plan: &Plan, others: &[PhantomCondition], rng: &mut PhantomRng) -> Phantom {
    let pose = pose(rng);
    let dome = rng.between(0.44, 0.58);
    let build = ChestAnatomy {
        girth: rng.between(0.86, 0.98),
        lung: rng.between(0.30, 0.35),
        domes: [dome - rng.between(0.02, 0.08), dome],
        heart: rng.between(0.85, 1.15),
        air: rng.between(0.10, 0.20),
        ribs: rng.between(0.06, 0.11),
        key: rng.bits(),
    };
    let mut canvas = PhantomCanvas::new(plan.width, plan.height, pose, 0.02);
    trunk(&mut canvas, &build);
    lungs(&mut canvas, &build);
    vessels(&mut canvas, &build, rng);
    mediastinum(&mut canvas, &build);
    // Findings are drawn before the ribs, whose shadows cross them.
    let mut findings = Vec::new();
    let conditions = [plan.condition].into_iter().chain(others.iter().copied());
    for (place, condition) in (0_u64..).zip(conditions) {
        // The first is where it is without the others.
        let rng = &mut PhantomRng::for_finding(plan.seed ^ place.rotate_right(8));
        match condition {
            PhantomCondition::Pneumonia => findings.extend(haze(&mut canvas, &build, rng)),
            PhantomCondition::Tumor => findings.push(mass(&mut canvas, &build, rng)),
            PhantomCondition::Fracture | PhantomCondition::Normal => {}
        }
    }
    spine(&mut canvas);
    cage(&mut canvas, &build, rng);
    side_mark(&mut canvas, rng);
    let (tone, lift, noise) = (
        rng.between(0.75, 1.35),
        rng.between(0.0, 0.06),
        rng.between(0.006, 0.028),
    );
    canvas.expose(tone, lift, noise, rng.bits());
    Phantom {
        width: canvas.width,
        height: canvas.height,
        values: canvas.values,
        body_part: "CHEST",
        findings,
        side: None,
    }
}

/// How the chest lies before the detector: the first of its random numbers.
pub(super) fn pose(rng: &mut PhantomRng) -> Pose {
    Pose::random(rng, 0.035, (0.94, 1.08), 0.05, false)
}

/// Half width of the trunk at height `y`: neck, shoulders, flank.
fn half_width(y: f32, girth: f32) -> f32 {
    let shoulder = mix(0.24, girth + 0.12, ramp(-1.0, -0.60, y));
    shoulder - 0.14 * ramp(-0.55, -0.15, y) + 0.03 * ramp(0.3, 1.0, y)
}

fn trunk(canvas: &mut PhantomCanvas, build: &ChestAnatomy) {
    let (soft, girth, key) = (canvas.soft(0.02), build.girth, build.key);
    canvas.paint(ShapeBounds::EVERYWHERE, |p, v| {
        let half = half_width(p.y, girth);
        let across = p.x / half;
        let depth = (1.0 - across * across).max(0.0);
        let tissue = 0.42
            + 0.16 * depth
            + 0.10 * ramp(0.3, 0.8, p.y)
            + 0.03 * clouds(p.x * 3.0, p.y * 3.0, key);
        mix(v, tissue, cover(p.x.abs() - half, soft))
    });
    // The upper arms, partly outside the image.
    for side in [-1.0, 1.0] {
        let bone = Stroke::curve(
            at(side * 1.02, -0.62),
            at(side * 1.08, -0.2),
            at(side * 1.12, 0.3),
            (0.12, 0.07),
        );
        let soft = canvas.soft(0.015);
        canvas.paint(bone.bounds(0.05), |p, v| {
            v + 0.16 * cover(bone.distance(p), soft)
        });
    }
}

/// Signed distance to the lung of one side: a tall egg, cut by the diaphragm and the mediastinum.
fn lung_distance(p: Point, side: f32, build: &ChestAnatomy) -> f32 {
    let x = side * p.x - 0.05 * (p.y + 0.2);
    let below = if p.y > 0.0 { 1.25 } else { 0.76 };
    let egg = ellipse(at(x, p.y), at(0.43, 0.0), at(build.lung, below));
    let dome = build.domes[usize::from(side > 0.0)];
    let diaphragm = -ellipse(at(side * p.x, p.y), at(0.40, dome + 0.34), at(0.50, 0.36));
    egg.max(diaphragm).max(0.10 - x).max(p.y - dome - 0.3)
}

/// The opacity of the lungs' shape at a point.
fn in_lungs(p: Point, build: &ChestAnatomy, soft: f32) -> f32 {
    let side = if p.x < 0.0 { -1.0 } else { 1.0 };
    cover(lung_distance(p, side, build), soft)
}

fn lungs(canvas: &mut PhantomCanvas, build: &ChestAnatomy) {
    let soft = canvas.soft(0.018);
    canvas.paint(
        ShapeBounds {
            low: at(-1.0, -0.85),
            high: at(1.0, 1.0),
        },
        |p, v| {
            let share = in_lungs(p, build, soft);
            if share <= 0.0 {
                return v;
            }
            let hilum = bell(p, at(0.2_f32.copysign(p.x), 0.02), at(0.26, 0.34));
            let air = build.air
                + 0.10 * hilum
                + 0.035 * clouds(p.x * 7.0, p.y * 7.0, build.key)
                + 0.06 * ramp(0.1, 0.6, p.y);
            mix(v, air, share)
        },
    );
}

/// Draws the lungs' vessels, which fan out from the hila and become thinner towards the chest wall.
fn vessels(canvas: &mut PhantomCanvas, build: &ChestAnatomy, rng: &mut PhantomRng) {
    for index in 0..22 {
        let side = if index % 2 == 0 { -1.0 } else { 1.0 };
        let start = at(side * rng.between(0.12, 0.2), rng.between(-0.12, 0.14));
        let end = at(side * rng.between(0.35, 0.62), rng.between(-0.5, 0.5));
        let control = at(
            side * rng.between(0.22, 0.34),
            mix(start.y, end.y, 0.35) + rng.between(-0.06, 0.06),
        );
        let vessel = Stroke::curve(start, control, end, (rng.between(0.012, 0.022), 0.003));
        let (soft, amount) = (canvas.soft(0.010), rng.between(0.05, 0.11));
        canvas.paint(vessel.bounds(0.03), |p, v| {
            let share = cover(vessel.distance(p), soft);
            if share <= 0.0 {
                v
            } else {
                v + amount * share * in_lungs(p, build, 0.02)
            }
        });
    }
}

/// Draws the mediastinum: heart, great vessels, trachea.
fn mediastinum(canvas: &mut PhantomCanvas, build: &ChestAnatomy) {
    let (soft, size, key) = (canvas.soft(0.022), build.heart, build.key);
    let air = canvas.soft(0.02);
    canvas.paint(
        ShapeBounds {
            low: at(-0.6, -1.1),
            high: at(0.8, 0.8),
        },
        |p, v| {
            // The heart's long axis points down and to the viewer's right.
            let q = at(p.x - 0.15, p.y - 0.26);
            let turned = at(0.82 * q.x + 0.57 * q.y, 0.82 * q.y - 0.57 * q.x);
            let ventricles = ellipse(turned, at(0.0, 0.0), at(0.34 * size, 0.25 * size));
            let atrium = ellipse(p, at(-0.07, 0.22), at(0.15 * size, 0.26));
            let knob = ellipse(p, at(0.10, -0.30), at(0.09, 0.10));
            let column = p.x.abs() - 0.105 - 0.04 * ramp(-0.5, -0.9, p.y);
            let distance = ventricles.min(atrium).min(knob).min(column);
            let muscle = 0.60
                + 0.06 * bell(q, at(0.0, 0.0), at(0.3, 0.3))
                + 0.02 * clouds(p.x * 5.0, p.y * 5.0, key);
            let filled = v.max(mix(v, muscle, cover(distance, soft)));
            let trachea = (p.x - 0.015).abs() - 0.042;
            filled - 0.15 * cover(trachea.max(p.y + 0.22).max(-1.05 - p.y), air)
        },
    );
}

fn spine(canvas: &mut PhantomCanvas) {
    canvas.paint(
        ShapeBounds {
            low: at(-0.12, -1.2),
            high: at(0.12, 1.3),
        },
        |p, v| {
            let level = (p.y + 2.0) / 0.135;
            let phase = (level - level.floor() - 0.5).abs();
            let bone = cover(p.x.abs() - 0.075, 0.02);
            v + bone * (0.035 + 0.045 * cover(phase - 0.38, 0.06))
        },
    );
}

/// Draws the ribs, back and front, and the clavicles.
fn cage(canvas: &mut PhantomCanvas, build: &ChestAnatomy, rng: &mut PhantomRng) {
    let drop = rng.between(0.16, 0.26);
    let bow = rng.between(0.10, 0.16);
    for side in [-1.0, 1.0] {
        for index in 0..10_u8 {
            let y = -0.80 + 0.128 * f32::from(index);
            let wall = mix(0.46, build.lung + 0.45, ramp(-0.9, -0.2, y + drop));
            let thickness = rng.between(0.021, 0.028);
            let back = Stroke::curve(
                at(side * 0.07, y),
                at(side * wall * 0.62, y - bow),
                at(side * wall, y + drop),
                (thickness, thickness * 0.9),
            );
            rib(canvas, &back, build.ribs);
            if index < 7 {
                let front = Stroke::curve(
                    at(side * wall, y + drop),
                    at(side * wall * 0.92, y + drop + 0.17),
                    at(side * 0.28, y + drop + 0.24),
                    (thickness, thickness * 1.1),
                );
                rib(canvas, &front, build.ribs * 0.55);
            }
        }
        let rise = rng.between(0.03, 0.12);
        let clavicle = Stroke::curve(
            at(side * 0.09, -0.62),
            at(side * 0.42, -0.60 - rise * 0.2),
            at(side * 0.84, -0.70 - rise),
            (0.036, 0.028),
        );
        rib(canvas, &clavicle, 0.15);
    }
}

/// A bone seen through: brighter where the ray runs along its cortex.
fn rib(canvas: &mut PhantomCanvas, stroke: &Stroke, amount: f32) {
    let (soft, edge) = (canvas.soft(0.007), canvas.soft(0.010));
    canvas.paint(stroke.bounds(0.03), |p, v| {
        let distance = stroke.distance(p);
        if distance > 0.02 + soft {
            return v;
        }
        let rim = cover((distance + 0.008).abs() - 0.004, edge);
        v + amount * (0.75 * cover(distance, soft) + 0.5 * rim)
    });
}

/// Patchy consolidation: blurred, uneven, wide.
fn haze(canvas: &mut PhantomCanvas, build: &ChestAnatomy, rng: &mut PhantomRng) -> Vec<Finding> {
    let mut findings = Vec::new();
    let first = rng.sign();
    for patch in 0..=rng.below(3) {
        let side = if patch == 1 { -first } else { first };
        let center = at(side * rng.between(0.40, 0.54), rng.between(-0.32, 0.30));
        let r = at(rng.between(0.22, 0.34), rng.between(0.24, 0.40));
        let (strength, key) = (rng.between(0.75, 1.0), rng.bits());
        canvas.paint(ShapeBounds::around(center, r.x * 1.6, r.y * 1.6), |p, v| {
            let wide = bell(p, center, r);
            if wide <= 0.0 {
                return v;
            }
            let patchy = ramp(
                -0.75,
                0.35,
                clouds(p.x * 6.0, p.y * 6.0, key) + 1.2 * wide - 0.45,
            );
            let share = strength
                * ramp(0.0, 0.45, wide)
                * (0.25 + 0.65 * patchy)
                * in_lungs(p, build, 0.02);
            v.max(mix(v, 0.58, share))
        });
        findings.push(canvas.locate(center, 0.5 * (r.x + r.y)));
    }
    findings
}

/// A round mass with a sharp, slightly lobed edge.
fn mass(canvas: &mut PhantomCanvas, build: &ChestAnatomy, rng: &mut PhantomRng) -> Finding {
    let side = rng.sign();
    let radius = rng.between(0.085, 0.155);
    let center = at(side * rng.between(0.38, 0.52), rng.between(-0.42, 0.26));
    let r = at(
        radius * rng.between(0.9, 1.1),
        radius * rng.between(0.9, 1.1),
    );
    let (amount, key) = (rng.between(0.80, 0.95), rng.bits());
    let soft = canvas.soft(0.014);
    canvas.paint(
        ShapeBounds::around(center, radius * 1.5, radius * 1.5),
        |p, v| {
            let lobes = 0.12 * radius * texture(p.x * 14.0, p.y * 14.0, key);
            let share = amount * cover(ellipse(p, center, r) + lobes, soft);
            let inner = 0.62 + 0.10 * bell(p, center, r);
            v.max(mix(
                v,
                inner,
                share * (0.6 + 0.4 * in_lungs(p, build, 0.02)),
            ))
        },
    );
    canvas.locate(center, radius)
}

/// Draws the lead letter L that technicians lay on the cassette.
fn side_mark(canvas: &mut PhantomCanvas, rng: &mut PhantomRng) {
    if !rng.chance(0.6) {
        return;
    }
    let corner = at(0.84, -0.90);
    let stem = Stroke::curve(
        corner,
        at(corner.x, corner.y + 0.06),
        at(corner.x, corner.y + 0.12),
        (0.012, 0.012),
    );
    let foot = Stroke::curve(
        at(corner.x, corner.y + 0.12),
        at(corner.x + 0.03, corner.y + 0.12),
        at(corner.x + 0.06, corner.y + 0.12),
        (0.012, 0.012),
    );
    let soft = canvas.soft(0.004);
    canvas.paint(
        ShapeBounds::around(at(corner.x + 0.03, corner.y + 0.06), 0.12, 0.12),
        |p, v| mix(v, 0.95, cover(stem.distance(p).min(foot.distance(p)), soft)),
    );
}
