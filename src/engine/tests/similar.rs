//! Comparing images with a query.

use super::*;

fn images() -> Vec<(PathBuf, Arc<[f32]>)> {
    [
        ("a", vec![1.0, 0.0]),
        ("b", vec![0.6, 0.8]),
        ("c", vec![1.0]),
    ]
    .map(|(name, row)| (PathBuf::from(name), row.into()))
    .into()
}

impl TestEngine {
    /// Compares the images with a query; returns the similarities by name, or the reason why there are none.
    fn compare(&self, terms: Vec<(QuerySubject, f64)>) -> Result<Vec<(String, f32)>, String> {
        self.engine.compare(SimilarityRequest {
            terms,
            images: images(),
            generation: 5,
        });
        let outcome = self.events.iter().find_map(|event| match event {
            Event::Compared {
                generation: 5,
                outcome,
            } => Some(outcome),
            _ => None,
        });
        let found = outcome.expect("an answer comes")?;
        let rounded = |(path, similarity): (PathBuf, f32)| {
            (
                path.display().to_string(),
                (similarity * 100.0).round() / 100.0,
            )
        };
        Ok(found.images.into_iter().map(rounded).collect())
    }
}

#[test]
fn images_are_compared_with_a_sum_of_texts_and_images_those_of_another_model_with_none() {
    let running = start(Behaviour::Answer, false, settings());
    let text = |text: &str| QuerySubject::Text(text.to_owned());
    let named = |similarities: [(&str, f32); 2]| {
        similarities
            .map(|(name, similarity)| (name.to_owned(), similarity))
            .to_vec()
    };
    let found = running.compare(vec![(text("haze"), 1.0)]);
    assert_eq!(found, Ok(named([("a", 1.0), ("b", 0.6)])));
    let image = QuerySubject::Image(vec![0.0, 1.0].into());
    let found = running.compare(vec![(text("haze"), 3.0), (image.clone(), -4.0)]);
    assert_eq!(found, Ok(named([("a", 0.6), ("b", -0.28)])));
    let cancelled = running.compare(vec![(image.clone(), 1.0), (image, -1.0)]);
    assert!(cancelled.is_err_and(|why| why.contains("cancel each other out")));
}
