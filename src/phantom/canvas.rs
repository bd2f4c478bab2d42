//! A canvas of real numbers, and the implicit shapes painted on it.
//!
//! Coordinates are anatomical: the largest centred square of the image spans −1 to 1 in both directions (x to the viewer's
//! right, y down), rotated, scaled and shifted by the [`Pose`]. What lies in that square survives a centre crop.

use super::Finding;
use super::random::{PhantomRng, grain};

/// A point or a vector in anatomical units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

pub(super) const fn at(x: f32, y: f32) -> Point {
    Point { x, y }
}

impl Point {
    pub(super) fn length(self) -> f32 {
        (self.x * self.x + self.y * self.y).sqrt()
    }

    pub(super) fn minus(self, other: Point) -> Point {
        at(self.x - other.x, self.y - other.y)
    }

    pub(super) fn dot(self, other: Point) -> f32 {
        self.x * other.x + self.y * other.y
    }
}

/// The subject's position in front of the detector.
#[derive(Clone, Copy)]
pub(super) struct Pose {
    /// Cosine and sine of the rotation.
    rotation: Point,
    scale: f32,
    shift: Point,
    mirror: bool,
}

impl Pose {
    /// A random pose: rotation up to `tilt` (tangent of half the angle), zoom within a range, and shift up to `shift`.
    pub(super) fn random(
        rng: &mut PhantomRng,
        tilt: f32,
        zoom: (f32, f32),
        shift: f32,
        mirror: bool,
    ) -> Self {
        let half = rng.between(-tilt, tilt);
        let norm = 1.0 + half * half;
        Self {
            rotation: at((1.0 - half * half) / norm, 2.0 * half / norm),
            scale: rng.between(zoom.0, zoom.1),
            shift: at(rng.between(-shift, shift), rng.between(-shift, shift)),
            mirror,
        }
    }

    fn to_subject(self, p: Point) -> Point {
        let moved = at(
            (p.x - self.shift.x) / self.scale,
            (p.y - self.shift.y) / self.scale,
        );
        let x = self.rotation.x * moved.x + self.rotation.y * moved.y;
        let y = self.rotation.x * moved.y - self.rotation.y * moved.x;
        at(if self.mirror { -x } else { x }, y)
    }

    fn to_detector(self, p: Point) -> Point {
        let x = if self.mirror { -p.x } else { p.x };
        let rotated = at(
            self.rotation.x * x - self.rotation.y * p.y,
            self.rotation.x * p.y + self.rotation.y * x,
        );
        at(
            rotated.x * self.scale + self.shift.x,
            rotated.y * self.scale + self.shift.y,
        )
    }
}

/// An axis-aligned box around a shape, in anatomical units.
#[derive(Clone, Copy)]
pub(super) struct ShapeBounds {
    pub(super) low: Point,
    pub(super) high: Point,
}

impl ShapeBounds {
    pub(super) const EVERYWHERE: ShapeBounds = ShapeBounds {
        low: at(-9.0, -9.0),
        high: at(9.0, 9.0),
    };

    pub(super) fn around(center: Point, rx: f32, ry: f32) -> ShapeBounds {
        ShapeBounds {
            low: at(center.x - rx, center.y - ry),
            high: at(center.x + rx, center.y + ry),
        }
    }
}

/// The image being drawn: values of 0 (black) to 1 (white), rows from the top.
pub(super) struct PhantomCanvas {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) values: Vec<f32>,
    pose: Pose,
    /// Side of a pixel in anatomical units.
    pixel: f32,
}

impl PhantomCanvas {
    pub(super) fn new(width: u32, height: u32, pose: Pose, background: f32) -> Self {
        let pixel = 2.0 / (width.min(height).max(1) as f32) / pose.scale;
        Self {
            width,
            height,
            values: vec![background; width as usize * height as usize],
            pose,
            pixel,
        }
    }

    /// Half the width of a soft edge: `wanted`, but never sharper than a pixel.
    pub(super) fn soft(&self, wanted: f32) -> f32 {
        wanted.max(0.7 * self.pixel)
    }

    /// Converts a disc from anatomical units to pixels.
    pub(super) fn locate(&self, center: Point, radius: f32) -> Finding {
        let half = self.width.min(self.height) as f32 / 2.0;
        let p = self.pose.to_detector(center);
        Finding {
            x: p.x * half + self.width as f32 / 2.0,
            y: p.y * half + self.height as f32 / 2.0,
            radius: radius * self.pose.scale * half,
        }
    }

    /// Replaces each value within the bounds by `shade(point, value)`.
    pub(super) fn paint(&mut self, bounds: ShapeBounds, shade: impl Fn(Point, f32) -> f32) {
        let half = self.width.min(self.height) as f32 / 2.0;
        let (cx, cy) = (self.width as f32 / 2.0, self.height as f32 / 2.0);
        let corners = [
            bounds.low,
            bounds.high,
            at(bounds.low.x, bounds.high.y),
            at(bounds.high.x, bounds.low.y),
        ]
        .map(|corner| self.pose.to_detector(corner));
        let span = |pick: fn(&Point) -> f32, center: f32, limit: u32| {
            let low = corners.iter().map(pick).fold(f32::INFINITY, f32::min) * half + center - 1.0;
            let high =
                corners.iter().map(pick).fold(f32::NEG_INFINITY, f32::max) * half + center + 1.0;
            (low.max(0.0) as u32, (high.max(0.0) as u32).min(limit))
        };
        let (left, right) = span(|p| p.x, cx, self.width);
        let (top, bottom) = span(|p| p.y, cy, self.height);
        for row in top..bottom {
            let start = row as usize * self.width as usize;
            let y = (row as f32 + 0.5 - cy) / half;
            for column in left..right {
                let value = &mut self.values[start + column as usize];
                let p = self
                    .pose
                    .to_subject(at((column as f32 + 0.5 - cx) / half, y));
                *value = shade(p, *value);
            }
        }
    }

    /// Applies the receptor's exposure and noise: `tone` > 1 darkens the mid-tones, `lift` raises the blacks, `noise` is the
    /// standard deviation. Clamps to 0–1.
    pub(super) fn expose(&mut self, tone: f32, lift: f32, noise: f32, key: u32) {
        let width = self.width;
        for (index, value) in self.values.iter_mut().enumerate() {
            let (x, y) = (index as u32 % width, index as u32 / width);
            let v = value.clamp(0.0, 1.0);
            let toned = v / (v + tone * (1.0 - v));
            *value = (lift + (1.0 - lift) * toned + noise * grain(x, y, key)).clamp(0.0, 1.0);
        }
    }
}

/// Smoothstep: 0 below `low`, 1 above `high`.
pub(super) fn ramp(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The opacity of a shape at a signed distance from its edge: 1 inside, 0 outside, smooth within `soft` of the edge.
pub(super) fn cover(distance: f32, soft: f32) -> f32 {
    1.0 - ramp(-soft, soft, distance)
}

/// Linear interpolation.
pub(super) fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

/// First-order signed distance to an ellipse with half axes `r`.
pub(super) fn ellipse(p: Point, center: Point, r: Point) -> f32 {
    let d = p.minus(center);
    let k = at(d.x / r.x, d.y / r.y).length();
    let gradient = at(d.x / (r.x * r.x), d.y / (r.y * r.y)).length();
    if gradient < 1e-6 {
        -r.x.min(r.y)
    } else {
        k * (k - 1.0) / gradient
    }
}

/// A bell curve: 1 in the centre of an ellipse, about 0.1 at its edge, 0 from 1.5 times its size on.
pub(super) fn bell(p: Point, center: Point, r: Point) -> f32 {
    let d = p.minus(center);
    let k = (d.x * d.x) / (r.x * r.x) + (d.y * d.y) / (r.y * r.y);
    let t = (1.0 - k / 2.25).max(0.0);
    t * t * t * t
}

/// A curved stroke whose thickness changes along it.
pub(super) struct Stroke {
    segments: Vec<StrokeSegment>,
}

/// A straight segment of a stroke, between two discs.
struct StrokeSegment {
    start: Point,
    axis: Point,
    /// 1 divided by the squared length.
    inverse: f32,
    radii: (f32, f32),
}

impl Stroke {
    /// A stroke along a quadratic Bézier curve; `radii` are those at its start and end.
    pub(super) fn curve(start: Point, control: Point, end: Point, radii: (f32, f32)) -> Self {
        const SEGMENTS: u8 = 6;
        let share = |index: u8| f32::from(index) / f32::from(SEGMENTS);
        let point = |t: f32| {
            let (a, b, c) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
            at(
                a * start.x + b * control.x + c * end.x,
                a * start.y + b * control.y + c * end.y,
            )
        };
        let segment = |index: u8| {
            let (from, to) = (share(index), share(index + 1));
            let axis = point(to).minus(point(from));
            StrokeSegment {
                start: point(from),
                axis,
                inverse: 1.0 / axis.dot(axis).max(1e-9),
                radii: (mix(radii.0, radii.1, from), mix(radii.0, radii.1, to)),
            }
        };
        Self {
            segments: (0..SEGMENTS).map(segment).collect(),
        }
    }

    /// Signed distance to the stroke's edge.
    pub(super) fn distance(&self, p: Point) -> f32 {
        let (mut nearest, mut radius) = (f32::INFINITY, 0.0);
        for segment in &self.segments {
            let d = p.minus(segment.start);
            let t = (d.dot(segment.axis) * segment.inverse).clamp(0.0, 1.0);
            let off = at(d.x - t * segment.axis.x, d.y - t * segment.axis.y);
            let squared = off.dot(off);
            if squared < nearest {
                (nearest, radius) = (squared, mix(segment.radii.0, segment.radii.1, t));
            }
        }
        nearest.sqrt() - radius
    }

    /// The bounds of the stroke and a margin around it.
    pub(super) fn bounds(&self, margin: f32) -> ShapeBounds {
        let mut bounds = ShapeBounds {
            low: at(9.0, 9.0),
            high: at(-9.0, -9.0),
        };
        for segment in &self.segments {
            let reach = segment.radii.0.max(segment.radii.1) + margin;
            for p in [
                segment.start,
                at(
                    segment.start.x + segment.axis.x,
                    segment.start.y + segment.axis.y,
                ),
            ] {
                bounds.low = at(bounds.low.x.min(p.x - reach), bounds.low.y.min(p.y - reach));
                bounds.high = at(
                    bounds.high.x.max(p.x + reach),
                    bounds.high.y.max(p.y + reach),
                );
            }
        }
        bounds
    }
}
