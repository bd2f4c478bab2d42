//! Colours and weights by their meaning. The colours are among the 256 that terminals agree on, distinguishable for the
//! colour-blind (blue, orange, magenta, grey) and readable on dark and light backgrounds. Each meaning has a symbol too.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::app::Theme;
use crate::app::results::FileStatus;
use crate::app::results::reviews::Judged;
use crate::app::urgency::UrgencyLevel;

const BLUE: Color = Color::Indexed(33);
const ORANGE: Color = Color::Indexed(172);
const MAGENTA: Color = Color::Indexed(162);
const GREY: Color = Color::Indexed(245);
const LINE: Color = Color::Indexed(240);
/// The background around images, and text on it, whatever the terminal's own background is: white would glare beside a
/// radiograph.
const GROUND: Color = Color::Indexed(16);
const ON_GROUND: Color = Color::Indexed(252);

/// The same for a light background, where the others are too pale for fine strokes.
const ON_LIGHT: [(Color, Color); 5] = [
    (BLUE, Color::Indexed(25)),
    (ORANGE, Color::Indexed(130)),
    (MAGENTA, Color::Indexed(125)),
    (GREY, Color::Indexed(241)),
    (LINE, Color::Indexed(248)),
];

/// The name of each of these colours among the sixteen of the user's palette.
pub fn name_of(colour: Color) -> Option<Color> {
    let [blue, orange, magenta, grey, line] = ON_LIGHT.map(|(usual, _)| usual);
    let [dark_blue, dark_orange, dark_magenta, dark_grey, pale_line] =
        ON_LIGHT.map(|(_, dark)| dark);
    let names = [
        (blue, Color::LightBlue),
        (orange, Color::Yellow),
        (magenta, Color::LightMagenta),
        (grey, Color::DarkGray),
        (line, Color::DarkGray),
        (dark_blue, Color::Blue),
        (dark_orange, Color::Yellow),
        (dark_magenta, Color::Magenta),
        (dark_grey, Color::DarkGray),
        (pale_line, Color::Gray),
        (GROUND, Color::Black),
        (ON_GROUND, Color::Gray),
    ];
    names
        .into_iter()
        .find_map(|(own, name)| (own == colour).then_some(name))
}

/// The styles of a theme.
#[derive(Clone, Copy)]
pub(super) struct Looks {
    theme: Theme,
}

impl Looks {
    pub(super) fn new(theme: Theme) -> Self {
        Self { theme }
    }

    fn coloured(self, colour: Color) -> Style {
        match self.theme {
            Theme::Dark => Style::new().fg(colour),
            Theme::Light => {
                let darker = ON_LIGHT.iter().find(|(usual, _)| *usual == colour);
                Style::new().fg(darker.map_or(colour, |(_, darker)| *darker))
            }
            Theme::None => Style::new(),
        }
    }

    /// The styles around an image, and the background there; `None`: as elsewhere.
    pub(super) fn around_images(self) -> (Self, Option<Style>) {
        let dark = Self { theme: Theme::Dark };
        match self.theme {
            Theme::Dark | Theme::Light => (dark, Some(Style::new().fg(ON_GROUND).bg(GROUND))),
            Theme::None => (self, None),
        }
    }

    /// A colour that is used in the image, wherever there are colours.
    pub(super) fn of_picture(self, [r, g, b]: [u8; 3]) -> Style {
        match self.theme {
            Theme::None => Style::new(),
            _ => Style::new().fg(Color::Rgb(r, g, b)),
        }
    }

    /// Running text.
    pub(super) fn text() -> Style {
        Style::new()
    }

    /// The most important text.
    pub(super) fn strong() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Less important text.
    pub(super) fn dim(self) -> Style {
        match self.theme {
            Theme::None => Style::new().add_modifier(Modifier::DIM),
            _ => self.coloured(GREY),
        }
    }

    /// Lines between panels.
    pub(super) fn line(self) -> Style {
        match self.theme {
            Theme::None => Style::new().add_modifier(Modifier::DIM),
            _ => self.coloured(LINE),
        }
    }

    /// Focus, cursor, and what is new.
    pub(super) fn accent(self) -> Style {
        self.coloured(BLUE).add_modifier(Modifier::BOLD)
    }

    /// Errors.
    pub(super) fn wrong(self) -> Style {
        self.coloured(MAGENTA)
    }

    /// What deserves a second look.
    pub(super) fn doubt(self) -> Style {
        self.coloured(ORANGE)
    }

    /// The name under the cursor.
    pub(super) fn cursor() -> Style {
        Self::strong().add_modifier(Modifier::REVERSED)
    }

    /// A folder's name, and bars that are not probabilities.
    pub(super) fn plain_blue(self) -> Style {
        self.coloured(BLUE)
    }

    /// How a result is drawn by its urgency, so that what is likely abnormal stands out and what is normal recedes: the style of bar
    /// and figure, and a symbol that says the same without colour.
    pub(super) fn urgency(self, level: UrgencyLevel) -> (Style, &'static str) {
        match level {
            UrgencyLevel::VeryUrgent => (self.doubt().add_modifier(Modifier::BOLD), "▲"),
            UrgencyLevel::Urgent => (self.coloured(BLUE), "△"),
            UrgencyLevel::Normal => (self.dim(), " "),
            UrgencyLevel::Unjudged => (Self::text(), " "),
        }
    }

    /// The symbol of a status.
    pub(super) fn symbol(status: Option<FileStatus>) -> &'static str {
        match status {
            Some(FileStatus::Confident) => "●",
            Some(FileStatus::Uncertain) => "◐",
            Some(FileStatus::Rejected) => "○",
            Some(FileStatus::Blind) => "□",
            Some(FileStatus::Queued) => "·",
            Some(FileStatus::Failed) => "✗",
            Some(FileStatus::NotAnImage) => "–",
            None => " ",
        }
    }

    /// The symbol of a review beside its result: flagged, agrees, disagrees, reviewed without a result to compare with.
    pub(super) fn review(self, judged: Judged) -> Option<Span<'static>> {
        let reviews = judged.reviews?;
        if reviews.is_flagged() {
            return Some(Span::styled("⚑", self.doubt()));
        }
        reviews.is_decided().then(|| match judged.agrees() {
            Some(false) => Span::styled("≠", self.doubt()),
            Some(true) | None => Span::styled("✓", self.accent()),
        })
    }

    /// The style of a status.
    pub(super) fn status(self, status: Option<FileStatus>) -> Style {
        match status {
            Some(FileStatus::Confident) => self.coloured(BLUE),
            Some(FileStatus::Uncertain) => self.doubt(),
            Some(FileStatus::Failed) => self.wrong(),
            Some(
                FileStatus::Rejected
                | FileStatus::Blind
                | FileStatus::Queued
                | FileStatus::NotAnImage,
            ) => self.dim(),
            None => Self::text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_has_a_name_where_there_are_sixteen() {
        for (dark, light) in ON_LIGHT {
            assert!(name_of(dark).is_some() && name_of(light).is_some());
        }
        assert!(name_of(GROUND).is_some() && name_of(ON_GROUND).is_some());
        assert_eq!(name_of(Color::Indexed(1)), None);
    }
}
