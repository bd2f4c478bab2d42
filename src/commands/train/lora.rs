//! `train lora`: low-rank changes of the image tower.

mod judged;
mod retained;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use super::super::progress::ProgressLine;
use super::super::{CommandSetup, Fault, exit, print, shown};
use super::TrainingStop;
use super::alike::{AlikeImages, unproved_words};
use super::curve::TrainingCurve;
use super::data::ScoredModel;
use super::folder::OutputFolder;
use super::images::PreparedImages;
use super::labels::{self, LabelledImage, PatientSources};
use super::lora_report::{LoraReport, WrittenModel};
use super::probe::patient_numbers;
use super::report::SplitReport;
use crate::cli::LoraArgs;
use crate::encoder::finetune::{
    FineTuner, LoraSettings, SavedModel, TrainingData, TrainingEnd, TrainingEvent,
    TrainingImages as _, TrainingState, train,
};
use crate::encoder::{ModelOptions, ModelSource, Precision, PreparedImage, TaughtFindings};
use crate::graphics::Limits;
use crate::learn::linear::dot;
use crate::learn::{HeldOutProof, LearnError, MIN_PRESENCE_IMAGES, PatientSplit, Truths, Unproved};
use crate::library::NOTICE;
use crate::prompts::PromptSet;
use crate::scoring::Mode;
use retained::PhantomCheck;
pub(super) use retained::RetainedSkills;

/// The least cosine between an embedding of the model as it was trained, and as it is opened again.
const MIN_COSINE: f64 = 0.99999;
/// Images with which that is checked.
const CHECKED_IMAGES: usize = 16;

/// Carries the command out; returns the exit code.
pub(super) fn run(arguments: &LoraArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let begun = Instant::now();
    let set = labels::prompt_set(setup)?;
    let images = labels::read(&arguments.images, setup, &set)?;
    let folder = OutputFolder::open(&arguments.output)?;
    let stop = TrainingStop::on_signals()?;
    let progress = ProgressLine::new();
    progress.message("loading the model");
    let options = options(setup);
    let fits = (setup.calibrations(None), setup.learned());
    let (model, check) = {
        let mut encoder = setup.source.open(options).map_err(Fault::unusable)?;
        let encoder = encoder.as_mut();
        let mode = arguments.images.mode;
        let model = ScoredModel::to_train(encoder, &set, mode, (&fits.0, &fits.1));
        let model = model.map_err(Fault::unusable)?;
        let needs_check = model.natures.is_some();
        let check = needs_check.then(|| PhantomCheck::new(encoder, (&set, mode)));
        (model, check.transpose()?)
    };
    let settings = settings(arguments);
    let tuner = FineTuner::open(&setup.source, setup.device, settings).map_err(Fault::unusable)?;
    progress.message("reading images");
    let limit = arguments.image_memory;
    let prepared = PreparedImages::read(images, tuner.preprocess(), limit, (&progress, &stop));
    let prepared = prepared.map(|own| own.without_copies(&set)).transpose()?;
    let Some(prepared) = prepared else {
        return Ok(exit::INTERRUPTED);
    };
    let mut tuning = Tuning::new(arguments, (model, set), prepared, tuner)?;
    let end = tuning.train(&folder, setup, (&progress, &stop))?;
    progress.end();
    if end.is_interrupted {
        print::message(format_args!(
            "stopped; the same command goes on from {}",
            shown(&folder.state())
        ));
        return Ok(exit::INTERRUPTED);
    }
    let report = tuning.finish(end, &folder, (setup, check.as_ref()), begun)?;
    folder.finish(&report)?;
    if arguments.images.json {
        print::json(&report)?;
    } else {
        print::lines(&report.table())?;
    }
    Ok(if report.failed > 0 {
        exit::SOME_FAILED
    } else {
        exit::OK
    })
}

/// Training is in f32 on every device.
fn options(setup: &CommandSetup) -> ModelOptions {
    ModelOptions {
        precision: Precision::F32,
        ..setup.options(None)
    }
}

fn settings(arguments: &LoraArgs) -> LoraSettings {
    let rank = usize::from(arguments.rank);
    LoraSettings {
        rank,
        alpha: arguments.alpha.unwrap_or(rank as f64),
        dropout: arguments.dropout,
        blocks: arguments.blocks,
        rate: arguments.rate,
        batch: arguments.batch_size.into(),
        micro_batch: arguments.micro_batch.min(arguments.batch_size).into(),
        zero_shot_weight: arguments.zero_shot_weight,
        patience: arguments.patience.into(),
        augment: !arguments.no_augment,
        seed: arguments.images.seed,
        // Once the images are known, see `Tuning::new`.
        ..LoraSettings::default()
    }
}

/// A fine-tuning: the model, the images and their split.
struct Tuning<'a> {
    arguments: &'a LoraArgs,
    set: PromptSet,
    model: ScoredModel,
    images: PreparedImages,
    /// Labelled images that are left out, as they are of other kinds.
    others: PreparedImages,
    alike: AlikeImages,
    truths: Truths,
    patients: (Vec<String>, PatientSources),
    split: PatientSplit,
    /// The base's embeddings.
    embeddings: Vec<Vec<f32>>,
    tuner: FineTuner,
}

impl<'a> Tuning<'a> {
    fn new(
        arguments: &'a LoraArgs,
        (model, set): (ScoredModel, PromptSet),
        images: PreparedImages,
        mut tuner: FineTuner,
    ) -> Result<Self, Fault> {
        let all = images.images.len();
        let encoded = model.natures.as_ref().map(|reader| {
            let rows = tuner.encode_base(&images, all);
            rows.map_err(Fault::unusable).map(|rows| (reader, rows))
        });
        let mut embeddings = None;
        let mut alike = AlikeImages {
            kind: None,
            keep: vec![true; all],
        };
        if let Some((reader, mut rows)) = encoded.transpose()? {
            let natures = rows.iter().zip(&images.synthetic);
            let natures = natures.map(|(row, synthetic)| reader.nature(row, *synthetic));
            let shows = images.images.iter().map(|own| !own.labels.is_empty());
            alike = AlikeImages::among(&natures.collect::<Vec<_>>(), &shows.collect::<Vec<_>>())?;
            let mut keep = alike.keep.iter();
            rows.retain(|_| *keep.next().unwrap_or(&false));
            embeddings = Some(rows);
        }
        let (images, others) = images.partition(&alike.keep);
        let truths = labels::truths(images.images.iter(), &set, model.mode);
        let patients = labels::patients(&images.images);
        let split = labels::split(&arguments.images, (&patients.0, patients.1), &truths)?;
        let epochs = arguments.epochs.map(usize::from);
        tuner
            .set_epochs(epochs.unwrap_or_else(|| tuner.settings().usual_epochs(split.train.len())));
        if images.not_kept() > 0 {
            print::message(format_args!(
                "{} of {} images do not fit in --image-memory and are decoded for each use",
                images.not_kept(),
                truths.len()
            ));
        }
        if !truths.can_judge(&split.train, &split.held_out) {
            return Err(Fault::usage(LearnError::FewImages(MIN_PRESENCE_IMAGES)));
        }
        let embeddings = match embeddings {
            Some(rows) => rows,
            None => tuner
                .encode_base(&images, truths.len())
                .map_err(Fault::unusable)?,
        };
        let own = Self {
            arguments,
            set,
            model,
            images,
            others,
            alike,
            truths,
            patients,
            split,
            embeddings,
            tuner,
        };
        own.check_held_out()?;
        Ok(own)
    }

    /// Says before minutes of training if the images held out are too few to show that findings of real images can be told.
    fn check_held_out(&self) -> Result<(), Fault> {
        let held_out = self.split.held_out.iter();
        let logits = held_out.map(|at| self.model.problem.zero_shot(&self.embeddings[*at]));
        let logits: Vec<Vec<f64>> = logits.collect();
        let Some(proof) = self.proof([&logits, &logits]) else {
            return Ok(());
        };
        match proof.unproved {
            Some(Unproved::TooFew { .. } | Unproved::OneSided(_)) => {
                let words = unproved_words(&proof, logits.len());
                Err(Fault::unusable(words.unwrap_or_default()))
            }
            Some(Unproved::Guessed(_)) | None => Ok(()),
        }
    }

    /// What the images held out show of the second logits; `None` unless the built-in model is trained with real images.
    fn proof(&self, logits: [&[Vec<f64>]; 2]) -> Option<HeldOutProof> {
        self.alike.kind.as_ref()?;
        let patients = patient_numbers(&self.patients.0);
        let images = (self.split.held_out.as_slice(), patients.as_slice());
        let names = self.set.conditions.iter().map(|own| own.name.as_str());
        let names: Vec<&str> = names.collect();
        Some(self.truths.proof(images, logits, &names))
    }

    fn train(
        &mut self,
        folder: &OutputFolder,
        setup: &CommandSetup,
        (progress, stop): (&ProgressLine, &TrainingStop),
    ) -> Result<TrainingEnd, Fault> {
        let state = TrainingState {
            file: folder.state(),
            fingerprint: self.fingerprint(),
        };
        let data = TrainingData {
            images: &self.images,
            truths: &self.truths,
            train: &self.split.train,
            held_out: &self.split.held_out,
            problem: &self.model.problem,
            embeddings: &self.embeddings,
        };
        let is_ascii = Limits::new(setup.colours, setup.ascii).ascii.value;
        let curve = TrainingCurve::new(progress, self.tuner.settings().epochs, is_ascii);
        let mut observe = |event: TrainingEvent| {
            match event {
                TrainingEvent::Step { done, total, loss } => curve.step(done, total, loss),
                TrainingEvent::Epoch { history, best } => curve.epoch(history, best),
            }
            if stop.is_raised() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        train(&mut self.tuner, &data, Some(&state), &mut observe).map_err(Fault::training)
    }

    /// `blake3:<hex>` of all that a training depends on.
    fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let settings = serde_json::to_string(self.tuner.settings()).unwrap_or_default();
        let parts = [&self.model.card.digest, &self.set.digest, &settings];
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        if self.model.mode == Mode::Multi {
            hasher.update(b"multi");
        }
        for image in &self.images.images {
            hash_image(&mut hasher, image);
        }
        for at in &self.split.held_out {
            hasher.update(&(*at as u64).to_le_bytes());
        }
        format!("blake3:{}", hasher.finalize().to_hex())
    }

    /// Writes the model, if it is better than the base, opens it again, and says what it is worth.
    fn finish(
        &self,
        end: TrainingEnd,
        folder: &OutputFolder,
        (setup, check): (&CommandSetup, Option<&PhantomCheck>),
        begun: Instant,
    ) -> Result<LoraReport, Fault> {
        let judged = self.judged()?;
        let retained = match (check, &self.model.natures) {
            (Some(check), Some(base)) if end.best > 0 && judged.unproved.is_none() => {
                Some(self.retained(check, base)?)
            }
            _ => None,
        };
        let lost = retained.as_ref();
        let lost = lost.and_then(|own| own.lost_kind(self.split.held_out.len()));
        let unproved = judged.unproved.or(lost);
        let model = if end.best > 0 && unproved.is_none() {
            let saved = self.tuner.save(folder.path(), self.taught().as_ref());
            Some(self.checked(&saved.map_err(Fault::training)?, setup)?)
        } else {
            None
        };
        let (matrices, numbers) = self.tuner.size();
        Ok(LoraReport {
            base: self.tuner.base_id().to_owned(),
            base_digest: self.tuner.base_digest().to_owned(),
            device: self.tuner.device(),
            prompts: self.set.name.clone(),
            prompts_digest: self.set.digest.clone(),
            mode: self.model.mode,
            conditions: judged.conditions,
            without_condition: self.truths.without_condition(),
            split: SplitReport::new(&self.arguments.images, &self.split, self.patients.1),
            failed: self.images.failed,
            copies: self.images.copies,
            settings: self.tuner.settings().clone(),
            matrices,
            numbers,
            history: end.history,
            best_epoch: end.best,
            zero_shot: judged.zero_shot,
            probe: judged.probe,
            lora: judged.lora,
            gain_over_zero_shot: judged.gain_over_zero_shot.balanced_accuracy,
            gain_over_probe: judged.gain_over_probe.map(|own| own.balanced_accuracy),
            auroc_gain_over_zero_shot: judged.gain_over_zero_shot.auroc,
            auroc_gain_over_probe: judged.gain_over_probe.and_then(|own| own.auroc),
            kind: self.alike.kind.clone(),
            other_kinds: self.alike.others(),
            unproved,
            retained,
            model,
            seconds: begun.elapsed().as_secs_f64(),
            notice: NOTICE,
        })
    }

    /// Of which images the model is to judge findings; `None` if it follows from no built-in model, and judges those of all.
    fn taught(&self) -> Option<TaughtFindings> {
        self.model.card.builtin.as_ref()?;
        Some(TaughtFindings {
            kind: self.alike.kind.clone(),
            prompts: self.set.name.clone(),
            prompts_digest: self.set.digest.clone(),
            mode: self.model.mode,
        })
    }

    /// Opens what was written, and compares its embeddings with those of the model as it was trained.
    fn checked(&self, saved: &SavedModel, setup: &CommandSetup) -> Result<WrittenModel, Fault> {
        let held_out = self.split.held_out.iter().take(CHECKED_IMAGES);
        let images: Result<Vec<PreparedImage>, _> =
            held_out.map(|at| self.images.image(*at)).collect();
        let images = images.map_err(Fault::unusable)?;
        let trained = self.tuner.encode_best(&images).map_err(Fault::unusable)?;
        let mut least = 1.0_f64;
        let mut digest = String::new();
        for path in [&saved.adapter, &saved.merged] {
            let source = ModelSource::Path(path.clone());
            let mut opened = source.open(options(setup)).map_err(Fault::unusable)?;
            digest.clone_from(&opened.card().digest);
            let rows = opened.encode_images(&images).map_err(Fault::unusable)?;
            let cosines = rows.iter().zip(&trained);
            let cosines = cosines.map(|(a, b)| f64::from(dot(a, b)));
            let own = cosines.fold(1.0, f64::min);
            if own < MIN_COSINE {
                return Err(different(path, own));
            }
            least = least.min(own);
        }
        Ok(WrittenModel {
            path: shown(&saved.merged),
            digest,
            adapter: shown(&saved.adapter),
            layout: saved.layout,
            least_cosine: least,
        })
    }
}

fn hash_image(hasher: &mut blake3::Hasher, image: &LabelledImage) {
    let path = image.path.to_string_lossy();
    hasher.update(&(path.len() as u64).to_le_bytes());
    hasher.update(path.as_bytes());
    let size = std::fs::metadata(&image.path).map_or(0, |data| data.len());
    if image.labels.len() != 1 {
        hasher.update(format!("{} labels", image.labels.len()).as_bytes());
    }
    for label in &image.labels {
        hasher.update(&(*label as u64).to_le_bytes());
    }
    hasher.update(&size.to_le_bytes());
}

fn different(path: &Path, cosine: f64) -> Fault {
    Fault::unusable(format!(
        "{}: opened again, it computes other embeddings than in training (cosine {cosine:.6}); do not use it, and please report this",
        shown(path)
    ))
}
