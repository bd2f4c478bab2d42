//! Data sets as dicom-object holds them, and typed access to their values.

use std::borrow::Cow;

use dicom_core::value::Value;
use dicom_core::{PrimitiveValue, Tag};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;

use super::elements::Encoding;
use super::notes::Notes;
use super::numbers::Numbers;
use super::reader;
use super::repair::repair;
use crate::error::MediaError;

/// A data set read by dicom-object. Text is kept byte for byte as ISO 8859-1; see [`reader`].
pub(crate) type DataSet = InMemDicomObject;

/// One element of a [`DataSet`].
pub(crate) type Element = InMemElement;

/// Parses bytes that hold a whole data set.
pub(crate) fn parse(bytes: &[u8], encoding: Encoding) -> Result<(DataSet, Notes), MediaError> {
    let repaired = repair(bytes, encoding, None, None)?;
    let set = reader::read(repaired.bytes(), repaired.encoding)?;
    Ok((set, repaired.notes))
}

/// Typed access to values, however they were written.
pub(crate) trait DataSetExt {
    /// The bytes of a value, numbers in little-endian order; `None` if it is absent or a sequence.
    fn bytes(&self, tag: Tag) -> Option<Cow<'_, [u8]>>;

    /// The items of a sequence; empty if it is absent.
    fn items(&self, tag: Tag) -> &[DataSet];

    /// The numbers of a decimal or integer string, or of a binary value.
    fn numbers(&self, tag: Tag) -> Numbers;

    /// A 16-bit number (US or SS), also if a wrong value representation made it text or longer.
    fn short(&self, tag: Tag) -> Option<u16>;

    /// The first number of a binary real (FL or FD), also if its value representation is missing.
    fn real(&self, tag: Tag) -> Option<f64>;

    /// Whether the data set has no elements.
    fn is_empty(&self) -> bool;

    /// A text without padding, all values of a multi-valued one; `None` if it is absent or empty.
    fn text(&self, tag: Tag) -> Option<String> {
        let bytes = self.bytes(tag)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_matches(is_padding);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The first value of a text, without padding; `None` if it is absent or empty.
    fn first(&self, tag: Tag) -> Option<String> {
        let text = self.text(tag)?;
        let first = text.split('\\').next().unwrap_or_default().trim();
        (!first.is_empty()).then(|| first.to_owned())
    }

    /// The numbers of an element up to the first value that is not a number.
    fn decimals(&self, tag: Tag) -> Vec<f64> {
        let values = self.numbers(tag).values;
        values.into_iter().map_while(|value| value).collect()
    }

    /// The first number of a decimal or integer string.
    fn decimal(&self, tag: Tag) -> Option<f64> {
        self.decimals(tag).first().copied()
    }

    /// A 32-bit offset (UL); zero if there is none.
    fn offset(&self, tag: Tag) -> u32 {
        match self.bytes(tag).as_deref() {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        }
    }

    /// The 16-bit words of a value (US, SS or OW).
    fn words(&self, tag: Tag) -> Option<Vec<u16>> {
        let bytes = self.bytes(tag)?;
        Some(words(&bytes))
    }
}

impl DataSetExt for DataSet {
    fn bytes(&self, tag: Tag) -> Option<Cow<'_, [u8]>> {
        self.get(tag).and_then(value_bytes)
    }

    fn items(&self, tag: Tag) -> &[DataSet] {
        self.get(tag)
            .and_then(InMemElement::items)
            .unwrap_or_default()
    }

    fn numbers(&self, tag: Tag) -> Numbers {
        let Some(Value::Primitive(value)) = self.get(tag).map(InMemElement::value) else {
            return Numbers::default();
        };
        match value {
            PrimitiveValue::Str(_) | PrimitiveValue::Strs(_) | PrimitiveValue::U8(_) => {
                let bytes = primitive_bytes(value);
                Numbers::parse(&String::from_utf8_lossy(&bytes))
            }
            _ => value
                .to_multi_float64()
                .unwrap_or_default()
                .into_iter()
                .collect(),
        }
    }

    fn short(&self, tag: Tag) -> Option<u16> {
        let Value::Primitive(value) = self.get(tag)?.value() else {
            return None;
        };
        match value {
            PrimitiveValue::Str(_) | PrimitiveValue::Strs(_) => {
                self.decimal(tag).map(|number| number as u16)
            }
            _ => match *primitive_bytes(value) {
                [a, b, ..] => Some(u16::from_le_bytes([a, b])),
                _ => None,
            },
        }
    }

    fn real(&self, tag: Tag) -> Option<f64> {
        match *self.bytes(tag)? {
            [a, b, c, d] => Some(f64::from(f32::from_le_bytes([a, b, c, d]))),
            [a, b, c, d, e, f, g, h] => Some(f64::from_le_bytes([a, b, c, d, e, f, g, h])),
            _ => self.decimal(tag),
        }
    }

    fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// The bytes of an element's value, numbers in little-endian order; `None` for a sequence.
pub(crate) fn value_bytes(element: &Element) -> Option<Cow<'_, [u8]>> {
    match element.value() {
        Value::Primitive(value) => Some(primitive_bytes(value)),
        Value::Sequence(_) | Value::PixelSequence(_) => None,
    }
}

fn primitive_bytes(value: &PrimitiveValue) -> Cow<'_, [u8]> {
    match value {
        PrimitiveValue::Str(text) => Cow::Owned(latin1_bytes(text)),
        PrimitiveValue::Strs(texts) => {
            let parts: Vec<Vec<u8>> = texts.iter().map(|text| latin1_bytes(text)).collect();
            Cow::Owned(parts.join(&b'\\'))
        }
        _ => value.to_bytes(),
    }
}

/// The bytes from which a text was read as ISO 8859-1.
fn latin1_bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
}

/// Bytes as 16-bit little-endian words.
pub(crate) fn words(bytes: &[u8]) -> Vec<u16> {
    let pairs = bytes.chunks_exact(2);
    pairs.map(|b| u16::from_le_bytes([b[0], b[1]])).collect()
}

fn is_padding(c: char) -> bool {
    c == '\0' || c.is_whitespace()
}
