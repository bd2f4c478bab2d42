//! The heat map of the image in sight: switched on and off, followed from file to file and frame to frame, drawn by the viewer.

use super::Model;
use crate::app::effect::Effect;
use crate::app::heat_map::MapSubject;
use crate::app::keys::Action;
use crate::app::msg::Severity;
use crate::app::results::FileState;
use crate::app::status::EngineState;
use crate::app::text;
use crate::app::{Graphics, Theme};
use crate::library::Record;
use crate::scoring::{Decision, Verdict};

impl Model {
    /// Switches heat maps on or off.
    pub(super) fn toggle_heat_map(&mut self) {
        self.heat_maps.toggle();
        let words = if self.heat_maps.is_on() {
            let next = self
                .env
                .advice(Action::HeatMapNext, "shows the next condition");
            let next = next.map_or_else(String::new, |next| format!("; {next}"));
            format!("heat map: what goes with the score, not why the image has it{next}")
        } else {
            "heat map off".to_owned()
        };
        self.say(Severity::Info, &words);
    }

    /// Shows the map of the next condition.
    pub(super) fn next_heat_map(&mut self) {
        if !self.heat_maps.is_on() {
            return self.toggle_heat_map();
        }
        let Some(file) = self.file_in_sight() else {
            return;
        };
        let Some(FileState::Done(records)) = self.results.get(&file.path) else {
            return;
        };
        let Some(record) = of_frame(records, self.viewer.frame_number()) else {
            return;
        };
        let verdict = &record.verdict;
        let conditions = conditions(verdict);
        self.heat_maps
            .choose_next(file.path, &verdict.label, &conditions);
    }

    /// Requests the map of the image in sight if it is new, and has the viewer draw what there is.
    pub(super) fn follow_heat_map(&mut self) -> Option<Effect> {
        if !self.heat_maps.is_on() {
            self.viewer.set_heat_map(None);
            return None;
        }
        let wanted = self.map_subject();
        let env = &mut self.env;
        let request = match wanted {
            // The image is still being read, or the files are being played: wait.
            None => {
                self.heat_maps.look_away();
                self.viewer.set_heat_map(None);
                return None;
            }
            Some(wanted) => self.heat_maps.follow(wanted, || env.next_generation()),
        };
        self.viewer.set_heat_map(self.heat_maps.shown());
        request.map(Effect::HeatMap)
    }

    /// What to map; an error says why nothing can be. `None` while that is unknown.
    fn map_subject(&self) -> Option<Result<MapSubject, &'static str>> {
        if self.env.graphics.is_some() && self.env.drawable().is_none() {
            return Some(Err("no images are drawn here"));
        }
        if self.env.theme == Theme::None && self.env.graphics == Some(Graphics::Halfblocks) {
            // It would only change how bright the image is.
            return Some(Err("no colours here"));
        }
        let file = self.file_in_sight()?;
        let viewed = self.viewer.file() == Some(file.path.as_path());
        if !viewed || self.viewer.image().is_none() || self.viewer.is_playing() {
            return None;
        }
        if self.results.is_blind() {
            return Some(Err("hidden while you review blind"));
        }
        if !matches!(self.engine, EngineState::Ready { .. }) {
            return Some(Err("there is no model yet"));
        }
        if self.viewer.is_reformatting() || self.viewer.is_assembled() {
            return Some(Err("only of single frames"));
        }
        let records = match self.results.get(&file.path)? {
            FileState::Done(records) => records,
            FileState::Failed(_) => return Some(Err("the image has no result")),
            _ => return None,
        };
        let frame = self.viewer.frame_number();
        let record = of_frame(records, frame)?;
        if record.verdict.decision == Decision::Rejected {
            return Some(Err("the model is not for this image"));
        }
        let label = &record.verdict.label;
        let conditions = conditions(&record.verdict);
        let condition = self.heat_maps.condition(&file.path, label, &conditions);
        Some(Ok(MapSubject {
            condition: condition.to_owned(),
            path: file.path,
            stamp: file.stamp,
            frame,
            model_digest: record.model_digest.clone(),
            prompts_digest: record.prompts_digest.clone(),
        }))
    }

    /// What is said of the heat map below the image and in the result panel, safe to show.
    pub(crate) fn heat_map_words(&self) -> Option<String> {
        self.heat_maps.words().map(|words| text::safe_str(&words))
    }
}

/// The result of a frame, else the first.
fn of_frame(records: &[Record], frame: u32) -> Option<&Record> {
    let mut all = records.iter();
    all.find(|record| record.frame == Some(frame))
        .or_else(|| records.first())
}

/// The conditions, the highest score first.
fn conditions(verdict: &Verdict) -> Vec<&str> {
    let scores = verdict.scores.iter();
    scores.map(|score| score.condition.as_str()).collect()
}
