//! `learn`: learns from reviews on stored embeddings, says what that changes, and puts it into use.

pub(super) mod copies;
pub(super) mod images;
mod output;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::library::{existing, unusable};
use super::output::{is_same_file, unwritable};
use super::{CommandSetup, Fault, exit, print, shown};
use crate::cli::LearnArgs;
use crate::encoder::{Encoder, ModelCard};
use crate::engine;
use crate::engine::learning::{Proposal, UnusedImages, propose};
use crate::learn::{Learned, LearnedFor};
use crate::library::json;
use crate::library::learned::{self, NotKept, Undone};
use crate::media::clean;
use crate::prompts::{PromptSet, Prompts};
use images::CollectedImages;
use output::LearnReport;

/// What learned scores belong to.
struct LearnTarget {
    encoder: Box<dyn Encoder>,
    prompts: Prompts,
    set: PromptSet,
    /// Where what was learned is kept.
    folder: PathBuf,
}

impl LearnTarget {
    fn open(setup: &CommandSetup) -> Result<Self, Fault> {
        let folder = setup.library.as_deref().map(learned::folder);
        let folder = folder.ok_or_else(|| {
            Fault::usage("reviews, and what is learned from them, are kept with the library, and --library is none")
        })?;
        let prompts = reviewed_prompts(setup)?;
        let set = prompts.sets()[0].clone();
        let encoder = setup.source.open(setup.options(None));
        Ok(Self {
            encoder: encoder.map_err(Fault::unusable)?,
            prompts,
            set,
            folder,
        })
    }

    fn card(&self) -> &ModelCard {
        self.encoder.card()
    }

    /// Checks that what was learned is for this model and prompt set.
    fn check(&self, own: &Learned) -> Result<(), String> {
        let card = self.card();
        let conditions = self.set.conditions.iter();
        let conditions: Vec<&str> = conditions.map(|own| own.name.as_str()).collect();
        let subject = LearnedFor {
            model: [&card.id, &card.digest],
            prompts: [&self.set.name, &self.set.digest],
            conditions: &conditions,
            dimension: card.dimension,
        };
        own.check_for(&subject).map_err(|error| error.to_string())
    }
}

/// The prompt set that the user named; else the only one under which images were reviewed.
fn reviewed_prompts(setup: &CommandSetup) -> Result<Prompts, Fault> {
    let prompts = setup.load_prompts()?;
    if !setup.prompts.is_default && !prompts.is_auto() {
        return Ok(prompts);
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    if let Ok(library) = existing(setup) {
        let reviews = library.reviews().map_err(unusable(&library))?;
        for review in reviews.into_iter().filter(|review| review.labels.is_some()) {
            *counts.entry(review.prompts).or_default() += 1;
        }
    }
    let is_usual = prompts.sets().len() == 1 && counts.contains_key(&prompts.sets()[0].name);
    let all = setup.clone().choosing_prompts().load_prompts()?;
    let mut sets = all
        .sets()
        .iter()
        .filter(|set| counts.contains_key(&set.name));
    match (sets.next(), sets.next()) {
        _ if is_usual => Ok(prompts),
        (Some(only), None) => Ok(Prompts::only(only.clone())),
        (None, _) if !prompts.is_auto() => Ok(prompts),
        _ => {
            let counts = counts
                .iter()
                .map(|(name, count)| format!("{} {count}", clean(name)));
            let counts: Vec<String> = counts.collect();
            Err(Fault::usage(format!(
                "this needs one prompt set under which images were reviewed ({}); name it with --prompts",
                if counts.is_empty() {
                    "there are none yet".to_owned()
                } else {
                    counts.join(", ")
                }
            )))
        }
    }
}

/// Carries the command out; returns the exit code.
pub fn run(arguments: &LearnArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let subject = LearnTarget::open(setup)?;
    if arguments.undo {
        return undo(arguments, &subject);
    }
    if let Some(file) = &arguments.export {
        return export(file, arguments, &subject);
    }
    if let Some(file) = &arguments.import {
        return import(file, arguments, &subject);
    }
    learn(arguments, setup, subject)
}

fn learn(
    arguments: &LearnArgs,
    setup: &CommandSetup,
    mut subject: LearnTarget,
) -> Result<u8, Fault> {
    let key = engine::embedding_key(subject.encoder.as_ref(), false);
    let collected = CollectedImages::read(
        (&arguments.paths, &arguments.map, arguments.mode),
        setup,
        &subject.set,
        subject.card(),
        &key,
    )?;
    let (calibrations, learned) = (setup.calibrations(None), setup.learned());
    let proposal = propose(
        subject.encoder.as_mut(),
        &subject.prompts,
        arguments.mode,
        (&calibrations, &learned),
        collected.images,
    );
    let proposal = proposal.map_err(|reason| {
        let set = clean(&subject.set.name);
        Fault::unusable(format!("nothing was learned under {set}: {reason}"))
    })?;
    let file = kept(arguments, &subject, &proposal)?;
    let left_out = UnusedImages {
        other_labels: proposal.other_labels,
        other_kinds: proposal.other_kinds,
        ..collected.left_out
    };
    let report = LearnReport {
        in_use: in_use(&subject, arguments).map(|own| own.words()),
        proposal: &proposal,
        left_out,
        file: file.as_deref().map(shown),
        dry_run: arguments.dry_run,
    };
    if arguments.json {
        print::json(&report.json())?;
    } else {
        print::lines(&report.table())?;
    }
    Ok(exit::OK)
}

/// Keeps what was learned, unless that is not wanted or would change nothing; returns its file.
fn kept(
    arguments: &LearnArgs,
    subject: &LearnTarget,
    proposal: &Proposal,
) -> Result<Option<PathBuf>, Fault> {
    if arguments.dry_run || !proposal.learned.changes_results() {
        return Ok(None);
    }
    let kept = learned::keep(&subject.folder, &proposal.learned);
    kept.map(Some).map_err(Fault::unusable)
}

/// What became of what was in use.
#[derive(Serialize)]
struct ChangeReport {
    /// `undone`, `exported` or `imported`.
    done: &'static str,
    /// The number of reviews behind the scores in use now; `None` if they are zero-shot.
    learned: Option<usize>,
    file: Option<String>,
}

fn report(arguments: &LearnArgs, report: &ChangeReport, words: &str) -> Result<u8, Fault> {
    if arguments.json {
        print::json(report)?;
    } else {
        print::line(words)?;
    }
    Ok(exit::OK)
}

fn in_use(subject: &LearnTarget, arguments: &LearnArgs) -> Option<Learned> {
    let (all, _) = learned::load(&subject.folder);
    let mode = arguments.mode.for_set(&subject.set);
    all.find(&subject.card().digest, &subject.set.digest, mode)
        .cloned()
}

fn undo(arguments: &LearnArgs, subject: &LearnTarget) -> Result<u8, Fault> {
    let mode = arguments.mode.for_set(&subject.set);
    let digest = &subject.card().digest;
    let undone = learned::undo(&subject.folder, digest, &subject.set.digest, mode);
    let undone = undone.map_err(Fault::unusable)?;
    let now = in_use(subject, arguments);
    let words = match (undone, &now) {
        (Undone::Nothing, _) => "there is nothing to undo: scores are zero-shot".to_owned(),
        (_, Some(own)) => format!("undone: {}", clean(&own.words())),
        (_, None) => "undone: nothing learned is in use".to_owned(),
    };
    let file = None;
    let done = "undone";
    let learned = now.map(|own| own.reviews);
    report(
        arguments,
        &ChangeReport {
            done,
            learned,
            file,
        },
        &words,
    )
}

fn export(file: &Path, arguments: &LearnArgs, subject: &LearnTarget) -> Result<u8, Fault> {
    let own = in_use(subject, arguments);
    let own = own.ok_or_else(|| Fault::unusable("nothing was learned that could be exported"))?;
    learned::export(file, &own).map_err(|error| unwritable(file, &error))?;
    let words = format!("written to {}: {}", shown(file), clean(&own.words()));
    if is_same_file(file, Path::new("/proc/self/fd/1")) {
        // What reads stdout gets the file alone.
        print::message(words);
        return Ok(exit::OK);
    }
    let change = ChangeReport {
        done: "exported",
        learned: Some(own.reviews),
        file: Some(shown(file)),
    };
    report(arguments, &change, &words)
}

fn import(file: &Path, arguments: &LearnArgs, subject: &LearnTarget) -> Result<u8, Fault> {
    let wrong = |reason: String| Fault::unusable(format!("{}: {reason}", shown(file)));
    let own = learned::read(file).map_err(wrong)?;
    subject.check(&own).map_err(wrong)?;
    let kept = learned::keep(&subject.folder, &own);
    let kept = kept.map_err(|error| match error {
        NotKept::Refused(reason) => wrong(reason),
        NotKept::File { .. } => Fault::unusable(error),
    })?;
    // The file knows its mode, whatever --mode is.
    let words = format!(
        "with --mode {}, {}",
        json::name(&own.mode),
        clean(&own.words())
    );
    let change = ChangeReport {
        done: "imported",
        learned: Some(own.reviews),
        file: Some(shown(&kept)),
    };
    report(arguments, &change, &words)
}
