//! From stored values to shades, by table where that is cheaper.

use super::samples::Samples;

/// Writes the shades of rows of `width` samples to `out`. `rows` gives where each begins among the samples and in
/// `out`. For samples of up to 16 bits the shade of every possible value is computed once and looked up, unless there
/// are fewer pixels than values.
pub(super) fn write_shades(
    samples: &Samples,
    rows: impl ExactSizeIterator<Item = (usize, usize)>,
    width: usize,
    out: &mut [u8],
    shade: impl Fn(f64) -> u8,
) {
    fn write<T: Copy>(
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
        (Samples::U8(data), Some(table)) => {
            write(data, rows, width, out, |v| table[usize::from(v)]);
        }
        (Samples::U16(data), Some(table)) => {
            write(data, rows, width, out, |v| table[usize::from(v)]);
        }
        (Samples::I16(data), Some(table)) => write(data, rows, width, out, |v| {
            table[usize::from((v as u16) ^ 0x8000)]
        }),
        (Samples::U8(data), None) => write(data, rows, width, out, |v| shade(v.into())),
        (Samples::U16(data), None) => write(data, rows, width, out, |v| shade(v.into())),
        (Samples::I16(data), None) => write(data, rows, width, out, |v| shade(v.into())),
        (Samples::U32(data), _) => write(data, rows, width, out, |v| shade(v.into())),
        (Samples::I32(data), _) => write(data, rows, width, out, |v| shade(v.into())),
        (Samples::F64(data), _) => write(data, rows, width, out, shade),
    }
}
