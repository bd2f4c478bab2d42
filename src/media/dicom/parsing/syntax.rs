//! Transfer syntaxes by UID (PS3.6 table A-1): how the data set is written, and how its pixels are.

use crate::dicom::parsing::elements::{BIG_ENDIAN, EXPLICIT, Encoding, IMPLICIT};
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
}

/// A transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// Its UID.
    pub uid: &'static str,
    /// Its name, without the parentheses of the standard.
    pub name: &'static str,
    /// How the data set is written.
    pub encoding: Encoding,
    /// The data set is one deflated stream.
    pub deflated: bool,
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

const KNOWN: &[Syntax] = &[
    IMPLICIT_LITTLE,
    EXPLICIT_LITTLE,
    EXPLICIT_BIG,
    Syntax {
        deflated: true,
        ..syntax(
            "1.2.840.10008.1.2.4.95",
            "JPIP Referenced Deflate",
            Codec::Unsupported,
        )
    },
    Syntax {
        deflated: true,
        ..syntax(
            "1.2.840.10008.1.2.4.205",
            "JPIP HTJ2K Referenced Deflate",
            Codec::Unsupported,
        )
    },
    Syntax {
        deflated: true,
        ..syntax(
            "1.2.840.10008.1.2.1.99",
            "Deflated Explicit VR Little Endian",
            Codec::Native,
        )
    },
    syntax(
        "1.2.840.10008.1.2.1.98",
        "Encapsulated Uncompressed Explicit VR Little Endian",
        Codec::Plain,
    ),
    syntax("1.2.840.10008.1.2.4.50", "JPEG Baseline", Codec::Jpeg),
    syntax("1.2.840.10008.1.2.4.51", "JPEG Extended", Codec::Jpeg),
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
    syntax("1.2.840.10008.1.2.4.57", "JPEG Lossless", Codec::Jpeg),
    syntax(
        "1.2.840.10008.1.2.4.70",
        "JPEG Lossless, First-Order Prediction",
        Codec::Jpeg,
    ),
    syntax("1.2.840.10008.1.2.5", "RLE Lossless", Codec::Rle),
    syntax("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", Codec::JpegLs),
    syntax(
        "1.2.840.10008.1.2.4.81",
        "JPEG-LS Near-Lossless",
        Codec::JpegLs,
    ),
    syntax(
        "1.2.840.10008.1.2.4.90",
        "JPEG 2000 Lossless Only",
        Codec::Jpeg2000,
    ),
    syntax("1.2.840.10008.1.2.4.91", "JPEG 2000", Codec::Jpeg2000),
    syntax(
        "1.2.840.10008.1.2.4.92",
        "JPEG 2000 Part 2 Multi-component Lossless Only",
        Codec::Jpeg2000,
    ),
    syntax(
        "1.2.840.10008.1.2.4.93",
        "JPEG 2000 Part 2 Multi-component",
        Codec::Jpeg2000,
    ),
    syntax(
        "1.2.840.10008.1.2.4.94",
        "JPIP Referenced",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.100",
        "MPEG2 Main Profile / Main Level",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.101",
        "MPEG2 Main Profile / High Level",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.102",
        "MPEG-4 AVC/H.264 High Profile",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.103",
        "MPEG-4 AVC/H.264 BD-compatible High Profile",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.104",
        "MPEG-4 AVC/H.264 High Profile For 2D Video",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.105",
        "MPEG-4 AVC/H.264 High Profile For 3D Video",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.106",
        "MPEG-4 AVC/H.264 Stereo High Profile",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.107",
        "HEVC/H.265 Main Profile",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.108",
        "HEVC/H.265 Main 10 Profile",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.100.1",
        "Fragmentable MPEG2 Main Profile / Main Level",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.101.1",
        "Fragmentable MPEG2 Main Profile / High Level",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.102.1",
        "Fragmentable MPEG-4 AVC/H.264 High Profile",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.103.1",
        "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.104.1",
        "Fragmentable MPEG-4 AVC/H.264 High Profile For 2D Video",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.105.1",
        "Fragmentable MPEG-4 AVC/H.264 High Profile For 3D Video",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.106.1",
        "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.4.204",
        "JPIP HTJ2K Referenced",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.7.3",
        "SMPTE ST 2110-30 PCM Digital Audio",
        Codec::Unsupported,
    ),
    syntax("1.2.840.10008.1.2.4.110", "JPEG XL Lossless", Codec::JpegXl),
    syntax(
        "1.2.840.10008.1.2.4.111",
        "JPEG XL JPEG Recompression",
        Codec::JpegXl,
    ),
    syntax("1.2.840.10008.1.2.4.112", "JPEG XL", Codec::JpegXl),
    syntax(
        "1.2.840.10008.1.2.4.201",
        "High-Throughput JPEG 2000 Lossless Only",
        Codec::Jpeg2000,
    ),
    syntax(
        "1.2.840.10008.1.2.4.202",
        "High-Throughput JPEG 2000 with RPCL Options Lossless Only",
        Codec::Jpeg2000,
    ),
    syntax(
        "1.2.840.10008.1.2.4.203",
        "High-Throughput JPEG 2000",
        Codec::Jpeg2000,
    ),
    syntax(
        "1.2.840.10008.1.2.7.1",
        "SMPTE ST 2110-20 Uncompressed Progressive Active Video",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.7.2",
        "SMPTE ST 2110-20 Uncompressed Interlaced Active Video",
        Codec::Unsupported,
    ),
    syntax(
        "1.2.840.10008.1.2.8.1",
        "Deflated Image Frame Compression",
        Codec::Deflated,
    ),
];

/// The syntax of a UID.
pub(crate) fn find(uid: &str) -> Option<Syntax> {
    KNOWN.iter().find(|s| s.uid == uid).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_uid_stands_once() {
        let mut uids: Vec<_> = KNOWN.iter().map(|s| s.uid).collect();
        uids.sort_unstable();
        uids.dedup();
        assert_eq!(uids.len(), KNOWN.len());
        assert_eq!(
            find("1.2.840.10008.1.2.5").map(|s| s.codec),
            Some(Codec::Rle)
        );
        assert_eq!(find("1.2.3"), None);
    }
}
