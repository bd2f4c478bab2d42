//! Orientation of an image: quarter turns and mirroring, the eight symmetries of a square (the dihedral group D4).

/// An orientation: mirrored left to right, if at all, then turned clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    mirrored: bool,
    /// Clockwise quarter turns, 0 to 3.
    quarters: u8,
}

impl Turn {
    /// All eight orientations.
    pub const ALL: [Self; 8] = {
        let mut all = [Self {
            mirrored: false,
            quarters: 0,
        }; 8];
        let mut i = 0;
        while i < 8 {
            all[i].mirrored = i >= 4;
            all[i].quarters = (i % 4) as u8;
            i += 1;
        }
        all
    };

    /// Turns by another quarter, clockwise on the screen.
    #[must_use]
    pub fn right(self) -> Self {
        Self {
            quarters: (self.quarters + 1) % 4,
            ..self
        }
    }

    /// Turns by another quarter, counterclockwise on the screen.
    #[must_use]
    pub fn left(self) -> Self {
        Self {
            quarters: (self.quarters + 3) % 4,
            ..self
        }
    }

    /// Mirrors left to right on the screen. A turn before mirroring equals the opposite turn after it.
    #[must_use]
    pub fn flip(self) -> Self {
        Self {
            mirrored: !self.mirrored,
            quarters: (4 - self.quarters) % 4,
        }
    }

    /// Whether columns of the image run across the screen, so that width and height are swapped.
    pub fn swaps(self) -> bool {
        self.quarters % 2 == 1
    }

    /// Whether the image is mirrored left to right before the quarter turns.
    pub fn is_mirrored(self) -> bool {
        self.mirrored
    }

    /// Clockwise quarter turns after mirroring, 0 to 3.
    pub fn quarters(self) -> u8 {
        self.quarters
    }

    /// Converts width and height of the image to those on the screen, and back.
    pub fn size<T>(self, (across, down): (T, T)) -> (T, T) {
        if self.swaps() {
            (down, across)
        } else {
            (across, down)
        }
    }

    /// Maps a point of the image to the screen, both as shares of width and height from the top left.
    pub fn seen(self, (x, y): (f64, f64)) -> (f64, f64) {
        let x = if self.mirrored { 1.0 - x } else { x };
        (0..self.quarters).fold((x, y), |(x, y), _| (1.0 - y, x))
    }

    /// Maps a point of the screen to the image, both as shares of width and height from the top left.
    pub fn unseen(self, (x, y): (f64, f64)) -> (f64, f64) {
        let (x, y) = (0..self.quarters).fold((x, y), |(x, y), _| (y, 1.0 - x));
        (if self.mirrored { 1.0 - x } else { x }, y)
    }

    /// Maps a step on the screen to a step in the image.
    pub fn step_in_file(self, (dx, dy): (f64, f64)) -> (f64, f64) {
        let (dx, dy) = (0..self.quarters).fold((dx, dy), |(dx, dy), _| (dy, -dx));
        (if self.mirrored { -dx } else { dx }, dy)
    }

    /// Reorders labels of the image's sides (left, right, top, bottom) to the sides of the screen.
    pub fn sides<T>(self, [left, right, top, bottom]: [T; 4]) -> [T; 4] {
        let sides = if self.mirrored {
            [right, left, top, bottom]
        } else {
            [left, right, top, bottom]
        };
        (0..self.quarters).fold(sides, |[left, right, top, bottom], _| {
            [bottom, top, left, right]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The corners of an image in reading order of the screen.
    fn corners(turn: Turn) -> String {
        let mut seen = [['?'; 2]; 2];
        for (name, at) in [
            ('a', (0.0, 0.0)),
            ('b', (1.0, 0.0)),
            ('c', (0.0, 1.0)),
            ('d', (1.0, 1.0)),
        ] {
            let (x, y) = turn.seen(at);
            seen[y as usize][x as usize] = name;
        }
        seen.iter().flatten().collect()
    }

    #[test]
    fn each_key_does_to_the_screen_what_it_says() {
        let plain = Turn::default();
        assert_eq!(corners(plain), "abcd");
        assert_eq!(corners(plain.right()), "cadb");
        assert_eq!(corners(plain.left()), "bdac");
        assert_eq!(corners(plain.flip()), "badc");
        assert_eq!(
            corners(plain.right().flip()),
            "acbd",
            "on the screen, not as stored"
        );
    }

    #[test]
    fn turns_and_mirror_are_the_group_d4() {
        for turn in Turn::ALL {
            assert_eq!(turn.right().right().right().right(), turn);
            assert_eq!(turn.right().left(), turn);
            assert_eq!(turn.flip().flip(), turn);
            assert_eq!(turn.flip().right().flip(), turn.left(), "f r f = r⁻¹");
        }
        let mut all: Vec<String> = Turn::ALL.map(corners).to_vec();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8, "eight different orientations");
    }

    #[test]
    fn steps_and_sides_go_where_points_go() {
        for turn in Turn::ALL {
            for step in [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)] {
                let (dx, dy) = turn.step_in_file(step);
                let (from, to) = (
                    turn.seen((0.5, 0.5)),
                    turn.seen((0.5 + dx / 4.0, 0.5 + dy / 4.0)),
                );
                assert_eq!(
                    ((to.0 - from.0) * 4.0, (to.1 - from.1) * 4.0),
                    step,
                    "{turn:?}"
                );
            }
            let middles = [(0.0, 0.5), (1.0, 0.5), (0.5, 0.0), (0.5, 1.0)];
            for (place, name) in middles.iter().zip(turn.sides([0, 1, 2, 3])) {
                assert_eq!(turn.seen(middles[name]), *place, "{turn:?}");
            }
        }
    }
}
