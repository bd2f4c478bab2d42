//! The coding procedure of T.87 annex A, and of annex B for several components. Names are the standard's.

use crate::codecs::jpegls::Bits;
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

/// Preset parameters as written; zeros stand for defaults.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Presets {
    pub maxval: i32,
    pub thresholds: [i32; 3],
    pub reset: i32,
}

/// What the coding of a scan depends on (A.2.1, C.2.4.1.1).
pub(crate) struct Parameters {
    maxval: i32,
    near: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
    thresholds: [i32; 3],
    reset: i32,
}

impl Parameters {
    /// Parameters with the defaults filled in; `None` where they contradict each other.
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
        (ordered && reset >= 3).then_some(Self {
            maxval,
            near,
            range,
            qbpp: bits(range),
            limit: 2 * (bpp + bpp.max(8)),
            thresholds,
            reset,
        })
    }

    /// A gradient's region (A.3.3).
    #[inline]
    fn region(&self, gradient: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let size = gradient.abs();
        let region = if size <= self.near {
            0
        } else if size < t1 {
            1
        } else if size < t2 {
            2
        } else if size < t3 {
            3
        } else {
            4
        };
        if gradient < 0 { -region } else { region }
    }

    /// The sample of a prediction and its error (A.4.4, A.4.5).
    #[inline]
    fn reconstruct(&self, prediction: i32, error: i32) -> i32 {
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

/// C.2.4.1.1.1.
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
struct Context {
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

/// Orders of run lengths (A.7.1.1).
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

struct Coder<'p, 'b, 'd> {
    p: &'p Parameters,
    bits: &'b mut Bits<'d>,
    contexts: [Context; 365],
    runs: [RunContext; 2],
    run_index: usize,
}

/// Two lines of a component, each with one sample more on both sides.
struct Lines {
    above: Vec<i32>,
    here: Vec<i32>,
}

/// Decodes a scan of `components` components; `put` takes each line (row, component of the scan, samples).
pub(crate) fn decode(
    bits: &mut Bits,
    parameters: &Parameters,
    (width, height): (usize, usize),
    components: usize,
    interleave: Interleave,
    put: &mut impl FnMut(usize, usize, &[i32]),
) -> Result<(), MediaError> {
    let first = ((parameters.range + 32) / 64).max(2);
    let mut coder = Coder {
        p: parameters,
        bits,
        contexts: [Context {
            a: first,
            b: 0,
            c: 0,
            n: 1,
        }; 365],
        runs: [RunContext {
            a: first,
            n: 1,
            negative: 0,
        }; 2],
        run_index: 0,
    };
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
            coder.pixels(&mut lines, width);
        } else {
            for (line, run_index) in lines.iter_mut().zip(&mut run_indices) {
                coder.run_index = *run_index;
                coder.line(line, width);
                *run_index = coder.run_index;
            }
        }
        coder.bits.check()?;
        for (component, line) in lines.iter().enumerate() {
            put(y, component, &line.here[1..=width]);
        }
    }
    Ok(())
}

impl Coder<'_, '_, '_> {
    /// A line of one component.
    fn line(&mut self, lines: &mut Lines, width: usize) {
        let mut x = 1;
        while x <= width {
            let q = self.context(lines, x);
            if q != 0 {
                lines.here[x] = self.regular(lines, x, q);
                x += 1;
                continue;
            }
            let run = self.run(width + 1 - x);
            let value = lines.here[x - 1];
            lines.here[x..x + run].fill(value);
            x += run;
            if x <= width {
                lines.here[x] = self.interruption(lines.here[x - 1], lines.above[x]);
                self.run_index = self.run_index.saturating_sub(1);
                x += 1;
            }
        }
    }

    /// A line of pixels of several components (B.2.3): runs are of whole pixels.
    fn pixels(&mut self, lines: &mut [Lines], width: usize) {
        let mut x = 1;
        while x <= width {
            let contexts: Vec<i32> = lines.iter().map(|line| self.context(line, x)).collect();
            if contexts.iter().any(|&q| q != 0) {
                for (line, &q) in lines.iter_mut().zip(&contexts) {
                    line.here[x] = self.regular(line, x, q);
                }
                x += 1;
                continue;
            }
            let run = self.run(width + 1 - x);
            for line in lines.iter_mut() {
                let value = line.here[x - 1];
                line.here[x..x + run].fill(value);
            }
            x += run;
            if x <= width {
                for line in lines.iter_mut() {
                    let (ra, rb) = (line.here[x - 1], line.above[x]);
                    let error = self.interruption_error(0);
                    line.here[x] = self.p.reconstruct(rb, if ra > rb { -error } else { error });
                }
                self.run_index = self.run_index.saturating_sub(1);
                x += 1;
            }
        }
    }

    /// The context of a sample with its sign (A.3); 0 where all gradients are flat.
    #[inline]
    fn context(&self, lines: &Lines, x: usize) -> i32 {
        let (ra, rb, rc, rd) = (
            lines.here[x - 1],
            lines.above[x],
            lines.above[x - 1],
            lines.above[x + 1],
        );
        81 * self.p.region(rd - rb) + 9 * self.p.region(rb - rc) + self.p.region(rc - ra)
    }

    /// A sample of regular mode (A.4 to A.6).
    #[inline]
    fn regular(&mut self, lines: &Lines, x: usize, signed: i32) -> i32 {
        let (ra, rb, rc) = (lines.here[x - 1], lines.above[x], lines.above[x - 1]);
        let (q, sign) = (
            signed.unsigned_abs() as usize,
            if signed < 0 { -1 } else { 1 },
        );
        let context = self.contexts[q];
        let edge = if rc >= ra.max(rb) {
            ra.min(rb)
        } else if rc <= ra.min(rb) {
            ra.max(rb)
        } else {
            ra + rb - rc
        };
        let prediction = (edge + sign * context.c).clamp(0, self.p.maxval);
        let k = order(context.n, context.a);
        let mapped = self.golomb(k, self.p.limit);
        let flipped = self.p.near == 0 && k == 0 && 2 * context.b <= -context.n;
        let error = match (mapped & 1 == 1, flipped) {
            (false, false) => mapped / 2,
            (true, false) => -(mapped + 1) / 2,
            (true, true) => (mapped - 1) / 2,
            (false, true) => -(mapped / 2) - 1,
        };
        self.contexts[q].learn(error, self.p);
        self.p.reconstruct(prediction, sign * error)
    }

    /// The length of a run, at most `left` (A.7.1).
    fn run(&mut self, left: usize) -> usize {
        let mut length = 0;
        while self.bits.take(1) == 1 {
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
        (length + self.bits.take(J[self.run_index]) as usize).min(left)
    }

    /// The sample that ends a run (A.7.2).
    fn interruption(&mut self, ra: i32, rb: i32) -> i32 {
        if (ra - rb).abs() <= self.p.near {
            let error = self.interruption_error(1);
            return self.p.reconstruct(ra, error);
        }
        let error = self.interruption_error(0);
        self.p.reconstruct(rb, if ra > rb { -error } else { error })
    }

    fn interruption_error(&mut self, kind: usize) -> i32 {
        let context = self.runs[kind];
        let kind = kind as i32;
        let k = order(
            context.n,
            context
                .a
                .saturating_add(if kind == 1 { context.n >> 1 } else { 0 }),
        );
        let mapped = self.golomb(k, self.p.limit - J[self.run_index] - 1);
        let odd = (mapped + kind) & 1 == 1;
        let size = (mapped + kind + 1) / 2;
        let negative = (k != 0 || 2 * context.negative >= context.n) == odd;
        let error = if negative { -size } else { size };
        let context = &mut self.runs[kind as usize];
        context.negative += i32::from(error < 0);
        context.a = context.a.saturating_add((mapped + 1 - kind) >> 1);
        if context.n == self.p.reset {
            (context.a, context.n, context.negative) =
                (context.a >> 1, context.n >> 1, context.negative >> 1);
        }
        context.n += 1;
        error
    }

    /// A limited Golomb code (A.5.3).
    #[inline]
    fn golomb(&mut self, k: u32, limit: u32) -> i32 {
        let escape = limit.saturating_sub(self.p.qbpp + 1);
        let zeros = self.bits.zeros(escape);
        if zeros < escape {
            let value = (zeros << k) + self.bits.take(k);
            return value.min(WIDEST) as i32;
        }
        self.bits.take(self.p.qbpp) as i32 + 1
    }
}

/// No mapped error is larger: twice the range of 16 bits, and some. Damaged streams hold others.
const WIDEST: u32 = 1 << 18;

/// The order of the Golomb code for a context (A.5.1).
#[inline]
fn order(n: i32, a: i32) -> u32 {
    let mut k = 0;
    while i64::from(n) << k < i64::from(a) && k < 24 {
        k += 1;
    }
    k
}

impl Context {
    /// A.6.
    #[inline]
    fn learn(&mut self, error: i32, p: &Parameters) {
        // Only a damaged stream brings these to their ends.
        self.b = self.b.saturating_add(error * (2 * p.near + 1));
        self.a = self.a.saturating_add(error.abs());
        if self.n == p.reset {
            (self.a, self.b, self.n) = (self.a >> 1, self.b >> 1, self.n >> 1);
        }
        self.n += 1;
        if self.b <= -self.n {
            self.b = (self.b + self.n).max(1 - self.n);
            self.c = (self.c - 1).max(-128);
        } else if self.b > 0 {
            self.b = (self.b - self.n).min(0);
            self.c = (self.c + 1).min(127);
        }
    }
}
