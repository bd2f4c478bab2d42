//! The terminal as a resource: taken, asked what it can, given back whatever happens.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use crossterm::style::Print;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use super::Album;
use super::limits::{Colours, Limits};
use super::pacing::Portions;
use super::writer::{Frames, Writer};
use super::{reduce, writer};
use crate::app::Model;
use crate::runtime::Screen;
use crate::ui;

/// Whether the terminal is in the program's hands; makes [`restore`] idempotent.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether the terminal tells of the mouse.
static MOUSE: AtomicBool = AtomicBool::new(false);
/// Buttons, the wheel, and movement while a button is down, in decimal numbers. Not every movement: that would fill a slow
/// link.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1002l\x1b[?1000l";
/// stderr as it was, while it leads to the log.
static STDERR: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Gives the terminal back: cooked mode, main screen, cursor, stderr. Does nothing when it is not taken; called by the
/// guard, by the panic hook and on signals.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    // Nothing can be done about a terminal that is gone.
    if MOUSE.swap(false, Ordering::SeqCst) {
        let _ = execute!(out, Print(MOUSE_OFF));
    }
    let _ = execute!(out, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
    let saved = STDERR.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(saved) = saved {
        let _ = rustix::stdio::dup2_stderr(&saved);
    }
}

/// Raw mode, alternate screen, no cursor.
fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)
}

/// From now on the terminal tells of the mouse.
fn take_mouse() -> io::Result<()> {
    MOUSE.store(true, Ordering::SeqCst);
    execute!(io::stdout(), Print(MOUSE_ON))
}

/// Libraries that write to stderr write to the log while the screen is up.
fn redirect_stderr(log: &Path) -> io::Result<()> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(log)?;
    let saved = rustix::io::dup(rustix::stdio::stderr())?;
    rustix::stdio::dup2_stderr(&file)?;
    *STDERR.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
    Ok(())
}

/// The screen on a real terminal. Dropping it gives the terminal back.
pub struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<Frames>>,
    frames: Frames,
    writer: Writer,
    portions: Portions,
    /// The kitty pictures that it has.
    album: Arc<Album>,
    /// What it has of colours and letters.
    limits: Limits,
    log: Option<std::path::PathBuf>,
    /// It is to tell of the mouse.
    mouse: bool,
}

impl Terminal {
    /// Takes the terminal, and stays within its limits; from now on stderr leads to `log`.
    pub fn enter(limits: &Limits, log: Option<&Path>) -> io::Result<Self> {
        take()?;
        let this = Self::on_stdout(limits, log);
        if this.is_err() {
            restore();
        }
        this
    }

    fn on_stdout(limits: &Limits, log: Option<&Path>) -> io::Result<Self> {
        // Without a log, messages would tear the screen apart; they are lost instead.
        redirect_stderr(log.unwrap_or(Path::new("/dev/null")))?;
        let (frames, writer) = writer::start()?;
        let inner = ratatui::Terminal::new(CrosstermBackend::new(frames.clone()))?;
        Ok(Self {
            inner,
            frames,
            writer,
            portions: Portions::default(),
            album: Arc::default(),
            limits: limits.clone(),
            log: log.map(Path::to_owned),
            mouse: false,
        })
    }

    /// From now on pictures of this album are sent.
    pub fn draw_from(&mut self, album: &Arc<Album>) {
        self.album = Arc::clone(album);
    }

    /// From now on what is drawn stays within these limits.
    pub fn stay_within(&mut self, limits: &Limits) {
        self.limits = limits.clone();
    }

    /// Pictures sent before are gone, and so is what was on screen.
    fn forget(&mut self) {
        let mut told = String::new();
        self.album.clear(&mut told);
        let _ = self.frames.write_all(told.as_bytes());
        self.portions = Portions::default();
    }

    /// An empty screen.
    fn blank(&mut self) -> io::Result<()> {
        // Not `clear`, which asks the terminal where the cursor is: the answer would have to come past the thread that
        // reads the keys.
        let (cols, rows) = self.size()?;
        self.inner.resize(Rect::new(0, 0, cols, rows))
    }

    /// From now on it tells of the mouse, until it is given back. Nothing may be on its way to it.
    pub fn follow_mouse(&mut self) -> io::Result<()> {
        self.mouse = true;
        take_mouse()
    }

    /// Waits until everything drawn so far has been written: before the terminal is asked something.
    pub fn settle(&mut self) {
        self.writer.settle();
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
        let budget = self.writer.budget();
        let (portions, album) = (&mut self.portions, &self.album);
        let (colours, ascii) = (self.limits.colours.value, self.limits.ascii.value);
        let (mut ahead, mut whole) = (String::new(), true);
        let mut frames = self.frames.clone();
        self.inner.try_draw(|frame| {
            ui::view(model, frame);
            whole = portions.take(frame.buffer_mut(), album, budget, &mut ahead);
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
        let inside_tmux = std::env::var_os("TMUX").is_some();
        self.frames.write_all(&clipboard(text, inside_tmux))
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.writer.settle();
        self.forget();
        self.frames.send();
        self.writer.settle();
        restore();
        // Returns when the shell sends SIGCONT.
        rustix::process::kill_current_process_group(rustix::process::Signal::STOP)?;
        take()?;
        if self.mouse {
            take_mouse()?;
        }
        redirect_stderr(self.log.as_deref().unwrap_or(Path::new("/dev/null")))?;
        self.blank()
    }

    fn clear(&mut self) -> io::Result<()> {
        self.forget();
        self.blank()
    }

    fn size(&self) -> io::Result<(u16, u16)> {
        crossterm::terminal::size()
    }
}

/// OSC 52, which fills the clipboard of the terminal, however far away it is. tmux by default keeps it from the terminal outside:
/// there it is also passed through, which the question for graphics has allowed.
fn clipboard(text: &str, inside_tmux: bool) -> Vec<u8> {
    let code = base64::engine::general_purpose::STANDARD.encode(text);
    let plain = format!("\x1b]52;c;{code}\x07");
    let passed = if inside_tmux {
        format!("\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b"))
    } else {
        String::new()
    };
    (plain + &passed).into_bytes()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !self.writer.idle() {
            self.writer.abandon();
            // Ends what was being written.
            let _ = io::stdout().write_all(b"\x1b\\");
        }
        // Pictures that the terminal keeps are of no use to anyone.
        let mut told = String::new();
        self.album.clear(&mut told);
        let _ = io::stdout().write_all(told.as_bytes());
        restore();
        let _ = io::stdout().flush();
    }
}

#[cfg(test)]
mod tests {
    use super::clipboard;

    #[test]
    fn a_clipboard_is_filled_through_tmux_too() {
        assert_eq!(clipboard("Zürich", false), b"\x1b]52;c;WsO8cmljaA==\x07");
        assert_eq!(
            clipboard("a", true),
            b"\x1b]52;c;YQ==\x07\x1bPtmux;\x1b\x1b]52;c;YQ==\x07\x1b\\"
        );
    }
}
