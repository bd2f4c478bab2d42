//! From the instances of a series or study to its lines.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Instance;
use crate::library::{AggregateRecord, NOTICE, now, path_text};
use crate::scoring::calibration::Calibrations;
use crate::scoring::{Decider, Verdict};

/// What a line is about: contents, model and prompts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LineId([String; 3]);

impl LineId {
    pub(super) fn of(line: &AggregateRecord) -> Self {
        let [content, model, prompts] = [&line.content, &line.model_digest, &line.prompts_digest];
        Self([content.clone(), model.clone(), prompts.clone()])
    }
}

/// The series or study of a line.
pub(super) struct LineSubject {
    /// `None` for a study.
    pub(super) series: Option<Arc<str>>,
    pub(super) study: Option<Arc<str>>,
}

/// The lines about instances: one for each model and prompt set that scored them.
pub(super) fn aggregate(
    subject: &LineSubject,
    instances: &[&Instance],
    deciders: &HashMap<String, Decider>,
    calibrations: &Calibrations,
) -> Vec<AggregateRecord> {
    let mut groups: BTreeMap<[&str; 2], Vec<&Instance>> = BTreeMap::new();
    for instance in instances {
        let source = &instance.source;
        let group = [source.model_digest.as_str(), &source.prompts_digest];
        groups.entry(group).or_default().push(instance);
    }
    let groups = groups.into_iter();
    groups
        .filter_map(|([model, prompts], group)| {
            let decider = deciders.get(prompts)?.clone();
            // Of the built-in model, what calibrates phantoms is not for real images.
            let mut sources = group.iter().map(|instance| &instance.source);
            let calibrated = sources.find(|source| source.is_calibrated);
            let calibration =
                calibrated.and_then(|source| calibrations.for_results(model, prompts, source.mode));
            let decider = match calibration {
                Some(calibration) => decider.calibrated(calibration),
                None => decider,
            };
            line(subject, &group, &decider)
        })
        .collect()
}

fn line(
    subject: &LineSubject,
    instances: &[&Instance],
    decider: &Decider,
) -> Option<AggregateRecord> {
    let source = &instances.first()?.source;
    let verdict = verdict(instances, decider);
    let (path, path_bytes) = path_text(&common_folder(instances));
    let common = |value: fn(&Instance) -> &Option<String>| {
        let first = value(instances[0]);
        let is_common = instances.iter().all(|instance| value(instance) == first);
        first.clone().filter(|_| is_common)
    };
    Some(AggregateRecord {
        path,
        path_bytes,
        series: subject.series.as_deref().map(str::to_owned),
        study: subject.study.as_deref().map(str::to_owned),
        instances: instances.len(),
        rejected: instances.iter().filter(|i| i.rejected.is_some()).count(),
        aggregate: "mean",
        calibrated: verdict.calibrated,
        verdict,
        content: content(subject, instances),
        modality: common(|instance| &instance.source.modality),
        body_part: common(|instance| &instance.source.body_part),
        model: source.model.clone(),
        model_digest: source.model_digest.clone(),
        prompts: source.prompts.clone(),
        prompts_digest: source.prompts_digest.clone(),
        mode: source.mode,
        learned: source.learned,
        device: source.device.clone(),
        at: now(),
        notice: NOTICE,
    })
}

/// The verdict on all instances that were not rejected. If all were, their scores stay for the record.
fn verdict(instances: &[&Instance], decider: &Decider) -> Verdict {
    let accepted = || {
        instances
            .iter()
            .filter(|instance| instance.rejected.is_none())
    };
    if accepted().next().is_some() {
        return decider.aggregate(accepted().map(|instance| &*instance.scores));
    }
    let reason = instances.iter().find_map(|i| i.rejected.as_deref());
    let all = instances.iter().map(|instance| &*instance.scores);
    decider
        .aggregate(all)
        .reject(reason.unwrap_or_default().to_owned())
}

/// The innermost folder that contains all instances.
fn common_folder(instances: &[&Instance]) -> PathBuf {
    let mut folders = instances.iter().map(|instance| &*instance.folder);
    let first = folders.next().unwrap_or(Path::new(""));
    let common = folders.fold(first, |common, folder| {
        let mut candidates = common.ancestors();
        let found = candidates.find(|candidate| folder.starts_with(candidate));
        found.unwrap_or(Path::new(""))
    });
    common.to_owned()
}

/// `blake3:<hex>` of what the line is about and of the contents of all instances, whatever their order.
fn content(subject: &LineSubject, instances: &[&Instance]) -> String {
    let mut contents: Vec<&str> = instances
        .iter()
        .map(|instance| &*instance.content)
        .collect();
    contents.sort_unstable();
    let uids = [&subject.study, &subject.series];
    let uids = uids.map(|uid| uid.as_deref().unwrap_or_default());
    let mut hasher = blake3::Hasher::new();
    for part in uids.into_iter().chain(contents) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("blake3:{}", hasher.finalize().to_hex())
}
