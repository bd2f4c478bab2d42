//! `search`: ranks the images of a folder by their similarity to a text or an image, and finds near-duplicates.

mod collection;
mod output;
mod query;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, never, select};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::progress::ProgressLine;
use super::run::{self, Run, RunEnd, RunMessage};
use super::{CommandSetup, Fault, exit, leave, on_signals, print, shown};
use crate::cli::SearchArgs;
use crate::encoder::{Encoder, EncoderError, ModelCard};
use crate::engine::phrases::query_warnings;
use crate::engine::{self, Factory, FrameSelection, Lane, Settings, StoredFile};
use crate::library::Library;
use crate::library::export::ResultFormat;
use crate::media::walk;
use crate::scoring::Mode;
use collection::{Collection, ImageCollector, SearchInput, Wanted};
use output::SearchWriter;
use query::{Query, Subject};

/// How many files the walk may be ahead of the requests.
const MAX_WALK_AHEAD: usize = 256;
/// Lowest cosine similarity of near-duplicates, unless the user gives another.
const DUPLICATE_THRESHOLD: f32 = 0.99;

/// Searches; returns the exit code.
pub fn run(arguments: &SearchArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let begun = Instant::now();
    if !arguments.dir.is_dir() {
        let dir = shown(&arguments.dir);
        return Err(Fault::usage(format!("{dir}: no such folder")));
    }
    let query = Query::parse(&arguments.query)?;
    let settings = settings(arguments, setup)?;
    let library = settings.library.clone();
    let messages = run::messages();
    on_signals(&[SIGINT, SIGTERM], {
        let sender = messages.0.clone();
        move || drop(sender.send(RunMessage::Stop))
    })?;
    let stop = messages.1.clone();
    let (opened, opening) = bounded(1);
    let factory = setup.factory(arguments.fit);
    let factory = also_encoding(factory, query.texts(), arguments.exact, opened);
    let progress = ProgressLine::new();
    let mut run = Run::start(factory, settings, messages, &progress);
    run.ignore_prompt_warnings();
    let walk = Walk::start(arguments, library.clone(), &query);
    let Some(model) = await_model(&mut run, &opening)? else {
        return Ok(interrupted(run));
    };
    for warning in &model.warnings {
        progress.suspend(|| print::message(format_args!("warning: {warning}")));
    }
    walk.begin(model.embedding_key);
    let mut collector = ImageCollector::new(&model.card, query.terms.len());
    let ended = run.classify_all(Lane::Bulk, &walk.inputs, &mut collector)?;
    if ended == RunEnd::Interrupted {
        return Ok(interrupted(run));
    }
    run.finish();
    let mut collection = collector.finish();
    let format = arguments.format.unwrap_or(if io::stdout().is_terminal() {
        ResultFormat::Table
    } else {
        ResultFormat::Jsonl
    });
    let end: &[u8] = if arguments.null { b"\0" } else { b"\n" };
    let path_end = arguments.paths_only.then_some(end);
    let mut writer = SearchWriter::new(format, path_end, &model.card);
    if arguments.duplicates {
        collection.leave_out_links();
        let threshold = arguments.threshold.unwrap_or(DUPLICATE_THRESHOLD);
        let Some(groups) = duplicates(&collection, threshold, &stop, &progress)? else {
            print::message("interrupted");
            return Ok(exit::INTERRUPTED);
        };
        writer.duplicates(&collection.images, &groups)?;
    } else {
        let direction = query.direction(&embeddings(&query, &model.texts, &collection)?)?;
        let ranked = collection
            .matrix
            .nearest(&direction, arguments.top as usize);
        writer.hits(&collection.images, &ranked)?;
    }
    report(&collection, begun);
    Ok(if collection.failures.is_empty() {
        exit::OK
    } else {
        exit::SOME_FAILED
    })
}

/// The engine's settings: images that are not known yet are classified, too, as `classify` would.
fn settings(arguments: &SearchArgs, setup: &CommandSetup) -> Result<Settings, Fault> {
    Ok(Settings {
        prompts: setup.load_prompts_by_rules()?,
        mode: Mode::Single,
        calibrations: setup.calibrations(arguments.fit),
        learned: setup.learned(),
        frames: arguments.frames,
        batch_size: None,
        decode_threads: None,
        exact: arguments.exact,
        pass_time: engine::BULK_PASS_TIME,
        library: setup.library_with_messages(),
        stores_results: true,
    })
}

/// What a search takes from the model.
struct SearchModel {
    card: ModelCard,
    /// The key of its embeddings in the library.
    embedding_key: String,
    /// Unit embeddings of the query's texts.
    texts: Vec<Vec<f32>>,
    /// What the user should know about the texts, one sentence each.
    warnings: Vec<String>,
}

impl SearchModel {
    fn new(encoder: &mut dyn Encoder, texts: &[String], exact: bool) -> Result<Self, EncoderError> {
        let warnings = texts.iter().flat_map(|text| query_warnings(text, encoder));
        let warnings = warnings.collect();
        let embeddings = if texts.is_empty() {
            Vec::new()
        } else {
            encoder.encode_texts(texts)?
        };
        Ok(Self {
            card: encoder.card().clone(),
            embedding_key: engine::embedding_key(encoder, exact),
            texts: embeddings,
            warnings,
        })
    }
}

/// A factory that also encodes the query's texts, on the thread that owns the model.
fn also_encoding(
    mut open: Factory,
    texts: Vec<String>,
    exact: bool,
    opened: Sender<SearchModel>,
) -> Factory {
    Box::new(move || {
        let mut encoder = open()?;
        let model = SearchModel::new(encoder.as_mut(), &texts, exact)?;
        // When a GPU was lost and the model is opened again, nobody waits for it any more.
        let _ = opened.try_send(model);
        Ok(encoder)
    })
}

/// Waits until the model is open; `None` if a signal came first.
fn await_model(
    run: &mut Run<Wanted>,
    opening: &Receiver<SearchModel>,
) -> Result<Option<SearchModel>, Fault> {
    let messages = run.messages().clone();
    let (mut opening, closed) = (opening, never());
    loop {
        select! {
            recv(opening) -> model => match model {
                Ok(model) => return Ok(Some(model)),
                // It cannot be opened: the engine says why.
                Err(_) => opening = &closed,
            },
            recv(messages) -> message => match message {
                Ok(RunMessage::Engine(event)) => drop(run.handle_event(event)?),
                Ok(RunMessage::Stop) | Err(_) => return Ok(None),
            },
        }
    }
}

/// Ends a search that was interrupted. A ranking of some of the images would mislead, so there is none.
fn interrupted(run: Run<Wanted>) -> u8 {
    let has_ended = run.shutdown();
    print::message("interrupted; what was encoded is kept in the library, if there is one");
    if !has_ended {
        // A forward pass cannot be stopped.
        leave(exit::INTERRUPTED);
    }
    exit::INTERRUPTED
}

/// A thread that lists the files to search and looks them up in the library.
struct Walk {
    inputs: Receiver<SearchInput>,
    keys: Sender<String>,
}

impl Walk {
    /// Starts to list the files, while the model is being opened.
    fn start(arguments: &SearchArgs, library: Option<Arc<Library>>, query: &Query) -> Self {
        let (sender, inputs) = bounded(MAX_WALK_AHEAD);
        let (keys, key) = bounded::<String>(1);
        let images = query.terms.iter().enumerate();
        let images: Vec<_> = images
            .filter_map(|(term, of)| match &of.subject {
                Subject::Image(path) => Some((term, path.clone())),
                Subject::Text(_) => None,
            })
            .collect();
        let (dir, frames) = (arguments.dir.clone(), arguments.frames);
        std::thread::spawn(move || {
            let found: Vec<_> = walk::files(&dir).collect();
            let Ok(key) = key.recv() else { return };
            let images = images.into_iter();
            let mut inputs: Vec<_> = images
                .map(|(term, path)| SearchInput::Query { term, path })
                .collect();
            let mut found = found.into_iter();
            // The channel closes only when the command is ending.
            while inputs.drain(..).all(|input| sender.send(input).is_ok()) {
                let batch: Vec<_> = found.by_ref().take(MAX_WALK_AHEAD).collect();
                if batch.is_empty() {
                    return;
                }
                inputs = look_up(batch, library.as_deref(), &key, frames);
            }
        });
        Self { inputs, keys }
    }

    /// Lets the look-ups begin.
    fn begin(&self, embedding_key: String) {
        // Fails only if the thread could not be started.
        let _ = self.keys.send(embedding_key);
    }
}

/// Looks files up in the library.
fn look_up(
    found: Vec<Result<PathBuf, walk::Unreadable>>,
    library: Option<&Library>,
    key: &str,
    frames: FrameSelection,
) -> Vec<SearchInput> {
    let paths = found.iter().filter_map(|found| found.as_ref().ok());
    let paths: Vec<PathBuf> = paths.cloned().collect();
    let stored = library.map(|library| StoredFile::find_all(library, &paths, key, frames));
    let mut stored = stored.unwrap_or_default().into_iter();
    let input = |found: Result<PathBuf, walk::Unreadable>| match found {
        Ok(path) => match stored.next().flatten() {
            Some(stored) => SearchInput::Known {
                path,
                stored: Box::new(stored),
            },
            None => SearchInput::New(path),
        },
        Err(unreadable) => SearchInput::Unreadable {
            path: unreadable.path,
            message: unreadable.error.message,
        },
    };
    found.into_iter().map(input).collect()
}

/// The embeddings of the query's terms, in their order.
fn embeddings<'a>(
    query: &'a Query,
    texts: &'a [Vec<f32>],
    collection: &'a Collection,
) -> Result<Vec<&'a [f32]>, Fault> {
    let mut texts = texts.iter();
    let terms = query.terms.iter().zip(&collection.terms);
    let embeddings = terms.map(|(term, image)| match &term.subject {
        Subject::Text(_) => texts.next().map(Vec::as_slice),
        Subject::Image(_) => image.as_deref(),
    });
    // Cannot fail: the model has encoded all texts, and an image without an embedding has ended the search.
    let all: Option<_> = embeddings.collect();
    all.ok_or_else(|| Fault::unusable("a term of the query could not be encoded"))
}

/// Finds near-duplicates, unless a signal comes first.
fn duplicates(
    collection: &Collection,
    threshold: f32,
    stop: &Receiver<RunMessage>,
    progress: &ProgressLine,
) -> Result<Option<output::Groups>, Fault> {
    let count = collection.matrix.len() as u64;
    let is_stop = |message| matches!(message, RunMessage::Stop);
    let groups = collection.matrix.near_duplicates(threshold, |done| {
        progress.message("comparing");
        progress.set(done as u64, Some(count));
        !stop.try_iter().any(is_stop)
    });
    progress.end();
    groups.map_err(Fault::unusable)
}

/// Prints which files failed, and the summary.
fn report(collection: &Collection, begun: Instant) {
    for (path, message) in &collection.failures {
        let path = shown(Path::new(path));
        print::message(format_args!("{path}: {message}"));
    }
    if collection.is_notable() || io::stderr().is_terminal() {
        let seconds = begun.elapsed().as_secs_f64();
        print::message(format_args!(
            "{} in {seconds:.1} s",
            collection.parts().join(", ")
        ));
    }
}
