//! An encoder that measures its bare forward pass while the engine uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::encoder::{CutOff, Encoder, EncoderError, ModelCard, PreparedImage, Preprocess};
use crate::engine;

/// Measures the forward pass over one image inside the engine. The speed of a machine changes within seconds, so that passes
/// measured at another time are not comparable with the latencies.
#[derive(Default)]
pub(super) struct ForwardTimer {
    /// Whether batches of one image go through the model a second time, to be measured.
    pub(super) enabled: AtomicBool,
    /// Duration of the last such pass.
    pub(super) nanoseconds: AtomicU64,
}

impl ForwardTimer {
    /// Wraps the encoders that a factory makes.
    pub(super) fn wrap(self: &Arc<Self>, mut factory: engine::Factory) -> engine::Factory {
        let timer = Arc::clone(self);
        Box::new(move || {
            Ok(Box::new(TimedEncoder {
                encoder: factory()?,
                timer: Arc::clone(&timer),
                single: None,
            }))
        })
    }
}

/// An encoder that measures a second pass after each batch of one image.
struct TimedEncoder {
    encoder: Box<dyn Encoder>,
    timer: Arc<ForwardTimer>,
    /// The image of the batch begun last, if it is the only one.
    single: Option<PreparedImage>,
}

impl TimedEncoder {
    /// Measures another pass over the batch, if it is one image and the timer is enabled.
    fn time_pass(&mut self, batch: &[PreparedImage]) -> Result<(), EncoderError> {
        if batch.len() == 1 && self.timer.enabled.load(Ordering::Relaxed) {
            let begun = Instant::now();
            self.encoder.encode_images(batch)?;
            let took = begun.elapsed().as_nanos() as u64;
            self.timer.nanoseconds.store(took, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Encoder for TimedEncoder {
    fn card(&self) -> &ModelCard {
        self.encoder.card()
    }

    fn preprocess(&self) -> Preprocess {
        self.encoder.preprocess()
    }

    fn encode_images(&mut self, batch: &[PreparedImage]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let rows = self.encoder.encode_images(batch)?;
        self.time_pass(batch)?;
        Ok(rows)
    }

    fn begin_pass(
        &mut self,
        batch: &[PreparedImage],
    ) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        self.single = batch.first().filter(|_| batch.len() == 1).cloned();
        self.encoder.begin_pass(batch)
    }

    fn finish_pass(&mut self) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        let rows = self.encoder.finish_pass()?;
        if let Some(input) = self.single.take() {
            self.time_pass(&[input])?;
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
