//! A DICOM object that is read and parsed once, and whose frames are decoded one at a time.

use std::sync::OnceLock;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::dicom::anatomy::body_part;
use crate::dicom::geometry;
use crate::dicom::modality::modality;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::parsing::file::Meta;
use crate::dicom::parsing::notes::{PixelElement, TilePlace};
use crate::dicom::parsing::parsed::ParsedFile;
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::parsing::without_pixels;
use crate::dicom::pixels::frames::FrameReader;
use crate::dicom::pixels::index::FrameIndex;
use crate::dicom::pixels::layout::PixelLayout;
use crate::dicom::pixels::samples::Cells;
use crate::dicom::pixels::{display, native, overlays};
use crate::error::{MediaError, unsupported};
use crate::{DicomInfo, DicomOrigin, FileFormat, Frame, ImageInfo, Warnings, limits, uid};

/// Maximum length of a station's name: four times what the standard allows (SH, PS3.5 6.2).
const MAX_STATION_CHARS: usize = 64;

/// A DICOM object with pixels.
pub(crate) struct DicomObject {
    file: ParsedFile,
    pixels: PixelElement,
    layout: PixelLayout,
    /// Repairs and assumptions made while opening it.
    warnings: Warnings,
    /// Where each frame is, found when the first one is requested.
    index: OnceLock<Result<(FrameIndex, Warnings), MediaError>>,
}

impl DicomObject {
    /// Parses a file.
    ///
    /// # Errors
    ///
    /// An object without pixels is an error that says what it is; so is one whose pixels cannot be decoded.
    pub(crate) fn open(body: Body) -> Result<Self, MediaError> {
        Self::from_parsed(ParsedFile::read(body)?)
    }

    /// Makes an object from a parsed file; see [`open`](Self::open).
    pub(crate) fn from_parsed(mut file: ParsedFile) -> Result<Self, MediaError> {
        // Checked first: referenced pixels are elsewhere, and the attributes of video may be inconsistent.
        if file.meta.syntax.codec == Codec::Unsupported && file.set.get(tags::ROWS).is_some() {
            return Err(file.meta.syntax.unsupported());
        }
        let Some(pixels) = file.notes.pixels.take().filter(|p| !p.data.is_empty()) else {
            // Not read to its end.
            if !file.notes.complete && file.body.is_partial() {
                return Err(Body::head_too_large());
            }
            return Err(without_pixels::error(&file));
        };
        let mut warnings = std::mem::take(&mut file.notes.repairs);
        let layout = PixelLayout::read(&file.set, &pixels, &mut warnings);
        if file.meta.syntax.codec == Codec::Unknown {
            let native = |layout: &PixelLayout| native::is_native_length(&pixels.data, layout);
            let uid = &file.meta.transfer_syntax;
            if !layout.as_ref().is_ok_and(native) {
                return Err(unsupported(format!(
                    "DICOM transfer syntax {uid} is unknown"
                )));
            }
            warnings.add(format!(
                "The transfer syntax {uid} is unknown; the pixels have the length of uncompressed ones and were read as \
                 such."
            ));
        }
        let layout = layout?;
        geometry::check(&file.set, &mut warnings);
        overlays::check(&file.set, &layout, &mut warnings);
        Ok(Self {
            file,
            pixels,
            layout,
            warnings,
            index: OnceLock::new(),
        })
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.file.meta
    }

    pub(crate) fn body(&self) -> &Body {
        &self.file.body
    }

    /// The data set, without its pixels.
    pub(crate) fn set(&self) -> &DataSet {
        &self.file.set
    }

    /// The tiles of a slide whose functional groups are too many for the data set.
    pub(crate) fn tile_places(&self) -> &[TilePlace] {
        &self.file.notes.tiles
    }

    pub(crate) fn layout(&self) -> &PixelLayout {
        &self.layout
    }

    /// `blake3:<hex>` of the file.
    pub(crate) fn content(&self) -> Result<String, MediaError> {
        match &self.file.meta.content {
            Some(content) => Ok(content.clone()),
            None => self.body().content(),
        }
    }

    /// Whether its pixels are still in the file.
    #[cfg(test)]
    pub(crate) fn is_partial(&self) -> bool {
        self.body().is_partial()
    }

    /// Where each frame is.
    pub(crate) fn index(&self) -> Result<&FrameIndex, MediaError> {
        self.index_with_warnings().map(|(index, _)| index)
    }

    /// Where each frame is, and what is wrong with their number.
    fn index_with_warnings(&self) -> Result<&(FrameIndex, Warnings), MediaError> {
        let index = self.index.get_or_init(|| {
            let extended = self.set().bytes(tags::EXTENDED_OFFSET_TABLE);
            let (body, codec) = (self.body(), self.meta().syntax.codec);
            let mut warnings = Warnings::default();
            let index = FrameIndex::build(
                &self.pixels.data,
                extended.as_deref(),
                body,
                &self.layout,
                codec,
                &mut warnings,
            )?;
            Ok((index, warnings))
        });
        index.as_ref().map_err(Clone::clone)
    }

    /// Number of frames that the file has, at most Number of Frames; 0 if they cannot be located.
    pub(crate) fn frames_present(&self) -> u32 {
        self.index().map_or(0, |index| index.frames(&self.layout))
    }

    /// The cells of a frame as stored, and the layout they have.
    pub(crate) fn cells(
        &self,
        frame: u32,
        warnings: &mut Warnings,
    ) -> Result<(Cells, PixelLayout), MediaError> {
        let frames = FrameReader {
            body: self.body(),
            index: self.index()?,
            layout: &self.layout,
            codec: self.meta().syntax.codec,
            big_endian: self.meta().has_big_pixels(),
            words: self.pixels.vr == Some(VR::OW),
        };
        frames.decode(frame, warnings)
    }

    /// Decodes a frame, from 0.
    pub(crate) fn frame(&self, frame: u32, warnings: &mut Warnings) -> Result<Frame, MediaError> {
        let layout = &self.layout;
        if frame >= layout.frames {
            return Err(limits::no_such_frame(frame, layout.frames));
        }
        warnings.append(&self.index_with_warnings()?.1);
        let (cells, shape) = self.cells(frame, warnings)?;
        display::frame(self.set(), layout, &shape, cells, frame, warnings)
    }

    /// Series Instance UID (0020,000E).
    pub(crate) fn series(&self) -> Option<String> {
        self.set().first(tags::SERIES_INSTANCE_UID)
    }

    /// Frames per second: Recommended Display Frame Rate, else Cine Rate, else by Frame Time (PS3.3 C.7.6.5).
    pub(crate) fn frames_per_second(&self) -> Option<f64> {
        let set = self.set();
        let rate = |tag| set.decimal(tag).filter(|rate| *rate > 0.0);
        rate(tags::RECOMMENDED_DISPLAY_FRAME_RATE)
            .or_else(|| rate(tags::CINE_RATE))
            .or_else(|| rate(tags::FRAME_TIME).map(|milliseconds| 1000.0 / milliseconds))
    }

    fn origin(&self) -> DicomOrigin {
        let set = self.set();
        let identifier = |tag| set.first(tag).filter(|text| uid(text).is_some());
        let station = set.first(tags::STATION_NAME);
        let patient = set.first(tags::PATIENT_ID);
        DicomOrigin {
            instance: identifier(tags::SOP_INSTANCE_UID),
            series: identifier(tags::SERIES_INSTANCE_UID),
            study: identifier(tags::STUDY_INSTANCE_UID),
            station: station.filter(|name| name.chars().count() <= MAX_STATION_CHARS),
            patient: patient
                .filter(|id| !names_nobody(id.trim()))
                .and_then(|id| patient_mark(&id)),
        }
    }

    /// Description of the object, without a window.
    pub(crate) fn info(&self) -> ImageInfo {
        let (set, layout) = (self.set(), &self.layout);
        ImageInfo {
            kind: FileFormat::Dicom,
            width: layout.columns,
            height: layout.rows,
            frames: layout.frames,
            synthetic: set.first(tags::SYNTHETIC_DATA).is_some_and(|v| v == "YES"),
            warnings: self.warnings.clone(),
            dicom: Some(DicomInfo {
                transfer_syntax: self.file.meta.transfer_syntax.clone(),
                photometric: layout.photometric_name.clone(),
                bits_stored: layout.stored,
                signed: layout.signed,
                samples: layout.samples,
                modality: modality(set),
                body_part: body_part(set),
                origin: self.origin(),
                window: None,
            }),
        }
    }
}

/// What tells a patient from others without naming them: half of a keyed hash of Patient ID, in hexadecimal; `None` if it is empty.
pub fn patient_mark(id: &str) -> Option<String> {
    let id = id.trim();
    let key = blake3::derive_key(
        "medivision-tui: patients told apart by Patient ID",
        id.as_bytes(),
    );
    let half = key.first_chunk().map(|half| u128::from_be_bytes(*half))?;
    (!id.is_empty()).then(|| format!("{half:032x}"))
}

/// Whether an ID is one that programs write for everybody from whom they take the name.
fn names_nobody(id: &str) -> bool {
    const OF_NOBODY: [&str; 14] = [
        "anonymous",
        "anonymized",
        "anonymised",
        "anon",
        "deidentified",
        "de-identified",
        "removed",
        "unknown",
        "none",
        "null",
        "n/a",
        "na",
        "nil",
        "xxx",
    ];
    let id = id.to_lowercase();
    id.chars()
        .all(|letter| matches!(letter, '0' | '-' | '_' | '*' | '?' | '.'))
        || OF_NOBODY.contains(&&*id)
}
