//! The event loop: takes messages, performs effects, and draws at most once per round. Input and screen are passed in, so that
//! tests drive the real loop.

mod choices;
mod drafts;
mod effects;
mod event_loop;
mod exports;
mod folder_states;
mod folders;
mod learning;
mod library_changes;
mod measurements;
mod objects;
mod places;
mod prompt_editor;
mod prompt_files;
mod reviews;
mod score_files;
mod storing;
mod transfers;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::app::Msg;
use crate::engine::{Engine, Factory, Settings};
use crate::graphics::{GraphicsSetup, preview};
use crate::learn::LearnedSets;
use crate::library::Library;
use crate::scoring::calibration::Calibrations;
use crate::watch::Watch;
pub use choices::ChoiceSources;
pub use event_loop::Loop;
pub use folder_states::FolderStateStore;
use folder_states::FolderStateWriter;
use library_changes::LibraryWatch;
use measurements::MeasurementWriter;
use prompt_files::PromptWatch;
use reviews::ReviewWriter;
use score_files::{ScoreFileWatch, ScoreFiles as _};
pub use storing::{STORE_TIMEOUT, Storing, Unstored};

/// How long shutdown waits for the engine, and then for the disk. A forward pass that takes longer is left behind.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// The services that perform effects.
pub struct Services {
    send: folders::MsgSender,
    messages: UnboundedSender<Msg>,
    engine: Engine,
    choices: ChoiceSources,
    /// Settings for the next engine, including the current prompts.
    settings: Settings,
    /// An engine that is still loading its model, with the serial number of its request.
    candidate: Option<(u64, Engine)>,
    /// Engines that were replaced and are ending.
    retired: Vec<Engine>,
    /// Saves how folders are shown; `None` disables that.
    folder_states: Option<FolderStateWriter>,
    /// Stops the current pull.
    pull: choices::StopFlag,
    /// Stops the draft under way.
    draft: choices::StopFlag,
    preview: Option<preview::PreviewWorker>,
    /// Make the images of the comparison.
    sides: Option<[preview::PreviewWorker; 2]>,
    tiles: Option<preview::ThumbnailWorkers>,
    watch: Option<Watch>,
    prompt_files: Option<PromptWatch>,
    /// Stores reviews and measurements.
    storing: Storing,
    _library_changes: Option<LibraryWatch>,
    /// `None` without a library.
    learned_files: Option<ScoreFileWatch<LearnedSets>>,
    /// `None` without a library.
    calibration_files: Option<ScoreFileWatch<Calibrations>>,
    /// Where saved views and bookmarks are stored; `None` disables that.
    places: Option<PathBuf>,
    /// The file that says that a model for findings was offered.
    model_offered: Option<PathBuf>,
    /// Stops the transfer under way.
    transfer: transfers::TransferStop,
    /// Tells exports and transfers to end.
    is_ending: Arc<AtomicBool>,
    /// Held by exports and transfers until they have ended; the receiver then disconnects.
    at_work: (Sender<()>, Receiver<()>),
    /// The newest generation requested, by which older listings end early.
    listing: Arc<AtomicU64>,
    /// The same for headers.
    headers: Arc<AtomicU64>,
    /// The same for related objects.
    related: Arc<AtomicU64>,
    /// The moment to which ticks are relative.
    begun: Instant,
}

impl Services {
    /// Starts the engine. Returns the services, and the messages that they send.
    pub fn start(
        factory: Factory,
        settings: Settings,
    ) -> io::Result<(Self, UnboundedReceiver<Msg>)> {
        let (messages, received) = unbounded_channel();
        let events = messages.clone();
        let engine = Engine::start(
            factory,
            settings.clone(),
            Arc::new(move |event| drop(events.send(Msg::Engine(event)))),
        );
        let sender = messages.clone();
        let send: folders::MsgSender = Arc::new(move |msg| sender.send(msg).is_ok());
        let library = settings.library.clone();
        let start = |own: &Arc<Library>| (Arc::clone(own), Arc::clone(&send));
        let starts = library.as_ref().map(start);
        let storing = Storing {
            reviews: starts
                .clone()
                .map(|(own, send)| ReviewWriter::start(own, send)),
            measurements: starts.map(|(own, send)| MeasurementWriter::start(own, send)),
            library: library.clone(),
        };
        let services = Self {
            storing,
            learned_files: library.as_ref().map(|library| {
                let learned = settings.learned.clone();
                ScoreFileWatch::start(library.file(), learned, Arc::clone(&send))
            }),
            calibration_files: library.as_ref().map(|library| {
                // As the settings were read: what was damaged then was said.
                let (own, _) = Calibrations::load(&Calibrations::folder(library.file()));
                ScoreFileWatch::start(library.file(), own, Arc::clone(&send))
            }),
            _library_changes: library
                .map(|library| LibraryWatch::start(library, Arc::clone(&send))),
            send,
            messages,
            engine,
            choices: ChoiceSources::default(),
            settings,
            candidate: None,
            retired: Vec::new(),
            folder_states: None,
            pull: choices::StopFlag::default(),
            draft: choices::StopFlag::default(),
            preview: None,
            sides: None,
            tiles: None,
            watch: None,
            prompt_files: None,
            places: None,
            model_offered: None,
            transfer: transfers::TransferStop::default(),
            is_ending: Arc::default(),
            at_work: crossbeam_channel::bounded(0),
            listing: Arc::default(),
            headers: Arc::default(),
            related: Arc::default(),
            begun: Instant::now(),
        };
        Ok((services, received))
    }

    /// Sets the sources of what can be chosen while the program runs, and watches the files of the prompts in use.
    pub fn set_choices(&mut self, choices: ChoiceSources) {
        let (prompts, folder) = (self.settings.prompts.clone(), choices.prompts.clone());
        let watch = PromptWatch::start(prompts, folder, Arc::clone(&self.send));
        self.prompt_files = Some(watch);
        self.choices = choices;
    }

    /// Saves folder states to `store`; `None` disables that.
    pub fn persist_folders(&mut self, store: Option<FolderStateStore>) -> io::Result<()> {
        self.folder_states = store.map(FolderStateWriter::start).transpose()?;
        Ok(())
    }

    /// Creates `file` once a model for findings has been offered; `None` disables that.
    pub fn persist_offer(&mut self, file: Option<PathBuf>) {
        self.model_offered = file;
    }

    /// Stores saved views and bookmarks in `file`; `None` disables that.
    pub fn persist_places(&mut self, file: Option<PathBuf>) {
        self.places = file;
    }

    /// What stores reviews and measurements, to be waited for at the end.
    pub fn storing(&self) -> Storing {
        self.storing.clone()
    }

    /// The sender for messages from elsewhere, such as signals.
    pub fn messages(&self) -> UnboundedSender<Msg> {
        self.messages.clone()
    }

    /// Starts the preview workers, so that images can be requested.
    pub fn start_previews(&mut self, graphics: GraphicsSetup) -> io::Result<()> {
        let messages = self.messages.clone();
        let sink = move |previewed| drop(messages.send(Msg::Previewed(Box::new(previewed))));
        let tiles = self.messages.clone();
        let tile_sink = move |tile| drop(tiles.send(Msg::Tile(Box::new(tile))));
        self.tiles = Some(preview::ThumbnailWorkers::start(
            &graphics.output,
            tile_sink,
        )?);
        let side = |side| {
            let messages = self.messages.clone();
            let sink = move |previewed| {
                let previewed = Box::new(previewed);
                drop(messages.send(Msg::SidePreviewed { side, previewed }));
            };
            preview::PreviewWorker::start(graphics.output.clone(), sink, |_| {})
        };
        self.sides = Some([side(0)?, side(1)?]);
        let reports = self.messages.clone();
        let on_volume = move |progress| drop(reports.send(Msg::VolumeProgress(progress)));
        let worker = preview::PreviewWorker::start(graphics.output, sink, on_volume)?;
        self.preview = Some(worker);
        let _ = self.messages.send(Msg::Graphics(graphics.graphics));
        Ok(())
    }

    /// Shuts everything down but [`Self::storing`]. False if a forward pass is still running and was left behind.
    pub fn shutdown(self) -> bool {
        self.is_ending.store(true, Ordering::Relaxed);
        drop((self.watch, self.preview, self.sides, self.tiles));
        let others = self.retired.into_iter();
        let others = others.chain(self.candidate.map(|(_, engine)| engine));
        // All are told to end before any of them is waited for.
        let others: Vec<Engine> = others.inspect(Engine::stop).collect();
        let ended = self.engine.shutdown(SHUTDOWN_TIMEOUT);
        let ended = others
            .into_iter()
            .fold(ended, |all, engine| engine.shutdown(Duration::ZERO) && all);
        let (held, at_work) = self.at_work;
        drop(held);
        // They remove what they have not completed.
        let _ = at_work.recv_timeout(SHUTDOWN_TIMEOUT);
        if let Some(folder_states) = self.folder_states {
            folder_states.finish(SHUTDOWN_TIMEOUT);
        }
        ended
    }
}
