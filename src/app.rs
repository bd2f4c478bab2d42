//! The application: what is known, and how each message changes it. Pure and synchronous; time, files, pictures and
//! results come in as [`Msg`], and everything it wants done goes out as [`Effect`].

pub mod effect;
pub mod entry;
pub mod msg;
pub mod picture;

use std::path::PathBuf;
use std::time::Duration;

pub use effect::Effect;
pub use entry::{Entry, EntryKind, Found, Stamp};
pub use msg::{Msg, Severity};
pub use picture::{Graphic, Graphics, Preview, PreviewKey, Previewed, Quality};

/// What the program starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The folder to browse, classify and watch; absolute.
    pub root: PathBuf,
    /// Whether to use colour.
    pub theme: Theme,
}

/// How much colour the screen may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Colours that the colour-blind can tell apart; each also has its own symbol and word.
    #[default]
    Colour,
    /// None (`NO_COLOR`): weight and symbols alone.
    Plain,
}

/// All that is known.
#[derive(Clone, Debug)]
pub struct Model {
    root: PathBuf,
}

impl Model {
    /// When the model wants the next [`Msg::Tick`]: `None` while nothing on screen depends on time.
    pub fn next_tick(&self) -> Option<Duration> {
        None
    }
}

/// The first model and the first effects.
pub fn init(setup: Setup) -> (Model, Vec<Effect>) {
    let effects = vec![
        Effect::List {
            dir: setup.root.clone(),
            generation: 1,
        },
        Effect::Scan {
            root: setup.root.clone(),
            generation: 2,
        },
        Effect::Watch {
            root: setup.root.clone(),
        },
    ];
    (Model { root: setup.root }, effects)
}

/// Takes one message in; what is to be done about it comes back, in order.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let _ = (&model.root, msg);
    Vec::new()
}
