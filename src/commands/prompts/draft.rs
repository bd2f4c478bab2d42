//! `prompts draft`: phrases of a language model become a prompt set.

mod saving;

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::super::ask::is_interactive;
use super::super::progress::ProgressLine;
use super::super::{CommandSetup, Fault, exit, language_model, print};
use crate::cli::DraftArgs;
use crate::config::Folders;
use crate::engine::phrases;
use crate::llm::{Client, DraftRequest, LlmError};
use crate::prompts::draft::{DraftModality, DraftedPhrases, is_normal_name, names_in};
use crate::prompts::{Change, Condition, PromptSet, Prompts, difference};
use saving::Target;

/// The healthy condition that is added where none is named: without one, a healthy image gets the label of a disease.
const NORMAL: &str = "normal";

/// What is printed with `--json`.
#[derive(Serialize)]
struct DraftReport<'a> {
    name: &'a str,
    /// The file that was written.
    file: String,
    model: &'a str,
    url: &'a str,
    /// The request as it was sent first.
    request: &'a Value,
    conditions: Vec<ConditionReport<'a>>,
    left_out: Vec<LeftOutPhrase<'a>>,
}

#[derive(Serialize)]
struct ConditionReport<'a> {
    name: &'a str,
    description: &'a str,
    phrases: &'a [String],
    absent: &'a [String],
    normal: bool,
}

#[derive(Serialize)]
struct LeftOutPhrase<'a> {
    condition: &'a str,
    phrase: &'a str,
    reason: String,
}

/// What is drafted.
struct DraftPlan {
    base: Option<PromptSet>,
    modality: DraftModality,
    request: DraftRequest,
    target: Target,
}

/// Drafts a set; returns the exit code.
pub(super) fn run(arguments: &DraftArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let plan = DraftPlan::new(arguments, setup)?;
    let client = Client::new(setup.llm.endpoint().map_err(Fault::usage)?);
    let chat = plan.request.chat();
    if !language_model::confirm_sending(&client, &chat, arguments.yes)? {
        print::message("nothing was sent");
        return Ok(exit::OK);
    }
    let conditions = match language_model::ask(&client, &chat, |text| plan.request.read(text)) {
        Err(LlmError::Interrupted) => {
            print::message("interrupted; nothing was saved");
            return Ok(exit::INTERRUPTED);
        }
        answer => answer.map_err(Fault::unusable)?,
    };
    let draft = linted(DraftedPhrases::new(conditions), &plan, setup);
    let set = draft.to_set(&plan.target.name, &plan.modality, plan.base.as_ref());
    let known = plan.target.existing.as_ref().or(plan.base.as_ref());
    show(&draft, known, &set, arguments.json)?;
    let text = set.to_toml(&plan.request.provenance(client.endpoint(), &draft));
    let edits = is_interactive() && !arguments.no_edit;
    let Some(saved) = plan.target.save(&text, edits, arguments.yes)? else {
        print::message("nothing was saved");
        return Ok(exit::OK);
    };
    if arguments.json {
        print::json(&report(
            &saved,
            &draft,
            &client,
            &chat.body(client.endpoint().model()),
        ))?;
    } else {
        let file = super::super::shown(&plan.target.file);
        print::line(format_args!("saved: {file}"))?;
        let how = if plan.target.is_named {
            &plan.target.name
        } else {
            &file
        };
        print::message(format_args!(
            "use it with --prompts {how}; `prompts compare` shows whether it is better than another set"
        ));
    }
    Ok(exit::OK)
}

impl DraftPlan {
    fn new(arguments: &DraftArgs, setup: &CommandSetup) -> Result<Self, Fault> {
        let folder = setup.folders.as_ref().map(Folders::prompts);
        let base = match &arguments.set {
            Some(name) => {
                let prompts = Prompts::select(name, folder.as_deref()).map_err(Fault::unusable)?;
                let [set] = prompts.sets() else {
                    return Err(Fault::usage("--set needs one prompt set, not `auto`"));
                };
                Some(set.clone())
            }
            None => None,
        };
        let codes = base.as_ref().map(|set| set.modalities.join(","));
        let modality = arguments.modality.clone().or(codes).unwrap_or_default();
        let modality = DraftModality::parse(&modality);
        let (conditions, normal) = conditions(&arguments.conditions, base.as_ref());
        let request = DraftRequest::new(&conditions, normal.as_deref(), &modality.words);
        let request = request.map_err(Fault::usage)?;
        let target = Target::new(arguments, base.as_ref(), folder, request.conditions())?;
        Ok(Self {
            base,
            modality,
            request,
            target,
        })
    }
}

/// The conditions to draft phrases for, and the healthy one among them.
fn conditions(named: &[String], base: Option<&PromptSet>) -> (Vec<String>, Option<String>) {
    let known: &[Condition] = base.map_or(&[], |set| &set.conditions);
    let normal = known.iter().find(|condition| condition.normal);
    let normal = normal.map(|condition| condition.name.clone());
    if !named.is_empty() || base.is_none() {
        let mut all = base.map_or_else(|| named.to_vec(), |base| names_in(base, named));
        let has_normal = normal.is_some() || all.iter().any(|name| is_normal_name(name));
        if !has_normal && !all.is_empty() {
            all.push(NORMAL.to_owned());
        }
        return (all, normal);
    }
    // What stands for everything else has no findings of its own.
    let all = known.iter().filter(|condition| !condition.other);
    (
        all.map(|condition| condition.name.clone()).collect(),
        normal,
    )
}

/// Leaves out what the model in use cannot read or tell apart; without one, says so.
fn linted(mut draft: DraftedPhrases, plan: &DraftPlan, setup: &CommandSetup) -> DraftedPhrases {
    let set = draft.to_set(&plan.target.name, &plan.modality, plan.base.as_ref());
    let progress = ProgressLine::new();
    progress.spin("comparing the phrases");
    let before = draft.clone();
    let opened = setup.source.open(setup.options(None));
    let done = opened.and_then(|mut encoder| phrases::lint(&mut draft, &set, encoder.as_mut()));
    progress.end();
    if let Err(error) = done {
        print::message(format_args!(
            "warning: the phrases were not compared by a model, because {error}"
        ));
        return before;
    }
    draft
}

/// Shows the draft beside what there was.
fn show(
    draft: &DraftedPhrases,
    known: Option<&PromptSet>,
    set: &PromptSet,
    quietly: bool,
) -> Result<(), Fault> {
    for left in &draft.left_out {
        print::message(format_args!(
            "left out of {}: “{}”: {}",
            left.condition, left.phrase, left.fault
        ));
    }
    for name in draft.without_phrases() {
        print::message(format_args!(
            "warning: nothing but the name is left for {name}; add phrases of your own"
        ));
    }
    if quietly {
        return Ok(());
    }
    for (change, line) in difference(known, set) {
        let mark = match change {
            Change::Heading => "",
            Change::Same => "    ",
            Change::Removed => "  - ",
            Change::Added => "  + ",
        };
        print::line(format_args!("{mark}{line}"))?;
    }
    Ok(())
}

fn report<'a>(
    saved: &'a PromptSet,
    draft: &'a DraftedPhrases,
    client: &'a Client,
    request: &'a Value,
) -> DraftReport<'a> {
    let conditions = saved.conditions.iter().map(|condition| ConditionReport {
        name: &condition.name,
        description: &condition.description,
        phrases: &condition.phrases,
        absent: &condition.absent,
        normal: condition.normal,
    });
    let left_out = draft.left_out.iter().map(|left| LeftOutPhrase {
        condition: &left.condition,
        phrase: &left.phrase,
        reason: left.fault.to_string(),
    });
    DraftReport {
        name: &saved.name,
        file: saved
            .file
            .as_deref()
            .map(super::super::shown)
            .unwrap_or_default(),
        model: client.endpoint().model(),
        url: client.endpoint().url(),
        request,
        conditions: conditions.collect(),
        left_out: left_out.collect(),
    }
}

/// The name of a set in the folder of the user's sets, if that is where a file is.
fn folder_of(folder: Option<PathBuf>) -> Result<PathBuf, Fault> {
    folder.ok_or_else(|| {
        Fault::usage("there is no home folder for prompt sets; name a file with --out")
    })
}
