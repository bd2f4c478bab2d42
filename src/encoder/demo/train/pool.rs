//! Phantoms prepared as the program prepares files, varied anew each time they are shown.

use std::collections::BTreeMap;
use std::error::Error;

use medivision_tui::encoder::clip::Clip;
use medivision_tui::encoder::{Preprocess, Tokenizer};
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::phantom::{Anatomy, Condition, Plan, draw};
use medivision_tui::prompts::PromptSet;
use medivision_tui::scoring::{Mode, Scorer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::captions::Cell;
use super::model::{SIDE, unit};
use super::questions::place;

/// Each in equal shares, fractures and chests a little more often: they are the hardest.
const CELLS: [Cell; 9] = [
    (Anatomy::Chest, Condition::Normal),
    (Anatomy::Limb, Condition::Fracture),
    (Anatomy::Chest, Condition::Pneumonia),
    (Anatomy::Head, Condition::Tumor),
    (Anatomy::Limb, Condition::Normal),
    (Anatomy::Chest, Condition::Tumor),
    (Anatomy::Head, Condition::Normal),
    (Anatomy::Limb, Condition::Fracture),
    (Anatomy::Limb, Condition::Normal),
];

const PIXELS: usize = (SIDE * SIDE) as usize;

/// Prepared grey pictures, `SIDE × SIDE` bytes each.
pub struct Pool {
    cells: Vec<Cell>,
    bytes: Vec<u8>,
}

/// Normalised pixels `[batch, 3, SIDE, SIDE]` and what they show.
pub struct Batch {
    pub pixels: Tensor,
    pub cells: Vec<Cell>,
}

impl Pool {
    /// Draws `count` phantoms on all cores.
    pub fn draw(count: usize, seed: u64, preprocess: &Preprocess) -> Result<Self, Box<dyn Error>> {
        let mut bytes = vec![0; count * PIXELS];
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = count.div_ceil(threads);
        std::thread::scope(|scope| {
            let workers: Vec<_> = bytes
                .chunks_mut(share * PIXELS)
                .enumerate()
                .map(|(part, chunk)| {
                    scope.spawn(move || {
                        chunk.chunks_mut(PIXELS).enumerate().try_for_each(|(index, slot)| {
                            prepare(part * share + index, seed, preprocess, slot).map_err(|error| error.to_string())
                        })
                    })
                })
                .collect();
            workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a drawing thread panicked".to_owned())?)
        })?;
        let cells = (0..count).map(|index| CELLS[index % CELLS.len()]).collect();
        Ok(Self { cells, bytes })
    }

    /// `count` of them at random, varied.
    pub fn batch(&self, count: usize, rng: &mut impl Rng) -> Batch {
        let mut pixels = Vec::with_capacity(count * PIXELS);
        let mut cells = Vec::with_capacity(count);
        for _ in 0..count {
            let index = rng.random_range(0..self.cells.len());
            cells.push(self.cells[index]);
            vary(&self.bytes[index * PIXELS..][..PIXELS], self.cells[index].0, rng, &mut pixels);
        }
        Batch { pixels: normalised(&pixels), cells }
    }

    fn as_is(&self, range: std::ops::Range<usize>) -> Tensor {
        let bytes = &self.bytes[range.start * PIXELS..range.end * PIXELS];
        normalised(&bytes.iter().map(|&byte| f32::from(byte)).collect::<Vec<_>>())
    }
}

fn prepare(index: usize, seed: u64, preprocess: &Preprocess, slot: &mut [u8]) -> Result<(), Box<dyn Error>> {
    let (anatomy, condition) = CELLS[index % CELLS.len()];
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(index as u64));
    let short = rng.random_range(130.0_f32..270.0);
    let long = short * rng.random_range(1.0_f32..1.14);
    let (width, height) = if rng.random_bool(0.5) { (short, long) } else { (long, short) };
    let level = if rng.random_bool(0.5) { rng.random_range(-1.0..1.0) } else { 0.0 };
    let plan = Plan { anatomy, condition, seed: rng.random(), width: width as u32, height: height as u32, level };
    let drawing = draw(&plan);
    let picture = Picture { width: drawing.width, height: drawing.height, pixels: Pixels::Luma(drawing.to_luma8()) };
    let input = preprocess.apply(&picture)?;
    for (to, from) in slot.iter_mut().zip(input.bytes().chunks(3)) {
        *to = from[0];
    }
    Ok(())
}

/// Shift, mirror, window and noise.
fn vary(source: &[u8], anatomy: Anatomy, rng: &mut impl Rng, out: &mut Vec<f32>) {
    const REACH: i64 = 3;
    let (dx, dy) = (rng.random_range(-REACH..=REACH), rng.random_range(-REACH..=REACH));
    // A heart on the wrong side would be a finding of its own.
    let mirror = anatomy != Anatomy::Chest && rng.random_bool(0.5);
    let upside_down = anatomy == Anatomy::Limb && rng.random_bool(0.5);
    let gain = rng.random_range(0.85_f32..1.15);
    let offset = rng.random_range(-14.0_f32..14.0);
    let noise = rng.random_range(0.0_f32..8.0);
    for y in 0..SIDE {
        let from = (if upside_down { SIDE - 1 - y } else { y } + dy).clamp(0, SIDE - 1);
        for x in 0..SIDE {
            let column = (if mirror { SIDE - 1 - x } else { x } + dx).clamp(0, SIDE - 1);
            let value = f32::from(source[(from * SIDE + column) as usize]);
            let grain = noise * (rng.random::<u8>() as f32 / 128.0 - 1.0);
            out.push((value * gain + offset + grain).clamp(0.0, 255.0));
        }
    }
}

fn normalised(values: &[f32]) -> Tensor {
    let grey = Tensor::from_slice(values).view([-1, 1, SIDE, SIDE]);
    ((grey / 255.0 - 0.35) / 0.25).expand([-1, 3, -1, -1], false)
}

/// Accuracy, confidence and calibration on a pool, per shipped set and mode.
pub fn report(clip: &Clip, tokenizer: &Tokenizer, pool: &Pool, sets: &[PromptSet]) -> Result<String, Box<dyn Error>> {
    let _guard = tch::no_grad_guard();
    let mut pictures = Vec::new();
    for start in (0..pool.cells.len()).step_by(60) {
        let end = (start + 60).min(pool.cells.len());
        pictures.extend(rows(&unit(&clip.image_features(&pool.as_is(start..end))?))?);
    }
    let scale = clip.logit_scale().double_value(&[]).exp();
    let mut encode = |texts: &[String]| -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let tokens = texts.iter().map(|text| tokenizer.encode(text)).collect::<Result<Vec<_>, _>>()?;
        rows(&unit(&clip.text_features(&tokens)?))
    };
    let mut lines = Vec::new();
    for set in sets {
        for mode in [Mode::Single, Mode::Multi] {
            let scorer = Scorer::new(set, mode, scale, &mut encode)?;
            let (mut right, mut sure, mut total) = (0, 0, 0);
            let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
            for (picture, &(anatomy, condition)) in pictures.iter().zip(&pool.cells) {
                if place(&set.name).is_some_and(|place| place != anatomy) {
                    continue;
                }
                let verdict = scorer.verdict(picture);
                total += 1;
                sure += usize::from(verdict.probability >= 0.7);
                if verdict.label == condition.name() {
                    right += 1;
                } else {
                    let key = format!("{}/{} as {}", anatomy.name(), condition.name(), verdict.label);
                    *wrong.entry(key).or_default() += 1;
                }
            }
            let percent = |n: usize| 100.0 * n as f64 / f64::from(total.max(1) as u32);
            lines.push(format!("{} {mode:?}: {:.1} % right, {:.1} % sure {wrong:?}", set.name, percent(right), percent(sure)));
        }
    }
    Ok(lines.join("\n"))
}

fn rows(x: &Tensor) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let (count, width) = x.size2()?;
    let mut flat = vec![0.0_f32; (count * width) as usize];
    let length = flat.len();
    x.to_kind(Kind::Float).contiguous().f_copy_data(&mut flat, length)?;
    Ok(flat.chunks(width as usize).map(<[f32]>::to_vec).collect())
}
