//! Ranks images by the similarity of their embeddings, and finds near-duplicates among them.

mod query;

use multiversion::multiversion;

use crate::encoder::{EncoderError, is_direction, similarities};
pub use query::{QueryWords, direction, split_query, split_weight};

/// Rows and columns of one matrix product in the search for near-duplicates: enough to keep the cores busy for a fraction of a
/// second, in some 60 MB. There are at least as many columns as rows, so that the first product of a block of rows contains all
/// pairs within it.
const BLOCK_ROWS: usize = 1024;
const BLOCK_COLUMNS: usize = 8192;
/// Similarities that are compared with the threshold together.
const SCAN: usize = 64;
/// Numbers that are multiplied side by side.
const LANES: usize = 16;
/// How far rounding may take the similarity of equal images from 1.
const ROUNDING: f32 = 1e-6;

/// Unit embeddings of images, one row each, in one piece of memory.
#[derive(Clone, Debug)]
pub struct EmbeddingMatrix {
    dimension: usize,
    numbers: Vec<f32>,
}

/// A row, and its cosine similarity to the query or to the first row of its group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankedRow {
    /// The row's number, from 0.
    pub row: usize,
    /// The cosine similarity.
    pub similarity: f32,
}

impl EmbeddingMatrix {
    /// A matrix without rows, for embeddings of `dimension` numbers.
    pub fn new(dimension: usize) -> Self {
        Self {
            dimension: dimension.max(1),
            numbers: Vec::new(),
        }
    }

    /// Adds a row. Refuses, with false, an embedding of another length, or one that is zero or not finite.
    #[must_use]
    pub fn push(&mut self, embedding: &[f32]) -> bool {
        let is_row = embedding.len() == self.dimension && is_direction(embedding);
        if is_row {
            self.numbers.extend_from_slice(embedding);
        }
        is_row
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.numbers.len() / self.dimension
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The rows of these numbers, in this order.
    #[must_use]
    pub fn reordered(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        let mut numbers = Vec::with_capacity(self.numbers.len());
        for row in rows {
            numbers.extend_from_slice(self.rows(row..row + 1));
        }
        Self { numbers, ..*self }
    }

    /// The `count` rows that are most similar to a unit vector of the same length, the most similar first; of equally similar
    /// ones the first.
    pub fn nearest(&self, query: &[f32], count: usize) -> Vec<RankedRow> {
        let mut ranked: Vec<RankedRow> = products(&self.numbers, query)
            .into_iter()
            .enumerate()
            .map(|(row, similarity)| RankedRow { row, similarity })
            .collect();
        let by_rank = |a: &RankedRow, b: &RankedRow| {
            let by_similarity = b.similarity.total_cmp(&a.similarity);
            by_similarity.then(a.row.cmp(&b.row))
        };
        if count < ranked.len() {
            if let Some(last) = count.checked_sub(1) {
                ranked.select_nth_unstable_by(last, by_rank);
            }
            ranked.truncate(count);
        }
        ranked.sort_unstable_by(by_rank);
        ranked
    }

    /// Groups of rows whose similarity to the first row of their group is at least `threshold`. Rows are looked at in order: one
    /// that is similar to the first of an earlier group joins it, any other may begin one. So the first rows of all groups and
    /// the rows in no group are less similar to each other than that.
    ///
    /// Takes n² × dimension floating-point operations for n rows, by blocks. `proceed` is called before each with the number of
    /// rows that are done; `None` once it returns false.
    pub fn near_duplicates(
        &self,
        threshold: f32,
        mut proceed: impl FnMut(usize) -> bool,
    ) -> Result<Option<Vec<Vec<RankedRow>>>, EncoderError> {
        let (count, limit) = (self.len(), threshold - ROUNDING);
        let mut groups: Vec<Vec<RankedRow>> = vec![Vec::new(); count];
        let mut has_joined = vec![false; count];
        for from in (0..count).step_by(BLOCK_ROWS) {
            let rows = from..count.min(from + BLOCK_ROWS);
            for start in (from..count).step_by(BLOCK_COLUMNS) {
                if !proceed(from) {
                    return Ok(None);
                }
                let columns = start..count.min(start + BLOCK_COLUMNS);
                let (left, right) = (self.rows(rows.clone()), self.rows(columns.clone()));
                let products = similarities(left, right, self.dimension)?;
                for (row, products) in rows.clone().zip(products.chunks(columns.len())) {
                    if has_joined[row] {
                        continue;
                    }
                    for column in at_least(products, limit).map(|index| start + index) {
                        if column > row && !has_joined[column] {
                            has_joined[column] = true;
                            groups[row].push(RankedRow {
                                row: column,
                                similarity: products[column - start],
                            });
                        }
                    }
                }
            }
        }
        let groups = groups.into_iter().enumerate();
        let groups = groups.filter(|(_, others)| !others.is_empty());
        let groups = groups.map(|(row, others)| {
            let first = RankedRow {
                row,
                similarity: 1.0,
            };
            std::iter::once(first).chain(others).collect()
        });
        Ok(Some(groups.collect()))
    }

    fn rows(&self, rows: std::ops::Range<usize>) -> &[f32] {
        &self.numbers[rows.start * self.dimension..rows.end * self.dimension]
    }
}

/// The indices of the numbers that are not below `limit`.
fn at_least(numbers: &[f32], limit: f32) -> impl Iterator<Item = usize> {
    let parts = numbers.chunks(SCAN).enumerate();
    // Almost all parts have none; a test without a branch per number is several times as fast.
    let count = move |part: &[f32]| part.iter().map(|&n| u32::from(n >= limit)).sum::<u32>();
    let parts = parts.filter(move |(_, part)| count(part) > 0);
    parts.flat_map(move |(index, part)| {
        let found = part.iter().enumerate().filter(move |(_, n)| **n >= limit);
        found.map(move |(offset, _)| index * SCAN + offset)
    })
}

/// The cosine similarities of unit embeddings, in pieces of memory of their own, to a unit vector; `None` of one of another length.
pub fn similarities_of(embeddings: &[&[f32]], query: &[f32]) -> Vec<Option<f32>> {
    let similarity = |row: &&[f32]| (row.len() == query.len()).then(|| products(row, query)[0]);
    embeddings.iter().map(similarity).collect()
}

/// The dot product of each row with the query.
#[multiversion(targets("x86_64+avx2"))]
fn products(rows: &[f32], query: &[f32]) -> Vec<f32> {
    let rows = rows.chunks_exact(query.len().max(1));
    rows.map(|row| {
        let (row, row_rest) = row.as_chunks::<LANES>();
        let (query, query_rest) = query.as_chunks::<LANES>();
        let mut sums = [0.0_f32; LANES];
        for (a, b) in row.iter().zip(query) {
            for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                *sum += a * b;
            }
        }
        let rest = row_rest.iter().zip(query_rest).map(|(a, b)| a * b);
        sums.iter().sum::<f32>() + rest.sum::<f32>()
    })
    .collect()
}

#[cfg(test)]
#[path = "search/tests.rs"]
mod tests;
