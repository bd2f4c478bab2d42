//! Compares images with a query, whose texts the model encodes.

use std::path::PathBuf;
use std::sync::Arc;

use super::phrases::query_warnings;
use crate::encoder::Encoder;
use crate::library::search::{direction, similarities_of};

/// What images are compared with, and these images.
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarityRequest {
    /// The terms of the query, each with its weight, which is below zero if it is subtracted.
    pub terms: Vec<(QuerySubject, f64)>,
    /// The images and their unit embeddings.
    pub images: Vec<(PathBuf, Arc<[f32]>)>,
    /// The number that the answer carries.
    pub generation: u64,
}

/// What a term of a query names.
#[derive(Clone, Debug, PartialEq)]
pub enum QuerySubject {
    /// A text, in any words.
    Text(String),
    /// An image, by its unit embedding.
    Image(Arc<[f32]>),
}

/// The cosine similarities of images to a query. Images that another model encoded are missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Similarities {
    /// Each image with its similarity, in the order of the request.
    pub images: Vec<(PathBuf, f32)>,
    /// What the user should know of the texts, one sentence each.
    pub warnings: Vec<String>,
}

impl SimilarityRequest {
    /// Compares the images with the query.
    ///
    /// # Errors
    ///
    /// Says why a text cannot be encoded, or that the terms cancel each other out.
    pub(super) fn compare(self, encoder: &mut dyn Encoder) -> Result<Similarities, String> {
        let texts = self.terms.iter().filter_map(|(subject, _)| match subject {
            QuerySubject::Text(text) => Some(text.clone()),
            QuerySubject::Image(_) => None,
        });
        let texts: Vec<String> = texts.collect();
        let warnings = texts.iter().flat_map(|text| query_warnings(text, encoder));
        let warnings = warnings.collect();
        let encoded = if texts.is_empty() {
            Vec::new()
        } else {
            let encoded = encoder.encode_texts(&texts);
            encoded.map_err(|error| error.to_string())?
        };
        let mut encoded = encoded.iter();
        let terms = self.terms.iter().map(|(subject, weight)| {
            let embedding = match subject {
                QuerySubject::Text(_) => encoded.next().map_or(&[][..], Vec::as_slice),
                QuerySubject::Image(embedding) => embedding,
            };
            (*weight, embedding)
        });
        let query = direction(terms)?;
        let rows: Vec<&[f32]> = self.images.iter().map(|(_, row)| &**row).collect();
        let similarities = similarities_of(&rows, &query);
        let images = self.images.into_iter().zip(similarities);
        Ok(Similarities {
            images: images
                .filter_map(|((path, _), similarity)| Some((path, similarity?)))
                .collect(),
            warnings,
        })
    }
}
