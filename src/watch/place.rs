//! Where a folder lies: on a disk whose changes the kernel sees, or elsewhere.

use std::path::Path;

/// File systems that other machines (or a process of the user) change behind the kernel's back, by `f_type` of
/// statfs(2).
const REMOTE: [u32; 16] = [
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
/// FUSE again: its inode numbers are often made up anew at each look.
const FUSE: u32 = 0x6573_5546;

/// What is to be known of a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The kernel does not see all changes.
    pub remote: bool,
    /// Inode numbers name files.
    pub inodes: bool,
}

/// Looks at the file system that holds `path`.
pub(super) fn place(path: &Path) -> Place {
    // Unknown is taken for a disk: signs come, or the scan finds less; nothing breaks.
    rustix::fs::statfs(path).map_or(
        Place {
            remote: false,
            inodes: true,
        },
        |stat| of(stat.f_type as u32),
    )
}

fn of(magic: u32) -> Place {
    Place {
        remote: REMOTE.contains(&magic),
        inodes: magic != FUSE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_shares_are_polled_and_disks_are_not() {
        assert!(of(0x6969).remote);
        assert!(of(0xFF53_4D42).remote);
        assert_eq!(
            of(FUSE),
            Place {
                remote: true,
                inodes: false
            }
        );
        // ext4, tmpfs, overlay
        for disk in [0xEF53, 0x0102_1994, 0x794C_7630] {
            assert_eq!(
                of(disk),
                Place {
                    remote: false,
                    inodes: true
                }
            );
        }
    }
}
