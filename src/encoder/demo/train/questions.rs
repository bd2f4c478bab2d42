//! The loss: pictures are asked the questions that the program will ask them, and captions look for their pictures.
//!
//! A question is a group of text directions, of which one is right for a picture: the conditions of a prompt set
//! (`single`), or one condition present and absent (`multi`). Its loss is the cross entropy of the softmax of
//! `logit_scale × cosine`, which is the scoring rule; so the probabilities come out calibrated. The other half of
//! CLIP's loss goes from captions to pictures, with as many right answers as the batch holds.

use medivision_tui::phantom::{Anatomy, Condition};
use medivision_tui::prompts::PromptSet;
use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom};
use tch::{Kind, Tensor};

use super::captions::{Cell, STATEMENTS, TEMPLATES};
use super::model::unit;

/// Free captions that look for their pictures in a step.
const FREE: usize = 10;
const MULTI_WEIGHT: f64 = 0.5;
const FREE_WEIGHT: f64 = 0.3;

type Answer = Box<dyn Fn(Cell) -> Option<usize>>;
/// Whether a caption is true of a phantom.
type Holds = fn(Cell) -> bool;

/// Columns of the direction table, and which is right; `None` leaves the picture out.
struct Question {
    columns: Vec<usize>,
    answer: Answer,
    weight: f64,
}

/// All that is asked in one step.
pub struct Questions {
    /// Captions to encode.
    pub texts: Vec<String>,
    /// Rows of `texts` that are averaged to a direction.
    directions: Vec<Vec<usize>>,
    questions: Vec<Question>,
    /// Direction of a caption, and what it is true of.
    free: Vec<(usize, Holds)>,
}

impl Questions {
    /// Draws phrases and templates at random.
    pub fn ask(sets: &[PromptSet], rng: &mut impl Rng) -> Self {
        let mut all = Self {
            texts: Vec::new(),
            directions: Vec::new(),
            questions: Vec::new(),
            free: Vec::new(),
        };
        for set in sets {
            all.ask_set(set, rng);
        }
        all.ask_free_set(rng);
        for _ in 0..FREE {
            if let Some(statement) = STATEMENTS.choose(rng) {
                let text = fill(TEMPLATES, statement.phrases, rng);
                let direction = all.direction(vec![text], rng);
                all.free.push((direction, statement.holds));
            }
        }
        all
    }

    fn direction(&mut self, texts: Vec<String>, rng: &mut impl Rng) -> usize {
        let start = self.texts.len();
        self.texts
            .extend(texts.into_iter().map(|text| smudge(text, rng)));
        self.directions.push((start..self.texts.len()).collect());
        self.directions.len() - 1
    }

    fn ask_set(&mut self, set: &PromptSet, rng: &mut impl Rng) {
        let place = place(&set.name);
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
        // `general` spans anatomies: a part of its phrases alone would mislead about the others.
        let count = if place.is_none() { 9 } else { 2 };
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
            let answer: Answer = Box::new(move |cell| {
                shown(place, cell).then(|| usize::from(cell.1.name() != name))
            });
            let weight = MULTI_WEIGHT / set.conditions.len() as f64;
            self.questions.push(Question {
                columns: vec![columns[index], absent],
                answer,
                weight,
            });
        }
        let answer: Answer = Box::new(move |cell| {
            let right = names.iter().position(|name| name == cell.1.name());
            right.filter(|_| shown(place, cell))
        });
        self.questions.push(Question {
            columns,
            answer,
            weight: 1.0,
        });
    }

    /// A set as a user might write it: one phrase a condition.
    fn ask_free_set(&mut self, rng: &mut impl Rng) {
        let template = [TEMPLATES.choose(rng).copied().unwrap_or("{}")];
        let conditions = [
            Condition::Pneumonia,
            Condition::Tumor,
            Condition::Fracture,
            Condition::Normal,
        ];
        let columns = conditions
            .iter()
            .map(|&condition| {
                // The first statement that is true of this condition wherever it is.
                let everywhere = [Anatomy::Chest, Anatomy::Head, Anatomy::Limb];
                let fits = |statement: &&super::captions::Statement| {
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
        let answer: Answer =
            Box::new(move |cell| conditions.iter().position(|&condition| condition == cell.1));
        self.questions.push(Question {
            columns,
            answer,
            weight: 0.5,
        });
    }

    /// `pictures`: `[batch, d]`, `texts`: `[texts, d]`, both unit rows; `scale`: a scalar.
    pub fn loss(
        &self,
        pictures: &Tensor,
        texts: &Tensor,
        scale: &Tensor,
        cells: &[Cell],
    ) -> Tensor {
        let directions = unit(&self.average().matmul(texts)); // [directions, d]
        let logits = pictures.matmul(&directions.tr()) * scale; // [batch, directions]
        let mut loss = Tensor::zeros([], (Kind::Float, pictures.device()));
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
                .index_select(1, &Tensor::from_slice(&columns));
            loss += question.weight * asked.cross_entropy_for_logits(&Tensor::from_slice(&answers));
        }
        loss + FREE_WEIGHT * self.free_loss(&logits, cells)
    }

    /// `[directions, texts]`, each row an average.
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

    /// From captions to pictures: the right ones share the probability.
    fn free_loss(&self, logits: &Tensor, cells: &[Cell]) -> Tensor {
        let mut columns = Vec::new();
        let mut targets = Vec::new();
        for &(direction, holds) in &self.free {
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
            return Tensor::zeros([], (Kind::Float, logits.device()));
        }
        let rows = columns.len() as i64;
        let targets = Tensor::from_slice(&targets).view([rows, cells.len() as i64]);
        let chances = logits
            .index_select(1, &Tensor::from_slice(&columns))
            .tr()
            .log_softmax(1, Kind::Float);
        -(targets * chances).sum(Kind::Float) / rows as f64
    }
}

/// The part of the body that a shipped set is for.
pub fn place(set: &str) -> Option<Anatomy> {
    match set {
        "chest-xray" => Some(Anatomy::Chest),
        "brain-mri" => Some(Anatomy::Head),
        "bone-xray" => Some(Anatomy::Limb),
        _ => None,
    }
}

fn shown(place: Option<Anatomy>, cell: Cell) -> bool {
    place.is_none_or(|place| place == cell.0)
}

fn fill(templates: &[&str], phrases: &[&str], rng: &mut impl Rng) -> String {
    let phrase = phrases.choose(rng).copied().unwrap_or_default();
    templates
        .choose(rng)
        .map_or_else(String::new, |template| template.replace("{}", phrase))
}

/// Now and then a word that no vocabulary has goes before a text, so that the model learns to read past it.
fn smudge(text: String, rng: &mut impl Rng) -> String {
    if rng.random_bool(0.05) {
        format!("zzz {text}")
    } else {
        text
    }
}
