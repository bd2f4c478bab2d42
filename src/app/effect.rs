//! All effects, as data. The runtime carries them out, and answers with messages.

use std::path::PathBuf;
use std::sync::Arc;

use super::entry::{FoundFile, Stamp};
use super::folder_state::FolderState;
use super::learning::LearnSubject;
use super::measurement::{Measurement, MeasurementId};
use super::mix::MixRequest;
use super::places::PlaceChange;
use super::preview::PreviewKey;
use crate::engine::explanation::ExplanationRequest;
use crate::engine::learning::LearnRequest;
use crate::engine::{ClassifiedFile, MapRequest, SimilarityRequest};
use crate::exec::CommandLine;
use crate::jobs::JobCommand;
use crate::learn::{Learned, LearnedSets};
use crate::library::{Record, Review, ReviewRequest};
use crate::llm::DraftRequest;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;
use crate::transfer::{Transfer, TransferKind};

/// An action requested by [`super::update`]. No effect blocks the loop.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// List one folder, without its subfolders. Answered by [`super::Msg::FolderState`] if state was persisted in an earlier
    /// run, then by [`super::Msg::Listed`] parts (a few entries first, so that the first rows of a huge folder are shown at
    /// once) or [`super::Msg::ListFailed`]. A later request supersedes an unfinished one.
    List {
        /// The folder.
        dir: PathBuf,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Persist the state of a folder. Not answered.
    PersistFolder {
        /// The folder.
        dir: PathBuf,
        /// Its state.
        state: FolderState,
    },
    /// Find all images under a folder, recursively, as `classify` would: dotfiles skipped, links to folders not
    /// followed. Answered by [`super::Msg::Scanned`]; several may be under way at once.
    Scan {
        /// The folder.
        root: PathBuf,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Decode and encode a file for the terminal. Only the latest request counts: a busy worker
    /// drops the waiting one when another comes. Answered by [`super::Msg::Previewed`].
    Preview(PreviewKey),
    /// Decode and encode the image of a side of the comparison, 0 or 1, as [`Self::Preview`] does; `None` drops the waiting
    /// request. Answered by [`super::Msg::SidePreviewed`].
    PreviewSide {
        /// The side.
        side: usize,
        /// The request.
        key: Option<Box<PreviewKey>>,
    },
    /// Decode the first frames of the files that are likely to be viewed next, the likeliest first, while no preview is
    /// requested. Replaces the previous list. Not answered.
    Prefetch(Vec<(PathBuf, Stamp)>),
    /// Drop the waiting preview request, if any. Not answered.
    CancelPreview,
    /// Encode small images of the first frames of files, without annotations. Replaces the requests that are still
    /// waiting. Each is answered by a [`super::Msg::Tile`], roughly in this order.
    Tiles(Vec<PreviewKey>),
    /// Look up the measurements that the library has of a file's content. Answered by [`super::Msg::Measurements`] if there are
    /// any.
    Measurements(FoundFile),
    /// Store a measurement, or its new state. Not answered.
    KeepMeasurement {
        /// The file.
        file: FoundFile,
        /// The measurement.
        measurement: Box<Measurement>,
    },
    /// Remove a measurement from the library. Not answered.
    RemoveMeasurement(MeasurementId),
    /// Hand files to the engine, or change what it does with those it has. Each file started is answered by
    /// `Event::Done` or `Event::Dropped` of its generation.
    Jobs(Vec<JobCommand>),
    /// Read the tags of a file. Answered by [`super::Msg::Tags`].
    Tags {
        /// The file.
        path: PathBuf,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Read the headers of files, to group them. Answered by [`super::Msg::Headers`] parts. A later request supersedes an
    /// unfinished one; headers read by then are still sent.
    Headers {
        /// The files.
        files: Vec<FoundFile>,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Find the files that hold objects related to images: presentation states, segmentations, structure sets. Answered by
    /// [`super::Msg::Related`] parts. A later request supersedes an unfinished one.
    Related {
        /// The files.
        files: Vec<FoundFile>,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Read a DICOMDIR. Answered by [`super::Msg::Directory`].
    Directory {
        /// The file.
        path: PathBuf,
        /// The number that the answer carries.
        generation: u64,
    },
    /// Read the prompt sets that can be chosen. Answered by [`super::Msg::PromptSets`].
    PromptSets,
    /// Use these prompts for all later scores, and watch their files. Answered by `Event::Prompts` or `Event::PromptsFailed`,
    /// and by [`super::Msg::PromptsEdited`] when a file changes.
    UsePrompts {
        /// The prompts.
        prompts: Prompts,
        /// Whether one condition applies, or each on its own.
        mode: Mode,
        /// The number that messages about their files carry.
        revision: u64,
    },
    /// Watch the files of these prompts, and use them for a model to come: the engine uses them still, as it refused what it was asked
    /// for. Answered as [`Effect::UsePrompts`] is about files.
    KeepPrompts {
        /// The prompts.
        prompts: Prompts,
        /// Whether one condition applies, or each on its own.
        mode: Mode,
        /// The number that messages about their files carry.
        revision: u64,
    },
    /// Open a set in the user's editor, which has the terminal until it ends; a built-in one is copied to the user's folder first.
    /// Answered by [`super::Msg::Resumed`] and [`super::Msg::PromptSetEdited`].
    EditPrompts(Box<PromptSet>),
    /// Let the language model draft phrases for the conditions of a set, and the model in use look at them. Answered by
    /// [`super::Msg::Drafted`].
    DraftPrompts {
        /// What is sent, and nothing else.
        request: DraftRequest,
        /// The set whose phrases are replaced.
        base: Box<PromptSet>,
        /// The number that the answer carries.
        serial: u64,
    },
    /// Stop the draft under way. Not answered.
    StopDraft,
    /// Save a draft as another set, which replaces none. Answered by [`super::Msg::DraftSaved`].
    SaveDraft(Box<super::DraftedSet>),
    /// Score classified files again, with the prompts in use. Answered by `Event::Rescored` parts.
    Rescore(Vec<ClassifiedFile>),
    /// Score files from what the library holds of them. Answered by one `Event::Recalled` of the engine in use.
    Recall(Vec<PathBuf>),
    /// Compare images with a query. Answered by `Event::Compared` of the engine in use; a later request may supersede an
    /// unfinished one.
    Compare(SimilarityRequest),
    /// Say what phrases contribute to the scores of an image. Answered by `Event::Explained` of the engine in use.
    Explain(ExplanationRequest),
    /// Make the heat map of an image. Answered by `Event::Mapped` and `Event::MapChecked` of the engine in use; a later request
    /// supersedes an unfinished one.
    HeatMap(MapRequest),
    /// Find the mix of a folder's images, to adjust their results to it. Answered by [`super::Msg::Adjusted`].
    Adjust(MixRequest),
    /// Learn from images and their reviews. Answered by `Event::Learned` of the engine in use.
    Learn(Box<LearnRequest>),
    /// Keep what was learned, to be used from now on. Answered by [`super::Msg::LearnedKept`].
    KeepLearned(Box<Learned>),
    /// Take what was learned last out of use. Answered by [`super::Msg::LearnedKept`].
    UndoLearned(LearnSubject),
    /// Score with what was learned as soon as prompts are put into use, which has to follow. Not answered.
    UseLearned(LearnedSets),
    /// Score with these calibrations beside the built-in model's as soon as prompts are put into use, which has to follow. Not answered.
    UseCalibrations(Calibrations),
    /// Write results to a new file; its extension decides the format. Answered by [`super::Msg::Report`]s: of progress, and of how
    /// it ended.
    Export {
        /// The file, as typed.
        file: String,
        /// Where a relative path begins.
        base: PathBuf,
        /// The files and their results, in this order.
        results: Vec<(PathBuf, Arc<[Record]>)>,
    },
    /// Change saved views and bookmarks if a change is given, and read them. Answered by [`super::Msg::Places`].
    Places(Option<PlaceChange>),
    /// List the folders that a path which is being typed may lead to. Answered by [`super::Msg::Folders`].
    Folders {
        /// The path, as typed.
        typed: String,
        /// Where relative paths begin.
        base: PathBuf,
    },
    /// Copy or move files into a folder. Answered by [`super::Msg::Report`]s of progress and by [`super::Msg::Transferred`].
    Transfer {
        /// Which of the two.
        kind: TransferKind,
        /// The files.
        files: Vec<PathBuf>,
        /// The folder, as typed.
        folder: String,
        /// Where relative paths begin.
        base: PathBuf,
    },
    /// Take a copy or move back. Answered as [`Self::Transfer`] is.
    UndoTransfer(Transfer),
    /// End the copy or move under way. The part that is done is its answer.
    StopTransfer,
    /// List the models that can be chosen. Answered by [`super::Msg::Models`].
    Models,
    /// Download a model from the hub. Answered by [`super::Msg::Pulling`] and finally [`super::Msg::Pulled`].
    Pull {
        /// The model.
        id: String,
        /// The number that the answers carry.
        serial: u64,
    },
    /// Stop the download, and keep the part received. Not answered.
    StopPull,
    /// Start an engine for another model beside the one in use. Answered by [`super::Msg::OtherEngine`]; a later request
    /// supersedes an unfinished one.
    UseModel {
        /// As the value of `--model`.
        id: String,
        /// The number that the engine's events carry.
        serial: u64,
    },
    /// Replace the engine in use by the one that was started for another model, and end the replaced one.
    AdoptEngine {
        /// The number it was started with.
        serial: u64,
    },
    /// End the engine that was started for another model and failed.
    DropEngine {
        /// The number it was started with.
        serial: u64,
    },
    /// Store, undo, redo a review, or draw a sample. Answered by [`super::Msg::Reviewed`] or [`super::Msg::ReviewFailed`].
    Review {
        /// The request.
        request: ReviewRequest,
        /// What is shown again if it fails.
        before: Option<Box<Review>>,
    },
    /// Remember that a model for findings was offered. Not answered.
    ModelOffered,
    /// Ring the terminal's bell, at most once a second. Not answered.
    Bell,
    /// Copy text to the clipboard through the user's terminal (OSC 52), which does not confirm it.
    Copy(String),
    /// Run a program on a file. Unless `detached`, it has the terminal until it ends, and [`super::Msg::Resumed`] follows. A
    /// program that cannot be started is reported by [`super::Msg::Report`].
    OpenWith {
        /// The program and its arguments.
        program: CommandLine,
        /// The file.
        path: PathBuf,
        /// Whether it runs beside this program, without the terminal.
        detached: bool,
    },
    /// Watch a folder, recursively. Answered by [`super::Msg::Watching`] or [`super::Msg::WatchFailed`], then by a message for
    /// each change.
    Watch {
        /// The folder.
        root: PathBuf,
    },
    /// Stop watching. Not answered.
    StopWatch,
    /// Restore the terminal and stop the process, as Ctrl-Z does; [`super::Msg::Resumed`] follows on return.
    Suspend,
    /// Set the terminal up again after the process was stopped; [`super::Msg::Resumed`] follows.
    Resume,
    /// Clear the screen, which another program may have written to; [`super::Msg::Resumed`] follows.
    Redraw,
    /// End the program: cancel, restore the terminal, close the queues, join the engine.
    Quit,
}
