//! The interface between the event loop and what it draws on.

use std::io;
use std::process::Command;

use crate::app::Model;

/// A screen on which the model is drawn, one frame at a time. While it is busy the loop goes on, and draws the newest state
/// afterwards.
#[allow(async_fn_in_trait, reason = "the loop runs on one thread")]
pub trait Screen {
    /// Whether a frame could be drawn now.
    fn is_idle(&self) -> bool;
    /// Waits until a frame can be drawn.
    async fn wait_idle(&mut self);
    /// Draws what can be sent at once: all text, and of images as much as the link takes. True if something was held back, so
    /// that another frame is needed.
    fn draw(&mut self, model: &Model) -> io::Result<bool>;
    /// Copies text to the clipboard of the user's terminal, with the next frame at the latest.
    fn copy(&mut self, text: &str) -> io::Result<()>;
    /// Rings the bell, with the next frame at the latest. Not more than once a second.
    fn ring(&mut self) -> io::Result<()>;
    /// Restores the terminal, stops the process, and reacquires the terminal when the process continues.
    fn suspend(&mut self) -> io::Result<()>;
    /// Runs a program that has the terminal meanwhile, and reacquires it. An error if the program cannot be run.
    fn run(&mut self, command: &mut Command) -> io::Result<()>;
    /// Reacquires the terminal after another process stopped this one. False if [`Screen::suspend`] has already done so.
    fn resume(&mut self) -> io::Result<bool>;
    /// Clears the screen, so that everything is drawn again.
    fn clear(&mut self) -> io::Result<()>;
    /// Columns and rows of the screen.
    fn size(&self) -> io::Result<(u16, u16)>;
}
