//! Acquires the terminal, and restores it whatever happens: at the end, on a panic, on a fatal signal, and when the terminal no
//! longer reads.
//!
//! crossterm's raw mode is bypassed: it keeps its state behind a lock, enters raw mode only once, and writes through the lock
//! of the standard output. Locks cannot be used in a signal handler, nor while another thread is stuck in a write.

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

/// How long writing the sequences that restore the terminal may take.
const RESTORE_TIMEOUT: Duration = Duration::from_millis(100);
/// How long writing other short sequences (queries, modes) may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Alternate screen, no cursor, and what is pasted told from what is typed.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h";
/// Reports buttons, the wheel, and movement while a button is down, in SGR encoding. Not every movement: that would flood a
/// slow link.
const MOUSE_ON: &[u8] = b"\x1b[?1000h\x1b[?1002h\x1b[?1006h";
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1002l\x1b[?1000l";
/// Ends an unfinished control string, then resets attributes, returns to the main screen and shows the cursor.
const LEAVE: &[u8] = b"\x1b\\\x1b[m\x1b[?2004l\x1b[?1049l\x1b[?25h";

/// Whether the terminal is acquired; makes [`restore`] idempotent.
static ACQUIRED: AtomicBool = AtomicBool::new(false);
/// Whether mouse reporting is on.
static MOUSE: AtomicBool = AtomicBool::new(false);
/// The terminal's settings before they were changed. Never freed: a signal handler may be reading them.
static SETTINGS: AtomicPtr<libc::termios> = AtomicPtr::new(std::ptr::null_mut());
/// A second, non-blocking descriptor of the terminal; -1 until it is opened.
static TERMINAL: AtomicI32 = AtomicI32::new(-1);
/// A copy of the original stderr while stderr is redirected to the log; -1 otherwise.
static STDERR: AtomicI32 = AtomicI32::new(-1);

/// Enters raw mode and the alternate screen and hides the cursor. May be called again after another program changed these.
pub(super) fn acquire() -> io::Result<()> {
    if !ACQUIRED.load(Ordering::SeqCst) {
        save_settings()?;
    }
    if TERMINAL.load(Ordering::SeqCst) < 0
        && let Ok(terminal) = open_nonblocking()
    {
        TERMINAL.store(terminal.into_raw_fd(), Ordering::SeqCst);
    }
    catch_fatal_signals();
    ACQUIRED.store(true, Ordering::SeqCst);
    enter_raw_mode()?;
    write(ENTER)
}

/// Runs `query` in raw mode, without acquiring the screen.
pub(super) fn in_raw_mode<T>(query: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    save_settings()?;
    enter_raw_mode()?;
    let answer = query();
    if let Some(settings) = saved_settings() {
        apply_settings(settings)?;
    }
    answer
}

fn enter_raw_mode() -> io::Result<()> {
    let mut raw = match saved_settings() {
        Some(settings) => *settings,
        None => current_settings()?,
    };
    // SAFETY: modifies only the given structure.
    unsafe { libc::cfmakeraw(&raw mut raw) };
    apply_settings(&raw)
}

fn save_settings() -> io::Result<()> {
    let saved = Box::leak(Box::new(current_settings()?));
    SETTINGS.store(saved, Ordering::SeqCst);
    Ok(())
}

fn saved_settings() -> Option<&'static libc::termios> {
    // SAFETY: null, or leaked by `save_settings` and not modified since.
    unsafe { SETTINGS.load(Ordering::SeqCst).as_ref() }
}

/// Turns mouse reporting on, until the terminal is restored.
pub(super) fn enable_mouse() -> io::Result<()> {
    MOUSE.store(true, Ordering::SeqCst);
    write(MOUSE_ON)
}

/// Writes a short sequence, bypassing the writer thread. Fails if the terminal does not accept it within [`WRITE_TIMEOUT`].
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    if write_within(bytes, WRITE_TIMEOUT) {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the terminal accepts no output",
        ))
    }
}

/// Ends an unfinished control string of abandoned output, then writes `bytes`, if the terminal still reads.
pub(super) fn abandon_output(bytes: &[u8]) {
    if write_within(b"\x1b\\", RESTORE_TIMEOUT) {
        write_within(bytes, RESTORE_TIMEOUT);
    }
}

/// Redirects stderr to the log, so that messages from libraries do not appear on the screen.
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

/// Restores the terminal: settings, main screen, cursor, stderr and tmux's option. Does nothing if it is not acquired. Called
/// by the guard and by the panic hook. Takes at most a fraction of a second, whatever the terminal does.
pub fn restore() {
    restore_terminal();
    tmux::reset_passthrough();
}

/// The part of [`restore`] that a signal handler may run: it neither locks nor allocates.
fn restore_terminal() {
    if !ACQUIRED.swap(false, Ordering::SeqCst) {
        return;
    }
    let mouse = MOUSE.swap(false, Ordering::SeqCst);
    let parts: [&[u8]; 2] = [if mouse { MOUSE_OFF } else { b"" }, LEAVE];
    if !parts.iter().all(|part| write_within(part, RESTORE_TIMEOUT)) {
        // It has stopped reading. Discarding the output that it has not read makes room.
        // SAFETY: takes no pointers.
        unsafe { libc::tcflush(libc::STDOUT_FILENO, libc::TCOFLUSH) };
        for part in parts {
            write_within(part, RESTORE_TIMEOUT / 10);
        }
    }
    if let Some(settings) = saved_settings() {
        // Fails if the terminal is gone; then there is nothing to restore.
        let _ = apply_settings(settings);
    }
    let stderr = STDERR.swap(-1, Ordering::SeqCst);
    if stderr >= 0 {
        // SAFETY: both descriptors are open, and nobody else uses this copy.
        unsafe {
            libc::dup2(stderr, libc::STDERR_FILENO);
            libc::close(stderr);
        }
    }
}

/// Reads the terminal's current settings.
fn current_settings() -> io::Result<libc::termios> {
    let mut settings = MaybeUninit::uninit();
    // SAFETY: the structure is initialised if the call succeeds.
    unsafe {
        if libc::tcgetattr(libc::STDIN_FILENO, settings.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(settings.assume_init())
    }
}

fn apply_settings(settings: &libc::termios) -> io::Result<()> {
    // SAFETY: only reads the structure. Not `TCSADRAIN`, which would wait for a terminal that may never read.
    let done = unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, settings) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Opens the terminal behind stdout a second time, non-blocking. `O_NONBLOCK` on stdout itself would affect the shell, too.
fn open_nonblocking() -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(open("/dev/fd/1", flags, Mode::empty())?)
}

/// Writes within `timeout`; false if not everything was written. Signal-safe.
fn write_within(mut bytes: &[u8], timeout: Duration) -> bool {
    let begun = Instant::now();
    let nonblocking = TERMINAL.load(Ordering::SeqCst);
    let terminal = if nonblocking >= 0 {
        nonblocking
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
        // Another thread may be in the middle of a write; then the next try follows in at most 10 ms.
        let wait = left.as_millis().clamp(1, 10) as c_int;
        // SAFETY: both calls are given valid pointers and lengths.
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

/// Signals that terminate a process by default, except those that the interface handles (INT, TERM, HUP).
const FATAL_SIGNALS: [c_int; 15] = [
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

/// The previous action of each of [`FATAL_SIGNALS`].
static PREVIOUS_ACTIONS: OnceLock<[libc::sigaction; FATAL_SIGNALS.len()]> = OnceLock::new();

/// Installs handlers that restore the terminal before a fatal signal takes effect. Ignored signals stay ignored.
fn catch_fatal_signals() {
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_fatal_signal;
    let mut installed = false;
    PREVIOUS_ACTIONS.get_or_init(|| {
        installed = true;
        FATAL_SIGNALS.map(|signal| {
            // SAFETY: the structure is valid when zeroed, and the call fills it with the current action.
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
    let previous = PREVIOUS_ACTIONS.get().into_iter().flatten();
    for (signal, before) in FATAL_SIGNALS.iter().zip(previous) {
        if before.sa_sigaction == libc::SIG_IGN {
            continue;
        }
        // SAFETY: the handler is async-signal-safe. It runs on the alternate stack that std gives each thread.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(*signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// Restores the terminal, then lets the signal take its previous effect.
extern "C" fn on_fatal_signal(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    restore_terminal();
    let at = FATAL_SIGNALS.iter().position(|known| *known == signal);
    let previous = at.zip(PREVIOUS_ACTIONS.get());
    let before = previous.map(|(at, actions)| &actions[at]);
    // SAFETY: `sigaction` and `raise` are async-signal-safe, and the kernel fills `info`.
    unsafe {
        // A fault recurs when the handler returns, and then reaches the previous handler: std recognises a stack overflow by
        // its address. A signal sent by a process does not recur and has to be raised again.
        let is_fault = !info.is_null() && (*info).si_code > 0;
        if let Some(before) = before.filter(|_| is_fault) {
            libc::sigaction(signal, before, std::ptr::null_mut());
        } else {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
}

/// The terminal's descriptors, for polling for a hang-up.
pub(super) fn descriptors() -> [BorrowedFd<'static>; 2] {
    [rustix::stdio::stdin(), rustix::stdio::stdout()]
}
