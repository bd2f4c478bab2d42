//! What related objects are called. Texts that may tell who the patient is are masked unless shown.

use super::Item;
use crate::app::keys::Action;
use crate::app::model::Model;
use crate::app::picker::Choice;
use crate::app::tags::MASK;
use crate::app::text::{safe, safe_str};
use crate::media::{Legend, RelatedKind, Wording};

/// A text, or its mask.
fn shown(wording: &Wording, show_phi: bool) -> String {
    if wording.identifying && !show_phi && !wording.text.is_empty() {
        MASK.to_owned()
    } else {
        safe_str(&wording.text)
    }
}

/// What a kind of object is called.
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

impl Model {
    /// `1 liver`: the number and the name of a segment or region.
    pub(crate) fn legend_words(&self, entry: &Legend) -> String {
        let name = shown(&entry.name, self.switches.show_phi);
        format!("{} {name}", entry.number).trim_end().to_owned()
    }

    /// A row of the list, and what is said of it.
    pub(super) fn related_choice(&self, item: &Item) -> Choice {
        let object = &item.object;
        let show_phi = self.switches.show_phi;
        let label = shown(&object.label, show_phi);
        let on = self.related.is_on(&item.file.path);
        let counted = object.parts.map(|count| parts(object.kind, count));
        let date = match (object.date.as_str(), show_phi) {
            ("", _) => String::new(),
            (_, false) => MASK.to_owned(),
            (date, true) => crate::app::shelf::date(date),
        };
        let beside = counted
            .into_iter()
            .chain(Some(date).filter(|date| !date.is_empty()));
        let description = shown(&object.description, show_phi);
        let file = item.file.path.file_name().map_or_else(String::new, safe);
        let mut about = vec![description, file];
        about.retain(|text| !text.is_empty());
        about.push(self.related_advice(object.kind, on));
        Choice {
            name: format!("{} {label}", kind(object.kind))
                .trim_end()
                .to_owned(),
            beside: beside.collect::<Vec<_>>().join(" · "),
            about,
            fault: self.remark_on(item).map(safe_str),
            current: on,
        }
    }

    fn related_advice(&self, kind: RelatedKind, on: bool) -> String {
        let switch = if on { "off" } else { "on" };
        let mut advice = format!("Enter switches it {switch}.");
        if kind == RelatedKind::Segmentation {
            let keys = [Action::ZoomIn, Action::ZoomOut].map(|action| self.keymap.key(action));
            let keys: Vec<String> = keys.into_iter().flatten().collect();
            let opacity = self.related.opacity;
            advice = format!(
                "{advice} {} change its opacity: {opacity} %.",
                keys.join(" ")
            );
        }
        advice
    }

    /// Why an object that is on is not drawn on the picture shown.
    fn remark_on(&self, item: &Item) -> Option<&str> {
        let about = &self.viewer.known.as_ref()?.scene.about;
        let found = about
            .remarks
            .iter()
            .find(|(path, _)| *path == item.file.path);
        found.map(|(_, remark)| remark.as_str())
    }
}
