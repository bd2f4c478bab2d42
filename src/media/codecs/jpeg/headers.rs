//! The marker segments of a JPEG stream (ITU-T T.81 annex B): enough to judge it before it is decoded.

use crate::codecs::jpeg::ends_early;
use crate::codecs::jpeg::tables::JpegScan;
use crate::error::{MediaError, malformed, truncated, unsupported};
use crate::{limits, orient};

/// Comments kept of one file; a stream of endless comments costs no memory.
const MAX_COMMENTS: usize = 64;
/// Scans of one picture: an ordinary progressive one has ten.
const MAX_SCANS: usize = 500;

/// The coding process, from the start-of-frame marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// Sequential DCT (SOF0, SOF1).
    Sequential,
    /// Progressive DCT (SOF2).
    Progressive,
    /// Lossless (SOF3).
    Lossless,
}

/// What the components of a stream are, as far as the stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colors {
    /// One component.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Full-range luma and chroma.
    YCbCr,
    /// Four inks.
    Cmyk,
    /// Luma, chroma and black ink.
    Ycck,
    /// Any other number of components.
    Unknown,
}

/// One component of the frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JpegComponent {
    /// Its identifier, by which scans name it.
    pub id: u8,
    /// Horizontal and vertical sampling factors.
    pub sampling: (u8, u8),
    /// The slot of its quantisation table.
    pub quantisation: u8,
}

/// A scan, and how much of the stream it has.
#[derive(Debug)]
pub(crate) struct CodedScan {
    /// What it codes.
    pub scan: JpegScan,
    /// MCUs between its restart markers; 0 for none.
    pub restart: usize,
    /// Bytes up to the next marker that is no restart.
    pub length: usize,
}

/// What the segments of a stream say.
#[derive(Debug)]
pub(crate) struct JpegHeaders<'a> {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bits per sample.
    pub precision: u8,
    /// The coding process.
    pub process: Process,
    /// The frame's components.
    pub components: Vec<JpegComponent>,
    /// A JFIF segment was seen.
    pub jfif: bool,
    /// The transform byte of an Adobe segment.
    pub adobe: Option<u8>,
    /// The TIFF block of an EXIF segment.
    pub exif: Option<&'a [u8]>,
    /// Comment segments.
    pub comments: Vec<&'a [u8]>,
    /// The scans in their order.
    pub scans: Vec<CodedScan>,
    /// The end-of-image marker was reached.
    pub complete: bool,
}

impl<'a> JpegHeaders<'a> {
    /// Walks the segments to the end of the image; the picture's size is held to the limits.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, MediaError> {
        let mut walk = SegmentWalk::new(bytes);
        let mut found = HeadersBuilder::default();
        let mut coded_from = None;
        while let Some((marker, body)) = walk.next() {
            found.close_scan(coded_from.take(), walk.marker_at);
            match marker {
                0xd9 => {
                    found.complete = true;
                    break;
                }
                0xc4 | 0xc8 | 0xcc => {}
                0xc0..=0xcf if found.frame.is_some() => {
                    return Err(malformed("JPEG: more than one frame header"));
                }
                0xc0..=0xcf => found.frame = Some(frame(marker, body)?),
                0xda => {
                    found.open_scan(body)?;
                    coded_from = Some(walk.at);
                }
                _ => found.note(marker, body),
            }
        }
        found.close_scan(coded_from, bytes.len());
        let Some((process, precision, width, height, components)) = found.frame else {
            let message = "JPEG: there is no picture in the file";
            return Err(if walk.at >= bytes.len() {
                truncated(message)
            } else {
                malformed(message)
            });
        };
        if height == 0 && !found.complete {
            // The height stands behind the first scan, or should.
            return Err(ends_early());
        }
        limits::check_size(width, height)?;
        let HeadersBuilder {
            jfif,
            adobe,
            exif,
            comments,
            scans,
            complete,
            ..
        } = found;
        Ok(Self {
            width,
            height,
            precision,
            process,
            components,
            jfif,
            adobe,
            exif,
            comments,
            scans,
            complete,
        })
    }

    /// The EXIF orientation, 1 where there is none.
    pub(crate) fn orientation(&self) -> u8 {
        self.exif.map_or(1, orient::orientation)
    }

    /// What the components are by the rules of libjpeg: JFIF, then Adobe, then the identifiers.
    pub(crate) fn colors(&self) -> Colors {
        match (self.components.len(), self.adobe) {
            (1, _) => Colors::Grey,
            (3, Some(0)) if !self.jfif => Colors::Rgb,
            (3, None) if !self.jfif && self.named_rgb() => Colors::Rgb,
            (3, _) => Colors::YCbCr,
            (4, Some(2)) => Colors::Ycck,
            (4, _) => Colors::Cmyk,
            _ => Colors::Unknown,
        }
    }

    /// Whether the components are called R, G and B.
    pub(crate) fn named_rgb(&self) -> bool {
        self.components.iter().map(|c| c.id).eq(*b"RGB")
    }

    /// Whether the components after the first are stored at lower resolution, which is done to chroma only.
    pub(crate) fn subsampled(&self) -> bool {
        self.components
            .windows(2)
            .any(|pair| pair[0].sampling != pair[1].sampling)
    }
}

type JpegFrameHeader = (Process, u8, u32, u32, Vec<JpegComponent>);

#[derive(Default)]
struct HeadersBuilder<'a> {
    frame: Option<JpegFrameHeader>,
    jfif: bool,
    adobe: Option<u8>,
    exif: Option<&'a [u8]>,
    comments: Vec<&'a [u8]>,
    scans: Vec<CodedScan>,
    /// The restart interval of the next scan.
    restart: usize,
    complete: bool,
}

impl<'a> HeadersBuilder<'a> {
    fn open_scan(&mut self, body: &[u8]) -> Result<(), MediaError> {
        let Some((.., components)) = &self.frame else {
            return Err(malformed("JPEG: a scan before the frame header"));
        };
        if self.scans.len() == MAX_SCANS {
            return Err(malformed("JPEG: more scans than a picture has use for"));
        }
        self.scans.push(CodedScan {
            scan: JpegScan::read(body, components)?,
            restart: self.restart,
            length: 0,
        });
        Ok(())
    }

    /// Notes how far the scan that began at `from` reaches.
    fn close_scan(&mut self, from: Option<usize>, end: usize) {
        if let (Some(from), Some(scan)) = (from, self.scans.last_mut()) {
            scan.length = end.saturating_sub(from);
        }
    }

    fn note(&mut self, marker: u8, body: &'a [u8]) {
        match marker {
            0xe0 if body.starts_with(b"JFIF\0") => self.jfif = true,
            0xe1 if body.starts_with(b"Exif\0\0") => self.exif = self.exif.or(body.get(6..)),
            0xee if body.starts_with(b"Adobe") => self.adobe = body.get(11).copied().or(self.adobe),
            0xfe if self.comments.len() < MAX_COMMENTS => self.comments.push(body),
            0xdd => {
                let interval = body.first_chunk().map(|&b| u16::from_be_bytes(b).into());
                self.restart = interval.unwrap_or(0);
            }
            0xdc => self.define_height(body),
            _ => {}
        }
    }

    /// DNL (B.2.5): the height that the frame header has left open.
    fn define_height(&mut self, body: &[u8]) {
        if let (Some((_, _, _, height @ 0, _)), Some(&lines)) =
            (&mut self.frame, body.first_chunk())
        {
            *height = u16::from_be_bytes(lines).into();
        }
    }
}

/// A frame header (B.2.2).
fn frame(marker: u8, body: &[u8]) -> Result<JpegFrameHeader, MediaError> {
    let process = match marker {
        0xc0 | 0xc1 => Process::Sequential,
        0xc2 => Process::Progressive,
        0xc3 => Process::Lossless,
        0xc9..=0xcb => return Err(unsupported("JPEG with arithmetic coding")),
        _ => return Err(unsupported("hierarchical JPEG")),
    };
    let [precision, h1, h0, w1, w0, count, rest @ ..] = body else {
        return Err(malformed("JPEG: the frame header is too short"));
    };
    let components: Vec<JpegComponent> = rest
        .chunks_exact(3)
        .take(usize::from(*count))
        .map(|c| JpegComponent {
            id: c[0],
            sampling: (c[1] >> 4, c[1] & 15),
            quantisation: c[2],
        })
        .collect();
    if components.len() != usize::from(*count) || components.is_empty() {
        return Err(malformed("JPEG: the frame header is too short"));
    }
    if components
        .iter()
        .any(|c| !(1..=4).contains(&c.sampling.0) || !(1..=4).contains(&c.sampling.1))
    {
        return Err(malformed("JPEG: impossible sampling factors"));
    }
    let (width, height) = (
        u32::from(*w1) << 8 | u32::from(*w0),
        u32::from(*h1) << 8 | u32::from(*h0),
    );
    Ok((process, *precision, width, height, components))
}

/// Steps from segment to segment, over the entropy-coded data between them.
pub(crate) struct SegmentWalk<'a> {
    bytes: &'a [u8],
    /// Where the next segment is looked for; after a start of scan, where its coded data begin.
    pub at: usize,
    /// Where the last marker stands.
    pub marker_at: usize,
}

impl<'a> SegmentWalk<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 2,
            marker_at: 2,
        }
    }
}

impl<'a> Iterator for SegmentWalk<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Between segments decoders tolerate stray bytes; in coded data FF 00 and the restart markers belong to it.
            let rest = self.bytes.get(self.at..)?;
            let Some(offset) = memchr::memchr(0xff, rest) else {
                self.at = self.bytes.len();
                return None;
            };
            self.at += offset + 1;
            self.marker_at = self.at - 1;
            let marker = *self.bytes.get(self.at)?;
            match marker {
                0xff => continue,
                0x00 | 0x01 | 0xd0..=0xd7 => {
                    self.at += 1;
                    continue;
                }
                _ => self.at += 1,
            }
            if marker == 0xd9 || marker == 0xd8 {
                return Some((marker, &[]));
            }
            let length = self
                .bytes
                .get(self.at..self.at + 2)
                .map(|l| usize::from(l[0]) << 8 | usize::from(l[1]));
            let body = length.and_then(|l| self.bytes.get(self.at + 2..self.at + l.max(2)));
            let (Some(length), Some(body)) = (length, body) else {
                self.at = self.bytes.len();
                return None;
            };
            self.at += length.max(2);
            return Some((marker, body));
        }
    }
}
