//! Translates [`notify`]'s events to those of the settle machine.

use notify::event::{AccessKind, AccessMode, CreateKind, Flag, ModifyKind, RemoveKind, RenameMode};
use notify::{ErrorKind, Event, EventKind};

use super::settle::FsEvent;

/// A message to the watch's thread.
#[derive(Debug)]
pub(super) enum WatchMessage {
    /// An event from the kernel.
    Event(Result<Event, notify::Error>),
    /// File systems were mounted or unmounted in the tree.
    Mounts,
    /// The thread is to end.
    Stop,
}

/// What a kernel event means for the watch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interpretation {
    /// An event at one path.
    Event(FsEvent),
    /// Events were lost, so that the tree has to be scanned.
    EventsLost,
    /// The kernel's limit on watches is reached.
    WatchesExhausted,
    /// Nothing that matters.
    Ignored,
}

/// Interprets an event of [`notify`].
pub(super) fn interpret(event: Result<Event, notify::Error>) -> Interpretation {
    let event = match event {
        Ok(event) => event,
        Err(error) if is_exhaustion(&error) => return Interpretation::WatchesExhausted,
        Err(_) => return Interpretation::EventsLost,
    };
    if event.flag() == Some(Flag::Rescan) {
        return Interpretation::EventsLost;
    }
    let tracker = event.tracker();
    let Some(path) = event.paths.into_iter().next() else {
        return Interpretation::Ignored;
    };
    Interpretation::Event(match event.kind {
        EventKind::Create(CreateKind::Folder) => FsEvent::Folder(path),
        EventKind::Create(_) => FsEvent::Created(path),
        EventKind::Access(AccessKind::Open(_)) => FsEvent::Opened(path),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => FsEvent::Closed(path),
        EventKind::Modify(ModifyKind::Data(_)) => FsEvent::Written(path),
        EventKind::Modify(ModifyKind::Metadata(_)) => FsEvent::Touched(path),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) if tracker.is_some() => {
            FsEvent::Left { path, tracker }
        }
        // A folder's own event about its move. Its parent's came first and said more; only the watched folder has no parent.
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => FsEvent::Gone(path),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => FsEvent::Arrived {
            path,
            tracker,
            folder: false,
        },
        EventKind::Remove(RemoveKind::File | RemoveKind::Folder | RemoveKind::Other) => {
            FsEvent::Gone(path)
        }
        _ => return Interpretation::Ignored,
    })
}

/// Whether the limit on watches (`ENOSPC`) or on instances (`EMFILE`) is reached.
pub(super) fn is_exhaustion(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(io) => matches!(
            io.raw_os_error(),
            Some(libc::ENOSPC | libc::EMFILE | libc::ENFILE | libc::ENOMEM)
        ),
        _ => false,
    }
}
