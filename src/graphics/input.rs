//! Terminal input as a stream: without late replies from the terminal, and with an end when the terminal is gone.
//!
//! crossterm's `EventStream` is bypassed: once the terminal is gone it reads in an endless loop, on the thread that would have
//! to notice. Here reading has its own thread, beside one that waits for the hang-up.

use std::io;
use std::thread;

use crossterm::event::{Event, KeyEvent};
use futures::{Stream, StreamExt, stream};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc::unbounded_channel;

use super::gate::InputGate;
use super::probe::StrayReplies;
use super::restore;
use super::terminal::bounded_size;

/// Starts reading the terminal. The stream yields the `early` keys (pressed while the terminal was probed), then all input.
/// While `gate` is closed, nothing is read. Once the terminal is gone, `on_hangup` is called and the stream yields an error.
pub fn input(
    early: Vec<KeyEvent>,
    gate: InputGate,
    on_hangup: impl FnOnce() + Send + 'static,
) -> io::Result<impl Stream<Item = io::Result<Event>> + Unpin> {
    let (sender, mut events) = unbounded_channel();
    let hangup = sender.clone();
    spawn("input", move || {
        gate.pass();
        while sender.send(next_event()).is_ok() {
            gate.pass();
        }
    })?;
    spawn("hangup", move || {
        if wait_for_hangup() {
            on_hangup();
            let _ = hangup.send(Err(io::ErrorKind::BrokenPipe.into()));
        }
    })?;
    let early = stream::iter(early.into_iter().map(|key| Ok(Event::Key(key))));
    let mut replies = StrayReplies::default();
    let events = stream::poll_fn(move |context| events.poll_recv(context));
    let events = events.filter(move |event: &io::Result<Event>| {
        let reply = event.as_ref().is_ok_and(|event| replies.contains(event));
        std::future::ready(!reply)
    });
    Ok(early.chain(events))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.into());
    thread.spawn(work).map(drop)
}

/// Reads the next event; sizes are bounded to what is drawn.
fn next_event() -> io::Result<Event> {
    Ok(match crossterm::event::read()? {
        Event::Resize(cols, rows) => {
            let (cols, rows) = bounded_size(cols, rows);
            Event::Resize(cols, rows)
        }
        other => other,
    })
}

/// Blocks until the terminal is gone; false if polling failed, so that this cannot be known.
fn wait_for_hangup() -> bool {
    let terminal = restore::descriptors();
    loop {
        // No events are requested: poll reports a hang-up in any case.
        let mut polled = terminal
            .each_ref()
            .map(|descriptor| PollFd::new(descriptor, PollFlags::empty()));
        match poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return true,
        }
    }
}
