//! The data set as rows: tags, names, values as text.

use std::collections::HashMap;

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

use crate::dicom::attributes;
use crate::dicom::object::parse;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::charset::Charset;
use crate::dicom::parsing::dataset::{DataSet, Element, Tag, Value};
use crate::dicom::parsing::file::{Meta, meta_group};
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
    let mut walk = Walk {
        rows: Vec::new(),
        text: 0,
        left_out: 0,
    };
    walk.set(&meta_group(body.file_head())?, Charset::default(), 0, false);
    let (meta, body) = Meta::open(body)?;
    let parsed = parse(body, &meta)?;
    let set = parsed.borrow_dependent();
    walk.set(set, Charset::default(), 0, false);
    let partial = parsed.borrow_owner().is_partial();
    walk.rows.extend(left_out(walk.left_out, set.cut, partial));
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

struct Walk {
    rows: Vec<TagRow>,
    text: usize,
    left_out: usize,
}

/// What holds for all elements of a set.
struct Around {
    charset: Charset,
    big_endian: bool,
    /// Pixels are two's complement, and with them the attributes that say US or SS.
    signed: bool,
    depth: u16,
    /// The sequence around it is identifying as a whole.
    identifying: bool,
    /// By group and block, the high byte of an element (PS3.5 7.8.1).
    creators: HashMap<u32, String>,
}

impl Walk {
    fn set(&mut self, set: &DataSet, charset: Charset, depth: u16, identifying: bool) {
        let named = set.bytes(attributes::CHARSET).map(String::from_utf8_lossy);
        let charset = named.map_or(charset, |name| Charset::parse(&name));
        let around = Around {
            charset,
            big_endian: set.big_endian(),
            signed: set.short(attributes::SIGNED) == Some(1),
            depth,
            identifying,
            creators: creators(set, charset),
        };
        for element in set.elements() {
            self.element(set, element, &around);
        }
    }

    fn element(&mut self, set: &DataSet, element: &Element, around: &Around) {
        if self.rows.len() >= MOST_ROWS {
            self.left_out += 1;
            return;
        }
        let entry = StandardDataDictionary.by_tag(dicom_tag(element.tag));
        let vr = meant(element, entry.map(DataDictionaryEntry::vr), around.signed);
        let private = phi::is_private(element.tag);
        let creates = private && (0x10..=0xff).contains(&(element.tag & 0xffff));
        let identifying =
            !creates && (around.identifying || entry.is_none() || phi::identifies(element.tag, vr));
        let name = match around.creators.get(&block(element.tag)) {
            Some(creator) if private && !creates => creator.clone(),
            _ => entry.map_or_else(|| "unknown".to_owned(), |entry| entry.alias().to_owned()),
        };
        let written = self.value(set, element, vr, around);
        self.text += written.text.len();
        self.rows.push(TagRow {
            depth: around.depth,
            id: id(element.tag),
            vr: String::from_utf8_lossy(&vr).into_owned(),
            name,
            private,
            identifying: identifying && !written.described && !written.text.is_empty(),
            meaning: if &vr == b"UI" {
                values::meaning(&written.text)
            } else {
                String::new()
            },
            value: written.text,
            described: written.described,
        });
        if matches!(element.value, Value::Items(_)) || &vr == b"SQ" {
            for (number, item) in set.items_of(element).iter().enumerate() {
                self.item(number + 1, item, around, identifying);
            }
        }
    }

    fn item(&mut self, number: usize, item: &DataSet, around: &Around, identifying: bool) {
        if self.rows.len() >= MOST_ROWS {
            self.left_out += item.elements().len();
            return;
        }
        self.rows.push(TagRow {
            depth: around.depth + 1,
            name: format!("Item {number}"),
            value: counted(item.elements().len(), "attribute"),
            described: true,
            ..TagRow::default()
        });
        self.set(item, around.charset, around.depth + 2, identifying);
    }

    fn value(&self, set: &DataSet, element: &Element, vr: [u8; 2], around: &Around) -> Written {
        match &element.value {
            Value::Bytes(_) if &vr == b"SQ" => {
                Written::described(counted(set.items_of(element).len(), "item"))
            }
            Value::Pixels(range) => {
                Written::described(values::length(range.end.saturating_sub(range.start)))
            }
            Value::Bytes(bytes) if self.text < MOST_TEXT => {
                values::write(bytes, vr, around.charset, around.big_endian)
            }
            Value::Bytes(bytes) => Written::described(values::length(bytes.len() as u64)),
            Value::Items(items) => Written::described(counted(items.len(), "item")),
            Value::Fragments(fragments) => {
                let bytes: u64 = fragments
                    .iter()
                    .map(|f| f.end.saturating_sub(f.start))
                    .sum();
                Written::described(format!(
                    "{}, encapsulated in {}",
                    values::length(bytes),
                    counted(fragments.len().saturating_sub(1), "fragment")
                ))
            }
        }
    }
}

/// The creators of private blocks: an element (gggg,00bb) names that of (gggg,bb00) to (gggg,bbff).
fn creators(set: &DataSet, charset: Charset) -> HashMap<u32, String> {
    let creates = |element: &&Element| {
        phi::is_private(element.tag) && (0x10..=0xff).contains(&(element.tag & 0xffff))
    };
    let name = |element: &Element| match element.value {
        Value::Bytes(bytes) => values::write(bytes, *b"LO", charset, false).text,
        _ => String::new(),
    };
    set.elements()
        .iter()
        .filter(creates)
        .map(|element| {
            let block = element.tag & 0xffff_0000 | (element.tag & 0xff) << 8;
            (block, name(element))
        })
        .filter(|(_, name)| !name.is_empty())
        .collect()
}

/// The block that a private element lies in.
fn block(tag: Tag) -> u32 {
    tag & 0xffff_ff00
}

/// The value representation that is written; where none is, or UN, that of the dictionary.
fn meant(element: &Element, known: Option<VirtualVr>, signed: bool) -> [u8; 2] {
    if !matches!(&element.vr, b"??" | b"UN") {
        return element.vr;
    }
    // Of a private sequence nobody says that it is one; but few other values begin with the tag of an item.
    let begins = |bytes: &[u8]| bytes.len() >= 8 && bytes.starts_with(&[0xfe, 0xff, 0x00, 0xe0]);
    if match element.value {
        Value::Items(_) => true,
        Value::Bytes(bytes) => known.is_none() && begins(bytes),
        Value::Pixels(_) | Value::Fragments(_) => false,
    } {
        return *b"SQ";
    }
    let vr = match known {
        Some(VirtualVr::Xs) if signed => VR::SS,
        Some(known) => known.relaxed(),
        None => VR::UN,
    };
    vr.to_bytes()
}

fn dicom_tag(tag: Tag) -> dicom_core::Tag {
    dicom_core::Tag((tag >> 16) as u16, tag as u16)
}

/// As the standard writes it.
fn id(tag: Tag) -> String {
    format!("({:04x},{:04x})", tag >> 16, tag & 0xffff)
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests;
