//! Trains the demo model: a small CLIP on phantoms and captions, from random weights, with a fixed seed.
//!
//! ```text
//! cargo run --example train-demo -- DIR [STEPS [EARLIER]]
//! ```
//!
//! writes `config.json`, `tokenizer.json`, `preprocessor_config.json` and `model.safetensors` (f16) to DIR, the weights
//! every five hundred steps, and prints the accuracy on unseen phantoms. EARLIER is the folder of a model trained in this
//! way, from whose weights it continues. The model that ships comes from two runs: one from random weights, and one that
//! continued from it after the fractures had been made easier to see. Copy the four files to `src/encoder/demo/`;
//! `tests/demo.rs` checks whether they are good enough.

mod captions;
mod model;
mod pairs;
mod pool;
mod questions;
mod statements;

use std::error::Error;
use std::path::PathBuf;

use medivision_tui::encoder::Towers;
use medivision_tui::encoder::{Preprocess, Tokenizer, limit_threads};
use medivision_tui::prompts;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::nn::{self, OptimizerConfig};

use captions::Captions;
use pool::PhantomPool;
use questions::Questions;

const SEED: u64 = 20_260_131;
/// Number of phantoms for training.
const TRAINING_COUNT: usize = 18_000;
/// Number of phantoms for validation.
const VALIDATION_COUNT: usize = 420;
/// Pairs of images per step.
const PAIRS_PER_STEP: usize = 16;
/// Weight of the auxiliary loss for the location of findings.
const FINDER_WEIGHT: f64 = 8.0;
/// Default number of steps.
const STEPS: usize = 5_000;
const WARM_UP_STEPS: usize = 200;
const LEARNING_RATE: f64 = 1.0e-3;
const WEIGHT_DECAY: f64 = 0.05;
/// CLIP's own maximum of the factor from cosine to logit.
const MAX_SCALE: f64 = 100.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(
        arguments
            .next()
            .ok_or("usage: train-demo DIR [STEPS [EARLIER]]")?,
    );
    let steps: usize = arguments.next().map_or(Ok(STEPS), |text| text.parse())?;
    std::fs::create_dir_all(&folder)?;
    // With matrices this small, two threads spend more time waiting for each other than they save.
    limit_threads(1);
    tch::manual_seed(SEED as i64);

    let sets = prompts::all(None)?;
    let captions = Captions::new(&sets);
    let tokenizer_json = model::tokenizer_json(&captions.vocabulary());
    let config_json = model::config_json(captions.vocabulary().len());
    std::fs::write(folder.join("tokenizer.json"), &tokenizer_json)?;
    std::fs::write(folder.join("config.json"), &config_json)?;
    std::fs::write(folder.join("preprocessor_config.json"), model::PREPROCESSOR)?;
    let tokenizer = Tokenizer::from_json(tokenizer_json.as_bytes(), model::CONTEXT)?;
    let preprocess = Preprocess::from_json(model::PREPROCESSOR.as_bytes(), &folder)?;

    eprintln!(
        "drawing {TRAINING_COUNT} phantoms; {} words",
        captions.vocabulary().len()
    );
    let pool = PhantomPool::draw(TRAINING_COUNT, SEED, &preprocess)?;
    let unseen = PhantomPool::draw(VALIDATION_COUNT, SEED ^ 0x5EED_0000_0000, &preprocess)?;

    let store = nn::VarStore::new(tch::Device::Cpu);
    let clip = model::build(&store, &config_json)?;
    if let Some(earlier) = arguments.next() {
        model::import(&store, &PathBuf::from(earlier).join("model.safetensors"))?;
    }
    let mut optimizer = nn::AdamW {
        wd: WEIGHT_DECAY,
        beta2: 0.98,
        ..nn::AdamW::default()
    }
    .build(&store, LEARNING_RATE)?;
    let finder_store = nn::VarStore::new(tch::Device::Cpu);
    let finder = model::Finder::new(&finder_store, pool::KINDS.len());
    let mut finder_optimizer = nn::Adam::default().build(&finder_store, LEARNING_RATE)?;
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let started = std::time::Instant::now();
    let mut running = [0.0; 2];
    for step in 0..steps {
        optimizer.set_lr(LEARNING_RATE * schedule(step, steps));
        let batch = pool.batch(PAIRS_PER_STEP, &mut rng);
        let states = clip.image_states(&batch.pixels)?; // [batch, tokens, width]
        let found = finder.loss(&states, &batch.locations); // scalar
        let images = model::unit_rows(&clip.pool(&states)?); // [batch, projection]
        let loss = contrastive_loss(&clip, &tokenizer, &images, &batch.cells, &sets, &mut rng)?; // scalar
        let total = &loss + FINDER_WEIGHT * &found; // scalar
        finder_optimizer.zero_grad();
        optimizer.backward_step_clip_norm(&total, 1.0);
        finder_optimizer.step();
        tch::no_grad(|| {
            let _ = clip
                .logit_scale()
                .shallow_clone()
                .clamp_(0.0, MAX_SCALE.ln());
        });
        running = [
            running[0] + loss.double_value(&[]),
            running[1] + found.double_value(&[]),
        ];
        if (step + 1) % 100 == 0 {
            let scale = clip.logit_scale().double_value(&[]).exp();
            let [loss, found] = running.map(|sum: f64| sum / 100.0);
            let elapsed = started.elapsed().as_secs();
            eprintln!(
                "step {} loss {loss:.3} finder {found:.3} scale {scale:.1} {elapsed} s",
                step + 1
            );
            running = [0.0; 2];
        }
        if (step + 1) % 500 == 0 || step + 1 == steps {
            model::export(&store, &folder.join("model.safetensors"))?;
            eprintln!("{}", pool::report(&clip, &tokenizer, &unseen, &sets)?);
        }
    }
    Ok(())
}

/// The learning rate's factor at a step: linear warm-up, then cosine decay to 0.01.
fn schedule(step: usize, steps: usize) -> f64 {
    let (step, steps) = (step as f64, steps as f64);
    let warm = (step + 1.0) / WARM_UP_STEPS as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * step / steps).cos());
    warm.min(1.0) * (0.01 + 0.99 * cosine)
}

/// The loss of randomly drawn texts against the unit rows `images`, which show `cells`.
fn contrastive_loss(
    clip: &Towers,
    tokenizer: &Tokenizer,
    images: &tch::Tensor,
    cells: &[statements::Cell],
    sets: &[prompts::PromptSet],
    rng: &mut impl Rng,
) -> Result<tch::Tensor, Box<dyn Error>> {
    let questions = Questions::draw(sets, rng);
    let texts = questions
        .texts
        .iter()
        .map(|text| tokenizer.encode(text))
        .collect::<Result<Vec<_>, _>>()?;
    let texts = model::unit_rows(&clip.text_features(&texts)?); // [texts, projection]
    Ok(questions.loss(images, &texts, &clip.logit_scale().exp(), cells)) // scalar
}
