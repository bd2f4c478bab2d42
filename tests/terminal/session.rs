//! The real binary in a pseudo-terminal, in which tests press keys and inspect the screen.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

use portable_pty::{CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Termios, tcgetattr};
use tempfile::TempDir;
use vt100::{MouseProtocolMode, Parser, Screen};

/// How long a test waits for a condition.
pub const DEADLINE: Duration = Duration::from_secs(60);
pub const ROWS: u16 = 24;
pub const COLS: u16 = 80;

/// The screen of the terminal, and notifications of its changes.
pub struct Display {
    pub parser: Mutex<Parser>,
    changed: Condvar,
    /// First row and number of rows of each sixel image received.
    pub sixels: Mutex<Vec<(u16, u16)>>,
    /// All bytes received.
    pub raw: Mutex<Vec<u8>>,
}

impl Display {
    /// Waits until the screen satisfies `wanted`.
    pub fn until(&self, what: &str, wanted: impl Fn(&Screen) -> bool) {
        let parser = self.parser.lock().expect("whole");
        let (parser, waited) = self
            .changed
            .wait_timeout_while(parser, DEADLINE, |parser| !wanted(parser.screen()))
            .expect("whole");
        assert!(
            !waited.timed_out(),
            "{what} did not appear:\n{}",
            parser.screen().contents()
        );
    }

    /// Processes the bytes received. An unfinished sixel image remains in `waiting`.
    fn process(&self, waiting: &mut Vec<u8>) {
        let mut parser = self.parser.lock().expect("whole");
        let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|w| w == what);
        while let Some(start) = find(waiting, b"\x1bP") {
            let Some(end) = find(&waiting[start..], b"\x1b\\") else {
                break;
            };
            parser.process(&waiting[..start]);
            let is = |introducer: &[u8]| waiting[start..].starts_with(introducer);
            if is(b"\x1bP$q") || is(b"\x1bPtmux;") {
                // A query, not an image.
                waiting.drain(..start + end + 2);
                continue;
            }
            let picture = String::from_utf8_lossy(&waiting[start..start + end]).into_owned();
            let rows = pixels(&mut parser, &picture);
            self.sixels.lock().expect("whole").push(rows);
            waiting.drain(..start + end + 2);
        }
        let start = find(waiting, b"\x1bP").unwrap_or(waiting.len());
        // The start of an image may be split.
        let start = start - usize::from(waiting[..start].ends_with(b"\x1b"));
        parser.process(&waiting[..start]);
        waiting.drain(..start);
    }

    pub fn shows(&self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text));
    }
}

/// Marks the cells that a sixel image covers; returns the first row and the number of rows.
fn pixels(parser: &mut Parser, picture: &str) -> (u16, u16) {
    let (_, raster) = picture.split_once("q\"1;1;").expect("with its size");
    let numbers: Vec<usize> = raster
        .split(|c: char| !c.is_ascii_digit())
        .take(2)
        .map(|number| number.parse().expect("a number"))
        .collect();
    let (cols, rows) = (numbers[0].div_ceil(CELL.0), numbers[1].div_ceil(CELL.1));
    let (row, col) = parser.screen().cursor_position();
    parser.process(b"\x1b7");
    for y in 0..rows {
        let line = PIXELS.to_string().repeat(cols);
        let at = format!("\x1b[{};{}H{line}", usize::from(row) + y + 1, col + 1);
        parser.process(at.as_bytes());
    }
    parser.process(b"\x1b8");
    (row, rows as u16)
}

/// The file's row in the list. The first line of the screen is a title, which may contain the name, too.
pub fn row<'a>(contents: &'a str, name: &str) -> Option<&'a str> {
    let word = format!(" {name}");
    let list = |line: &'a str| line.split('│').next().unwrap_or_default();
    contents
        .lines()
        .skip(1)
        .map(list)
        .find(|line| line.contains(&word))
}

/// Whether the file has its label and probability.
pub fn is_classified(screen: &Screen, name: &str) -> bool {
    row(&screen.contents(), name).is_some_and(|row| row.contains('%'))
}

/// Whether the cursor is on the file.
pub fn is_current(screen: &Screen, name: &str) -> bool {
    row(&screen.contents(), name).is_some_and(|row| row.starts_with('▌'))
}

/// The kind of terminal that is simulated.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// Answers the last query, as every terminal should.
    Plain,
    /// Answers no query.
    Silent,
    /// Supports kitty's protocol.
    Kitty,
    /// Supports sixel.
    Sixel,
    /// Reports the colour that was set.
    FullColours,
}

impl Kind {
    /// Its answer to the queries.
    fn answer(self) -> &'static [u8] {
        match self {
            Self::Plain => b"\x1b[?62;22c",
            Self::Silent => b"",
            Self::Kitty => b"\x1b_Gi=31;OK\x1b\\\x1b_Gi=32;OK\x1b\\\x1b[6;20;10t\x1b[?62;22c",
            Self::Sixel => b"\x1b[6;20;10t\x1b[?62;4;22c",
            Self::FullColours => b"\x1bP1$r0;48:2::1:2:3m\x1b\\\x1b[?62;22c",
        }
    }
}

/// Marks cells that a sixel image covers, until text is written there.
pub const PIXELS: char = '\u{e000}';
/// Width and height of a cell in pixels.
const CELL: (usize, usize) = (10, 20);

/// A running program.
pub struct Session {
    /// Shared with sessions that are started in the same home again.
    pub home: Rc<TempDir>,
    pub display: Arc<Display>,
    keys: Arc<Mutex<Box<dyn Write + Send>>>,
    pub master: Box<dyn MasterPty + Send>,
    /// The program's side of the terminal; keeps the settings readable after the program has ended.
    pub terminal: File,
    before: Termios,
    pub pid: Pid,
    exit: Receiver<ExitStatus>,
}

impl Session {
    /// Browses a folder of three images.
    pub fn start(kind: Kind, environment: &[(&str, &str)]) -> Self {
        Self::start_with(kind, environment, |_| {})
    }

    /// Like [`Self::start`], with more files in the folder.
    pub fn start_with(kind: Kind, environment: &[(&str, &str)], more: impl FnOnce(&Path)) -> Self {
        Self::start_sized(kind, environment, (COLS, ROWS), more)
    }

    /// Like [`Self::start_with`], in a terminal of this size.
    pub fn start_sized(
        kind: Kind,
        environment: &[(&str, &str)],
        (cols, rows): (u16, u16),
        more: impl FnOnce(&Path),
    ) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        fill(&home, more);
        Self::start_in(Rc::new(home), kind, environment, (cols, rows))
    }

    /// Like [`Self::start`], in this home.
    pub fn start_at(home: TempDir, kind: Kind, environment: &[(&str, &str)]) -> Self {
        fill(&home, |_| {});
        Self::start_in(Rc::new(home), kind, environment, (COLS, ROWS))
    }

    /// Starts the program again in the same home, after it has ended.
    pub fn again(self, kind: Kind) -> Self {
        Self::start_in(Rc::clone(&self.home), kind, &[], (COLS, ROWS))
    }

    /// Like [`Self::again`], on a path other than the folder.
    pub fn again_on(self, kind: Kind, path: &str) -> Self {
        let command = command_on(self.home.path(), &[], path);
        Self::run(Rc::clone(&self.home), kind, command, (COLS, ROWS))
    }

    fn start_in(
        home: Rc<TempDir>,
        kind: Kind,
        environment: &[(&str, &str)],
        size: (u16, u16),
    ) -> Self {
        let command = command(home.path(), environment);
        Self::run(home, kind, command, size)
    }

    fn run(
        home: Rc<TempDir>,
        kind: Kind,
        command: CommandBuilder,
        (cols, rows): (u16, u16),
    ) -> Self {
        let size = PtySize {
            rows,
            cols,
            ..PtySize::default()
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let name = pair.master.tty_name().expect("a name");
        let terminal = File::options().read(true).write(true).open(name);
        let terminal = terminal.expect("opened");
        let before = tcgetattr(&terminal).expect("settings");
        let mut child = pair
            .slave
            .spawn_command(command)
            .expect("the binary starts");
        drop(pair.slave);
        let pid = child.process_id().expect("it runs").cast_signed();
        let (ended, exit) = channel();
        std::thread::spawn(move || child.wait().map(|status| ended.send(status)));
        let keys = pair.master.take_writer().expect("keys");
        let keys = Arc::new(Mutex::new(keys));
        let display = Arc::new(Display {
            parser: Mutex::new(Parser::new(rows, cols, 0)),
            changed: Condvar::new(),
            sixels: Mutex::default(),
            raw: Mutex::default(),
        });
        let reader = pair.master.try_clone_reader().expect("output");
        let (shown, answers) = (Arc::clone(&display), Arc::clone(&keys));
        std::thread::spawn(move || show(reader, &shown, &answers, kind));
        Self {
            home,
            display,
            keys,
            master: pair.master,
            terminal,
            before,
            pid: Pid::from_raw(pid).expect("a number"),
            exit,
        }
    }

    pub fn press(&self, keys: &str) {
        let mut writer = self.keys.lock().expect("whole");
        writer.write_all(keys.as_bytes()).expect("pressed");
    }

    /// Resizes the terminal.
    pub fn resize(&self, cols: u16, rows: u16) {
        let mut parser = self.display.parser.lock().expect("whole");
        parser.screen_mut().set_size(rows, cols);
        let size = PtySize {
            rows,
            cols,
            ..PtySize::default()
        };
        self.master.resize(size).expect("resized");
    }

    /// Suspends the program with Ctrl-Z, and continues it.
    pub fn suspend_and_continue(&self) {
        self.press("\x1a");
        self.until_stopped();
        self.assert_restored();
        self.signal(Signal::CONT);
    }

    /// Waits until the process is stopped.
    pub fn until_stopped(&self) {
        let stat = PathBuf::from(format!("/proc/{}/stat", self.pid.as_raw_nonzero()));
        let end = Instant::now() + DEADLINE;
        while !fs::read_to_string(&stat).is_ok_and(|text| text.contains(") T ")) {
            assert!(Instant::now() < end, "it never stopped");
            std::thread::yield_now();
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it runs");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("in").join(name)
    }

    /// Waits for the exit code, and checks that the terminal is restored.
    pub fn ended(&self) -> u32 {
        let status = self.exit.recv_timeout(DEADLINE).expect("it ends");
        self.assert_restored();
        status.exit_code()
    }

    pub fn assert_restored(&self) {
        self.display.until("the main screen", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && screen.mouse_protocol_mode() == MouseProtocolMode::None
        });
        let after = tcgetattr(&self.terminal).expect("settings");
        assert_eq!(settings(&after), settings(&self.before));
    }
}

/// Fills the folder to browse with three images and `more`.
fn fill(home: &TempDir, more: impl FnOnce(&Path)) {
    let folder = home.path().join("in");
    fs::create_dir(&folder).expect("a folder");
    more(&folder);
    for (index, name) in ["a.png", "b.png", "c.png"].into_iter().enumerate() {
        let path = folder.join(name);
        picture(&path, index as u8 * 60);
        let file = File::options().append(true).open(&path).expect("opened");
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        file.set_modified(long_ago).expect("dated");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Gone already, unless the test failed.
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

fn settings(termios: &Termios) -> [u64; 4] {
    [
        u64::from(termios.input_modes.bits()),
        u64::from(termios.output_modes.bits()),
        u64::from(termios.control_modes.bits()),
        u64::from(termios.local_modes.bits()),
    ]
}

/// The binary in an empty home, without the user's settings, on the folder of the session.
pub fn command(home: &Path, environment: &[(&str, &str)]) -> CommandBuilder {
    command_on(home, environment, "in")
}

/// The same, on another path.
fn command_on(home: &Path, environment: &[(&str, &str)], path: &str) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_medivision-tui"));
    command.cwd(home);
    command.env_clear();
    command.env("HOME", home);
    command.env("TERM", "xterm-256color");
    command.env("COLORTERM", "truecolor");
    command.env("LANG", "C.UTF-8");
    for (name, value) in environment {
        command.env(name, value);
    }
    // A tiny CLIP with random weights: its answers mean nothing, but they are computed for real.
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/clip-late");
    command.arg("--model");
    command.arg(model);
    command.arg(path);
    command
}

pub fn picture(path: &Path, grey: u8) {
    image::GrayImage::from_pixel(40, 30, image::Luma([grey]))
        .save(path)
        .expect("written");
}

/// The terminal's side: processes output and answers queries.
fn show(
    mut output: impl Read,
    display: &Display,
    answers: &Mutex<Box<dyn Write + Send>>,
    kind: Kind,
) {
    let mut bytes = [0; 4096];
    let mut waiting = Vec::new();
    while let Ok(count @ 1..) = output.read(&mut bytes) {
        let part = &bytes[..count];
        display.raw.lock().expect("whole").extend_from_slice(part);
        waiting.extend_from_slice(part);
        display.process(&mut waiting);
        display.changed.notify_all();
        let asked = part.windows(3).any(|window| window == b"\x1b[c");
        if asked {
            let mut writer = answers.lock().expect("whole");
            writer.write_all(kind.answer()).expect("answered");
        }
    }
}
