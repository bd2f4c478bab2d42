//! The application state, and how each message changes it. Pure and synchronous: time, files, images and results arrive as
//! [`Msg`], and every action outside the state is returned as an [`Effect`].
//!
//! Components own their state and know nothing of those that use them: browser, study browser, viewer, grid, comparison,
//! activity log, tags, pickers and popups. A component returns requests for what is outside its own state. The [`Model`] holds
//! all components, decides by one [`InputMode`] which of them receives a key, and carries out requests.

pub(crate) mod activity;
pub(crate) mod agreement;
pub(crate) mod browser;
pub(crate) mod compare;
pub(crate) mod contact_sheet;
mod context;
pub(crate) mod drafting;
pub mod effect;
pub mod entry;
pub(crate) mod environment;
mod failures;
pub(crate) mod filter;
mod folder_state;
pub(crate) mod grid;
mod group_path;
mod heat_map;
pub mod keys;
mod label_changes;
pub(crate) mod learning;
pub(crate) mod line;
pub mod measurement;
pub mod mix;
pub(crate) mod mode;
pub(crate) mod model;
pub(crate) mod models;
pub mod msg;
pub(crate) mod neighbours;
mod places;
pub(crate) mod popup;
pub mod preview;
pub(crate) mod prompt_sets;
mod recall;
mod related;
mod request;
pub(crate) mod result_panel;
pub(crate) mod results;
pub(crate) mod review_keys;
pub(crate) mod screen;
pub mod sort;
pub(crate) mod status;
pub(crate) mod studies;
pub(crate) mod tags;
pub mod text;
pub(crate) mod tiles;
mod transfers;
pub(crate) mod urgency;
pub mod viewer;

pub use crate::config::Theme;
pub use agreement::{category, claimed_category};

pub use effect::Effect;
pub use entry::{Entry, EntryKind, FoundFile, Stamp};
pub use filter::Filter;
pub use folder_state::{FileName, FolderState, ListOptions, ScreenLayout};
pub use keys::{Action, Keymap, KeymapError};
pub use learning::LearnSubject;
pub use measurement::{Measurement, MeasurementId};
pub use mode::InputMode;
pub use model::{Model, ReviewSetup, Setup};
pub use models::OfferedModel;
pub use msg::{Msg, Severity};
pub use places::{PlaceChange, Places, SavedView};
pub use popup::{DraftedSet, LanguageModel, UnsavedDraft};
pub use preview::{
    Decorations, EncodedImage, Graphics, ImageView, MarkedFigure, OverlaidObjects, OverlayText,
    PixelValue, Preview, PreviewKey, Previewed, Quality, Reformat, RelatedContent, Scene,
    SeriesStack, VolumePart, VolumeProgress, VolumeView,
};
pub use prompt_sets::NamedPromptSet;

/// The first model and the first effects: the folder is listed (unless the worklist is shown first), searched for images and
/// watched.
pub fn init(setup: Setup) -> (Model, Vec<Effect>) {
    let worklist = setup.worklist;
    let mut model = Model::new(setup);
    if worklist {
        model.open_worklist();
        let mut effects = model.start_watch();
        effects.push(Effect::Places(None));
        return (model, effects);
    }
    model.announce_filter();
    let mut effects = vec![Effect::List {
        dir: model.folder().dir().to_owned(),
        generation: model.folder().generation(),
    }];
    effects.extend(model.start_watch());
    effects.push(Effect::Places(None));
    (model, effects)
}

/// Applies a message. Returns the resulting effects, in order.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    model.update(msg)
}
