//! Other prompts for pictures that are known.

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

impl Bench {
    /// The first event that is wanted.
    fn until<T>(&self, wanted: impl Fn(Event) -> Option<T>) -> T {
        let found = self.events.iter().find_map(wanted);
        found.expect("the engine says so")
    }

    /// Classifies files under other prompts; all results, before and after.
    fn switched(&self, paths: &[PathBuf]) -> (Vec<Known>, Vec<Known>) {
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
                } => Some(Known {
                    path,
                    generation,
                    records: outcomes.into_iter().map(Result::unwrap).collect(),
                }),
                _ => None,
            }));
        }
        let set = crate::prompts::PromptSet::parse(WARD, "ward.toml").unwrap();
        self.engine.use_prompts(Prompts::only(set));
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
fn other_prompts_score_what_is_known_without_the_pictures() {
    let (folder, paths) = pictures(300);
    let running = bench(Behaviour::Answer, false, settings());
    let (before, after) = running.switched(&paths);
    assert_eq!(after.len(), 300);
    let encoded: usize = running.batches.try_iter().sum();
    assert_eq!(encoded, 300, "each picture was encoded once");
    // The very result that a fresh start with these prompts gives, but for its time.
    drop(running);
    let set = crate::prompts::PromptSet::parse(WARD, "ward.toml").unwrap();
    let fresh = bench(
        Behaviour::Answer,
        false,
        Settings {
            prompts: Prompts::only(set),
            ..settings()
        },
    );
    fresh.submit(&paths[0], Lane::Bulk, 0);
    let fresh = fresh.finish()[&0][0].clone().unwrap();
    let mut anew = after
        .iter()
        .find(|known| known.path == paths[0])
        .map(|known| known.records[0].clone())
        .unwrap();
    anew.at.clone_from(&fresh.at);
    assert_eq!(anew, fresh);
    assert_ne!(before[0].records[0].prompts, anew.prompts);
    drop(folder);
}

#[test]
fn what_the_model_is_not_meant_for_stays_rejected() {
    let (_folder, paths) = pictures(2);
    let running = bench(Behaviour::Answer, true, settings());
    let (before, after) = running.switched(&paths);
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
fn results_of_another_model_are_left_as_they_are() {
    let (_folder, paths) = pictures(1);
    let running = bench(Behaviour::Answer, false, settings());
    let (mut before, _) = running.switched(&paths);
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
