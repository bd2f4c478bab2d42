//! `prompts`: which sets there are, and whether they are right.

use super::{Fault, Setup, exit};
use crate::cli::PromptsAction;
use crate::config::Folders;
use crate::prompts::{self, PromptSet, Prompts};

/// Lists or checks; the exit code.
pub fn run(action: &PromptsAction, setup: &Setup) -> Result<u8, Fault> {
    let folder = setup.folders.as_ref().map(Folders::prompts);
    match action {
        PromptsAction::List => {
            for set in prompts::all(folder.as_deref()).map_err(Fault::unusable)? {
                println!("{:<14} {}", set.name, describe(&set));
            }
            Ok(exit::OK)
        }
        PromptsAction::Check { sets } => {
            let results: Vec<_> = if sets.is_empty() {
                let all = prompts::all(folder.as_deref());
                all.map_or_else(
                    |error| vec![Err(error)],
                    |sets| sets.into_iter().map(Ok).collect(),
                )
            } else {
                let one = |name: &String| Prompts::select(name, folder.as_deref());
                sets.iter()
                    .map(|name| one(name).map(|prompts| prompts.sets()[0].clone()))
                    .collect()
            };
            let mut code = exit::OK;
            for result in results {
                match result {
                    Ok(set) => {
                        println!("{}: ok, {}", origin(&set), describe(&set));
                        let lacking = set.without_absent();
                        if !lacking.is_empty() {
                            println!(
                                "  not for --mode multi: no `absent` phrases for {}",
                                lacking.join(", ")
                            );
                        }
                    }
                    Err(error) => {
                        eprintln!("{error}");
                        code = exit::UNUSABLE;
                    }
                }
            }
            Ok(code)
        }
    }
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
