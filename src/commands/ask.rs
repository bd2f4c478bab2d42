//! Questions to the user, if there is one.

use std::io::{self, BufRead, IsTerminal, Write};

/// Whether somebody can answer a question.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question that is answered by yes or no; anything but yes or, by default, Enter means no.
pub(super) fn confirm(question: &str, default: bool) -> bool {
    let choices = if default { "[Y/n]" } else { "[y/N]" };
    let text = crate::media::printable(question.chars());
    // There is nowhere to report that stderr cannot be written.
    let _ = write!(io::stderr().lock(), "{text} {choices} ");
    let _ = io::stderr().lock().flush();
    let mut answer = String::new();
    if io::stdin().lock().read_line(&mut answer).is_err() {
        return false;
    }
    match answer.trim().to_lowercase().as_str() {
        // The end of the input is no answer.
        "" => default && answer.ends_with('\n'),
        "y" | "yes" => true,
        _ => false,
    }
}
