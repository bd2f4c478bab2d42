//! An upper bound of how much longer a `tokenizer.json` can make a text. Nine replacements of one letter by ten, in sequence,
//! turn ten letters into ten gigabytes, and the library applies them all before it truncates.

use serde::Deserialize;
use serde_json::Value;

/// Maximum growth. The worst tokenizer in use stays far below it: its spaces become three bytes and its bytes two.
pub(super) const MAX_GROWTH: u64 = 100;
/// Maximum length in bytes of a prefix that is added to every text.
const MAX_PREFIX_BYTES: usize = 100;

/// The components that process a text, in their order.
#[derive(Deserialize)]
struct PipelineConfig {
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
}

/// The greatest factor by which a text can become longer. A file that does not parse has growth 1: it fails elsewhere.
pub(super) fn of(json: &[u8]) -> u64 {
    let Ok(parts) = serde_json::from_slice::<PipelineConfig>(json) else {
        return 1;
    };
    [parts.normalizer, parts.pre_tokenizer, parts.post_processor]
        .iter()
        .flatten()
        .map(of_step)
        .fold(1, u64::saturating_mul)
}

fn of_step(step: &Value) -> u64 {
    let list = |key: &str| step[key].as_array().map_or(&[][..], Vec::as_slice);
    let own = match step["type"].as_str() {
        Some("Replace") => of_replacement(step),
        Some("ByteLevel") => 2,
        Some("Prepend") if length(&step["prepend"]) > MAX_PREFIX_BYTES => MAX_GROWTH + 1,
        // The template may contain the text (`$A`) several times.
        Some("TemplateProcessing") => {
            let parts = list("single").iter();
            parts.filter(|part| part.get("Sequence").is_some()).count() as u64
        }
        _ => 1,
    };
    ["normalizers", "pretokenizers", "processors"]
        .into_iter()
        .flat_map(list)
        .map(of_step)
        .fold(own.max(1), u64::saturating_mul)
}

/// A pattern that can match the empty text inserts its replacement between all letters.
fn of_replacement(step: &Value) -> u64 {
    let content = length(&step["content"]);
    match step["pattern"]["String"].as_str() {
        Some(pattern) if !pattern.is_empty() => content.div_ceil(pattern.len()) as u64,
        _ => content as u64 + 1,
    }
}

fn length(text: &Value) -> usize {
    text.as_str().map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn growth(tokenizer: &Value) -> u64 {
        of(tokenizer.to_string().as_bytes())
    }

    fn replace(pattern: &Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    #[test]
    fn the_growth_of_a_chain_is_the_product_of_its_steps() {
        let ten = replace(&json!({"String": "a"}), "aaaaaaaaaa");
        let chain = json!({"type": "Sequence", "normalizers": [ten, ten, {"type": "NFC"}]});
        assert_eq!(growth(&json!({"normalizer": chain})), 100);
        let bytes = json!({"type": "ByteLevel"});
        let both = json!({"type": "Sequence", "pretokenizers": [bytes, bytes]});
        let all = json!({"normalizer": chain, "pre_tokenizer": both, "model": {}});
        assert_eq!(growth(&all), 400);
        let part = json!({"Sequence": {"id": "A", "type_id": 0}});
        let mark = json!({"SpecialToken": {"id": "x", "type_id": 0}});
        let template = json!({"type": "TemplateProcessing", "single": [mark, part, part, part]});
        let twice = json!({"type": "Sequence", "processors": [template, template]});
        assert_eq!(growth(&json!({"post_processor": twice})), 9);
    }

    #[test]
    fn the_growth_of_real_tokenizers_is_small() {
        let spaces = replace(&json!({"Regex": "\\s+"}), " ");
        let mark = replace(&json!({"String": " "}), "\u{2581}");
        let shorter = replace(&json!({"String": "``"}), "\"");
        let chain = json!({"type": "Sequence", "normalizers": [spaces, mark, shorter]});
        assert_eq!(growth(&json!({"normalizer": chain})), 6);
        assert_eq!(of(include_bytes!("../builtin/tokenizer.json")), 1);
        assert_eq!(of(b"no JSON"), 1);
    }
}
