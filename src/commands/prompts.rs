//! `prompts`: lists, checks, drafts and compares prompt sets.

mod compare;
mod draft;

use super::{CommandSetup, Fault, exit, print};
use crate::cli::PromptsAction;
use crate::config::Folders;
use crate::encoder::Encoder;
use crate::engine::phrases;
use crate::media::{clean, padded};
use crate::prompts::draft::{self as drafts, DraftedPhrases, LeftOut, PhraseFault};
use crate::prompts::{self, PromptError, PromptSet, Prompts};

/// Width of the column of names, in terminal cells.
const NAME_CELLS: usize = 14;

/// Lists or checks; returns the exit code. With `with_model`, sets are also checked against the model.
pub fn run(action: &PromptsAction, setup: &CommandSetup, with_model: bool) -> Result<u8, Fault> {
    let folder = setup.folders.as_ref().map(Folders::prompts);
    match action {
        PromptsAction::Draft(arguments) => draft::run(arguments, setup),
        PromptsAction::Compare(arguments) => compare::run(arguments, setup),
        PromptsAction::List => list(prompts::all_named(folder.as_deref())),
        PromptsAction::Check { sets } => {
            let mut encoder = with_model
                .then(|| setup.source.open(setup.options(None)))
                .transpose()
                .map_err(Fault::unusable)?;
            let results: Vec<_> = if sets.is_empty() {
                let each = prompts::all_named(folder.as_deref()).into_iter();
                each.map(|(_, set)| set).collect()
            } else {
                let one = |name: &String| Prompts::select(name, folder.as_deref());
                sets.iter()
                    .map(|name| one(name).map(|prompts| prompts.sets()[0].clone()))
                    .collect()
            };
            let code = check(&results, &mut encoder)?;
            let broken = setup.rule_sets().filter_map(|(_, set)| set.err());
            // Sets without a rule have been checked above.
            let broken: Vec<Fault> = broken.filter(|_| sets.is_empty()).collect();
            broken.iter().for_each(print::message);
            Ok(broken.first().map_or(code, |fault| fault.code))
        }
    }
}

fn list(sets: Vec<(String, Result<PromptSet, PromptError>)>) -> Result<u8, Fault> {
    let mut code = exit::OK;
    for (name, set) in sets {
        match set {
            Ok(set) => print::line(listed(&name, &set))?,
            Err(error) => {
                let name = padded(&name, NAME_CELLS);
                print::line(format_args!("{name} cannot be used"))?;
                print::message(error);
                code = exit::SOME_FAILED;
            }
        }
    }
    Ok(code)
}

/// A set's line: the name by which `--prompts` finds it, and where results have another one, that.
fn listed(name: &str, set: &PromptSet) -> String {
    let other = if name == set.name {
        String::new()
    } else {
        format!(" (results name it {})", set.name)
    };
    format!("{} {}{other}", padded(name, NAME_CELLS), describe(set))
}

fn check(
    results: &[Result<PromptSet, PromptError>],
    encoder: &mut Option<Box<dyn Encoder>>,
) -> Result<u8, Fault> {
    let mut code = exit::OK;
    for result in results {
        match result {
            Ok(set) => {
                print::line(format_args!("{}: ok, {}", origin(set), describe(set)))?;
                let lacking = set.without_absent();
                if !lacking.is_empty() {
                    print::line(format_args!(
                        "  not usable with --mode multi: no `absent` phrases for {}",
                        lacking.join(", ")
                    ))?;
                }
                for warning in warnings(set, encoder)? {
                    print::message(format_args!("warning: {}", clean(&warning)));
                }
            }
            Err(error) => {
                error.all().for_each(print::message);
                code = exit::UNUSABLE;
            }
        }
    }
    Ok(code)
}

/// What a set has that a draft would leave out, and with a model what that does not understand or tell apart; one sentence each.
fn warnings(set: &PromptSet, encoder: &mut Option<Box<dyn Encoder>>) -> Result<Vec<String>, Fault> {
    // Those that are built in were measured as they are.
    let mut faults = if set.file.is_some() {
        drafts::faults(set)
    } else {
        Vec::new()
    };
    let mut warnings = Vec::new();
    if let Some(encoder) = encoder {
        let encoder = encoder.as_mut();
        warnings = phrases::warnings(set, encoder);
        let mut compared = DraftedPhrases {
            conditions: set.conditions.clone(),
            left_out: Vec::new(),
        };
        let done = phrases::lint(&mut compared, set, encoder);
        done.map_err(Fault::unusable)?;
        // Those that are not read in full are among the warnings, with what is not read.
        let is_new = |left: &LeftOut| !matches!(left.fault, PhraseFault::CutOff(_));
        faults.extend(compared.left_out.into_iter().filter(is_new));
    }
    let words = faults.into_iter().map(|left| {
        let (name, condition) = (&set.name, &left.condition);
        format!(
            "prompt set `{name}`, condition `{condition}`: “{}”: {}",
            left.phrase, left.fault
        )
    });
    warnings.extend(words);
    Ok(warnings)
}

fn origin(set: &PromptSet) -> String {
    set.file.as_ref().map_or_else(
        || format!("{} (built in)", set.name),
        |file| file.display().to_string(),
    )
}

fn describe(set: &PromptSet) -> String {
    let conditions: Vec<_> = set
        .conditions
        .iter()
        .map(|condition| condition.name.as_str())
        .collect();
    let list = |items: &[String]| {
        if items.is_empty() {
            "any".into()
        } else {
            items.join("/")
        }
    };
    format!(
        "{}: {}; modality {}, body part {}",
        set.title,
        conditions.join(", "),
        list(&set.modalities),
        list(&set.body_parts)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_listed_under_the_name_by_which_it_is_found() {
        let set = Prompts::select("general", None).unwrap().sets()[0].clone();
        let line = listed("mine", &set);
        assert!(line.starts_with("mine ") && line.ends_with(" (results name it general)"));
        assert!(!listed("general", &set).contains("results name"));
    }
}
