//! The heat map over the image: which condition's it is, and what is known of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::entry::Stamp;
use crate::engine::MapRequest;
use crate::scoring::heat_map::deletion::DeletionCheck;
use crate::scoring::heat_map::{MapChoice, PlacedMap};

/// What a map is of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MapSubject {
    pub path: PathBuf,
    pub stamp: Stamp,
    /// The number of the frame in the file.
    pub frame: u32,
    pub model_digest: String,
    pub prompts_digest: String,
    pub condition: String,
}

/// What is known of the map of a subject.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum MapState {
    /// It is being made.
    Awaited,
    /// It is shown; `checked` once its deletion check has passed.
    Shown { map: Arc<PlacedMap>, checked: bool },
    /// Its deletion check failed: it is not shown any more.
    Withdrawn,
    /// There is none, and why.
    Failed(String),
}

/// A requested map.
#[derive(Clone, Debug, PartialEq)]
struct Requested {
    subject: MapSubject,
    generation: u64,
    state: MapState,
}

/// The heat map of the image in sight, while it is switched on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HeatMaps {
    is_on: bool,
    /// The condition that the user chose for a file; otherwise it is the label.
    chosen: Option<(PathBuf, String)>,
    /// Whether the image that the request is for is in sight.
    is_in_sight: bool,
    /// Why there can be no map of what is in sight.
    obstacle: Option<&'static str>,
    requested: Option<Requested>,
}

impl HeatMaps {
    /// Whether maps are switched on.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Switches maps on or off.
    pub(super) fn toggle(&mut self) {
        *self = Self {
            is_on: !self.is_on,
            ..Self::default()
        };
    }

    /// The condition to show for a file: the chosen one if it is among those, else the label.
    pub(super) fn condition<'a>(
        &'a self,
        path: &std::path::Path,
        label: &'a str,
        conditions: &[&str],
    ) -> &'a str {
        match &self.chosen {
            Some((of, condition)) if of == path && conditions.contains(&condition.as_str()) => {
                condition
            }
            _ => label,
        }
    }

    /// Chooses the condition after the one shown.
    pub(super) fn choose_next(&mut self, path: PathBuf, label: &str, conditions: &[&str]) {
        let shown = self.condition(&path, label, conditions);
        let at = conditions.iter().position(|condition| *condition == shown);
        let next = at.map_or(0, |at| at + 1) % conditions.len().max(1);
        self.chosen = conditions
            .get(next)
            .map(|condition| (path, (*condition).to_owned()));
    }

    /// Follows what is in sight; returns the request for its map if that is new. An error says why it has none.
    pub(super) fn follow(
        &mut self,
        wanted: Result<MapSubject, &'static str>,
        next_generation: impl FnOnce() -> u64,
    ) -> Option<MapRequest> {
        let subject = match wanted {
            Ok(subject) => subject,
            Err(obstacle) => {
                (self.requested, self.obstacle) = (None, Some(obstacle));
                return None;
            }
        };
        (self.obstacle, self.is_in_sight) = (None, true);
        let known = self.requested.as_ref();
        if known.is_some_and(|known| known.subject == subject) {
            return None;
        }
        let generation = next_generation();
        let request = MapRequest {
            path: subject.path.clone(),
            frame: subject.frame,
            prompts_digest: subject.prompts_digest.clone(),
            condition: subject.condition.clone(),
            method: MapChoice::Auto,
            generation,
        };
        self.requested = Some(Requested {
            subject,
            generation,
            state: MapState::Awaited,
        });
        Some(request)
    }

    /// Notes that no image is in sight that could have a map, for now.
    pub(super) fn look_away(&mut self) {
        (self.obstacle, self.is_in_sight) = (None, false);
    }

    /// What was requested for the image in sight.
    fn in_sight(&self) -> Option<&Requested> {
        let is_shown = self.is_on && self.is_in_sight;
        self.requested.as_ref().filter(|_| is_shown)
    }

    /// Takes a map, unless another one has been requested since.
    pub(super) fn made(&mut self, generation: u64, outcome: Result<Arc<PlacedMap>, String>) {
        if let Some(requested) = self.awaiting(generation) {
            requested.state = match outcome {
                Ok(map) => MapState::Shown {
                    map,
                    checked: false,
                },
                Err(message) => MapState::Failed(message),
            };
        }
    }

    /// Takes the outcome of a deletion check, unless another map has been requested since.
    pub(super) fn checked(&mut self, generation: u64, outcome: Result<DeletionCheck, String>) {
        if let Some(requested) = self.awaiting(generation) {
            requested.state = match (outcome, &requested.state) {
                (Ok(check), MapState::Shown { map, .. }) if check.passed => MapState::Shown {
                    map: Arc::clone(map),
                    checked: true,
                },
                (Ok(_), _) => MapState::Withdrawn,
                (Err(message), _) => MapState::Failed(message),
            };
        }
    }

    fn awaiting(&mut self, generation: u64) -> Option<&mut Requested> {
        let requested = self.requested.as_mut();
        requested.filter(|requested| requested.generation == generation)
    }

    /// Whether a map is being made.
    pub(super) fn is_awaited(&self) -> bool {
        let state = self.in_sight().map(|requested| &requested.state);
        state == Some(&MapState::Awaited)
    }

    /// The map to draw.
    pub(super) fn shown(&self) -> Option<Arc<PlacedMap>> {
        match &self.in_sight()?.state {
            MapState::Shown { map, .. } => Some(Arc::clone(map)),
            _ => None,
        }
    }

    /// What is said of it: the condition and the state, and the method if there is one. Not yet safe to show.
    pub(super) fn words(&self) -> Option<String> {
        if !self.is_on {
            return None;
        }
        if let Some(obstacle) = self.obstacle {
            return Some(format!("none: {obstacle}"));
        }
        let Requested { subject, state, .. } = self.in_sight()?;
        let name = &subject.condition;
        Some(match state {
            MapState::Awaited => format!("{name} …"),
            MapState::Shown { checked: true, .. } => format!("{name}: orange raises, blue lowers"),
            MapState::Shown { checked: false, .. } => {
                format!("{name}: orange raises, blue lowers (being checked)")
            }
            MapState::Withdrawn => format!("{name}: withdrawn, no better than random"),
            MapState::Failed(message) => format!("{name}: no map; {message}"),
        })
    }

    /// How the map shown was made.
    pub(super) fn method(&self) -> Option<&'static str> {
        self.shown().map(|placed| placed.map.method.words())
    }
}
