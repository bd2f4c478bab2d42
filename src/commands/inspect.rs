//! `inspect`: describes a file and how it is shown.

use std::io::{self, Write};
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};
use serde_json::{Map, Value, json};

use super::{Fault, exit, output, print};
use crate::cli;
use crate::files::{self, Access};
use crate::library::{Failure, export, path_text};
use crate::media::{self, DecodeOptions, DicomInfo, MediaError, Picture, Pixels};

/// Prints the report, or an error object if the file cannot be read; returns the exit code.
pub fn run(arguments: &cli::InspectArgs) -> Result<u8, Fault> {
    let path = &arguments.file;
    if let Some(out) = &arguments.render
        && output::is_same_file(path, out)
    {
        return Err(Fault::usage(format!(
            "{}: the image would overwrite the file that it is rendered from",
            super::shown(out)
        )));
    }
    match report(path, arguments.frame, arguments.window) {
        Ok((report, picture)) => {
            if let Some(out) = &arguments.render {
                files::replace(out, Access::Kept, |to| write_png(&picture, to)).map_err(
                    |error| Fault {
                        code: exit::SOME_FAILED,
                        message: format!("{}: {error}", super::shown(out)),
                    },
                )?;
            }
            print::json_line(&report)?;
            Ok(exit::OK)
        }
        Err(error) => {
            print::json_line(&export::error_object(path, &Failure::from(error)))?;
            Ok(exit::SOME_FAILED)
        }
    }
}

fn write_png(picture: &Picture, to: &mut dyn Write) -> io::Result<()> {
    let (bytes, color) = match &picture.pixels {
        Pixels::Luma(bytes) => (bytes, ExtendedColorType::L8),
        Pixels::Rgb(bytes) => (bytes, ExtendedColorType::Rgb8),
    };
    PngEncoder::new(to)
        .write_image(bytes, picture.width, picture.height, color)
        .map_err(|error| match error {
            ImageError::IoError(error) => error,
            other => io::Error::other(other),
        })
}

/// The report about a frame that `inspect` prints, and the image that the encoder would see.
///
/// The keys and their order are a contract. `window` is `(center, width)` to use instead of the file's own. The reported window
/// is `null` for colour.
pub fn report(
    path: &Path,
    frame: u32,
    window: Option<(f64, f64)>,
) -> Result<(Value, Picture), MediaError> {
    let loaded = media::load(
        path,
        &DecodeOptions {
            frame,
            window,
            ..DecodeOptions::default()
        },
    )?;
    let info = &loaded.info;
    let mut report = Map::new();
    let (text, bytes) = path_text(path);
    report.insert("path".into(), text.into());
    if let Some(bytes) = bytes {
        report.insert("path_bytes".into(), bytes.into());
    }
    report.insert("kind".into(), json!(info.kind));
    report.insert("width".into(), info.width.into());
    report.insert("height".into(), info.height.into());
    report.insert("frames".into(), info.frames.into());
    report.insert("frame".into(), frame.into());
    report.insert("stats".into(), json!(loaded.picture.stats()));
    if let Some(dicom) = &info.dicom {
        describe(dicom, &mut report);
    }
    report.insert("warnings".into(), json!(info.warnings));
    Ok((Value::Object(report), loaded.picture))
}

fn describe(dicom: &DicomInfo, report: &mut Map<String, Value>) {
    report.insert(
        "transfer_syntax".into(),
        dicom.transfer_syntax.as_str().into(),
    );
    report.insert("photometric".into(), dicom.photometric.as_str().into());
    report.insert("bits_stored".into(), dicom.bits_stored.into());
    report.insert("signed".into(), dicom.signed.into());
    report.insert("samples".into(), dicom.samples.into());
    report.insert("modality".into(), json!(dicom.modality));
    report.insert("body_part".into(), json!(dicom.body_part));
    report.insert("window".into(), json!(dicom.window));
}
