//! Settings whose default `auto` lets the program choose, and their values.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de};

/// A setting with the value `auto`, which leaves the choice to the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Setting<T> {
    /// Chosen by the program.
    #[default]
    Auto,
    /// Chosen by the user.
    Fixed(T),
}

/// A type whose values have names in the settings.
pub trait NamedValue: Copy {
    /// The names that a setting may have, `auto` first.
    const NAMES: &'static [&'static str];

    /// The value with one of the names; `None` for `auto` and any other text.
    fn named(name: &str) -> Option<Self>;
}

impl<T: NamedValue> Setting<T> {
    /// The setting with a name; `None` if it is not one of [`NamedValue::NAMES`].
    pub fn parse(name: &str) -> Option<Self> {
        if name == T::NAMES[0] {
            return Some(Self::Auto);
        }
        T::named(name).map(Self::Fixed)
    }
}

impl<'de, T: NamedValue> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(from)?;
        Self::parse(&name).ok_or_else(|| de::Error::unknown_variant(&name, T::NAMES))
    }
}

/// The graphics protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Graphics {
    /// No images.
    None,
    /// Coloured half blocks, two pixels per cell; works in every terminal.
    Halfblocks,
    /// The kitty graphics protocol.
    Kitty,
    /// Sixel.
    Sixel,
    /// iTerm2's inline images.
    Iterm2,
}

impl Graphics {
    /// The name in settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Halfblocks => "halfblocks",
            Self::Kitty => "kitty",
            Self::Sixel => "sixel",
            Self::Iterm2 => "iterm2",
        }
    }
}

impl NamedValue for Graphics {
    const NAMES: &'static [&'static str] =
        &["auto", "kitty", "sixel", "iterm2", "halfblocks", "none"];

    fn named(name: &str) -> Option<Self> {
        [
            Self::None,
            Self::Halfblocks,
            Self::Kitty,
            Self::Sixel,
            Self::Iterm2,
        ]
        .into_iter()
        .find(|graphics| graphics.name() == name)
    }
}

/// The colours that a terminal supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// None; only attributes such as bold and reverse.
    None,
    /// The 16 named colours, whose appearance the user's palette defines.
    Named,
    /// xterm's 256 colours.
    Indexed,
    /// True colour: 8 bits each of red, green and blue.
    Full,
}

impl Colours {
    /// The number of colours in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no colours",
            Self::Named => "16 colours",
            Self::Indexed => "256 colours",
            Self::Full => "all colours",
        }
    }
}

impl NamedValue for Colours {
    const NAMES: &'static [&'static str] = &["auto", "16", "256", "full"];

    fn named(name: &str) -> Option<Self> {
        match name {
            "16" => Some(Self::Named),
            "256" => Some(Self::Indexed),
            "full" => Some(Self::Full),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_setting_and_only_those_are() {
        for name in Graphics::NAMES {
            assert!(Setting::<Graphics>::parse(name).is_some(), "{name}");
        }
        for name in Colours::NAMES {
            assert!(Setting::<Colours>::parse(name).is_some(), "{name}");
        }
        assert_eq!(Setting::<Graphics>::parse("auto"), Some(Setting::Auto));
        assert_eq!(Setting::<Graphics>::parse("Kitty"), None);
        assert_eq!(Setting::<Colours>::parse("none"), None);
    }
}
