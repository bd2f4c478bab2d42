//! Phantoms prepared as the program prepares files, varied anew each time they are shown.

use std::collections::BTreeMap;
use std::error::Error;

use medivision_tui::encoder::Towers;
use medivision_tui::encoder::{Preprocess, Tokenizer};
use medivision_tui::media::{Picture, Pixels};
use medivision_tui::phantom::{Anatomy, Condition, Finding, Plan, draw};
use medivision_tui::prompts::PromptSet;
use medivision_tui::scoring::{Logits, Mode, Scorer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::captions::Cell;
use super::model::{PATCH, SIDE, unit};
use super::questions::place;

/// Drawn in pairs of one patient that differ in the finding alone: what tells them apart is nothing else. Limbs come
/// more often, for fractures are the hardest.
const PAIRS: [(Anatomy, [Condition; 2]); 9] = [
    (Anatomy::Limb, [Condition::Normal, Condition::Fracture]),
    (Anatomy::Chest, [Condition::Normal, Condition::Pneumonia]),
    (Anatomy::Limb, [Condition::Normal, Condition::Fracture]),
    (Anatomy::Head, [Condition::Normal, Condition::Tumor]),
    (Anatomy::Chest, [Condition::Normal, Condition::Tumor]),
    (Anatomy::Limb, [Condition::Normal, Condition::Fracture]),
    (Anatomy::Chest, [Condition::Pneumonia, Condition::Tumor]),
    (Anatomy::Head, [Condition::Normal, Condition::Tumor]),
    (Anatomy::Limb, [Condition::Normal, Condition::Fracture]),
];

/// Findings that are looked for in each patch.
pub const KINDS: [Condition; 3] = [Condition::Pneumonia, Condition::Tumor, Condition::Fracture];

fn cell(index: usize) -> Cell {
    let (anatomy, conditions) = PAIRS[index / 2 % PAIRS.len()];
    (anatomy, conditions[index % 2])
}

const PIXELS: usize = (SIDE * SIDE) as usize;

/// Prepared grey pictures, `SIDE × SIDE` bytes each.
pub struct Pool {
    cells: Vec<Cell>,
    bytes: Vec<u8>,
    /// Discs in pixels of the prepared pictures.
    findings: Vec<Vec<Finding>>,
}

/// Normalised pixels `[batch, 3, SIDE, SIDE]`, what they show, and where: `[batch, patches, KINDS]` of 0 and 1.
pub struct Batch {
    pub pixels: Tensor,
    pub cells: Vec<Cell>,
    pub places: Tensor,
}

impl Pool {
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

    /// `pairs` pairs at random, varied.
    pub fn batch(&self, pairs: usize, rng: &mut impl Rng) -> Batch {
        let mut pixels = Vec::with_capacity(2 * pairs * PIXELS);
        let mut cells = Vec::with_capacity(2 * pairs);
        let mut places = Vec::new();
        for _ in 0..pairs {
            let first = 2 * rng.random_range(0..self.cells.len() / 2);
            for index in [first, first + 1] {
                let cell = self.cells[index];
                let variation = Variation::roll(cell.0, rng);
                variation.pixels(&self.bytes[index * PIXELS..][..PIXELS], rng, &mut pixels);
                variation.places(&self.findings[index], cell.1, &mut places);
                cells.push(cell);
            }
        }
        let shape = [
            cells.len() as i64,
            (SIDE / PATCH).pow(2),
            KINDS.len() as i64,
        ];
        Batch {
            pixels: normalised(&pixels),
            cells,
            places: Tensor::from_slice(&places).view(shape),
        }
    }

    fn as_is(&self, range: std::ops::Range<usize>) -> Tensor {
        let bytes = &self.bytes[range.start * PIXELS..range.end * PIXELS];
        normalised(
            &bytes
                .iter()
                .map(|&byte| f32::from(byte))
                .collect::<Vec<_>>(),
        )
    }
}

fn prepare(
    index: usize,
    seed: u64,
    preprocess: &Preprocess,
    slot: &mut [u8],
) -> Result<Vec<Finding>, Box<dyn Error>> {
    let (anatomy, condition) = cell(index);
    // Both of a pair have the same patient.
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(index as u64 / 2));
    let short = rng.random_range(130.0_f32..270.0);
    let long = short * rng.random_range(1.0_f32..1.14);
    let (width, height) = if rng.random_bool(0.5) {
        (short, long)
    } else {
        (long, short)
    };
    let level = if rng.random_bool(0.5) {
        rng.random_range(-1.0..1.0)
    } else {
        0.0
    };
    let plan = Plan {
        anatomy,
        condition,
        seed: rng.random(),
        width: width as u32,
        height: height as u32,
        level,
    };
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

/// A turn, a zoom, a shift, a mirror, a window and noise: the pool is shown many times and never twice alike.
struct Variation {
    /// From shown to stored pixels, about the centre: columns of a 2 × 2 matrix, then the shift.
    across: [f32; 2],
    down: [f32; 2],
    shift: [f32; 2],
    gain: f32,
    offset: f32,
    noise: f32,
}

impl Variation {
    fn roll(anatomy: Anatomy, rng: &mut impl Rng) -> Self {
        // A heart on the wrong side would be a finding of its own.
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
        // Some are shown as they are: turning blurs a little.
        let strength = if rng.random_bool(0.2) { 0.0 } else { 1.0 };
        let reach: f32 = strength * if anatomy == Anatomy::Limb { 0.20 } else { 0.10 };
        let turn = rng.random_range(-1.0_f32..1.0) * reach;
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

    fn pixels(&self, source: &[u8], rng: &mut impl Rng, out: &mut Vec<f32>) {
        let middle = (SIDE - 1) as f32 / 2.0;
        let last = SIDE as usize - 1;
        for y in 0..SIDE {
            let v = y as f32 - middle;
            for x in 0..SIDE {
                let u = x as f32 - middle;
                let place = |axis: usize| {
                    let at =
                        self.across[axis] * u + self.down[axis] * v + self.shift[axis] + middle;
                    at.clamp(0.0, last as f32)
                };
                let (sx, sy) = (place(0), place(1));
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

    /// For each patch and kind, whether the finding reaches into it.
    fn places(&self, findings: &[Finding], condition: Condition, out: &mut Vec<f32>) {
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

fn normalised(values: &[f32]) -> Tensor {
    let grey = Tensor::from_slice(values).view([-1, 1, SIDE, SIDE]);
    ((grey / 255.0 - 0.35) / 0.25).expand([-1, 3, -1, -1], false)
}

/// Accuracy, confidence and calibration on a pool, per shipped set and mode.
pub fn report(
    clip: &Towers,
    tokenizer: &Tokenizer,
    pool: &Pool,
    sets: &[PromptSet],
) -> Result<String, Box<dyn Error>> {
    let _guard = tch::no_grad_guard();
    let mut pictures = Vec::new();
    for start in (0..pool.cells.len()).step_by(60) {
        let end = (start + 60).min(pool.cells.len());
        pictures.extend(rows(&unit(&clip.image_features(&pool.as_is(start..end))?))?);
    }
    let scale = clip.logit_scale().double_value(&[]).exp();
    let mut encode = |texts: &[String]| -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let tokens = texts
            .iter()
            .map(|text| tokenizer.encode(text))
            .collect::<Result<Vec<_>, _>>()?;
        rows(&unit(&clip.text_features(&tokens)?))
    };
    let mut lines = Vec::new();
    for set in sets {
        for mode in [Mode::Single, Mode::Multi] {
            let logits = Logits { scale, bias: None };
            let scorer = Scorer::new(set, mode, logits, &mut encode)?;
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

fn rows(x: &Tensor) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let (count, width) = x.size2()?;
    let mut flat = vec![0.0_f32; (count * width) as usize];
    let length = flat.len();
    x.to_kind(Kind::Float)
        .contiguous()
        .f_copy_data(&mut flat, length)?;
    Ok(flat.chunks(width as usize).map(<[f32]>::to_vec).collect())
}
