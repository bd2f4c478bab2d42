//! Builds DICOM objects byte by byte.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::decode;
use crate::{DecodeOptions, Frame, ImageInfo, ImageSource, MediaError, Picture, Pixels, Window};

/// Builds an object in Explicit VR Little Endian.
#[derive(Clone, Default)]
pub(super) struct ObjectBuilder {
    pub(super) bytes: Vec<u8>,
}

impl ObjectBuilder {
    pub(super) fn element(mut self, tag: Tag, vr: [u8; 2], value: &[u8]) -> Self {
        self.bytes.extend(tag.0.to_le_bytes());
        self.bytes.extend(tag.1.to_le_bytes());
        self.bytes.extend(vr);
        if matches!(&vr, b"OB" | b"OW" | b"SQ" | b"OF" | b"OD" | b"UN") {
            self.bytes.extend([0, 0]);
            self.bytes.extend((value.len() as u32).to_le_bytes());
        } else {
            self.bytes.extend((value.len() as u16).to_le_bytes());
        }
        self.bytes.extend(value);
        self
    }

    /// Adds the elements of another object.
    pub(super) fn appended(mut self, other: &ObjectBuilder) -> Self {
        self.bytes.extend(&other.bytes);
        self
    }

    pub(super) fn text(self, tag: Tag, vr: [u8; 2], text: &str) -> Self {
        self.element(tag, vr, text.as_bytes())
    }

    pub(super) fn short(self, tag: Tag, value: u16) -> Self {
        self.element(tag, *b"US", &value.to_le_bytes())
    }

    /// Adds a sequence of one item.
    pub(super) fn item(self, tag: Tag, item: &ObjectBuilder) -> Self {
        let mut value = vec![0xfe, 0xff, 0x00, 0xe0];
        value.extend((item.bytes.len() as u32).to_le_bytes());
        value.extend(&item.bytes);
        self.element(tag, *b"SQ", &value)
    }

    /// Starts an object with the Image Pixel module of 16-bit grey.
    pub(super) fn grey16(rows: u16, columns: u16, photometric: &str, signed: bool) -> Self {
        Self::grey(rows, columns, photometric, (16, 16), signed)
    }

    /// Starts an object with the Image Pixel module of grey, by Bits Allocated and Bits Stored.
    pub(super) fn grey(
        rows: u16,
        columns: u16,
        photometric: &str,
        (allocated, stored): (u16, u16),
        signed: bool,
    ) -> Self {
        Self::default()
            .text(tags::MODALITY, *b"CS", "CT")
            .short(tags::SAMPLES_PER_PIXEL, 1)
            .text(tags::PHOTOMETRIC_INTERPRETATION, *b"CS", photometric)
            .short(tags::ROWS, rows)
            .short(tags::COLUMNS, columns)
            .short(tags::BITS_ALLOCATED, allocated)
            .short(tags::BITS_STORED, stored)
            .short(tags::HIGH_BIT, stored - 1)
            .short(tags::PIXEL_REPRESENTATION, u16::from(signed))
    }

    pub(super) fn color8(rows: u16, columns: u16, photometric: &str, planar: u16) -> Self {
        Self::default()
            .short(tags::SAMPLES_PER_PIXEL, 3)
            .text(tags::PHOTOMETRIC_INTERPRETATION, *b"CS", photometric)
            .short(tags::PLANAR_CONFIGURATION, planar)
            .short(tags::ROWS, rows)
            .short(tags::COLUMNS, columns)
            .short(tags::BITS_ALLOCATED, 8)
            .short(tags::BITS_STORED, 8)
            .short(tags::HIGH_BIT, 7)
            .short(tags::PIXEL_REPRESENTATION, 0)
    }

    pub(super) fn words(self, values: &[i16]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.element(tags::PIXEL_DATA, *b"OW", &bytes)
    }

    pub(super) fn octets(self, values: &[u8]) -> Self {
        self.element(tags::PIXEL_DATA, *b"OB", values)
    }

    /// Adds encapsulated pixels without an offset table.
    pub(super) fn fragments(self, fragments: &[&[u8]]) -> Self {
        self.fragments_with_table(&[], fragments)
    }

    /// Adds encapsulated pixels with a Basic Offset Table.
    pub(super) fn fragments_with_table(mut self, table: &[u32], fragments: &[&[u8]]) -> Self {
        let item = |element: u16, length: u32| {
            let tag = [0xfffe_u16.to_le_bytes(), element.to_le_bytes()].concat();
            [tag, length.to_le_bytes().to_vec()].concat()
        };
        self.bytes.extend(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff");
        self.bytes.extend(item(0xe000, 4 * table.len() as u32));
        self.bytes
            .extend(table.iter().flat_map(|offset| offset.to_le_bytes()));
        for fragment in fragments {
            let size = fragment.len().next_multiple_of(2);
            self.bytes.extend(item(0xe000, size as u32));
            self.bytes.extend(*fragment);
            self.bytes.extend(vec![0; size - fragment.len()]);
        }
        self.bytes.extend(item(0xe0dd, 0));
        self
    }

    /// The stored values of the first frame, of a file in a transfer syntax.
    pub(super) fn values(&self, syntax: &str) -> Vec<f64> {
        let source = ImageSource::from_bytes(self.file(syntax)).expect("a source");
        let frame = source.frame(0).expect("a frame");
        let Frame::Grey(grey) = frame else {
            panic!("grey");
        };
        let positions = (0..grey.height).flat_map(|y| (0..grey.width).map(move |x| (x, y)));
        positions.filter_map(|(x, y)| grey.value(x, y)).collect()
    }

    /// The file, with preamble and file meta information.
    pub(super) fn file(&self, syntax: &str) -> Vec<u8> {
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        bytes.extend(
            ObjectBuilder::default()
                .text(tags::TRANSFER_SYNTAX_UID, *b"UI", syntax)
                .bytes,
        );
        bytes.extend(&self.bytes);
        bytes
    }

    pub(super) fn decode(
        &self,
        options: &DecodeOptions,
    ) -> Result<(ImageInfo, Picture), MediaError> {
        decode(&self.file("1.2.840.10008.1.2.1"), options)
    }

    pub(super) fn shown(&self) -> Vec<u8> {
        match self
            .decode(&DecodeOptions::default())
            .expect("a picture")
            .1
            .pixels
        {
            Pixels::Luma(data) | Pixels::Rgb(data) => data,
        }
    }

    pub(super) fn window(&self) -> Window {
        let info = self.decode(&DecodeOptions::default()).expect("a picture").0;
        info.dicom.expect("DICOM").window.expect("a window")
    }

    pub(super) fn error(&self) -> MediaError {
        self.decode(&DecodeOptions::default())
            .expect_err("an error")
    }
}
