//! The walk over the items of a sequence (PS3.5 7.5).

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::walk::DataSetWalk;
use crate::dicom::parsing::elements::{self, EXPLICIT, Encoding, ITEM, SEQUENCE_END, UNDEFINED};
use crate::dicom::parsing::writer::DataSetWriter;
use crate::error::{MediaError, malformed};

/// Deepest nesting of sequences that is followed; real objects have a handful of levels.
const MAX_DEPTH: u32 = 32;

impl DataSetWalk<'_> {
    /// Walks items up to the sequence's delimiter or `end`. Without an encoding, that of each item is inferred.
    pub(super) fn walk_items(
        &mut self,
        sequence: Tag,
        encoding: Option<Encoding>,
        end: usize,
        has_length: bool,
        depth: u32,
    ) -> Result<(), MediaError> {
        if depth > MAX_DEPTH {
            return Err(malformed("DICOM: sequences are nested too deeply"));
        }
        loop {
            let rest = self.bytes.get(self.at..end).unwrap_or_default();
            let Some(bytes) = rest.first_chunk::<8>() else {
                self.is_sound &= has_length && rest.is_empty();
                self.notes.cut |= !has_length && end == self.bytes.len();
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
                    self.walk_item(encoding, length, end, depth)?;
                }
                SEQUENCE_END => {
                    self.is_sound &= !has_length;
                    self.at += 8;
                    return Ok(());
                }
                _ if has_length => {
                    self.warn_repair(
                        sequence,
                        "has other data between its items; that was skipped",
                    );
                    self.at = end;
                    return Ok(());
                }
                _ => {
                    // The delimiter is missing: this is the next element of the enclosing set.
                    self.warn_repair(
                        sequence,
                        "is a sequence without its delimiter; it was ended before the next element",
                    );
                    return Ok(());
                }
            }
        }
    }

    fn walk_item(
        &mut self,
        encoding: Option<Encoding>,
        length: u32,
        end: usize,
        depth: u32,
    ) -> Result<(), MediaError> {
        self.count_element()?;
        self.begin_tile(depth);
        let rest = self.bytes.get(self.at..end).unwrap_or_default();
        let encoding = encoding.unwrap_or_else(|| elements::item_encoding_in_un(rest));
        self.write(DataSetWriter::begin_item);
        if length == UNDEFINED {
            self.walk_set(encoding, end, true, depth)?;
        } else {
            let within = (length as usize).min(rest.len());
            if within < length as usize {
                self.warn_repair(
                    ITEM,
                    "has a length that reaches beyond its sequence; it was ended there",
                );
                self.notes.cut |= end == self.bytes.len();
            }
            let item_end = self.at + within;
            self.walk_set(encoding, item_end, false, depth)?;
            self.at = item_end;
        }
        self.write(DataSetWriter::end_item);
        Ok(())
    }
}

/// The tag and length of an item or delimiter (PS3.5 7.5).
pub(super) fn item_header([a, b, c, d, e, f, g, h]: [u8; 8], encoding: Encoding) -> (Tag, u32) {
    (encoding.tag([a, b, c, d]), encoding.u32([e, f, g, h]))
}
