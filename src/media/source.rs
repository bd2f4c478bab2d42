//! A file read and parsed once, of which frames are decoded one at a time.

use std::path::Path;
use std::sync::OnceLock;

use crate::codecs::jpeg;
use crate::dicom::{Body, Object};
use crate::error::{ErrorKind, MediaError};
use crate::geometry::Geometry;
use crate::grey::{Grey, Voi};
use crate::overlay::Overlay;
use crate::related::Target;
use crate::{Info, Loaded, Options, Picture, Pixels, Sniffed, Warnings, Window};
use crate::{contain, limits, png, read, sniff};

/// Largest DICOM file that is taken into memory as a whole. Of a larger one only what stands before its pixels is,
/// and each frame when it is asked for: a CT of 2,000 frames is a gigabyte.
const WHOLE: u64 = 64 << 20;
/// Bytes of such a file that are read first.
const HEAD: u64 = 1 << 20;

/// A decoded frame before its window is applied. Copies of a grey one share their samples.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Grey values, of which a window chooses what is shown.
    Grey(Grey),
    /// Colour, which has no window.
    Color(Picture),
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
            Frame::Color(picture) => (picture.clone(), None),
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
    /// Grey of 8 bits gets a window that shows it as it is.
    fn from(picture: Picture) -> Self {
        match picture.pixels {
            Pixels::Luma(data) => Frame::Grey(Grey::of_bytes(picture.width, picture.height, data)),
            Pixels::Rgb(_) => Frame::Color(picture),
        }
    }
}

/// A file that holds a picture, read and parsed once.
pub struct Source {
    info: Info,
    format: Format,
    content: OnceLock<Result<String, MediaError>>,
}

enum Format {
    Jpeg(Vec<u8>),
    Png(Vec<u8>),
    Dicom(Box<Object>),
}

/// Opens a file: reads and judges what stands before its pixels.
///
/// A FIFO, socket, device or folder is an error and never waited for. A file that holds no picture is told from a
/// damaged one by [`MediaError::not_picture`].
pub fn open(path: &Path) -> Result<Source, MediaError> {
    open_with(path, WHOLE, HEAD)
}

/// Opens a file, of which more than `whole` bytes are not taken into memory at once if it is DICOM.
pub(super) fn open_with(path: &Path, whole: u64, head: u64) -> Result<Source, MediaError> {
    let (file, length) = read::open(path)?;
    let size = if length > whole {
        head.min(length)
    } else {
        length
    };
    let bytes = read::range(&file, 0..size)?;
    if size < length && sniff(&bytes) == Sniffed::Dicom {
        let body = Body::partly(file, length, bytes);
        return contain("DICOM", || Source::dicom(body));
    }
    let bytes = if size < length {
        read::range(&file, 0..length)?
    } else {
        bytes
    };
    // Content that is nothing known is judged by its name.
    let known = sniff(&bytes) != Sniffed::Unknown;
    let is_empty = bytes.is_empty();
    Source::from_bytes(bytes).map_err(|error| {
        if known {
            error
        } else {
            sniff::judge(error, is_empty, path)
        }
    })
}

impl Source {
    /// Opens a file that is already in memory. Bad input of any kind is an error, never a panic.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MediaError> {
        match sniff(&bytes) {
            Sniffed::Jpeg => {
                let info = contain("JPEG", || jpeg::probe(&bytes))?;
                Ok(Self::new(info, Format::Jpeg(bytes)))
            }
            Sniffed::Png => {
                let info = contain("PNG", || png::probe(&bytes))?;
                Ok(Self::new(info, Format::Png(bytes)))
            }
            Sniffed::Dicom => contain("DICOM", || Self::dicom(Body::whole(bytes))),
            Sniffed::Other(format) => Err(MediaError::new(
                ErrorKind::Unsupported,
                format!("{format} is not supported; JPEG, PNG and DICOM are"),
            )),
            Sniffed::Unknown if bytes.is_empty() => Err(MediaError::no_picture(
                ErrorKind::Truncated,
                "the file is empty",
            )),
            Sniffed::Unknown => Err(MediaError::no_picture(
                ErrorKind::Unsupported,
                "not a picture: neither JPEG nor PNG nor DICOM",
            )),
        }
    }

    fn new(info: Info, format: Format) -> Self {
        Self {
            info,
            format,
            content: OnceLock::new(),
        }
    }

    fn dicom(body: Body) -> Result<Self, MediaError> {
        let object = Object::open(body)?;
        Ok(Self::new(object.info(), Format::Dicom(Box::new(object))))
    }

    /// What the file is; its window is open until a frame is rendered.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Series Instance UID (0020,000E): which files belong together. Not to be shown.
    pub fn series(&self) -> Option<String> {
        match &self.format {
            Format::Jpeg(_) | Format::Png(_) => None,
            Format::Dicom(object) => object.series(),
        }
    }

    /// How many frames a second the file wants to be played with.
    pub fn frames_per_second(&self) -> Option<f64> {
        match &self.format {
            Format::Jpeg(_) | Format::Png(_) => None,
            Format::Dicom(object) => object.frames_per_second(),
        }
    }

    /// `blake3:<hex>` of the file's bytes, worked out when first asked for.
    pub fn content(&self) -> Result<String, MediaError> {
        let work_out = || match &self.format {
            Format::Jpeg(bytes) | Format::Png(bytes) => Ok(read::content(bytes)),
            Format::Dicom(object) => object.content(),
        };
        self.content.get_or_init(work_out).clone()
    }

    /// Decodes a frame, from 0. Bad input of any kind is an error, never a panic.
    pub fn frame(&self, frame: u32) -> Result<Frame, MediaError> {
        self.decode(&Options {
            frame,
            ..Options::default()
        })
    }

    /// The same with all options but the window.
    pub fn decode(&self, options: &Options) -> Result<Frame, MediaError> {
        self.decode_warning(options, &mut Warnings::default())
    }

    /// Decodes a frame and adds what was repaired or assumed for it to `warnings`.
    pub fn decode_warning(
        &self,
        options: &Options,
        warnings: &mut Warnings,
    ) -> Result<Frame, MediaError> {
        let frame = options.frame;
        if frame >= self.info.frames {
            return Err(limits::no_such_frame(frame, self.info.frames));
        }
        match &self.format {
            Format::Jpeg(bytes) => {
                contain("JPEG", || jpeg::decode(bytes, options).map(Frame::from))
            }
            Format::Png(bytes) => contain("PNG", || png::decode(bytes).map(Frame::from)),
            Format::Dicom(object) => contain("DICOM", || object.frame(frame, warnings)),
        }
    }

    /// How the pixels of a frame lie in space; of a file that does not say it, square ones.
    pub fn geometry(&self, frame: u32) -> Geometry {
        match &self.format {
            Format::Jpeg(_) | Format::Png(_) => Geometry::default(),
            Format::Dicom(object) => {
                contain("DICOM", || Ok(object.geometry(frame))).unwrap_or_default()
            }
        }
    }

    /// The frame as objects about it refer to it; `None` of a file that is no DICOM object.
    pub fn target(&self, frame: u32) -> Option<Target> {
        match &self.format {
            Format::Jpeg(_) | Format::Png(_) => None,
            Format::Dicom(object) => contain("DICOM", || Ok(object.target(frame))).ok(),
        }
    }

    /// The overlay planes of a frame; damaged ones are left out.
    pub fn overlays(&self, frame: u32) -> Vec<Overlay> {
        match &self.format {
            Format::Jpeg(_) | Format::Png(_) => Vec::new(),
            Format::Dicom(object) => {
                contain("DICOM", || Ok(object.overlays(frame))).unwrap_or_default()
            }
        }
    }

    /// Decodes and renders a frame: what `inspect` shows and the encoder sees.
    pub fn load(&self, options: &Options) -> Result<Shown, MediaError> {
        let mut warnings = Warnings::default();
        let frame = self.decode_warning(options, &mut warnings)?;
        let voi = options
            .window
            .map_or(Voi::Own(0), |(center, width)| Voi::Range { center, width });
        let (picture, window) = match frame {
            Frame::Grey(grey) => {
                // A reduced JPEG has other columns and rows than its file.
                let whole_size = matches!(self.format, Format::Dicom(_));
                let used = options.used.filter(|_| whole_size);
                let (picture, window) = grey.render_used(voi, used);
                (picture, Some(window))
            }
            Frame::Color(picture) => (picture, None),
        };
        Ok(Shown {
            picture,
            window,
            warnings,
        })
    }
}

/// A rendered frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The frame in 8 bits.
    pub picture: Picture,
    /// The window applied; `None` for colour.
    pub window: Option<Window>,
    /// What was repaired or assumed for this frame, beside [`Info::warnings`].
    pub warnings: Warnings,
}

/// Reads a file and renders one of its frames. See [`open`].
pub fn load(path: &Path, options: &Options) -> Result<Loaded, MediaError> {
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
            if let Format::Dicom(object) = &lazy.format {
                partial += usize::from(object.is_partial());
            }
            for frame in 0..whole.info().frames.min(4) {
                let options = Options {
                    frame,
                    ..Options::default()
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
}
