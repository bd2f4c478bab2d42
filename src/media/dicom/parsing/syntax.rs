//! Transfer syntaxes by UID (PS3.6 table A-1): how the data set is written, and how its pixels are.
//!
//! Names and encodings are those of dicom-rs' registry. Beside it stand what it does not know: retired processes of
//! JPEG, and private syntaxes without compression.

use dicom_encoding::Endianness;
use dicom_encoding::transfer_syntax::{Codec as Coding, TransferSyntaxIndex};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::elements::{BIG_ENDIAN, EXPLICIT, Encoding, IMPLICIT};
use crate::error::{MediaError, unsupported};

/// How pixels are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Not at all.
    Native,
    /// Any JPEG of ITU-T T.81; its own markers say which process.
    Jpeg,
    /// Run lengths (PS3.5 annex G).
    Rle,
    /// JPEG-LS.
    JpegLs,
    /// JPEG 2000 and High-Throughput JPEG 2000.
    Jpeg2000,
    /// JPEG XL.
    JpegXl,
    /// Each frame deflated.
    Deflated,
    /// Encapsulated, not compressed.
    Plain,
    /// Known by name, not decoded.
    Unsupported,
    /// Not known at all: shown where the pixels have just the length of native ones.
    Unknown,
}

/// A transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// Its UID; empty where nobody knows it.
    pub uid: &'static str,
    /// Its name, without the parentheses of the standard.
    pub name: &'static str,
    /// How the data set is written.
    pub encoding: Encoding,
    /// The data set is one deflated stream.
    pub deflated: bool,
    /// Pixels are written most significant byte first, though the data set is not.
    pub big_pixels: bool,
    /// How pixels are coded.
    pub codec: Codec,
}

impl Syntax {
    /// The error of pixels that nothing here decodes.
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
/// What a UID that nobody knows is read as.
pub(crate) const UNKNOWN: Syntax = syntax("", "unknown", Codec::Unknown);

/// Syntaxes that the registry lacks.
const OTHERS: &[Syntax] = &[
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

/// The syntax of a UID.
pub(crate) fn find(uid: &str) -> Option<Syntax> {
    let other = OTHERS.iter().find(|syntax| syntax.uid == uid).copied();
    other.or_else(|| registered(uid))
}

/// A syntax of dicom-rs' registry.
fn registered(uid: &str) -> Option<Syntax> {
    let known = TransferSyntaxRegistry.get(uid)?;
    Some(Syntax {
        uid: known.uid(),
        name: known.name().split(" (").next().unwrap_or_default(),
        encoding: Encoding {
            big_endian: known.endianness() == Endianness::Big,
            // The only one of the standard in which elements do not name their value representation.
            explicit: known.uid() != IMPLICIT_LITTLE.uid,
        },
        deflated: matches!(known.codec(), Coding::Dataset(_)),
        big_pixels: false,
        codec: codec(known.uid()),
    })
}

/// How the pixels of a syntax of the standard are coded.
fn codec(uid: &str) -> Codec {
    match uid.strip_prefix("1.2.840.10008.1.2") {
        Some("" | ".1" | ".2" | ".1.99") => Codec::Native,
        Some(".1.98") => Codec::Plain,
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
    fn the_registry_and_what_it_lacks_are_found() {
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
