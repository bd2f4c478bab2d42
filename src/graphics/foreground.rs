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

/// The terminal while it is another program's; dropping this gives it back to this process.
struct LentTerminal {
    own: Pid,
}

impl LentTerminal {
    fn new() -> Self {
        // Otherwise taking the terminal back would stop this process, which is in the background by then.
        // SAFETY: sets no handler.
        unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
        Self { own: getpgrp() }
    }
}

impl Drop for LentTerminal {
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
    command.stderr(Stdio::from(stderr)).process_group(0);
    // SAFETY: both calls are async-signal-safe, and `process_group` comes first.
    unsafe {
        command.pre_exec(|| {
            // Before it runs: keys must not reach this process any more once the program shows something.
            let taken = libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpid());
            libc::signal(libc::SIGTTOU, libc::SIG_DFL);
            if taken == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        });
    }
    let begun = Instant::now();
    let mut lent = LentTerminal::new();
    let group = Pid::from_child(&command.spawn()?);
    let status = loop {
        let ended = wait(group)?;
        drop(lent);
        match ended {
            Some(status) => break status,
            None => super::terminal::stop_this_job()?,
        }
        lent = LentTerminal::new();
        tcsetpgrp(rustix::stdio::stdin(), group)?;
        kill_process_group(group, Signal::CONT)?;
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
