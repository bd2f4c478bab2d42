//! The screen on a real terminal: acquires and restores it, and orders what is sent to it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{TerminalOptions, Viewport};

use super::drivers::{ImagePainter, ImageStore};
use super::gate::InputGate;
use super::limits::{Colours, Limits};
use super::pacing::Pacing;
use super::probe::GraphicsSetup;
use super::writer::{FrameBuffer, TerminalWriter};
use super::{Route, Screen, foreground, reduce, restore, tmux, writer};
use crate::app::Model;
use crate::ui;

/// Maximum columns and rows drawn. A pseudo-terminal may claim 65535 of each, which would not fit in memory.
const MAX_SIZE: (u16, u16) = (2000, 1000);
/// The size of a terminal that does not report one.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// Shortest time between two rings of the bell.
const BELL_INTERVAL: Duration = Duration::from_secs(1);

/// The screen on a real terminal. Dropping it restores the terminal.
pub struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<FrameBuffer>>,
    frames: FrameBuffer,
    writer: TerminalWriter,
    pacing: Pacing,
    route: Route,
    /// The images that the terminal holds under kitty's protocol.
    store: Arc<ImageStore>,
    /// Its colours and characters.
    limits: Limits,
    log: Option<PathBuf>,
    /// Whether mouse reporting is on.
    mouse: bool,
    /// When the bell rang last.
    rang: Option<Instant>,
    /// How often the process stopped itself without [`Screen::resume`] having been called for it yet.
    own_stops: u32,
    /// Closed while another program has the terminal.
    gate: InputGate,
}

impl Terminal {
    /// Acquires the terminal and redirects stderr to `log`.
    pub fn enter(limits: &Limits, log: Option<&Path>) -> io::Result<Self> {
        // Colours are decided here: with `NO_COLOR` set, crossterm would remove them from images, too.
        crossterm::style::force_color_output(true);
        let this = restore::acquire().and_then(|()| Self::on_stdout(limits, log));
        if this.is_err() {
            restore::restore();
        }
        this
    }

    fn on_stdout(limits: &Limits, log: Option<&Path>) -> io::Result<Self> {
        // Without a log, messages are discarded rather than printed across the screen.
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
            rang: None,
            own_stops: 0,
            gate: InputGate::default(),
        })
    }

    /// Sets how images are sent and the limits of what is drawn, after probing.
    pub fn configure(&mut self, setup: &GraphicsSetup, limits: &Limits) {
        self.store = Arc::clone(&setup.output.store);
        self.route = setup.output.route;
        self.limits = limits.clone();
    }

    /// Turns mouse reporting on until the terminal is restored. No frame may be in the middle of being written.
    pub fn enable_mouse(&mut self) -> io::Result<()> {
        self.mouse = true;
        restore::enable_mouse()
    }

    /// What the thread that reads the terminal has to pass.
    pub fn gate(&self) -> InputGate {
        self.gate.clone()
    }

    /// Waits until everything drawn so far has been written. Needed before the terminal is queried.
    pub fn flush(&mut self) {
        self.writer.flush();
    }

    /// Deletes the images from the terminal and forgets what is on the screen, so that everything is sent again.
    fn invalidate(&mut self) {
        let mut out = String::new();
        self.store.clear(&mut out);
        let _ = self.frames.write_all(out.as_bytes());
        self.pacing = Pacing::default();
    }

    /// Erases the screen and adopts the terminal's size.
    fn erase(&mut self) -> io::Result<()> {
        // Not ratatui's `clear`, which queries the cursor position: the input thread would receive the answer.
        self.frames.write_all(b"\x1b[2J")?;
        let (cols, rows) = size();
        self.inner.resize(Rect::new(0, 0, cols, rows))
    }

    /// Restores the terminal for another program.
    fn release(&mut self) {
        self.writer.flush();
        self.invalidate();
        self.frames.send();
        self.writer.flush();
        restore::restore();
    }

    fn redirect_stderr(&self) -> io::Result<()> {
        restore::redirect_stderr(self.log.as_deref().unwrap_or(Path::new("/dev/null")))
    }

    /// Acquires the terminal after another program had it.
    fn reacquire(&mut self) -> io::Result<()> {
        if self.route == Route::Tmux {
            tmux::allow_passthrough();
        }
        restore::acquire()?;
        if self.mouse {
            restore::enable_mouse()?;
        }
        self.erase()
    }
}

impl Screen for Terminal {
    fn is_idle(&self) -> bool {
        self.writer.is_idle()
    }

    async fn wait_idle(&mut self) {
        self.writer.wait_idle().await;
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
        let (mut ahead, mut complete) = (String::new(), true);
        let mut frames = self.frames.clone();
        self.inner.try_draw(|frame| {
            let painter = ImagePainter::default();
            ui::view(model, frame, &painter);
            let pieces = painter.into_pieces();
            complete = pacing.limit_frame(frame.buffer_mut(), &pieces, store, budget, &mut ahead);
            reduce::reduce(frame.buffer_mut(), colours, ascii);
            frames.write_all(ahead.as_bytes())
        })?;
        if colours == Colours::Named {
            self.frames.transform(reduce::with_basic_colours);
        }
        self.frames.send();
        Ok(!complete)
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        // Sent with the next frame. There is one, because the screen reports what was copied.
        self.frames.write_all(&clipboard(text, self.route))
    }

    fn ring(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.rang.is_some_and(|rang| now - rang < BELL_INTERVAL) {
            return Ok(());
        }
        self.rang = Some(now);
        // Sent with the next frame, and so never within an image.
        self.frames.write_all(b"\x07")
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.release();
        self.own_stops += 1;
        stop_this_job()?;
        self.redirect_stderr()?;
        self.reacquire()
    }

    fn run(&mut self, command: &mut Command) -> io::Result<()> {
        self.gate.close()?;
        self.release();
        // Other threads go on, and what they log does not belong on the program's screen.
        let result = self
            .redirect_stderr()
            .and_then(|()| foreground::run(command));
        let reacquired = self.reacquire();
        self.gate.open();
        reacquired.and(result.map(drop))
    }

    fn resume(&mut self) -> io::Result<bool> {
        if self.own_stops > 0 {
            self.own_stops -= 1;
            return Ok(false);
        }
        self.invalidate();
        self.reacquire()?;
        Ok(true)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.invalidate();
        self.erase()
    }

    fn size(&self) -> io::Result<(u16, u16)> {
        Ok(size())
    }
}

/// Stops the processes of this job; returns after SIGCONT from the shell.
pub(super) fn stop_this_job() -> io::Result<()> {
    rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?;
    Ok(())
}

/// The terminal's bounded size. Not crossterm's `size`, which runs other programs when the terminal is gone.
fn size() -> (u16, u16) {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    size.map_or(DEFAULT_SIZE, |size| bounded_size(size.ws_col, size.ws_row))
}

/// Bounds the size that a terminal reports.
pub(super) fn bounded_size(cols: u16, rows: u16) -> (u16, u16) {
    let side = |reported: u16, default: u16, max: u16| match reported {
        0 => default,
        _ => reported.min(max),
    };
    (
        side(cols, DEFAULT_SIZE.0, MAX_SIZE.0),
        side(rows, DEFAULT_SIZE.1, MAX_SIZE.1),
    )
}

/// OSC 52, which sets the clipboard of the user's terminal, also over SSH. By default tmux does not pass it on: there it is
/// sent both to tmux and through it.
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
        // Deletes the images from the terminal.
        let mut out = String::new();
        self.store.clear(&mut out);
        if self.writer.is_idle() {
            let _ = restore::write(out.as_bytes());
        } else {
            self.writer.abandon();
            restore::abandon_output(out.as_bytes());
        }
        restore::restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clipboard_is_set_through_tmux_too() {
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
    fn every_reported_size_is_bounded() {
        assert_eq!(bounded_size(65535, 65535), MAX_SIZE);
        assert_eq!(bounded_size(120, 40), (120, 40));
        assert_eq!(bounded_size(0, 0), DEFAULT_SIZE);
    }
}
