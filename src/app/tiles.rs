//! The cache of small images for grid and comparison.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::effect::Effect;
use super::preview::{PreviewKey, Previewed};

/// Maximum number of files whose images are kept, unless more are wanted at once: a few pages of half blocks, some kilobytes
/// each.
const MAX_FILES: usize = 600;

/// The images that have arrived, and the keys of the wanted ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TileCache {
    /// One image per file and quality.
    kept: HashMap<PathBuf, Vec<Previewed>>,
    wanted: Vec<PreviewKey>,
}

impl TileCache {
    /// The best image of the file at the size of `key`; unless `full`, the best of plain cells.
    pub(crate) fn best(&self, key: &PreviewKey, full: bool) -> Option<&Previewed> {
        let about = |key: &PreviewKey| (key.stamp, key.frame, key.cols, key.rows, key.graphics);
        let fits = |tile: &&Previewed| {
            let alive = tile.key.is_cells() || (full && tile.key.epoch == key.epoch);
            alive && about(&tile.key) == about(key)
        };
        let kept = self.kept.get(&key.path)?.iter().filter(fits);
        kept.max_by_key(|tile| tile.key.quality)
    }

    /// Adds an image, if it is still wanted.
    pub(super) fn insert(&mut self, tile: Previewed) {
        if !self.wanted.contains(&tile.key) {
            return;
        }
        let kept = self.kept.entry(tile.key.path.clone()).or_default();
        kept.retain(|known| known.key.quality != tile.key.quality);
        kept.push(tile);
    }

    /// Changes which images are wanted. Returns the effect that requests them, if they have changed.
    pub(super) fn follow(&mut self, keys: Vec<PreviewKey>) -> Option<Effect> {
        (keys != self.wanted).then(|| Effect::Tiles(self.want(keys)))
    }

    /// Changes which images are wanted. Returns those that have not arrived yet.
    fn want(&mut self, keys: Vec<PreviewKey>) -> Vec<PreviewKey> {
        self.wanted = keys;
        let wanted: HashSet<_> = self
            .wanted
            .iter()
            .map(|key| (&key.path, key.quality))
            .collect();
        let crowded = self.kept.len() > MAX_FILES;
        for (path, tiles) in &mut self.kept {
            // Images in the terminal's own protocol occupy its memory: only those on screen are kept.
            tiles.retain(|tile| {
                let wanted = wanted.contains(&(path, tile.key.quality));
                wanted || (tile.key.is_cells() && !crowded)
            });
        }
        self.kept.retain(|_, tiles| !tiles.is_empty());
        let missing = |key: &&PreviewKey| {
            let kept = self.kept.get(&key.path);
            !kept.is_some_and(|tiles| tiles.iter().any(|tile| tile.key == **key))
        };
        self.wanted.iter().filter(missing).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::app::entry::{FoundFile, Stamp};
    use crate::app::preview::{Graphics, Quality};
    use crate::media::{ErrorKind, MediaError};

    fn key(n: usize, quality: Quality) -> PreviewKey {
        let file = FoundFile {
            path: Path::new("/d").join(n.to_string()),
            stamp: Stamp::default(),
        };
        PreviewKey::plain(file, (10, 5), Graphics::Sixel, quality, 0)
    }

    fn answer(key: PreviewKey) -> Previewed {
        let outcome = Err(MediaError::new(ErrorKind::NotFound, "gone"));
        Previewed { key, outcome }
    }

    #[test]
    fn what_is_kept_is_bounded_and_pictures_in_the_terminal_leave_with_the_screen() {
        let mut tiles = TileCache::default();
        for page in 0..100 {
            let shown = || page * 20..page * 20 + 20;
            let mut keys: Vec<_> = shown().map(|n| key(n, Quality::Fast)).collect();
            keys.extend(shown().map(|n| key(n, Quality::Half)));
            assert_eq!(tiles.want(keys.clone()), keys, "nothing is there yet");
            for key in keys {
                tiles.insert(answer(key));
            }
            assert!(tiles.kept.len() <= MAX_FILES + 20);
            let half = tiles.kept.values().flatten();
            let half = half.filter(|tile| tile.key.quality == Quality::Half);
            assert_eq!(half.count(), 20);
        }
        let back: Vec<_> = (1980..2000).map(|n| key(n, Quality::Fast)).collect();
        assert_eq!(tiles.want(back), [], "the last page is still there");
    }

    #[test]
    fn an_image_that_is_no_longer_wanted_is_dropped_and_the_best_is_shown() {
        let mut tiles = TileCache::default();
        tiles.insert(answer(key(1, Quality::Fast)));
        assert_eq!(tiles.best(&key(1, Quality::Half), true), None);
        tiles.want(vec![key(1, Quality::Fast), key(1, Quality::Half)]);
        tiles.insert(answer(key(1, Quality::Half)));
        tiles.insert(answer(key(1, Quality::Fast)));
        let quality = |key: &PreviewKey, full| tiles.best(key, full).map(|tile| tile.key.quality);
        assert_eq!(quality(&key(1, Quality::Half), true), Some(Quality::Half));
        assert_eq!(quality(&key(1, Quality::Half), false), Some(Quality::Fast));
        let later = PreviewKey {
            epoch: 1,
            ..key(1, Quality::Half)
        };
        assert_eq!(quality(&later, true), Some(Quality::Fast));
        let larger = PreviewKey {
            cols: 20,
            ..key(1, Quality::Half)
        };
        assert_eq!(quality(&larger, true), None);
    }
}
