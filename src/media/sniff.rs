//! Recognises the format of a file by its first bytes, and decides by the file name how unknown content is reported.

use std::path::Path;

use crate::error::{ErrorKind, MediaError};

/// The format of a file, judged by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// A JPEG stream.
    Jpeg,
    /// A PNG file, possibly incomplete.
    Png,
    /// DICOM, with or without preamble and file meta information.
    Dicom,
    /// An image in this format, which is not supported.
    Other(&'static str),
    /// No known format.
    Unknown,
}

/// File name extensions of the supported formats.
const SUPPORTED_EXTENSIONS: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "dcm", "dicom", "dic",
];

/// File name extensions of image formats that are not supported. Some of these formats have no signature.
const UNSUPPORTED_EXTENSIONS: &[(&str, &str)] = &[
    ("avif", "AVIF"),
    ("bmp", "BMP"),
    ("gif", "GIF"),
    ("heic", "HEIC"),
    ("ico", "ICO"),
    ("j2k", "JPEG 2000"),
    ("jp2", "JPEG 2000"),
    ("jls", "JPEG-LS"),
    ("jxl", "JPEG XL"),
    ("pbm", "PNM"),
    ("pgm", "PNM"),
    ("ppm", "PNM"),
    ("tga", "TGA"),
    ("tif", "TIFF"),
    ("tiff", "TIFF"),
    ("webp", "WebP"),
];

/// Signatures of image formats that are not supported: offset, bytes, name.
const SIGNATURES: &[(usize, &[u8], &str)] = &[
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "BigTIFF"),
    (0, b"MM\0+", "BigTIFF"),
    (8, b"WEBP", "WebP"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\xff\xd8\xff\xf7", "JPEG-LS"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"\0\0\x01\0", "ICO"),
    (0, b"8BPS", "PSD"),
    (0, b"\x8aMNG\r\n\x1a\n", "MNG"),
    (0, b"qoif", "QOI"),
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"farbfeld", "farbfeld"),
    (0, b"NRRD000", "NRRD"),
    (344, b"n+1\0", "NIfTI"),
    (344, b"ni1\0", "NIfTI"),
];

/// Recognises a format by the first bytes of a file (132 suffice for the supported formats).
pub fn sniff(head: &[u8]) -> Sniffed {
    let at = |offset: usize, bytes: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(bytes))
    };
    if at(128, b"DICM") || at(0, b"DICM") {
        return Sniffed::Dicom;
    }
    if let Some(&(.., name)) = SIGNATURES
        .iter()
        .find(|(offset, bytes, _)| at(*offset, bytes))
    {
        return Sniffed::Other(name);
    }
    if at(0, b"\xff\xd8\xff") || head == b"\xff\xd8" {
        return Sniffed::Jpeg;
    }
    if at(0, b"\x89PNG\r\n\x1a\n") {
        return Sniffed::Png;
    }
    if is_bmp(head) {
        return Sniffed::Other("BMP");
    }
    if is_bare_dicom(head) {
        return Sniffed::Dicom;
    }
    Sniffed::Unknown
}

/// Whether the bytes begin a BMP file. Many texts begin with `BM`, so the size of the second header must be valid too.
fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM")
        && head
            .get(14..18)
            .is_some_and(|size| matches!(size, [12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// Whether the bytes are a DICOM data set without the preamble that PS3.10 requires and many archives leave out: the first two
/// elements must belong to the groups that begin a data set, in ascending order, in one of the three encodings.
pub(super) fn is_bare_dicom(head: &[u8]) -> bool {
    [(false, true), (false, false), (true, true)]
        .into_iter()
        .any(|(big, explicit)| {
            let Some((first, next)) = element_at(head, 0, big, explicit) else {
                return false;
            };
            if !matches!(first >> 16, 0x0002 | 0x0004 | 0x0008) || first & 0xffff > 0x1250 {
                return false;
            }
            match element_at(head, next, big, explicit) {
                Some((second, _)) => second > first && second >> 16 <= 0x0028,
                // A single element that fills the file, or that ends beyond the bytes at hand.
                None => explicit && next >= head.len() && next < 1 << 16,
            }
        })
}

/// The tag at `offset` and the offset after its value, if the element header is plausible.
fn element_at(head: &[u8], offset: usize, big: bool, explicit: bool) -> Option<(u32, usize)> {
    let bytes: [u8; 8] = head.get(offset..offset.checked_add(8)?)?.try_into().ok()?;
    let half = |i: usize| {
        let pair = [bytes[i], bytes[i + 1]];
        u32::from(if big {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        })
    };
    let tag = half(0) << 16 | half(2);
    let vr = &bytes[4..6];
    if !explicit {
        let length = half(6) << 16 | half(4);
        return (length < 1 << 16).then_some((tag, offset + 8 + length as usize));
    }
    if matches!(vr, b"OB" | b"OW" | b"UN" | b"SQ" | b"UT" | b"UC" | b"UR") {
        let length = head.get(offset + 8..offset + 12)?;
        let length = u32::from_le_bytes(length.try_into().ok()?);
        let length = if big { length.swap_bytes() } else { length };
        return (length < 1 << 16).then_some((tag, offset + 12 + length as usize));
    }
    let known = [
        b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN",
        b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
    ];
    known
        .iter()
        .any(|k| vr == *k)
        .then(|| (tag, offset + 8 + half(6) as usize))
}

/// Refines the error of a file with unknown content by the extension of its name: a damaged image for that of a supported
/// format, an unsupported image for that of another image format, else not an image.
pub(super) fn refine_error(error: MediaError, is_empty: bool, path: &Path) -> MediaError {
    let Some(extension) = path
        .extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase)
    else {
        return error;
    };
    if SUPPORTED_EXTENSIONS.contains(&extension.as_str()) {
        let (kind, message) = if is_empty {
            (ErrorKind::Truncated, "the file is empty".to_owned())
        } else {
            (
                ErrorKind::Malformed,
                format!("the name ends in .{extension}, but the content is not JPEG, PNG or DICOM"),
            )
        };
        return MediaError::new(kind, message);
    }
    match UNSUPPORTED_EXTENSIONS
        .iter()
        .find(|(name, _)| *name == extension)
    {
        Some((_, format)) => unsupported_format(format),
        None => error,
    }
}

/// The error for an image of an unsupported format.
pub(super) fn unsupported_format(format: &str) -> MediaError {
    MediaError::new(
        ErrorKind::Unsupported,
        format!("{format} is not supported; use JPEG, PNG or DICOM"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_recognised_by_content() {
        let mut dicom = vec![0; 132];
        dicom[128..].copy_from_slice(b"DICM");
        assert_eq!(sniff(&dicom), Sniffed::Dicom);
        assert_eq!(sniff(b"\xff\xd8\xff\xe0\0\x10JFIF"), Sniffed::Jpeg);
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n"), Sniffed::Png);
        assert_eq!(sniff(b"II*\0\x08\0\0\0"), Sniffed::Other("TIFF"));
        assert_eq!(sniff(b"RIFF\x10\0\0\0WEBPVP8 "), Sniffed::Other("WebP"));
        assert_eq!(
            sniff(b"BM\x9a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
            Sniffed::Other("BMP")
        );
        assert_eq!(sniff(b"BMI of the cohort: 24.1 +- 3.2"), Sniffed::Unknown);
        assert_eq!(sniff(b"# Read me\n\nThis is text.\n"), Sniffed::Unknown);
        assert_eq!(sniff(b""), Sniffed::Unknown);
        assert_eq!(sniff(&[0; 4096]), Sniffed::Unknown);
    }

    #[test]
    fn dicom_is_recognised_without_preamble_in_all_three_encodings() {
        let explicit = b"\x08\0\x05\0CS\x0a\0ISO_IR 100\x08\0\x16\0UI\x02\0.1";
        let implicit = b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100\x08\0\x16\0\x02\0\0\0.1";
        let big = b"\0\x08\0\x05CS\0\x0aISO_IR 100\0\x08\0\x16UI\0\x02.1";
        for bytes in [explicit.as_slice(), implicit, big] {
            assert_eq!(sniff(bytes), Sniffed::Dicom);
        }
    }

    #[test]
    fn the_name_only_decides_how_unknown_content_is_reported() {
        let error = || MediaError::not_an_image(ErrorKind::Unsupported, "not an image");
        let reported = |name: &str, bytes: &[u8]| {
            let error = refine_error(error(), bytes.is_empty(), Path::new(name));
            (error.kind, !error.content.is_image())
        };
        assert_eq!(reported("a.jpg", b"<html>"), (ErrorKind::Malformed, false));
        assert_eq!(reported("a.PNG", b""), (ErrorKind::Truncated, false));
        assert_eq!(reported("a.tga", b"xyz"), (ErrorKind::Unsupported, false));
        assert_eq!(reported("README", b"hello"), (ErrorKind::Unsupported, true));
        assert_eq!(reported("notes.txt", b""), (ErrorKind::Unsupported, true));
    }
}
