//! Reads the marker segments of a JPEG stream (ITU-T T.81 annex B), which suffice to check it before decoding.

use crate::codecs::jpeg::ends_early;
use crate::codecs::jpeg::tables::JpegScan;
use crate::error::{MediaError, malformed, truncated, unsupported};
use crate::{limits, orient};

/// Largest number of comments kept of one file: a stream of endless comments costs no memory.
const MAX_COMMENTS: usize = 64;
/// Largest number of scans of one image: an ordinary progressive one has ten.
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

/// The colour space of the components, as far as the stream says.
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
    /// Its identifier, by which scans refer to it.
    pub id: u8,
    /// Horizontal and vertical sampling factors.
    pub sampling: (u8, u8),
    /// The slot of its quantisation table.
    pub quantisation: u8,
}

/// A scan and the length of its coded data.
#[derive(Debug)]
pub(crate) struct CodedScan {
    /// Its header.
    pub scan: JpegScan,
    /// MCUs between its restart markers; 0 for none.
    pub restart: usize,
    /// Bytes up to the next marker that is not a restart marker.
    pub length: usize,
}

/// The headers of a stream.
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
    /// Whether there is a JFIF segment.
    pub jfif: bool,
    /// The transform byte of an Adobe segment, if any.
    pub adobe: Option<u8>,
    /// The TIFF block of an EXIF segment, if any.
    pub exif: Option<&'a [u8]>,
    /// Comment segments.
    pub comments: Vec<&'a [u8]>,
    /// The scans in order.
    pub scans: Vec<CodedScan>,
    /// Whether there is an end-of-image marker.
    pub complete: bool,
}

impl<'a> JpegHeaders<'a> {
    /// Reads the segments to the end of the image and checks its size against the limits.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, MediaError> {
        let mut walk = SegmentWalk::new(bytes);
        let mut builder = HeadersBuilder::default();
        let mut coded_from = None;
        while let Some((marker, body)) = walk.next() {
            builder.close_scan(coded_from.take(), walk.marker_at);
            match marker {
                0xd9 => {
                    builder.complete = true;
                    break;
                }
                0xc4 | 0xc8 | 0xcc => {}
                0xc0..=0xcf if builder.frame.is_some() => {
                    return Err(malformed("JPEG: more than one frame header"));
                }
                0xc0..=0xcf => builder.frame = Some(frame(marker, body)?),
                0xda => {
                    builder.open_scan(body)?;
                    coded_from = Some(walk.at);
                }
                _ => builder.read_segment(marker, body),
            }
        }
        builder.close_scan(coded_from, bytes.len());
        let Some(frame) = builder.frame else {
            let message = "JPEG: the file has no image";
            return Err(if walk.at >= bytes.len() {
                truncated(message)
            } else {
                malformed(message)
            });
        };
        if frame.height == 0 && !builder.complete {
            // The height should follow the first scan.
            return Err(ends_early());
        }
        limits::check_size(frame.width, frame.height)?;
        let HeadersBuilder {
            jfif,
            adobe,
            exif,
            comments,
            scans,
            complete,
            ..
        } = builder;
        Ok(Self {
            width: frame.width,
            height: frame.height,
            precision: frame.precision,
            process: frame.process,
            components: frame.components,
            jfif,
            adobe,
            exif,
            comments,
            scans,
            complete,
        })
    }

    /// The EXIF orientation; 1 if there is none.
    pub(crate) fn orientation(&self) -> u8 {
        self.exif.map_or(1, orient::orientation)
    }

    /// The colour space by the rules of libjpeg: JFIF, then Adobe, then the identifiers.
    pub(crate) fn colors(&self) -> Colors {
        match (self.components.len(), self.adobe) {
            (1, _) => Colors::Grey,
            (3, Some(0)) if !self.jfif => Colors::Rgb,
            (3, None) if !self.jfif && self.is_named_rgb() => Colors::Rgb,
            (3, _) => Colors::YCbCr,
            (4, Some(0) | None) => Colors::Cmyk,
            (4, Some(_)) => Colors::Ycck,
            _ => Colors::Unknown,
        }
    }

    /// Whether the components are named R, G and B.
    pub(crate) fn is_named_rgb(&self) -> bool {
        self.components.iter().map(|c| c.id).eq(*b"RGB")
    }

    /// Whether components have different resolutions, which is done to chroma only.
    pub(crate) fn is_subsampled(&self) -> bool {
        self.components
            .windows(2)
            .any(|pair| pair[0].sampling != pair[1].sampling)
    }
}

/// A frame header (B.2.2).
struct JpegFrameHeader {
    process: Process,
    /// Bits per sample.
    precision: u8,
    width: u32,
    /// Rows; 0 until a DNL segment defines them.
    height: u32,
    components: Vec<JpegComponent>,
}

/// Collects the headers while the segments are read.
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
        let Some(frame) = &self.frame else {
            return Err(malformed("JPEG: a scan before the frame header"));
        };
        if self.scans.len() == MAX_SCANS {
            return Err(malformed("JPEG: more scans than an image can use"));
        }
        self.scans.push(CodedScan {
            scan: JpegScan::read(body, &frame.components)?,
            restart: self.restart,
            length: 0,
        });
        Ok(())
    }

    /// Sets the length of the scan that began at `from`.
    fn close_scan(&mut self, from: Option<usize>, end: usize) {
        if let (Some(from), Some(scan)) = (from, self.scans.last_mut()) {
            scan.length = end.saturating_sub(from);
        }
    }

    fn read_segment(&mut self, marker: u8, body: &'a [u8]) {
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

    /// DNL (B.2.5): defines the height that the frame header left open.
    fn define_height(&mut self, body: &[u8]) {
        if let (Some(frame), Some(&lines)) = (&mut self.frame, body.first_chunk())
            && frame.height == 0
        {
            frame.height = u16::from_be_bytes(lines).into();
        }
    }
}

/// Parses a frame header (B.2.2).
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
    Ok(JpegFrameHeader {
        process,
        precision: *precision,
        width,
        height,
        components,
    })
}

/// Iterates over the segments, skipping the entropy-coded data between them.
pub(crate) struct SegmentWalk<'a> {
    bytes: &'a [u8],
    /// Where the next segment is searched; after a start of scan, where its coded data begin.
    pub at: usize,
    /// Position of the last marker.
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
            // Decoders tolerate stray bytes between segments; in coded data, FF 00 and restart markers belong to the
            // data.
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
