//! A vision and a text tower with their common logit scale: a model of the CLIP family, whichever layout it was read from.

mod probe;

use std::path::PathBuf;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::attribution::{self, Contributions};
use super::builtin::BuiltinFacts;
use super::catalog;
use super::cuda::GpuEvent;
use super::eclip::TracedAttention;
use super::resnet::ResidualTower;
use super::staging::{HostTensor, Staging};
use super::text::TextTower;
use super::text_cache::TextCache;
use super::tokenize::Tokenizer;
use super::vision::VisionTower;
use super::weights::Backing;
use super::{
    CutOff, Encoder, EncoderError, ModelCard, PreparedImage, Preprocess, Tokenized, Weights,
    is_direction,
};
use crate::scoring::heat_map::HeatMap;

/// An image tower of either architecture.
pub(super) enum ImageTower {
    /// A vision transformer.
    Transformer(VisionTower),
    /// A residual network.
    Residual(ResidualTower),
}

impl From<VisionTower> for ImageTower {
    fn from(tower: VisionTower) -> Self {
        Self::Transformer(tower)
    }
}

impl From<ResidualTower> for ImageTower {
    fn from(tower: ResidualTower) -> Self {
        Self::Residual(tower)
    }
}

impl ImageTower {
    /// Side of the images, in pixels.
    fn side(&self) -> usize {
        match self {
            Self::Transformer(tower) => tower.side(),
            Self::Residual(tower) => tower.side(),
        }
    }

    /// Length of an embedding.
    fn dimension(&self) -> i64 {
        match self {
            Self::Transformer(tower) => tower.dimension(),
            Self::Residual(tower) => tower.dimension(),
        }
    }

    /// Pixels `[b, 3, side, side]` → `[b, projection]`, not yet unit vectors.
    fn features(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        match self {
            Self::Transformer(tower) => tower.features(pixels),
            Self::Residual(tower) => tower.pool(&tower.states(pixels)?),
        }
    }

    /// Pixels → `[b, tokens, d]`: the states before pooling, that of a class token or the mean first.
    fn states(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        match self {
            Self::Transformer(tower) => tower.states(pixels),
            Self::Residual(tower) => tower.states(pixels),
        }
    }

    /// The share of the square's sides that the cells of a map cover, from the upper left corner.
    fn covered(&self) -> f64 {
        match self {
            Self::Transformer(tower) => tower.covered(),
            Self::Residual(_) => 1.0,
        }
    }

    /// What regions of one image `[1, 3, side, side]` contribute along `directions`, `[n, projection]` in f32.
    fn contributions(
        &self,
        pixels: &Tensor,
        directions: &Tensor,
    ) -> Result<Contributions, EncoderError> {
        match self {
            Self::Transformer(tower) => tower.contributions(pixels, directions),
            Self::Residual(tower) => tower.contributions(pixels, directions),
        }
    }

    /// The features of one image `[1, 3, side, side]`, and the attention that gathers them.
    fn traced(&self, pixels: &Tensor) -> Result<(Tensor, TracedAttention), EncoderError> {
        match self {
            Self::Transformer(tower) => tower.traced(pixels),
            Self::Residual(tower) => tower.traced(pixels),
        }
    }

    /// States → `[b, projection]`.
    fn pool(&self, states: &Tensor) -> Result<Tensor, EncoderError> {
        match self {
            Self::Transformer(tower) => tower.pool(states),
            Self::Residual(tower) => tower.pool(states),
        }
    }
}

/// Both towers as functions of tensors. [`DualEncoder`] runs them; training differentiates through them.
pub struct Towers {
    vision: ImageTower,
    text: TextTower,
    logit_scale: Tensor,
    logit_bias: Option<Tensor>,
    kind: Kind,
    /// Whether the weights contain a matrix of zeros, which may be damage.
    is_doubtful: bool,
    _backing: Vec<Backing>,
}

/// Tensor names of the two scalars.
const LOGIT_SCALE: &str = "logit_scale";
const LOGIT_BIAS: &str = "logit_bias";

impl Towers {
    /// Joins the towers: takes the logit scale and the bias, if there is one, out of the weights, of which nothing may be left.
    pub(super) fn new(
        mut weights: Weights,
        vision: impl Into<ImageTower>,
        text: TextTower,
    ) -> Result<Self, EncoderError> {
        // Checkpoints store these as `[]` or as `[1]`.
        let mut scalar = |name: &str| -> Result<Tensor, EncoderError> {
            let shape: &[i64] = if weights.shape(name)?.is_empty() {
                &[]
            } else {
                &[1]
            };
            Ok(weights.take(name, shape)?.f_reshape([0_i64; 0])?)
        };
        let logit_scale = scalar(LOGIT_SCALE)?;
        let logit_bias = match scalar(LOGIT_BIAS) {
            Err(EncoderError::MissingTensor(_)) => None,
            found => Some(found?),
        };
        let (kind, is_doubtful) = (weights.kind(), weights.is_doubtful());
        Ok(Self {
            vision: vision.into(),
            text,
            logit_scale,
            logit_bias,
            kind,
            is_doubtful,
            _backing: weights.finish()?,
        })
    }

    /// Side of the images that the vision tower takes, in pixels.
    pub(super) fn side(&self) -> usize {
        self.vision.side()
    }

    /// Length of an embedding; the towers must agree.
    fn dimension(&self) -> Result<usize, EncoderError> {
        let (vision, text) = (self.vision.dimension(), self.text.dimension());
        if vision == text {
            return Ok(vision.max(0) as usize);
        }
        Err(EncoderError::Unsupported(format!(
            "image embeddings have {vision} dimensions, text embeddings {text}: the towers do not belong together"
        )))
    }

    /// Normalised pixels `[batch, 3, side, side]` → `[batch, projection]`, not yet unit vectors.
    pub fn image_features(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        self.vision.features(pixels)
    }

    /// Normalised pixels `[batch, 3, side, side]` → `[batch, tokens, width]`, the state of the class token (a transformer's) or
    /// of the mean (a residual network's) first. Training also uses the states of the patches.
    pub fn image_states(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        self.vision.states(pixels)
    }

    /// States `[batch, tokens, width]` → `[batch, projection]`, not yet unit vectors.
    pub fn pool(&self, states: &Tensor) -> Result<Tensor, EncoderError> {
        self.vision.pool(states)
    }

    /// Token ids → `[batch, projection]`, not yet unit vectors.
    pub fn text_features(&self, batch: &[Tokenized]) -> Result<Tensor, EncoderError> {
        self.text.features(batch)
    }

    /// Natural logarithm of the factor from cosine to logit, a scalar tensor.
    pub fn logit_scale(&self) -> &Tensor {
        &self.logit_scale
    }
}

/// Texts per forward pass: enough to keep the cores busy, few enough to need little memory.
const TEXT_BATCH: usize = 64;

/// A complete model: [`Towers`] with their tokenizer and preprocessing.
pub struct DualEncoder {
    towers: Towers,
    card: ModelCard,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
    /// Factor and offset per channel from bytes to normalised values, `[1, 3, 1, 1]` each.
    scale: Tensor,
    offset: Tensor,
    staging: Staging,
    device: Device,
    text_cache: Option<TextCache>,
    assumption: Option<&'static str>,
    pending: Option<PendingPass>,
}

/// A forward pass that the device is computing.
struct PendingPass {
    /// Unit rows `[n, d]`, which may be read after `finished`.
    rows: HostTensor,
    /// The end of the pass; `None` if it has already finished.
    finished: Option<GpuEvent>,
}

impl PendingPass {
    /// Waits for the device and copies the rows.
    fn wait(self) -> Result<Vec<Vec<f32>>, EncoderError> {
        if let Some(event) = self.finished {
            event.wait()?;
        }
        to_rows(&self.rows)
    }
}

/// The arguments of [`DualEncoder::new`].
pub(super) struct ModelParts {
    pub(super) id: String,
    pub(super) digest: String,
    pub(super) builtin: Option<Arc<BuiltinFacts>>,
    pub(super) assumption: Option<&'static str>,
    pub(super) device: Device,
    pub(super) towers: Towers,
    pub(super) tokenizer: Tokenizer,
    pub(super) preprocess: Preprocess,
    pub(super) text_cache: Option<PathBuf>,
}

impl DualEncoder {
    /// What is assumed of the model because its files do not say it, in a sentence.
    pub fn assumption(&self) -> Option<&'static str> {
        self.assumption
    }

    /// Joins the parts; an error if they do not belong together.
    pub(super) fn new(parts: ModelParts) -> Result<Self, EncoderError> {
        let ModelParts {
            id,
            digest,
            builtin,
            assumption,
            device,
            towers,
            tokenizer,
            preprocess,
            text_cache,
        } = parts;
        let _guard = tch::no_grad_guard();
        check_sizes(&towers, &tokenizer, &preprocess)?;
        let finite = |tensor: &Tensor, name: &str| -> Result<f64, EncoderError> {
            let value = tensor.f_double_value(&[])?;
            let text = || EncoderError::Unsupported(format!("{name} is not a finite number"));
            value.is_finite().then_some(value).ok_or_else(text)
        };
        let logit_scale = finite(&towers.logit_scale.f_exp()?, LOGIT_SCALE)?;
        let logit_bias = towers
            .logit_bias
            .as_ref()
            .map(|bias| finite(bias, LOGIT_BIAS))
            .transpose()?;
        let (mean, std) = preprocess.normalisation();
        let per_channel = |f: &dyn Fn(usize) -> f32| -> Result<Tensor, EncoderError> {
            let values: Vec<f32> = (0..3).map(f).collect();
            let row = Tensor::f_from_slice(&values)?.f_view([1, 3, 1, 1])?; // [1, 3, 1, 1]
            Ok(row.f_to_device(device)?)
        };
        let rescale = preprocess.rescale();
        let scale = per_channel(&|c| rescale / std[c])?;
        let offset = per_channel(&|c| -mean[c] / std[c])?;
        let name = super::torch::device_name(device);
        let text_cache = text_cache.map(|folder| {
            let model = format!("{digest} {name} {:?}", towers.kind);
            TextCache::new(&folder, model)
        });
        let is_doubtful = towers.is_doubtful;
        let kinds = catalog::find(&id).map_or(&[][..], |entry| entry.kinds.as_slice());
        let mut encoder = Self {
            card: ModelCard {
                id,
                digest,
                device: name,
                dimension: towers.dimension()?,
                logit_scale,
                logit_bias,
                builtin,
                kinds,
            },
            towers,
            tokenizer,
            preprocess,
            scale,
            offset,
            staging: Staging::new(device),
            device,
            text_cache,
            assumption,
            pending: None,
        };
        if is_doubtful {
            encoder.check_discrimination()?;
        }
        Ok(encoder)
    }

    /// The token ids of a text, as the model receives them.
    pub fn tokenize(&self, text: &str) -> Result<Tokenized, EncoderError> {
        self.tokenizer.encode(text)
    }

    /// Normalises images on the device: `[batch, 3, side, side]`, perhaps followed by padding rows, see [`Staging::stage`].
    fn pixels(&mut self, batch: &[PreparedImage]) -> Result<Tensor, EncoderError> {
        let size = (self.preprocess.height(), self.preprocess.width());
        let x = self
            .staging
            .stage(batch, size)? // [batch, side, side, 3]
            .f_permute([0, 3, 1, 2])? // [batch, 3, side, side]
            .f_mul(&self.scale)? // in f32, as the factors are
            .f_add_(&self.offset)?
            .f_to_kind(self.towers.kind)?;
        Ok(x.f_contiguous()?)
    }

    /// The maps of an image along directions, from what its regions contribute: a function of the tower, the pixels
    /// `[1, 3, side, side]` and the directions `[n, d]`, called where gradients are recorded.
    fn maps(
        &mut self,
        image: &PreparedImage,
        directions: &[Vec<f32>],
        contributions: impl Fn(&ImageTower, &Tensor, &Tensor) -> Result<Contributions, EncoderError>,
    ) -> Result<Option<Vec<HeatMap>>, EncoderError> {
        let pixels = self.pixels(std::slice::from_ref(image))?;
        let pixels = pixels.f_narrow(0, 0, 1)?; // [1, 3, side, side]
        let directions = attribution::matrix(directions, self.device)?; // [n, d]
        tch::with_grad(|| {
            let contributions = contributions(&self.towers.vision, &pixels, &directions)?;
            let is_half = self.towers.kind != Kind::Float;
            let scale = self.card.logit_scale;
            Ok(Some(contributions.maps(&directions, scale, is_half)?))
        })
    }

    /// Starts a forward pass on the device, and the transfer of its result into pinned memory.
    fn launch(&mut self, batch: &[PreparedImage]) -> Result<PendingPass, EncoderError> {
        let pixels = self.pixels(batch)?;
        let rows = unit_rows(&self.towers.image_features(&pixels)?)?; // [batch and padding, d]
        let rows = rows.f_narrow(0, 0, batch.len() as i64)?; // [batch, d]
        let Device::Cuda(index) = self.device else {
            let rows = HostTensor::new(rows, self.device);
            return Ok(PendingPass {
                rows,
                finished: None,
            });
        };
        let rows = rows.f_to_device_(Device::Cpu, Kind::Float, true, false)?; // [batch, d]
        Ok(PendingPass {
            rows: HostTensor::new(rows, self.device),
            finished: Some(GpuEvent::record(index)?),
        })
    }
}

/// Checks that the sizes agree; a mismatch would otherwise surface much later as an error of libtorch, or never.
fn check_sizes(
    towers: &Towers,
    tokenizer: &Tokenizer,
    preprocess: &Preprocess,
) -> Result<(), EncoderError> {
    let side = towers.side();
    if (preprocess.width(), preprocess.height()) != (side, side) {
        return Err(EncoderError::Unsupported(format!(
            "the preprocessing makes images of {}×{}, but the model takes {side}×{side}",
            preprocess.width(),
            preprocess.height(),
        )));
    }
    let (rows, longest) = (towers.text.context(), tokenizer.context());
    if longest > rows {
        return Err(EncoderError::Unsupported(format!(
            "texts may be {longest} tokens long, but the model has only {rows} positions"
        )));
    }
    Ok(())
}

/// Scales the rows of `[n, d]` to unit length, in f32 whatever the towers' precision is.
pub(super) fn unit_rows(x: &Tensor) -> Result<Tensor, EncoderError> {
    let x = x.f_to_kind(Kind::Float)?; // [n, d]
    let norm = x.f_norm_scalaropt_dim(2.0, [1], true)?; // [n, 1]
    Ok(x.f_div(&norm)?) // [n, d]
}

/// Copies the rows of `[n, d]`.
pub(super) fn to_rows(x: &Tensor) -> Result<Vec<Vec<f32>>, EncoderError> {
    let x = x.f_to_device(Device::Cpu)?.f_contiguous()?; // [n, d]
    let (rows, width) = x.size2()?;
    let mut flat = vec![0.0_f32; (rows * width) as usize];
    let count = flat.len();
    x.f_copy_data(&mut flat, count)?;
    Ok(flat
        .chunks(width.max(1) as usize)
        .map(<[f32]>::to_vec)
        .collect())
}

impl Encoder for DualEncoder {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn preprocess(&self) -> Preprocess {
        self.preprocess.clone()
    }

    fn embedding_key(&self) -> String {
        let (card, kind) = (&self.card, self.towers.kind);
        format!(
            "{} {} {kind:?} {:?}",
            card.digest, card.device, self.preprocess
        )
    }

    fn encode_images(&mut self, batch: &[PreparedImage]) -> Result<Vec<Vec<f32>>, EncoderError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let _guard = tch::no_grad_guard();
        self.launch(batch)?.wait()
    }

    fn begin_pass(
        &mut self,
        batch: &[PreparedImage],
    ) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        let _guard = tch::no_grad_guard();
        // Taken first, so that no pass is pending after an error.
        let previous = self.pending.take();
        let pass = self.launch(batch)?;
        let rows = previous.map(PendingPass::wait).transpose()?;
        self.pending = Some(pass);
        Ok(rows)
    }

    fn finish_pass(&mut self) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        self.pending.take().map(PendingPass::wait).transpose()
    }

    fn transfer(&mut self, batch: &[PreparedImage]) -> Result<(), EncoderError> {
        let _guard = tch::no_grad_guard();
        let _pixels = self.pixels(batch)?;
        if let Device::Cuda(index) = self.device {
            tch::Cuda::synchronize(index as i64);
        }
        Ok(())
    }

    fn attribution(
        &mut self,
        image: &PreparedImage,
        directions: &[Vec<f32>],
    ) -> Result<Option<Vec<HeatMap>>, EncoderError> {
        self.maps(image, directions, ImageTower::contributions)
    }

    fn grad_eclip(
        &mut self,
        image: &PreparedImage,
        directions: &[Vec<f32>],
    ) -> Result<Option<Vec<HeatMap>>, EncoderError> {
        self.maps(image, directions, |tower, pixels, directions| {
            let (features, traced) = tower.traced(pixels)?;
            traced.contributions(&features, directions, tower.covered())
        })
    }

    fn encode_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        if let Some(rows) = self.text_cache.as_ref().and_then(|cache| cache.get(texts)) {
            return Ok(rows);
        }
        let _guard = tch::no_grad_guard();
        let mut vectors = Vec::with_capacity(texts.len());
        for chunk in texts.chunks(TEXT_BATCH) {
            let tokens = chunk
                .iter()
                .map(|text| self.tokenize(text))
                .collect::<Result<Vec<_>, _>>()?;
            let features = self.towers.text_features(&tokens)?; // [chunk, d]
            vectors.extend(to_rows(&unit_rows(&features)?)?);
        }
        if !vectors.iter().all(|row| is_direction(row)) {
            return Err(EncoderError::Senseless(
                "its embedding of a text is zero or not finite",
            ));
        }
        if let Some(cache) = &self.text_cache {
            cache.put(texts, &vectors);
        }
        Ok(vectors)
    }

    fn unknown_words(&self, texts: &[String]) -> Vec<String> {
        self.tokenizer.unknown_words(texts)
    }

    fn cut_off(&self, text: &str) -> Option<CutOff> {
        self.tokenizer.cut_off(text)
    }
}
