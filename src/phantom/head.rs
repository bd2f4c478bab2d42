//! A transverse section of the head as by magnetic resonance, with or without a tumor.

use super::canvas::{
    PhantomCanvas, Point, Pose, ShapeBounds, Stroke, at, bell, cover, ellipse, mix, ramp,
};
use super::random::{PhantomRng, clouds, texture};
use super::{Phantom, PhantomCondition, Plan};

/// Brightness of the tissues in one MR weighting.
#[derive(Clone, Copy)]
struct Weighting {
    fat: f32,
    grey: f32,
    white: f32,
    fluid: f32,
    oedema: f32,
    rim: f32,
    core: f32,
}

/// T1 with contrast agent, T2, FLAIR.
const WEIGHTINGS: [Weighting; 3] = [
    Weighting {
        fat: 0.82,
        grey: 0.40,
        white: 0.58,
        fluid: 0.10,
        oedema: 0.30,
        rim: 0.97,
        core: 0.16,
    },
    Weighting {
        fat: 0.62,
        grey: 0.50,
        white: 0.34,
        fluid: 0.88,
        oedema: 0.74,
        rim: 0.22,
        core: 0.96,
    },
    Weighting {
        fat: 0.58,
        grey: 0.52,
        white: 0.40,
        fluid: 0.07,
        oedema: 0.78,
        rim: 0.98,
        core: 0.62,
    },
];

/// A tumor.
struct Mass {
    center: Point,
    radius: f32,
    /// The necrotic core's share of the radius.
    core: f32,
    key: u32,
}

/// The dimensions of one head.
struct HeadAnatomy {
    skull: Point,
    scalp: f32,
    bone: f32,
    /// Factor on the ventricles' width.
    ventricles: f32,
    tissue: Weighting,
    horns: [Stroke; 2],
    mass: Option<Mass>,
    /// Width of a pixel's edge.
    soft: f32,
    key: u32,
}

pub(super) fn draw(plan: &Plan, rng: &mut PhantomRng) -> Phantom {
    let mirror = rng.chance(0.5);
    let pose = Pose::random(rng, 0.09, (0.96, 1.08), 0.05, mirror);
    let mut canvas = PhantomCanvas::new(plan.width, plan.height, pose, 0.015);
    let build = build(plan, rng, canvas.soft(0.010));
    canvas.paint(ShapeBounds::around(at(0.0, 0.0), 0.95, 1.1), |p, v| {
        section(p, v, &build)
    });
    let (tone, lift, noise) = (
        rng.between(0.8, 1.25),
        rng.between(0.0, 0.03),
        rng.between(0.006, 0.03),
    );
    // Each section of a series has its own noise.
    let key = rng.bits() ^ (plan.level * 1024.0) as i32 as u32;
    canvas.expose(tone, lift, noise, key);
    let findings = build
        .mass
        .iter()
        .map(|mass| canvas.locate(mass.center, mass.radius))
        .collect();
    Phantom {
        width: canvas.width,
        height: canvas.height,
        values: canvas.values,
        body_part: "HEAD",
        findings,
        side: None,
    }
}

fn build(plan: &Plan, rng: &mut PhantomRng, soft: f32) -> HeadAnatomy {
    let base = rng.pick(&WEIGHTINGS);
    let shade = rng.between(0.92, 1.06);
    // The section is smaller towards the crown and the base.
    let size = 1.0 - 0.10 * plan.level * plan.level;
    let skull = at(
        rng.between(0.66, 0.74) * size,
        rng.between(0.83, 0.90) * size,
    );
    let width = rng.between(0.7, 1.35) * (1.0 - 0.3 * plan.level * plan.level);
    let front = rng.between(0.13, 0.18);
    let back = rng.between(0.16, 0.22);
    let horns = [
        Stroke::curve(
            at(0.045, 0.02),
            at(0.06, -0.2),
            at(front, -0.33),
            (0.035 * width, 0.045 * width),
        ),
        Stroke::curve(
            at(0.045, -0.04),
            at(0.10, 0.18),
            at(back, 0.40),
            (0.040 * width, 0.038 * width),
        ),
    ];
    let (scalp, bone) = (rng.between(0.045, 0.075), rng.between(0.045, 0.075));
    let key = rng.bits();
    let mass = (plan.condition == PhantomCondition::Tumor).then(|| {
        let mut rng = PhantomRng::for_finding(plan.seed);
        let radius = rng.between(0.13, 0.21);
        Mass {
            center: at(rng.between(0.24, 0.34), rng.between(-0.36, 0.40)),
            radius: radius * (1.0 - 0.12 * plan.level * plan.level),
            core: rng.between(0.45, 0.75),
            key: rng.bits(),
        }
    });
    HeadAnatomy {
        skull,
        scalp,
        bone,
        ventricles: width,
        tissue: Weighting {
            grey: base.grey * shade,
            white: base.white * shade,
            ..base
        },
        horns,
        mass,
        soft,
        key,
    }
}

/// The value at a point, composed from the outside in.
fn section(p: Point, background: f32, build: &HeadAnatomy) -> f32 {
    let tissue = &build.tissue;
    // The skull is a little narrower in front.
    let egg = at(p.x * (1.0 - 0.10 * p.y), p.y);
    let outside = ellipse(egg, at(0.0, 0.0), build.skull);
    if outside > 3.0 * build.soft {
        return background;
    }
    let skin = tissue.fat * (0.9 + 0.1 * texture(p.x * 9.0, p.y * 9.0, build.key));
    let mut value = mix(background, skin, cover(outside, build.soft));
    let table = outside + build.scalp;
    value = mix(value, 0.07, cover(table, build.soft));
    let dura = table + build.bone;
    value = mix(value, tissue.fluid * 0.9, cover(dura, build.soft));
    let inside = cover(dura + 0.022, build.soft);
    if inside <= 0.0 {
        return value;
    }
    mix(value, brain(p, dura, build), inside)
}

/// The value at a point of the brain; `dura` is its signed distance to the dura.
fn brain(p: Point, dura: f32, build: &HeadAnatomy) -> f32 {
    let tissue = &build.tissue;
    // Mass effect: the tumor displaces the tissue around it, even across the midline.
    let q = match &build.mass {
        Some(mass) => at(
            p.x + 0.45 * mass.radius * bell(p, mass.center, at(0.42, 0.42)),
            p.y,
        ),
        None => p,
    };
    let folds = clouds(q.x * 7.5, q.y * 7.5, build.key);
    // Grey matter lines the folds. Near the surface, sulci of fluid run where the texture crosses zero.
    let depth = -dura - 0.13 - 0.075 * folds;
    let mut value = mix(tissue.grey, tissue.white, ramp(-0.02, 0.02, depth));
    let sulcus = (texture(q.x * 8.5, q.y * 8.5, build.key ^ 0x33).abs() - 0.10) * 0.12;
    let shallow = 1.0 - ramp(0.05, 0.15, -dura);
    value = mix(value, tissue.fluid, 0.8 * shallow * cover(sulcus, 0.012));
    let half = at(q.x.abs(), q.y);
    let thalamus = ellipse(half, at(0.10, 0.11), at(0.075, 0.11));
    let putamen = ellipse(
        at(half.x - 0.10 * q.y, q.y),
        at(0.26, -0.02),
        at(0.062, 0.155),
    );
    value = mix(
        value,
        tissue.grey,
        0.85 * cover(thalamus.min(putamen), 0.014),
    );
    let fissure = half.x - 0.008 - 0.008 * texture(q.y * 9.0, 0.5, build.key ^ 0x77).abs();
    let long = cover(0.36 - q.y.abs(), 0.03);
    value = mix(
        value,
        tissue.fluid,
        0.85 * long * cover(fissure, build.soft),
    );
    let third = ellipse(half, at(0.0, 0.10), at(0.014 * build.ventricles, 0.10));
    let horn = build
        .horns
        .iter()
        .map(|stroke| stroke.distance(half))
        .fold(third, f32::min);
    value = mix(value, tissue.fluid, cover(horn, build.soft));
    match &build.mass {
        Some(mass) => tumor(p, value, mass, build),
        None => value + 0.02 * folds,
    }
}

/// Draws the tumor over `value`: oedema, rim and core.
fn tumor(p: Point, value: f32, mass: &Mass, build: &HeadAnatomy) -> f32 {
    let d = p.minus(mass.center);
    let lobes = 0.20 * mass.radius * texture(p.x * 9.0, p.y * 9.0, mass.key);
    let distance = d.length() - mass.radius + lobes;
    let swelling = distance - 0.10 + 0.09 * clouds(p.x * 6.0, p.y * 6.0, mass.key ^ 0x5A);
    let mut value = mix(value, build.tissue.oedema, 0.85 * cover(swelling, 0.05));
    value = mix(
        value,
        build.tissue.rim,
        cover(distance, build.soft.max(0.014)),
    );
    let inner = distance + mass.radius * (1.0 - mass.core);
    mix(value, build.tissue.core, cover(inner, build.soft.max(0.02)))
}
