//! Transfer syntaxes by UID (PS3.6 table A-1): how the data set and its pixels are encoded.
//!
//! Names and encodings come from the registry of dicom-rs, beside the syntaxes it lacks: retired JPEG processes, and
//! private syntaxes without compression.

use dicom_encoding::Endianness;
use dicom_encoding::transfer_syntax::{Codec as RegistryCodec, TransferSyntaxIndex};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::elements::{BIG_ENDIAN, EXPLICIT, Encoding, IMPLICIT};
use crate::error::{MediaError, unsupported};

/// The codec of the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Uncompressed and not encapsulated.
    Native,
    /// Any JPEG of ITU-T T.81; its own markers say which process.
    Jpeg,
    /// RLE Lossless (PS3.5 annex G).
    Rle,
    /// JPEG-LS.
    JpegLs,
    /// JPEG 2000 and High-Throughput JPEG 2000.
    Jpeg2000,
    /// JPEG XL.
    JpegXl,
    /// Each frame deflated.
    Deflated,
    /// Encapsulated without compression.
    Encapsulated,
    /// Known by name, but not supported.
    Unsupported,
    /// Unknown: shown if the pixels have exactly the length of uncompressed ones.
    Unknown,
}

/// A transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// Its UID; empty if unknown.
    pub uid: &'static str,
    /// Its name, without the parentheses of the standard.
    pub name: &'static str,
    /// The encoding of the data set.
    pub encoding: Encoding,
    /// Whether the data set is one deflated stream.
    pub deflated: bool,
    /// Whether pixels are big-endian although the data set is not.
    pub big_pixels: bool,
    /// The codec of the pixels.
    pub codec: Codec,
}

impl Syntax {
    /// The error for pixels that cannot be decoded.
    pub(crate) fn unsupported(&self) -> MediaError {
        unsupported(format!(
            "DICOM transfer syntax {} ({}) is not supported",
            self.name, self.uid
        ))
    }
}

const fn syntax(uid: &'static str, name: &'static str, codec: Codec) -> Syntax {
    Syntax {
        uid,
        name,
        encoding: EXPLICIT,
        deflated: false,
        big_pixels: false,
        codec,
    }
}

/// Implicit VR Little Endian, the default of the standard.
pub(crate) const IMPLICIT_LITTLE: Syntax = Syntax {
    encoding: IMPLICIT,
    ..syntax(
        "1.2.840.10008.1.2",
        "Implicit VR Little Endian",
        Codec::Native,
    )
};
/// Explicit VR Little Endian.
pub(crate) const EXPLICIT_LITTLE: Syntax = syntax(
    "1.2.840.10008.1.2.1",
    "Explicit VR Little Endian",
    Codec::Native,
);
/// Explicit VR Big Endian, retired.
pub(crate) const EXPLICIT_BIG: Syntax = Syntax {
    encoding: BIG_ENDIAN,
    ..syntax(
        "1.2.840.10008.1.2.2",
        "Explicit VR Big Endian",
        Codec::Native,
    )
};
/// An unknown syntax.
pub(crate) const UNKNOWN: Syntax = syntax("", "unknown", Codec::Unknown);

/// Syntaxes that the registry of dicom-rs lacks.
const UNREGISTERED: &[Syntax] = &[
    syntax(
        "1.2.840.10008.1.2.4.53",
        "JPEG Spectral Selection, Non-Hierarchical",
        Codec::Jpeg,
    ),
    syntax(
        "1.2.840.10008.1.2.4.55",
        "JPEG Full Progression, Non-Hierarchical",
        Codec::Jpeg,
    ),
    Syntax {
        encoding: IMPLICIT,
        ..syntax(
            "1.2.840.10008.1.20",
            "Papyrus 3 Implicit VR Little Endian",
            Codec::Native,
        )
    },
    syntax(
        "1.3.46.670589.33.1.4.1",
        "Philips private Explicit VR Little Endian",
        Codec::Native,
    ),
    Syntax {
        encoding: IMPLICIT,
        big_pixels: true,
        ..syntax(
            "1.2.840.113619.5.2",
            "GE private Implicit VR with big-endian pixels",
            Codec::Native,
        )
    },
];

/// Finds a syntax by its UID.
pub(crate) fn find(uid: &str) -> Option<Syntax> {
    let unregistered = UNREGISTERED
        .iter()
        .find(|syntax| syntax.uid == uid)
        .copied();
    unregistered.or_else(|| registered(uid))
}

/// Finds a syntax in the registry of dicom-rs.
fn registered(uid: &str) -> Option<Syntax> {
    let known = TransferSyntaxRegistry.get(uid)?;
    Some(Syntax {
        uid: known.uid(),
        name: known.name().split(" (").next().unwrap_or_default(),
        encoding: Encoding {
            big_endian: known.endianness() == Endianness::Big,
            // The only standard syntax whose elements do not name their value representation.
            explicit: known.uid() != IMPLICIT_LITTLE.uid,
        },
        deflated: matches!(known.codec(), RegistryCodec::Dataset(_)),
        big_pixels: false,
        codec: codec(known.uid()),
    })
}

/// The codec of a standard syntax.
fn codec(uid: &str) -> Codec {
    match uid.strip_prefix("1.2.840.10008.1.2") {
        Some("" | ".1" | ".2" | ".1.99") => Codec::Native,
        Some(".1.98") => Codec::Encapsulated,
        Some(".4.50" | ".4.51" | ".4.53" | ".4.55" | ".4.57" | ".4.70") => Codec::Jpeg,
        Some(".4.80" | ".4.81") => Codec::JpegLs,
        Some(".4.90" | ".4.91" | ".4.92" | ".4.93" | ".4.201" | ".4.202" | ".4.203") => {
            Codec::Jpeg2000
        }
        Some(".4.110" | ".4.111" | ".4.112") => Codec::JpegXl,
        Some(".5") => Codec::Rle,
        Some(".8.1") => Codec::Deflated,
        _ => Codec::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_and_unregistered_syntaxes_are_found() {
        for known in [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG] {
            assert_eq!(find(known.uid), Some(known));
        }
        let codec_of = |uid| find(uid).map(|s| s.codec);
        assert_eq!(codec_of("1.2.840.10008.1.2.5"), Some(Codec::Rle));
        assert_eq!(codec_of("1.2.840.10008.1.2.4.53"), Some(Codec::Jpeg));
        assert_eq!(
            codec_of("1.2.840.10008.1.2.4.102"),
            Some(Codec::Unsupported)
        );
        let deflated = find("1.2.840.10008.1.2.1.99");
        assert!(deflated.is_some_and(|s| s.deflated && s.codec == Codec::Native));
        assert_eq!(find("1.2.3"), None);
    }
}
