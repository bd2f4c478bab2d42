//! Texts to token ids, through `tokenizer.json` or the vocabulary that is built in.

mod growth;

use std::borrow::Cow;
use std::collections::HashSet;

use super::{CutOff, EncoderError, clean, vocabulary};

/// Token ids of one text, with begin and end marks, cut to the model's context length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokenized {
    /// The ids.
    pub ids: Vec<u32>,
}

/// What is done to a text before the vocabulary's own normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clean {
    /// Nothing: transformers.
    No,
    /// open_clip, for tokenizers of Hugging Face.
    Whitespace,
    /// open_clip, for CLIP's own vocabulary.
    Lower,
    /// SigLIP.
    Canonical,
}

/// A text model's vocabulary.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    unknown: Option<u32>,
    context: usize,
    clean: Clean,
}

impl Tokenizer {
    /// Reads `tokenizer.json`. A text longer than `context` tokens is cut; its end mark stays.
    pub fn from_json(json: &[u8], context: usize) -> Result<Self, EncoderError> {
        if growth::of(json) > growth::MAX {
            let reason = "lengthens texts without measure, which no vocabulary needs";
            return Err(EncoderError::Tokenizer(reason.to_owned()));
        }
        let inner = tokenizers::Tokenizer::from_bytes(json).map_err(fault)?;
        Self::new(inner, context)
    }

    /// CLIP's own vocabulary, as open_clip uses it.
    pub fn clip(context: usize) -> Result<Self, EncoderError> {
        Ok(Self::new(vocabulary::clip()?, context)?.cleaning(Clean::Lower))
    }

    fn new(mut inner: tokenizers::Tokenizer, context: usize) -> Result<Self, EncoderError> {
        let cut = tokenizers::TruncationParams {
            max_length: context,
            ..Default::default()
        };
        inner.with_truncation(Some(cut)).map_err(fault)?;
        inner.with_padding(None);
        let unknown = inner.token_to_id("[UNK]");
        Ok(Self {
            inner,
            unknown,
            context,
            clean: Clean::No,
        })
    }

    /// The same with texts cleaned before.
    pub(super) fn cleaning(self, clean: Clean) -> Self {
        Self { clean, ..self }
    }

    /// Id of a token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The most tokens of a text.
    pub(super) fn context(&self) -> usize {
        self.context
    }

    /// A text as the vocabulary's own normalisation gets it.
    fn cleaned<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.clean {
            Clean::No => text.into(),
            Clean::Whitespace => clean::whitespace(text).into(),
            Clean::Lower => clean::lower(text).into(),
            Clean::Canonical => clean::canonical(text).into(),
        }
    }

    /// Ids of `text`.
    pub fn encode(&self, text: &str) -> Result<Tokenized, EncoderError> {
        let encoding = self.inner.encode(self.cleaned(text), true);
        let encoding = encoding.map_err(fault)?;
        Ok(Tokenized {
            ids: encoding.get_ids().to_vec(),
        })
    }

    /// What of a text lies beyond the context.
    pub(super) fn cut_off(&self, text: &str) -> Option<CutOff> {
        let text = self.cleaned(text);
        let encoding = self.inner.encode(text.as_ref(), true).ok()?;
        let beyond = encoding.get_overflowing().first()?;
        // The marks have no place in the text.
        let mut places = beyond.get_offsets().iter();
        let (start, _) = places.find(|(start, end)| start < end)?;
        Some(CutOff {
            context: self.context,
            rest: text.get(*start..).unwrap_or_default().trim().to_owned(),
        })
    }

    /// Highest id + 1, with added tokens; the embedding table must have at least as many rows.
    pub fn vocabulary(&self) -> usize {
        self.inner
            .get_vocab(true)
            .values()
            .max()
            .map_or(0, |&id| id as usize + 1)
    }

    /// Words that become `[UNK]`, each once, in the order met. Byte-level vocabularies know every word.
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
