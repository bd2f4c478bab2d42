//! The terminal taken, and given back whatever happens: at the end, on a panic, on a signal that kills, and when the terminal
//! itself no longer reads.
//!
//! crossterm's raw mode is bypassed: it keeps its state behind a lock, enters raw mode once only, and writes through the lock
//! of the standard output. Neither can be used in a signal handler, nor while another thread is stuck in a write.

use std::fs::OpenOptions;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::time::{Duration, Instant};

use libc::{c_int, c_void, siginfo_t};

use super::tmux;

/// How long the bytes that restore the terminal may take to be written.
const RESTORE_TIMEOUT: Duration = Duration::from_millis(100);
/// How long other short sequences may take: questions, modes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Alternate screen, no cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
/// Buttons, the wheel, and movement while a button is down, in decimal numbers. Not every movement: that would fill a slow
/// link.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1002l\x1b[?1000l";
/// Ends a control string that was cut off; plain text, main screen, cursor.
const LEAVE: &[u8] = b"\x1b\\\x1b[m\x1b[?1049l\x1b[?25h";

/// Whether the terminal is in the program's hands; makes [`restore`] idempotent.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether the terminal reports the mouse.
static MOUSE: AtomicBool = AtomicBool::new(false);
/// The terminal's settings before they were changed. Never freed: a signal handler may be reading them.
static SETTINGS: AtomicPtr<libc::termios> = AtomicPtr::new(std::ptr::null_mut());
/// The terminal, opened a second time so that writes to it do not block; -1 until then.
static TERMINAL: AtomicI32 = AtomicI32::new(-1);
/// A copy of stderr while stderr leads to the log; -1 otherwise.
static STDERR: AtomicI32 = AtomicI32::new(-1);

/// Raw mode, alternate screen, no cursor; also when it has been taken before and someone changed it meanwhile.
pub(super) fn take() -> io::Result<()> {
    if !TAKEN.load(Ordering::SeqCst) {
        save_settings()?;
    }
    if TERMINAL.load(Ordering::SeqCst) < 0
        && let Ok(terminal) = open_again()
    {
        TERMINAL.store(terminal.into_raw_fd(), Ordering::SeqCst);
    }
    catch_fatal_signals();
    TAKEN.store(true, Ordering::SeqCst);
    raw_mode()?;
    write(ENTER)
}

/// Runs `ask` in raw mode, without taking the screen.
pub(super) fn in_raw_mode<T>(ask: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    save_settings()?;
    raw_mode()?;
    let answer = ask();
    if let Some(settings) = saved_settings() {
        set(settings)?;
    }
    answer
}

fn raw_mode() -> io::Result<()> {
    let mut raw = match saved_settings() {
        Some(settings) => *settings,
        None => settings()?,
    };
    // SAFETY: changes the structure that it is given.
    unsafe { libc::cfmakeraw(&raw mut raw) };
    set(&raw)
}

fn save_settings() -> io::Result<()> {
    let saved = Box::leak(Box::new(settings()?));
    SETTINGS.store(saved, Ordering::SeqCst);
    Ok(())
}

fn saved_settings() -> Option<&'static libc::termios> {
    // SAFETY: null, or leaked by `save_settings`, and never changed after it was stored.
    unsafe { SETTINGS.load(Ordering::SeqCst).as_ref() }
}

/// From now on the terminal reports the mouse, until it is given back.
pub(super) fn follow_mouse() -> io::Result<()> {
    MOUSE.store(true, Ordering::SeqCst);
    write(MOUSE_ON)
}

/// Writes a short sequence at once. A terminal that does not take it in time is an error.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    if write_within(bytes, WRITE_TIMEOUT) {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the terminal does not read",
        ))
    }
}

/// After output that was broken off: ends what was being written, then writes this, if the terminal still reads.
pub(super) fn give_up_output(bytes: &[u8]) {
    if write_within(b"\x1b\\", RESTORE_TIMEOUT) {
        write_within(bytes, RESTORE_TIMEOUT);
    }
}

/// Libraries that write to stderr write to the log while the screen is up.
pub(super) fn redirect_stderr(log: &Path) -> io::Result<()> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(log)?;
    let saved = rustix::io::dup(rustix::stdio::stderr())?;
    rustix::stdio::dup2_stderr(&file)?;
    STDERR.store(saved.into_raw_fd(), Ordering::SeqCst);
    Ok(())
}

/// Gives the terminal back: settings, main screen, cursor, stderr, tmux's option. Does nothing when it is not taken; called by
/// the guard and by the panic hook. Takes no longer than a fraction of a second, whatever the terminal does.
pub fn restore() {
    restore_terminal();
    tmux::forbid_passthrough();
}

/// The part of [`restore`] that a signal handler may run: no locks, no memory.
fn restore_terminal() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mouse = MOUSE.swap(false, Ordering::SeqCst);
    let parts: [&[u8]; 2] = [if mouse { MOUSE_OFF } else { b"" }, LEAVE];
    if !parts.iter().all(|part| write_within(part, RESTORE_TIMEOUT)) {
        // It has stopped reading. What waits for it is of no use any more; without that there is room.
        // SAFETY: drops what has not been read yet.
        unsafe { libc::tcflush(libc::STDOUT_FILENO, libc::TCOFLUSH) };
        for part in parts {
            write_within(part, RESTORE_TIMEOUT / 10);
        }
    }
    if let Some(settings) = saved_settings() {
        // Nothing can be done about a terminal that is gone.
        let _ = set(settings);
    }
    let stderr = STDERR.swap(-1, Ordering::SeqCst);
    if stderr >= 0 {
        // SAFETY: both are open; nobody else knows this copy.
        unsafe {
            libc::dup2(stderr, libc::STDERR_FILENO);
            libc::close(stderr);
        }
    }
}

/// The terminal's settings as they are.
fn settings() -> io::Result<libc::termios> {
    let mut settings = MaybeUninit::uninit();
    // SAFETY: fills the structure, or says that it did not.
    unsafe {
        if libc::tcgetattr(libc::STDIN_FILENO, settings.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(settings.assume_init())
    }
}

fn set(settings: &libc::termios) -> io::Result<()> {
    // SAFETY: reads the structure. Not `TCSADRAIN`, which waits for a terminal that may never read.
    let done = unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, settings) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Opens the terminal behind stdout anew: `O_NONBLOCK` on stdout itself would change it for the shell, too.
fn open_again() -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(open("/dev/fd/1", flags, Mode::empty())?)
}

/// Writes without ever waiting longer than `timeout`; false when not all went out. Runs in signal handlers, too.
fn write_within(mut bytes: &[u8], timeout: Duration) -> bool {
    let begun = Instant::now();
    let again = TERMINAL.load(Ordering::SeqCst);
    let terminal = if again >= 0 {
        again
    } else {
        libc::STDOUT_FILENO
    };
    while !bytes.is_empty() {
        let left = timeout.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return false;
        }
        let mut ready = libc::pollfd {
            fd: terminal,
            events: libc::POLLOUT,
            revents: 0,
        };
        // Another thread may be in the middle of a write: then it is tried again a moment later.
        let wait = left.as_millis().clamp(1, 10) as c_int;
        // SAFETY: both look at memory that is there.
        let written = unsafe {
            libc::poll(&raw mut ready, 1, wait);
            if ready.revents & libc::POLLOUT == 0 {
                if ready.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0 {
                    return false;
                }
                continue;
            }
            libc::write(terminal, bytes.as_ptr().cast::<c_void>(), bytes.len())
        };
        match usize::try_from(written) {
            Ok(count) => bytes = &bytes[count..],
            Err(_) => match io::Error::last_os_error().kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                _ => return false,
            },
        }
    }
    true
}

// ── signals ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// Signals that end a process which does not handle them, but for those that the interface answers itself (INT, TERM, HUP).
const FATAL: [c_int; 15] = [
    libc::SIGABRT,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// What was done about each of [`FATAL`] before.
static ACTIONS: OnceLock<[libc::sigaction; FATAL.len()]> = OnceLock::new();

/// From now on the terminal is given back before such a signal has its effect. One that is ignored stays so.
fn catch_fatal_signals() {
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_fatal_signal;
    let mut installed = false;
    ACTIONS.get_or_init(|| {
        installed = true;
        FATAL.map(|signal| {
            // SAFETY: the structure is valid when zeroed, and is filled with what is in force.
            unsafe {
                let mut before: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, std::ptr::null(), &raw mut before);
                before
            }
        })
    });
    if !installed {
        return;
    }
    for (signal, before) in FATAL.iter().zip(ACTIONS.get().into_iter().flatten()) {
        if before.sa_sigaction == libc::SIG_IGN {
            continue;
        }
        // SAFETY: the handler calls only what is safe in one. It needs the stack of its own that std gives each thread.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(*signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// Gives the terminal back, then lets the signal do what it would have done.
extern "C" fn on_fatal_signal(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    restore_terminal();
    let at = FATAL.iter().position(|known| *known == signal);
    let before = at.zip(ACTIONS.get()).map(|(at, actions)| &actions[at]);
    // SAFETY: `sigaction` and `raise` are safe in a handler, and the kernel gives the information.
    unsafe {
        // A fault comes again when the handler returns, to whoever was there before: std tells an overflow of the stack by its
        // address. What a process has sent does not come again.
        let is_fault = !info.is_null() && (*info).si_code > 0;
        if let Some(before) = before.filter(|_| is_fault) {
            libc::sigaction(signal, before, std::ptr::null_mut());
        } else {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
}

/// The terminal's descriptors, for those who wait for its end.
pub(super) fn descriptors() -> [BorrowedFd<'static>; 2] {
    [rustix::stdio::stdin(), rustix::stdio::stdout()]
}
