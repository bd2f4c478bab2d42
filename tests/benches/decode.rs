//! The speed of decoding: `cargo bench -p medivision-media --bench decode -- FILE...`, or `tests/oracle/decode_speed.py`, which
//! runs the reference and another build of this bench on the same files.
//!
//! Prints one JSON object per file: the decoded bytes of the first frame, and the best times in seconds of opening, decoding
//! and rendering, and of copying as many bytes in memory, which no decoder can beat. `--seconds S FILE...` spends S on each
//! of these. `--frames FILE...` decodes and renders all frames of each file, as `classify --frames all` does, and prints the
//! peak memory.

use std::path::Path;
use std::time::{Duration, Instant};

use medivision_media::{
    self as media, Frame, ImageSource, LargePages, MediaError, Voi, keep_freed_buffers,
};
use serde_json::{Value, json};

/// The program's own allocator.
#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

/// Default time for each measurement.
const DEFAULT_DURATION: Duration = Duration::from_millis(700);
/// Minimum number of runs per measurement, however long one takes.
const MIN_RUNS: usize = 3;

fn main() {
    keep_freed_buffers();
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => println!("no files named"),
        ["--frames", ref paths @ ..] => paths.iter().for_each(|path| all_frames(Path::new(path))),
        ["--seconds", seconds, ref paths @ ..] => {
            let duration = seconds.parse().map(Duration::from_secs_f64);
            measure(paths, duration.expect("--seconds takes a number"));
        }
        ref paths => measure(paths, DEFAULT_DURATION),
    }
}

fn measure(paths: &[&str], duration: Duration) {
    for path in paths {
        let answer = match speed(Path::new(path), duration) {
            Ok(answer) => answer,
            Err(error) => json!({"path": path, "error": error.message}),
        };
        println!("{answer}");
    }
}

fn speed(path: &Path, duration: Duration) -> Result<Value, MediaError> {
    let source = media::open(path)?;
    let frame = source.frame(0)?;
    let bytes = vec![0x5a_u8; frame.bytes()];
    let mut copy = bytes.clone();
    Ok(json!({
        "path": path,
        "bytes": bytes.len(),
        "open": best_time(duration, || media::open(path)),
        "decode": best_time(duration, || source.frame(0)),
        "render": best_time(duration, || frame.render(Voi::Own(0), false)),
        "copy": best_time(duration, || {
            copy.copy_from_slice(&bytes);
            std::hint::black_box(copy.as_ptr())
        }),
    }))
}

/// Seconds of the fastest of many runs: on a busy machine, the one that was disturbed least.
fn best_time<T>(duration: Duration, mut run: impl FnMut() -> T) -> f64 {
    let begun = Instant::now();
    let mut best = Duration::MAX;
    let mut count = 0;
    while count < MIN_RUNS || begun.elapsed() < duration {
        let start = Instant::now();
        drop(std::hint::black_box(run()));
        best = best.min(start.elapsed());
        count += 1;
    }
    best.as_secs_f64()
}

fn all_frames(path: &Path) {
    let source: ImageSource = match media::open(path) {
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

/// The peak memory of this process so far, in MB (Linux; 0 elsewhere).
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}
