//! Decoding and preparing, on as many threads as there are cores.

use std::sync::Arc;

use super::{Frames, Job, Lane, Shared, Wants};
use crate::encoder::{Input, Preprocess};
use crate::library::Failure;
use crate::media::budget::{Reserved, WaitPolicy};
use crate::media::{
    self, DecodeOptions, ErrorKind, FileFormat, FrameOrder, ImageInfo, ImageSource, MediaError,
    Picture, RenderedFrame, Scale,
};

/// A decoded file whose frames are on their way.
pub(super) struct Opened {
    pub(super) job: Job,
    pub(super) info: ImageInfo,
    pub(super) content: String,
    /// Frames by position: the order in which they are asked for and answered.
    pub(super) order: FrameOrder,
    /// Frames that will come; in that order, because one worker sends them down one lane.
    pub(super) frames: usize,
}

/// One frame, ready for the model or known to be damaged.
pub(super) struct Prepared {
    pub(super) file: Arc<Opened>,
    /// Its number in the file.
    pub(super) frame: u32,
    pub(super) input: Result<Ready, Failure>,
}

/// A frame that can be answered for.
pub(super) enum Ready {
    /// Prepared for the model.
    Input(Input),
    /// Known from an earlier time.
    Embedding(Arc<[f32]>),
}

/// Takes jobs until there are none.
pub(super) fn run(shared: &Shared) {
    while let Some(job) = shared.jobs.pop() {
        let lane = job.lane;
        open(shared, job);
        if lane == Lane::Bulk {
            shared.prepared.resolve_bulk();
        }
    }
    shared.leave();
}

/// Prepares a file, or says why not.
fn open(shared: &Shared, job: Job) {
    if !shared.is_wanted(&job) {
        shared.skip(&job);
        return;
    }
    let opened = media::open(&job.path).and_then(|source| {
        let content = source.content()?;
        Ok((source, content))
    });
    match opened {
        Ok((source, content)) => prepare(shared, job, &source, content),
        Err(error) => shared.done(&job, vec![Err(error.into())]),
    }
}

/// Prepares the frames asked for and passes each on: a file of many frames is read once, and few of its frames are in
/// memory at a time.
fn prepare(shared: &Shared, job: Job, source: &ImageSource, content: String) {
    let count = source.info().frames.max(1);
    let positions = match shared.settings.frames {
        Frames::First => 0..1,
        Frames::Middle => count / 2..count / 2 + 1,
        Frames::All => 0..count,
    };
    let Some(Wants { preprocess, space }) = shared.wants.wait() else {
        shared.skip(&job);
        return;
    };
    let file = Arc::new(Opened {
        info: source.info().clone(),
        content,
        frames: positions.len(),
        order: source.frame_order().clone(),
        job,
    });
    for position in positions {
        let frame = file.order.number(position);
        let lane = shared.lane(&file.job);
        let input = if shared.is_wanted(&file.job) {
            let kept = shared.settings.kept.as_ref().zip(space.as_ref());
            if let Some(known) =
                kept.and_then(|(kept, space)| kept.get(&file.content, frame, space))
            {
                Ok(Ready::Embedding(known.into()))
            } else {
                let cancelled = || !shared.is_wanted(&file.job);
                let decoding = Decoding {
                    preprocess,
                    exact: shared.settings.exact,
                    lane,
                    cancelled: &cancelled,
                };
                decode(source, frame, &decoding)
                    .and_then(|shown| apply(preprocess, &shown.picture, source, lane))
                    .map(Ready::Input)
            }
        } else {
            // Nobody waits for the rest any more; the count of frames must still be full.
            Err(MediaError::new(ErrorKind::Internal, "no longer wanted"))
        };
        let prepared = Prepared {
            file: Arc::clone(&file),
            frame,
            input: input.map_err(Failure::from),
        };
        // It may have been promoted while it was decoded.
        let lane = shared.lane(&file.job);
        if shared.prepared.push(lane, prepared).is_err() {
            return; // The engine is stopping.
        }
    }
}

/// How a frame is decoded for the model.
pub(crate) struct Decoding<'a> {
    /// What the model is given.
    pub(crate) preprocess: &'a Preprocess,
    /// Never at reduced scale.
    pub(crate) exact: bool,
    /// Whether somebody waits for it.
    pub(crate) lane: Lane,
    /// Nobody wants it any more.
    pub(crate) cancelled: &'a dyn Fn() -> bool,
}

/// The frame as `inspect` shows it: whatever the user does with the display's window, the model sees the file's own.
/// Unless it is to be `exact`, a JPEG much larger than the model's input is decoded at reduced scale. What the model does not
/// look at stays black.
pub(crate) fn decode(
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
        used: Some(preprocess.used(info.width, info.height, scale)),
        parallel: decoding.lane == Lane::Interactive,
        ..DecodeOptions::default()
    };
    let wait = WaitPolicy {
        urgent: options.parallel,
        cancelled: decoding.cancelled,
    };
    source.load_reserved(&options, wait)
}

/// A picture that [`decode`] gave, ready for the model.
pub(crate) fn apply(
    preprocess: &Preprocess,
    picture: &Picture,
    source: &ImageSource,
    lane: Lane,
) -> Result<Input, MediaError> {
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

    /// A JPEG of noise, much larger than what it is made into.
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

    /// What a crop cuts away need not be decoded; the model's input is the same to the byte.
    #[test]
    fn the_model_sees_the_same_of_a_picture_decoded_in_part() {
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
                        let part = decode(&source, 0, &decoding);
                        let (Ok(whole), Ok(part)) = (&whole, part) else {
                            continue;
                        };
                        let part = part.into_inner().picture;
                        cropped += usize::from(*whole != part);
                        let input = |picture, lane| {
                            apply(&preprocess, picture, &source, lane).expect("an input")
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
