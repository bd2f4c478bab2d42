//! How fast files are decoded: `cargo bench --bench decode -- FILE...`, or `tests/oracle/decode_speed.py`, which runs
//! the reference on the same files.
//!
//! One JSON object a file on stdout: decoded bytes of the first frame, and the best times of opening, decoding and
//! rendering in seconds. `--frames FILE` decodes and renders all frames of one file, as `--frames all` does, and
//! tells the largest amount of memory that the process had.

use std::path::Path;
use std::time::{Duration, Instant};

use medivision_tui::media::{self, Frame, MediaError, Source, Voi};
use serde_json::{Value, json};

/// Time spent on each file.
const ENOUGH: Duration = Duration::from_millis(700);
/// Fewest times that a file is decoded.
const FEWEST: usize = 3;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let Some(first) = arguments.next() else {
        println!("no files named");
        return;
    };
    if first == "--frames" {
        for path in arguments {
            all_frames(Path::new(&path));
        }
        return;
    }
    for path in std::iter::once(first).chain(arguments) {
        measure(Path::new(&path));
    }
}

fn measure(path: &Path) {
    let answer = match speed(path) {
        Ok(answer) => answer,
        Err(error) => json!({"path": path, "error": error.message}),
    };
    println!("{answer}");
}

fn speed(path: &Path) -> Result<Value, MediaError> {
    let source = media::open(path)?;
    let frame = source.frame(0)?;
    Ok(json!({
        "path": path,
        "bytes": frame.bytes(),
        "open": times(|| media::open(path)).as_secs_f64(),
        "decode": times(|| source.frame(0)).as_secs_f64(),
        "render": times(|| frame.render(Voi::Own(0), false)).as_secs_f64(),
    }))
}

/// The best of many runs: on a machine that does other things too, the one that was disturbed least.
fn times<T>(run: impl Fn() -> T) -> Duration {
    let begun = Instant::now();
    let mut best = Duration::MAX;
    let mut count = 0;
    while count < FEWEST || begun.elapsed() < ENOUGH {
        let start = Instant::now();
        std::hint::black_box(run());
        best = best.min(start.elapsed());
        count += 1;
    }
    best
}

fn all_frames(path: &Path) {
    let source: Source = match media::open(path) {
        Ok(source) => source,
        Err(error) => return println!("{error}"),
    };
    let before = peak();
    let begun = Instant::now();
    let mut decoded = 0;
    for frame in 0..source.info().frames {
        let Ok(frame) = source.frame(frame) else {
            continue;
        };
        if let Frame::Grey(grey) = &frame {
            decoded += grey.bytes();
        }
        std::hint::black_box(frame.render(Voi::Own(0), false));
    }
    let answer = json!({
        "path": path,
        "frames": source.info().frames,
        "seconds": begun.elapsed().as_secs_f64(),
        "decoded_mb": decoded as f64 / 1e6,
        "opened_mb": before,
        "peak_mb": peak(),
    });
    println!("{answer}");
}

/// The most memory that this process had so far, in MB (Linux; 0 elsewhere).
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}
