//! Text for terminal cells: made safe to show, and cut and wrapped by display width.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Shown where something was cut out.
const ELLIPSIS: char = '…';
/// Shown in place of a value that identifies the patient.
pub(crate) const MASK: &str = "•••";

/// A name that is safe to show: bytes that are not UTF-8, control characters and characters that change the direction or the
/// place of others become U+FFFD, so that no file name can steer the terminal or misalign a column.
pub fn safe(name: &OsStr) -> String {
    name.to_string_lossy()
        .chars()
        .filter(|c| !matches!(c, '\u{fe00}'..='\u{fe0f}'))
        .map(|c| if unsafe_to_show(c) { '\u{fffd}' } else { c })
        .collect()
}

/// [`safe`] for text that is UTF-8 already.
pub fn safe_str(text: &str) -> String {
    safe(OsStr::new(text))
}

/// A path quoted as `$'…'` for a shell, if pasting it would be unsafe: a line feed, for example, ends a command. `None` if it
/// can be pasted unchanged.
pub fn quoted(path: &Path) -> Option<String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let mut is_unsafe = false;
    let mut out = "$'".to_owned();
    for part in bytes.utf8_chunks() {
        for c in part.valid().chars() {
            if unsafe_to_show(c) {
                is_unsafe = true;
                let mut code = [0; 4];
                push_escaped(&mut out, c.encode_utf8(&mut code).as_bytes());
            } else {
                if matches!(c, '\'' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        is_unsafe |= !part.invalid().is_empty();
        push_escaped(&mut out, part.invalid());
    }
    out.push('\'');
    is_unsafe.then_some(out)
}

/// Appends bytes as `\xNN` escapes.
fn push_escaped(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(out, "\\x{byte:02x}");
    }
}

/// Whether a character is a control character, is invisible, or changes the direction of others.
fn unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Number of columns that a text occupies.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `columns`, with its middle cut out. More is kept of the end, which distinguishes the files of a study,
/// than of the beginning, which distinguishes studies.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let tail_columns = (columns - 1) * 2 / 3;
    let tail: Vec<char> = take_columns(text.chars().rev(), tail_columns);
    let head = take_columns(text.chars(), columns - 1 - tail_columns);
    // A combining mark cannot stand alone.
    let tail = tail
        .iter()
        .rev()
        .skip_while(|c| c.width().unwrap_or(0) == 0);
    head.iter().chain(&[ELLIPSIS]).chain(tail).collect()
}

/// The text in at most `columns`, with its end cut off.
pub fn cut_end(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let mut cut: String = take_columns(text.chars(), columns - 1)
        .into_iter()
        .collect();
    while cut.ends_with(' ') {
        cut.pop();
    }
    cut.push(ELLIPSIS);
    cut
}

/// The first characters that fit into `columns`.
fn take_columns(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut left = columns;
    chars
        .take_while(|c| {
            let fits = c.width().unwrap_or(0) <= left;
            if fits {
                left -= c.width().unwrap_or(0);
            }
            fits
        })
        .collect()
}

/// The text in exactly `columns`: cut in the middle, or padded with spaces at the end.
pub fn pad(text: &str, columns: usize) -> String {
    let mut padded = cut(text, columns);
    let blanks = columns.saturating_sub(width(&padded));
    padded.extend(std::iter::repeat_n(' ', blanks));
    padded
}

/// The text in lines of at most `columns`, broken between words, or inside a word that is longer than a line.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let gap = usize::from(!line.is_empty());
            if !line.is_empty() && width(&line) + gap + width(word) > columns {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            append_word(&mut lines, &mut line, word, columns);
        }
        lines.push(line);
    }
    lines
}

/// Lines of items with ` · ` between them, at most `columns` wide; an item is divided only if it alone is wider.
pub fn wrap_items(items: impl Iterator<Item = String>, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if width(line) + width(" · ") + width(&item) <= columns => {
                line.push_str(" · ");
                line.push_str(&item);
            }
            _ => lines.extend(wrap(&item, columns)),
        }
    }
    lines
}

/// Appends a word to a line, starting new lines where it does not fit.
fn append_word(lines: &mut Vec<String>, line: &mut String, word: &str, columns: usize) {
    for c in word.chars() {
        if width(line) + c.width().unwrap_or(0) > columns {
            lines.push(std::mem::take(line));
        }
        line.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_left_alone_and_a_long_one_keeps_both_ends() {
        assert_eq!(cut("chest.png", 9), "chest.png");
        assert_eq!(cut("patient-0001-chest-pa.dcm", 11), "pati…pa.dcm");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(cut("abc", 1), "…");
    }

    #[test]
    fn wide_letters_count_two_columns_and_are_never_halved() {
        for columns in 0..20 {
            let cut = cut("胸部レントゲン写真.png", columns);
            assert!(width(&cut) <= columns, "{cut} in {columns}");
            assert_eq!(width(&pad("胸部レントゲン写真.png", columns)), columns);
        }
    }

    #[test]
    fn nothing_in_a_name_reaches_the_terminal_as_a_command() {
        assert_eq!(
            safe_str("a\u{1b}[2Jb\nc\u{202e}d"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d"
        );
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            assert_eq!(safe(OsStr::from_bytes(b"x\xff.png")), "x\u{fffd}.png");
        }
    }

    #[test]
    fn a_path_that_is_unsafe_to_paste_is_quoted() {
        use std::os::unix::ffi::OsStrExt;
        let quoted = |bytes: &[u8]| quoted(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(quoted("it's a 胸部.png".as_bytes()), None);
        assert_eq!(
            quoted(b"x\nid\n.png").as_deref(),
            Some(r"$'x\x0aid\x0a.png'")
        );
        let bytes = "'\\\u{1b}]0;x\u{7}\u{9b}\u{202e}".as_bytes();
        let expected = r"$'\'\\\x1b]0;x\x07\xc2\x9b\xe2\x80\xae\xff'";
        assert_eq!(
            quoted(&[bytes, b"\xff"].concat()).as_deref(),
            Some(expected)
        );
    }

    #[test]
    fn words_stay_whole_where_a_line_can_hold_them() {
        assert_eq!(
            wrap("hazy or patchy opacities", 10),
            ["hazy or", "patchy", "opacities"]
        );
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\n\nb", 5), ["a", "", "b"]);
        let items = |columns| {
            let items = ["f flag", "j next", "m one or several"];
            wrap_items(items.into_iter().map(str::to_owned), columns)
        };
        assert_eq!(items(15), ["f flag · j next", "m one or", "several"]);
        assert_eq!(items(14), ["f flag", "j next", "m one or", "several"]);
    }
}
