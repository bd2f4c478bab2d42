//! Letters drawn in dots, for texts over images that a terminal's own letters cannot be laid upon.

use font8x8::UnicodeFonts;

/// Dots of a letter, across and down.
pub(super) const SIDE: i64 = 8;
/// A dot in the middle: what stands for letters that are masked, and for those that are not drawn here.
const DOT: [u8; 8] = [0, 0, 0, 0x18, 0x18, 0, 0, 0];

/// The letters of a line, each by its rows; in a row the lowest bit is the leftmost dot.
pub(super) fn of(line: &str) -> impl Iterator<Item = [u8; 8]> {
    line.chars().map(|letter| {
        let latin = font8x8::BASIC_FONTS.get(letter);
        let others = || {
            font8x8::LATIN_FONTS
                .get(letter)
                .or_else(|| font8x8::GREEK_FONTS.get(letter))
        };
        latin.or_else(others).unwrap_or(DOT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(line: &str) -> Vec<String> {
        let letters: Vec<[u8; 8]> = of(line).collect();
        let dots = |bits: u8| (0..SIDE).map(move |x| if bits >> x & 1 == 1 { '#' } else { '.' });
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
    fn letters_read_from_left_to_right() {
        let rows = drawn("L");
        assert!(
            rows[0].starts_with('#') && rows[0].ends_with("...."),
            "{rows:#?}"
        );
        assert!(drawn("Ä") != drawn("A") && drawn("Ä") != drawn("•"));
        assert_eq!(drawn("胸"), drawn("•"), "not drawn here");
        assert_eq!(of("").count(), 0);
    }
}
