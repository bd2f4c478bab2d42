//! The event loop: takes messages, performs effects, and draws at most once per round. Input and screen are passed in, so that
//! tests drive the real loop.

mod choices;
mod drafts;
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
mod transfers;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use crossterm::event::{Event as Input, KeyEventKind};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use crate::app::mix::MixRequest;
use crate::app::{self, Effect, Model, Msg, Severity};
use crate::encoder::ModelSource;
use crate::engine::{Engine, Factory, Settings};
use crate::exec::CommandLine;
use crate::graphics::{GraphicsSetup, Screen, preview};
use crate::jobs::JobCommand;
use crate::learn::LearnedSets;
use crate::library::Record;
use crate::library::mixes::FolderMixes;
use crate::prompts::Prompts;
use crate::scoring::Mode;
use crate::watch::{self, Watch};
pub use choices::ChoiceSources;
pub use folder_states::FolderStateStore;
use folder_states::FolderStateWriter;
use library_changes::LibraryWatch;
use measurements::MeasurementWriter;
use prompt_editor::PromptEdit;
use prompt_files::PromptWatch;
use reviews::ReviewWriter;
use transfers::TransferRequest;

/// How long shutdown waits for the engine, and then for the disk. A forward pass that takes longer is left behind.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long messages are processed before the next draw, so that the screen stays responsive while thousands arrive.
const MAX_DRAIN_TIME: Duration = Duration::from_millis(4);

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
    /// Stores measurements; `None` without a library.
    measurements: Option<MeasurementWriter>,
    _library_changes: Option<LibraryWatch>,
    /// `None` without a library.
    reviews: Option<ReviewWriter>,
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
        let keeping = library.clone();
        let measurements =
            keeping.map(|library| MeasurementWriter::start(library, Arc::clone(&send)));
        let services = Self {
            reviews: library
                .clone()
                .map(|library| ReviewWriter::start(library, Arc::clone(&send))),
            measurements,
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

    /// Shuts everything down. False if a forward pass is still running and was left behind.
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
        if let Some(reviews) = self.reviews {
            reviews.finish(SHUTDOWN_TIMEOUT);
        }
        if let Some(measurements) = self.measurements {
            measurements.finish(SHUTDOWN_TIMEOUT);
        }
        if let Some(library) = self.settings.library {
            library.flush(SHUTDOWN_TIMEOUT);
        }
        ended
    }

    /// Performs an effect; answers arrive as messages. Returns the effects that need the screen, which belong to the loop.
    fn perform(&mut self, effect: Effect) -> Option<ScreenEffect> {
        match effect {
            Effect::List { dir, generation } => {
                // Headers of the previous folder are not needed any more.
                self.headers.fetch_max(generation, Ordering::Relaxed);
                folders::list(
                    dir,
                    generation,
                    self.folder_states.as_ref().map(FolderStateWriter::store),
                    Arc::clone(&self.listing),
                    Arc::clone(&self.send),
                );
            }
            Effect::PersistFolder { dir, state } => {
                if let Some(folder_states) = &self.folder_states {
                    folder_states.save(dir, state);
                }
            }
            Effect::Scan { root, generation } => {
                folders::scan(root, generation, Arc::clone(&self.send));
            }
            Effect::Preview(_)
            | Effect::Prefetch(_)
            | Effect::CancelPreview
            | Effect::PreviewSide { .. }
            | Effect::Tiles(_) => {
                self.request_images(effect);
            }
            Effect::Measurements(file) => {
                if let Some(writer) = &self.measurements {
                    writer.read(file, Arc::clone(&self.send));
                }
            }
            Effect::KeepMeasurement { .. } | Effect::RemoveMeasurement(_) => {
                if let Some(writer) = &self.measurements {
                    writer.perform(effect);
                }
            }
            Effect::Jobs(commands) => commands
                .into_iter()
                .for_each(|command| self.carry_out(command)),
            Effect::Watch { root } => self.start_watch(&root),
            Effect::StopWatch => self.watch = None,
            Effect::Tags { .. }
            | Effect::Headers { .. }
            | Effect::Related { .. }
            | Effect::Directory { .. } => self.read_objects(effect),
            Effect::PromptSets
            | Effect::UsePrompts { .. }
            | Effect::KeepPrompts { .. }
            | Effect::EditPrompts(_)
            | Effect::DraftPrompts { .. }
            | Effect::StopDraft
            | Effect::SaveDraft { .. } => return self.perform_on_prompts(effect),
            Effect::Places(_)
            | Effect::ModelOffered
            | Effect::Folders { .. }
            | Effect::Transfer { .. }
            | Effect::UndoTransfer(_)
            | Effect::StopTransfer => self.perform_on_files(effect),
            Effect::Models
            | Effect::Pull { .. }
            | Effect::StopPull
            | Effect::UseModel { .. }
            | Effect::AdoptEngine { .. }
            | Effect::DropEngine { .. } => self.perform_on_models(effect),
            Effect::Rescore(_)
            | Effect::Recall(_)
            | Effect::Compare(_)
            | Effect::Explain(_)
            | Effect::HeatMap(_) => self.score(effect),
            Effect::Review { request, before } => {
                if let Some(reviews) = &self.reviews {
                    reviews.request(request, before);
                }
            }
            Effect::Export { file, results } => self.export(file, results),
            Effect::Adjust(request) => self.adjust(request),
            Effect::Learn(_)
            | Effect::KeepLearned(_)
            | Effect::UndoLearned(_)
            | Effect::UseLearned(_) => self.perform_learning(effect),
            Effect::OpenWith {
                program,
                path,
                detached: true,
            } => transfers::open(&program, path, Arc::clone(&self.send)),
            Effect::OpenWith { program, path, .. } => {
                return Some(ScreenEffect::Run(program, path));
            }
            Effect::Bell => return Some(ScreenEffect::Bell),
            Effect::Copy(text) => return Some(ScreenEffect::Copy(text)),
            Effect::Suspend => return Some(ScreenEffect::Suspend),
            Effect::Resume => return Some(ScreenEffect::Resume),
            Effect::Redraw => return Some(ScreenEffect::Redraw),
            Effect::Quit => return Some(ScreenEffect::Quit),
        }
        None
    }

    /// Performs effects about prompt sets; others do nothing.
    fn perform_on_prompts(&mut self, effect: Effect) -> Option<ScreenEffect> {
        match effect {
            Effect::PromptSets => choices::prompt_sets(&self.choices, Arc::clone(&self.send)),
            Effect::UsePrompts {
                prompts,
                mode,
                revision,
            } => self.use_prompts(prompts, mode, revision),
            Effect::KeepPrompts {
                prompts,
                mode,
                revision,
            } => self.keep_prompts(prompts, mode, revision),
            Effect::EditPrompts(set) => {
                match PromptEdit::begin(&set, self.choices.prompts.as_deref()) {
                    Ok(edit) => return Some(ScreenEffect::Edit(edit)),
                    Err(reason) => drop((self.send)(Msg::PromptSetEdited(Err(reason)))),
                }
            }
            Effect::DraftPrompts {
                request,
                base,
                serial,
            } => {
                let send = Arc::clone(&self.send);
                let with = (&self.choices, self.engine.linter());
                self.draft = drafts::draft(request, *base, serial, with, send);
            }
            Effect::StopDraft => self.draft.stop(),
            Effect::SaveDraft { name, text } => {
                let folder = self.choices.prompts.clone();
                drafts::save(name, text, folder, Arc::clone(&self.send));
            }
            _ => {}
        }
        None
    }

    /// Requests images from the preview workers, once these are started; other effects do nothing.
    fn request_images(&self, effect: Effect) {
        let (Some(worker), Some(sides), Some(tiles)) = (&self.preview, &self.sides, &self.tiles)
        else {
            return;
        };
        match effect {
            Effect::Preview(key) => worker.request(key),
            Effect::Prefetch(files) => worker.prefetch(files),
            Effect::CancelPreview => worker.cancel(),
            Effect::Tiles(keys) => tiles.request(keys),
            Effect::PreviewSide { side, key } => match (sides.get(side), key) {
                (Some(worker), Some(key)) => worker.request(*key),
                (Some(worker), None) => worker.cancel(),
                (None, _) => {}
            },
            _ => {}
        }
    }

    /// Reads what is in files; other effects do nothing.
    fn read_objects(&self, effect: Effect) {
        match effect {
            Effect::Tags { path, generation } => {
                objects::tags(path, generation, Arc::clone(&self.send));
            }
            Effect::Headers { files, generation } => {
                let latest = Arc::clone(&self.headers);
                objects::headers(files, generation, latest, Arc::clone(&self.send));
            }
            Effect::Related { files, generation } => {
                let latest = Arc::clone(&self.related);
                objects::related(files, generation, latest, Arc::clone(&self.send));
            }
            Effect::Directory { path, generation } => {
                objects::directory(path, generation, Arc::clone(&self.send));
            }
            _ => {}
        }
    }

    /// Performs effects about places and files; others do nothing.
    fn perform_on_files(&mut self, effect: Effect) {
        match effect {
            Effect::Places(change) => {
                places::request(self.places.clone(), change, Arc::clone(&self.send));
            }
            Effect::ModelOffered => {
                if let Some(file) = self.model_offered.clone() {
                    folders::spawn("offer", &self.send, move || places::remember(&file));
                }
            }
            Effect::Folders { typed, base } => {
                transfers::folders(typed, base, Arc::clone(&self.send));
            }
            Effect::Transfer {
                kind,
                files,
                folder,
                base,
            } => {
                let folder = transfers::expanded(&folder, &base);
                self.run_transfer(TransferRequest::Begin(kind, files, folder));
            }
            Effect::UndoTransfer(done) => self.run_transfer(TransferRequest::Undo(done)),
            Effect::StopTransfer => self.transfer.stop(),
            _ => {}
        }
    }

    fn run_transfer(&mut self, request: TransferRequest) {
        let (is_ending, held) = (Arc::clone(&self.is_ending), self.at_work.0.clone());
        self.transfer = transfers::run(request, is_ending, held, Arc::clone(&self.send));
    }

    fn export(&self, file: String, results: Vec<(PathBuf, Arc<[Record]>)>) {
        let library = self.settings.library.clone();
        let stopped = Arc::clone(&self.is_ending);
        let held = self.at_work.0.clone();
        exports::export(
            file,
            results,
            library,
            (stopped, held),
            Arc::clone(&self.send),
        );
    }

    /// Finds the mix of a folder's images, beside the loop.
    fn adjust(&self, request: MixRequest) {
        let calibrations = self
            .settings
            .learned
            .calibrations(&self.settings.calibrations);
        let (prompts, send) = (self.settings.prompts.clone(), Arc::clone(&self.send));
        folders::spawn("mix", &self.send, move || {
            // With several frames, the last record is their aggregate.
            let records = request.files.iter().filter_map(|records| records.last());
            let stated = request.stated.as_ref();
            let mixes = FolderMixes::new(records, &calibrations, &prompts, stated);
            let generation = request.generation;
            let mixes = Box::new(mixes);
            let _ = send(Msg::Adjusted { generation, mixes });
        });
    }

    fn start_watch(&mut self, root: &Path) {
        let sink = folders::watch_sink(Arc::clone(&self.send));
        match Watch::start(root, watch::WatchOptions::default(), sink) {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => drop((self.send)(Msg::WatchFailed {
                message: error.to_string(),
            })),
        }
    }

    /// Scores by these prompts from now on, also with a model that is being loaded.
    fn use_prompts(&mut self, prompts: Prompts, mode: Mode, revision: u64) {
        (self.settings.prompts, self.settings.mode) = (prompts.clone(), mode);
        if let Some(watch) = &self.prompt_files {
            watch.set(prompts.clone(), revision);
        }
        if let Some((_, engine)) = &self.candidate {
            engine.use_prompts(prompts.clone(), mode, revision);
        }
        self.engine.use_prompts(prompts, mode, revision);
    }

    /// Goes back to prompts that the engine still uses, as it refused others.
    fn keep_prompts(&mut self, prompts: Prompts, mode: Mode, revision: u64) {
        (self.settings.prompts, self.settings.mode) = (prompts.clone(), mode);
        if let Some((_, engine)) = &self.candidate {
            engine.use_prompts(prompts.clone(), mode, revision);
        }
        if let Some(watch) = &self.prompt_files {
            watch.set(prompts, revision);
        }
    }

    /// Scores files without their images, or compares them with a query; other effects do nothing.
    fn score(&self, effect: Effect) {
        match effect {
            Effect::Rescore(files) => self.engine.rescore(files),
            Effect::Recall(files) => self.engine.recall(files),
            Effect::Compare(request) => self.engine.compare(request),
            Effect::Explain(request) => self.engine.explain(request),
            Effect::HeatMap(request) => self.engine.map(request),
            _ => {}
        }
    }

    /// Lists, downloads and opens models, and exchanges the engine; other effects do nothing.
    fn perform_on_models(&mut self, effect: Effect) {
        match effect {
            Effect::Models => choices::models(&self.choices, Arc::clone(&self.send)),
            Effect::Pull { id, serial } => {
                self.pull = choices::pull(id, serial, self.choices.offline, Arc::clone(&self.send));
            }
            Effect::StopPull => self.pull.stop(),
            Effect::UseModel { id, serial } => self.use_model(id, serial),
            Effect::AdoptEngine { serial } => {
                if let Some((_, engine)) = self.candidate.take_if(|(own, _)| *own == serial) {
                    let before = std::mem::replace(&mut self.engine, engine);
                    before.stop();
                    self.retired.push(before);
                }
            }
            Effect::DropEngine { serial } => {
                drop(self.candidate.take_if(|(own, _)| *own == serial));
            }
            _ => {}
        }
    }

    /// Learns, keeps what was learned, takes it back, or puts it into use; other effects do nothing.
    fn perform_learning(&mut self, effect: Effect) {
        match (effect, &self.settings.library) {
            (Effect::Learn(request), _) => self.engine.learn(*request),
            (Effect::UseLearned(learned), _) => self.use_learned(learned),
            (effect, Some(library)) => {
                learning::change(library.file(), effect, Arc::clone(&self.send));
            }
            _ => {}
        }
    }

    /// Scores with what was learned, also with a model that is being loaded, once prompts are put into use.
    fn use_learned(&mut self, learned: LearnedSets) {
        if let Some((_, engine)) = &self.candidate {
            engine.use_learned(learned.clone());
        }
        self.engine.use_learned(learned.clone());
        self.settings.learned = learned;
    }

    /// Starts an engine with another model, while the current engine continues to answer.
    fn use_model(&mut self, id: String, serial: u64) {
        let options = self.choices.options.clone();
        let factory = Box::new(move || ModelSource::parse(&id).open(options.clone()));
        let events = self.messages.clone();
        let sink = move |event| drop(events.send(Msg::OtherEngine { serial, event }));
        let engine = Engine::start(factory, self.settings.clone(), Arc::new(sink));
        if let Some((_, overtaken)) = self.candidate.replace((serial, engine)) {
            overtaken.stop();
            self.retired.push(overtaken);
        }
    }

    /// Passes a command to the engine. A refusal is ignored, because an engine that accepts no more jobs reports that itself.
    fn carry_out(&self, command: JobCommand) {
        match command {
            JobCommand::Start(job) => drop(self.engine.submit(job)),
            JobCommand::Promote(generation) => self.engine.promote(generation),
            JobCommand::Cancel(generation) => self.engine.cancel(generation),
        }
    }
}

/// An effect that needs the screen, or ends the loop.
enum ScreenEffect {
    Bell,
    Copy(String),
    Suspend,
    Resume,
    Redraw,
    /// Run a program on a file, in the terminal.
    Run(CommandLine, PathBuf),
    /// Run the user's editor on a prompt set, in the terminal.
    Edit(PromptEdit),
    Quit,
}

/// The event loop of the interface.
pub struct Loop {
    model: Model,
    /// Effects of the first frame, for which the services were not available.
    initial: Vec<Effect>,
    /// Effects to carry out before the next message.
    pending: Vec<ScreenEffect>,
    /// Whether the screen shows an older state.
    dirty: bool,
}

impl Loop {
    /// Draws the first frame, before any message.
    pub fn start(setup: app::Setup, screen: &mut impl Screen) -> io::Result<Self> {
        let (mut model, mut initial) = app::init(setup);
        let (cols, rows) = screen.size()?;
        initial.extend(app::update(&mut model, Msg::Resized { cols, rows }));
        let dirty = screen.draw(&model)?;
        Ok(Self {
            model,
            initial,
            pending: Vec::new(),
            dirty,
        })
    }

    /// Runs until the user quits or the terminal is gone.
    pub async fn run<S: Screen>(
        &mut self,
        services: &mut Services,
        received: UnboundedReceiver<Msg>,
        screen: &mut S,
        input: impl Stream<Item = io::Result<Input>> + Unpin,
    ) -> io::Result<()> {
        for effect in std::mem::take(&mut self.initial) {
            self.pending.extend(services.perform(effect));
        }
        let result = self.run_rounds(services, received, screen, input).await;
        if result.is_err() {
            // The terminal was lost without a signal: save what a regular exit saves.
            for effect in app::update(&mut self.model, Msg::Terminated) {
                services.perform(effect);
            }
        }
        result
    }

    async fn run_rounds<S: Screen>(
        &mut self,
        services: &mut Services,
        mut received: UnboundedReceiver<Msg>,
        screen: &mut S,
        mut input: impl Stream<Item = io::Result<Input>> + Unpin,
    ) -> io::Result<()> {
        loop {
            for effect in std::mem::take(&mut self.pending) {
                match effect {
                    ScreenEffect::Quit => return Ok(()),
                    ScreenEffect::Suspend => {
                        screen.suspend()?;
                        self.handle(services, Msg::Resumed);
                    }
                    ScreenEffect::Resume => {
                        if screen.resume()? {
                            self.handle(services, Msg::Resumed);
                        }
                    }
                    ScreenEffect::Run(program, path) => {
                        let outcome = screen.run(&mut program.command_for(&path));
                        self.handle(services, Msg::Resumed);
                        if let Err(error) = outcome {
                            let text = transfers::not_started(&program, &error);
                            let severity = Severity::Error;
                            self.handle(services, Msg::Report { severity, text });
                        }
                    }
                    ScreenEffect::Edit(edit) => {
                        let outcome = screen.run(&mut edit.command());
                        self.handle(services, Msg::Resumed);
                        self.handle(services, Msg::PromptSetEdited(edit.finish(outcome)));
                    }
                    ScreenEffect::Redraw => {
                        screen.clear()?;
                        self.handle(services, Msg::Resumed);
                    }
                    ScreenEffect::Copy(text) => screen.copy(&text)?,
                    ScreenEffect::Bell => screen.ring()?,
                }
            }
            // The event of a resize is lost before the input is read.
            let (cols, rows) = screen.size()?;
            if self.dirty && (cols, rows) != self.model.size() {
                self.handle(services, Msg::Resized { cols, rows });
            }
            // A resize, suspend or clear may have led to further effects.
            if !self.pending.is_empty() {
                continue;
            }
            if self.dirty && screen.is_idle() {
                self.dirty = screen.draw(&self.model)?;
            }
            let Some(first) = self
                .next_message(services.begun, &mut received, screen, &mut input)
                .await
            else {
                continue;
            };
            self.handle(services, first);
            let begun = Instant::now();
            while begun.elapsed() < MAX_DRAIN_TIME
                && let Ok(msg) = received.try_recv()
            {
                self.handle(services, msg);
            }
        }
    }

    /// Waits for the next message; `None` when the screen can be drawn first.
    async fn next_message<S: Screen>(
        &self,
        begun: Instant,
        received: &mut UnboundedReceiver<Msg>,
        screen: &mut S,
        input: &mut (impl Stream<Item = io::Result<Input>> + Unpin),
    ) -> Option<Msg> {
        // Counted from the last tick, not from the last message, so that a cine loop keeps its rate while images arrive. It
        // waits for the screen, so that no frame is requested before the last one is drawn.
        let due = self.model.next_tick().map(|tick| self.model.now() + tick);
        let tick = due
            .filter(|_| !(self.dirty && self.model.is_playing()))
            .map(|due| due.saturating_sub(begun.elapsed()));
        tokio::select! {
            // Keys first.
            biased;
            event = input.next() => match event {
                Some(Ok(event)) => translate(&event, begun.elapsed()),
                // The terminal is gone.
                Some(Err(_)) | None => Some(Msg::Terminated),
            },
            msg = received.recv() => msg,
            () = screen.wait_idle(), if self.dirty => None,
            () = sleep(tick.unwrap_or_default()), if tick.is_some() => Some(Msg::Tick(begun.elapsed())),
        }
    }

    /// Updates the model with a message and performs the effects. Those that need the screen are carried out before the next
    /// message.
    fn handle(&mut self, services: &mut Services, msg: Msg) {
        for effect in app::update(&mut self.model, msg) {
            self.pending.extend(services.perform(effect));
        }
        self.dirty = true;
    }
}

/// The message for a terminal event, if it has one.
fn translate(event: &Input, at: Duration) -> Option<Msg> {
    match *event {
        Input::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(key)),
        Input::Mouse(event) => Some(Msg::Mouse { event, at }),
        Input::Resize(cols, rows) => Some(Msg::Resized { cols, rows }),
        _ => None,
    }
}
