//! The file that `watch` appends its lines to: it belongs to one process, and is left with whole lines.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// An open output file. What is not a regular file (a pipe, a device) has neither a lock nor an end to mend.
#[derive(Debug)]
pub(super) struct LineFile {
    file: File,
    is_regular: bool,
}

impl LineFile {
    /// Opens the end of a file, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// Those of opening it, and [`ErrorKind::ResourceBusy`] if another process writes its lines to it, or if it is a pipe that no process
    /// reads.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = match std::fs::metadata(path) {
            Ok(found) if found.file_type().is_fifo() => {
                let reason = "no process reads this pipe";
                open_pipe(path)?.ok_or(io::Error::new(ErrorKind::ResourceBusy, reason))?
            }
            Ok(found) if !found.is_file() => options.append(true).open(path)?,
            _ => options.create(true).read(true).append(true).open(path)?,
        };
        let is_regular = file.metadata()?.is_file();
        let file = Self { file, is_regular };
        file.lock()?;
        Ok(file)
    }

    /// Reserves the file for this process, until [`Self::unlock`] or the last handle is closed.
    pub(super) fn lock(&self) -> io::Result<()> {
        // File systems without locks go without.
        if self.is_regular
            && flock(&self.file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
        {
            let reason = "another `watch` writes to this file; give each an output of its own";
            return Err(io::Error::new(ErrorKind::ResourceBusy, reason));
        }
        Ok(())
    }

    /// Lets other processes, or another handle of this one, reserve the file.
    pub(super) fn unlock(&self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }

    /// Whether it is a regular file.
    pub(super) fn is_regular(&self) -> bool {
        self.is_regular
    }

    /// The file, to be read or mended.
    pub(super) fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// The metadata as they are now.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Whether the file is still found at its path: not if it was removed, renamed or replaced.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let id = |found: Metadata| (found.dev(), found.ino());
        match std::fs::metadata(path) {
            Ok(found) => self.metadata().is_ok_and(|own| id(own) == id(found)),
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// A writer to its end.
    pub(super) fn writer(&self) -> io::Result<LineFileWriter> {
        Ok(LineFileWriter {
            file: self.file.try_clone()?,
            whole: self.metadata()?.len(),
            added: 0,
            is_regular: self.is_regular,
            has_failed: false,
        })
    }
}

/// Opens a pipe for writing only: it would never be told that its reader has gone if it could read itself. `None` if no process reads it.
fn open_pipe(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    let opened = options
        .append(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    match opened {
        Ok(file) => {
            rustix::io::ioctl_fionbio(&file, false)?;
            Ok(Some(file))
        }
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until a process reads the pipe at `path`, if one is there, and keeps it open for writing; `waits` is called before that. Pipes
/// without a name, to which `/dev/stdout` may lead, can be opened without a reader, and are then broken at once.
pub(super) fn wait_for_reader(path: &Path, waits: impl FnOnce()) -> io::Result<Option<File>> {
    if !std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo()) {
        return Ok(None);
    }
    if let Some(file) = open_pipe(path)? {
        return Ok(Some(file));
    }
    waits();
    OpenOptions::new().append(true).open(path).map(Some)
}

/// Writes lines, which are whole whenever it is flushed. If a write fails (a full disk), what was written since is removed, so that no
/// part of a line stays, and nothing is written any more.
#[derive(Debug)]
pub(super) struct LineFileWriter {
    file: File,
    is_regular: bool,
    /// Length of the file when it was flushed.
    whole: u64,
    /// Bytes written since.
    added: u64,
    has_failed: bool,
}

impl LineFileWriter {
    fn cut(&self) -> io::Result<()> {
        // Not what others have added.
        if self.is_regular && self.file.metadata()?.len() == self.whole + self.added {
            self.file.set_len(self.whole)?;
        }
        Ok(())
    }
}

impl Write for LineFileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_failed {
            return Err(io::Error::other("it could not be written before"));
        }
        let written = self.file.write(bytes);
        match &written {
            Ok(count) => self.added += *count as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => {
                self.has_failed = true;
                // The next start mends what cannot be cut now.
                let _ = self.cut();
            }
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()?;
        if self.is_regular {
            self.whole = self.file.metadata()?.len();
        }
        self.added = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_belongs_to_one_writer_and_is_known_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let first = LineFile::open(&path).unwrap();
        assert_eq!(
            LineFile::open(&path).unwrap_err().kind(),
            ErrorKind::ResourceBusy
        );
        assert!(first.is_at(&path));
        fs::rename(&path, dir.path().join("out.1")).unwrap();
        assert!(!first.is_at(&path), "renamed");
        let second = LineFile::open(&path).unwrap();
        assert!(!first.is_at(&path), "replaced");
        second.unlock();
        assert!(LineFile::open(&path).is_ok());
        let device = LineFile::open("/dev/null".as_ref()).unwrap();
        assert!(!device.is_regular() && LineFile::open("/dev/null".as_ref()).is_ok());
    }

    #[test]
    fn a_pipe_is_broken_once_its_reader_has_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let error = LineFile::open(&path).unwrap_err();
        assert!(error.to_string().contains("no process reads"), "{error}");
        let mut options = File::options();
        let reader = options.read(true).custom_flags(libc::O_NONBLOCK);
        let reader = reader.open(&path).unwrap();
        let held = wait_for_reader(&path, || panic!("a process reads it")).unwrap();
        assert!(held.is_some());
        let file = LineFile::open(&path).unwrap();
        assert!(file.is_at(&path) && !file.is_regular());
        let mut writer = file.writer().unwrap();
        writer.write_all(b"one\n").unwrap();
        drop(reader);
        let broken = writer.write_all(b"two\n").unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_pipe_without_a_name_is_broken_like_others_and_never_waited_for() {
        let (reader, writer) = io::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let path = Path::new(&path);
        let waits = || panic!("nobody ever comes");
        drop(reader);
        let held = wait_for_reader(path, waits).unwrap();
        assert!(held.is_some());
        let mut lines = LineFile::open(path).unwrap().writer().unwrap();
        let broken = lines.write_all(b"one\n").unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_was_written_since_the_last_flush_is_cut_unless_others_have_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let file = LineFile::open(&path).unwrap();
        let mut writer = file.writer().unwrap();
        writer.write_all(b"one\n").unwrap();
        writer.flush().unwrap();
        writer.write_all(b"tw").unwrap();
        writer.cut().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        let mut others = File::options().append(true).open(&path).unwrap();
        others.write_all(b"two\nthree\n").unwrap();
        writer.cut().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    }
}
