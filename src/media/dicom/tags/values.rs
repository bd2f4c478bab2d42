//! Formats values as text by their representation (PS3.5 clause 6.2).

use std::fmt::Write;

use dicom_core::VR;
use dicom_core::dictionary::{UidDictionary, UidDictionaryEntry};
use dicom_dictionary_std::StandardSopClassDictionary;

use crate::dicom::parsing::charset::{Charset, TextKind};
use crate::dicom::parsing::syntax;
use crate::text::clean_lines;

/// Longest text of one value, in characters.
const MAX_CHARS: usize = 16 << 10;
/// Largest number of numbers listed of one value.
const MAX_NUMBERS: usize = 256;
/// Largest binary value shown in hexadecimal, in bytes.
const MAX_HEX_BYTES: usize = 16;

/// A value formatted as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FormattedValue {
    /// The text.
    pub text: String,
    /// Whether the text describes the value instead of giving it.
    pub described: bool,
}

impl FormattedValue {
    pub(crate) fn described(text: String) -> Self {
        Self {
            text,
            described: true,
        }
    }

    fn plain(text: String) -> Self {
        Self {
            text,
            described: false,
        }
    }
}

/// Formats a value. Binary ones are described by their length.
pub(crate) fn format_value(bytes: &[u8], vr: VR, charset: Charset) -> FormattedValue {
    let numbers =
        |size: usize, write: fn(&[u8]) -> String| FormattedValue::plain(list(bytes, size, write));
    match vr {
        VR::LO | VR::SH | VR::UC => text(bytes, charset, TextKind::Values),
        VR::PN => text(bytes, charset, TextKind::Names),
        VR::LT | VR::ST | VR::UT => text(bytes, charset, TextKind::Prose),
        VR::AE | VR::AS | VR::CS | VR::DA | VR::DS | VR::DT | VR::IS | VR::TM | VR::UI => {
            text(bytes, Charset::default(), TextKind::Values)
        }
        VR::UR => text(bytes, Charset::default(), TextKind::Prose),
        VR::AT => numbers(4, attribute),
        VR::US => numbers(2, |b| unsigned(b).to_string()),
        VR::SS => numbers(2, |b| signed(b).to_string()),
        VR::UL => numbers(4, |b| unsigned(b).to_string()),
        VR::SL => numbers(4, |b| signed(b).to_string()),
        VR::UV => numbers(8, |b| unsigned(b).to_string()),
        VR::SV => numbers(8, |b| signed(b).to_string()),
        VR::FL => numbers(4, |b| float(b).to_string()),
        VR::FD => numbers(8, |b| double(b).to_string()),
        _ => binary(bytes, vr == VR::UN),
    }
}

/// The meaning of a UID if the standard defines it: a storage class or a transfer syntax.
pub(crate) fn meaning(uid: &str) -> String {
    match (StandardSopClassDictionary.by_uid(uid), syntax::find(uid)) {
        (Some(class), _) => class.name().to_owned(),
        (None, Some(syntax)) => syntax.name.to_owned(),
        (None, None) => String::new(),
    }
}

/// Formats a number of bytes, with thousands separators.
pub(crate) fn byte_count(bytes: u64) -> String {
    let digits = bytes.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let plural = if bytes == 1 { "" } else { "s" };
    format!("{grouped} byte{plural}")
}

fn text(bytes: &[u8], charset: Charset, kind: TextKind) -> FormattedValue {
    // A character takes at most eight bytes, including a change of sets on either side.
    let bytes = &bytes[..bytes.len().min(8 * MAX_CHARS)];
    let padding = |c: char| c == '\0' || c == ' ';
    let decoded = charset.decode(bytes, kind);
    let trimmed = match kind {
        // Leading spaces of a paragraph are kept.
        TextKind::Prose => decoded.trim_end_matches(padding),
        TextKind::Values | TextKind::Names => decoded.trim_matches(padding),
    };
    FormattedValue::plain(clean_lines(trimmed, MAX_CHARS))
}

/// Formats a binary value: as text if it has no known representation and is printable, in hexadecimal if it is short,
/// else by its length.
fn binary(bytes: &[u8], is_unknown: bool) -> FormattedValue {
    let printable = |b: &u8| (0x20..0x7f).contains(b) || matches!(b, b'\r' | b'\n' | b'\t');
    let padded = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if is_unknown && !padded.is_empty() && padded.iter().all(printable) {
        return text(padded, Charset::default(), TextKind::Prose);
    }
    if bytes.len() > MAX_HEX_BYTES {
        return FormattedValue::described(byte_count(bytes.len() as u64));
    }
    let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    FormattedValue::plain(hex.join(" "))
}

/// Formats numbers of `size` bytes each, separated like the values of a text.
fn list(bytes: &[u8], size: usize, write: impl Fn(&[u8]) -> String) -> String {
    let count = bytes.len() / size;
    let numbers = bytes.chunks_exact(size).take(MAX_NUMBERS).map(write);
    let mut text = numbers.collect::<Vec<_>>().join("\\");
    if count > MAX_NUMBERS {
        let _ = write!(text, "\\… ({count} numbers)");
    }
    text
}

fn attribute(raw: &[u8]) -> String {
    format!("({:04x},{:04x})", unsigned(&raw[..2]), unsigned(&raw[2..]))
}

/// A little-endian number of up to eight bytes.
fn unsigned(raw: &[u8]) -> u64 {
    raw.iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn signed(raw: &[u8]) -> i64 {
    let unused = 64 - 8 * raw.len().min(8) as u32;
    ((unsigned(raw) << unused) as i64) >> unused
}

fn float(raw: &[u8]) -> f32 {
    f32::from_bits(unsigned(raw) as u32)
}

fn double(raw: &[u8]) -> f64 {
    f64::from_bits(unsigned(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shows(vr: VR, bytes: &[u8], wanted: &str) {
        assert_eq!(format_value(bytes, vr, Charset::default()).text, wanted);
    }

    #[test]
    fn numbers_are_formatted_by_their_representation() {
        shows(VR::US, &[1, 0, 255, 255], "1\\65535");
        shows(VR::SS, &[1, 0, 255, 255], "1\\-1");
        shows(VR::UL, &[0, 0, 1, 0], "65536");
        shows(VR::SL, &[254, 255, 255, 255], "-2");
        shows(VR::SV, &[255; 8], "-1");
        shows(VR::UV, &[255; 8], "18446744073709551615");
        shows(VR::FL, &0.1_f32.to_le_bytes(), "0.1");
        shows(VR::FD, &(-2.5_f64).to_le_bytes(), "-2.5");
        shows(VR::AT, &[0x10, 0, 0x20, 0], "(0010,0020)");
        shows(VR::US, &[1], "");
    }

    #[test]
    fn padding_is_removed_and_line_endings_are_kept() {
        shows(VR::LO, b" a \\b ", "a \\b");
        shows(VR::UI, b"1.2.3\0", "1.2.3");
        shows(
            VR::LT,
            b"  two\r\nlines \x1b[2J",
            "  two\nlines \u{fffd}[2J",
        );
    }

    #[test]
    fn binary_values_are_described_by_length_unless_short_or_text() {
        shows(VR::OB, &[0, 1], "00 01");
        shows(VR::OW, &[7; 1234], "1,234 bytes");
        shows(VR::UN, b"plain text\0", "plain text");
        shows(VR::UN, &[1; 17], "17 bytes");
        shows(VR::OB, b"text, but it says that it is none", "33 bytes");
        assert!(format_value(&[7; 99], VR::OW, Charset::default()).described);
    }

    #[test]
    fn long_values_are_bounded() {
        let formatted = format_value(&vec![b'x'; 1 << 20], VR::UT, Charset::default());
        assert_eq!(formatted.text.chars().count(), MAX_CHARS);
        let formatted = format_value(&[0; 4096], VR::US, Charset::default());
        assert!(formatted.text.ends_with("\\0\\… (2048 numbers)"));
    }

    #[test]
    fn known_uids_have_a_meaning() {
        assert_eq!(meaning("1.2.840.10008.5.1.4.1.1.2"), "CT Image Storage");
        assert_eq!(meaning("1.2.840.10008.1.2.1"), "Explicit VR Little Endian");
        assert_eq!(meaning("1.2.3"), "");
    }
}
