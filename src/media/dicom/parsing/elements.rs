//! Element headers (PS3.5 clause 7.1), and how to find the length of a value whose representation is written wrongly.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

/// The length that means "until a delimiter".
pub(super) const UNDEFINED: u32 = u32::MAX;
/// Group of the items and delimiters.
const ITEM_GROUP: u16 = 0xfffe;
pub(super) const ITEM: Tag = Tag(ITEM_GROUP, 0xe000);
pub(super) const ITEM_END: Tag = Tag(ITEM_GROUP, 0xe00d);
pub(super) const SEQUENCE_END: Tag = Tag(ITEM_GROUP, 0xe0dd);

/// How elements are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// Big-endian byte order.
    pub big_endian: bool,
    /// Whether each element names its value representation.
    pub explicit: bool,
}

/// Implicit VR Little Endian.
pub(crate) const IMPLICIT: Encoding = Encoding {
    big_endian: false,
    explicit: false,
};
/// Explicit VR Little Endian.
pub(crate) const EXPLICIT: Encoding = Encoding {
    big_endian: false,
    explicit: true,
};
/// Explicit VR Big Endian.
pub(crate) const BIG_ENDIAN: Encoding = Encoding {
    big_endian: true,
    explicit: true,
};

impl Encoding {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    pub(super) fn tag(self, [a, b, c, d]: [u8; 4]) -> Tag {
        Tag(self.u16([a, b]), self.u16([c, d]))
    }
}

/// The header of an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ElementHeader {
    pub tag: Tag,
    /// The value representation as written; `None` if there is none, or one that PS3.5 does not define.
    pub vr: Option<VR>,
    /// Length of the value, or [`UNDEFINED`].
    pub length: u32,
    /// Length of the header in bytes.
    pub size: usize,
    /// A value representation is required here, and what is written is not one.
    pub damaged: bool,
}

/// Parses the header at the beginning of `bytes`, which end with the enclosing data set; `None` if there are too few.
pub(super) fn header(bytes: &[u8], encoding: Encoding) -> Option<ElementHeader> {
    let [a, b, c, d, e, f, g, h] = *bytes.first_chunk::<8>()?;
    let tag = encoding.tag([a, b, c, d]);
    if !encoding.explicit || tag.0 == ITEM_GROUP {
        return Some(ElementHeader {
            tag,
            vr: None,
            length: encoding.u32([e, f, g, h]),
            size: 8,
            damaged: false,
        });
    }
    let vr = VR::from_binary([e, f]);
    let (length, size) = match vr {
        None => return Some(header_without_vr(bytes, encoding, tag, [e, f])),
        Some(vr) if is_long(vr) => {
            let length = bytes.get(8..12)?.first_chunk::<4>()?;
            (encoding.u32(*length), 12)
        }
        Some(_) => (u32::from(encoding.u16([g, h])), 8),
    };
    Some(ElementHeader {
        tag,
        vr,
        length,
        size,
        damaged: false,
    })
}

/// Parses the header of an element without a valid value representation, by choosing the form of its length behind
/// which the data set continues. By PS3.5 7.1.2 the length has 32 bits behind two reserved bytes; writers of spaces,
/// NULs or `??` keep it at 16 bits; and some leave the representation out.
fn header_without_vr(bytes: &[u8], encoding: Encoding, tag: Tag, vr: [u8; 2]) -> ElementHeader {
    let at = |from: usize| bytes.get(from..)?.first_chunk::<4>().copied();
    let of = |length, size| ElementHeader {
        tag,
        vr: None,
        length,
        size,
        damaged: true,
    };
    let short = at(6).map(|[a, b, ..]| of(u32::from(encoding.u16([a, b])), 8));
    let long = at(8).map(|length| of(encoding.u32(length), 12));
    let left_out = at(4).map(|length| of(encoding.u32(length), 8));
    let candidates = if vr.iter().all(u8::is_ascii_uppercase) {
        [long, short, left_out]
    } else {
        [short, left_out, long]
    };
    let mut candidates = candidates.into_iter().flatten();
    let fits = |header: &ElementHeader| continues_after(bytes, encoding, header);
    let first = candidates.clone().next();
    candidates.find(fits).or(first).unwrap_or_else(|| of(0, 8))
}

/// Whether the value of `header` is followed by another element, a delimiter, or the end.
fn continues_after(bytes: &[u8], encoding: Encoding, header: &ElementHeader) -> bool {
    if header.length == UNDEFINED {
        let next = bytes.get(header.size..).and_then(<[u8]>::first_chunk);
        return next.is_some_and(|next| encoding.tag(*next) == ITEM);
    }
    let end = header.size as u64 + u64::from(header.length);
    let Some(rest) = usize::try_from(end).ok().and_then(|end| bytes.get(end..)) else {
        return false;
    };
    let Some([a, b, c, d, vr @ .., _, _]) = rest.first_chunk::<8>() else {
        return rest.iter().all(|&byte| byte == 0);
    };
    let next = encoding.tag([*a, *b, *c, *d]);
    let known = VR::from_binary(*vr).is_some();
    next.0 == ITEM_GROUP || (next > header.tag && (known || !encoding.explicit))
}

/// The encoding of an item of a sequence with representation UN: Implicit VR Little Endian by PS3.5 6.2.2 note 2, but
/// some writers leave it explicit.
pub(super) fn item_encoding_in_un(item: &[u8]) -> Encoding {
    let explicit = header(item, EXPLICIT)
        .is_some_and(|header| header.vr.is_some() && continues_after(item, EXPLICIT, &header));
    if explicit { EXPLICIT } else { IMPLICIT }
}

/// The value representation by the dictionary; UN if the tag is unknown.
pub(super) fn vr_by_dictionary(tag: Tag) -> VR {
    StandardDataDictionary
        .by_tag(tag)
        .map_or(VR::UN, |entry| entry.vr().relaxed())
}

/// Whether the length of this representation takes 32 bits (PS3.5 table 7.1-1).
pub(super) fn is_long(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(
        vr,
        OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV
    )
}

/// Size in bytes of one value of a binary representation; a value's length must be a multiple of it.
pub(super) fn value_size(vr: VR) -> u32 {
    use VR::{AT, FD, FL, OD, OF, OL, OV, OW, SL, SS, SV, UL, US, UV};
    match vr {
        US | SS | OW => 2,
        AT | FL | OF | OL | SL | UL => 4,
        FD | OD | OV | SV | UV => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length that is found for a Pixel Padding Value with the given representation and length, with Rows behind
    /// it.
    fn length_of(vr_and_length: &[u8]) -> (u32, usize) {
        let mut bytes = vec![0x28, 0, 0x20, 0x01];
        bytes.extend_from_slice(vr_and_length);
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(b"\x28\0\x50\x10DS\x02\x001 ");
        let header = header(&bytes, EXPLICIT).expect("a header");
        assert!(header.damaged && header.vr.is_none());
        (header.length, header.size)
    }

    #[test]
    fn a_length_is_found_behind_an_invalid_representation() {
        for blank in [b"  ", b"\0\0", b"??", b"--"] {
            assert_eq!(length_of(&[blank.as_slice(), &[2, 0]].concat()), (2, 8));
        }
        assert_eq!(length_of(b"XX\0\0\x02\0\0\0"), (2, 12));
        assert_eq!(length_of(b"XX\x02\0"), (2, 8));
        assert_eq!(length_of(b"\x02\0\0\0"), (2, 8));
    }

    #[test]
    fn the_encoding_of_items_in_un_sequences_is_recognised() {
        assert_eq!(item_encoding_in_un(b"\x09\0\x10\0LO\x02\0ab"), EXPLICIT);
        assert_eq!(item_encoding_in_un(b"\x09\0\x10\0\x02\0\0\0ab"), IMPLICIT);
        assert_eq!(item_encoding_in_un(b""), IMPLICIT);
    }
}
