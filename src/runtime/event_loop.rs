//! The loop itself: takes messages, has effects performed, and draws at most once per round.

use std::io;
use std::time::{Duration, Instant};

use crossterm::event::{Event as Input, KeyEventKind};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use super::effects::ScreenEffect;
use super::{Services, transfers};
use crate::app::{self, Effect, Model, Msg, Severity};
use crate::graphics::Screen;

/// How long messages are processed before the next draw, so that the screen stays responsive while thousands arrive.
const MAX_DRAIN_TIME: Duration = Duration::from_millis(4);

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
        Input::Paste(ref text) => Some(Msg::Pasted(text.clone())),
        Input::Resize(cols, rows) => Some(Msg::Resized { cols, rows }),
        _ => None,
    }
}
