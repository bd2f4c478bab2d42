//! What the watch tells a service manager (sd_notify(3)): that it is ready, stops, and is alive. Without `NOTIFY_SOCKET`, nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use super::reports::WatchNumbers;

/// Shortest time between two sentences about the state.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// The connection to the service manager.
pub(super) struct ServiceManager {
    is_present: bool,
    is_ready: bool,
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
        let is_present = std::env::var_os("NOTIFY_SOCKET").is_some();
        let limit = sd_notify::watchdog_enabled().filter(|limit| is_present && !limit.is_zero());
        let blocked = Arc::new(AtomicUsize::new(0));
        if let Some(limit) = limit {
            ping_while_blocked(limit / 4, Arc::clone(&blocked));
        }
        Self {
            is_present,
            is_ready: false,
            status: String::new(),
            next_status: Duration::ZERO,
            ping_interval: limit.map(|limit| limit / 2),
            next_ping: Duration::ZERO,
            blocked,
        }
    }

    /// Says what is due at `now`: readiness, a sign of life, the state.
    pub(super) fn tick(&mut self, now: Duration, state: &WatchNumbers) {
        if !self.is_present {
            return;
        }
        if let Some(interval) = self.ping_interval
            && now >= self.next_ping
        {
            self.next_ping = now + interval;
            notify(&[NotifyState::Watchdog]);
        }
        let becomes_ready = !self.is_ready && state.is_model_ready && state.is_scanned;
        if now < self.next_status && !becomes_ready {
            return;
        }
        self.next_status = now + STATUS_INTERVAL;
        let status = sentence(state);
        if becomes_ready {
            self.is_ready = true;
            notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
        } else if status != self.status {
            notify(&[NotifyState::Status(&status)]);
        }
        self.status = status;
    }

    /// Whether a manager waits to hear that the watch is ready.
    pub(super) fn awaits_readiness(&self) -> bool {
        self.is_present && !self.is_ready
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn next_due(&self) -> Option<Duration> {
        if !self.is_present {
            return None;
        }
        let ping = self.ping_interval.map(|_| self.next_ping);
        Some(ping.map_or(self.next_status, |ping| ping.min(self.next_status)))
    }

    /// Announces that the settings are read again, until [`Self::reloaded`].
    pub(super) fn reloading(&self) {
        // `is_ready`: before, it is still being started, and must not say that it is ready when the settings are.
        if let (true, Ok(now)) = (self.is_ready, NotifyState::monotonic_usec_now()) {
            notify(&[NotifyState::Reloading, now]);
        }
    }

    /// Announces that the settings were read again.
    pub(super) fn reloaded(&self) {
        if self.is_ready {
            notify(&[NotifyState::Ready]);
        }
    }

    /// Announces that the watch is ending.
    pub(super) fn stopping(&self) {
        if self.is_present {
            notify(&[
                NotifyState::Stopping,
                NotifyState::Status("finishing the files that have arrived"),
            ]);
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
fn ping_while_blocked(interval: Duration, blocked: Arc<AtomicUsize>) {
    let body = move || {
        loop {
            std::thread::sleep(interval);
            if blocked.load(Ordering::Relaxed) > 0 {
                notify(&[NotifyState::Watchdog]);
            }
        }
    };
    let thread = std::thread::Builder::new().name("watchdog".into());
    if let Err(error) = thread.spawn(body) {
        tracing::warn!("a slow reader of the output may trigger the watchdog: {error}");
    }
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager cannot be notified: {error}");
    }
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
