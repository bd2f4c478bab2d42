//! State that depends on other state, updated after every message: scroll positions, the displayed file, and the images to
//! request.

use super::Model;
use crate::app::context::FileContext;
use crate::app::effect::Effect;
use crate::app::entry::FoundFile;
use crate::app::grid::Grid;
use crate::app::mode::InputMode;
use crate::app::preview::{Graphics, PreviewKey, Quality};
use crate::app::viewer::ViewerContext;

impl Model {
    /// Updates the dependent state. Returns the effects that request what is now needed.
    pub(super) fn follow(&mut self) -> Vec<Effect> {
        let panels = self.panels();
        let rows = panels.list.map_or(1, |area| usize::from(area.height));
        self.browser.folder.settle(&self.results);
        self.browser.folder.follow_banner(&self.results);
        self.browser.folder.fit(rows);
        self.tags.follow(&self.env);
        if self.browser.follow_cursor() {
            self.result_scroll = 0;
        }
        if let Some(view) = self.screen.activity_mut() {
            view.follow(&self.activity, &self.env);
        }
        let mut effects = Vec::from_iter(self.follow_tiles());
        let file = self.files().file_in_sight();
        let row = self.browser.folder.current().map(|row| row.path.as_path());
        effects.extend(self.viewer.follow(file, row));
        if self.browser.has_rested() && self.recall.is_enabled() {
            effects.extend(self.viewer.request_measurements());
        }
        if let Some(image) = self.viewer.image() {
            let area = self.screen.panels(&self.env).preview.unwrap_or_default();
            let room = self.viewer.room(area, image);
            self.related.follow(&mut self.viewer, room);
        }
        effects.extend(self.follow_sides());
        effects.extend(self.search_related_automatically());
        effects.extend(self.follow_heat_map());
        let dir = self.browser.folder.dir();
        let request = self.mix.follow(dir, &self.results, &mut self.env);
        effects.extend(request.map(Effect::Adjust));
        effects.extend(self.follow_preview());
        effects
    }

    /// The effect that requests small images, if the wanted ones have changed.
    fn follow_tiles(&mut self) -> Option<Effect> {
        let mut grid: Grid = self.grid;
        let mut contact_sheet = std::mem::take(&mut self.contact_sheet);
        let area = match self.view() {
            InputMode::FullScreen | InputMode::Panels(_) => self.panels().preview,
            _ => None,
        };
        let mut wanted = contact_sheet.follow(self.files(), area);
        if let Some(view) = self.screen.neighbours_mut() {
            wanted = view.follow(&self.results, &self.env);
        }
        if self.view() == InputMode::Grid {
            wanted = grid.follow(self.files());
        }
        (self.grid, self.contact_sheet) = (grid, contact_sheet);
        self.tiles.follow(wanted)
    }

    /// The effects that request the images of the comparison, if they have changed.
    fn follow_sides(&mut self) -> Vec<Effect> {
        let shown = self.view() == InputMode::Compare;
        let files = FileContext {
            browser: &self.browser,
            studies: &self.studies,
            results: &self.results,
            env: &self.env,
        };
        let comparison = self.screen.comparison_mut().filter(|_| shown);
        comparison.map_or_else(Vec::new, |comparison| comparison.follow(files))
    }

    /// The effect that searches for related objects once the cursor has rested.
    fn search_related_automatically(&mut self) -> Option<Effect> {
        if !self.browser.has_rested() {
            return None;
        }
        self.related.search_automatically(
            &self.viewer,
            &self.browser.folder,
            &self.studies,
            &self.results,
            &mut self.env,
        )
    }

    /// The effects that request the preview to display, if it has changed.
    fn follow_preview(&mut self) -> Vec<Effect> {
        let key = self.preview_key();
        let Some(other_file) = self.viewer.want(key.clone()) else {
            return Vec::new();
        };
        let nearby =
            other_file.then(|| Effect::Prefetch(self.studies.nearby(self.folder(), &self.results)));
        let mut effects = Vec::from_iter(nearby);
        effects.push(key.map_or(Effect::CancelPreview, Effect::Preview));
        effects
    }

    /// The key of the preview to display; `None` if there is no file, no graphics or no room.
    fn preview_key(&self) -> Option<PreviewKey> {
        let graphics = self.env.drawable()?;
        let area = self.panels().preview?;
        if area.width == 0 || area.height == 0 {
            return None;
        }
        let file = self.files().file_in_sight()?;
        let quality = match graphics {
            Graphics::Halfblocks => Quality::Full,
            _ if !self.browser.has_rested() => Quality::Fast,
            _ if self.env.is_slow_to_draw() && self.viewer.is_moving() => Quality::Half,
            _ => Quality::Full,
        };
        let room = (area.width, area.height);
        let key = PreviewKey::plain(file, room, graphics, quality, self.env.epoch);
        Some(PreviewKey {
            stack: self.studies.stack(self.folder(), &self.results),
            related: self.related.overlaid(&self.viewer, &self.env),
            ..self.viewer.complete_key(key)
        })
    }

    /// The state of other components that the viewer reads.
    pub(super) fn viewer_context(&self) -> ViewerContext {
        let folder = self.folder();
        let row = folder.current();
        let name = row.map_or("", |row| row.shown.trim_start());
        ViewerContext {
            area: self.panels().preview.unwrap_or_default(),
            now: self.env.now,
            name: name.to_owned(),
            series: self.studies.position(folder),
            playable: self.studies.series_to_play(folder),
        }
    }

    /// The file under the cursor, or the displayed file of the series there.
    pub(crate) fn file_in_sight(&self) -> Option<FoundFile> {
        self.files().file_in_sight()
    }
}
