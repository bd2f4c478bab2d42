//! Lists a data set as rows: tags, names, and values as text.

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
use crate::dicom::tags::values::{self, FormattedValue};
use crate::dicom::tags::{TagRow, TagTree};
use crate::error::MediaError;

/// Maximum number of rows: enough for an enhanced object of two thousand frames, few enough to search at every
/// keystroke.
const MAX_ROWS: usize = 200_000;
/// Maximum text of all values together, in bytes.
const MAX_TEXT: usize = 32 << 20;

/// Lists the tags of a file, file meta information first.
pub(crate) fn tree(body: Body) -> Result<TagTree, MediaError> {
    let mut builder = TreeBuilder {
        rows: Vec::new(),
        text: 0,
        left_out: 0,
    };
    builder.add_set(
        &meta_group(body.file_head())?,
        Charset::default(),
        0,
        false,
        None,
    );
    let file = ParsedFile::read(body)?;
    let pixels = file.notes.pixels.as_ref();
    builder.add_set(&file.set, Charset::default(), 0, false, pixels);
    let (cut, partial) = (file.notes.cut, file.body.is_partial());
    builder
        .rows
        .extend(omissions(builder.left_out, cut, partial));
    builder.rows.extend(file.notes.left_out.map(described));
    Ok(TagTree { rows: builder.rows })
}

/// The row that describes what is not listed.
fn omissions(count: usize, cut: bool, partial: bool) -> Option<TagRow> {
    let value = match (count, cut, partial) {
        (0, false, false) => return None,
        (0, true, _) => "the file ends before its data set does".to_owned(),
        (0, false, true) => "attributes after the pixel data were not read".to_owned(),
        (n, ..) => format!("{} not listed", counted(n, "more attribute")),
    };
    Some(described(value))
}

/// A row that describes what is not listed.
fn described(value: impl Into<String>) -> TagRow {
    TagRow {
        name: "…".to_owned(),
        value: value.into(),
        described: true,
        ..TagRow::default()
    }
}

/// The rows listed so far.
struct TreeBuilder {
    rows: Vec<TagRow>,
    /// Bytes of text in the rows.
    text: usize,
    /// Attributes that were not listed.
    left_out: usize,
}

/// The context of the elements of a data set.
struct SetContext {
    charset: Charset,
    /// Whether pixels are in two's complement, and so are the attributes whose representation is US or SS.
    signed: bool,
    depth: u16,
    /// Whether the enclosing sequence is identifying as a whole.
    identifying: bool,
    /// Private creators by group and block, the high byte of an element (PS3.5 7.8.1).
    creators: HashMap<Tag, String>,
}

impl TreeBuilder {
    /// Adds the rows of a data set. `identifying`: whether the enclosing sequence is identifying as a whole. `pixels`: the
    /// pixels that belong to it.
    fn add_set(
        &mut self,
        set: &DataSet,
        charset: Charset,
        depth: u16,
        identifying: bool,
        mut pixels: Option<&PixelElement>,
    ) {
        let named = set.text(tags::SPECIFIC_CHARACTER_SET);
        let charset = named.map_or(charset, |name| Charset::parse(&name));
        let context = SetContext {
            charset,
            signed: set.short(tags::PIXEL_REPRESENTATION) == Some(1),
            depth,
            identifying,
            creators: creators(set, charset),
        };
        for element in set {
            if let Some(before) = pixels.take_if(|pixels| pixels.tag < element.tag()) {
                self.add_pixels(before, &context);
            }
            self.add_element(element, &context);
        }
        if let Some(last) = pixels {
            self.add_pixels(last, &context);
        }
    }

    /// Adds the row of the pixel data, which the parsed data set does not contain.
    fn add_pixels(&mut self, pixels: &PixelElement, context: &SetContext) {
        let written = match &pixels.data {
            PixelData::Native(range) => values::byte_count(range.end.saturating_sub(range.start)),
            PixelData::Fragments(fragments) => {
                let lengths = fragments.iter().map(|f| f.end.saturating_sub(f.start));
                format!(
                    "{}, encapsulated in {}",
                    values::byte_count(lengths.sum()),
                    counted(fragments.len().saturating_sub(1), "fragment")
                )
            }
        };
        let vr = pixels
            .vr
            .unwrap_or_else(|| effective_vr(pixels.tag, VR::UN, false));
        self.add_row(pixels.tag, vr, FormattedValue::described(written), context);
    }

    /// Adds the row of an attribute and the rows of its items.
    fn add_element(&mut self, element: &Element, context: &SetContext) {
        let tag = element.tag();
        let vr = effective_vr(tag, element.vr(), context.signed);
        let written = self.value(element, vr, context);
        if !self.add_row(tag, vr, written, context) {
            return;
        }
        let identifying = identifies(tag, vr, context);
        for (number, item) in element.items().unwrap_or_default().iter().enumerate() {
            self.add_item(number + 1, item, context, identifying);
        }
    }

    /// Adds the row of an attribute; false if [`MAX_ROWS`] is reached.
    fn add_row(&mut self, tag: Tag, vr: VR, written: FormattedValue, context: &SetContext) -> bool {
        if self.rows.len() >= MAX_ROWS {
            self.left_out += 1;
            return false;
        }
        let private = phi::is_private(tag);
        let entry = StandardDataDictionary.by_tag(tag);
        let creator = context.creators.get(&block(tag));
        let creator = creator.filter(|_| private && !is_creator(tag)).cloned();
        let name = match (entry, &creator) {
            (_, Some(_)) => "private",
            (Some(entry), None) => entry.alias(),
            (None, None) => "unknown",
        };
        self.text += written.text.len();
        self.rows.push(TagRow {
            depth: context.depth,
            id: format!("({:04x},{:04x})", tag.0, tag.1),
            vr: vr.to_string().to_owned(),
            name: name.to_owned(),
            creator: creator.unwrap_or_default(),
            private,
            identifying: identifies(tag, vr, context)
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

    /// Adds the row of a sequence item and the rows of its attributes.
    fn add_item(&mut self, number: usize, item: &DataSet, context: &SetContext, identifying: bool) {
        let count = item.iter().count();
        if self.rows.len() >= MAX_ROWS {
            self.left_out += count;
            return;
        }
        self.rows.push(TagRow {
            depth: context.depth + 1,
            name: format!("Item {number}"),
            value: counted(count, "attribute"),
            described: true,
            ..TagRow::default()
        });
        self.add_set(item, context.charset, context.depth + 2, identifying, None);
    }

    /// The value as text; its length alone if the rows already have too much text.
    fn value(&self, element: &Element, vr: VR, context: &SetContext) -> FormattedValue {
        match (element.items(), value_bytes(element)) {
            (Some(items), _) => FormattedValue::described(counted(items.len(), "item")),
            (None, Some(bytes)) if self.text < MAX_TEXT => {
                values::format_value(&bytes, vr, context.charset)
            }
            (None, bytes) => {
                let length = bytes.map_or(0, |bytes| bytes.len());
                FormattedValue::described(values::byte_count(length as u64))
            }
        }
    }
}

/// Whether a value may identify the patient. This includes private creators: they should name a vendor, but programs may
/// write anything there.
fn identifies(tag: Tag, vr: VR, context: &SetContext) -> bool {
    let known = StandardDataDictionary.by_tag(tag).is_some();
    context.identifying || !known || phi::identifies(tag, vr)
}

/// Whether a private element names the creator of a block.
fn is_creator(tag: Tag) -> bool {
    (0x10..=0xff).contains(&tag.1)
}

/// The creators of private blocks: element (gggg,00bb) names that of (gggg,bb00) to (gggg,bbff).
fn creators(set: &DataSet, charset: Charset) -> HashMap<Tag, String> {
    let named = |element: &Element| {
        let Tag(group, number) = element.tag();
        if !phi::is_private(element.tag()) || !is_creator(element.tag()) {
            return None;
        }
        let name = values::format_value(&value_bytes(element)?, VR::LO, charset).text;
        (!name.is_empty()).then_some((Tag(group, number << 8), name))
    };
    set.iter().filter_map(named).collect()
}

/// The block of a private element, as the key of [`SetContext::creators`].
fn block(tag: Tag) -> Tag {
    Tag(tag.0, tag.1 & 0xff00)
}

/// The value representation as written, or that of the dictionary if it is UN.
fn effective_vr(tag: Tag, written: VR, signed: bool) -> VR {
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
