//! The latency from a key press to the screen: `cargo bench --bench latency`.
//!
//! Runs the binary in a pseudo-terminal of 120 × 50 cells of 10 × 20 pixels, which answers probes like a kitty, a sixel or a
//! plain terminal.
//!
//! * `loaded`: `j` and `k` are pressed at several paces, some slow enough for an image to be sent in between, while the built-in model
//!   classifies the folder on all cores. The latency ends when the cursor bar has been read at the next row. The terminal reads at
//!   full speed, then at 1 MB/s.
//! * `many`: a folder of 100,000 files: the time to the first rows, the time until all are counted, and the same keys meanwhile.
//! * `bytes`: the bytes per image of each protocol.
//! * `known`: folders of 20,000 and 100,000 files that the library knows: the time until the first rows and until all files have
//!   their results; then a prompt file is edited: the time until the screen shows it, and until the end of the
//!   list does.
//!
//! Names after `--` run only these parts.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;
use vt100::{Parser, Screen};

const ROWS: u16 = 50;
const COLS: u16 = 120;
/// How long to wait for a screen before the bench fails.
const DEADLINE: Duration = Duration::from_secs(60);
/// Key presses per case.
const KEYS: usize = 240;
/// Pauses between keys in ms: a key held down, quick presses, and looking at each image.
const PAUSES_MS: [u64; 4] = [33, 60, 120, 250];
/// Bytes per second of a slow link.
const SLOW_RATE: f64 = 1e6;

/// The graphics protocol that the terminal supports.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Kitty,
    Sixel,
    Iterm2,
    Plain,
}

impl Protocol {
    /// The terminal's answer to the probe.
    fn answer(self) -> &'static [u8] {
        match self {
            Self::Kitty => b"\x1b_Gi=31;OK\x1b\\\x1b_Gi=32;OK\x1b\\\x1b[6;20;10t\x1b[?62;22c",
            Self::Sixel => b"\x1b[6;20;10t\x1b[?62;4;22c",
            Self::Plain | Self::Iterm2 => b"\x1b[6;20;10t\x1b[?62;22c",
        }
    }
}

struct Seen {
    parser: Parser,
    /// When the last bytes arrived.
    last: Instant,
    /// The file name at the cursor bar, and when it was first read there.
    cursor: (String, Instant),
    bytes: usize,
}

struct Display {
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Display {
    /// Waits for a screen that satisfies `wanted`; returns the time since `since`.
    fn until(&self, what: &str, since: Instant, wanted: impl Fn(&Screen) -> bool) -> Duration {
        let seen = self.seen.lock().expect("whole");
        let (seen, waited) = self
            .changed
            .wait_timeout_while(seen, DEADLINE, |seen| !wanted(seen.parser.screen()))
            .expect("whole");
        let screen = seen.parser.screen().contents();
        assert!(!waited.timed_out(), "{what} never came:\n{screen}");
        since.elapsed()
    }

    /// Waits until the cursor is on a file; returns when it was read there.
    fn cursor_on(&self, name: &str) -> Instant {
        let seen = self.seen.lock().expect("whole");
        let (seen, waited) = self
            .changed
            .wait_timeout_while(seen, DEADLINE, |seen| seen.cursor.0 != name)
            .expect("whole");
        let screen = seen.parser.screen().contents();
        assert!(
            !waited.timed_out(),
            "the cursor never came to {name}:\n{screen}"
        );
        seen.cursor.1
    }

    /// When the last bytes arrived.
    fn last(&self) -> Instant {
        self.seen.lock().expect("whole").last
    }

    fn bytes(&self) -> usize {
        self.seen.lock().expect("whole").bytes
    }

    /// Waits until no bytes have arrived for a while; returns the number of bytes so far.
    fn quiet(&self) -> usize {
        loop {
            let (last, bytes) = {
                let seen = self.seen.lock().expect("whole");
                (seen.last, seen.bytes)
            };
            let rest = Duration::from_millis(600).saturating_sub(last.elapsed());
            if rest.is_zero() {
                return bytes;
            }
            sleep(rest);
        }
    }

    fn status(&self) -> String {
        let seen = self.seen.lock().expect("whole");
        let rows = seen.parser.screen().rows(0, COLS);
        rows.last().unwrap_or_default().trim().to_owned()
    }
}

/// The file name in the row that starts with the cursor bar.
fn under_cursor(screen: &Screen) -> Option<String> {
    let rows = screen.size().0;
    let bar = |row: &u16| screen.cell(*row, 0).is_some_and(|c| c.contents() == "▌");
    let row = (0..rows).find(bar)?;
    let text = screen.contents_between(row, 4, row, 16);
    text.split_whitespace().next().map(str::to_owned)
}

struct Session {
    display: Arc<Display>,
    keys: Arc<Mutex<Box<dyn Write + Send>>>,
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
    /// Removed with the last session in it.
    _home: Rc<TempDir>,
    begun: Instant,
}

impl Session {
    fn start(folder: &Path, protocol: Protocol, rate: Option<f64>) -> Self {
        Self::start_sized(folder, protocol, rate, (COLS, ROWS))
    }

    fn start_sized(
        folder: &Path,
        protocol: Protocol,
        rate: Option<f64>,
        (cols, rows): (u16, u16),
    ) -> Self {
        let home = Rc::new(tempfile::tempdir().expect("a folder"));
        Self::start_at(home, &[], folder, protocol, rate, (cols, rows))
    }

    /// Starts in this home, with these arguments before the folder.
    fn start_at(
        home: Rc<TempDir>,
        arguments: &[&str],
        folder: &Path,
        protocol: Protocol,
        rate: Option<f64>,
        (cols, rows): (u16, u16),
    ) -> Self {
        let size = PtySize {
            rows,
            cols,
            ..PtySize::default()
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_medivision-tui"));
        command.env_clear();
        command.env("HOME", home.path());
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        if matches!(protocol, Protocol::Iterm2) {
            command.env("TERM_PROGRAM", "iTerm.app");
        }
        if rate.is_some() {
            command.env("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22");
        }
        command.args(arguments);
        command.arg(folder);
        let begun = Instant::now();
        let child = pair.slave.spawn_command(command).expect("it starts");
        drop(pair.slave);
        let keys = pair.master.take_writer().expect("keys");
        let keys = Arc::new(Mutex::new(keys));
        let display = Arc::new(Display {
            seen: Mutex::new(Seen {
                parser: Parser::new(rows, cols, 0),
                last: begun,
                cursor: (String::new(), begun),
                bytes: 0,
            }),
            changed: Condvar::new(),
        });
        let reader = pair.master.try_clone_reader().expect("output");
        let (shown, answers) = (Arc::clone(&display), Arc::clone(&keys));
        std::thread::spawn(move || show(reader, &shown, &answers, protocol, rate));
        Self {
            display,
            keys,
            child,
            _master: pair.master,
            _home: home,
            begun,
        }
    }

    fn press(&self, key: &str) {
        let mut keys = self.keys.lock().expect("whole");
        keys.write_all(key.as_bytes()).expect("pressed");
    }

    /// Moves down and up again; returns the milliseconds from each key press until the screen shows it.
    fn scroll(&self) -> Vec<f64> {
        let mut at = 0_usize;
        let mut latencies = Vec::with_capacity(KEYS);
        for n in 0..KEYS {
            let down = n / 60 % 2 == 0 || at == 0;
            at = if down { at + 1 } else { at - 1 };
            let pressed = Instant::now();
            self.press(if down { "j" } else { "k" });
            let read = self.display.cursor_on(&name(at));
            latencies.push(read.duration_since(pressed).as_secs_f64() * 1e3);
            sleep(Duration::from_millis(PAUSES_MS[n / 5 % PAUSES_MS.len()]));
        }
        latencies
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The terminal's side; reads at most `rate` bytes per second.
fn show(
    mut output: impl Read,
    display: &Display,
    answers: &Mutex<Box<dyn Write + Send>>,
    protocol: Protocol,
    rate: Option<f64>,
) {
    let mut bytes = [0; 4096];
    let mut free = Instant::now();
    loop {
        let part = if rate.is_some() { 1024 } else { bytes.len() };
        let Ok(count @ 1..) = output.read(&mut bytes[..part]) else {
            return;
        };
        if let Some(rate) = rate {
            let now = Instant::now();
            free = free.max(now) + Duration::from_secs_f64(count as f64 / rate);
            sleep(free.duration_since(now));
        }
        let part = &bytes[..count];
        {
            let mut seen = display.seen.lock().expect("whole");
            seen.parser.process(part);
            seen.bytes += count;
            seen.last = Instant::now();
            if let Some(name) = under_cursor(seen.parser.screen())
                && name != seen.cursor.0
            {
                seen.cursor = (name, Instant::now());
            }
        }
        display.changed.notify_all();
        if part.windows(3).any(|window| window == b"\x1b[c") {
            let mut writer = answers.lock().expect("whole");
            writer.write_all(protocol.answer()).expect("answered");
        }
    }
}

fn name(n: usize) -> String {
    format!("IM{n:06}.png")
}

/// Writes images as large as screens, which compress no better than real ones.
fn pictures(folder: &Path, count: usize) {
    let mut grain = 7_u32;
    let seeds = 40;
    for n in 0..count.min(seeds) {
        let picture = image::GrayImage::from_fn(1024, 1024, |x, y| {
            grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (dx, dy) = (f64::from(x) - 512.0, f64::from(y) - 512.0);
            let wave = (f64::from(x + n as u32 * 16) / 40.0).sin() * 30.0;
            let shade = 190.0 - dx.hypot(dy) / 4.0 + wave + f64::from(grain >> 24) / 16.0;
            image::Luma([shade.clamp(0.0, 255.0) as u8])
        });
        picture.save(folder.join(name(n))).expect("written");
    }
    for n in seeds..count {
        fs::hard_link(folder.join(name(n % seeds)), folder.join(name(n))).expect("linked");
    }
}

/// Writes small files, all of which differ.
fn small_files(folder: &Path, count: usize) {
    for n in 0..count {
        let picture = image::GrayImage::from_fn(24, 24, |x, y| {
            image::Luma([(x * 9 + y) as u8 ^ (n >> (x % 3 * 8)) as u8])
        });
        picture.save(folder.join(name(n))).expect("written");
    }
}

/// Prints median, 99th percentile and maximum; returns whether the 99th percentile is within the limit.
fn report(what: &str, mut latencies: Vec<f64>, bar: f64) -> bool {
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize];
    let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
    let kept = p99 <= bar;
    let word = if kept { "kept" } else { "MISSED" };
    println!("{what:<44} p50 {p50:6.1}  p99 {p99:6.1}  max {max:6.1} ms   bar {bar:.0}: {word}");
    kept
}

fn has_rows(screen: &Screen) -> bool {
    screen.contents().contains("IM0")
}

/// Measures key latency under full load.
fn loaded(folder: &Path, protocol: Protocol, rate: Option<f64>) -> bool {
    let session = Session::start(folder, protocol, rate);
    let display = &session.display;
    display.until("results", session.begun, |s| s.contents().contains('%'));
    display.cursor_on(&name(0));
    let before = display.bytes();
    let latencies = session.scroll();
    let speed = if rate.is_some() { "1 MB/s" } else { "free" };
    let what = format!("10,000 files, {protocol:?}, {speed}");
    let bar = if rate.is_some() { 50.0 } else { 16.0 };
    let kept = report(&what, latencies, bar);
    println!(
        "    {} kB a key; at the end: {}",
        (display.bytes() - before) / KEYS / 1000,
        display.status()
    );
    kept
}

/// Measures a large folder: first rows, all rows, and key latency meanwhile.
fn many(folder: &Path, count: &str) -> bool {
    let session = Session::start(folder, Protocol::Plain, None);
    let display = &session.display;
    let first = display.until("rows", session.begun, has_rows);
    let kept = first <= Duration::from_millis(300);
    let word = if kept { "kept" } else { "MISSED" };
    println!(
        "{count} files, first rows                     {:.0} ms   bar 300: {word}",
        first.as_secs_f64() * 1e3
    );
    let all = display.until("the count", session.begun, |screen| {
        screen.contents().contains(count)
    });
    println!("    all counted after {:.0} ms", all.as_secs_f64() * 1e3);
    session.press("g");
    display.cursor_on(&name(0));
    let scroll = report(
        &format!("{count} files, while searched"),
        session.scroll(),
        16.0,
    );
    println!("    at the end: {}", display.status());
    kept && scroll
}

/// A model that is quick to open and to compute.
const SMALL_MODEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/parity/clip-late"
);

/// Writes a prompt set. Every image shows the name of its first condition.
fn write_prompts(file: &Path, first: &str) {
    let text = format!(
        "name = \"ward\"\nmin_probability = 0.0\nmin_margin = 0.0\n\
         [[condition]]\nname = \"{first}\"\nphrases = [\"haze\"]\n\
         [[condition]]\nname = \"{first} too\"\nphrases = [\"clear\"]\n"
    );
    fs::write(file, text).expect("written");
}

/// Measures a folder that the library knows, and the effect of an edited prompt file on all its results.
fn known(folder: &Path, count: usize) -> bool {
    let home = Rc::new(tempfile::tempdir().expect("a folder"));
    let prompts = home.path().join("ward.toml");
    write_prompts(&prompts, "before");
    let arguments = ["--model", SMALL_MODEL, "--prompts"];
    let arguments: Vec<&str> = arguments.into_iter().chain(prompts.to_str()).collect();
    let classified = Command::new(env!("CARGO_BIN_EXE_medivision-tui"))
        .args(&arguments)
        .arg("classify")
        .arg(folder)
        .env("HOME", home.path())
        .stdout(Stdio::null())
        .status();
    assert!(classified.expect("it runs").success());

    let size = (COLS, ROWS);
    let session = Session::start_at(home, &arguments, folder, Protocol::Plain, None, size);
    let display = &session.display;
    let first = display.until("results", session.begun, |screen| {
        screen.contents().contains("before")
    });
    // Until then, the number of files without a result counts down.
    display.quiet();
    let all = display.last().duration_since(session.begun);
    let status = display.status();
    assert!(
        status.ends_with("quit") && !status.contains("queued"),
        "{status}"
    );
    println!(
        "{count} known files: results on screen after {:.0} ms, all after {:.0} ms",
        first.as_secs_f64() * 1e3,
        all.as_secs_f64() * 1e3
    );
    let edited = Instant::now();
    write_prompts(&prompts, "after");
    let has_changed = |screen: &Screen| {
        let screen = screen.contents();
        screen.contains("after") && !screen.contains("before")
    };
    let seen = display.until("the new prompts", edited, has_changed);
    // What is not on screen follows in no particular order.
    session.press("G");
    display.cursor_on(&name(count - 1));
    let all = display.until("all results", edited, has_changed);
    let kept = seen <= Duration::from_millis(300);
    let word = if kept { "kept" } else { "MISSED" };
    println!(
        "    edited prompts on screen after {:.0} ms   bar 300: {word}; at the end of the list after {:.0} ms",
        seen.as_secs_f64() * 1e3,
        all.as_secs_f64() * 1e3
    );
    kept
}

/// Measures the bytes that are sent per image.
fn bytes(folder: &Path) {
    let (local, remote) = (None, Some(1e9));
    println!("kB a look                        80×24  120×50  200×60");
    for (what, protocol, rate) in [
        ("kitty", Protocol::Kitty, local),
        ("kitty over SSH (deflated)", Protocol::Kitty, remote),
        ("sixel", Protocol::Sixel, local),
        ("iTerm2", Protocol::Iterm2, local),
        ("half blocks", Protocol::Plain, local),
    ] {
        let costs = [(80, 24), (120, 50), (200, 60)].map(|size| {
            let session = Session::start_sized(folder, protocol, rate, size);
            let display = &session.display;
            display.until("rows", session.begun, has_rows);
            display.until("results", session.begun, |s| {
                let screen = s.contents();
                screen.contains('%') && !screen.contains("queued")
            });
            let before = display.quiet();
            for n in 1..=5 {
                session.press("j");
                display.cursor_on(&name(n));
                display.quiet();
            }
            (display.bytes() - before) as f64 / 5e3
        });
        println!(
            "{what:<30}  {:6.0}  {:6.0}  {:6.0}",
            costs[0], costs[1], costs[2]
        );
    }
}

fn main() -> ExitCode {
    // `cargo bench` adds `--bench`; any other argument chooses a part.
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wanted =
        |word: &str| chosen.is_empty() || chosen.iter().any(|chosen| word.contains(chosen));
    let folder = tempfile::tempdir().expect("a folder");
    let mut kept = true;
    if wanted("loaded") {
        let ten_thousand = folder.path().join("pictures");
        fs::create_dir(&ten_thousand).expect("a folder");
        pictures(&ten_thousand, 10_000);
        for protocol in [Protocol::Plain, Protocol::Kitty, Protocol::Sixel] {
            for rate in [None, Some(SLOW_RATE)] {
                kept &= loaded(&ten_thousand, protocol, rate);
            }
        }
    }
    if wanted("many") {
        let all = folder.path().join("many");
        fs::create_dir(&all).expect("a folder");
        small_files(&all, 100_000);
        kept &= many(&all, "100000");
    }
    if wanted("known") {
        for count in [20_000, 100_000] {
            let all = folder.path().join(format!("known-{count}"));
            fs::create_dir(&all).expect("a folder");
            small_files(&all, count);
            kept &= known(&all, count);
        }
    }
    if wanted("bytes") {
        let few = folder.path().join("few");
        fs::create_dir(&few).expect("a folder");
        pictures(&few, 6);
        bytes(&few);
    }
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
