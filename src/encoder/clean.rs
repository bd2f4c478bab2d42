//! What open_clip does to a text before its tokenizer sees it: `ftfy.fix_text`, HTML entities, white space.
//!
//! Of ftfy's repairs those are made that a text written today may need (curly quotes, ligatures, full-width letters,
//! control characters, composition). Text that was once decoded wrongly ("mojibake") is not repaired.

use unicode_normalization::UnicodeNormalization;

/// As open_clip's `clean = "whitespace"`.
pub(super) fn whitespace(text: &str) -> String {
    let text = fixed(text);
    let text = htmlize::unescape(htmlize::unescape(text.as_str()).as_ref()).into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As open_clip's `clean = "lower"`.
pub(super) fn lower(text: &str) -> String {
    whitespace(text).to_lowercase()
}

/// SigLIP's (`canonicalize_text` of big_vision): no ASCII punctuation, lower case, single spaces.
pub(super) fn canonical(text: &str) -> String {
    let text = text
        .to_lowercase()
        .replace(|c: char| c.is_ascii_punctuation(), "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// ftfy 6.3 `fix_text` in its default configuration, but for its repair of encodings.
fn fixed(text: &str) -> String {
    // "auto": a text with a `<` is taken for HTML, and its entities are meant.
    let text = if text.contains('<') {
        text.into()
    } else {
        htmlize::unescape(text)
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2bc}' | '\u{2018}'..='\u{201b}' => out.push('\''),
            '\u{201c}'..='\u{201f}' => out.push('"'),
            '\u{3000}' => out.push(' '),
            '\u{ff01}'..='\u{ffef}' => out.extend(std::iter::once(c).nfkc()),
            _ if is_control(c) => {}
            _ => match ligature(c) {
                Some(letters) => out.push_str(letters),
                None => out.push(c),
            },
        }
    }
    out.nfc().collect()
}

/// `ftfy.chardata.LIGATURES`
fn ligature(c: char) -> Option<&'static str> {
    Some(match c {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "'n",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => return None,
    })
}

/// `ftfy.chardata.CONTROL_CHARS`
fn is_control(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}'
        | '\u{b}'
        | '\u{e}'..='\u{1f}'
        | '\u{7f}'
        | '\u{206a}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_mended_as_ftfy_mends_them() {
        for (given, mended) in [
            ("  two \t\n spaces ", "two spaces"),
            ("the patient’s “lungs”", "the patient's \"lungs\""),
            ("ﬁbrosis", "fibrosis"),
            ("ＣＴ　ｓｃａｎ", "CT scan"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("a &amp; b &lt; c", "a & b < c"),
            ("a\u{0}b\u{feff}c", "abc"),
            ("&amp;amp;lt;", "<"),
        ] {
            assert_eq!(whitespace(given), mended, "{given:?}");
        }
        assert_eq!(lower("  A  CHEST X-Ray "), "a chest x-ray");
        assert_eq!(canonical(" It's a (CHEST)  X-ray. "), "its a chest xray");
    }
}
