//! The data set as rows: tags, names, values as text.

use std::collections::HashMap;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::header::Header;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::charset::Charset;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt, Element, value_bytes};
use crate::dicom::parsing::file::meta_group;
use crate::dicom::parsing::notes::{PixelData, PixelElement};
use crate::dicom::parsing::parsed::ParsedFile;
use crate::dicom::tags::phi;
use crate::dicom::tags::values::{self, Written};
use crate::dicom::tags::{TagRow, TagTree};
use crate::error::MediaError;

/// Most rows listed: enough for an enhanced object of two thousand frames, little enough to search at a keystroke.
const MOST_ROWS: usize = 200_000;
/// Most text kept of all values together, in bytes.
const MOST_TEXT: usize = 32 << 20;

/// The tags of a file, the meta group first.
pub(crate) fn tree(body: Body) -> Result<TagTree, MediaError> {
    let mut walk = TreeBuilder {
        rows: Vec::new(),
        text: 0,
        left_out: 0,
    };
    walk.set(
        &meta_group(body.file_head())?,
        Charset::default(),
        0,
        false,
        None,
    );
    let file = ParsedFile::read(body)?;
    let pixels = file.notes.pixels.as_ref();
    walk.set(&file.set, Charset::default(), 0, false, pixels);
    let (cut, partial) = (file.notes.cut, file.body.is_partial());
    walk.rows.extend(left_out(walk.left_out, cut, partial));
    Ok(TagTree { rows: walk.rows })
}

/// A row that says what is not among the others.
fn left_out(count: usize, cut: bool, partial: bool) -> Option<TagRow> {
    let value = match (count, cut, partial) {
        (0, false, false) => return None,
        (0, true, _) => "the file ends before its data set does".to_owned(),
        (0, false, true) => "what stands behind the pixels was not read".to_owned(),
        (n, ..) => format!("{} not listed", counted(n, "more attribute")),
    };
    Some(TagRow {
        name: "…".to_owned(),
        value,
        described: true,
        ..TagRow::default()
    })
}

struct TreeBuilder {
    rows: Vec<TagRow>,
    text: usize,
    left_out: usize,
}

/// What holds for all elements of a set.
struct SetContext {
    charset: Charset,
    /// Pixels are two's complement, and with them the attributes that say US or SS.
    signed: bool,
    depth: u16,
    /// The sequence around it is identifying as a whole.
    identifying: bool,
    /// By group and block, the high byte of an element (PS3.5 7.8.1).
    creators: HashMap<Tag, String>,
}

impl TreeBuilder {
    fn set(
        &mut self,
        set: &DataSet,
        charset: Charset,
        depth: u16,
        identifying: bool,
        mut pixels: Option<&PixelElement>,
    ) {
        let named = set.text(tags::SPECIFIC_CHARACTER_SET);
        let charset = named.map_or(charset, |name| Charset::parse(&name));
        let around = SetContext {
            charset,
            signed: set.short(tags::PIXEL_REPRESENTATION) == Some(1),
            depth,
            identifying,
            creators: creators(set, charset),
        };
        for element in set {
            if let Some(before) = pixels.take_if(|pixels| pixels.tag < element.tag()) {
                self.pixels(before, &around);
            }
            self.element(element, &around);
        }
        if let Some(last) = pixels {
            self.pixels(last, &around);
        }
    }

    /// The row of the pixels, which are not in the data set.
    fn pixels(&mut self, pixels: &PixelElement, around: &SetContext) {
        let written = match &pixels.data {
            PixelData::Native(range) => values::length(range.end.saturating_sub(range.start)),
            PixelData::Fragments(fragments) => {
                let lengths = fragments.iter().map(|f| f.end.saturating_sub(f.start));
                format!(
                    "{}, encapsulated in {}",
                    values::length(lengths.sum()),
                    counted(fragments.len().saturating_sub(1), "fragment")
                )
            }
        };
        let vr = pixels
            .vr
            .unwrap_or_else(|| meant(pixels.tag, VR::UN, false));
        self.row(pixels.tag, vr, Written::described(written), around);
    }

    fn element(&mut self, element: &Element, around: &SetContext) {
        let tag = element.tag();
        let vr = meant(tag, element.vr(), around.signed);
        let written = self.value(element, vr, around);
        if !self.row(tag, vr, written, around) {
            return;
        }
        let identifying = self
            .rows
            .last()
            .is_some_and(|_| identifies(tag, vr, around));
        for (number, item) in element.items().unwrap_or_default().iter().enumerate() {
            self.item(number + 1, item, around, identifying);
        }
    }

    /// Adds the row of an attribute; false where there are enough.
    fn row(&mut self, tag: Tag, vr: VR, written: Written, around: &SetContext) -> bool {
        if self.rows.len() >= MOST_ROWS {
            self.left_out += 1;
            return false;
        }
        let private = phi::is_private(tag);
        let entry = StandardDataDictionary.by_tag(tag);
        let creator = around.creators.get(&block(tag));
        let creator = creator.filter(|_| private && !creates(tag)).cloned();
        let name = match (entry, &creator) {
            (_, Some(_)) => "private",
            (Some(entry), None) => entry.alias(),
            (None, None) => "unknown",
        };
        self.text += written.text.len();
        self.rows.push(TagRow {
            depth: around.depth,
            id: format!("({:04x},{:04x})", tag.0, tag.1),
            vr: vr.to_string().to_owned(),
            name: name.to_owned(),
            creator: creator.unwrap_or_default(),
            private,
            identifying: identifies(tag, vr, around)
                && !written.described
                && !written.text.is_empty(),
            meaning: if vr == VR::UI {
                values::meaning(&written.text)
            } else {
                String::new()
            },
            value: written.text,
            described: written.described,
        });
        true
    }

    fn item(&mut self, number: usize, item: &DataSet, around: &SetContext, identifying: bool) {
        let count = item.iter().count();
        if self.rows.len() >= MOST_ROWS {
            self.left_out += count;
            return;
        }
        self.rows.push(TagRow {
            depth: around.depth + 1,
            name: format!("Item {number}"),
            value: counted(count, "attribute"),
            described: true,
            ..TagRow::default()
        });
        self.set(item, around.charset, around.depth + 2, identifying, None);
    }

    fn value(&self, element: &Element, vr: VR, around: &SetContext) -> Written {
        match (element.items(), value_bytes(element)) {
            (Some(items), _) => Written::described(counted(items.len(), "item")),
            (None, Some(bytes)) if self.text < MOST_TEXT => {
                values::write(&bytes, vr, around.charset)
            }
            (None, bytes) => {
                let length = bytes.map_or(0, |bytes| bytes.len());
                Written::described(values::length(length as u64))
            }
        }
    }
}

/// Whether a value tells who the patient is, or may. The creator of private attributes is one: it should name a vendor,
/// and is whatever a program wrote there.
fn identifies(tag: Tag, vr: VR, around: &SetContext) -> bool {
    let known = StandardDataDictionary.by_tag(tag).is_some();
    around.identifying || !known || phi::identifies(tag, vr)
}

/// Whether a private element names the creator of a block.
fn creates(tag: Tag) -> bool {
    (0x10..=0xff).contains(&tag.1)
}

/// The creators of private blocks: an element (gggg,00bb) names that of (gggg,bb00) to (gggg,bbff).
fn creators(set: &DataSet, charset: Charset) -> HashMap<Tag, String> {
    let named = |element: &Element| {
        let Tag(group, number) = element.tag();
        if !phi::is_private(element.tag()) || !creates(element.tag()) {
            return None;
        }
        let name = values::write(&value_bytes(element)?, VR::LO, charset).text;
        (!name.is_empty()).then_some((Tag(group, number << 8), name))
    };
    set.iter().filter_map(named).collect()
}

/// The block that a private element lies in.
fn block(tag: Tag) -> Tag {
    Tag(tag.0, tag.1 & 0xff00)
}

/// The value representation that is written; where it is UN, that of the dictionary.
fn meant(tag: Tag, written: VR, signed: bool) -> VR {
    let entry = StandardDataDictionary.by_tag(tag);
    match (written, entry.map(DataDictionaryEntry::vr)) {
        (VR::UN | VR::US, Some(VirtualVr::Xs)) if signed => VR::SS,
        (VR::UN, Some(known)) => known.relaxed(),
        _ => written,
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests;
