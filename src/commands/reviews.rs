//! `reviews`: what was reviewed, how far reviewers agree, and the import of labels as reviews.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;

use super::eval::labels::{self, LabelledEach};
use super::learn::copies::Copies;
use super::library::{existing, unusable};
use super::{CommandSetup, Fault, exit, print, shown};
use crate::app::results::reviews::findings_set;
use crate::app::results::taught_by;
use crate::app::{category, claimed_category};
use crate::cli::{ReviewsAction, ReviewsArgs};
use crate::learn::{LearnedSets, TaughtBy};
use crate::library::{FileIdentity, Library, Record, ResultSelection, Review};
use crate::media::{Sniffed, clean, patient_mark, sniff};
use crate::paths;
use crate::prompts::{DEFAULT, PromptSet, Prompts};
use crate::scoring::Mode;
use crate::scoring::agreement::Agreement;

/// Bytes that tell the format of a file.
const HEAD_BYTES: u64 = 512;
/// The model among the raters.
const MODEL: &str = "model";

/// The reviews of one reviewer under one prompt set.
#[derive(Debug, Serialize)]
struct ReviewerReport {
    prompts: String,
    reviewer: String,
    /// Images that the reviewer has decided on.
    reviewed: usize,
    flagged: usize,
    /// Those decided without sight of results.
    blind: usize,
    /// The agreement with the model's newest results, then with other reviewers by name.
    agreements: Vec<RaterAgreement>,
}

#[derive(Debug, Serialize)]
struct RaterAgreement {
    with: String,
    share: Option<f64>,
    kappa: Option<f64>,
    #[serde(flatten)]
    agreement: Agreement,
    /// The images from which the model's scores were not learned, if they were from others.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_learned_from: Option<Box<RaterAgreement>>,
    /// Images whose results are of what was learned and is no longer in use; they are not among `not_learned_from`.
    #[serde(skip_serializing_if = "is_zero")]
    no_longer_in_use: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl RaterAgreement {
    fn new(with: &str, cases: impl Iterator<Item = (String, String)>) -> Self {
        let agreement = Agreement::of(cases);
        Self {
            with: with.to_owned(),
            share: agreement.share(),
            kappa: agreement.kappa(),
            agreement,
            not_learned_from: None,
            no_longer_in_use: 0,
        }
    }

    /// The agreement with the model, as reviewer and model judge an image.
    fn with_model<'a>(cases: impl Iterator<Item = (&'a String, &'a ModelClaim)>) -> Self {
        let cases: Vec<(&String, &ModelClaim)> = cases.collect();
        let of = |cases: &[(&String, &ModelClaim)]| {
            let cases = cases.iter();
            Self::new(
                MODEL,
                cases.map(|(own, claim)| ((*own).clone(), claim.category.clone())),
            )
        };
        let mut others = cases.clone();
        others.retain(|(_, claim)| claim.taught_by == TaughtBy::Others);
        let is_unknown = |own: &&(_, &ModelClaim)| own.1.taught_by == TaughtBy::Unknown;
        Self {
            no_longer_in_use: cases.iter().filter(is_unknown).count(),
            not_learned_from: (others.len() < cases.len()).then(|| Box::new(of(&others))),
            ..of(&cases)
        }
    }
}

/// What the newest result says of an image.
struct ModelClaim {
    category: String,
    /// What taught its scores.
    taught_by: TaughtBy,
}

/// Carries the command out; returns the exit code. `is_named`: the user has said who the reviewer is.
pub fn run(arguments: &ReviewsArgs, setup: &CommandSetup, is_named: bool) -> Result<u8, Fault> {
    match &arguments.action {
        Some(ReviewsAction::Import { labels, map, mode }) if is_named => {
            import((labels, map, *mode), setup)
        }
        Some(ReviewsAction::Import { .. }) => Err(Fault::usage(
            "say whose labels these are with --reviewer NAME, such as `truth`",
        )),
        None => report(arguments.json, setup),
    }
}

fn report(json: bool, setup: &CommandSetup) -> Result<u8, Fault> {
    let library = existing(setup)?;
    let mut reviews = library.reviews().map_err(unusable(&library))?;
    reviews.retain(|review| !review.is_empty());
    let sets: BTreeSet<&str> = reviews.iter().map(|review| &*review.prompts).collect();
    let (mut reports, learned) = (Vec::new(), setup.learned());
    for prompts in sets {
        let claims = claims(&library, prompts, &learned)?;
        let of_set = reviews.iter().filter(|review| review.prompts == prompts);
        reports.extend(reports_of_set(
            prompts,
            &of_set.collect::<Vec<_>>(),
            &claims,
        ));
    }
    if json {
        print::json(&reports)?;
        return Ok(exit::OK);
    }
    if reports.is_empty() {
        print::message("nothing is reviewed yet; in the interface, the key `,` reviews an image");
    }
    for report in reports {
        print::line(format_args!(
            "{}, prompts {}: {} reviewed, {} of them blind; {} flagged",
            clean(&report.reviewer),
            clean(&report.prompts),
            report.reviewed,
            report.blind,
            report.flagged
        ))?;
        for RaterAgreement {
            with,
            agreement,
            not_learned_from,
            no_longer_in_use,
            ..
        } in report.agreements
        {
            print::line(format_args!("  with {}: {agreement}", clean(&with)))?;
            if let Some(own) = not_learned_from {
                let shots = agreement.cases - own.agreement.cases - no_longer_in_use;
                let taught = (shots > 0)
                    .then(|| format!("its scores were learned from {shots} of these images"));
                let unknown = (no_longer_in_use > 0).then(|| {
                    format!("those of {no_longer_in_use} are of what was learned and is no longer in use")
                });
                let words: Vec<String> = taught.into_iter().chain(unknown).collect();
                let words = words.join(", ");
                print::line(format_args!(
                    "    {words}; of the others: {}",
                    own.agreement
                ))?;
            }
        }
    }
    Ok(exit::OK)
}

/// The categories that the newest results under a prompt set claim, by content.
fn claims(
    library: &Library,
    prompts: &str,
    learned: &LearnedSets,
) -> Result<HashMap<String, ModelClaim>, Fault> {
    let selection = ResultSelection {
        prompts: Some(prompts.to_owned()),
        ..ResultSelection::default()
    };
    let mut claims = HashMap::new();
    let read = library.stored_results(&selection, &mut |_, record: Record| {
        // The aggregate comes after all frames; without one, the first frame stands for the file.
        if record.aggregate.is_some() || !claims.contains_key(&record.content) {
            let claim = ModelClaim {
                category: claimed_category(&record),
                taught_by: taught_by(&record, learned),
            };
            claims.insert(record.content, claim);
        }
        true
    });
    read.map_err(unusable(library))?;
    Ok(claims)
}

fn reports_of_set(
    prompts: &str,
    reviews: &[&Review],
    claims: &HashMap<String, ModelClaim>,
) -> Vec<ReviewerReport> {
    // What each reviewer says, by content.
    let mut decided: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for review in reviews {
        let own = decided.entry(&review.reviewer).or_default();
        if let Some(labels) = &review.labels {
            own.insert(&review.content, category(labels));
        }
    }
    let reports = decided.iter().map(|(reviewer, own)| {
        let with_model = own.iter();
        let with_model =
            with_model.filter_map(|(content, label)| Some((label, claims.get(*content)?)));
        let mut agreements = vec![RaterAgreement::with_model(with_model)];
        for (other, theirs) in decided.iter().filter(|(other, _)| *other != reviewer) {
            let both = own.iter().filter_map(|(content, label)| {
                let their = theirs.get(content)?;
                Some((label.clone(), their.clone()))
            });
            agreements.push(RaterAgreement::new(other, both));
        }
        let mine = || reviews.iter().filter(|review| review.reviewer == *reviewer);
        let is_blind = |review: &&&Review| review.blind && review.labels.is_some();
        ReviewerReport {
            prompts: prompts.to_owned(),
            reviewer: (*reviewer).to_owned(),
            reviewed: own.len(),
            flagged: mine().filter(|review| review.flagged).count(),
            blind: mine().filter(is_blind).count(),
            agreements,
        }
    });
    reports.collect()
}

/// The prompt sets whose conditions labels may be.
struct ImportSets {
    prompts: Prompts,
}

impl ImportSets {
    /// The set that the user named; else all, as a review belongs to the set under which an image has its result.
    fn new(setup: &CommandSetup) -> Result<Self, Fault> {
        let named = setup.load_prompts()?;
        if !setup.prompts.is_default {
            return Ok(Self { prompts: named });
        }
        let prompts = setup.clone().choosing_prompts().load_prompts()?;
        Ok(Self { prompts })
    }

    /// The sets of the newest result of each content, where it matters: its own and, where that tells only the kind, the one for findings of
    /// it.
    fn results(&self, library: &Library) -> Result<HashMap<String, [Option<String>; 2]>, Fault> {
        let mut found = HashMap::new();
        if !self.prompts.is_auto() {
            return Ok(found);
        }
        let all = ResultSelection::default();
        let read = library.stored_results(&all, &mut |_, record: Record| {
            let findings = findings_set(&self.prompts, &record).map(|set| set.name.clone());
            found.insert(record.content, [Some(record.prompts), findings]);
            true
        });
        read.map_err(unusable(library))?;
        Ok(found)
    }

    /// The set of these names that has all labels, the last one if none has; without a result, the only one, or `general`, which takes any
    /// image.
    fn find(&self, names: Option<&[Option<String>; 2]>, labels: &[&str]) -> &PromptSet {
        let sets = self.prompts.sets();
        let named = |name: &str| sets.iter().find(|set| set.name == name);
        let known = names.into_iter().flatten().flatten();
        let known: Vec<&PromptSet> = known.filter_map(|name| named(name)).collect();
        let has_all = |set: &&&PromptSet| labels.iter().all(|label| has_condition(set, label));
        let found = known.iter().find(has_all).or(known.last()).copied();
        found.or_else(|| named(DEFAULT)).unwrap_or_else(|| &sets[0])
    }
}

fn has_condition(set: &PromptSet, name: &str) -> bool {
    set.conditions.iter().any(|own| own.name == name)
}

/// A label that a file is read to have, as the conditions of one set.
struct ReadLabels<'a> {
    sets: &'a ImportSets,
    /// What labels are indices among.
    names: &'a [String],
    mode: Mode,
}

impl ReadLabels<'_> {
    /// The set under which an image is reviewed, and the names of the conditions that it shows. `result`: the sets of its newest result.
    fn of(
        &self,
        mut file: LabelledEach,
        result: Option<&[Option<String>; 2]>,
    ) -> Result<(&str, Vec<String>), String> {
        let labels = file.labels.iter().map(|label| &*self.names[*label]);
        let set = self.sets.find(result, &labels.collect::<Vec<_>>());
        let advice = "under which this image is reviewed; name a prompt set with --prompts";
        let taken = file.take_labels_of(self.names, set);
        taken.map_err(|reason| format!("{reason}, {advice}"))?;
        if self.mode.for_set(set) == Mode::Single && file.labels.len() != 1 {
            return Err(format!(
                "it has {} labels, and exactly one condition applies under {}, {advice}",
                file.labels.len(),
                clean(&set.name)
            ));
        }
        let labels = file.labels.iter();
        let labels = labels.map(|label| set.conditions[*label].name.clone());
        Ok((&set.name, labels.collect()))
    }
}

fn import(
    (path, map, mode): (&Path, &[(String, String)], Mode),
    setup: &CommandSetup,
) -> Result<u8, Fault> {
    let library = setup
        .library()
        .ok_or_else(|| Fault::usage("there is no library to import into: --library is `none`"))?;
    let sets = ImportSets::new(setup)?;
    let all = sets.prompts.sets();
    let takes_several = all.iter().any(|set| !set.is_exhaustive());
    let (files, names) = labels::read_any_as(path, (all, takes_several), map, mode)?;
    let results = sets.results(&library)?;
    let read = ReadLabels {
        sets: &sets,
        names: &names,
        mode,
    };
    let (mut reviews, mut copies) = (Vec::new(), Copies::default());
    let mut failures = 0_usize;
    for file in files {
        let named = file.path.clone();
        let absolute = paths::absolute(&named).unwrap_or_else(|_| named.clone());
        let content = content(&library, &absolute).map_err(|error| error.to_string());
        let reviewed = content.and_then(|content| {
            let patient = file.patient.as_deref().and_then(patient_mark);
            let (set, labels) = read.of(file, results.get(&content))?;
            Ok(Review {
                content,
                prompts: set.to_owned(),
                reviewer: setup.reviewer.name.clone(),
                path: absolute,
                labels: Some(labels),
                patient,
                ..Review::default()
            })
        });
        match reviewed {
            Ok(review) => {
                let labels = review.labels.as_deref().unwrap_or_default();
                let patient = review.patient.as_slice();
                if copies.add(&review.content, &review.path, (labels, patient))? {
                    reviews.push(review);
                }
            }
            Err(error) => {
                failures += 1;
                print::message(format_args!("{}: {error}", shown(&named)));
            }
        }
    }
    for review in &mut reviews {
        let named = copies.patients(&review.content).first();
        review.patient = named.cloned();
    }
    let stored = library
        .import_reviews(&reviews)
        .map_err(unusable(&library))?;
    print::line(format_args!(
        "{stored} label{} imported as reviews of {}, {} {} known{}",
        if stored == 1 { "" } else { "s" },
        clean(&setup.reviewer.name),
        reviews.len() - stored,
        if reviews.len() - stored == 1 {
            "was"
        } else {
            "were"
        },
        sets_of(&reviews)
    ))?;
    Ok(if failures == 0 {
        exit::OK
    } else {
        exit::SOME_FAILED
    })
}

/// `; under brain-mri 149, general 1` where images are reviewed under several sets.
fn sets_of(reviews: &[Review]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for review in reviews {
        *counts.entry(&review.prompts).or_default() += 1;
    }
    let words = counts
        .iter()
        .map(|(name, count)| format!("{} {count}", clean(name)));
    match counts.len() {
        0 | 1 => String::new(),
        _ => format!("; under {}", words.collect::<Vec<_>>().join(", ")),
    }
}

/// The content of an image file, which is read only if the library does not know it.
pub(super) fn content(library: &Library, path: &Path) -> std::io::Result<String> {
    let known = FileIdentity::of(path).and_then(|identity| library.content(path, identity));
    if let Some(content) = known {
        return Ok(content.hash);
    }
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    if matches!(sniff(&head), Sniffed::Unknown | Sniffed::Other(_)) {
        return Err(std::io::Error::other("not a JPEG, PNG or DICOM image"));
    }
    content_of(path)
}

/// The content of a file: `blake3:<hex>` of its bytes.
pub(super) fn content_of(path: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(format!("blake3:{}", hasher.finalize().to_hex()))
}
