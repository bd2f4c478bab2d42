//! Prints data to stdout and messages to stderr. Nothing is printed elsewhere: control characters are removed here, and a
//! closed pipe or a full disk is handled here.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;

use super::{Fault, exit, leave};
use crate::library::json;
use crate::media::{is_unprintable, printable};

/// Maximum number of characters in a message: some quote the content of a file.
const MAX_MESSAGE: usize = 8000;

/// Prints a line of data.
pub(super) fn line(text: impl Display) -> Result<(), Fault> {
    write(format!("{}\n", printable(text.to_string().chars())).as_bytes())
}

/// Prints text whose lines end with line feeds.
pub(super) fn lines(text: &str) -> Result<(), Fault> {
    try_lines(text).or_else(closed_pipe)
}

/// As [`lines`], for commands that have something to do first if that fails.
pub(super) fn try_lines(text: &str) -> io::Result<()> {
    let mut safe = ControlFilter::new(Vec::with_capacity(text.len()));
    safe.write_all(text.as_bytes())?;
    let mut out = io::stdout().lock();
    out.write_all(&safe.to)?;
    out.flush()
}

/// Prints a value as JSON on several lines.
pub(super) fn json(value: &impl Serialize) -> Result<(), Fault> {
    try_json(value).or_else(closed_pipe)
}

/// As [`json`], for commands that have something to do first if that fails.
pub(super) fn try_json(value: &impl Serialize) -> io::Result<()> {
    let text = json::pretty(value)? + "\n";
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints a value as one line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), Fault> {
    let text = json::line(value).map_err(|e| Fault::output(&e))? + "\n";
    write(text.as_bytes())
}

/// Prints bytes that the program generated itself, unfiltered.
pub(super) fn write(bytes: &[u8]) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .or_else(closed_pipe)
}

/// Prints a message on stderr, on one line.
pub fn message(text: impl Display) {
    let text = printable(text.to_string().chars().take(MAX_MESSAGE));
    // There is nowhere to report that stderr cannot be written.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints the requested help or version, or the error in the command line, and exits.
pub fn usage<T>(error: &clap::Error) -> Result<T, Fault> {
    let plain = error.render().to_string();
    if error.use_stderr() {
        // The message may quote an argument with control characters; then it is filtered, and loses its colours.
        if plain.chars().any(|c| c != '\n' && is_unprintable(c)) {
            plain.lines().for_each(message);
        } else {
            let _ = error.print();
        }
        leave(exit::USAGE);
    }
    let printed = error.print().and_then(|()| io::stdout().flush());
    printed.or_else(closed_pipe)?;
    leave(exit::OK)
}

/// stdout for data that is written piece by piece. Control characters are removed for a terminal, and kept in files and pipes.
pub(super) fn stdout() -> Box<dyn Write + Send> {
    let out = io::stdout();
    if out.is_terminal() {
        Box::new(ControlFilter::new(out))
    } else {
        Box::new(out)
    }
}

/// Handles an output error: exits silently if the reader closed the pipe (`| head`).
#[allow(
    clippy::needless_pass_by_value,
    reason = "the shape that `or_else` calls"
)]
pub(super) fn closed_pipe(error: io::Error) -> Result<(), Fault> {
    if error.kind() == ErrorKind::BrokenPipe {
        leave(exit::OK);
    }
    Err(Fault::output(&error))
}

/// A writer of UTF-8 text that replaces characters that [steer](is_unprintable) a terminal, except line feeds and tabs.
pub struct ControlFilter<W> {
    to: W,
    /// The start of a character whose rest has not been written yet.
    rest: Vec<u8>,
}

impl<W> ControlFilter<W> {
    /// Creates a filter that writes to `to`.
    pub fn new(to: W) -> Self {
        Self {
            to,
            rest: Vec::new(),
        }
    }
}

impl<W: Write> Write for ControlFilter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.rest.len(),
        };
        let safe: String = String::from_utf8_lossy(&self.rest[..whole])
            .chars()
            // CSV lines end with CR and LF.
            .filter(|&c| c != '\r')
            .map(|c| match c {
                '\n' | '\t' => c,
                c if is_unprintable(c) => '\u{fffd}',
                c => c,
            })
            .collect();
        self.rest.drain(..whole);
        self.to.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_however_text_is_split() {
        let text = "a\u{1b}[2J\u{9b}1m\t胸部\u{202e}\r\nb\u{7}\u{7f}";
        for size in 1..text.len() {
            let mut writer = ControlFilter::new(Vec::new());
            for part in text.as_bytes().chunks(size) {
                writer.write_all(part).unwrap();
            }
            let written = String::from_utf8(writer.to).unwrap();
            assert_eq!(
                written,
                "a\u{fffd}[2J\u{fffd}1m\t胸部\u{fffd}\nb\u{fffd}\u{fffd}"
            );
        }
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        let mut writer = ControlFilter::new(Vec::new());
        writer.write_all(b"a\xff\x9bb").unwrap();
        assert_eq!(writer.to, "a\u{fffd}\u{fffd}b".as_bytes());
    }
}
