//! The real binary in a real (pseudo) terminal: what the user sees, and that the terminal comes back whole.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

use medivision_tui::phantom::write_studies;
use portable_pty::{CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Termios, tcgetattr};
use tempfile::TempDir;
use vt100::{MouseProtocolMode, Parser, Screen};

/// A condition that has not come true by then never will.
const DEADLINE: Duration = Duration::from_secs(60);
const ROWS: u16 = 24;
const COLS: u16 = 80;

/// What the terminal shows, and a bell for when that changes.
struct Display {
    parser: Mutex<Parser>,
    changed: Condvar,
    /// All that came, commands without cells among it.
    raw: Mutex<Vec<u8>>,
}

impl Display {
    /// Waits until the screen satisfies `wanted`.
    fn until(&self, what: &str, wanted: impl Fn(&Screen) -> bool) {
        let parser = self.parser.lock().expect("whole");
        let (parser, waited) = self
            .changed
            .wait_timeout_while(parser, DEADLINE, |parser| !wanted(parser.screen()))
            .expect("whole");
        assert!(
            !waited.timed_out(),
            "{what} never came:\n{}",
            parser.screen().contents()
        );
    }

    fn shows(&self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text));
    }
}

/// The file's row in the list. The first line of the screen is a title, and may hold the name too.
fn row<'a>(contents: &'a str, name: &str) -> Option<&'a str> {
    let word = format!(" {name}");
    let list = |line: &'a str| line.split('│').next().unwrap_or_default();
    contents
        .lines()
        .skip(1)
        .map(list)
        .find(|line| line.contains(&word))
}

/// The file has its label and probability.
fn is_classified(screen: &Screen, name: &str) -> bool {
    row(&screen.contents(), name).is_some_and(|row| row.contains('%'))
}

/// The cursor bar stands before the file.
fn is_current(screen: &Screen, name: &str) -> bool {
    row(&screen.contents(), name).is_some_and(|row| row.starts_with('▌'))
}

/// How the terminal behaves.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// It answers the last of the questions, as every terminal should.
    Plain,
    /// It answers nothing at all.
    Silent,
}

struct Session {
    home: TempDir,
    display: Arc<Display>,
    keys: Arc<Mutex<Box<dyn Write + Send>>>,
    master: Box<dyn MasterPty + Send>,
    /// Keeps the terminal's settings readable after the program has ended.
    terminal: File,
    before: Termios,
    pid: Pid,
    exit: Receiver<ExitStatus>,
}

impl Session {
    /// Browses a folder of three pictures.
    fn start(kind: Kind, environment: &[(&str, &str)]) -> Self {
        Self::start_with(kind, environment, |_| {})
    }

    /// The same, with more in the folder.
    fn start_with(kind: Kind, environment: &[(&str, &str)], more: impl FnOnce(&Path)) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        fs::create_dir(home.path().join("in")).expect("a folder");
        more(&home.path().join("in"));
        for (index, name) in ["a.png", "b.png", "c.png"].into_iter().enumerate() {
            let path = home.path().join("in").join(name);
            picture(&path, index as u8 * 60);
            let file = File::options().append(true).open(&path).expect("opened");
            let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            file.set_modified(long_ago).expect("dated");
        }
        let size = PtySize {
            rows: ROWS,
            cols: COLS,
            ..PtySize::default()
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let name = pair.master.tty_name().expect("a name");
        let terminal = File::options().read(true).write(true).open(name);
        let terminal = terminal.expect("opened");
        let before = tcgetattr(&terminal).expect("settings");
        let mut child = pair
            .slave
            .spawn_command(command(home.path(), environment))
            .expect("the binary starts");
        drop(pair.slave);
        let pid = child.process_id().expect("it runs").cast_signed();
        let (ended, exit) = channel();
        std::thread::spawn(move || child.wait().map(|status| ended.send(status)));
        let keys = pair.master.take_writer().expect("keys");
        let keys = Arc::new(Mutex::new(keys));
        let display = Arc::new(Display {
            parser: Mutex::new(Parser::new(ROWS, COLS, 0)),
            changed: Condvar::new(),
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

    fn press(&self, keys: &str) {
        let mut writer = self.keys.lock().expect("whole");
        writer.write_all(keys.as_bytes()).expect("pressed");
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it runs");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("in").join(name)
    }

    /// The exit code, once the terminal is as it was.
    fn ended(&self) -> u32 {
        let status = self.exit.recv_timeout(DEADLINE).expect("it ends");
        self.assert_given_back();
        status.exit_code()
    }

    fn assert_given_back(&self) {
        self.display.until("the main screen", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && screen.mouse_protocol_mode() == MouseProtocolMode::None
        });
        let after = tcgetattr(&self.terminal).expect("settings");
        assert_eq!(settings(&after), settings(&self.before));
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

/// The binary in a home of its own, without the user's settings.
fn command(home: &Path, environment: &[(&str, &str)]) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_medivision-tui"));
    command.cwd(home);
    command.env_clear();
    command.env("HOME", home);
    command.env("TERM", "xterm-256color");
    for (name, value) in environment {
        command.env(name, value);
    }
    // A tiny CLIP with random weights: its answers mean nothing, but they are computed for real.
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/clip-late");
    command.arg("--model");
    command.arg(model);
    command.arg("in");
    command
}

fn picture(path: &Path, grey: u8) {
    image::GrayImage::from_pixel(40, 30, image::Luma([grey]))
        .save(path)
        .expect("written");
}

/// The terminal's side: shows what comes, answers what is asked.
fn show(
    mut output: impl Read,
    display: &Display,
    answers: &Mutex<Box<dyn Write + Send>>,
    kind: Kind,
) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut bytes) {
        let part = &bytes[..count];
        display.raw.lock().expect("whole").extend_from_slice(part);
        display.parser.lock().expect("whole").process(part);
        display.changed.notify_all();
        let asked = part.windows(3).any(|window| window == b"\x1b[c");
        if asked && kind == Kind::Plain {
            let mut writer = answers.lock().expect("whole");
            writer.write_all(b"\x1b[?62;22c").expect("answered");
        }
    }
}

#[test]
fn files_are_browsed_classified_and_followed_and_the_terminal_comes_back() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("the files", |screen| {
        screen.alternate_screen()
            && ["a.png", "b.png", "c.png"]
                .iter()
                .all(|name| row(&screen.contents(), name).is_some())
    });
    for name in ["a.png", "b.png", "c.png"] {
        display.until("a label", |screen| is_classified(screen, name));
    }
    session.press("j");
    display.until("the cursor", |screen| is_current(screen, "b.png"));

    // A file arrives where sorting puts it, and the cursor stays on its file.
    let temporary = session.home.path().join("new.png");
    picture(&temporary, 200);
    fs::rename(temporary, session.path("aa.png")).expect("moved in");
    display.until("the new file", |screen| is_classified(screen, "aa.png"));
    display.until("the cursor", |screen| is_current(screen, "b.png"));
    fs::remove_file(session.path("aa.png")).expect("removed");
    display.until("its end", |screen| {
        row(&screen.contents(), "aa.png").is_none()
    });

    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn tags_are_opened_with_the_name_masked_until_it_is_asked_for() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "a.png"));
    let studies = session.home.path().join("studies");
    write_studies(&studies, 7, 12, |_| {}).expect("phantoms");
    let dicom = fs::read_dir(&studies)
        .expect("a folder")
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|e| e == "dcm"))
        .expect("a DICOM phantom among them");
    fs::rename(dicom, session.path("0.dcm")).expect("moved in");
    display.until("the file", |screen| {
        row(&screen.contents(), "0.dcm").is_some()
    });
    session.press("gt");
    display.shows("Tags · 0.dcm");
    session.press("/patientname");
    display.until("the masked name", |screen| {
        let contents = screen.contents();
        let line = contents.lines().find(|line| line.contains("PatientName"));
        line.is_some_and(|line| line.contains("•••"))
    });
    let seen = |text: &str| {
        let raw = display.raw.lock().expect("whole");
        raw.windows(text.len()).any(|part| part == text.as_bytes())
    };
    session.press("\ry");
    display.shows("masked, so not copied");
    assert!(!seen("PHANTOM"), "the name was sent to the terminal");
    session.press("P");
    display.shows("SYNTHETIC^PHANTOM");
    session.press("y");
    display.shows("copied: PatientName");
    // SYNTHETIC^PHANTOM
    assert!(seen("\x1b]52;c;U1lOVEhFVElDXlBIQU5UT00=\x07"));
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn the_grid_shows_the_pictures_of_all_files_and_opens_one() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    for name in ["a.png", "b.png", "c.png"] {
        display.until("a label", |screen| is_classified(screen, name));
    }
    session.press("vg");
    // The greys of files that the cursor is not on.
    let grey = |screen: &Screen, level| {
        let grey = vt100::Color::Rgb(level, level, level);
        let cells = (0..ROWS).flat_map(|y| (0..COLS).map(move |x| (y, x)));
        let mut cells = cells.filter_map(|(y, x)| screen.cell(y, x));
        cells.any(|cell| cell.fgcolor() == grey || cell.bgcolor() == grey)
    };
    display.until("the other pictures", |screen| {
        grey(screen, 60) && grey(screen, 120)
    });
    session.press("l\r");
    display.until("one of them", |screen| {
        screen.contents().starts_with("─ b.png") && grey(screen, 60) && !grey(screen, 120)
    });
    session.press("\x1b");
    display.until("all of them", |screen| {
        grey(screen, 60) && grey(screen, 120)
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn two_files_are_compared_and_what_happened_leads_to_a_file() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    for name in ["a.png", "b.png", "c.png"] {
        display.until("a label", |screen| is_classified(screen, name));
    }
    session.press("g jvc");
    display.until("both", |screen| {
        let contents = screen.contents();
        contents.starts_with("─ a.png") && contents.contains("┬─ c.png")
    });
    session.press("\x1b");
    display.until("the list", |screen| is_current(screen, "c.png"));
    session.press("va");
    display.shows("3 decided, 0 failed");
    display.until("the times", |screen| {
        !screen.contents().contains("        ●")
    });
    let damaged = session.home.path().join("damaged.png");
    picture(&damaged, 9);
    let whole = fs::read(&damaged).expect("read");
    fs::write(&damaged, &whole[..whole.len() / 2]).expect("cut");
    fs::rename(damaged, session.path("damaged.png")).expect("moved in");
    display.shows("1 failed");
    session.press("e");
    display.shows("Why it failed");
    session.press("\x1b");
    display.until("the log", |screen| {
        !screen.contents().contains("Why it failed")
    });
    session.press("\r");
    display.until("the file", |screen| is_current(screen, "damaged.png"));
    session.press("q");
    assert_eq!(session.ended(), 0);
}

/// A button or the wheel, as the terminal tells of it: the code, then column and row from 1.
fn mouse(code: u16, x: usize, y: usize, up: bool) -> String {
    let end = if up { 'm' } else { 'M' };
    format!("\x1b[<{code};{x};{y}{end}")
}

#[test]
fn the_mouse_selects_opens_and_drags_the_line() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("the files", |screen| is_classified(screen, "c.png"));
    display.until("the mouse", |screen| {
        screen.mouse_protocol_mode() == MouseProtocolMode::ButtonMotion
    });
    // Below the title a.png, b.png, c.png.
    session.press(&mouse(0, 8, 3, false));
    session.press(&mouse(0, 8, 3, true));
    display.until("a click", |screen| is_current(screen, "b.png"));
    let line = |screen: &Screen| {
        let contents = screen.contents();
        let title = contents.lines().next().unwrap_or_default().to_owned();
        title.chars().position(|c| c == '┬')
    };
    let at = line(display.parser.lock().expect("whole").screen()).expect("a line");
    session.press(&mouse(0, at + 1, 9, false));
    session.press(&mouse(32, at - 9, 9, false));
    session.press(&mouse(0, at - 9, 9, true));
    display.until("the line moved", |screen| line(screen) == Some(at - 10));
    for _ in 0..2 {
        session.press(&mouse(0, 8, 4, false));
        session.press(&mouse(0, 8, 4, true));
    }
    display.until("the picture alone", |screen| {
        screen.contents().starts_with("─ c.png") && line(screen).is_none()
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn without_the_mouse_the_terminal_keeps_it() {
    let session = Session::start(Kind::Plain, &[("MEDIVISION_NO_MOUSE", "1")]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "c.png"));
    let raw = display.raw.lock().expect("whole").clone();
    assert!(!raw.windows(8).any(|part| part == b"\x1b[?1000h"));
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn show_phi_shows_from_the_start() {
    let session = Session::start(Kind::Plain, &[("MEDIVISION_SHOW_PHI", "1")]);
    session.display.shows("patient values shown");
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn sigterm_gives_the_terminal_back() {
    let session = Session::start(Kind::Plain, &[]);
    session.display.shows("b.png");
    session.signal(Signal::TERM);
    assert_eq!(session.ended(), 0);
}

#[test]
#[cfg(debug_assertions)]
fn a_panic_gives_the_terminal_back_and_is_told() {
    let session = Session::start(Kind::Plain, &[("MEDIVISION_TEST_PANIC", "1")]);
    assert_eq!(session.ended(), 101);
    session.display.shows("please report it");
}

#[test]
fn a_silent_terminal_loses_no_key() {
    let session = Session::start(Kind::Silent, &[]);
    session
        .display
        .until("the screen", Screen::alternate_screen);
    // While the questions are still open.
    session.press("?");
    session.display.shows("╭ Help");
    session.press("?q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    let session = Session::start(Kind::Plain, &[]);
    session.display.shows("b.png");
    let size = PtySize {
        rows: 40,
        cols: 120,
        ..PtySize::default()
    };
    session
        .display
        .parser
        .lock()
        .expect("whole")
        .screen_mut()
        .set_size(40, 120);
    session.master.resize(size).expect("resized");
    // The status line moves to the new bottom.
    session.display.until("the new size", |screen| {
        screen
            .rows(0, 120)
            .nth(39)
            .is_some_and(|row| row.contains("quit"))
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_the_program_goes_on() {
    let session = Session::start(Kind::Plain, &[]);
    session
        .display
        .until("a label", |screen| is_classified(screen, "b.png"));
    session.press("\x1a");
    let stat = PathBuf::from(format!("/proc/{}/stat", session.pid.as_raw_nonzero()));
    let end = Instant::now() + DEADLINE;
    while !fs::read_to_string(&stat).is_ok_and(|text| text.contains(") T ")) {
        assert!(Instant::now() < end, "it never stopped");
        std::thread::yield_now();
    }
    session.assert_given_back();
    session.signal(Signal::CONT);
    session.display.until("the screen", |screen| {
        screen.alternate_screen()
            && is_classified(screen, "b.png")
            && screen.mouse_protocol_mode() == MouseProtocolMode::ButtonMotion
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let output = Command::new(env!("CARGO_BIN_EXE_medivision-tui"))
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        text.contains("needs a terminal") && text.contains("classify"),
        "{text}"
    );
}

/// The demo's stack of nine sections.
fn stack(folder: &Path) {
    let demo = tempfile::tempdir().expect("a folder");
    medivision_tui::phantom::write_studies(demo.path(), 1, 2, |_| {}).expect("written");
    let frames = |path: &Path| {
        let source = medivision_tui::media::open(path);
        source.map_or(0, |source| source.info().frames)
    };
    let mut files = fs::read_dir(demo.path()).expect("written");
    let many = files.find_map(|file| {
        let path = file.expect("written").path();
        (frames(&path) == 9).then_some(path)
    });
    fs::copy(many.expect("a stack"), folder.join("stack.dcm")).expect("copied");
}

#[test]
fn a_file_of_many_frames_is_paged_played_and_seen_from_other_sides() {
    let session = Session::start_with(Kind::Plain, &[], stack);
    session.display.shows("stack.dcm");
    session.press("G");
    session.display.shows(" 1/9 ");
    session.press("]");
    session.display.shows(" 2/9 ");
    session.press("}");
    session.display.shows(" 9/9 ");
    session.press("#5\r");
    session.display.shows(" 5/9 ");
    session.press("x");
    session.display.shows("▶");
    for frame in ["7/9", "8/9", "9/9", "1/9", "2/9"] {
        session.display.shows(frame);
    }
    session.press("x");
    session
        .display
        .until("a halt", |screen| !screen.contents().contains('▶'));
    session.press("ri");
    session.display.shows("inverted");
    // The whole screen has room for all facts.
    session.press("Z");
    session.display.until("the picture alone", |screen| {
        !screen.contents().contains("Result") && screen.contents().contains("↻ 90°")
    });
    session.press("V");
    session.display.until("a value", |screen| {
        let contents = screen.contents();
        let value = contents
            .split_once(" y ")
            .and_then(|(_, rest)| rest.split_once("  "));
        value.is_some_and(|(_, value)| value.starts_with(|c: char| c.is_ascii_digit()))
    });
    session.press("\x1b");
    session
        .display
        .until("no pointer", |screen| !screen.contents().contains("x 1"));
    session.press("u\x1b");
    session.display.until("as it was", |screen| {
        let contents = screen.contents();
        contents.contains("Result") && !contents.contains("inverted")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}
