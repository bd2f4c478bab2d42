//! Robustness: many resizes, extreme sizes, terminals that do not answer, a lost connection.

use std::io::Read;
use std::sync::mpsc::channel;

use portable_pty::{PtySize, native_pty_system};
use rustix::process::Signal;
use vt100::Screen;

use crate::session::{self, DEADLINE, Kind, Session, is_current, row};

/// Whether the status line is the last line.
fn is_settled(screen: &Screen) -> bool {
    let (rows, cols) = screen.size();
    let last = screen.rows(0, cols).nth(usize::from(rows) - 1);
    last.is_some_and(|row| row.contains("quit"))
}

#[test]
fn after_many_resizes_the_last_size_is_drawn() {
    for kind in [Kind::Plain, Kind::Kitty, Kind::Sixel] {
        let session = Session::start(kind, &[]);
        session.display.shows("b.png");
        for n in 0..60_u16 {
            // At least two of both: this test's emulator panics on a wide character in one column, and on a wrapped line in one
            // row.
            session.resize(2 + n * 37 % 220, 2 + n * 23 % 70);
            if n % 7 == 0 {
                session.press("j");
            }
        }
        session.press("g");
        session.resize(100, 30);
        session.display.until("the last size", |screen| {
            is_settled(screen) && is_current(screen, "a.png")
        });
        session.press("q");
        assert_eq!(session.ended(), 0);
    }
}

#[test]
fn very_small_and_very_large_terminals_work() {
    for (cols, rows) in [(20, 5), (400, 100)] {
        for kind in [Kind::Plain, Kind::Kitty, Kind::Sixel] {
            let session = Session::start_sized(kind, &[], (cols, rows), |_| {});
            let list = |screen: &Screen| row(&screen.contents(), "c.png").is_some();
            let first = |screen: &Screen| screen.contents().contains("a.png");
            session.display.until("the files", |screen| {
                first(screen) && (rows == 5 || list(screen))
            });
            session.press("G");
            session.display.until("the last file", |screen| {
                let contents = screen.contents();
                contents
                    .lines()
                    .any(|line| line.starts_with('▌') && line.contains("c.png"))
            });
            session.press("\t\t");
            session.press("?");
            session.display.shows("Help");
            session.press("\x1b");
            session
                .display
                .until("no help", |screen| !screen.contents().contains("Help"));
            session.press("q");
            assert_eq!(session.ended(), 0);
        }
    }
}

#[test]
fn keys_typed_before_the_first_frame_are_not_lost() {
    for kind in [Kind::Silent, Kind::Plain, Kind::Kitty] {
        let session = Session::start(kind, &[]);
        session.press("/b");
        session.display.until("the filtered list", |screen| {
            let contents = screen.contents();
            row(&contents, "b.png").is_some() && row(&contents, "a.png").is_none()
        });
        session.press("\rq");
        assert_eq!(session.ended(), 0);
    }
}

#[test]
fn sighup_ends_the_program() {
    let session = Session::start(Kind::Plain, &[]);
    session.display.shows("b.png");
    session.signal(Signal::HUP);
    assert_eq!(session.ended(), 0);
}

#[test]
fn it_does_not_outlive_its_terminal() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join("in")).expect("a folder");
    let pair = native_pty_system()
        .openpty(PtySize::default())
        .expect("a terminal");
    let command = session::command(home.path(), &[]);
    let mut child = pair.slave.spawn_command(command).expect("it starts");
    drop(pair.slave);
    let mut output = pair.master.try_clone_reader().expect("output");
    let mut seen = Vec::new();
    while !seen.windows(5).any(|part| part == b"empty") {
        let mut part = [0; 4096];
        let count = output.read(&mut part).expect("output");
        assert!(count > 0, "it ended early");
        seen.extend_from_slice(&part[..count]);
    }
    // Closes the last handles of the terminal's other side: the connection is lost.
    drop((output, pair.master));
    let (ended, end) = channel();
    std::thread::spawn(move || drop(ended.send(child.wait())));
    let status = end.recv_timeout(DEADLINE).expect("it ends");
    assert!(status.is_ok());
}
