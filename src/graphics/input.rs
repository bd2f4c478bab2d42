//! What is typed, as a stream: without late replies of the terminal, and with an end when the terminal is gone.
//!
//! crossterm's `EventStream` is bypassed: once the terminal has gone it reads without end, on the thread that would have to
//! see to it. Here that is a thread of its own, beside one that waits for the end.

use std::io;
use std::thread;

use crossterm::event::{Event, KeyEvent};
use futures::{Stream, StreamExt, stream};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc::unbounded_channel;

use super::probe::StrayReplies;
use super::restore;
use super::terminal::bounded;

/// Keys that came while the terminal was probed, then all that is typed. An error comes once the terminal is gone; `gone` is
/// called before.
pub fn input(
    early: Vec<KeyEvent>,
    gone: impl FnOnce() + Send + 'static,
) -> io::Result<impl Stream<Item = io::Result<Event>> + Unpin> {
    let (sender, mut typed) = unbounded_channel();
    let ended = sender.clone();
    spawn("input", move || while sender.send(next_event()).is_ok() {})?;
    spawn("hangup", move || {
        if wait_for_hangup() {
            gone();
            let _ = ended.send(Err(io::ErrorKind::BrokenPipe.into()));
        }
    })?;
    let early = stream::iter(early.into_iter().map(|key| Ok(Event::Key(key))));
    let mut replies = StrayReplies::default();
    let typed = stream::poll_fn(move |context| typed.poll_recv(context));
    let typed = typed.filter(move |event: &io::Result<Event>| {
        let reply = event.as_ref().is_ok_and(|event| replies.contains(event));
        std::future::ready(!reply)
    });
    Ok(early.chain(typed))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.into());
    thread.spawn(work).map(drop)
}

/// The next event; of sizes only what is drawn.
fn next_event() -> io::Result<Event> {
    Ok(match crossterm::event::read()? {
        Event::Resize(cols, rows) => {
            let (cols, rows) = bounded(cols, rows);
            Event::Resize(cols, rows)
        }
        other => other,
    })
}

/// Returns once the terminal is gone; false when that cannot be known.
fn wait_for_hangup() -> bool {
    let terminal = restore::descriptors();
    loop {
        // Nothing is asked for: a hang-up is told in any case.
        let mut waiting = terminal
            .each_ref()
            .map(|end| PollFd::new(end, PollFlags::empty()));
        match poll(&mut waiting, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return true,
        }
    }
}
