//! A bitmap font, for texts over images of a graphics protocol, where the terminal's own characters cannot be drawn.

use font8x8::UnicodeFonts;

/// Dots of a glyph, across and down.
pub(crate) const GLYPH_SIZE: i64 = 8;
/// A dot in the middle, for masked characters and for those that the font lacks.
const FALLBACK_GLYPH: [u8; 8] = [0, 0, 0, 0x18, 0x18, 0, 0, 0];
/// Three dots on the line, where a text is cut.
const ELLIPSIS_GLYPH: [u8; 8] = [0, 0, 0, 0, 0, 0, 0x49, 0];

/// The glyphs of a line, each as eight rows; the lowest bit of a row is its leftmost dot.
pub(crate) fn glyphs(line: &str) -> impl Iterator<Item = [u8; 8]> {
    line.chars().map(|letter| {
        if letter == '…' {
            return ELLIPSIS_GLYPH;
        }
        let latin = font8x8::BASIC_FONTS.get(letter);
        let others = || {
            font8x8::LATIN_FONTS
                .get(letter)
                .or_else(|| font8x8::GREEK_FONTS.get(letter))
        };
        latin.or_else(others).unwrap_or(FALLBACK_GLYPH)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(line: &str) -> Vec<String> {
        let letters: Vec<[u8; 8]> = glyphs(line).collect();
        let dots =
            |bits: u8| (0..GLYPH_SIZE).map(move |x| if bits >> x & 1 == 1 { '#' } else { '.' });
        (0..8)
            .map(|row| {
                letters
                    .iter()
                    .flat_map(|letter| dots(letter[row]))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn glyphs_read_from_left_to_right() {
        let rows = drawn("L");
        assert!(
            rows[0].starts_with('#') && rows[0].ends_with("...."),
            "{rows:#?}"
        );
        assert!(drawn("Ä") != drawn("A") && drawn("Ä") != drawn("•"));
        assert_eq!(drawn("胸"), drawn("•"), "not drawn here");
        assert_eq!(drawn("…")[6], "#..#..#.");
        assert_eq!(glyphs("").count(), 0);
    }
}
