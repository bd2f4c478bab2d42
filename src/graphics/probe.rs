//! What the terminal can show: asks it how it takes images, and whether it has all colours. Reads stdin itself, for a limited
//! time, and gives back the keys that came in between: a silent terminal loses none.
//!
//! ratatui-image's `Picker` is bypassed: it reads stdin itself and loses keys, and leaves tmux's `allow-passthrough` on.

mod answers;
mod stray;

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossterm::event::KeyEvent;
use ratatui_image::FontSize;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::drivers::{ImageStore, Output, USUAL_CELL};
use super::limits::{Limits, Reads, reads_by};
use super::{Route, restore, tmux};
use crate::app::Graphics;
use crate::config;
use answers::{Answers, PROBE, parse};
pub use stray::StrayReplies;

/// How long a local terminal may take to answer.
const LOCAL_TIMEOUT: Duration = Duration::from_millis(300);
/// How long one behind SSH may take.
const REMOTE_TIMEOUT: Duration = Duration::from_secs(1);

/// Is the kitty protocol there? A query with an image of one pixel, which is not shown. `U` asks for placeholders: a kitty that is
/// too old for them (before 0.28) does not understand the question.
const KITTY: &str = "\x1b_Gi=31,s=1,v=1,a=q,U=1,t=d,f=24;AAAA\x1b\\";
/// The same, deflated.
const DEFLATED: &str = "\x1b_Gi=32,s=1,v=1,a=q,U=1,t=d,f=24,o=z;eJxjYGAAAAADAAE=\x1b\\";
/// How large is a cell?
const CELL_SIZE: &str = "\x1b[16t";
/// Which colours and weights does it write with (DECRQSS)?
const SETTINGS: &str = "\x1bP$qm\x1b\\";
/// Primary device attributes: every terminal answers, so it comes last.
const ATTRIBUTES: &str = "\x1b[c";

/// What probing the terminal brought.
pub struct Probed {
    /// What it can show.
    pub capabilities: Capabilities,
    /// Keys pressed meanwhile.
    pub keys: Vec<KeyEvent>,
}

/// How images get to the terminal.
pub struct Drawing {
    /// What `update` is told.
    pub graphics: Graphics,
    /// What the drivers need.
    pub output: Output,
}

/// What the terminal can show, and how that is known.
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The protocol was chosen by hand: nothing is asked.
    pub chosen: bool,
    /// It was asked. One that would print the questions is not.
    pub asked: bool,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// How long it took.
    pub took: Duration,
    /// It answered the last question.
    pub complete: bool,
    /// It has kitty's protocol with placeholders.
    pub kitty: bool,
    /// It takes deflated images.
    pub deflate: bool,
    /// It has sixel.
    pub sixel: bool,
    /// Its cell in pixels, as it says.
    pub cell: Option<(u16, u16)>,
    /// The same by the size of its window.
    pub cell_of_window: Option<(u16, u16)>,
    /// Whether tmux is in between.
    pub route: Route,
    /// There is a network in between.
    pub remote: bool,
    /// The variables name a terminal that has iTerm2's protocol.
    pub iterm2: bool,
    /// What was chosen.
    pub graphics: Graphics,
}

impl Capabilities {
    /// Width and height of a cell to draw with.
    pub fn cell(&self) -> (u16, u16) {
        let usual = (USUAL_CELL.width, USUAL_CELL.height);
        self.cell.or(self.cell_of_window).unwrap_or(usual)
    }

    /// How images get to such a terminal.
    pub fn drawing(&self) -> Drawing {
        // Without an answer, as when the protocol was chosen by hand, what every terminal known to have it can do.
        let deflate = self.remote && (self.deflate || !self.kitty);
        let (width, height) = self.cell();
        Drawing {
            graphics: self.graphics,
            output: Output {
                cell: FontSize::new(width, height),
                route: self.route,
                store: Arc::new(ImageStore::new(deflate, self.route)),
            },
        }
    }
}

/// What the environment says of the terminal.
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Copy, Debug, Default)]
struct Environment {
    remote: bool,
    /// Known to take iTerm2's protocol, and to do kitty's without the placeholders that are needed here.
    iterm2: bool,
    /// Answers for kitty, but without those placeholders.
    konsole: bool,
    no_color: bool,
}

impl Environment {
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

/// Probes the terminal as [`probe`] does, in raw mode for as long as that takes. Keys pressed meanwhile are lost.
pub fn probe_cooked(choice: config::Graphics, limits: &mut Limits) -> io::Result<Capabilities> {
    let probed = restore::in_raw_mode(|| probe(choice, limits));
    tmux::forbid_passthrough();
    Ok(probed?.capabilities)
}

/// Finds out how images are drawn: as chosen, else as the terminal answers, which may also raise the limits. Raw mode must be
/// on, and the colours the terminal's own. Inside tmux passthrough is on from now on, until the terminal is restored.
pub fn probe(choice: config::Graphics, limits: &mut Limits) -> io::Result<Probed> {
    let environment = Environment::read();
    let route = Route::detect();
    if route == Route::Tmux {
        // Before the question, which has to pass through it too.
        tmux::allow_passthrough();
    }
    let timeout = if environment.remote {
        REMOTE_TIMEOUT
    } else {
        LOCAL_TIMEOUT
    };
    let chosen = choice != config::Graphics::Auto;
    let reads = reads_by(|name| std::env::var(name).ok());
    let asked = !chosen && reads != Reads::Text;
    let begun = Instant::now();
    let answers = if asked {
        restore::write(question(route, reads, limits.may_have_more()).as_bytes())?;
        // tmux answers for itself at once; the terminal behind it takes longer.
        let least = match route {
            Route::Tmux => timeout / 2,
            Route::Direct => Duration::ZERO,
        };
        listen(io::stdin().lock(), least, timeout)?
    } else {
        Answers::default()
    };
    if answers.full_colours {
        limits.raise();
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
        graphics: decide(choice, &answers, environment),
    };
    Ok(Probed {
        capabilities,
        keys: answers.keys,
    })
}

/// What is asked of a terminal that reads control sequences at least.
fn question(route: Route, reads: Reads, colours: bool) -> String {
    if reads != Reads::ControlStrings {
        return format!("{CELL_SIZE}{ATTRIBUTES}");
    }
    let (kitty, deflated) = (route.wrap(KITTY), route.wrap(DEFLATED));
    // tmux writes with colours of its own: what the terminal behind it would answer is of no use.
    let colours = if colours {
        let [red, green, blue] = PROBE;
        format!("\x1b[48;2;{red};{green};{blue}m{SETTINGS}\x1b[m")
    } else {
        String::new()
    };
    format!("{kitty}{deflated}{CELL_SIZE}{colours}{ATTRIBUTES}")
}

/// Reads until the last question is answered, and that for kitty too or `least` is over; at most until `timeout`.
fn listen(mut input: impl Read + AsFd, least: Duration, timeout: Duration) -> io::Result<Answers> {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    loop {
        let answers = parse(&bytes);
        let end = match (answers.complete, answers.kitty) {
            (true, true) => Duration::ZERO,
            (true, false) => least,
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

/// From the window's size in pixels, where the terminal tells it.
fn cell_of_window() -> Option<(u16, u16)> {
    let window = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    let width = window.ws_xpixel.checked_div(window.ws_col)?;
    let height = window.ws_ypixel.checked_div(window.ws_row)?;
    (width > 0 && height > 0).then_some((width, height))
}

fn decide(choice: config::Graphics, answers: &Answers, environment: Environment) -> Graphics {
    match choice {
        config::Graphics::Kitty => Graphics::Kitty,
        config::Graphics::Sixel => Graphics::Sixel,
        config::Graphics::Iterm2 => Graphics::Iterm2,
        config::Graphics::None => Graphics::None,
        config::Graphics::Auto if environment.iterm2 => Graphics::Iterm2,
        config::Graphics::Auto if answers.kitty && !environment.konsole => Graphics::Kitty,
        config::Graphics::Auto if answers.sixel => Graphics::Sixel,
        // Half blocks are nothing but colour.
        config::Graphics::Auto if environment.no_color => Graphics::None,
        config::Graphics::Halfblocks | config::Graphics::Auto => Graphics::Halfblocks,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_best_that_is_answered_is_taken() {
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
        let plain = Environment::default();
        let auto = |answers, environment| decide(config::Graphics::Auto, answers, environment);
        assert_eq!(auto(&kitty, plain), Graphics::Kitty);
        assert_eq!(auto(&sixel, plain), Graphics::Sixel);
        assert_eq!(auto(&silent, plain), Graphics::Halfblocks);
        assert_eq!(
            auto(
                &silent,
                Environment {
                    no_color: true,
                    ..plain
                }
            ),
            Graphics::None
        );
        assert_eq!(
            auto(
                &kitty,
                Environment {
                    konsole: true,
                    ..plain
                }
            ),
            Graphics::Sixel
        );
        assert_eq!(
            auto(
                &kitty,
                Environment {
                    iterm2: true,
                    ..plain
                }
            ),
            Graphics::Iterm2
        );
        assert_eq!(
            decide(config::Graphics::Halfblocks, &kitty, plain),
            Graphics::Halfblocks
        );
    }

    #[test]
    fn listening_ends_with_the_last_answer_and_keeps_the_keys() {
        let (mut terminal, program) = UnixStream::pair().unwrap();
        terminal.write_all(b"q\x1b[6;18;9t\x1b[?62;4c").unwrap();
        let begun = Instant::now();
        let answers = listen(program, Duration::ZERO, Duration::from_secs(30)).unwrap();
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
    fn a_silent_terminal_is_waited_for_no_longer_than_the_limit() {
        let (mut terminal, program) = UnixStream::pair().unwrap();
        terminal.write_all(b"jk").unwrap();
        let answers = listen(program, Duration::ZERO, Duration::from_millis(50)).unwrap();
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
        let answers = listen(program, minute, minute).unwrap();
        assert!(answers.kitty && answers.complete);
        later.join().unwrap();
    }

    #[test]
    fn tmux_gets_the_graphics_question_wrapped() {
        let asked = |route| question(route, Reads::ControlStrings, true);
        assert!(asked(Route::Tmux).starts_with("\x1bPtmux;\x1b\x1b_G"));
        assert!(asked(Route::Direct).starts_with("\x1b_G"));
        let plain = "t\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m\x1b[c";
        assert!(asked(Route::Tmux).ends_with(plain) && asked(Route::Direct).ends_with(plain));
    }

    #[test]
    fn only_what_it_reads_and_what_is_open_is_asked() {
        assert!(!question(Route::Direct, Reads::ControlStrings, false).contains("\x1bP"));
        for (route, colours) in [
            (Route::Direct, true),
            (Route::Tmux, true),
            (Route::Direct, false),
        ] {
            let asked = question(route, Reads::ControlSequences, colours);
            assert_eq!(asked, "\x1b[16t\x1b[c");
        }
    }
}
