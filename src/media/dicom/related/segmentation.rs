//! Segmentations (PS3.3 A.51 and A.90): which pixels belong to which segment.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::plane::ImagePlane;
use super::values::{ImageReferences, charset, default_color, lab, text};
use crate::Warnings;
use crate::budget::{self, WaitPolicy};
use crate::dicom::geometry;
use crate::dicom::object::DicomObject;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::samples::from_cells;
use crate::error::{MediaError, malformed};
use crate::related::{Layers, Legend, TargetFrame, Tint, Wording};

/// Largest number of segmentation frames drawn on one image.
const MAX_FRAMES: usize = 1024;
/// Largest number of pixels decoded for one image: a few seconds of work.
const MAX_PIXELS: usize = 1 << 29;
/// Half the slice thickness of a frame that gives none, in millimetres.
const DEFAULT_HALF_THICKNESS: f64 = 0.05;
/// Largest distance between the pixels of equal grids, in pixels.
const GRID_TOLERANCE: f64 = 0.05;

/// What pixel values mean (Segmentation Type (0062,0001)).
#[derive(Clone, Copy, Debug, PartialEq)]
enum SegmentationType {
    /// One segment per frame; 1 where it is.
    Binary,
    /// One segment per frame; the value is its coverage, up to this maximum.
    Fractional(f64),
    /// All segments in each frame; the value is the segment number, 0 for none.
    Labels,
}

/// A segment.
struct Segment {
    number: u32,
    name: Wording,
    color: [u8; 3],
}

/// What a frame of the segmentation shows: its segment, source images and position.
struct SegmentFrame {
    segment: u32,
    sources: ImageReferences,
    plane: Option<ImagePlane>,
    thickness: Option<f64>,
}

/// A frame that is to be drawn on an image.
struct FrameMatch {
    frame: u32,
    segment: u32,
    distance: f64,
    /// The frame's plane and the image's; `None` if their grids are the same.
    planes: Option<(ImagePlane, ImagePlane)>,
}

/// Reasons for which frames are not drawn on an image.
#[derive(Default)]
struct Misfits {
    across: bool,
    grid: bool,
    off: bool,
}

/// A segmentation object.
pub(crate) struct Segmentation {
    object: DicomObject,
    coding: SegmentationType,
    segments: Vec<Segment>,
    frames: Vec<SegmentFrame>,
    frame_of_reference: String,
}

impl Segmentation {
    pub(super) fn read(object: DicomObject) -> Result<Self, MediaError> {
        let set = object.set();
        let coding = match set.first(tags::SEGMENTATION_TYPE).as_deref() {
            Some("BINARY") => SegmentationType::Binary,
            Some("LABELMAP") => SegmentationType::Labels,
            Some("FRACTIONAL") => {
                let largest = set.short(tags::MAXIMUM_FRACTIONAL_VALUE);
                SegmentationType::Fractional(f64::from(largest.unwrap_or(255).max(1)))
            }
            _ => {
                return Err(malformed(
                    "DICOM: a segmentation that does not say its type",
                ));
            }
        };
        let (segments, frames) = (segments(set), segment_frames(&object));
        let frame_of_reference = super::values::uid(set, tags::FRAME_OF_REFERENCE_UID);
        Ok(Self {
            object,
            coding,
            segments,
            frames,
            frame_of_reference,
        })
    }

    /// The segments on a frame of an image.
    pub(super) fn layers(&self, target: &TargetFrame) -> Layers {
        if self
            .object
            .set()
            .get(tags::TOTAL_PIXEL_MATRIX_COLUMNS)
            .is_some()
        {
            return Layers {
                remarks: vec!["it belongs to a whole-slide image and is not drawn".to_owned()],
                ..Layers::default()
            };
        }
        let mut misfits = Misfits::default();
        let mut matches = self.matches(target, &mut misfits);
        let mut layers = Layers::default();
        if matches.is_empty() {
            layers.remarks.extend(misfits.remark());
            return layers;
        }
        let pixels = self.object.layout().pixels().max(1);
        let limit = MAX_FRAMES.min(MAX_PIXELS / pixels).max(1);
        if matches.len() > limit {
            matches.truncate(limit);
            let remark = format!("more than {limit} frames lie on this image; the first are drawn");
            layers.remarks.push(remark);
        }
        let (mut canvas, mut warnings) = (TintCanvas::new(target), Warnings::default());
        for found in &matches {
            if self.paint(found, &mut canvas, &mut warnings).is_err() {
                layers
                    .remarks
                    .push("one of its frames cannot be decoded".to_owned());
            }
        }
        layers.remarks.extend(warnings.iter().cloned());
        layers.legend = self.legend(&canvas);
        layers.tint = Some(canvas.tint);
        layers
    }

    fn legend(&self, canvas: &TintCanvas) -> Vec<Legend> {
        let entry = |number: &u32| {
            let named = self.segments.iter().find(|s| s.number == *number);
            Legend {
                color: self.color(*number),
                number: *number,
                name: named.map_or_else(Wording::default, |s| s.name.clone()),
            }
        };
        canvas.seen.iter().map(entry).collect()
    }

    fn color(&self, number: u32) -> [u8; 3] {
        let known = self.segments.iter().find(|s| s.number == number);
        known.map_or_else(|| default_color(number), |s| s.color)
    }

    /// The frames that lie on an image: those that name it as their source, else those at its position. Of each
    /// segment, only the nearest.
    fn matches(&self, target: &TargetFrame, misfits: &mut Misfits) -> Vec<FrameMatch> {
        let space = &target.frame_of_reference;
        let same_space = !space.is_empty() && *space == self.frame_of_reference;
        // Positions are only compared within one Frame of Reference; if one of the two gives none, a reference to the
        // image is enough.
        let differ = !same_space && !space.is_empty() && !self.frame_of_reference.is_empty();
        let plane = ImagePlane::from_geometry(&target.geometry).filter(|_| !differ);
        let number = |(segment_frame, frame): (&SegmentFrame, u32)| {
            let named = segment_frame.sources.include(target);
            (named || same_space)
                .then(|| self.fit(segment_frame, frame, named, plane, target, misfits))
                .flatten()
        };
        let mut found: Vec<FrameMatch> = self.frames.iter().zip(0..).filter_map(number).collect();
        found.sort_by(|a, b| {
            (a.segment.cmp(&b.segment)).then_with(|| a.distance.total_cmp(&b.distance))
        });
        let mut nearest = (0, f64::NAN);
        found.retain(|m| {
            if nearest.0 != m.segment || nearest.1.is_nan() {
                nearest = (m.segment, m.distance);
            }
            m.distance - nearest.1 < 1e-3
        });
        found
    }

    /// Matches a frame to an image; `None` if it does not lie on it.
    fn fit(
        &self,
        segment_frame: &SegmentFrame,
        frame: u32,
        named: bool,
        plane: Option<ImagePlane>,
        target: &TargetFrame,
        misfits: &mut Misfits,
    ) -> Option<FrameMatch> {
        let found = |distance, planes| {
            Some(FrameMatch {
                frame,
                segment: segment_frame.segment,
                distance,
                planes,
            })
        };
        let layout = self.object.layout();
        let same_size = (layout.columns, layout.rows) == (target.width, target.height);
        let Some((own, image)) = segment_frame.plane.zip(plane) else {
            // The position of one of the two is unknown: they match pixel by pixel if they have the same size and the
            // frame is named.
            let fits = same_size && segment_frame.sources.include_explicitly(target);
            misfits.grid |= named && !fits;
            return (named && fits).then(|| found(0.0, None)).flatten();
        };
        if !own.is_parallel(&image) {
            misfits.across |= named;
            return None;
        }
        let distance = own.distance_of(&image).abs();
        let thickness = if named {
            [segment_frame.thickness, target.thickness]
                .into_iter()
                .flatten()
                .reduce(f64::max)
        } else {
            segment_frame.thickness
        };
        let half = thickness.map_or(DEFAULT_HALF_THICKNESS, |thickness| thickness / 2.0) + 1e-3;
        if distance > half {
            misfits.off |= named;
            return None;
        }
        let same = same_size && is_same_grid(&own, &image, target);
        found(distance, (!same).then_some((own, image)))
    }

    /// Draws a frame onto the canvas.
    fn paint(
        &self,
        found: &FrameMatch,
        canvas: &mut TintCanvas,
        warnings: &mut Warnings,
    ) -> Result<(), MediaError> {
        let cost = self.object.cost(found.frame)?;
        let _reserved = budget::decoding().reserve(cost, WaitPolicy::default())?;
        let (cells, layout) = self.object.cells(found.frame, warnings)?;
        let samples = from_cells(cells, &layout);
        let (columns, rows) = (layout.columns as usize, layout.rows as usize);
        let value = |x: usize, y: usize| samples.get(y * columns + x).unwrap_or(0.0);
        let covered = |value: f64| match self.coding {
            SegmentationType::Binary | SegmentationType::Labels => (value != 0.0).then_some(255),
            SegmentationType::Fractional(most) => {
                let share = (value / most * 255.0).round().clamp(0.0, 255.0) as u8;
                (share > 0).then_some(share)
            }
        };
        // Neighbouring pixels mostly belong to the same segment.
        let mut last = None;
        let mut put = |canvas: &mut TintCanvas, at: usize, value: f64| {
            if let Some(share) = covered(value) {
                let number = match self.coding {
                    SegmentationType::Labels => value as u32,
                    _ => found.segment,
                };
                let color = match last {
                    Some((known, color)) if known == number => color,
                    _ => self.color(number),
                };
                if last
                    .replace((number, color))
                    .is_none_or(|(known, _)| known != number)
                {
                    canvas.seen.insert(number);
                }
                canvas.blend(at, color, share);
            }
        };
        let (width, height) = (canvas.tint.width as usize, canvas.tint.height as usize);
        let Some((own, image)) = &found.planes else {
            for at in 0..width * height {
                put(canvas, at, value(at % width, at / width));
            }
            return Ok(());
        };
        // For each pixel of the image, the nearest one of the frame.
        for at in 0..width * height {
            let middle = [(at % width) as f64 + 0.5, (at / width) as f64 + 0.5];
            let [x, y] = own.pixel(image.point(middle));
            let inside = x >= 0.0 && y >= 0.0 && x < columns as f64 && y < rows as f64;
            if inside {
                put(canvas, at, value(x as usize, y as usize));
            }
        }
        Ok(())
    }
}

impl Misfits {
    fn remark(&self) -> Option<String> {
        let remark = if self.across {
            "it is not parallel to this image and is not drawn"
        } else if self.grid {
            "its position on this image is not given, and it is not drawn"
        } else if self.off {
            "its frames for this image lie outside its plane and are not drawn"
        } else {
            return None;
        };
        Some(remark.to_owned())
    }
}

/// Whether the pixels of two planes coincide, seen along the normal.
fn is_same_grid(own: &ImagePlane, image: &ImagePlane, target: &TargetFrame) -> bool {
    let (right, bottom) = (
        f64::from(target.width) - 0.5,
        f64::from(target.height) - 0.5,
    );
    [[0.5, 0.5], [right, 0.5], [0.5, bottom]]
        .iter()
        .all(|corner| {
            let [x, y] = own.pixel(image.point(*corner));
            (x - corner[0]).abs() <= GRID_TOLERANCE && (y - corner[1]).abs() <= GRID_TOLERANCE
        })
}

/// The colours drawn so far.
struct TintCanvas {
    tint: Tint,
    /// Numbers of the segments drawn, in ascending order.
    seen: std::collections::BTreeSet<u32>,
}

impl TintCanvas {
    fn new(target: &TargetFrame) -> Self {
        Self {
            tint: Tint {
                width: target.width,
                height: target.height,
                rgba: vec![0; target.width as usize * target.height as usize * 4],
            },
            seen: std::collections::BTreeSet::new(),
        }
    }

    /// Draws a colour on a pixel. The colours of overlapping segments are mixed in proportion to their coverage.
    fn blend(&mut self, at: usize, color: [u8; 3], share: u8) {
        let Some(pixel) = self.tint.rgba.get_mut(at * 4..at * 4 + 4) else {
            return;
        };
        let (before, new) = (u32::from(pixel[3]), u32::from(share));
        for (old, color) in pixel.iter_mut().zip(color) {
            let mixed = u32::from(*old) * before + u32::from(color) * new;
            *old = (mixed / (before + new)) as u8;
        }
        pixel[3] = pixel[3].max(share);
    }
}

/// Reads the Segment Sequence (C.8.20.4).
fn segments(set: &DataSet) -> Vec<Segment> {
    let charset = charset(set);
    let items = set.items(tags::SEGMENT_SEQUENCE);
    let read = |item: &DataSet| {
        let number = u32::from(item.short(tags::SEGMENT_NUMBER)?);
        Some(Segment {
            number,
            name: Wording {
                text: text(item, tags::SEGMENT_LABEL, VR::LO, charset),
                identifying: false,
            },
            color: lab(item, tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE)
                .unwrap_or_else(|| default_color(number)),
        })
    };
    items.iter().filter_map(read).collect()
}

/// Reads what each frame shows from its functional groups (C.8.20.3).
fn segment_frames(object: &DicomObject) -> Vec<SegmentFrame> {
    let set = object.set();
    let (own, shared) = (
        set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE),
        set.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE),
    );
    let frames = object.layout().frames;
    // A frame without a group of its own has the shared one.
    let none = DataSet::new_empty();
    let count = own.len().max(1).min(frames as usize);
    (0..count as u32)
        .map(|frame| {
            let groups = [
                own.get(frame as usize).unwrap_or(&none),
                shared.first().unwrap_or(&none),
            ];
            let segment = in_groups(groups, tags::SEGMENT_IDENTIFICATION_SEQUENCE, |item| {
                item.short(tags::REFERENCED_SEGMENT_NUMBER).map(u32::from)
            });
            let mut sources = ImageReferences::default();
            for group in groups {
                for derivation in group.items(tags::DERIVATION_IMAGE_SEQUENCE) {
                    sources.add(derivation, tags::SOURCE_IMAGE_SEQUENCE);
                }
            }
            SegmentFrame {
                segment: segment.unwrap_or(0),
                sources,
                plane: ImagePlane::from_geometry(&object.geometry(frame)),
                thickness: geometry::thickness(set, frame),
            }
        })
        .collect()
}

/// Reads from the first group that has the sequence.
fn in_groups<T>(
    groups: [&DataSet; 2],
    sequence: Tag,
    read: impl Fn(&DataSet) -> Option<T>,
) -> Option<T> {
    let mut found = groups
        .iter()
        .filter_map(|group| read(group.items(sequence).first()?));
    found.next()
}
