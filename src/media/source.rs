//! An image file that is read and parsed once, and whose frames are decoded one at a time.

mod assembly;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::budget::{self, Reserved, WaitPolicy};
use crate::codecs::jpeg;
use crate::dicom::studies::frame_order::FrameOrder;
use crate::dicom::{Body, DicomObject};
use crate::error::{ErrorKind, MediaError};
use crate::frame::Frame;
use crate::geometry::Geometry;
use crate::grey::Voi;
use crate::mosaic::Mosaic;
use crate::overlay::OverlayPlane;
use crate::png::Png;
use crate::read::{MAX_IN_MEMORY, SNIFF_BYTES, Stored};
use crate::related::TargetFrame;
use crate::{Caption, DecodeOptions, ImageInfo, Loaded, Picture, Sniffed, Warnings, Window};
use crate::{contain, limits, read, sniff};

/// Bytes read first from a DICOM file larger than [`MAX_IN_MEMORY`]. Only what comes before the pixels of such a file is
/// kept in memory; each frame is read when it is decoded. A CT of 2,000 frames is a gigabyte.
const FIRST_READ: u64 = 1 << 20;

/// An opened image file. Frames are decoded on demand.
pub struct ImageSource {
    info: ImageInfo,
    decoder: FileDecoder,
    content: OnceLock<Result<String, MediaError>>,
    order: OnceLock<FrameOrder>,
    mosaic: OnceLock<Option<Mosaic>>,
}

/// What frames are decoded from, by format.
enum FileDecoder {
    Jpeg(Stored, jpeg::Cost),
    Png(Png),
    Dicom(Box<DicomObject>),
}

/// Opens an image file: reads and checks everything that comes before its pixels. A file of another kind is read only
/// as far as needed to recognise it.
///
/// # Errors
///
/// A FIFO, socket, device or folder is an error and is never waited for. [`MediaError::content`] tells a file that
/// is not an image from a damaged one.
pub fn open(path: &Path) -> Result<ImageSource, MediaError> {
    open_with(path, MAX_IN_MEMORY, FIRST_READ)
}

/// Opens an image file. A DICOM file of more than `whole` bytes is not read into memory as a whole; its first `head`
/// bytes are read instead.
pub(super) fn open_with(path: &Path, whole: u64, head: u64) -> Result<ImageSource, MediaError> {
    let (file, length) = read::open(path)?;
    let first = read::range(&file, 0..SNIFF_BYTES.min(length))?;
    match sniff(&first) {
        Sniffed::Jpeg => ImageSource::jpeg(Stored::open(file, length)?),
        Sniffed::Png => ImageSource::png(Stored::open(file, length)?),
        Sniffed::Dicom => {
            read::check_length(length)?;
            if length <= whole {
                let bytes = read::range(&file, 0..length)?;
                return contain("DICOM", || ImageSource::dicom(Body::whole(bytes)));
            }
            let head = read::range(&file, 0..head.min(length))?;
            contain("DICOM", || {
                ImageSource::dicom(Body::partial(file, length, head))
            })
        }
        Sniffed::Other(format) => Err(sniff::unsupported_format(format)),
        // Unknown content: the file name decides how it is reported.
        Sniffed::Unknown => Err(sniff::refine_error(
            unknown_content(&first),
            first.is_empty(),
            path,
        )),
    }
}

/// The error for content of no known format.
fn unknown_content(bytes: &[u8]) -> MediaError {
    if bytes.is_empty() {
        return MediaError::not_an_image(ErrorKind::Truncated, "the file is empty");
    }
    MediaError::not_an_image(
        ErrorKind::Unsupported,
        "not an image: not JPEG, PNG or DICOM",
    )
}

impl ImageSource {
    /// Opens an image file that is already in memory. Bad input of any kind is an error, never a panic.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MediaError> {
        match sniff(&bytes) {
            Sniffed::Jpeg => Self::jpeg(Stored::Memory(bytes)),
            Sniffed::Png => Self::png(Stored::Memory(bytes)),
            Sniffed::Dicom => contain("DICOM", || Self::dicom(Body::whole(bytes))),
            Sniffed::Other(format) => Err(sniff::unsupported_format(format)),
            Sniffed::Unknown => Err(unknown_content(&bytes)),
        }
    }

    fn jpeg(stored: Stored) -> Result<Self, MediaError> {
        let (info, cost) = contain("JPEG", || {
            let _reserved = budget::decoding().reserve(stored.cost(), WaitPolicy::default())?;
            jpeg::probe(&stored.all()?)
        })?;
        Ok(Self::new(info, FileDecoder::Jpeg(stored, cost)))
    }

    fn png(stored: Stored) -> Result<Self, MediaError> {
        let png = contain("PNG", || Png::open(stored))?;
        Ok(Self::new(png.info(), FileDecoder::Png(png)))
    }

    fn new(info: ImageInfo, decoder: FileDecoder) -> Self {
        Self {
            info,
            decoder,
            content: OnceLock::new(),
            order: OnceLock::new(),
            mosaic: OnceLock::new(),
        }
    }

    fn dicom(body: Body) -> Result<Self, MediaError> {
        let object = DicomObject::open(body)?;
        Ok(Self::new(
            object.info(),
            FileDecoder::Dicom(Box::new(object)),
        ))
    }

    /// Description of the file. Its window is `None`: only a rendered frame has one.
    pub fn info(&self) -> &ImageInfo {
        &self.info
    }

    /// Number of frames that the file has: fewer than [`ImageInfo::frames`] if it is cut off or does not have as many
    /// as it says. The first ones are present.
    pub fn frames_present(&self) -> u32 {
        match &self.decoder {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => self.info.frames,
            FileDecoder::Dicom(object) => {
                contain("DICOM", || Ok(object.frames_present())).unwrap_or_default()
            }
        }
    }

    /// Series Instance UID (0020,000E), which groups files into series. Identifies the patient: not to be shown.
    pub fn series(&self) -> Option<String> {
        match &self.decoder {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => None,
            FileDecoder::Dicom(object) => object.series(),
        }
    }

    /// Frames per second at which the file asks to be played.
    pub fn frames_per_second(&self) -> Option<f64> {
        match &self.decoder {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => None,
            FileDecoder::Dicom(object) => object.frames_per_second(),
        }
    }

    /// The order of the frames by position in space, computed on first use.
    pub fn frame_order(&self) -> &FrameOrder {
        self.order.get_or_init(|| match &self.decoder {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => FrameOrder::default(),
            FileDecoder::Dicom(object) => {
                contain("DICOM", || Ok(object.frame_order())).unwrap_or_default()
            }
        })
    }

    /// The larger image that the frames are tiles of; `None` if each frame is a whole image. Computed on first use.
    pub fn mosaic(&self) -> Option<&Mosaic> {
        let mosaic = self.mosaic.get_or_init(|| match &self.decoder {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => None,
            FileDecoder::Dicom(object) => {
                contain("DICOM", || Ok(object.mosaic())).unwrap_or_default()
            }
        });
        mosaic.as_ref()
    }

    /// `blake3:<hex>` of the file's bytes, computed on first use.
    pub fn content(&self) -> Result<String, MediaError> {
        let hash = || match &self.decoder {
            FileDecoder::Jpeg(stored, _) => stored.content(),
            FileDecoder::Png(png) => png.content(),
            FileDecoder::Dicom(object) => object.content(),
        };
        self.content.get_or_init(hash).clone()
    }

    /// Decodes the frame with index `frame`, from 0. Bad input of any kind is an error, never a panic.
    ///
    /// Like every decode, it first waits for its share of the [`budget`]; the memory of the returned frame is no
    /// longer counted. Callers that keep frames use [`frame_reserved`](Self::frame_reserved).
    pub fn frame(&self, frame: u32) -> Result<Frame, MediaError> {
        self.decode(&DecodeOptions {
            frame,
            ..DecodeOptions::default()
        })
    }

    /// Decodes a frame. The window of `options` is ignored.
    pub fn decode(&self, options: &DecodeOptions) -> Result<Frame, MediaError> {
        self.decode_with_warnings(options, &mut Warnings::default())
    }

    /// Decodes a frame as [`decode`](Self::decode) does, and adds repairs and assumptions to `warnings`.
    pub fn decode_with_warnings(
        &self,
        options: &DecodeOptions,
        warnings: &mut Warnings,
    ) -> Result<Frame, MediaError> {
        self.with_reservation(options, WaitPolicy::default(), || {
            self.decode_now(options, warnings)
        })
        .map(Reserved::into_inner)
    }

    /// Decodes a frame. The memory of the frame and of one rendering stays reserved until the result is dropped.
    pub fn frame_reserved(
        &self,
        options: &DecodeOptions,
        wait: WaitPolicy,
    ) -> Result<Reserved<Frame>, MediaError> {
        let frame = self.with_reservation(options, wait, || {
            self.decode_now(options, &mut Warnings::default())
        })?;
        let rendered = match &*frame {
            Frame::Grey(grey) => u64::from(grey.width) * u64::from(grey.height),
            Frame::Color(_) => 0,
        };
        let bytes = frame.bytes() as u64 + rendered;
        Ok(frame.shrunk(bytes))
    }

    /// Runs `work` once the memory that decoding and rendering a frame takes has been reserved.
    fn with_reservation<T>(
        &self,
        options: &DecodeOptions,
        wait: WaitPolicy,
        work: impl FnOnce() -> Result<T, MediaError>,
    ) -> Result<Reserved<T>, MediaError> {
        let frame = options.frame;
        if frame >= self.info.frames {
            return Err(limits::no_such_frame(frame, self.info.frames));
        }
        let cost = match &self.decoder {
            FileDecoder::Jpeg(stored, cost) => stored.cost() + cost.bytes(options.scale),
            FileDecoder::Png(png) => png.cost(),
            FileDecoder::Dicom(object) => contain("DICOM", || object.cost(frame))?,
        };
        let reservation = budget::decoding().reserve(cost, wait)?;
        Ok(Reserved::new(work()?, reservation))
    }

    fn decode_now(
        &self,
        options: &DecodeOptions,
        warnings: &mut Warnings,
    ) -> Result<Frame, MediaError> {
        match &self.decoder {
            FileDecoder::Jpeg(stored, _) => contain("JPEG", || {
                jpeg::decode(&stored.all()?, options).map(Frame::from)
            }),
            FileDecoder::Png(png) => contain("PNG", || png.decode(warnings)),
            FileDecoder::Dicom(object) => {
                contain("DICOM", || object.frame(options.frame, warnings))
            }
        }
    }

    /// How the pixels of a frame lie in space. A file that does not say has square pixels.
    pub fn geometry(&self, frame: u32) -> Geometry {
        match &self.decoder {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => Geometry::default(),
            FileDecoder::Dicom(object) => {
                contain("DICOM", || Ok(object.geometry(frame))).unwrap_or_default()
            }
        }
    }

    /// The frame as other objects refer to it; `None` unless the file is a DICOM object.
    pub fn target(&self, frame: u32) -> Option<TargetFrame> {
        match &self.decoder {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => None,
            FileDecoder::Dicom(object) => contain("DICOM", || Ok(object.target(frame))).ok(),
        }
    }

    /// What the corners of a frame say; `None` unless the file is a DICOM object.
    pub fn caption(&self, frame: u32) -> Option<Caption> {
        match &self.decoder {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => None,
            FileDecoder::Dicom(object) => contain("DICOM", || Ok(object.caption(frame))).ok(),
        }
    }

    /// The overlay planes of a frame. Damaged ones are left out.
    pub fn overlays(&self, frame: u32) -> Vec<OverlayPlane> {
        match &self.decoder {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => Vec::new(),
            FileDecoder::Dicom(object) => {
                contain("DICOM", || Ok(object.overlays(frame))).unwrap_or_default()
            }
        }
    }

    /// Decodes and renders a frame: what `inspect` reports on and the encoder sees.
    pub fn load(&self, options: &DecodeOptions) -> Result<RenderedFrame, MediaError> {
        self.load_reserved(options, WaitPolicy::default())
            .map(Reserved::into_inner)
    }

    /// Decodes and renders a frame. The memory of the picture stays reserved until the result is dropped.
    pub fn load_reserved(
        &self,
        options: &DecodeOptions,
        wait: WaitPolicy,
    ) -> Result<Reserved<RenderedFrame>, MediaError> {
        let rendered = self.with_reservation(options, wait, || self.render_now(options))?;
        let bytes = rendered.picture.pixels.bytes().len() as u64;
        Ok(rendered.shrunk(bytes))
    }

    fn render_now(&self, options: &DecodeOptions) -> Result<RenderedFrame, MediaError> {
        let mut warnings = Warnings::default();
        let frame = self.decode_now(options, &mut warnings)?;
        let voi = options
            .window
            .map_or(Voi::Own(0), |(center, width)| Voi::Range { center, width });
        let (picture, window) = match frame {
            Frame::Grey(grey) => {
                // A reduced JPEG has fewer columns and rows than its file, to which `used` refers.
                let whole_size = matches!(self.decoder, FileDecoder::Dicom(_));
                let used = options.used.filter(|_| whole_size);
                let (picture, window) = grey.render_used(voi, used);
                (picture, Some(window))
            }
            Frame::Color(picture) => (Arc::unwrap_or_clone(picture), None),
        };
        Ok(RenderedFrame {
            picture,
            window,
            warnings,
        })
    }
}

/// A rendered frame.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedFrame {
    /// The frame in 8 bits.
    pub picture: Picture,
    /// The window that was applied; `None` for colour.
    pub window: Option<Window>,
    /// Repairs and assumptions made for this frame, beside [`ImageInfo::warnings`].
    pub warnings: Warnings,
}

/// Opens a file and renders one of its frames. See [`open`] for the errors.
pub fn load(path: &Path, options: &DecodeOptions) -> Result<Loaded, MediaError> {
    let source = open(path)?;
    let rendered = source.load(options)?;
    let mut info = source.info().clone();
    info.warnings.append(&rendered.warnings);
    if let Some(dicom) = &mut info.dicom {
        dicom.window = rendered.window;
    }
    Ok(Loaded {
        info,
        frame: options.frame,
        picture: rendered.picture,
        content: source.content()?,
    })
}

#[cfg(test)]
mod tests;
