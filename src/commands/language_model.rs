//! Talks to the language model on behalf of a command: shows what is sent, asks whether it may be, and waits for the answer.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::ask::{confirm, is_interactive};
use super::progress::ProgressLine;
use super::{Fault, exit, leave, on_signals, print};
use crate::exec::CommandLine;
use crate::library::json;
use crate::llm::{ChatAnswer, ChatProgress, ChatRequest, Client, LlmError};

/// What Ctrl-C does.
#[derive(Clone, Copy)]
enum Phase {
    /// It ends the program, as SIGTERM does.
    Asking,
    /// It interrupts the request, as SIGTERM does.
    Waiting,
    /// It belongs to the editor; SIGTERM ends the program.
    Editing,
}

static PHASE: AtomicU8 = AtomicU8::new(Phase::Asking as u8);
/// Set by a signal while a request is under way.
const INTERRUPTED: u8 = u8::MAX;

/// The file of an answer that is not saved yet.
static UNSAVED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Sets the file of an answer that is not saved yet: a signal that ends the program leaves it, and says where it is.
pub(super) fn set_unsaved(file: Option<&Path>) {
    let mut unsaved = UNSAVED.lock().unwrap_or_else(PoisonError::into_inner);
    *unsaved = file.map(Path::to_owned);
}

fn enter(phase: Phase) {
    PHASE.store(phase as u8, Ordering::Relaxed);
}

/// Shows exactly what is sent, and asks for consent unless it was given (`--yes`); false if it is refused.
pub(super) fn confirm_sending(
    client: &Client,
    chat: &ChatRequest,
    is_confirmed: bool,
) -> Result<bool, Fault> {
    on_signals(&[SIGINT], || {
        if !is_in(Phase::Editing) {
            stop();
        }
    })?;
    on_signals(&[SIGTERM], stop)?;
    show_request(client, chat)?;
    if is_confirmed {
        return Ok(true);
    }
    if !is_interactive() {
        let text = "this sends the text above to the language model; --yes confirms that where nobody can be asked";
        return Err(Fault::usage(text));
    }
    let question = format!("Send this to {}?", client.endpoint().url());
    Ok(confirm(&question, false))
}

fn is_in(phase: Phase) -> bool {
    PHASE.load(Ordering::Relaxed) == phase as u8
}

/// Interrupts the request, or ends the program if there is none.
fn stop() {
    if is_in(Phase::Waiting) {
        PHASE.store(INTERRUPTED, Ordering::Relaxed);
    } else {
        let unsaved = UNSAVED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*unsaved {
            // Below the question that may have been asked.
            print::message("");
            print::message(format_args!(
                "interrupted; the draft is in {}",
                super::shown(file)
            ));
        }
        leave(exit::INTERRUPTED);
    }
}

/// Shows exactly what is sent.
fn show_request(client: &Client, chat: &ChatRequest) -> Result<(), Fault> {
    let endpoint = client.endpoint();
    let place = if endpoint.is_local() {
        "on this machine"
    } else {
        "over the network"
    };
    print::message(format_args!(
        "To {} ({place}), which is sent nothing else:",
        endpoint.url()
    ));
    let body = chat.body(endpoint.model());
    for message in &chat.messages {
        print::message(format_args!("[{}]", message.role));
        message.content.lines().for_each(print::message);
    }
    let rest = body.as_object().into_iter().flatten();
    let rest: serde_json::Map<String, Value> = rest
        .filter(|(key, _)| *key != "messages")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let rest = json::line(&rest).map_err(|error| Fault::output(&error))?;
    print::message(format_args!("[parameters] {rest}"));
    Ok(())
}

/// Waits for the model's answer, which `read` reads. Ctrl-C and SIGTERM interrupt it.
pub(super) fn ask<T>(
    client: &Client,
    chat: &ChatRequest,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<ChatAnswer<T>, LlmError> {
    let progress = ProgressLine::new();
    enter(Phase::Waiting);
    let answer = client.complete(chat, read, &mut |step| {
        match step {
            ChatProgress::Answering => progress.spin("the model writes"),
            ChatProgress::Pausing(left) => {
                let seconds = left.as_secs_f64().ceil();
                progress.spin(&format!("the server is busy; trying again in {seconds} s"));
            }
        }
        if PHASE.load(Ordering::Relaxed) == INTERRUPTED {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    enter(Phase::Asking);
    progress.end();
    answer
}

/// Runs the editor on a file; Ctrl-C is the editor's meanwhile.
pub(super) fn edit(editor: &CommandLine, file: &Path) -> Result<(), Fault> {
    enter(Phase::Editing);
    let status = editor.command_for(file).status();
    enter(Phase::Asking);
    let failed = |reason: String| Fault {
        code: exit::SOME_FAILED,
        message: format!("the editor `{editor}` failed: {reason}"),
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
