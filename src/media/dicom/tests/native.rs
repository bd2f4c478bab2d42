//! Uncompressed pixels of unusual length or packing.

use super::*;

#[test]
fn more_frames_of_halved_chroma_than_stated_are_not_taken_for_full_chroma() {
    let pair = [81, 81, 90, 240];
    let shown = |octets: &[u8]| {
        let object = ObjectBuilder::color8(2, 2, "YBR_FULL_422", 0);
        object.octets(octets).shown()
    };
    let right = shown(&pair.repeat(2));
    assert_eq!(right[..3], [238, 14, 14]);
    assert_eq!(shown(&pair.repeat(4)), right);
    assert_eq!(shown(&pair.repeat(8)), right);
    // All chroma, and more bytes than that.
    assert_eq!(shown(&[81, 90, 240].repeat(4)), right);
    assert_eq!(
        shown(&[&[81, 90, 240].repeat(4)[..], &[7; 6]].concat()),
        right
    );
}

/// Annex D of PS3.5-2004 packs samples in words, and words have the byte order of the file.
#[test]
fn packed_samples_in_big_endian_words_are_read_in_their_order() {
    let values = |bytes: &[u8], syntax: &str| {
        let object = ObjectBuilder::grey(1, 4, "MONOCHROME2", (12, 12), false);
        object
            .element(tags::PIXEL_DATA, *b"OW", bytes)
            .values(syntax)
    };
    let expected = [0x123, 0x456, 0x789, 0xabc].map(f64::from);
    let little = [0x23, 0x61, 0x45, 0x89, 0xc7, 0xab];
    assert_eq!(values(&little, "1.2.840.10008.1.2.1"), expected);
    let big = [0x61, 0x23, 0x89, 0x45, 0xab, 0xc7];
    assert_eq!(values(&big, "1.2.840.113619.5.2"), expected);
}
