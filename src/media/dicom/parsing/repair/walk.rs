//! The walk over the elements of a data set, which verifies or rewrites them.

use std::ops::Range;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::frames::FrameGroups;
use super::pixels::is_pixels;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::elements::{
    self, ElementHeader, Encoding, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, value_size,
    vr_by_dictionary,
};
use crate::dicom::parsing::notes::Notes;
use crate::dicom::parsing::writer::DataSetWriter;
use crate::error::{ErrorKind, MediaError};

/// Largest number of elements and items in a data set, nested ones included: bounds the memory that a crafted file can
/// take.
const MAX_ELEMENTS: usize = 1_000_000;

/// The state of the walk over a data set.
pub(super) struct DataSetWalk<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) body: Option<&'a Body>,
    /// Encoding of the outermost data set.
    outer: Encoding,
    elements_left: usize,
    /// Whether dicom-object can read everything so far unrepaired.
    pub(super) is_sound: bool,
    /// Where the element of the pixels is in memory.
    pub(super) pixel_element: Option<Range<usize>>,
    /// Where the elements end and zero padding begins.
    pub(super) end: Option<usize>,
    /// The last element to read.
    last: Option<Tag>,
    /// The rewritten data set; `None` on the first pass, which only verifies.
    pub(super) out: Option<DataSetWriter>,
    /// How much of the functional groups of single frames is read, and whether this is within them.
    pub(super) groups: FrameGroups,
    pub(super) in_frames: bool,
    pub(super) notes: Notes,
}

impl<'a> DataSetWalk<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        body: Option<&'a Body>,
        outer: Encoding,
        last: Option<Tag>,
    ) -> Self {
        Self {
            bytes,
            at: 0,
            body,
            outer,
            elements_left: MAX_ELEMENTS,
            is_sound: true,
            pixel_element: None,
            end: None,
            last,
            out: None,
            groups: FrameGroups::Whole,
            in_frames: false,
            notes: Notes::default(),
        }
    }

    /// Adds a warning about a repair.
    pub(super) fn warn_repair(&mut self, tag: Tag, what: &str) {
        self.is_sound = false;
        self.notes.repairs.add(format!("{tag} {what}."));
    }

    /// Counts an element or item against the limit, unless it is left out.
    pub(super) fn count_element(&mut self) -> Result<(), MediaError> {
        if self.groups != FrameGroups::Whole && self.out.is_none() {
            return Ok(());
        }
        let left = self.elements_left.checked_sub(1);
        self.elements_left = left.ok_or_else(too_many_elements)?;
        Ok(())
    }

    /// Lowers the number of elements and items that may still come.
    pub(super) fn limit_elements(&mut self, most: usize) {
        self.elements_left = self.elements_left.min(most);
    }

    pub(super) fn write(&mut self, write: impl FnOnce(&mut DataSetWriter)) {
        if let Some(out) = &mut self.out {
            write(out);
        }
    }

    /// Walks elements up to `end`, or in an item of undefined length up to its delimiter.
    pub(super) fn walk_set(
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
                self.skip_trailing_bytes(end, delimited, depth);
                return Ok(());
            };
            match header.tag {
                ITEM_END if delimited => {
                    self.at += header.size;
                    return Ok(());
                }
                SEQUENCE_END if delimited => {
                    // The item's delimiter is missing; that of the sequence ends both.
                    self.warn_repair(
                        header.tag,
                        "comes where an item delimiter is missing; the item was ended there",
                    );
                    return Ok(());
                }
                Tag(0, 0) if rest.iter().all(|&byte| byte == 0) => {
                    self.skip_padding(end, depth);
                    return Ok(());
                }
                Tag(0xfffe, _) | Tag(0, 0) => self.skip_stray(&header, end),
                tag if depth == 0 && self.last.is_some_and(|last| tag > last) => {
                    self.notes.complete = true;
                    self.end = Some(self.at);
                    return Ok(());
                }
                _ => {
                    let is_duplicate = !seen.insert(header.tag);
                    self.walk_element(&header, encoding, end, depth, is_duplicate)?;
                }
            }
        }
    }

    /// Skips trailing bytes too few for an element, at the end of a set.
    fn skip_trailing_bytes(&mut self, end: usize, delimited: bool, depth: u32) {
        let rest = self.bytes.get(self.at..end).unwrap_or_default();
        let padding = rest.iter().all(|&byte| byte == 0);
        self.is_sound &= rest.is_empty() && !delimited;
        let at_file_end = end == self.bytes.len();
        self.notes.cut |= at_file_end && (delimited || (depth == 0 && !padding));
        self.at = self.at.max(end);
    }

    /// Skips zero padding up to the end of a set, which some writers add.
    fn skip_padding(&mut self, end: usize, depth: u32) {
        if depth == 0 && self.out.is_none() {
            self.end = Some(self.at);
        } else {
            self.is_sound = false;
        }
        self.at = end;
    }

    /// Skips a delimiter without its beginning, or zeros between elements.
    fn skip_stray(&mut self, header: &ElementHeader, end: usize) {
        self.warn_repair(header.tag, "ends no item or sequence; it was skipped");
        self.at += header.size;
        if header.length != UNDEFINED {
            self.at = self.at.saturating_add(header.length as usize).min(end);
        }
    }

    /// Walks one element behind its header.
    fn walk_element(
        &mut self,
        header: &ElementHeader,
        encoding: Encoding,
        end: usize,
        depth: u32,
        is_duplicate: bool,
    ) -> Result<(), MediaError> {
        let start = self.at;
        self.at += header.size;
        let is_needless = self.is_needless(header.tag, depth);
        if !is_needless {
            self.count_element()?;
        }
        if header.damaged {
            self.warn_repair(
                header.tag,
                "has no valid value representation; its length was inferred from what follows",
            );
        }
        if is_duplicate {
            self.warn_repair(
                header.tag,
                "occurs twice in the data set; the first is used",
            );
        }
        if depth == 0 && is_pixels(header.tag) {
            return self.note_pixels(header, encoding, start);
        }
        let kept = self.out.take_if(|_| is_duplicate || is_needless);
        let vr = header.vr.unwrap_or_else(|| vr_by_dictionary(header.tag));
        let walked = if header.length == UNDEFINED {
            self.walk_undefined_length(header, vr, encoding, end, depth)
        } else {
            self.walk_defined_length(header, vr, encoding, end, depth)
        };
        self.out = kept.or(self.out.take());
        walked
    }

    /// Walks a value of undefined length: a sequence, or fragments of something that is not the object's pixels.
    fn walk_undefined_length(
        &mut self,
        header: &ElementHeader,
        vr: VR,
        encoding: Encoding,
        end: usize,
        depth: u32,
    ) -> Result<(), MediaError> {
        let is_fragments = header.tag == tags::PIXEL_DATA
            || (header.vr.is_some() && !matches!(vr, VR::SQ | VR::UN));
        if is_fragments {
            let start = self.at;
            self.skip_fragments(encoding, end);
            self.keep_opaque(header.tag, start..self.at);
            return Ok(());
        }
        let unknown = vr == VR::UN && encoding.explicit;
        if unknown && self.outer.big_endian {
            let start = self.at;
            let out = self.out.take();
            let walked = self.walk_items(header.tag, None, end, false, depth + 1);
            self.out = out;
            walked?;
            self.keep_opaque(header.tag, start..self.at);
            return Ok(());
        }
        self.is_sound &= vr == VR::SQ;
        let inner = (!unknown).then_some(encoding);
        self.walk_sequence(header.tag, inner, end, false, depth)
    }

    /// Walks a sequence whose items are encoded as `inner`; without it, the encoding of each item is inferred.
    fn walk_sequence(
        &mut self,
        tag: Tag,
        inner: Option<Encoding>,
        end: usize,
        has_length: bool,
        depth: u32,
    ) -> Result<(), MediaError> {
        self.write(|out| out.begin_sequence(tag));
        self.walk_items(tag, inner, end, has_length, depth + 1)?;
        self.write(DataSetWriter::end_sequence);
        Ok(())
    }

    /// Walks a value of defined length.
    fn walk_defined_length(
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
            self.warn_repair(
                header.tag,
                "has a length that reaches beyond the end; the value was cut there",
            );
        }
        let value_end = start + length.min(rest);
        let value = self.bytes.get(start..value_end).unwrap_or_default();
        let begins_item = value
            .first_chunk()
            .is_some_and(|tag| matches!(encoding.tag(*tag), ITEM | SEQUENCE_END));
        let is_hidden_sequence = vr == VR::UN
            && begins_item
            && value.len() >= 8
            && matches!(vr_by_dictionary(header.tag), VR::SQ | VR::UN);
        if (vr == VR::SQ || is_hidden_sequence) && (value.is_empty() || begins_item) {
            self.is_sound &= !is_hidden_sequence;
            if is_hidden_sequence && self.outer.big_endian {
                self.at = value_end;
                self.keep_opaque(header.tag, start..value_end);
                return Ok(());
            }
            let inner = (!is_hidden_sequence || !encoding.explicit).then_some(encoding);
            self.walk_sequence(header.tag, inner, value_end, true, depth)?;
            self.at = value_end;
            return Ok(());
        }
        self.at = value_end;
        if vr == VR::SQ {
            self.warn_repair(
                header.tag,
                "is a sequence without items; it was read as bytes",
            );
            self.keep_opaque(header.tag, start..value_end);
            return Ok(());
        }
        let fits = (value.len() as u32).is_multiple_of(value_size(vr));
        self.is_sound &= fits;
        let vr = if fits { vr } else { VR::UN };
        self.note_tile(header.tag, value, encoding, depth);
        self.write(|out| out.element(header.tag, vr, value));
        Ok(())
    }

    /// Keeps a value as bytes, with representation UN.
    fn keep_opaque(&mut self, tag: Tag, range: Range<usize>) {
        self.is_sound = false;
        let value = self.bytes.get(range).unwrap_or_default();
        self.write(|out| out.element(tag, VR::UN, value));
    }
}

fn too_many_elements() -> MediaError {
    MediaError::new(
        ErrorKind::TooLarge,
        format!("DICOM: there are more than {MAX_ELEMENTS} attributes, which is the limit"),
    )
}

/// The tags of a set seen so far. Files have them in ascending order, so only other tags need to be looked up.
#[derive(Default)]
struct SeenTags {
    highest: Option<Tag>,
    all: std::collections::HashSet<Tag>,
}

impl SeenTags {
    /// Adds a tag; false if it was seen before.
    fn insert(&mut self, tag: Tag) -> bool {
        let higher = self.highest.is_none_or(|highest| tag > highest);
        if higher {
            self.highest = Some(tag);
        }
        self.all.insert(tag)
    }
}
