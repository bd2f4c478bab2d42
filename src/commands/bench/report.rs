//! The report of `bench`: as JSON, and as a table.

use serde::Serialize;

/// The speed of one stage on its own.
#[derive(Debug, Serialize)]
pub(super) struct StageTiming {
    pub(super) name: &'static str,
    /// Milliseconds per image: of one core where cores work side by side, of the device otherwise.
    pub(super) milliseconds: f64,
    /// Images per second if the machine did nothing else: the limit that this stage sets.
    pub(super) images_per_second: f64,
}

/// The latency of one image at a time.
#[derive(Debug, Serialize)]
pub(super) struct SingleLatency {
    /// Median over [`super::SINGLE_IMAGES`] images, from the file's path to the scores, in milliseconds.
    pub(super) p50_ms: f64,
    /// The 99th percentile.
    pub(super) p99_ms: f64,
    /// Median of the forward pass alone; each pass is measured right after the image it belongs to.
    pub(super) forward_ms: f64,
    /// `p50_ms` / `forward_ms`
    pub(super) ratio: f64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct BenchReport {
    pub(super) model: String,
    pub(super) device: String,
    pub(super) cores: usize,
    pub(super) pictures: usize,
    /// Files that could not be decoded; they are left out.
    pub(super) failed: usize,
    /// Images per forward pass while the stages were measured.
    pub(super) batch: usize,
    pub(super) stages: Vec<StageTiming>,
    /// Images per second that the stages allow together: on a GPU the rate of the slowest one, on the CPU what remains when
    /// they share the cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<f64>,
    /// Images per second through all stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_to_end: Option<f64>,
    /// `end_to_end` / `limit`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) single: Option<SingleLatency>,
    /// Peak memory of the process in bytes.
    pub(super) peak_memory: u64,
    pub(super) interrupted: bool,
}

impl BenchReport {
    /// The report as a table.
    pub(super) fn table(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!(
            "{} on {}, {} cores, {} images, batches of {}\n\n",
            self.model, self.device, self.cores, self.pictures, self.batch
        );
        let _ = writeln!(text, "{:<12}{:>12}{:>14}", "stage", "ms/image", "images/s");
        for stage in &self.stages {
            let (name, ms, rate) = (stage.name, stage.milliseconds, stage.images_per_second);
            let _ = writeln!(text, "{name:<12}{ms:>12.2}{rate:>14.1}");
        }
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<24}{value:>14}");
        };
        if let Some(limit) = self.limit {
            line("limit of all stages", format!("{limit:.1}"));
        }
        if let Some(rate) = self.end_to_end {
            line("end to end", format!("{rate:.1}"));
        }
        if let Some(ratio) = self.ratio {
            line("share of the limit", format!("{:.1} %", ratio * 100.0));
        }
        if let Some(single) = &self.single {
            line("one image, p50", format!("{:.1} ms", single.p50_ms));
            line("one image, p99", format!("{:.1} ms", single.p99_ms));
            line(
                "its forward pass alone",
                format!("{:.1} ms", single.forward_ms),
            );
            line("one image / pass", format!("{:.2}", single.ratio));
        }
        line(
            "peak memory",
            format!("{:.0} MB", self.peak_memory as f64 / 1e6),
        );
        if self.failed > 0 {
            line("could not be decoded", self.failed.to_string());
        }
        if self.interrupted {
            text.push_str("\ninterrupted: figures that are missing were not measured\n");
        }
        text
    }
}

/// The `q` quantile of the values, which are sorted; NaN if there are none.
pub(super) fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get((last as f64 * q).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// The peak memory of this process in bytes, from the kernel; 0 if the kernel does not report it.
pub(super) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
    kilobytes.unwrap_or(0_u64) * 1024
}
