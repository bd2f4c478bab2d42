//! What terminals do to programs: other sizes, storms of them, silence, a lost connection.

use std::io::Read;
use std::sync::mpsc::channel;

use portable_pty::{PtySize, native_pty_system};
use rustix::process::Signal;
use vt100::Screen;

use crate::session::{self, DEADLINE, Kind, Session, is_current, row};

/// The status line is the last.
fn is_settled(screen: &Screen) -> bool {
    let (rows, cols) = screen.size();
    let last = screen.rows(0, cols).nth(usize::from(rows) - 1);
    last.is_some_and(|row| row.contains("quit"))
}

#[test]
fn a_storm_of_sizes_ends_in_the_last_one() {
    for kind in [Kind::Plain, Kind::Kitty, Kind::Sixel] {
        let session = Session::start(kind, &[]);
        session.display.shows("b.png");
        for n in 0..60_u16 {
            // Two of both at least: in one column, the emulator of this test gives up on a wide letter, in one row on a
            // line that is wrapped.
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
fn the_smallest_and_the_largest_terminal_are_served() {
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
fn keys_typed_before_anything_is_on_screen_are_not_lost() {
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
fn a_hangup_ends_it() {
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
    // The last handles of the terminal's other side: the connection is lost.
    drop((output, pair.master));
    let (ended, end) = channel();
    std::thread::spawn(move || drop(ended.send(child.wait())));
    let status = end.recv_timeout(DEADLINE).expect("it ends");
    assert!(status.is_ok());
}
