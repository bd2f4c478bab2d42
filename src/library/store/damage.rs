//! What becomes of a damaged library: it is set aside, and a new one begins with what people said and what was printed, as far as
//! that can be read. All else is computed again.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, Row, params_from_iter};

use super::schema::{self, LibraryError};
use crate::paths;

/// The first bytes of an SQLite database.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// The extensions of a file that is taken for a damaged library if its first bytes are something else.
const DATABASE_EXTENSIONS: [&str; 3] = ["sqlite3", "sqlite", "db"];
/// The tables of what cannot be computed again, each after those that it refers to.
const KEPT_TABLES: [&str; 6] = [
    "contents",
    "provenances",
    "audit",
    "reviews",
    "samples",
    "measurements",
];

/// Renames a damaged library and makes a new one, with what could be read of the old one; `report` is told.
pub(super) fn begin_anew(
    file: &Path,
    reason: &str,
    report: &dyn Fn(String),
) -> Result<Connection, LibraryError> {
    if !is_database(file)? {
        return Err(LibraryError::NotADatabase);
    }
    let aside = set_aside(file)?;
    let new = schema::prepare(file)?;
    let reviews = take_over(&aside, &new)?;
    let kept = match reviews {
        0 => "no review of it can be read".to_owned(),
        1 => "it has the one review that can be read".to_owned(),
        count => format!("it has the {count} reviews that can be read"),
    };
    report(format!(
        "the library {} is damaged ({reason}); it was renamed to {}, and a new one begun: {kept}",
        file.display(),
        aside.display()
    ));
    Ok(new)
}

/// Whether a file was an SQLite database, by its first bytes or, where these are damaged, by its name.
fn is_database(file: &Path) -> io::Result<bool> {
    let mut first = Vec::new();
    std::fs::File::open(file)?
        .take(SQLITE_MAGIC.len() as u64)
        .read_to_end(&mut first)?;
    let extension = file.extension().and_then(|extension| extension.to_str());
    Ok(first == SQLITE_MAGIC || extension.is_some_and(|e| DATABASE_EXTENSIONS.contains(&e)))
}

/// Renames a damaged file, with its journals.
fn set_aside(file: &Path) -> io::Result<PathBuf> {
    // The journals lie beside the target of a link.
    let file = paths::link_target(file);
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
    let named = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = (0..1000)
        .map(|n| match n {
            0 => named(&format!(".damaged-{time}")),
            n => named(&format!(".damaged-{time}-{n}")),
        })
        .find(|path| !path.exists())
        .unwrap_or_else(|| named(".damaged"));
    std::fs::rename(&file, &aside)?;
    for journal in ["-wal", "-shm", "-journal"] {
        let mut name = aside.clone().into_os_string();
        name.push(journal);
        match std::fs::rename(named(journal), name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// Copies the rows that can be read; returns the number of reviews that are in force then.
fn take_over(aside: &Path, new: &Connection) -> rusqlite::Result<i64> {
    let old = Connection::open(aside)?;
    new.execute_batch("BEGIN IMMEDIATE")?;
    for table in KEPT_TABLES {
        if let Err(error) = copy_table(&old, new, table) {
            if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
                return Err(error);
            }
            tracing::debug!("not all of {table} can be read: {error}");
        }
    }
    // Damage within a text does not show in the structure of the file.
    new.execute_batch(
        "DELETE FROM contents WHERE NOT json_valid(facts);
         DELETE FROM reviews WHERE NOT json_valid(labels);
         COMMIT",
    )?;
    let in_force = "SELECT count(*) FROM (SELECT 1 FROM reviews WHERE state = 0 GROUP BY hash, prompts, reviewer)";
    new.query_row(in_force, [], |row| row.get(0))
}

/// Copies the rows of a table from its first on, until one cannot be read, then from its last on.
fn copy_table(old: &Connection, new: &Connection, table: &str) -> rusqlite::Result<()> {
    let known = columns(old, table)?;
    let mut columns = columns(new, table)?;
    columns.retain(|name| known.contains(name));
    let names = columns.join(", ");
    let marks = vec!["?"; columns.len()].join(", ");
    let mut insert = new.prepare(&format!("INSERT INTO {table} ({names}) VALUES ({marks})"))?;
    let mut last = i64::MIN;
    let mut fault = None;
    for order in ["ASC", "DESC"] {
        let sql = format!("SELECT id, {names} FROM {table} WHERE id > ?1 ORDER BY id {order}");
        let mut statement = old.prepare(&sql)?;
        let mut rows = statement.query([last])?;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            };
            if let (Ok(id), Ok(values)) = (row.get(0), values(row, columns.len())) {
                last = if order == "ASC" { id } else { last };
                if let Err(error) = insert.execute(params_from_iter(values))
                    && error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation)
                {
                    return Err(error);
                }
            }
        }
        if fault.is_none() {
            return Ok(());
        }
    }
    fault.map_or(Ok(()), Err)
}

/// The values after a row's number.
fn values(row: &Row, count: usize) -> rusqlite::Result<Vec<Value>> {
    (1..=count).map(|column| row.get(column)).collect()
}

/// The names of a table's columns, `id` among them.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}
