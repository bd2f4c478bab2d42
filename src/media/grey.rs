//! A grey frame before its window is applied: stored values and the transform to 8 bits (PS3.4 N.2.1), so that
//! changing the window costs a table look-up and no decoding.

pub(crate) mod canvas;
mod levels;
pub(crate) mod lut;
pub(crate) mod samples;
mod shades;
mod transform;
pub(crate) mod window;

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::{Picture, PixelRect, Pixels, Window, WindowSource};
use levels::Levels;
use samples::Samples;
use shades::write_shades;
pub(crate) use transform::{GreyTransform, Modality, stored_range};
use window::{Curve, FileVoi, VoiFunction};

/// The range of values that is mapped to black–white.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Voi {
    /// The file's n-th VOI transform, LUTs counted before windows; the first if it has fewer, the full range if it has
    /// none. `Own(0)` is what `inspect` reports on and the encoder sees.
    Own(usize),
    /// A linear window (PS3.3 C.11.2.1.2.1; for real numbers C.11.2.1.3.2) in modality units; one without a valid
    /// width is the full range.
    Range {
        /// Window Center.
        center: f64,
        /// Window Width.
        width: f64,
    },
    /// The full range of the frame, padding excluded unless all other values are equal; mid-grey if padding is equal
    /// to them too. For a segmentation, the range that its values can have.
    Full,
    /// The range without the darkest and brightest 0.5 % of the pixels, padding excluded.
    Robust,
    /// The values from `low` to `high`, both included: a range found over several frames. If it is empty, the full
    /// range.
    Between {
        /// Mapped to black.
        low: f64,
        /// Mapped to white.
        high: f64,
        /// How the range was found.
        source: WindowSource,
    },
}

impl Default for Voi {
    fn default() -> Self {
        Voi::Own(0)
    }
}

/// A window or VOI LUT of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedWindow {
    /// Window Center & Width Explanation (0028,1055) or LUT Explanation (0028,3003).
    pub name: Option<String>,
    /// The range of values that it maps.
    pub window: Window,
}

/// A histogram of the values of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The smallest value, in modality units, at which the first bin begins.
    pub low: f64,
    /// The largest value, which the last bin ends with and includes.
    pub high: f64,
    /// Number of pixels in each of equally wide bins; padding is not counted.
    pub counts: Vec<u64>,
}

/// A decoded grey frame. Clones share their samples.
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
    /// Counted on first use.
    levels: OnceLock<Levels>,
    robust: OnceLock<(f64, f64)>,
}

impl Grey {
    /// Creates a frame of `width × height` samples, row-major.
    pub(crate) fn new(width: u32, height: u32, samples: Samples, transform: GreyTransform) -> Self {
        Self::shared(width, height, Arc::new(samples), transform)
    }

    /// The same samples with another transform.
    pub(crate) fn with_transform(&self, transform: GreyTransform) -> Self {
        let samples = Arc::clone(&self.inner.samples);
        Self::shared(self.width, self.height, samples, transform)
    }

    /// The transform to 8 bits.
    pub(crate) fn transform(&self) -> &GreyTransform {
        &self.inner.transform
    }

    fn shared(width: u32, height: u32, samples: Arc<Samples>, transform: GreyTransform) -> Self {
        let named = |own: &FileVoi| NamedWindow {
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

    /// Creates a frame of 8-bit samples whose only window shows them unchanged.
    pub(crate) fn from_bytes(width: u32, height: u32, data: Vec<u8>) -> Self {
        Self::windowed(width, height, Samples::U8(data), (0.0, 255.0))
    }

    /// Creates a frame of 16-bit samples whose only window shows their high bytes.
    pub(crate) fn from_words(width: u32, height: u32, data: Vec<u16>) -> Self {
        // The shade of a value is (value - 127.5) / 256, rounded.
        const HIGH_BYTES: (f64, f64) = (127.5, 127.5 + 255.0 * 256.0);
        Self::windowed(width, height, Samples::U16(data), HIGH_BYTES)
    }

    /// Creates a frame with a single window, between two values.
    fn windowed(width: u32, height: u32, samples: Samples, (low, high): (f64, f64)) -> Self {
        let transform = GreyTransform {
            modality: Modality::Linear {
                slope: 1.0,
                intercept: 0.0,
            },
            unit: None,
            own: vec![FileVoi::between(low, high, WindowSource::Minmax)],
            nominal: None,
            padding: None,
            inverted: false,
            real: false,
        };
        Self::new(width, height, samples, transform)
    }

    /// Renders the frame to 8 bits and returns the window that was applied. `invert` swaps black and white, in
    /// addition to MONOCHROME1.
    pub fn render(&self, voi: Voi, invert: bool) -> (Picture, Window) {
        self.render_part(voi, invert, self.whole())
    }

    /// Renders the frame; what lies outside `used` stays black. Also returns the window that was applied.
    pub(crate) fn render_used(&self, voi: Voi, used: Option<PixelRect>) -> (Picture, Window) {
        let area = self.clipped(used.unwrap_or(self.whole()));
        self.render_onto(voi, false, area, self.whole())
    }

    /// Renders a part of the frame. `area` is clipped to the frame.
    pub fn render_part(&self, voi: Voi, invert: bool, area: PixelRect) -> (Picture, Window) {
        let area = self.clipped(area);
        self.render_onto(voi, invert, area, area)
    }

    fn whole(&self) -> PixelRect {
        PixelRect {
            x: 0,
            y: 0,
            width: self.width,
            height: self.height,
        }
    }

    fn clipped(&self, area: PixelRect) -> PixelRect {
        let (x, y) = (area.x.min(self.width), area.y.min(self.height));
        PixelRect {
            x,
            y,
            width: area.width.min(self.width - x),
            height: area.height.min(self.height - y),
        }
    }

    /// Renders `area`, a part of `canvas`, onto a picture of the size of `canvas`.
    fn render_onto(
        &self,
        voi: Voi,
        invert: bool,
        area: PixelRect,
        canvas: PixelRect,
    ) -> (Picture, Window) {
        let voi = self.resolve(voi);
        // Mid-grey has no opposite.
        let invert = invert != self.inner.transform.inverted && voi.curve != Curve::Middle;
        let index = |x: u32, y: u32, stride: u32| y as usize * stride as usize + x as usize;
        let rows = (area.y..area.y + area.height).map(|y| {
            let to = index(area.x - canvas.x, y - canvas.y, canvas.width);
            (index(area.x, y, self.width), to)
        });
        let shade = |stored: f64| {
            let shade = voi.curve.shade(self.inner.transform.modality(stored));
            if invert { 255 - shade } else { shade }
        };
        let mut pixels = vec![0; canvas.width as usize * canvas.height as usize];
        let samples = &self.inner.samples;
        write_shades(samples, rows, area.width as usize, &mut pixels, shade);
        let picture = Picture {
            width: canvas.width,
            height: canvas.height,
            pixels: Pixels::Luma(pixels),
        };
        (picture, voi.window)
    }

    /// The window or LUT that `voi` selects.
    fn resolve(&self, voi: Voi) -> FileVoi {
        let between = |(low, high), source| FileVoi::between(low, high, source);
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
                let function = VoiFunction::default_of(transform.real);
                FileVoi::window(center, width, function, WindowSource::Argument)
                    .unwrap_or_else(full)
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
        let count = || Levels::count(&inner.samples, &inner.transform);
        inner.levels.get_or_init(count)
    }

    /// The range of modality values without the darkest and brightest 0.5 % of the pixels, padding excluded.
    pub fn robust_range(&self) -> (f64, f64) {
        let inner = &self.inner;
        let measure = || self.levels().robust(&inner.samples, &inner.transform);
        *inner.robust.get_or_init(measure)
    }

    /// The file's own VOI LUTs, then its windows, as numbered by [`Voi::Own`]. Without any, the full range is shown.
    pub fn windows(&self) -> &[NamedWindow] {
        &self.inner.windows
    }

    /// The range of modality values, padding excluded unless all others are equal.
    pub fn range(&self) -> (f64, f64) {
        self.levels().range()
    }

    /// The modality value of a pixel; `None` outside the frame.
    pub fn value(&self, x: u32, y: u32) -> Option<f64> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let at = y as usize * self.width as usize + x as usize;
        let stored = self.inner.samples.get(at)?;
        Some(self.inner.transform.modality(stored))
    }

    /// The stored value at an index of the row-major samples.
    pub(crate) fn stored(&self, at: usize) -> Option<f64> {
        self.inner.samples.get(at)
    }

    /// Whether a pixel means "no value" (Pixel Padding Value); false outside the frame.
    pub fn is_padding(&self, x: u32, y: u32) -> bool {
        let at = y as usize * self.width as usize + x as usize;
        x < self.width
            && self
                .inner
                .samples
                .get(at)
                .is_some_and(|stored| self.inner.transform.is_padding(stored))
    }

    /// The unit of modality values, such as `HU`; `None` if unknown.
    pub fn unit(&self) -> Option<&str> {
        self.inner.transform.unit.as_deref()
    }

    /// Counts the values in `bins` equally wide parts of their range.
    pub fn histogram(&self, bins: usize) -> Histogram {
        let inner = &self.inner;
        self.levels()
            .histogram(&inner.samples, &inner.transform, bins)
    }

    /// Size of the samples in bytes.
    pub fn bytes(&self) -> usize {
        self.inner.samples.bytes()
    }
}

impl fmt::Debug for Grey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grey({} × {})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests;
