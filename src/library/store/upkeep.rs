//! What `library` and `doctor` do with the file: its state, checks, copies, and forgetting.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::schema::{self, LibraryError, journal_mode};
use super::{ImageFacts, Library, damage, lines, results, reviews, writer};

/// The state of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LibraryState {
    /// Bytes of the file.
    pub bytes: u64,
    /// How changes are journaled: `WAL`, or `DELETE` on network shares.
    pub journal: &'static str,
    /// Files whose content is known.
    pub files: i64,
    /// Contents, each of one file or of several copies.
    pub contents: i64,
    /// Embeddings.
    pub embeddings: i64,
    /// Results, each of a frame under a model and a prompt set.
    pub results: i64,
    /// Reviews, one per image, prompt set and reviewer.
    pub reviews: i64,
    /// Entries of the audit.
    pub audit: i64,
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Contents.
    pub contents: usize,
    /// Files that had these contents.
    pub files: usize,
    /// Embeddings.
    pub embeddings: usize,
}

impl Library {
    /// A connection for upkeep. Unlike for classifying, a damaged file is an error, and stays where it is.
    pub(super) fn connection(&self) -> Result<Connection, LibraryError> {
        schema::prepare(&self.file).map_err(|error| error.at(&self.file))
    }

    /// A connection for reading, also a file that may not be written.
    pub(super) fn reader(&self) -> Result<Connection, LibraryError> {
        match self.connection() {
            Err(error) if error.denies_writing() && self.file.exists() => {
                schema::read_only(&self.file)
            }
            opened => opened,
        }
    }

    /// Fails if the file is not a library, or damaged.
    ///
    /// # Errors
    ///
    /// See above.
    pub fn check_usable(&self) -> Result<(), LibraryError> {
        self.reader().map(drop)
    }

    /// The state; `None` if the file does not exist yet.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn state(&self) -> Result<Option<LibraryState>, LibraryError> {
        if !self.file.exists() {
            return Ok(None);
        }
        let connection = self.reader()?;
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            connection.query_row(&sql, [], |row| row.get(0))
        };
        Ok(Some(LibraryState {
            bytes: std::fs::metadata(&self.file)?.len(),
            journal: journal_mode(&self.file),
            files: count("files")?,
            contents: count("contents")?,
            embeddings: count("embeddings")? + count("taken_over")?,
            results: count("results")?,
            reviews: count(
                "(SELECT 1 FROM reviews WHERE state = 0 GROUP BY hash, prompts, reviewer)",
            )?,
            audit: count("audit")?,
        }))
    }

    /// The faults of the file, one sentence each; none if it is sound.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read at all.
    pub fn check(&self) -> Result<Vec<String>, LibraryError> {
        self.checked_by("PRAGMA integrity_check")
    }

    /// The first fault of the file that is found without comparing its indices to its tables.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read at all.
    pub fn quick_check(&self) -> Result<Option<String>, LibraryError> {
        let faults = self.checked_by("PRAGMA quick_check(1)")?;
        Ok(faults.into_iter().next())
    }

    fn checked_by(&self, pragma: &str) -> Result<Vec<String>, LibraryError> {
        let connection = self.reader()?;
        let faults = || {
            let mut statement = connection.prepare(pragma)?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let mut faults = match faults() {
            Err(error) if schema::is_damage(&error) => vec![error.to_string()],
            faults => faults?,
        };
        faults.retain(|fault| fault != "ok");
        // Of several lines each, for SQLite.
        Ok(faults
            .iter()
            .map(|fault| fault.replace('\n', "; "))
            .collect())
    }

    /// Sets a damaged file aside, and makes a new one with the reviews, measurements and audit that can be read. Says so in a
    /// sentence; `None` if the file is sound.
    ///
    /// # Errors
    ///
    /// Fails if the file is none of this program, or cannot be renamed, or there is no room for a new one.
    pub fn repair(&self) -> Result<Option<String>, LibraryError> {
        let reason = match self.check() {
            Ok(faults) => faults.into_iter().next(),
            Err(error) if error.is_damage() => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        let Some(reason) = reason else {
            return Ok(None);
        };
        let said = std::cell::Cell::default();
        damage::begin_anew(&self.file, &reason, &|sentence| said.set(sentence))?;
        Ok(Some(said.take()))
    }

    /// Gives the space of what was removed back to the disk.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or there is no room for a second copy of it.
    pub fn vacuum(&self) -> Result<(), LibraryError> {
        self.connection()?.execute_batch("VACUUM")?;
        Ok(())
    }

    /// Writes a consistent copy to a file that does not exist, while others may use the library.
    ///
    /// # Errors
    ///
    /// Fails if the file exists, or cannot be written.
    pub fn backup(&self, to: &Path) -> Result<(), LibraryError> {
        let connection = self.reader()?;
        let name = to.to_str().ok_or_else(|| {
            let reason = "the name of a copy has to be UTF-8 text";
            io::Error::new(io::ErrorKind::InvalidInput, reason)
        })?;
        // SQLite accepts an empty file, which has the right permissions.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)?;
        let copied = connection.execute("VACUUM INTO ?1", [name]);
        if copied.is_err() {
            let _ = std::fs::remove_file(to);
        }
        copied?;
        Ok(())
    }

    /// Forgets the contents seen at a path, or below it, with every other name and every embedding that they have.
    ///
    /// # Errors
    ///
    /// Fails if the library cannot be changed.
    pub fn forget_path(&self, path: &Path) -> Result<Forgotten, LibraryError> {
        // Bytes between `path/` and `path0`, as `0` follows `/`.
        let own = writer::path_bytes(path);
        let (from, to) = ([own, b"/"].concat(), [own, b"0"].concat());
        self.forget(
            "SELECT DISTINCT content FROM files WHERE path = ?1 OR (path > ?2 AND path < ?3)",
            params![own, from, to],
        )
    }

    /// Forgets a content, by its hash (`blake3:<hex>`).
    ///
    /// # Errors
    ///
    /// Fails if the library cannot be changed.
    pub fn forget_hash(&self, hash: &str) -> Result<Forgotten, LibraryError> {
        self.forget("SELECT id FROM contents WHERE hash = ?1", params![hash])
    }

    fn forget(
        &self,
        contents: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<Forgotten, LibraryError> {
        let mut connection = self.connection()?;
        // What is forgotten is overwritten, not only marked as free.
        connection.pragma_update(None, "secure_delete", true)?;
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut statement = change.prepare(contents)?;
        let ids = statement.query_map(parameters, |row| row.get(0))?;
        let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
        drop(statement);
        let mut forgotten = Forgotten::default();
        for id in ids {
            let part = forget_content(&change, id)?;
            forgotten.contents += part.contents;
            forgotten.files += part.files;
            forgotten.embeddings += part.embeddings;
        }
        change.commit()?;
        if forgotten.contents > 0 {
            // The log holds copies of the pages before.
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        Ok(forgotten)
    }
}

fn forget_content(change: &Transaction, id: i64) -> rusqlite::Result<Forgotten> {
    let mut taken_over = 0;
    let content = change
        .query_row(
            "SELECT hash, facts FROM contents WHERE id = ?1",
            [id],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()?;
    if let Some((hash, facts)) = &content {
        let facts = serde_json::from_str::<ImageFacts>(facts);
        let frames = facts.map_or(1, |facts| facts.frames.max(1));
        let mut statement = change.prepare_cached("SELECT key FROM models")?;
        let models = statement.query_map([], |row| row.get::<_, String>(0))?;
        for model in models.collect::<Result<Vec<_>, _>>()? {
            for frame in 0..frames {
                let key = schema::previous_key(hash, frame, &model);
                taken_over +=
                    change.execute("DELETE FROM taken_over WHERE key = ?1", [key.as_slice()])?;
            }
        }
    }
    if let Some((hash, _)) = &content {
        results::audit_forgotten(change, hash)?;
        lines::forget(change, hash)?;
        reviews::forget(change, hash)?;
    }
    let embeddings = change.execute("DELETE FROM embeddings WHERE content = ?1", [id])?;
    Ok(Forgotten {
        files: change.execute("DELETE FROM files WHERE content = ?1", [id])?,
        embeddings: embeddings + taken_over,
        contents: change.execute("DELETE FROM contents WHERE id = ?1", [id])?,
    })
}
