//! Text and graphic annotations of presentation states (PS3.3 C.10.5), in the colours of their layers (C.10.7).

use std::collections::HashMap;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::values::{ImageReferences, charset, floats, lab, pair, text};
use crate::dicom::parsing::charset::Charset;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::related::{Annotation, AnnotationShape, Arrangement, TargetFrame};

/// Vertices of a drawn ellipse: no edge is more than a sixth of a pixel away from it, up to 500 pixels across.
const ELLIPSE_VERTICES: u32 = 128;
/// Straight segments between two points of an INTERPOLATED line.
const SEGMENTS_PER_SPAN: u32 = 8;
/// Largest number of points of all graphics on a frame, and of a single one. A file may hold far more than anything
/// sensible has, and the points of a circle become many.
const MAX_POINTS: usize = 1 << 20;
const MAX_POINTS_PER_GRAPHIC: usize = 1 << 16;

/// The annotations of a frame.
pub(super) fn read(
    set: &DataSet,
    target: &TargetFrame,
    arrangement: &Arrangement,
) -> Vec<Annotation> {
    let colors = layer_colors(set);
    let space = AnnotationSpace {
        target,
        arrangement,
    };
    let charset = charset(set);
    let (mut all, mut room) = (Vec::new(), MAX_POINTS);
    for item in set.items(tags::GRAPHIC_ANNOTATION_SEQUENCE) {
        if !ImageReferences::read(item, tags::REFERENCED_IMAGE_SEQUENCE).include_or_empty(target) {
            continue;
        }
        let layer = item.first(tags::GRAPHIC_LAYER).unwrap_or_default();
        let color = colors.get(&layer).copied().flatten();
        let graphics = item.items(tags::GRAPHIC_OBJECT_SEQUENCE);
        let texts = item.items(tags::TEXT_OBJECT_SEQUENCE);
        let shapes = graphics.iter().flat_map(|object| space.graphic(object));
        let texts = texts.iter().flat_map(|object| space.text(object, charset));
        for shape in shapes.chain(texts) {
            room = room.saturating_sub(match &shape {
                AnnotationShape::Line(points) => points.len(),
                _ => 1,
            });
            if room == 0 {
                return all;
            }
            all.push(Annotation { shape, color });
        }
    }
    all
}

/// Recommended display colours of the graphic layers, by name.
fn layer_colors(set: &DataSet) -> HashMap<String, Option<[u8; 3]>> {
    let items = set.items(tags::GRAPHIC_LAYER_SEQUENCE);
    let named = |item: &DataSet| {
        let grey = || {
            let value = item.short(tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_GRAYSCALE_VALUE)?;
            Some([(value >> 8) as u8; 3])
        };
        let color = lab(item, tags::GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE).or_else(grey);
        Some((item.first(tags::GRAPHIC_LAYER)?, color))
    };
    items.iter().filter_map(named).collect()
}

/// Converts annotation units to pixel coordinates.
struct AnnotationSpace<'a> {
    target: &'a TargetFrame,
    arrangement: &'a Arrangement,
}

impl AnnotationSpace<'_> {
    /// Converts a point. PIXEL counts from the outer corner of the first pixel, as shapes do. DISPLAY is a fraction of
    /// the displayed area as seen, after its rotation (C.10.5.1.1). `None` for other units.
    fn to_pixels(&self, units: &str, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        match units {
            "PIXEL" => Some([x, y]),
            "DISPLAY" => {
                let x = if self.arrangement.mirrored {
                    1.0 - x
                } else {
                    x
                };
                let (x, y) = (0..self.arrangement.quarters).fold((x, y), |(x, y), _| (y, 1.0 - x));
                let [left, top, right, bottom] = self.area();
                Some([left + x * (right - left), top + y * (bottom - top)])
            }
            _ => None,
        }
    }

    fn area(&self) -> [f64; 4] {
        let (width, height) = (self.target.width, self.target.height);
        let whole = [0.0, 0.0, f64::from(width), f64::from(height)];
        self.arrangement.area.unwrap_or(whole)
    }

    fn graphic(&self, object: &DataSet) -> Vec<AnnotationShape> {
        let units = object
            .first(tags::GRAPHIC_ANNOTATION_UNITS)
            .unwrap_or_default();
        let numbers = floats(object, tags::GRAPHIC_DATA);
        let points = numbers
            .as_chunks::<2>()
            .0
            .iter()
            .take(MAX_POINTS_PER_GRAPHIC);
        let points: Option<Vec<[f64; 2]>> =
            points.map(|point| self.to_pixels(&units, *point)).collect();
        let points = points.unwrap_or_default();
        let kind = object.first(tags::GRAPHIC_TYPE).unwrap_or_default();
        let aspect = self.target.geometry.aspect;
        match (kind.as_str(), &points[..]) {
            (_, []) => Vec::new(),
            ("POINT", points) => points
                .iter()
                .map(|point| AnnotationShape::Point(*point))
                .collect(),
            ("POLYLINE", _) => vec![AnnotationShape::Line(points)],
            ("INTERPOLATED", points) => vec![AnnotationShape::Line(interpolated(points))],
            ("CIRCLE", [center, rim]) => {
                let radius = (rim[0] - center[0]).hypot((rim[1] - center[1]) * aspect);
                vec![ellipse(*center, [radius, 0.0], [0.0, radius / aspect])]
            }
            ("ELLIPSE", [first, last, third, fourth]) => {
                let center = [0, 1].map(|i| f64::midpoint(first[i], last[i]));
                let major = [0, 1].map(|i| (last[i] - first[i]) / 2.0);
                let minor = [0, 1].map(|i| (fourth[i] - third[i]) / 2.0);
                vec![ellipse(center, major, minor)]
            }
            _ => Vec::new(),
        }
    }

    /// The text in its bounding box or at its anchor, and the line between the two if the anchor is visible.
    fn text(&self, object: &DataSet, charset: Charset) -> Vec<AnnotationShape> {
        let words = text(object, tags::UNFORMATTED_TEXT_VALUE, VR::ST, charset);
        if words.trim().is_empty() {
            return Vec::new();
        }
        let corner =
            |units: Tag, tag: Tag| self.to_pixels(&object.first(units)?, pair(object, tag)?);
        let anchor = corner(tags::ANCHOR_POINT_ANNOTATION_UNITS, tags::ANCHOR_POINT);
        let first = corner(
            tags::BOUNDING_BOX_ANNOTATION_UNITS,
            tags::BOUNDING_BOX_TOP_LEFT_HAND_CORNER,
        );
        let last = corner(
            tags::BOUNDING_BOX_ANNOTATION_UNITS,
            tags::BOUNDING_BOX_BOTTOM_RIGHT_HAND_CORNER,
        );
        // The first corner of a bounding box is its upper left as seen (C.10.5.1.2).
        let Some(at) = first.or(anchor) else {
            return Vec::new();
        };
        let visible = object.first(tags::ANCHOR_POINT_VISIBILITY).as_deref() == Some("Y");
        let line = match (anchor.filter(|_| visible), first, last) {
            (Some(anchor), Some(first), Some(last)) => {
                let near = [0, 1].map(|i| {
                    let (low, high) = (first[i].min(last[i]), first[i].max(last[i]));
                    anchor[i].clamp(low, high)
                });
                Some(AnnotationShape::Line(vec![anchor, near]))
            }
            (Some(anchor), ..) => Some(AnnotationShape::Point(anchor)),
            _ => None,
        };
        line.into_iter()
            .chain([AnnotationShape::Text { text: words, at }])
            .collect()
    }
}

/// An ellipse by its centre and its semi-axes.
fn ellipse(center: [f64; 2], major: [f64; 2], minor: [f64; 2]) -> AnnotationShape {
    let corner = |n: u32| {
        let angle = f64::from(n) * std::f64::consts::TAU / f64::from(ELLIPSE_VERTICES);
        [0, 1].map(|i| center[i] + major[i] * angle.cos() + minor[i] * angle.sin())
    };
    AnnotationShape::Line((0..=ELLIPSE_VERTICES).map(corner).collect())
}

/// A smooth line through points (Catmull and Rom 1974) for INTERPOLATED; the standard does not say which curve.
fn interpolated(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let closed = points.len() > 2 && points.first() == points.last();
    let last = points.len() - 1;
    let at = |i: i64| {
        let i = match i {
            i if i < 0 && closed => last as i64 - 1,
            i if i > last as i64 && closed => 1,
            i => i.clamp(0, last as i64),
        };
        points[i as usize]
    };
    let mut line = vec![points[0]];
    for i in 0..last as i64 {
        let [a, b, c, d] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
        line.extend((1..=SEGMENTS_PER_SPAN).map(|step| {
            let t = f64::from(step) / f64::from(SEGMENTS_PER_SPAN);
            [0, 1].map(|k| {
                let slope = (c[k] - a[k]) * t;
                let bend = (2.0 * a[k] - 5.0 * b[k] + 4.0 * c[k] - d[k]) * t * t;
                let twist = (3.0 * b[k] - a[k] - 3.0 * c[k] + d[k]) * t * t * t;
                b[k] + (slope + bend + twist) / 2.0
            })
        }));
    }
    line
}
