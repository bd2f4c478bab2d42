//! Heat maps: made on the engine thread between two forward passes, and checked there a few passes at a time, so that classification
//! goes on meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::pool::{Decoding, decode_frame, preprocess_frame};
use super::shared::EngineShared;
use super::worker::InferenceWorker;
use super::{Event, Lane};
use crate::encoder::{Encoder, Masker, PreparedImage, occlusion_map, scores_along};
use crate::media;
use crate::scoring::heat_map::deletion::{self, DeletionCheck};
use crate::scoring::heat_map::{HeatMap, MapChoice, PlacedMap, SeenArea};

/// Masked images in a step of a deletion check: an interactive file waits for one step at most. A map by occlusion is one step of all its
/// masked images; only models without a map of their own are mapped so.
const PASSES_PER_STEP: usize = 4;
/// Seed of the random orders that a map is compared with: the same map is judged alike every time.
const SEED: u64 = 0;

/// Which image to map, and for which condition.
#[derive(Clone, Debug, PartialEq)]
pub struct MapRequest {
    /// The file.
    pub path: PathBuf,
    /// The number of the frame in the file, from 0.
    pub frame: u32,
    /// The digest of the prompt set that the image was scored by.
    pub prompts_digest: String,
    /// The condition.
    pub condition: String,
    /// How to make the map.
    pub method: MapChoice,
    /// The number that the answers carry.
    pub generation: u64,
}

/// A request whose image has been decoded.
pub(super) struct PreparedMap {
    pub(super) request: MapRequest,
    image: PreparedImage,
    seen: SeenArea,
}

/// A deletion check under way.
pub(super) struct PendingCheck {
    generation: u64,
    direction: Vec<f32>,
    masker: Masker,
    grid: (usize, usize),
    covered: f64,
    score: f64,
    plan: Vec<Vec<usize>>,
    /// The scores of the passes that are done.
    scores: Vec<f64>,
}

/// Decodes the image of a request on a thread of its own, and hands it to the engine thread.
pub(super) fn prepare(shared: &Arc<EngineShared>, request: MapRequest) {
    shared
        .latest_map
        .fetch_max(request.generation, Ordering::Relaxed);
    let (state, generation) = (Arc::clone(shared), request.generation);
    let begun = thread::Builder::new().name("map".into()).spawn(move || {
        let image = catch_unwind(AssertUnwindSafe(|| image_of(&state, &request)));
        let failed = || Some(Err("internal error; see the log".to_owned()));
        let Some(image) = image.unwrap_or_else(|_| failed()) else {
            return;
        };
        match image {
            Ok((image, seen)) => state.put_map(PreparedMap {
                request,
                image,
                seen,
            }),
            // Without a model there is no engine thread to answer.
            Err(message) => (state.handler)(Event::Mapped {
                generation,
                outcome: Err(message),
            }),
        }
    });
    if let Err(error) = begun {
        let outcome = Err(format!("cannot start a thread: {error}"));
        (shared.handler)(Event::Mapped {
            generation,
            outcome,
        });
    }
}

/// The preprocessed image; `None` if the request has been superseded, or the engine is ending.
fn image_of(
    shared: &EngineShared,
    request: &MapRequest,
) -> Option<Result<(PreparedImage, SeenArea), String>> {
    let is_outdated = || {
        shared.latest_map.load(Ordering::Relaxed) != request.generation
            || shared.is_stopped.load(Ordering::Relaxed)
    };
    let Some(preparation) = shared.preparation.wait() else {
        return Some(Err("there is no model".to_owned()));
    };
    let preprocess = &preparation.preprocess;
    let prepared = media::open(&request.path).and_then(|source| {
        let decoding = Decoding {
            preprocess,
            exact: shared.settings.exact,
            lane: Lane::Interactive,
            cancelled: &is_outdated,
        };
        let shown = decode_frame(&source, request.frame, &decoding)?;
        let image = preprocess_frame(preprocess, &shown.picture, &source, Lane::Interactive)?;
        let info = source.info();
        Ok((image, preprocess.seen_area(info.width, info.height)))
    });
    (!is_outdated()).then(|| prepared.map_err(|error| error.to_string()))
}

impl InferenceWorker<'_> {
    /// Makes the map that was requested last, if any; else goes on with the check of the last one.
    pub(super) fn advance_maps(&mut self) {
        if let Some(prepared) = self.shared.prepared_map() {
            self.check = None;
            self.make_map(prepared);
        } else if let Some(check) = self.check.take() {
            self.continue_check(check);
        }
    }

    fn make_map(&mut self, prepared: PreparedMap) {
        let PreparedMap {
            request,
            image,
            seen,
        } = prepared;
        let generation = request.generation;
        if generation != self.shared.latest_map.load(Ordering::Relaxed) {
            return;
        }
        let scorers = Arc::clone(&self.scorers);
        let encoder = self.encoder.as_mut();
        let direction = scorers.direction(&request.prompts_digest, &request.condition);
        let made = direction.and_then(|direction| {
            let map = contained(|| map(encoder, &image, &direction, request.method))?;
            Ok((direction, map))
        });
        let outcome = made.map(|(direction, map)| {
            self.check = Some(PendingCheck {
                generation,
                direction,
                masker: Masker::new(&image, &self.encoder.preprocess()),
                grid: (map.columns, map.rows),
                covered: map.covered,
                score: map.score,
                plan: deletion::plan(&map, SEED),
                scores: Vec::new(),
            });
            let seen = seen.covered(map.covered);
            Arc::new(PlacedMap { map, seen })
        });
        (self.shared.handler)(Event::Mapped {
            generation,
            outcome,
        });
    }

    /// Computes the next masked passes; reports the outcome after the last.
    fn continue_check(&mut self, mut check: PendingCheck) {
        if check.generation != self.shared.latest_map.load(Ordering::Relaxed) {
            return;
        }
        let generation = check.generation;
        let next = check.plan.iter().skip(check.scores.len());
        let images: Vec<PreparedImage> = next
            .take(PASSES_PER_STEP)
            .map(|cells| check.masker.masked(cells, check.grid, check.covered))
            .collect();
        let encoder = self.encoder.as_mut();
        let scores = contained(|| {
            scores_along(encoder, &images, &check.direction).map_err(|error| error.to_string())
        });
        let outcome = match scores {
            Ok(scores) => {
                check.scores.extend(scores);
                if check.scores.len() < check.plan.len() {
                    self.check = Some(check);
                    return;
                }
                let judged = DeletionCheck::of(check.score, &check.scores);
                judged.ok_or_else(|| "the deletion check is incomplete".to_owned())
            }
            Err(message) => Err(message),
        };
        (self.shared.handler)(Event::MapChecked {
            generation,
            outcome,
        });
    }
}

/// Makes a map.
fn map(
    encoder: &mut dyn Encoder,
    image: &PreparedImage,
    direction: &Vec<f32>,
    method: MapChoice,
) -> Result<HeatMap, String> {
    let directions = std::slice::from_ref(direction);
    let maps = match method {
        MapChoice::Auto | MapChoice::Attention => encoder.attribution(image, directions),
        MapChoice::Eclip => encoder.grad_eclip(image, directions),
        MapChoice::Occlusion => Ok(None),
    };
    let maps = maps.map_err(|error| error.to_string())?;
    match (maps.and_then(|mut maps| maps.pop()), method) {
        (Some(map), _) => Ok(map),
        (None, MapChoice::Attention) => {
            Err("this model has no heat map; use occlusion (--method occlusion)".to_owned())
        }
        (None, MapChoice::Eclip) => Err(
            "this model has no map by Grad-ECLIP; use occlusion (--method occlusion)".to_owned(),
        ),
        (None, MapChoice::Auto | MapChoice::Occlusion) => {
            occlusion_map(encoder, image, direction).map_err(|error| error.to_string())
        }
    }
}

/// A panic of the model becomes an error.
pub(super) fn contained<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let failed = || Err("the model failed: internal error; see the log".to_owned());
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| failed())
}
