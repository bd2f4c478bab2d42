//! `explain`: what the phrases of a prompt set contribute to the scores of an image, beside random words; and a heat map.

mod heat_map;
mod neighbours;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::describe::{self, GeneratedText};
use super::progress::ProgressLine;
use super::run::{self, BatchHandler, Run, RunEnd, RunMessage};
use super::{CommandSetup, Fault, exit, on_signals, output, print, shown};
use crate::cli::{Description, ExplainArgs};
use crate::encoder::{Encoder, EncoderError};
use crate::engine::explanation::{BY_DISTANCE, EncodedSet, ExplainedScore, PhraseExplanation};
use crate::engine::{self, Factory, FrameSelection, Lane, Settings, StoredFile};
use crate::jobs::{End, Ended};
use crate::library::neighbours::Neighbours;
use crate::library::{Library, NOTICE, Outcome, Record};
use crate::media::clean;
use crate::prompts::Prompts;
use crate::scoring::{Decision, Logits, Mode};
use heat_map::{CheckedMap, MapReport};
use neighbours::NeighbourReport;

/// Images that are compared at most.
const MAX_COMPARED: usize = 10_000;
/// Columns of the longest bar.
const BAR: f64 = 16.0;

/// What the command takes from the model.
struct ModelTexts {
    logits: Logits,
    /// The key of its embeddings in the library.
    embedding_key: String,
    /// By the digest of their set: the texts of each condition, and of its placebo.
    sets: HashMap<String, EncodedSet>,
}

/// What is printed.
#[derive(Serialize)]
pub(super) struct ExplanationReport<'a> {
    #[serde(flatten)]
    pub(super) record: &'a Record,
    /// Images of the same folder that the percentiles refer to.
    compared: usize,
    pub(super) conditions: Vec<ExplainedScore>,
    /// The reviewed images that it was compared with.
    reviewed: usize,
    /// The nearest of each label.
    neighbours: Vec<NeighbourReport>,
    /// The number of reviews from which other commands score such images; `None` if zero-shot.
    #[serde(skip_serializing_if = "Option::is_none")]
    learned_elsewhere: Option<usize>,
    /// The heat map, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<MapReport>,
    /// A text of the language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    generated: Option<GeneratedText>,
}

/// Explains a file; returns the exit code.
pub fn run(arguments: &ExplainArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    if let Some(out) = &arguments.render
        && output::is_same_file(&arguments.file, out)
    {
        return Err(Fault::usage(format!(
            "{}: the image would overwrite the file that it is rendered from",
            shown(out)
        )));
    }
    let settings = settings(arguments.mode, setup)?;
    let (prompts, library) = (settings.prompts.clone(), settings.library.clone());
    let messages = run::messages();
    on_signals(&[SIGINT, SIGTERM], {
        let sender = messages.0.clone();
        move || drop(sender.send(RunMessage::Stop))
    })?;
    let (opened, opening) = bounded(1);
    let factory = also_encoding(setup.factory(None), prompts.clone(), opened);
    let progress = ProgressLine::new();
    let mut run = Run::start(factory, settings, messages, &progress);
    let mut asked = AskedFile(None);
    let ended = run.classify_all(Lane::Interactive, &one(arguments.file.clone()), &mut asked)?;
    if ended == RunEnd::Interrupted {
        run.shutdown();
        return Ok(exit::INTERRUPTED);
    }
    let record = match asked.0 {
        Some(Ok(record)) => record,
        Some(Err(failure)) => {
            run.finish();
            return Err(Fault {
                code: exit::SOME_FAILED,
                message: format!("{}: {}", shown(&arguments.file), failure.message),
            });
        }
        None => return Err(Fault::unusable("the file was not classified")),
    };
    let map = match mapped(arguments, &mut run, &record) {
        Ok(Mapped::Interrupted) => {
            run.shutdown();
            return Ok(exit::INTERRUPTED);
        }
        Ok(Mapped::Map(map)) => map,
        Err(fault) => {
            run.shutdown();
            return Err(fault);
        }
    };
    run.finish();
    let texts = opening.try_recv();
    let texts = texts.map_err(|_| Fault::unusable("the model's texts are missing"))?;
    let found = library
        .as_deref()
        .map_or_else(Neighbours::default, |library| {
            reviewed(library, &record, &texts.embedding_key, setup)
        });
    let others = library.map_or_else(Vec::new, |library| {
        let paths = siblings(&arguments.file);
        let known = StoredFile::find_all(
            &library,
            &paths,
            &texts.embedding_key,
            FrameSelection::First,
        );
        let known = known.into_iter().flatten();
        // The image itself, and copies of it, are nothing to compare it with.
        known
            .filter(|file| file.content.hash != record.content)
            .filter_map(|file| Some(file.embeddings.first()?.1.clone()))
            .collect()
    });
    let report = explained(&record, &texts, &others);
    let mut report = report.ok_or_else(|| Fault::unusable("the result has no embedding"))?;
    report.reviewed = found.compared;
    report.learned_elsewhere = learned_elsewhere(&record, setup);
    report.neighbours = neighbours::reports(&found);
    report.map = map.as_ref().map(CheckedMap::report);
    let rendered = match (&map, &arguments.render) {
        (Some(map), Some(out)) => map.render(&arguments.file, &record, out),
        _ => Ok(()),
    };
    let generated = match arguments.describe {
        Some(Description::Generated) => describe::generated(&report, &setup.llm, arguments.yes),
        _ => Ok(None),
    };
    // What the program found does not depend on what a language model says of it.
    let (text, fault) = generated.map_or_else(|fault| (None, Some(fault)), |text| (text, None));
    report.generated = text;
    if arguments.json {
        print::json(&report)?;
    } else {
        if arguments.describe.is_some() {
            print::lines(&describe::paragraph(&report, report.generated.as_ref()))?;
        }
        print::lines(&table(&report))?;
    }
    rendered?;
    fault.map_or(Ok(exit::OK), Err)
}

fn settings(mode: Mode, setup: &CommandSetup) -> Result<Settings, Fault> {
    Ok(Settings {
        prompts: setup.load_prompts_by_rules()?,
        mode,
        calibrations: setup.calibrations(None),
        // Of which kinds findings are judged follows from what was learned; what is explained are the texts.
        learned: setup.learned().by_texts(),
        frames: FrameSelection::First,
        batch_size: None,
        decode_threads: None,
        exact: false,
        pass_time: engine::BULK_PASS_TIME,
        library: setup.library_with_messages(),
        // These are not the scores of `classify`.
        stores_results: false,
    })
}

/// The nearest reviewed images; none, and a message, if the library cannot tell.
fn reviewed(
    library: &Library,
    record: &Record,
    model_key: &str,
    setup: &CommandSetup,
) -> Neighbours {
    let found = neighbours::find(
        library,
        record,
        model_key,
        &setup.reviewer.name,
        setup.all_prompts().as_ref(),
    );
    found.unwrap_or_else(|message| {
        print::message(format_args!("no neighbours: {}", clean(&message)));
        Neighbours::default()
    })
}

/// The number of reviews from which other commands score such images.
fn learned_elsewhere(record: &Record, setup: &CommandSetup) -> Option<usize> {
    let learned = setup.learned();
    let own = learned.find(&record.model_digest, &record.prompts_digest, record.mode)?;
    // What real images teach is not meant for phantoms.
    let is_for = own.kind.is_none() || !record.synthetic;
    (is_for && own.changes_scores()).then_some(own.reviews)
}

/// What came of asking for a heat map.
enum Mapped {
    /// The map; `None` if none was asked for.
    Map(Option<CheckedMap>),
    /// A signal.
    Interrupted,
}

/// Makes the heat map that the arguments ask for.
fn mapped(
    arguments: &ExplainArgs,
    run: &mut Run<'_, ()>,
    record: &Record,
) -> Result<Mapped, Fault> {
    let (condition, method) = (arguments.condition.as_deref(), arguments.method);
    if arguments.render.is_none() && condition.is_none() && method.is_none() {
        return Ok(Mapped::Map(None));
    }
    let file = &arguments.file;
    let names = || {
        record
            .verdict
            .scores
            .iter()
            .map(|score| score.condition.as_str())
    };
    if let Some(wrong) = condition.filter(|condition| !names().any(|name| name == *condition)) {
        return Err(Fault::usage(format!(
            "{} has no condition `{}`; it has {}",
            clean(&record.prompts),
            clean(wrong),
            clean(&names().collect::<Vec<_>>().join(", "))
        )));
    }
    if record.verdict.decision == Decision::Rejected {
        let reason = record.verdict.reason.as_deref().unwrap_or_default();
        return Err(Fault {
            code: exit::SOME_FAILED,
            message: format!(
                "{}: no heat map, as the image is rejected: {reason}",
                shown(file)
            ),
        });
    }
    let map = heat_map::request(run, file, record, condition, method.unwrap_or_default())?;
    Ok(map.map_or(Mapped::Interrupted, |map| Mapped::Map(Some(map))))
}

/// A channel with one file.
fn one(path: PathBuf) -> Receiver<PathBuf> {
    let (sender, receiver) = bounded(1);
    // The receiver is there.
    let _ = sender.send(path);
    receiver
}

/// The outcome of the file that is to be explained.
struct AskedFile(Option<Outcome>);

impl BatchHandler<PathBuf, ()> for AskedFile {
    fn begin(&mut self, input: PathBuf) -> Option<(PathBuf, ())> {
        Some((input, ()))
    }

    fn end(&mut self, ended: Ended<()>, _: &ProgressLine) -> Result<(), Fault> {
        if let End::Answered(outcomes) = ended.end {
            self.0 = outcomes.into_iter().next();
        }
        Ok(())
    }
}

/// A factory that also encodes all phrases, on the thread that owns the model.
fn also_encoding(mut open: Factory, prompts: Prompts, opened: Sender<ModelTexts>) -> Factory {
    Box::new(move || {
        let mut encoder = open()?;
        let texts = encoded(encoder.as_mut(), &prompts)?;
        // When a GPU was lost and the model is opened again, nobody waits for it any more.
        let _ = opened.try_send(texts);
        Ok(encoder)
    })
}

fn encoded(encoder: &mut dyn Encoder, prompts: &Prompts) -> Result<ModelTexts, EncoderError> {
    let card = encoder.card();
    let logits = Logits {
        scale: card.logit_scale,
        bias: card.logit_bias,
    };
    let embedding_key = engine::embedding_key(encoder, false);
    let mut sets = HashMap::new();
    for set in prompts.sets() {
        sets.insert(set.digest.clone(), EncodedSet::new(set, encoder)?);
    }
    Ok(ModelTexts {
        logits,
        embedding_key,
        sets,
    })
}

/// The files beside a file, itself included.
fn siblings(file: &Path) -> Vec<PathBuf> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files.truncate(MAX_COMPARED);
    files
}

fn explained<'a>(
    record: &'a Record,
    model: &ModelTexts,
    others: &[std::sync::Arc<[f32]>],
) -> Option<ExplanationReport<'a>> {
    let embedding = record.embedding.as_deref()?;
    let set = model.sets.get(&record.prompts_digest)?;
    let PhraseExplanation {
        compared,
        conditions,
        ..
    } = set.explain(model.logits, &record.verdict.scores, embedding, others);
    Some(ExplanationReport {
        record,
        compared,
        conditions,
        reviewed: 0,
        neighbours: Vec::new(),
        learned_elsewhere: None,
        map: None,
        generated: None,
    })
}

fn table(report: &ExplanationReport) -> String {
    let record = report.record;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let said = match record.verdict.decision {
        Decision::Rejected => {
            let reason = record.verdict.reason.as_deref().unwrap_or_default();
            format!("rejected: {reason}")
        }
        decision => {
            let label = record.verdict.claimed_label();
            let label = label.unwrap_or("none of the conditions");
            format!("{label}, {}", decision.name())
        }
    };
    let _ = writeln!(out, "{}: {}", clean(&record.path), clean(&said));
    let _ = writeln!(
        out,
        "model {}, prompts {}. Similarity of the image to each phrase, as its part of the condition's lead over the others, in\n\
         logits. It is no reason: compare with the placebo, as many phrases of random words.",
        clean(&record.model),
        clean(&record.prompts)
    );
    let leads = report.conditions.iter().flat_map(|condition| {
        let phrases = condition.phrases.iter().map(|phrase| phrase.lead.abs());
        let mean = condition.placebo.lead.abs() / condition.phrases.len().max(1) as f64;
        phrases.chain([mean])
    });
    let longest = leads.fold(f64::MIN_POSITIVE, f64::max);
    let bar = |lead: f64| "#".repeat((BAR * lead.abs() / longest).round() as usize);
    for condition in &report.conditions {
        let _ = writeln!(
            out,
            "\n{}  {:.1} %{}, logit {:.2}{}, lead {:+.2}{}",
            clean(&condition.condition),
            100.0 * condition.probability,
            condition.threshold.map_or_else(String::new, |point| {
                format!(" (present from {:.1} %)", 100.0 * point)
            }),
            condition.logit,
            condition
                .bias
                .map_or_else(String::new, |bias| format!(" (bias {bias:+.2})")),
            condition.lead,
            condition
                .pair
                .map_or_else(String::new, |pair| format!(", {}", pair.words())),
        );
        if condition.by_distance {
            let _ = writeln!(out, "  {BY_DISTANCE}");
        }
        for phrase in &condition.phrases {
            let beside = phrase.percentile.map_or_else(String::new, |share| {
                format!(
                    ", more than in {:.0} % of {} images here",
                    100.0 * share,
                    report.compared
                )
            });
            let _ = writeln!(
                out,
                "  {:+7.2} {:<width$} {}{beside}",
                phrase.lead,
                bar(phrase.lead),
                clean(&phrase.phrase),
                width = BAR as usize
            );
        }
        let mean = condition.placebo.lead / condition.phrases.len().max(1) as f64;
        let _ = writeln!(
            out,
            "  {mean:+7.2} {:<width$} placebo, mean of: {}",
            bar(mean),
            condition.placebo.phrases.join("; "),
            width = BAR as usize
        );
    }
    if let Some(reviews) = report.learned_elsewhere {
        let _ = writeln!(
            out,
            "\nOther commands score such images by what {reviews} reviews taught; this, and any heat map, explains the texts alone."
        );
    }
    out.push_str(&neighbours::table(report.reviewed, &report.neighbours));
    if let Some(map) = &report.map {
        let _ = writeln!(out, "\n{}", map_words(map));
    }
    let _ = writeln!(out, "\n{NOTICE}");
    out
}

/// What is said of a heat map.
fn map_words(map: &MapReport) -> String {
    let check = &map.deletion;
    let measured = format!(
        "score {:.2}; with its highest regions deleted {:.2}, with random ones {:.2}",
        check.score,
        check.deleted,
        check.mean_random()
    );
    let name = clean(&map.condition);
    let method = map.method.words();
    match map.withheld {
        None => format!(
            "Heat map of {name} by {method}: it passed its deletion check ({measured}).\nIt shows what goes with the score, not why \
             the image has it."
        ),
        Some(reason) => {
            format!("Heat map of {name} by {method}: withheld, as {reason} ({measured}).")
        }
    }
}
