//! The application: what is known, and how each message changes it. Pure and synchronous; time, files, pictures and
//! results come in as [`Msg`], and everything it wants done goes out as [`Effect`].

pub(crate) mod act;
pub(crate) mod activity;
pub(crate) mod compare;
pub(crate) mod detail;
pub mod effect;
pub mod entry;
pub(crate) mod files;
pub(crate) mod filter;
pub(crate) mod folder;
pub(crate) mod grid;
pub(crate) mod help;
pub(crate) mod kept;
pub mod keys;
pub mod layout;
pub(crate) mod marks;
pub(crate) mod menu;
pub(crate) mod model;
pub(crate) mod models;
pub(crate) mod mouse;
pub mod msg;
pub(crate) mod picker;
pub mod picture;
pub(crate) mod popup;
pub(crate) mod prompt;
pub(crate) mod related;
pub(crate) mod results;
pub(crate) mod sets;
pub(crate) mod shelf;
pub mod sort;
pub(crate) mod stage;
pub(crate) mod tags;
pub mod text;
pub(crate) mod tiles;
pub mod viewer;

pub use effect::Effect;
pub use entry::{Entry, EntryKind, Found, Stamp};
pub use filter::Filter;
pub use folder::Look;
pub use kept::{Kept, Layout, Name};
pub use keys::{Action, Keymap, KeymapError};
pub use model::{Model, Setup, Theme};
pub use models::Offered;
pub use msg::{Msg, Severity};
pub use picker::What;
pub use picture::{
    About, EncodedImage, Graphics, Label, Marks, Overlaid, Preview, PreviewKey, Previewed, Quality,
    Scene, Stack, Value, View,
};
pub use sets::Named;

use crossterm::event::{KeyCode, KeyEvent};

use crate::engine::Event;
use crate::media::ErrorKind;
use activity::News;
use model::{EngineState, REST, Rest, WatchState};
use results::Answer;

/// The first model and the first effects: the folder is read, searched for pictures and watched.
pub fn init(setup: Setup) -> (Model, Vec<Effect>) {
    let mut model = Model::new(setup);
    let list = Effect::List {
        dir: model.root.clone(),
        generation: model.folder.generation,
    };
    let mut effects = vec![list];
    effects.extend(model.start_watch());
    (model, effects)
}

/// Takes one message in; what is to be done about it comes back, in order.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let mut effects = match msg {
        Msg::Key(key) if model.prompt.is_some() => model.type_key(key),
        Msg::Key(key) => model.pressed(key),
        Msg::Mouse { event, at } => model.moused(event, at),
        Msg::Resized { cols, rows } => model.resized(cols, rows),
        Msg::Graphics(graphics) => {
            model.graphics = Some(graphics);
            Vec::new()
        }
        Msg::Resumed => {
            model.lose_pictures();
            Vec::new()
        }
        Msg::Stopping => vec![Effect::Suspend],
        Msg::Continued => vec![Effect::Resume],
        Msg::Terminated => model.quit(),
        Msg::Tick(now) => {
            model.tick(now);
            Vec::new()
        }
        Msg::Report { severity, text } => {
            model.say(severity, &text);
            Vec::new()
        }
        Msg::Previewed(previewed) => {
            model.previewed(*previewed);
            Vec::new()
        }
        Msg::Tile(tile) => {
            model.tile_came(*tile);
            Vec::new()
        }
        Msg::Engine(event) => model.some_engine_said(0, event),
        Msg::OtherEngine { serial, event } => model.some_engine_said(serial, event),
        choices @ (Msg::PromptSets(_)
        | Msg::Models(_)
        | Msg::Pulling { .. }
        | Msg::Pulled { .. }) => model.choices_said(choices),
        Msg::Watching { polling } => {
            // An answer to a watch that was switched off again changes nothing.
            if model.watch != WatchState::Off {
                model.watch = WatchState::On { polling };
                let words = "new files are watched for".to_owned();
                model.activity.note(News::Said(Severity::Info, words));
            }
            Vec::new()
        }
        Msg::WatchFailed { message } => {
            model.say(Severity::Error, &message);
            let words = text::safe_str(&message);
            model.watch = WatchState::Failed(words.clone());
            model.activity.note(News::Said(Severity::Error, words));
            Vec::new()
        }
        Msg::Kept {
            dir,
            generation,
            kept,
        } => {
            model.recalled(&dir, generation, *kept);
            Vec::new()
        }
        Msg::Tags {
            generation,
            outcome,
        } => {
            model.tags_read(generation, outcome);
            Vec::new()
        }
        Msg::Headers {
            generation,
            read,
            complete,
        } => model.headers_read(generation, read, complete),
        Msg::Directory {
            generation,
            outcome,
        } => {
            model.directory_read(generation, outcome);
            Vec::new()
        }
        Msg::Related {
            generation,
            read,
            complete,
        } => model.related_read(generation, read, complete),
        files => model.files_said(files),
    };
    let commands = model.results.jobs_mut().commands();
    if !commands.is_empty() {
        effects.push(Effect::Jobs(commands));
    }
    effects.extend(model.follow());
    effects
}

impl Model {
    /// What is being typed, chosen or pointed at goes before what keys mean otherwise.
    fn pressed(&mut self, key: KeyEvent) -> Vec<Effect> {
        if self.type_in_tags(key) {
            return Vec::new();
        }
        if let KeyCode::Char(letter) = key.code
            && let Some(effects) = self.choose_in_menu(letter)
        {
            return effects;
        }
        let looking = self.popup.is_none() && self.tags.is_none();
        if looking && (self.type_jump(key) || self.point(key)) {
            return Vec::new();
        }
        if looking && let Some(effects) = self.press_on_stage(key) {
            return effects;
        }
        match self.keymap.action(key) {
            Some(action) => act::act(self, action),
            None => Vec::new(),
        }
    }

    fn resized(&mut self, cols: u16, rows: u16) -> Vec<Effect> {
        if (self.cols, self.rows) != (cols, rows) {
            (self.cols, self.rows) = (cols, rows);
            self.lose_pictures();
        }
        Vec::new()
    }

    /// What the terminal was sent is gone.
    fn lose_pictures(&mut self) {
        self.epoch += 1;
        if self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.outcome.is_ok() && !shown.key.is_cells())
        {
            self.shown = None;
        }
    }

    fn tick(&mut self, now: std::time::Duration) {
        self.now = now;
        self.results.jobs_mut().tick(now);
        self.activity.tick(now);
        self.age_report();
        self.viewer.calm.tick(now, REST);
        self.turn_film();
        let Some(path) = self.rest.path.clone().filter(|_| !self.rest.rested) else {
            return;
        };
        let since = *self.rest.since.get_or_insert(now);
        if now.saturating_sub(since) < REST {
            return;
        }
        self.rest.rested = true;
        self.fresh.remove(&path);
        self.results.promote(&path);
        self.looked.insert(path);
    }

    /// A picture has come. While another view of the same file is already wanted, it is shown all the same: it is nearer to
    /// that than the one before, and under a key held down there would be none at all.
    fn previewed(&mut self, mut previewed: Previewed) {
        let Some(wanted) = &mut self.wanted else {
            return;
        };
        if !previewed.key.same_file(wanted) {
            return;
        }
        if let Ok(preview) = &previewed.outcome {
            let settle = |key: &mut PreviewKey| {
                key.for_series = None;
                key.view.clone_from(&preview.scene.view);
            };
            settle(&mut previewed.key);
            if wanted.for_series.is_some() {
                settle(wanted);
            }
        }
        let better = self.shown.as_ref().is_some_and(|shown| {
            shown.key.same_but_quality(&previewed.key) && shown.key.quality > previewed.key.quality
        });
        if better {
            return;
        }
        if let Ok(preview) = &previewed.outcome {
            self.viewer.learn(preview);
        }
        self.shown = Some(previewed);
    }

    /// Takes in what can be chosen, and how the fetching of a model goes.
    fn choices_said(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::PromptSets(sets) => self.sets_read(sets),
            Msg::Models(offered) => self.models_read(offered),
            Msg::Pulling {
                serial,
                came,
                size,
                waits,
            } => self.pulling(serial, came, size, waits),
            Msg::Pulled { serial, outcome } => return self.pulled(serial, outcome),
            _ => {}
        }
        Vec::new()
    }

    /// The engine of the start (0) has no say once another model is in use.
    fn some_engine_said(&mut self, serial: u64, event: Event) -> Vec<Effect> {
        if serial == self.models.engine {
            self.engine_said(event)
        } else {
            self.other_engine(serial, event)
        }
    }

    fn engine_said(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Loading => self.engine = EngineState::Loading,
            Event::Ready {
                model,
                device,
                prompts,
                synthetic_only,
                warnings,
            } => {
                let [model, device, prompts] =
                    [model, device, prompts].map(|name| text::safe_str(&name));
                let words = format!("{model} is ready on {device}, with the prompts {prompts}");
                self.activity.note(News::Said(Severity::Info, words));
                self.results.jobs_mut().engine_found();
                self.engine = EngineState::Ready {
                    model,
                    device,
                    prompts,
                    synthetic_only,
                };
                if let Some(warning) = warnings.first() {
                    self.say(Severity::Info, warning);
                }
            }
            Event::Failed { message } => {
                self.rate = None;
                self.results.jobs_mut().engine_lost();
                let words = text::safe_str(&message);
                self.activity.note(News::Said(Severity::Error, words));
                self.engine = EngineState::Failed(message);
            }
            Event::Done {
                generation,
                outcomes,
                ..
            } => match self.results.answer(generation, outcomes) {
                Some(Answer::State(path)) => {
                    self.note_answer(&path);
                    if self.has_vanished(&path) {
                        self.removed(&path);
                    } else {
                        self.folder.rerank(&path, &self.results);
                    }
                }
                Some(Answer::NoImage(path)) => {
                    self.fresh.remove(&path);
                    self.withdraw_arrival(&path);
                    self.folder.rerank(&path, &self.results);
                }
                None => {}
            },
            Event::Dropped { generation } => drop(self.results.jobs_mut().dropped(generation)),
            Event::Prompts { prompts, warnings } => {
                return self.prompts_changed(&prompts, &warnings);
            }
            Event::PromptsFailed { message } => self.say(Severity::Error, &message),
            Event::Rescored { files, left } => self.rescored(files, left),
            Event::Rate {
                images_per_second, ..
            } => self.rate = Some(images_per_second),
        }
        Vec::new()
    }

    /// The file was not there when it was to be read: it went before the watch could see it go.
    fn has_vanished(&self, path: &std::path::Path) -> bool {
        let state = self.results.get(path);
        matches!(state, Some(results::FileState::Failed(failure)) if failure.kind == ErrorKind::NotFound)
    }

    /// What every message may have changed: scroll, rest, and which picture is wanted.
    fn follow(&mut self) -> Vec<Effect> {
        let panels = self.panels();
        self.folder
            .fit(panels.list.map_or(1, |area| usize::from(area.height)));
        let page = self.tag_rows();
        if let Some(tags) = &mut self.tags {
            tags.fit(page);
        }
        let current = self.folder.current().map(|row| row.path.clone());
        if self.rest.path != current {
            self.rest = Rest {
                path: current,
                ..Rest::default()
            };
            self.result_scroll = 0;
        }
        self.fit_activity();
        let mut effects = Vec::from_iter(self.follow_tiles());
        let file = self.file_in_sight();
        let row = self.folder.current().map(|row| row.path.as_path());
        self.viewer.follow(file, row);
        self.follow_presentation();
        effects.extend(self.search_unasked());
        let target = self.preview_target();
        if target.is_none() {
            self.shown = None;
        }
        if target != self.wanted {
            let path = |key: &Option<PreviewKey>| key.as_ref().map(|key| key.path.clone());
            if path(&target) != path(&self.wanted) && target.is_some() {
                effects.push(Effect::Nearby(self.nearby()));
            }
            self.wanted.clone_from(&target);
            effects.push(target.map_or(Effect::Unpreview, Effect::Preview));
        }
        effects
    }

    /// Rows of the result panel that scroll, and how many lines there are to scroll through.
    pub(crate) fn result_extent(&self) -> (usize, usize) {
        let Some(area) = self.panels().result else {
            return (0, 0);
        };
        let (columns, rows) = (
            usize::from(area.width).saturating_sub(2),
            usize::from(area.height),
        );
        (
            rows.saturating_sub(detail::notice(columns, rows).len()),
            self.details(columns).len(),
        )
    }
}
