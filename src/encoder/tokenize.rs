//! Texts to token ids, through `tokenizer.json`.

use std::collections::HashSet;

use super::EncoderError;

/// Token ids of one text, with begin and end marks, cut to the model's context length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokenized {
    /// The ids.
    pub ids: Vec<u32>,
}

/// A text model's vocabulary.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    unknown: Option<u32>,
}

impl Tokenizer {
    /// Reads `tokenizer.json`. A text longer than `context` tokens is cut; its end mark stays.
    pub fn from_json(json: &[u8], context: usize) -> Result<Self, EncoderError> {
        let fault = |error: tokenizers::Error| EncoderError::Tokenizer(error.to_string());
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(fault)?;
        let cut = tokenizers::TruncationParams {
            max_length: context,
            ..Default::default()
        };
        inner.with_truncation(Some(cut)).map_err(fault)?;
        inner.with_padding(None);
        let unknown = inner.token_to_id("[UNK]");
        Ok(Self { inner, unknown })
    }

    /// Ids of `text`.
    pub fn encode(&self, text: &str) -> Result<Tokenized, EncoderError> {
        let encoding = self
            .inner
            .encode(text, true)
            .map_err(|e| EncoderError::Tokenizer(e.to_string()))?;
        Ok(Tokenized {
            ids: encoding.get_ids().to_vec(),
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
