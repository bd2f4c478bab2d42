//! Asks the kernel whether a process has a file open for writing.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::settle::WriterPresence;

/// Requests a read lease (fcntl(2), `F_SETLEASE`), which the kernel refuses while the file is open for writing, and releases it
/// at once. Only the file's owner and root may take leases, and only on local file systems.
///
/// A program that opens the file in between waits for those few microseconds, and the kernel sends us SIGIO, which
/// [`ignore_lease_breaks`] makes harmless.
#[cfg(target_os = "linux")]
pub(super) fn query_writer(path: &Path) -> WriterPresence {
    // Does not wait for the other end of a pipe, nor for another process's lease.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    let Ok(file) = file else {
        return WriterPresence::Unknown;
    };
    // SAFETY: the descriptor is open, and the command takes an integer argument.
    let lease =
        |kind: libc::c_int| unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    if lease(libc::F_RDLCK) == 0 {
        lease(libc::F_UNLCK);
        return WriterPresence::Absent;
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => WriterPresence::Present,
        _ => WriterPresence::Unknown,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn query_writer(_: &Path) -> WriterPresence {
    WriterPresence::Unknown
}

/// Ignores SIGIO, which a broken lease sends and which would end the process.
pub(super) fn ignore_lease_breaks() {
    #[cfg(target_os = "linux")]
    // SAFETY: nothing else in the process uses this signal.
    unsafe {
        libc::signal(libc::SIGIO, libc::SIG_IGN);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn writers_are_detected_and_readers_are_not() {
        ignore_lease_breaks();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.dcm");
        let written = std::fs::File::create(&path).unwrap();
        assert_eq!(query_writer(&path), WriterPresence::Present);
        drop(written);
        let _read = std::fs::File::open(&path).unwrap();
        assert_eq!(query_writer(&path), WriterPresence::Absent);
        let _appended = OpenOptions::new().append(true).open(&path).unwrap();
        assert_eq!(query_writer(&path), WriterPresence::Present);
        assert_eq!(
            query_writer(&dir.path().join("none")),
            WriterPresence::Unknown
        );
    }
}
