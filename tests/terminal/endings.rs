//! How it ends: whatever the terminal does, whatever signal comes, soon and with the terminal as it was.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc::{Receiver, channel};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use portable_pty::{Child, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use tempfile::TempDir;

use crate::session::{self, DEADLINE, Kind, Session, is_classified, is_current, picture};

/// How long an end may take, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// The program in a terminal that nobody looks at any more.
struct Unattended {
    /// Kept until the end.
    _home: TempDir,
    master: Option<Box<dyn MasterPty + Send>>,
    pid: Pid,
    ended: Receiver<ExitStatus>,
}

impl Unattended {
    /// Starts it, and reads what it draws until this text comes.
    fn start(size: PtySize, is_controlling: bool, until: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        fs::create_dir(home.path().join("in")).expect("a folder");
        for n in 0..9_u8 {
            picture(&home.path().join(format!("in/{n}.png")), n * 20);
        }
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut command = session::command(home.path(), &[]);
        command.set_controlling_tty(is_controlling);
        let child = pair.slave.spawn_command(command).expect("it starts");
        drop(pair.slave);
        let pid = child.process_id().expect("it runs").cast_signed();
        let mut output = pair.master.try_clone_reader().expect("output");
        let mut seen = Vec::new();
        while !seen
            .windows(until.len())
            .any(|part| part == until.as_bytes())
        {
            let mut part = [0; 4096];
            let count = output.read(&mut part).expect("output");
            assert!(count > 0, "it ended early");
            seen.extend_from_slice(&part[..count]);
        }
        Self {
            _home: home,
            master: Some(pair.master),
            pid: Pid::from_raw(pid).expect("a number"),
            ended: waited_for(child),
        }
    }

    fn ends(&self, why: &str) -> ExitStatus {
        let status = self.ended.recv_timeout(SOON);
        status.unwrap_or_else(|_| panic!("{why}: it goes on"))
    }
}

impl Drop for Unattended {
    fn drop(&mut self) {
        // Gone already, unless the test failed.
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

fn waited_for(mut child: Box<dyn Child + Send + Sync>) -> Receiver<ExitStatus> {
    let (sender, ended) = channel();
    std::thread::spawn(move || child.wait().map(|status| sender.send(status)));
    ended
}

const SIZE: PtySize = PtySize {
    rows: 50,
    cols: 180,
    pixel_width: 0,
    pixel_height: 0,
};

#[test]
fn it_ends_with_its_terminal_whether_a_signal_comes_or_not() {
    for is_controlling in [true, false] {
        let mut program = Unattended::start(SIZE, is_controlling, "8.png");
        // The only handle of the terminal's other side: the connection is lost.
        program.master = None;
        let status = program.ends(&format!("controlling: {is_controlling}"));
        assert_eq!(
            status.exit_code(),
            if is_controlling {
                status.exit_code()
            } else {
                0
            }
        );
    }
}

/// The thread that writes to the terminal is held up in a write.
fn is_stuck(pid: Pid) -> bool {
    let threads = format!("/proc/{}/task", pid.as_raw_nonzero());
    let mut threads = fs::read_dir(threads).expect("it runs").flatten();
    let text = |thread: &fs::DirEntry, file| fs::read_to_string(thread.path().join(file));
    let Some(writer) =
        threads.find(|thread| text(thread, "comm").is_ok_and(|name| name.trim() == "terminal"))
    else {
        return false;
    };
    // The number of `write`.
    text(&writer, "syscall").is_ok_and(|call| call.starts_with("1 "))
}

#[test]
fn a_terminal_that_no_longer_reads_can_be_left() {
    type End = (&'static str, fn(&Unattended));
    let ends: [End; 3] = [
        ("q", |program| {
            let master = program.master.as_ref().expect("open");
            let mut keys = master.take_writer().expect("keys");
            keys.write_all(b"q").expect("pressed");
        }),
        ("TERM", |program| {
            kill_process(program.pid, Signal::TERM).expect("it runs");
        }),
        ("HUP", |program| {
            kill_process(program.pid, Signal::HUP).expect("it runs");
        }),
    ];
    for (name, end) in ends {
        let program = Unattended::start(SIZE, true, "8.png");
        let master = program.master.as_ref().expect("open");
        // Each size is drawn anew, until nothing more goes out.
        let deadline = Instant::now() + DEADLINE;
        let mut cols = SIZE.cols;
        while !is_stuck(program.pid) {
            assert!(Instant::now() < deadline, "all of it is taken");
            cols = 181 + (cols + 1) % 40;
            master.resize(PtySize { cols, ..SIZE }).expect("resized");
            yield_now();
        }
        end(&program);
        program.ends(name);
    }
}

#[test]
fn signals_that_kill_give_the_terminal_back_first() {
    for signal in [
        Signal::ABORT,
        Signal::QUIT,
        Signal::USR1,
        Signal::XCPU,
        Signal::SEGV,
    ] {
        let session = Session::start(Kind::Plain, &[]);
        session
            .display
            .until("a label", |screen| is_classified(screen, "b.png"));
        session.signal(signal);
        assert_ne!(session.ended(), 0, "{signal:?} has its effect");
    }
}

/// The terminal as a shell leaves it to the program: lines, echo.
fn settings_of_a_shell(session: &Session) {
    let mut settings = tcgetattr(&session.terminal).expect("settings");
    settings.local_modes |= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
    tcsetattr(&session.terminal, OptionalActions::Now, &settings).expect("set");
}

fn is_raw(session: &Session) -> bool {
    let settings = tcgetattr(&session.terminal).expect("settings");
    !settings
        .local_modes
        .intersects(LocalModes::ICANON | LocalModes::ECHO)
}

#[test]
fn stopped_from_outside_it_takes_the_terminal_again() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "b.png"));
    session.signal(Signal::STOP);
    session.until_stopped();
    settings_of_a_shell(&session);
    (&session.terminal)
        .write_all(b"\x1b[5;1Hfrom a shell")
        .expect("written");
    display.shows("from a shell");
    session.signal(Signal::CONT);
    display.until("the screen", |screen| {
        !screen.contents().contains("from a shell") && is_classified(screen, "b.png")
    });
    assert!(is_raw(&session));
    session.press("j");
    display.until("a key", |screen| is_current(screen, "b.png"));
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn a_stop_that_can_be_answered_goes_the_way_of_ctrl_z() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "b.png"));
    session.signal(Signal::TSTP);
    session.until_stopped();
    session.assert_given_back();
    session.signal(Signal::CONT);
    display.until("the screen", |screen| {
        screen.alternate_screen() && is_classified(screen, "b.png")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn a_terminal_that_claims_to_be_endless_is_drawn_as_far_as_memory_allows() {
    let size = PtySize {
        rows: u16::MAX,
        cols: u16::MAX,
        ..SIZE
    };
    let program = Unattended::start(size, true, "8.png");
    kill_process(program.pid, Signal::TERM).expect("it runs");
    // All that it draws has to be read.
    let master = program.master.as_ref().expect("open");
    let mut output = master.try_clone_reader().expect("output");
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    assert_eq!(program.ends("TERM").exit_code(), 0);
}

/// Stands for tmux: keeps the pane's option in a file.
const TMUX: &str = r#"#!/bin/sh
option="$HOME/option"
case "$*" in
    "show-options -pAqv"*) cat "$option" 2>/dev/null || echo off ;;
    "show-options -pqv"*) cat "$option" 2>/dev/null || true ;;
    "set-option -pu"*) rm -f "$option" ;;
    "set-option -p "*) for last; do :; done; echo "$last" >"$option" ;;
esac
"#;

#[test]
fn what_tmux_lets_through_is_as_it_was() {
    for before in [None, Some("off\n"), Some("all\n")] {
        let home = tempfile::tempdir().expect("a folder");
        let (tmux, option) = (home.path().join("bin/tmux"), home.path().join("option"));
        fs::create_dir(home.path().join("bin")).expect("a folder");
        fs::write(&tmux, TMUX).expect("written");
        fs::set_permissions(&tmux, fs::Permissions::from_mode(0o755)).expect("made executable");
        if let Some(before) = before {
            fs::write(&option, before).expect("written");
        }
        let path = format!("{}:/usr/bin:/bin", home.path().join("bin").display());
        let environment = [
            ("PATH", path.as_str()),
            ("TMUX", "/tmp/tmux,1,0"),
            ("TMUX_PANE", "%3"),
        ];
        let session = Session::start_at(home, Kind::Plain, &environment);
        session
            .display
            .until("a label", |screen| is_classified(screen, "b.png"));
        let meanwhile = fs::read_to_string(&option).expect("set");
        assert!(
            ["on\n", "all\n"].contains(&meanwhile.as_str()),
            "{meanwhile}"
        );
        session.stop_and_go_on();
        session
            .display
            .until("the screen", |screen| is_classified(screen, "b.png"));
        let again = fs::read_to_string(&option).expect("set");
        assert_eq!(again, meanwhile, "after a stop");
        session.press("q");
        assert_eq!(session.ended(), 0);
        assert_eq!(fs::read_to_string(&option).ok().as_deref(), before);
    }
}

#[test]
fn replies_that_nobody_asked_for_press_no_keys() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "b.png"));
    session.press("\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\\x1b]10;rgb:d0d0/d0d0/d0d0\x07");
    session.press("j");
    display.until("the key behind them", |screen| {
        is_current(screen, "b.png") && !screen.contents().contains('╭')
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}
