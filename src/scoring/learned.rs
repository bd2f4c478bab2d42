//! What reviews taught about conditions: for each a direction and a gate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest length of an embedding.
const MAX_NUMBERS: usize = 1 << 16;

/// What reviews taught about one condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedCondition {
    /// The condition's name.
    pub condition: String,
    /// The share of the learned logit γ, from 0 to 1; the rest is that of the texts.
    pub gate: f64,
    /// The learned logit of an image is `scale × direction · embedding`.
    pub direction: Direction,
}

/// A direction among embeddings; stored as base64 of its numbers (f32, little endian).
#[derive(Clone, Debug, PartialEq)]
pub struct Direction(pub Vec<f32>);

impl From<Vec<f32>> for Direction {
    fn from(numbers: Vec<f32>) -> Self {
        Self(numbers)
    }
}

impl Serialize for Direction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self
            .0
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Direction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|n| f32::from_le_bytes(*n)).collect();
        let is_sound = rest.is_empty()
            && !numbers.is_empty()
            && numbers.len() <= MAX_NUMBERS
            && numbers.iter().all(|number| number.is_finite());
        if is_sound {
            Ok(Self(numbers))
        } else {
            Err(D::Error::custom(
                "a direction is not a list of finite numbers",
            ))
        }
    }
}
