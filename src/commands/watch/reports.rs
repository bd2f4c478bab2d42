//! What the watch reports about itself while it runs: to the service manager, in the metrics file, and hourly in the log.

use std::path::Path;
use std::time::Duration;

use super::hourly::HourlySummary;
use super::metrics::{MetricsFile, WatchMetrics};
use super::systemd::{BlockedGuard, ServiceManager};
use crate::commands::Fault;
use crate::commands::summary::FileCounts;

/// The state of the watch in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WatchNumbers {
    /// The files that are done, since the start.
    pub files: FileCounts,
    /// Number of files that are being classified or wait for it.
    pub waiting: usize,
    /// Number of files that could not be read and will be tried again.
    pub retrying: usize,
    /// Number of commands that run or wait.
    pub commands: usize,
    /// Whether the first scan is done.
    pub is_scanned: bool,
    /// Whether the model is loaded.
    pub is_model_ready: bool,
}

/// The reports. Times are relative to the start of the watch.
pub(super) struct Reports {
    manager: ServiceManager,
    summary: HourlySummary,
    metrics: WatchMetrics,
    file: Option<MetricsFile>,
}

impl Reports {
    /// The reports on the folder `watched`, with metrics in the file `metrics` if there is to be one.
    pub(super) fn new(watched: &Path, metrics: Option<&Path>) -> Result<Self, Fault> {
        Ok(Self {
            manager: ServiceManager::from_environment(),
            summary: HourlySummary::default(),
            metrics: WatchMetrics::new(watched).map_err(Fault::usage)?,
            file: metrics.map(MetricsFile::new),
        })
    }

    /// The metrics, to be counted up.
    pub(super) fn metrics(&self) -> &WatchMetrics {
        &self.metrics
    }

    /// Whether [`Self::tick`] has something to do. `is_ready`: whether the model is loaded and the first scan is done.
    pub(super) fn is_due(&self, now: Duration, is_ready: bool) -> bool {
        self.next_due(now).is_zero() || self.manager.awaits_readiness() && is_ready
    }

    /// Makes the reports that are due.
    pub(super) fn tick(&mut self, now: Duration, state: &WatchNumbers) {
        self.manager.tick(now, state);
        if let Some(sentence) = self.summary.tick(now, state) {
            tracing::info!("{sentence}");
        }
        if let Some(file) = &mut self.file {
            let _blocked = self.manager.may_block();
            file.tick(now, &self.metrics, state);
        }
    }

    /// How long after `now` the next report is due.
    pub(super) fn next_due(&self, now: Duration) -> Duration {
        let file = self.file.as_ref().map(MetricsFile::next_due);
        let due = [self.manager.next_due(), Some(self.summary.next_due()), file];
        let next = due.into_iter().flatten().min().unwrap_or(Duration::MAX);
        next.saturating_sub(now)
    }

    /// A guard for work that others can make slow, such as writing to a pipe: meanwhile, the watchdog is kept quiet.
    pub(super) fn may_block(&self) -> BlockedGuard {
        self.manager.may_block()
    }

    /// The settings are being read again, until [`Self::reloaded`].
    pub(super) fn reloading(&mut self) {
        self.manager.reloading();
    }

    /// The settings were read again.
    pub(super) fn reloaded(&mut self) {
        self.manager.reloaded();
    }

    /// The accepted files are being finished.
    pub(super) fn stopping(&mut self) {
        self.manager.stopping();
    }

    /// Makes the last reports.
    pub(super) fn finish(&mut self, state: &WatchNumbers) {
        self.manager.send_unsent();
        if let Some(file) = &mut self.file {
            let _blocked = self.manager.may_block();
            file.write(&self.metrics, state);
        }
    }
}
