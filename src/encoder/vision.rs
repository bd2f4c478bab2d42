//! The vision tower: a ViT that turns a square of pixels into one vector.

use tch::Tensor;

use super::names::Names;
use super::transformer::{LayerNorm, Linear, MapHead, Shape, Sight, Transformer};
use super::{EncoderError, Weights};

/// How the states of the patches become one.
pub(super) enum Pool {
    /// The state of the class token, which stands first.
    Class,
    /// A probe attends to all of them.
    Map(MapHead),
}

/// A vision transformer.
pub(super) struct Vision {
    /// From the pixels of a patch, `[d, 3 · patch · patch]`.
    patches: Linear,
    class: Option<Tensor>,
    positions: Tensor,
    before: Option<LayerNorm>,
    blocks: Transformer,
    after: LayerNorm,
    pool: Pool,
    projection: Option<Linear>,
    patch: i64,
    side: i64,
    width: i64,
}

/// What a layout calls the parts around the blocks.
pub(super) struct Outside<'a> {
    /// The convolution that makes the patches.
    pub(super) patches: &'a str,
    /// Its bias, where it has one.
    pub(super) patch_bias: Option<&'a str>,
    /// The class token and its dimensions before the width.
    pub(super) class: Option<(&'a str, &'a [i64])>,
    /// The positions and their dimensions before tokens and width.
    pub(super) positions: (&'a str, &'a [i64]),
    /// The norm before the blocks, where there is one.
    pub(super) before: Option<&'a str>,
    /// What the name of the stack begins with.
    pub(super) blocks: &'a str,
    /// The norm after the blocks.
    pub(super) after: &'a str,
}

impl Vision {
    /// Takes the tower out of the weights. `side` is that of the pictures; pooling and projection are the caller's.
    pub(super) fn new(
        w: &mut Weights,
        outside: &Outside,
        names: &Names,
        shape: &Shape,
        side: i64,
        patch: i64,
    ) -> Result<Self, EncoderError> {
        if patch < 1 || side < patch || side > 4096 {
            return Err(EncoderError::Unsupported(format!(
                "an image size of {side} with patches of {patch} cannot be used"
            )));
        }
        let d = shape.width;
        let shaped = |before: &[i64], rest: &[i64]| [before, rest].concat();
        let class = match outside.class {
            Some((name, ones)) => Some(w.take(name, &shaped(ones, &[d]))?),
            None => None,
        };
        let tokens = (side / patch).pow(2) + i64::from(class.is_some());
        let (positions, ones) = outside.positions;
        let norm = |w: &mut Weights, name: &str| LayerNorm::new(w, name, d, shape.eps);
        let filters = w.take(outside.patches, &[d, 3, patch, patch])?;
        Ok(Self {
            patches: Linear::from_parts(
                filters.f_flatten(1, 3)?,
                outside.patch_bias.map(|b| w.take(b, &[d])).transpose()?,
            ),
            class,
            positions: w.take(positions, &shaped(ones, &[tokens, d]))?,
            before: outside.before.map(|name| norm(w, name)).transpose()?,
            blocks: Transformer::new(w, outside.blocks, names, shape)?,
            after: norm(w, outside.after)?,
            pool: Pool::Class,
            projection: None,
            patch,
            side,
            width: d,
        })
    }

    /// The same with another way to pool.
    pub(super) fn pooled_by(self, pool: Pool) -> Self {
        Self { pool, ..self }
    }

    /// The same with a layer into the common space.
    pub(super) fn projected_by(self, projection: Linear) -> Self {
        let projection = Some(projection);
        Self { projection, ..self }
    }

    /// Side of the pictures, in pixels.
    pub(super) fn side(&self) -> usize {
        self.side.max(0) as usize
    }

    /// Length of the result.
    pub(super) fn dimension(&self) -> i64 {
        self.projection.as_ref().map_or(self.width, Linear::outputs)
    }

    /// Pixels `[b, 3, side, side]` → `[b, projection]`
    pub(super) fn features(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        let x = self.embed(pixels)?;
        self.pool(&match &self.pool {
            Pool::Class => self.blocks.first(x, Sight::All)?,
            Pool::Map(_) => self.blocks.forward(x, Sight::All)?,
        })
    }

    /// Pixels → `[b, tokens, d]`: the states behind the last block, a class token first.
    pub(super) fn states(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        self.blocks.forward(self.embed(pixels)?, Sight::All)
    }

    /// Pixels → `[b, patches, 3 · patch · patch]`. The convolution that the layouts speak of moves by whole patches: each pixel
    /// is in one of them at most, and it is a matrix product, which a GPU is quicker with.
    fn cut(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        let (batch, p, n) = (pixels.size()[0], self.patch, self.side / self.patch);
        let whole = pixels.f_narrow(2, 0, n * p)?.f_narrow(3, 0, n * p)?;
        let whole = whole.f_reshape([batch, 3, n, p, n, p])?;
        let patches = whole.f_permute([0, 2, 4, 1, 3, 5])?; // [b, n, n, 3, p, p]
        Ok(patches.f_reshape([batch, n * n, 3 * p * p])?)
    }

    /// Pixels → `[b, tokens, d]`: what the first block receives.
    fn embed(&self, pixels: &Tensor) -> Result<Tensor, EncoderError> {
        let batch = pixels.size()[0];
        let mut x = self.patches.forward(&self.cut(pixels)?)?; // [b, patches, d]
        if let Some(class) = &self.class {
            let width = self.width;
            let class = class.f_reshape([1, 1, width])?;
            let class = class.f_expand([batch, 1, width], false)?;
            x = Tensor::f_cat(&[class, x], 1)?; // [b, patches + 1, d]
        }
        let x = x.f_add(&self.positions)?;
        match &self.before {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// States → `[b, projection]`
    pub(super) fn pool(&self, states: &Tensor) -> Result<Tensor, EncoderError> {
        let x = match &self.pool {
            // The norm is taken token by token, so that it may come after the choice of one.
            Pool::Class => self.after.forward(&states.f_select(1, 0)?)?,
            Pool::Map(head) => head.forward(&self.after.forward(states)?)?,
        }; // [b, d]
        match &self.projection {
            Some(projection) => projection.forward(&x),
            None => Ok(x),
        }
    }
}
