//! Modality LUT, VOI LUT and window: from stored values to 8 bits (PS3.3 C.11.1, C.11.2, PS3.4 N.2.1).

use super::dataset::{DataSet, Tag};
use super::layout::{Layout, Number};
use super::lut::Lut;
use super::samples::Samples;
use super::{Options, Window, WindowSource, tags};

/// Window functions (PS3.3 C.11.2.1.2 and C.11.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// The default, of integers.
    Linear,
    /// Of real numbers.
    LinearExact,
    /// Logistic.
    Sigmoid,
}

/// Stored to modality values.
#[derive(Clone, Debug, PartialEq)]
enum Modality {
    Linear { slope: f64, intercept: f64 },
    Table(Lut),
}

/// Modality values to the range shown.
#[derive(Clone, Debug, PartialEq)]
enum Voi {
    Window {
        center: f64,
        width: f64,
        function: Function,
        source: WindowSource,
    },
    Table(Lut),
    Full,
}

/// The way from a frame's stored values to 8 bits.
#[derive(Clone, Debug)]
pub(crate) struct Transform {
    modality: Modality,
    voi: Voi,
    /// Stored values that stand for "no value" (C.7.5.1.1.2): from, to.
    padding: Option<(f64, f64)>,
}

impl Transform {
    /// The transform of a frame: the caller's window, else the first of the object's own.
    pub(crate) fn read(set: &DataSet, layout: &Layout, options: &Options) -> Self {
        let modality = in_groups(set, options.frame, tags::FRAME_MODALITY, linear)
            .or_else(|| table(set, layout))
            .or_else(|| linear(set))
            .unwrap_or(Modality::Linear {
                slope: 1.0,
                intercept: 0.0,
            });
        let signed = layout.signed
            || matches!(modality, Modality::Linear { intercept, .. } if intercept < 0.0);
        let voi = options
            .window
            .and_then(|(center, width)| {
                window(center, width, Function::Linear, WindowSource::Argument)
            })
            .or_else(|| {
                in_groups(set, options.frame, tags::FRAME_VOI, |g| {
                    first_window(g, WindowSource::FunctionalGroup)
                })
            })
            .or_else(|| first_window(set, WindowSource::File))
            .or_else(|| {
                set.items(tags::VOI_LUT)
                    .first()
                    .and_then(|item| Lut::read(item, signed))
                    .map(Voi::Table)
            })
            .unwrap_or(Voi::Full);
        Self {
            modality,
            voi,
            padding: padding(set, layout),
        }
    }

    /// The frame as shown, and the window that was applied.
    pub(crate) fn render(&self, samples: &Samples, inverted: bool) -> (Vec<u8>, Window) {
        match samples {
            Samples::U8(data) => self.narrow(data, usize::from, 256, |i| i as f64, inverted),
            Samples::U16(data) => self.narrow(data, usize::from, 1 << 16, |i| i as f64, inverted),
            Samples::I16(data) => self.narrow(
                data,
                |v| usize::from(v as u16),
                1 << 16,
                |i| f64::from(i as u16 as i16),
                inverted,
            ),
            Samples::U32(data) => self.wide(data, f64::from, inverted),
            Samples::I32(data) => self.wide(data, f64::from, inverted),
            Samples::F64(data) => self.wide(data, |v| v, inverted),
        }
    }

    /// Up to 16 bits: every possible value is worked out once, and pixels are looked up; unless they are fewer.
    fn narrow<T: Copy>(
        &self,
        data: &[T],
        index: impl Fn(T) -> usize,
        size: usize,
        value: impl Fn(usize) -> f64,
        inverted: bool,
    ) -> (Vec<u8>, Window) {
        if data.len() < size {
            return self.wide(data, |v| value(index(v)), inverted);
        }
        let scale = self.scale(|| {
            let mut present = vec![false; size];
            for &v in data {
                present[index(v)] = true;
            }
            self.range((0..size).filter(|&i| present[i]).map(&value))
        });
        let table: Vec<u8> = (0..size)
            .map(|i| shown(scale.apply(self.modality(value(i))), inverted))
            .collect();
        (
            data.iter().map(|&v| table[index(v)]).collect(),
            scale.window,
        )
    }

    fn wide<T: Copy>(
        &self,
        data: &[T],
        value: impl Fn(T) -> f64,
        inverted: bool,
    ) -> (Vec<u8>, Window) {
        let scale = self.scale(|| self.range(data.iter().map(|&v| value(v))));
        let pixels = data
            .iter()
            .map(|&v| shown(scale.apply(self.modality(value(v))), inverted))
            .collect();
        (pixels, scale.window)
    }

    fn modality(&self, stored: f64) -> f64 {
        match &self.modality {
            Modality::Linear { slope, intercept } => stored * slope + intercept,
            Modality::Table(lut) => lut.at(stored),
        }
    }

    /// Smallest and largest modality value; padding counts only where there is nothing else.
    fn range(&self, stored: impl Iterator<Item = f64>) -> (f64, f64) {
        let (mut values, mut padding) = (Extent::EMPTY, Extent::EMPTY);
        for value in stored {
            let pads = self
                .padding
                .is_some_and(|(from, to)| (from..=to).contains(&value));
            let extent = if pads { &mut padding } else { &mut values };
            extent.add(self.modality(value));
        }
        if values.low <= values.high {
            (values.low, values.high)
        } else if padding.low <= padding.high {
            (padding.low, padding.high)
        } else {
            (0.0, 0.0)
        }
    }

    fn scale(&self, range: impl FnOnce() -> (f64, f64)) -> Scale<'_> {
        match &self.voi {
            Voi::Window {
                center,
                width,
                function,
                source,
            } => {
                let map = match function {
                    Function::Linear => Map::Linear {
                        center: center - 0.5,
                        width: width - 1.0,
                    },
                    Function::LinearExact => Map::Linear {
                        center: *center,
                        width: *width,
                    },
                    Function::Sigmoid => Map::Sigmoid {
                        center: *center,
                        width: *width,
                    },
                };
                Scale {
                    map,
                    window: Window {
                        center: *center,
                        width: *width,
                        source: *source,
                    },
                }
            }
            Voi::Table(lut) => {
                let (first, count) = lut.domain();
                let window = Window {
                    center: first + count / 2.0,
                    width: count,
                    source: WindowSource::Lut,
                };
                Scale {
                    map: Map::Table(lut),
                    window,
                }
            }
            Voi::Full => {
                let (low, high) = range();
                let (center, width) = (f64::midpoint(low, high), high - low);
                Scale {
                    map: Map::Linear { center, width },
                    window: Window {
                        center,
                        width,
                        source: WindowSource::Minmax,
                    },
                }
            }
        }
    }
}

/// The extent of values seen.
struct Extent {
    low: f64,
    high: f64,
}

impl Extent {
    const EMPTY: Self = Self {
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
    };

    fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.low = self.low.min(value);
            self.high = self.high.max(value);
        }
    }
}

/// Modality values to 0–1.
struct Scale<'a> {
    map: Map<'a>,
    window: Window,
}

enum Map<'a> {
    Linear { center: f64, width: f64 },
    Sigmoid { center: f64, width: f64 },
    Table(&'a Lut),
}

impl Scale<'_> {
    /// The formulas of PS3.3 C.11.2.1.2.1 to C.11.2.1.3.2, with 0–1 as the output range.
    fn apply(&self, x: f64) -> f64 {
        match self.map {
            Map::Linear { center, width } if x <= center - width / 2.0 => 0.0,
            Map::Linear { center, width } if x > center + width / 2.0 => 1.0,
            Map::Linear { center, width } => (x - center) / width + 0.5,
            Map::Sigmoid { center, width } => 1.0 / (1.0 + (-4.0 * (x - center) / width).exp()),
            Map::Table(lut) => lut.at(x) / lut.largest(),
        }
    }
}

/// 0–1 to 0–255, rounded; inverted for MONOCHROME1.
fn shown(value: f64, inverted: bool) -> u8 {
    let value = (value * 255.0 + 0.5) as u8;
    if inverted { 255 - value } else { value }
}

/// A window, where its width makes sense: LINEAR needs at least 1 (C.11.2.1.2.1); a narrower positive one was meant
/// for real numbers.
fn window(center: f64, width: f64, function: Function, source: WindowSource) -> Option<Voi> {
    if !center.is_finite() || !width.is_finite() || width <= 0.0 {
        return None;
    }
    let function = if function == Function::Linear && width < 1.0 {
        Function::LinearExact
    } else {
        function
    };
    Some(Voi::Window {
        center,
        width,
        function,
        source,
    })
}

/// The first window of a data set or functional group.
fn first_window(set: &DataSet, source: WindowSource) -> Option<Voi> {
    let function = match set.first(tags::VOI_FUNCTION).as_deref() {
        Some("LINEAR_EXACT") => Function::LinearExact,
        Some("SIGMOID") => Function::Sigmoid,
        _ => Function::Linear,
    };
    window(
        set.decimal(tags::WINDOW_CENTER)?,
        set.decimal(tags::WINDOW_WIDTH)?,
        function,
        source,
    )
}

fn linear(set: &DataSet) -> Option<Modality> {
    let (slope, intercept) = (
        set.decimal(tags::RESCALE_SLOPE),
        set.decimal(tags::RESCALE_INTERCEPT),
    );
    if slope.is_none() && intercept.is_none() {
        return None;
    }
    // A slope of zero would wipe the picture out; it stands in objects that mean "none".
    let slope = slope.filter(|s| *s != 0.0).unwrap_or(1.0);
    Some(Modality::Linear {
        slope,
        intercept: intercept.unwrap_or(0.0),
    })
}

fn table(set: &DataSet, layout: &Layout) -> Option<Modality> {
    set.items(tags::MODALITY_LUT)
        .first()
        .and_then(|item| Lut::read(item, layout.signed))
        .map(Modality::Table)
}

/// Pixel Padding Value and Range Limit (C.7.5.1.1.2), in either order.
fn padding(set: &DataSet, layout: &Layout) -> Option<(f64, f64)> {
    let float = |tag| set.decimal(tag).map(|v| (v, v));
    match layout.number {
        Number::Float => return float(tags::FLOAT_PADDING),
        Number::Double => return float(tags::DOUBLE_PADDING),
        Number::Integer => {}
    }
    let stored = |tag| {
        set.short(tag).map(|v| {
            if layout.signed {
                f64::from(v as i16)
            } else {
                f64::from(v)
            }
        })
    };
    let value = stored(tags::PADDING)?;
    let limit = stored(tags::PADDING_LIMIT).unwrap_or(value);
    Some((value.min(limit), value.max(limit)))
}

/// Reads from the functional group of a frame: its own, then the shared one (PS3.3 C.7.6.16).
fn in_groups<T>(
    set: &DataSet,
    frame: u32,
    group: Tag,
    read: impl Fn(&DataSet) -> Option<T>,
) -> Option<T> {
    let own = set.items(tags::FRAME_GROUPS);
    let of = |groups: &DataSet| groups.items(group).first().and_then(&read);
    own.get(frame as usize)
        .and_then(of)
        .or_else(|| set.items(tags::SHARED_GROUPS).first().and_then(of))
}

#[cfg(test)]
mod tests;
