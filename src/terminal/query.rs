//! Asks the terminal how it takes pictures. Reads stdin itself, for a limited time, and gives back the keys that came
//! in between: a silent terminal loses none.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crossterm::event::KeyEvent;
use ratatui_image::picker::{Picker, ProtocolType};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::answers::{Answers, parse};
use crate::app::Graphics;
use crate::config;
use crate::runtime::Drawing;

/// How long a local terminal may take to answer.
const LOCAL: Duration = Duration::from_millis(300);
/// How long one behind SSH may take.
const REMOTE: Duration = Duration::from_secs(1);
/// The cell of a terminal that does not tell: a common one.
const CELL: (u16, u16) = (10, 20);

/// Is the kitty protocol there? A query with a picture of one pixel, which is not shown.
const KITTY: &str = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\";
/// How large is a cell?
const CELL_SIZE: &str = "\x1b[16t";
/// Primary device attributes: every terminal answers, so it comes last.
const ATTRIBUTES: &str = "\x1b[c";

/// What the question brought.
pub struct Asked {
    /// How pictures get to the terminal.
    pub drawing: Drawing,
    /// Keys pressed meanwhile.
    pub keys: Vec<KeyEvent>,
}

/// What the surroundings say of the terminal.
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Copy, Debug, Default)]
struct Surroundings {
    remote: bool,
    tmux: bool,
    /// Known to take iTerm2's protocol, and to do kitty's without the placeholders that are needed here.
    iterm2: bool,
    /// Answers for kitty, but without those placeholders.
    konsole: bool,
    no_color: bool,
}

impl Surroundings {
    fn look() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let program = std::env::var("TERM_PROGRAM").unwrap_or_default();
        let lc_terminal = std::env::var("LC_TERMINAL").unwrap_or_default();
        let known = [
            "iTerm", "WezTerm", "mintty", "vscode", "Tabby", "Hyper", "rio", "Bobcat",
        ];
        Self {
            remote: set("SSH_CONNECTION") || set("SSH_TTY"),
            tmux: set("TMUX"),
            iterm2: known
                .iter()
                .any(|name| program.contains(name) || lc_terminal.contains(name)),
            konsole: set("KONSOLE_VERSION"),
            no_color: set("NO_COLOR"),
        }
    }
}

/// Settles how pictures are drawn: as chosen, else as the terminal answers. Raw mode must be on.
pub fn ask(choice: config::Graphics) -> io::Result<Asked> {
    let surroundings = Surroundings::look();
    let answers = match choice {
        config::Graphics::Auto => {
            let mut out = io::stdout().lock();
            out.write_all(question(surroundings.tmux).as_bytes())?;
            out.flush()?;
            listen(
                io::stdin().lock(),
                if surroundings.remote { REMOTE } else { LOCAL },
            )?
        }
        _ => Answers::default(),
    };
    let graphics = decide(choice, &answers, surroundings);
    // No other constructor takes the cell size; it also finds tmux and lets pictures pass through it.
    #[allow(
        deprecated,
        reason = "the alternatives read stdin themselves and lose keys"
    )]
    let mut picker =
        Picker::from_fontsize(answers.cell.or_else(cell_of_window).unwrap_or(CELL).into());
    picker.set_protocol_type(match graphics {
        Graphics::Kitty => ProtocolType::Kitty,
        Graphics::Sixel => ProtocolType::Sixel,
        Graphics::Iterm2 => ProtocolType::Iterm2,
        Graphics::Halfblocks | Graphics::None => ProtocolType::Halfblocks,
    });
    Ok(Asked {
        drawing: Drawing { graphics, picker },
        keys: answers.keys,
    })
}

fn question(tmux: bool) -> String {
    let kitty = if tmux {
        format!("\x1bPtmux;{}\x1b\\", KITTY.replace('\x1b', "\x1b\x1b"))
    } else {
        KITTY.to_owned()
    };
    format!("{kitty}{CELL_SIZE}{ATTRIBUTES}")
}

/// Reads until the last question is answered or the time is over.
fn listen(mut input: impl Read + AsFd, limit: Duration) -> io::Result<Answers> {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    loop {
        let answers = parse(&bytes);
        let left = limit.saturating_sub(begun.elapsed());
        if answers.complete || left.is_zero() {
            return Ok(answers);
        }
        let timeout = Timespec::try_from(left).unwrap_or(Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        });
        let ready = match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&timeout)) {
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
    let window = crossterm::terminal::window_size().ok()?;
    let width = window.width.checked_div(window.columns)?;
    let height = window.height.checked_div(window.rows)?;
    (width > 0 && height > 0).then_some((width, height))
}

fn decide(choice: config::Graphics, answers: &Answers, surroundings: Surroundings) -> Graphics {
    match choice {
        config::Graphics::Kitty => Graphics::Kitty,
        config::Graphics::Sixel => Graphics::Sixel,
        config::Graphics::Iterm2 => Graphics::Iterm2,
        config::Graphics::None => Graphics::None,
        config::Graphics::Auto if surroundings.iterm2 => Graphics::Iterm2,
        config::Graphics::Auto if answers.kitty && !surroundings.konsole => Graphics::Kitty,
        config::Graphics::Auto if answers.sixel => Graphics::Sixel,
        // Half blocks are nothing but colour.
        config::Graphics::Auto if surroundings.no_color => Graphics::None,
        config::Graphics::Halfblocks | config::Graphics::Auto => Graphics::Halfblocks,
    }
}

#[cfg(test)]
mod tests {
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
        let plain = Surroundings::default();
        let auto = |answers, surroundings| decide(config::Graphics::Auto, answers, surroundings);
        assert_eq!(auto(&kitty, plain), Graphics::Kitty);
        assert_eq!(auto(&sixel, plain), Graphics::Sixel);
        assert_eq!(auto(&silent, plain), Graphics::Halfblocks);
        assert_eq!(
            auto(
                &silent,
                Surroundings {
                    no_color: true,
                    ..plain
                }
            ),
            Graphics::None
        );
        assert_eq!(
            auto(
                &kitty,
                Surroundings {
                    konsole: true,
                    ..plain
                }
            ),
            Graphics::Sixel
        );
        assert_eq!(
            auto(
                &kitty,
                Surroundings {
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
        let answers = listen(program, Duration::from_secs(30)).unwrap();
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
        let answers = listen(program, Duration::from_millis(50)).unwrap();
        assert!(!answers.complete);
        assert_eq!(answers.keys.len(), 2);
    }

    #[test]
    fn tmux_gets_the_graphics_question_wrapped() {
        assert!(question(true).starts_with("\x1bPtmux;\x1b\x1b_G"));
        assert!(question(false).starts_with("\x1b_G"));
    }
}
