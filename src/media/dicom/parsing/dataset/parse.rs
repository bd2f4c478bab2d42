//! The walk over the bytes of a data set (PS3.5 clause 7), which makes its index.

use std::ops::Range;

use crate::dicom::attributes;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::dataset::{DataSet, Element, Encoding, IMPLICIT, Tag, Value};
use crate::error::{MediaError, malformed};

/// Deepest nesting of sequences followed; real objects have a handful.
const DEEPEST: u32 = 32;
/// Most elements indexed, nested ones included: bounds the memory that a crafted file costs.
const MOST_ELEMENTS: usize = 2_000_000;
/// The length that means "until a delimiter".
const UNDEFINED: u32 = u32::MAX;

const ITEM: Tag = 0xfffe_e000;
const ITEM_END: Tag = 0xfffe_e00d;
const SEQUENCE_END: Tag = 0xfffe_e0dd;

/// How the items of a sequence are written: one under VR UN in Implicit VR Little Endian (PS3.5 6.2.2 note 2).
pub(crate) fn inside(vr: [u8; 2], around: Encoding) -> Encoding {
    if &vr == b"UN" { IMPLICIT } else { around }
}

/// Where the walk is.
pub(crate) struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    budget: usize,
    cut: bool,
    /// What the bytes are the beginning of, at the top level of a file.
    body: Option<&'a Body>,
    has_pixels: bool,
}

/// What stands before a value.
struct Header {
    tag: Tag,
    vr: [u8; 2],
    length: u32,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(bytes: &'a [u8], body: Option<&'a Body>) -> Self {
        Self {
            bytes,
            at: 0,
            budget: MOST_ELEMENTS,
            cut: false,
            body,
            has_pixels: false,
        }
    }

    /// All elements from here on, with what was noticed on the way.
    pub(crate) fn whole(mut self, encoding: Encoding) -> Result<DataSet<'a>, MediaError> {
        let set = self.set(encoding, false, 0)?;
        Ok(DataSet {
            cut: self.cut,
            has_pixels: self.has_pixels,
            ..set
        })
    }

    /// Elements up to the end of the bytes, or in an item of undefined length up to its delimiter.
    fn set(
        &mut self,
        encoding: Encoding,
        delimited: bool,
        depth: u32,
    ) -> Result<DataSet<'a>, MediaError> {
        let mut elements: Vec<Element<'a>> = Vec::new();
        while let Some(header) = self.next_header(encoding) {
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
            ..DataSet::default()
        })
    }

    /// The next element's header; nothing behind the pixels of a body that is partly in memory.
    fn next_header(&mut self, encoding: Encoding) -> Option<Header> {
        let done = self.has_pixels && self.body.is_some_and(Body::is_partial);
        if done { None } else { self.header(encoding) }
    }

    /// A value and the step over it.
    fn value(
        &mut self,
        header: &Header,
        encoding: Encoding,
        depth: u32,
    ) -> Result<Value<'a>, MediaError> {
        let pixels = depth == 0 && is_pixels(header.tag);
        self.has_pixels |= pixels;
        if header.length == UNDEFINED {
            if header.tag == attributes::PIXEL_DATA {
                return Ok(Value::Fragments(self.fragments(encoding)));
            }
            let inner = inside(header.vr, encoding);
            return self.items(inner, depth + 1).map(Value::Items);
        }
        if pixels {
            return Ok(Value::Pixels(self.native(header.length)));
        }
        let rest = self.bytes.len() - self.at;
        let length = header.length as usize;
        if length > rest {
            self.cut = true;
        }
        let start = self.at;
        self.at += length.min(rest);
        let bytes = &self.bytes[start..self.at];
        // Every frame asks for its group: these are indexed with the file.
        if depth == 0
            && matches!(
                header.tag,
                attributes::FRAME_GROUPS | attributes::SHARED_GROUPS
            )
        {
            let mut inner = Parser::new(bytes, None);
            inner.budget = self.budget;
            let items = inner.items(inside(header.vr, encoding), 1)?;
            self.budget = inner.budget;
            return Ok(Value::Items(items));
        }
        Ok(Value::Bytes(bytes))
    }

    /// Length of what the bytes are the beginning of.
    fn total(&self) -> u64 {
        self.body.map_or(self.bytes.len() as u64, Body::len)
    }

    /// Where native pixels are, and the step over them.
    fn native(&mut self, length: u32) -> Range<u64> {
        let start = self.at as u64;
        let end = start + u64::from(length);
        self.cut |= end > self.total();
        let end = end.min(self.total());
        self.at = (end as usize).min(self.bytes.len());
        start..end
    }

    /// Items up to the sequence's delimiter or the end of the bytes.
    pub(crate) fn items(
        &mut self,
        encoding: Encoding,
        depth: u32,
    ) -> Result<Vec<DataSet<'a>>, MediaError> {
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
                        at: self.at,
                        budget: self.budget,
                        ..Parser::new(&self.bytes[..end], None)
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
    fn fragments(&mut self, encoding: Encoding) -> Vec<Range<u64>> {
        let mut fragments = Vec::new();
        let (mut at, total) = (self.at as u64, self.total());
        while let Some((tag, length)) = self.eight(at).map(|b| item_header(b, encoding)) {
            if tag != ITEM && tag != SEQUENCE_END {
                break;
            }
            at += 8;
            if tag == SEQUENCE_END {
                break;
            }
            let end = at + u64::from(length);
            self.cut |= end > total;
            fragments.push(at..end.min(total));
            at = end.min(total);
        }
        // Objects without the last delimiter are common and complete; the decoder of the last fragment notices a cut.
        self.at = (at as usize).min(self.bytes.len());
        fragments
    }

    fn eight(&self, at: u64) -> Option<[u8; 8]> {
        match self.body {
            Some(body) => body.eight(at),
            None => self.bytes.get(at as usize..)?.first_chunk::<8>().copied(),
        }
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
        self.take8().map(|bytes| item_header(bytes, encoding))
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

/// The tag and the length of an item or delimiter (PS3.5 7.5).
fn item_header(bytes: [u8; 8], encoding: Encoding) -> (Tag, u32) {
    let length = [bytes[4], bytes[5], bytes[6], bytes[7]];
    let length = if encoding.big_endian {
        u32::from_be_bytes(length)
    } else {
        u32::from_le_bytes(length)
    };
    (tag(bytes, encoding.big_endian), length)
}

fn is_pixels(tag: Tag) -> bool {
    matches!(
        tag,
        attributes::PIXEL_DATA | attributes::FLOAT_PIXELS | attributes::DOUBLE_PIXELS
    )
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
