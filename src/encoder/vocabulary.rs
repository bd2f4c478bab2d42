//! CLIP's byte-pair vocabulary (Radford et al. 2021; MIT licence), for checkpoints without a tokenizer file.

use std::collections::HashMap;
use std::io::{self, Read};

use flate2::read::GzDecoder;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::Lowercase;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use super::EncoderError;
use super::tokenize::files;

/// The merges as open_clip and OpenAI ship them: a heading, then one merge per line.
pub(super) const MERGES: &[u8] = include_bytes!("bpe_simple_vocab_16e6.txt.gz");
/// Number of tokens, begin and end tokens included.
pub(super) const TOKEN_COUNT: usize = 49_408;
/// Number of merges in use; the file has more.
const MERGE_COUNT: usize = TOKEN_COUNT - 2 * 256 - 2;
/// The begin and end tokens, which have the two highest ids.
const BEGIN: &str = "<start_of_text>";
const END: &str = "<end_of_text>";
/// The pattern that splits a text into words.
const WORD_PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The tokenizer, for texts that have been cleaned and lower-cased.
pub(super) fn clip() -> Result<Tokenizer, EncoderError> {
    build().map_err(|error| EncoderError::Tokenizer(format!("the built-in vocabulary: {error}")))
}

/// The same vocabulary in transformers' tokenizer, as a `tokenizer.json`.
pub(super) fn byte_pairs() -> Result<Vec<u8>, String> {
    let merges = merges().map_err(|error| error.to_string())?;
    let tokens: HashMap<String, u32> = tokens(&merges, files::CLIP_MARKS).zip(0..).collect();
    let tokens = serde_json::to_vec(&tokens).map_err(|error| error.to_string())?;
    let lines: Vec<String> = merges.iter().map(|(a, b)| format!("{a} {b}")).collect();
    files::byte_pairs(&tokens, lines.join("\n").as_bytes())
}

/// The merges in use.
fn merges() -> Result<Vec<(String, String)>, io::Error> {
    let mut text = String::new();
    GzDecoder::new(MERGES).read_to_string(&mut text)?;
    let pairs = text.lines().skip(1).take(MERGE_COUNT);
    let pairs = pairs.filter_map(|line| line.split_once(' '));
    Ok(pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
}

/// The tokens in the order of their ids: letters, letters at the end of a word, merges, and the marks.
fn tokens(merges: &[(String, String)], marks: [&str; 2]) -> impl Iterator<Item = String> {
    let letters = letters();
    let finals: Vec<String> = letters
        .iter()
        .map(|letter| format!("{letter}</w>"))
        .collect();
    let merged: Vec<String> = merges.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let letters = letters.into_iter().map(String::from);
    let marks = marks.map(str::to_owned);
    letters.chain(finals).chain(merged).chain(marks)
}

fn build() -> Result<Tokenizer, tokenizers::Error> {
    let merges = merges()?;
    let vocabulary: Vocab = tokens(&merges, [BEGIN, END]).zip(0_u32..).collect();
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .end_of_word_suffix("</w>".into())
        .build()?;
    let (begin, end) = (TOKEN_COUNT as u32 - 2, TOKEN_COUNT as u32 - 1);
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(Lowercase))?;
    let words = Split::new(
        SplitPattern::Regex(WORD_PATTERN.into()),
        SplitDelimiterBehavior::Removed,
        true,
    )?;
    let bytes = ByteLevel::new(false, true, false);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![words.into(), bytes.into()])));
    let marks = TemplateProcessing::builder()
        .try_single(format!("{BEGIN} $A {END}"))?
        .special_tokens(vec![(BEGIN, begin), (END, end)])
        .build()?;
    tokenizer.with_post_processor(Some(marks));
    tokenizer.add_special_tokens([AddedToken::from(BEGIN, true), AddedToken::from(END, true)])?;
    Ok(tokenizer)
}

/// GPT-2's `bytes_to_unicode`: a printable character for each byte, in the order of the vocabulary. Printable bytes come first
/// and represent themselves; the others are mapped to characters beyond Latin-1.
fn letters() -> Vec<char> {
    let visible = |b: u32| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let (mut letters, mut moved) = (Vec::with_capacity(256), 0);
    letters.extend((0..256).filter(|&b| visible(b)).filter_map(char::from_u32));
    for _ in (0..256).filter(|&b| !visible(b)) {
        letters.extend(char::from_u32(256 + moved));
        moved += 1;
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_ids_of_the_reference() {
        let tokenizer = clip().unwrap();
        assert_eq!(tokenizer.get_vocab_size(true), TOKEN_COUNT);
        for (token, id) in [
            ("!", 0),
            ("!</w>", 256),
            ("a</w>", 320),
            (BEGIN, 49_406),
            (END, 49_407),
        ] {
            assert_eq!(tokenizer.token_to_id(token), Some(id), "{token}");
        }
    }
}
