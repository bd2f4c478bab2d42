//! What the dictionary's tags (`dicom_dictionary_std::tags`) lack: elements of repeating groups, groups of tags, and
//! attribute names for use in a sentence.

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags};

/// Elements of the overlay groups 6000, 6002, … (PS3.3 C.9.2).
pub(crate) mod overlay {
    pub(crate) const ROWS: u16 = 0x0010;
    pub(crate) const COLUMNS: u16 = 0x0011;
    pub(crate) const FRAMES: u16 = 0x0015;
    pub(crate) const DESCRIPTION: u16 = 0x0022;
    pub(crate) const TYPE: u16 = 0x0040;
    pub(crate) const ORIGIN: u16 = 0x0050;
    pub(crate) const FIRST: u16 = 0x0051;
    pub(crate) const CELL: u16 = 0x0100;
    pub(crate) const BIT: u16 = 0x0102;
    pub(crate) const ACTIVATION_LAYER: u16 = 0x1001;
    pub(crate) const LABEL: u16 = 0x1500;
    pub(crate) const DATA: u16 = 0x3000;
}

/// The functional groups that describe the type of a frame, for objects whose frames may be coloured: MR, CT, PET,
/// X-ray 3D and ultrasound.
pub(crate) const FRAME_TYPES: [Tag; 5] = [
    tags::MR_IMAGE_FRAME_TYPE_SEQUENCE,
    tags::CT_IMAGE_FRAME_TYPE_SEQUENCE,
    tags::PET_FRAME_TYPE_SEQUENCE,
    tags::X_RAY3_D_FRAME_TYPE_SEQUENCE,
    tags::US_IMAGE_DESCRIPTION_SEQUENCE,
];

/// The name of an attribute in a sentence: `Rescale Slope (0028,1053)`.
pub(crate) fn named(tag: Tag) -> String {
    let number = format!("({:04x},{:04x})", tag.0, tag.1);
    let Some(entry) = StandardDataDictionary.by_tag(tag) else {
        return number;
    };
    let mut name = String::new();
    let mut after_small = false;
    for letter in entry.alias().chars() {
        if after_small && letter.is_uppercase() {
            name.push(' ');
        }
        after_small = letter.is_lowercase();
        name.push(letter);
    }
    for small in [" Of ", " And ", " Per ", " In ", " To "] {
        name = name.replace(small, &small.to_lowercase());
    }
    format!("{name} {number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_named_in_words() {
        assert_eq!(named(tags::RESCALE_SLOPE), "Rescale Slope (0028,1053)");
        assert_eq!(
            named(tags::NUMBER_OF_FRAMES),
            "Number of Frames (0028,0008)"
        );
        assert_eq!(named(Tag(0x0009, 0x0001)), "(0009,0001)");
    }
}
