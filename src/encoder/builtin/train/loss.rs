//! The contrastive loss. Many images of a batch are described by the same texts, so that an image's own text cannot be told from
//! a negative by its index. Instead the loss asks, from images to texts, the questions that the program will ask: which of some
//! mutually exclusive texts is right. From texts to images, all images that a caption is true of share the target
//! probability; those of which it is not known take no part.

use std::error::Error;

use medivision_tui::encoder::{EncoderError, Tokenized, Tokenizer, Towers};
use medivision_tui::phantom::{Anatomy, PhantomCondition};
use medivision_tui::prompts::PromptSet;
use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom};
use tch::{Device, Kind as Element, Tensor};

use super::claims::{CHOICES, CLAIMS, kind_phrases};
use super::facts::{Facts, Kind};
use super::model::unit_rows;
use super::statements::{STATEMENTS, Statement, anatomy_of_set};
use super::texts::{TrainingText, disturbed, fill};

/// Captions per step for the loss from texts to images.
const CAPTIONS: usize = 14;
/// Weight of the loss from texts to images.
const CAPTION_WEIGHT: f64 = 0.3;
/// Weight of all present-or-absent questions of a prompt set, relative to its question for a condition.
const MULTI_WEIGHT: f64 = 0.5;
/// Softens the answers, so that the scores do not grow without bound.
const LABEL_SMOOTHING: f64 = 0.05;

/// A choice between some directions.
struct Question {
    /// Indices of the directions.
    columns: Vec<i64>,
    /// For each image the index of the right column; `None` leaves it out.
    answers: Vec<Option<usize>>,
    weight: f64,
}

/// The questions and captions of one step.
pub struct Questions {
    /// The texts.
    texts: Vec<String>,
    /// The same as the text tower takes them.
    tokens: Vec<Tokenized>,
    /// For each direction, the indices of the texts that are averaged.
    directions: Vec<Vec<usize>>,
    questions: Vec<Question>,
    /// The direction and the truth of each caption.
    captions: Vec<(i64, Vec<Option<bool>>)>,
}

impl Questions {
    /// Draws phrases and templates at random.
    pub fn draw(
        sets: &[PromptSet],
        facts: &[Facts],
        tokenizer: &Tokenizer,
        rng: &mut impl Rng,
    ) -> Result<Self, EncoderError> {
        let mut all = Self {
            texts: Vec::new(),
            tokens: Vec::new(),
            directions: Vec::new(),
            questions: Vec::new(),
            captions: Vec::new(),
        };
        all.ask_kind(facts, 1.5, rng);
        for set in sets {
            all.ask_set(set, facts, rng);
        }
        all.ask_condition(facts, rng);
        for (claims, weight) in CHOICES {
            all.ask_claims(claims, *weight, facts, rng);
        }
        for _ in 0..CAPTIONS {
            let caption = TrainingText::draw(facts, rng);
            let direction = all.direction(vec![caption.text], rng);
            all.captions.push((direction, caption.truth));
        }
        let tokens = all.texts.iter().map(|text| tokenizer.encode(text));
        all.tokens = tokens.collect::<Result<_, _>>()?;
        Ok(all)
    }

    /// Adds the mean of some texts as a direction; returns its index.
    fn direction(&mut self, texts: Vec<String>, rng: &mut impl Rng) -> i64 {
        let start = self.texts.len();
        self.texts
            .extend(texts.into_iter().map(|text| disturbed(text, rng)));
        self.directions.push((start..self.texts.len()).collect());
        self.directions.len() as i64 - 1
    }

    /// Which kind of image it is.
    fn ask_kind(&mut self, facts: &[Facts], weight: f64, rng: &mut impl Rng) {
        let columns = Kind::ALL
            .iter()
            .map(|&kind| {
                let count = rng.random_range(1..=3);
                let texts = (0..count).map(|_| fill(kind_phrases(kind), rng)).collect();
                self.direction(texts, rng)
            })
            .collect();
        let answers = facts
            .iter()
            .map(|f| Kind::ALL.iter().position(|&kind| kind == f.kind))
            .collect();
        self.questions.push(Question {
            columns,
            answers,
            weight,
        });
    }

    /// Which condition of a prompt set, and of each whether it is present.
    fn ask_set(&mut self, set: &PromptSet, facts: &[Facts], rng: &mut impl Rng) {
        let anatomy = anatomy_of_set(&set.name);
        let suits = |f: &Facts| f.cell.filter(|cell| anatomy.is_none_or(|a| a == cell.0));
        // `general` spans all anatomies: a few of its phrases would represent only some of them.
        let count = if anatomy.is_none() { 5 } else { 2 };
        let some = |phrases: &[String], count: usize, rng: &mut dyn rand::RngCore| -> Vec<String> {
            let chosen = phrases.iter().choose_multiple(rng, count);
            let filled = chosen.into_iter().map(|phrase| {
                set.templates
                    .choose(rng)
                    .map_or_else(|| phrase.clone(), |t| t.replace("{}", phrase))
            });
            filled.collect()
        };
        let mut columns = Vec::new();
        for condition in &set.conditions {
            let mut texts = some(&condition.phrases, count, rng);
            if rng.random_bool(0.15) {
                texts.push(condition.description.clone());
            }
            columns.push(self.direction(texts, rng));
        }
        for (index, condition) in set.conditions.iter().enumerate() {
            let absent = some(&condition.absent, 2, rng);
            let absent = self.direction(absent, rng);
            let answers = facts
                .iter()
                .map(|f| suits(f).map(|cell| usize::from(cell.1.name() != condition.name)));
            self.questions.push(Question {
                columns: vec![columns[index], absent],
                answers: answers.collect(),
                weight: MULTI_WEIGHT / set.conditions.len() as f64,
            });
        }
        let right = |f: &Facts| {
            suits(f).and_then(|cell| set.conditions.iter().position(|c| c.name == cell.1.name()))
        };
        self.questions.push(Question {
            columns,
            answers: facts.iter().map(right).collect(),
            weight: 1.0,
        });
    }

    /// Which condition, in a prompt set as a user might write it, with one phrase a condition.
    fn ask_condition(&mut self, facts: &[Facts], rng: &mut impl Rng) {
        use PhantomCondition::{Fracture, Normal, Pneumonia, Tumor};
        let conditions = [Pneumonia, Tumor, Fracture, Normal];
        let anatomies = [Anatomy::Chest, Anatomy::Head, Anatomy::Limb];
        let columns = conditions.map(|condition| {
            // The first statement that is true of exactly this condition in every anatomy.
            let fits = |statement: &&Statement| {
                anatomies.iter().all(|&anatomy| {
                    conditions
                        .iter()
                        .all(|&other| (statement.holds)((anatomy, other)) == (other == condition))
                })
            };
            let phrases = STATEMENTS
                .iter()
                .find(fits)
                .map_or(&["nothing"][..], |statement| statement.phrases);
            let text = fill(phrases, rng);
            self.direction(vec![text], rng)
        });
        let answers = facts.iter().map(|f| {
            f.cell
                .and_then(|cell| conditions.iter().position(|&c| c == cell.1))
        });
        self.questions.push(Question {
            columns: columns.into(),
            answers: answers.collect(),
            weight: 0.5,
        });
    }

    /// Which of some claims.
    fn ask_claims(&mut self, claims: &[usize], weight: f64, facts: &[Facts], rng: &mut impl Rng) {
        let chosen: Vec<_> = claims
            .iter()
            .filter_map(|&index| CLAIMS.get(index))
            .collect();
        let columns = chosen
            .iter()
            .map(|claim| self.direction(vec![fill(claim.phrases, rng)], rng))
            .collect();
        let answers = facts
            .iter()
            .map(|f| chosen.iter().position(|claim| claim.truth(f) == Some(true)))
            .collect();
        self.questions.push(Question {
            columns,
            answers,
            weight,
        });
    }

    /// The loss, a scalar on the CPU. `images`: unit rows `[batch, d]`.
    pub fn loss(&self, clip: &Towers, images: &Tensor) -> Result<Tensor, Box<dyn Error>> {
        let texts = unit_rows(&clip.text_features(&self.tokens)?); // [texts, d]
        let average = self.average().to_device(images.device()); // [directions, texts]
        let directions = unit_rows(&average.matmul(&texts)); // [directions, d]
        let logits = images.matmul(&directions.tr()) * clip.logit_scale().exp(); // [batch, directions]
        // What follows are many small operations, which a GPU does no faster.
        let logits = logits.to_device(Device::Cpu); // [batch, directions]
        let mut loss = Tensor::zeros([], (Element::Float, Device::Cpu)); // scalar
        for question in &self.questions {
            let known = question
                .answers
                .iter()
                .enumerate()
                .filter_map(|(row, answer)| Some((row as i64, (*answer)? as i64)));
            let (rows, answers): (Vec<i64>, Vec<i64>) = known.unzip();
            if rows.is_empty() {
                continue;
            }
            let asked = logits
                .index_select(0, &Tensor::from_slice(&rows))
                .index_select(1, &Tensor::from_slice(&question.columns)); // [rows, columns]
            let answers = Tensor::from_slice(&answers); // [rows]
            let none: Option<&Tensor> = None;
            let entropy = asked.cross_entropy_loss(
                &answers,
                none,
                tch::Reduction::Mean,
                -100,
                LABEL_SMOOTHING,
            ); // scalar
            // A question that few images answer is asked less loudly.
            let share = (rows.len() as f64 / 8.0).min(1.0);
            loss += entropy * (question.weight * share);
        }
        Ok(loss + CAPTION_WEIGHT * self.caption_loss(&logits))
    }

    /// The matrix that averages texts to directions: `[directions, texts]`.
    fn average(&self) -> Tensor {
        let width = self.texts.len();
        let mut table = vec![0.0_f32; self.directions.len() * width];
        for (row, texts) in table.chunks_mut(width).zip(&self.directions) {
            for &text in texts {
                row[text] = 1.0 / texts.len() as f32;
            }
        }
        Tensor::from_slice(&table).view([self.directions.len() as i64, width as i64])
    }

    /// The loss from captions to images, a scalar. `logits`: `[batch, directions]`.
    fn caption_loss(&self, logits: &Tensor) -> Tensor {
        /// Excludes an image from the softmax.
        const EXCLUDED: f32 = -1e4;
        let (mut columns, mut targets, mut masks) = (Vec::new(), Vec::new(), Vec::new());
        for (direction, truth) in &self.captions {
            let count = |value: bool| truth.iter().filter(|t| **t == Some(value)).count();
            let right = count(true);
            if right == 0 || count(false) == 0 {
                continue;
            }
            columns.push(*direction);
            targets.extend(truth.iter().map(|t| {
                if *t == Some(true) {
                    1.0 / right as f32
                } else {
                    0.0
                }
            }));
            masks.extend(
                truth
                    .iter()
                    .map(|t| if t.is_some() { 0.0 } else { EXCLUDED }),
            );
        }
        if columns.is_empty() {
            return Tensor::zeros([], (Element::Float, logits.device())); // scalar
        }
        let shape = [columns.len() as i64, logits.size()[0]];
        let (targets, masks) = (
            Tensor::from_slice(&targets).view(shape),
            Tensor::from_slice(&masks).view(shape),
        ); // [captions, batch]
        let chosen = logits.index_select(1, &Tensor::from_slice(&columns)).tr() + masks; // [captions, batch]
        -(targets * chosen.log_softmax(1, Element::Float)).sum(Element::Float) / shape[0] as f64 // scalar
    }
}
