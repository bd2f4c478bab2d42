use proptest::prelude::*;

use super::*;

/// Unit vectors of few different numbers, so that equal ones and equal similarities occur.
fn vectors(
    count: std::ops::Range<usize>,
    dimension: usize,
) -> impl Strategy<Value = Vec<Vec<f32>>> {
    let vector = prop::collection::vec(-2_i8..=2, dimension).prop_filter_map("zero", |numbers| {
        let length = numbers.iter().map(|&n| f32::from(n).powi(2)).sum::<f32>();
        let unit = numbers.iter().map(|&n| f32::from(n) / length.sqrt());
        (length > 0.0).then(|| unit.collect())
    });
    prop::collection::vec(vector, count)
}

fn matrix(rows: &[Vec<f32>]) -> EmbeddingMatrix {
    let mut matrix = EmbeddingMatrix::new(rows.first().map_or(1, Vec::len));
    assert!(rows.iter().all(|row| matrix.push(row)));
    matrix
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
    products.sum()
}

proptest! {
    #[test]
    fn the_nearest_rows_are_those_of_a_full_sort(
        (rows, query, count) in (1_usize..40).prop_flat_map(|dimension| {
            (vectors(0..50, dimension), vectors(1..2, dimension), 0_usize..60)
        })
    ) {
        let query = &query[0];
        let ranked = matrix(&rows).nearest(query, count);
        prop_assert_eq!(ranked.len(), count.min(rows.len()));
        let mut naive: Vec<f64> = rows.iter().map(|row| cosine(row, query)).collect();
        for found in &ranked {
            prop_assert!((f64::from(found.similarity) - naive[found.row]).abs() < 1e-5);
        }
        let in_order = |pair: &[RankedRow]| {
            let (a, b) = (pair[0], pair[1]);
            let by_similarity = b.similarity.total_cmp(&a.similarity);
            by_similarity.then(a.row.cmp(&b.row)).is_lt()
        };
        prop_assert!(ranked.windows(2).all(in_order));
        naive.sort_by(|a, b| b.total_cmp(a));
        for (found, naive) in ranked.iter().zip(naive) {
            prop_assert!((f64::from(found.similarity) - naive).abs() < 1e-5);
        }
    }

    #[test]
    fn near_duplicates_are_those_of_comparing_all_pairs(
        rows in vectors(0..60, 3), threshold in prop::sample::select(vec![0.55_f32, 0.91, 1.0])
    ) {
        let near = |a: usize, b: usize| {
            cosine(&rows[a], &rows[b]) >= f64::from(threshold) - f64::from(ROUNDING)
        };
        let mut expected: Vec<Vec<usize>> = Vec::new();
        for row in 0..rows.len() {
            match expected.iter_mut().find(|group| near(group[0], row)) {
                Some(group) => group.push(row),
                None => expected.push(vec![row]),
            }
        }
        expected.retain(|group| group.len() > 1);
        let groups = matrix(&rows).near_duplicates(threshold, |_| true).unwrap().unwrap();
        let of = |group: &Vec<RankedRow>| group.iter().map(|found| found.row).collect::<Vec<_>>();
        prop_assert_eq!(groups.iter().map(of).collect::<Vec<_>>(), expected);
    }
}

/// Blocks are larger than what proptest makes: rows in different blocks are compared, too.
#[test]
fn near_duplicates_are_found_across_blocks() {
    let count = BLOCK_COLUMNS + BLOCK_ROWS + 10;
    // On a circle, each row a step further than the one before; the last ones repeat rows of the first block.
    let angle = |row: usize| std::f64::consts::PI * row as f64 / count as f64;
    let unit = |row: usize| vec![angle(row).cos() as f32, angle(row).sin() as f32];
    let repeated = [3, BLOCK_ROWS - 1, BLOCK_ROWS];
    let rows: Vec<Vec<f32>> = (0..count).chain(repeated).map(unit).collect();
    // Groups are runs of some forty neighbours.
    let threshold = 0.9999_f32;
    let groups = matrix(&rows).near_duplicates(threshold, |_| true);
    let groups = groups.unwrap().unwrap();
    let group_of = |row: usize| {
        let is_there = |group: &&Vec<RankedRow>| group.iter().any(|found| found.row == row);
        groups.iter().find(is_there).map(|group| group[0].row)
    };
    for (index, row) in repeated.into_iter().enumerate() {
        assert!(group_of(row).is_some());
        assert_eq!(group_of(count + index), group_of(row), "{row}");
    }
    assert!(groups.iter().any(|group| group[0].row > BLOCK_COLUMNS));
    for group in &groups {
        for found in group {
            let similarity = cosine(&rows[group[0].row], &rows[found.row]);
            assert!(similarity >= f64::from(threshold) - 1e-5);
        }
    }
    let mut asked = 0;
    let ended = matrix(&rows).near_duplicates(threshold, |_| {
        asked += 1;
        asked < 3
    });
    assert_eq!((ended.unwrap(), asked), (None, 3), "it can be stopped");
}

#[test]
fn rows_that_are_no_directions_are_refused() {
    let mut matrix = EmbeddingMatrix::new(2);
    for bad in [&[0.0, 0.0][..], &[f32::NAN, 1.0], &[1.0], &[1.0, 0.0, 0.0]] {
        assert!(!matrix.push(bad), "{bad:?}");
    }
    assert!(matrix.push(&[0.6, 0.8]) && matrix.push(&[1.0, 0.0]));
    assert_eq!(matrix.len(), 2);
    let best = matrix.nearest(&[1.0, 0.0], 1)[0];
    assert_eq!((best.row, best.similarity), (1, 1.0));
    let best = matrix.reordered([1, 0]).nearest(&[1.0, 0.0], 1)[0];
    assert_eq!((best.row, best.similarity), (0, 1.0));
}
