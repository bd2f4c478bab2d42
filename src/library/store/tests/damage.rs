//! Libraries that are damaged, may not be written, or lie on a full disk.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// Bytes of a page.
const PAGE: usize = 16_384;

fn review(hash: &str) -> ReviewRequest {
    ReviewRequest::Store(Box::new(Review {
        content: hash.to_owned(),
        prompts: "general".to_owned(),
        reviewer: "doe".to_owned(),
        path: "/in/a".into(),
        labels: Some(vec!["normal".to_owned()]),
        ..Review::default()
    }))
}

/// A library with reviews and embeddings, at rest.
fn filled(path: &Path) {
    let library = library(path);
    for n in 0..200 {
        put(&library, &format!("blake3:{n}"), 0, "m", n);
    }
    library.flush(LONG);
    for n in 0..3 {
        library.review(&review(&format!("blake3:{n}"))).unwrap();
    }
    drop(library);
    let connection = Connection::open(path).unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(checkpoint, [], |_| Ok(())).unwrap();
}

/// Overwrites the first page of a table or index.
fn damage(path: &Path, name: &str) {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let connection = Connection::open(path).unwrap();
    let page: u32 = connection.query_row(sql, [name], |row| row.get(0)).unwrap();
    let page = page as usize;
    drop(connection);
    let mut bytes = fs::read(path).unwrap();
    bytes[(page - 1) * PAGE..page * PAGE].fill(0xa5);
    fs::write(path, bytes).unwrap();
}

fn set_aside(path: &Path) -> usize {
    let names = fs::read_dir(path.parent().unwrap()).unwrap();
    let is_aside = |name: &str| name.contains(".damaged-") && !name.ends_with("-wal");
    names
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            is_aside(name.to_str().unwrap()) && !name.to_str().unwrap().ends_with("-shm")
        })
        .count()
}

#[test]
fn a_library_found_damaged_when_it_is_written_is_set_aside_and_the_reviews_are_kept() {
    let (_home, path) = file();
    filled(&path);
    damage(&path, "embeddings");
    let library = library(&path);
    let faults = faults(&library);
    put(&library, "blake3:new", 0, "m", 7);
    library.flush(LONG);
    let said = faults.lock().unwrap().join("\n");
    assert!(said.contains("is damaged"), "{said}");
    assert!(said.contains("the 3 reviews that can be read"), "{said}");
    assert_eq!(set_aside(&path), 1);
    let found = library.embedding("blake3:new", 0, "m");
    assert_eq!(found, Some(numbers(7).to_vec()), "it is remembered");
    let again = self::library(&path);
    assert_eq!(again.reviews().unwrap().len(), 3);
    assert_eq!(again.check().unwrap(), Vec::<String>::new());
    let (changes, _) = library.review_changes(ReviewPosition::default()).unwrap();
    assert_eq!(
        changes.reviews.len(),
        3,
        "the open library reads the new file"
    );
}

#[test]
fn damage_that_only_reading_meets_is_found_too() {
    let (_home, path) = file();
    filled(&path);
    damage(&path, "sqlite_autoindex_contents_1");
    let library = library(&path);
    assert_eq!(library.embedding("blake3:1", 0, "m"), None);
    library.flush(LONG);
    assert_eq!(set_aside(&path), 1);
    assert_eq!(library.reviews().unwrap().len(), 3);
}

#[test]
fn a_review_is_stored_though_the_library_is_damaged() {
    let (_home, path) = file();
    filled(&path);
    damage(&path, "reviews");
    let library = library(&path);
    library.review(&review("blake3:9")).unwrap();
    assert_eq!(set_aside(&path), 1);
    assert_eq!(library.reviews().unwrap().len(), 1);
}

#[test]
fn a_damaged_library_is_repaired_on_request_only() {
    let (_home, path) = file();
    filled(&path);
    assert_eq!(library(&path).repair().unwrap(), None);
    assert_eq!(library(&path).quick_check().unwrap(), None);
    damage(&path, "embeddings");
    let library = library(&path);
    assert!(library.quick_check().unwrap().is_some());
    assert!(!library.check().unwrap().is_empty());
    assert_eq!(set_aside(&path), 0);
    let said = library.repair().unwrap().unwrap();
    assert!(said.contains("the 3 reviews that can be read"), "{said}");
    assert_eq!(library.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_library_behind_a_link_is_private_and_is_set_aside_beside_its_target() {
    let (home, link) = file();
    let target = home.path().join("disk/lib.sqlite3");
    for folder in [&link, &target] {
        fs::create_dir(folder.parent().unwrap()).unwrap();
    }
    symlink(&target, &link).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let first = library(&link);
    put(&first, "blake3:1", 0, "m", 1);
    first.flush(LONG);
    assert_eq!(mode(&target), 0o600);
    assert_eq!(mode(&target.with_extension("sqlite3-wal")), 0o600);
    drop(first);
    filled(&link);
    damage(&link, "embeddings");
    assert!(library(&link).repair().unwrap().is_some());
    assert!(link.is_symlink() && target.is_file());
    assert_eq!((set_aside(&link), set_aside(&target)), (0, 1));

    let empty = home.path().join("empty");
    fs::write(&empty, "").unwrap();
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o644)).unwrap();
    library(&empty).review(&review("blake3:1")).unwrap();
    assert_eq!(mode(&empty), 0o600);
}

#[test]
fn a_library_that_may_not_be_written_is_read_without_a_trace() {
    let (_home, path) = file();
    filled(&path);
    let reader = schema::read_only(&path).unwrap();
    let count = "SELECT count(*) FROM embeddings";
    assert_eq!(reader.query_row(count, [], |row| row.get(0)), Ok(200));
    assert!(reader.execute("DELETE FROM embeddings", []).is_err());
    drop(reader);
    // An older one would have to be migrated.
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);
    let error = schema::read_only(&path).unwrap_err();
    assert!(error.to_string().contains("may not be written"), "{error}");
}

#[test]
fn a_full_disk_is_named_whatever_sqlite_calls_it() {
    use rusqlite::ffi;
    let at = |code, file: &str| {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        LibraryError::from(error).at(Path::new(file))
    };
    let home = tempfile::tempdir().unwrap();
    let roomy = home.path().join("lib").display().to_string();
    assert!(at(ffi::SQLITE_FULL, &roomy).is_full_disk());
    assert!(!at(ffi::SQLITE_IOERR_SHMSIZE, &roomy).is_full_disk());
    // A file system that never has space.
    let full = at(ffi::SQLITE_IOERR_SHMSIZE, "/proc/lib");
    assert!(full.is_full_disk(), "{full}");
    assert!(full.to_string().contains("disk is full"));
}
