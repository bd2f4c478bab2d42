//! What the weights of an open_clip model do not say of its BERT: heads, activation, ε. open_clip itself loads these from the hub, by
//! the name of the text tower.

use serde::Deserialize;
use serde_json::Value;

use super::HEAD_WIDTH;
use crate::encoder::layers::Activation;

/// The width of MiniLM and of the models distilled from it, which have 12 heads of 32.
const MINI_WIDTH: i64 = 384;

/// Parts of names of models that have BERT's tensor names but number positions from `pad_token_id` + 1 on (Liu et al. 2019).
const ROBERTA_NAMES: [&str; 3] = ["roberta", "camembert", "xlm"];

/// Parts of names of BERTs whose heads are not [`HEAD_WIDTH`] wide.
const NARROW_NAMES: [&str; 3] = ["minilm", "xtremedistil", "tinybert"];

/// The keys of a BERT's `config.json` that its weights do not show; `None` where it does not say.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::encoder) struct BertConfig {
    model_type: Option<String>,
    num_attention_heads: Option<i64>,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f64>,
    position_embedding_type: Option<String>,
}

/// What a `config.json` beside `open_clip_config.json` says of the text tower: at its top level, or in `text_config`, if that is a BERT's.
/// open_clip does not read this file, and in many repositories it belongs to another model (timm's, or the same in transformers' terms).
pub(super) fn described_beside(json: &[u8]) -> BertConfig {
    let Ok(whole) = serde_json::from_slice::<Value>(json) else {
        return BertConfig::default();
    };
    let is_bert = |config: &&Value| config.get("model_type").is_some_and(|kind| kind == "bert");
    let nested = whole.get("text_config").filter(is_bert);
    let found = nested.or_else(|| Some(&whole).filter(is_bert));
    let read = found.and_then(|config| BertConfig::deserialize(config).ok());
    read.unwrap_or_default()
}

fn roberta(name: &str) -> String {
    format!("the text tower `{name}` is not a BERT but a RoBERTa, which is not supported")
}

/// The numbers with which a BERT computes.
#[derive(Debug, PartialEq)]
pub(super) struct BertArithmetic {
    pub(super) heads: i64,
    pub(super) activation: Activation,
    pub(super) eps: f64,
}

impl BertConfig {
    /// What this says, and where it says nothing, what `other` does.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            model_type: self.model_type.or(other.model_type),
            num_attention_heads: self.num_attention_heads.or(other.num_attention_heads),
            hidden_act: self.hidden_act.or(other.hidden_act),
            layer_norm_eps: self.layer_norm_eps.or(other.layer_norm_eps),
            position_embedding_type: self
                .position_embedding_type
                .or(other.position_embedding_type),
        }
    }

    /// Refuses what is no BERT by its type or name, or has positions of another kind.
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        let name = name.to_lowercase();
        if let Some(kind) = self.model_type.as_deref().filter(|kind| *kind != "bert") {
            return Err(format!(
                "a text tower of the type `{kind}` is not supported"
            ));
        }
        if ROBERTA_NAMES.iter().any(|part| name.contains(part)) {
            return Err(roberta(&name));
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => Ok(()),
            Some(other) => Err(format!(
                "position_embedding_type `{other}` is not supported"
            )),
        }
    }

    /// How the BERT named `name` computes: `width` is the length of its token states, `segments` the number of its token types. What
    /// is not stated is BERT's usual value, if it is known to be that; an error says what is not supported.
    pub(super) fn arithmetic(
        &self,
        name: &str,
        width: i64,
        segments: i64,
    ) -> Result<BertArithmetic, String> {
        self.check(name)?;
        let name = name.to_lowercase();
        // RoBERTa has one type of tokens, BERT two.
        if segments < 2 {
            return Err(roberta(&name));
        }
        let is_narrow = NARROW_NAMES.iter().any(|part| name.contains(part));
        let is_usual = width % HEAD_WIDTH == 0 && width != MINI_WIDTH && !is_narrow;
        let heads = match self.num_attention_heads {
            Some(heads) if heads > 0 && width % heads == 0 => heads,
            Some(heads) => return Err(format!("{heads} heads do not divide a width of {width}")),
            None if is_usual => width / HEAD_WIDTH,
            None => {
                return Err(format!(
                    "the number of heads of the text tower `{name}`, {width} wide, is not known; put its `config.json` beside \
                     open_clip_config.json"
                ));
            }
        };
        let activation = Activation::parse(self.hidden_act.as_deref().unwrap_or("gelu"));
        Ok(BertArithmetic {
            heads,
            activation: activation.map_err(|error| error.to_string())?,
            eps: self.layer_norm_eps.unwrap_or(1e-12),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> BertConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_bert_of_the_usual_shape_needs_no_configuration() {
        for (name, width) in [("microsoft/BiomedNLP-BiomedBERT-base", 768), ("bert", 1024)] {
            let found = BertConfig::default().arithmetic(name, width, 2).unwrap();
            let usual = BertArithmetic {
                heads: width / 64,
                activation: Activation::Gelu,
                eps: 1e-12,
            };
            assert_eq!(found, usual, "{name}");
        }
    }

    #[test]
    fn what_a_configuration_states_is_followed() {
        let stated = config(r#"{"num_attention_heads": 12, "hidden_act": "gelu_pytorch_tanh"}"#);
        let beside = config(r#"{"num_attention_heads": 3, "layer_norm_eps": 1e-5}"#);
        let found = stated.or(beside).arithmetic("MiniLM", 384, 2).unwrap();
        let expected = BertArithmetic {
            heads: 12,
            activation: Activation::GeluTanh,
            eps: 1e-5,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_configuration_beside_it_is_read_where_it_is_of_the_text_tower() {
        let heads = |json: &str| described_beside(json.as_bytes()).num_attention_heads;
        assert_eq!(
            heads(r#"{"model_type": "bert", "num_attention_heads": 12}"#),
            Some(12)
        );
        assert_eq!(
            heads(
                r#"{"model_type": "clip", "text_config": {"model_type": "bert", "num_attention_heads": 6}}"#
            ),
            Some(6)
        );
        for foreign in [
            r#"{"architecture": "vit_base_patch16_224", "num_attention_heads": 4}"#,
            r#"{"model_type": "clip", "text_config": {"num_attention_heads": 6}}"#,
            r#"{"model_type": "clip", "text_config": {"model_type": "clip_text_model", "num_attention_heads": 6}}"#,
            r#"{"model_type": "clip", "num_attention_heads": 6}"#,
            r#"{"text_config": 3}"#,
            "not JSON",
        ] {
            assert_eq!(heads(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_tower_that_would_be_misread_is_refused_by_what_is_wrong() {
        for (json, name, width, segments, named) in [
            ("{}", "xlm-roberta-base", 768, 2, "RoBERTa"),
            ("{}", "almanach/camembert-base", 768, 2, "RoBERTa"),
            ("{}", "vinai/bertweet-base", 768, 1, "RoBERTa"),
            (
                r#"{"model_type": "roberta"}"#,
                "x",
                768,
                2,
                "type `roberta`",
            ),
            ("{}", "nreimers/MiniLM-L6-H384", 384, 2, "number of heads"),
            ("{}", "BAAI/bge-small-en", 384, 2, "number of heads"),
            (
                "{}",
                "microsoft/xtremedistil-l6-h256",
                256,
                2,
                "number of heads",
            ),
            ("{}", "bert-base-uncased", 96, 2, "number of heads"),
            (r#"{"num_attention_heads": 5}"#, "x", 96, 2, "5 heads"),
            (r#"{"hidden_act": "relu"}"#, "x", 768, 2, "`relu`"),
            (
                r#"{"position_embedding_type": "relative_key"}"#,
                "x",
                768,
                2,
                "`relative_key`",
            ),
        ] {
            let reason = config(json).arithmetic(name, width, segments).unwrap_err();
            assert!(reason.contains(named), "{json} {name}: {reason}");
        }
    }
}
