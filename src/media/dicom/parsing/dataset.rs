//! A data set as an index over its bytes (PS3.5 clause 7): nothing is copied, pixels least of all.
//!
//! Written for files as they are met, not as they should be: a wrong value representation, odd and overlong lengths,
//! missing delimiters and trailing bytes cost the element they are in, not the picture.

mod parse;

use std::ops::Range;

use crate::dicom::parsing::body::Body;
use crate::error::MediaError;
use parse::{Parser, inside};

/// A tag: group and element.
pub(crate) type Tag = u32;

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// Most significant byte first.
    pub big_endian: bool,
    /// Each element names its value representation.
    pub explicit: bool,
}

/// Implicit VR Little Endian.
pub(crate) const IMPLICIT: Encoding = Encoding {
    big_endian: false,
    explicit: false,
};
/// Explicit VR Little Endian.
pub(crate) const EXPLICIT: Encoding = Encoding {
    big_endian: false,
    explicit: true,
};
/// Explicit VR Big Endian.
pub(crate) const BIG_ENDIAN: Encoding = Encoding {
    big_endian: true,
    explicit: true,
};

/// One element.
#[derive(Debug)]
pub(crate) struct Element<'a> {
    /// Group and element.
    pub tag: Tag,
    /// Value representation as written; `??` where it is not.
    pub vr: [u8; 2],
    /// Its value.
    pub value: Value<'a>,
}

/// The value of an element.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// Bytes as in the file.
    Bytes(&'a [u8]),
    /// Items of a sequence of undefined length, and of the functional groups.
    Items(Vec<DataSet<'a>>),
    /// Where native pixels are in the data set; they may not be in memory.
    Pixels(Range<u64>),
    /// Where the fragments of encapsulated pixels are, the offset table first (PS3.5 A.4).
    Fragments(Vec<Range<u64>>),
}

/// Elements in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct DataSet<'a> {
    elements: Vec<Element<'a>>,
    encoding: Option<Encoding>,
    /// A value, or the sequence around it, ended with the file.
    pub cut: bool,
    /// Pixels were reached.
    pub has_pixels: bool,
}

impl<'a> DataSet<'a> {
    /// Indexes `bytes`, which hold a data set from start to end.
    pub(crate) fn parse(bytes: &'a [u8], encoding: Encoding) -> Result<Self, MediaError> {
        Parser::new(bytes, None).whole(encoding)
    }

    /// Indexes the data set of `body`; of one that is partly in memory, up to its pixels.
    pub(crate) fn read(body: &'a Body, encoding: Encoding) -> Result<Self, MediaError> {
        Parser::new(body.head(), Some(body)).whole(encoding)
    }

    /// The element of a tag; of a repeated one the first.
    pub(crate) fn get(&self, tag: Tag) -> Option<&Element<'a>> {
        self.elements.iter().find(|e| e.tag == tag)
    }

    /// All of them, in the order of the file.
    pub(crate) fn elements(&self) -> &[Element<'a>] {
        &self.elements
    }

    /// The bytes of its first element.
    pub(crate) fn first_value(&self) -> Option<&'a [u8]> {
        match self.elements.first()?.value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A 32-bit offset (UL); zero where there is none.
    pub(crate) fn offset(&self, tag: Tag) -> u32 {
        match self.bytes(tag) {
            Some(&[a, b, c, d]) if self.big_endian() => u32::from_be_bytes([a, b, c, d]),
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Whether values are written most significant byte first.
    pub(crate) fn big_endian(&self) -> bool {
        self.encoding.is_some_and(|e| e.big_endian)
    }

    /// The bytes of a value.
    pub(crate) fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        match self.get(tag)?.value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Items(_) | Value::Pixels(_) | Value::Fragments(_) => None,
        }
    }

    /// A text value without its padding, all values of a multi-valued one; `None` where it is absent or empty.
    pub(crate) fn text(&self, tag: Tag) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(tag)?);
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The first value of a text, without padding.
    pub(crate) fn first(&self, tag: Tag) -> Option<String> {
        let text = self.text(tag)?;
        let first = text.split('\\').next().unwrap_or("").trim();
        (!first.is_empty()).then(|| first.to_owned())
    }

    /// The numbers of a decimal or integer string, as far as they are numbers; also of one written as FL, FD or US.
    pub(crate) fn decimals(&self, tag: Tag) -> Vec<f64> {
        let Some(element) = self.get(tag) else {
            return Vec::new();
        };
        let Value::Bytes(bytes) = element.value else {
            return Vec::new();
        };
        match &element.vr {
            b"FD" => bytes.chunks_exact(8).map(|b| self.float(b)).collect(),
            b"FL" => bytes.chunks_exact(4).map(|b| self.float(b)).collect(),
            b"US" | b"SS" => self.shorts(bytes, &element.vr == b"SS").collect(),
            _ => String::from_utf8_lossy(bytes)
                .split('\\')
                .map(|part| {
                    part.trim_matches(|c: char| c == '\0' || c.is_whitespace())
                        .parse()
                })
                .map_while(Result::ok)
                .filter(|v: &f64| v.is_finite())
                .collect(),
        }
    }

    /// The first number of a decimal or integer string.
    pub(crate) fn decimal(&self, tag: Tag) -> Option<f64> {
        self.decimals(tag).first().copied()
    }

    /// The first number of a binary real (FL or FD), also where its value representation is not written.
    pub(crate) fn real(&self, tag: Tag) -> Option<f64> {
        match self.bytes(tag)? {
            bytes @ ([_, _, _, _] | [_, _, _, _, _, _, _, _]) => Some(self.float(bytes)),
            _ => self.decimal(tag),
        }
    }

    /// A 16-bit number (US or SS); also one written as text or in more bytes, as wrong value representations make it.
    pub(crate) fn short(&self, tag: Tag) -> Option<u16> {
        let element = self.get(tag)?;
        let Value::Bytes(bytes) = element.value else {
            return None;
        };
        match (&element.vr, bytes) {
            (b"IS" | b"DS" | b"LO" | b"SH" | b"CS", _) => self.decimal(tag).map(|v| v as u16),
            (b"UL" | b"SL", [a, b, c, d, ..]) => {
                let raw = [*a, *b, *c, *d];
                Some(if self.big_endian() {
                    u32::from_be_bytes(raw)
                } else {
                    u32::from_le_bytes(raw)
                } as u16)
            }
            (_, [a, b, ..]) => Some(if self.big_endian() {
                u16::from_be_bytes([*a, *b])
            } else {
                u16::from_le_bytes([*a, *b])
            }),
            _ => None,
        }
    }

    /// The 16-bit words of a value (US, SS or OW).
    pub(crate) fn words(&self, bytes: &'a [u8]) -> impl Iterator<Item = u16> + use<'a> {
        let big = self.big_endian();
        bytes.chunks_exact(2).map(move |b| {
            if big {
                u16::from_be_bytes([b[0], b[1]])
            } else {
                u16::from_le_bytes([b[0], b[1]])
            }
        })
    }

    /// The items of a sequence, whichever way its length was written.
    pub(crate) fn items(&self, tag: Tag) -> Items<'_, 'a> {
        self.get(tag)
            .map_or_else(|| Items::Parsed(Vec::new()), |e| self.items_of(e))
    }

    /// The items of an element of this set.
    pub(crate) fn items_of<'s>(&'s self, element: &'s Element<'a>) -> Items<'s, 'a> {
        match &element.value {
            Value::Items(items) => Items::Indexed(items),
            Value::Pixels(_) | Value::Fragments(_) => Items::Parsed(Vec::new()),
            Value::Bytes(bytes) => {
                let encoding = inside(element.vr, self.encoding.unwrap_or(IMPLICIT));
                let items = Parser::new(bytes, None).items(encoding, 1);
                Items::Parsed(items.unwrap_or_default())
            }
        }
    }

    fn shorts(&self, bytes: &'a [u8], signed: bool) -> impl Iterator<Item = f64> + use<'a> {
        self.words(bytes).map(move |v| {
            if signed {
                f64::from(v as i16)
            } else {
                f64::from(v)
            }
        })
    }

    fn float(&self, bytes: &[u8]) -> f64 {
        let mut le = bytes.to_vec();
        if self.big_endian() {
            le.reverse();
        }
        match le[..] {
            [a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => f64::NAN,
        }
    }
}

/// Items of a sequence: indexed with the file, or when asked for.
pub(crate) enum Items<'s, 'a> {
    /// Of undefined length, indexed with the file.
    Indexed(&'s [DataSet<'a>]),
    /// Of defined length.
    Parsed(Vec<DataSet<'a>>),
}

impl<'a> std::ops::Deref for Items<'_, 'a> {
    type Target = [DataSet<'a>];

    fn deref(&self) -> &Self::Target {
        match self {
            Items::Indexed(items) => items,
            Items::Parsed(items) => items,
        }
    }
}
