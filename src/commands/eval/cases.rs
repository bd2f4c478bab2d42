//! Labelled images that have a result, as cases.

use std::collections::{BTreeMap, HashMap};

use super::super::summary::rejected_parts;
use super::super::{Fault, exit, print, shown};
use super::ClassifiedLabels;
use super::labels::LabelledEach;
use crate::learn::{patient_groups, patient_marks};
use crate::library::Record;
use crate::media::{clean, patient_mark};
use crate::scoring::Decision;
use crate::scoring::metrics::{Case, CaseGroups, MultiLabelCase};

/// Labelled images with their results, and what became of the others.
pub(in crate::commands) struct LabelledCases<'a> {
    /// The conditions' names.
    pub(in crate::commands) names: Vec<String>,
    /// Whether each says that there is no finding.
    pub(in crate::commands) normal: Vec<bool>,
    /// Labels and results.
    pub(in crate::commands) images: Vec<(&'a LabelledEach, &'a Record)>,
    /// What the table says of the patient of each content, copies included.
    named: HashMap<&'a str, Vec<String>>,
    pub(in crate::commands) failed: usize,
    /// Files that are left out as they have the content of another one.
    pub(in crate::commands) copies: usize,
    /// The reasons why images were rejected.
    pub(in crate::commands) rejected: Vec<String>,
}

impl ClassifiedLabels<'_> {
    /// The images that have a result, each content once; errors are printed.
    ///
    /// # Errors
    ///
    /// Fails if files of the same content have different labels or patients.
    pub(in crate::commands) fn cases(&self) -> Result<LabelledCases<'_>, Fault> {
        let conditions = self.set.conditions.iter();
        let mut all = LabelledCases {
            names: conditions.clone().map(|own| own.name.clone()).collect(),
            normal: conditions.map(|own| own.normal).collect(),
            images: Vec::new(),
            named: HashMap::new(),
            failed: 0,
            copies: 0,
            rejected: Vec::new(),
        };
        let mut firsts: HashMap<&str, &LabelledEach> = HashMap::new();
        for (index, outcome) in self.outcomes {
            let file = &self.files[*index];
            match outcome {
                // As everywhere, files that are not images count only if they were named.
                Err(failure) if !failure.content.is_image() && !file.named => {}
                Err(failure) => {
                    all.failed += 1;
                    let (path, reason) = (shown(&file.path), &failure.message);
                    print::message(format_args!("{path}: {reason}"));
                }
                Ok(record) if record.verdict.decision == Decision::Rejected => {
                    let reason = record.verdict.reason.clone();
                    all.rejected.push(reason.unwrap_or_default());
                }
                Ok(record) => {
                    let mark = file.patient.as_deref().and_then(patient_mark);
                    let named = all.named.entry(&record.content).or_default();
                    named.extend(mark);
                    match firsts.insert(&record.content, file) {
                        Some(first) => {
                            check_copy(first, file)?;
                            all.copies += 1;
                        }
                        None => all.images.push((file, record)),
                    }
                }
            }
        }
        Ok(all)
    }
}

/// Fails if a copy of a file has other labels, or is of another patient.
fn check_copy(first: &LabelledEach, copy: &LabelledEach) -> Result<(), Fault> {
    let place = |file: &LabelledEach| match file.line {
        0 => shown(&file.path),
        line => format!("{} (line {line})", shown(&file.path)),
    };
    let both = format!("{} and {} have the same content", place(first), place(copy));
    if first.labels != copy.labels {
        return Err(Fault::usage(format!(
            "{both} and different labels; correct one of them, or leave both out"
        )));
    }
    match (&first.patient, &copy.patient) {
        (Some(a), Some(b)) if a != b => Err(Fault::usage(format!(
            "{both} and different patients, `{}` and `{}`; correct one of them, or leave both out",
            clean(a),
            clean(b)
        ))),
        _ => Ok(()),
    }
}

impl LabelledCases<'_> {
    /// The last of the results.
    pub(in crate::commands) fn sample(&self) -> Option<&Record> {
        self.images.last().map(|(_, record)| *record)
    }

    /// Whether all images are marked as synthetic.
    pub(in crate::commands) fn are_synthetic(&self) -> bool {
        self.images.iter().all(|(_, record)| record.synthetic)
    }

    /// The cases, if one condition applies to each.
    pub(in crate::commands) fn of_one(&self) -> Option<Vec<Case>> {
        let is_of_one = |(file, _): &(&LabelledEach, &Record)| file.labels.len() == 1;
        let case = |(file, record): &(&LabelledEach, &Record)| {
            Case::of(&self.names, file.labels[0], &record.verdict)
        };
        let images = || self.images.iter();
        images()
            .all(is_of_one)
            .then(|| images().map(case).collect())
            .flatten()
    }

    /// The cases where each condition is decided on by itself.
    pub(in crate::commands) fn of_any(&self) -> Vec<MultiLabelCase> {
        let cases = self.images.iter();
        let cases = cases
            .map(|(file, record)| MultiLabelCase::of(&self.names, &file.labels, &record.verdict));
        cases.collect()
    }

    /// The images of each patient, as far as a table or DICOM files tell them.
    pub(in crate::commands) fn groups(&self) -> CaseGroups {
        CaseGroups::new(self.patients())
    }

    /// The patient of each image, as a number.
    pub(in crate::commands) fn patients(&self) -> Vec<usize> {
        let marks = self.images.iter().map(|(_, record)| {
            let named = self.named.get(&*record.content);
            let named = named.into_iter().flatten().map(String::as_str);
            patient_marks(named, &record.origin)
        });
        patient_groups(&marks.collect::<Vec<_>>())
    }

    /// The error if no image could be classified. Where files failed, it is theirs.
    pub(in crate::commands) fn none_classified(&self) -> Fault {
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for reason in &self.rejected {
            *reasons.entry(reason.clone()).or_default() += 1;
        }
        let why = match reasons.first_key_value() {
            None => format!("{} failed", self.failed),
            Some((reason, count)) if reasons.len() == 1 => {
                format!("{count} rejected, because {reason}")
            }
            Some(_) => rejected_parts(&reasons).join(", "),
        };
        let fault = Fault::unusable(format!("no image could be classified: {why}"));
        Fault {
            code: if self.rejected.is_empty() && self.failed > 0 {
                exit::SOME_FAILED
            } else {
                fault.code
            },
            ..fault
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(rejected: &[&str]) -> LabelledCases<'static> {
        LabelledCases {
            names: Vec::new(),
            normal: Vec::new(),
            images: Vec::new(),
            named: HashMap::new(),
            failed: 0,
            copies: 0,
            rejected: rejected.iter().map(|own| (*own).to_owned()).collect(),
        }
    }

    #[test]
    fn where_no_image_is_classified_each_reason_is_told_with_its_number() {
        let told = |rejected: &[&str]| cases(rejected).none_classified().message;
        assert_eq!(
            told(&["a limb", "a chest", "skin", "a chest"]),
            "no image could be classified: 2 rejected (a chest), 1 rejected (a limb), 1 rejected (skin)"
        );
        assert_eq!(
            told(&["skin", "skin"]),
            "no image could be classified: 2 rejected, because skin"
        );
    }
}
