//! Implements the decoding procedure of T.87 annex A, and annex B for several components. Names are those of the
//! standard.

#![allow(
    clippy::inline_always,
    reason = "the reader stays in registers only where all that reads is inlined"
)]

use crate::codecs::jpegls::JpegLsBits;
use crate::error::MediaError;

/// How the components of a scan alternate (B.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interleave {
    /// One component.
    None,
    /// Line by line.
    Line,
    /// Pixel by pixel.
    Sample,
}

/// Preset parameters as written; zero means the default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Presets {
    pub maxval: i32,
    pub thresholds: [i32; 3],
    pub reset: i32,
}

/// The coding parameters of a scan (A.2.1, C.2.4.1.1).
pub(crate) struct Parameters {
    /// The region of each gradient from `-maxval` to `maxval` (A.3.3).
    regions: Vec<i8>,
    maxval: i32,
    near: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
    reset: i32,
}

impl Parameters {
    /// Fills in the defaults; `None` if the parameters contradict each other.
    pub(crate) fn new(presets: Presets, precision: u8, near: i32) -> Option<Self> {
        let most = (1_i32 << precision) - 1;
        let maxval = if presets.maxval == 0 {
            most
        } else {
            presets.maxval
        };
        if !(1..=most).contains(&maxval) || !(0..=(maxval / 2).min(255)).contains(&near) {
            return None;
        }
        let range = (maxval + 2 * near) / (2 * near + 1) + 1;
        let bits = |values: i32| 32 - (values - 1).leading_zeros();
        let bpp = bits(maxval + 1).max(2);
        let defaults = default_thresholds(maxval, near);
        let thresholds = std::array::from_fn(|i| match presets.thresholds[i] {
            0 => defaults[i],
            written => written,
        });
        let ordered =
            near < thresholds[0] && thresholds.is_sorted() && thresholds[2] <= maxval.max(near + 1);
        let reset = if presets.reset == 0 {
            64
        } else {
            presets.reset
        };
        (ordered && reset >= 3).then(|| Self {
            regions: regions(maxval, near, thresholds),
            maxval,
            near,
            range,
            qbpp: bits(range),
            limit: 2 * (bpp + bpp.max(8)),
            reset,
        })
    }

    /// The signed context of a sample (A.3); 0 if all gradients are flat.
    #[inline(always)]
    fn context(&self, [ra, rb, rc, rd]: [i32; 4]) -> i32 {
        // Samples range from 0 to `maxval`, so each gradient has an entry.
        let region = |gradient: i32| {
            let index = (gradient + self.maxval) as usize;
            self.regions
                .get(index)
                .map_or(0, |&region| i32::from(region))
        };
        81 * region(rd - rb) + 9 * region(rb - rc) + region(rc - ra)
    }

    /// Reconstructs a sample from its prediction and error (A.4.4, A.4.5).
    #[inline(always)]
    fn reconstruct<const LOSSLESS: bool>(&self, prediction: i32, error: i32) -> i32 {
        if LOSSLESS {
            let value = prediction + error;
            let value = value + if value < 0 { self.range } else { 0 };
            let value = value - if value > self.maxval { self.range } else { 0 };
            return value.clamp(0, self.maxval);
        }
        let step = 2 * self.near + 1;
        let mut value = prediction + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.maxval + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.maxval)
    }
}

/// The region of each gradient from `-maxval` on (A.3.3).
fn regions(maxval: i32, near: i32, [t1, t2, t3]: [i32; 3]) -> Vec<i8> {
    let zero = maxval as usize;
    let mut regions = vec![4; 2 * zero + 1];
    regions[..zero].fill(-4);
    for (bound, region) in [(t3, 3), (t2, 2), (t1, 1), (near + 1, 0)] {
        let width = ((bound - 1).max(0) as usize).min(zero);
        regions[zero - width..zero].fill(-region);
        regions[zero..=zero + width].fill(region);
    }
    regions
}

/// The default thresholds (C.2.4.1.1.1).
fn default_thresholds(maxval: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, least: i32| {
        if value > maxval || value < least {
            least
        } else {
            value
        }
    };
    let basic: [i32; 3] = if maxval >= 128 {
        let factor = (maxval.min(4095) + 128) / 256;
        [factor + 2, factor * 4 + 3, factor * 17 + 4]
    } else {
        let factor = 256 / (maxval + 1);
        [
            (3 / factor).max(2),
            (7 / factor).max(3),
            (21 / factor).max(4),
        ]
    };
    let t1 = clamp(basic[0] + 3 * near, near + 1);
    let t2 = clamp(basic[1] + 5 * near, t1);
    [t1, t2, clamp(basic[2] + 7 * near, t2)]
}

/// A context of regular mode.
#[derive(Clone, Copy)]
struct RegularContext {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
}

/// A context of run interruption.
#[derive(Clone, Copy)]
struct RunContext {
    a: i32,
    n: i32,
    negative: i32,
}

/// Number of contexts of regular mode: 9 regions for each of three gradients, with opposite signs merged.
const REGULAR_CONTEXTS: usize = 365;
/// Upper bound of a mapped error: more than twice the range of 16 bits. Damaged streams hold larger ones.
const MAX_MAPPED_ERROR: u32 = 1 << 18;
/// Orders of run lengths (A.7.1.1).
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// The state of decoding a scan.
struct ScanDecoder<'p, 'd, const LOSSLESS: bool> {
    p: &'p Parameters,
    bits: JpegLsBits<'d>,
    contexts: [RegularContext; REGULAR_CONTEXTS],
    runs: [RunContext; 2],
    run_index: usize,
}

/// The current line of a component and the one above, each with one extra sample on both sides.
struct Lines {
    above: Vec<i32>,
    here: Vec<i32>,
}

/// Decodes a scan of `components` components, up to a restart marker if there is one. `put` receives each line (row,
/// component of the scan, samples).
pub(crate) fn decode(
    bits: &mut JpegLsBits,
    parameters: &Parameters,
    size: (usize, usize),
    components: usize,
    interleave: Interleave,
    put: &mut impl FnMut(usize, usize, &[i32]),
) -> Result<(), MediaError> {
    if parameters.near == 0 {
        lines::<true>(bits, parameters, size, components, interleave, put)
    } else {
        lines::<false>(bits, parameters, size, components, interleave, put)
    }
}

fn lines<const LOSSLESS: bool>(
    bits: &mut JpegLsBits,
    parameters: &Parameters,
    (width, height): (usize, usize),
    components: usize,
    interleave: Interleave,
    put: &mut impl FnMut(usize, usize, &[i32]),
) -> Result<(), MediaError> {
    let mut decoder = ScanDecoder::<LOSSLESS>::new(parameters, *bits);
    let mut lines: Vec<Lines> = (0..components)
        .map(|_| Lines {
            above: vec![0; width + 2],
            here: vec![0; width + 2],
        })
        .collect();
    let mut run_indices = vec![0; components];
    for y in 0..height {
        for line in &mut lines {
            std::mem::swap(&mut line.above, &mut line.here);
            line.above[width + 1] = line.above[width];
            line.here[0] = line.above[1];
        }
        if interleave == Interleave::Sample {
            decoder.line_of_pixels(&mut lines, width);
        } else {
            for (line, run_index) in lines.iter_mut().zip(&mut run_indices) {
                decoder.run_index = *run_index;
                decoder.line(line, width);
                *run_index = decoder.run_index;
            }
        }
        decoder.bits.check()?;
        for (component, line) in lines.iter().enumerate() {
            put(y, component, &line.here[1..=width]);
        }
    }
    *bits = decoder.bits;
    Ok(())
}

impl<'p, 'd, const LOSSLESS: bool> ScanDecoder<'p, 'd, LOSSLESS> {
    fn new(p: &'p Parameters, bits: JpegLsBits<'d>) -> Self {
        let a = ((p.range + 32) / 64).max(2);
        Self {
            p,
            bits,
            contexts: [RegularContext {
                a,
                b: 0,
                c: 0,
                n: 1,
            }; REGULAR_CONTEXTS],
            runs: [RunContext {
                a,
                n: 1,
                negative: 0,
            }; 2],
            run_index: 0,
        }
    }

    /// Decodes a line of one component.
    fn line(&mut self, lines: &mut Lines, width: usize) {
        let (above, here) = (&lines.above[..width + 2], &mut lines.here[..width + 2]);
        // A local copy keeps the reader in registers for the whole line.
        let mut bits = self.bits;
        let mut x = 1;
        let (mut ra, mut rc, mut rb) = (here[0], above[0], above[1]);
        while x <= width {
            let rd = above[x + 1];
            let q = self.p.context([ra, rb, rc, rd]);
            if q != 0 {
                ra = self.regular(&mut bits, [ra, rb, rc], q);
                here[x] = ra;
                (rc, rb) = (rb, rd);
                x += 1;
                continue;
            }
            let run = self.run(&mut bits, width + 1 - x);
            here[x..x + run].fill(ra);
            x += run;
            if x <= width {
                ra = self.interruption(&mut bits, ra, above[x]);
                here[x] = ra;
                self.run_index = self.run_index.saturating_sub(1);
                (rc, rb) = (above[x], above[x + 1]);
                x += 1;
            }
        }
        self.bits = bits;
    }

    /// Decodes a line of up to four components pixel by pixel; the frame header allows no more.
    fn line_of_pixels(&mut self, lines: &mut [Lines], width: usize) {
        match lines.len() {
            2 => self.pixels::<2>(lines.first_chunk_mut(), width),
            3 => self.pixels::<3>(lines.first_chunk_mut(), width),
            _ => self.pixels::<4>(lines.first_chunk_mut(), width),
        }
    }

    /// Decodes a line of `N` components (B.2.3); runs are of whole pixels.
    fn pixels<const N: usize>(&mut self, lines: Option<&mut [Lines; N]>, width: usize) {
        let Some(lines) = lines else { return };
        let mut bits = self.bits;
        let halves = lines
            .each_mut()
            .map(|line| (&line.above[..width + 2], &mut line.here[..width + 2]));
        let above = halves.each_ref().map(|(above, _)| *above);
        let here = halves.map(|(_, here)| here);
        let mut x = 1;
        let mut ra = here.each_ref().map(|here| here[0]);
        let (mut rc, mut rb) = (above.map(|above| above[0]), above.map(|above| above[1]));
        while x <= width {
            let rd = above.map(|above| above[x + 1]);
            let contexts: [i32; N] =
                std::array::from_fn(|c| self.p.context([ra[c], rb[c], rc[c], rd[c]]));
            if contexts.iter().any(|&q| q != 0) {
                for c in 0..N {
                    ra[c] = self.regular(&mut bits, [ra[c], rb[c], rc[c]], contexts[c]);
                    here[c][x] = ra[c];
                }
                (rc, rb) = (rb, rd);
                x += 1;
                continue;
            }
            let run = self.run(&mut bits, width + 1 - x);
            for c in 0..N {
                here[c][x..x + run].fill(ra[c]);
            }
            x += run;
            if x <= width {
                for c in 0..N {
                    let rb = above[c][x];
                    let error = self.interruption_error(&mut bits, 0);
                    let error = if ra[c] > rb { -error } else { error };
                    ra[c] = self.p.reconstruct::<LOSSLESS>(rb, error);
                    here[c][x] = ra[c];
                }
                self.run_index = self.run_index.saturating_sub(1);
                (rc, rb) = (above.map(|above| above[x]), above.map(|above| above[x + 1]));
                x += 1;
            }
        }
        self.bits = bits;
    }

    /// Decodes a sample in regular mode (A.4 to A.6).
    #[inline(always)]
    fn regular(&mut self, bits: &mut JpegLsBits, [ra, rb, rc]: [i32; 3], signed: i32) -> i32 {
        let p = self.p;
        // All ones if the context is negative.
        let sign = signed >> 31;
        let context = &mut self.contexts[((signed ^ sign) - sign) as usize % REGULAR_CONTEXTS];
        let (least, most) = (ra.min(rb), ra.max(rb));
        let edge = (ra + rb - rc).clamp(least, most);
        let prediction = (edge + ((context.c ^ sign) - sign)).clamp(0, p.maxval);
        let k = order(context.n, context.a);
        let mapped = golomb(bits, k, p.limit, p.qbpp);
        let flipped = LOSSLESS && k == 0 && 2 * context.b <= -context.n;
        let error = (mapped >> 1) ^ -((mapped & 1) ^ i32::from(flipped));
        context.update::<LOSSLESS>(error, p);
        p.reconstruct::<LOSSLESS>(prediction, (error ^ sign) - sign)
    }

    /// Reads the length of a run, at most `left` (A.7.1).
    fn run(&mut self, bits: &mut JpegLsBits, left: usize) -> usize {
        let mut length = 0;
        while bits.read(1) == 1 {
            let step = 1_usize << J[self.run_index];
            if length + step > left {
                return left;
            }
            length += step;
            self.run_index = (self.run_index + 1).min(31);
            if length == left {
                return left;
            }
        }
        (length + bits.read(J[self.run_index]) as usize).min(left)
    }

    /// Decodes the sample that ends a run (A.7.2).
    fn interruption(&mut self, bits: &mut JpegLsBits, ra: i32, rb: i32) -> i32 {
        if (ra - rb).abs() <= self.p.near {
            let error = self.interruption_error(bits, 1);
            return self.p.reconstruct::<LOSSLESS>(ra, error);
        }
        let error = self.interruption_error(bits, 0);
        let error = if ra > rb { -error } else { error };
        self.p.reconstruct::<LOSSLESS>(rb, error)
    }

    fn interruption_error(&mut self, bits: &mut JpegLsBits, kind: usize) -> i32 {
        let context = &mut self.runs[kind];
        let half = if kind == 1 { context.n >> 1 } else { 0 };
        let k = order(context.n, context.a.saturating_add(half));
        let limit = self.p.limit - J[self.run_index] - 1;
        let mapped = golomb(bits, k, limit, self.p.qbpp);
        let kind = kind as i32;
        let odd = (mapped + kind) & 1 == 1;
        let size = (mapped + kind + 1) / 2;
        let negative = (k != 0 || 2 * context.negative >= context.n) == odd;
        let error = if negative { -size } else { size };
        context.negative += i32::from(error < 0);
        context.a = context.a.saturating_add((mapped + 1 - kind) >> 1);
        if context.n == self.p.reset {
            (context.a, context.n, context.negative) =
                (context.a >> 1, context.n >> 1, context.negative >> 1);
        }
        context.n += 1;
        error
    }
}

/// Reads a limited Golomb code (A.5.3).
#[inline(always)]
fn golomb(bits: &mut JpegLsBits, k: u32, limit: u32, qbpp: u32) -> i32 {
    let escape = limit.saturating_sub(qbpp + 1);
    bits.read_golomb(k, escape, qbpp).min(MAX_MAPPED_ERROR) as i32
}

/// The order of the Golomb code for a context (A.5.1): the smallest `k` for which `n << k` is at least `a`.
#[inline(always)]
fn order(n: i32, a: i32) -> u32 {
    let k = n.leading_zeros().saturating_sub(a.leading_zeros());
    let k = k + u32::from(i64::from(n) << k < i64::from(a));
    // Only a damaged stream needs more.
    k.min(24)
}

impl RegularContext {
    /// Updates the context by an error (A.6).
    #[inline(always)]
    fn update<const LOSSLESS: bool>(&mut self, error: i32, p: &Parameters) {
        let step = if LOSSLESS { 1 } else { 2 * p.near + 1 };
        // Only a damaged stream saturates these.
        self.b = self.b.saturating_add(error * step);
        self.a = self.a.saturating_add(error.abs());
        if self.n == p.reset {
            (self.a, self.b, self.n) = (self.a >> 1, self.b >> 1, self.n >> 1);
        }
        self.n += 1;
        // Written without branches, which would be unpredictable.
        let (low, high) = (self.b <= -self.n, self.b > 0);
        let lifted = (self.b + self.n).max(1 - self.n);
        let lowered = (self.b - self.n).min(0);
        self.b = if low { lifted } else { self.b };
        self.b = if high { lowered } else { self.b };
        self.c = (self.c + i32::from(high) - i32::from(low)).clamp(-128, 127);
    }
}
