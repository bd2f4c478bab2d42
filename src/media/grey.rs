//! A grey frame before its window: stored values and the way to 8 bits (PS3.4 N.2.1), so that another window costs a
//! look-up and no decoding.

pub(crate) mod canvas;
mod levels;
pub(crate) mod lut;
pub(crate) mod samples;
pub(crate) mod window;

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::{Picture, Pixels, Window, WindowSource};
use levels::Levels;
use lut::Lut;
use samples::Samples;
use window::{Curve, Function, Own};

/// Which range of values becomes black to white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Voi {
    /// The file's n-th VOI, its LUTs counted before its windows; where it has fewer, the first; where it has none, the
    /// full range. `Own(0)` is what `inspect` shows and the encoder sees.
    Own(usize),
    /// A linear window (PS3.3 C.11.2.1.2.1; of real numbers C.11.2.1.3.2) in modality units; one that has no width is
    /// the full range.
    Range {
        /// Its middle.
        center: f64,
        /// Its extent.
        width: f64,
    },
    /// All values of the frame, padding excluded unless all others are equal; mid-grey where padding is equal to them
    /// too. Of a segmentation the values that it may have.
    Full,
    /// The values of the frame but for the 0.5 % darkest and brightest, padding excluded.
    Robust,
    /// All values between two, both included: a range found over several frames. One without extent is the full range.
    Between {
        /// Becomes black.
        low: f64,
        /// Becomes white.
        high: f64,
        /// How it was found.
        source: WindowSource,
    },
}

impl Default for Voi {
    fn default() -> Self {
        Voi::Own(0)
    }
}

/// A window or LUT that a file brings.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedWindow {
    /// Window Center & Width Explanation (0028,1055) or LUT Explanation (0028,3003).
    pub name: Option<String>,
    /// Its range.
    pub window: Window,
}

/// How often values occur in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The smallest value, in modality units; the first bin begins there.
    pub low: f64,
    /// The largest value; the last bin ends there, and includes it.
    pub high: f64,
    /// Pixels in each of equally wide bins; padding is not counted.
    pub counts: Vec<u64>,
}

/// A part of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRect {
    /// First column.
    pub x: u32,
    /// First row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl PixelRect {
    /// A pixel lies in it.
    pub fn covers(&self, (x, y): (u32, u32)) -> bool {
        let inside = |at: u32, from: u32, length: u32| at >= from && at - from < length;
        inside(x, self.x, self.width) && inside(y, self.y, self.height)
    }
}

/// Stored to modality values (PS3.3 C.11.1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Modality {
    /// Rescale Slope and Intercept.
    Linear {
        /// Factor.
        slope: f64,
        /// Added.
        intercept: f64,
    },
    /// The Modality LUT Sequence.
    Table(Lut),
}

/// The way from a frame's stored values to 8 bits.
#[derive(Clone, Debug)]
pub(crate) struct GreyTransform {
    /// Stored to modality values.
    pub modality: Modality,
    /// What modality values are, where it is known.
    pub unit: Option<String>,
    /// The file's own LUTs, then its windows.
    pub own: Vec<Own>,
    /// Stored values that stand for "no value" (C.7.5.1.1.2): from, to.
    pub padding: Option<(f64, f64)>,
    /// The range shown where nothing else is said, of objects whose values have a range whatever a frame holds of it.
    pub nominal: Option<(f64, f64)>,
    /// MONOCHROME1: the smallest value is white.
    pub inverted: bool,
    /// Stored values are real numbers, to which windows apply exactly (C.11.2.1.3.2).
    pub real: bool,
}

impl GreyTransform {
    fn modality(&self, stored: f64) -> f64 {
        match &self.modality {
            Modality::Linear { slope, intercept } => stored * slope + intercept,
            Modality::Table(lut) => lut.at(stored),
        }
    }

    /// Modality values that stored values of so many bits can have.
    pub(crate) fn range(&self, bits: u16, signed: bool) -> (f64, f64) {
        let count = f64::from(bits.min(32)).exp2();
        let (low, high) = if signed {
            (-count / 2.0, count / 2.0 - 1.0)
        } else {
            (0.0, count - 1.0)
        };
        match &self.modality {
            Modality::Table(lut) => (0.0, lut.largest()),
            Modality::Linear { .. } => {
                let (a, b) = (self.modality(low), self.modality(high));
                (a.min(b), a.max(b))
            }
        }
    }

    fn is_padding(&self, stored: f64) -> bool {
        self.padding
            .is_some_and(|(from, to)| (from..=to).contains(&stored))
    }
}

/// A decoded grey frame. Copies share their samples.
#[derive(Clone)]
pub struct Grey {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    inner: Arc<Inner>,
}

struct Inner {
    samples: Arc<Samples>,
    transform: GreyTransform,
    windows: Vec<NamedWindow>,
    /// Counted when first asked for.
    levels: OnceLock<Levels>,
    robust: OnceLock<(f64, f64)>,
}

impl Grey {
    /// A frame of `width × height` samples, row-major.
    pub(crate) fn new(width: u32, height: u32, samples: Samples, transform: GreyTransform) -> Self {
        Self::shared(width, height, Arc::new(samples), transform)
    }

    /// The same samples on another way to 8 bits.
    pub(crate) fn with(&self, transform: GreyTransform) -> Self {
        let samples = Arc::clone(&self.inner.samples);
        Self::shared(self.width, self.height, samples, transform)
    }

    /// The way to 8 bits.
    pub(crate) fn transform(&self) -> &GreyTransform {
        &self.inner.transform
    }

    fn shared(width: u32, height: u32, samples: Arc<Samples>, transform: GreyTransform) -> Self {
        let named = |own: &Own| NamedWindow {
            name: own.name.clone(),
            window: own.window,
        };
        let windows = transform.own.iter().map(named).collect();
        Self {
            width,
            height,
            inner: Arc::new(Inner {
                samples,
                transform,
                windows,
                levels: OnceLock::new(),
                robust: OnceLock::new(),
            }),
        }
    }

    /// A picture of 8 bits, whose only window shows it as it is.
    pub(crate) fn of_bytes(width: u32, height: u32, data: Vec<u8>) -> Self {
        let transform = GreyTransform {
            modality: Modality::Linear {
                slope: 1.0,
                intercept: 0.0,
            },
            unit: None,
            own: vec![Own::between(0.0, 255.0, WindowSource::Minmax)],
            nominal: None,
            padding: None,
            inverted: false,
            real: false,
        };
        Self::new(width, height, Samples::U8(data), transform)
    }

    /// The frame in 8 bits, and the window that was applied. `invert` turns black and white round, once more for
    /// MONOCHROME1.
    pub fn render(&self, voi: Voi, invert: bool) -> (Picture, Window) {
        self.render_part(voi, invert, self.whole())
    }

    /// The frame in 8 bits, of which what lies outside of `used` stays black; and the window that was applied.
    pub(crate) fn render_used(&self, voi: Voi, used: Option<PixelRect>) -> (Picture, Window) {
        let area = self.inside(used.unwrap_or(self.whole()));
        self.shaded(voi, false, area, self.whole())
    }

    /// A part of the frame in 8 bits; what of `area` lies outside of the frame is left away.
    pub fn render_part(&self, voi: Voi, invert: bool, area: PixelRect) -> (Picture, Window) {
        let area = self.inside(area);
        self.shaded(voi, invert, area, area)
    }

    fn whole(&self) -> PixelRect {
        PixelRect {
            x: 0,
            y: 0,
            width: self.width,
            height: self.height,
        }
    }

    fn inside(&self, area: PixelRect) -> PixelRect {
        let (x, y) = (area.x.min(self.width), area.y.min(self.height));
        PixelRect {
            x,
            y,
            width: area.width.min(self.width - x),
            height: area.height.min(self.height - y),
        }
    }

    /// A picture of `canvas`, on which `area`, a part of it, is drawn.
    fn shaded(
        &self,
        voi: Voi,
        invert: bool,
        area: PixelRect,
        canvas: PixelRect,
    ) -> (Picture, Window) {
        let own = self.own(voi);
        // The middle of grey has no opposite.
        let invert = invert != self.inner.transform.inverted && own.curve != Curve::Middle;
        let index = |x: u32, y: u32, stride: u32| y as usize * stride as usize + x as usize;
        let rows = (area.y..area.y + area.height).map(|y| {
            let to = index(area.x - canvas.x, y - canvas.y, canvas.width);
            (index(area.x, y, self.width), to)
        });
        let shade = |stored: f64| {
            let shade = own.curve.shade(self.inner.transform.modality(stored));
            if invert { 255 - shade } else { shade }
        };
        let mut pixels = vec![0; canvas.width as usize * canvas.height as usize];
        let samples = &self.inner.samples;
        shades(samples, rows, area.width as usize, &mut pixels, shade);
        let picture = Picture {
            width: canvas.width,
            height: canvas.height,
            pixels: Pixels::Luma(pixels),
        };
        (picture, own.window)
    }

    fn own(&self, voi: Voi) -> Own {
        let between = |(low, high), source| Own::between(low, high, source);
        let transform = &self.inner.transform;
        let full = || {
            let range = transform.nominal.unwrap_or_else(|| self.levels().range());
            between(range, WindowSource::Minmax)
        };
        match voi {
            Voi::Own(n) => {
                let own = transform.own.get(n).or_else(|| transform.own.first());
                own.cloned().unwrap_or_else(full)
            }
            Voi::Range { center, width } => {
                let function = Function::default_of(transform.real);
                Own::window(center, width, function, WindowSource::Argument).unwrap_or_else(full)
            }
            Voi::Between { low, high, source } if low < high => between((low, high), source),
            Voi::Full | Voi::Between { .. } => full(),
            Voi::Robust => match self.robust_range() {
                (low, high) if low < high => between((low, high), WindowSource::Robust),
                _ => full(),
            },
        }
    }

    fn levels(&self) -> &Levels {
        let inner = &self.inner;
        let count = || Levels::of(&inner.samples, &inner.transform);
        inner.levels.get_or_init(count)
    }

    /// Smallest and largest modality value but for the 0.5 % darkest and brightest pixels, padding excluded.
    pub fn robust_range(&self) -> (f64, f64) {
        let inner = &self.inner;
        let measure = || self.levels().robust(&inner.samples, &inner.transform);
        *inner.robust.get_or_init(measure)
    }

    /// The file's own LUTs, then its windows, to be counted by [`Voi::Own`]; empty where it has none, and the full
    /// range is shown.
    pub fn windows(&self) -> &[NamedWindow] {
        &self.inner.windows
    }

    /// Smallest and largest modality value, padding excluded unless all others are equal.
    pub fn range(&self) -> (f64, f64) {
        self.levels().range()
    }

    /// The modality value of a pixel; `None` outside of the frame.
    pub fn value(&self, x: u32, y: u32) -> Option<f64> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let at = y as usize * self.width as usize + x as usize;
        let stored = self.inner.samples.get(at)?;
        Some(self.inner.transform.modality(stored))
    }

    /// The stored value at a place of the row-major samples.
    pub(crate) fn stored(&self, at: usize) -> Option<f64> {
        self.inner.samples.get(at)
    }

    /// Whether a pixel stands for "no value" (Pixel Padding Value); false outside of the frame.
    pub fn is_padding(&self, x: u32, y: u32) -> bool {
        let at = y as usize * self.width as usize + x as usize;
        x < self.width
            && self
                .inner
                .samples
                .get(at)
                .is_some_and(|stored| self.inner.transform.is_padding(stored))
    }

    /// What modality values are counted in, such as `HU`; `None` where nothing says it.
    pub fn unit(&self) -> Option<&str> {
        self.inner.transform.unit.as_deref()
    }

    /// How often values occur, in `bins` equally wide parts of their range.
    pub fn histogram(&self, bins: usize) -> Histogram {
        let inner = &self.inner;
        self.levels()
            .histogram(&inner.samples, &inner.transform, bins)
    }

    /// Bytes that the samples take.
    pub fn bytes(&self) -> usize {
        self.inner.samples.bytes()
    }
}

impl fmt::Debug for Grey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grey({} × {})", self.width, self.height)
    }
}

/// Puts the shades of rows of `width` samples, each given by where it begins among the samples and in `out`. To 16
/// bits every possible value is worked out once, and pixels are looked up; unless they are fewer.
fn shades(
    samples: &Samples,
    rows: impl ExactSizeIterator<Item = (usize, usize)>,
    width: usize,
    out: &mut [u8],
    shade: impl Fn(f64) -> u8,
) {
    fn put<T: Copy>(
        data: &[T],
        rows: impl Iterator<Item = (usize, usize)>,
        width: usize,
        out: &mut [u8],
        shade: impl Fn(T) -> u8,
    ) {
        for (from, to) in rows {
            let row = out[to..to + width].iter_mut();
            for (out, &value) in row.zip(&data[from..from + width]) {
                *out = shade(value);
            }
        }
    }
    let count = rows.len() * width;
    let table: Option<Vec<u8>> = samples
        .possible()
        .filter(|possible| possible.count <= count)
        .map(|possible| possible.values().map(&shade).collect());
    match (samples, &table) {
        (Samples::U8(data), Some(table)) => put(data, rows, width, out, |v| table[usize::from(v)]),
        (Samples::U16(data), Some(table)) => put(data, rows, width, out, |v| table[usize::from(v)]),
        (Samples::I16(data), Some(table)) => put(data, rows, width, out, |v| {
            table[usize::from((v as u16) ^ 0x8000)]
        }),
        (Samples::U8(data), None) => put(data, rows, width, out, |v| shade(v.into())),
        (Samples::U16(data), None) => put(data, rows, width, out, |v| shade(v.into())),
        (Samples::I16(data), None) => put(data, rows, width, out, |v| shade(v.into())),
        (Samples::U32(data), _) => put(data, rows, width, out, |v| shade(v.into())),
        (Samples::I32(data), _) => put(data, rows, width, out, |v| shade(v.into())),
        (Samples::F64(data), _) => put(data, rows, width, out, shade),
    }
}

#[cfg(test)]
mod tests;
