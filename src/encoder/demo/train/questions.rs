//! The contrastive loss, in both directions.
//!
//! From images to texts, the loss is made of the questions that the program will ask. A question is a group of text
//! directions, one of which is right for an image: the conditions of a prompt set (`single`), or one condition present and
//! absent (`multi`). Its loss is the cross entropy of the softmax over `logit_scale × cosine`, the same rule by which the
//! program scores, so that the probabilities are calibrated. From texts to images, captions have all images of the batch
//! that they are true of as right answers.

use medivision_tui::phantom::{Anatomy, PhantomCondition};
use medivision_tui::prompts::PromptSet;
use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom};
use tch::{Kind, Tensor};

use super::model::unit_rows;
use super::statements::{Cell, STATEMENTS, Statement, TEMPLATES, anatomy_of_set};

/// Captions per step for the loss from texts to images.
const CAPTIONS_PER_STEP: usize = 10;
/// Weight of all `multi` questions of a set, relative to its `single` question.
const MULTI_WEIGHT: f64 = 0.5;
/// Weight of the loss from texts to images.
const CAPTION_WEIGHT: f64 = 0.3;

/// The index of the right column for a phantom; `None` leaves it out.
type AnswerFn = Box<dyn Fn(Cell) -> Option<usize>>;
/// Whether a caption is true of a phantom.
type Holds = fn(Cell) -> bool;

/// A choice between some directions.
struct Question {
    /// Indices of the directions.
    columns: Vec<usize>,
    answer: AnswerFn,
    weight: f64,
}

/// The questions and captions of one step.
pub struct Questions {
    /// The texts to encode.
    pub texts: Vec<String>,
    /// For each direction, the indices of the texts that are averaged.
    directions: Vec<Vec<usize>>,
    questions: Vec<Question>,
    /// The direction of each caption, and the phantoms that it is true of.
    captions: Vec<(usize, Holds)>,
}

impl Questions {
    /// Draws phrases and templates at random.
    pub fn draw(sets: &[PromptSet], rng: &mut impl Rng) -> Self {
        let mut all = Self {
            texts: Vec::new(),
            directions: Vec::new(),
            questions: Vec::new(),
            captions: Vec::new(),
        };
        for set in sets {
            all.add_set(set, rng);
        }
        all.add_random_set(rng);
        for _ in 0..CAPTIONS_PER_STEP {
            if let Some(statement) = STATEMENTS.choose(rng) {
                let text = fill(TEMPLATES, statement.phrases, rng);
                let direction = all.direction(vec![text], rng);
                all.captions.push((direction, statement.holds));
            }
        }
        all
    }

    /// Adds the mean of some texts as a direction; returns its index.
    fn direction(&mut self, texts: Vec<String>, rng: &mut impl Rng) -> usize {
        let start = self.texts.len();
        self.texts
            .extend(texts.into_iter().map(|text| with_unknown_word(text, rng)));
        self.directions.push((start..self.texts.len()).collect());
        self.directions.len() - 1
    }

    /// Adds the `single` question of a set, and the `multi` questions of its conditions.
    fn add_set(&mut self, set: &PromptSet, rng: &mut impl Rng) {
        let anatomy = anatomy_of_set(&set.name);
        let some = |phrases: &[String], count: usize, rng: &mut dyn rand::RngCore| -> Vec<String> {
            let chosen = phrases.iter().choose_multiple(rng, count);
            chosen
                .into_iter()
                .map(|phrase| {
                    set.templates
                        .choose(rng)
                        .map_or_else(String::new, |t| t.replace("{}", phrase))
                })
                .collect()
        };
        // `general` spans all anatomies: a few of its phrases would represent only some of them.
        let count = if anatomy.is_none() { 9 } else { 2 };
        let names: Vec<String> = set
            .conditions
            .iter()
            .map(|condition| condition.name.clone())
            .collect();
        let mut columns = Vec::new();
        for condition in &set.conditions {
            let mut texts = some(&condition.phrases, count, rng);
            if rng.random_bool(0.15) {
                texts.push(condition.description.clone());
            }
            columns.push(self.direction(texts, rng));
        }
        for (index, condition) in set.conditions.iter().enumerate() {
            let texts = some(&condition.absent, 2, rng);
            let absent = self.direction(texts, rng);
            let name = condition.name.clone();
            let answer: AnswerFn = Box::new(move |cell| {
                suits(anatomy, cell).then(|| usize::from(cell.1.name() != name))
            });
            let weight = MULTI_WEIGHT / set.conditions.len() as f64;
            self.questions.push(Question {
                columns: vec![columns[index], absent],
                answer,
                weight,
            });
        }
        let answer: AnswerFn = Box::new(move |cell| {
            let right = names.iter().position(|name| name == cell.1.name());
            right.filter(|_| suits(anatomy, cell))
        });
        self.questions.push(Question {
            columns,
            answer,
            weight: 1.0,
        });
    }

    /// Adds the question of a prompt set as a user might write it, with one phrase per condition.
    fn add_random_set(&mut self, rng: &mut impl Rng) {
        let template = [TEMPLATES.choose(rng).copied().unwrap_or("{}")];
        let conditions = [
            PhantomCondition::Pneumonia,
            PhantomCondition::Tumor,
            PhantomCondition::Fracture,
            PhantomCondition::Normal,
        ];
        let columns = conditions
            .iter()
            .map(|&condition| {
                // The first statement that is true of exactly this condition in every anatomy.
                let everywhere = [Anatomy::Chest, Anatomy::Head, Anatomy::Limb];
                let fits = |statement: &&Statement| {
                    everywhere.iter().all(|&anatomy| {
                        conditions.iter().all(|&other| {
                            (statement.holds)((anatomy, other)) == (other == condition)
                        })
                    })
                };
                let phrases = STATEMENTS
                    .iter()
                    .find(fits)
                    .map_or(&["nothing"][..], |statement| statement.phrases);
                let text = fill(&template, phrases, rng);
                self.direction(vec![text], rng)
            })
            .collect();
        let answer: AnswerFn =
            Box::new(move |cell| conditions.iter().position(|&condition| condition == cell.1));
        self.questions.push(Question {
            columns,
            answer,
            weight: 0.5,
        });
    }

    /// The loss, a scalar. `images`: `[batch, d]`, `texts`: `[texts, d]`, both unit rows; `scale`: a scalar.
    pub fn loss(&self, images: &Tensor, texts: &Tensor, scale: &Tensor, cells: &[Cell]) -> Tensor {
        let directions = unit_rows(&self.average().matmul(texts)); // [directions, d]
        let logits = images.matmul(&directions.tr()) * scale; // [batch, directions]
        let mut loss = Tensor::zeros([], (Kind::Float, images.device())); // scalar
        for question in &self.questions {
            let (rows, answers): (Vec<i64>, Vec<i64>) = cells
                .iter()
                .enumerate()
                .filter_map(|(row, &cell)| {
                    (question.answer)(cell).map(|answer| (row as i64, answer as i64))
                })
                .unzip();
            if rows.is_empty() {
                continue;
            }
            let columns: Vec<i64> = question
                .columns
                .iter()
                .map(|&column| column as i64)
                .collect();
            let asked = logits
                .index_select(0, &Tensor::from_slice(&rows))
                .index_select(1, &Tensor::from_slice(&columns)); // [rows, columns]
            loss += question.weight * asked.cross_entropy_for_logits(&Tensor::from_slice(&answers));
        }
        loss + CAPTION_WEIGHT * self.caption_loss(&logits, cells) // scalar
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

    /// The loss from captions to images, a scalar: all images that a caption is true of share the target probability. `logits`:
    /// `[batch, directions]`.
    fn caption_loss(&self, logits: &Tensor, cells: &[Cell]) -> Tensor {
        let mut columns = Vec::new();
        let mut targets = Vec::new();
        for &(direction, holds) in &self.captions {
            let right = cells.iter().filter(|&&cell| holds(cell)).count();
            if right > 0 && right < cells.len() {
                columns.push(direction as i64);
                targets.extend(
                    cells
                        .iter()
                        .map(|&cell| if holds(cell) { 1.0 / right as f32 } else { 0.0 }),
                );
            }
        }
        if columns.is_empty() {
            return Tensor::zeros([], (Kind::Float, logits.device())); // scalar
        }
        let rows = columns.len() as i64;
        let targets = Tensor::from_slice(&targets).view([rows, cells.len() as i64]); // [captions, batch]
        let log_probabilities = logits
            .index_select(1, &Tensor::from_slice(&columns)) // [batch, captions]
            .tr() // [captions, batch]
            .log_softmax(1, Kind::Float); // [captions, batch]
        -(targets * log_probabilities).sum(Kind::Float) / rows as f64 // scalar
    }
}

fn suits(anatomy: Option<Anatomy>, cell: Cell) -> bool {
    anatomy.is_none_or(|anatomy| anatomy == cell.0)
}

/// A random phrase in a random template.
fn fill(templates: &[&str], phrases: &[&str], rng: &mut impl Rng) -> String {
    let phrase = phrases.choose(rng).copied().unwrap_or_default();
    templates
        .choose(rng)
        .map_or_else(String::new, |template| template.replace("{}", phrase))
}

/// Sometimes puts an unknown word before a text, so that the model learns to ignore it.
fn with_unknown_word(text: String, rng: &mut impl Rng) -> String {
    if rng.random_bool(0.05) {
        format!("zzz {text}")
    } else {
        text
    }
}
