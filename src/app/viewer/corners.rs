//! The four corners of an image, as radiology viewers write them: patient, series, slice and technique.

use super::Viewer;
use crate::app::preview::{Preview, PreviewKey, Scene};
use crate::app::studies::date;
use crate::media::{Caption, DicomHeader, ImageInfo};

/// The texts of the corners, each in parts with the most important first. They come from files: clean them when drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Corners {
    /// The patient, if shown; modality and body part.
    pub top_left: Vec<String>,
    /// Series and image.
    pub top_right: Vec<String>,
    /// Position and thickness of the slice.
    pub bottom_left: Vec<String>,
    /// How the image was acquired.
    pub bottom_right: Vec<String>,
}

impl Viewer {
    /// The corners of the image shown; `None` if it has none. `series` as in
    /// [`ViewerContext`](super::ViewerContext). What identifies the patient is left out unless `show_phi`.
    pub(crate) fn corners(
        key: &PreviewKey,
        preview: &Preview,
        series: Option<(usize, usize)>,
        show_phi: bool,
    ) -> Option<Corners> {
        let Preview { info, scene, .. } = preview;
        let caption = scene.caption.as_ref().filter(|_| key.marks.overlays)?;
        let mut corners = Corners {
            top_left: subject(info),
            top_right: if scene.volume.is_some() {
                // A reformat is of many images.
                series_words(&caption.header).into_iter().collect()
            } else {
                place(&caption.header, series)
            },
            bottom_left: slice(scene, caption),
            bottom_right: caption.technique.clone(),
        };
        if show_phi {
            corners.top_left.splice(0..0, patient(caption));
            let header = &caption.header;
            let dated = [date(&header.study_date), header.series_description.clone()];
            corners
                .top_right
                .extend(dated.into_iter().filter(|text| !text.is_empty()));
        }
        Some(corners)
    }
}

/// Name, ID, birth date and sex.
fn patient(caption: &Caption) -> Vec<String> {
    let header = &caption.header;
    let parts = [
        header.patient_name.clone(),
        header.patient_id.clone(),
        date(&caption.birth_date),
        caption.sex.clone(),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

/// `CT CHEST`.
fn subject(info: &ImageInfo) -> Vec<String> {
    let Some(dicom) = &info.dicom else {
        return Vec::new();
    };
    let parts = [&dicom.modality, &dicom.body_part];
    let words: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    Vec::from_iter((!words.is_empty()).then(|| words.join(" ")))
}

/// `image 13/60`, `series 3`: where the image stands in its stack; alone, its number.
fn place(header: &DicomHeader, series: Option<(usize, usize)>) -> Vec<String> {
    let image = match series {
        Some((at, count)) => Some(format!("image {}/{count}", at + 1)),
        None => header.instance.map(|number| format!("image {number}")),
    };
    let series = series_words(header);
    image.into_iter().chain(series).collect()
}

/// `series 3`.
fn series_words(header: &DicomHeader) -> Option<String> {
    header
        .series_number
        .map(|number| format!("series {number}"))
}

/// `slice F 123.5 mm`, `5 mm thick`.
fn slice(scene: &Scene, caption: &Caption) -> Vec<String> {
    let rounded = |mm: f64, part: f64| (mm * part).round() / part;
    let position = scene.geometry.slice_position();
    let position = position.map(|(letter, mm)| format!("slice {letter} {} mm", rounded(mm, 10.0)));
    let thickness = caption.thickness.filter(|mm| mm.is_finite());
    let thickness = thickness.map(|mm| format!("{} mm thick", rounded(mm, 100.0)));
    position.into_iter().chain(thickness).collect()
}
