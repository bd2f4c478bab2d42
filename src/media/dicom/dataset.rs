//! A data set as an index over its bytes (PS3.5 clause 7): nothing is copied, pixels least of all.
//!
//! Written for files as they are met, not as they should be: a wrong value representation, odd and overlong lengths,
//! missing delimiters and trailing bytes cost the element they are in, not the picture.

use super::super::error::{MediaError, malformed};
use super::tags;

/// A tag: group and element.
pub(crate) type Tag = u32;

/// Deepest nesting of sequences followed; real objects have a handful.
const DEEPEST: u32 = 32;
/// Most elements indexed, nested ones included: bounds the memory that a crafted file costs.
const MOST_ELEMENTS: usize = 2_000_000;
/// The length that means "until a delimiter".
const UNDEFINED: u32 = u32::MAX;

const ITEM: Tag = 0xfffe_e000;
const ITEM_END: Tag = 0xfffe_e00d;
const SEQUENCE_END: Tag = 0xfffe_e0dd;

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
    /// Items of a sequence of undefined length.
    Items(Vec<DataSet<'a>>),
    /// Fragments of encapsulated pixels, the offset table first (PS3.5 A.4).
    Fragments(Vec<&'a [u8]>),
}

/// Elements in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct DataSet<'a> {
    elements: Vec<Element<'a>>,
    encoding: Option<Encoding>,
    /// A value, or the sequence around it, ended with the file.
    pub cut: bool,
}

impl<'a> DataSet<'a> {
    /// Indexes `bytes`, which hold a data set from start to end.
    pub(crate) fn parse(bytes: &'a [u8], encoding: Encoding) -> Result<Self, MediaError> {
        let mut parser = Parser {
            bytes,
            at: 0,
            budget: MOST_ELEMENTS,
            cut: false,
        };
        let mut set = parser.set(encoding, false, 0)?;
        set.cut = parser.cut;
        Ok(set)
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
            Value::Items(_) | Value::Fragments(_) => None,
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
            Value::Fragments(_) => Items::Parsed(Vec::new()),
            Value::Bytes(bytes) => {
                // A sequence under VR UN is written in Implicit VR Little Endian (PS3.5 6.2.2 note 2).
                let encoding = if &element.vr == b"UN" {
                    IMPLICIT
                } else {
                    self.encoding.unwrap_or(IMPLICIT)
                };
                let mut parser = Parser {
                    bytes,
                    at: 0,
                    budget: MOST_ELEMENTS,
                    cut: false,
                };
                Items::Parsed(parser.items(encoding, 1).unwrap_or_default())
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

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    budget: usize,
    cut: bool,
}

/// What stands before a value.
struct Header {
    tag: Tag,
    vr: [u8; 2],
    length: u32,
}

impl<'a> Parser<'a> {
    /// Elements up to the end of the bytes, or in an item of undefined length up to its delimiter.
    fn set(
        &mut self,
        encoding: Encoding,
        delimited: bool,
        depth: u32,
    ) -> Result<DataSet<'a>, MediaError> {
        let mut elements: Vec<Element<'a>> = Vec::new();
        while let Some(header) = self.header(encoding) {
            match header.tag {
                ITEM_END if delimited => break,
                SEQUENCE_END if delimited => {
                    // The item's delimiter is missing; the sequence's ends both.
                    self.at -= 8;
                    break;
                }
                ITEM_END | SEQUENCE_END | ITEM | 0 => {
                    // A delimiter without its beginning, or zeros that pad the file: not an element.
                    self.skip(header.length);
                    continue;
                }
                _ => {}
            }
            self.budget = self
                .budget
                .checked_sub(1)
                .ok_or_else(|| malformed("DICOM: too many elements"))?;
            let value = self.value(&header, encoding, depth)?;
            elements.push(Element {
                tag: header.tag,
                vr: header.vr,
                value,
            });
        }
        Ok(DataSet {
            elements,
            encoding: Some(encoding),
            cut: false,
        })
    }

    /// A value and the step over it.
    fn value(
        &mut self,
        header: &Header,
        encoding: Encoding,
        depth: u32,
    ) -> Result<Value<'a>, MediaError> {
        if header.length == UNDEFINED {
            if header.tag == tags::PIXEL_DATA {
                return Ok(Value::Fragments(self.fragments(encoding)));
            }
            let inner = if &header.vr == b"UN" {
                IMPLICIT
            } else {
                encoding
            };
            return self.items(inner, depth + 1).map(Value::Items);
        }
        let rest = self.bytes.len() - self.at;
        let length = header.length as usize;
        if length > rest {
            self.cut = true;
        }
        let start = self.at;
        self.at += length.min(rest);
        Ok(Value::Bytes(&self.bytes[start..self.at]))
    }

    /// Items up to the sequence's delimiter or the end of the bytes.
    fn items(&mut self, encoding: Encoding, depth: u32) -> Result<Vec<DataSet<'a>>, MediaError> {
        if depth > DEEPEST {
            return Err(malformed("DICOM: sequences are nested too deeply"));
        }
        let mut items = Vec::new();
        while let Some((tag, length)) = self.item_header(encoding) {
            match tag {
                ITEM if length == UNDEFINED => items.push(self.set(encoding, true, depth)?),
                ITEM => {
                    let end = self
                        .at
                        .saturating_add(length as usize)
                        .min(self.bytes.len());
                    let mut inner = Parser {
                        bytes: &self.bytes[..end],
                        at: self.at,
                        budget: self.budget,
                        cut: false,
                    };
                    items.push(inner.set(encoding, false, depth)?);
                    self.budget = inner.budget;
                    self.at = end;
                }
                SEQUENCE_END => return Ok(items),
                _ => {
                    // Not an item: the delimiter is missing, and the next element of the set around has begun.
                    self.at -= 8;
                    return Ok(items);
                }
            }
        }
        self.cut = true;
        Ok(items)
    }

    /// Fragments up to their delimiter or the end of the bytes.
    fn fragments(&mut self, encoding: Encoding) -> Vec<&'a [u8]> {
        let mut fragments = Vec::new();
        while let Some((tag, length)) = self.item_header(encoding) {
            if tag == SEQUENCE_END {
                return fragments;
            }
            if tag != ITEM {
                self.at -= 8;
                break;
            }
            let end = self.at.saturating_add(length as usize);
            self.cut |= end > self.bytes.len();
            let end = end.min(self.bytes.len());
            fragments.push(&self.bytes[self.at..end]);
            self.at = end;
        }
        // Objects without the last delimiter are common and complete; the decoder of the last fragment notices a cut.
        fragments
    }

    fn skip(&mut self, length: u32) {
        if length != UNDEFINED {
            self.at = self
                .at
                .saturating_add(length as usize)
                .min(self.bytes.len());
        }
    }

    fn item_header(&mut self, encoding: Encoding) -> Option<(Tag, u32)> {
        let bytes = self.take8()?;
        let (tag, length) = (
            tag(bytes, encoding.big_endian),
            [bytes[4], bytes[5], bytes[6], bytes[7]],
        );
        Some((
            tag,
            if encoding.big_endian {
                u32::from_be_bytes(length)
            } else {
                u32::from_le_bytes(length)
            },
        ))
    }

    /// The header of an element (PS3.5 7.1).
    fn header(&mut self, encoding: Encoding) -> Option<Header> {
        let bytes = self.take8()?;
        let tag = tag(bytes, encoding.big_endian);
        let long = |b: [u8; 4]| {
            if encoding.big_endian {
                u32::from_be_bytes(b)
            } else {
                u32::from_le_bytes(b)
            }
        };
        let vr = [bytes[4], bytes[5]];
        // Items have no value representation; some writers leave it out of single elements too.
        if !encoding.explicit || tag >> 16 == 0xfffe || !vr.iter().all(u8::is_ascii_uppercase) {
            return Some(Header {
                tag,
                vr: *b"??",
                length: long([bytes[4], bytes[5], bytes[6], bytes[7]]),
            });
        }
        let length = if is_long(vr) {
            let Some(raw) = self.bytes.get(self.at..self.at + 4) else {
                self.cut = true;
                return None;
            };
            self.at += 4;
            long([raw[0], raw[1], raw[2], raw[3]])
        } else {
            let pair = [bytes[6], bytes[7]];
            u32::from(if encoding.big_endian {
                u16::from_be_bytes(pair)
            } else {
                u16::from_le_bytes(pair)
            })
        };
        Some(Header { tag, vr, length })
    }

    fn take8(&mut self) -> Option<[u8; 8]> {
        let Some(bytes) = self.bytes.get(self.at..self.at + 8) else {
            // Part of a header; zeros pad the file.
            self.cut |= self.bytes[self.at..].iter().any(|&b| b != 0);
            self.at = self.bytes.len();
            return None;
        };
        self.at += 8;
        bytes.try_into().ok()
    }
}

fn tag(bytes: [u8; 8], big_endian: bool) -> Tag {
    let half = |i: usize| {
        let pair = [bytes[i], bytes[i + 1]];
        u32::from(if big_endian {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        })
    };
    half(0) << 16 | half(2)
}

/// Value representations whose length takes 32 bits (PS3.5 table 7.1-1).
fn is_long(vr: [u8; 2]) -> bool {
    matches!(
        &vr,
        b"OB"
            | b"OD"
            | b"OF"
            | b"OL"
            | b"OV"
            | b"OW"
            | b"SQ"
            | b"SV"
            | b"UC"
            | b"UN"
            | b"UR"
            | b"UT"
            | b"UV"
    )
}
