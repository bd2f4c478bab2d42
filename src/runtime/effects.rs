//! How the services perform effects.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::folder_states::FolderStateWriter;
use super::prompt_editor::PromptEdit;
use super::transfers::{self, TransferRequest, expanded};
use super::{Services, choices, drafts, exports, folders, learning, objects, places};
use crate::app::mix::MixRequest;
use crate::app::{Effect, Msg};
use crate::encoder::{ModelSource, builtin};
use crate::engine::Engine;
use crate::exec::CommandLine;
use crate::jobs::JobCommand;
use crate::learn::LearnedSets;
use crate::library::mixes::FolderMixes;
use crate::library::{Record, Review, ReviewRequest};
use crate::prompts::Prompts;
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;
use crate::watch::{self, Watch};

/// An effect that needs the screen, or ends the loop.
pub(super) enum ScreenEffect {
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

impl Services {
    /// Performs an effect; answers arrive as messages. Returns the effects that need the screen, which belong to the loop.
    pub(super) fn perform(&mut self, effect: Effect) -> Option<ScreenEffect> {
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
                if let Some(writer) = &self.storing.measurements {
                    writer.read(file, Arc::clone(&self.send));
                }
            }
            Effect::KeepMeasurement { .. } | Effect::RemoveMeasurement(_) => {
                if let Some(writer) = &self.storing.measurements {
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
            | Effect::SaveDraft(_) => return self.perform_on_prompts(effect),
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
            Effect::Review { request, before } => self.review(request, before),
            Effect::Export {
                file,
                base,
                results,
            } => self.export(expanded(&file, &base), results),
            Effect::Adjust(request) => self.adjust(request),
            Effect::Learn(_)
            | Effect::KeepLearned(_)
            | Effect::UndoLearned(_)
            | Effect::UseLearned(_)
            | Effect::UseCalibrations(_) => self.perform_learning(effect),
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
            Effect::SaveDraft(drafted) => {
                let folder = self.choices.prompts.clone();
                drafts::save(drafted, folder, Arc::clone(&self.send));
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

    /// Stores a review or takes one back, beside the loop.
    fn review(&self, request: ReviewRequest, before: Option<Box<Review>>) {
        if let Some(reviews) = &self.storing.reviews {
            reviews.request(request, before);
        }
    }

    fn export(&self, file: PathBuf, results: Vec<(PathBuf, Arc<[Record]>)>) {
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

    /// Learns, keeps what was learned, takes it back, or puts it or calibrations into use; other effects do nothing.
    fn perform_learning(&mut self, effect: Effect) {
        match (effect, &self.settings.library) {
            (Effect::Learn(request), _) => self.engine.learn(*request),
            (Effect::UseLearned(learned), _) => self.use_learned(learned),
            (Effect::UseCalibrations(own), _) => self.use_calibrations(own),
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
        if let Some(watch) = &self.learned_files {
            watch.set(learned.clone());
        }
        self.settings.learned = learned;
    }

    /// Scores with these calibrations beside the built-in model's, also with a model that is being loaded, once prompts are put into use.
    fn use_calibrations(&mut self, own: Calibrations) {
        if let Some(watch) = &self.calibration_files {
            watch.set(own.clone());
        }
        let all = builtin::calibrations_after(own, None);
        if let Some((_, engine)) = &self.candidate {
            engine.use_calibrations(all.clone());
        }
        self.engine.use_calibrations(all.clone());
        self.settings.calibrations = all;
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
