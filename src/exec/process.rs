//! One run of a program: started, fed, and waited for until its time is up.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getppid, kill_process_group, pidfd_open,
    set_parent_process_death_signal,
};

use super::{RunFailure, RunLimits, WaitingRun};

/// Variables by which a service manager knows this process, and nobody else.
const SERVICE_VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// Ends all programs that run, and those that would still be started. Once sent, it stays.
pub(super) struct StopSignal(OwnedFd);

impl StopSignal {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC)?))
    }

    pub(super) fn send(&self) {
        // Can only fail if it was sent 2^64 times.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    fn is_sent(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// Runs a program to its end.
pub(super) fn run(
    run: &WaitingRun,
    limits: RunLimits,
    stop: &StopSignal,
    begun: Instant,
) -> Result<(), RunFailure> {
    if stop.is_sent() {
        return Err(RunFailure::Interrupted);
    }
    let mut child = start(run).map_err(RunFailure::NotStarted)?;
    let group = Pid::from_child(&child);
    let exit = match pidfd_open(group, PidfdFlags::empty()) {
        Ok(exit) => exit,
        Err(error) => {
            let _ = end(&mut child, group);
            return Err(RunFailure::NotStarted(error.into()));
        }
    };
    let stdin = child.stdin.take();
    let mut input = stdin.map(|pipe| PendingInput::new(pipe, &run.input));
    let mut wait = |until| wait(&exit, &mut input, stop, until);
    let mut outcome = wait(begun + limits.time);
    let is_late = outcome == WaitOutcome::Late;
    if is_late {
        let _ = kill_process_group(group, Signal::TERM);
        outcome = wait(Instant::now() + limits.grace);
    }
    let status = end(&mut child, group);
    match (outcome, status) {
        (WaitOutcome::Stopped, _) => Err(RunFailure::Interrupted),
        _ if is_late => Err(RunFailure::TimedOut(limits.time)),
        (_, Ok(status)) if status.success() => Ok(()),
        (_, Ok(status)) => Err(RunFailure::Status(status)),
        (_, Err(error)) => Err(RunFailure::NotStarted(error)),
    }
}

fn start(run: &WaitingRun) -> io::Result<Child> {
    let stderr = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(run.command.program());
    command
        .args(&run.arguments)
        .stdin(Stdio::piped())
        .stdout(stderr()?)
        .stderr(stderr()?)
        .process_group(0);
    for name in SERVICE_VARIABLES {
        command.env_remove(name);
    }
    let parent = getpid();
    // SAFETY: only system calls between fork and exec. The thread that starts programs ends with the process.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // It may have died before that.
            if getppid() == Some(parent) {
                Ok(())
            } else {
                Err(io::Error::from_raw_os_error(libc::ESRCH))
            }
        });
    }
    command.spawn()
}

/// Kills what is left of the process group, and returns the status of its leader. As long as the leader is not reaped, its
/// number belongs to nobody else.
fn end(child: &mut Child, group: Pid) -> io::Result<ExitStatus> {
    let _ = kill_process_group(group, Signal::KILL);
    child.wait()
}

/// What a wait ended with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WaitOutcome {
    /// The program ended.
    Exited,
    /// Its time was up.
    Late,
    /// Everything is to end.
    Stopped,
}

/// Waits until the program ends, and writes its input meanwhile, as far as it reads it.
fn wait(
    exit: &OwnedFd,
    input: &mut Option<PendingInput>,
    stop: &StopSignal,
    until: Instant,
) -> WaitOutcome {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return WaitOutcome::Late;
        }
        let timeout = Timespec::try_from(left).ok();
        let mut fds = vec![
            PollFd::new(exit, PollFlags::IN),
            PollFd::new(&stop.0, PollFlags::IN),
        ];
        if let Some(input) = input {
            fds.push(PollFd::new(&input.pipe, PollFlags::OUT));
        }
        // An interrupted wait is begun again.
        let _ = poll(&mut fds, timeout.as_ref());
        let is_ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (is_exited, is_stopped, takes_input) = (is_ready(0), is_ready(1), is_ready(2));
        if is_exited {
            return WaitOutcome::Exited;
        }
        if is_stopped {
            return WaitOutcome::Stopped;
        }
        if takes_input && input.as_mut().is_some_and(PendingInput::write) {
            *input = None;
        }
    }
}

/// What a program's stdin has not taken yet.
struct PendingInput<'a> {
    pipe: ChildStdin,
    rest: &'a [u8],
}

impl<'a> PendingInput<'a> {
    fn new(pipe: ChildStdin, rest: &'a [u8]) -> Self {
        // If this failed, a program that reads nothing would be waited for until its time is up.
        let _ = rustix::io::ioctl_fionbio(&pipe, true);
        Self { pipe, rest }
    }

    /// Writes what the pipe takes; true at the end, also if nobody reads any more.
    fn write(&mut self) -> bool {
        match self.pipe.write(self.rest) {
            Ok(written) => {
                self.rest = &self.rest[written..];
                self.rest.is_empty()
            }
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}
