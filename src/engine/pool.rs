//! The decoding threads: they decode and preprocess images, by default on as many threads as there are cores.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::shared::EngineShared;
use super::{FrameSelection, Job, Lane};
use crate::encoder::{PreparedImage, Preprocess};
use crate::library::{Failure, FileIdentity, ImageContent, ImageFacts, Library};
use crate::media::budget::{Reserved, WaitPolicy};
use crate::media::{
    self, DecodeOptions, ErrorKind, FileContent, FileFormat, FrameOrder, ImageSource, MediaError,
    Picture, RenderedFrame, Scale,
};
use crate::paths;

/// A file whose frames are being prepared.
pub(super) struct OpenedFile {
    pub(super) job: Job,
    pub(super) content: Arc<ImageContent>,
    /// The order of the frames in space, in which they are selected and reported.
    pub(super) order: FrameOrder,
    /// Number of frames to be classified.
    pub(super) frames: usize,
}

/// One frame of a file: ready for the model, or failed.
pub(super) struct PreparedFrame {
    pub(super) file: Arc<OpenedFile>,
    /// The frame's number in the file, from 0.
    pub(super) frame: u32,
    pub(super) input: Result<FrameInput, Failure>,
}

/// What the engine thread gets of a frame.
pub(super) enum FrameInput {
    /// The preprocessed image.
    Image(PreparedImage),
    /// The frame's embedding, from the store.
    Embedding(Arc<[f32]>),
}

/// Handles jobs until their queue is closed and empty.
pub(super) fn run(shared: &EngineShared) {
    handle_jobs(shared, &open);
}

/// Handles jobs by `open`. What panics in it is the end of one file.
fn handle_jobs(shared: &EngineShared, open: &dyn Fn(&EngineShared, Job)) {
    while let Some(job) = shared.jobs.pop() {
        let lane = job.lane;
        let opened = catch_unwind(AssertUnwindSafe(|| open(shared, job.clone())));
        if opened.is_err() {
            let failure = Failure {
                kind: ErrorKind::Internal,
                message: "it cannot be prepared: internal error; see the log".to_owned(),
                content: FileContent::Image,
            };
            shared.finish_job(&job, vec![Err(failure)]);
        }
        if lane == Lane::Bulk {
            shared.prepared.resolve_bulk();
        }
    }
    shared.decoder_ended();
}

/// Prepares the frames of a file, or reports why it cannot. An unchanged file whose embeddings are in the library is not
/// opened.
fn open(shared: &EngineShared, job: Job) {
    if !shared.is_wanted(&job) {
        shared.drop_job(&job);
        return;
    }
    let path = paths::absolute(&job.path).unwrap_or_else(|_| job.path.clone());
    let (opened_at, identity) = (SystemTime::now(), FileIdentity::of(&path));
    if let Some(stored) = identity.and_then(|identity| stored_file(shared, &path, identity)) {
        return pass_on(shared, job, stored);
    }
    let opened = media::open(&job.path).and_then(|source| {
        let hash = source.content()?;
        Ok((source, hash))
    });
    match opened {
        Ok((source, hash)) => {
            let facts = ImageFacts::new(source.info(), source.frame_order());
            let content = Arc::new(ImageContent { hash, facts });
            if let Some(library) = &shared.settings.library {
                library.note_instance(&path, Arc::clone(&content));
                if let Some(identity) = identity
                    && identity.covers(opened_at, FileIdentity::of(&path))
                {
                    library.note_file(&path, identity, Arc::clone(&content));
                }
            }
            prepare(shared, job, &source, content);
        }
        Err(error) => shared.finish_job(&job, vec![Err(error.into())]),
    }
}

/// A file of which the library holds everything that its result depends on.
pub struct StoredFile {
    /// The content.
    pub content: ImageContent,
    /// The order of the frames in space.
    pub(super) order: FrameOrder,
    /// The number and the unit embedding of each frame to be classified.
    pub embeddings: Vec<(u32, Arc<[f32]>)>,
}

impl StoredFile {
    /// What the library holds of each of the files, if that has not changed. `embedding_key`: see [`super::embedding_key`]. Some
    /// hundred files at a time, as other reads of the library see no changes meanwhile.
    pub fn find_all(
        library: &Library,
        paths: &[PathBuf],
        embedding_key: &str,
        frames: FrameSelection,
    ) -> Vec<Option<Self>> {
        let Ok(here) = std::env::current_dir() else {
            return paths.iter().map(|_| None).collect();
        };
        let find = |path: &PathBuf| {
            let path = paths::absolute(&here.join(path)).ok()?;
            let content = library.content(&path, FileIdentity::of(&path)?)?;
            Self::of(library, content, embedding_key, frames)
        };
        library.in_one_read(|| paths.iter().map(find).collect())
    }

    /// What the library holds of a content; `None` if an embedding is missing.
    fn of(
        library: &Library,
        content: ImageContent,
        embedding_key: &str,
        frames: FrameSelection,
    ) -> Option<Self> {
        let order = FrameOrder::new(content.facts.order.clone());
        let embeddings = selected(frames, content.facts.frames)
            .map(|position| {
                let frame = order.number(position);
                let numbers = library.embedding(&content.hash, frame, embedding_key)?;
                Some((frame, numbers.into()))
            })
            .collect::<Option<_>>()?;
        Some(Self {
            content,
            order,
            embeddings,
        })
    }
}

/// What the library holds of an unchanged file; `None` if anything is missing, or there is no model.
pub(super) fn stored_file(
    shared: &EngineShared,
    path: &Path,
    identity: FileIdentity,
) -> Option<StoredFile> {
    let library = shared.settings.library.as_ref()?;
    let content = library.content(path, identity)?;
    let preparation = shared.preparation.wait().as_ref()?;
    let key = preparation.embedding_key.as_ref()?;
    StoredFile::of(library, content, key, shared.settings.frames)
}

/// Passes a file on whose embeddings are all there.
fn pass_on(shared: &EngineShared, job: Job, stored: StoredFile) {
    let file = Arc::new(OpenedFile {
        job,
        content: Arc::new(stored.content),
        order: stored.order,
        frames: stored.embeddings.len(),
    });
    for (frame, embedding) in stored.embeddings {
        let prepared = PreparedFrame {
            file: Arc::clone(&file),
            frame,
            input: Ok(FrameInput::Embedding(embedding)),
        };
        let lane = shared.lane(&file.job);
        if shared.prepared.push(lane, prepared).is_err() {
            return; // The engine is stopping.
        }
    }
}

/// The positions of the frames to be classified.
fn selected(frames: FrameSelection, count: u32) -> Range<u32> {
    let count = count.max(1);
    match frames {
        FrameSelection::First => 0..1,
        FrameSelection::Middle => count / 2..count / 2 + 1,
        FrameSelection::All => 0..count,
    }
}

/// The numbers of frames, without those that the file lacks but the first such one, whose error stands for all: a damaged
/// number of frames would otherwise be a million errors. `present` is how many frames the file has.
fn without_missing(frames: impl IntoIterator<Item = u32>, present: u32) -> Vec<u32> {
    let mut missing = 0;
    let keep = |frame: &u32| {
        missing += u32::from(*frame >= present);
        *frame < present || missing == 1
    };
    frames.into_iter().filter(keep).collect()
}

/// Prepares the selected frames and passes them on one by one: a file of many frames is read once, and only few of its frames
/// are in memory at a time.
fn prepare(shared: &EngineShared, job: Job, source: &ImageSource, content: Arc<ImageContent>) {
    let positions = selected(shared.settings.frames, source.info().frames);
    let Some(preparation) = shared.preparation.wait() else {
        shared.drop_job(&job);
        return;
    };
    let preprocess = &preparation.preprocess;
    let order = source.frame_order().clone();
    let numbers = positions.map(|position| order.number(position));
    let frames = without_missing(numbers, source.frames_present());
    let file = Arc::new(OpenedFile {
        content,
        frames: frames.len(),
        order,
        job,
    });
    for frame in frames {
        let lane = shared.lane(&file.job);
        let input = if shared.is_wanted(&file.job) {
            let library = shared.settings.library.as_ref();
            let stored = library
                .zip(preparation.embedding_key.as_ref())
                .and_then(|(library, key)| library.embedding(&file.content.hash, frame, key));
            if let Some(embedding) = stored {
                Ok(FrameInput::Embedding(embedding.into()))
            } else {
                let cancelled = || !shared.is_wanted(&file.job);
                let decoding = Decoding {
                    preprocess,
                    exact: shared.settings.exact,
                    lane,
                    cancelled: &cancelled,
                };
                decode_frame(source, frame, &decoding)
                    .and_then(|shown| preprocess_frame(preprocess, &shown.picture, source, lane))
                    .map(FrameInput::Image)
            }
        } else {
            // The job was cancelled, but it ends only when all its frames have been counted.
            Err(MediaError::new(ErrorKind::Internal, "no longer wanted"))
        };
        let prepared = PreparedFrame {
            file: Arc::clone(&file),
            frame,
            input: input.map_err(Failure::from),
        };
        // The job may have been promoted while the frame was decoded.
        let lane = shared.lane(&file.job);
        if shared.prepared.push(lane, prepared).is_err() {
            return; // The engine is stopping.
        }
    }
}

/// How to decode a frame for the model.
pub(crate) struct Decoding<'a> {
    /// The model's preprocessing.
    pub(crate) preprocess: &'a Preprocess,
    /// Whether to decode at full scale always.
    pub(crate) exact: bool,
    /// The job's lane.
    pub(crate) lane: Lane,
    /// Whether the job has been cancelled meanwhile.
    pub(crate) cancelled: &'a dyn Fn() -> bool,
}

/// Decodes a frame as `inspect` shows it, with the file's own window: the window that the user sets on screen does not
/// change what the model sees. Unless `exact` is set, a JPEG much larger than the model's input is decoded at a reduced
/// scale. The parts that the preprocessing crops away may stay black.
pub(crate) fn decode_frame(
    source: &ImageSource,
    frame: u32,
    decoding: &Decoding,
) -> Result<Reserved<RenderedFrame>, MediaError> {
    let (info, preprocess) = (source.info(), decoding.preprocess);
    let scale = if decoding.exact || info.kind != FileFormat::Jpeg {
        Scale::Full
    } else {
        preprocess.scale(info.width, info.height)
    };
    let options = DecodeOptions {
        frame,
        scale,
        used: Some(preprocess.used_area(info.width, info.height, scale)),
        parallel: decoding.lane == Lane::Interactive,
        ..DecodeOptions::default()
    };
    let wait = WaitPolicy {
        urgent: options.parallel,
        cancelled: decoding.cancelled,
    };
    source.load_reserved(&options, wait)
}

/// Preprocesses a picture that [`decode_frame`] returned.
pub(crate) fn preprocess_frame(
    preprocess: &Preprocess,
    picture: &Picture,
    source: &ImageSource,
    lane: Lane,
) -> Result<PreparedImage, MediaError> {
    let whole = (source.info().width, source.info().height);
    let threads = if lane == Lane::Interactive { 2 } else { 1 };
    media::contain("preprocessing", || {
        preprocess
            .apply_scaled(picture, whole, threads)
            .map_err(|error| MediaError::new(ErrorKind::Malformed, error.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use image::ExtendedColorType;
    use image::codecs::jpeg::JpegEncoder;

    use super::*;
    use crate::engine::Event;
    use crate::engine::tests::settings;

    #[test]
    fn a_panic_ends_one_file_and_nobody_waits_for_it() {
        let (sender, events) = crossbeam_channel::unbounded();
        let handler = Arc::new(move |event| drop(sender.send(event)));
        let shared = EngineShared::new(settings(), handler, 1);
        for generation in 0..2 {
            let job = Job {
                path: "a.png".into(),
                lane: Lane::Bulk,
                generation,
            };
            shared.submit(job).unwrap();
        }
        shared.jobs.close();
        handle_jobs(&shared, &|_, job| {
            assert_ne!(job.generation, 0, "requested by the test");
            shared.drop_job(&job);
        });
        let ends: Vec<Event> = events.try_iter().collect();
        assert!(
            matches!(&ends[..], [Event::Done { generation: 0, outcomes, .. }, Event::Dropped { generation: 1 }]
                if outcomes[0].as_ref().is_err_and(|failure| failure.kind == ErrorKind::Internal)),
            "{ends:?}"
        );
        assert!(shared.prepared.pop().is_none(), "it is closed");
    }

    #[test]
    fn of_the_frames_that_a_file_lacks_one_is_reported() {
        assert_eq!(without_missing([0, 2, 1], 3), [0, 2, 1]);
        assert_eq!(without_missing([4, 0, 3, 1, 2], 2), [4, 0, 1]);
        assert_eq!(without_missing(0..1 << 20, 1), [0, 1]);
        assert_eq!(without_missing([0], 0), [0]);
    }

    /// Writes a JPEG of noise, much larger than the model's input.
    fn large(folder: &Path, name: &str, (width, height): (u32, u32), color: ExtendedColorType) {
        let count = width * height * u32::from(color.bits_per_pixel()) / 8;
        let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
        let pixels: Vec<u8> = (0..count).map(noise).collect();
        let mut file = Vec::new();
        JpegEncoder::new(&mut file)
            .encode(&pixels, width, height, color)
            .expect("a file");
        std::fs::write(folder.join(name), file).expect("written");
    }

    /// What the preprocessing crops away need not be decoded: the model's input is the same to the byte.
    #[test]
    fn decoding_only_the_part_that_the_model_sees_gives_the_same_input() {
        let made = tempfile::tempdir().expect("a folder");
        for (shape, size) in [("wide", (301, 97)), ("high", (90, 333))] {
            large(
                made.path(),
                &format!("{shape}-grey.jpg"),
                size,
                ExtendedColorType::L8,
            );
            large(
                made.path(),
                &format!("{shape}-rgb.jpg"),
                size,
                ExtendedColorType::Rgb8,
            );
        }
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/media");
        let folders = [Path::new(fixtures), made.path()];
        let entries = folders.map(|folder| std::fs::read_dir(folder).expect("a folder"));
        let mut cropped = 0;
        for entry in entries.into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let Ok(source) = media::open(&path) else {
                continue;
            };
            let (width, height) = (source.info().width, source.info().height);
            for size in [2, 5, 13] {
                for crop in ["true", "false"] {
                    let json = format!(r#"{{"size": {size}, "do_center_crop": {crop}}}"#);
                    let preprocess = Preprocess::from_json(json.as_bytes(), "p".as_ref()).unwrap();
                    let scale = match source.info().kind {
                        FileFormat::Jpeg => preprocess.scale(width, height),
                        _ => Scale::Full,
                    };
                    let options = DecodeOptions {
                        scale,
                        ..DecodeOptions::default()
                    };
                    let whole = source.load(&options).map(|shown| shown.picture);
                    for lane in [Lane::Interactive, Lane::Bulk] {
                        let decoding = Decoding {
                            preprocess: &preprocess,
                            exact: false,
                            lane,
                            cancelled: &|| false,
                        };
                        let part = decode_frame(&source, 0, &decoding);
                        let (Ok(whole), Ok(part)) = (&whole, part) else {
                            continue;
                        };
                        let part = part.into_inner().picture;
                        cropped += usize::from(*whole != part);
                        let input = |picture, lane| {
                            preprocess_frame(&preprocess, picture, &source, lane).expect("an input")
                        };
                        assert!(
                            input(whole, Lane::Bulk) == input(&part, lane),
                            "{} to {size}, {crop}",
                            path.display()
                        );
                    }
                }
            }
        }
        assert!(cropped > 50, "{cropped} pictures were decoded in part");
    }
}
