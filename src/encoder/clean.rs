//! How open_clip and SigLIP clean a text before tokenizing it. open_clip applies `ftfy.fix_text`, then unescapes HTML entities
//! and normalises white space.
//!
//! Of ftfy's repairs only those are implemented that a newly written text may need: curly quotes, ligatures, full-width
//! letters, control characters, composition. Wrongly decoded text ("mojibake") is not repaired.

use unicode_normalization::UnicodeNormalization;

/// Equals open_clip's `clean = "whitespace"`.
pub(super) fn whitespace(text: &str) -> String {
    let text = fixed(text);
    let text = htmlize::unescape(htmlize::unescape(text.as_str()).as_ref()).into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Equals open_clip's `clean = "lower"`.
pub(super) fn lower(text: &str) -> String {
    whitespace(text).to_lowercase()
}

/// Equals open_clip's `clean = "canonicalize"`.
pub(super) fn canonicalized(text: &str) -> String {
    canonical(&whitespace(text).replace('_', " "))
}

/// Equals SigLIP's `canonicalize_text` (big_vision): no ASCII punctuation, lower case, single spaces.
pub(super) fn canonical(text: &str) -> String {
    let text = text
        .to_lowercase()
        .replace(|c: char| c.is_ascii_punctuation(), "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `fix_text` of ftfy 6.3 in its default configuration, without its repair of encodings.
fn fixed(text: &str) -> String {
    // ftfy's "auto": a text that contains `<` counts as HTML, whose entities are left alone.
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
    fn texts_are_cleaned_as_by_ftfy() {
        for (given, cleaned) in [
            ("  two \t\n spaces ", "two spaces"),
            ("the patient’s “lungs”", "the patient's \"lungs\""),
            ("ﬁbrosis", "fibrosis"),
            ("ＣＴ　ｓｃａｎ", "CT scan"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("a &amp; b &lt; c", "a & b < c"),
            ("a\u{0}b\u{feff}c", "abc"),
            ("&amp;amp;lt;", "<"),
        ] {
            assert_eq!(whitespace(given), cleaned, "{given:?}");
        }
        assert_eq!(lower("  A  CHEST X-Ray "), "a chest x-ray");
        assert_eq!(
            canonicalized("It’s_a  (CHEST) &amp; X-ray."),
            "its a chest xray"
        );
        assert_eq!(canonical(" It's a (CHEST)  X-ray. "), "its a chest xray");
    }
}
