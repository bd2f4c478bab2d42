//! The text tower: token ids become one vector.

use tch::{Kind, Tensor};

use super::names::Names;
use super::transformer::{Activation, LayerNorm, Linear, Shape, Sight, Transformer};
use super::{EncoderError, Tokenized, Weights};

/// Which token's state stands for the text, and what the tokens see of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Causal; the first token with this id.
    End(i64),
    /// Causal; the first token with the highest id, which is the end mark in CLIP's vocabulary.
    Highest,
    /// All tokens see each other, padding included: `length` tokens, filled up with `pad`; the last one.
    Padded {
        /// Tokens of every text.
        length: usize,
        /// The id that fills up.
        pad: u32,
    },
    /// Padding is not seen; the first token.
    First,
    /// Padding is not seen; the mean of all tokens.
    Mean,
}

impl Reading {
    fn causal(&self) -> bool {
        matches!(self, Self::End(_) | Self::Highest)
    }

    /// The position of the state that stands for the text.
    fn position(&self, ids: &[u32]) -> i64 {
        let highest = ids.iter().max().copied();
        let position = match self {
            Self::End(end) => ids.iter().position(|&id| i64::from(id) == *end),
            Self::Highest => ids.iter().position(|&id| Some(id) == highest),
            Self::Padded { length, .. } => length.checked_sub(1),
            Self::First | Self::Mean => Some(0),
        };
        position.unwrap_or(0) as i64
    }
}

/// The way from the state to the common space.
pub(super) enum Head {
    /// The state itself.
    None,
    /// One layer.
    Linear(Linear),
    /// Two layers with a GELU between them.
    Mlp(Linear, Linear),
}

impl Head {
    fn forward(&self, x: Tensor) -> Result<Tensor, EncoderError> {
        match self {
            Self::None => Ok(x),
            Self::Linear(layer) => layer.forward(&x),
            Self::Mlp(up, down) => down.forward(&Activation::Gelu.apply(&up.forward(&x)?)?),
        }
    }
}

/// A text transformer.
pub(super) struct Text {
    tokens: Tensor,
    positions: Tensor,
    /// What is added to every token: BERT's first segment, `[1, d]`.
    segment: Option<Tensor>,
    before: Option<LayerNorm>,
    blocks: Transformer,
    after: Option<LayerNorm>,
    reading: Reading,
    head: Head,
}

/// What a layout calls the parts around the blocks.
pub(super) struct Outside<'a> {
    /// The token embeddings.
    pub(super) tokens: &'a str,
    /// The positions.
    pub(super) positions: &'a str,
    /// The segments, where there are any.
    pub(super) segments: Option<&'a str>,
    /// The norm before the blocks, where there is one.
    pub(super) before: Option<&'a str>,
    /// What the name of the stack begins with.
    pub(super) blocks: &'a str,
    /// The norm after the blocks, where there is one.
    pub(super) after: Option<&'a str>,
}

impl Text {
    /// Takes the tower out of the weights; `vocabulary` and `context` are the rows of its two tables.
    pub(super) fn new(
        w: &mut Weights,
        outside: &Outside,
        names: &Names,
        shape: &Shape,
        (vocabulary, context): (i64, i64),
        reading: Reading,
        head: Head,
    ) -> Result<Self, EncoderError> {
        let d = shape.width;
        let norm = |w: &mut Weights, name: &str| LayerNorm::new(w, name, d, shape.eps);
        let segment = match outside.segments {
            Some(name) => {
                let rows = w.shape(name)?.first().copied().unwrap_or(0);
                if rows < 1 {
                    return Err(EncoderError::Unsupported(format!("`{name}` is empty")));
                }
                Some(w.take(name, &[rows, d])?.f_narrow(0, 0, 1)?)
            }
            None => None,
        };
        Ok(Self {
            tokens: w.take(outside.tokens, &[vocabulary, d])?,
            positions: w.take(outside.positions, &[context, d])?,
            segment,
            before: outside.before.map(|name| norm(w, name)).transpose()?,
            blocks: Transformer::new(w, outside.blocks, names, shape)?,
            after: outside.after.map(|name| norm(w, name)).transpose()?,
            reading,
            head,
        })
    }

    /// Rows of the token table.
    fn vocabulary(&self) -> usize {
        self.tokens.size().first().copied().unwrap_or(0).max(0) as usize
    }

    /// Rows of the table of positions.
    pub(super) fn context(&self) -> usize {
        self.positions.size().first().copied().unwrap_or(0).max(0) as usize
    }

    /// Length of the result.
    pub(super) fn dimension(&self) -> i64 {
        match &self.head {
            Head::None => self.tokens.size().last().copied().unwrap_or(0),
            Head::Linear(last) | Head::Mlp(_, last) => last.outputs(),
        }
    }

    /// Texts → `[batch, projection]`
    pub(super) fn features(&self, batch: &[Tokenized]) -> Result<Tensor, EncoderError> {
        let known = self.vocabulary();
        let mut all = batch.iter().flat_map(|text| &text.ids);
        if let Some(id) = all.find(|&&id| id as usize >= known) {
            return Err(EncoderError::Tokenizer(format!(
                "gives the token {id}, and the model knows {known}: they do not belong together"
            )));
        }
        let longest = batch.iter().map(|t| t.ids.len()).max().unwrap_or(0);
        let (length, pad) = match self.reading {
            Reading::Padded { length, pad } => (length, pad),
            // Behind the end mark, or masked: anything may stand there.
            _ => (longest, 0),
        };
        let mut ids = vec![i64::from(pad); batch.len() * length];
        for (row, text) in ids.chunks_mut(length.max(1)).zip(batch) {
            for (slot, &id) in row.iter_mut().zip(&text.ids) {
                *slot = i64::from(id);
            }
        }
        let device = self.tokens.device();
        let shape = [batch.len() as i64, length as i64];
        let ids = Tensor::f_from_slice(&ids)?
            .f_view(shape)?
            .f_to_device(device)?;
        let lengths: Vec<i64> = batch.iter().map(|t| t.ids.len() as i64).collect();
        let lengths = Tensor::f_from_slice(&lengths)?.f_to_device(device)?;
        let columns = Tensor::f_arange(length as i64, (Kind::Int64, device))?;
        let mask = columns
            .f_unsqueeze(0)?
            .f_less_tensor(&lengths.f_unsqueeze(1)?)?; // [b, t]
        let x = self.states(&ids, &mask)?; // [b, t, d]
        let x = if self.reading == Reading::Mean {
            let weights = mask.f_unsqueeze(2)?.f_to_kind(x.kind())?; // [b, t, 1]
            let sum = x
                .f_mul(&weights)?
                .f_sum_dim_intlist([1_i64].as_slice(), false, x.kind())?;
            sum.f_div(&lengths.f_unsqueeze(1)?.f_to_kind(x.kind())?)?
        } else {
            let at: Vec<i64> = batch
                .iter()
                .map(|t| self.reading.position(&t.ids))
                .collect();
            let at = Tensor::f_from_slice(&at)?.f_to_device(device)?;
            let rows = Tensor::f_arange(shape[0], (Kind::Int64, device))?;
            x.f_index(&[Some(rows), Some(at)])?
        }; // [b, d]
        // Token by token, as in the vision tower.
        let x = match &self.after {
            Some(norm) => norm.forward(&x)?,
            None => x,
        };
        self.head.forward(x)
    }

    /// `ids` and `mask`: `[batch, tokens]`; the result `[batch, tokens, d]`, before the last norm.
    fn states(&self, ids: &Tensor, mask: &Tensor) -> Result<Tensor, EncoderError> {
        let (_, length) = ids.size2()?;
        let x = Tensor::f_embedding(&self.tokens, ids, -1, false, false)?; // [b, t, d]
        let mut x = x.f_add(&self.positions.f_narrow(0, 0, length)?)?;
        if let Some(segment) = &self.segment {
            x = x.f_add(segment)?;
        }
        if let Some(norm) = &self.before {
            x = norm.forward(&x)?;
        }
        if self.reading.causal() {
            return self.blocks.forward(x, Sight::Causal);
        }
        if matches!(self.reading, Reading::Padded { .. }) {
            return self.blocks.forward(x, Sight::All);
        }
        let mask = mask.f_unsqueeze(1)?.f_unsqueeze(1)?; // [b, 1, 1, t]
        self.blocks.forward(x, Sight::Masked(&mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_taken_at_the_mark_that_the_reading_says() {
        let ids = [5, 9, 3, 9, 2];
        assert_eq!(Reading::End(3).position(&ids), 2);
        assert_eq!(Reading::Highest.position(&ids), 1);
        assert_eq!(Reading::First.position(&ids), 0);
        assert_eq!(Reading::Padded { length: 8, pad: 1 }.position(&ids), 7);
    }
}
