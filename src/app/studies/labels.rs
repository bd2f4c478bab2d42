//! Labels of studies, series and their files. Values that identify the patient are masked unless shown.

use crate::app::text::{self, MASK};
use crate::media::{Member, Series, Study};

/// `▾ 2026-01-31 Doe^Jane (4711) Thorax`; if masked, `▾ study 1 •••`.
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
    let text = match (details.is_empty(), show_phi) {
        (true, _) => format!("study {}", index + 1),
        (false, true) => details,
        (false, false) => format!("study {} {MASK}", index + 1),
    };
    text::safe_str(&format!("{mark} {text}"))
}

/// `  CT 3 lung (120)`: a series below its study, with the number of its files.
pub(super) fn series(series: &Series, show_phi: bool) -> String {
    let count = series.members.len();
    format!("  {} ({count})", series_name(series, show_phi))
}

/// `CT 3 lung`: modality, number, description.
pub(super) fn series_name(series: &Series, show_phi: bool) -> String {
    let header = &series.header;
    let number = header
        .series_number
        .map_or_else(String::new, |n| n.to_string());
    let description = match (header.series_description.as_str(), show_phi) {
        ("", _) => "",
        (_, false) => MASK,
        (description, true) => description,
    };
    let named = [&header.modality, &number, description];
    let named = joined(&named);
    let named = if named.is_empty() {
        "series".to_owned()
    } else {
        named
    };
    text::safe_str(&named)
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
