//! The built-in model: a small CLIP with which the program works before any download. It tells kinds of image apart, and finds
//! conditions in phantoms, not in patients' images. `builtin/train` is the program that trained it; `builtin/CARD.md` says on
//! what, and how well it does.

use std::sync::{Arc, LazyLock};

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::checkpoint::{LoadedCheckpoint, load_builtin};
use super::taught::TaughtFindings;
use super::weights::DeviceAndKind;
use super::{DualEncoder, EncoderError, ModelOptions, torch};
use crate::scoring::Mode;
use crate::scoring::calibration::{Calibration, Calibrations};
use crate::scoring::known::KnownImages;

/// What the model is, on what it was trained, and what its figures are.
pub const CARD: &str = include_str!("builtin/CARD.md");

/// The lower bound of an AUROC on images of an independent source from which a finding is judged on real images.
const MIN_AUROC: f64 = 0.75;

/// The files of the model.
#[derive(Clone, Copy, Debug)]
pub struct BuiltinFiles {
    /// `open_clip_config.json`
    pub config: &'static [u8],
    /// `tokenizer.json`
    pub tokenizer: &'static [u8],
    /// `open_clip_model.safetensors`
    pub weights: &'static [u8],
    /// `known.safetensors`: what a [`KnownImages`] holds, as the tensors `centres`, `whitening` and `limit` (limit and slope), all f32.
    pub known: &'static [u8],
}

/// The files in the binary.
static FILES: BuiltinFiles = BuiltinFiles {
    config: include_bytes!("builtin/open_clip_config.json"),
    tokenizer: include_bytes!("builtin/tokenizer.json"),
    weights: include_bytes!("builtin/open_clip_model.safetensors"),
    known: include_bytes!("builtin/known.safetensors"),
};

/// A condition of real images, and how well it was found in those of a source that took no part in training.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct MeasuredFinding {
    /// The prompt set.
    pub set: String,
    /// The kind of image: a condition of the prompt set `kinds`.
    pub kind: String,
    /// The condition.
    pub condition: String,
    /// The source of the images.
    pub source: String,
    /// Number of images.
    pub images: usize,
    /// The area under the ROC curve of the condition against normal images.
    pub auroc: f64,
    /// The lower and upper 95 % bound of it.
    pub interval: [f64; 2],
    /// The same area for a logistic regression on statistics of the grey values; `None` if that was not fitted.
    pub control: Option<f64>,
}

/// What is known of the model besides its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct BuiltinFacts {
    /// The images that it knows.
    pub known: Arc<KnownImages>,
    /// What it finds in real images.
    pub findings: Vec<MeasuredFinding>,
    /// What it was taught, if it was fine-tuned from the built-in model; `None` for that model itself.
    pub taught: Option<TaughtFindings>,
}

impl BuiltinFacts {
    /// The same of a model that was fine-tuned from this one: nothing was measured of what it finds by itself.
    pub(super) fn fine_tuned(&self, taught: TaughtFindings) -> Self {
        Self {
            known: Arc::clone(&self.known),
            findings: Vec::new(),
            taught: Some(taught),
        }
    }

    /// The kind of real images of which findings under a set are judged, as that is what the model was fine-tuned with.
    pub fn taught_kind(&self, prompts_digest: &str, mode: Mode) -> Option<&str> {
        let own = self.taught.as_ref()?;
        let is_meant = own.prompts_digest == prompts_digest && own.mode == mode;
        own.kind.as_deref().filter(|_| is_meant)
    }

    /// Whether the conditions of a set may be judged on real images of this kind.
    pub fn has_earned(&self, kind: &str, set: &str) -> bool {
        let mut of_set = self
            .findings
            .iter()
            .filter(|finding| finding.set == set && finding.kind == kind)
            .peekable();
        of_set.peek().is_some() && of_set.all(|finding| finding.interval[0] >= MIN_AUROC)
    }
}

#[derive(Deserialize)]
struct Findings {
    finding: Vec<MeasuredFinding>,
}

/// What was measured of the model's findings on real images of independent sources.
pub fn findings() -> Vec<MeasuredFinding> {
    // Built in; a test makes sure that it parses.
    toml::from_str::<Findings>(include_str!("builtin/findings.toml"))
        .map_or_else(|_| Vec::new(), |all| all.finding)
}

#[derive(Deserialize)]
struct OwnCalibrations {
    calibration: Vec<Calibration>,
}

static CALIBRATIONS: LazyLock<Vec<Calibration>> = LazyLock::new(|| {
    // Built in; a test makes sure that it parses.
    toml::from_str::<OwnCalibrations>(include_str!("builtin/calibrations.toml"))
        .map_or_else(|_| Vec::new(), |all| all.calibration)
});

/// What labelled images say about the scores of the model under the built-in prompt sets.
pub fn calibrations() -> Calibrations {
    Calibrations(CALIBRATIONS.clone())
}

/// Of these calibrations and then the built-in model's, those for images that are fitted to the model's input in this way; `None`: as the
/// model specifies.
pub fn calibrations_after(mut own: Calibrations, fit: Option<&str>) -> Calibrations {
    own.0.extend(calibrations().0);
    own.of_fit(fit)
}

/// Opens the model in the binary.
///
/// # Errors
///
/// Fails if the device cannot be used.
pub fn open(options: ModelOptions) -> Result<DualEncoder, EncoderError> {
    open_files(&FILES, options)
}

/// Opens the model in these files.
///
/// # Errors
///
/// Fails if they do not belong together, or the device cannot be used.
pub fn open_files(
    files: &BuiltinFiles,
    options: ModelOptions,
) -> Result<DualEncoder, EncoderError> {
    let device = torch::resolve_device(options.device)?;
    load_files(files, (device, options.precision.kind(device)))?.into_encoder(options)
}

/// The files in the binary.
pub(super) fn files() -> &'static BuiltinFiles {
    &FILES
}

/// Reads the model in these files, without building it.
pub(super) fn load_files(
    files: &BuiltinFiles,
    target: DeviceAndKind,
) -> Result<LoadedCheckpoint, EncoderError> {
    let facts = BuiltinFacts {
        known: Arc::new(known_images(files.known)?),
        findings: findings(),
        taught: None,
    };
    load_builtin(files, facts, target)
}

/// Reads the tensors `centres` (`[groups, d]`), `whitening` (`[d, d]`) and `limit` (the limit and the slope), all f32.
pub(super) fn known_images(file: &[u8]) -> Result<KnownImages, EncoderError> {
    let fault = |reason: String| EncoderError::Unsupported(format!("known.safetensors: {reason}"));
    let tensors = SafeTensors::deserialize(file).map_err(|error| fault(error.to_string()))?;
    let values = |name: &str| {
        let tensor = tensors.tensor(name).map_err(|e| fault(e.to_string()))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(fault(format!("`{name}` is not of type F32")));
        }
        let (numbers, _) = tensor.data().as_chunks::<4>();
        let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Ok(numbers.collect::<Vec<f32>>())
    };
    let (centres, whitening, limits) = (values("centres")?, values("whitening")?, values("limit")?);
    let [limit, slope] = limits[..] else {
        return Err(fault("`limit` is not two numbers".to_owned()));
    };
    let known = KnownImages {
        dimension: whitening.len().isqrt(),
        centres,
        whitening,
        limit: f64::from(limit),
        slope: f64::from(slope),
    };
    if known.is_consistent() {
        Ok(known)
    } else {
        Err(fault("its tensors do not belong together".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Encoder as _;

    #[test]
    fn the_files_beside_the_weights_can_be_read() {
        assert_eq!(
            toml::from_str::<Findings>(include_str!("builtin/findings.toml")).err(),
            None
        );
        let own = toml::from_str::<OwnCalibrations>(include_str!("builtin/calibrations.toml"));
        assert_eq!(own.err(), None);
        assert!(!calibrations().0.is_empty());
        let digest = open(ModelOptions::default()).unwrap().card().digest.clone();
        let mut sets = crate::prompts::all(None).unwrap();
        sets.retain(|set| !crate::prompts::WITHOUT_PHANTOMS.contains(&&*set.name));
        for set in sets {
            let own = calibrations();
            let own = own.find(&digest, &set.digest, Mode::Single, None);
            assert!(own.is_some(), "{} {}", set.name, set.digest);
        }
        for calibration in calibrations().0 {
            assert_eq!(calibration.model_digest, digest, "{}", calibration.prompts);
            assert_eq!(calibration.check(), Ok(()), "{}", calibration.prompts);
        }
    }

    #[test]
    fn a_set_is_earned_only_if_all_that_was_measured_of_it_is_good_enough() {
        let finding = |condition: &str, low: f64| MeasuredFinding {
            set: "bone-xray".to_owned(),
            kind: "limb radiograph".to_owned(),
            condition: condition.to_owned(),
            source: "elsewhere".to_owned(),
            images: 100,
            auroc: low + 0.05,
            interval: [low, low + 0.1],
            control: Some(0.5),
        };
        let facts = |findings| BuiltinFacts {
            known: Arc::new(known_images(FILES.known).unwrap()),
            findings,
            taught: None,
        };
        let good = facts(vec![finding("fracture", 0.75)]);
        assert!(good.has_earned("limb radiograph", "bone-xray"));
        assert!(!good.has_earned("chest radiograph", "bone-xray"));
        assert!(!good.has_earned("limb radiograph", "general"));
        let poor = facts(vec![finding("fracture", 0.8), finding("tumor", 0.74)]);
        assert!(!poor.has_earned("limb radiograph", "bone-xray"));
    }
}
