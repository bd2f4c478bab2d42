//! Reads the values of related objects: texts, binary reals, CIELab colours, references to images.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::dicom::parsing::charset::Charset;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::tags::values;
use crate::related::TargetFrame;

/// The character set of a data set.
pub(super) fn charset(set: &DataSet) -> Charset {
    let named = set.text(tags::SPECIFIC_CHARACTER_SET);
    named.map_or_else(Charset::default, |name| Charset::parse(&name))
}

/// A text without control characters except line feeds; empty if absent.
pub(super) fn text(set: &DataSet, tag: Tag, vr: VR, charset: Charset) -> String {
    let bytes = set.bytes(tag).unwrap_or_default();
    values::format_value(&bytes, vr, charset).text
}

/// A UID; empty if absent.
pub(super) fn uid(set: &DataSet, tag: Tag) -> String {
    set.first(tag).unwrap_or_default()
}

/// The numbers of a binary real (FL), also if its value representation is wrong, up to the first that is not finite.
pub(super) fn floats(set: &DataSet, tag: Tag) -> Vec<f64> {
    let bytes = set.bytes(tag).unwrap_or_default();
    let float = |b: &[u8; 4]| f64::from(f32::from_le_bytes(*b));
    let all = bytes.as_chunks::<4>().0.iter().map(float);
    all.take_while(|v| v.is_finite()).collect()
}

/// The numbers of a 32-bit integer (SL).
pub(in crate::dicom) fn integers(set: &DataSet, tag: Tag) -> Vec<i32> {
    let bytes = set.bytes(tag).unwrap_or_default();
    let all = bytes.as_chunks::<4>().0.iter();
    all.map(|b| i32::from_le_bytes(*b)).collect()
}

/// A pair of binary reals.
pub(super) fn pair(set: &DataSet, tag: Tag) -> Option<[f64; 2]> {
    match floats(set, tag)[..] {
        [x, y] => Some([x, y]),
        _ => None,
    }
}

/// A colour given as a CIELab value (PS3.3 C.10.7.1.1); `None` if it is absent or invalid.
pub(in crate::dicom) fn lab(set: &DataSet, tag: Tag) -> Option<[u8; 3]> {
    match set.words(tag)?[..] {
        // Objects that mean "none" contain zeros: a* and b* of −128 are not a colour of any display.
        [0, 0, 0] => None,
        [l, a, b] => Some(srgb([l, a, b])),
        _ => None,
    }
}

/// Converts CIELab as encoded in PS3.3 C.10.7.1.1 (L* 0–100, a* and b* −128–127 over 16 bits, white point D50) to
/// sRGB.
fn srgb([l, a, b]: [u16; 3]) -> [u8; 3] {
    let share = |v: u16| f64::from(v) / 65535.0;
    let (l, a, b) = (
        share(l) * 100.0,
        share(a) * 255.0 - 128.0,
        share(b) * 255.0 - 128.0,
    );
    // CIE 15: from L*a*b* to tristimulus values.
    let y = (l + 16.0) / 116.0;
    let linear = |t: f64| {
        if t > 6.0 / 29.0 {
            t.powi(3)
        } else {
            3.0 * (6.0_f64 / 29.0).powi(2) * (t - 4.0 / 29.0)
        }
    };
    let [x, y, z] = [
        0.964_22 * linear(y + a / 500.0),
        linear(y),
        0.825_21 * linear(y - b / 200.0),
    ];
    // IEC 61966-2-1, adapted from D65 to D50 (Bradford).
    [
        3.133_856_1 * x - 1.616_866_7 * y - 0.490_614_6 * z,
        -0.978_768_4 * x + 1.916_141_5 * y + 0.033_454_0 * z,
        0.071_945_3 * x - 0.228_991_4 * y + 1.405_242_7 * z,
    ]
    .map(|v| {
        let v = if v <= 0.003_130_8 {
            12.92 * v
        } else {
            1.055 * v.powf(1.0 / 2.4) - 0.055
        };
        (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
    })
}

/// Colours that the colour-blind can tell apart (Okabe and Ito 2008), for segments and regions without one.
const DEFAULT_COLORS: [[u8; 3]; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
];

/// The colour of the segment or region with this number, from 1, if it has none itself.
pub(super) fn default_color(number: u32) -> [u8; 3] {
    DEFAULT_COLORS[number.saturating_sub(1) as usize % DEFAULT_COLORS.len()]
}

/// Images that a sequence refers to, by SOP Instance UID, each with the referenced frames (from 1); none means all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ImageReferences(Vec<(String, Vec<u32>)>);

impl ImageReferences {
    /// Reads a sequence of references (PS3.3 table 10-3).
    pub(super) fn read(set: &DataSet, sequence: Tag) -> Self {
        let mut images = Self::default();
        images.add(set, sequence);
        images
    }

    /// Adds the references of another sequence.
    pub(super) fn add(&mut self, set: &DataSet, sequence: Tag) {
        let items = set.items(sequence);
        let read = |item: &DataSet| {
            let uid = item.first(tags::REFERENCED_SOP_INSTANCE_UID)?;
            let frames = item.decimals(tags::REFERENCED_FRAME_NUMBER);
            Some((uid, frames.into_iter().map(|frame| frame as u32).collect()))
        };
        self.0.extend(items.iter().filter_map(read));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether they include a frame of an image.
    pub(super) fn include(&self, target: &TargetFrame) -> bool {
        self.0.iter().any(|(uid, frames)| {
            *uid == target.instance
                && (frames.is_empty() || target.frames == 1 || frames.contains(&(target.frame + 1)))
        })
    }

    /// Whether they name the frame itself, not only its image.
    pub(super) fn include_explicitly(&self, target: &TargetFrame) -> bool {
        let exact = |(uid, frames): &(String, Vec<u32>)| {
            *uid == target.instance && (target.frames == 1 || frames.contains(&(target.frame + 1)))
        };
        self.0.iter().any(exact)
    }

    /// Whether they include the frame; an empty list stands for all images.
    pub(super) fn include_or_empty(&self, target: &TargetFrame) -> bool {
        self.is_empty() || self.include(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Bruce Lindbloom's calculator (D50, sRGB, Bradford), each within one.
    #[test]
    fn cielab_converts_to_srgb() {
        let encode = |l: f64, a: f64, b: f64| {
            [l / 100.0, (a + 128.0) / 255.0, (b + 128.0) / 255.0]
                .map(|v| (v * 65535.0).round() as u16)
        };
        for ((l, a, b), expected) in [
            ((100.0, 0.0, 0.0), [255, 255, 255]),
            ((0.0, 0.0, 0.0), [0, 0, 0]),
            ((54.29, 80.81, 69.89), [255, 0, 0]),
            ((87.82, -79.29, 80.99), [0, 255, 0]),
            ((29.57, 68.30, -112.03), [0, 0, 255]),
            ((50.0, 0.0, 0.0), [119, 119, 119]),
        ] {
            let rgb = srgb(encode(l, a, b));
            let near = rgb
                .iter()
                .zip(expected)
                .all(|(v, e): (&u8, u8)| v.abs_diff(e) <= 1);
            assert!(near, "{rgb:?} for {expected:?}");
        }
    }
}
