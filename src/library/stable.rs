//! Series and studies that have been quiet for a while: a state machine that says when each of them gets its aggregate line.
//! It has no clock: time is passed to it.
//!
//! ```text
//!                new instance             quiet              what was requested is answered
//!  (unknown) ──────────────────► Gathering ─────► Settling ──────────────────────────────► Quiet, with a line
//!                                    ▲                │ new instance                          │
//!                                    └────────────────┴───────────────────────────────────────┘
//! ```
//!
//! * An instance is known by its SOP Instance UID, so that a copy is no new instance. Another content, or the result of another
//!   model or prompt set, replaces the one before.
//! * An instance counts although its file is removed meanwhile, as its result has been written; one that is renamed counts where it
//!   [is then](StableSeries::note_renamed).
//! * An answer may come long after its file, when many wait. So a line waits until all files are answered that were requested
//!   before it was due.
//! * The same instances get one line.
//! * At most [`MAX_INSTANCES`] are remembered. Those of the study that has been quiet for longest are dropped first; an instance
//!   that comes later begins its series anew.

mod lines;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{AggregateRecord, Record};
use crate::prompts::Prompts;
use crate::scoring::calibration::Calibrations;
use crate::scoring::{Decider, Decision, Mode, ScoreRow};
use lines::{LineId, LineSubject};

/// Maximum number of instances that are remembered: about 80 MB.
const MAX_INSTANCES: usize = 100_000;

/// How far the requested files have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestProgress {
    /// The newest generation that was requested.
    pub newest: u64,
    /// The oldest generation that is not answered yet.
    pub oldest_pending: Option<u64>,
}

/// A study, or a series that belongs to none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StudyKey {
    /// The study with this UID.
    Study(Arc<str>),
    /// The series with this UID.
    Alone(Arc<str>),
}

impl StudyKey {
    /// Study and series of a result; `None` if it belongs to no series.
    fn of(record: &Record) -> Option<(Self, Arc<str>)> {
        let series: Arc<str> = record.origin.series.as_deref()?.into();
        let key = match &record.origin.study {
            Some(study) => Self::Study(study.as_str().into()),
            None => Self::Alone(Arc::clone(&series)),
        };
        Some((key, series))
    }
}

/// What tells a result's instance from others.
fn instance_id(record: &Record) -> &str {
    let uid = record.origin.instance.as_deref();
    uid.unwrap_or(&record.content)
}

/// What gets a line. Series come before their study.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Series(Arc<str>),
    Study,
}

/// A part of a study.
type PartId = (Part, StudyKey);

/// What the results of many instances have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InstanceSource {
    modality: Option<String>,
    body_part: Option<String>,
    model: String,
    model_digest: String,
    prompts: String,
    prompts_digest: String,
    /// How the conditions relate; of a set that says so itself not [`StableSeries::mode`].
    mode: Mode,
    /// Whether labelled images told any probability.
    is_calibrated: bool,
    learned: Option<usize>,
    device: String,
}

/// A classified instance.
#[derive(Clone, Debug)]
struct Instance {
    folder: Arc<Path>,
    content: Box<str>,
    source: Arc<InstanceSource>,
    /// In the order of the decider's conditions.
    scores: Box<[ScoreRow]>,
    /// Why it was rejected, if it was.
    rejected: Option<Arc<str>>,
}

/// When a part is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// Its newest instance came at this time.
    Gathering(Duration),
    /// It waits for the generations up to this one.
    Settling(u64),
    Quiet,
}

#[derive(Debug)]
struct PartState {
    timer: Timer,
    /// The lines returned last.
    returned: HashSet<LineId>,
}

#[derive(Debug, Default)]
struct StudyState {
    /// By series, then by instance.
    series: BTreeMap<Arc<str>, BTreeMap<Box<str>, Instance>>,
    parts: BTreeMap<Part, PartState>,
    /// When its newest instance came.
    newest: Duration,
}

impl StudyState {
    fn instances(&self) -> usize {
        self.series.values().map(BTreeMap::len).sum()
    }

    fn is_quiet(&self) -> bool {
        self.parts.values().all(|part| part.timer == Timer::Quiet)
    }
}

/// The series and studies whose instances were classified.
#[derive(Debug)]
pub struct StableSeries {
    stable_after: Duration,
    max_instances: usize,
    mode: Mode,
    /// By digest of the prompt set, also of sets that are no longer in use.
    deciders: HashMap<String, Decider>,
    calibrations: Calibrations,
    studies: HashMap<StudyKey, StudyState>,
    instances: usize,
    /// Parts that gather, by the time of their newest instance.
    gathering: BTreeSet<(Duration, PartId)>,
    /// Parts that settle, by the generation that they wait for.
    settling: BTreeSet<(u64, PartId)>,
    /// Quiet studies, by the time of their newest instance.
    quiet: BTreeSet<(Duration, StudyKey)>,
    /// Studies that have become quiet since they were last asked for.
    newly_quiet: Vec<StudyKey>,
    /// The source and the folder of the last instance: most have those of the one before.
    last: Option<(Arc<InstanceSource>, Arc<Path>)>,
}

impl StableSeries {
    /// `calibrations`: those that fit the scores that results have. A line is due when a series or study had no new instance for `stable_after`.
    pub fn new(
        stable_after: Duration,
        prompts: &Prompts,
        mode: Mode,
        calibrations: &Calibrations,
    ) -> Self {
        let mut new = Self {
            stable_after,
            max_instances: MAX_INSTANCES,
            mode,
            deciders: HashMap::new(),
            calibrations: calibrations.clone(),
            studies: HashMap::new(),
            instances: 0,
            gathering: BTreeSet::new(),
            settling: BTreeSet::new(),
            quiet: BTreeSet::new(),
            newly_quiet: Vec::new(),
            last: None,
        };
        new.use_prompts(prompts);
        new
    }

    /// Prepares for results of these prompts. Those of the prompts before may still come.
    pub fn use_prompts(&mut self, prompts: &Prompts) {
        for set in prompts.sets() {
            let decider = Decider::new(set, self.mode);
            self.deciders.insert(set.digest.clone(), decider);
        }
    }

    /// Uses these calibrations from now on: those that fit the scores that results have.
    pub fn use_calibrations(&mut self, calibrations: Calibrations) {
        self.calibrations = calibrations;
    }

    /// Notes that the file of a result has been renamed to `path`, and so has its instance, if it is known by this result.
    pub fn note_renamed(&mut self, path: &Path, record: &Record) {
        let Some((key, series)) = StudyKey::of(record) else {
            return;
        };
        let folder = self.shared(path, record).1;
        let study = self.studies.get_mut(&key);
        let instance = study
            .and_then(|study| study.series.get_mut(&series))
            .and_then(|instances| instances.get_mut(instance_id(record)))
            .filter(|known| known.is_of(record));
        if let Some(instance) = instance {
            instance.folder = folder;
        }
    }

    /// Notes the result of a file as a whole: the aggregate over its frames, if it has several.
    pub fn add(&mut self, now: Duration, path: &Path, record: &Record) {
        let (Some((key, series)), Some(decider)) = (
            StudyKey::of(record),
            self.deciders.get(&record.prompts_digest),
        ) else {
            return;
        };
        let scores = decider.rows(&record.verdict);
        let id = instance_id(record);
        let (source, folder) = self.shared(path, record);
        let study = self.studies.entry(key.clone()).or_default();
        let instances = study.series.entry(Arc::clone(&series)).or_default();
        if instances.get(id).is_some_and(|known| known.is_of(record)) {
            return;
        }
        let is_rejected = record.verdict.decision == Decision::Rejected;
        let reason = record.verdict.reason.as_deref().unwrap_or_default();
        let instance = Instance {
            folder,
            content: record.content.as_str().into(),
            source,
            scores,
            rejected: is_rejected.then(|| reason.into()),
        };
        let is_first = instances.insert(id.into(), instance).is_none();
        self.instances += usize::from(is_first);
        self.quiet.remove(&(study.newest, key.clone()));
        study.newest = now;
        if matches!(key, StudyKey::Study(_)) {
            self.set_timer((Part::Study, key.clone()), Timer::Gathering(now));
        }
        self.set_timer((Part::Series(series), key), Timer::Gathering(now));
    }

    /// What an instance has in common with others.
    fn shared(&mut self, path: &Path, record: &Record) -> (Arc<InstanceSource>, Arc<Path>) {
        let folder = path.parent().unwrap_or(Path::new(""));
        let source = InstanceSource {
            modality: record.modality.clone(),
            body_part: record.body_part.clone(),
            model: record.model.clone(),
            model_digest: record.model_digest.clone(),
            prompts: record.prompts.clone(),
            prompts_digest: record.prompts_digest.clone(),
            mode: record.mode,
            is_calibrated: record.verdict.scores.iter().any(|own| own.calibrated),
            learned: record.learned,
            device: record.device.clone(),
        };
        let last = self.last.take();
        let (same_source, same_folder) = last.unzip();
        let source = same_source
            .filter(|last| **last == source)
            .unwrap_or_else(|| source.into());
        let folder = same_folder
            .filter(|last| **last == *folder)
            .unwrap_or_else(|| folder.into());
        self.last = Some((Arc::clone(&source), Arc::clone(&folder)));
        (source, folder)
    }

    fn set_timer(&mut self, id: PartId, timer: Timer) {
        let Some(study) = self.studies.get_mut(&id.1) else {
            return;
        };
        let part = study.parts.entry(id.0.clone()).or_insert(PartState {
            timer: Timer::Quiet,
            returned: HashSet::new(),
        });
        match std::mem::replace(&mut part.timer, timer) {
            Timer::Gathering(since) => drop(self.gathering.remove(&(since, id.clone()))),
            Timer::Settling(newest) => drop(self.settling.remove(&(newest, id.clone()))),
            Timer::Quiet => {}
        }
        match timer {
            Timer::Gathering(since) => drop(self.gathering.insert((since, id))),
            Timer::Settling(newest) => drop(self.settling.insert((newest, id))),
            Timer::Quiet if study.is_quiet() => {
                self.newly_quiet.push(id.1.clone());
                self.quiet.insert((study.newest, id.1));
            }
            Timer::Quiet => {}
        }
    }

    /// How long after `now` a part becomes quiet.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        let (since, _) = self.gathering.first()?;
        Some((*since + self.stable_after).saturating_sub(now))
    }

    /// Whether [`Self::due`] has something to do.
    pub fn is_due(&self, now: Duration) -> bool {
        let is_overdue = self.next_due(now).is_some_and(|due| due.is_zero());
        is_overdue || !self.settling.is_empty() || self.instances > self.max_instances
    }

    /// The study of a result, while it or one of its series waits for a line.
    pub fn waiting_study(&self, record: &Record) -> Option<StudyKey> {
        let (key, _) = StudyKey::of(record)?;
        let is_waiting = !self.studies.get(&key)?.is_quiet();
        is_waiting.then_some(key)
    }

    /// The studies that have stopped to wait since the last call: [`Self::due`] has returned their lines.
    pub fn take_quiet(&mut self) -> Vec<StudyKey> {
        std::mem::take(&mut self.newly_quiet)
    }

    /// The lines that are due now.
    pub fn due(&mut self, now: Duration, progress: RequestProgress) -> Vec<AggregateRecord> {
        while let Some((since, id)) = self.gathering.first()
            && *since + self.stable_after <= now
        {
            self.set_timer(id.clone(), Timer::Settling(progress.newest));
        }
        let mut lines = Vec::new();
        while let Some((newest, id)) = self.settling.first()
            && progress
                .oldest_pending
                .is_none_or(|oldest| oldest > *newest)
        {
            let id = id.clone();
            lines.extend(self.end(id));
        }
        while self.instances > self.max_instances {
            lines.extend(self.drop_oldest());
        }
        lines
    }

    /// Ends the wait of a part; returns its lines, unless the same were returned before.
    fn end(&mut self, id: PartId) -> Vec<AggregateRecord> {
        let mut lines = self.lines(&id);
        if let Some(study) = self.studies.get_mut(&id.1)
            && let Some(part) = study.parts.get_mut(&id.0)
        {
            let ids = lines.iter().map(LineId::of).collect();
            let before = std::mem::replace(&mut part.returned, ids);
            lines.retain(|line| !before.contains(&LineId::of(line)));
        }
        self.set_timer(id, Timer::Quiet);
        lines
    }

    fn lines(&self, (part, key): &PartId) -> Vec<AggregateRecord> {
        let Some(study) = self.studies.get(key) else {
            return Vec::new();
        };
        let (uid, instances): (_, Vec<&Instance>) = match part {
            Part::Series(series) => (
                Some(series),
                study
                    .series
                    .get(series)
                    .into_iter()
                    .flat_map(BTreeMap::values)
                    .collect(),
            ),
            // The line of a study with one series would repeat that of the series.
            Part::Study if study.series.len() < 2 => return Vec::new(),
            Part::Study => (
                None,
                study.series.values().flat_map(BTreeMap::values).collect(),
            ),
        };
        let subject = LineSubject {
            series: uid.cloned(),
            study: match key {
                StudyKey::Study(study) => Some(Arc::clone(study)),
                StudyKey::Alone(_) => None,
            },
        };
        lines::aggregate(&subject, &instances, &self.deciders, &self.calibrations)
    }

    /// Drops the study that has been quiet for longest, else the one that is due first; what it waits for ends now.
    fn drop_oldest(&mut self) -> Vec<AggregateRecord> {
        let quiet = self.quiet.first().map(|(_, key)| key);
        let settling = self.settling.first().map(|(_, (_, key))| key);
        let gathering = self.gathering.first().map(|(_, (_, key))| key);
        let Some(key) = quiet.or(settling).or(gathering).cloned() else {
            self.instances = 0;
            return Vec::new();
        };
        let parts = self.studies.get(&key).map(|study| &study.parts);
        let waiting = parts.into_iter().flatten();
        let waiting = waiting.filter(|(_, part)| part.timer != Timer::Quiet);
        let waiting: Vec<Part> = waiting.map(|(part, _)| part.clone()).collect();
        let mut lines = Vec::new();
        for part in waiting {
            lines.extend(self.end((part, key.clone())));
        }
        if let Some(study) = self.studies.remove(&key) {
            self.quiet.remove(&(study.newest, key));
            self.instances -= study.instances();
        }
        lines
    }
}

impl Instance {
    /// Whether the result is this one.
    fn is_of(&self, record: &Record) -> bool {
        *self.content == *record.content
            && self.source.model_digest == record.model_digest
            && self.source.prompts_digest == record.prompts_digest
    }
}

#[cfg(test)]
#[path = "stable/tests.rs"]
mod tests;
