//! The screen on a real terminal: what is drawn, in what order it is sent, and how the terminal is taken and given back.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{TerminalOptions, Viewport};

use super::drivers::{ImageStore, Painter};
use super::limits::{Colours, Limits};
use super::pacing::Pacing;
use super::probe::Drawing;
use super::writer::{Frames, Writer};
use super::{Route, Screen, reduce, restore, tmux, writer};
use crate::app::Model;
use crate::ui;

/// Columns and rows that are drawn, at most. A pseudo terminal may claim 65535 of each, which no memory would hold.
const MAX_SIZE: (u16, u16) = (2000, 1000);
/// The size of a terminal that does not tell.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// The screen on a real terminal. Dropping it gives the terminal back.
pub struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<Frames>>,
    frames: Frames,
    writer: Writer,
    pacing: Pacing,
    route: Route,
    /// The images that it has by kitty's protocol.
    store: Arc<ImageStore>,
    /// Its colours and letters.
    limits: Limits,
    log: Option<PathBuf>,
    /// It is to report the mouse.
    mouse: bool,
    /// How often the process has stopped itself, without the news of that having come.
    own_stops: u32,
}

impl Terminal {
    /// Takes the terminal, and stays within its limits; from now on stderr leads to `log`.
    pub fn enter(limits: &Limits, log: Option<&Path>) -> io::Result<Self> {
        // Whether there is colour is decided here: crossterm would take it from images, too, where `NO_COLOR` is set.
        crossterm::style::force_color_output(true);
        let this = restore::take().and_then(|()| Self::on_stdout(limits, log));
        if this.is_err() {
            restore::restore();
        }
        this
    }

    fn on_stdout(limits: &Limits, log: Option<&Path>) -> io::Result<Self> {
        // Without a log, messages would tear the screen apart; they are lost instead.
        restore::redirect_stderr(log.unwrap_or(Path::new("/dev/null")))?;
        let (frames, writer) = writer::start()?;
        let (cols, rows) = size();
        // Fixed, so that ratatui does not ask for the size itself: it is bounded here.
        let viewport = Viewport::Fixed(Rect::new(0, 0, cols, rows));
        let backend = CrosstermBackend::new(frames.clone());
        let inner = ratatui::Terminal::with_options(backend, TerminalOptions { viewport })?;
        Ok(Self {
            inner,
            frames,
            writer,
            pacing: Pacing::default(),
            route: Route::detect(),
            store: Arc::default(),
            limits: limits.clone(),
            log: log.map(Path::to_owned),
            mouse: false,
            own_stops: 0,
        })
    }

    /// From now on images are sent as probed, and what is drawn stays within these limits.
    pub fn draw_with(&mut self, drawing: &Drawing, limits: &Limits) {
        self.store = Arc::clone(&drawing.output.store);
        self.route = drawing.output.route;
        self.limits = limits.clone();
    }

    /// From now on it reports the mouse, until it is given back. Nothing may be on its way to it.
    pub fn follow_mouse(&mut self) -> io::Result<()> {
        self.mouse = true;
        restore::follow_mouse()
    }

    /// Waits until everything drawn so far has been written: before the terminal is asked something.
    pub fn flush(&mut self) {
        self.writer.flush();
    }

    /// Images sent before are gone, and so is what was on screen.
    fn forget(&mut self) {
        let mut out = String::new();
        self.store.clear(&mut out);
        let _ = self.frames.write_all(out.as_bytes());
        self.pacing = Pacing::default();
    }

    /// An empty screen.
    fn blank(&mut self) -> io::Result<()> {
        // Not `clear`, which asks the terminal where the cursor is: the answer would have to come past the thread that
        // reads the keys.
        self.frames.write_all(b"\x1b[2J")?;
        let (cols, rows) = size();
        self.inner.resize(Rect::new(0, 0, cols, rows))
    }

    /// Takes the terminal after someone else had it.
    fn take_again(&mut self) -> io::Result<()> {
        if self.route == Route::Tmux {
            tmux::allow_passthrough();
        }
        restore::take()?;
        if self.mouse {
            restore::follow_mouse()?;
        }
        self.blank()
    }
}

impl Screen for Terminal {
    fn idle(&self) -> bool {
        self.writer.idle()
    }

    async fn wait(&mut self) {
        self.writer.wait().await;
    }

    fn draw(&mut self, model: &Model) -> io::Result<bool> {
        let (cols, rows) = size();
        let area = Rect::new(0, 0, cols, rows);
        if self.inner.get_frame().area() != area {
            self.inner.resize(area)?;
        }
        let budget = self.writer.budget();
        let (pacing, store) = (&mut self.pacing, &self.store);
        let (colours, ascii) = (self.limits.colours.value, self.limits.ascii.value);
        let (mut ahead, mut whole) = (String::new(), true);
        let mut frames = self.frames.clone();
        self.inner.try_draw(|frame| {
            let painter = Painter::default();
            ui::view(model, frame, &painter);
            let pieces = painter.into_pieces();
            whole = pacing.cut(frame.buffer_mut(), &pieces, store, budget, &mut ahead);
            reduce::reduce(frame.buffer_mut(), colours, ascii);
            frames.write_all(ahead.as_bytes())
        })?;
        if colours == Colours::Named {
            self.frames.change(reduce::by_name);
        }
        self.frames.send();
        Ok(!whole)
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        // Ahead of the next frame: what was copied is also told on screen, so there is one.
        self.frames.write_all(&clipboard(text, self.route))
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.writer.flush();
        self.forget();
        self.frames.send();
        self.writer.flush();
        restore::restore();
        self.own_stops += 1;
        // Returns when the shell sends SIGCONT.
        rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?;
        restore::redirect_stderr(self.log.as_deref().unwrap_or(Path::new("/dev/null")))?;
        self.take_again()
    }

    fn resume(&mut self) -> io::Result<bool> {
        if self.own_stops > 0 {
            self.own_stops -= 1;
            return Ok(false);
        }
        self.forget();
        self.take_again()?;
        Ok(true)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.forget();
        self.blank()
    }

    fn size(&self) -> io::Result<(u16, u16)> {
        Ok(size())
    }
}

/// The terminal's size as it is drawn. Not crossterm's, which starts other programs when the terminal is gone.
fn size() -> (u16, u16) {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    size.map_or(USUAL_SIZE, |size| bounded(size.ws_col, size.ws_row))
}

/// A size as it is drawn, whatever the terminal claims.
pub(super) fn bounded(cols: u16, rows: u16) -> (u16, u16) {
    let side = |claimed: u16, usual: u16, most: u16| match claimed {
        0 => usual,
        _ => claimed.min(most),
    };
    (
        side(cols, USUAL_SIZE.0, MAX_SIZE.0),
        side(rows, USUAL_SIZE.1, MAX_SIZE.1),
    )
}

/// OSC 52, which fills the clipboard of the terminal, however far away it is. tmux by default keeps it from the terminal
/// outside: there it is sent both to tmux and through it.
fn clipboard(text: &str, route: Route) -> Vec<u8> {
    let code = base64::engine::general_purpose::STANDARD.encode(text);
    let plain = format!("\x1b]52;c;{code}\x07");
    let passed = match route {
        Route::Direct => String::new(),
        Route::Tmux => route.wrap(&plain).into_owned(),
    };
    (plain + &passed).into_bytes()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Images that the terminal keeps are of no use to anyone.
        let mut out = String::new();
        self.store.clear(&mut out);
        if self.writer.idle() {
            let _ = restore::write(out.as_bytes());
        } else {
            self.writer.abandon();
            restore::give_up_output(out.as_bytes());
        }
        restore::restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clipboard_is_filled_through_tmux_too() {
        assert_eq!(
            clipboard("Zürich", Route::Direct),
            b"\x1b]52;c;WsO8cmljaA==\x07"
        );
        assert_eq!(
            clipboard("a", Route::Tmux),
            b"\x1b]52;c;YQ==\x07\x1bPtmux;\x1b\x1b]52;c;YQ==\x07\x1b\\"
        );
    }

    #[test]
    fn no_size_is_too_large_to_be_drawn() {
        assert_eq!(bounded(65535, 65535), MAX_SIZE);
        assert_eq!(bounded(120, 40), (120, 40));
        assert_eq!(bounded(0, 0), USUAL_SIZE);
    }
}
