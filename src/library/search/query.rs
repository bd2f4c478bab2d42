//! Queries: texts and images, added and subtracted, each with a weight.

use std::ffi::OsStr;

/// How much may be left of terms that cancel out: what rounding leaves.
const MIN_LENGTH: f64 = 1e-5;

/// The words between two operators of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryWords<'a> {
    /// At least one.
    pub words: Vec<&'a OsStr>,
    /// Whether the term is subtracted.
    pub is_subtracted: bool,
}

/// Splits a query at `+` and `-`; each is a word of its own, and `-` may also precede the first term.
///
/// # Errors
///
/// Says where a term is missing.
pub fn split_query<'a>(
    query: impl IntoIterator<Item = &'a OsStr>,
) -> Result<Vec<QueryWords<'a>>, String> {
    let mut terms = Vec::new();
    let mut words: Vec<&OsStr> = Vec::new();
    let mut operator: Option<&str> = None;
    for word in query {
        let Some(next) = word.to_str().filter(|text| matches!(*text, "+" | "-")) else {
            words.push(word);
            continue;
        };
        if !words.is_empty() {
            terms.push(QueryWords {
                words: std::mem::take(&mut words),
                is_subtracted: operator == Some("-"),
            });
        } else if operator.is_some() || next == "+" {
            return Err(format!("a text or an image is missing before `{next}`"));
        }
        operator = Some(next);
    }
    match (words.is_empty(), operator) {
        (false, _) => terms.push(QueryWords {
            words,
            is_subtracted: operator == Some("-"),
        }),
        (true, Some(last)) => {
            return Err(format!("a text or an image is missing after `{last}`"));
        }
        (true, None) => {}
    }
    Ok(terms)
}

/// The weight before a term, as in `2:night`, and the rest; 1 if there is none.
pub fn split_weight(term: &OsStr) -> (f64, &OsStr) {
    let Some((number, rest)) = term.to_str().and_then(|text| text.split_once(':')) else {
        return (1.0, term);
    };
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    match number.parse::<f64>() {
        Ok(weight) if is_number && weight.is_finite() && !rest.is_empty() => {
            (weight, OsStr::new(rest))
        }
        _ => (1.0, term),
    }
}

/// The weighted sum of unit embeddings, scaled to unit length.
///
/// # Errors
///
/// Fails if the terms cancel each other out.
pub fn direction<'a>(
    terms: impl IntoIterator<Item = (f64, &'a [f32])>,
) -> Result<Vec<f32>, String> {
    let (mut sum, mut weights) = (Vec::new(), 0.0);
    for (weight, row) in terms {
        sum.resize(row.len().max(sum.len()), 0.0_f64);
        for (total, &number) in sum.iter_mut().zip(row) {
            *total += weight * f64::from(number);
        }
        weights += weight.abs();
    }
    let length = sum.iter().map(|n| n * n).sum::<f64>().sqrt();
    if length <= MIN_LENGTH * weights {
        return Err("the terms of the query cancel each other out".into());
    }
    Ok(sum.iter().map(|n| (n / length) as f32).collect())
}
