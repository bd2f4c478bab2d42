//! Pads tiles at the edge of a whole-slide image, whose streams some writers make only as large as what is left of the
//! slide.

use crate::codecs::jpeg::{ComponentSamples, Components};

/// Largest frame that is padded, in pixels: above any tile, below what a tiny stream should be blown up to.
const MAX_PIXELS: u64 = 1 << 24;

/// Whether a stream can be padded to the size of the frame: it differs from it, and exceeds it in no direction.
pub(crate) fn can_pad(stream: (u32, u32), frame: (u32, u32)) -> bool {
    stream != frame
        && stream.0 <= frame.0
        && stream.1 <= frame.1
        && u64::from(frame.0) * u64::from(frame.1) <= MAX_PIXELS
}

/// Repeats the last column and row until the frame is full, as T.81 A.2.4 recommends to encoders: this adds no new
/// value, whatever the samples mean.
pub(crate) fn padded(components: Components, stream: (u32, u32), frame: (u32, u32)) -> Components {
    let channels = components.channels;
    Components {
        data: match components.data {
            ComponentSamples::U8(data) => {
                ComponentSamples::U8(repeated(&data, channels, stream, frame))
            }
            ComponentSamples::U16(data) => {
                ComponentSamples::U16(repeated(&data, channels, stream, frame))
            }
        },
        ..components
    }
}

fn repeated<T: Copy>(
    data: &[T],
    channels: usize,
    (width, _): (u32, u32),
    (columns, rows): (u32, u32),
) -> Vec<T> {
    let mut out = Vec::with_capacity(columns as usize * rows as usize * channels);
    let mut lines = 0..rows;
    for (line, _) in data
        .chunks_exact(width as usize * channels)
        .zip(lines.by_ref())
    {
        out.extend_from_slice(line);
        let last = &line[line.len() - channels..];
        (width..columns).for_each(|_| out.extend_from_slice(last));
    }
    let line = columns as usize * channels;
    for _ in out.len() / line..rows as usize {
        out.extend_from_within(out.len() - line..);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_tile_is_padded_by_repeating_its_edge() {
        let tile = Components {
            channels: 2,
            precision: 8,
            data: ComponentSamples::U8(vec![1, 2, 3, 4, 5, 6, 7, 8]),
        };
        let ComponentSamples::U8(data) = padded(tile, (2, 2), (3, 4)).data else {
            panic!("8 bits stay 8 bits");
        };
        let (upper, lower) = ([1, 2, 3, 4, 3, 4], [5, 6, 7, 8, 7, 8]);
        assert_eq!(data, [upper, lower, lower, lower].concat());
        assert!(can_pad((2, 2), (3, 2)) && can_pad((2, 2), (2, 4)));
        assert!(!can_pad((2, 2), (2, 2)) && !can_pad((2, 2), (3, 1)));
        assert!(!can_pad((2, 2), (16_384, 16_384)));
    }
}
