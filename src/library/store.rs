//! The library: what the program remembers of images between runs, in an SQLite file.
//!
//! By content hash it holds what an image is and its embeddings, and by path which content was seen there. So an unchanged file
//! is neither read nor decoded again, and a renamed or copied one is not encoded again. Lookups happen on the threads that
//! need the answer; a thread of its own writes. Nothing here is fatal: what cannot be read counts as missing, and what cannot
//! be written is computed again next time. The user is told once.

mod damage;
mod durable;
mod identity;
mod images;
mod lines;
mod measurements;
mod notices;
mod results;
mod reviews;
mod schema;
mod stored;
mod upkeep;
mod vanished;
mod writer;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::media::{DicomOrigin, FileFormat, FrameOrder, ImageInfo};
use crate::paths;
use crate::prompts::ImageTraits;
pub use identity::FileIdentity;
pub use images::EmbeddedImage;
pub(in crate::library) use lines::content_part;
pub use lines::{LineKey, OutputId, OutputLog};
pub use measurements::{MeasuredFile, StoredMeasurement};
pub use notices::NoticeReporter;
use notices::Notices;
pub use results::{AuditEvent, FileWithResult};
pub use reviews::{
    Review, ReviewChanges, ReviewOutcome, ReviewPosition, ReviewRequest, SampledImage,
};
pub use schema::LibraryError;
pub use stored::ResultSelection;
pub use upkeep::{Forgotten, LibraryState};
use writer::{LibraryWriter, WriteRequest};

/// Maximum number of embeddings: about 1 GB if each has 512 numbers. The oldest are removed.
const MAX_EMBEDDINGS: i64 = 500_000;
/// Version of [`ImageFacts`]. A file whose stored facts are of an earlier version is read again; its embeddings are still found.
/// 1: the origin of DICOM objects. 2: what tells their patients apart. 3: nothing does where an anonymiser wrote the ID; the body part by
/// more words. 4: the modality by the class.
const FACTS_VERSION: u32 = 4;
/// Writes that may wait for the disk; then those who have more wait, too.
const QUEUE_CAPACITY: usize = 4096;

/// How long the library may take to store what must not be done twice.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// What results say of an image file besides its verdict, so that the file need not be opened for that again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// The file format.
    pub kind: FileFormat,
    /// Columns of the image.
    pub width: u32,
    /// Rows of the image.
    pub height: u32,
    /// Frames in the file.
    pub frames: u32,
    /// Whether the file is marked as synthetic.
    pub synthetic: bool,
    /// DICOM modality.
    pub modality: Option<String>,
    /// DICOM body part.
    pub body_part: Option<String>,
    /// Stored frame numbers by position; empty if frames are stored in that order.
    pub order: Vec<u32>,
    /// Where a DICOM object comes from, and what it belongs to. Not part of a result.
    #[serde(default)]
    pub origin: DicomOrigin,
    /// The version of these facts when they were stored, 0 if that was before they had one.
    #[serde(default)]
    pub version: u32,
}

impl ImageFacts {
    /// The facts about an open file.
    pub fn new(info: &ImageInfo, order: &FrameOrder) -> Self {
        let dicom = info.dicom.as_ref();
        Self {
            kind: info.kind,
            width: info.width,
            height: info.height,
            frames: info.frames,
            synthetic: info.synthetic,
            modality: dicom.and_then(|dicom| dicom.modality.clone()),
            body_part: dicom.and_then(|dicom| dicom.body_part.clone()),
            order: order.numbers().to_vec(),
            origin: dicom.map_or_else(DicomOrigin::default, |dicom| dicom.origin.clone()),
            version: FACTS_VERSION,
        }
    }

    /// What rules ask of the image.
    pub fn traits(&self) -> ImageTraits<'_> {
        ImageTraits::new(
            self.modality.as_ref(),
            self.body_part.as_ref(),
            &self.origin,
        )
    }
}

/// A content that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageContent {
    /// `blake3:<hex>` of the file's bytes.
    pub hash: String,
    /// What the image is.
    pub facts: ImageFacts,
}

/// The library. The file is opened on first use.
pub struct Library {
    file: PathBuf,
    /// The file of embeddings that earlier versions of the program wrote; it is taken over and removed.
    previous: Option<PathBuf>,
    max_embeddings: i64,
    /// Set on first use; `None` if the file cannot be used.
    open: OnceLock<Option<OpenLibrary>>,
    notices: Arc<Notices>,
}

/// An open file: a connection for reading, and the queue of the writer.
struct OpenLibrary {
    /// Shared with the writer, which replaces it when the file turns out to be damaged.
    reader: Arc<Mutex<Connection>>,
    /// `None` if the file may only be read.
    queue: Option<Sender<WriteRequest>>,
    has_reported_damage: AtomicBool,
}

impl Library {
    /// The library in `file`, which need not exist; it will be readable by its user only. `previous`: the file of embeddings
    /// that earlier versions of the program wrote, which is taken over.
    pub fn at(file: PathBuf, previous: Option<PathBuf>) -> Self {
        Self {
            file,
            previous,
            max_embeddings: MAX_EMBEDDINGS,
            open: OnceLock::new(),
            notices: Arc::default(),
        }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether a path leads to the file, or to one of its journals.
    pub fn owns(&self, path: &Path) -> bool {
        let own = |suffix: &str| {
            let mut name = paths::link_target(&self.file).into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let path = paths::link_target(path);
        ["", "-wal", "-shm", "-journal"].iter().any(|suffix| {
            let own = own(suffix);
            match (std::fs::metadata(&own), std::fs::metadata(&path)) {
                (Ok(own), Ok(found)) => (own.dev(), own.ino()) == (found.dev(), found.ino()),
                // A journal is there only while it is in use.
                _ => own.file_name() == path.file_name() && is_same_folder(&own, &path),
            }
        })
    }

    /// Reports the first fault to the user, also one from before this call. Only the first reporter counts.
    pub fn report_faults_to(&self, reporter: NoticeReporter) {
        self.notices.report_faults_to(reporter);
    }

    /// Reports each file whose SOP Instance UID another content has, too. Only the first reporter counts.
    pub fn report_conflicts_to(&self, reporter: NoticeReporter) {
        self.notices.report_conflicts_to(reporter);
    }

    fn open(&self) -> Option<&OpenLibrary> {
        let open = || match self.start() {
            Ok(open) => Some(open),
            Err(error) => {
                let (file, error) = (self.file.display(), error.at(&self.file));
                self.notices.report_fault(format!(
                    "the library {file} is not used: {error}; results are not remembered"
                ));
                None
            }
        };
        self.open.get_or_init(open).as_ref()
    }

    fn start(&self) -> Result<OpenLibrary, LibraryError> {
        let report = |sentence| self.notices.report_fault(sentence);
        let mut connection = match schema::open(&self.file, &report) {
            Err(error) if error.denies_writing() && self.file.exists() => {
                let reader = schema::read_only(&self.file)?;
                let file = self.file.display();
                report(format!(
                    "the library {file} may only be read; results are not remembered"
                ));
                return Ok(OpenLibrary::new(reader, None));
            }
            opened => opened?,
        };
        if let Some(previous) = &self.previous {
            schema::take_over(&mut connection, previous)?;
        }
        let (queue, requests) = bounded(QUEUE_CAPACITY);
        let open = OpenLibrary::new(connection, Some(queue));
        let writer = LibraryWriter::new(
            schema::connect(&self.file)?,
            Arc::clone(&open.reader),
            self.file.clone(),
            self.max_embeddings,
            Arc::clone(&self.notices),
        );
        std::thread::Builder::new()
            .name("library".into())
            .spawn(move || writer.run(&requests))
            .map_err(LibraryError::Io)?;
        Ok(open)
    }

    /// The content of a file that has not changed since it was noted.
    pub fn content(&self, path: &Path, identity: FileIdentity) -> Option<ImageContent> {
        self.open()?.content(path, identity)
    }

    /// Runs `work`, whose reads all see the same state. Many short reads are faster so, but meanwhile the journal cannot be
    /// emptied: not for work that waits.
    pub fn in_one_read<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(open) = self.open() else {
            return work();
        };
        // Where a transaction cannot begin, as within another, each read sees the latest state.
        let begun = open.execute("BEGIN");
        let result = work();
        if begun {
            open.execute("COMMIT");
        }
        result
    }

    /// Notes the content of a file.
    pub fn note_file(&self, path: &Path, identity: FileIdentity, content: Arc<ImageContent>) {
        self.send(|| WriteRequest::File {
            path: path.to_owned(),
            identity,
            content,
        });
    }

    /// Notes that a file was moved.
    pub fn note_moved(&self, from: &Path, to: &Path) {
        if let [Ok(from), Ok(to)] = [from, to].map(paths::absolute) {
            self.send(|| WriteRequest::Moved { from, to });
        }
    }

    /// Notes the DICOM instance in a file, to report if another content has its SOP Instance UID. Other files have none.
    pub fn note_instance(&self, path: &Path, content: Arc<ImageContent>) {
        if content.facts.origin.instance.is_some() {
            self.send(|| WriteRequest::Instance {
                path: path.to_owned(),
                content,
            });
        }
    }

    /// The embedding of a frame, if there is one. `model_key` identifies everything but the image that an embedding depends on
    /// (see [`Encoder::embedding_key`](crate::encoder::Encoder::embedding_key)).
    pub fn embedding(&self, hash: &str, frame: u32, model_key: &str) -> Option<Vec<f32>> {
        let bytes = self.open()?.embedding(hash, frame, model_key)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|&n| f32::from_le_bytes(n)).collect();
        (rest.is_empty() && numbers.iter().all(|n| n.is_finite())).then_some(numbers)
    }

    /// Stores the embedding of a frame. Waits only if the disk is far behind.
    pub fn put_embedding(
        &self,
        content: Arc<ImageContent>,
        frame: u32,
        model_key: &str,
        numbers: Arc<[f32]>,
    ) {
        self.send(|| WriteRequest::Embedding {
            content,
            frame,
            model_key: model_key.to_owned(),
            numbers,
        });
    }

    fn send(&self, request: impl FnOnce() -> WriteRequest) {
        if let Some(open) = self.open() {
            // Cannot fail: the writer ends only when this sender is dropped.
            let _ = open.queue.as_ref().map(|queue| queue.send(request()));
        }
    }

    /// Does something that writes, and once more on a new file if the present one turns out to be damaged.
    fn repairing<T>(&self, work: impl Fn() -> Result<T, LibraryError>) -> Result<T, LibraryError> {
        // Makes and migrates the file.
        self.open();
        let mut done = work();
        if let Err(error) = &done
            && error.is_damage()
        {
            self.send(|| WriteRequest::Damaged(error.to_string()));
            self.flush(FLUSH_TIMEOUT);
            done = work();
        }
        done.map_err(|error| error.at(&self.file))
    }

    /// Waits at most `timeout` until everything is written. False if it is not, or if something could not be written since this was
    /// answered last; a library that is not written to has nothing to write.
    pub fn flush(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let open = self.open.get().and_then(Option::as_ref);
        let Some(queue) = open.and_then(|open| open.queue.as_ref()) else {
            return true;
        };
        // Room for the answer, so that the writer waits for nobody.
        let (done, answer) = bounded(1);
        let is_sent = queue.send_deadline(WriteRequest::Flush(done), until);
        is_sent.is_ok() && answer.recv_deadline(until).unwrap_or(false)
    }
}

impl OpenLibrary {
    fn new(reader: Connection, queue: Option<Sender<WriteRequest>>) -> Self {
        Self {
            reader: Arc::new(Mutex::new(reader)),
            queue,
            has_reported_damage: AtomicBool::new(false),
        }
    }

    fn content(&self, path: &Path, identity: FileIdentity) -> Option<ImageContent> {
        let found = self.query(|reader| {
            let mut statement = reader.prepare_cached(
                "SELECT hash, facts FROM files JOIN contents ON contents.id = files.content
                 WHERE path = ?1 AND size = ?2 AND modified = ?3 AND changed = ?4 AND inode = ?5",
            )?;
            let FileIdentity {
                size,
                modified,
                changed,
                inode,
            } = identity;
            let parameters = params![writer::path_bytes(path), size, modified, changed, inode];
            let row = |row: &rusqlite::Row| Ok((row.get(0)?, row.get::<_, String>(1)?));
            statement.query_row(parameters, row).optional()
        });
        let (hash, facts) = found?;
        let facts: ImageFacts = serde_json::from_str(&facts).ok()?;
        (facts.version >= FACTS_VERSION).then_some(ImageContent { hash, facts })
    }

    fn embedding(&self, hash: &str, frame: u32, model_key: &str) -> Option<Vec<u8>> {
        self.query(|reader| {
            let mut statement = reader.prepare_cached(
                "SELECT numbers FROM embeddings
                 JOIN contents ON contents.id = embeddings.content
                 JOIN models ON models.id = embeddings.model
                 WHERE contents.hash = ?1 AND models.key = ?2 AND frame = ?3",
            )?;
            let found = statement
                .query_row(params![hash, model_key, frame], |row| row.get(0))
                .optional()?;
            if found.is_some() {
                return Ok(found);
            }
            let mut statement =
                reader.prepare_cached("SELECT numbers FROM taken_over WHERE key = ?1")?;
            let key = schema::previous_key(hash, frame, model_key);
            statement
                .query_row([key.as_slice()], |row| row.get(0))
                .optional()
        })
    }

    /// Runs a statement without parameters; whether it succeeded.
    fn execute(&self, statement: &str) -> bool {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.execute_batch(statement).is_ok()
    }

    /// Runs a query; what cannot be read counts as missing.
    fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<Option<T>>,
    ) -> Option<T> {
        let found = {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            query(&reader)
        };
        found.unwrap_or_else(|error| {
            tracing::debug!("cannot read from the library: {error}");
            if let Some(queue) = &self.queue
                && schema::is_damage(&error)
                && !self.has_reported_damage.swap(true, Ordering::Relaxed)
            {
                // If the queue is full, the next write finds the damage.
                let _ = queue.try_send(WriteRequest::Damaged(error.to_string()));
            }
            None
        })
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Library({})", self.file.display())
    }
}

/// Whether two paths are of files in the same folder.
fn is_same_folder(one: &Path, other: &Path) -> bool {
    let folder = |path: &Path| {
        let folder = std::path::absolute(path).ok()?.parent()?.canonicalize();
        folder.ok()
    };
    folder(one).is_some_and(|one| folder(other) == Some(one))
}

/// Makes the folder of a file, for its user only.
fn make_folder(file: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
