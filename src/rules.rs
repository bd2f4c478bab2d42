//! Rules on images and their results: which prompt set an image is scored by, and what happens when a result is there.

mod expression;
mod tokens;

pub use expression::Expression;

use std::ops::Range;

use toml::Spanned;

use crate::config::{Config, ConfigError, RuleSettings};
use crate::prompts::{ImageCriteria, ImageTraits};
use crate::scoring::Verdict;

/// A value of a rule, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedText {
    /// The value.
    pub text: String,
    /// The place, without a reason.
    place: ConfigError,
}

impl PlacedText {
    /// The error about the value; it names file, line and rule.
    pub fn fault(&self, reason: impl std::fmt::Display) -> ConfigError {
        ConfigError {
            reason: format!("{}: {reason}", self.place.reason),
            ..self.place.clone()
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The images that it is for.
    pub criteria: ImageCriteria,
    /// Name or file of the prompt set for these images.
    pub prompts: Option<PlacedText>,
    /// The results that it is for; `None` for all.
    pub when: Option<Expression>,
    /// Command to run for each of these results.
    pub exec: Option<PlacedText>,
    /// Whether the interface rings the bell for each of these results.
    pub bell: bool,
}

impl Rule {
    fn applies(&self, image: ImageTraits, verdict: &Verdict) -> bool {
        self.criteria.admit(image) && self.when.as_ref().is_none_or(|when| when.holds(verdict))
    }
}

/// What a rule demands when a result is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction<'a> {
    /// Run a command.
    Exec(&'a str),
    /// Ring the bell of the terminal.
    Bell,
}

/// The rules of the settings file, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Checks the rules of a settings file.
    ///
    /// # Errors
    ///
    /// Names the line and the rule, and says what is wrong with it.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let rules = config.rule.iter().enumerate();
        let rules = rules.map(|(at, settings)| {
            let title = title(settings.get_ref(), at);
            let fault = |place: Range<usize>, reason| config.fault(Some(place), reason);
            let placed = |value: &Spanned<String>| PlacedText {
                text: value.get_ref().clone(),
                place: fault(value.span(), title.clone()),
            };
            rule(settings.get_ref(), settings.span(), placed)
                .map_err(|(place, reason)| fault(place, format!("{title}: {reason}")))
        });
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }

    /// All rules.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// What the rules demand for a result: the commands of all rules that apply, in their order, and the bell once.
    pub fn actions(&self, image: ImageTraits, verdict: &Verdict) -> Vec<RuleAction<'_>> {
        let applying = || self.0.iter().filter(|rule| rule.applies(image, verdict));
        let commands = applying().filter_map(|rule| rule.exec.as_ref());
        let bell = applying().any(|rule| rule.bell).then_some(RuleAction::Bell);
        commands
            .map(|command| RuleAction::Exec(&command.text))
            .chain(bell)
            .collect()
    }
}

/// What messages call a rule: by its name, else by its position.
fn title(settings: &RuleSettings, at: usize) -> String {
    match settings.name.as_deref().map(str::trim) {
        Some(name) if !name.is_empty() => format!("rule `{name}`"),
        _ => format!("rule {}", at + 1),
    }
}

/// Checks a rule at a place in the file; an error has the place where it is.
fn rule(
    settings: &RuleSettings,
    place: Range<usize>,
    placed: impl Fn(&Spanned<String>) -> PlacedText,
) -> Result<Rule, (Range<usize>, String)> {
    let criteria = ImageCriteria {
        modality: list("modality", settings.modality.as_ref())?,
        body_part: list("body_part", settings.body_part.as_ref())?,
        station: list("station", settings.station.as_ref())?,
    };
    if let Some(name) = &settings.prompts {
        let reason = match name.get_ref().trim() {
            "" => Some("`prompts` is empty"),
            "auto" => Some("`auto` chooses among all sets; name the set for these images"),
            _ => None,
        };
        if let Some(reason) = reason {
            return Err((name.span(), reason.to_owned()));
        }
    }
    let exec = settings.exec.as_ref();
    if let Some(exec) = exec.filter(|exec| exec.get_ref().trim().is_empty()) {
        return Err((exec.span(), "`exec` has no words".to_owned()));
    }
    let when = settings.when.as_ref().map(|when| {
        let wrong = |reason| (when.span(), format!("when: {reason}"));
        Expression::parse(when.get_ref()).map_err(wrong)
    });
    let has_action = exec.is_some() || settings.bell;
    if let Some(when) = settings.when.as_ref().filter(|_| !has_action) {
        let reason = "`when` decides on `exec` and `bell`, and the rule has neither";
        return Err((when.span(), reason.to_owned()));
    }
    if settings.prompts.is_none() && !has_action {
        let reason = "it does nothing; give it `prompts`, `exec` or `bell = true`";
        return Err((place, reason.to_owned()));
    }
    Ok(Rule {
        criteria,
        prompts: settings.prompts.as_ref().map(&placed),
        when: when.transpose()?,
        exec: exec.map(&placed),
        bell: settings.bell,
    })
}

fn list(
    key: &str,
    values: Option<&Spanned<Vec<String>>>,
) -> Result<Vec<String>, (Range<usize>, String)> {
    let Some(values) = values else {
        return Ok(Vec::new());
    };
    if values
        .get_ref()
        .iter()
        .any(|value| !value.trim().is_empty())
    {
        return Ok(values.get_ref().clone());
    }
    let reason = format!("`{key}` is empty; leave it out to admit all images");
    Err((values.span(), reason))
}

#[cfg(test)]
#[path = "rules/tests.rs"]
mod tests;
