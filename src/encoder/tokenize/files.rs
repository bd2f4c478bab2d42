//! The files that older repositories have instead of a `tokenizer.json`, converted to one as transformers converts them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost::Message;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::encoder::layout::MERGES;

/// A word of BERT's that is longer than this many characters is unknown.
const MAX_WORD_LENGTH: usize = 100;

/// The keys of `tokenizer_config.json` that a `vocab.txt` depends on, with BERT's defaults.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(in crate::encoder) struct WordPieceConfig {
    do_lower_case: bool,
    tokenize_chinese_chars: bool,
    strip_accents: Option<bool>,
}

impl Default for WordPieceConfig {
    fn default() -> Self {
        Self {
            do_lower_case: true,
            tokenize_chinese_chars: true,
            strip_accents: None,
        }
    }
}

/// BERT's tokenizer for the vocabulary of a `vocab.txt`: one token per line, its id the number of the line.
pub(in crate::encoder) fn word_pieces(
    vocabulary: &[u8],
    config: &WordPieceConfig,
) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(vocabulary).map_err(|e| e.to_string())?;
    let ids: HashMap<&str, usize> = text.lines().map(str::trim_end).zip(0..).collect();
    let id = |token: &str| {
        let id = ids.get(token);
        id.copied()
            .ok_or_else(|| format!("it has no token {token}"))
    };
    id("[UNK]")?;
    let special = |token: &str, id: usize| json!({"id": token, "ids": [id], "tokens": [token]});
    let (first, last) = (id("[CLS]")?, id("[SEP]")?);
    let names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let added: Vec<Value> = names
        .into_iter()
        .filter_map(|name| Some(added_token(name, *ids.get(name)?)))
        .collect();
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": config.tokenize_chinese_chars,
            "strip_accents": config.strip_accents, "lowercase": config.do_lower_case,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": special("[CLS]", first), "[SEP]": special("[SEP]", last)},
        },
        "decoder": null,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": MAX_WORD_LENGTH, "vocab": ids,
        },
    });
    Ok(tokenizer.to_string().into_bytes())
}

fn added_token(content: &str, id: usize) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": true,
    })
}

/// CLIP's pattern that splits a text into words, as transformers has it.
const CLIP_WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// CLIP's begin and end tokens, as transformers names them.
pub(in crate::encoder) const CLIP_MARKS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];

/// CLIP's tokenizer of transformers for the vocabulary of a `vocab.json` and the merges of a `merges.txt`: a heading, then a merge
/// a line.
pub(in crate::encoder) fn byte_pairs(vocabulary: &[u8], merges: &[u8]) -> Result<Vec<u8>, String> {
    let tokens: HashMap<String, u32> =
        serde_json::from_slice(vocabulary).map_err(|e| e.to_string())?;
    let text = std::str::from_utf8(merges).map_err(|e| format!("{MERGES}: {e}"))?;
    let lines = text.lines().filter(|line| !line.starts_with("#version"));
    let merges: Vec<[&str; 2]> = lines
        .filter_map(|line| line.trim_end().split_once(' ').map(|(a, b)| [a, b]))
        .collect();
    let id = |token: &str| {
        let id = tokens.get(token);
        id.copied()
            .ok_or_else(|| format!("it has no token {token}"))
    };
    let [first, last] = CLIP_MARKS;
    let (first_id, last_id) = (id(first)?, id(last)?);
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [added_token(first, first_id as usize), added_token(last, last_id as usize)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": CLIP_WORDS}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": {
            "type": "RobertaProcessing", "sep": [last, last_id], "cls": [first, first_id], "trim_offsets": false,
            "add_prefix_space": false,
        },
        "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": last, "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "vocab": tokens, "merges": merges,
        },
    });
    Ok(tokenizer.to_string().into_bytes())
}

/// SentencePiece's model file; see `sentencepiece_model.proto`.
#[derive(Clone, PartialEq, Message)]
struct SentencePieceModel {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<SentencePiece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<NormalizerSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct SentencePiece {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(float, tag = "2")]
    score: f32,
    /// 2 marks the unknown token.
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrainerSpec {
    /// 1 is Unigram, the default.
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct NormalizerSpec {
    #[prost(bytes = "vec", tag = "2")]
    characters: Vec<u8>,
}

/// SigLIP's tokenizer for a `spiece.model`, for texts that have been cleaned.
pub(in crate::encoder) fn sentence_pieces(file: &[u8]) -> Result<Vec<u8>, String> {
    const UNIGRAM: i32 = 1;
    const UNKNOWN: i32 = 2;
    const END: &str = "</s>";
    let model = SentencePieceModel::decode(file)
        .map_err(|e| format!("is not a model of SentencePiece: {e}"))?;
    let trainer = model.trainer.unwrap_or_default();
    if let Some(kind) = trainer.model_type.filter(|&kind| kind != UNIGRAM) {
        return Err(format!(
            "is a SentencePiece model of type {kind}; only Unigram (1) is supported"
        ));
    }
    let position = |wanted: &dyn Fn(&SentencePiece) -> bool| model.pieces.iter().position(wanted);
    let unknown = position(&|piece| piece.kind == Some(UNKNOWN));
    let unknown = unknown.ok_or("has no token for what is unknown")?;
    let end = position(&|piece| piece.text == END).ok_or("has no token </s>")?;
    let vocabulary: Vec<Value> = model
        .pieces
        .iter()
        .map(|piece| json!([piece.text, piece.score]))
        .collect();
    let mut steps = Vec::new();
    let characters = model.normalizer.unwrap_or_default().characters;
    if !characters.is_empty() {
        steps.push(
            json!({"type": "Precompiled", "precompiled_charsmap": BASE64.encode(characters)}),
        );
    }
    steps.push(json!({"type": "Strip", "strip_left": true, "strip_right": true}));
    steps.push(json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}));
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [added_token(END, end)],
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": END, "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {END: {"id": END, "ids": [end], "tokens": [END]}},
        },
        "decoder": null,
        "model": {
            "type": "Unigram", "unk_id": unknown, "vocab": vocabulary,
            "byte_fallback": trainer.byte_fallback.unwrap_or(false),
        },
    });
    Ok(tokenizer.to_string().into_bytes())
}

/// A `tokenizer.json` that adds these tokens before and after each text, and no others.
pub(in crate::encoder) fn with_marks(
    json: &[u8],
    first: Option<String>,
    last: Option<String>,
) -> Result<Vec<u8>, String> {
    let mut tokenizer: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let mut special = serde_json::Map::new();
    for token in first.iter().chain(&last) {
        let added = tokenizer["added_tokens"].as_array();
        let mut added = added.into_iter().flatten();
        let found = added.find(|added| added["content"] == **token);
        let id = found.map_or(&tokenizer["model"]["vocab"][token], |added| &added["id"]);
        let id = id
            .as_u64()
            .ok_or_else(|| format!("the vocabulary has no {token}"))?;
        special.insert(
            token.clone(),
            json!({"id": token, "ids": [id], "tokens": [token]}),
        );
    }
    let mark = |token| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let single: Vec<Value> = first
        .into_iter()
        .map(mark)
        .chain([text("A")])
        .chain(last.into_iter().map(mark))
        .collect();
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": single,
        "pair": [text("A"), text("B")],
        "special_tokens": special,
    });
    Ok(tokenizer.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Tokenizer;

    #[test]
    fn a_vocabulary_file_reads_words_as_bert_does() {
        let vocabulary = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nchest\nx\n##ray\n-\n";
        let json = word_pieces(vocabulary, &WordPieceConfig::default()).unwrap();
        let tokenizer = Tokenizer::from_json(&json, 16).unwrap();
        let ids = |text: &str| tokenizer.encode(text).unwrap().ids;
        assert_eq!(ids("Chest X-xray"), [2, 4, 5, 7, 5, 6, 3]);
        assert_eq!(ids("skull"), [2, 1, 3]);
        let cased = WordPieceConfig {
            do_lower_case: false,
            ..WordPieceConfig::default()
        };
        let json = word_pieces(vocabulary, &cased).unwrap();
        let tokenizer = Tokenizer::from_json(&json, 16).unwrap();
        assert_eq!(tokenizer.encode("Chest").unwrap().ids, [2, 1, 3]);
    }

    #[test]
    fn tokens_and_merges_read_words_as_clip_does() {
        let tokens = br#"{"a": 0, "b": 1, "a</w>": 2, "b</w>": 3, "ab</w>": 4, "<|startoftext|>": 5, "<|endoftext|>": 6}"#;
        let json = byte_pairs(tokens, b"#version: 0.2\na b</w>\n").unwrap();
        let tokenizer = Tokenizer::from_json(&json, 16).unwrap();
        let ids = |text: &str| tokenizer.encode(text).unwrap().ids;
        assert_eq!(ids("AB  b"), [5, 4, 3, 6]);
        assert_eq!(ids("ba"), [5, 1, 2, 6]);
        let reason = byte_pairs(br#"{"a": 0}"#, b"").unwrap_err();
        assert!(reason.contains("<|startoftext|>"), "{reason}");
        assert!(byte_pairs(b"[]", b"").is_err());
    }

    #[test]
    fn damaged_files_are_refused_with_a_reason() {
        let config = WordPieceConfig::default();
        let reason = word_pieces(b"a\nb\n", &config).unwrap_err();
        assert!(reason.contains("[UNK]"), "{reason}");
        assert!(word_pieces(b"\xff\xfe", &config).is_err());
        assert!(sentence_pieces(b"\xff\xff\xff").is_err());
        let empty = sentence_pieces(b"").unwrap_err();
        assert!(empty.contains("unknown"), "{empty}");
    }
}
