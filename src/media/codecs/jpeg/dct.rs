//! Decodes the DCT processes, sequential and progressive, of 8 and 12 bits (ITU-T T.81 annexes F and G).

use std::ops::Range;
use std::thread;

use crossbeam_channel::bounded;

use crate::Scale;
use crate::codecs::jpeg::bits::JpegBits;
use crate::codecs::jpeg::color;
use crate::codecs::jpeg::headers::{JpegHeaders, Process, SegmentWalk};
use crate::codecs::jpeg::idct;
use crate::codecs::jpeg::planes::{ComponentPlane, Sample, image_blocks, mcu_count};
use crate::codecs::jpeg::progressive;
use crate::codecs::jpeg::tables::{JpegScan, Tables};
use crate::codecs::jpeg::{ComponentSamples, Components, ends_early};
use crate::error::{MediaError, malformed, unsupported};

/// The region of an image that is decoded, at which scale, and on how many threads.
#[derive(Clone, Debug)]
pub(crate) struct DecodeRegion {
    /// The scale.
    pub scale: Scale,
    /// Columns to decode, at that scale; the others stay black.
    pub columns: Range<usize>,
    /// Rows to decode, at that scale.
    pub rows: Range<usize>,
    /// Whether to use two threads: one reads the codes, which is only possible in their order, the other transforms
    /// the coefficients.
    pub parallel: bool,
}

impl DecodeRegion {
    /// The whole image.
    pub(crate) fn whole(headers: &JpegHeaders, scale: Scale) -> Self {
        let (width, height) = size(headers, scale);
        Self {
            scale,
            columns: 0..width,
            rows: 0..height,
            parallel: false,
        }
    }
}

/// Columns and rows of the image at a scale.
fn size(headers: &JpegHeaders, scale: Scale) -> (usize, usize) {
    let side = |side: u32| side.div_ceil(scale.divisor()) as usize;
    (side(headers.width), side(headers.height))
}

/// Decodes the components, all upsampled to the resolution of the image.
pub(crate) fn decode(
    bytes: &[u8],
    headers: &JpegHeaders,
    region: &DecodeRegion,
) -> Result<Components, MediaError> {
    let channels = headers.components.len();
    if channels > 4 {
        return Err(unsupported(format!("JPEG with {channels} components")));
    }
    let data = match headers.precision {
        8 => ComponentSamples::U8(interleaved(bytes, headers, region)?),
        12 => ComponentSamples::U16(interleaved(bytes, headers, region)?),
        bits => return Err(unsupported(format!("JPEG of {bits} bits a sample"))),
    };
    Ok(Components {
        channels,
        precision: headers.precision,
        data,
    })
}

/// Decodes 8-bit luma and chroma to interleaved RGB.
pub(crate) fn rgb(
    bytes: &[u8],
    headers: &JpegHeaders,
    region: &DecodeRegion,
) -> Result<Vec<u8>, MediaError> {
    rows(bytes, headers, region, |rows, out| match rows {
        &[y, cb, cr] => color::rgb(y, cb, cr, out),
        _ => out.fill(0),
    })
}

/// Decodes and interleaves all components.
fn interleaved<T: Sample>(
    bytes: &[u8],
    headers: &JpegHeaders,
    region: &DecodeRegion,
) -> Result<Vec<T>, MediaError> {
    rows(bytes, headers, region, |rows, out| match rows {
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

/// Decodes the rows of the image; `join` combines the rows of the components.
fn rows<T: Sample>(
    bytes: &[u8],
    headers: &JpegHeaders,
    region: &DecodeRegion,
    join: impl Fn(&[&[T]], &mut [T]) + Sync,
) -> Result<Vec<T>, MediaError> {
    let planes = planes(bytes, headers, region)?;
    if !planes.iter().all(ComponentPlane::divides_evenly) {
        return Err(unsupported("JPEG with fractional sampling factors"));
    }
    let (width, height) = size(headers, region.scale);
    let channels = planes.len();
    let mut out = vec![T::default(); width * height * channels];
    let fill = |first: usize, lines: &mut [T]| {
        let mut buffers = vec![Vec::new(); channels];
        for (y, line) in (first..).zip(lines.chunks_exact_mut(width * channels)) {
            let rows: Vec<&[T]> = planes
                .iter()
                .zip(&mut buffers)
                .map(|(plane, buffer)| plane.full_row(y, buffer, &region.columns))
                .collect();
            let row_range = region.columns.start * channels..region.columns.end * channels;
            join(&rows, &mut line[row_range]);
        }
    };
    let target = &mut out[region.rows.start * width * channels..region.rows.end * width * channels];
    if region.parallel {
        let half = region.rows.len() / 2;
        let (upper, lower) = target.split_at_mut(half * width * channels);
        thread::scope(|scope| {
            scope.spawn(|| fill(region.rows.start, upper));
            fill(region.rows.start + half, lower);
        });
    } else {
        fill(region.rows.start, target);
    }
    Ok(out)
}

/// Decodes the planes of all components.
fn planes<T: Sample>(
    bytes: &[u8],
    headers: &JpegHeaders,
    region: &DecodeRegion,
) -> Result<Vec<ComponentPlane<T>>, MediaError> {
    let mut frame = DctFrame::<T>::new(headers, region);
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

/// A block whose coefficients were read, to be transformed by another thread.
struct CodedBlock {
    /// Index of its component.
    component: usize,
    /// Column and row among the component's blocks.
    at: (usize, usize),
    coefficients: [i16; 64],
}

/// Number of blocks handed to the other thread at a time.
const BATCH_BLOCKS: usize = 512;
/// Largest number of batches that wait for the other thread.
const MAX_BATCHES: usize = 64;

/// The image while its scans are read.
struct DctFrame<'h, 'b, T> {
    headers: &'h JpegHeaders<'b>,
    planes: Vec<ComponentPlane<T>>,
    /// The coefficients of all blocks, in natural order; for progressive images only.
    coefficients: Vec<Vec<[i16; 64]>>,
    /// Quantisation tables as they were at each component's first scan.
    quantisation: Vec<Option<[u16; 64]>>,
    samples: idct::SampleRange,
    parallel: bool,
}

impl<'h, 'b, T: Sample> DctFrame<'h, 'b, T> {
    fn new(headers: &'h JpegHeaders<'b>, region: &DecodeRegion) -> Self {
        let planes = ComponentPlane::<T>::of_frame(headers, region);
        let coefficients = match headers.process {
            Process::Progressive => planes.iter().map(|p| vec![[0; 64]; p.blocks()]).collect(),
            _ => Vec::new(),
        };
        Self {
            headers,
            quantisation: vec![None; planes.len()],
            planes,
            coefficients,
            samples: idct::SampleRange::new(headers.precision),
            parallel: region.parallel,
        }
    }

    /// Reads the entropy-coded data of a scan.
    fn scan(
        &mut self,
        scan: &JpegScan,
        tables: &Tables,
        bits: &mut JpegBits,
    ) -> Result<(), MediaError> {
        for &(index, ..) in &scan.components {
            let table = tables
                .quantisation
                .get(usize::from(self.headers.components[index].quantisation));
            let table = table.and_then(|t| *t);
            self.quantisation[index] = self.quantisation[index].or(table);
        }
        let mut coder = progressive::CoefficientDecoder::new(scan, tables, self.headers.process)?;
        let order = BlockOrder::new(self, scan, tables.restart);
        if self.headers.process == Process::Progressive {
            let (planes, coefficients) = (&self.planes, &mut self.coefficients);
            order.walk(&mut coder, bits, |coder, bits, slot, index, (x, y)| {
                let across = planes[index].across();
                coder.progressive(bits, slot, &mut coefficients[index][y * across + x]);
            });
            return Ok(());
        }
        let tables = scan.components.iter().map(|c| self.table(c.0).map(drop));
        tables.collect::<Result<(), _>>()?;
        if self.parallel {
            self.sequential_on_two_threads(&order, &mut coder, bits);
        } else {
            order.walk(&mut coder, bits, |coder, bits, slot, index, at| {
                let mut block = [0; 64];
                coder.sequential(bits, slot, &mut block);
                if let Some(table) = &self.quantisation[index] {
                    self.planes[index].transform_block(at, &block, table, self.samples);
                }
            });
        }
        Ok(())
    }

    /// Reads a sequential scan while another thread transforms its blocks.
    fn sequential_on_two_threads(
        &mut self,
        order: &BlockOrder,
        coder: &mut progressive::CoefficientDecoder,
        bits: &mut JpegBits,
    ) {
        let (planes, quantisation, to) = (&mut self.planes, &self.quantisation, self.samples);
        let wanted: Vec<_> = planes.iter().map(ComponentPlane::wanted).collect();
        let (sender, receiver) = bounded::<Vec<CodedBlock>>(MAX_BATCHES);
        thread::scope(|scope| {
            scope.spawn(move || {
                for CodedBlock {
                    component,
                    at,
                    coefficients,
                } in receiver.into_iter().flatten()
                {
                    if let Some(table) = &quantisation[component] {
                        planes[component].transform_block(at, &coefficients, table, to);
                    }
                }
            });
            let mut blocks = Vec::with_capacity(BATCH_BLOCKS);
            order.walk(coder, bits, |coder, bits, slot, component, at| {
                if blocks.len() == BATCH_BLOCKS {
                    // If the other thread has failed, the scope reports it.
                    let _ = sender.send(std::mem::replace(
                        &mut blocks,
                        Vec::with_capacity(BATCH_BLOCKS),
                    ));
                }
                let read = blocks.len();
                blocks.push(CodedBlock {
                    component,
                    at,
                    coefficients: [0; 64],
                });
                coder.sequential(bits, slot, &mut blocks[read].coefficients);
                if !wanted[component].contains(at) {
                    blocks.pop();
                }
            });
            let _ = sender.send(blocks);
            drop(sender);
        });
    }

    /// The quantisation table of a component.
    fn table(&self, index: usize) -> Result<&[u16; 64], MediaError> {
        self.quantisation[index]
            .as_ref()
            .ok_or_else(|| malformed("JPEG: a quantisation table is missing"))
    }

    fn finish(mut self) -> Result<Vec<ComponentPlane<T>>, MediaError> {
        for (index, blocks) in std::mem::take(&mut self.coefficients)
            .into_iter()
            .enumerate()
        {
            let table = *self.table(index)?;
            let across = self.planes[index].across();
            for (i, block) in blocks.iter().enumerate() {
                self.planes[index].transform_block(
                    (i % across, i / across),
                    block,
                    &table,
                    self.samples,
                );
            }
        }
        Ok(self.planes)
    }
}

/// The order of a scan's blocks.
struct BlockOrder {
    /// MCUs across.
    across: usize,
    /// MCUs down, as far as the decoded region reaches.
    down: usize,
    /// For each component of the scan: its index in the frame, and its blocks in an MCU, across and down.
    components: Vec<(usize, usize, usize)>,
    /// MCUs between restart markers; 0 for none.
    restart: usize,
}

impl BlockOrder {
    fn new<T: Sample>(frame: &DctFrame<T>, scan: &JpegScan, restart: usize) -> Self {
        let alone = scan.components.len() == 1;
        let component = |&(index, ..): &(usize, usize, usize)| {
            let (h, v) = frame.headers.components[index].sampling;
            if alone {
                (index, 1, 1)
            } else {
                (index, usize::from(h), usize::from(v))
            }
        };
        let components: Vec<_> = scan.components.iter().map(component).collect();
        // The blocks of a component that is alone in its scan exclude the padding to whole MCUs (A.2.3).
        let (across, down) = if alone {
            image_blocks(frame.headers, components[0].0)
        } else {
            mcu_count(frame.headers)
        };
        let needed = |&(index, _, v): &(usize, usize, usize)| {
            frame.planes[index].wanted().rows.end.div_ceil(v)
        };
        let last = components.iter().map(needed).max().unwrap_or(down);
        Self {
            across,
            down: down.min(last),
            components,
            restart,
        }
    }

    /// Visits one block after the other, with its component's index in the scan and in the frame, and its position
    /// among the component's blocks.
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
            for (slot, &(index, h, v)) in self.components.iter().enumerate() {
                for block in 0..h * v {
                    let at = (x * h + block % h, y * v + block / h);
                    visit(coder, bits, slot, index, at);
                }
            }
            if bits.is_starved() {
                return;
            }
        }
    }
}
