//! Two towers and the scale between them: every model of the CLIP family, whatever its layout was.

mod probe;

use std::path::PathBuf;

use tch::{Device, Kind, Tensor};

use super::cuda::Mark;
use super::staging::{HostTensor, Staging};
use super::text::Text;
use super::texts::TextCache;
use super::tokenize::Tokenizer;
use super::vision::Vision;
use super::weights::Backing;
use super::{
    CutOff, Encoder, EncoderError, Input, ModelCard, Preprocess, Tokenized, Weights, is_direction,
};

/// Both towers as functions of tensors; training differentiates through them, [`DualEncoder`] runs them.
pub struct Towers {
    vision: Vision,
    text: Text,
    logit_scale: Tensor,
    logit_bias: Option<Tensor>,
    kind: Kind,
    /// A matrix of zeros is among the weights.
    doubtful: bool,
    _backing: Vec<Backing>,
}

/// Names of the two scalars.
const SCALE: &str = "logit_scale";
const BIAS: &str = "logit_bias";

impl Towers {
    /// Joins the towers; takes the scale, a bias if there is one, and leaves no tensor over.
    pub(super) fn new(
        mut weights: Weights,
        vision: Vision,
        text: Text,
    ) -> Result<Self, EncoderError> {
        // A scalar, or one in a row: both are in use.
        let mut scalar = |name: &str| -> Result<Tensor, EncoderError> {
            let shape: &[i64] = if weights.shape(name)?.is_empty() {
                &[]
            } else {
                &[1]
            };
            Ok(weights.take(name, shape)?.f_reshape([0_i64; 0])?)
        };
        let logit_scale = scalar(SCALE)?;
        let logit_bias = match scalar(BIAS) {
            Err(EncoderError::MissingTensor(_)) => None,
            found => Some(found?),
        };
        let (kind, doubtful) = (weights.kind(), weights.is_doubtful());
        Ok(Self {
            vision,
            text,
            logit_scale,
            logit_bias,
            kind,
            doubtful,
            _backing: weights.finish()?,
        })
    }

    /// Side of the pictures that the vision tower takes, in pixels.
    pub(super) fn side(&self) -> usize {
        self.vision.side()
    }

    /// Tokens of the longest text that the text tower has positions for.
    pub(super) fn context(&self) -> usize {
        self.text.context()
    }

    /// Length of an embedding; the towers must agree.
    fn dimension(&self) -> Result<usize, EncoderError> {
        let (vision, text) = (self.vision.dimension(), self.text.dimension());
        if vision == text {
            return Ok(vision.max(0) as usize);
        }
        Err(EncoderError::Unsupported(format!(
            "the vision tower ends in {vision} dimensions, the text tower in {text}"
        )))
    }

    /// Normalised pixels `[batch, 3, side, side]` → `[batch, projection]`, not yet unit vectors.
    pub fn image_features(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        self.vision.features(pixels)
    }

    /// Normalised pixels → `[batch, tokens, width]`, a class token's state first; training also looks at the
    /// patches.
    pub fn image_states(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        self.vision.states(pixels)
    }

    /// States → `[batch, projection]`, not yet unit vectors.
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

/// The number of texts encoded at a time: enough to keep the cores busy, few enough to stay small in memory.
const TEXT_BATCH: usize = 64;

/// [`Towers`] with their tokenizer and preprocessing, ready to be asked.
pub struct DualEncoder {
    towers: Towers,
    card: ModelCard,
    tokenizer: Tokenizer,
    preprocess: Preprocess,
    /// Per channel factor and offset from bytes to normalised values, `[1, 3, 1, 1]`.
    scale: Tensor,
    offset: Tensor,
    staging: Staging,
    device: Device,
    texts: Option<TextCache>,
    under_way: Option<Pass>,
}

/// A pass that the device was given.
struct Pass {
    /// Unit rows `[n, d]`, to be read once the mark is reached.
    rows: HostTensor,
    /// `None` where the rows are there already.
    mark: Option<Mark>,
}

impl Pass {
    /// Waits for the device.
    fn rows(self) -> Result<Vec<Vec<f32>>, EncoderError> {
        if let Some(mark) = self.mark {
            mark.wait()?;
        }
        rows(&self.rows)
    }
}

/// The parts that [`DualEncoder::new`] joins.
pub(super) struct Parts {
    pub(super) id: String,
    pub(super) digest: String,
    pub(super) synthetic_only: bool,
    pub(super) device: Device,
    pub(super) towers: Towers,
    pub(super) tokenizer: Tokenizer,
    pub(super) preprocess: Preprocess,
    pub(super) texts: Option<PathBuf>,
}

impl DualEncoder {
    /// Checks that the parts belong together.
    pub(super) fn new(parts: Parts) -> Result<Self, EncoderError> {
        let Parts {
            id,
            digest,
            synthetic_only,
            device,
            towers,
            tokenizer,
            preprocess,
            texts,
        } = parts;
        let _guard = tch::no_grad_guard();
        fits(&towers, &tokenizer, &preprocess)?;
        let finite = |tensor: &Tensor, name: &str| -> Result<f64, EncoderError> {
            let value = tensor.f_double_value(&[])?;
            let text = || EncoderError::Unsupported(format!("{name} is not a finite number"));
            value.is_finite().then_some(value).ok_or_else(text)
        };
        let logit_scale = finite(&towers.logit_scale.f_exp()?, SCALE)?;
        let logit_bias = towers
            .logit_bias
            .as_ref()
            .map(|bias| finite(bias, BIAS))
            .transpose()?;
        let (mean, std) = preprocess.normalisation();
        let per_channel = |f: &dyn Fn(usize) -> f32| -> Result<Tensor, EncoderError> {
            let values: Vec<f32> = (0..3).map(f).collect();
            let row = Tensor::f_from_slice(&values)?.f_view([1, 3, 1, 1])?;
            Ok(row.f_to_device(device)?)
        };
        let rescale = preprocess.rescale();
        let scale = per_channel(&|c| rescale / std[c])?;
        let offset = per_channel(&|c| -mean[c] / std[c])?;
        let name = super::torch::name(device);
        let texts = texts.map(|folder| {
            let model = format!("{digest} {name} {:?}", towers.kind);
            TextCache::new(&folder, model)
        });
        let doubtful = towers.doubtful;
        let mut encoder = Self {
            card: ModelCard {
                id,
                digest,
                device: name,
                dimension: towers.dimension()?,
                logit_scale,
                logit_bias,
                synthetic_only,
            },
            towers,
            tokenizer,
            preprocess,
            scale,
            offset,
            staging: Staging::new(device),
            device,
            texts,
            under_way: None,
        };
        if doubtful {
            encoder.probe()?;
        }
        Ok(encoder)
    }

    /// Ids of a text as the model receives them.
    pub fn tokenize(&self, text: &str) -> Result<Tokenized, EncoderError> {
        self.tokenizer.encode(text)
    }

    /// Bytes → normalised `[batch, 3, side, side]`, on the device; behind the batch there may be more, see [`Staging::stage`].
    fn pixels(&mut self, batch: &[Input]) -> Result<Tensor, EncoderError> {
        let size = (self.preprocess.height(), self.preprocess.width());
        let x = self
            .staging
            .stage(batch, size)?
            .f_permute([0, 3, 1, 2])?
            .f_mul(&self.scale)? // in f32, as the factors are
            .f_add_(&self.offset)?
            .f_to_kind(self.towers.kind)?;
        Ok(x.f_contiguous()?)
    }

    /// Gives the device a pass to compute, and its answer to bring back, into pinned memory.
    fn launch(&mut self, batch: &[Input]) -> Result<Pass, EncoderError> {
        let pixels = self.pixels(batch)?;
        let rows = unit(&self.towers.image_features(&pixels)?)?;
        let rows = rows.f_narrow(0, 0, batch.len() as i64)?;
        let Device::Cuda(index) = self.device else {
            let rows = HostTensor::new(rows, self.device);
            return Ok(Pass { rows, mark: None });
        };
        let rows = rows.f_to_device_(Device::Cpu, Kind::Float, true, false)?;
        Ok(Pass {
            rows: HostTensor::new(rows, self.device),
            mark: Some(Mark::set(index)?),
        })
    }
}

/// What would show as a fault of libtorch much later, or not at all.
fn fits(
    towers: &Towers,
    tokenizer: &Tokenizer,
    preprocess: &Preprocess,
) -> Result<(), EncoderError> {
    let side = towers.side();
    if (preprocess.width(), preprocess.height()) != (side, side) {
        return Err(EncoderError::Unsupported(format!(
            "the preprocessing makes pictures of {}×{}, the model takes {side}×{side}",
            preprocess.width(),
            preprocess.height(),
        )));
    }
    let (rows, longest) = (towers.text.context(), tokenizer.context());
    if longest > rows {
        return Err(EncoderError::Unsupported(format!(
            "texts may be {longest} tokens long, the model knows {rows} positions"
        )));
    }
    Ok(())
}

/// Rows of `[n, d]` as unit vectors, computed in f32 whatever the towers' precision is.
fn unit(x: &Tensor) -> Result<Tensor, EncoderError> {
    let x = x.f_to_kind(Kind::Float)?;
    let norm = x.f_norm_scalaropt_dim(2.0, [1], true)?;
    Ok(x.f_div(&norm)?)
}

/// Rows of `[n, d]`.
fn rows(x: &Tensor) -> Result<Vec<Vec<f32>>, EncoderError> {
    let x = x.f_to_device(Device::Cpu)?.f_contiguous()?;
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

    fn space(&self) -> String {
        let (card, kind) = (&self.card, self.towers.kind);
        format!(
            "{} {} {kind:?} {:?}",
            card.digest, card.device, self.preprocess
        )
    }

    fn encode_images(&mut self, batch: &[Input]) -> Result<Vec<Vec<f32>>, EncoderError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let _guard = tch::no_grad_guard();
        self.launch(batch)?.rows()
    }

    fn begin(&mut self, batch: &[Input]) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        let _guard = tch::no_grad_guard();
        // Whatever fails from here on, nothing is left under way.
        let before = self.under_way.take();
        let pass = self.launch(batch)?;
        let answer = before.map(Pass::rows).transpose()?;
        self.under_way = Some(pass);
        Ok(answer)
    }

    fn finish(&mut self) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        self.under_way.take().map(Pass::rows).transpose()
    }

    fn transfer(&mut self, batch: &[Input]) -> Result<(), EncoderError> {
        let _guard = tch::no_grad_guard();
        let _pixels = self.pixels(batch)?;
        if let Device::Cuda(index) = self.device {
            tch::Cuda::synchronize(index as i64);
        }
        Ok(())
    }

    fn encode_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        if let Some(rows) = self.texts.as_ref().and_then(|cache| cache.get(texts)) {
            return Ok(rows);
        }
        let _guard = tch::no_grad_guard();
        let mut vectors = Vec::with_capacity(texts.len());
        for chunk in texts.chunks(TEXT_BATCH) {
            let tokens = chunk
                .iter()
                .map(|text| self.tokenize(text))
                .collect::<Result<Vec<_>, _>>()?;
            vectors.extend(rows(&unit(&self.towers.text_features(&tokens)?)?)?);
        }
        if !vectors.iter().all(|row| is_direction(row)) {
            return Err(EncoderError::Senseless("it has no embedding for a text"));
        }
        if let Some(cache) = &self.texts {
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
