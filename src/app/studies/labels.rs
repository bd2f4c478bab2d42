//! Labels of studies, series and their files. Values that identify the patient are masked unless shown.

use crate::app::text;
use crate::media::{DicomHeader, Member, Series, Study};

/// Smallest component of a normal along an axis of the patient by which a plane is named: about 25° of tilt.
const MIN_ALONG: f64 = 0.9;

/// `▾ 2026-01-31 Doe^Jane (4711) Thorax`; if masked, `▾ study 1 CT SR (121)` with what is in it.
pub(super) fn study(study: &Study, index: usize, folded: bool, show_phi: bool) -> String {
    let header = &study.header;
    let id = if header.patient_id.is_empty() {
        String::new()
    } else {
        format!("({})", header.patient_id)
    };
    let date = date(&header.study_date);
    let parts = [&date, &header.patient_name, &id, &header.study_description];
    let mark = if folded { '▸' } else { '▾' };
    let details = joined(&parts);
    let text = if show_phi && !details.is_empty() {
        details
    } else {
        format!("study {} {}", index + 1, contents(study))
    };
    text::safe_str(&format!("{mark} {text}"))
}

/// `CT SR (121)`: modalities and number of files.
fn contents(study: &Study) -> String {
    let mut modalities: Vec<&str> = Vec::new();
    for series in &study.series {
        let modality = series.header.modality.as_str();
        if !modalities.contains(&modality) {
            modalities.push(modality);
        }
    }
    let files: usize = study.series.iter().map(|series| series.members.len()).sum();
    joined(&[joined(&modalities), format!("({files})")])
}

/// `  CT 3 (120) lung`: a series below its study, with the number of its files where it is seen in a narrow list, too.
pub(super) fn series(series: &Series, show_phi: bool) -> String {
    let count = format!("({})", series.members.len());
    let name = number(&series.header);
    let described = described(&series.header, show_phi);
    text::safe_str(&format!("  {}", joined(&[&name, &count, &described])))
}

/// `CT 3 lung`: modality, number, and what else tells series apart.
pub(super) fn series_name(series: &Series, show_phi: bool) -> String {
    let header = &series.header;
    let name = joined(&[number(header), described(header, show_phi)]);
    text::safe_str(&name)
}

/// `CT 3`: modality and number; without either, `series`.
fn number(header: &DicomHeader) -> String {
    let number = header
        .series_number
        .map_or_else(String::new, |n| n.to_string());
    let named = joined(&[&header.modality, &number]);
    if named.is_empty() {
        "series".to_owned()
    } else {
        named
    }
}

/// The description; without one, or if it is masked because it may identify the patient, what is known of the images.
fn described(header: &DicomHeader, show_phi: bool) -> String {
    let written = Some(&header.series_description);
    let written = written.filter(|written| show_phi && !written.is_empty());
    written.map_or_else(|| geometry(header), Clone::clone)
}

/// `CHEST axial 1.25 mm`: body part, plane and slice thickness, as far as they are known.
fn geometry(header: &DicomHeader) -> String {
    let plane = header.orientation.map_or("", plane);
    let thickness = header.slice_thickness.filter(|thickness| *thickness > 0.0);
    let thickness = thickness.map_or_else(String::new, |thickness| {
        // At most two decimals.
        format!("{} mm", (thickness * 100.0).round() / 100.0)
    });
    joined(&[header.body_part.as_str(), plane, &thickness])
}

/// The plane in which an image lies, by the direction cosines of its rows and columns.
fn plane([a, b, c, d, e, f]: [f64; 6]) -> &'static str {
    let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
    let named = ["sagittal", "coronal", "axial"].into_iter().zip(normal);
    named
        .filter(|(_, along)| along.abs() >= MIN_ALONG)
        .map(|(name, _)| name)
        .next()
        .unwrap_or("oblique")
}

/// The name of a file, with a note if the file is missing.
pub(super) fn member(member: &Member) -> String {
    let name = member.path.file_name().map_or_else(String::new, text::safe);
    if member.present {
        name
    } else {
        format!("{name} (missing)")
    }
}

/// The parts that are not empty, separated by spaces.
fn joined<T: AsRef<str>>(parts: &[T]) -> String {
    let parts = parts
        .iter()
        .map(AsRef::as_ref)
        .filter(|part: &&str| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// `20260131` as `2026-01-31`; any other text unchanged.
pub(in crate::app) fn date(written: &str) -> String {
    match (written.get(..4), written.get(4..6), written.get(6..8)) {
        (Some(year), Some(month), Some(day))
            if written.len() == 8 && written.bytes().all(|b| b.is_ascii_digit()) =>
        {
            format!("{year}-{month}-{day}")
        }
        _ => written.to_owned(),
    }
}
