//! An object that was read and parsed once, of which frames are decoded one at a time.

use std::ops::Range;
use std::sync::OnceLock;

use self_cell::self_cell;

use crate::dicom::attributes;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::dataset::{DataSet, Value};
use crate::dicom::parsing::file::Meta;
use crate::dicom::parsing::syntax::Codec;
use crate::dicom::parsing::what;
use crate::dicom::pixels::color;
use crate::dicom::pixels::frames;
use crate::dicom::pixels::layout::{Layout, Photometric};
use crate::dicom::pixels::palette;
use crate::dicom::pixels::samples::from_cells;
use crate::dicom::pixels::voi;
use crate::error::MediaError;
use crate::grey::Grey;
use crate::{DicomInfo, Frame, Info, Kind, Picture, Pixels, Warnings, clean, limits};

self_cell!(
    /// The bytes of a data set and the index over them.
    pub(crate) struct Parsed {
        owner: Body,
        #[covariant]
        dependent: DataSet,
    }
);

/// An object with pixels.
pub(crate) struct Object {
    meta: Meta,
    parsed: Parsed,
    layout: Layout,
    /// What was repaired or assumed to open it.
    warnings: Warnings,
    /// The first fragment of each frame, found when the first frame is asked for.
    starts: OnceLock<Result<Vec<usize>, MediaError>>,
}

impl Object {
    /// Parses a file; one without pixels is refused with what it is, and so is one whose pixels nothing here decodes.
    pub(crate) fn open(body: Body) -> Result<Self, MediaError> {
        let (meta, body) = Meta::open(body)?;
        let parsed = parse(body, &meta)?;
        let set = parsed.borrow_dependent();
        // Referenced pixels are elsewhere, and the shape of video need not make sense here.
        if meta.syntax.codec == Codec::Unsupported && set.get(attributes::ROWS).is_some() {
            return Err(meta.syntax.unsupported());
        }
        if !has_pixels(set) {
            return Err(what::without_pixels(&meta, set));
        }
        let layout = Layout::read(set)?;
        Ok(Self {
            meta,
            parsed,
            layout,
            warnings: Warnings::default(),
            starts: OnceLock::new(),
        })
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(crate) fn body(&self) -> &Body {
        self.parsed.borrow_owner()
    }

    /// The data set.
    pub(crate) fn set(&self) -> &DataSet<'_> {
        self.parsed.borrow_dependent()
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// `blake3:<hex>` of the file.
    pub(crate) fn content(&self) -> Result<String, MediaError> {
        match &self.meta.content {
            Some(content) => Ok(content.clone()),
            None => self.body().content(),
        }
    }

    /// Whether its pixels were left in the file.
    #[cfg(test)]
    pub(crate) fn is_partial(&self) -> bool {
        self.body().is_partial()
    }

    /// Which fragments, the offset table not counted, are a frame's.
    pub(crate) fn fragments_of(&self, frame: usize) -> Result<Range<usize>, MediaError> {
        let Some(Value::Fragments(fragments)) =
            self.set().get(attributes::PIXEL_DATA).map(|e| &e.value)
        else {
            return Ok(0..0);
        };
        let frames = self.layout.frames;
        let starts = self
            .starts
            .get_or_init(|| frames::starts(self.set(), self.body(), fragments, frames));
        let starts = starts.as_ref().map_err(Clone::clone)?;
        frames::range_of(starts, frame, frames, fragments.len().saturating_sub(1))
    }

    /// Decodes a frame, from 0.
    pub(crate) fn frame(&self, frame: u32, warnings: &mut Warnings) -> Result<Frame, MediaError> {
        let layout = &self.layout;
        if frame >= layout.frames {
            return Err(limits::no_such_frame(frame, layout.frames));
        }
        let (cells, shape) = frames::decode(self, frame, warnings)?;
        let rgb = match shape.photometric {
            Photometric::Mono { inverted } => {
                let transform = voi::transform(self.set(), layout, frame, inverted);
                let samples = from_cells(cells, &shape);
                let grey = Grey::new(layout.columns, layout.rows, samples, transform);
                return Ok(Frame::Grey(grey));
            }
            Photometric::Palette => palette::rgb(self.set(), &from_cells(cells, &shape), layout)?,
            _ => color::rgb(cells, &shape)?,
        };
        Ok(Frame::Color(Picture {
            width: layout.columns,
            height: layout.rows,
            pixels: Pixels::Rgb(rgb),
        }))
    }

    /// Series Instance UID.
    pub(crate) fn series(&self) -> Option<String> {
        self.set().first(attributes::SERIES)
    }

    /// Recommended Display Frame Rate, Cine Rate, or what follows from Frame Time (PS3.3 C.7.6.5).
    pub(crate) fn frames_per_second(&self) -> Option<f64> {
        let set = self.set();
        let rate = |tag| set.decimal(tag).filter(|rate| *rate > 0.0);
        rate(attributes::DISPLAY_RATE)
            .or_else(|| rate(attributes::CINE_RATE))
            .or_else(|| rate(attributes::FRAME_TIME).map(|milliseconds| 1000.0 / milliseconds))
    }

    /// What the object is, its window left open.
    pub(crate) fn info(&self) -> Info {
        let (set, layout) = (self.set(), &self.layout);
        let text = |tag| set.first(tag).map(|text| clean(&text));
        Info {
            kind: Kind::Dicom,
            width: layout.columns,
            height: layout.rows,
            frames: layout.frames,
            synthetic: set
                .first(attributes::SYNTHETIC_DATA)
                .is_some_and(|v| v == "YES"),
            warnings: self.warnings.clone(),
            dicom: Some(DicomInfo {
                transfer_syntax: self.meta.syntax.uid.to_owned(),
                photometric: clean(&layout.photometric_name),
                bits_stored: layout.stored,
                signed: layout.signed,
                samples: layout.samples,
                modality: text(attributes::MODALITY),
                body_part: text(attributes::BODY_PART),
                window: None,
            }),
        }
    }
}

/// Indexes a data set; of a file that is partly in memory as much is read as stands before its pixels.
pub(crate) fn parse(mut body: Body, meta: &Meta) -> Result<Parsed, MediaError> {
    loop {
        let parsed = Parsed::try_new(body, |body| DataSet::read(body, meta.encoding))?;
        if parsed.borrow_dependent().has_pixels || !parsed.borrow_owner().is_partial() {
            return Ok(parsed);
        }
        body = parsed.into_owner();
        body.grow()?;
    }
}

/// Whether the object has pixels of any kind.
fn has_pixels(set: &DataSet) -> bool {
    [
        attributes::PIXEL_DATA,
        attributes::FLOAT_PIXELS,
        attributes::DOUBLE_PIXELS,
    ]
    .into_iter()
    .filter_map(|tag| set.get(tag))
    .any(|element| match &element.value {
        Value::Pixels(range) => !range.is_empty(),
        Value::Bytes(_) => false,
        Value::Items(_) | Value::Fragments(_) => true,
    })
}
