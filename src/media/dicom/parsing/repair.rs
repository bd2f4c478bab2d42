//! The layer in front of dicom-object: finds the pixels, and mends what dicom-object would refuse or misread.
//!
//! dicom-object takes lengths at their word: it allocates what they say, follows nesting to any depth, and loses its place
//! behind a value that is no multiple of its unit. So the walk here proves of every element that its value lies in the set
//! around it, of every sequence that it holds items and ends, and of every value that its representation fits. A data
//! set that passes is read by dicom-object as it stands in the file. One that does not is written anew in Explicit VR with
//! what was wrong put right, and read from there.
//!
//! Of the 199 files of the test corpus dicom-object refuses 30 as they are: meta group missing (7), with a value whose
//! odd length is padded without being counted (11), without its group length or transfer syntax (3); implicit under
//! an explicit syntax (`SC_rgb_jpeg`); blank value representations (`GH179A`, `GH179B`); a sequence under UN
//! (`UN_sequence`); values cut off (`MR_truncated`, `rtplan_truncated`); deflated ones (3), which `file` inflates within
//! bounds.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::body::Body;
use super::elements::{
    self, EXPLICIT, ElementHeader, Encoding, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, value_size,
    vr_by_dictionary,
};
use super::notes::{Notes, PixelData, PixelElement};
use super::writer::DataSetWriter;
use crate::error::{MediaError, malformed};

/// Deepest nesting of sequences followed; real objects have a handful.
const MAX_DEPTH: u32 = 32;
/// Most elements and items of a data set, nested ones included: bounds the memory that a crafted file costs.
const MAX_ELEMENTS: usize = 1_000_000;

/// A data set that dicom-object can read.
#[derive(Debug)]
pub(crate) struct Sound<'a> {
    /// What stands before the pixels, and what stands behind them.
    parts: [Cow<'a, [u8]>; 2],
    /// How they are written.
    pub encoding: Encoding,
    /// What the walk noticed.
    pub notes: Notes,
}

impl Sound<'_> {
    /// The bytes to be read.
    pub(crate) fn bytes(&self) -> impl Read {
        let [before, behind] = &self.parts;
        before.chain(&**behind)
    }
}

/// Makes a data set sound. `body` is what `bytes` are the beginning of, at the top level of a file: fragments are
/// looked for in all of it, and where a part of it is not in memory the walk ends with the pixels. It ends behind `last`,
/// too, where that is given.
pub(crate) fn repair<'a>(
    bytes: &'a [u8],
    encoding: Encoding,
    body: Option<&'a Body>,
    last: Option<Tag>,
) -> Result<Sound<'a>, MediaError> {
    let mut walk = DataSetWalk::new(bytes, body, encoding, last);
    walk.set(encoding, bytes.len(), false, 0)?;
    if walk.sound {
        let end = walk.end.unwrap_or(bytes.len());
        let gap = walk.gap.unwrap_or(end..end);
        let part = |range: Range<usize>| Cow::Borrowed(bytes.get(range).unwrap_or_default());
        return Ok(Sound {
            parts: [part(0..gap.start), part(gap.end..end)],
            encoding,
            notes: walk.notes,
        });
    }
    let written = Encoding {
        explicit: true,
        ..encoding
    };
    let mut walk = DataSetWalk {
        out: Some(DataSetWriter::new(written)),
        ..DataSetWalk::new(bytes, body, encoding, last)
    };
    walk.set(encoding, bytes.len(), false, 0)?;
    let out = walk.out.map(DataSetWriter::into_bytes).unwrap_or_default();
    Ok(Sound {
        parts: [Cow::Owned(out), Cow::Borrowed(&[])],
        encoding: written,
        notes: walk.notes,
    })
}

/// Where the walk is.
struct DataSetWalk<'a> {
    bytes: &'a [u8],
    at: usize,
    body: Option<&'a Body>,
    /// How the data set around everything is written.
    outer: Encoding,
    budget: usize,
    /// Nothing was found yet that dicom-object would not take.
    sound: bool,
    /// Where the pixels' element is in memory.
    gap: Option<Range<usize>>,
    /// Where the elements end and zeros begin.
    end: Option<usize>,
    /// The element to read to.
    last: Option<Tag>,
    /// The data set written anew.
    out: Option<DataSetWriter>,
    notes: Notes,
}

impl<'a> DataSetWalk<'a> {
    fn new(bytes: &'a [u8], body: Option<&'a Body>, outer: Encoding, last: Option<Tag>) -> Self {
        Self {
            bytes,
            at: 0,
            body,
            outer,
            budget: MAX_ELEMENTS,
            sound: true,
            gap: None,
            end: None,
            last,
            out: None,
            notes: Notes::default(),
        }
    }

    /// Notes a repair that the user is told of.
    fn mend(&mut self, tag: Tag, what: &str) {
        self.sound = false;
        self.notes.repairs.add(format!("{tag} {what}."));
    }

    /// Counts an element or item.
    fn count(&mut self) -> Result<(), MediaError> {
        let left = self.budget.checked_sub(1);
        self.budget = left.ok_or_else(|| malformed("DICOM: too many elements"))?;
        Ok(())
    }

    fn write(&mut self, write: impl FnOnce(&mut DataSetWriter)) {
        if let Some(out) = &mut self.out {
            write(out);
        }
    }

    /// Elements up to `end`, or in an item of undefined length up to its delimiter.
    fn set(
        &mut self,
        encoding: Encoding,
        end: usize,
        delimited: bool,
        depth: u32,
    ) -> Result<(), MediaError> {
        let mut seen = SeenTags::default();
        loop {
            let pixels_are_last = self.body.is_some_and(Body::is_partial);
            if depth == 0 && pixels_are_last && self.notes.pixels.is_some() {
                return Ok(());
            }
            let rest = self.bytes.get(self.at..end).unwrap_or_default();
            let Some(header) = elements::header(rest, encoding) else {
                self.leftover(end, delimited, depth);
                return Ok(());
            };
            match header.tag {
                ITEM_END if delimited => {
                    self.at += header.size;
                    return Ok(());
                }
                SEQUENCE_END if delimited => {
                    // The item's delimiter is missing; the sequence's ends both.
                    self.mend(
                        header.tag,
                        "stands where an item's delimiter is missing; the item was ended",
                    );
                    return Ok(());
                }
                Tag(0, 0) if rest.iter().all(|&byte| byte == 0) => {
                    self.padding(end, depth);
                    return Ok(());
                }
                Tag(0xfffe, _) | Tag(0, 0) => self.stray(&header, end),
                tag if depth == 0 && self.last.is_some_and(|last| tag > last) => {
                    self.notes.complete = true;
                    self.end = Some(self.at);
                    return Ok(());
                }
                _ => {
                    self.count()?;
                    let again = !seen.insert(header.tag);
                    self.element(&header, encoding, end, depth, again)?;
                }
            }
        }
    }

    /// Bytes too few for an element, at the end of a set.
    fn leftover(&mut self, end: usize, delimited: bool, depth: u32) {
        let rest = self.bytes.get(self.at..end).unwrap_or_default();
        let padding = rest.iter().all(|&byte| byte == 0);
        self.sound &= rest.is_empty() && !delimited;
        let at_file_end = end == self.bytes.len();
        self.notes.cut |= at_file_end && (delimited || (depth == 0 && !padding));
        self.at = self.at.max(end);
    }

    /// Zeros up to the end of a set, which some writers pad files with.
    fn padding(&mut self, end: usize, depth: u32) {
        if depth == 0 && self.out.is_none() {
            self.end = Some(self.at);
        } else {
            self.sound = false;
        }
        self.at = end;
    }

    /// A delimiter without its beginning, or zeros between elements: not an element.
    fn stray(&mut self, header: &ElementHeader, end: usize) {
        self.mend(
            header.tag,
            "stands where no item or sequence ends; it was skipped",
        );
        self.at += header.size;
        if header.length != UNDEFINED {
            self.at = self.at.saturating_add(header.length as usize).min(end);
        }
    }

    fn element(
        &mut self,
        header: &ElementHeader,
        encoding: Encoding,
        end: usize,
        depth: u32,
        again: bool,
    ) -> Result<(), MediaError> {
        let start = self.at;
        self.at += header.size;
        if header.damaged {
            self.mend(
                header.tag,
                "names no known value representation; its length was found by what follows",
            );
        }
        if again {
            self.mend(
                header.tag,
                "stands twice in the data set; the first is used",
            );
        }
        if depth == 0 && is_pixels(header.tag) {
            self.pixels(header, encoding, start);
            return Ok(());
        }
        let kept = self.out.take_if(|_| again);
        let vr = header.vr.unwrap_or_else(|| vr_by_dictionary(header.tag));
        let walked = if header.length == UNDEFINED {
            self.undefined(header, vr, encoding, end, depth)
        } else {
            self.defined(header, vr, encoding, end, depth)
        };
        self.out = kept.or(self.out.take());
        walked
    }

    /// A value without a length: a sequence, or fragments of something that is not the object's pixels.
    fn undefined(
        &mut self,
        header: &ElementHeader,
        vr: VR,
        encoding: Encoding,
        end: usize,
        depth: u32,
    ) -> Result<(), MediaError> {
        let coded = header.tag == tags::PIXEL_DATA
            || (header.vr.is_some() && !matches!(vr, VR::SQ | VR::UN));
        if coded {
            let start = self.at;
            self.skip_fragments(encoding, end);
            self.opaque(header.tag, start..self.at);
            return Ok(());
        }
        let unknown = vr == VR::UN && encoding.explicit;
        if unknown && self.outer.big_endian {
            let start = self.at;
            let out = self.out.take();
            let walked = self.items(header.tag, None, end, false, depth + 1);
            self.out = out;
            walked?;
            self.opaque(header.tag, start..self.at);
            return Ok(());
        }
        self.sound &= vr == VR::SQ;
        let inner = (!unknown).then_some(encoding);
        self.sequence(header.tag, inner, end, false, depth)
    }

    /// A sequence whose items are written as `inner` says, or each as it tells itself.
    fn sequence(
        &mut self,
        tag: Tag,
        inner: Option<Encoding>,
        end: usize,
        defined: bool,
        depth: u32,
    ) -> Result<(), MediaError> {
        self.write(|out| out.begin_sequence(tag));
        self.items(tag, inner, end, defined, depth + 1)?;
        self.write(DataSetWriter::end_sequence);
        Ok(())
    }

    /// A value of which the length is told.
    fn defined(
        &mut self,
        header: &ElementHeader,
        vr: VR,
        encoding: Encoding,
        end: usize,
        depth: u32,
    ) -> Result<(), MediaError> {
        let start = self.at;
        let rest = end.saturating_sub(start);
        let length = header.length as usize;
        if length > rest {
            self.notes.cut |= end == self.bytes.len();
            self.mend(
                header.tag,
                "says a length that reaches beyond the end; the value was cut there",
            );
        }
        let value_end = start + length.min(rest);
        let value = self.bytes.get(start..value_end).unwrap_or_default();
        let begins_item = value
            .first_chunk()
            .is_some_and(|tag| matches!(encoding.tag(*tag), ITEM | SEQUENCE_END));
        let hidden = vr == VR::UN
            && begins_item
            && value.len() >= 8
            && matches!(vr_by_dictionary(header.tag), VR::SQ | VR::UN);
        if (vr == VR::SQ || hidden) && (value.is_empty() || begins_item) {
            self.sound &= !hidden;
            if hidden && self.outer.big_endian {
                self.at = value_end;
                self.opaque(header.tag, start..value_end);
                return Ok(());
            }
            let inner = (!hidden || !encoding.explicit).then_some(encoding);
            self.sequence(header.tag, inner, value_end, true, depth)?;
            self.at = value_end;
            return Ok(());
        }
        self.at = value_end;
        if vr == VR::SQ {
            self.mend(
                header.tag,
                "is a sequence without items; it was taken as bytes",
            );
            self.opaque(header.tag, start..value_end);
            return Ok(());
        }
        let fits = (value.len() as u32).is_multiple_of(value_size(vr));
        self.sound &= fits;
        let vr = if fits { vr } else { VR::UN };
        self.write(|out| out.element(header.tag, vr, value));
        Ok(())
    }

    /// A value that is kept as bytes.
    fn opaque(&mut self, tag: Tag, range: Range<usize>) {
        self.sound = false;
        let value = self.bytes.get(range).unwrap_or_default();
        self.write(|out| out.element(tag, VR::UN, value));
    }

    /// Items up to the sequence's delimiter or `end`. Without an encoding each item tells its own.
    fn items(
        &mut self,
        sequence: Tag,
        encoding: Option<Encoding>,
        end: usize,
        defined: bool,
        depth: u32,
    ) -> Result<(), MediaError> {
        if depth > MAX_DEPTH {
            return Err(malformed("DICOM: sequences are nested too deeply"));
        }
        loop {
            let rest = self.bytes.get(self.at..end).unwrap_or_default();
            let Some(bytes) = rest.first_chunk::<8>() else {
                self.sound &= defined && rest.is_empty();
                self.notes.cut |= !defined && end == self.bytes.len();
                self.at = self.at.max(end);
                return Ok(());
            };
            let (tag, length) = item_header(*bytes, encoding.unwrap_or(EXPLICIT));
            match tag {
                ITEM => {
                    if depth == 1 && sequence == tags::DIRECTORY_RECORD_SEQUENCE {
                        self.notes.record_offsets.push(self.at as u64);
                    }
                    self.at += 8;
                    self.item(encoding, length, end, depth)?;
                }
                SEQUENCE_END => {
                    self.sound &= !defined;
                    self.at += 8;
                    return Ok(());
                }
                _ if defined => {
                    self.mend(
                        sequence,
                        "holds something between its items; it was skipped",
                    );
                    self.at = end;
                    return Ok(());
                }
                _ => {
                    // The delimiter is missing, and the next element of the set around has begun.
                    self.mend(
                        sequence,
                        "is a sequence without its delimiter; it was ended at the next element",
                    );
                    return Ok(());
                }
            }
        }
    }

    fn item(
        &mut self,
        encoding: Option<Encoding>,
        length: u32,
        end: usize,
        depth: u32,
    ) -> Result<(), MediaError> {
        self.count()?;
        let rest = self.bytes.get(self.at..end).unwrap_or_default();
        let encoding = encoding.unwrap_or_else(|| elements::item_encoding_in_un(rest));
        self.write(DataSetWriter::begin_item);
        if length == UNDEFINED {
            self.set(encoding, end, true, depth)?;
        } else {
            let within = (length as usize).min(rest.len());
            if within < length as usize {
                self.mend(
                    ITEM,
                    "says a length that reaches beyond its sequence; it was ended there",
                );
                self.notes.cut |= end == self.bytes.len();
            }
            let item_end = self.at + within;
            self.set(encoding, item_end, false, depth)?;
            self.at = item_end;
        }
        self.write(DataSetWriter::end_item);
        Ok(())
    }

    /// The step over fragments that are within a set in memory.
    fn skip_fragments(&mut self, encoding: Encoding, end: usize) {
        while let Some(bytes) = self
            .bytes
            .get(self.at..end)
            .and_then(<[u8]>::first_chunk::<8>)
        {
            let (tag, length) = item_header(*bytes, encoding);
            if tag != ITEM && tag != SEQUENCE_END {
                return;
            }
            self.at = (self.at + 8).saturating_add(length as usize).min(end);
            if tag == SEQUENCE_END {
                return;
            }
        }
        self.at = end;
    }

    /// Where the object's pixels are, and the step over them. Of several the first are taken.
    fn pixels(&mut self, header: &ElementHeader, encoding: Encoding, start: usize) {
        let from = self.at as u64;
        let total = self.body.map_or(self.bytes.len() as u64, Body::len);
        let (data, behind) = if header.length == UNDEFINED && header.tag == tags::PIXEL_DATA {
            self.fragments(encoding, from, total)
        } else {
            let end = from + u64::from(header.length);
            self.notes.cut |= end > total;
            let end = end.min(total);
            (PixelData::Native(from..end), end)
        };
        self.at = (behind as usize).min(self.bytes.len());
        if self.notes.pixels.is_some() {
            self.sound = false;
            return;
        }
        self.notes.complete = true;
        self.gap = Some(start..self.at);
        self.notes.pixels = Some(PixelElement {
            tag: header.tag,
            vr: header.vr,
            data,
        });
    }

    /// Fragments up to their delimiter or the end, and where that is.
    fn fragments(&mut self, encoding: Encoding, from: u64, total: u64) -> (PixelData, u64) {
        let mut fragments = Vec::new();
        let mut at = from;
        while let Some(bytes) = self.eight(at) {
            let (tag, length) = item_header(bytes, encoding);
            if tag != ITEM && tag != SEQUENCE_END {
                break;
            }
            at += 8;
            if tag == SEQUENCE_END {
                break;
            }
            let end = at + u64::from(length);
            self.notes.cut |= end > total;
            fragments.push(at..end.min(total));
            at = end.min(total);
        }
        // Objects without the last delimiter are common and complete; the decoder of the last fragment notices a cut.
        (PixelData::Fragments(fragments), at)
    }

    fn eight(&self, at: u64) -> Option<[u8; 8]> {
        match self.body {
            Some(body) => body.eight(at),
            None => self.bytes.get(at as usize..)?.first_chunk::<8>().copied(),
        }
    }
}

/// The tags of a set that were met: files have them in ascending order, so that only others need to be looked up.
#[derive(Default)]
struct SeenTags {
    highest: Option<Tag>,
    all: std::collections::HashSet<Tag>,
}

impl SeenTags {
    /// False where the tag was met before.
    fn insert(&mut self, tag: Tag) -> bool {
        let higher = self.highest.is_none_or(|highest| tag > highest);
        if higher {
            self.highest = Some(tag);
        }
        self.all.insert(tag)
    }
}

/// The tag and the length of an item or delimiter (PS3.5 7.5).
fn item_header([a, b, c, d, e, f, g, h]: [u8; 8], encoding: Encoding) -> (Tag, u32) {
    (encoding.tag([a, b, c, d]), encoding.u32([e, f, g, h]))
}

fn is_pixels(tag: Tag) -> bool {
    matches!(
        tag,
        tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA
    )
}

#[cfg(test)]
mod tests;
