//! `--metrics`: the numbers of the watch in Prometheus' text format, in a file that node_exporter's textfile collector reads.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::reports::WatchNumbers;
use crate::commands::summary::FileCounts;
use crate::commands::{print, shown};
use crate::files::{self, Access};
use crate::library::Outcome;
use crate::scoring::Decision;

/// Shortest time between two writes of the file, about that between two readings by Prometheus.
const WRITE_INTERVAL: Duration = Duration::from_secs(15);

/// The outcomes of files.
const FILE_OUTCOMES: [&str; 4] = ["classified", "rejected", "failed", "skipped"];
/// The outcomes of commands.
const EXEC_OUTCOMES: [&str; 4] = ["succeeded", "failed", "timed_out", "interrupted"];
/// The outcomes of moves.
const MOVE_OUTCOMES: [&str; 3] = ["moved", "failed", "changed"];

/// The numbers of the watch. Clones share them.
#[derive(Clone)]
pub(super) struct WatchMetrics {
    registry: Registry,
    files: IntCounterVec,
    results: IntCounterVec,
    lines: IntCounter,
    waiting: IntGauge,
    retrying: IntGauge,
    /// Without labels; it has no value before the first result.
    last_result: GaugeVec,
    scan_done: IntGauge,
    exec_runs: IntCounterVec,
    exec_waiting: IntGauge,
    moves: IntCounterVec,
}

impl WatchMetrics {
    /// All numbers at zero. The watched folder is a label of each, so that several watches can be told apart.
    pub(super) fn new(folder: &Path) -> prometheus::Result<Self> {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let labels = HashMap::from([("folder".to_owned(), shown(&folder))]);
        let registry = Registry::new_custom(Some("medivision".to_owned()), Some(labels))?;
        let counters = |name, help, labels: &[&str]| {
            registered(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels)?,
            )
        };
        let gauge = |name, help| registered(&registry, IntGauge::new(name, help)?);
        let info = Opts::new("build_info", "The running version; the value is always 1.");
        let info = registered(&registry, IntGaugeVec::new(info, &["version"])?)?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        gauge(
            "start_time_seconds",
            "When the watch began, in seconds since 1970.",
        )?
        .set(seconds_since_1970() as i64);
        let last = Opts::new(
            "last_result_timestamp_seconds",
            "When the last result was written, in seconds since 1970.",
        );
        let metrics = Self {
            files: counters(
                "files_total",
                "Files that are done, by outcome.",
                &["outcome"],
            )?,
            results: counters(
                "results_total",
                "Results of images by label and decision; of an image with several frames, that of all frames together.",
                &["label", "decision"],
            )?,
            lines: registered(
                &registry,
                IntCounter::new("lines_written_total", "Lines of output, errors included.")?,
            )?,
            waiting: gauge(
                "files_waiting",
                "Files that are being classified or wait for it.",
            )?,
            retrying: gauge(
                "files_retrying",
                "Files that could not be read and will be tried again soon.",
            )?,
            last_result: registered(&registry, GaugeVec::new(last, &[])?)?,
            scan_done: gauge(
                "scan_done",
                "1 once all files that existed at the start are known.",
            )?,
            exec_runs: counters("exec_runs_total", "Commands run, by outcome.", &["outcome"])?,
            exec_waiting: gauge("exec_runs_waiting", "Commands that run or wait to be run.")?,
            moves: counters("moves_total", "Files moved, by outcome.", &["outcome"])?,
            registry: registry.clone(),
        };
        let known: [(&IntCounterVec, &[&str]); 3] = [
            (&metrics.files, &FILE_OUTCOMES),
            (&metrics.exec_runs, &EXEC_OUTCOMES),
            (&metrics.moves, &MOVE_OUTCOMES),
        ];
        for (counter, outcomes) in known {
            for outcome in outcomes {
                counter.with_label_values(&[outcome]);
            }
        }
        Ok(metrics)
    }

    /// Counts the lines written for a file. `outcomes` are all of the file's.
    pub(super) fn count_lines(&self, lines: usize, outcomes: &[Outcome]) {
        self.lines.inc_by(lines as u64);
        let now = self.last_result.with_label_values::<&str>(&[]);
        now.set(seconds_since_1970());
        // Of several frames, the last outcome is their aggregate and counts for the file.
        if let Some(Ok(record)) = outcomes.last() {
            let verdict = &record.verdict;
            let label = match verdict.decision {
                Decision::Rejected => "",
                Decision::Confident | Decision::Uncertain => {
                    verdict.claimed_label().unwrap_or("none")
                }
            };
            let labels = [label, verdict.decision.name()];
            self.results.with_label_values(&labels).inc();
        }
    }

    /// Counts a command that ended, by one of [`EXEC_OUTCOMES`].
    pub(super) fn count_exec(&self, outcome: &str) {
        self.exec_runs.with_label_values(&[outcome]).inc();
    }

    /// Counts a move, by one of [`MOVE_OUTCOMES`].
    pub(super) fn count_move(&self, outcome: &str) {
        self.moves.with_label_values(&[outcome]).inc();
    }

    /// Sets the numbers that are counted elsewhere.
    fn update(&self, state: &WatchNumbers) {
        let FileCounts {
            classified,
            rejected,
            failed,
            skipped,
        } = state.files;
        let counts = [classified, rejected, failed, skipped];
        for (outcome, count) in FILE_OUTCOMES.into_iter().zip(counts) {
            let counter = self.files.with_label_values(&[outcome]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        self.waiting.set(state.waiting as i64);
        self.retrying.set(state.retrying as i64);
        self.exec_waiting.set(state.commands as i64);
        self.scan_done.set(i64::from(state.is_scanned));
    }

    fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn seconds_since_1970() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64().floor()
}

/// The file of `--metrics`, which is replaced whenever a number has changed.
pub(super) struct MetricsFile {
    path: PathBuf,
    /// What it contains.
    text: String,
    next: Duration,
    /// Whether the last write failed, which was reported.
    has_failed: bool,
}

impl MetricsFile {
    /// The file at `path`. It is written by the first [`Self::tick`].
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            text: String::new(),
            next: Duration::ZERO,
            has_failed: false,
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn next_due(&self) -> Duration {
        self.next
    }

    /// Writes the file if it is due and a number has changed.
    pub(super) fn tick(&mut self, now: Duration, metrics: &WatchMetrics, state: &WatchNumbers) {
        if now >= self.next {
            self.next = now + WRITE_INTERVAL;
            self.write(metrics, state);
        }
    }

    /// Writes the file if a number has changed. A failure is reported once; the watch goes on without the file.
    pub(super) fn write(&mut self, metrics: &WatchMetrics, state: &WatchNumbers) {
        metrics.update(state);
        let text = match metrics.text() {
            Ok(text) if text == self.text => return,
            Ok(text) => text,
            Err(error) => {
                tracing::warn!("the metrics cannot be written: {error}");
                return;
            }
        };
        match files::replace_with(&self.path, Access::Everybody, text.as_bytes()) {
            Ok(()) => {
                self.text = text;
                self.has_failed = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    let path = shown(&self.path);
                    print::message(format_args!(
                        "warning: the metrics cannot be written to {path}: {error}"
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::library::export::tests::record;

    fn state(classified: u64) -> WatchNumbers {
        WatchNumbers {
            files: FileCounts {
                classified,
                ..FileCounts::default()
            },
            ..WatchNumbers::default()
        }
    }

    #[test]
    fn the_file_is_replaced_at_intervals_and_only_if_something_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("medivision.prom");
        let metrics = WatchMetrics::new(Path::new("/in")).unwrap();
        let mut file = MetricsFile::new(&path);
        file.tick(Duration::ZERO, &metrics, &state(0));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        let has = |count: u64| {
            let line =
                format!(r#"medivision_files_total{{outcome="classified",folder="/in"}} {count}"#);
            let text = fs::read_to_string(&path).unwrap();
            text.lines().any(|found| found == line)
        };
        assert!(has(0));
        file.tick(WRITE_INTERVAL / 2, &metrics, &state(1));
        assert!(has(0), "not yet due");
        file.tick(WRITE_INTERVAL, &metrics, &state(1));
        assert!(has(1));
        fs::remove_file(&path).unwrap();
        file.tick(WRITE_INTERVAL * 2, &metrics, &state(1));
        assert!(!path.exists(), "nothing changed");
        assert_eq!(file.next_due(), WRITE_INTERVAL * 3);
    }

    #[test]
    fn results_are_counted_by_label_and_decision_and_a_time_is_there_only_after_the_first() {
        let metrics = WatchMetrics::new(Path::new("/in")).unwrap();
        assert!(!metrics.text().unwrap().contains("last_result"));
        let mut strange = record(Decision::Uncertain);
        strange.verdict.label = "a \"b\"\\\nc".to_owned();
        for record in [
            record(Decision::Confident),
            record(Decision::Rejected),
            strange,
        ] {
            metrics.count_lines(1, &[Ok(record)]);
        }
        let text = metrics.text().unwrap();
        for line in [
            r#"medivision_results_total{decision="confident",label="pneumonia",folder="/in"} 1"#,
            r#"medivision_results_total{decision="rejected",label="",folder="/in"} 1"#,
            r#"medivision_results_total{decision="uncertain",label="a \"b\"\\\nc",folder="/in"} 1"#,
            r#"medivision_lines_written_total{folder="/in"} 3"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("\nmedivision_last_result_timestamp_seconds{folder=\"/in\"} 1"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later/medivision.prom");
        let metrics = WatchMetrics::new(Path::new("/in")).unwrap();
        let mut file = MetricsFile::new(&path);
        file.tick(Duration::ZERO, &metrics, &state(0));
        assert!(file.has_failed);
        fs::create_dir(dir.path().join("later")).unwrap();
        file.tick(WRITE_INTERVAL, &metrics, &state(0));
        assert!(path.exists() && !file.has_failed);
    }
}
