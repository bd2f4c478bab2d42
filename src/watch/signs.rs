//! The kernel's words, as [`notify`] passes them on, in ours.

use notify::event::{AccessKind, AccessMode, CreateKind, Flag, ModifyKind, RemoveKind, RenameMode};
use notify::{ErrorKind, Event, EventKind};

use super::settle::Sign;

/// What reaches the watch's thread.
#[derive(Debug)]
pub(super) enum Signal {
    /// From the kernel.
    Event(Result<Event, notify::Error>),
    /// File systems were mounted or unmounted in the tree.
    Mounts,
    /// Time to end.
    Stop,
}

/// What an event means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Something about one path.
    Sign(Sign),
    /// Signs were lost: only reading the tree tells.
    Lost,
    /// The kernel grants no more watches.
    Exhausted,
    /// Of no interest.
    Nothing,
}

pub(super) fn meaning(event: Result<Event, notify::Error>) -> Meaning {
    let event = match event {
        Ok(event) => event,
        Err(error) if is_exhaustion(&error) => return Meaning::Exhausted,
        Err(_) => return Meaning::Lost,
    };
    if event.flag() == Some(Flag::Rescan) {
        return Meaning::Lost;
    }
    let tracker = event.tracker();
    let Some(path) = event.paths.into_iter().next() else {
        return Meaning::Nothing;
    };
    Meaning::Sign(match event.kind {
        EventKind::Create(CreateKind::Folder) => Sign::Folder(path),
        EventKind::Create(_) => Sign::Created(path),
        EventKind::Access(AccessKind::Open(_)) => Sign::Opened(path),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Sign::Closed(path),
        EventKind::Modify(ModifyKind::Data(_)) => Sign::Written(path),
        EventKind::Modify(ModifyKind::Metadata(_)) => Sign::Touched(path),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) if tracker.is_some() => {
            Sign::Left { path, tracker }
        }
        // A folder's own word on its move. Its parent has told more before; only the watched folder has no parent.
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Sign::Gone(path),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Sign::Arrived {
            path,
            tracker,
            folder: false,
        },
        EventKind::Remove(RemoveKind::File | RemoveKind::Folder | RemoveKind::Other) => {
            Sign::Gone(path)
        }
        _ => return Meaning::Nothing,
    })
}

/// The limit on watches (`ENOSPC`) or on instances (`EMFILE`) is reached.
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
