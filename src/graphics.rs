//! Everything about images in a terminal, and about the terminal itself.
//!
//! * `probe`: finds out which graphics the terminal supports; `limits`: which colours and characters it has
//! * [`preview`]: the worker threads that turn files into screen pixels
//! * `drivers`: encode pixels for the terminal, one driver per protocol; `tmux`: passes them through tmux
//! * `terminal`: the screen, which `pacing`, `reduce` and `writer` fill as fast as the link allows
//! * `input`: keys, mouse and resize events, which pass the `gate`; `foreground`: other programs in the terminal; `restore`: restores the terminal, however the program ends

mod drivers;
mod foreground;
mod gate;
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

pub use drivers::{ImagePainter, ImageStore, Output, half_blocks};
pub use gate::InputGate;
pub use input::input;
pub use limits::{Colours, Decided, Limits};
pub use probe::{Capabilities, GraphicsSetup, Probed, probe, probe_cooked};
pub use reduce::in_ascii;
pub use restore::restore;
pub use screen::Screen;
pub use terminal::Terminal;
pub use tmux::Route;
