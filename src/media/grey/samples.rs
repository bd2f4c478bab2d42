//! The stored values of a frame.

/// Stored values, row-major, in the narrowest type that fits.
#[derive(Clone, Debug)]
pub(crate) enum Samples {
    /// Unsigned, up to 8 bits.
    U8(Vec<u8>),
    /// Unsigned, up to 16 bits.
    U16(Vec<u16>),
    /// Signed, up to 16 bits.
    I16(Vec<i16>),
    /// Unsigned, up to 32 bits.
    U32(Vec<u32>),
    /// Signed, up to 32 bits.
    I32(Vec<i32>),
    /// Floats of either width.
    F64(Vec<f64>),
}

impl Samples {
    /// The value at an index.
    pub(crate) fn get(&self, at: usize) -> Option<f64> {
        match self {
            Samples::U8(data) => data.get(at).map(|&v| v.into()),
            Samples::U16(data) => data.get(at).map(|&v| v.into()),
            Samples::I16(data) => data.get(at).map(|&v| v.into()),
            Samples::U32(data) => data.get(at).map(|&v| v.into()),
            Samples::I32(data) => data.get(at).map(|&v| v.into()),
            Samples::F64(data) => data.get(at).copied(),
        }
    }

    /// `count` zeros of the same type.
    pub(super) fn zeros(&self, count: usize) -> Self {
        match self {
            Samples::U8(_) => Samples::U8(vec![0; count]),
            Samples::U16(_) => Samples::U16(vec![0; count]),
            Samples::I16(_) => Samples::I16(vec![0; count]),
            Samples::U32(_) => Samples::U32(vec![0; count]),
            Samples::I32(_) => Samples::I32(vec![0; count]),
            Samples::F64(_) => Samples::F64(vec![0.0; count]),
        }
    }

    /// Writes values from index `start` on, rounded for integer types; does nothing if they do not fit.
    pub(super) fn write(&mut self, start: usize, values: &[f64]) {
        fn copy<T>(data: &mut [T], start: usize, values: &[f64], cast: impl Fn(f64) -> T) {
            if let Some(target) = data.get_mut(start..start + values.len()) {
                for (to, from) in target.iter_mut().zip(values) {
                    *to = cast(*from);
                }
            }
        }
        match self {
            Samples::U8(data) => copy(data, start, values, |v| v.round() as u8),
            Samples::U16(data) => copy(data, start, values, |v| v.round() as u16),
            Samples::I16(data) => copy(data, start, values, |v| v.round() as i16),
            Samples::U32(data) => copy(data, start, values, |v| v.round() as u32),
            Samples::I32(data) => copy(data, start, values, |v| v.round() as i32),
            Samples::F64(data) => copy(data, start, values, |v| v),
        }
    }

    /// Size in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Samples::U8(data) => data.len(),
            Samples::U16(data) => 2 * data.len(),
            Samples::I16(data) => 2 * data.len(),
            Samples::U32(data) => 4 * data.len(),
            Samples::I32(data) => 4 * data.len(),
            Samples::F64(data) => 8 * data.len(),
        }
    }

    /// All values that a sample can have, for types with few enough to tabulate.
    pub(super) fn possible(&self) -> Option<IntegerRange> {
        match self {
            Samples::U8(_) => Some(IntegerRange {
                first: 0,
                count: 1 << 8,
            }),
            Samples::U16(_) => Some(IntegerRange {
                first: 0,
                count: 1 << 16,
            }),
            Samples::I16(_) => Some(IntegerRange {
                first: -(1 << 15),
                count: 1 << 16,
            }),
            _ => None,
        }
    }
}

/// A range of consecutive integers.
#[derive(Clone, Copy)]
pub(super) struct IntegerRange {
    /// The smallest integer.
    pub first: i32,
    /// Number of integers.
    pub count: usize,
}

impl IntegerRange {
    /// The integers, ascending.
    pub(super) fn values(self) -> impl Iterator<Item = f64> {
        (self.first..).take(self.count).map(f64::from)
    }
}
