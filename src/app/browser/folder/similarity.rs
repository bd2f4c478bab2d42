//! The order by similarity to a query.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Folder, Row};
use crate::app::results::Results;
use crate::app::sort::Rank;

/// The similarities by which files are ranked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SimilarityOrder {
    /// The query, as typed.
    query: String,
    similarities: HashMap<PathBuf, f32>,
}

impl SimilarityOrder {
    /// The rank of a file: the most similar first, those that were not compared last.
    pub(super) fn rank(&self, path: &Path) -> Rank {
        let similarity = self.similarities.get(path);
        Rank::descending(similarity.map(|similarity| f64::from(*similarity)))
    }
}

impl Folder {
    /// Ranks the files by their similarity to a query, until [`Self::leave_similarity`] or until another order is chosen. The cursor
    /// goes to the most similar.
    pub(in crate::app) fn rank_by_similarity(
        &mut self,
        query: String,
        similarities: HashMap<PathBuf, f32>,
        results: &Results,
    ) {
        self.similar = Some(SimilarityOrder {
            query,
            similarities,
        });
        self.rank_rows(results);
        self.order_anew(results);
        let first = self.rows().position(|row| row.rank.value().is_some());
        self.go_to(first.unwrap_or_default());
    }

    /// Returns to the order chosen before; the cursor stays on its file.
    pub(in crate::app) fn leave_similarity(&mut self, results: &Results) {
        if self.similar.take().is_some() {
            self.keep_cursor(|folder| {
                folder.rank_rows(results);
                folder.order_anew(results);
            });
        }
    }

    /// The query by similarity to which the files are ranked, if they are.
    pub fn similarity_order(&self) -> Option<&str> {
        self.similar.as_ref().map(|similar| similar.query.as_str())
    }

    /// The similarity by which a row is ranked; `None` if it was not compared.
    pub fn similarity(&self, row: &Row) -> Option<f32> {
        self.similar.as_ref()?;
        row.rank.value().map(|similarity| similarity as f32)
    }
}
