//! Changing the prompts for files that are already classified.

use super::*;

const WARD: &str = r#"
name = "ward"
[[condition]]
name = "clear"
phrases = ["clear lungs"]
[[condition]]
name = "haze"
phrases = ["haze"]
"#;

impl TestEngine {
    /// Waits for the first event for which `wanted` returns a value.
    fn until<T>(&self, wanted: impl Fn(Event) -> Option<T>) -> T {
        let found = self.events.iter().find_map(wanted);
        found.expect("the event comes")
    }

    /// Classifies files, then changes the prompts and rescores; returns the results before and after.
    fn change_prompts(&self, paths: &[PathBuf]) -> (Vec<ClassifiedFile>, Vec<ClassifiedFile>) {
        for (generation, path) in (7..).zip(paths) {
            self.submit(path, Lane::Bulk, generation);
        }
        let mut before = Vec::new();
        while before.len() < paths.len() {
            before.push(self.until(|event| match event {
                Event::Done {
                    path,
                    generation,
                    outcomes,
                } => Some(ClassifiedFile {
                    path,
                    generation,
                    records: outcomes.into_iter().map(Result::unwrap).collect(),
                }),
                _ => None,
            }));
        }
        let set = crate::prompts::PromptSet::parse(WARD, "ward.toml").unwrap();
        self.engine.use_prompts(Prompts::only(set), Mode::Single, 1);
        let name = self.until(|event| match event {
            Event::Prompts { prompts, .. } => Some(prompts),
            _ => None,
        });
        assert_eq!(name, "ward");
        self.engine.rescore(before.clone());
        let mut after = Vec::new();
        loop {
            let (files, left) = self.until(|event| match event {
                Event::Rescored { files, left } => Some((files, left)),
                _ => None,
            });
            after.extend(files);
            if left == 0 {
                return (before, after);
            }
        }
    }
}

#[test]
fn new_prompts_rescore_files_without_encoding_their_images_again() {
    let (folder, paths) = pictures(300);
    let running = start(Behaviour::Answer, false, settings());
    let (before, after) = running.change_prompts(&paths);
    assert_eq!(after.len(), 300);
    let encoded: usize = running.batches.try_iter().sum();
    assert_eq!(encoded, 300, "each image was encoded once");
    // The result equals that of a new engine with these prompts, except for its time.
    drop(running);
    let set = crate::prompts::PromptSet::parse(WARD, "ward.toml").unwrap();
    let fresh = start(
        Behaviour::Answer,
        false,
        Settings {
            prompts: Prompts::only(set),
            ..settings()
        },
    );
    fresh.submit(&paths[0], Lane::Bulk, 0);
    let fresh = fresh.finish()[&0][0].clone().unwrap();
    let mut rescored = after
        .iter()
        .find(|known| known.path == paths[0])
        .map(|known| known.records[0].clone())
        .unwrap();
    rescored.at.clone_from(&fresh.at);
    assert_eq!(rescored, fresh);
    assert_ne!(before[0].records[0].prompts, rescored.prompts);
    drop(folder);
}

#[test]
fn rejected_images_stay_rejected_under_new_prompts() {
    let (_folder, paths) = pictures(2);
    let running = start(Behaviour::Answer, true, settings());
    let (before, after) = running.change_prompts(&paths);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.records[0].verdict.decision, Decision::Rejected);
        assert_eq!(after.records[0].verdict.decision, Decision::Rejected);
        assert_eq!(
            after.records[0].verdict.reason,
            before.records[0].verdict.reason
        );
        assert_eq!(after.records[0].verdict.scores.len(), 2);
    }
}

#[test]
fn results_of_another_model_are_not_rescored() {
    let (_folder, paths) = pictures(1);
    let running = start(Behaviour::Answer, false, settings());
    let (mut before, _) = running.change_prompts(&paths);
    let mut records = before[0].records.to_vec();
    records[0].model_digest = "blake3:another".into();
    before[0].records = records.into();
    running.engine.rescore(before);
    let files = running.until(|event| match event {
        Event::Rescored { files, .. } => Some(files),
        _ => None,
    });
    assert!(files.is_empty());
}
