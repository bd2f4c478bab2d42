//! What to look for: texts and images, combined by `+` and `-`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::super::{Fault, shown};
use crate::library::search::{direction, split_query, split_weight};

/// Ends of names by which a term that is no file is taken for a mistyped one, rather than for a text.
const IMAGE_EXTENSIONS: [&str; 5] = ["dcm", "dicom", "jpg", "jpeg", "png"];
/// Starts of terms that are paths, whether there is such a file or not.
const PATH_STARTS: [&str; 3] = ["/", "./", "../"];

/// The terms of a query; none if it is empty.
#[derive(Debug, PartialEq)]
pub(super) struct Query {
    pub(super) terms: Vec<QueryTerm>,
}

/// A text or an image, and how much it counts.
#[derive(Debug, PartialEq)]
pub(super) struct QueryTerm {
    pub(super) subject: Subject,
    /// Below zero if the term is subtracted.
    weight: f64,
}

/// What a term names.
#[derive(Debug, PartialEq)]
pub(super) enum Subject {
    Text(String),
    Image(PathBuf),
}

impl Query {
    /// Parses the arguments. `+` and `-` on their own separate terms; `-` may also precede the first. Words without one between
    /// them are one text. A term that names a file is an image, any other a text; either may have a weight before it: `2:night`.
    pub(super) fn parse(arguments: &[OsString]) -> Result<Self, Fault> {
        let words = arguments.iter().map(OsString::as_os_str);
        let terms = split_query(words).map_err(Fault::usage)?.into_iter();
        let terms = terms.map(|term| QueryTerm::parse(&term.words, term.is_subtracted));
        Ok(Self {
            terms: terms.collect::<Result<_, _>>()?,
        })
    }

    /// The texts among the terms.
    pub(super) fn texts(&self) -> Vec<String> {
        let texts = self.terms.iter().filter_map(|term| match &term.subject {
            Subject::Text(text) => Some(text.clone()),
            Subject::Image(_) => None,
        });
        texts.collect()
    }

    /// The weighted sum of the terms' unit embeddings, scaled to unit length.
    pub(super) fn direction(&self, embeddings: &[&[f32]]) -> Result<Vec<f32>, Fault> {
        let weights = self.terms.iter().map(|term| term.weight);
        direction(weights.zip(embeddings.iter().copied())).map_err(Fault::usage)
    }
}

impl QueryTerm {
    fn parse(words: &[&OsStr], is_subtracted: bool) -> Result<Self, Fault> {
        let sign = if is_subtracted { -1.0 } else { 1.0 };
        if let [word] = words {
            let (weight, rest) = split_weight(word);
            let image = [(1.0, *word), (weight, rest)].into_iter();
            if let Some((weight, path)) = image
                .map(|(w, path)| (w, Path::new(path)))
                .find(|(_, path)| path.is_file())
            {
                let subject = Subject::Image(path.to_owned());
                return Ok(Self {
                    subject,
                    weight: sign * weight,
                });
            }
            if is_path(rest) {
                let path = shown(Path::new(rest));
                return Err(Fault::usage(format!("{path}: no such file")));
            }
        } else if let Some(file) = words.iter().find(|word| Path::new(word).is_file()) {
            let file = shown(Path::new(file));
            return Err(Fault::usage(format!(
                "put `+` or `-` before and after {file}, or quote the text"
            )));
        }
        let joined = words.join(OsStr::new(" "));
        let (weight, text) = split_weight(&joined);
        let text = text.to_str().map(str::trim).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Fault::usage("a text of the query is empty or not UTF-8"))?;
        if text.starts_with("http://") || text.starts_with("https://") {
            return Err(Fault::usage(format!(
                "{text}: images are not downloaded; name a file"
            )));
        }
        let subject = Subject::Text(text.to_owned());
        Ok(Self {
            subject,
            weight: sign * weight,
        })
    }
}

/// Whether a term that is no file was meant to be one.
fn is_path(term: &OsStr) -> bool {
    let text = term.to_string_lossy();
    let extension = Path::new(term).extension().and_then(OsStr::to_str);
    let is_image = extension.is_some_and(|extension| {
        IMAGE_EXTENSIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    });
    PATH_STARTS.iter().any(|start| text.starts_with(start)) || is_image && !text.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Query, Fault> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Query::parse(&words)
    }

    fn text(text: &str, weight: f64) -> QueryTerm {
        QueryTerm {
            subject: Subject::Text(text.into()),
            weight,
        }
    }

    #[test]
    fn terms_are_separated_by_plus_and_minus_and_may_have_weights() {
        let query = parse(&["2:hazy", "opacity", "+", ".5:tube", "-", "0.25:a: b"]).unwrap();
        let expected = [
            text("hazy opacity", 2.0),
            text("tube", 0.5),
            text("a: b", -0.25),
        ];
        assert_eq!(query.terms, expected);
        assert_eq!(parse(&["-", "x-ray"]).unwrap().terms, [text("x-ray", -1.0)]);
        assert_eq!(
            parse(&["ratio:2", "a:b"]).unwrap().terms,
            [text("ratio:2 a:b", 1.0)]
        );
        for (words, part) in [
            (&["+", "a"][..], "missing before `+`"),
            (&["a", "+", "-", "b"], "missing before `-`"),
            (&["a", "-"], "missing after `-`"),
            (&[" "], "empty"),
            (&["./a"], "./a: no such file"),
            (&["a.DCM"], "a.DCM: no such file"),
            (&["https://a.b/c"], "not downloaded"),
        ] {
            let message = parse(words).unwrap_err().message;
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_term_that_is_a_file_is_an_image() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("2:a b.png");
        std::fs::write(&file, "").unwrap();
        let path = file.to_str().unwrap();
        let image = |weight| QueryTerm {
            subject: Subject::Image(file.clone()),
            weight,
        };
        let weighted = format!("1.5:{path}");
        assert_eq!(
            parse(&[path, "-", &weighted]).unwrap().terms,
            [image(1.0), image(-1.5)]
        );
        let message = parse(&["like", path]).unwrap_err().message;
        assert!(message.contains("before and after"), "{message}");
    }

    #[test]
    fn the_direction_is_the_weighted_sum_made_unit() {
        let query = parse(&["3:a", "-", "4:b"]).unwrap();
        assert_eq!(
            query.direction(&[&[1.0, 0.0], &[0.0, 1.0]]).unwrap(),
            [0.6, -0.8]
        );
        let query = parse(&["a", "-", "b"]).unwrap();
        assert!(query.direction(&[&[0.6, 0.8], &[0.6, 0.8]]).is_err());
    }
}
