//! `explain`: what the phrases of a prompt set contribute to the scores of an image, beside random words.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender, bounded};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::progress::ProgressLine;
use super::run::{self, BatchHandler, Run, RunEnd, RunMessage};
use super::{CommandSetup, Fault, exit, on_signals, print, shown};
use crate::cli::ExplainArgs;
use crate::encoder::{Encoder, EncoderError};
use crate::engine::{self, Factory, FrameSelection, Lane, Settings, StoredFile};
use crate::jobs::{End, Ended};
use crate::learn::LearnedSets;
use crate::library::{NOTICE, Outcome, Record};
use crate::media::clean;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::explanation::{ConditionTexts, PhraseShare, explain, explain_placebo};
use crate::scoring::{Decision, Logits, Mode};

/// Words that say nothing of an image; a placebo is made of those that the model knows.
const PLACEBO_WORDS: &str = "and very small large two several many old new typical example case view left right table river \
    music window yellow morning letter garden bridge summer paper kitchen";
/// Words of a placebo's phrase.
const PLACEBO_LENGTH: usize = 3;
/// Images that are compared at most, and at least.
const MAX_COMPARED: usize = 10_000;
const MIN_COMPARED: usize = 10;
/// Columns of the longest bar.
const BAR: f64 = 16.0;

/// What the command takes from the model.
struct ModelTexts {
    logits: Logits,
    /// The key of its embeddings in the library.
    embedding_key: String,
    /// By the digest of their set: the texts of each condition, and of its placebo.
    sets: HashMap<String, Vec<ExplainedCondition>>,
}

/// A condition's phrases, and as many of random words.
struct ExplainedCondition {
    texts: ConditionTexts,
    placebo: ConditionTexts,
    placebo_phrases: Vec<String>,
}

/// What is printed.
#[derive(Serialize)]
struct ExplanationReport<'a> {
    #[serde(flatten)]
    record: &'a Record,
    /// Images of the same folder that the percentiles refer to.
    compared: usize,
    conditions: Vec<ExplainedScore>,
}

#[derive(Serialize)]
struct ExplainedScore {
    condition: String,
    probability: f64,
    /// The sum of the contributions and, where the model has one, its bias.
    logit: f64,
    /// The logit less the mean over the phrases of the other conditions.
    lead: f64,
    phrases: Vec<ExplainedPhrase>,
    placebo: Placebo,
}

#[derive(Serialize)]
struct ExplainedPhrase {
    phrase: String,
    contribution: f64,
    lead: f64,
    /// Share of the compared images to which the phrase contributes less; `None` if too few are known.
    percentile: Option<f64>,
}

#[derive(Serialize)]
struct Placebo {
    phrases: Vec<String>,
    logit: f64,
    lead: f64,
}

/// Explains a file; returns the exit code.
pub fn run(arguments: &ExplainArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let settings = Settings {
        prompts: setup.load_prompts_by_rules()?,
        mode: Mode::Single,
        calibrations: setup.calibrations(),
        learned: LearnedSets::default(),
        frames: FrameSelection::First,
        batch_size: None,
        decode_threads: None,
        exact: false,
        pass_time: engine::BULK_PASS_TIME,
        library: setup.library_with_messages(),
    };
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
    run.finish();
    let record = match asked.0 {
        Some(Ok(record)) => record,
        Some(Err(failure)) => {
            return Err(Fault {
                code: exit::SOME_FAILED,
                message: format!("{}: {}", shown(&arguments.file), failure.message),
            });
        }
        None => return Err(Fault::unusable("the file was not classified")),
    };
    let texts = opening.try_recv();
    let texts = texts.map_err(|_| Fault::unusable("the model's texts are missing"))?;
    let others = library.map_or_else(Vec::new, |library| {
        let paths = siblings(&arguments.file);
        let known = StoredFile::find_all(
            &library,
            &paths,
            &texts.embedding_key,
            FrameSelection::First,
        );
        let known = known.into_iter().flatten();
        known
            .filter_map(|file| Some(file.embeddings.first()?.1.clone()))
            .collect()
    });
    let report = explained(&record, &prompts, &texts, &others);
    let report = report.ok_or_else(|| Fault::unusable("the result has no embedding"))?;
    if arguments.json {
        print::json(&report)?;
    } else {
        print::lines(&table(&report))?;
    }
    Ok(exit::OK)
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
    let all: Vec<String> = PLACEBO_WORDS
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let unknown = encoder.unknown_words(&all);
    let mut words: Vec<&String> = all.iter().filter(|word| !unknown.contains(word)).collect();
    if words.is_empty() {
        words = all.iter().collect();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut sets = HashMap::new();
    for set in prompts.sets() {
        let mut conditions = Vec::with_capacity(set.conditions.len());
        for condition in &set.conditions {
            let phrase = || {
                let chosen = words.choose_multiple(&mut rng, PLACEBO_LENGTH);
                let chosen: Vec<&str> = chosen.map(|word| word.as_str()).collect();
                chosen.join(" ")
            };
            let placebo_phrases: Vec<String> = std::iter::repeat_with(phrase)
                .take(condition.phrases.len())
                .collect();
            let mut texts = |phrases: &[String]| {
                let rows = encoder.encode_texts(&set.texts(phrases))?;
                Ok::<_, EncoderError>(ConditionTexts::new(rows, phrases.len()))
            };
            conditions.push(ExplainedCondition {
                texts: texts(&condition.phrases)?,
                placebo: texts(&placebo_phrases)?,
                placebo_phrases,
            });
        }
        sets.insert(set.digest.clone(), conditions);
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
    prompts: &Prompts,
    model: &ModelTexts,
    others: &[std::sync::Arc<[f32]>],
) -> Option<ExplanationReport<'a>> {
    let embedding = record.embedding.as_deref()?;
    let mut sets = prompts.sets().iter();
    let set: &PromptSet = sets.find(|set| set.digest == record.prompts_digest)?;
    let conditions = model.sets.get(&set.digest)?;
    let texts: Vec<ConditionTexts> = conditions.iter().map(|c| c.texts.clone()).collect();
    let (logits, bias) = (model.logits, model.logits.bias.unwrap_or(0.0));
    let sum = |shares: &[PhraseShare], part: fn(&PhraseShare) -> f64| {
        shares.iter().map(part).sum::<f64>()
    };
    let compared = if others.len() >= MIN_COMPARED {
        others.len()
    } else {
        0
    };
    let all = explain(&texts, logits, embedding);
    let scores = set.conditions.iter().zip(conditions).zip(all);
    let conditions = scores.map(|((condition, explained), shares)| {
        // Of each compared image, what each phrase contributes.
        let elsewhere: Vec<Vec<f64>> = others[..compared]
            .iter()
            .map(|row| explained.texts.contributions(logits, row))
            .collect();
        let phrases = condition.phrases.iter().zip(&shares).enumerate();
        let phrases = phrases.map(|(at, (phrase, share))| {
            let lower = elsewhere
                .iter()
                .filter(|parts| parts[at] < share.contribution);
            let percentile = (compared > 0).then(|| lower.count() as f64 / compared as f64);
            ExplainedPhrase {
                phrase: phrase.clone(),
                contribution: share.contribution,
                lead: share.lead,
                percentile,
            }
        });
        let placebo = explain_placebo(&texts, &explained.placebo, logits, embedding);
        let mut scores = record.verdict.scores.iter();
        let score = scores.find(|score| score.condition == condition.name);
        ExplainedScore {
            condition: condition.name.clone(),
            probability: score.map_or(0.0, |score| score.probability),
            logit: sum(&shares, |share| share.contribution) + bias,
            lead: sum(&shares, |share| share.lead),
            phrases: phrases.collect(),
            placebo: Placebo {
                phrases: explained.placebo_phrases.clone(),
                logit: sum(&placebo, |share| share.contribution) + bias,
                lead: sum(&placebo, |share| share.lead),
            },
        }
    });
    let mut conditions: Vec<ExplainedScore> = conditions.collect();
    conditions.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    Some(ExplanationReport {
        record,
        compared,
        conditions,
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
        decision => format!("{}, {}", record.verdict.label, decision.name()),
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
            "\n{}  {:.1} %, logit {:.2}, lead {:+.2}",
            clean(&condition.condition),
            100.0 * condition.probability,
            condition.logit,
            condition.lead
        );
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
    let _ = writeln!(out, "\n{NOTICE}");
    out
}
