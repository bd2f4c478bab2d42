//! Probes which graphics protocols the terminal supports, and whether it has all colours. Reads stdin itself, for a limited
//! time, and returns the keys pressed meanwhile, so that none are lost even if the terminal never answers.
//!
//! ratatui-image's `Picker` is bypassed: it loses keys pressed meanwhile, and leaves tmux's `allow-passthrough` on.

mod answers;
mod stray;

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::KeyEvent;
use ratatui_image::FontSize;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::drivers::{DEFAULT_CELL, ImageStore, Output};
use super::limits::{EscapeSupport, Limits, escape_support_by};
use super::{Route, restore, tmux};
use crate::app::Graphics;
use crate::config::Setting;
use answers::{Answers, PROBE_COLOUR, parse};
pub use stray::StrayReplies;

/// How long a local terminal may take to answer.
const LOCAL_TIMEOUT: Duration = Duration::from_millis(300);
/// How long a terminal behind SSH may take to answer.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(1);

/// Query for the kitty protocol: a one-pixel image, which is not shown. `U` requests placeholders; a kitty too old for them (before
/// 0.28) does not understand the query.
const KITTY_QUERY: &str = "\x1b_Gi=31,s=1,v=1,a=q,U=1,t=d,f=24;AAAA\x1b\\";
/// The same query with a deflated image.
const DEFLATE_QUERY: &str = "\x1b_Gi=32,s=1,v=1,a=q,U=1,t=d,f=24,o=z;eJxjYGAAAAADAAE=\x1b\\";
/// Query for the size of a cell in pixels.
const CELL_SIZE_QUERY: &str = "\x1b[16t";
/// Query for the current text attributes (DECRQSS).
const SGR_QUERY: &str = "\x1bP$qm\x1b\\";
/// Query for the primary device attributes. Every terminal answers it, so it comes last.
const ATTRIBUTES_QUERY: &str = "\x1b[c";

/// The result of probing the terminal.
pub struct Probed {
    /// What the terminal supports.
    pub capabilities: Capabilities,
    /// Keys pressed while it was probed.
    pub keys: Vec<KeyEvent>,
}

/// How images are drawn on a probed terminal.
pub struct GraphicsSetup {
    /// The protocol, for the model.
    pub graphics: Graphics,
    /// The terminal's parameters, for the drivers.
    pub output: Output,
}

/// What the terminal supports, and how that was found out.
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The protocol was set by the user, so that nothing is queried.
    pub chosen: bool,
    /// The terminal was queried. Terminals that would print the queries are not.
    pub asked: bool,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// How long it took.
    pub took: Duration,
    /// It answered the last query.
    pub complete: bool,
    /// It supports kitty's protocol with placeholders.
    pub kitty: bool,
    /// It accepts deflated kitty images.
    pub deflate: bool,
    /// It supports sixel.
    pub sixel: bool,
    /// Width and height of its cells in pixels, as it reports them.
    pub cell: Option<(u16, u16)>,
    /// Width and height of its cells, computed from the size of its window.
    pub cell_of_window: Option<(u16, u16)>,
    /// Whether tmux is in between.
    pub route: Route,
    /// Whether it is at the other end of SSH.
    pub remote: bool,
    /// Whether the environment names a terminal with iTerm2's protocol.
    pub iterm2: bool,
    /// The protocol decided on.
    pub graphics: Graphics,
}

impl Capabilities {
    /// Width and height of a cell in pixels: reported, else computed, else a common size.
    pub fn cell(&self) -> (u16, u16) {
        let default = (DEFAULT_CELL.width, DEFAULT_CELL.height);
        self.cell.or(self.cell_of_window).unwrap_or(default)
    }

    /// How images are drawn on this terminal.
    pub fn graphics_setup(&self) -> GraphicsSetup {
        // Without an answer, as when the user set the protocol: every terminal known to have it accepts deflated images.
        let deflate = self.remote && (self.deflate || !self.kitty);
        let (width, height) = self.cell();
        GraphicsSetup {
            graphics: self.graphics,
            output: Output {
                cell: FontSize::new(width, height),
                route: self.route,
                store: Arc::new(ImageStore::new(deflate, self.route)),
            },
        }
    }
}

/// What the environment says about the terminal.
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Copy, Debug, Default)]
struct TerminalEnvironment {
    remote: bool,
    /// Known to support iTerm2's protocol, and kitty's only without the placeholders needed here.
    iterm2: bool,
    /// Konsole, which answers the kitty query but lacks those placeholders.
    konsole: bool,
    no_color: bool,
}

impl TerminalEnvironment {
    fn read() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let program = std::env::var("TERM_PROGRAM").unwrap_or_default();
        let lc_terminal = std::env::var("LC_TERMINAL").unwrap_or_default();
        let known = [
            "iTerm", "WezTerm", "mintty", "vscode", "Tabby", "Hyper", "rio", "Bobcat",
        ];
        Self {
            remote: set("SSH_CONNECTION") || set("SSH_TTY"),
            iterm2: known
                .iter()
                .any(|name| program.contains(name) || lc_terminal.contains(name)),
            konsole: set("KONSOLE_VERSION"),
            no_color: set("NO_COLOR"),
        }
    }
}

/// Probes like [`probe`], but enters raw mode only for that time. Keys pressed meanwhile are lost.
pub fn probe_cooked(choice: Setting<Graphics>, limits: &mut Limits) -> io::Result<Capabilities> {
    let probed = restore::in_raw_mode(|| probe(choice, limits));
    tmux::reset_passthrough();
    Ok(probed?.capabilities)
}

/// Decides how images are drawn: as the user chose, else by the terminal's answers, which may also raise the limits. Raw mode
/// must be on, and the text attributes the default ones. Inside tmux, passthrough stays on until the terminal is restored.
pub fn probe(choice: Setting<Graphics>, limits: &mut Limits) -> io::Result<Probed> {
    let environment = TerminalEnvironment::read();
    let route = Route::detect();
    if route == Route::Tmux {
        // Before the query, which has to pass through as well.
        tmux::allow_passthrough();
    }
    let timeout = if environment.remote {
        REMOTE_TIMEOUT
    } else {
        LOCAL_TIMEOUT
    };
    let chosen = choice != Setting::Auto;
    let support = escape_support_by(|name| std::env::var(name).ok());
    let asked = !chosen && support != EscapeSupport::Text;
    let begun = Instant::now();
    let answers = if asked {
        restore::write(query(route, support, limits.may_have_more()).as_bytes())?;
        // tmux answers for itself at once; the terminal behind it takes longer.
        let min_wait = match route {
            Route::Tmux => timeout / 2,
            Route::Direct => Duration::ZERO,
        };
        read_answers(io::stdin().lock(), min_wait, timeout)?
    } else {
        Answers::default()
    };
    if answers.full_colours {
        limits.raise();
    }
    let graphics = decide(choice, &answers, environment);
    if environment.no_color && !chosen && graphics == Graphics::Halfblocks {
        limits.draw_with_characters();
    }
    let capabilities = Capabilities {
        chosen,
        asked,
        timeout,
        took: begun.elapsed(),
        complete: answers.complete,
        kitty: answers.kitty,
        deflate: answers.deflate,
        sixel: answers.sixel,
        cell: answers.cell,
        cell_of_window: cell_of_window(),
        route,
        remote: environment.remote,
        iterm2: environment.iterm2,
        graphics,
    };
    Ok(Probed {
        capabilities,
        keys: answers.keys,
    })
}

/// All queries to a terminal that supports at least control sequences; `colours` includes the one for all colours.
fn query(route: Route, support: EscapeSupport, colours: bool) -> String {
    if support != EscapeSupport::ControlStrings {
        return format!("{CELL_SIZE_QUERY}{ATTRIBUTES_QUERY}");
    }
    let (kitty, deflated) = (route.wrap(KITTY_QUERY), route.wrap(DEFLATE_QUERY));
    // Not wrapped: tmux writes colours itself, so that its own answer is the one that counts.
    let colours = if colours {
        let [red, green, blue] = PROBE_COLOUR;
        format!("\x1b[48;2;{red};{green};{blue}m{SGR_QUERY}\x1b[m")
    } else {
        String::new()
    };
    format!("{kitty}{deflated}{CELL_SIZE_QUERY}{colours}{ATTRIBUTES_QUERY}")
}

/// Reads until the last query is answered and either kitty's is, too, or `min_wait` is over; at most until `timeout`.
fn read_answers(
    mut input: impl Read + AsFd,
    min_wait: Duration,
    timeout: Duration,
) -> io::Result<Answers> {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    loop {
        let answers = parse(&bytes);
        let end = match (answers.complete, answers.kitty) {
            (true, true) => Duration::ZERO,
            (true, false) => min_wait,
            (false, _) => timeout,
        };
        let left = end.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(answers);
        }
        let wait = Timespec::try_from(left).unwrap_or(Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        });
        let ready = match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&wait)) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        if ready > 0 {
            let mut part = [0; 1024];
            let count = input.read(&mut part)?;
            if count == 0 {
                return Ok(answers); // the terminal is gone; the loop will find out
            }
            bytes.extend_from_slice(&part[..count]);
        }
    }
}

/// The size of a cell computed from the window's size in pixels, where the terminal reports that.
fn cell_of_window() -> Option<(u16, u16)> {
    let window = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    let width = window.ws_xpixel.checked_div(window.ws_col)?;
    let height = window.ws_ypixel.checked_div(window.ws_row)?;
    (width > 0 && height > 0).then_some((width, height))
}

fn decide(
    choice: Setting<Graphics>,
    answers: &Answers,
    environment: TerminalEnvironment,
) -> Graphics {
    match choice {
        Setting::Fixed(graphics) => graphics,
        Setting::Auto if environment.iterm2 => Graphics::Iterm2,
        Setting::Auto if answers.kitty && !environment.konsole => Graphics::Kitty,
        Setting::Auto if answers.sixel => Graphics::Sixel,
        Setting::Auto => Graphics::Halfblocks,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_best_supported_protocol_is_chosen() {
        let kitty = Answers {
            kitty: true,
            sixel: true,
            ..Answers::default()
        };
        let sixel = Answers {
            sixel: true,
            ..Answers::default()
        };
        let silent = Answers::default();
        let plain = TerminalEnvironment::default();
        let auto = |answers, environment| decide(Setting::Auto, answers, environment);
        assert_eq!(auto(&kitty, plain), Graphics::Kitty);
        assert_eq!(auto(&sixel, plain), Graphics::Sixel);
        assert_eq!(auto(&silent, plain), Graphics::Halfblocks);
        assert_eq!(
            auto(
                &kitty,
                TerminalEnvironment {
                    konsole: true,
                    ..plain
                }
            ),
            Graphics::Sixel
        );
        assert_eq!(
            auto(
                &kitty,
                TerminalEnvironment {
                    iterm2: true,
                    ..plain
                }
            ),
            Graphics::Iterm2
        );
        assert_eq!(
            decide(Setting::Fixed(Graphics::Halfblocks), &kitty, plain),
            Graphics::Halfblocks
        );
    }

    #[test]
    fn reading_ends_with_the_last_answer_and_keeps_the_keys() {
        let (mut terminal, program) = UnixStream::pair().unwrap();
        terminal.write_all(b"q\x1b[6;18;9t\x1b[?62;4c").unwrap();
        let begun = Instant::now();
        let answers = read_answers(program, Duration::ZERO, Duration::from_secs(30)).unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not wait for the limit"
        );
        assert_eq!(
            (answers.cell, answers.sixel, answers.keys.len()),
            (Some((9, 18)), true, 1)
        );
    }

    #[test]
    fn a_silent_terminal_delays_the_start_no_longer_than_the_timeout() {
        let (mut terminal, program) = UnixStream::pair().unwrap();
        terminal.write_all(b"jk").unwrap();
        let answers = read_answers(program, Duration::ZERO, Duration::from_millis(50)).unwrap();
        assert!(!answers.complete);
        assert_eq!(answers.keys.len(), 2);
    }

    #[test]
    fn behind_tmux_the_terminal_is_given_time_to_answer() {
        let (mut terminal, program) = UnixStream::pair().unwrap();
        terminal.write_all(b"\x1b[?1;2c").unwrap();
        let later = std::thread::spawn(move || {
            let answer = b"\x1b_Gi=31;OK\x1b\\";
            terminal.write_all(answer).unwrap();
            terminal
        });
        let minute = Duration::from_secs(60);
        let answers = read_answers(program, minute, minute).unwrap();
        assert!(answers.kitty && answers.complete);
        later.join().unwrap();
    }

    #[test]
    fn through_tmux_the_graphics_query_is_wrapped() {
        let asked = |route| query(route, EscapeSupport::ControlStrings, true);
        assert!(asked(Route::Tmux).starts_with("\x1bPtmux;\x1b\x1b_G"));
        assert!(asked(Route::Direct).starts_with("\x1b_G"));
        let plain = "t\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m\x1b[c";
        assert!(asked(Route::Tmux).ends_with(plain) && asked(Route::Direct).ends_with(plain));
    }

    #[test]
    fn only_queries_that_are_understood_and_needed_are_sent() {
        assert!(!query(Route::Direct, EscapeSupport::ControlStrings, false).contains("\x1bP"));
        for (route, colours) in [
            (Route::Direct, true),
            (Route::Tmux, true),
            (Route::Direct, false),
        ] {
            let asked = query(route, EscapeSupport::ControlSequences, colours);
            assert_eq!(asked, "\x1b[16t\x1b[c");
        }
    }
}
