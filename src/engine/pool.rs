//! Decoding and preparing, on as many threads as there are cores.

use std::sync::Arc;

use super::{Frames, Job, Shared};
use crate::encoder::{Input, Preprocess};
use crate::library::Failure;
use crate::media::{self, ErrorKind, Info, Loaded, MediaError, Options};

/// A decoded file whose frames are on their way.
pub(super) struct Opened {
    pub(super) job: Job,
    pub(super) info: Info,
    pub(super) content: String,
    /// Frames that will come; in their order, because one worker sends them down one lane.
    pub(super) frames: usize,
}

/// One frame, ready for the model or known to be damaged.
pub(super) struct Prepared {
    pub(super) file: Arc<Opened>,
    pub(super) frame: u32,
    pub(super) input: Result<Input, Failure>,
}

/// Takes jobs until there are none.
pub(super) fn run(shared: &Shared) {
    while let Some(job) = shared.jobs.pop() {
        if !shared.wanted(&job) {
            shared.skip();
            continue;
        }
        // The first decode does not wait for the model, which may still be read; only the preparation does.
        match media::load(&job.path, &Options::default()) {
            Ok(first) => prepare(shared, job, first),
            Err(error) => shared.done(&job, vec![Err(error.into())]),
        }
    }
    shared.leave();
}

/// Prepares the frames asked for and passes each on.
fn prepare(shared: &Shared, job: Job, first: Loaded) {
    let Some(preprocess) = shared.preprocess.wait() else {
        shared.skip();
        return;
    };
    let count = first.info.frames.max(1);
    let frames = match shared.settings.frames {
        Frames::First => 0..1,
        Frames::Middle => count / 2..count / 2 + 1,
        Frames::All => 0..count,
    };
    let lane = job.lane;
    let file = Arc::new(Opened {
        info: first.info.clone(),
        content: first.content.clone(),
        frames: frames.len(),
        job,
    });
    let mut first = Some(first);
    for frame in frames {
        let loaded = match first.take_if(|_| frame == 0) {
            Some(first) => Ok(first),
            None => media::load(
                &file.job.path,
                &Options {
                    frame,
                    ..Options::default()
                },
            ),
        };
        let input = loaded
            .and_then(|loaded| apply(preprocess, &loaded))
            .map_err(Failure::from);
        if shared
            .prepared
            .push(
                lane,
                Prepared {
                    file: Arc::clone(&file),
                    frame,
                    input,
                },
            )
            .is_err()
        {
            return; // The engine is stopping.
        }
    }
}

fn apply(preprocess: &Preprocess, loaded: &Loaded) -> Result<Input, MediaError> {
    media::contain("preprocessing", || {
        preprocess
            .apply(&loaded.picture)
            .map_err(|error| MediaError::new(ErrorKind::Malformed, error.to_string()))
    })
}
