//! The component that receives keys.

use crate::view::panels::Panel;

/// The component that keys go to; the topmost on screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputMode {
    /// A line being typed: a filter, a query or a command.
    Line,
    /// The help, the reason of a failure, or a value in full: something to read.
    Reading,
    /// The view menu.
    Menu,
    /// A list to choose one thing from.
    Picker,
    /// The key after the review leader.
    Review,
    /// The search in the tags, while it is typed.
    TagSearch,
    /// The tags of a file.
    Tags,
    /// An image in full screen.
    FullScreen,
    /// Two files side by side.
    Compare,
    /// The activity log.
    Activity,
    /// The agreement of reviews with results.
    Agreement,
    /// What reviews teach, before and after.
    Learning,
    /// The nearest reviewed images.
    Neighbours,
    /// The grid of small images.
    Grid,
    /// List, image and result; one of them has the focus.
    Panels(Panel),
}
