//! The order of an object's frames by position. The order in which an enhanced object stores them is meaningless
//! (PS3.3 C.7.6.16); the functional groups give the position of each.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use dicom_core::{PrimitiveValue, Tag};
use dicom_dictionary_std::tags;

use crate::dicom::object::DicomObject;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::studies::series::{MIN_PARALLEL_COSINE, SAME_POSITION_MM, dot, normal};

/// Largest number of directions distinguished in an object without Stack IDs. Frames in more directions (a radial
/// acquisition) keep their order of storage.
const MAX_DIRECTIONS: usize = 32;

/// The order of a file's frames by position. Clones share it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameOrder(Option<Arc<FramePermutation>>);

/// A permutation and its inverse.
#[derive(Debug, PartialEq)]
struct FramePermutation {
    /// Frame numbers in the order of storage, by position.
    numbers: Vec<u32>,
    /// Positions, by frame number in the order of storage.
    positions: Vec<u32>,
}

impl FrameOrder {
    /// Makes an order from a permutation of `0..numbers.len()`: stored frame numbers by position.
    pub fn new(numbers: Vec<u32>) -> Self {
        if numbers.is_sorted() {
            return Self::default();
        }
        let mut positions = vec![0; numbers.len()];
        for (position, number) in (0..).zip(&numbers) {
            if let Some(slot) = positions.get_mut(*number as usize) {
                *slot = position;
            }
        }
        Self(Some(Arc::new(FramePermutation { numbers, positions })))
    }

    /// The stored frame numbers by position; empty if frames are stored in that order.
    pub fn numbers(&self) -> &[u32] {
        let order = self.0.as_deref();
        order.map_or(&[], |order| &order.numbers)
    }

    /// Whether frames are stored in the order of their positions, or nothing is known about those.
    pub fn is_stored(&self) -> bool {
        self.0.is_none()
    }

    /// The stored number of the frame at `position`; both count from 0.
    pub fn number(&self, position: u32) -> u32 {
        let order = self.0.as_deref();
        let known = order.and_then(|order| order.numbers.get(position as usize));
        known.copied().unwrap_or(position)
    }

    /// The position of the frame with stored number `number`; both count from 0.
    pub fn position(&self, number: u32) -> u32 {
        let order = self.0.as_deref();
        let known = order.and_then(|order| order.positions.get(number as usize));
        known.copied().unwrap_or(number)
    }
}

/// What a frame says about its position.
#[derive(Clone, Debug, Default, PartialEq)]
struct FramePosition {
    /// Stack ID (0020,9056).
    stack: Option<String>,
    /// Image Position (Patient).
    position: Option<[f64; 3]>,
    /// Image Orientation (Patient).
    orientation: Option<[f64; 6]>,
    /// In-Stack Position Number (0020,9057).
    in_stack: Option<u32>,
    /// Temporal Position Index (0020,9128).
    time: Option<u32>,
    /// Dimension Index Values (0020,9157) of dimensions other than position and stack, in the order of their
    /// declaration.
    indices: Vec<u32>,
}

impl DicomObject {
    /// The order of the frames by position: stack by stack; within a stack by whatever else distinguishes the frames
    /// (time, segment, b-value), then along the normal, like the files of a series.
    pub(crate) fn frame_order(&self) -> FrameOrder {
        let (set, frames) = (self.set(), self.layout().frames as usize);
        let groups = set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
        if frames < 2 || groups.len() < frames {
            return FrameOrder::default();
        }
        let shared = set.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let other_dimensions = non_spatial_dimensions(set);
        let common = shared.first().map_or_else(FramePosition::default, |group| {
            read(group, &other_dimensions, &FramePosition::default())
        });
        let positions: Vec<FramePosition> = groups
            .iter()
            .take(frames)
            .map(|group| read(group, &other_dimensions, &common))
            .collect();
        arrange(&positions).map_or_else(FrameOrder::default, FrameOrder::new)
    }
}

/// Reads a functional group; `common` fills in what it does not say itself.
fn read(group: &DataSet, dimensions: &[usize], common: &FramePosition) -> FramePosition {
    let position = group.items(tags::PLANE_POSITION_SEQUENCE);
    let orientation = group.items(tags::PLANE_ORIENTATION_SEQUENCE);
    let content = group.items(tags::FRAME_CONTENT_SEQUENCE);
    let content = content.first();
    let number = |tag| content.and_then(|set| longs(set, tag).first().copied());
    let indices = content.map_or_else(Vec::new, |set| longs(set, tags::DIMENSION_INDEX_VALUES));
    FramePosition {
        stack: content
            .and_then(|set| set.first(tags::STACK_ID))
            .or_else(|| common.stack.clone()),
        position: position
            .first()
            .and_then(|set| set.decimals(tags::IMAGE_POSITION_PATIENT).try_into().ok())
            .or(common.position),
        orientation: orientation
            .first()
            .and_then(|set| {
                set.decimals(tags::IMAGE_ORIENTATION_PATIENT)
                    .try_into()
                    .ok()
            })
            .or(common.orientation),
        in_stack: number(tags::IN_STACK_POSITION_NUMBER).or(common.in_stack),
        time: number(tags::TEMPORAL_POSITION_INDEX).or(common.time),
        indices: dimensions
            .iter()
            .filter_map(|at| indices.get(*at).copied())
            .collect(),
    }
}

/// Indices of the dimensions in the Dimension Index Sequence (0020,9222) that give neither the position of a frame nor
/// its stack.
fn non_spatial_dimensions(set: &DataSet) -> Vec<usize> {
    const SPATIAL: [Tag; 13] = [
        tags::STACK_ID,
        tags::IN_STACK_POSITION_NUMBER,
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PLANE_POSITION_SEQUENCE,
        tags::PLANE_ORIENTATION_SEQUENCE,
        tags::SLICE_LOCATION,
        tags::IMAGE_POSITION_VOLUME,
        tags::COLUMN_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX,
        tags::ROW_POSITION_IN_TOTAL_IMAGE_PIXEL_MATRIX,
        tags::X_OFFSET_IN_SLIDE_COORDINATE_SYSTEM,
        tags::Y_OFFSET_IN_SLIDE_COORDINATE_SYSTEM,
        tags::Z_OFFSET_IN_SLIDE_COORDINATE_SYSTEM,
    ];
    let pointer = |item: &DataSet| {
        let value = item.get(tags::DIMENSION_INDEX_POINTER)?.value();
        match value.primitive()? {
            PrimitiveValue::Tags(all) => all.first().copied(),
            _ => None,
        }
    };
    let sequence = set.items(tags::DIMENSION_INDEX_SEQUENCE);
    let all = sequence.iter().map(pointer).enumerate();
    all.filter(|(_, pointer)| pointer.is_some_and(|tag| !SPATIAL.contains(&tag)))
        .map(|(at, _)| at)
        .collect()
}

/// The 32-bit numbers (UL) of an element.
fn longs(set: &DataSet, tag: Tag) -> Vec<u32> {
    let bytes = set.bytes(tag).unwrap_or_default();
    let numbers = bytes.chunks_exact(4).map(<[u8; 4]>::try_from);
    numbers.flatten().map(u32::from_le_bytes).collect()
}

/// Sorts frames: stored numbers by position; `None` if the frames say nothing about it.
fn arrange(positions: &[FramePosition]) -> Option<Vec<u32>> {
    let mut stacks: BTreeMap<(u64, usize, &str), Vec<usize>> = BTreeMap::new();
    let directions = directions(positions)?;
    for (at, (frame, direction)) in positions.iter().zip(directions).enumerate() {
        let id = frame.stack.as_deref().unwrap_or_default();
        // Numbered stacks are sorted by number, others by name. The direction tells stacks without an ID apart.
        let direction = if id.is_empty() { direction } else { 0 };
        let key = (id.parse().unwrap_or(u64::MAX), direction, id);
        stacks.entry(key).or_default().push(at);
    }
    let mut any_known = false;
    let mut order = Vec::with_capacity(positions.len());
    for members in stacks.into_values() {
        let stack: Vec<&FramePosition> =
            members.iter().filter_map(|at| positions.get(*at)).collect();
        let (keys, known) = sort_keys(&stack);
        any_known |= known;
        let mut keyed: Vec<_> = keys.into_iter().zip(members).collect();
        keyed.sort();
        order.extend(keyed.into_iter().map(|(_, at)| at as u32));
    }
    any_known.then_some(order)
}

/// For each frame the index of its direction, in order of first occurrence; `None` if there are too many.
fn directions(positions: &[FramePosition]) -> Option<Vec<usize>> {
    let mut normals: Vec<Option<[f64; 3]>> = Vec::new();
    let mut found = Vec::with_capacity(positions.len());
    for position in positions {
        let own = position.orientation.and_then(normal);
        let same = |known: &Option<[f64; 3]>| match (known, own) {
            (Some(a), Some(b)) => dot(*a, b) >= MIN_PARALLEL_COSINE,
            (a, b) => a.is_none() && b.is_none(),
        };
        let at = normals.iter().position(same).unwrap_or_else(|| {
            normals.push(own);
            normals.len() - 1
        });
        if normals.len() > MAX_DIRECTIONS {
            return None;
        }
        found.push(at);
    }
    Some(found)
}

/// The sort keys of the frames of a stack, and whether these come from any positions or times.
fn sort_keys(stack: &[&FramePosition]) -> (Vec<(Vec<u32>, i64)>, bool) {
    let depths = stack_depths(stack).or_else(|| {
        let numbers = stack.iter().map(|frame| frame.in_stack.map(i64::from));
        numbers.collect()
    });
    let distinct = |values: &[i64]| values.iter().collect::<HashSet<_>>().len();
    // Each frame has a position of its own: nothing else matters, such as the time at which the scanner reached it.
    if let Some(depths) = &depths
        && distinct(depths) == stack.len()
    {
        let keys = depths.iter().map(|depth| (Vec::new(), *depth));
        return (keys.collect(), true);
    }
    let times: Option<Vec<u32>> = stack.iter().map(|frame| frame.time).collect();
    let known = depths.is_some() || times.is_some();
    let mut columns: Vec<Vec<u32>> = Vec::new();
    let dimensions = stack.iter().map(|frame| frame.indices.len()).min();
    for dimension in 0..dimensions.unwrap_or(0) {
        let column = stack
            .iter()
            .filter_map(|frame| frame.indices.get(dimension));
        columns.push(column.copied().collect());
    }
    columns.extend(times);
    // An index that is different for every frame does not group them.
    if depths.is_some() {
        columns.retain(|column| {
            let values: HashSet<u32> = column.iter().copied().collect();
            values.len() < stack.len()
        });
    }
    let depths = depths.unwrap_or_else(|| vec![0; stack.len()]);
    let key = |(at, depth): (usize, i64)| {
        let indices = columns.iter().filter_map(|column| column.get(at).copied());
        (indices.collect(), depth)
    };
    (depths.into_iter().enumerate().map(key).collect(), known)
}

/// Position of each frame along the normal, in units of [`SAME_POSITION_MM`]; `None` unless all frames give it and are
/// parallel.
fn stack_depths(stack: &[&FramePosition]) -> Option<Vec<i64>> {
    let across = normal(stack.first()?.orientation?)?;
    stack
        .iter()
        .map(|frame| {
            let parallel = dot(across, normal(frame.orientation?)?) >= MIN_PARALLEL_COSINE;
            parallel
                .then(|| Some((dot(across, frame.position?) / SAME_POSITION_MM).round() as i64))?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    const CORONAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 0.0, -1.0];

    fn at(z: f64) -> FramePosition {
        FramePosition {
            position: Some([-100.0, 4.0, z]),
            orientation: Some(AXIAL),
            ..FramePosition::default()
        }
    }

    /// The stored numbers of a fixture's frames by position.
    fn of(name: &str) -> Vec<u32> {
        let folder = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/media/objects/"
        );
        let source = crate::open(format!("{folder}{name}.dcm").as_ref()).expect("a source");
        let order = source.frame_order();
        (0..source.info().frames)
            .map(|at| order.number(at))
            .collect()
    }

    #[test]
    fn positions_are_read_from_the_functional_groups() {
        assert_eq!(of("enhanced_out_of_order"), [1, 4, 3, 0, 2]);
        assert_eq!(of("enhanced_time_points"), [5, 1, 3, 4, 0, 2]);
        assert_eq!(of("ultrasound_doppler"), [0]);
    }

    #[test]
    fn frames_are_ordered_along_their_normal() {
        let depths = [30.0, 0.0, 40.0, 20.0, 10.0];
        assert_eq!(arrange(&depths.map(at)), Some(vec![1, 4, 3, 0, 2]));
        let order = FrameOrder::new(vec![1, 4, 3, 0, 2]);
        let back: Vec<u32> = (0..5).map(|n| order.position(order.number(n))).collect();
        assert_eq!(back, [0, 1, 2, 3, 4]);
        assert!(FrameOrder::new(vec![0, 1, 2]).is_stored());
    }

    #[test]
    fn stacks_follow_each_other_by_number_then_by_direction() {
        let stack = |id: &str, z| FramePosition {
            stack: Some(id.to_owned()),
            ..at(z)
        };
        let mixed = [
            stack("10", 5.0),
            stack("2", 9.0),
            stack("10", 1.0),
            stack("2", 7.0),
        ];
        assert_eq!(arrange(&mixed), Some(vec![3, 1, 2, 0]));
        let coronal = |y| FramePosition {
            position: Some([0.0, y, 0.0]),
            orientation: Some(CORONAL),
            ..FramePosition::default()
        };
        let scouts = [at(2.0), coronal(8.0), at(1.0), coronal(3.0)];
        // The normal of a coronal plane points to the back.
        assert_eq!(arrange(&scouts), Some(vec![2, 0, 3, 1]));
    }

    #[test]
    fn each_time_point_is_a_stack_of_its_own() {
        let phase = |z, time| FramePosition {
            time: Some(time),
            ..at(z)
        };
        let four = [phase(1.0, 2), phase(1.0, 1), phase(0.0, 2), phase(0.0, 1)];
        assert_eq!(arrange(&four), Some(vec![3, 1, 2, 0]));
        let segment = |z, index| FramePosition {
            indices: vec![index],
            ..at(z)
        };
        let parts = [
            segment(4.0, 2),
            segment(2.0, 1),
            segment(1.0, 2),
            segment(1.0, 1),
        ];
        assert_eq!(arrange(&parts), Some(vec![3, 1, 2, 0]));
    }

    #[test]
    fn an_index_that_differs_in_every_frame_is_ignored() {
        let timed = |z, index| FramePosition {
            indices: vec![index],
            ..at(z)
        };
        let swept = [timed(3.0, 1), timed(1.0, 2), timed(2.0, 3)];
        assert_eq!(arrange(&swept), Some(vec![1, 2, 0]));
        let twice = [timed(3.0, 1), timed(1.0, 2), timed(3.0, 3), timed(1.0, 4)];
        assert_eq!(arrange(&twice), Some(vec![1, 3, 0, 2]));
    }

    #[test]
    fn without_positions_the_number_in_the_stack_decides_then_the_time() {
        let numbered = |n| FramePosition {
            in_stack: Some(n),
            ..FramePosition::default()
        };
        assert_eq!(
            arrange(&[4, 1, 5, 3, 2].map(numbered)),
            Some(vec![1, 4, 3, 0, 2])
        );
        let timed = |n| FramePosition {
            time: Some(n),
            ..FramePosition::default()
        };
        assert_eq!(arrange(&[3, 1, 2].map(timed)), Some(vec![1, 2, 0]));
        assert_eq!(
            arrange(&[FramePosition::default(), FramePosition::default()]),
            None
        );
        let lost = [at(3.0), FramePosition::default(), at(1.0)];
        assert_eq!(
            arrange(&lost),
            Some(vec![2, 0, 1]),
            "a frame without a position comes last"
        );
    }

    #[test]
    fn a_radial_acquisition_keeps_its_stored_order() {
        let turned = |n: u32| {
            let (sin, cos) = (f64::from(n) * 0.02).sin_cos();
            FramePosition {
                position: Some([0.0, 0.0, -f64::from(n)]),
                orientation: Some([cos, sin, 0.0, 0.0, 0.0, -1.0]),
                ..FramePosition::default()
            }
        };
        assert_eq!(arrange(&(0..100).map(turned).collect::<Vec<_>>()), None);
    }
}
