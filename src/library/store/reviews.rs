//! Reviews: what people say about images, with every earlier version, so that each step can be undone.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rand::seq::IndexedRandom;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::results::PROGRAM;
use super::{Library, LibraryError, schema};
use crate::library::now;

/// What a person says about an image under a prompt set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Review {
    /// `blake3:<hex>` of the image's content.
    pub content: String,
    /// The name of the prompt set whose conditions the labels are.
    pub prompts: String,
    /// The reviewer's name.
    pub reviewer: String,
    /// The path of the image when it was reviewed.
    pub path: PathBuf,
    /// When it was reviewed: RFC 3339, UTC, whole seconds; set by the library.
    pub at: String,
    /// The conditions that the image shows; none if it shows none of them; `None` if that is not decided.
    pub labels: Option<Vec<String>>,
    /// A note; may be empty.
    pub note: String,
    /// Whether the image deserves attention.
    pub flagged: bool,
    /// Whether it was decided without sight of results and of the reviews of others.
    pub blind: bool,
    /// What tells the image's patient from others, see [`patient_mark`](crate::media::patient_mark); `None` unless a table of labels
    /// named them.
    pub patient: Option<String>,
}

impl Review {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.labels.is_none() && self.note.is_empty() && !self.flagged
    }
}

/// An image that was drawn at random for a reviewer to label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledImage {
    /// `blake3:<hex>` of the image's content.
    pub content: String,
    /// The name of the prompt set.
    pub prompts: String,
    /// The reviewer's name.
    pub reviewer: String,
}

/// Something to be done to the reviews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewRequest {
    /// Store a review instead of the one of the same content, prompt set and reviewer.
    Store(Box<Review>),
    /// Undo the reviewer's last change of an image below the folder. An import is one change, wherever its images are.
    Undo {
        /// The reviewer's name.
        reviewer: String,
        /// The folder.
        root: PathBuf,
    },
    /// Redo the change of an image below the folder that the reviewer has undone last, unless there was another change since.
    Redo {
        /// The reviewer's name.
        reviewer: String,
        /// The folder.
        root: PathBuf,
    },
    /// Draw images at random.
    Sample {
        /// The reviewer's name.
        reviewer: String,
        /// The images to draw from: content and prompt set of each.
        images: Vec<(String, String)>,
        /// How many to draw; fewer if there are no more.
        count: usize,
    },
}

/// What a request has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewOutcome {
    /// The review in force now; empty if there is none any more.
    Review(Box<Review>),
    /// The reviews of an import that was undone or redone, in force now.
    Import(Vec<Review>),
    /// There is nothing to undo or redo.
    Nothing,
    /// The images drawn.
    Sampled(Vec<SampledImage>),
}

/// A position in the changes of the reviews.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewPosition {
    revision: i64,
    sample: i64,
}

/// Changes of the reviews, by this process or others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewChanges {
    /// Reviews in force now; those that are empty were undone.
    pub reviews: Vec<Review>,
    /// Images drawn.
    pub samples: Vec<SampledImage>,
}

impl ReviewChanges {
    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.reviews.is_empty() && self.samples.is_empty()
    }
}

/// The state of a version: in force unless a later version of the same review is.
const IN_FORCE: i64 = 0;
/// It was undone, and can be redone.
const UNDONE: i64 = 1;
/// It was undone, and another change has followed.
const DROPPED: i64 = 2;

const COLUMNS: &str = "hash, prompts, reviewer, path, at, labels, note, flagged, blind, patient";

impl Library {
    /// Carries out a request, and waits until the disk has it.
    ///
    /// # Errors
    ///
    /// Fails if the library cannot be used, or another process holds it for over a minute.
    pub fn review(&self, request: &ReviewRequest) -> Result<ReviewOutcome, LibraryError> {
        self.write_durably(|change| carry_out(change, request))
    }

    /// Stores reviews of one reviewer all at once, or none of them; they are undone together, too. Those that say what is in force
    /// already change nothing. Returns how many were stored.
    ///
    /// # Errors
    ///
    /// Fails if the library cannot be used.
    pub fn import_reviews(&self, reviews: &[Review]) -> Result<usize, LibraryError> {
        self.repairing(|| self.import_all(reviews))
    }

    fn import_all(&self, reviews: &[Review]) -> Result<usize, LibraryError> {
        let mut connection = schema::connect(self.file())?;
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = "SELECT ifnull(max(import), 0) + 1 FROM reviews";
        let import: i64 = change.query_row(sql, [], |row| row.get(0))?;
        let mut stored = 0;
        for review in reviews {
            let Review {
                content,
                prompts,
                reviewer,
                path,
                ..
            } = review.clone();
            let before = in_force(&change, content, prompts, reviewer, path)?;
            let is_decided_so = before.labels == review.labels;
            let names_patient = review.patient.is_some() && review.patient != before.patient;
            if !is_decided_so || names_patient {
                let after = Review {
                    labels: review.labels.clone(),
                    path: review.path.clone(),
                    blind: is_decided_so && before.blind,
                    patient: review.patient.clone().or_else(|| before.patient.clone()),
                    ..before
                };
                store(&change, &after, Some(import))?;
                stored += 1;
            }
        }
        change.commit()?;
        Ok(stored)
    }

    /// The changes after a position, and the position after them; from the default position, all reviews. `None` if the library
    /// cannot be read. Costs some microseconds if nothing has changed.
    pub fn review_changes(&self, since: ReviewPosition) -> Option<(ReviewChanges, ReviewPosition)> {
        self.open()?
            .query(|reader| Ok(Some(changes(reader, since)?)))
    }

    /// All reviews in force, and all images drawn, read as they are: a damaged file is left in its place.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn all_reviews(&self) -> Result<ReviewChanges, LibraryError> {
        let (all, _) = changes(&self.reader()?, ReviewPosition::default())?;
        Ok(all)
    }

    /// The reviews of [`Self::all_reviews`], by path and reviewer.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn reviews(&self) -> Result<Vec<Review>, LibraryError> {
        let mut reviews = self.all_reviews()?.reviews;
        reviews.sort_by(|a, b| (&a.path, &a.reviewer).cmp(&(&b.path, &b.reviewer)));
        Ok(reviews)
    }
}

fn carry_out(change: &Transaction, request: &ReviewRequest) -> rusqlite::Result<ReviewOutcome> {
    match request {
        ReviewRequest::Store(review) => store(change, review, None),
        ReviewRequest::Undo { reviewer, root } => {
            let versions = "SELECT id, path, import FROM reviews WHERE reviewer = ?1 AND state = ?2 ORDER BY id DESC";
            turn(change, versions, (reviewer, root), (IN_FORCE, UNDONE))
        }
        ReviewRequest::Redo { reviewer, root } => {
            let versions = "SELECT id, path, import FROM reviews WHERE reviewer = ?1 AND state = ?2 ORDER BY id";
            turn(change, versions, (reviewer, root), (UNDONE, IN_FORCE))
        }
        ReviewRequest::Sample {
            reviewer,
            images,
            count,
        } => draw(change, reviewer, images, *count),
    }
}

/// Adds a version of a review; `import`: the number of the import that it is part of.
fn store(
    change: &Transaction,
    review: &Review,
    import: Option<i64>,
) -> rusqlite::Result<ReviewOutcome> {
    // What was undone cannot be redone any more: it was about another state.
    change.execute(
        "UPDATE reviews SET state = ?2 WHERE reviewer = ?1 AND state = ?3",
        params![review.reviewer, DROPPED, UNDONE],
    )?;
    let review = Review {
        at: now(),
        ..review.clone()
    };
    let sql = format!(
        "INSERT INTO reviews (revision, {COLUMNS}, import)
         VALUES ((SELECT ifnull(max(revision), 0) + 1 FROM reviews), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
    );
    change.execute(
        &sql,
        params![
            review.content,
            review.prompts,
            review.reviewer,
            review.path.as_os_str().as_bytes(),
            review.at,
            review
                .labels
                .as_ref()
                .map(|labels| serde_json::json!(labels).to_string()),
            review.note,
            review.flagged,
            review.blind,
            review.patient,
            import
        ],
    )?;
    audit(change, "reviewed", &review)?;
    Ok(ReviewOutcome::Review(Box::new(review)))
}

/// Undoes or redoes the first of the versions that is below the folder, and all others of the same import.
fn turn(
    change: &Transaction,
    versions: &str,
    (reviewer, root): (&str, &Path),
    (from, to): (i64, i64),
) -> rusqlite::Result<ReviewOutcome> {
    let mut statement = change.prepare(versions)?;
    let mut rows = statement.query(params![reviewer, from])?;
    let (id, import): (i64, Option<i64>) = loop {
        let Some(row) = rows.next()? else {
            return Ok(ReviewOutcome::Nothing);
        };
        if path(row, 1)?.starts_with(root) {
            break (row.get(0)?, row.get(2)?);
        }
    };
    let Some(import) = import else {
        let review = turn_version(change, id, to)?;
        return Ok(ReviewOutcome::Review(Box::new(review)));
    };
    let sql = "SELECT id FROM reviews WHERE import = ?1 AND state = ?2 ORDER BY id";
    let mut statement = change.prepare(sql)?;
    let ids = statement.query_map([import, from], |row| row.get(0))?;
    let ids: Vec<i64> = ids.collect::<Result<_, _>>()?;
    let reviews = ids.into_iter().map(|id| turn_version(change, id, to));
    Ok(ReviewOutcome::Import(reviews.collect::<Result<_, _>>()?))
}

/// Gives a version another state; returns the review in force then.
fn turn_version(change: &Transaction, id: i64, to: i64) -> rusqlite::Result<Review> {
    let sql = "UPDATE reviews SET state = ?2, revision = (SELECT max(revision) + 1 FROM reviews)
        WHERE id = ?1 RETURNING hash, prompts, reviewer, path";
    let mut statement = change.prepare_cached(sql)?;
    let key = statement.query_row([id, to], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, path(row, 3)?))
    })?;
    let (hash, prompts, reviewer, path) = key;
    let review = in_force(change, hash, prompts, reviewer, path)?;
    let event = if to == UNDONE { "undone" } else { "redone" };
    audit(change, event, &review)?;
    Ok(review)
}

fn draw(
    change: &Transaction,
    reviewer: &str,
    images: &[(String, String)],
    count: usize,
) -> rusqlite::Result<ReviewOutcome> {
    let mut insert = change.prepare_cached(
        "INSERT INTO samples (hash, prompts, reviewer, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
    )?;
    let at = now();
    let mut drawn = Vec::new();
    for (content, prompts) in images.choose_multiple(&mut rand::rng(), count) {
        insert.execute(params![content, prompts, reviewer, at])?;
        drawn.push(SampledImage {
            content: content.clone(),
            prompts: prompts.clone(),
            reviewer: reviewer.to_owned(),
        });
    }
    Ok(ReviewOutcome::Sampled(drawn))
}

fn changes(
    reader: &Connection,
    since: ReviewPosition,
) -> rusqlite::Result<(ReviewChanges, ReviewPosition)> {
    let newest = |column: &str, table: &str| {
        let sql = format!("SELECT ifnull(max({column}), 0) FROM {table}");
        reader
            .prepare_cached(&sql)?
            .query_row([], |row| row.get::<_, i64>(0))
    };
    let position = ReviewPosition {
        revision: newest("revision", "reviews")?,
        sample: newest("id", "samples")?,
    };
    let mut found = ReviewChanges::default();
    if position.revision > since.revision {
        let sql = "SELECT hash, prompts, reviewer, path FROM reviews
            WHERE revision > ?1 AND revision <= ?2 GROUP BY hash, prompts, reviewer";
        let mut statement = reader.prepare_cached(sql)?;
        let changed = statement.query_map([since.revision, position.revision], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, path(row, 3)?))
        })?;
        for key in changed {
            let (hash, prompts, reviewer, path) = key?;
            let review = in_force(reader, hash, prompts, reviewer, path)?;
            found.reviews.push(review);
        }
    }
    if position.sample > since.sample {
        let sql = "SELECT hash, prompts, reviewer FROM samples WHERE id > ?1 AND id <= ?2";
        let mut statement = reader.prepare_cached(sql)?;
        let drawn = statement.query_map([since.sample, position.sample], |row| {
            Ok(SampledImage {
                content: row.get(0)?,
                prompts: row.get(1)?,
                reviewer: row.get(2)?,
            })
        })?;
        found.samples = drawn.collect::<Result<_, _>>()?;
    }
    Ok((found, position))
}

/// The review in force; empty if there is none.
fn in_force(
    connection: &Connection,
    content: String,
    prompts: String,
    reviewer: String,
    path: PathBuf,
) -> rusqlite::Result<Review> {
    let sql = format!(
        "SELECT {COLUMNS} FROM reviews WHERE hash = ?1 AND prompts = ?2 AND reviewer = ?3 AND state = ?4
         ORDER BY id DESC LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let key = params![content, prompts, reviewer, IN_FORCE];
    let found = statement.query_row(key, review).optional()?;
    Ok(found.unwrap_or_else(|| Review {
        content,
        prompts,
        reviewer,
        path,
        ..Review::default()
    }))
}

fn review(row: &Row) -> rusqlite::Result<Review> {
    let labels: Option<String> = row.get(5)?;
    let labels = labels
        .map(|labels| serde_json::from_str(&labels))
        .transpose();
    Ok(Review {
        content: row.get(0)?,
        prompts: row.get(1)?,
        reviewer: row.get(2)?,
        path: path(row, 3)?,
        at: row.get(4)?,
        labels: labels.map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, error.into())
        })?,
        note: row.get(6)?,
        flagged: row.get(7)?,
        blind: row.get(8)?,
        patient: row.get(9)?,
    })
}

fn path(row: &Row, column: usize) -> rusqlite::Result<PathBuf> {
    Ok(PathBuf::from(OsString::from_vec(row.get(column)?)))
}

/// Adds a change of a review to the audit.
fn audit(change: &Transaction, event: &str, review: &Review) -> rusqlite::Result<()> {
    let mut statement = change.prepare_cached(
        "INSERT INTO audit (at, event, program, hash, label, reviewer)
         VALUES (unixepoch(), ?1, ?2, ?3, ?4, ?5)",
    )?;
    let labels = review.labels.as_ref().map(|labels| labels.join("; "));
    statement.execute(params![
        event,
        PROGRAM,
        review.content,
        labels,
        review.reviewer
    ])?;
    Ok(())
}

/// Removes the reviews of a content, with their history.
pub(super) fn forget(change: &Transaction, hash: &str) -> rusqlite::Result<()> {
    change.execute("DELETE FROM reviews WHERE hash = ?1", [hash])?;
    change.execute("DELETE FROM samples WHERE hash = ?1", [hash])?;
    Ok(())
}

#[cfg(test)]
mod tests;
