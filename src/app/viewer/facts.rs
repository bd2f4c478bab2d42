//! The facts below an image: frame, window, zoom, scale; with a pointer its position, value and distance.

use super::measure::Tool;
use super::measurements::{kind_word, measured_words};
use super::{Viewer, window};
use crate::app::preview::{PixelValue, Preview, PreviewKey, Scene};
use crate::app::text::{cut_end, safe_str};
use crate::media::{FrameOrder, Window};
use crate::view::Area;
use crate::view::placement::{self, ImageShape, Placement, scale_bar};

/// The placement of an image of `size` columns and rows where a cell has `cell` pixels.
pub fn placed(size: (u32, u32), key: &PreviewKey, scene: &Scene, cell: (u16, u16)) -> Placement {
    let area = Area {
        x: 0,
        y: 0,
        width: key.cols,
        height: key.rows,
    };
    let around = key.marks.around(scene);
    let picture = placement::inset(area, around).picture;
    let room = (
        u32::from(picture.width) * u32::from(cell.0.max(1)),
        u32::from(picture.height) * u32::from(cell.1.max(1)),
    );
    let canvas = ImageShape {
        columns: size.0,
        rows: size.1,
        aspect: scene.geometry.aspect,
    };
    placement::place(canvas, &key.view.aim, room)
}

/// The width of a screen pixel in millimetres.
pub fn millimetres(place: &Placement, scene: &Scene) -> Option<f64> {
    let spacing = scene.geometry.spacing?;
    let (across, _) = place.turn.size((
        spacing.columns_mm / place.scale,
        spacing.rows_mm / (place.scale * scene.geometry.aspect),
    ));
    Some(across)
}

/// The length of the scale bar in millimetres, whatever pixels the image is drawn with.
pub fn bar(size: (u32, u32), key: &PreviewKey, scene: &Scene) -> Option<f64> {
    let place = placed(size, key, scene, scene.cell);
    let (length, _) = scale_bar(millimetres(&place, scene)?, place.width)?;
    Some(length)
}

impl Viewer {
    /// The facts about the image shown, the most important first.
    pub(crate) fn facts(&self, key: &PreviewKey, preview: &Preview) -> Vec<String> {
        let mut facts = self.pointer_facts(key, preview);
        if !key.marks.overlays {
            return facts;
        }
        let (info, scene) = (&preview.info, &*preview.scene);
        facts.extend(scene.note.clone());
        let frame = (info.frames > 1).then(|| frame_fact(key.frame, info.frames, &scene.order));
        let film = self.film.as_ref();
        let film = film.map(|_| format!("▶ {}/s", self.rate()));
        let playing: Vec<String> = frame.into_iter().chain(film).collect();
        facts.extend((!playing.is_empty()).then(|| playing.join(" ")));
        let modality = info.dicom.as_ref().and_then(|d| d.modality.as_deref());
        facts.extend(scene.window.map(|applied| {
            let name = window::name(&key.view.voi, modality, &scene.windows);
            window_fact(&applied, name, key.view.invert)
        }));
        facts.extend((scene.window.is_none() && key.view.invert).then(|| "inverted".to_owned()));
        let size = (info.width, info.height);
        facts.push(zoom_fact(&placed(size, key, scene, scene.cell)));
        facts.extend(bar(size, key, scene).map(|length| {
            let place = match scene.geometry.spacing {
                Some(spacing) if spacing.at_detector => " at the detector",
                Some(spacing) if spacing.within.is_some() => " in the 2D region",
                _ => "",
            };
            format!("├ {}{place}", rounded_length(length))
        }));
        facts.extend(turn_fact(key));
        facts
    }

    /// The facts at the pointer. Its position follows a key at once; its value comes with the preview.
    fn pointer_facts(&self, key: &PreviewKey, preview: &Preview) -> Vec<String> {
        let Some(pointer) = &self.pointer else {
            return Vec::new();
        };
        let scene = &*preview.scene;
        let mut facts = Vec::new();
        if let Some(figure) = pointer.figure() {
            // Lengths follow a key at once; values within come with the preview.
            facts.extend(measured_words(&figure.geometry(&scene.geometry), None));
        } else if let Tool::Measure(draft) = &pointer.tool {
            facts.push(match self.last_measured() {
                Some(words) => words,
                None => format!("{}: Enter sets the first point", kind_word(draft.kind)),
            });
        } else if let Some(words) = self.selected_words() {
            facts.push(words);
        }
        let (x, y) = pointer.at;
        facts.push(format!("x {x} y {y}"));
        let value = scene.value.filter(|_| key.marks.cursor == Some(pointer.at));
        facts.push(value.map_or_else(
            || "…".to_owned(),
            |value| value_fact(value, scene.unit.as_deref()),
        ));
        facts
    }
}

fn value_fact(value: PixelValue, unit: Option<&str>) -> String {
    match value {
        PixelValue::Grey(value) => {
            let unit = unit.map_or_else(String::new, |unit| {
                format!(" {}", cut_end(&safe_str(unit), 12))
            });
            format!("{}{unit}", number(value))
        }
        PixelValue::Color([r, g, b]) => format!("red {r} green {g} blue {b}"),
        PixelValue::Padding => "no value".to_owned(),
    }
}

fn window_fact(window: &Window, name: Option<String>, invert: bool) -> String {
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    let inverted = if invert { " inverted" } else { "" };
    format!(
        "W {} L {}{name}{inverted}",
        number(window.width),
        number(window.center)
    )
}

fn zoom_fact(place: &Placement) -> String {
    let percent = place.scale * 100.0;
    if (place.scale - 1.0).abs() < 1e-9 {
        "1:1".to_owned()
    } else if percent < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// The position of the frame; its number in the file as well, where frames are stored in another order.
fn frame_fact(position: u32, frames: u32, order: &FrameOrder) -> String {
    let place = format!("{}/{frames}", position + 1);
    if order.is_stored() {
        return place;
    }
    format!("{place} (frame {})", order.number(position) + 1)
}

fn turn_fact(key: &PreviewKey) -> Option<String> {
    let turn = key.view.aim.turn;
    let degrees = u16::from(turn.quarters()) * 90;
    match (turn.is_mirrored(), degrees) {
        (false, 0) => None,
        (false, degrees) => Some(format!("↻ {degrees}°")),
        (true, 0) => Some("mirrored".to_owned()),
        (true, degrees) => Some(format!("mirrored ↻ {degrees}°")),
    }
}

/// A value with about four significant digits; whole numbers in full. The minus is a hyphen, as in other
/// programs' tables, so that it can be searched for.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    if value.fract() == 0.0 && value.abs() < 1e12 {
        return format!("{value}");
    }
    let size = value.abs();
    match size {
        0.0..1e-4 | 1e6.. => format!("{value:.3e}"),
        1e-4..1.0 => format!("{value:.4}"),
        1.0..100.0 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    }
}

/// A length in a suitable unit.
fn rounded_length(mm: f64) -> String {
    if mm >= 10.0 {
        format!("{} cm", number(mm / 10.0))
    } else if mm >= 1.0 {
        format!("{} mm", number(mm))
    } else {
        format!("{} µm", number((mm * 1000.0).round()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_they_deserve() {
        for (value, text) in [
            (-1024.0, "-1024"),
            (0.0, "0"),
            (12.345, "12.35"),
            (1234.56, "1234.6"),
            (0.012_345, "0.0123"),
            (1.5e-9, "1.500e-9"),
            (2.5e9 + 0.5, "2.500e9"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn lengths_are_told_in_the_unit_one_thinks_in() {
        let told = [0.5, 5.0, 50.0, 200.0].map(rounded_length);
        assert_eq!(told, ["500 µm", "5 mm", "5 cm", "20 cm"]);
    }
}
