//! The reviewed images that are most similar to an image, for each label: what people said of images like it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{EmbeddedImage, Library, LibraryError, Review};

/// Neighbours of each label.
pub const NEAREST: usize = 3;
/// The cosine from which an image is taken for a copy of another one: the threshold of near-duplicates.
pub const NEAR_COPY: f32 = 0.99;

/// An image, whose neighbours are sought.
#[derive(Clone, Copy, Debug)]
pub struct NeighbourQuery<'a> {
    /// `blake3:<hex>` of its content, which is no neighbour of itself.
    pub content: &'a str,
    /// Its unit embedding.
    pub embedding: &'a [f32],
    /// The name of the prompt set under which images were reviewed.
    pub prompts: &'a str,
    /// Whose reviews count before those of others.
    pub reviewer: &'a str,
    /// The labels in the order in which they are to be listed.
    pub labels: &'a [&'a str],
    /// The key of the model's embeddings: see [`Library::embedding`].
    pub model_key: &'a str,
}

/// A reviewed image.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbour {
    /// The condition that a person says it shows; `None` if none of them.
    pub label: Option<String>,
    /// A file with it.
    pub path: PathBuf,
    /// The cosine of the two images' embeddings.
    pub similarity: f32,
    /// Whether it is nearly identical, and so says little of its own.
    pub is_near_copy: bool,
    /// Whether the file is not where the library knows it.
    pub is_missing: bool,
}

/// The nearest reviewed images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbours {
    /// The images with a label that were compared, without the image itself.
    pub compared: usize,
    /// Up to [`NEAREST`] of each label that are no copies, and the nearest copy; by label, then the nearest first.
    pub nearest: Vec<Neighbour>,
}

impl Library {
    /// The nearest reviewed images. Images whose reviewers disagree take no part, unless the reviewer has decided.
    ///
    /// # Errors
    ///
    /// Fails if the file is not a library, or damaged.
    pub fn neighbours(&self, query: &NeighbourQuery<'_>) -> Result<Neighbours, LibraryError> {
        let mut labels = decided(self.reviews()?, query.prompts, query.reviewer);
        labels.remove(query.content);
        let contents: Vec<&str> = labels.keys().map(String::as_str).collect();
        let images = self.embedded_contents(query.model_key, &contents)?;
        let mut found = Neighbours {
            compared: images.len(),
            nearest: Vec::new(),
        };
        let mut by_label: BTreeMap<Option<&str>, Vec<(f32, &EmbeddedImage)>> = BTreeMap::new();
        for image in &images {
            let similarity = cosine(query.embedding, &image.embedding);
            let own = labels.get(&image.content).map_or(&[][..], Vec::as_slice);
            let each = own.iter().map(|label| Some(label.as_str()));
            let none = own.is_empty().then_some(None);
            for label in each.chain(none) {
                by_label.entry(label).or_default().push((similarity, image));
            }
        }
        let known = query.labels.iter().map(|label| Some(*label));
        for label in known.chain([None]) {
            if let Some(images) = by_label.remove(&label) {
                found.nearest.extend(nearest(label, images));
            }
        }
        Ok(found)
    }
}

/// The nearest images of a label.
fn nearest(label: Option<&str>, mut images: Vec<(f32, &EmbeddedImage)>) -> Vec<Neighbour> {
    let nearer = |a: &(f32, &EmbeddedImage), b: &(f32, &EmbeddedImage)| {
        b.0.total_cmp(&a.0).then_with(|| a.1.path.cmp(&b.1.path))
    };
    images.sort_by(nearer);
    let (copies, others): (Vec<_>, Vec<_>) = images
        .into_iter()
        .partition(|(similarity, _)| *similarity >= NEAR_COPY);
    let kept = copies.into_iter().take(1);
    let kept = kept.chain(others.into_iter().take(NEAREST));
    kept.map(|(similarity, image)| Neighbour {
        label: label.map(ToOwned::to_owned),
        path: image.path.clone(),
        similarity,
        is_near_copy: similarity >= NEAR_COPY,
        is_missing: !image.path.exists(),
    })
    .collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::NEG_INFINITY;
    }
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What is said of each content under a prompt set: by this reviewer, else by others where they agree.
fn decided(reviews: Vec<Review>, prompts: &str, reviewer: &str) -> BTreeMap<String, Vec<String>> {
    let mut by_content: BTreeMap<String, Vec<Review>> = BTreeMap::new();
    for review in reviews {
        if review.prompts == prompts && review.labels.is_some() {
            let of_content = by_content.entry(review.content.clone());
            of_content.or_default().push(review);
        }
    }
    let labels = |review: &Review| {
        let mut labels = review.labels.clone().unwrap_or_default();
        labels.sort();
        labels
    };
    let decided = by_content.into_iter().filter_map(|(content, reviews)| {
        let own = reviews.iter().find(|review| review.reviewer == reviewer);
        let first = labels(own.or(reviews.first())?);
        let agree = own.is_some() || reviews.iter().all(|review| labels(review) == first);
        agree.then_some((content, first))
    });
    decided.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, similarity: f32) -> (f32, EmbeddedImage) {
        let image = EmbeddedImage::new(PathBuf::from(name), name.to_owned(), vec![1.0].into());
        (similarity, image)
    }

    #[test]
    fn copies_are_marked_and_take_no_place_of_others() {
        let images = [
            image("copy", 0.999),
            image("other copy", 0.995),
            image("far", 0.1),
            image("b", 0.7),
            image("a", 0.7),
            image("near", 0.9),
        ];
        let images = images
            .iter()
            .map(|(similarity, image)| (*similarity, image));
        let found = nearest(Some("mass"), images.collect());
        let names: Vec<_> = found.iter().map(|own| own.path.to_str().unwrap()).collect();
        assert_eq!(names, ["copy", "near", "a", "b"]);
        let copies: Vec<bool> = found.iter().map(|own| own.is_near_copy).collect();
        assert_eq!(copies, [true, false, false, false]);
        assert!(found.iter().all(|own| own.is_missing));
    }

    #[test]
    fn the_reviewer_decides_and_others_only_where_they_agree() {
        let review = |content: &str, reviewer: &str, label: &str| Review {
            content: content.to_owned(),
            prompts: "set".to_owned(),
            reviewer: reviewer.to_owned(),
            labels: Some(vec![label.to_owned()]),
            ..Review::default()
        };
        let all = vec![
            review("mine", "me", "mass"),
            review("mine", "bo", "normal"),
            review("agreed", "bo", "mass"),
            review("agreed", "cy", "mass"),
            review("disputed", "bo", "mass"),
            review("disputed", "cy", "normal"),
            Review {
                prompts: "another".to_owned(),
                ..review("elsewhere", "me", "mass")
            },
        ];
        let found = decided(all, "set", "me");
        let found: Vec<_> = found
            .iter()
            .map(|(content, labels)| (content.as_str(), labels[0].as_str()))
            .collect();
        assert_eq!(found, [("agreed", "mass"), ("mine", "mass")]);
    }
}
