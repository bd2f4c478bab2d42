//! DICOM objects: from bytes to the picture that the object asks for.
//!
//! The way of a pixel (PS3.4 N.2): stored value → modality LUT → VOI LUT or window → 8 bits → inverted for MONOCHROME1.
//! Colour goes to RGB without window. The object's own first window or LUT is used; without one the full range of the
//! frame's modality values, padding excluded.

mod charset;
mod codec;
mod color;
mod dataset;
mod directory;
mod file;
mod frames;
mod header;
mod layout;
mod lut;
mod native;
mod palette;
mod phi;
mod rle;
mod samples;
mod syntax;
mod tags;
mod tree;
mod values;
mod voi;
mod what;

use super::error::MediaError;
use super::tags::TagTree;
use super::{DicomInfo, Info, Kind, Options, Picture, Pixels, Window, WindowSource, clean, limits};
use dataset::DataSet;
pub(super) use directory::members;
use file::DicomFile;
pub(super) use header::header;
use layout::{Layout, Photometric};
use samples::Samples;

/// Decodes frame `options.frame` as shown.
pub(super) fn decode(bytes: &[u8], options: &Options) -> Result<(Info, Picture), MediaError> {
    let file = DicomFile::open(bytes)?;
    let set = DataSet::parse(&file.body, file.encoding)?;
    let layout = describe(&file, &set)?;
    if options.frame >= layout.frames {
        return Err(limits::no_such_frame(options.frame, layout.frames));
    }
    let (cells, shape) = frames::decode(&file, &set, &layout, options.frame)?;
    let (pixels, window) = match shape.photometric {
        Photometric::Mono { inverted } => {
            let samples = Samples::from_cells(cells, &shape);
            let transform = voi::Transform::read(&set, &layout, options);
            let (data, window) = transform.render(&samples, inverted);
            (Pixels::Luma(data), Some(window))
        }
        Photometric::Palette => {
            let samples = Samples::from_cells(cells, &shape);
            (Pixels::Rgb(palette::rgb(&set, &samples, &layout)?), None)
        }
        _ => (Pixels::Rgb(color::rgb(cells, &shape)?), None),
    };
    let picture = Picture {
        width: layout.columns,
        height: layout.rows,
        pixels,
    };
    Ok((info(&file, &set, &layout, window), picture))
}

/// What the object is, without its pixels and without its window.
pub(super) fn probe(bytes: &[u8]) -> Result<Info, MediaError> {
    let file = DicomFile::open(bytes)?;
    let set = DataSet::parse(&file.body, file.encoding)?;
    let layout = describe(&file, &set)?;
    Ok(info(&file, &set, &layout, None))
}

/// The tags of a file, the meta group first.
pub(super) fn tags(bytes: &[u8]) -> Result<TagTree, MediaError> {
    let file = DicomFile::open(bytes)?;
    let set = DataSet::parse(&file.body, file.encoding)?;
    Ok(tree::rows(&file.meta, &set))
}

/// The shape of the object's pixels; an object without pixels is refused with what it is.
fn describe(file: &DicomFile, set: &DataSet) -> Result<Layout, MediaError> {
    if !frames::has_pixels(set) {
        return Err(what::without_pixels(file, set));
    }
    Layout::read(set)
}

fn info(file: &DicomFile, set: &DataSet, layout: &Layout, window: Option<Window>) -> Info {
    let text = |tag| set.first(tag).map(|text| clean(&text));
    Info {
        kind: Kind::Dicom,
        width: layout.columns,
        height: layout.rows,
        frames: layout.frames,
        synthetic: set.first(tags::SYNTHETIC_DATA).is_some_and(|v| v == "YES"),
        dicom: Some(DicomInfo {
            transfer_syntax: file.syntax.uid.to_owned(),
            photometric: clean(&layout.photometric_name),
            bits_stored: layout.stored,
            signed: layout.signed,
            samples: layout.samples,
            modality: text(tags::MODALITY),
            body_part: text(tags::BODY_PART),
            window,
        }),
    }
}

#[cfg(test)]
mod tests;
