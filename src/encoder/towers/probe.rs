//! Whether a model whose weights look damaged says anything at all.

use super::{DualEncoder, rows, unit};
use crate::encoder::{Encoder, EncoderError, is_direction};
use crate::media::{Picture, Pixels};

/// Between numbers of two embeddings that mean different things.
const MIN_DIFFERENCE: f32 = 1e-3;

impl DualEncoder {
    /// Asks for two images and two texts, and refuses a model that does not tell them apart: it would answer every
    /// question with the first condition.
    pub(super) fn probe(&mut self) -> Result<(), EncoderError> {
        let senseless = |what| Err(EncoderError::Senseless(what));
        let texts = ["a chest X-ray", "bone"].map(|text| self.tokenize(text));
        let [one, other] = texts;
        let features = self.towers.text_features(&[one?, other?])?;
        if !tells_apart(&rows(&unit(&features)?)?) {
            return senseless("every text means the same to it");
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
        if !tells_apart(&self.encode_images(&[one?, other?])?) {
            return senseless("every image looks the same to it");
        }
        Ok(())
    }
}

/// Whether two rows are directions that differ, by more than the order of the arithmetic makes.
fn tells_apart(rows: &[Vec<f32>]) -> bool {
    let [one, other] = rows else { return false };
    let differ = |(a, b): (&f32, &f32)| (a - b).abs() > MIN_DIFFERENCE;
    is_direction(one) && is_direction(other) && one.iter().zip(other).any(differ)
}
