//! Tokenizers: `tokenizer.json` files, older kinds of files, and CLIP's built-in vocabulary.

pub(super) mod files;
mod growth;

use std::borrow::Cow;
use std::collections::HashSet;

use super::{CutOff, EncoderError, clean, vocabulary};

/// The token ids of one text, begin and end tokens included, truncated to the model's context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokenized {
    /// The ids.
    pub ids: Vec<u32>,
}

/// How a text is cleaned before the tokenizer's own normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clean {
    /// Not at all, as in transformers.
    No,
    /// open_clip's rule for Hugging Face's tokenizers; see [`clean::whitespace`].
    Whitespace,
    /// open_clip's rule for CLIP's own vocabulary; see [`clean::lower`].
    Lower,
    /// open_clip's rule for SigLIP; see [`clean::canonicalized`].
    Canonicalized,
    /// SigLIP's rule; see [`clean::canonical`].
    Canonical,
    /// SigLIP 2's rule: lower case, nothing else.
    LowerCase,
}

/// A text model's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// The id of `[UNK]`, if the vocabulary has it.
    unknown: Option<u32>,
    context: usize,
    clean: Clean,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`. Texts of more than `context` tokens will be truncated; the end token stays.
    pub fn from_json(json: &[u8], context: usize) -> Result<Self, EncoderError> {
        if growth::of(json) > growth::MAX_GROWTH {
            return Err(EncoderError::Tokenizer(format!(
                "it can lengthen texts more than {}-fold, which no model needs",
                growth::MAX_GROWTH
            )));
        }
        let inner = tokenizers::Tokenizer::from_bytes(json).map_err(fault)?;
        Self::new(inner, context)
    }

    /// CLIP's own tokenizer, as open_clip uses it.
    pub fn clip(context: usize) -> Result<Self, EncoderError> {
        Ok(Self::new(vocabulary::clip()?, context)?.cleaning(Clean::Lower))
    }

    fn new(mut inner: tokenizers::Tokenizer, context: usize) -> Result<Self, EncoderError> {
        let truncation = tokenizers::TruncationParams {
            max_length: context,
            ..Default::default()
        };
        inner.with_truncation(Some(truncation)).map_err(fault)?;
        inner.with_padding(None);
        let unknown = inner.token_to_id("[UNK]");
        Ok(Self {
            inner,
            unknown,
            context,
            clean: Clean::No,
        })
    }

    /// Sets how texts are cleaned.
    pub(super) fn cleaning(self, clean: Clean) -> Self {
        Self { clean, ..self }
    }

    /// Fails unless the vocabulary is of WordPiece, as every BERT's is; other text towers number their positions differently.
    pub(super) fn require_word_pieces(&self) -> Result<(), EncoderError> {
        match self.inner.get_model() {
            tokenizers::ModelWrapper::WordPiece(_) => Ok(()),
            _ => Err(EncoderError::Unsupported(
                "a text tower with another tokenizer than BERT's WordPiece is not supported".into(),
            )),
        }
    }

    /// The id of a token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The maximum number of tokens in a text.
    pub(super) fn context(&self) -> usize {
        self.context
    }

    /// A text, cleaned for the tokenizer's own normalisation.
    fn cleaned<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.clean {
            Clean::No => text.into(),
            Clean::Whitespace => clean::whitespace(text).into(),
            Clean::Lower => clean::lower(text).into(),
            Clean::Canonicalized => clean::canonicalized(text).into(),
            Clean::Canonical => clean::canonical(text).into(),
            Clean::LowerCase => text.to_lowercase().into(),
        }
    }

    /// Tokenizes a text.
    pub fn encode(&self, text: &str) -> Result<Tokenized, EncoderError> {
        let encoding = self.inner.encode(self.cleaned(text), true);
        let encoding = encoding.map_err(fault)?;
        Ok(Tokenized {
            ids: encoding.get_ids().to_vec(),
        })
    }

    /// The end of a text that does not fit into the context; `None` if all of it fits.
    pub(super) fn cut_off(&self, text: &str) -> Option<CutOff> {
        let text = self.cleaned(text);
        let encoding = self.inner.encode(text.as_ref(), true).ok()?;
        let beyond = encoding.get_overflowing().first()?;
        // Begin and end tokens have empty offsets.
        let mut offsets = beyond.get_offsets().iter();
        let (start, _) = offsets.find(|(start, end)| start < end)?;
        Some(CutOff {
            context: self.context,
            rest: text.get(*start..).unwrap_or_default().trim().to_owned(),
        })
    }

    /// The highest id + 1, added tokens included; the model's embedding table must have at least as many rows.
    pub fn vocabulary(&self) -> usize {
        self.inner
            .get_vocab(true)
            .values()
            .max()
            .map_or(0, |&id| id as usize + 1)
    }

    /// The words that become `[UNK]`, each once, in order of appearance; none with a byte-level vocabulary.
    pub fn unknown_words(&self, texts: &[String]) -> Vec<String> {
        let Some(unknown) = self.unknown else {
            return Vec::new();
        };
        let mut seen = HashSet::new();
        let mut words = Vec::new();
        for text in texts {
            let Ok(encoding) = self.inner.encode(text.as_str(), false) else {
                continue;
            };
            for (&id, &(start, end)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
                let word = text.get(start..end).unwrap_or_default().to_lowercase();
                if id == unknown && !word.is_empty() && seen.insert(word.clone()) {
                    words.push(word);
                }
            }
        }
        words
    }
}

fn fault(error: tokenizers::Error) -> EncoderError {
    EncoderError::Tokenizer(error.to_string())
}
