//! Writes a data set in Explicit VR; sequences and items have delimiters instead of lengths (PS3.5 7.1.2 and 7.5).

use dicom_core::{Tag, VR};

use super::elements::{Encoding, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, is_long};

/// A data set being written.
pub(super) struct DataSetWriter {
    bytes: Vec<u8>,
    big_endian: bool,
}

impl DataSetWriter {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            bytes: Vec::new(),
            big_endian: encoding.big_endian,
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Writes an element with its value as stored. A value too long for its representation is written as UN.
    pub(super) fn element(&mut self, tag: Tag, vr: VR, value: &[u8]) {
        let length = value.len() as u32;
        let vr = if is_long(vr) || u16::try_from(length).is_ok() {
            vr
        } else {
            VR::UN
        };
        self.tag(tag);
        self.bytes.extend(vr.to_bytes());
        if is_long(vr) {
            self.bytes.extend([0, 0]);
            self.u32(length);
        } else {
            self.u16(length as u16);
        }
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn begin_sequence(&mut self, tag: Tag) {
        self.tag(tag);
        self.bytes.extend(*b"SQ\0\0");
        self.u32(UNDEFINED);
    }

    pub(super) fn end_sequence(&mut self) {
        self.delimiter(SEQUENCE_END, 0);
    }

    pub(super) fn begin_item(&mut self) {
        self.delimiter(ITEM, UNDEFINED);
    }

    pub(super) fn end_item(&mut self) {
        self.delimiter(ITEM_END, 0);
    }

    fn delimiter(&mut self, tag: Tag, length: u32) {
        self.tag(tag);
        self.u32(length);
    }

    fn tag(&mut self, tag: Tag) {
        self.u16(tag.0);
        self.u16(tag.1);
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        });
    }
}
