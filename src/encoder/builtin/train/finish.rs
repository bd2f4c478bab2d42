//! What ships beside the weights: the Gaussians of the images that the model knows, and the calibration of its scores.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use medivision_tui::encoder::builtin::{self, BuiltinFiles};
use medivision_tui::encoder::{DualEncoder, Encoder, ModelOptions, checkpoint};
use medivision_tui::prompts::{KINDS, PromptSet};
use medivision_tui::scoring::calibration::{
    CalibratedConditions, Calibration, SingleCalibration, fit, fit_each,
};
use medivision_tui::scoring::known::KnownImages;
use medivision_tui::scoring::metrics::{Case, CaseGroups, MultiLabelCase};
use medivision_tui::scoring::{Logits, Mode, Scorer, Verdict};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;

use super::facts::{Facts, Kind};
use super::model;
use super::pool;
use super::statements::anatomy_of_set;

/// How far the covariance is shrunk towards the mean variance.
const SHRINKAGE: f64 = 0.3;
/// Share of the development split within the limit of known images.
const KNOWN_SHARE: f64 = 0.99;
/// Least number of images of a group with a mean of its own.
const MIN_GROUP: usize = 20;
/// Phantoms for the Gaussians, and for the calibrations, of other seeds than those of the training and of `--measure`.
const KNOWN_PHANTOMS: usize = 900;
const CALIBRATION_PHANTOMS: usize = 1400;
const KNOWN_SEED: u64 = 0x4B0E_0000_0000;
const CALIBRATION_SEED: u64 = 0xCA11_0000_0000;

/// The file of the Gaussians.
pub const KNOWN: &str = "known.safetensors";

/// The content of `calibrations.toml`.
#[derive(Serialize)]
struct CalibrationFile {
    calibration: Vec<Calibration>,
}

/// An image's facts and its embedding.
type Embedded = (Facts, Vec<f32>);

/// Writes `known.safetensors` and `calibrations.toml` for the model in `folder`.
pub fn finish(data: &Path, folder: &Path, sets: &[PromptSet]) -> Result<(), Box<dyn Error>> {
    let model = RefCell::new(checkpoint::open(folder, ModelOptions::default())?);
    eprintln!("encoding the training split");
    let mut known = real(data, "train", &model)?;
    known.extend(phantoms(KNOWN_PHANTOMS, KNOWN_SEED, &model)?);
    eprintln!("encoding the development split");
    let dev = real(data, "dev", &model)?;
    let unseen = phantoms(CALIBRATION_PHANTOMS, CALIBRATION_SEED, &model)?;
    write_known(&known, &dev, &folder.join(KNOWN))?;
    let model = open(folder)?;
    let calibrations = calibrate(model, sets, &dev, &unseen)?;
    for one in &calibrations {
        eprintln!(
            "{}, {:?}: {} images, calibration error {:.3} before, {:.3} on images held out",
            one.prompts, one.mode, one.images, one.error_before, one.error_after
        );
    }
    let text = toml::to_string(&CalibrationFile {
        calibration: calibrations,
    })?;
    model::write(&folder.join("calibrations.toml"), text.as_bytes())
}

/// Opens the model of a folder as the program opens that in its binary.
pub fn open(folder: &Path) -> Result<DualEncoder, Box<dyn Error>> {
    let read = |name: &str| -> Result<&'static [u8], Box<dyn Error>> {
        let path = folder.join(name);
        let content = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        // The program's own files live as long as it does.
        Ok(Box::leak(content.into_boxed_slice()))
    };
    let files = BuiltinFiles {
        config: read("open_clip_config.json")?,
        tokenizer: read("tokenizer.json")?,
        weights: read("open_clip_model.safetensors")?,
        known: read(KNOWN)?,
    };
    Ok(builtin::open_files(&files, ModelOptions::default())?)
}

/// Encodes a split of the real images.
fn real(
    data: &Path,
    split: &str,
    model: &RefCell<DualEncoder>,
) -> Result<Vec<Embedded>, Box<dyn Error>> {
    let preprocess = model.borrow().preprocess();
    pool::read(data, &pool::rows(data, split, &[])?, |_, picture| {
        let input = preprocess.apply(&picture)?;
        let rows = model.borrow_mut().encode_images(&[input])?;
        Ok(rows.into_iter().next().ok_or("no embedding")?)
    })
}

/// Encodes phantoms.
fn phantoms(
    count: usize,
    seed: u64,
    model: &RefCell<DualEncoder>,
) -> Result<Vec<Embedded>, Box<dyn Error>> {
    let preprocess = model.borrow().preprocess();
    let drawn = pool::phantoms(count, seed, |picture| {
        preprocess.apply(&picture).map_err(|e| e.to_string())
    })?;
    let mut all = Vec::with_capacity(count);
    for (facts, input) in drawn {
        let rows = model.borrow_mut().encode_images(&[input])?;
        all.push((facts, rows.into_iter().next().ok_or("no embedding")?));
    }
    Ok(all)
}

fn write_known(known: &[Embedded], dev: &[Embedded], file: &Path) -> Result<(), Box<dyn Error>> {
    let mut groups: BTreeMap<(&str, Kind, &str), Vec<&[f32]>> = BTreeMap::new();
    for (facts, row) in known {
        let key = (facts.source.as_str(), facts.kind, facts.label.as_str());
        groups.entry(key).or_default().push(row);
    }
    let groups: Vec<Vec<&[f32]>> = groups
        .into_values()
        .filter(|group| group.len() >= MIN_GROUP)
        .collect();
    let dev: Vec<&[f32]> = dev.iter().map(|(_, row)| row.as_slice()).collect();
    let fitted = KnownImages::fit(&groups, SHRINKAGE).ok_or("the embeddings are too alike")?;
    let fitted = fitted.limited(&dev, KNOWN_SHARE);
    eprintln!(
        "{} groups; {:.0} % of the development split are within {:.2}",
        groups.len(),
        100.0 * KNOWN_SHARE,
        fitted.limit
    );
    let limit = [fitted.limit as f32, fitted.slope as f32];
    let d = fitted.dimension;
    let tensors = [
        (
            "centres",
            vec![fitted.centres.len() / d, d],
            f32_bytes(&fitted.centres),
        ),
        ("whitening", vec![d, d], f32_bytes(&fitted.whitening)),
        ("limit", vec![2], f32_bytes(&limit)),
    ];
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes)?;
        Ok::<_, safetensors::SafeTensorError>((*name, view))
    });
    let views = views.collect::<Result<Vec<_>, _>>()?;
    model::write(file, &safetensors::serialize(views, None)?)
}

/// Fits each set: `kinds` to real images, the others to phantoms.
fn calibrate(
    mut model: DualEncoder,
    sets: &[PromptSet],
    dev: &[Embedded],
    phantoms: &[Embedded],
) -> Result<Vec<Calibration>, Box<dyn Error>> {
    let logits = Logits {
        scale: model.card().logit_scale,
        bias: None,
    };
    let known = model
        .card()
        .builtin
        .as_ref()
        .map(|facts| facts.known.clone());
    let mut all = Vec::new();
    for set in sets {
        let modes = if set.is_exhaustive() {
            &[Mode::Single][..]
        } else {
            &[Mode::Single, Mode::Multi]
        };
        for &mode in modes {
            let scorer = Scorer::new(set, mode, logits, |texts| model.encode_texts(texts))?;
            let scorer = scorer.knowing(known.clone());
            let names: Vec<String> = set.conditions.iter().map(|c| c.name.clone()).collect();
            let anatomy = anatomy_of_set(&set.name);
            let truth = |facts: &Facts| {
                if set.name == KINDS {
                    return Some(facts.kind.condition());
                }
                let (part, condition) = facts.cell?;
                let is_asked = anatomy.is_none_or(|anatomy| anatomy == part);
                is_asked.then_some(condition.name())
            };
            let images = if set.name == KINDS { dev } else { phantoms };
            let mut cases: Vec<Case> = images
                .iter()
                .filter_map(|(facts, row)| {
                    let name = truth(facts)?;
                    let at = names.iter().position(|own| own == name)?;
                    Some(case(&names, at, &scorer.verdict(row)))
                })
                .collect();
            // Halves are fitted apart from each other, and must not differ in their labels.
            cases.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
            let normal: Vec<bool> = set.conditions.iter().map(|c| c.normal).collect();
            let of = CalibratedConditions {
                names: &names,
                normal: &normal,
                min_probability: set.min_probability,
            };
            let alone = CaseGroups::default();
            let fitted = match mode {
                Mode::Single => fit(&of, &cases, &alone),
                Mode::Multi => {
                    let cases = cases.iter().cloned().map(MultiLabelCase::from);
                    fit_each(&of, &cases.collect::<Vec<_>>(), &alone)
                }
            };
            let fitted = fitted.map_err(|error| format!("{}, {mode:?}: {error}", set.name))?;
            all.push(Calibration {
                model: model.card().id.clone(),
                model_digest: model.card().digest.clone(),
                prompts: set.name.clone(),
                prompts_digest: set.digest.clone(),
                mode,
                learned: None,
                fit: None,
                synthetic: set.name != KINDS,
                at: jiff::Timestamp::now()
                    .strftime("%Y-%m-%dT%H:%M:%SZ")
                    .to_string(),
                images: cases.len(),
                error_before: fitted.error_before,
                error_after: fitted.error_after,
                single: fitted.single.map(without_mix),
                conditions: fitted.conditions,
                normal: fitted.normal,
                left_out: fitted.left_out,
            });
        }
    }
    Ok(all)
}

/// Without what adjusts to another mix: how frequent kinds and conditions are among these images says nothing of the user's, and `none of
/// these` is hardly among them.
fn without_mix(single: SingleCalibration) -> SingleCalibration {
    SingleCalibration {
        mix: None,
        ..single
    }
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn case(names: &[String], truth: usize, verdict: &Verdict) -> Case {
    let score = |name: &String| {
        let mut scores = verdict.scores.iter();
        let found = scores.find(|score| score.condition == *name);
        found.map_or(0.0, |score| score.probability)
    };
    let predicted = names.iter().position(|name| *name == verdict.label);
    Case {
        truth,
        predicted: predicted.unwrap_or(0),
        scores: names.iter().map(score).collect(),
    }
}
