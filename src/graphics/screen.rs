//! What the loop draws on.

use std::io;

use crate::app::Model;

/// Where the model is drawn. A screen takes one frame at a time: while it is busy the loop goes on, and draws the newest state
/// afterwards.
#[allow(async_fn_in_trait, reason = "the loop runs on one thread")]
pub trait Screen {
    /// A frame would be taken now.
    fn idle(&self) -> bool;
    /// Returns once a frame would be taken.
    async fn wait(&mut self);
    /// Draws as much as goes out at once: all text, and of images what the link takes. True when something is left over, to
    /// be drawn again.
    fn draw(&mut self, model: &Model) -> io::Result<bool>;
    /// Puts text into the clipboard of whoever sits at the terminal; goes out before the next frame at the latest.
    fn copy(&mut self, text: &str) -> io::Result<()>;
    /// Gives the terminal back, stops the process, and takes the terminal again on return.
    fn suspend(&mut self) -> io::Result<()>;
    /// Takes the terminal again after the process was stopped from outside. False when [`Screen::suspend`] has done so.
    fn resume(&mut self) -> io::Result<bool>;
    /// Clears it; all is drawn again.
    fn clear(&mut self) -> io::Result<()>;
    /// Columns and rows.
    fn size(&self) -> io::Result<(u16, u16)>;
}
