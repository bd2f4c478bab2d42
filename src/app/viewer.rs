//! How the picture under the cursor is looked at: window, zoom, turn, frame, film, pointer. None of it reaches the model.

pub(crate) mod act;
pub mod facts;
pub mod film;
pub mod measure;
pub mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::entry::Stamp;
use super::picture::{Marks, Preview, Scene, View};
use crate::media::Info;
use crate::view::placement::{ImageShape, InsetContent};
use film::{Film, Jump};
use measure::Pointer;

/// What is known of the file under the cursor, from its last frame that was drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known {
    pub info: Info,
    pub scene: Arc<Scene>,
}

impl Known {
    pub(crate) fn canvas(&self) -> ImageShape {
        ImageShape {
            columns: self.info.width,
            rows: self.info.height,
            aspect: self.scene.geometry.aspect,
        }
    }

    pub(crate) fn modality(&self) -> Option<&str> {
        let dicom = self.info.dicom.as_ref()?;
        dicom.modality.as_deref()
    }
}

/// The state of the viewer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Viewer {
    /// The file it is about.
    pub file: Option<(PathBuf, Stamp)>,
    /// `None` until its first picture is there.
    pub known: Option<Known>,
    /// The series that the view was chosen for: it is kept from file to file of it.
    pub series: Option<String>,
    pub view: View,
    /// From 0, in the order of positions.
    pub frame: u32,
    /// Facts, letters, scale bar and the file's overlay planes are shown.
    pub overlays: bool,
    pub histogram: bool,
    /// The picture has the whole screen.
    pub whole: bool,
    pub pointer: Option<Pointer>,
    pub film: Option<Film>,
    /// Frames a second, as chosen; `None` leaves it to the file.
    pub rate: Option<f64>,
    pub jump: Option<Jump>,
    pub calm: Calm,
}

impl Default for Viewer {
    fn default() -> Self {
        Self {
            file: None,
            known: None,
            series: None,
            view: View::default(),
            frame: 0,
            overlays: true,
            histogram: false,
            whole: false,
            pointer: None,
            film: None,
            rate: None,
            jump: None,
            calm: Calm::default(),
        }
    }
}

/// Whether the picture has been left alone for a while: only then is one sent in full that takes long to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calm {
    /// What was looked at.
    seen: Option<(u32, View, Marks)>,
    /// First tick that saw it.
    since: Option<Duration>,
    pub calm: bool,
}

impl Calm {
    /// Takes note of what is looked at.
    fn note(&mut self, now: (u32, View, Marks), new_file: bool) {
        if self.seen.as_ref() != Some(&now) {
            // A new file waits for the cursor to rest anyway.
            let calm = new_file || self.seen.is_none();
            *self = Self {
                seen: Some(now),
                since: None,
                calm,
            };
        }
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, now: Duration, rest: Duration) {
        if !self.calm {
            let since = *self.since.get_or_insert(now);
            self.calm = now.saturating_sub(since) >= rest;
        }
    }
}

impl Viewer {
    /// Follows the cursor to a row, and to the file that is in sight there. Within a series the view stays; to what series a
    /// file belongs is known only when its first picture is there (see [`Self::learn`]).
    pub(crate) fn follow(&mut self, file: Option<(PathBuf, Stamp)>, row: Option<&Path>) {
        let new_file = self.file != file;
        self.film.take_if(|film| match &film.series {
            Some(series) => row != Some(series),
            None => new_file,
        });
        if new_file {
            self.file = file;
            self.known = None;
            self.frame = 0;
            self.pointer = None;
            self.jump = None;
            if self.series.is_none() {
                self.view = View::default();
            }
        }
        let marks = self.marks();
        self.calm
            .note((self.frame, self.view.clone(), marks), new_file);
    }

    /// A picture of the file under the cursor is there. With the first one comes its series, and the view it was drawn in:
    /// the one chosen for that series, or the file's own.
    pub(crate) fn learn(&mut self, preview: &Preview) {
        if self.known.is_none() {
            self.series.clone_from(&preview.scene.series);
            self.view = preview.scene.view.clone();
        }
        self.known = Some(Known {
            info: preview.info.clone(),
            scene: Arc::clone(&preview.scene),
        });
    }

    /// The series that the view is for, while it is not known whether the file belongs to it.
    pub(crate) fn for_series(&self) -> Option<String> {
        self.series.clone().filter(|_| self.known.is_none())
    }

    /// What is drawn upon the picture and written around it.
    pub(crate) fn marks(&self) -> Marks {
        Marks {
            overlays: self.overlays,
            histogram: self.histogram,
            cursor: self.pointer.map(|pointer| pointer.at),
            line: self.pointer.and_then(|pointer| pointer.line()),
        }
    }

    /// Frames of the file, as far as it is known.
    pub(crate) fn frames(&self) -> u32 {
        self.known.as_ref().map_or(1, |known| known.info.frames)
    }

    /// Frames a second: chosen, else the file's.
    pub(crate) fn rate(&self) -> f64 {
        let own = || self.known.as_ref()?.scene.frames_per_second;
        film::sound(self.rate.or_else(own).unwrap_or(f64::NAN))
    }

    /// Something has to be shown in more than one frame's time.
    pub(crate) fn is_moving(&self) -> bool {
        self.film.is_some() || !self.calm.calm
    }
}

impl Marks {
    /// What is written around a picture with these marks.
    pub fn around(&self, scene: &Scene) -> InsetContent {
        let about = &scene.about;
        let told = !about.legend.is_empty() || !about.remarks.is_empty();
        InsetContent {
            facts: self.overlays || self.cursor.is_some(),
            letters: self.overlays && scene.letters().is_some(),
            legend: self.overlays && told,
            histogram: self.histogram,
        }
    }
}
