//! Results adjusted to the mix of the folder on screen: asked for while results change, and shown beside the scores.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::environment::Environment;
use super::results::{FileState, Results};
use crate::library::Record;
use crate::library::mixes::{AdjustedResult, FolderMixes};
use crate::scoring::mix::StatedMix;

/// How long a mix is used while results change.
const MIN_AGE: Duration = Duration::from_secs(1);

/// The setting `adjust`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MixSetting {
    /// Whether results are adjusted from the start.
    pub is_on: bool,
    /// The mix, if the user states it.
    pub stated: Option<StatedMix>,
}

/// A request for the mixes of a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct MixRequest {
    /// The results of its images, one file each.
    pub files: Vec<Arc<[Record]>>,
    /// The mix, if the user states it.
    pub stated: Option<StatedMix>,
    /// The number that the answer carries.
    pub generation: u64,
}

/// The folder and the revision of the results that a mix is of, and when it was asked for.
#[derive(Clone, Debug, PartialEq)]
struct MixSubject {
    dir: PathBuf,
    revision: u64,
    at: Duration,
}

/// The state of adjusting.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MixState {
    setting: MixSetting,
    /// What was asked for last, with the number of the request, until it is answered.
    pending: Option<(u64, MixSubject)>,
    /// What the mixes are of.
    subject: Option<MixSubject>,
    mixes: FolderMixes,
    /// Whether the user is to be told of the next mix.
    is_news: bool,
}

impl MixState {
    /// The state at the start.
    pub(super) fn new(setting: MixSetting) -> Self {
        Self {
            setting,
            ..Self::default()
        }
    }

    /// Whether results are adjusted.
    pub(crate) fn is_on(&self) -> bool {
        self.setting.is_on
    }

    /// Switches adjusting on or off.
    pub(super) fn toggle(&mut self) {
        let is_on = !self.setting.is_on;
        *self = Self {
            is_news: is_on,
            ..Self::new(MixSetting {
                is_on,
                stated: self.setting.stated.take(),
            })
        };
    }

    /// Follows the folder on screen and the results. Returns what is to be asked for, if anything.
    pub(super) fn follow(
        &mut self,
        dir: &Path,
        results: &Results,
        env: &mut Environment,
    ) -> Option<MixRequest> {
        if !self.is_due(dir, results.revision(), env.now) {
            return None;
        }
        if self.subject.as_ref().is_some_and(|own| own.dir != dir) {
            self.mixes = FolderMixes::default();
        }
        let images = results.images_below(dir);
        let files = images.filter_map(|(_, _, state)| match state {
            FileState::Done(records) => Some(Arc::clone(records)),
            _ => None,
        });
        let generation = env.next_generation();
        let subject = MixSubject {
            dir: dir.to_owned(),
            revision: results.revision(),
            at: env.now,
        };
        self.pending = Some((generation, subject));
        Some(MixRequest {
            files: files.collect(),
            stated: self.setting.stated.clone(),
            generation,
        })
    }

    /// Whether the mixes are not those of the folder as it is now, and may be asked for.
    fn is_due(&self, dir: &Path, revision: u64, now: Duration) -> bool {
        if !self.is_on() || self.pending.is_some() {
            return false;
        }
        match &self.subject {
            None => true,
            Some(own) if own.dir != dir => true,
            Some(own) => own.revision != revision && now.saturating_sub(own.at) >= MIN_AGE,
        }
    }

    /// The time until the mixes follow the results, if these have changed.
    pub(super) fn next_tick(&self, revision: u64) -> Option<Duration> {
        let changed = self
            .subject
            .as_ref()
            .is_some_and(|own| own.revision != revision);
        (self.is_on() && self.pending.is_none() && changed).then_some(MIN_AGE)
    }

    /// Applies an answer, unless it is out of date. Returns what is to be said of it.
    pub(super) fn answered(&mut self, generation: u64, mixes: FolderMixes) -> Option<String> {
        let (_, subject) = self.pending.take_if(|(own, _)| *own == generation)?;
        self.mixes = mixes;
        self.subject = Some(subject);
        let words = self.mixes.words();
        if words.is_empty() || !std::mem::take(&mut self.is_news) {
            return None;
        }
        Some(words.join("; "))
    }

    /// A result, adjusted; `None` if adjusting is off, or it cannot be.
    pub(crate) fn adjusted(&self, record: &Record) -> Option<AdjustedResult<'_>> {
        if self.is_on() {
            self.mixes.adjusted(record)
        } else {
            None
        }
    }

    /// Why a result is not adjusted; `None` if adjusting is off, or nothing is known yet.
    pub(crate) fn failure(&self, record: &Record) -> Option<String> {
        let found = self
            .mixes
            .of_set(&record.prompts_digest)
            .filter(|_| self.is_on())?;
        found.err().map(ToString::to_string)
    }
}
