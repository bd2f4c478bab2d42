//! What is shown above everything else: the help, and why something failed.

use super::help::Context;
use super::keys::{HelpLine, Keymap};
use super::menu::ENTRIES;
use super::picker::What;
use super::text;
use crate::media::ErrorKind;
use crate::view::Area;

/// A popup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Popup {
    /// The bindings in force.
    Help {
        /// Where they were asked for.
        context: Context,
        /// What comes back afterwards.
        behind: Option<Box<Popup>>,
    },
    /// Details of a failure.
    Why(Why),
    /// Other ways to look at what is there.
    View {
        /// The entry under the cursor.
        entry: usize,
        /// Which of the entries are in force; `None` of one that switches nothing.
        on: [Option<bool>; ENTRIES.len()],
    },
    /// A list to choose from.
    Pick {
        /// Of what.
        what: What,
        /// The row under the cursor.
        chosen: usize,
    },
    /// The value of a tag in full.
    Value(Box<Value>),
}

/// The value of a tag; all of it safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Tag and name.
    pub subject: String,
    /// What the value names.
    pub meaning: String,
    /// The value, or its mask.
    pub text: String,
    /// It is the mask.
    pub masked: bool,
}

/// What failed and why; all of it safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// File, model or folder.
    pub subject: String,
    /// The kind of failure in a word or two.
    pub kind: Option<&'static str>,
    /// The sentence.
    pub message: String,
    /// What the user can do.
    pub advice: Option<String>,
}

/// A line of a popup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PopupLine {
    /// One or two columns of the help.
    Help(Vec<HelpLine>),
    /// What the popup is about.
    Subject(String),
    /// What is wrong, in a word.
    Kind(String),
    /// Running text.
    Text(String),
    /// Less important text.
    Aside(String),
    /// An entry of a menu: under the cursor, its key, what it does, whether that is on.
    Choice(bool, char, &'static str, Option<bool>),
    /// A row of a list to choose from.
    Pick {
        /// It is under the cursor.
        chosen: bool,
        /// It is in force.
        current: bool,
        /// What it is called.
        name: String,
        /// In a word or two, at the right end.
        beside: String,
    },
}

/// Columns of a popup on a wide screen.
const WIDEST: u16 = 76;
/// Columns that two columns of help need.
const TWO_COLUMNS: usize = 70;

impl Popup {
    /// What stands in its frame.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Help { .. } => "Help",
            Self::Why(_) => "Why it failed",
            Self::View { .. } => "View",
            Self::Value(_) => "Value",
            Self::Pick {
                what: What::Prompts,
                ..
            } => "Prompt set",
            Self::Pick {
                what: What::Model, ..
            } => "Model",
            Self::Pick {
                what: What::Related,
                ..
            } => "About this image",
        }
    }

    /// Its lines on a screen of `cols` columns.
    pub fn lines(&self, keymap: &Keymap, cols: u16) -> Vec<PopupLine> {
        let width = usize::from(content_width(cols));
        match self {
            Self::Help { context, .. } => help(keymap, *context, width),
            Self::Why(why) => why.lines(width),
            Self::View { entry, on } => menu(*entry, on),
            Self::Value(value) => value.lines(width),
            // They need the model: `Model::popup_lines`.
            Self::Pick { .. } => Vec::new(),
        }
    }
}

/// Columns for text in a popup on a screen of `cols` columns: a frame and a blank on either side are taken off.
pub fn content_width(cols: u16) -> u16 {
    // Stripes of what lies behind would only be in the way.
    let outer = if cols < WIDEST + 12 { cols } else { WIDEST };
    outer.saturating_sub(4)
}

/// The cells within the frame of a popup of so many lines, in the middle of the screen.
pub fn inside(cols: u16, rows: u16, lines: usize) -> Area {
    let width = (content_width(cols) + 2).min(cols);
    let height = lines.min(usize::from(content_rows(rows))) as u16;
    Area {
        x: cols.saturating_sub(width + 2) / 2 + 1,
        y: rows.saturating_sub(height + 2) / 2 + 1,
        width,
        height,
    }
}

/// Rows for text in a popup on a screen of `rows` rows.
pub fn content_rows(rows: u16) -> u16 {
    rows.saturating_sub(2)
}

fn help(keymap: &Keymap, context: Context, width: usize) -> Vec<PopupLine> {
    let lines = keymap.help(context);
    // Between two groups, where the columns get most alike.
    let gaps = (0..lines.len()).filter(|at| lines[*at] == HelpLine::Gap);
    let split = gaps.min_by_key(|at| (*at).max(lines.len() - at));
    let Some(split) = split.filter(|_| width >= TWO_COLUMNS) else {
        return lines
            .into_iter()
            .map(|line| PopupLine::Help(vec![line]))
            .collect();
    };
    let (left, right) = (&lines[..split], &lines[split + 1..]);
    (0..left.len().max(right.len()))
        .map(|i| {
            let column = |lines: &[HelpLine]| lines.get(i).cloned().unwrap_or(HelpLine::Gap);
            PopupLine::Help(vec![column(left), column(right)])
        })
        .collect()
}

fn menu(entry: usize, on: &[Option<bool>]) -> Vec<PopupLine> {
    let all = ENTRIES.iter().zip(on).enumerate();
    all.map(|(at, ((key, what, _), on))| PopupLine::Choice(at == entry, *key, what, *on))
        .collect()
}

/// Running text in lines of a width.
fn wrapped(text: &str, width: usize, line: fn(String) -> PopupLine) -> Vec<PopupLine> {
    text::wrap(text, width).into_iter().map(line).collect()
}

impl Value {
    fn lines(&self, width: usize) -> Vec<PopupLine> {
        let mut lines = wrapped(&self.subject, width, PopupLine::Subject);
        lines.extend(wrapped(&self.meaning, width, PopupLine::Aside));
        lines.push(PopupLine::Text(String::new()));
        lines.extend(wrapped(&self.text, width, PopupLine::Text));
        if self.masked {
            lines.push(PopupLine::Text(String::new()));
            let why = "Masked: it tells, or may tell, who the patient is (PS3.15 table E.1-1).";
            lines.extend(wrapped(why, width, PopupLine::Aside));
        }
        lines
    }
}

impl Why {
    fn lines(&self, width: usize) -> Vec<PopupLine> {
        let wrapped = |text: &str, line| wrapped(text, width, line);
        let mut lines = wrapped(&self.subject, PopupLine::Subject);
        lines.extend(self.kind.map(|kind| PopupLine::Kind(kind.to_owned())));
        lines.push(PopupLine::Text(String::new()));
        lines.extend(wrapped(&self.message, PopupLine::Text));
        if let Some(advice) = &self.advice {
            lines.push(PopupLine::Text(String::new()));
            lines.extend(wrapped(advice, PopupLine::Aside));
        }
        lines
    }
}

/// A kind of failure as the user reads it.
pub fn kind_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not found",
        ErrorKind::Permission => "no permission",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Malformed => "malformed",
        ErrorKind::Truncated => "truncated",
        ErrorKind::TooLarge => "too large",
        ErrorKind::NoPixels => "no pixels",
        ErrorKind::Internal => "internal error",
    }
}
