//! A file read and parsed once, of which frames are decoded one at a time.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::budget::{self, Reserved, WaitPolicy};
use crate::codecs::jpeg;
use crate::dicom::studies::frame_order::FrameOrder;
use crate::dicom::{Body, DicomObject};
use crate::error::{ErrorKind, MediaError};
use crate::geometry::Geometry;
use crate::grey::{Grey, Voi};
use crate::mosaic::{Assembled, Mosaic, MosaicProgress};
use crate::overlay::Overlay;
use crate::png::Png;
use crate::read::{KEPT_WHOLE, SNIFFED, Stored};
use crate::related::TargetFrame;
use crate::{DecodeOptions, ImageInfo, Loaded, Picture, Pixels, Sniffed, Warnings, Window};
use crate::{colorless, contain, limits, read, sniff};

/// Bytes that are read first of a DICOM file that is not taken into memory as a whole: of a file larger than
/// [`KEPT_WHOLE`] only what stands before its pixels is, and each frame when it is asked for. A CT of 2,000 frames is a
/// gigabyte.
const HEAD: u64 = 1 << 20;

/// A decoded frame before its window is applied. Copies share their samples.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Grey values, of which a window chooses what is shown.
    Grey(Grey),
    /// Colour, which has no window.
    Color(Arc<Picture>),
}

impl Frame {
    /// The frame in 8 bits, and the window applied, which colour does not have.
    pub fn render(&self, voi: Voi, invert: bool) -> (Picture, Option<Window>) {
        match self {
            Frame::Grey(grey) => {
                let (picture, window) = grey.render(voi, invert);
                (picture, Some(window))
            }
            Frame::Color(picture) if invert => (picture.negative(), None),
            Frame::Color(picture) => (Picture::clone(picture), None),
        }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        match self {
            Frame::Grey(grey) => grey.bytes(),
            Frame::Color(picture) => picture.pixels.bytes().len(),
        }
    }
}

impl From<Picture> for Frame {
    /// Grey of 8 bits, also where it is stored as RGB, gets a window that shows it as it is.
    fn from(picture: Picture) -> Self {
        let Picture { width, height, .. } = picture;
        let grey = match picture.pixels {
            Pixels::Luma(data) => Ok(data),
            Pixels::Rgb(data) => colorless::into_grey(data),
        };
        match grey {
            Ok(data) => Frame::Grey(Grey::of_bytes(width, height, data)),
            Err(data) => {
                let pixels = Pixels::Rgb(data);
                Frame::Color(Arc::new(Picture {
                    width,
                    height,
                    pixels,
                }))
            }
        }
    }
}

/// A file that holds a picture, read and parsed once.
pub struct ImageSource {
    info: ImageInfo,
    format: FileDecoder,
    content: OnceLock<Result<String, MediaError>>,
    order: OnceLock<FrameOrder>,
    mosaic: OnceLock<Option<Mosaic>>,
}

/// Bytes of a pixel of an assembled picture, of which an unfinished copy is shown meanwhile.
const MOSAIC_BYTES: u64 = 2 * 3;

enum FileDecoder {
    Jpeg(Stored, jpeg::Cost),
    Png(Png),
    Dicom(Box<DicomObject>),
}

/// Opens a file: reads and judges what stands before its pixels. Of a file of another kind no more is read than it
/// takes to tell.
///
/// A FIFO, socket, device or folder is an error and never waited for. A file that holds no picture is told from a
/// damaged one by [`MediaError::not_picture`].
pub fn open(path: &Path) -> Result<ImageSource, MediaError> {
    open_with(path, KEPT_WHOLE, HEAD)
}

/// Opens a file, of which more than `whole` bytes are not taken into memory at once if it is DICOM.
pub(super) fn open_with(path: &Path, whole: u64, head: u64) -> Result<ImageSource, MediaError> {
    let (file, length) = read::open(path)?;
    let first = read::range(&file, 0..SNIFFED.min(length))?;
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
                ImageSource::dicom(Body::partly(file, length, head))
            })
        }
        Sniffed::Other(format) => Err(sniff::not_decoded(format)),
        // Content that is nothing known is judged by its name.
        Sniffed::Unknown => Err(sniff::judge(unknown(&first), first.is_empty(), path)),
    }
}

fn unknown(bytes: &[u8]) -> MediaError {
    if bytes.is_empty() {
        return MediaError::no_picture(ErrorKind::Truncated, "the file is empty");
    }
    MediaError::no_picture(
        ErrorKind::Unsupported,
        "not a picture: neither JPEG nor PNG nor DICOM",
    )
}

impl ImageSource {
    /// Opens a file that is already in memory. Bad input of any kind is an error, never a panic.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MediaError> {
        match sniff(&bytes) {
            Sniffed::Jpeg => Self::jpeg(Stored::Memory(bytes)),
            Sniffed::Png => Self::png(Stored::Memory(bytes)),
            Sniffed::Dicom => contain("DICOM", || Self::dicom(Body::whole(bytes))),
            Sniffed::Other(format) => Err(sniff::not_decoded(format)),
            Sniffed::Unknown => Err(unknown(&bytes)),
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

    fn new(info: ImageInfo, format: FileDecoder) -> Self {
        Self {
            info,
            format,
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

    /// What the file is; its window is open until a frame is rendered.
    pub fn info(&self) -> &ImageInfo {
        &self.info
    }

    /// Series Instance UID (0020,000E): which files belong together. Not to be shown.
    pub fn series(&self) -> Option<String> {
        match &self.format {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => None,
            FileDecoder::Dicom(object) => object.series(),
        }
    }

    /// How many frames a second the file wants to be played with.
    pub fn frames_per_second(&self) -> Option<f64> {
        match &self.format {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => None,
            FileDecoder::Dicom(object) => object.frames_per_second(),
        }
    }

    /// The frames in the order of their positions, worked out when first asked for.
    pub fn frame_order(&self) -> &FrameOrder {
        self.order.get_or_init(|| match &self.format {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => FrameOrder::default(),
            FileDecoder::Dicom(object) => {
                contain("DICOM", || Ok(object.frame_order())).unwrap_or_default()
            }
        })
    }

    /// The larger picture that the frames are tiles of; `None` where they are whole pictures. Worked out when first asked for.
    pub fn mosaic(&self) -> Option<&Mosaic> {
        let mosaic = self.mosaic.get_or_init(|| match &self.format {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => None,
            FileDecoder::Dicom(object) => {
                contain("DICOM", || Ok(object.mosaic())).unwrap_or_default()
            }
        });
        mosaic.as_ref()
    }

    /// Assembles a plane of the mosaic, `divisor` pixels in a row becoming one; several threads decode. `watch` is asked
    /// again and again, and ends the work by `false`: then, and where there is no mosaic, there is no picture.
    pub fn assemble(
        &self,
        plane: u32,
        divisor: u32,
        wait: WaitPolicy,
        watch: &mut dyn FnMut(&MosaicProgress) -> bool,
    ) -> Result<Option<Reserved<Assembled>>, MediaError> {
        let Some(mosaic) = self.mosaic() else {
            return Ok(None);
        };
        let (width, height) = mosaic.reduced(divisor);
        let bytes = u64::from(width) * u64::from(height) * MOSAIC_BYTES;
        let reservation = budget::decoding().reserve(bytes, wait)?;
        let made = mosaic.assemble(plane, divisor, |frame| self.frame(frame), watch)?;
        Ok(made.map(|made| Reserved::new(made, reservation)))
    }

    /// `blake3:<hex>` of the file's bytes, worked out when first asked for.
    pub fn content(&self) -> Result<String, MediaError> {
        let work_out = || match &self.format {
            FileDecoder::Jpeg(stored, _) => stored.content(),
            FileDecoder::Png(png) => png.content(),
            FileDecoder::Dicom(object) => object.content(),
        };
        self.content.get_or_init(work_out).clone()
    }

    /// Decodes a frame, from 0. Bad input of any kind is an error, never a panic.
    ///
    /// Like all that decodes, it first waits for its part of the [`budget`]; the memory of what it gives is no longer
    /// counted. Who keeps frames [holds](Self::frame_reserved) them.
    pub fn frame(&self, frame: u32) -> Result<Frame, MediaError> {
        self.decode(&DecodeOptions {
            frame,
            ..DecodeOptions::default()
        })
    }

    /// The same with all options but the window.
    pub fn decode(&self, options: &DecodeOptions) -> Result<Frame, MediaError> {
        self.decode_warning(options, &mut Warnings::default())
    }

    /// Decodes a frame and adds what was repaired or assumed for it to `warnings`.
    pub fn decode_warning(
        &self,
        options: &DecodeOptions,
        warnings: &mut Warnings,
    ) -> Result<Frame, MediaError> {
        self.with_reservation(options, WaitPolicy::default(), || {
            self.decode_now(options, warnings)
        })
        .map(Reserved::release)
    }

    /// Decodes a frame, whose memory, and that of one rendering, stays reserved until it is dropped.
    pub fn frame_reserved(
        &self,
        options: &DecodeOptions,
        wait: WaitPolicy,
    ) -> Result<Reserved<Frame>, MediaError> {
        let held = self.with_reservation(options, wait, || {
            self.decode_now(options, &mut Warnings::default())
        })?;
        let rendered = match &*held {
            Frame::Grey(grey) => u64::from(grey.width) * u64::from(grey.height),
            Frame::Color(_) => 0,
        };
        let bytes = held.bytes() as u64 + rendered;
        Ok(held.shrunk(bytes))
    }

    /// Does what takes as much memory as decoding and rendering a frame, once that is free.
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
        let cost = match &self.format {
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
        match &self.format {
            FileDecoder::Jpeg(stored, _) => contain("JPEG", || {
                jpeg::decode(&stored.all()?, options).map(Frame::from)
            }),
            FileDecoder::Png(png) => contain("PNG", || png.decode().map(Frame::from)),
            FileDecoder::Dicom(object) => {
                contain("DICOM", || object.frame(options.frame, warnings))
            }
        }
    }

    /// How the pixels of a frame lie in space; of a file that does not say it, square ones.
    pub fn geometry(&self, frame: u32) -> Geometry {
        match &self.format {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => Geometry::default(),
            FileDecoder::Dicom(object) => {
                contain("DICOM", || Ok(object.geometry(frame))).unwrap_or_default()
            }
        }
    }

    /// The frame as objects about it refer to it; `None` of a file that is no DICOM object.
    pub fn target(&self, frame: u32) -> Option<TargetFrame> {
        match &self.format {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => None,
            FileDecoder::Dicom(object) => contain("DICOM", || Ok(object.target(frame))).ok(),
        }
    }

    /// The overlay planes of a frame; damaged ones are left out.
    pub fn overlays(&self, frame: u32) -> Vec<Overlay> {
        match &self.format {
            FileDecoder::Jpeg(..) | FileDecoder::Png(_) => Vec::new(),
            FileDecoder::Dicom(object) => {
                contain("DICOM", || Ok(object.overlays(frame))).unwrap_or_default()
            }
        }
    }

    /// Decodes and renders a frame: what `inspect` shows and the encoder sees.
    pub fn load(&self, options: &DecodeOptions) -> Result<RenderedFrame, MediaError> {
        self.load_reserved(options, WaitPolicy::default())
            .map(Reserved::release)
    }

    /// The same, whose memory stays reserved until it is dropped.
    pub fn load_reserved(
        &self,
        options: &DecodeOptions,
        wait: WaitPolicy,
    ) -> Result<Reserved<RenderedFrame>, MediaError> {
        let held = self.with_reservation(options, wait, || self.render_now(options))?;
        let bytes = held.picture.pixels.bytes().len() as u64;
        Ok(held.shrunk(bytes))
    }

    fn render_now(&self, options: &DecodeOptions) -> Result<RenderedFrame, MediaError> {
        let mut warnings = Warnings::default();
        let frame = self.decode_now(options, &mut warnings)?;
        let voi = options
            .window
            .map_or(Voi::Own(0), |(center, width)| Voi::Range { center, width });
        let (picture, window) = match frame {
            Frame::Grey(grey) => {
                // A reduced JPEG has other columns and rows than its file.
                let whole_size = matches!(self.format, FileDecoder::Dicom(_));
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
    /// The window applied; `None` for colour.
    pub window: Option<Window>,
    /// What was repaired or assumed for this frame, beside [`ImageInfo::warnings`].
    pub warnings: Warnings,
}

/// Reads a file and renders one of its frames. See [`open`].
pub fn load(path: &Path, options: &DecodeOptions) -> Result<Loaded, MediaError> {
    let source = open(path)?;
    let shown = source.load(options)?;
    let mut info = source.info().clone();
    info.warnings.append(&shown.warnings);
    if let Some(dicom) = &mut info.dicom {
        dicom.window = shown.window;
    }
    Ok(Loaded {
        info,
        frame: options.frame,
        picture: shown.picture,
        content: source.content()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dicom_files() -> Vec<std::path::PathBuf> {
        let mut folders = vec![std::path::PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/media"
        ))];
        if let Some(corpus) = std::env::var_os("MEDIVISION_CORPUS") {
            folders.push(std::path::PathBuf::from(corpus).join("dicom"));
        }
        let files = folders.iter().flat_map(|folder| {
            let entries = std::fs::read_dir(folder).expect("a folder");
            entries.map(|entry| entry.expect("an entry").path())
        });
        files.filter(|path| path.is_file()).collect()
    }

    /// Whether the pixels are in memory or in the file makes no difference to anything.
    #[test]
    fn a_file_left_on_disk_gives_the_same_frames() {
        let mut partial = 0;
        for path in dicom_files() {
            let (whole, lazy) = (open(&path), open_with(&path, 0, 300));
            let (whole, lazy) = match (whole, lazy) {
                (Ok(whole), Ok(lazy)) => (whole, lazy),
                (whole, lazy) => {
                    assert_eq!(whole.err(), lazy.err(), "{}", path.display());
                    continue;
                }
            };
            assert_eq!(whole.info(), lazy.info(), "{}", path.display());
            assert_eq!(whole.content(), lazy.content(), "{}", path.display());
            if let FileDecoder::Dicom(object) = &lazy.format {
                partial += usize::from(object.is_partial());
            }
            for frame in 0..whole.info().frames.min(4) {
                let options = DecodeOptions {
                    frame,
                    ..DecodeOptions::default()
                };
                assert!(
                    whole.load(&options) == lazy.load(&options),
                    "{} frame {frame}",
                    path.display()
                );
            }
        }
        assert!(partial > 10, "{partial} files were left on disk");
    }

    #[test]
    fn a_file_that_shrinks_meanwhile_is_truncated() {
        let fixture = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/media/grey_native.dcm"
        );
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("shrinks.dcm");
        std::fs::copy(fixture, &path).expect("a copy");
        let source = open_with(&path, 0, 300).expect("a source");
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("the file");
        file.set_len(700).expect("a shorter file");
        let kind = |error: MediaError| error.kind;
        let truncated = Some(ErrorKind::Truncated);
        assert_eq!(source.frame(0).err().map(kind), truncated);
        assert_eq!(source.content().err().map(kind), truncated);
    }

    #[test]
    fn a_frame_that_is_not_there_is_refused() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/media/grey.jpg"
        );
        let source = open(Path::new(path)).expect("a source");
        assert!(matches!(source.frame(0), Ok(Frame::Grey(_))));
        assert_eq!(
            source.frame(1).err().map(|e| e.kind),
            Some(ErrorKind::NotFound)
        );
        assert_eq!(source.geometry(0), Geometry::default());
        assert_eq!(source.overlays(0), []);
    }

    /// Of a file that is no picture a part is read, however large it is: this one takes no room on the disk.
    #[test]
    fn a_large_file_of_another_kind_is_not_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("notes.txt");
        let file = std::fs::File::create(&path).expect("a file");
        file.set_len(1 << 40).expect("a hole");
        assert!(open(&path).err().is_some_and(|error| error.not_picture));
        let begins = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("a file");
            let file = std::fs::OpenOptions::new().write(true).open(&path);
            file.expect("the file").set_len(1 << 40).expect("a hole");
            open(&path).err().map(|error| error.kind)
        };
        let too_large = Some(ErrorKind::TooLarge);
        assert_eq!(begins("a.png", b"\x89PNG\r\n\x1a\n"), too_large);
        assert_eq!(begins("a.jpg", b"\xff\xd8\xff\xe0"), too_large);
        let mut dicom = vec![0; 132];
        dicom[128..].copy_from_slice(b"DICM");
        assert_eq!(begins("a.dcm", &dicom), too_large);
    }
}
