//! Reads repaired bytes into a data set with dicom-object.
//!
//! Text is read as ISO 8859-1, which maps each byte to the character of the same number, so that nothing is lost:
//! dicom-rs decodes a text by its first character set only and lacks code extensions (PS3.5 6.1.2.5), in which names
//! in Japanese and Korean are written. [`super::charset`] decodes what is shown.

use std::io::{Read, Seek, Write};

use dicom_core::PrimitiveValue;
use dicom_core::header::{DataElementHeader, Header, SequenceItemHeader};
use dicom_dictionary_std::tags;
use dicom_encoding::text::SpecificCharacterSet;
use dicom_object::InMemDicomObject;
use dicom_parser::stateful::decode::Result;
use dicom_parser::{DynStatefulDecoder, StatefulDecode, StatefulDecoder};
use dicom_transfer_syntax_registry::entries;

use super::dataset::DataSet;
use super::elements::Encoding;
use crate::error::{MediaError, malformed};

/// Reads a whole data set.
pub(super) fn read(
    from: impl Read,
    encoding: Encoding,
) -> std::result::Result<DataSet, MediaError> {
    let syntax = match (encoding.explicit, encoding.big_endian) {
        (false, _) => entries::IMPLICIT_VR_LITTLE_ENDIAN.erased(),
        (true, false) => entries::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
        (true, true) => entries::EXPLICIT_VR_BIG_ENDIAN.erased(),
    };
    let decoder = StatefulDecoder::new_with(from, &syntax, SpecificCharacterSet::ISO_IR_100, 0);
    let decoder = decoder.map_err(|_| malformed("DICOM: the data set cannot be read"))?;
    // The message of dicom-object is dropped: it may quote values that identify the patient.
    InMemDicomObject::read_dataset(Latin1Decoder(decoder))
        .map_err(|_| malformed("DICOM: the data set is damaged beyond repair"))
}

/// A decoder that stays with ISO 8859-1, whatever Specific Character Set (0008,0005) says.
struct Latin1Decoder<R>(DynStatefulDecoder<R>);

impl<R: Read> StatefulDecode for Latin1Decoder<R> {
    type Reader = R;

    fn read_value_preserved(&mut self, header: &DataElementHeader) -> Result<PrimitiveValue> {
        if header.tag() != tags::SPECIFIC_CHARACTER_SET {
            return self.0.read_value_preserved(header);
        }
        let value = self.0.read_value_bytes(header)?;
        let text = value
            .to_bytes()
            .iter()
            .map(|&byte| char::from(byte))
            .collect();
        Ok(PrimitiveValue::Str(text))
    }

    fn decode_header(&mut self) -> Result<DataElementHeader> {
        self.0.decode_header()
    }

    fn decode_item_header(&mut self) -> Result<SequenceItemHeader> {
        self.0.decode_item_header()
    }

    fn read_value(&mut self, header: &DataElementHeader) -> Result<PrimitiveValue> {
        self.0.read_value(header)
    }

    fn read_value_bytes(&mut self, header: &DataElementHeader) -> Result<PrimitiveValue> {
        self.0.read_value_bytes(header)
    }

    fn read_to_vec(&mut self, length: u32, vec: &mut Vec<u8>) -> Result<()> {
        self.0.read_to_vec(length, vec)
    }

    fn read_u32_to_vec(&mut self, length: u32, vec: &mut Vec<u32>) -> Result<()> {
        self.0.read_u32_to_vec(length, vec)
    }

    fn read_to<W: Write>(&mut self, length: u32, out: W) -> Result<()> {
        self.0.read_to(length, out)
    }

    fn skip_bytes(&mut self, length: u32) -> Result<()> {
        self.0.skip_bytes(length)
    }

    fn seek(&mut self, position: u64) -> Result<()>
    where
        R: Seek,
    {
        self.0.seek(position)
    }

    fn position(&self) -> u64 {
        self.0.position()
    }
}
