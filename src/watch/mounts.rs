//! Notices file systems mounted or unmounted in the watched tree. Existing watches stay on the covered folders, and get no
//! event about this from the kernel.

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

use super::events::WatchMessage;

const MOUNT_TABLE: &str = "/proc/self/mountinfo";
/// How often the thread checks whether it is to stop.
const STOP_CHECK_INTERVAL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// Starts a thread that sends [`WatchMessage::Mounts`] whenever the mounts on, below or above `root` change, until `stopped`.
/// Does nothing on systems without [`MOUNT_TABLE`].
pub(super) fn watch_mounts(root: PathBuf, wake: Sender<WatchMessage>, stopped: Arc<AtomicBool>) {
    let Ok(mut table) = File::open(MOUNT_TABLE) else {
        return;
    };
    let thread = std::thread::Builder::new().name("mounts".into());
    let started = thread.spawn(move || {
        let mut before = read_mounts(&mut table, &root);
        while !stopped.load(Ordering::Relaxed) {
            // A change is an exceptional condition of the table (proc(5)).
            let mut fds = [PollFd::new(&table, PollFlags::PRI)];
            match poll(&mut fds, Some(&STOP_CHECK_INTERVAL)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(_) => return,
            }
            let now = read_mounts(&mut table, &root);
            if now.is_some() && now != before {
                before = now;
                if wake.send(WatchMessage::Mounts).is_err() {
                    return;
                }
            }
        }
    });
    if let Err(error) = started {
        tracing::warn!("mounts are not watched: {error}");
    }
}

fn read_mounts(table: &mut File, root: &Path) -> Option<BTreeSet<Mount>> {
    let mut text = Vec::new();
    table.rewind().ok()?;
    table.read_to_end(&mut text).ok()?;
    Some(mounts_around(&text, root))
}

/// File systems whose server, or process, may not answer, as mountinfo names them; all of FUSE besides.
const REMOTE_NAMES: [&str; 17] = [
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "autofs", "ceph", "coda", "ncpfs",
    "vboxsf", "lustre", "gpfs", "beegfs", "gfs2", "fuse",
];

/// Which parts of the folder tree are remote. Asking this of the mount table waits for no server, as statfs(2) may.
#[derive(Clone, Debug, Default)]
pub struct RemoteMounts(Vec<(PathBuf, bool)>);

impl RemoteMounts {
    /// The mounts as they are now; none on systems without a table.
    pub fn read() -> Self {
        Self::parse(&std::fs::read(MOUNT_TABLE).unwrap_or_default())
    }

    /// Parses a table (proc(5)).
    pub fn parse(table: &[u8]) -> Self {
        let lines = table.split(|&byte| byte == b'\n');
        let mounts = lines.filter_map(|line| {
            let mut fields = line.split(|&byte| byte == b' ');
            let point = unescaped(fields.nth(4)?);
            // Optional fields come before it.
            let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
            let kind = std::str::from_utf8(kind).ok()?;
            Some((
                point,
                REMOTE_NAMES.contains(&kind) || kind.starts_with("fuse."),
            ))
        });
        Self(mounts.collect())
    }

    /// Whether an absolute path without links lies on a remote file system.
    pub fn contain(&self, path: &Path) -> bool {
        let above = self.0.iter().filter(|(point, _)| path.starts_with(point));
        // Of mounts at the same place, the last one covers the others.
        let own = above.max_by_key(|(point, _)| point.as_os_str().len());
        own.is_some_and(|(_, is_remote)| *is_remote)
    }
}

/// The id of a mount, and its mount point.
type Mount = (Vec<u8>, PathBuf);

/// The mounts on, below or above `root`.
fn mounts_around(table: &[u8], root: &Path) -> BTreeSet<Mount> {
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

/// Unescapes a path of the table, in which blanks and backslashes are `\` and three octal digits (proc(5)).
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
    fn the_mount_table_says_what_is_remote() {
        let table = b"22 1 0:20 / / rw - ext4 /dev/a rw\n\
            30 22 0:30 / /mnt/the\\040share rw,relatime shared:5 master:1 - nfs4 a:/b rw\n\
            31 30 0:31 / /mnt/the\\040share/disk rw - xfs none rw\n\
            32 22 0:32 / /mnt/ssh rw - fuse.sshfs a:/ rw\n\
            33 22 0:33 / /mnt/over rw - ext4 /dev/b rw\n\
            34 33 0:34 / /mnt/over rw - cifs //a/b rw\n\
            cut\n";
        let mounts = RemoteMounts::parse(table);
        for remote in [
            "/mnt/the share/a.png",
            "/mnt/ssh/x/a.png",
            "/mnt/over/a.png",
        ] {
            assert!(mounts.contain(Path::new(remote)), "{remote}");
        }
        for local in [
            "/a.png",
            "/mnt/the share/disk/a.png",
            "/mnt/the sharer",
            "/mnt/a",
        ] {
            assert!(!mounts.contain(Path::new(local)), "{local}");
        }
        assert!(!RemoteMounts::read().contain(Path::new("/proc/self")));
    }

    #[test]
    fn mounts_on_below_and_above_the_tree_are_found() {
        let table = b"22 1 0:20 / / rw - ext4 /dev/a rw\n\
            30 22 0:30 / /data rw - nfs a:/b rw\n\
            31 30 0:31 / /data/in\\040coming/new rw shared:5 - tmpfs none rw\n\
            32 30 0:32 / /data/other rw - tmpfs none rw\n\
            cut\n";
        let mounts = mounts_around(table, Path::new("/data/in coming"));
        let points: Vec<&Path> = mounts.iter().map(|(_, point)| point.as_path()).collect();
        assert_eq!(points, ["/", "/data", "/data/in coming/new"].map(Path::new));
        let again = mounts_around(
            &[&table[..], b"40 30 0:9 / /data rw - ext4 b rw"].concat(),
            Path::new("/data/in coming"),
        );
        assert_ne!(mounts, again, "another one is mounted over it");
    }
}
