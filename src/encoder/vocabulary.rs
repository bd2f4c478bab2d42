//! CLIP's byte-pair vocabulary (Radford et al. 2021; MIT), for checkpoints that come without a tokenizer file.

use std::io::Read;

use flate2::read::GzDecoder;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::Lowercase;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use super::EncoderError;

/// The merges, a line each behind a heading, as open_clip and OpenAI ship them.
pub(super) const MERGES: &[u8] = include_bytes!("bpe_simple_vocab_16e6.txt.gz");
/// Tokens, the two marks included.
pub(super) const SIZE: usize = 49_408;
/// Merges in use; the file has more.
const COUNT: usize = SIZE - 2 * 256 - 2;
/// The marks, which have the two highest ids.
const BEGIN: &str = "<start_of_text>";
const END: &str = "<end_of_text>";
/// What a word is.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The tokenizer, for texts that are cleaned and in lower case.
pub(super) fn clip() -> Result<Tokenizer, EncoderError> {
    build().map_err(|error| EncoderError::Tokenizer(format!("the built-in vocabulary: {error}")))
}

fn build() -> Result<Tokenizer, tokenizers::Error> {
    let mut text = String::new();
    GzDecoder::new(MERGES).read_to_string(&mut text)?;
    let merges: Vec<(String, String)> = text
        .lines()
        .skip(1)
        .take(COUNT)
        .filter_map(|line| line.split_once(' '))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect();
    let letters = letters();
    let finals = letters.iter().map(|letter| format!("{letter}</w>"));
    let tokens = letters
        .iter()
        .map(char::to_string)
        .chain(finals)
        .chain(merges.iter().map(|(a, b)| format!("{a}{b}")))
        .chain([BEGIN.to_owned(), END.to_owned()]);
    let vocabulary: Vocab = tokens.zip(0_u32..).collect();
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .end_of_word_suffix("</w>".into())
        .build()?;
    let (begin, end) = (SIZE as u32 - 2, SIZE as u32 - 1);
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(Lowercase))?;
    let words = Split::new(
        SplitPattern::Regex(WORDS.into()),
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

/// A visible letter for each byte, in the order of the vocabulary: visible bytes first, which stand for themselves,
/// then the others, moved beyond Latin-1. As GPT-2's `bytes_to_unicode`.
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
    fn the_vocabulary_is_whole_and_in_its_order() {
        let tokenizer = clip().unwrap();
        assert_eq!(tokenizer.get_vocab_size(true), SIZE);
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
