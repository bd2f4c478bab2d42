//! The conditions of rules on results, such as `urgency > 0.9 and not label == "normal"`.
//!
//! ```text
//! either     = all { "or" all }
//! all        = negation { "and" negation }
//! negation   = "not" negation | "(" either ")" | comparison
//! comparison = operand ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) operand
//! ```
//!
//! One operand is a name, the other a number or a text in quotes. An expression is checked when it is parsed: evaluating it
//! cannot fail.

use super::tokens::{Operator, RuleToken, tokens};
use crate::config::{advice, similar};
use crate::scoring::{Decision, Verdict};

/// Maximum depth of parentheses and `not`.
const MAX_DEPTH: usize = 32;

/// What an expression knows of a result.
const NAMES: [&str; 4] = ["urgency", "probability", "label", "decision"];
/// The values of `decision`.
const DECISIONS: [&str; 3] = ["confident", "uncertain", "rejected"];

/// A condition on a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Either(Vec<Node>),
    All(Vec<Node>),
    Not(Box<Node>),
    Number(NumberName, Operator, f64),
    /// Whether the two are to be equal, ignoring case.
    Text(TextName, bool, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberName {
    Urgency,
    Probability,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextName {
    Label,
    Decision,
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and what may be meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
        };
        let node = parser.either(0)?;
        match parser.next() {
            None => Ok(Self(node)),
            Some(RuleToken::Operator(operator)) => Err(format!(
                "unexpected `{}`; join comparisons with `and` or `or`",
                operator.name()
            )),
            Some(other) => Err(format!(
                "unexpected {}; join comparisons with `and` or `or`",
                other.name()
            )),
        }
    }

    /// Whether the condition holds for a result. A rejected result has no label, probability or urgency, and a result without a
    /// normal condition no urgency: no comparison with them holds.
    pub fn holds(&self, verdict: &Verdict) -> bool {
        self.0.holds(verdict)
    }
}

impl Node {
    fn holds(&self, verdict: &Verdict) -> bool {
        let is_rejected = verdict.decision == Decision::Rejected;
        match self {
            Self::Either(nodes) => nodes.iter().any(|node| node.holds(verdict)),
            Self::All(nodes) => nodes.iter().all(|node| node.holds(verdict)),
            Self::Not(node) => !node.holds(verdict),
            Self::Number(name, operator, number) => {
                let value = match name {
                    NumberName::Urgency => verdict.urgency,
                    NumberName::Probability => Some(verdict.probability),
                };
                !is_rejected && value.is_some_and(|value| operator.holds(value, *number))
            }
            Self::Text(TextName::Label, equal, text) => {
                let label = verdict.claimed_label().unwrap_or_default();
                !is_rejected && is_alike(label, text) == *equal
            }
            Self::Text(TextName::Decision, equal, text) => {
                (decision_name(verdict.decision) == text) == *equal
            }
        }
    }
}

fn decision_name(decision: Decision) -> &'static str {
    match decision {
        Decision::Confident => DECISIONS[0],
        Decision::Uncertain => DECISIONS[1],
        Decision::Rejected => DECISIONS[2],
    }
}

/// Whether two texts are equal but for case.
fn is_alike(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

struct Parser {
    tokens: Vec<RuleToken>,
    at: usize,
}

impl Parser {
    fn next(&mut self) -> Option<RuleToken> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Whether the next token is this one; skips it if so.
    fn skip(&mut self, token: &RuleToken) -> bool {
        let is_next = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(is_next);
        is_next
    }

    fn either(&mut self, depth: usize) -> Result<Node, String> {
        let first = self.all(depth)?;
        let mut nodes = vec![first];
        while self.skip(&RuleToken::Or) {
            nodes.push(self.all(depth)?);
        }
        Ok(joined(nodes, Node::Either))
    }

    fn all(&mut self, depth: usize) -> Result<Node, String> {
        let first = self.negation(depth)?;
        let mut nodes = vec![first];
        while self.skip(&RuleToken::And) {
            nodes.push(self.negation(depth)?);
        }
        Ok(joined(nodes, Node::All))
    }

    fn negation(&mut self, depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(format!(
                "more than {MAX_DEPTH} levels of parentheses and `not`"
            ));
        }
        if self.skip(&RuleToken::Not) {
            return Ok(Node::Not(Box::new(self.negation(depth + 1)?)));
        }
        if self.skip(&RuleToken::Open) {
            let node = self.either(depth + 1)?;
            return if self.skip(&RuleToken::Close) {
                Ok(node)
            } else {
                Err("a parenthesis is not closed".to_owned())
            };
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Node, String> {
        let left = self.operand()?;
        let Some(RuleToken::Operator(operator)) = self.next() else {
            if let RuleToken::Word(word) = &left {
                checked_name(word)?;
            }
            let name = left.name();
            return Err(format!("{name} must be compared, as in `urgency > 0.9`"));
        };
        let right = self.operand()?;
        match (left, right) {
            (RuleToken::Word(name), value) => {
                checked_name(&name)?;
                compare(&name, operator, value)
            }
            (value, RuleToken::Word(name)) => {
                checked_name(&name)?;
                compare(&name, operator.mirrored(), value)
            }
            (left, right) => Err(format!(
                "{} and {} are both values; compare one of `{}`",
                left.name(),
                right.name(),
                NAMES.join("`, `")
            )),
        }
    }

    /// A name, a number or a text.
    fn operand(&mut self) -> Result<RuleToken, String> {
        match self.next() {
            Some(token @ (RuleToken::Word(_) | RuleToken::Number(_) | RuleToken::Text(_))) => {
                Ok(token)
            }
            Some(other) => Err(format!(
                "unexpected {}; a comparison such as `urgency > 0.9` is needed there",
                other.name()
            )),
            None => {
                Err("it ends too early; a comparison such as `urgency > 0.9` is needed".to_owned())
            }
        }
    }
}

/// The only node, or all of them joined.
fn joined(mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        last => {
            nodes.extend(last);
            join(nodes)
        }
    }
}

fn checked_name(name: &str) -> Result<(), String> {
    if NAMES.contains(&name) {
        Ok(())
    } else {
        Err(format!("unknown name `{name}`; {}", advice(name, NAMES)))
    }
}

/// Compares what `name` stands for with a value.
fn compare(name: &str, operator: Operator, value: RuleToken) -> Result<Node, String> {
    let number_name = match name {
        "urgency" => NumberName::Urgency,
        "probability" => NumberName::Probability,
        _ => return compare_text(name, operator, value),
    };
    match value {
        RuleToken::Number(number) if (0.0..=1.0).contains(&number) => {
            Ok(Node::Number(number_name, operator, number))
        }
        RuleToken::Number(number) => Err(format!(
            "{name} is between 0 and 1, and never near {number}; for 90 % write 0.9"
        )),
        other => Err(format!(
            "{name} is a number, and cannot be compared with {}",
            other.name()
        )),
    }
}

fn compare_text(name: &str, operator: Operator, value: RuleToken) -> Result<Node, String> {
    let equal = match operator {
        Operator::Equal => true,
        Operator::Unequal => false,
        other => {
            let other = other.name();
            return Err(format!(
                "{name} is a text, which `{other}` cannot compare; use `==` or `!=`"
            ));
        }
    };
    let text = match value {
        RuleToken::Text(text) => text,
        RuleToken::Word(word) => {
            return Err(format!("the text `{word}` must be in quotes: '{word}'"));
        }
        other => {
            let other = other.name();
            return Err(format!(
                "{name} is a text, and cannot be compared with {other}"
            ));
        }
    };
    if name == "label" {
        return Ok(Node::Text(TextName::Label, equal, text));
    }
    let text = text.to_lowercase();
    if DECISIONS.contains(&text.as_str()) {
        Ok(Node::Text(TextName::Decision, equal, text))
    } else {
        let advice = match similar(&text, DECISIONS) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => format!("it is one of '{}'", DECISIONS.join("', '")),
        };
        Err(format!("decision is never '{text}'; {advice}"))
    }
}

#[cfg(test)]
#[path = "expression/tests.rs"]
mod tests;
