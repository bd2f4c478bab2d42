//! Colours and weights by what they mean. The colours are of the 256 that terminals agree on, tell apart for the
//! colour-blind (blue, orange, magenta, grey) and read well on dark and on light ground. Each meaning has a symbol too.

use ratatui::style::{Color, Modifier, Style};

use crate::app::Theme;
use crate::app::results::Standing;

const BLUE: Color = Color::Indexed(33);
const ORANGE: Color = Color::Indexed(172);
const MAGENTA: Color = Color::Indexed(162);
const GREY: Color = Color::Indexed(245);
const LINE: Color = Color::Indexed(240);

/// How things look under a theme.
#[derive(Clone, Copy)]
pub(super) struct Looks {
    colour: bool,
}

impl Looks {
    pub(super) fn new(theme: Theme) -> Self {
        Self {
            colour: theme == Theme::Colour,
        }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// Running text.
    pub(super) fn text() -> Style {
        Style::new()
    }

    /// What matters most.
    pub(super) fn strong() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What matters less.
    pub(super) fn dim(self) -> Style {
        if self.colour {
            Style::new().fg(GREY)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    /// Lines between panels.
    pub(super) fn line(self) -> Style {
        if self.colour {
            Style::new().fg(LINE)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    /// Where the user is: the focus, the cursor, what is new.
    pub(super) fn accent(self) -> Style {
        self.coloured(BLUE).add_modifier(Modifier::BOLD)
    }

    /// What went wrong.
    pub(super) fn wrong(self) -> Style {
        self.coloured(MAGENTA)
    }

    /// What asks for a second look.
    pub(super) fn doubt(self) -> Style {
        self.coloured(ORANGE)
    }

    /// The name under the cursor.
    pub(super) fn cursor() -> Style {
        Self::strong().add_modifier(Modifier::REVERSED)
    }

    /// A folder's name, and a bar that says how much without saying how sure.
    pub(super) fn plain_blue(self) -> Style {
        self.coloured(BLUE)
    }

    /// The one symbol for how a file stands.
    pub(super) fn symbol(standing: Option<Standing>) -> &'static str {
        match standing {
            Some(Standing::Confident) => "●",
            Some(Standing::Uncertain) => "◐",
            Some(Standing::Rejected) => "○",
            Some(Standing::Queued) => "·",
            Some(Standing::Failed) => "✗",
            Some(Standing::NoPicture) => "–",
            None => " ",
        }
    }

    /// Its colour.
    pub(super) fn standing(self, standing: Option<Standing>) -> Style {
        match standing {
            Some(Standing::Confident) => self.coloured(BLUE),
            Some(Standing::Uncertain) => self.doubt(),
            Some(Standing::Failed) => self.wrong(),
            Some(Standing::Rejected | Standing::Queued | Standing::NoPicture) => self.dim(),
            None => Self::text(),
        }
    }
}
