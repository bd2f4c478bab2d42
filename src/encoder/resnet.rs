//! OpenAI's modified residual network (Radford et al. 2021, "RN50" and others): three convolutions as its stem, average pooling
//! before every stride, and attention instead of the last pooling.

use tch::{Kind, Tensor};

use super::attribution::Contributions;
use super::eclip::TracedAttention;
use super::layers::Linear;
use super::transformer::{AttentionMask, attend, attention_weights, check_heads, split_heads};
use super::{EncoderError, Weights};
use crate::scoring::heat_map::MapMethod;

/// Feature maps that a heat map is made from.
const ATTRIBUTED_STAGES: usize = 3;

/// Ratio of a block's output channels to its inner ones.
const EXPANSION: i64 = 4;
/// Bounds the search for blocks in the weights; no published network has as many.
const MAX_BLOCKS: usize = 1000;
/// ε of the batch norms, PyTorch's default.
const EPS: f64 = 1e-5;
/// Weight of a training batch in the running statistics, PyTorch's default.
const MOMENTUM: f64 = 0.1;
/// Pixels per cell of the last feature map, along each side.
pub(super) const REDUCTION: i64 = 32;

/// A convolution without a bias, followed by batch normalisation.
enum Convolution {
    /// For inference: the normalisation by the running statistics is folded into the filters, `[out, in, k, k]`, and the bias,
    /// `[out]`.
    Folded { filters: Tensor, bias: Tensor },
    /// For training: normalisation by the statistics of the batch, which also update the running ones.
    Training {
        filters: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
    },
}

impl Convolution {
    /// Takes `{convolution}.weight` and the four tensors of `{norm}`. A norm whose weight requires gradients is for training; without,
    /// it is folded, and gradients flow to the filters alone.
    fn new(
        w: &mut Weights,
        (convolution, norm): (&str, &str),
        shape: [i64; 4],
    ) -> Result<Self, EncoderError> {
        let at = |part: &str| format!("{norm}.{part}");
        let channels = [shape[0]];
        let kind = w.kind();
        let filters = w.take_as(&format!("{convolution}.weight"), &shape, Kind::Float)?;
        let mut per_channel = |part: &str| w.take_as(&at(part), &channels, Kind::Float);
        let (weight, bias) = (per_channel("weight")?, per_channel("bias")?);
        let (running_mean, running_var) =
            (per_channel("running_mean")?, per_channel("running_var")?);
        w.ignore(&at("num_batches_tracked"));
        if weight.requires_grad() {
            return Ok(Self::Training {
                filters,
                weight,
                bias,
                running_mean,
                running_var,
            });
        }
        let factor = weight.f_div(&running_var.f_add_scalar(EPS)?.f_sqrt()?)?; // [out]
        let bias = bias.f_sub(&running_mean.f_mul(&factor)?)?; // [out]
        let filters = filters.f_mul(&factor.f_view([-1, 1, 1, 1])?)?; // [out, in, k, k]
        Ok(Self::Folded {
            filters: channels_last(&filters.f_to_kind(kind)?)?,
            bias: bias.f_to_kind(kind)?,
        })
    }

    /// `[b, in, h, w]` → `[b, out, h / stride, w / stride]`
    fn forward(&self, x: &Tensor, stride: i64) -> Result<Tensor, EncoderError> {
        let convolve = |filters: &Tensor, bias: Option<&Tensor>| {
            let padding = filters.size()[2] / 2;
            x.f_conv2d(filters, bias, [stride; 2], [padding; 2], [1; 2], 1)
        };
        match self {
            Self::Folded { filters, bias } => Ok(convolve(filters, Some(bias))?),
            Self::Training {
                filters,
                weight,
                bias,
                running_mean,
                running_var,
            } => Ok(convolve(filters, None)?.f_batch_norm(
                Some(weight),
                Some(bias),
                Some(running_mean),
                Some(running_var),
                true,
                MOMENTUM,
                EPS,
                true,
            )?),
        }
    }
}

/// The same values with the channels innermost in memory, in which order convolutions are faster. The shape stays.
fn channels_last(x: &Tensor) -> Result<Tensor, EncoderError> {
    let x = x.f_permute([0, 2, 3, 1])?.f_contiguous()?; // [b, h, w, channels]
    Ok(x.f_permute([0, 3, 1, 2])?) // [b, channels, h, w]
}

/// Halves both sides of `[b, channels, h, w]` by averaging, `factor` = 2; 1 leaves them.
fn pooled(x: Tensor, factor: i64) -> Result<Tensor, EncoderError> {
    if factor == 1 {
        return Ok(x);
    }
    Ok(x.f_avg_pool2d([factor; 2], [factor; 2], [0; 2], false, true, None)?)
}

/// A bottleneck of three convolutions with a residual connection.
struct ResidualBlock {
    reduce: Convolution,
    spatial: Convolution,
    expand: Convolution,
    /// Fits the residual to other channels, after pooling.
    shortcut: Option<Convolution>,
    stride: i64,
}

impl ResidualBlock {
    /// Takes the block below `name`, whose input has `input` channels and its inner layers `inner`.
    fn new(
        w: &mut Weights,
        name: &str,
        input: i64,
        inner: i64,
        stride: i64,
    ) -> Result<Self, EncoderError> {
        let at = |part: &str| format!("{name}.{part}");
        let output = inner * EXPANSION;
        let mut layer = |number: u8, shape: [i64; 4]| {
            let names = (at(&format!("conv{number}")), at(&format!("bn{number}")));
            Convolution::new(w, (&names.0, &names.1), shape)
        };
        let reduce = layer(1, [inner, input, 1, 1])?;
        let spatial = layer(2, [inner, inner, 3, 3])?;
        let expand = layer(3, [output, inner, 1, 1])?;
        let names = (at("downsample.0"), at("downsample.1"));
        let shape = [output, input, 1, 1];
        let shortcut = (stride > 1 || input != output)
            .then(|| Convolution::new(w, (&names.0, &names.1), shape))
            .transpose()?;
        Ok(Self {
            reduce,
            spatial,
            expand,
            shortcut,
            stride,
        })
    }

    /// `[b, input, h, w]` → `[b, 4 · inner, h / stride, w / stride]`
    fn forward(&self, x: Tensor) -> Result<Tensor, EncoderError> {
        let y = self.reduce.forward(&x, 1)?.f_relu_()?; // [b, inner, h, w]
        let y = self.spatial.forward(&y, 1)?.f_relu_()?; // [b, inner, h, w]
        let y = self.expand.forward(&pooled(y, self.stride)?, 1)?; // [b, output, h / stride, w / stride]
        let residual = match &self.shortcut {
            Some(shortcut) => shortcut.forward(&pooled(x, self.stride)?, 1)?,
            None => x,
        }; // [b, output, h / stride, w / stride]
        Ok(y.f_add(&residual)?.f_relu_()?)
    }
}

/// The mean of all cells attends to the cells.
struct MeanAttention {
    /// `[cells + 1, d]`, the mean's first.
    position_embedding: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: i64,
}

impl MeanAttention {
    fn new(w: &mut Weights, name: &str, d: i64, heads: i64) -> Result<Self, EncoderError> {
        check_heads(name, d, heads)?;
        let at = |part: &str| format!("{name}.{part}");
        let positions = w.shape(&at("positional_embedding"))?;
        let rows = positions.first().copied().unwrap_or(0);
        let outputs = w.shape(&at("c_proj.weight"))?;
        let output = outputs.first().copied().unwrap_or(0);
        Ok(Self {
            position_embedding: w.take(&at("positional_embedding"), &[rows, d])?,
            query: Linear::new(w, &at("q_proj"), d, d)?,
            key: Linear::new(w, &at("k_proj"), d, d)?,
            value: Linear::new(w, &at("v_proj"), d, d)?,
            out: Linear::new(w, &at("c_proj"), output, d)?,
            heads,
        })
    }

    /// Side of the last feature map, in cells.
    fn cells(&self) -> i64 {
        let rows = self.position_embedding.size()[0];
        ((rows - 1).max(0) as f64).sqrt().round() as i64
    }

    /// The pooling of one image as a linear function of its cells, with the attention held: what an element of each cell adds along
    /// `directions` `[n, output]`, `[n, cells, d]`; and what biases and positions add, `[n]`. In f32.
    fn linearised(
        &self,
        states: &Tensor,
        directions: &Tensor,
    ) -> Result<(Tensor, Tensor), EncoderError> {
        let x = states.f_add(&self.position_embedding)?; // [1, cells + 1, d]
        let project = |layer: &Linear, x: &Tensor| split_heads(&layer.forward(x)?, self.heads);
        let (q, k) = (
            project(&self.query, &x.f_narrow(1, 0, 1)?)?,
            project(&self.key, &x)?,
        );
        let weights = attention_weights(&q, &k)?.f_to_kind(Kind::Float)?; // [1, heads, 1, cells + 1]
        let weights = weights.f_select(2, 0)?.f_select(0, 0)?; // [heads, cells + 1]
        let along = self.out.pulled_back(directions)?; // [n, d]
        let n = along.size()[0];
        // Biases and positions come with the value of each token, whatever the image is.
        let fixed = self.value.forward(&self.position_embedding)?; // [cells + 1, d]
        let fixed = fixed.f_to_kind(Kind::Float)?;
        let tokens = fixed.size()[0];
        let fixed = fixed.f_view([tokens, self.heads, -1])?.f_transpose(0, 1)?; // [heads, cells + 1, d / heads]
        let fixed = fixed.f_mul(&weights.f_unsqueeze(-1)?)?; // [heads, cells + 1, d / heads]
        let fixed = fixed.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)?; // [heads, d / heads]
        let mut rest = along.f_matmul(&fixed.f_reshape([-1])?)?; // [n]
        if let Some(bias) = self.out.bias()? {
            rest = rest.f_add(&directions.f_matmul(&bias)?)?;
        }
        // The mean is one of the tokens, and each cell has its share of it.
        let cells = tokens - 1;
        let of_mean = weights.f_narrow(1, 0, 1)?.f_div_scalar(cells as f64)?; // [heads, 1]
        let shares = weights.f_narrow(1, 1, cells)?.f_add(&of_mean)?; // [heads, cells]
        let along = along.f_view([n, self.heads, 1, -1])?; // [n, heads, 1, d / heads]
        let values = along.f_mul(&shares.f_view([1, self.heads, cells, 1])?)?; // [n, heads, cells, d / heads]
        let values = values.f_transpose(1, 2)?.f_reshape([n * cells, -1])?; // [n · cells, d]
        let values = self.value.pulled_back(&values)?; // [n · cells, d]
        Ok((values.f_view([n, cells, -1])?, rest))
    }

    /// `[b, cells + 1, d]` → `[b, output]`
    fn forward(&self, states: &Tensor) -> Result<Tensor, EncoderError> {
        let [q, k, v] = self.project(states)?; // [b, heads, …, d / heads]
        self.forward_attended(&attend(&q, &k, &v, AttentionMask::Full)?)
    }

    /// The mean's query, keys and values: `[b, heads, 1 or cells + 1, d / heads]`.
    fn project(&self, states: &Tensor) -> Result<[Tensor; 3], EncoderError> {
        let x = states.f_add(&self.position_embedding)?; // [b, cells + 1, d]
        let project = |layer: &Linear, x: &Tensor| split_heads(&layer.forward(x)?, self.heads);
        Ok([
            project(&self.query, &x.f_narrow(1, 0, 1)?)?,
            project(&self.key, &x)?,
            project(&self.value, &x)?,
        ])
    }

    /// The pooling after attention: `[b, 1, d]` → `[b, output]`
    fn forward_attended(&self, attended: &Tensor) -> Result<Tensor, EncoderError> {
        Ok(self.out.forward(attended)?.f_select(1, 0)?) // [b, output]
    }
}

/// A modified residual network. Its widths and depths are those of the weights.
pub(super) struct ResidualTower {
    stem: [Convolution; 3],
    blocks: Vec<ResidualBlock>,
    pool: MeanAttention,
}

impl ResidualTower {
    /// Whether the weights below `visual.` are a residual network's.
    pub(super) fn is_in(w: &Weights) -> bool {
        w.has("visual.layer1.0.conv1.weight")
    }

    /// Takes the tower below `visual.`; `head` is the width of an attention head, `side` that of the images in pixels, where a
    /// configuration says it.
    pub(super) fn new(w: &mut Weights, head: i64, side: Option<i64>) -> Result<Self, EncoderError> {
        let width = first_dimension(w, "visual.conv3.weight")?;
        let half = first_dimension(w, "visual.conv1.weight")?;
        let mut layer = |number: u8, shape: [i64; 4]| {
            let names = (format!("visual.conv{number}"), format!("visual.bn{number}"));
            Convolution::new(w, (&names.0, &names.1), shape)
        };
        let stem = [
            layer(1, [half, 3, 3, 3])?,
            layer(2, [half, half, 3, 3])?,
            layer(3, [width, half, 3, 3])?,
        ];
        let mut blocks = Vec::new();
        let mut input = width;
        for stage in 0..4 {
            let inner = width << stage;
            for block in 0..MAX_BLOCKS {
                let name = format!("visual.layer{}.{block}", stage + 1);
                if block > 0 && !w.has(&format!("{name}.conv1.weight")) {
                    break;
                }
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                blocks.push(ResidualBlock::new(w, &name, input, inner, stride)?);
                input = inner * EXPANSION;
            }
        }
        let pool = MeanAttention::new(w, "visual.attnpool", input, input / head.max(1))?;
        let tower = Self { stem, blocks, pool };
        let (found, cells) = (tower.side() as i64, tower.pool.cells());
        if cells < 1
            || cells * cells + 1 != tower.pool.position_embedding.size()[0]
            || side.is_some_and(|side| side != found)
        {
            return Err(EncoderError::Unsupported(format!(
                "`visual.attnpool.positional_embedding` is for images of {found} pixels, which is not what the \
                 configuration says"
            )));
        }
        Ok(tower)
    }

    /// Side of the images, in pixels.
    pub(super) fn side(&self) -> usize {
        (self.pool.cells() * REDUCTION).max(0) as usize
    }

    /// Length of an embedding.
    pub(super) fn dimension(&self) -> i64 {
        self.pool.out.outputs()
    }

    /// Pixels `[b, 3, side, side]` → `[b, cells + 1, d]`: the last feature map row by row, its mean first.
    pub(super) fn states(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        let mut x = self.stem(pixels)?; // [b, width, side / 4, side / 4]
        for block in &self.blocks {
            x = block.forward(x)?;
        }
        pooling_input(&x)
    }

    /// The features of one image, `[1, 3, side, side]`, before they are scaled to unit length, and the attention of the pooling that
    /// they depend on differentiably. To be called where gradients are recorded.
    pub(super) fn traced(
        &self,
        pixels: &Tensor,
    ) -> Result<(Tensor, TracedAttention), EncoderError> {
        let [q, k, v] = tch::no_grad(|| self.pool.project(&self.states(pixels)?))?;
        let traced = TracedAttention::new(&q, &k, &v, 1)?;
        Ok((self.pool.forward_attended(traced.output())?, traced))
    }

    /// What regions of one image, `[1, 3, side, side]`, contribute along `directions`, `[n, projection]` in f32.
    ///
    /// With its attention held, the pooling is linear in the last feature map; with the gates of its ReLUs held, so is each stage in
    /// the feature map before it. So the score is a sum over the cells of each of the last [`ATTRIBUTED_STAGES`] maps: coarse and sure
    /// in the last, fine in the first. Their mean is such a sum, too.
    pub(super) fn contributions(
        &self,
        pixels: &Tensor,
        directions: &Tensor,
    ) -> Result<Contributions, EncoderError> {
        let maps = self.late_maps(pixels)?; // the last first
        let last = &maps[0]; // [1, d, h, w]
        let (features, gradients, rest) = {
            let _guard = tch::no_grad_guard();
            let states = pooling_input(last)?; // [1, cells + 1, d]
            let features = self.pool(&states)?.f_to_kind(Kind::Float)?; // [1, projection]
            let (gradients, rest) = self.pool.linearised(&states, directions)?; // [n, cells, d], [n]
            (features, gradients, rest)
        };
        let side = maps.iter().map(|map| map.size()[3]).max().unwrap_or(1);
        let (_, channels, height, width) = last.size4()?;
        let mut all = Vec::new();
        for gradient in gradients.f_unbind(0)? {
            let gradient = gradient
                .f_transpose(0, 1)?
                .f_reshape([1, channels, height, width])?; // [1, d, h, w]
            let along = last
                .f_to_kind(Kind::Float)?
                .f_mul(&gradient)?
                .f_sum(Kind::Float)?; // scalar
            let gradients = Tensor::f_run_backward(&[along], &maps, true, false)?;
            let mut values = Tensor::f_zeros([1, 1, side, side], (Kind::Float, last.device()))?; // [1, 1, side, side]
            for (map, gradient) in maps.iter().zip(&gradients) {
                let float = |x: &Tensor| x.f_detach()?.f_to_kind(Kind::Float);
                let part = float(map)?.f_mul(&float(gradient)?)?; // [1, channels, h, w]
                let part = part.f_sum_dim_intlist([1_i64].as_slice(), true, Kind::Float)?; // [1, 1, h, w]
                let share = (map.size()[3] as f64 / side as f64).powi(2) / maps.len() as f64;
                // The sides are multiples of each other, so interpolation keeps the sum.
                let fine = part.f_upsample_bilinear2d([side, side], false, None, None)?; // [1, 1, side, side]
                values = values.f_add(&fine.f_mul_scalar(share)?)?;
            }
            all.push(values.f_flatten(0, 3)?); // [side · side]
        }
        let values = Tensor::f_stack(&all, 0)?; // [n, side · side]
        // What the biases of the stages add is what the last map's contributions have more than the mean of all maps'.
        let last = last
            .f_detach()?
            .f_to_kind(Kind::Float)?
            .f_flatten(2, 3)?
            .f_transpose(1, 2)?; // [1, cells, d]
        let whole =
            gradients
                .f_mul(&last)?
                .f_sum_dim_intlist([1_i64, 2].as_slice(), false, Kind::Float)?; // [n]
        let in_cells = values.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)?; // [n]
        Ok(Contributions {
            method: MapMethod::Pooling,
            rest: Some(rest.f_add(&whole)?.f_sub(&in_cells)?),
            values,
            features,
            cells: side,
            covered: 1.0,
        })
    }

    /// The last feature maps of one image, the last first, each of which depends differentiably on the one before. To be called where
    /// gradients are recorded.
    fn late_maps(&self, pixels: &Tensor) -> Result<Vec<Tensor>, EncoderError> {
        let starts: Vec<usize> = (0..self.blocks.len())
            .filter(|&at| self.blocks[at].stride > 1)
            .collect();
        let first = starts.len().saturating_sub(ATTRIBUTED_STAGES - 1);
        let begin = starts.get(first).copied().unwrap_or(0);
        let x = {
            let _guard = tch::no_grad_guard();
            let mut x = self.stem(pixels)?;
            for block in &self.blocks[..begin] {
                x = block.forward(x)?;
            }
            x
        };
        let mut x = x.f_set_requires_grad(true)?;
        let mut maps = vec![x.shallow_clone()];
        for (at, block) in self.blocks.iter().enumerate().skip(begin) {
            x = block.forward(x)?;
            if at + 1 == self.blocks.len() || self.blocks[at + 1].stride > 1 {
                maps.push(x.shallow_clone());
            }
        }
        maps.reverse();
        Ok(maps)
    }

    /// Pixels → `[b, width, side / 4, side / 4]`: the stem.
    fn stem(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        let mut x = channels_last(pixels)?; // [b, 3, side, side]
        for (layer, stride) in self.stem.iter().zip([2, 1, 1]) {
            x = layer.forward(&x, stride)?.f_relu_()?; // [b, …, side / 2, side / 2]
        }
        pooled(x, 2)
    }

    /// States `[b, cells + 1, d]` → `[b, projection]`, not yet unit vectors.
    pub(super) fn pool(&self, states: &Tensor) -> Result<Tensor, EncoderError> {
        self.pool.forward(states)
    }
}

/// A feature map `[b, d, h, w]` row by row, its mean first: `[b, cells + 1, d]`.
fn pooling_input(x: &Tensor) -> Result<Tensor, EncoderError> {
    let cells = x.f_flatten(2, 3)?.f_transpose(1, 2)?; // [b, cells, d]
    let mean = cells.f_mean_dim([1_i64].as_slice(), true, cells.kind())?; // [b, 1, d]
    Ok(Tensor::f_cat(&[mean, cells], 1)?) // [b, cells + 1, d]
}

/// The first dimension of a tensor.
fn first_dimension(w: &Weights, name: &str) -> Result<i64, EncoderError> {
    Ok(w.shape(name)?.first().copied().unwrap_or(0))
}
