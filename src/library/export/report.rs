//! DICOM Structured Reports: what the model, and persons, say of images, as a Comprehensive SR by the template TID 1500 (PS3.16).

mod codes;
mod content;
mod document;
mod measured;

use crate::library::{Record, Review, json};
use crate::media::ObjectIdentity;
use crate::media::measure::Figure;
pub use content::Concept;
use content::{ContentItem, Relation};
pub use document::StructuredReport;
use document::UidNames;

/// An image, and what is said of it.
#[derive(Clone, Debug)]
pub struct ReportedImage {
    /// Which image it is.
    pub identity: ObjectIdentity,
    /// What is said of it, in the order of the report.
    pub observations: Vec<Observation>,
}

/// What one observer says of an image or a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Who says it.
    pub observer: Observer,
    /// The frame, from 0; `None` for the whole object, also where it has one frame only.
    pub frame: Option<u32>,
    /// When: RFC 3339, UTC, whole seconds.
    pub at: String,
    /// What tells it from others of the same image, in a few words.
    pub tracking: String,
    /// What identifies it in all reports on the image.
    pub key: String,
    /// What was found.
    pub findings: Vec<Concept>,
    /// Statements without a number: what each is about, and what it says.
    pub evaluations: Vec<(Concept, ReportedStatement)>,
    /// Numbers.
    pub numbers: Vec<ReportedNumber>,
    /// What the numbers were measured with; `None` if they are about the whole image.
    pub figure: Option<Figure>,
}

/// Who makes an [`Observation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observer {
    /// This program; with parameters of the algorithm, as `name=value`.
    Program(Vec<String>),
    /// A person, by name.
    Person(String),
}

/// A statement without a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportedStatement {
    /// By a concept.
    Coded(Concept),
    /// In words.
    Text(String),
}

/// A number in an [`Observation`].
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedNumber {
    /// What is measured.
    pub name: Concept,
    /// What makes the name more exact: concepts and their values.
    pub modifiers: Vec<(Concept, Concept)>,
    /// The value.
    pub value: f64,
    /// Its unit, a concept of UCUM.
    pub unit: Concept,
}

impl Observation {
    /// What the model says of an image. Of an image that it is not meant for, that is only why it is rejected.
    pub fn of_result(record: &Record) -> Self {
        let verdict = &record.verdict;
        let claim = record.claim();
        let decision = verdict.decision.name();
        let mut evaluations = vec![(
            Concept::private("decision", "Decision"),
            ReportedStatement::Coded(Concept::private(decision, decision)),
        )];
        evaluations.extend(
            claim
                .as_ref()
                .filter(|claim| claim.is_empty())
                .map(|_| none_of_the_conditions()),
        );
        let reason = verdict.reason.iter().map(|reason| {
            let name = Concept::private("reason", "Reason for rejection");
            (name, ReportedStatement::Text(reason.clone()))
        });
        evaluations.extend(reason);
        let scores = verdict.scores.iter().filter(|_| claim.is_some());
        let numbers = scores.map(|score| ReportedNumber {
            name: if score.calibrated {
                Concept::private("probability", "Probability, calibrated")
            } else {
                Concept::private("score", "Score, not calibrated")
            },
            modifiers: vec![(codes::FINDING.into(), Concept::condition(&score.condition))],
            value: score.probability,
            unit: codes::NO_UNIT.into(),
        });
        let parameters = [
            ("model", record.model.as_str()),
            ("model_digest", &record.model_digest),
            ("prompts", &record.prompts),
            ("prompts_digest", &record.prompts_digest),
            ("mode", &json::name(&record.mode)),
            ("device", &record.device),
        ];
        let parameters = parameters.map(|(name, value)| format!("{name}={value}"));
        let learned = record.learned.map(|count| format!("learned={count}"));
        let of_frame = match record.frame {
            Some(frame) if record.frames > 1 => format!(", frame {}", frame + 1),
            None => format!(", mean of {} frames", record.frames),
            Some(_) => String::new(),
        };
        let tracking = format!(
            "model {}, prompts {}{of_frame}",
            record.model, record.prompts
        );
        Self {
            observer: Observer::Program(parameters.into_iter().chain(learned).collect()),
            frame: record.frame.filter(|_| record.frames > 1),
            at: record.at.clone(),
            key: format!("{tracking}, {}", record.at),
            tracking,
            findings: claim
                .iter()
                .flatten()
                .map(|label| Concept::condition(label))
                .collect(),
            evaluations,
            numbers: numbers.collect(),
            figure: None,
        }
    }

    /// What a person says of an image.
    pub fn of_review(review: &Review) -> Self {
        let mut evaluations = Vec::new();
        if review.labels.as_ref().is_some_and(Vec::is_empty) {
            evaluations.push(none_of_the_conditions());
        }
        if !review.note.is_empty() {
            let name = Concept::private("note", "Note");
            evaluations.push((name, ReportedStatement::Text(review.note.clone())));
        }
        if review.flagged {
            let name = Concept::private("flag", "Flag");
            evaluations.push((name, ReportedStatement::Text("flagged".to_owned())));
        }
        if review.blind {
            let name = Concept::private("reading", "Reading");
            let words = "without sight of results";
            evaluations.push((name, ReportedStatement::Text(words.to_owned())));
        }
        let labels = review.labels.iter().flatten();
        let tracking = format!("review by {}, prompts {}", review.reviewer, review.prompts);
        Self {
            observer: Observer::Person(review.reviewer.clone()),
            frame: None,
            at: review.at.clone(),
            key: format!("{tracking}, {}", review.at),
            tracking,
            findings: labels.map(|label| Concept::condition(label)).collect(),
            evaluations,
            numbers: Vec::new(),
            figure: None,
        }
    }

    /// The measurement group of an image: TID 1410 where it is about a region, else TID 1501.
    fn group(&self, image: &ObjectIdentity, names: UidNames) -> ContentItem {
        let tracking = names.derived("tracking", &[&image.instance, &self.key]);
        let mut items = vec![
            ContentItem::text(
                Relation::Context,
                codes::TRACKING_IDENTIFIER,
                &self.tracking,
            ),
            ContentItem::uid(Relation::Context, codes::TRACKING_UID, &tracking),
        ];
        match &self.observer {
            Observer::Program(parameters) => {
                let modifier = |name, text: &str| ContentItem::text(Relation::Modifier, name, text);
                items.push(modifier(codes::ALGORITHM_NAME, env!("CARGO_PKG_NAME")));
                items.push(modifier(
                    codes::ALGORITHM_VERSION,
                    env!("CARGO_PKG_VERSION"),
                ));
                let parameters = parameters.iter();
                items.extend(parameters.map(|text| modifier(codes::ALGORITHM_PARAMETERS, text)));
            }
            Observer::Person(name) => {
                let person = codes::PERSON.into();
                items.push(ContentItem::code(
                    Relation::Context,
                    codes::OBSERVER_TYPE,
                    person,
                ));
                items.push(ContentItem::person(
                    Relation::Context,
                    codes::PERSON_NAME,
                    name,
                ));
            }
        }
        let findings = self.findings.iter().cloned();
        items.extend(
            findings.map(|found| ContentItem::code(Relation::Contains, codes::FINDING, found)),
        );
        let instance = names.written(&image.instance);
        let source = |relation, name| {
            ContentItem::image(relation, name, &image.sop_class, &instance, self.frame)
        };
        let region = self
            .figure
            .as_ref()
            .filter(|figure| measured::is_region(figure));
        let line = self
            .figure
            .as_ref()
            .filter(|figure| !measured::is_region(figure));
        items.push(match region {
            Some(figure) => measured::coordinates(Relation::Contains, codes::REGION, figure)
                .with_children(vec![source(Relation::Selected, codes::SOURCE_IMAGE)]),
            None => source(Relation::Contains, codes::SOURCE),
        });
        let origin = || {
            let figure = line?;
            let coordinates = measured::coordinates(Relation::Inferred, codes::SOURCE, figure);
            Some(coordinates.with_children(vec![source(Relation::Selected, codes::SOURCE)]))
        };
        let numbers = self.numbers.iter();
        items.extend(numbers.map(|number| number.item(origin())));
        items.extend(
            self.evaluations
                .iter()
                .map(|(name, statement)| match statement {
                    ReportedStatement::Coded(concept) => {
                        ContentItem::code(Relation::Contains, name.clone(), concept.clone())
                    }
                    ReportedStatement::Text(text) => {
                        ContentItem::text(Relation::Contains, name.clone(), text)
                    }
                }),
        );
        ContentItem::container(Some(Relation::Contains), codes::MEASUREMENT_GROUP, items)
            .by_template(if region.is_some() { "1410" } else { "1501" })
            .observed_at(&self.at)
    }
}

/// Says that an image shows none of the conditions.
fn none_of_the_conditions() -> (Concept, ReportedStatement) {
    let words = "none of the conditions".to_owned();
    (
        Concept::private("decision", "Decision"),
        ReportedStatement::Text(words),
    )
}

impl ReportedNumber {
    /// `origin`: what it was measured with, if that belongs to the number alone.
    fn item(&self, origin: Option<ContentItem>) -> ContentItem {
        let modifiers = self.modifiers.iter().cloned();
        let modifiers =
            modifiers.map(|(name, value)| ContentItem::code(Relation::Modifier, name, value));
        ContentItem::number(self.name.clone(), self.value, self.unit.clone())
            .with_children(modifiers.chain(origin).collect())
    }
}
