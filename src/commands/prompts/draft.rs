//! `prompts draft`: phrases of a language model become a prompt set.

mod saving;

use std::io;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::super::ask::is_interactive;
use super::super::progress::ProgressLine;
use super::super::{CommandSetup, Fault, exit, language_model, print};
use crate::cli::DraftArgs;
use crate::config::Folders;
use crate::engine::phrases;
use crate::llm::{Client, Dialect, DraftRequest, LlmError};
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
    let answer = match language_model::ask(&client, &chat, |text| plan.request.read(text)) {
        Err(LlmError::Interrupted) => {
            print::message("interrupted; nothing was saved");
            return Ok(exit::INTERRUPTED);
        }
        answer => answer.map_err(Fault::unusable)?,
    };
    let sent = answer.sent;
    let drafted = DraftedPhrases::new(answer.content);
    // On disk before anything else can fail: printing, a signal, the model that compares the phrases.
    let text = plan.text(&drafted, &client, sent);
    let kept = plan.target.keep(&text);
    // Where no file can be written, it is at least on screen.
    let kept = kept.inspect_err(|_| drop(print::try_lines(&text)))?;
    let draft = linted(drafted, &plan, setup);
    let set = plan.set(&draft);
    let known = plan.target.existing.as_ref().or(plan.base.as_ref());
    let printed = show(&draft, known, &set, arguments.json);
    let text = plan.text(&draft, &client, sent);
    let edits = is_interactive() && !arguments.no_edit;
    let saved = plan.target.save((kept, &text), edits, arguments.yes)?;
    let Some(saved) = saved else {
        print::message("nothing was saved");
        printed.or_else(print::closed_pipe)?;
        return Ok(exit::OK);
    };
    let printed = printed.and_then(|()| {
        if arguments.json {
            let request = chat.body(client.endpoint().model());
            print::try_json(&report(&saved, &draft, &client, &request))
        } else {
            plan.target.tell_saved()
        }
    });
    plan.target.end(printed)
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
        let plan = Self {
            base,
            modality,
            request,
            target,
        };
        plan.check()?;
        Ok(plan)
    }

    /// The set with these phrases.
    fn set(&self, draft: &DraftedPhrases) -> PromptSet {
        draft.to_set(&self.target.name, &self.modality, self.base.as_ref())
    }

    /// The text of its file.
    fn text(&self, draft: &DraftedPhrases, client: &Client, sent: Dialect) -> String {
        let provenance = self.request.provenance(client.endpoint(), sent, draft);
        self.set(draft).to_toml(&provenance)
    }

    /// Whether a set could come of it, whatever is answered: that is said before anything is sent.
    fn check(&self) -> Result<(), Fault> {
        if self.modality.words.contains(['{', '}']) {
            return Err(Fault::usage(format!(
                "--modality: `{}` contains a brace, which marks the place of a phrase; leave it out",
                crate::media::clean(&self.modality.words)
            )));
        }
        if self.base.is_none() && self.request.conditions().len() < 2 {
            return Err(Fault::usage(
                "a prompt set tells conditions apart; name at least one beside the healthy one",
            ));
        }
        Ok(())
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
    let set = plan.set(&draft);
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

/// Shows the draft beside what there was. That it cannot be printed is no reason to lose it.
fn show(
    draft: &DraftedPhrases,
    known: Option<&PromptSet>,
    set: &PromptSet,
    quietly: bool,
) -> io::Result<()> {
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
    let mut text = String::new();
    for (change, line) in difference(known, set) {
        let mark = match change {
            Change::Heading => "",
            Change::Same => "    ",
            Change::Removed => "  - ",
            Change::Added => "  + ",
        };
        text.push_str(mark);
        text.push_str(&line);
        text.push('\n');
    }
    print::try_lines(&text)
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

/// The folder of the user's sets.
fn folder_of(folder: Option<PathBuf>) -> Result<PathBuf, Fault> {
    folder.ok_or_else(|| {
        Fault::usage("there is no home folder for prompt sets; name a file with --out")
    })
}
