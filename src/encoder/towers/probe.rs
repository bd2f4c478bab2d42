//! The check of a model whose weights look damaged: it must tell two images, and two texts, apart.

use super::{DualEncoder, to_rows, unit_rows};
use crate::encoder::{Encoder, EncoderError, is_direction};
use crate::media::{Picture, Pixels};

/// Least difference, in at least one component, of two embeddings that count as different: more than rounding causes.
const MIN_DIFFERENCE: f32 = 1e-3;

impl DualEncoder {
    /// Encodes two texts and two images, and refuses a model that gives both the same embedding: it would assign the first
    /// condition to every image.
    pub(super) fn check_discrimination(&mut self) -> Result<(), EncoderError> {
        let senseless = |what| Err(EncoderError::Senseless(what));
        let texts = ["a chest X-ray", "bone"].map(|text| self.tokenize(text));
        let [one, other] = texts;
        let features = self.towers.text_features(&[one?, other?])?; // [2, d]
        if !are_distinct(&to_rows(&unit_rows(&features)?)?) {
            return senseless("it gives every text the same embedding");
        }
        let images = [32_u32, 5].map(|step| {
            let bytes = (0..64 * 64_u32)
                .map(|n| (n * step / 4 % 251) as u8)
                .collect();
            let picture = Picture {
                width: 64,
                height: 64,
                pixels: Pixels::Luma(bytes),
            };
            self.preprocess.apply(&picture)
        });
        let [one, other] = images;
        if !are_distinct(&self.encode_images(&[one?, other?])?) {
            return senseless("it gives every image the same embedding");
        }
        Ok(())
    }
}

/// Whether `rows` are two valid embeddings that differ by at least [`MIN_DIFFERENCE`].
fn are_distinct(rows: &[Vec<f32>]) -> bool {
    let [one, other] = rows else { return false };
    let differ = |(a, b): (&f32, &f32)| (a - b).abs() > MIN_DIFFERENCE;
    is_direction(one) && is_direction(other) && one.iter().zip(other).any(differ)
}
