//! Reads overlay planes (PS3.3 C.9.2, C.9.3), stored on their own or, in old objects, in bits of the pixel cells that
//! the values leave free.

use dicom_core::Tag;

use crate::dicom::attributes::overlay;
use crate::dicom::object::DicomObject;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::pixels::layout::PixelLayout;
use crate::dicom::pixels::native;
use crate::dicom::pixels::samples::Cells;
use crate::error::{MediaError, malformed};
use crate::overlay::{OverlayKind, OverlayPlane};
use crate::{Warnings, clean};

impl DicomObject {
    /// The overlays of a frame. Damaged ones are left out.
    pub(crate) fn overlays(&self, frame: u32) -> Vec<OverlayPlane> {
        groups()
            .filter_map(|group| self.overlay(group, frame).ok().flatten())
            .collect()
    }

    fn overlay(&self, group: u16, frame: u32) -> Result<Option<OverlayPlane>, MediaError> {
        let set = self.set();
        let (Some(height), Some(width)) = (
            set.short(Tag(group, overlay::ROWS)),
            set.short(Tag(group, overlay::COLUMNS)),
        ) else {
            return Ok(None);
        };
        let count = usize::from(height) * usize::from(width);
        let bits = match set.bytes(Tag(group, overlay::DATA)) {
            Some(bytes) => match plane_of_frame(set, group, frame) {
                Some(plane) => plane_bits(&bytes, plane, count)?,
                None => return Ok(None),
            },
            None => self.embedded(group, frame, count)?,
        };
        let text = |tag| set.text(Tag(group, tag)).map(|text| clean(&text));
        let [top, left] = origin(set, group);
        Ok(Some(OverlayPlane {
            group,
            kind: match set.first(Tag(group, overlay::TYPE)).as_deref() {
                Some("R") => OverlayKind::Region,
                _ => OverlayKind::Graphics,
            },
            label: text(overlay::LABEL),
            description: text(overlay::DESCRIPTION),
            width: u32::from(width),
            height: u32::from(height),
            // Overlay Origin counts rows and columns from 1.
            left: i32::from(left) - 1,
            top: i32::from(top) - 1,
            bits,
        }))
    }

    /// The bits of an overlay that lies in the pixel cells: beside the values, or in a bit of them if it says so.
    fn embedded(&self, group: u16, frame: u32, count: usize) -> Result<Vec<u8>, MediaError> {
        let (set, layout) = (self.set(), self.layout());
        let bit = set
            .short(Tag(group, overlay::BIT))
            .filter(|bit| *bit < layout.allocated)
            .ok_or_else(|| malformed("DICOM: an overlay without data"))?;
        if layout.samples != 1 || count != layout.pixels() {
            return Err(malformed(
                "DICOM: an overlay in the pixel cells is of another size than the pixels",
            ));
        }
        if is_in_values(bit, layout) && !is_in_cells(set, group, layout) {
            return Err(malformed("DICOM: an overlay without data"));
        }
        let (cells, _) = self.cells(frame, &mut Warnings::default())?;
        let drawn: Vec<bool> = match cells {
            Cells::U8(cells) => cells.iter().map(|c| c >> bit & 1 == 1).collect(),
            Cells::U16(cells) => cells.iter().map(|c| c >> bit & 1 == 1).collect(),
            Cells::U32(cells) => cells.iter().map(|c| c >> bit & 1 == 1).collect(),
            Cells::F64(_) => return Err(malformed("DICOM: an overlay in floats")),
        };
        Ok(packed(drawn.into_iter()))
    }
}

/// Warns of overlays that are not drawn, and of those whose bits are also part of the values.
pub(crate) fn check(set: &DataSet, layout: &PixelLayout, warnings: &mut Warnings) {
    for group in groups() {
        let (Some(rows), Some(columns)) = (
            set.short(Tag(group, overlay::ROWS)),
            set.short(Tag(group, overlay::COLUMNS)),
        ) else {
            continue;
        };
        if let Some(bytes) = set.bytes(Tag(group, overlay::DATA)) {
            if bytes.len() * 8 < usize::from(rows) * usize::from(columns) {
                warnings.add(format!("Overlay {group:04x} is cut off and not drawn."));
            }
            continue;
        }
        match set.short(Tag(group, overlay::BIT)) {
            Some(bit) if is_in_values(bit, layout) && is_in_cells(set, group, layout) => {
                warnings.add(format!(
                    "Overlay {group:04x} lies in bit {bit}, which is also part of the values."
                ));
            }
            Some(bit) if bit < layout.allocated && !is_in_values(bit, layout) => {}
            _ => warnings.add(format!("Overlay {group:04x} has no data and is not drawn.")),
        }
    }
}

/// The repeating groups of overlays.
fn groups() -> impl Iterator<Item = u16> {
    (0..16).map(|n| 0x6000 + 2 * n)
}

fn is_in_values(bit: u16, layout: &PixelLayout) -> bool {
    (layout.high_bit + 1 - layout.stored..=layout.high_bit).contains(&bit)
}

/// Whether an overlay claims to share the pixel cells. Overlay Bits Allocated (60xx,0100) is 1 for an overlay with
/// data of its own, or whose data were lost (C.9.2).
fn is_in_cells(set: &DataSet, group: u16, layout: &PixelLayout) -> bool {
    set.short(Tag(group, overlay::CELL))
        .is_some_and(|bits| bits > 1 && bits == layout.allocated)
}

/// Index of the overlay's plane for a frame: planes start at Image Frame Origin (C.9.3); a single plane applies to all
/// frames unless it names one.
fn plane_of_frame(set: &DataSet, group: u16, frame: u32) -> Option<usize> {
    let origin = set
        .short(Tag(group, overlay::FIRST))
        .map(|f| u32::from(f.max(1)) - 1);
    let planes = set.decimal(Tag(group, overlay::FRAMES)).map(|n| n as u32);
    match (planes, origin) {
        (None | Some(0 | 1), None) => Some(0),
        (planes, origin) => {
            let plane = frame.checked_sub(origin.unwrap_or(0))?;
            (plane < planes.unwrap_or(1).max(1)).then_some(plane as usize)
        }
    }
}

/// The bits of one plane of several, which follow each other without a gap.
fn plane_bits(bytes: &[u8], plane: usize, count: usize) -> Result<Vec<u8>, MediaError> {
    let cut = || malformed("DICOM: an overlay is cut off");
    let first = plane.checked_mul(count).ok_or_else(cut)?;
    let end = first.checked_add(count).ok_or_else(cut)?;
    if end.div_ceil(8) > bytes.len() {
        return Err(cut());
    }
    if first.is_multiple_of(8) {
        return Ok(bytes[first / 8..end.div_ceil(8)].to_vec());
    }
    let drawn = native::bits(bytes, first, count);
    Ok(packed(drawn.into_iter().map(|bit| bit == 1)))
}

/// Packs eight pixels a byte, the first in the lowest bit.
fn packed(drawn: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, on) in drawn.enumerate() {
        if at % 8 == 0 {
            bytes.push(0);
        }
        if let Some(byte) = bytes.last_mut() {
            *byte |= u8::from(on) << (at % 8);
        }
    }
    bytes
}

/// Overlay Origin (60xx,0050): row and column.
fn origin(set: &DataSet, group: u16) -> [i16; 2] {
    let words = set.words(Tag(group, overlay::ORIGIN));
    match words.as_deref() {
        Some([row, column, ..]) => [*row as i16, *column as i16],
        _ => [1, 1],
    }
}
