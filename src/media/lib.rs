//! Reads image files: from bytes on disk to a [`Picture`] of 8 bits a channel, with DICOM tags, studies and related
//! objects beside it.
//!
//! [`open`] reads and checks a file once and returns an [`ImageSource`], which decodes one [`Frame`] at a time. A grey
//! frame is rendered to a picture through a window. [`load`] does all of this in one call. Limits are checked before
//! anything is decoded, and a panic in a decoder becomes an error.
//!
//! The modules, in the order in which a file passes through them:
//!
//! * `files` and `read` open regular files; [`walk`] lists those of a folder; `sniff` recognises their
//!   format
//! * `source`: an opened file; what is known about it is in `info`, what to decode of it in `options`
//! * [`limits`] and [`budget`] bound what decoding may cost; `contain` catches panics of decoders
//! * `codecs` and `png` decode streams; `dicom` parses objects, finds their frames and applies their rules
//! * `frame`: a decoded frame; `grey` renders it through a window, `mosaic` assembles it from tiles
//! * [`measure`]: lengths, angles and the values within figures on a frame
//! * [`volume`]: slices of equal geometry, and planes across them
//! * [`anatomy`]: the names and codes of body parts
//! * `related`: presentation states, segmentations and structure sets to be drawn over it
//!
//! JPEG, PNG and DICOM are recognised by their content, never by their name. The name only decides how a file with
//! unknown content is reported (see [`FileContent`]).

#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod anatomy;
pub mod budget;
mod codecs;
mod colorless;
mod contain;
mod dicom;
mod error;
mod files;
mod frame;
mod geometry;
mod grey;
mod info;
mod large_pages;
pub mod limits;
pub mod measure;
mod mosaic;
mod options;
mod orient;
mod overlay;
mod picture;
mod png;
mod read;
mod rect;
mod related;
mod sniff;
mod source;
mod text;
pub mod volume;
pub mod walk;
mod warnings;

pub use contain::{contain, is_contained};
pub use dicom::caption::Caption;
pub use dicom::patient_mark;
pub use dicom::studies::frame_order::FrameOrder;
pub use dicom::studies::identity::ObjectIdentity;
pub use dicom::studies::series::{
    DicomHeader, Member, Series, Study, directory, group, header, object_identity,
};
pub use dicom::tags::{TagRow, TagTree, tags};
pub use error::{ErrorKind, FileContent, MediaError};
pub use files::{open_file, read_file, read_text};
pub use frame::Frame;
pub use geometry::{Geometry, Letters, Spacing};
pub use grey::{Grey, Histogram, NamedWindow, Voi};
pub(crate) use grey::{GreyTransform, Modality};
pub use info::{DicomInfo, DicomOrigin, FileFormat, ImageInfo, Loaded, Window, WindowSource};
pub use large_pages::{LargePages, keep_freed_buffers};
pub use mosaic::{Assembled, Mosaic, MosaicProgress};
pub use options::{DecodeOptions, Scale};
pub use overlay::{OverlayKind, OverlayPlane};
pub use picture::{Picture, Pixels, Stats};
pub use rect::PixelRect;
pub use related::{
    Annotation, AnnotationShape, Arrangement, ColorMap, Layers, Legend, Related, RelatedKind,
    RelatedObject, Shutter, TargetFrame, Tint, Wording, related,
};
pub use sniff::{Sniffed, sniff};
pub use source::{ImageSource, RenderedFrame, load, open};
pub use text::{clean, is_unprintable, padded, printable};
pub(crate) use text::{code, uid};
pub use warnings::Warnings;
