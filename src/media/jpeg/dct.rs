//! The DCT processes, sequential and progressive, of 8 and 12 bits (ITU-T T.81 annexes F and G).

use super::super::Scale;
use super::super::error::{MediaError, malformed, truncated, unsupported};
use super::bits::Bits;
use super::color;
use super::headers::{Headers, Process, Walk};
use super::idct;
use super::planes::{Plane, Sample, mcus};
use super::progressive;
use super::tables::{Scan, Tables};
use super::{Components, Data};

/// Most scans of one picture: an ordinary progressive one has ten; crafted ones cost minutes.
const MOST_SCANS: usize = 500;
/// Most blocks visited in all scans together, for the same reason.
const MOST_BLOCKS: usize = 1 << 30;

/// The components as coded, all at the resolution that the picture has at `scale`.
pub(super) fn decode(
    bytes: &[u8],
    headers: &Headers,
    scale: Scale,
) -> Result<Components, MediaError> {
    let channels = headers.components.len();
    if channels > 4 {
        return Err(unsupported(format!("JPEG with {channels} components")));
    }
    let data = match headers.precision {
        8 => Data::U8(interleaved(bytes, headers, scale)?),
        12 => Data::U16(interleaved(bytes, headers, scale)?),
        bits => return Err(unsupported(format!("JPEG of {bits} bits a sample"))),
    };
    Ok(Components {
        channels,
        precision: headers.precision,
        data,
    })
}

/// Luma and chroma of 8 bits as interleaved RGB.
pub(super) fn rgb(bytes: &[u8], headers: &Headers, scale: Scale) -> Result<Vec<u8>, MediaError> {
    rows(bytes, headers, scale, |rows, out| match rows {
        &[y, cb, cr] => color::rgb(y, cb, cr, out),
        _ => out.fill(0),
    })
}

/// All components pixel by pixel.
fn interleaved<T: Sample>(
    bytes: &[u8],
    headers: &Headers,
    scale: Scale,
) -> Result<Vec<T>, MediaError> {
    rows(bytes, headers, scale, |rows, out| match rows {
        [alone] => out.copy_from_slice(alone),
        _ => {
            for (channel, row) in rows.iter().enumerate() {
                for (pixel, &sample) in out.chunks_exact_mut(rows.len()).zip(*row) {
                    pixel[channel] = sample;
                }
            }
        }
    })
}

/// Rows of the picture: `join` makes one of the components' rows.
fn rows<T: Sample>(
    bytes: &[u8],
    headers: &Headers,
    scale: Scale,
    join: impl Fn(&[&[T]], &mut [T]),
) -> Result<Vec<T>, MediaError> {
    let planes = planes(bytes, headers, scale)?;
    if !planes.iter().all(Plane::divides) {
        return Err(unsupported("JPEG with fractional sampling factors"));
    }
    let width = headers.width.div_ceil(scale.divisor()) as usize;
    let height = headers.height.div_ceil(scale.divisor()) as usize;
    let mut out = vec![T::default(); width * height * planes.len()];
    let mut room = vec![Vec::new(); planes.len()];
    for (y, line) in out.chunks_exact_mut(width * planes.len()).enumerate() {
        let rows: Vec<&[T]> = planes
            .iter()
            .zip(&mut room)
            .map(|(plane, room)| plane.full(y, room, width))
            .collect();
        join(&rows, line);
    }
    Ok(out)
}

fn planes<T: Sample>(
    bytes: &[u8],
    headers: &Headers,
    scale: Scale,
) -> Result<Vec<Plane<T>>, MediaError> {
    let mut frame = Frame::<T>::new(headers, scale);
    let mut tables = Tables::default();
    let (mut scans, mut visited) = (0, 0);
    let mut walk = Walk::new(bytes);
    while let Some((marker, body)) = walk.next() {
        match marker {
            0xd9 => break,
            0xda => {
                let scan = Scan::read(body, &headers.components)?;
                (scans, visited) = (scans + 1, visited + frame.blocks(&scan));
                if scans > MOST_SCANS || visited > MOST_BLOCKS {
                    return Err(malformed("JPEG: more scans than a picture has use for"));
                }
                let mut bits = Bits::new(bytes, walk.at);
                frame.scan(&scan, &tables, &mut bits)?;
                if bits.exhausted() {
                    return Err(truncated("JPEG: the file ends before its picture does"));
                }
            }
            _ => tables.define(marker, body)?,
        }
    }
    if scans == 0 {
        return Err(malformed("JPEG: no scan"));
    }
    frame.finish()
}

/// The picture while its scans are read.
struct Frame<'h, 'b, T> {
    headers: &'h Headers<'b>,
    planes: Vec<Plane<T>>,
    /// Of progressive pictures: the coefficients of all blocks, in natural order.
    coefficients: Vec<Vec<[i16; 64]>>,
    /// Quantisation tables as they stood at each component's first scan.
    quantisation: Vec<Option<[u16; 64]>>,
    samples: idct::Samples,
}

impl<'h, 'b, T: Sample> Frame<'h, 'b, T> {
    fn new(headers: &'h Headers<'b>, scale: Scale) -> Self {
        let planes = Plane::<T>::of_frame(headers, scale);
        let coefficients = match headers.process {
            Process::Progressive => planes.iter().map(|p| vec![[0; 64]; p.blocks()]).collect(),
            _ => Vec::new(),
        };
        Self {
            headers,
            quantisation: vec![None; planes.len()],
            planes,
            coefficients,
            samples: idct::Samples::of(headers.precision),
        }
    }

    /// Blocks that a scan visits, restart padding not counted.
    fn blocks(&self, scan: &Scan) -> usize {
        scan.components
            .iter()
            .map(|c| self.planes[c.0].blocks())
            .sum()
    }

    /// Reads the entropy-coded data of a scan.
    fn scan(&mut self, scan: &Scan, tables: &Tables, bits: &mut Bits) -> Result<(), MediaError> {
        for &(place, ..) in &scan.components {
            let table = tables
                .quantisation
                .get(usize::from(self.headers.components[place].quantisation));
            let table = table.and_then(|t| *t);
            self.quantisation[place] = self.quantisation[place].or(table);
        }
        let mut coder = progressive::Coder::new(scan, tables, self.headers.process)?;
        let alone = scan.components.len() == 1;
        let (across, down) = if alone {
            self.own_blocks(scan.components[0].0)
        } else {
            mcus(self.headers)
        };
        let mut left = tables.restart;
        for mcu in 0..across * down {
            if tables.restart > 0 {
                if left == 0 {
                    bits.restart();
                    coder.restart();
                    left = tables.restart;
                }
                left -= 1;
            }
            let (x, y) = (mcu % across, mcu / across);
            for (slot, &(place, ..)) in scan.components.iter().enumerate() {
                let (h, v) = self.headers.components[place].sampling;
                let (h, v) = if alone {
                    (1, 1)
                } else {
                    (usize::from(h), usize::from(v))
                };
                for block in 0..h * v {
                    self.block(
                        &mut coder,
                        bits,
                        slot,
                        place,
                        (x * h + block % h, y * v + block / h),
                    )?;
                }
            }
            if bits.exhausted() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Blocks of a component that is alone in its scan: its own, without the padding to whole MCUs (A.2.3).
    fn own_blocks(&self, place: usize) -> (usize, usize) {
        let plane = &self.planes[place];
        (
            plane.width.div_ceil(plane.side),
            plane.height.div_ceil(plane.side),
        )
    }

    fn block(
        &mut self,
        coder: &mut progressive::Coder,
        bits: &mut Bits,
        slot: usize,
        place: usize,
        (x, y): (usize, usize),
    ) -> Result<(), MediaError> {
        let across = self.planes[place].across();
        if let Some(blocks) = self.coefficients.get_mut(place) {
            coder.progressive(bits, slot, &mut blocks[y * across + x]);
            return Ok(());
        }
        let mut block = [0; 64];
        coder.sequential(bits, slot, &mut block);
        self.show(place, (x, y), &block)
    }

    /// A block's coefficients become samples of its plane.
    fn show(
        &mut self,
        place: usize,
        (x, y): (usize, usize),
        block: &[i16; 64],
    ) -> Result<(), MediaError> {
        let table = self.quantisation[place]
            .as_ref()
            .ok_or_else(|| malformed("JPEG: a quantisation table is missing"))?;
        let plane = &mut self.planes[place];
        let to = self.samples;
        let side = plane.side;
        if side == 1 || block[1..].iter().all(|&c| c == 0) {
            // A flat block, of which a picture has many.
            let value = T::of(idct::one(block[0], table, to) as u32);
            plane.block(x, y).for_each(|row| row.fill(value));
            return Ok(());
        }
        let mut put = |samples: &[i32]| {
            for (row, samples) in plane.block(x, y).zip(samples.chunks_exact(side)) {
                for (out, &sample) in row.iter_mut().zip(samples) {
                    *out = T::of(sample as u32);
                }
            }
        };
        match side {
            8 => put(&idct::eight(block, table, to)),
            4 => put(&idct::four(block, table, to)),
            _ => put(&idct::two(block, table, to)),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Plane<T>>, MediaError> {
        for (place, blocks) in std::mem::take(&mut self.coefficients)
            .into_iter()
            .enumerate()
        {
            let across = self.planes[place].across();
            for (i, block) in blocks.iter().enumerate() {
                self.show(place, (i % across, i / across), block)?;
            }
        }
        Ok(self.planes)
    }
}
