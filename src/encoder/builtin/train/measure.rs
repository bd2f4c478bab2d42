//! Figures of a model's folder on the development split and on phantoms of unseen seeds, opened and preprocessed as the program
//! does it, with a logistic regression on global statistics as control.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use medivision_tui::encoder::{DualEncoder, Encoder, ModelOptions, PreparedImage, checkpoint};
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::prompts::{KINDS, PromptSet};
use medivision_tui::scoring::metrics::{Case, Evaluation};
use medivision_tui::scoring::{Logits, Mode, Scorer};

use super::control::{self, Statistics};
use super::facts::{Facts, Kind};
use super::finish;
use super::pool;

/// Draws of a bootstrap interval.
const DRAWS: usize = 1000;
const SEED: u64 = 11;
/// Images in a forward pass.
const BATCH: usize = 32;

/// Prepared images with what they show.
pub struct Exam {
    images: Vec<(Facts, PreparedImage, Statistics)>,
    /// Statistics and facts of the training split, for the control.
    control: Vec<(Facts, Statistics)>,
}

impl Exam {
    /// Prepares every `stride`-th image of the development split, and phantoms, for the model in `folder`. With `control`
    /// also reads the training split.
    pub fn new(
        data: &Path,
        folder: &Path,
        phantoms: usize,
        stride: usize,
        control: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let preprocess = open(folder)?.preprocess();
        let prepare = |picture: &Picture| {
            preprocess
                .apply(picture)
                .map(|input| (input, statistics(picture)))
        };
        let rows = pool::rows(data, "dev", &[])?
            .into_iter()
            .step_by(stride)
            .collect();
        let real = pool::read(data, &rows, |_, picture| Ok(prepare(&picture)?))?;
        let unseen = pool::phantoms(phantoms, 0x5EED_0000_0000, |picture| {
            prepare(&picture).map_err(|e| e.to_string())
        })?;
        let images = real
            .into_iter()
            .chain(unseen)
            .map(|(facts, (input, statistics))| (facts, input, statistics));
        let control = if control {
            pool::read(data, &pool::rows(data, "train", &[])?, |_, picture| {
                Ok(statistics(&picture))
            })?
        } else {
            Vec::new()
        };
        Ok(Self {
            images: images.collect(),
            control,
        })
    }

    /// The figures of the model in `folder`, one a line.
    pub fn report(&self, folder: &Path, sets: &[PromptSet]) -> Result<String, Box<dyn Error>> {
        let mut model = open(folder)?;
        let mut rows = Vec::new();
        for chunk in self.images.chunks(BATCH) {
            let inputs: Vec<PreparedImage> =
                chunk.iter().map(|(_, input, _)| input.clone()).collect();
            rows.extend(model.encode_images(&inputs)?);
        }
        let mut text = String::new();
        if let Some(set) = sets.iter().find(|set| set.name == KINDS) {
            text += &self.kinds(&mut model, &rows, set)?;
        }
        for (set, source, positive) in [
            ("chest-xray", "NIH ChestX-ray14", "pneumonia"),
            ("chest-xray", "Kermany", "pneumonia"),
            ("bone-xray", "FracAtlas", "fracture"),
            ("brain-mri", "masoudnickparvar", "tumor"),
        ] {
            if let Some(set) = sets.iter().find(|s| s.name == set) {
                text += &self.area(&mut model, &rows, set, source, positive)?;
            }
        }
        for set in sets.iter().filter(|set| set.name != KINDS) {
            text += &self.phantoms(&mut model, &rows, set)?;
        }
        Ok(text)
    }

    /// Top-1 of the kinds on real images, with the share of each kind.
    fn kinds(
        &self,
        model: &mut DualEncoder,
        rows: &[Vec<f32>],
        set: &PromptSet,
    ) -> Result<String, Box<dyn Error>> {
        let known = model
            .card()
            .builtin
            .as_ref()
            .map(|facts| facts.known.clone());
        let refuses = known.is_some();
        let scorer = scorer(model, set)?.knowing(known);
        let other = set.conditions.iter().find(|condition| condition.other);
        let mut refused = 0;
        let mut table = vec![(0, 0); Kind::ALL.len()];
        for ((facts, _, _), row) in self
            .images
            .iter()
            .zip(rows)
            .filter(|((f, _, _), _)| !f.is_phantom())
        {
            let label = scorer.verdict(row).label;
            refused += usize::from(other.is_some_and(|other| other.name == label));
            let at = Kind::ALL.iter().position(|&k| k == facts.kind).unwrap_or(0);
            table[at].1 += 1;
            table[at].0 += usize::from(label == facts.kind.condition());
        }
        let (right, all) = table
            .iter()
            .fold((0, 0), |sum, n| (sum.0 + n.0, sum.1 + n.1));
        let mut text = format!("kind, dev split: {}\n ", share(right, all));
        for (kind, (right, all)) in Kind::ALL.iter().zip(table) {
            let _ = write!(text, " {kind:?} {right}/{all}");
        }
        text += "\n";
        if refuses {
            let _ = writeln!(
                text,
                "none of the kinds, dev split: {}",
                share(refused, all)
            );
        }
        Ok(text)
    }

    /// The area under the ROC curve of a condition against normal images of one source, and that of the control.
    fn area(
        &self,
        model: &mut DualEncoder,
        rows: &[Vec<f32>],
        set: &PromptSet,
        source: &str,
        positive: &str,
    ) -> Result<String, Box<dyn Error>> {
        let scorer = scorer(model, set)?;
        let class = |f: &Facts| match f.label.as_str() {
            _ if f.source != source => None,
            "normal" => Some(0),
            label => (label == positive).then_some(1),
        };
        let score = |row: &[f32]| {
            let verdict = scorer.verdict(row);
            let of = |name: &str| {
                verdict
                    .scores
                    .iter()
                    .find(|s| s.condition == name)
                    .map_or(0.0, |s| s.probability)
            };
            let (ill, well): (f64, f64) = (of(positive), of("normal"));
            ill / (ill + well).max(1e-12)
        };
        let mut model_cases = Vec::new();
        let mut control_cases = Vec::new();
        let train: Vec<(Statistics, bool)> = self
            .control
            .iter()
            .filter_map(|(f, s)| Some((*s, class(f)? == 1)))
            .collect();
        let regression = (!train.is_empty()).then(|| control::fit(&train));
        for ((facts, _, statistics), row) in self.images.iter().zip(rows) {
            let Some(truth) = class(facts) else { continue };
            model_cases.push(case(truth, score(row)));
            control_cases.extend(
                regression
                    .as_ref()
                    .map(|r| case(truth, r.probability(statistics))),
            );
        }
        Ok(format!(
            "{source}, {positive} against normal, dev split: AUROC {}; control {}\n",
            auroc(&model_cases, positive),
            auroc(&control_cases, positive)
        ))
    }

    /// Top-1 of a prompt set on unseen phantoms, and with the conditions' texts exchanged in a circle.
    fn phantoms(
        &self,
        model: &mut DualEncoder,
        rows: &[Vec<f32>],
        set: &PromptSet,
    ) -> Result<String, Box<dyn Error>> {
        let scorer = scorer(model, set)?;
        let anatomy = super::statements::anatomy_of_set(&set.name);
        let (mut right, mut exchanged, mut all) = (0, 0, 0);
        for ((facts, _, _), row) in self.images.iter().zip(rows) {
            let Some(cell) = facts
                .cell
                .filter(|c| facts.is_phantom() && anatomy.is_none_or(|a| a == c.0))
            else {
                continue;
            };
            let best = scorer.verdict(row).label;
            let at = set
                .conditions
                .iter()
                .position(|c| c.name == best)
                .unwrap_or(0);
            all += 1;
            right += usize::from(best == cell.1.name());
            exchanged +=
                usize::from(set.conditions[(at + 1) % set.conditions.len()].name == cell.1.name());
        }
        Ok(format!(
            "phantoms, {}: {}; texts exchanged: {}\n",
            set.name,
            share(right, all),
            share(exchanged, all)
        ))
    }
}

/// Opens the model that training wrote to a folder; once it is finished, as the program does.
fn open(folder: &Path) -> Result<DualEncoder, Box<dyn Error>> {
    if folder.join(finish::KNOWN).exists() {
        return finish::open(folder);
    }
    Ok(checkpoint::open(folder, ModelOptions::default())?)
}

fn scorer(model: &mut DualEncoder, set: &PromptSet) -> Result<Scorer, Box<dyn Error>> {
    let logits = Logits {
        scale: model.card().logit_scale,
        bias: None,
    };
    Ok(Scorer::new(
        set,
        Mode::Single,
        logits,
        &mut |texts: &[String]| model.encode_texts(texts),
    )?)
}

fn case(truth: usize, score: f64) -> Case {
    Case {
        truth,
        predicted: usize::from(score > 0.5),
        scores: vec![1.0 - score, score],
    }
}

/// The area with its bootstrap interval.
fn auroc(cases: &[Case], positive: &str) -> String {
    let names = ["normal".to_owned(), positive.to_owned()];
    let found = Evaluation::new(&names, cases, DRAWS, SEED).and_then(|all| all.conditions[1].auroc);
    found.map_or_else(
        || "not measured".to_owned(),
        |e| {
            format!(
                "{:.3} ({:.3} to {:.3}), {} images",
                e.value,
                e.low.unwrap_or(0.0),
                e.high.unwrap_or(1.0),
                cases.len()
            )
        },
    )
}

/// A share with its 95 % interval (Wilson 1927).
fn share(right: usize, all: usize) -> String {
    const Z: f64 = 1.96;
    let n = all.max(1) as f64;
    let p = right as f64 / n;
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let reach = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let percent = |x: f64| 100.0 * x;
    format!(
        "{:.1} % ({:.1} to {:.1}), {right} of {all}",
        percent(p),
        percent(middle - reach),
        percent(middle + reach)
    )
}

/// The global statistics of a picture's grey values.
fn statistics(picture: &Picture) -> Statistics {
    let grey: Vec<u8> = match &picture.pixels {
        Pixels::Luma(bytes) => bytes.clone(),
        Pixels::Rgb(bytes) => bytes
            .chunks_exact(3)
            .map(|p| ((u32::from(p[0]) + u32::from(p[1]) + u32::from(p[2])) / 3) as u8)
            .collect(),
    };
    control::statistics(&grey, picture.width, picture.height)
}
