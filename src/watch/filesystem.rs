//! The file system of a folder: whether the kernel sees all its changes.

use std::path::Path;

/// File systems that other machines (or a user process) change without the kernel's knowledge, as `f_type` of statfs(2).
const REMOTE_TYPES: [u32; 16] = [
    0x6969,      // NFS
    0xFF53_4D42, // CIFS
    0x517B,      // SMB
    0xFE53_4D42, // SMB2
    0x6573_5546, // FUSE: sshfs, rclone, gvfs, …
    0x0102_1997, // 9P: shares of virtual machines, WSL
    0x5346_414F, // AFS
    0x6B41_4653, // kAFS
    0x00C3_6400, // Ceph
    0x7375_7245, // Coda
    0x564C,      // NCP
    0x786F_4256, // VirtualBox shares
    0x0BD0_0BD0, // Lustre
    0x4750_4653, // GPFS
    0x1983_0326, // FhGFS, BeeGFS
    0x0116_1970, // GFS2
];
/// FUSE, whose inode numbers often change with each lookup.
const FUSE_TYPE: u32 = 0x6573_5546;

/// The properties of a file system that matter for watching it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FileSystem {
    /// Whether it can change without the kernel's knowledge.
    pub remote: bool,
    /// Whether inode numbers identify files.
    pub inodes: bool,
}

/// Determines the file system of `path`.
pub(super) fn filesystem_of(path: &Path) -> FileSystem {
    // An unknown one is treated as a local disk: events arrive, or the next scan finds the changes.
    rustix::fs::statfs(path).map_or(
        FileSystem {
            remote: false,
            inodes: true,
        },
        |stat| FileSystem::from_type(stat.f_type as u32),
    )
}

/// Whether a file or folder is on a file system that other machines, or a user process, can change.
pub fn is_remote(path: &Path) -> bool {
    filesystem_of(path).remote
}

impl FileSystem {
    /// The properties of an `f_type` of statfs(2).
    fn from_type(magic: u32) -> Self {
        Self {
            remote: REMOTE_TYPES.contains(&magic),
            inodes: magic != FUSE_TYPE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_shares_are_polled_and_disks_are_not() {
        assert!(FileSystem::from_type(0x6969).remote);
        assert!(FileSystem::from_type(0xFF53_4D42).remote);
        assert_eq!(
            FileSystem::from_type(FUSE_TYPE),
            FileSystem {
                remote: true,
                inodes: false
            }
        );
        // ext4, tmpfs, overlay
        for disk in [0xEF53, 0x0102_1994, 0x794C_7630] {
            assert_eq!(
                FileSystem::from_type(disk),
                FileSystem {
                    remote: false,
                    inodes: true
                }
            );
        }
    }
}
