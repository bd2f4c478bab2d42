//! Everything about images in a terminal, and about the terminal itself.
//!
//! * `probe`: what the terminal can show; `limits`: the colours and letters that it has
//! * [`preview`]: the workers that turn files into pixels of the screen
//! * `drivers`: from pixels to what the terminal is sent, one driver a protocol; `tmux`: how that passes through tmux
//! * `terminal`: the screen, which `pacing`, `reduce` and `writer` fill as fast as the link allows
//! * `input`: what is typed; `restore`: the terminal given back, whatever happens

mod drivers;
mod input;
mod limits;
mod pacing;
pub mod preview;
mod probe;
mod reduce;
mod restore;
mod screen;
mod terminal;
mod tmux;
mod writer;

pub use drivers::{ImageStore, Output, Painter, half_blocks};
pub use input::input;
pub use limits::{Colours, Decided, Limits};
pub use probe::{Capabilities, Drawing, Probed, probe, probe_cooked};
pub use reduce::in_ascii;
pub use restore::restore;
pub use screen::Screen;
pub use terminal::Terminal;
pub use tmux::Route;
