//! Makes text from files safe for a terminal.

use unicode_width::UnicodeWidthStr;

/// Longest text taken from a file, in characters. Longer DICOM values and decoder messages are cut.
const MAX_TEXT_CHARS: usize = 1000;

/// Replaces [unprintable characters](is_unprintable) by U+FFFD and cuts the text after 1000 characters.
pub fn clean(text: &str) -> String {
    printable(text.chars().take(MAX_TEXT_CHARS))
}

/// Replaces [unprintable characters](is_unprintable) by U+FFFD, in text of any length.
pub fn printable(text: impl IntoIterator<Item = char>) -> String {
    let safe = |c| if is_unprintable(c) { '\u{fffd}' } else { c };
    text.into_iter().map(safe).collect()
}

/// Pads a text with spaces to a width in terminal cells, of which a character takes none, one or two.
pub fn padded(text: &str, cells: usize) -> String {
    let gap = cells.saturating_sub(text.width());
    format!("{text}{:gap$}", "")
}

/// [`clean`] for running text of at most `max_chars` characters: line endings (LF, CR, CR LF, FF) become line feeds,
/// tabs become spaces.
pub(crate) fn clean_lines(text: &str, max_chars: usize) -> String {
    let mut after_return = false;
    text.chars()
        .filter(|&c| {
            let second = c == '\n' && after_return;
            after_return = c == '\r';
            !second
        })
        .take(max_chars)
        .map(|c| match c {
            '\n' | '\r' | '\x0c' => '\n',
            '\t' => ' ',
            c if is_unprintable(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Returns `text` if it can be quoted in a message as a coded value: a code string (CS, PS3.5 6.2) of at most 16
/// letters, digits, spaces and underscores; lower case is accepted, as many write it. `None` for anything else, which
/// in a damaged file may be the patient's name.
pub(crate) fn code(text: &str) -> Option<&str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b' ');
    (!text.is_empty() && text.len() <= 16 && text.bytes().all(allowed)).then_some(text)
}

/// Returns `text` if it can be quoted in a message as a unique identifier (UI, PS3.5 clause 9): at most 64 digits and
/// points. `None` for anything else, as with [`code`].
pub(crate) fn uid(text: &str) -> Option<&str> {
    let allowed = |b: u8| b.is_ascii_digit() || b == b'.';
    (!text.is_empty() && text.len() <= 64 && text.bytes().all(allowed)).then_some(text)
}

/// Whether a character could control a terminal or reorder a line: control characters (C0 including line feed, DEL,
/// C1), Unicode's bidirectional controls, and its line and paragraph separators.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{clean, clean_lines, code, padded, printable, uid};

    #[test]
    fn no_character_that_controls_a_terminal_remains() {
        assert_eq!(
            clean("a\u{1b}[31mb\u{9b}c\u{7f}\n\u{202e}d"),
            "a\u{fffd}[31mb\u{fffd}c\u{fffd}\u{fffd}\u{fffd}d"
        );
        assert_eq!(clean("Röntgen 胸部"), "Röntgen 胸部");
        assert_eq!(clean(&"x".repeat(5000)).chars().count(), 1000);
        assert_eq!(printable("x\u{61c}".repeat(999).chars()).len(), 999 * 4);
    }

    #[test]
    fn padding_is_measured_in_terminal_cells() {
        for (text, column) in [
            ("lung", "lung  |"),
            ("胸部", "胸部  |"),
            ("e\u{301}", "e\u{301}     |"),
            ("longer than that", "longer than that|"),
        ] {
            assert_eq!(padded(text, 6) + "|", column);
        }
    }

    #[test]
    fn only_line_endings_survive_of_the_control_characters() {
        assert_eq!(
            clean_lines("a\r\nb\rc\nd\x0ce\tf\u{1b}g\n\nh", 99),
            "a\nb\nc\nd\ne f\u{fffd}g\n\nh"
        );
        assert_eq!(clean_lines("abc", 2), "ab");
    }

    #[test]
    fn only_valid_codes_and_uids_are_quoted() {
        assert_eq!(code("MONOCHROME2"), Some("MONOCHROME2"));
        assert_eq!(code("Palette color_8"), Some("Palette color_8"));
        for text in [
            "",
            "DOE^JANE",
            "AAAAAAAAAAAAAAAAA",
            "a\u{1b}",
            "1950-12-31",
            "Jörg",
        ] {
            assert_eq!(code(text), None, "{text}");
        }
        assert_eq!(uid("1.2.840.10008.1.2"), Some("1.2.840.10008.1.2"));
        for text in ["", "1.2.DOE", "1.2 3", &"1.".repeat(33)] {
            assert_eq!(uid(text), None, "{text}");
        }
    }
}
