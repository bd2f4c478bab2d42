//! The colours of a heat map: two hues that readers with any colour vision tell apart, blended over the image.

/// What raises the score: orange of Okabe and Ito's palette (2008).
pub const RAISES: [u8; 3] = [230, 159, 0];
/// What lowers it: blue of the same palette, lightened so that it is seen on black.
pub const LOWERS: [u8; 3] = [38, 134, 210];

/// Opacity at the peak of a map.
const MAX_OPACITY: f32 = 0.62;
/// Shares of the peak below which nothing is drawn: the image should be seen.
const MIN_SHARE: f32 = 0.1;

/// A pixel with a share of a map's peak (−1 to 1) blended over it.
pub fn blend(pixel: [u8; 3], share: f32) -> [u8; 3] {
    let strength = share.abs().min(1.0);
    if strength < MIN_SHARE {
        return pixel;
    }
    let hue = if share > 0.0 { RAISES } else { LOWERS };
    let opacity = MAX_OPACITY * strength;
    let mix = |at: usize| {
        let (from, to) = (f32::from(pixel[at]), f32::from(hue[at]));
        (from + (to - from) * opacity).round() as u8
    };
    [mix(0), mix(1), mix(2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_values_leave_the_image_and_strong_ones_take_their_hue() {
        assert_eq!(blend([10, 20, 30], 0.05), [10, 20, 30]);
        let [red, _, blue] = blend([100; 3], 1.0);
        assert!(red > 150 && blue < 50, "{red} {blue}");
        let [red, _, blue] = blend([100; 3], -1.0);
        assert!(red < 70 && blue > 150, "{red} {blue}");
        let weaker = blend([100; 3], 0.3);
        assert!(weaker[0] < 180 && weaker[0] > 100);
    }

    /// The hues differ in lightness neither much nor by accident, and in blue strongly: that survives red-green blindness.
    #[test]
    fn the_hues_differ_most_in_what_red_green_blind_readers_see() {
        assert!(i32::from(LOWERS[2]) - i32::from(RAISES[2]) > 180);
    }
}
