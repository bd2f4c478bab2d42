//! The text tower: turns token ids into one vector per text.

use tch::{Kind, Tensor};

use super::block_names::BlockNames;
use super::layers::{Activation, LayerNorm, Linear};
use super::transformer::{AttentionMask, Transformer, TransformerConfig};
use super::{EncoderError, Tokenized, Weights};

/// How the token states of a text become one vector, and which tokens attend to which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Causal attention; the state of the first token with this id.
    EndToken(i64),
    /// Causal attention; the state of the first token with the highest id, which is the end token in CLIP's vocabulary.
    HighestToken,
    /// Full attention over `length` tokens, padding included; the state of the last one.
    Padded {
        /// Tokens of every text after padding.
        length: usize,
        /// The id of the padding token.
        pad: u32,
    },
    /// Padding is masked; the state of the first token (BERT's `[CLS]`).
    FirstToken,
    /// Padding is masked; the mean of the states of all tokens.
    Mean,
}

impl Pooling {
    fn is_causal(&self) -> bool {
        matches!(self, Self::EndToken(_) | Self::HighestToken)
    }

    /// The index of the token whose state represents the text.
    fn position(&self, ids: &[u32]) -> i64 {
        let highest = ids.iter().max().copied();
        let position = match self {
            Self::EndToken(end) => ids.iter().position(|&id| i64::from(id) == *end),
            Self::HighestToken => ids.iter().position(|&id| Some(id) == highest),
            Self::Padded { length, .. } => length.checked_sub(1),
            Self::FirstToken | Self::Mean => Some(0),
        };
        position.unwrap_or(0) as i64
    }
}

/// The layers that project the pooled state into the space shared with images.
pub(super) enum ProjectionHead {
    /// No projection.
    None,
    /// One linear layer.
    Linear(Linear),
    /// Two linear layers with a GELU between them.
    Mlp(Linear, Linear),
}

impl ProjectionHead {
    /// `[batch, d]` → `[batch, projection]`
    fn forward(&self, x: Tensor) -> Result<Tensor, EncoderError> {
        match self {
            Self::None => Ok(x),
            Self::Linear(layer) => layer.forward(&x),
            Self::Mlp(up, down) => down.forward(&Activation::Gelu.apply(&up.forward(&x)?)?),
        }
    }
}

/// A text transformer.
pub(super) struct TextTower {
    /// `[vocabulary, d]`
    token_embedding: Tensor,
    /// `[context, d]`
    position_embedding: Tensor,
    /// BERT's first segment, which is added to every token: `[1, d]`.
    segment_embedding: Option<Tensor>,
    pre_norm: Option<LayerNorm>,
    blocks: Transformer,
    post_norm: Option<LayerNorm>,
    pooling: Pooling,
    head: ProjectionHead,
}

/// A checkpoint layout's names of the tensors around the transformer blocks.
pub(super) struct TextTensorNames<'a> {
    /// The token embeddings, `[vocabulary, d]`.
    pub(super) token_embedding: &'a str,
    /// The position embeddings, `[context, d]`.
    pub(super) position_embedding: &'a str,
    /// The segment embeddings (BERT's token types), if the layout has them.
    pub(super) segment_embedding: Option<&'a str>,
    /// The layer norm before the blocks, if there is one.
    pub(super) pre_norm: Option<&'a str>,
    /// The prefix of the blocks' names.
    pub(super) blocks: &'a str,
    /// The layer norm after the blocks, if there is one.
    pub(super) post_norm: Option<&'a str>,
}

impl TextTower {
    /// Takes the tower's tensors out of `w`; `vocabulary` and `context` are the rows of its two embedding tables.
    pub(super) fn new(
        w: &mut Weights,
        tensor_names: &TextTensorNames,
        block_names: &BlockNames,
        config: &TransformerConfig,
        (vocabulary, context): (i64, i64),
        pooling: Pooling,
        head: ProjectionHead,
    ) -> Result<Self, EncoderError> {
        let d = config.width;
        let norm = |w: &mut Weights, name: &str| LayerNorm::new(w, name, d, config.eps);
        let segment_embedding = match tensor_names.segment_embedding {
            Some(name) => {
                let rows = w.shape(name)?.first().copied().unwrap_or(0);
                if rows < 1 {
                    return Err(EncoderError::Unsupported(format!("`{name}` is empty")));
                }
                Some(w.take(name, &[rows, d])?.f_narrow(0, 0, 1)?) // [1, d]
            }
            None => None,
        };
        Ok(Self {
            token_embedding: w.take(tensor_names.token_embedding, &[vocabulary, d])?,
            position_embedding: w.take(tensor_names.position_embedding, &[context, d])?,
            segment_embedding,
            pre_norm: tensor_names
                .pre_norm
                .map(|name| norm(w, name))
                .transpose()?,
            blocks: Transformer::new(w, tensor_names.blocks, block_names, config)?,
            post_norm: tensor_names
                .post_norm
                .map(|name| norm(w, name))
                .transpose()?,
            pooling,
            head,
        })
    }

    /// Number of token ids that the embedding table knows.
    fn vocabulary(&self) -> usize {
        self.token_embedding
            .size()
            .first()
            .copied()
            .unwrap_or(0)
            .max(0) as usize
    }

    /// Number of tokens that the position table has room for.
    pub(super) fn context(&self) -> usize {
        self.position_embedding
            .size()
            .first()
            .copied()
            .unwrap_or(0)
            .max(0) as usize
    }

    /// Length of an embedding.
    pub(super) fn dimension(&self) -> i64 {
        match &self.head {
            ProjectionHead::None => self.token_embedding.size().last().copied().unwrap_or(0),
            ProjectionHead::Linear(last) | ProjectionHead::Mlp(_, last) => last.outputs(),
        }
    }

    /// Texts → `[batch, projection]`, not yet unit vectors.
    pub(super) fn features(&self, batch: &[Tokenized]) -> Result<Tensor, EncoderError> {
        let known = self.vocabulary();
        let mut all = batch.iter().flat_map(|text| &text.ids);
        if let Some(id) = all.find(|&&id| id as usize >= known) {
            return Err(EncoderError::Tokenizer(format!(
                "produces the token id {id}, but the model has only {known} tokens; tokenizer and model do not belong together"
            )));
        }
        let longest = batch.iter().map(|t| t.ids.len()).max().unwrap_or(0);
        let (length, pad) = match self.pooling {
            Pooling::Padded { length, pad } => (length, pad),
            // These tokens are masked, or come after the end token under causal attention: any id will do.
            _ => (longest, 0),
        };
        let mut ids = vec![i64::from(pad); batch.len() * length];
        for (row, text) in ids.chunks_mut(length.max(1)).zip(batch) {
            for (slot, &id) in row.iter_mut().zip(&text.ids) {
                *slot = i64::from(id);
            }
        }
        let device = self.token_embedding.device();
        let shape = [batch.len() as i64, length as i64];
        let ids = Tensor::f_from_slice(&ids)?
            .f_view(shape)?
            .f_to_device(device)?; // [b, t]
        let lengths: Vec<i64> = batch.iter().map(|t| t.ids.len() as i64).collect();
        let lengths = Tensor::f_from_slice(&lengths)?.f_to_device(device)?; // [b]
        let columns = Tensor::f_arange(length as i64, (Kind::Int64, device))?; // [t]
        let mask = columns
            .f_unsqueeze(0)?
            .f_less_tensor(&lengths.f_unsqueeze(1)?)?; // [b, t]
        let x = self.states(&ids, &mask)?; // [b, t, d]
        let x = if self.pooling == Pooling::Mean {
            let weights = mask.f_unsqueeze(2)?.f_to_kind(x.kind())?; // [b, t, 1]
            let sum = x
                .f_mul(&weights)?
                .f_sum_dim_intlist([1_i64].as_slice(), false, x.kind())?; // [b, d]
            sum.f_div(&lengths.f_unsqueeze(1)?.f_to_kind(x.kind())?)?
        } else {
            let at: Vec<i64> = batch
                .iter()
                .map(|t| self.pooling.position(&t.ids))
                .collect();
            let at = Tensor::f_from_slice(&at)?.f_to_device(device)?; // [b]
            let rows = Tensor::f_arange(shape[0], (Kind::Int64, device))?; // [b]
            x.f_index(&[Some(rows), Some(at)])?
        }; // [b, d]
        // A layer norm works on each token alone, so it may follow the pooling, as in the vision tower.
        let x = match &self.post_norm {
            Some(norm) => norm.forward(&x)?,
            None => x,
        }; // [b, d]
        self.head.forward(x)
    }

    /// Token states `[b, t, d]` before the last norm; `ids` and `mask` are `[b, t]`.
    fn states(&self, ids: &Tensor, mask: &Tensor) -> Result<Tensor, EncoderError> {
        let (_, length) = ids.size2()?;
        let x = Tensor::f_embedding(&self.token_embedding, ids, -1, false, false)?; // [b, t, d]
        let mut x = x.f_add(&self.position_embedding.f_narrow(0, 0, length)?)?; // [b, t, d]
        if let Some(segment) = &self.segment_embedding {
            x = x.f_add(segment)?; // [b, t, d]
        }
        if let Some(norm) = &self.pre_norm {
            x = norm.forward(&x)?; // [b, t, d]
        }
        if self.pooling.is_causal() {
            return self.blocks.forward(x, AttentionMask::Causal);
        }
        if matches!(self.pooling, Pooling::Padded { .. }) {
            return self.blocks.forward(x, AttentionMask::Full);
        }
        let mask = mask.f_unsqueeze(1)?.f_unsqueeze(1)?; // [b, 1, 1, t]
        self.blocks.forward(x, AttentionMask::Padding(&mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pooling_picks_its_own_token() {
        let ids = [5, 9, 3, 9, 2];
        assert_eq!(Pooling::EndToken(3).position(&ids), 2);
        assert_eq!(Pooling::HighestToken.position(&ids), 1);
        assert_eq!(Pooling::FirstToken.position(&ids), 0);
        assert_eq!(Pooling::Padded { length: 8, pad: 1 }.position(&ids), 7);
    }
}
