//! The images whose embeddings the library holds.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params_from_iter};

use super::stored::ResultSelection;
use super::{ImageFacts, Library, LibraryError};
use crate::media::{DicomOrigin, FrameOrder};

/// Values of one statement.
const MAX_BOUND: usize = 500;

/// An image with its embedding: of several frames the first one in space that has any.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedImage {
    /// A file with this content, the first by path.
    pub path: PathBuf,
    /// `blake3:<hex>` of its content.
    pub content: String,
    /// The unit embedding.
    pub embedding: Arc<[f32]>,
    /// Frames in the file.
    pub frames: u32,
    /// What it belongs to.
    pub origin: DicomOrigin,
    /// Whether the file is marked as synthetic.
    pub synthetic: bool,
    /// The place of its frame in space, from 0.
    position: u32,
}

impl EmbeddedImage {
    /// An image of one frame, of no study.
    pub fn new(path: PathBuf, content: String, embedding: Arc<[f32]>) -> Self {
        Self {
            path,
            content,
            embedding,
            frames: 1,
            origin: DicomOrigin::default(),
            synthetic: false,
            position: 0,
        }
    }
}

impl Library {
    /// The embeddings of contents, in their order; of several frames that of the lowest number. Contents without any are left out, and
    /// those after `limit` embeddings.
    pub fn embeddings_of(
        &self,
        model_key: &str,
        contents: Vec<&str>,
        limit: usize,
    ) -> Vec<Vec<f32>> {
        let Some(open) = self.open() else {
            return Vec::new();
        };
        let found = open.query(|reader| {
            let mut statement = reader.prepare_cached(
                "SELECT numbers FROM embeddings
                 JOIN contents ON contents.id = embeddings.content
                 JOIN models ON models.id = embeddings.model
                 WHERE contents.hash = ?1 AND models.key = ?2 ORDER BY frame LIMIT 1",
            )?;
            let mut rows = Vec::new();
            for content in contents {
                let bytes: Option<Vec<u8>> = statement
                    .query_row([content, model_key], |row| row.get(0))
                    .optional()?;
                let row: Vec<f32> = numbers(&bytes.unwrap_or_default());
                if !row.is_empty() && row.iter().all(|n| n.is_finite()) {
                    rows.push(row);
                }
                if rows.len() == limit {
                    break;
                }
            }
            Ok(Some(rows))
        });
        found.unwrap_or_default()
    }

    /// The images that a model has encoded, each content once, by path. `model_key`: see [`Library::embedding`]; `paths`: absolute
    /// paths of files and folders, empty for all.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn embedded_images(
        &self,
        model_key: &str,
        paths: &[PathBuf],
    ) -> Result<Vec<EmbeddedImage>, LibraryError> {
        let selection = ResultSelection {
            paths: paths.to_vec(),
            ..ResultSelection::default()
        };
        let (condition, values) = selection.condition();
        self.read_embedded(model_key, &condition, values)
    }

    /// The images of these contents that a model has encoded, each content once, by path.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn embedded_contents(
        &self,
        model_key: &str,
        contents: &[&str],
    ) -> Result<Vec<EmbeddedImage>, LibraryError> {
        let mut images = Vec::new();
        for part in contents.chunks(MAX_BOUND) {
            let marks: Vec<String> = (1..=part.len()).map(|at| format!("?{at}")).collect();
            let condition = format!("WHERE contents.hash IN ({})", marks.join(", "));
            let values = part.iter().map(|hash| Value::from((*hash).to_owned()));
            images.extend(self.read_embedded(model_key, &condition, values.collect())?);
        }
        images.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(images)
    }

    fn read_embedded(
        &self,
        model_key: &str,
        condition: &str,
        mut values: Vec<Value>,
    ) -> Result<Vec<EmbeddedImage>, LibraryError> {
        let joint = if condition.is_empty() { "WHERE" } else { "AND" };
        values.push(model_key.to_owned().into());
        let sql = format!(
            "SELECT files.path, contents.hash, contents.facts, embeddings.frame, numbers FROM files
             JOIN contents ON contents.id = files.content
             JOIN embeddings ON embeddings.content = files.content
             JOIN models ON models.id = embeddings.model
             {condition} {joint} models.key = ?{} ORDER BY contents.id, files.path",
            values.len()
        );
        let connection = self.reader()?;
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut images: Vec<EmbeddedImage> = Vec::new();
        while let Some(row) = rows.next()? {
            let bytes: Vec<u8> = row.get(4)?;
            let numbers = numbers(&bytes);
            let facts: Option<ImageFacts> = serde_json::from_str(&row.get::<_, String>(2)?).ok();
            let Some(facts) = facts.filter(|_| numbers.iter().all(|n| n.is_finite())) else {
                continue;
            };
            let order = FrameOrder::new(facts.order);
            let image = EmbeddedImage {
                path: PathBuf::from(OsString::from_vec(row.get(0)?)),
                content: row.get(1)?,
                embedding: numbers.into(),
                frames: facts.frames,
                origin: facts.origin,
                synthetic: facts.synthetic,
                position: order.position(row.get(3)?),
            };
            match images.last_mut().filter(|own| own.content == image.content) {
                Some(own) if image.position < own.position => {
                    (own.embedding, own.position) = (image.embedding, image.position);
                }
                Some(_) => {}
                None => images.push(image),
            }
        }
        images.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(images)
    }
}

/// The numbers of a stored embedding.
fn numbers(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|n| f32::from_le_bytes(*n)).collect()
}
