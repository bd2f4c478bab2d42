use super::*;

fn dicom_files() -> Vec<std::path::PathBuf> {
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/media"
    ))];
    if let Some(corpus) = std::env::var_os("MEDIVISION_CORPUS") {
        folders.push(std::path::PathBuf::from(corpus).join("dicom"));
    }
    let files = folders.iter().flat_map(|folder| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path())
    });
    files.filter(|path| path.is_file()).collect()
}

/// Nothing may depend on whether the pixels are in memory or still in the file.
#[test]
fn a_file_left_on_disk_gives_the_same_frames() {
    let mut partial = 0;
    for path in dicom_files() {
        let (whole, lazy) = (open(&path), open_with(&path, 0, 300));
        let (whole, lazy) = match (whole, lazy) {
            (Ok(whole), Ok(lazy)) => (whole, lazy),
            (whole, lazy) => {
                assert_eq!(whole.err(), lazy.err(), "{}", path.display());
                continue;
            }
        };
        assert_eq!(whole.info(), lazy.info(), "{}", path.display());
        assert_eq!(whole.content(), lazy.content(), "{}", path.display());
        if let FileDecoder::Dicom(object) = &lazy.decoder {
            partial += usize::from(object.is_partial());
        }
        for frame in 0..whole.info().frames.min(4) {
            let options = DecodeOptions {
                frame,
                ..DecodeOptions::default()
            };
            assert!(
                whole.load(&options) == lazy.load(&options),
                "{} frame {frame}",
                path.display()
            );
        }
    }
    assert!(partial > 10, "{partial} files were left on disk");
}

#[test]
fn a_file_that_shrinks_while_it_is_open_is_truncated() {
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/media/grey_native.dcm"
    );
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("shrinks.dcm");
    std::fs::copy(fixture, &path).expect("a copy");
    let source = open_with(&path, 0, 300).expect("a source");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("the file");
    file.set_len(700).expect("a shorter file");
    let kind = |error: MediaError| error.kind;
    let truncated = Some(ErrorKind::Truncated);
    assert_eq!(source.frame(0).err().map(kind), truncated);
    assert_eq!(source.content().err().map(kind), truncated);
}

#[test]
fn a_frame_beyond_the_last_is_not_found() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/media/grey.jpg"
    );
    let source = open(Path::new(path)).expect("a source");
    assert!(matches!(source.frame(0), Ok(Frame::Grey(_))));
    assert_eq!(
        source.frame(1).err().map(|e| e.kind),
        Some(ErrorKind::NotFound)
    );
    assert_eq!(source.geometry(0), Geometry::default());
    assert_eq!(source.overlays(0), []);
}

/// Only the beginning of a file that is not an image is read. This file is sparse: it takes no room on disk.
#[test]
fn a_large_file_of_another_kind_is_not_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("notes.txt");
    let file = std::fs::File::create(&path).expect("a file");
    file.set_len(1 << 40).expect("a hole");
    assert!(
        open(&path)
            .err()
            .is_some_and(|error| !error.content.is_image())
    );
    let begins = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let file = std::fs::OpenOptions::new().write(true).open(&path);
        file.expect("the file").set_len(1 << 40).expect("a hole");
        open(&path).err().map(|error| error.kind)
    };
    let too_large = Some(ErrorKind::TooLarge);
    assert_eq!(begins("a.png", b"\x89PNG\r\n\x1a\n"), too_large);
    assert_eq!(begins("a.jpg", b"\xff\xd8\xff\xe0"), too_large);
    let mut dicom = vec![0; 132];
    dicom[128..].copy_from_slice(b"DICM");
    assert_eq!(begins("a.dcm", &dicom), too_large);
}

#[test]
fn more_attributes_before_the_pixels_than_are_read_are_too_large() {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("long.dcm");
    let mut file = std::fs::File::create(&path).expect("a file");
    let length: u32 = 65 << 20;
    let meta = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0";
    let private = [&b"\x09\0\x01\x10OB\0\0"[..], &length.to_le_bytes()].concat();
    let start = [&[0; 128][..], b"DICM", meta, &private].concat();
    file.write_all(&start).expect("written");
    file.seek(SeekFrom::Current(i64::from(length)))
        .expect("a gap");
    file.write_all(b"\x28\0\x10\0US\x02\0\x01\0")
        .expect("written");
    let error = open(&path).err().expect("refused");
    assert_eq!(error.kind, ErrorKind::TooLarge, "{}", error.message);
}
