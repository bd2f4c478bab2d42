//! Training images: phantoms preprocessed as the program does it, and augmented randomly each time they are used.

use std::collections::BTreeMap;
use std::error::Error;

use medivision_tui::encoder::Towers;
use medivision_tui::encoder::{Preprocess, Tokenizer};
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::phantom::{Anatomy, Finding, PhantomCondition, draw};
use medivision_tui::prompts::PromptSet;
use medivision_tui::scoring::{Logits, Mode, Scorer};
use rand::Rng;
use tch::{Kind, Tensor};

use super::model::{PATCH, SIDE, unit_rows};
use super::pairs::{cell, plan};
use super::statements::{Cell, anatomy_of_set};

/// The findings that the auxiliary head distinguishes.
pub const KINDS: [PhantomCondition; 3] = [
    PhantomCondition::Pneumonia,
    PhantomCondition::Tumor,
    PhantomCondition::Fracture,
];

const PIXELS: usize = (SIDE * SIDE) as usize;

/// Preprocessed grey images, `SIDE × SIDE` bytes each.
pub struct PhantomPool {
    cells: Vec<Cell>,
    bytes: Vec<u8>,
    /// The findings of each image, in pixels of the preprocessed image.
    findings: Vec<Vec<Finding>>,
}

/// A batch of augmented images.
pub struct TrainingBatch {
    /// Normalised, `[batch, 3, SIDE, SIDE]`.
    pub pixels: Tensor,
    /// What each image shows.
    pub cells: Vec<Cell>,
    /// Whether each patch contains each kind of finding, as 0 or 1: `[batch, patches, KINDS]`.
    pub locations: Tensor,
}

impl PhantomPool {
    /// Draws `count` phantoms on all cores.
    pub fn draw(count: usize, seed: u64, preprocess: &Preprocess) -> Result<Self, Box<dyn Error>> {
        let mut bytes = vec![0; count * PIXELS];
        let mut findings = vec![Vec::new(); count];
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = count.div_ceil(threads);
        std::thread::scope(|scope| {
            let parts = bytes
                .chunks_mut(share * PIXELS)
                .zip(findings.chunks_mut(share))
                .enumerate();
            let workers: Vec<_> = parts
                .map(|(part, (bytes, findings))| {
                    scope.spawn(move || {
                        for (index, (slot, places)) in
                            bytes.chunks_mut(PIXELS).zip(findings).enumerate()
                        {
                            *places = prepare(part * share + index, seed, preprocess, slot)
                                .map_err(|e| e.to_string())?;
                        }
                        Ok::<(), String>(())
                    })
                })
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker
                    .join()
                    .map_err(|_| "a drawing thread panicked".to_owned())?
            })
        })?;
        Ok(Self {
            cells: (0..count).map(cell).collect(),
            bytes,
            findings,
        })
    }

    /// A batch of random pairs, augmented.
    pub fn batch(&self, pairs: usize, rng: &mut impl Rng) -> TrainingBatch {
        let mut pixels = Vec::with_capacity(2 * pairs * PIXELS);
        let mut cells = Vec::with_capacity(2 * pairs);
        let mut locations = Vec::new();
        for _ in 0..pairs {
            let first = 2 * rng.random_range(0..self.cells.len() / 2);
            for index in [first, first + 1] {
                let cell = self.cells[index];
                let augmentation = Augmentation::random(cell.0, rng);
                augmentation.pixels(&self.bytes[index * PIXELS..][..PIXELS], rng, &mut pixels);
                augmentation.locations(&self.findings[index], cell.1, &mut locations);
                cells.push(cell);
            }
        }
        let shape = [
            cells.len() as i64,
            (SIDE / PATCH).pow(2),
            KINDS.len() as i64,
        ];
        TrainingBatch {
            pixels: normalised(&pixels),
            cells,
            locations: Tensor::from_slice(&locations).view(shape), // [batch, patches, KINDS]
        }
    }

    /// Images without augmentation: `[range.len(), 3, SIDE, SIDE]`.
    fn without_augmentation(&self, range: std::ops::Range<usize>) -> Tensor {
        let bytes = &self.bytes[range.start * PIXELS..range.end * PIXELS];
        normalised(
            &bytes
                .iter()
                .map(|&byte| f32::from(byte))
                .collect::<Vec<_>>(),
        )
    }
}

/// Draws and preprocesses the phantom of an index into `slot`; returns its findings.
fn prepare(
    index: usize,
    seed: u64,
    preprocess: &Preprocess,
    slot: &mut [u8],
) -> Result<Vec<Finding>, Box<dyn Error>> {
    let plan = plan(index, seed);
    let drawing = draw(&plan);
    let (width, height) = (drawing.width as f32, drawing.height as f32);
    let picture = Picture {
        width: drawing.width,
        height: drawing.height,
        pixels: Pixels::Luma(drawing.to_luma8()),
    };
    let input = preprocess.apply(&picture)?;
    for (to, from) in slot.iter_mut().zip(input.bytes().chunks(3)) {
        *to = from[0];
    }
    let (scale, middle) = (SIDE as f32 / width.min(height), SIDE as f32 / 2.0);
    let moved = |f: &Finding| Finding {
        x: (f.x - width / 2.0) * scale + middle,
        y: (f.y - height / 2.0) * scale + middle,
        radius: f.radius * scale,
    };
    Ok(drawing.findings.iter().map(moved).collect())
}

/// A random augmentation: rotation, zoom, shift, mirroring, window and noise.
struct Augmentation {
    /// The map from augmented to stored pixels around the centre: the columns of a 2 × 2 matrix, and the shift.
    across: [f32; 2],
    down: [f32; 2],
    shift: [f32; 2],
    gain: f32,
    offset: f32,
    noise: f32,
}

impl Augmentation {
    fn random(anatomy: Anatomy, rng: &mut impl Rng) -> Self {
        // A mirrored heart would be a finding of its own.
        let mirror = if anatomy != Anatomy::Chest && rng.random_bool(0.5) {
            -1.0
        } else {
            1.0
        };
        let flip = if anatomy == Anatomy::Limb && rng.random_bool(0.5) {
            -1.0
        } else {
            1.0
        };
        // Some images stay as they are, because rotation blurs them a little.
        let strength = if rng.random_bool(0.2) { 0.0 } else { 1.0 };
        let max_turn: f32 = strength * if anatomy == Anatomy::Limb { 0.20 } else { 0.10 };
        let turn = rng.random_range(-1.0_f32..1.0) * max_turn;
        let zoom = 1.0 + strength * rng.random_range(-0.10_f32..0.08);
        let (cos, sin) = (turn.cos() * zoom, turn.sin() * zoom);
        Self {
            across: [cos * mirror, sin * mirror],
            down: [-sin * flip, cos * flip],
            shift: [0, 1].map(|_| strength * rng.random_range(-5.0_f32..5.0)),
            gain: rng.random_range(0.85..1.15),
            offset: rng.random_range(-14.0..14.0),
            noise: rng.random_range(0.0..6.0),
        }
    }

    /// Appends the augmented pixels of an image to `out`.
    fn pixels(&self, source: &[u8], rng: &mut impl Rng, out: &mut Vec<f32>) {
        let middle = (SIDE - 1) as f32 / 2.0;
        let last = SIDE as usize - 1;
        for y in 0..SIDE {
            let v = y as f32 - middle;
            for x in 0..SIDE {
                let u = x as f32 - middle;
                let stored = |axis: usize| {
                    let at =
                        self.across[axis] * u + self.down[axis] * v + self.shift[axis] + middle;
                    at.clamp(0.0, last as f32)
                };
                let (sx, sy) = (stored(0), stored(1));
                let (left, top) = (sx as usize, sy as usize);
                let (right, below) = ((left + 1).min(last), (top + 1).min(last));
                let (fx, fy) = (sx - left as f32, sy - top as f32);
                let at =
                    |column: usize, row: usize| f32::from(source[row * SIDE as usize + column]);
                let upper = at(left, top) + (at(right, top) - at(left, top)) * fx;
                let lower = at(left, below) + (at(right, below) - at(left, below)) * fx;
                let value = upper + (lower - upper) * fy;
                let grain = self.noise * (f32::from(rng.random::<u8>()) / 128.0 - 1.0);
                out.push((value * self.gain + self.offset + grain).clamp(0.0, 255.0));
            }
        }
    }

    /// Appends for each patch and kind 1 if the finding reaches into the patch, else 0.
    fn locations(&self, findings: &[Finding], condition: PhantomCondition, out: &mut Vec<f32>) {
        let (patch, middle) = (PATCH as f32, SIDE as f32 / 2.0);
        for index in 0..(SIDE / PATCH).pow(2) {
            let (column, row) = (index % (SIDE / PATCH), index / (SIDE / PATCH));
            let (u, v) = (
                (column as f32 + 0.5) * patch - middle,
                (row as f32 + 0.5) * patch - middle,
            );
            let stored = |axis: usize| {
                self.across[axis] * u + self.down[axis] * v + self.shift[axis] + middle
            };
            let (x, y) = (stored(0), stored(1));
            let inside = findings.iter().any(|finding| {
                let (dx, dy, reach) = (finding.x - x, finding.y - y, finding.radius + 0.3 * patch);
                dx * dx + dy * dy < reach * reach
            });
            out.extend(KINDS.iter().map(|&kind| {
                if inside && kind == condition {
                    1.0
                } else {
                    0.0
                }
            }));
        }
    }
}

/// Grey values of 0 to 255 → `[batch, 3, SIDE, SIDE]`, normalised.
fn normalised(values: &[f32]) -> Tensor {
    let grey = Tensor::from_slice(values).view([-1, 1, SIDE, SIDE]); // [batch, 1, SIDE, SIDE]
    ((grey / 255.0 - 0.35) / 0.25).expand([-1, 3, -1, -1], false) // [batch, 3, SIDE, SIDE]
}

/// Accuracy, share of confident verdicts, and confusions on a pool, by prompt set and mode.
pub fn report(
    clip: &Towers,
    tokenizer: &Tokenizer,
    pool: &PhantomPool,
    sets: &[PromptSet],
) -> Result<String, Box<dyn Error>> {
    let _guard = tch::no_grad_guard();
    let mut images = Vec::new();
    for start in (0..pool.cells.len()).step_by(60) {
        let end = (start + 60).min(pool.cells.len());
        let pixels = pool.without_augmentation(start..end); // [batch, 3, SIDE, SIDE]
        images.extend(to_rows(&unit_rows(&clip.image_features(&pixels)?))?);
    }
    let scale = clip.logit_scale().double_value(&[]).exp();
    let mut encode = |texts: &[String]| -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let tokens = texts
            .iter()
            .map(|text| tokenizer.encode(text))
            .collect::<Result<Vec<_>, _>>()?;
        to_rows(&unit_rows(&clip.text_features(&tokens)?))
    };
    let mut lines = Vec::new();
    for set in sets {
        for mode in [Mode::Single, Mode::Multi] {
            let logits = Logits { scale, bias: None };
            let scorer = Scorer::new(set, mode, logits, &mut encode)?;
            let (mut right, mut sure, mut total) = (0, 0, 0);
            let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
            for (image, &(anatomy, condition)) in images.iter().zip(&pool.cells) {
                if anatomy_of_set(&set.name).is_some_and(|of_set| of_set != anatomy) {
                    continue;
                }
                let verdict = scorer.verdict(image);
                total += 1;
                sure += usize::from(verdict.probability >= 0.7);
                if verdict.label == condition.name() {
                    right += 1;
                } else {
                    let key = format!(
                        "{}/{} as {}",
                        anatomy.name(),
                        condition.name(),
                        verdict.label
                    );
                    *wrong.entry(key).or_default() += 1;
                }
            }
            let percent = |n: usize| 100.0 * n as f64 / f64::from(total.max(1) as u32);
            lines.push(format!(
                "{} {mode:?}: {:.1} % right, {:.1} % sure {wrong:?}",
                set.name,
                percent(right),
                percent(sure)
            ));
        }
    }
    Ok(lines.join("\n"))
}

/// Copies the rows of `[n, d]`.
fn to_rows(x: &Tensor) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let (count, width) = x.size2()?;
    let mut flat = vec![0.0_f32; (count * width) as usize];
    let length = flat.len();
    x.to_kind(Kind::Float)
        .contiguous()
        .f_copy_data(&mut flat, length)?;
    Ok(flat.chunks(width as usize).map(<[f32]>::to_vec).collect())
}
