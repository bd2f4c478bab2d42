//! The list of related objects. Texts that may identify the patient are masked unless shown.

use super::{ObjectFile, RelatedObjects};
use crate::app::environment::Environment;
use crate::app::keys::Action;
use crate::app::popup::Choice;
use crate::app::studies::date;
use crate::app::text::{MASK, safe, safe_str};
use crate::app::viewer::Viewer;
use crate::media::{Legend, RelatedKind, Wording};

/// A text, or its mask.
fn shown(wording: &Wording, show_phi: bool) -> String {
    if wording.identifying && !show_phi && !wording.text.is_empty() {
        MASK.to_owned()
    } else {
        safe_str(&wording.text)
    }
}

/// The name of a kind of object.
fn kind(kind: RelatedKind) -> &'static str {
    match kind {
        RelatedKind::Presentation => "presentation state",
        RelatedKind::Segmentation => "segmentation",
        RelatedKind::Structures => "structure set",
    }
}

/// `3 segments`.
fn parts(kind: RelatedKind, count: u32) -> String {
    let what = match kind {
        RelatedKind::Structures => "region",
        _ => "segment",
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// `1 liver`: the number and the name of a segment or region.
pub(in crate::app) fn legend_words(entry: &Legend, env: &Environment) -> String {
    let name = shown(&entry.name, env.show_phi);
    format!("{} {name}", entry.number).trim_end().to_owned()
}

impl RelatedObjects {
    /// The objects related to the image shown; `None` while the search has found none yet.
    pub(in crate::app) fn choices(
        &self,
        viewer: &Viewer,
        env: &Environment,
    ) -> Option<Vec<Choice>> {
        let about = self.about(viewer).into_iter();
        let choices: Vec<Choice> = about.map(|found| self.choice(found, viewer, env)).collect();
        (!choices.is_empty() || self.search.is_none()).then_some(choices)
    }

    fn choice(&self, found: &ObjectFile, viewer: &Viewer, env: &Environment) -> Choice {
        let object = &found.object;
        let label = shown(&object.label, env.show_phi);
        let on = self.is_on(&found.file.path);
        let counted = object.parts.map(|count| parts(object.kind, count));
        let date = match (object.date.as_str(), env.show_phi) {
            ("", _) => String::new(),
            (_, false) => MASK.to_owned(),
            (written, true) => date(written),
        };
        let beside = counted
            .into_iter()
            .chain(Some(date).filter(|date| !date.is_empty()));
        let description = shown(&object.description, env.show_phi);
        let file = found.file.path.file_name().map_or_else(String::new, safe);
        let mut about = vec![description, file];
        about.retain(|text| !text.is_empty());
        about.push(self.advice(object.kind, on, env));
        Choice {
            name: format!("{} {label}", kind(object.kind))
                .trim_end()
                .to_owned(),
            beside: beside.collect::<Vec<_>>().join(" · "),
            about,
            fault: remark_on(found, viewer).map(safe_str),
            current: on,
        }
    }

    fn advice(&self, kind: RelatedKind, on: bool, env: &Environment) -> String {
        let switch = if on { "off" } else { "on" };
        let mut advice = format!("Enter switches it {switch}.");
        if kind == RelatedKind::Segmentation {
            let keys = [Action::ZoomIn, Action::ZoomOut].map(|action| env.keymap.key(action));
            let keys: Vec<String> = keys.into_iter().flatten().collect();
            let opacity = self.opacity;
            advice = format!(
                "{advice} {} change its opacity: {opacity} %.",
                keys.join(" ")
            );
        }
        advice
    }
}

/// Why an object that is on is not drawn on the image shown.
fn remark_on<'a>(found: &ObjectFile, viewer: &'a Viewer) -> Option<&'a str> {
    let about = &viewer.image()?.scene.about;
    let mut remarks = about.remarks.iter();
    let remark = remarks.find(|(path, _)| *path == found.file.path);
    remark.map(|(_, remark)| remark.as_str())
}
