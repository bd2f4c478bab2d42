//! Whether somebody has a file open for writing, by what the kernel knows.

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::settle::Writer;

/// Asks the kernel for a read lease (fcntl(2), `F_SETLEASE`), which it refuses while the file is open for writing, and
/// gives it back at once. Leases are for the file's owner and for root, on local file systems.
///
/// A program that opens the file in between waits for those few microseconds, and the kernel tells us by SIGIO, which
/// [`ignore_lease_breaks`] makes harmless.
#[cfg(target_os = "linux")]
pub(super) fn writer(path: &Path) -> Writer {
    // Never waits for the other end of a pipe, nor for somebody else's lease.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    let Ok(file) = file else {
        return Writer::Unknown;
    };
    // SAFETY: an open descriptor, and a command with a number as its argument.
    let lease =
        |kind: libc::c_int| unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    if lease(libc::F_RDLCK) == 0 {
        lease(libc::F_UNLCK);
        return Writer::Absent;
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Writer::Present,
        _ => Writer::Unknown,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn writer(_: &Path) -> Writer {
    Writer::Unknown
}

/// Keeps the signal that a broken lease sends from ending the process.
pub(super) fn ignore_lease_breaks() {
    #[cfg(target_os = "linux")]
    // SAFETY: nothing in the process handles this signal.
    unsafe {
        libc::signal(libc::SIGIO, libc::SIG_IGN);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn who_writes_is_seen_and_who_reads_is_not() {
        ignore_lease_breaks();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.dcm");
        let written = std::fs::File::create(&path).unwrap();
        assert_eq!(writer(&path), Writer::Present);
        drop(written);
        let _read = std::fs::File::open(&path).unwrap();
        assert_eq!(writer(&path), Writer::Absent);
        let _appended = OpenOptions::new().append(true).open(&path).unwrap();
        assert_eq!(writer(&path), Writer::Present);
        assert_eq!(writer(&dir.path().join("none")), Writer::Unknown);
    }
}
