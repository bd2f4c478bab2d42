//! How fast files are decoded: `cargo bench --bench decode -- FILE...`, or `tests/oracle/decode_speed.py`, which runs
//! the reference on the same files.
//!
//! One JSON object a file on stdout: decoded bytes of a frame, and the best and the median time of a frame in seconds,
//! opening included and not. `--frames FILE` decodes and renders all frames of one file, as `--frames all` does, and
//! tells the largest amount of memory that the process had.

use std::path::Path;
use std::time::{Duration, Instant};

use medivision_tui::media::{self, Frame, Source, Voi};

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
    let (opening, source) = match timed(|| media::open(path)) {
        (_, Err(error)) => {
            return println!("{{\"path\": {path:?}, \"error\": {:?}}}", error.message);
        }
        (_, Ok(source)) => (times(|| media::open(path).map(drop)), source),
    };
    let frame = match source.frame(0) {
        Err(error) => return println!("{{\"path\": {path:?}, \"error\": {:?}}}", error.message),
        Ok(frame) => frame,
    };
    let decoding = times(|| source.frame(0).map(drop));
    let rendering = times(|| Ok::<_, media::MediaError>(drop(frame.render(Voi::Own(0), false))));
    println!(
        "{{\"path\": {path:?}, \"bytes\": {}, \"open\": {:e}, \"decode\": {:e}, \"render\": {:e}}}",
        frame.bytes(),
        opening.as_secs_f64(),
        decoding.as_secs_f64(),
        rendering.as_secs_f64(),
    );
}

/// The best of many runs: on a machine that does other things too, the one that was disturbed least.
fn times<E>(run: impl Fn() -> Result<(), E>) -> Duration {
    let begun = Instant::now();
    let mut best = Duration::MAX;
    let mut count = 0;
    while count < FEWEST || begun.elapsed() < ENOUGH {
        let (took, _) = timed(&run);
        best = best.min(took);
        count += 1;
    }
    best
}

fn timed<T>(run: impl Fn() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let result = run();
    (begun.elapsed(), result)
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
    println!(
        "{{\"path\": {path:?}, \"frames\": {}, \"seconds\": {:.3}, \"decoded_mb\": {:.1}, \"opened_mb\": {:.1}, \
         \"peak_mb\": {:.1}}}",
        source.info().frames,
        begun.elapsed().as_secs_f64(),
        decoded as f64 / 1e6,
        before,
        peak(),
    );
}

/// The most memory that this process had so far, in MB (Linux; 0 elsewhere).
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}
