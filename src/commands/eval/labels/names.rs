//! What labels mean: conditions of a prompt set, or none of them.

use super::super::super::Fault;
use crate::media::clean;
use crate::prompts::PromptSet;

/// Says that an image shows none of the conditions, unless one has this name. An empty cell says the same.
const NONE: &str = "none";
/// Characters that separate several conditions in a cell.
const LABEL_SEPARATORS: [char; 2] = [';', '|'];

/// The names that labels may have: those of the conditions, and those that the user maps to conditions.
pub(in crate::commands) struct LabelNames<'a> {
    set: &'a PromptSet,
    /// Mapped labels and what they mean.
    mapped: Vec<(String, Meaning)>,
    /// Whether an image may show several conditions if the user wants each to be decided on by itself.
    takes_several: bool,
}

/// What a label means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The condition with this index.
    Condition(usize),
    /// Nothing of the set.
    Other,
}

/// What a cell says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CellLabels {
    /// The indices of its conditions.
    pub(super) conditions: Vec<usize>,
    /// Whether it names something that the set does not have, so that the image is not said to be normal.
    pub(super) is_other: bool,
}

impl<'a> LabelNames<'a> {
    /// Creates the names; `map` has pairs of a label and its condition.
    pub(in crate::commands) fn new(
        set: &'a PromptSet,
        map: &[(String, String)],
    ) -> Result<Self, Fault> {
        let mut names = Self {
            set,
            mapped: Vec::new(),
            takes_several: !set.is_exhaustive(),
        };
        for (label, condition) in map {
            let meaning = match names.meaning(condition) {
                Some(meaning) => meaning,
                None if condition.eq_ignore_ascii_case(NONE) => Meaning::Other,
                None => return Err(names.unmapped(condition)),
            };
            names.mapped.push((label.clone(), meaning));
        }
        Ok(names)
    }

    /// The same, where the conditions are of several sets: whether these can take several conditions of an image.
    #[must_use]
    pub(super) fn taking_several(mut self, takes_several: bool) -> Self {
        self.takes_several = takes_several;
        self
    }

    /// What a name means: an exact match, else one that ignores case.
    fn meaning(&self, label: &str) -> Option<Meaning> {
        let conditions = self.set.conditions.iter().map(|c| c.name.as_str());
        let conditions = conditions.zip((0..).map(Meaning::Condition));
        let mapped = self.mapped.iter().map(|(name, to)| (name.as_str(), *to));
        let all: Vec<(&str, Meaning)> = mapped.chain(conditions).collect();
        let exact = all.iter().find(|(name, _)| *name == label);
        let lower = label.to_lowercase();
        let ignoring_case = || all.iter().find(|(name, _)| name.to_lowercase() == lower);
        exact.or_else(ignoring_case).map(|(_, meaning)| *meaning)
    }

    fn unknown(&self, label: &str) -> String {
        let names: Vec<_> = self.set.conditions.iter().map(|c| &*c.name).collect();
        format!(
            "`{}` is not a condition of the prompt set `{}` ({})",
            clean(label),
            self.set.name,
            names.join(", "),
        )
    }

    fn unmapped(&self, condition: &str) -> Fault {
        Fault::usage(format!("--map: {}", self.unknown(condition)))
    }

    /// Fails if a label is mapped to none of the conditions, which says nothing where one applies to each image.
    pub(super) fn check_one(&self) -> Result<(), Fault> {
        let is_other = |(_, to): &(String, Meaning)| *to == Meaning::Other;
        if self.mapped.iter().any(is_other) {
            return Err(self.unmapped(NONE));
        }
        Ok(())
    }

    /// The only condition that a label names.
    pub(super) fn one(&self, label: &str) -> Result<CellLabels, String> {
        if let Some(Meaning::Condition(own)) = self.meaning(label) {
            return Ok(CellLabels {
                conditions: vec![own],
                is_other: false,
            });
        }
        let hint = if parts(label).count() > 1 && self.each(label).is_ok() {
            self.several_hint()
        } else {
            format!("; {}", map_hint(label))
        };
        Err(self.unknown(label) + &hint)
    }

    /// What to do about several conditions of an image where one applies.
    fn several_hint(&self) -> String {
        if self.takes_several {
            "; `eval`, `calibrate`, `train`, `bench train` and `learn` read several conditions of an image with `--mode multi`"
                .to_owned()
        } else {
            format!(
                "; exactly one condition of `{}` applies to an image",
                self.set.name
            )
        }
    }

    /// What is wrong where rows of one file name two conditions, and one applies. `line`: that of the first row.
    pub(super) fn two_labels(&self, labels: [usize; 2], line: u64) -> String {
        let [first, second] = labels.map(|at| clean(&self.set.conditions[at].name));
        format!(
            "it is `{second}` here and `{first}` in line {line}{}",
            self.several_hint()
        )
    }

    /// The conditions that a label names: one, several between `;` or `|`, or none.
    pub(super) fn each(&self, label: &str) -> Result<CellLabels, String> {
        let whole = self.meaning(label).map(|_| label);
        let parts: Vec<&str> = match whole {
            Some(label) => vec![label],
            None => parts(label).collect(),
        };
        let mut cell = CellLabels::default();
        for part in parts {
            match self.meaning(part) {
                Some(Meaning::Condition(own)) => cell.conditions.push(own),
                Some(Meaning::Other) => cell.is_other = true,
                None if part.eq_ignore_ascii_case(NONE) => {}
                None => {
                    let hint = format!(
                        "; {}, or `--map {}={NONE}` if it is none of them",
                        map_hint(part),
                        clean(part)
                    );
                    return Err(self.unknown(part) + &hint);
                }
            }
        }
        self.check(&cell.conditions).map(|()| cell)
    }

    /// Fails if the conditions of an image contradict each other.
    pub(super) fn check(&self, conditions: &[usize]) -> Result<(), String> {
        contradiction(self.set, conditions).map_or(Ok(()), Err)
    }

    /// The condition of an image that shows none of the others, if the set has it.
    pub(super) fn normal(&self) -> Option<usize> {
        self.set.conditions.iter().position(|own| own.normal)
    }
}

/// The labels in a cell.
fn parts(label: &str) -> impl Iterator<Item = &str> {
    let parts = label.split(LABEL_SEPARATORS).map(str::trim);
    parts.filter(|part| !part.is_empty())
}

fn map_hint(label: &str) -> String {
    format!(
        "use `--map {}=CONDITION` to say which one it means",
        clean(label)
    )
}

/// What is wrong with the conditions of an image that is said to be normal, and to show another condition.
pub(in crate::commands) fn contradiction(set: &PromptSet, conditions: &[usize]) -> Option<String> {
    let names = |is_normal: bool| {
        let all = conditions.iter().map(|at| &set.conditions[*at]);
        let mut own = all.filter(move |own| own.normal == is_normal);
        own.next().map(|own| own.name.as_str())
    };
    let (normal, other) = names(true).zip(names(false))?;
    Some(format!(
        "`{normal}` says that an image shows no other condition, and `{other}` is one; remove one of the two"
    ))
}
