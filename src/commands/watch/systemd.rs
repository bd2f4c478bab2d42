//! What the watch tells a service manager (sd_notify(3)): that it is ready, stops, and is alive. Without `NOTIFY_SOCKET`, nothing.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use super::reports::WatchNumbers;

/// Shortest time between two sentences about the state.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);
/// How soon what a busy manager has not taken is said again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// The connection to the service manager. The watch never waits for it: what a manager that is busy does not take is said again, but
/// sentences about the state are dropped.
pub(super) struct ServiceManager {
    /// `None` if there is no manager.
    socket: Option<ManagerSocket>,
    is_ready: bool,
    is_stopping: bool,
    /// What must not be dropped, and was not taken yet.
    unsent: VecDeque<String>,
    next_retry: Duration,
    status: String,
    next_status: Duration,
    /// How often the watchdog wants to hear of this process: twice per time limit.
    ping_interval: Option<Duration>,
    next_ping: Duration,
    /// Number of [`BlockedGuard`]s.
    blocked: Arc<AtomicUsize>,
}

impl ServiceManager {
    /// The manager that the environment names, if any.
    pub(super) fn from_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let opened = ManagerSocket::open(&name);
            opened
                .inspect_err(|error| {
                    tracing::warn!("the service manager cannot be notified: {error}");
                })
                .ok()
        });
        Self::new(socket, sd_notify::watchdog_enabled())
    }

    /// A manager that is told by `socket`, whose watchdog has this time limit.
    fn new(socket: Option<ManagerSocket>, limit: Option<Duration>) -> Self {
        let limit = limit.filter(|limit| !limit.is_zero());
        let blocked = Arc::new(AtomicUsize::new(0));
        if let (Some(limit), Some(socket)) = (limit, &socket) {
            ping_while_blocked(limit / 4, socket.clone(), Arc::clone(&blocked));
        }
        Self {
            ping_interval: limit.filter(|_| socket.is_some()).map(|limit| limit / 2),
            socket,
            is_ready: false,
            is_stopping: false,
            unsent: VecDeque::new(),
            next_retry: Duration::ZERO,
            status: String::new(),
            next_status: Duration::ZERO,
            next_ping: Duration::ZERO,
            blocked,
        }
    }

    /// Says what is due at `now`: readiness, a sign of life, the state.
    pub(super) fn tick(&mut self, now: Duration, state: &WatchNumbers) {
        let Some(socket) = self.socket.clone() else {
            return;
        };
        if !self.unsent.is_empty() && now >= self.next_retry {
            self.next_retry = now + RETRY_INTERVAL;
            self.send_unsent();
        }
        if let Some(interval) = self.ping_interval
            && now >= self.next_ping
        {
            let is_heard = socket.send(&[NotifyState::Watchdog]);
            self.next_ping = now
                + if is_heard {
                    interval
                } else {
                    interval.min(RETRY_INTERVAL)
                };
        }
        let becomes_ready = self.awaits_readiness() && state.is_model_ready && state.is_scanned;
        if now < self.next_status && !becomes_ready {
            return;
        }
        self.next_status = now + STATUS_INTERVAL;
        let status = sentence(state);
        if becomes_ready {
            self.is_ready = true;
            self.say(&[NotifyState::Ready, NotifyState::Status(&status)]);
        } else if status == self.status
            || !self.unsent.is_empty()
            || !socket.send(&[NotifyState::Status(&status)])
        {
            return;
        }
        self.status = status;
    }

    /// Whether a manager waits to hear that the watch is ready.
    pub(super) fn awaits_readiness(&self) -> bool {
        self.socket.is_some() && !self.is_ready && !self.is_stopping
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.socket.as_ref()?;
        let ping = self.ping_interval.map(|_| self.next_ping);
        let retry = (!self.unsent.is_empty()).then_some(self.next_retry);
        [Some(self.next_status), ping, retry]
            .into_iter()
            .flatten()
            .min()
    }

    /// Announces that the settings are read again, until [`Self::reloaded`].
    pub(super) fn reloading(&mut self) {
        // `is_ready`: before, it is still being started, and must not say that it is ready when the settings are.
        if let (true, Ok(now)) = (self.is_ready, NotifyState::monotonic_usec_now()) {
            self.say(&[NotifyState::Reloading, now]);
        }
    }

    /// Announces that the settings were read again.
    pub(super) fn reloaded(&mut self) {
        if self.is_ready {
            self.say(&[NotifyState::Ready]);
        }
    }

    /// Announces that the watch is ending.
    pub(super) fn stopping(&mut self) {
        if !std::mem::replace(&mut self.is_stopping, true) {
            self.say(&[
                NotifyState::Stopping,
                NotifyState::Status("finishing the files that have arrived"),
            ]);
        }
    }

    /// Says something that must not be dropped, now or later, after what was to be said before.
    fn say(&mut self, states: &[NotifyState]) {
        if self.socket.is_some() {
            self.unsent.push_back(message(states));
            self.send_unsent();
        }
    }

    /// Says what the manager takes of what was to be said.
    pub(super) fn send_unsent(&mut self) {
        while let (Some(socket), Some(message)) = (&self.socket, self.unsent.front())
            && socket.send_text(message)
        {
            self.unsent.pop_front();
        }
    }

    /// Marks the current thread as waiting for others, such as the reader of its output, until the guard is dropped.
    ///
    /// The main loop gives the signs of life itself, so that the manager notices if it hangs. But a reader that has stopped
    /// reading is no reason to end it: that is what back-pressure is, and would be the same after a restart.
    pub(super) fn may_block(&self) -> BlockedGuard {
        self.blocked.fetch_add(1, Ordering::Relaxed);
        BlockedGuard(Arc::clone(&self.blocked))
    }
}

/// See [`ServiceManager::may_block`].
pub(super) struct BlockedGuard(Arc<AtomicUsize>);

impl Drop for BlockedGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Gives signs of life while the main loop waits for others. It then gives none itself.
fn ping_while_blocked(interval: Duration, socket: ManagerSocket, blocked: Arc<AtomicUsize>) {
    let body = move || {
        loop {
            std::thread::sleep(interval);
            if blocked.load(Ordering::Relaxed) > 0 {
                socket.send(&[NotifyState::Watchdog]);
            }
        }
    };
    let thread = std::thread::Builder::new().name("watchdog".into());
    if let Err(error) = thread.spawn(body) {
        tracing::warn!("a slow reader of the output may trigger the watchdog: {error}");
    }
}

/// The manager's socket.
#[derive(Clone)]
struct ManagerSocket {
    socket: Arc<UnixDatagram>,
    address: SocketAddr,
}

impl ManagerSocket {
    /// The socket of a name as in `NOTIFY_SOCKET`: a path, or after `@` a name without a file.
    fn open(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        // The queue of a manager that is busy is full after a few messages.
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Arc::new(socket),
            address,
        })
    }

    /// Sends a message; false if the manager does not take it now.
    fn send(&self, states: &[NotifyState]) -> bool {
        self.send_text(&message(states))
    }

    fn send_text(&self, message: &str) -> bool {
        let sent = self.socket.send_to_addr(message.as_bytes(), &self.address);
        sent.inspect_err(|error| tracing::debug!("the service manager is not notified: {error}"))
            .is_ok()
    }
}

/// A message in the manager's protocol.
fn message(states: &[NotifyState]) -> String {
    let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
    lines.join("\n") + "\n"
}

fn sentence(state: &WatchNumbers) -> String {
    if !state.is_model_ready {
        return "loading the model".to_owned();
    }
    let files = state.files.sentence();
    match state.waiting + state.retrying {
        0 => files,
        waiting => format!("{files}; {waiting} waiting"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_that_does_not_read_is_not_waited_for_and_hears_what_matters_later() {
        let home = tempfile::tempdir().unwrap();
        let name = home.path().join("notify");
        let manager = UnixDatagram::bind(&name).unwrap();
        manager.set_nonblocking(true).unwrap();
        let socket = ManagerSocket::open(name.as_os_str()).unwrap();
        while socket.send_text("full") {}
        let mut told = ServiceManager::new(Some(socket), None);
        let state = WatchNumbers {
            is_scanned: true,
            is_model_ready: true,
            ..WatchNumbers::default()
        };
        told.tick(Duration::ZERO, &state);
        told.stopping();
        let heard = || {
            let mut bytes = [0; 1024];
            let length = manager.recv(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
        };
        while heard().is_some_and(|text| text == "full") {}
        assert!(told.next_due().unwrap() <= RETRY_INTERVAL);
        told.tick(RETRY_INTERVAL, &state);
        let all: Vec<String> = std::iter::from_fn(heard).collect();
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[0].starts_with("READY=1\n") && all[1].starts_with("STOPPING=1\n"));
    }
}
