//! The model that is fine-tuned, with its changes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tch::{Device, Kind, Tensor};

use super::low_rank::{Factors, LowRank, add_change};
use super::targets::{self, TrainedMatrix};
use super::{LoraSettings, TrainingImages};
use crate::encoder::checkpoint::{self, LoadedCheckpoint};
use crate::encoder::source::why_missing;
use crate::encoder::towers::Towers;
use crate::encoder::{EncoderError, ModelSource, PreparedImage, Preprocess, builtin, torch};

/// Where the base was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BaseOrigin {
    /// The binary.
    Builtin,
    /// A folder or a file of weights.
    Path(PathBuf),
}

/// Which of the weights are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Those of the base.
    Base,
    /// Those after the last step.
    Current,
    /// Those of the best epoch; the base's where none was better.
    Best,
}

/// A model whose image tower is fine-tuned, in f32. It stays on the thread that opened it.
pub struct FineTuner {
    pub(super) origin: BaseOrigin,
    pub(super) base: LoadedCheckpoint,
    /// All tensors of the base, floating-point ones in f32.
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// In which precision the file has them.
    pub(super) kinds: BTreeMap<String, Kind>,
    pub(super) changes: Vec<LowRank>,
    pub(super) best: Option<Vec<Factors>>,
    pub(super) settings: LoraSettings,
    /// Factor and offset per channel from bytes to normalised values, `[1, 3, 1, 1]` each.
    normalisation: [Tensor; 2],
    pub(super) device: Device,
}

impl FineTuner {
    /// Opens a model for fine-tuning.
    ///
    /// # Errors
    ///
    /// Fails if the model or the device cannot be used, or the image tower is of an architecture that cannot be fine-tuned.
    pub fn open(
        source: &ModelSource,
        device: torch::Device,
        settings: LoraSettings,
    ) -> Result<Self, EncoderError> {
        let device = torch::resolve_device(device)?;
        let _guard = tch::no_grad_guard();
        let target = (device, Kind::Float);
        let (origin, base) = match source {
            ModelSource::Builtin => (
                BaseOrigin::Builtin,
                builtin::load_files(builtin::files(), target)?,
            ),
            ModelSource::Path(path) if super::adapter::is_adapter(path) => {
                return Err(EncoderError::Unsupported(format!(
                    "{}: an adapter cannot be fine-tuned further; give the merged model beside it",
                    path.display()
                )));
            }
            ModelSource::Path(path) => (
                BaseOrigin::Path(path.clone()),
                checkpoint::load(path, target)?,
            ),
            ModelSource::Missing(id) => {
                return Err(EncoderError::Unsupported(format!(
                    "--model {id}: {}",
                    why_missing(id)
                )));
            }
        };
        let mut tensors = BTreeMap::new();
        let mut kinds = BTreeMap::new();
        for (name, tensor) in base.weights.tensors() {
            let kind = tensor.kind();
            kinds.insert(name.clone(), kind);
            tensors.insert(name.clone(), in_f32(tensor)?);
        }
        // Checks names, shapes and values once; later builds need not.
        drop(
            base.blueprint
                .build(base.weights.with_tensors(copies(&tensors), false))?,
        );
        let mut changes = Vec::new();
        for (index, target) in targets::find(&tensors, settings.blocks)?
            .into_iter()
            .enumerate()
        {
            let factors = Factors::initial(&target, settings.rank, (settings.seed, index), device)?;
            changes.push(LowRank::new(target, factors)?);
        }
        let normalisation = normalisation(&base.preprocess, device)?;
        Ok(Self {
            origin,
            base,
            tensors,
            kinds,
            changes,
            best: None,
            settings,
            normalisation,
            device,
        })
    }

    /// Changes the number of passes over the images, before training.
    pub fn set_epochs(&mut self, epochs: usize) {
        self.settings.epochs = epochs;
    }

    /// How it is fine-tuned.
    pub fn settings(&self) -> &LoraSettings {
        &self.settings
    }

    /// The base's short name.
    pub fn base_id(&self) -> &str {
        &self.base.id
    }

    /// The base's digest.
    pub fn base_digest(&self) -> &str {
        &self.base.digest
    }

    /// The device's name: `cpu`, `cuda:0`.
    pub fn device(&self) -> String {
        torch::device_name(self.device)
    }

    /// The model's preprocessing.
    pub fn preprocess(&self) -> Preprocess {
        self.base.preprocess.clone()
    }

    /// The number of matrices that are changed, and of the numbers that are trained for them.
    pub fn size(&self) -> (usize, usize) {
        let numbers = |own: &LowRank| own.factors.a.numel() + own.factors.b.numel();
        (self.changes.len(), self.changes.iter().map(numbers).sum())
    }

    /// The factor `α/r`.
    pub(super) fn scale(&self) -> f64 {
        self.settings.alpha / self.settings.rank.max(1) as f64
    }

    /// The changes of a version; `None` where it is the base.
    fn factors(&self, version: Version) -> Option<Vec<&Factors>> {
        match version {
            Version::Base => None,
            Version::Current => Some(self.changes.iter().map(|own| &own.factors).collect()),
            Version::Best => self.best.as_ref().map(|all| all.iter().collect()),
        }
    }

    /// The tensors that a version changes, with their changes.
    pub(super) fn merged(
        &self,
        version: Version,
    ) -> Result<BTreeMap<String, Tensor>, EncoderError> {
        let Some(factors) = self.factors(version) else {
            return Ok(BTreeMap::new());
        };
        let masks: Vec<Option<Tensor>> = factors.iter().map(|_| None).collect();
        self.sums(&factors, &masks)
    }

    /// The tensors that these changes change, with the changes: new ones, which share no memory with the base's.
    pub(super) fn sums(
        &self,
        factors: &[&Factors],
        masks: &[Option<Tensor>],
    ) -> Result<BTreeMap<String, Tensor>, EncoderError> {
        let _guard = tch::no_grad_guard();
        let targets = self.changes.iter().map(|own| &own.target);
        let all: Vec<(&TrainedMatrix, &Factors, Option<&Tensor>)> = targets
            .zip(factors.iter().zip(masks))
            .map(|(target, (factors, mask))| (target, *factors, mask.as_ref()))
            .collect();
        merge(&self.tensors, &all, self.scale())
    }

    /// The towers with some tensors replaced.
    pub(super) fn towers(
        &self,
        replaced: &BTreeMap<String, Tensor>,
    ) -> Result<Towers, EncoderError> {
        let mut tensors = copies(&self.tensors);
        for (name, tensor) in replaced {
            tensors.insert(name.clone(), tensor.shallow_clone());
        }
        let weights = self.base.weights.with_tensors(tensors, true);
        self.base.blueprint.build(weights)
    }

    /// Normalised pixels of images, `[n, 3, height, width]`.
    pub(super) fn pixels(&self, images: &[PreparedImage]) -> Result<Tensor, EncoderError> {
        let preprocess = &self.base.preprocess;
        let (height, width) = (preprocess.height() as i64, preprocess.width() as i64);
        let bytes: Vec<u8> = images
            .iter()
            .flat_map(|image| image.bytes().iter().copied())
            .collect();
        let [scale, offset] = &self.normalisation;
        let x = Tensor::f_from_slice(&bytes)?
            .f_view([images.len() as i64, height, width, 3])?
            .f_to_device(self.device)?
            .f_permute([0, 3, 1, 2])?
            .f_mul(scale)?
            .f_add(offset)?;
        Ok(x.f_contiguous()?)
    }

    /// Unit embeddings of images by a version of the weights, in micro-batches.
    pub(super) fn embeddings(
        &self,
        version: Version,
        count: usize,
        image: &mut dyn FnMut(usize) -> Result<PreparedImage, EncoderError>,
    ) -> Result<Vec<Vec<f32>>, EncoderError> {
        let _guard = tch::no_grad_guard();
        let towers = self.towers(&self.merged(version)?)?;
        let mut rows = Vec::with_capacity(count);
        let step = self.settings.micro_batch.max(1);
        for start in (0..count).step_by(step) {
            let images: Result<Vec<_>, _> =
                (start..count.min(start + step)).map(&mut *image).collect();
            let features = towers.image_features(&self.pixels(&images?)?)?;
            rows.extend(crate::encoder::towers::to_rows(
                &crate::encoder::towers::unit_rows(&features)?,
            )?);
        }
        Ok(rows)
    }

    /// Unit embeddings of the first `count` images by the base's weights.
    ///
    /// # Errors
    ///
    /// Fails if an image cannot be read, or the device fails.
    pub fn encode_base(
        &self,
        images: &dyn TrainingImages,
        count: usize,
    ) -> Result<Vec<Vec<f32>>, EncoderError> {
        self.embeddings(Version::Base, count, &mut |at| images.image(at))
    }

    /// Unit embeddings of images by the best weights.
    ///
    /// # Errors
    ///
    /// Fails if the device fails.
    pub fn encode_best(&self, images: &[PreparedImage]) -> Result<Vec<Vec<f32>>, EncoderError> {
        self.embeddings(
            Version::Best,
            images.len(),
            &mut |at| Ok(images[at].clone()),
        )
    }
}

/// Tensors with changes added to them; only those that are changed.
pub(super) fn merge(
    tensors: &BTreeMap<String, Tensor>,
    changes: &[(&TrainedMatrix, &Factors, Option<&Tensor>)],
    scale: f64,
) -> Result<BTreeMap<String, Tensor>, EncoderError> {
    let mut sums: BTreeMap<String, Tensor> = BTreeMap::new();
    for (target, factors, mask) in changes {
        if !sums.contains_key(&target.tensor) {
            let missing = || EncoderError::MissingTensor(target.tensor.clone());
            let own = tensors.get(&target.tensor).ok_or_else(missing)?;
            sums.insert(target.tensor.clone(), own.f_detach_copy()?);
        }
        add_change(&sums[&target.tensor], target, factors, *mask, scale)?;
    }
    Ok(sums)
}

/// The same tensor in f32, unless it holds whole numbers.
pub(super) fn in_f32(tensor: &Tensor) -> Result<Tensor, EncoderError> {
    let is_real = matches!(
        tensor.kind(),
        Kind::Float | Kind::Half | Kind::BFloat16 | Kind::Double
    );
    Ok(if is_real {
        tensor.f_to_kind(Kind::Float)?
    } else {
        tensor.shallow_clone()
    })
}

/// The same tensors by the same names.
pub(super) fn copies(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let all = tensors.iter();
    all.map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
        .collect()
}

fn normalisation(preprocess: &Preprocess, device: Device) -> Result<[Tensor; 2], EncoderError> {
    let (mean, std) = preprocess.normalisation();
    let rescale = preprocess.rescale();
    let per_channel = |values: [f32; 3]| -> Result<Tensor, EncoderError> {
        let row = Tensor::f_from_slice(&values)?.f_view([1, 3, 1, 1])?; // [1, 3, 1, 1]
        Ok(row.f_to_device(device)?)
    };
    Ok([
        per_channel(std.map(|own| rescale / own))?,
        per_channel([0, 1, 2].map(|at: usize| -mean[at] / std[at]))?,
    ])
}
