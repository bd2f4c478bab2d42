//! The DCT processes, sequential and progressive, of 8 and 12 bits (ITU-T T.81 annexes F and G).

use std::ops::Range;
use std::thread;

use crossbeam_channel::bounded;

use crate::Scale;
use crate::codecs::jpeg::bits::JpegBits;
use crate::codecs::jpeg::color;
use crate::codecs::jpeg::headers::{JpegHeaders, Process, SegmentWalk};
use crate::codecs::jpeg::idct;
use crate::codecs::jpeg::planes::{ComponentPlane, Sample, mcus, own_blocks};
use crate::codecs::jpeg::progressive;
use crate::codecs::jpeg::tables::{JpegScan, Tables};
use crate::codecs::jpeg::{ComponentSamples, Components, ends_early};
use crate::error::{MediaError, malformed, unsupported};

/// What of a picture is decoded, and how.
#[derive(Clone, Debug)]
pub(crate) struct DecodeRegion {
    /// The resolution.
    pub scale: Scale,
    /// Columns, at that resolution; the others stay black.
    pub columns: Range<usize>,
    /// Rows, likewise.
    pub rows: Range<usize>,
    /// On two cores, as someone waits for this picture: one reads the codes, which can only be done in their order, the other
    /// transforms what was read.
    pub spread: bool,
}

impl DecodeRegion {
    /// All of a picture.
    pub(crate) fn whole(headers: &JpegHeaders, scale: Scale) -> Self {
        let (width, height) = size(headers, scale);
        Self {
            scale,
            columns: 0..width,
            rows: 0..height,
            spread: false,
        }
    }
}

/// Columns and rows of the picture at a resolution.
fn size(headers: &JpegHeaders, scale: Scale) -> (usize, usize) {
    let side = |side: u32| side.div_ceil(scale.divisor()) as usize;
    (side(headers.width), side(headers.height))
}

/// The components as coded, all at the picture's resolution.
pub(crate) fn decode(
    bytes: &[u8],
    headers: &JpegHeaders,
    part: &DecodeRegion,
) -> Result<Components, MediaError> {
    let channels = headers.components.len();
    if channels > 4 {
        return Err(unsupported(format!("JPEG with {channels} components")));
    }
    let data = match headers.precision {
        8 => ComponentSamples::U8(interleaved(bytes, headers, part)?),
        12 => ComponentSamples::U16(interleaved(bytes, headers, part)?),
        bits => return Err(unsupported(format!("JPEG of {bits} bits a sample"))),
    };
    Ok(Components {
        channels,
        precision: headers.precision,
        data,
    })
}

/// Luma and chroma of 8 bits as interleaved RGB.
pub(crate) fn rgb(
    bytes: &[u8],
    headers: &JpegHeaders,
    part: &DecodeRegion,
) -> Result<Vec<u8>, MediaError> {
    rows(bytes, headers, part, |rows, out| match rows {
        &[y, cb, cr] => color::rgb(y, cb, cr, out),
        _ => out.fill(0),
    })
}

/// All components pixel by pixel.
fn interleaved<T: Sample>(
    bytes: &[u8],
    headers: &JpegHeaders,
    part: &DecodeRegion,
) -> Result<Vec<T>, MediaError> {
    rows(bytes, headers, part, |rows, out| match rows {
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
    headers: &JpegHeaders,
    part: &DecodeRegion,
    join: impl Fn(&[&[T]], &mut [T]) + Sync,
) -> Result<Vec<T>, MediaError> {
    let planes = planes(bytes, headers, part)?;
    if !planes.iter().all(ComponentPlane::divides) {
        return Err(unsupported("JPEG with fractional sampling factors"));
    }
    let (width, height) = size(headers, part.scale);
    let channels = planes.len();
    let mut out = vec![T::default(); width * height * channels];
    let fill = |first: usize, lines: &mut [T]| {
        let mut room = vec![Vec::new(); channels];
        for (y, line) in (first..).zip(lines.chunks_exact_mut(width * channels)) {
            let rows: Vec<&[T]> = planes
                .iter()
                .zip(&mut room)
                .map(|(plane, room)| plane.full(y, room, &part.columns))
                .collect();
            let wanted = part.columns.start * channels..part.columns.end * channels;
            join(&rows, &mut line[wanted]);
        }
    };
    let wanted = &mut out[part.rows.start * width * channels..part.rows.end * width * channels];
    if part.spread {
        let half = part.rows.len() / 2;
        let (upper, lower) = wanted.split_at_mut(half * width * channels);
        thread::scope(|scope| {
            scope.spawn(|| fill(part.rows.start, upper));
            fill(part.rows.start + half, lower);
        });
    } else {
        fill(part.rows.start, wanted);
    }
    Ok(out)
}

fn planes<T: Sample>(
    bytes: &[u8],
    headers: &JpegHeaders,
    part: &DecodeRegion,
) -> Result<Vec<ComponentPlane<T>>, MediaError> {
    let mut frame = DctFrame::<T>::new(headers, part);
    let mut tables = Tables::default();
    let mut walk = SegmentWalk::new(bytes);
    while let Some((marker, body)) = walk.next() {
        match marker {
            0xd9 => break,
            0xda => {
                let scan = JpegScan::read(body, &headers.components)?;
                let mut bits = JpegBits::new(bytes, walk.at);
                frame.scan(&scan, &tables, &mut bits)?;
                if bits.is_starved() {
                    return Err(ends_early());
                }
            }
            _ => tables.define(marker, body)?,
        }
    }
    frame.finish()
}

/// A block on its way from the codes to the samples.
struct CodedBlock {
    /// Index of its component.
    place: usize,
    /// Column and row among the component's blocks.
    at: (usize, usize),
    coefficients: [i16; 64],
}

/// Blocks that are handed over at a time.
const HANDED: usize = 512;
/// How often that, at most, while they wait.
const WAITING: usize = 64;

/// The picture while its scans are read.
struct DctFrame<'h, 'b, T> {
    headers: &'h JpegHeaders<'b>,
    planes: Vec<ComponentPlane<T>>,
    /// Of progressive pictures: the coefficients of all blocks, in natural order.
    coefficients: Vec<Vec<[i16; 64]>>,
    /// Quantisation tables as they stood at each component's first scan.
    quantisation: Vec<Option<[u16; 64]>>,
    samples: idct::SampleRange,
    spread: bool,
}

impl<'h, 'b, T: Sample> DctFrame<'h, 'b, T> {
    fn new(headers: &'h JpegHeaders<'b>, part: &DecodeRegion) -> Self {
        let planes = ComponentPlane::<T>::of_frame(headers, part);
        let coefficients = match headers.process {
            Process::Progressive => planes.iter().map(|p| vec![[0; 64]; p.blocks()]).collect(),
            _ => Vec::new(),
        };
        Self {
            headers,
            quantisation: vec![None; planes.len()],
            planes,
            coefficients,
            samples: idct::SampleRange::of(headers.precision),
            spread: part.spread,
        }
    }

    /// Reads the entropy-coded data of a scan.
    fn scan(
        &mut self,
        scan: &JpegScan,
        tables: &Tables,
        bits: &mut JpegBits,
    ) -> Result<(), MediaError> {
        for &(place, ..) in &scan.components {
            let table = tables
                .quantisation
                .get(usize::from(self.headers.components[place].quantisation));
            let table = table.and_then(|t| *t);
            self.quantisation[place] = self.quantisation[place].or(table);
        }
        let mut coder = progressive::CoefficientDecoder::new(scan, tables, self.headers.process)?;
        let order = BlockOrder::of(self, scan, tables.restart);
        if self.headers.process == Process::Progressive {
            let (planes, coefficients) = (&self.planes, &mut self.coefficients);
            order.walk(&mut coder, bits, |coder, bits, slot, place, (x, y)| {
                let across = planes[place].across();
                coder.progressive(bits, slot, &mut coefficients[place][y * across + x]);
            });
            return Ok(());
        }
        let tables = scan.components.iter().map(|c| self.table(c.0).map(drop));
        tables.collect::<Result<(), _>>()?;
        if self.spread {
            self.sequential_spread(&order, &mut coder, bits);
        } else {
            order.walk(&mut coder, bits, |coder, bits, slot, place, at| {
                let mut block = [0; 64];
                coder.sequential(bits, slot, &mut block);
                if let Some(table) = &self.quantisation[place] {
                    self.planes[place].show(at, &block, table, self.samples);
                }
            });
        }
        Ok(())
    }

    /// A scan whose blocks another thread transforms.
    fn sequential_spread(
        &mut self,
        order: &BlockOrder,
        coder: &mut progressive::CoefficientDecoder,
        bits: &mut JpegBits,
    ) {
        let (planes, quantisation, to) = (&mut self.planes, &self.quantisation, self.samples);
        let wanted: Vec<_> = planes.iter().map(ComponentPlane::wanted).collect();
        let (sender, receiver) = bounded::<Vec<CodedBlock>>(WAITING);
        thread::scope(|scope| {
            scope.spawn(move || {
                for CodedBlock {
                    place,
                    at,
                    coefficients,
                } in receiver.into_iter().flatten()
                {
                    if let Some(table) = &quantisation[place] {
                        planes[place].show(at, &coefficients, table, to);
                    }
                }
            });
            let mut blocks = Vec::with_capacity(HANDED);
            order.walk(coder, bits, |coder, bits, slot, place, at| {
                if blocks.len() == HANDED {
                    // If the other has failed, the scope tells.
                    let _ = sender.send(std::mem::replace(&mut blocks, Vec::with_capacity(HANDED)));
                }
                let read = blocks.len();
                blocks.push(CodedBlock {
                    place,
                    at,
                    coefficients: [0; 64],
                });
                coder.sequential(bits, slot, &mut blocks[read].coefficients);
                if !wanted[place].contains(at) {
                    blocks.pop();
                }
            });
            let _ = sender.send(blocks);
            drop(sender);
        });
    }

    /// The quantisation table of a component.
    fn table(&self, place: usize) -> Result<&[u16; 64], MediaError> {
        self.quantisation[place]
            .as_ref()
            .ok_or_else(|| malformed("JPEG: a quantisation table is missing"))
    }

    fn finish(mut self) -> Result<Vec<ComponentPlane<T>>, MediaError> {
        for (place, blocks) in std::mem::take(&mut self.coefficients)
            .into_iter()
            .enumerate()
        {
            let table = *self.table(place)?;
            let across = self.planes[place].across();
            for (i, block) in blocks.iter().enumerate() {
                self.planes[place].show((i % across, i / across), block, &table, self.samples);
            }
        }
        Ok(self.planes)
    }
}

/// The order in which a scan's blocks come.
struct BlockOrder {
    /// MCUs across.
    across: usize,
    /// MCUs down, as far as there is something to be decoded.
    down: usize,
    /// Index of each component in the frame, and its blocks in an MCU, across and down.
    components: Vec<(usize, usize, usize)>,
    /// MCUs between restart markers; 0 for none.
    restart: usize,
}

impl BlockOrder {
    fn of<T: Sample>(frame: &DctFrame<T>, scan: &JpegScan, restart: usize) -> Self {
        let alone = scan.components.len() == 1;
        let component = |&(place, ..): &(usize, usize, usize)| {
            let (h, v) = frame.headers.components[place].sampling;
            if alone {
                (place, 1, 1)
            } else {
                (place, usize::from(h), usize::from(v))
            }
        };
        let components: Vec<_> = scan.components.iter().map(component).collect();
        // Blocks of a component that is alone in its scan are its own, without the padding to whole MCUs (A.2.3).
        let (across, down) = if alone {
            own_blocks(frame.headers, components[0].0)
        } else {
            mcus(frame.headers)
        };
        let needed = |&(place, _, v): &(usize, usize, usize)| {
            frame.planes[place].wanted().rows.end.div_ceil(v)
        };
        let last = components.iter().map(needed).max().unwrap_or(down);
        Self {
            across,
            down: down.min(last),
            components,
            restart,
        }
    }

    /// Visits one block after the other: with its component's index in the scan and in the frame, and its place among
    /// the component's blocks.
    fn walk(
        &self,
        coder: &mut progressive::CoefficientDecoder,
        bits: &mut JpegBits,
        mut visit: impl FnMut(
            &mut progressive::CoefficientDecoder,
            &mut JpegBits,
            usize,
            usize,
            (usize, usize),
        ),
    ) {
        let mut left = self.restart;
        for mcu in 0..self.across * self.down {
            if self.restart > 0 {
                if left == 0 {
                    bits.restart();
                    coder.restart();
                    left = self.restart;
                }
                left -= 1;
            }
            let (x, y) = (mcu % self.across, mcu / self.across);
            for (slot, &(place, h, v)) in self.components.iter().enumerate() {
                for block in 0..h * v {
                    let at = (x * h + block % h, y * v + block / h);
                    visit(coder, bits, slot, place, at);
                }
            }
            if bits.is_starved() {
                return;
            }
        }
    }
}
