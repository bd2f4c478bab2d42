//! Asks the kernel whether a process has a file open for writing.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::settle::{SettleTimes, WriterPresence};

/// Bytes at the end of a file that are looked at: a block of most file systems, which copiers write whole.
const END_BYTES: u64 = 4096;

/// Whether a process has a file open for writing. `is_remote`: whether it is on a file system where those of other machines, which
/// nobody sees, may have it.
pub(super) fn writer_of(path: &Path, is_remote: bool) -> WriterPresence {
    if is_remote {
        WriterPresence::Unknown
    } else {
        query_writer(path)
    }
}

/// Whether a file that was unchanged for `age` when the watch began may have a writer that has paused.
pub(super) fn may_be_written(
    path: &Path,
    is_remote: bool,
    age: Duration,
    times: SettleTimes,
) -> bool {
    match writer_of(path, is_remote) {
        WriterPresence::Present => true,
        WriterPresence::Absent => false,
        WriterPresence::Unknown => {
            age < times.unfilled && age < times.patience(false, || is_filled(path))
        }
    }
}

/// Requests a read lease (fcntl(2), `F_SETLEASE`), which the kernel refuses while the file is open for writing, and releases it
/// at once. Only the file's owner and root may take leases, and only on local file systems.
///
/// A program that opens the file in between waits for those few microseconds, and the kernel sends us SIGIO, which
/// [`ignore_lease_breaks`] makes harmless.
#[cfg(target_os = "linux")]
fn query_writer(path: &Path) -> WriterPresence {
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
fn query_writer(_: &Path) -> WriterPresence {
    WriterPresence::Unknown
}

/// Whether this process may take leases on files of other users: the effective capability CAP_LEASE (capabilities(7)).
pub(super) fn sees_all_writers() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| has_lease_capability(&status))
}

/// Looks for CAP_LEASE in the text of `/proc/PID/status` (proc(5)), where `CapEff` is a mask in hexadecimal digits.
fn has_lease_capability(status: &str) -> bool {
    const CAP_LEASE: u32 = 28;
    let mut masks = status
        .lines()
        .filter_map(|line| line.strip_prefix("CapEff:"));
    let mask = masks
        .next()
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> CAP_LEASE & 1 == 1)
}

/// Whether a file ends in something other than zeros, or is empty; `None` if it cannot be read. A file that got its full size before
/// its content ends in zeros until the last of it is there.
pub(super) fn is_filled(path: &Path) -> Option<bool> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END_BYTES)))?;
        let mut end = Vec::new();
        file.take(END_BYTES).read_to_end(&mut end)?;
        Ok(end)
    };
    let end = read().ok()?;
    Some(end.is_empty() || end.iter().any(|byte| *byte != 0))
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
    fn the_capability_is_read_from_the_effective_set() {
        let status = |mask: &str| format!("Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t{mask}\n");
        assert!(has_lease_capability(&status("000001ffffffffff")));
        assert!(has_lease_capability(&status("0000000010000000")));
        assert!(!has_lease_capability(&status("000001ffefffffff")));
        assert!(!has_lease_capability(&status("0000000000000000")));
        assert!(!has_lease_capability("Name:\tx\n"));
    }

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

    #[test]
    fn a_file_that_got_its_size_first_is_filled_once_its_end_is_there() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.dcm");
        let mut file = std::fs::File::create(&path).unwrap();
        assert_eq!(
            is_filled(&path),
            Some(true),
            "an empty file has no end to wait for"
        );
        file.set_len(20_000).unwrap();
        file.write_all(&[1; 10_000]).unwrap();
        assert_eq!(is_filled(&path), Some(false));
        file.write_all(&[1; 7000]).unwrap();
        assert_eq!(is_filled(&path), Some(true));
        assert_eq!(is_filled(&dir.path().join("none")), None);
        // When a watch begins, where writers cannot be seen.
        let times = SettleTimes::default();
        let is_waited_for = |path: &Path, age| may_be_written(path, true, age, times);
        file.set_len(40_000).unwrap();
        assert!(is_waited_for(&path, times.unfilled.mul_f32(0.9)));
        assert!(!is_waited_for(&path, times.unfilled));
        file.set_len(17_000).unwrap();
        assert!(is_waited_for(&path, times.unsure.mul_f32(0.9)));
        assert!(!is_waited_for(&path, times.unsure));
    }
}
