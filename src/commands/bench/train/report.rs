//! What `bench train` prints.

use std::fmt::Write as _;

use serde::Serialize;

use super::samples::BenchSamples;
use crate::commands::train::{
    ScoreSeparations, TrainedCondition, TrainingKind, WORTHWHILE_GAIN, area_gain, gain,
};
use crate::encoder::finetune::LoraSettings;
use crate::learn::{HeldOutFigures, PatientSplit, Probe, TrainingGain};
use crate::library::NOTICE;
use crate::media::clean;
use crate::prompts::PromptSet;
use crate::scoring::Mode;
use crate::scoring::metrics::{Estimate, bootstrap_mean};

/// The most that may be forgotten: balanced accuracy, or mean area where each condition is decided on by itself.
const MAX_FORGOTTEN: f64 = 0.01;

/// What was measured.
#[derive(Serialize)]
pub(super) struct TrainBenchReport {
    pub(super) model: String,
    pub(super) model_digest: String,
    pub(super) device: String,
    pub(super) prompts: String,
    mode: Mode,
    /// Where the images are from.
    pub(super) images: String,
    pub(super) settings: LoraSettings,
    seeds: Vec<SeedReport>,
    /// Balanced accuracy gained by fine-tuning over the probe, from −1 to 1: mean and interval over seeds.
    lora_over_probe: Estimate,
    /// Balanced accuracy lost by fine-tuning on phantoms as they were; `None` with images of the user's.
    forgotten: Option<Estimate>,
    /// The same of the mean area over conditions, where each is decided on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    auroc_lora_over_probe: Option<Estimate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auroc_forgotten: Option<Estimate>,
    /// Whether fine-tuning gains at least two points over the probe and forgets at most one; points of area where each condition is
    /// decided on by itself.
    is_worthwhile: bool,
    notice: &'static str,
}

/// What was measured with one seed.
#[derive(Serialize)]
pub(super) struct SeedReport {
    seed: u64,
    /// Images learned from, held out to choose the epoch, and tested on.
    train: usize,
    held_out: usize,
    test: usize,
    /// On the images tested on.
    zero_shot: HeldOutFigures,
    probe: HeldOutFigures,
    lora: HeldOutFigures,
    /// Balanced accuracy gained, with an interval over patients.
    probe_gain: Estimate,
    lora_gain: Estimate,
    lora_over_probe: Estimate,
    /// Mean area gained, where each condition is decided on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    auroc_gains: Option<AreaGains>,
    /// Each condition on the images tested on, and the mean over conditions; only where each is decided on by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<TrainedCondition>,
    /// Images that show none of them, where each is decided on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_condition: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<ScoreSeparations>,
    /// On phantoms as they were, zero-shot and fine-tuned.
    pub(super) original: Option<[HeldOutFigures; 2]>,
    pub(super) epochs: usize,
    pub(super) best_epoch: usize,
    pub(super) seconds: f64,
}

/// Mean areas gained.
#[derive(Clone, Copy, Serialize)]
struct AreaGains {
    probe: Estimate,
    lora: Estimate,
    lora_over_probe: Estimate,
}

/// The logits of the images tested on.
pub(super) struct TestLogits {
    pub(super) zero_shot: Vec<Vec<f64>>,
    pub(super) probe: Vec<Vec<f64>>,
    pub(super) lora: Vec<Vec<f64>>,
}

impl SeedReport {
    /// Judges scores of the images tested on; what is said of the training is empty.
    pub(super) fn new(
        seed: u64,
        set: &PromptSet,
        samples: &BenchSamples,
        (probe, logits): (&Probe, &TestLogits),
    ) -> Self {
        let tested = (samples.test.as_slice(), samples.patients.as_slice());
        let truths = &samples.truths;
        let trained = truths.learnable(&samples.train);
        let trained = trained.as_deref();
        let figures = |own: &[Vec<f64>]| truths.figures(&samples.test, own, trained);
        let gain = |a: &[Vec<f64>], b: &[Vec<f64>]| truths.gain(tested, [a, b], trained);
        let TestLogits {
            zero_shot,
            probe: probed,
            lora,
        } = logits;
        let gains = [
            gain(zero_shot, probed),
            gain(zero_shot, lora),
            gain(probed, lora),
        ];
        let [probe_gain, lora_gain, lora_over_probe] = gains.map(|own| own.balanced_accuracy);
        let (conditions, mean) = conditions(set, samples, (probe, logits)).unzip();
        Self {
            seed,
            train: samples.train.len(),
            held_out: samples.held_out.len(),
            test: samples.test.len(),
            zero_shot: figures(zero_shot),
            probe: figures(probed),
            lora: figures(lora),
            probe_gain,
            lora_gain,
            lora_over_probe,
            auroc_gains: area_gains(&gains),
            conditions: conditions.unwrap_or_default(),
            without_condition: truths.without_condition(),
            mean,
            original: None,
            epochs: 0,
            best_epoch: 0,
            seconds: 0.0,
        }
    }
}

/// Those by the probe, by fine-tuning, and by fine-tuning over the probe.
fn area_gains(gains: &[TrainingGain; 3]) -> Option<AreaGains> {
    let [Some(probe), Some(lora), Some(lora_over_probe)] = gains.each_ref().map(|own| own.auroc)
    else {
        return None;
    };
    Some(AreaGains {
        probe,
        lora,
        lora_over_probe,
    })
}

/// Each condition on the images tested on, and their mean; `None` where one condition applies.
fn conditions(
    set: &PromptSet,
    samples: &BenchSamples,
    (probe, logits): (&Probe, &TestLogits),
) -> Option<(Vec<TrainedCondition>, ScoreSeparations)> {
    let tested = (samples.test.as_slice(), samples.patients.as_slice());
    let split = PatientSplit {
        train: samples.train.clone(),
        held_out: samples.held_out.clone(),
        patients: [0, 0],
    };
    let mut all = TrainedCondition::of_set(set, &samples.truths, &split);
    TrainedCondition::add_gates(&mut all, probe);
    let mut mean = ScoreSeparations::default();
    let truths = &samples.truths;
    let trained = truths.learnable(&samples.train);
    let scores = [
        ("zero_shot", &logits.zero_shot),
        ("probe", &logits.probe),
        ("lora", &logits.lora),
    ];
    for (name, logits) in scores {
        let found = truths.separations(tested, logits, trained.as_deref())?;
        TrainedCondition::add_scores(&mut all, name, Some(&found));
        mean.add(name, found.mean);
    }
    Some((all, mean))
}

impl TrainBenchReport {
    /// Sums seeds up; what is said of model and images is empty.
    pub(super) fn new(mode: Mode, seeds: Vec<SeedReport>) -> Self {
        let mean = |values: Vec<f64>| (!values.is_empty()).then(|| bootstrap_mean(&values));
        let lost = |pick: &dyn Fn(&HeldOutFigures) -> Option<f64>| {
            let both = seeds.iter().filter_map(|own| own.original.as_ref());
            let lost = both.filter_map(|[base, tuned]| Some(pick(base)? - pick(tuned)?));
            mean(lost.collect())
        };
        let forgotten = lost(&|own| Some(own.balanced_accuracy));
        let auroc_forgotten = lost(&|own| own.auroc);
        let over: Vec<f64> = seeds.iter().map(|own| own.lora_over_probe.value).collect();
        let lora_over_probe = bootstrap_mean(&over);
        let areas = seeds.iter().filter_map(|own| own.auroc_gains);
        let auroc_lora_over_probe = mean(areas.map(|own| own.lora_over_probe.value).collect());
        let gained = auroc_lora_over_probe.unwrap_or(lora_over_probe);
        let lost = auroc_forgotten.or(forgotten);
        Self {
            model: String::new(),
            model_digest: String::new(),
            device: String::new(),
            prompts: String::new(),
            mode,
            images: String::new(),
            settings: LoraSettings::default(),
            seeds,
            lora_over_probe,
            forgotten,
            auroc_lora_over_probe,
            auroc_forgotten,
            is_worthwhile: gained.value >= WORTHWHILE_GAIN
                && lost.is_none_or(|own| own.value <= MAX_FORGOTTEN),
            notice: NOTICE,
        }
    }

    pub(super) fn table(&self) -> String {
        // Writing to a string cannot fail.
        let mut out = String::new();
        let mode = match self.mode {
            Mode::Single => "",
            Mode::Multi => ", each condition by itself",
        };
        let _ = writeln!(
            out,
            "model {}, prompts {}{mode}; {}",
            clean(&self.model),
            clean(&self.prompts),
            self.images
        );
        for own in &self.seeds {
            own.lines(&mut out);
        }
        if let Some(own) = &self.auroc_lora_over_probe {
            let _ = writeln!(
                out,
                "\nfine-tuned over probe: {} AUROC (mean over conditions and seeds), {} points of balanced accuracy",
                area_gain(own),
                gain(&self.lora_over_probe)
            );
        } else {
            let _ = writeln!(
                out,
                "\nfine-tuned over probe: {} points (mean over seeds)",
                gain(&self.lora_over_probe)
            );
        }
        if let Some(own) = &self.forgotten {
            let area = self.auroc_forgotten.as_ref();
            let area = area.map(|own| format!("{} AUROC, ", area_gain(own)));
            let _ = writeln!(
                out,
                "forgotten: {}{} points",
                area.unwrap_or_default(),
                gain(own)
            );
        }
        let points = match self.mode {
            Mode::Single => ["two points", "one"],
            Mode::Multi => ["0.02 AUROC", "0.01"],
        };
        let [least, most] = points;
        let _ = if self.is_worthwhile {
            writeln!(
                out,
                "fine-tuning gains at least {least} over the probe, and forgets at most {most}"
            )
        } else {
            writeln!(
                out,
                "fine-tuning is not worth its cost here: it gains less than {least} over the probe, or forgets more than {most}"
            )
        };
        out
    }
}

impl SeedReport {
    fn lines(&self, out: &mut String) {
        let percent = |figures: &HeldOutFigures| figures.balanced_accuracy * 100.0;
        let _ = writeln!(
            out,
            "\nseed {}: {} images to learn from, {} held out, {} tested; best epoch {} of {}, {:.0} s",
            self.seed,
            self.train,
            self.held_out,
            self.test,
            self.best_epoch,
            self.epochs,
            self.seconds
        );
        let all = [&self.zero_shot, &self.probe, &self.lora];
        if let [Some(zero_shot), Some(probe), Some(lora)] = all.map(|own| own.auroc) {
            let _ = writeln!(
                out,
                "  mean AUROC         zero-shot {zero_shot:.3}  probe {probe:.3}  fine-tuned {lora:.3}"
            );
        }
        if let Some(own) = &self.auroc_gains {
            let _ = writeln!(
                out,
                "  AUROC gained       probe {}  fine-tuned {}  fine-tuned over probe {}",
                area_gain(&own.probe),
                area_gain(&own.lora),
                area_gain(&own.lora_over_probe)
            );
        }
        let _ = writeln!(
            out,
            "  balanced accuracy  zero-shot {:.1} %  probe {:.1} %  fine-tuned {:.1} %",
            percent(&self.zero_shot),
            percent(&self.probe),
            percent(&self.lora)
        );
        let _ = writeln!(
            out,
            "  points gained      probe {}  fine-tuned {}  fine-tuned over probe {}",
            gain(&self.probe_gain),
            gain(&self.lora_gain),
            gain(&self.lora_over_probe)
        );
        if let Some([base, tuned]) = &self.original {
            let area = base.auroc.zip(tuned.auroc);
            let area = area.map(|(a, b)| format!(", mean AUROC {a:.3} and {b:.3}"));
            let _ = writeln!(
                out,
                "  phantoms as they were  zero-shot {:.1} %  fine-tuned {:.1} %{}",
                percent(base),
                percent(tuned),
                area.unwrap_or_default()
            );
        }
        if let Some(without) = self.without_condition {
            let _ = writeln!(out, "  {without} images show none of the conditions");
        }
        for line in TrainedCondition::table(&self.conditions, TrainingKind::Bench).lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
}
