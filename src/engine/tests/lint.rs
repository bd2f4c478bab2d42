//! Phrases of a draft, looked at by the engine's model from another thread.

use super::*;
use crate::prompts::draft::{DraftedPhrases, PhraseFault};
use crate::prompts::{Condition, PromptSet};

const WARD: &str = r#"
name = "ward"
[[condition]]
name = "haze"
phrases = ["haze"]
[[condition]]
name = "clear"
phrases = ["clear lungs"]
normal = true
"#;

pub(super) fn drafted() -> (DraftedPhrases, PromptSet) {
    let set = PromptSet::parse(WARD, "ward.toml").unwrap();
    let haze = Condition {
        phrases: vec!["a veil".to_owned(), "patchy clouding".to_owned()],
        ..set.conditions[0].clone()
    };
    (DraftedPhrases::new(vec![haze]), set)
}

#[test]
fn phrases_that_are_the_same_to_the_model_in_use_are_left_out() {
    let test = start(Behaviour::Answer, false, settings());
    let (draft, set) = drafted();
    let linted = test.engine.linter().lint(draft, set, || false).unwrap();
    // The fake model encodes all texts alike. The condition's name stays.
    assert_eq!(linted.conditions[0].phrases, ["haze", "a veil"]);
    let left = &linted.left_out[0];
    assert_eq!(left.phrase, "patchy clouding");
    assert!(
        matches!(left.fault, PhraseFault::Similar { .. }),
        "{left:?}"
    );
}

#[test]
fn without_a_model_or_when_it_is_stopped_the_asking_thread_goes_on() {
    let failing: Factory = Box::new(|| Err(EncoderError::Device("none".into())));
    let engine = Engine::start(failing, settings(), Arc::new(|_| {}));
    let (draft, set) = drafted();
    let failed = engine.linter().lint(draft, set, || false);
    assert_eq!(failed, Err("there is no model".to_owned()));
    let (hold, go) = unbounded::<()>();
    let slow: Factory = Box::new(move || {
        let _ = go.recv();
        Err(EncoderError::Device("none".into()))
    });
    let engine = Engine::start(slow, settings(), Arc::new(|_| {}));
    let (draft, set) = drafted();
    let stopped = engine.linter().lint(draft, set, || true);
    assert_eq!(stopped, Err("it was stopped".to_owned()));
    drop(hold);
}
