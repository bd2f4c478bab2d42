//! Runs another program in the terminal, as a shell does: in a process group of its own, which has the terminal meanwhile.

use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpgrp, kill_process_group, waitpid};
use rustix::termios::tcsetpgrp;

use super::restore;

/// A program that ends sooner has probably only printed something, which would vanish with the screen.
const MIN_RUN: Duration = Duration::from_secs(1);

/// The process group that reads the terminal; dropping it gives the terminal back to this process.
struct Foreground {
    own: Pid,
}

impl Foreground {
    fn of(group: Pid) -> io::Result<Self> {
        let this = Self { own: getpgrp() };
        tcsetpgrp(rustix::stdio::stdin(), group)?;
        // Otherwise taking the terminal back would stop this process, which is in the background by then.
        // SAFETY: sets no handler.
        unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
        // The program may have been stopped because it used the terminal too early.
        kill_process_group(group, Signal::CONT)?;
        Ok(this)
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // Fails if the terminal is gone, which is noticed elsewhere.
        let _ = tcsetpgrp(rustix::stdio::stdin(), self.own);
        // SAFETY: sets no handler.
        unsafe { libc::signal(libc::SIGTTOU, libc::SIG_DFL) };
    }
}

/// Runs a program until it ends. The terminal must have been restored, and nobody else may read it. While the program is stopped
/// (Ctrl-Z), so is this process.
pub(super) fn run(command: &mut Command) -> io::Result<ExitStatus> {
    // This process's own stderr may be the log.
    let stderr = rustix::io::dup(rustix::stdio::stdout())?;
    let child = command
        .stderr(Stdio::from(stderr))
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let begun = Instant::now();
    let status = loop {
        let foreground = Foreground::of(group)?;
        let ended = wait(group)?;
        drop(foreground);
        match ended {
            Some(status) => break status,
            None => super::terminal::stop_this_job()?,
        }
    };
    if !status.success() || begun.elapsed() < MIN_RUN {
        wait_for_key(status)?;
    }
    Ok(status)
}

/// Waits until a program ends; `None` if it was stopped.
fn wait(program: Pid) -> io::Result<Option<ExitStatus>> {
    loop {
        match waitpid(Some(program), WaitOptions::UNTRACED) {
            Ok(Some((_, status))) if status.stopped() => return Ok(None),
            Ok(Some((_, status))) => return Ok(Some(ExitStatus::from_raw(status.as_raw()))),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Leaves what a program printed on the screen until a key is pressed.
fn wait_for_key(status: ExitStatus) -> io::Result<()> {
    let ended = if status.success() {
        String::new()
    } else {
        format!("ended with {status}; ")
    };
    let mut out = io::stdout();
    write!(out, "\n[{ended}any key goes back]")?;
    out.flush()?;
    restore::in_raw_mode(|| {
        // The rest of an escape sequence is dropped when raw mode ends.
        let mut key = [0_u8; 64];
        io::stdin().read(&mut key).map(drop)
    })
}
