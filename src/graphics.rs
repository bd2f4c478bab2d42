//! Everything about images in a terminal, and about the terminal itself.
//!
//! * [`probe`]: what the terminal can show; `limits`: the colours and letters that it has
//! * [`preview`]: the workers that turn files into pixels of the screen
//! * `drivers`: from pixels to what the terminal is sent, one driver a protocol
//! * [`terminal`]: the screen, which `pacing`, `reduce` and `writer` fill as fast as the link allows

mod drivers;
mod limits;
mod pacing;
pub mod preview;
pub mod probe;
mod reduce;
pub mod terminal;
mod writer;

pub use drivers::Album;
pub use limits::{Colours, Decided, Limits};
pub use probe::{Asked, Findings, Late, ask, examine};
pub use reduce::in_ascii;
pub use terminal::{Terminal, restore};
