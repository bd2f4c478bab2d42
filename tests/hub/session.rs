//! The interface in a pseudo-terminal: keys in, screen contents out.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::Parser;

/// How long to wait for a screen before the test fails.
const DEADLINE: Duration = Duration::from_secs(60);
const ROWS: u16 = 30;
const COLS: u16 = 100;

type Shown = Arc<(Mutex<Parser>, Condvar)>;

pub struct Session {
    shown: Shown,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    /// Keeps the terminal open.
    _master: Box<dyn MasterPty + Send>,
}

impl Session {
    /// Browses the folder `in` below `home`, with these environment variables and no others.
    pub fn start(home: &Path, environment: &[(&str, &str)]) -> Self {
        let size = PtySize {
            rows: ROWS,
            cols: COLS,
            ..PtySize::default()
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_medivision-tui"));
        command.cwd(home);
        command.env_clear();
        command.env("HOME", home);
        command.env("TERM", "xterm-256color");
        for (name, value) in environment {
            command.env(name, value);
        }
        command.arg("--graphics");
        command.arg("halfblocks");
        command.arg("in");
        let child = pair.slave.spawn_command(command).expect("it starts");
        drop(pair.slave);
        let shown = Arc::new((Mutex::new(Parser::new(ROWS, COLS, 0)), Condvar::new()));
        let mut reader = pair.master.try_clone_reader().expect("output");
        let screen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut buffer = [0; 1 << 14];
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 {
                    break;
                }
                screen.0.lock().unwrap().process(&buffer[..count]);
                screen.1.notify_all();
            }
        });
        let keys = pair.master.take_writer().expect("keys");
        Self {
            shown,
            keys,
            child,
            _master: pair.master,
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("pressed");
    }

    /// Waits until the screen satisfies `wanted`.
    pub fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let parser = self.shown.0.lock().unwrap();
        let not_yet = |parser: &mut Parser| !wanted(&parser.screen().contents());
        let waited = self.shown.1.wait_timeout_while(parser, DEADLINE, not_yet);
        let (parser, time) = waited.unwrap();
        assert!(
            !time.timed_out(),
            "{what} never came:\n{}",
            parser.screen().contents()
        );
    }

    pub fn shows(&self, text: &str) {
        self.until(text, |screen| screen.contains(text));
    }

    /// Quits; returns the exit code.
    pub fn quit(mut self) -> u32 {
        self.press("q");
        let mut killer = self.child.clone_killer();
        let (ended, end) = channel::<()>();
        std::thread::spawn(move || {
            if end.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
                let _ = killer.kill();
            }
        });
        let status = self.child.wait().expect("it ends");
        drop(ended);
        status.exit_code()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Has ended already, unless the test failed.
        let _ = self.child.kill();
    }
}
