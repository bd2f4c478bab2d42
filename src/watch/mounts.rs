//! File systems that are mounted or unmounted in the watched tree. The watches lie on what was there before, and the
//! kernel says nothing to them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::signs::Signal;

const TABLE: &str = "/proc/self/mountinfo";
/// How often the thread looks whether it is still wanted.
const STOP_POLL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// Sends [`Signal::Mounts`] whenever what is mounted on, below or above `root` changes, until `stopped`. Where the
/// system has no such table, nothing is sent.
pub(super) fn follow(root: PathBuf, wake: Sender<Signal>, stopped: Arc<AtomicBool>) {
    let Ok(mut table) = File::open(TABLE) else {
        return;
    };
    let thread = std::thread::Builder::new().name("mounts".into());
    let started = thread.spawn(move || {
        let mut before = read(&mut table, &root);
        while !stopped.load(Ordering::Relaxed) {
            // proc(5): a change makes the table ready for exceptional conditions.
            let mut fds = [PollFd::new(&table, PollFlags::PRI)];
            match poll(&mut fds, Some(&STOP_POLL)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => return,
            }
            let now = read(&mut table, &root);
            if now.is_some() && now != before {
                before = now;
                if wake.send(Signal::Mounts).is_err() {
                    return;
                }
            }
        }
    });
    if let Err(error) = started {
        tracing::warn!("mounts are not followed: {error}");
    }
}

fn read(table: &mut File, root: &Path) -> Option<BTreeSet<Mount>> {
    let mut text = Vec::new();
    table.rewind().ok()?;
    table.read_to_end(&mut text).ok()?;
    Some(concerning(&text, root))
}

/// A mount's number, and where it lies.
type Mount = (Vec<u8>, PathBuf);

/// The mounts of a table that concern the tree at `root`.
fn concerning(table: &[u8], root: &Path) -> BTreeSet<Mount> {
    let lines = table.split(|&byte| byte == b'\n');
    let mounts = lines.filter_map(|line| {
        let mut fields = line.split(|&byte| byte == b' ');
        let (number, point) = (fields.next()?, fields.nth(3)?);
        Some((number.to_vec(), unescaped(point)))
    });
    mounts
        .filter(|(_, point)| point.starts_with(root) || root.starts_with(point))
        .collect()
}

/// A path of the table, in which blanks and backslashes are three octal digits (proc(5)).
fn unescaped(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail
            .get(..3)
            .filter(|digits| byte == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        if let Some(digits) = digits {
            let value = |sum: u32, digit: &u8| sum * 8 + u32::from(digit - b'0');
            path.push(digits.iter().fold(0, value) as u8);
            rest = &tail[3..];
        } else {
            path.push(byte);
            rest = tail;
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_on_below_and_above_the_tree_concern_it() {
        let table = b"22 1 0:20 / / rw - ext4 /dev/a rw\n\
            30 22 0:30 / /data rw - nfs a:/b rw\n\
            31 30 0:31 / /data/in\\040coming/new rw shared:5 - tmpfs none rw\n\
            32 30 0:32 / /data/other rw - tmpfs none rw\n\
            cut\n";
        let mounts = concerning(table, Path::new("/data/in coming"));
        let points: Vec<&Path> = mounts.iter().map(|(_, point)| point.as_path()).collect();
        assert_eq!(points, ["/", "/data", "/data/in coming/new"].map(Path::new));
        let again = concerning(
            &[&table[..], b"40 30 0:9 / /data rw - ext4 b rw"].concat(),
            Path::new("/data/in coming"),
        );
        assert_ne!(mounts, again, "another one over it");
    }
}
