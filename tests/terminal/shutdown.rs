//! The program ends soon and restores the terminal, whatever the terminal does and whatever signal arrives.

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

/// How long an exit may take on a busy machine.
const EXIT_DEADLINE: Duration = Duration::from_secs(10);

/// The program in a terminal whose output is no longer read.
struct Unattended {
    /// Deleted when dropped.
    _home: TempDir,
    master: Option<Box<dyn MasterPty + Send>>,
    pid: Pid,
    ended: Receiver<ExitStatus>,
}

impl Unattended {
    /// Starts it, and reads its output until this text appears.
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
            ended: exit_of(child),
        }
    }

    fn wait_for_exit(&self, why: &str) -> ExitStatus {
        let status = self.ended.recv_timeout(EXIT_DEADLINE);
        status.unwrap_or_else(|_| panic!("{why}: it keeps running"))
    }
}

impl Drop for Unattended {
    fn drop(&mut self) {
        // Gone already, unless the test failed.
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

fn exit_of(mut child: Box<dyn Child + Send + Sync>) -> Receiver<ExitStatus> {
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
fn it_ends_with_its_terminal_with_or_without_sighup() {
    for is_controlling in [true, false] {
        let mut program = Unattended::start(SIZE, is_controlling, "8.png");
        // Closes the only handle of the terminal's other side: the connection is lost.
        program.master = None;
        let status = program.wait_for_exit(&format!("controlling: {is_controlling}"));
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

/// Whether the thread that writes to the terminal is blocked in a write.
fn is_blocked(pid: Pid) -> bool {
    let threads = format!("/proc/{}/task", pid.as_raw_nonzero());
    let mut threads = fs::read_dir(threads).expect("it runs").flatten();
    let text = |thread: &fs::DirEntry, file| fs::read_to_string(thread.path().join(file));
    let Some(writer) =
        threads.find(|thread| text(thread, "comm").is_ok_and(|name| name.trim() == "terminal"))
    else {
        return false;
    };
    // 1 is the number of `write`.
    text(&writer, "syscall").is_ok_and(|call| call.starts_with("1 "))
}

#[test]
fn the_program_can_be_quit_on_a_terminal_that_no_longer_reads() {
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
        // Each size is drawn again, until the output blocks.
        let deadline = Instant::now() + DEADLINE;
        let mut cols = SIZE.cols;
        while !is_blocked(program.pid) {
            assert!(Instant::now() < deadline, "the output never blocks");
            cols = 181 + (cols + 1) % 40;
            master.resize(PtySize { cols, ..SIZE }).expect("resized");
            yield_now();
        }
        end(&program);
        program.wait_for_exit(name);
    }
}

#[test]
fn fatal_signals_restore_the_terminal_first() {
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
        assert_ne!(session.ended(), 0, "{signal:?} takes effect");
    }
}

/// Sets the terminal to line mode with echo, as a shell does.
fn set_cooked_mode(session: &Session) {
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
fn stopped_by_sigstop_it_reacquires_the_terminal() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "b.png"));
    session.signal(Signal::STOP);
    session.until_stopped();
    set_cooked_mode(&session);
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
fn sigtstp_works_like_ctrl_z() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "b.png"));
    session.signal(Signal::TSTP);
    session.until_stopped();
    session.assert_restored();
    session.signal(Signal::CONT);
    display.until("the screen", |screen| {
        screen.alternate_screen() && is_classified(screen, "b.png")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn a_terminal_of_extreme_size_is_drawn_up_to_a_limit() {
    let size = PtySize {
        rows: u16::MAX,
        cols: u16::MAX,
        ..SIZE
    };
    let program = Unattended::start(size, true, "8.png");
    kill_process(program.pid, Signal::TERM).expect("it runs");
    // Its output has to be read.
    let master = program.master.as_ref().expect("open");
    let mut output = master.try_clone_reader().expect("output");
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    assert_eq!(program.wait_for_exit("TERM").exit_code(), 0);
}

/// A fake tmux that keeps the pane's option in a file.
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
fn the_passthrough_option_of_tmux_is_reset() {
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
        session.suspend_and_continue();
        session
            .display
            .until("the screen", |screen| is_classified(screen, "b.png"));
        let again = fs::read_to_string(&option).expect("set");
        assert_eq!(again, meanwhile, "after a suspend");
        session.press("q");
        assert_eq!(session.ended(), 0);
        assert_eq!(fs::read_to_string(&option).ok().as_deref(), before);
    }
}

#[test]
fn unsolicited_replies_press_no_keys() {
    let session = Session::start(Kind::Plain, &[]);
    let display = &session.display;
    display.until("a label", |screen| is_classified(screen, "b.png"));
    session.press("\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\\x1b]10;rgb:d0d0/d0d0/d0d0\x07");
    session.press("j");
    display.until("the key after them", |screen| {
        is_current(screen, "b.png") && !screen.contents().contains('╭')
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}
