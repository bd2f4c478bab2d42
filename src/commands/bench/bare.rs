//! A model that measures its bare pass, beside the answers that it gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::encoder::{CutOff, Encoder, EncoderError, ModelCard, PreparedImage, Preprocess};
use crate::engine;

/// The model's pass over one picture, measured inside of the engine: what a machine makes of it changes within seconds, and
/// passes measured at another time are not comparable with the answers.
#[derive(Default)]
pub(super) struct Bare {
    /// From now on pictures that come alone go through the model twice.
    pub(super) wanted: AtomicBool,
    /// Nanoseconds of the last second pass.
    pub(super) took: AtomicU64,
}

impl Bare {
    /// Makes models that measure.
    pub(super) fn beside(self: &Arc<Self>, mut factory: engine::Factory) -> engine::Factory {
        let bare = Arc::clone(self);
        Box::new(move || {
            Ok(Box::new(Measured {
                encoder: factory()?,
                bare: Arc::clone(&bare),
                alone: None,
            }))
        })
    }
}

/// A model that measures its pass after each picture that comes alone.
struct Measured {
    encoder: Box<dyn Encoder>,
    bare: Arc<Bare>,
    /// The picture of the pass that was begun last, if it is alone.
    alone: Option<PreparedImage>,
}

impl Measured {
    fn again(&mut self, batch: &[PreparedImage]) -> Result<(), EncoderError> {
        if batch.len() == 1 && self.bare.wanted.load(Ordering::Relaxed) {
            let begun = Instant::now();
            self.encoder.encode_images(batch)?;
            let took = begun.elapsed().as_nanos() as u64;
            self.bare.took.store(took, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Encoder for Measured {
    fn card(&self) -> &ModelCard {
        self.encoder.card()
    }

    fn preprocess(&self) -> Preprocess {
        self.encoder.preprocess()
    }

    fn encode_images(&mut self, batch: &[PreparedImage]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let rows = self.encoder.encode_images(batch)?;
        self.again(batch)?;
        Ok(rows)
    }

    fn begin_pass(
        &mut self,
        batch: &[PreparedImage],
    ) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        self.alone = batch.first().filter(|_| batch.len() == 1).cloned();
        self.encoder.begin_pass(batch)
    }

    fn finish_pass(&mut self) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        let rows = self.encoder.finish_pass()?;
        if let Some(input) = self.alone.take() {
            self.again(&[input])?;
        }
        Ok(rows)
    }

    fn encode_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        self.encoder.encode_texts(texts)
    }

    fn unknown_words(&self, texts: &[String]) -> Vec<String> {
        self.encoder.unknown_words(texts)
    }

    fn cut_off(&self, text: &str) -> Option<CutOff> {
        self.encoder.cut_off(text)
    }
}
