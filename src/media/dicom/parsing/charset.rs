//! Decodes text by its Specific Character Set (0008,0005): PS3.3 C.12.1.1.2, PS3.5 clause 6.1.
//!
//! Either one encoding for everything (UTF-8, GB18030, GBK), or ISO 2022 sets, which escape sequences assign to the
//! lower and the upper half of the code table. The tables of the sets come from `encoding_rs`.

use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_15, UTF_8, WINDOWS_874, WINDOWS_1254,
};

/// Begins a sequence that assigns a set to half of the code table.
const ESCAPE: u8 = 0x1b;
/// Separates the values of an element.
const BACKSLASH: u8 = b'\\';

/// The set in the lower half, bytes 0x21 to 0x7e.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Low {
    /// ISO 646, one byte a character.
    Ascii,
    /// JIS X 0201 Romaji: ASCII except for the yen sign and the overline.
    Romaji,
    /// JIS X 0208, two bytes a character.
    Kanji,
    /// JIS X 0212, two bytes a character.
    Supplement,
}

/// The set in the upper half, bytes 0xa1 to 0xfe.
#[derive(Clone, Copy, Debug, PartialEq)]
enum High {
    /// Nothing.
    Empty,
    /// ISO 8859-1, whose bytes are the code points of Unicode.
    Latin1,
    /// One byte a character, by the table of an encoding.
    Table(&'static Encoding),
    /// JIS X 0201 Katakana.
    Katakana,
    /// Two bytes a character: KS X 1001 or GB 2312.
    Pairs(&'static Encoding),
}

/// A character set of ISO 2022: the number in its defined term, its two halves, and the end of the escape sequence
/// that assigns it to the upper half (PS3.3 tables C.12-2 to C.12-4).
struct Term(u16, Low, High, &'static [u8]);

const TERMS: [Term; 16] = [
    Term(6, Low::Ascii, High::Empty, b""),
    Term(100, Low::Ascii, High::Latin1, b"-A"),
    Term(101, Low::Ascii, High::Table(ISO_8859_2), b"-B"),
    Term(109, Low::Ascii, High::Table(ISO_8859_3), b"-C"),
    Term(110, Low::Ascii, High::Table(ISO_8859_4), b"-D"),
    Term(144, Low::Ascii, High::Table(ISO_8859_5), b"-L"),
    Term(127, Low::Ascii, High::Table(ISO_8859_6), b"-G"),
    Term(126, Low::Ascii, High::Table(ISO_8859_7), b"-F"),
    Term(138, Low::Ascii, High::Table(ISO_8859_8), b"-H"),
    // Except for control characters, these Windows code pages extend the ISO sets.
    Term(148, Low::Ascii, High::Table(WINDOWS_1254), b"-M"),
    Term(166, Low::Ascii, High::Table(WINDOWS_874), b"-T"),
    Term(203, Low::Ascii, High::Table(ISO_8859_15), b"-b"),
    Term(13, Low::Romaji, High::Katakana, b")I"),
    Term(149, Low::Ascii, High::Pairs(EUC_KR), b"$)C"),
    Term(58, Low::Ascii, High::Pairs(GBK), b"$)A"),
    // Two bytes a character in the lower half, which is not assigned at the beginning of a value.
    Term(87, Low::Ascii, High::Empty, b""),
];

/// Escape sequences that assign a set to the lower half.
const LOW_ESCAPES: [(&[u8], Low); 5] = [
    (b"(B", Low::Ascii),
    (b"(J", Low::Romaji),
    (b"$B", Low::Kanji),
    (b"$@", Low::Kanji),
    (b"$(D", Low::Supplement),
];

/// The character set of a data set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Charset {
    /// A single encoding, without code extensions.
    Whole(&'static Encoding),
    /// The sets at the beginning of each value and after each delimiter.
    Extended(Halves),
}

/// The sets in the two halves of the code table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Halves {
    low: Low,
    high: High,
}

/// The structure of a text: where the initial character sets apply again, and where a value ends (PS3.5 6.1.2.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextKind {
    /// Several values, separated by backslashes.
    Values,
    /// Names of persons: several values, whose components and groups are separated by `^` and `=`.
    Names,
    /// A single value in which a backslash is an ordinary character.
    Prose,
}

impl Default for Charset {
    /// The default repertoire: ASCII.
    fn default() -> Self {
        Self::Extended(Halves {
            low: Low::Ascii,
            high: High::Empty,
        })
    }
}

impl Charset {
    /// Parses the value of (0008,0005). Terms with the misspellings found in practice (`ISO-IR 100`, `ISO IR 100`) are
    /// recognised by their number; an unknown first term means the default repertoire.
    pub(crate) fn parse(value: &str) -> Self {
        let first = value.split('\\').next().unwrap_or_default().trim();
        match first.to_ascii_uppercase().as_str() {
            "GB18030" => return Self::Whole(GB18030),
            "GBK" => return Self::Whole(GBK),
            _ => {}
        }
        let number = first
            .rsplit(|c: char| !c.is_ascii_digit())
            .next()
            .and_then(|digits| digits.parse().ok());
        if number == Some(192_u16) {
            return Self::Whole(UTF_8);
        }
        TERMS
            .iter()
            .find(|term| Some(term.0) == number)
            .map_or_else(Self::default, |term| {
                Self::Extended(Halves {
                    low: term.1,
                    high: term.2,
                })
            })
    }

    /// Decodes a value. Undecodable bytes become U+FFFD; control characters are kept.
    pub(crate) fn decode(self, bytes: &[u8], kind: TextKind) -> String {
        match self {
            Self::Whole(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Self::Extended(initial) => {
                // UTF-8 in a set without an upper half is a common fault, and valid UTF-8 is hardly ever anything
                // else.
                let may_be_utf8 = initial.high == High::Empty && !bytes.contains(&ESCAPE);
                match std::str::from_utf8(bytes) {
                    Ok(text) if may_be_utf8 => text.to_owned(),
                    _ => CharsetDecoder::new(initial, kind).run(bytes),
                }
            }
        }
    }
}

/// The state of decoding one value with code extensions.
struct CharsetDecoder {
    initial: Halves,
    current: Halves,
    kind: TextKind,
    text: String,
}

impl CharsetDecoder {
    fn new(initial: Halves, kind: TextKind) -> Self {
        Self {
            initial,
            current: initial,
            kind,
            text: String::new(),
        }
    }

    fn run(mut self, bytes: &[u8]) -> String {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let consumed = match byte {
                ESCAPE => self.escape(&rest[1..]),
                0x21..=0x7e => self.lower(byte, rest),
                0x80.. => self.upper(byte, rest),
                _ => self.control(byte),
            };
            rest = &rest[consumed.min(rest.len())..];
        }
        self.text
    }

    /// Handles spaces and control characters; the initial sets apply again after a control character. Like the methods
    /// below, returns the number of bytes consumed.
    fn control(&mut self, byte: u8) -> usize {
        if byte != b' ' {
            self.reset();
        }
        self.text.push(char::from(byte));
        1
    }

    /// Restores the initial sets. Writers often leave out the second escape sequence, so the upper half stays assigned
    /// if the initial one was empty.
    fn reset(&mut self) {
        self.current.low = self.initial.low;
        if self.initial.high != High::Empty {
            self.current.high = self.initial.high;
        }
    }

    fn escape(&mut self, rest: &[u8]) -> usize {
        if let Some((sequence, low)) = LOW_ESCAPES.iter().find(|(s, _)| rest.starts_with(s)) {
            self.current.low = *low;
            return 1 + sequence.len();
        }
        let upper = TERMS
            .iter()
            .find(|term| !term.3.is_empty() && rest.starts_with(term.3));
        if let Some(Term(.., high, sequence)) = upper {
            self.current.high = *high;
            return 1 + sequence.len();
        }
        self.text.push(char::REPLACEMENT_CHARACTER);
        1
    }

    fn lower(&mut self, byte: u8, rest: &[u8]) -> usize {
        let pair = |second: &u8| [byte | 0x80, second | 0x80];
        match (self.current.low, rest.get(1)) {
            (Low::Kanji, Some(second @ 0x21..=0x7e)) => {
                self.push(EUC_JP, &pair(second));
                2
            }
            (Low::Supplement, Some(second @ 0x21..=0x7e)) => {
                let [first, second] = pair(second);
                // The byte by which EUC-JP marks the supplement.
                self.push(EUC_JP, &[0x8f, first, second]);
                2
            }
            (Low::Kanji | Low::Supplement, _) => {
                self.text.push(char::REPLACEMENT_CHARACTER);
                1
            }
            (low, _) => {
                self.single(low, byte);
                1
            }
        }
    }

    fn single(&mut self, low: Low, byte: u8) {
        let ends = match self.kind {
            TextKind::Prose => false,
            TextKind::Values => byte == BACKSLASH,
            TextKind::Names => matches!(byte, BACKSLASH | b'^' | b'='),
        };
        if ends {
            self.reset();
        }
        self.text.push(match (low, byte) {
            (Low::Romaji, BACKSLASH) if !ends => '¥',
            (Low::Romaji, b'~') => '‾',
            _ => char::from(byte),
        });
    }

    fn upper(&mut self, byte: u8, rest: &[u8]) -> usize {
        match self.current.high {
            High::Latin1 => self.text.push(char::from(byte)),
            High::Table(encoding) => self.push(encoding, &[byte]),
            High::Katakana if (0xa1..=0xdf).contains(&byte) => {
                let offset = u32::from(byte - 0xa1);
                self.text.extend(char::from_u32(0xff61 + offset));
            }
            High::Pairs(encoding) => {
                if let Some(second @ 0x80..) = rest.get(1) {
                    self.push(encoding, &[byte, *second]);
                    return 2;
                }
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
            High::Katakana | High::Empty => self.text.push(char::REPLACEMENT_CHARACTER),
        }
        1
    }

    fn push(&mut self, encoding: &'static Encoding, bytes: &[u8]) {
        self.text
            .push_str(&encoding.decode_without_bom_handling(bytes).0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn name(charset: &str, bytes: &[u8], wanted: &str) {
        assert_eq!(
            Charset::parse(charset).decode(bytes, TextKind::Names),
            wanted
        );
    }

    #[test]
    fn the_japanese_examples_of_the_standard_are_decoded() {
        // PS3.5 H.3.1 and H.3.2. The second byte of one of the characters is that of `^`.
        name(
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        );
        name(
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        );
        // The supplement, JIS X 0212: its first letter beyond the marks.
        name("\\ISO 2022 IR 159", b"\x1b$(D0!\x1b(B", "丂");
    }

    #[test]
    fn the_korean_and_chinese_examples_of_the_standard_are_decoded() {
        // PS3.5 I.2, J.1 to J.4 and K.2.
        name(
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        );
        name(
            "ISO_IR 192",
            "Wang^XiaoDong=王^小東=".as_bytes(),
            "Wang^XiaoDong=王^小東=",
        );
        name(
            "GB18030",
            b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
            "Wang^XiaoDong=王^小东=",
        );
        name(
            "\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        );
    }

    #[test]
    fn one_byte_sets_are_selected_by_their_terms() {
        let cases: [(&str, &[u8], &str); 13] = [
            ("ISO_IR 100", b"\xc4neas^R\xfcdiger", "Äneas^Rüdiger"),
            ("ISO_IR 101", b"Wa\xb3\xeasa", "Wałęsa"),
            ("ISO_IR 109", b"\xa6", "Ĥ"),
            ("ISO_IR 110", b"\xa2", "ĸ"),
            ("ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),
            (
                "ISO_IR 127",
                b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1",
                "قباني^لنزار",
            ),
            (
                "ISO_IR 126",
                b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2",
                "Διονυσιος",
            ),
            (
                "ISO_IR 138",
                b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4",
                "שרון^דבורה",
            ),
            ("ISO_IR 148", b"\xddsmet \xde\xfe", "İsmet Şş"),
            ("ISO_IR 166", b"\xca\xc1\xaa\xd2\xc2", "สมชาย"),
            ("ISO_IR 203", b"\xa4\xbd", "€œ"),
            ("ISO_IR 13", b"\xd4\xcf\xc0\xde~", "ﾔﾏﾀﾞ‾"),
            ("ISO_IR 6", b"plain", "plain"),
        ];
        for (term, bytes, wanted) in cases {
            name(term, bytes, wanted);
        }
    }

    #[test]
    fn each_value_and_name_component_starts_with_the_initial_sets() {
        let charset = Charset::parse("ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126");
        let bytes = b"Dionysios \x1b-F\xc4\xe9\xef\xed\\Luxe \x1b-L\xbb\xee\xda\\\xe9t\xe9";
        assert_eq!(
            charset.decode(bytes, TextKind::Values),
            "Dionysios Διον\\Luxe Люк\\été"
        );
        let (kept, anew) = (b"\x1b-L\xbb^\xe9", b"\x1b-L\xbb\n\xe9");
        assert_eq!(charset.decode(kept, TextKind::Values), "Л^щ");
        assert_eq!(charset.decode(kept, TextKind::Names), "Л^é");
        assert_eq!(charset.decode(anew, TextKind::Prose), "Л\né");
    }

    #[test]
    fn a_backslash_byte_inside_a_character_separates_no_values() {
        // 0x5c is the second byte of a character in GBK, and of a kanji.
        let value = Charset::parse("GBK").decode(b"\x8c\x5c\\A", TextKind::Values);
        assert_eq!(value.split('\\').count(), 2);
        let value = Charset::parse("\\ISO 2022 IR 87").decode(b"\x1b$B$\\\x1b(B", TextKind::Values);
        assert_eq!(value, "ぼ");
        let prose = Charset::parse("ISO_IR 13").decode(b"\\100", TextKind::Prose);
        assert_eq!(prose, "¥100");
    }

    #[test]
    fn a_fault_costs_a_character_and_not_the_text() {
        name("ISO-IR 100", b"\xe9", "é");
        name("ISO 2022-IR 100", b"\xe9", "é");
        name("", "é".as_bytes(), "é");
        name("", b"a\xe9b", "a\u{fffd}b");
        name("no such set", b"plain", "plain");
        name("\\ISO 2022 IR 87", b"\x1b$B;", "\u{fffd}");
        name("\\ISO 2022 IR 149", b"\x1b$)C\xc8\xab^\xb1\xe6", "홍^길");
        name("ISO_IR 192", b"a\xffb", "a\u{fffd}b");
        name("ISO_IR 100", b"\x1bX", "\u{fffd}X");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_to_some_text(bytes: Vec<u8>, term in 0..TERMS.len()) {
            for kind in [TextKind::Values, TextKind::Names, TextKind::Prose] {
                let charset = Charset::parse(&format!("ISO_IR {}", TERMS[term].0));
                let text = charset.decode(&bytes, kind);
                proptest::prop_assert!(text.chars().count() <= bytes.len());
            }
        }
    }
}
