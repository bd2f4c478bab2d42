//! The display window: presets by modality, and steps of level and width. It never affects what the model sees.

use crate::app::text;
use crate::media::{NamedWindow, Voi, Window};

/// Windows that radiologists use on CT: name, width and level in Hounsfield units.
const CT: [(&str, f64, f64); 5] = [
    ("soft tissue", 400.0, 40.0),
    ("lung", 1500.0, -600.0),
    ("liver", 150.0, 90.0),
    ("bone", 2500.0, 480.0),
    ("brain", 80.0, 40.0),
];
/// Number keys for presets.
const PRESETS: usize = 9;
/// A step of level or width, as a fraction of the width.
const FINE: f64 = 0.02;
/// The same, for the coarse keys.
const COARSE: f64 = 0.1;
/// The range of widths, in any unit.
const WIDTHS: (f64, f64) = (1e-6, 1e9);

/// A window under a number key.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// Its name; safe to show.
    pub name: String,
    /// The window.
    pub voi: Voi,
}

/// The windows under the number keys from 1: those of the modality, the file's own, then full and robust range.
pub fn presets(modality: Option<&str>, own: &[NamedWindow]) -> Vec<Preset> {
    let mut presets = Vec::new();
    let ct = modality == Some("CT");
    if ct {
        presets.extend(CT.iter().map(|(name, width, center)| Preset {
            name: (*name).to_owned(),
            voi: Voi::Range {
                center: *center,
                width: *width,
            },
        }));
    }
    presets.extend(own.iter().enumerate().map(|(n, window)| Preset {
        name: own_name(window, n, own.len()),
        voi: Voi::Own(n),
    }));
    if !ct {
        presets.extend([preset("full", Voi::Full), preset("automatic", Voi::Robust)]);
    }
    presets.truncate(PRESETS);
    presets
}

fn preset(name: &str, voi: Voi) -> Preset {
    Preset {
        name: name.to_owned(),
        voi,
    }
}

/// The file's explanation, where it has one.
fn own_name(window: &NamedWindow, n: usize, count: usize) -> String {
    let name = text::safe_str(window.name.as_deref().unwrap_or_default().trim());
    match (name.is_empty(), count) {
        (false, _) => text::cut_end(&name, 24),
        (true, 1) => "the file's".to_owned(),
        (true, _) => format!("the file's {}", n + 1),
    }
}

/// The name of a window: that of its preset, or what it does.
pub fn name(voi: &Voi, modality: Option<&str>, own: &[NamedWindow]) -> Option<String> {
    match voi {
        Voi::Full => Some("full".to_owned()),
        Voi::Robust => Some("automatic".to_owned()),
        // The only window of a file needs no name.
        Voi::Own(n) => own
            .get(*n)
            .filter(|window| own.len() > 1 || window.name.is_some())
            .map(|window| own_name(window, *n, own.len())),
        Voi::Between { .. } => None,
        Voi::Range { .. } => presets(modality, &[])
            .into_iter()
            .find(|preset| preset.voi == *voi)
            .map(|preset| preset.name),
    }
}

/// A step of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowStep {
    /// Level up: the image gets darker.
    Up,
    /// Level down.
    Down,
    /// Wider: less contrast.
    Wider,
    /// Narrower.
    Narrower,
}

/// The window after a step: a fiftieth of its width, a tenth if coarse, as a round number.
pub fn adjusted(window: &Window, step: WindowStep, coarse: bool) -> Voi {
    let width = valid_width(window.width);
    let by = round_step(width * if coarse { COARSE } else { FINE });
    let (center, width) = match step {
        WindowStep::Up => (window.center + by, width),
        WindowStep::Down => (window.center - by, width),
        WindowStep::Wider => (window.center, width + by),
        WindowStep::Narrower => (window.center, width - by),
    };
    range(center, width)
}

/// The range of a window, with a width that can be shown.
pub fn range(center: f64, width: f64) -> Voi {
    Voi::Range {
        center,
        width: valid_width(width),
    }
}

/// A fine step for a window of this width, as a round number.
pub fn fine_step(width: f64) -> f64 {
    round_step(valid_width(width) * FINE)
}

fn valid_width(width: f64) -> f64 {
    if width.is_finite() {
        width.clamp(WIDTHS.0, WIDTHS.1)
    } else {
        WIDTHS.1
    }
}

/// The window of a name that radiologists know on CT.
pub fn ct_window(name: &str) -> Option<Voi> {
    let (_, width, center) = CT.iter().find(|(known, ..)| *known == name)?;
    Some(range(*center, *width))
}

/// The largest of 1, 2, 5 × 10ⁿ that does not exceed the step.
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.log10().floor());
    let digits = step / decade;
    let digit = [5.0, 2.0]
        .into_iter()
        .find(|digit| *digit <= digits + 1e-9)
        .unwrap_or(1.0);
    digit * decade
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::WindowSource;

    fn own(name: &str) -> NamedWindow {
        NamedWindow {
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            window: window(50.0, 100.0),
        }
    }

    fn window(center: f64, width: f64) -> Window {
        Window {
            center,
            width,
            source: WindowSource::File,
        }
    }

    fn names(presets: &[Preset]) -> Vec<&str> {
        presets.iter().map(|preset| preset.name.as_str()).collect()
    }

    #[test]
    fn ct_has_its_windows_and_then_those_of_the_file() {
        let presets = presets(Some("CT"), &[own("WINDOW1"), own("\u{1b}[2J"), own("")]);
        assert_eq!(
            names(&presets),
            [
                "soft tissue",
                "lung",
                "liver",
                "bone",
                "brain",
                "WINDOW1",
                "\u{fffd}[2J",
                "the file's 3"
            ]
        );
        assert_eq!(
            presets[1].voi,
            Voi::Range {
                center: -600.0,
                width: 1500.0
            }
        );
        assert_eq!(presets[6].voi, Voi::Own(1));
    }

    #[test]
    fn others_have_those_of_the_file_and_the_ranges() {
        assert_eq!(
            names(&presets(Some("MR"), &[own("")])),
            ["the file's", "full", "automatic"]
        );
        assert_eq!(names(&presets(None, &[])), ["full", "automatic"]);
        let many: Vec<_> = (0..20).map(|_| own("")).collect();
        assert_eq!(presets(Some("MR"), &many).len(), PRESETS);
    }

    #[test]
    fn a_step_is_a_round_part_of_the_width() {
        let moved = |step, coarse| adjusted(&window(40.0, 400.0), step, coarse);
        let range = |center, width| Voi::Range { center, width };
        assert_eq!(moved(WindowStep::Up, false), range(45.0, 400.0));
        assert_eq!(moved(WindowStep::Down, true), range(20.0, 400.0));
        assert_eq!(moved(WindowStep::Wider, false), range(40.0, 405.0));
        assert_eq!(moved(WindowStep::Narrower, true), range(40.0, 380.0));
    }

    #[test]
    fn a_window_narrowed_for_ever_stays_a_window() {
        let mut window = window(0.5, 1.0);
        for _ in 0..10_000 {
            let Voi::Range { center, width } = adjusted(&window, WindowStep::Narrower, true) else {
                unreachable!("a step leads to a range")
            };
            assert!(width > 0.0 && width.is_finite() && center.is_finite());
            (window.center, window.width) = (center, width);
        }
    }
}
