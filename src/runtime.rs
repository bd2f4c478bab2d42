//! The loop: messages in, effects out, at most one draw. Input and screen are given to it, so that tests drive the
//! real one.

mod choices;
mod folders;
mod keep;
mod objects;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossterm::event::{Event as Input, KeyEventKind};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

use crate::app::{self, Effect, Model, Msg};
use crate::encoder::Source;
use crate::engine::{Engine, Factory, Settings};
use crate::graphics::{GraphicsSetup, Screen, preview};
use crate::jobs::JobCommand;
use crate::watch::{self, Watch};
pub use choices::Offer;
use keep::Keeper;
pub use keep::Store;

/// How long the engine is waited for at the end, and after it the disk; a pass that takes longer is left behind.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long messages are taken in before the next draw: the screen stays alive while thousands come in.
const DRAIN: Duration = Duration::from_millis(4);

/// Everything behind the effects.
pub struct Services {
    send: folders::Send,
    messages: UnboundedSender<Msg>,
    engine: Engine,
    offer: Offer,
    /// For engines to come: the prompts in force among it.
    settings: Settings,
    /// An engine that reads its model.
    candidate: Option<(u64, Engine)>,
    /// Engines that another has taken over from.
    retired: Vec<Engine>,
    /// Keeps how folders are left.
    keeper: Option<Keeper>,
    /// Ends the pull that is under way.
    pull: choices::Stop,
    preview: Option<preview::PreviewWorker>,
    tiles: Option<preview::ThumbnailWorkers>,
    watch: Option<Watch>,
    listing: Arc<AtomicU64>,
    headers: Arc<AtomicU64>,
    related: Arc<AtomicU64>,
    begun: Instant,
}

impl Services {
    /// Starts the engine; its events become messages.
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
        let services = Self {
            send: Arc::new(move |msg| sender.send(msg).is_ok()),
            messages,
            engine,
            offer: Offer::default(),
            settings,
            candidate: None,
            retired: Vec::new(),
            keeper: None,
            pull: choices::Stop::default(),
            preview: None,
            tiles: None,
            watch: None,
            listing: Arc::default(),
            headers: Arc::default(),
            related: Arc::default(),
            begun: Instant::now(),
        };
        Ok((services, received))
    }

    /// What can be chosen while the program runs.
    pub fn offer(&mut self, offer: Offer) {
        self.offer = offer;
    }

    /// From now on it is kept how folders are left; without a store nothing is.
    pub fn persist_folders(&mut self, store: Option<Store>) -> io::Result<()> {
        self.keeper = store.map(Keeper::start).transpose()?;
        Ok(())
    }

    /// Where messages from elsewhere (signals) go in.
    pub fn messages(&self) -> UnboundedSender<Msg> {
        self.messages.clone()
    }

    /// From now on images can be asked for.
    pub fn start_previews(&mut self, graphics: GraphicsSetup) -> io::Result<()> {
        let messages = self.messages.clone();
        let sink = move |previewed| drop(messages.send(Msg::Previewed(Box::new(previewed))));
        let tiles = self.messages.clone();
        let tile_sink = move |tile| drop(tiles.send(Msg::Tile(Box::new(tile))));
        self.tiles = Some(preview::ThumbnailWorkers::start(
            &graphics.output,
            tile_sink,
        )?);
        self.preview = Some(preview::PreviewWorker::start(graphics.output, sink)?);
        let _ = self.messages.send(Msg::Graphics(graphics.graphics));
        Ok(())
    }

    /// Ends everything. False when a pass is still running and was left behind.
    pub fn shutdown(self) -> bool {
        drop((self.watch, self.preview, self.tiles));
        let others = self.retired.into_iter();
        let others = others.chain(self.candidate.map(|(_, engine)| engine));
        // All are told to end before any is waited for.
        let others: Vec<Engine> = others.inspect(Engine::stop).collect();
        let ended = self.engine.shutdown(PATIENCE);
        let ended = others
            .into_iter()
            .fold(ended, |all, engine| engine.shutdown(Duration::ZERO) && all);
        if let Some(keeper) = self.keeper {
            keeper.finish(PATIENCE);
        }
        if let Some(kept) = self.settings.kept {
            kept.flush(PATIENCE);
        }
        ended
    }

    /// Begins what an effect asks for; the answers come as messages.
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::List { dir, generation } => {
                // Headers of the folder before are of no use any more.
                self.headers.fetch_max(generation, Ordering::Relaxed);
                folders::list(
                    dir,
                    generation,
                    self.keeper.as_ref().map(Keeper::store),
                    Arc::clone(&self.listing),
                    Arc::clone(&self.send),
                );
            }
            Effect::Keep { dir, kept } => {
                if let Some(keeper) = &self.keeper {
                    keeper.keep(dir, kept);
                }
            }
            Effect::Scan { root, generation } => {
                folders::scan(root, generation, Arc::clone(&self.send));
            }
            Effect::Preview(key) => {
                if let Some(worker) = &self.preview {
                    worker.request(key);
                }
            }
            Effect::Nearby(files) => {
                if let Some(worker) = &self.preview {
                    worker.prefetch(files);
                }
            }
            Effect::Unpreview => {
                if let Some(worker) = &self.preview {
                    worker.cancel();
                }
            }
            Effect::Tiles(keys) => {
                if let Some(tiles) = &self.tiles {
                    tiles.request(keys);
                }
            }
            Effect::Jobs(commands) => commands
                .into_iter()
                .for_each(|command| self.carry_out(command)),
            Effect::Watch { root } => self.start_watch(&root),
            Effect::Unwatch => self.watch = None,
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
            Effect::PromptSets => choices::prompt_sets(&self.offer, Arc::clone(&self.send)),
            Effect::UsePrompts(prompts) => {
                self.settings.prompts = prompts.clone();
                if let Some((_, engine)) = &self.candidate {
                    engine.use_prompts(prompts.clone());
                }
                self.engine.use_prompts(prompts);
            }
            Effect::Models => choices::models(&self.offer, Arc::clone(&self.send)),
            Effect::Pull { id, serial } => {
                self.pull = choices::pull(id, serial, self.offer.offline, Arc::clone(&self.send));
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
            Effect::Rescore(files) => self.engine.rescore(files),
            // These belong to the loop.
            Effect::Copy(_) | Effect::Suspend | Effect::Resume | Effect::Redraw | Effect::Quit => {}
        }
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

    /// Reads another model while the one in use goes on answering.
    fn use_model(&mut self, id: String, serial: u64) {
        let options = self.offer.options.clone();
        let factory = Box::new(move || Source::parse(&id).open(options.clone()));
        let events = self.messages.clone();
        let sink = move |event| drop(events.send(Msg::OtherEngine { serial, event }));
        let engine = Engine::start(factory, self.settings.clone(), Arc::new(sink));
        if let Some((_, overtaken)) = self.candidate.replace((serial, engine)) {
            overtaken.stop();
            self.retired.push(overtaken);
        }
    }

    /// A refusal needs no answer: an engine that takes nothing more says so itself.
    fn carry_out(&self, command: JobCommand) {
        match command {
            JobCommand::Start(job) => drop(self.engine.submit(job)),
            JobCommand::Promote(generation) => self.engine.promote(generation),
            JobCommand::Cancel(generation) => self.engine.cancel(generation),
        }
    }
}

/// The interface.
pub struct Loop {
    model: Model,
    /// What is to be done before the next message is taken.
    pending: Vec<Effect>,
    /// The screen shows an older state.
    dirty: bool,
}

impl Loop {
    /// Draws the first frame, before anything is known.
    pub fn start(setup: app::Setup, screen: &mut impl Screen) -> io::Result<Self> {
        let (mut model, mut pending) = app::init(setup);
        let (cols, rows) = screen.size()?;
        pending.extend(app::update(&mut model, Msg::Resized { cols, rows }));
        let dirty = screen.draw(&model)?;
        Ok(Self {
            model,
            pending,
            dirty,
        })
    }

    /// Runs until it is left.
    pub async fn run<S: Screen>(
        &mut self,
        services: &mut Services,
        received: UnboundedReceiver<Msg>,
        screen: &mut S,
        input: impl Stream<Item = io::Result<Input>> + Unpin,
    ) -> io::Result<()> {
        let result = self.turn(services, received, screen, input).await;
        if result.is_err() {
            // The terminal went before anyone said so: this is an end like any other.
            for effect in app::update(&mut self.model, Msg::Terminated) {
                services.perform(effect);
            }
        }
        result
    }

    async fn turn<S: Screen>(
        &mut self,
        services: &mut Services,
        mut received: UnboundedReceiver<Msg>,
        screen: &mut S,
        mut input: impl Stream<Item = io::Result<Input>> + Unpin,
    ) -> io::Result<()> {
        loop {
            for effect in std::mem::take(&mut self.pending) {
                match effect {
                    Effect::Quit => return Ok(()),
                    Effect::Suspend => {
                        screen.suspend()?;
                        self.take(services, Msg::Resumed);
                    }
                    Effect::Resume => {
                        if screen.resume()? {
                            self.take(services, Msg::Resumed);
                        }
                    }
                    Effect::Redraw => {
                        screen.clear()?;
                        self.take(services, Msg::Resumed);
                    }
                    Effect::Copy(text) => screen.copy(&text)?,
                    other => services.perform(other),
                }
            }
            // The signal of another size is lost while nobody listens for it yet.
            let (cols, rows) = screen.size()?;
            if self.dirty && (cols, rows) != (self.model.cols, self.model.rows) {
                self.take(services, Msg::Resized { cols, rows });
            }
            // What that, a suspend or a clear brought up.
            if !self.pending.is_empty() {
                continue;
            }
            if self.dirty && screen.is_idle() {
                self.dirty = screen.draw(&self.model)?;
            }
            let Some(first) = self
                .next(services.begun, &mut received, screen, &mut input)
                .await
            else {
                continue;
            };
            self.take(services, first);
            let begun = Instant::now();
            while begun.elapsed() < DRAIN
                && let Ok(msg) = received.try_recv()
            {
                self.take(services, msg);
            }
        }
    }

    /// The next message; `None` when something else is to be done first.
    async fn next<S: Screen>(
        &self,
        begun: Instant,
        received: &mut UnboundedReceiver<Msg>,
        screen: &mut S,
        input: &mut (impl Stream<Item = io::Result<Input>> + Unpin),
    ) -> Option<Msg> {
        // Counted from the last tick, not from the last message: a film keeps step under a stream of pictures. It waits
        // for the screen, so that no frame is asked for before the last one is drawn.
        let due = self.model.next_tick().map(|tick| self.model.now() + tick);
        let tick = due
            .filter(|_| !(self.dirty && self.model.is_playing()))
            .map(|due| due.saturating_sub(begun.elapsed()));
        tokio::select! {
            // A key goes before whatever else has come.
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

    /// Carries out what comes of a message; what needs the screen is done before the next one.
    fn take(&mut self, services: &mut Services, msg: Msg) {
        for effect in app::update(&mut self.model, msg) {
            match effect {
                Effect::Copy(_)
                | Effect::Suspend
                | Effect::Resume
                | Effect::Redraw
                | Effect::Quit => {
                    self.pending.push(effect);
                }
                other => services.perform(other),
            }
        }
        self.dirty = true;
    }
}

/// What a terminal event means; `None`: nothing.
fn translate(event: &Input, at: Duration) -> Option<Msg> {
    match *event {
        Input::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(key)),
        Input::Mouse(event) => Some(Msg::Mouse { event, at }),
        Input::Resize(cols, rows) => Some(Msg::Resized { cols, rows }),
        _ => None,
    }
}
