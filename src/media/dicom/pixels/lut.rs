//! Reads lookup tables from data sets: descriptor and entries (PS3.3 C.11.1.1, C.11.2.1.1 and C.7.6.3.1.5).

use std::cmp::Ordering;

use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;

use crate::Warnings;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt, words};
use crate::grey::lut::Lut;

/// Largest number of entries of a table, which its descriptor writes as zero.
pub(crate) const MAX_ENTRIES: usize = 1 << 16;

/// The descriptor of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    /// Number of entries.
    pub count: usize,
    /// The value that maps to the first entry.
    pub first: i32,
    /// Bits of an entry.
    pub bits: u16,
}

impl Descriptor {
    /// Reads a descriptor; `None` if it is missing or damaged. `signed` says whether looked-up values can be negative.
    pub(crate) fn read(set: &DataSet, tag: Tag, signed: bool) -> Option<Self> {
        let words = set.words(tag)?;
        let [count, first, bits, ..] = words[..] else {
            return None;
        };
        Some(Self {
            count: match count {
                0 => MAX_ENTRIES,
                count => usize::from(count),
            },
            first: if signed {
                i32::from(first as i16)
            } else {
                i32::from(first)
            },
            bits,
        })
    }

    /// The entries in `bytes`, and whether they are packed two a word. If the length does not match the declared bits,
    /// the length decides.
    pub(crate) fn entries(self, bytes: &[u8]) -> (Vec<u16>, bool) {
        let packed = bytes.len() < 2 * self.count
            && (self.bits <= 8 || bytes.len() == self.count.next_multiple_of(2));
        let mut entries: Vec<u16> = if packed {
            bytes.iter().map(|&b| u16::from(b)).collect()
        } else {
            words(bytes)
        };
        entries.truncate(self.count);
        (entries, packed)
    }
}

/// Whether the first value of a sequence item's table is signed. The table is placed where it covers more of the
/// looked-up `values`, a range; only if that makes no difference, the value representation decides: some write US for
/// SS, files without representations are read as US, and dicom-rs reads US as SS if stored values are signed.
fn is_signed(item: &DataSet, values: (f64, f64)) -> Option<bool> {
    let covered = |signed| {
        let descriptor = Descriptor::read(item, tags::LUT_DESCRIPTOR, signed)?;
        let first = f64::from(descriptor.first);
        let last = first + (descriptor.count - 1) as f64;
        Some((values.1.min(last) - values.0.max(first) + 1.0).max(0.0))
    };
    let by_signed = covered(true)?.total_cmp(&covered(false)?);
    Some(
        by_signed.then_with(|| {
            let vr = item.get(tags::LUT_DESCRIPTOR).map(DataElement::vr);
            (vr == Some(VR::SS) || values.0 < 0.0).cmp(&false)
        }) == Ordering::Greater,
    )
}

/// Reads the table of a sequence item, which is looked up with values of a range. `name` is what warnings call it.
/// `None`, with a warning, if it is empty or damaged.
pub(crate) fn read(
    item: &DataSet,
    values: (f64, f64),
    name: &str,
    warnings: &mut Warnings,
) -> Option<Lut> {
    let parts = || {
        let signed = is_signed(item, values)?;
        let descriptor = Descriptor::read(item, tags::LUT_DESCRIPTOR, signed)?;
        let (entries, _) = descriptor.entries(&item.bytes(tags::LUT_DATA)?);
        Some((descriptor, entries))
    };
    let Some((descriptor, entries)) = parts().filter(|(_, entries)| !entries.is_empty()) else {
        warnings.add(format!("The {name} is damaged and ignored."));
        return None;
    };
    if entries.len() < descriptor.count {
        warnings.add(format!(
            "The {name} has fewer entries than its descriptor says; the last one is repeated."
        ));
    }
    Lut::new(descriptor.first, descriptor.bits, entries)
}
