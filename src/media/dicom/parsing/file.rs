//! Splits a file into preamble, file meta information and data set, and finds the transfer syntax (PS3.10 clause 7).

use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::dataset::{self, DataSet, DataSetExt};
use crate::dicom::parsing::elements::{BIG_ENDIAN, EXPLICIT, Encoding, IMPLICIT};
use crate::dicom::parsing::syntax::{self, Syntax};
use crate::error::{MediaError, malformed, truncated};
use crate::sniff::is_bare_dicom;
use dicom_dictionary_std::tags;

/// What comes before the data set.
#[derive(Debug)]
pub(crate) struct Meta {
    /// The transfer syntax named in the file meta information, or guessed from the bytes.
    pub syntax: Syntax,
    /// The UID of the transfer syntax, as the file has it.
    pub transfer_syntax: String,
    /// How the data set is actually encoded, which damaged meta information may contradict.
    pub encoding: Encoding,
    /// Media Storage SOP Class UID, if given.
    pub sop_class: Option<String>,
    /// `blake3:<hex>` of the original file, if it was inflated.
    pub content: Option<String>,
}

impl Meta {
    /// Whether samples are big-endian.
    pub(crate) fn has_big_pixels(&self) -> bool {
        self.encoding.big_endian || self.syntax.big_pixels
    }

    /// Splits a file into what comes before the data set, and the data set.
    pub(crate) fn open(mut body: Body) -> Result<(Self, Body), MediaError> {
        let bytes = body.file_head();
        let start = meta_start(bytes);
        let mut end = meta_end(bytes, start);
        // An element header may be cut where the part in memory ends.
        while end + 12 > body.file_head().len() && body.can_grow() {
            body.grow()?;
            end = meta_end(body.file_head(), start);
        }
        let bytes = body.file_head();
        let (meta, _) = dataset::parse(&bytes[start..end], EXPLICIT)?;
        let rest = &bytes[end..];
        if rest.is_empty() {
            return Err(truncated("DICOM: the file ends before its data set begins"));
        }
        let (syntax, transfer_syntax) = match meta.first(tags::TRANSFER_SYNTAX_UID) {
            Some(uid) if crate::uid(&uid).is_none() => {
                return Err(malformed("DICOM: the transfer syntax UID is damaged"));
            }
            Some(uid) => (
                syntax::find(&uid).unwrap_or_else(|| unknown_syntax(rest)),
                uid,
            ),
            None => {
                let guessed = guess(rest);
                (guessed, guessed.uid.to_owned())
            }
        };
        let mut opened = Self {
            syntax,
            transfer_syntax,
            encoding: actual_encoding(rest, syntax.encoding),
            sop_class: meta.first(tags::MEDIA_STORAGE_SOP_CLASS_UID),
            content: None,
        };
        if !syntax.deflated {
            return Ok((opened, body.with_start(end)));
        }
        opened.encoding = syntax.encoding;
        opened.content = Some(body.content()?);
        Ok((opened, body.inflated(end)?))
    }
}

/// Parses the file meta information, as far as it is in memory.
pub(crate) fn meta_group(bytes: &[u8]) -> Result<DataSet, MediaError> {
    let start = meta_start(bytes);
    let (set, _) = dataset::parse(&bytes[start..meta_end(bytes, start)], EXPLICIT)?;
    Ok(set)
}

/// Offset of group 0002, or of the data set if there is none.
fn meta_start(bytes: &[u8]) -> usize {
    // In a file without preamble, these four letters may be part of a value by chance.
    let preamble = bytes.get(128..132) == Some(b"DICM");
    if preamble && (bytes.get(132..134) == Some(&[2, 0]) || !is_bare_dicom(bytes)) {
        132
    } else if bytes.starts_with(b"DICM") {
        4
    } else {
        0
    }
}

/// Offset at which group 0002 ends, found by walking its elements because the group length is often missing or wrong.
fn meta_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(header) = bytes.get(at..at.saturating_add(8)) {
        if header[..2] != [2, 0] {
            break;
        }
        let vr = [header[4], header[5]];
        let long = matches!(&vr, b"OB" | b"UN" | b"UT" | b"OW" | b"SQ");
        let explicit = vr.iter().all(u8::is_ascii_uppercase);
        let length = match (explicit, long) {
            (true, true) => match bytes.get(at + 8..at + 12) {
                Some(l) => 12 + u32::from_le_bytes([l[0], l[1], l[2], l[3]]) as usize,
                None => break,
            },
            (true, false) => 8 + usize::from(u16::from_le_bytes([header[6], header[7]])),
            (false, _) => {
                8 + u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize
            }
        };
        at = at.saturating_add(length);
    }
    at.min(bytes.len())
}

/// Guesses the syntax of a data set whose meta information is missing or does not name one.
fn guess(body: &[u8]) -> Syntax {
    let big = body.first() == Some(&0) && body.get(1).is_some_and(|&g| g != 0);
    match body.get(4..6) {
        Some(vr) if vr.iter().all(u8::is_ascii_uppercase) && big => syntax::EXPLICIT_BIG,
        Some(vr) if vr.iter().all(u8::is_ascii_uppercase) => syntax::EXPLICIT_LITTLE,
        _ => syntax::IMPLICIT_LITTLE,
    }
}

/// An unknown syntax, with the encoding of the first element.
fn unknown_syntax(body: &[u8]) -> Syntax {
    Syntax {
        encoding: guess(body).encoding,
        ..syntax::UNKNOWN
    }
}

/// The encoding of the first element: some writers name one syntax and use another.
fn actual_encoding(body: &[u8], named: Encoding) -> Encoding {
    let Some(header) = body.get(..8) else {
        return named;
    };
    let explicit = header[4..6].iter().all(u8::is_ascii_uppercase);
    let group = |big: bool| {
        if big {
            u16::from_be_bytes([header[0], header[1]])
        } else {
            u16::from_le_bytes([header[0], header[1]])
        }
    };
    let plausible = |group: u16| (0x0004..=0x0028).contains(&group);
    match (named.explicit, explicit) {
        (true, false) if !named.big_endian => IMPLICIT,
        (false, true) => EXPLICIT,
        (_, true) if named.big_endian && !plausible(group(true)) && plausible(group(false)) => {
            EXPLICIT
        }
        (_, true) if !named.big_endian && !plausible(group(false)) && plausible(group(true)) => {
            BIG_ENDIAN
        }
        _ => named,
    }
}
