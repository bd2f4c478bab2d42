use std::collections::BTreeMap;
use std::path::Path;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::*;
use crate::encoder::{Input, ModelCard};
use crate::media::ErrorKind;
use crate::scoring::Decision;

/// What the fake model does with a batch.
enum Behaviour {
    Answer,
    /// Takes at most so many pictures before memory runs out.
    Memory(usize),
    Panic,
    Fail,
    /// Answers so many batches, then loses its device.
    Lost(usize),
    /// Waits for a go before each batch.
    Wait(Receiver<()>),
}

struct Fake {
    card: ModelCard,
    behaviour: Behaviour,
    batches: Sender<usize>,
    /// Pictures of the pass that was begun.
    under_way: Option<usize>,
}

impl Fake {
    fn answer(count: usize) -> Vec<Vec<f32>> {
        vec![vec![1.0, 0.0]; count]
    }
}

impl Encoder for Fake {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn preprocess(&self) -> Preprocess {
        Preprocess::from_json(br#"{"size": 8, "crop_size": 8}"#, Path::new("test")).unwrap()
    }

    fn encode_images(&mut self, batch: &[Input]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let _ = self.batches.send(batch.len());
        match &mut self.behaviour {
            Behaviour::Lost(0) => return Err(EncoderError::DeviceLost("gone".into())),
            Behaviour::Lost(left) => *left -= 1,
            Behaviour::Memory(most) if batch.len() > *most => {
                return Err(EncoderError::OutOfMemory("full".into()));
            }
            Behaviour::Answer | Behaviour::Memory(_) => {}
            Behaviour::Panic => panic!("a fault in the model"),
            Behaviour::Fail => return Err(EncoderError::Torch("no".into())),
            Behaviour::Wait(go) => drop(go.recv()),
        }
        Ok(Self::answer(batch.len()))
    }

    fn begin(&mut self, batch: &[Input]) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        let before = self.under_way.take();
        self.encode_images(batch)?;
        self.under_way = Some(batch.len());
        Ok(before.map(Self::answer))
    }

    fn finish(&mut self) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        Ok(self.under_way.take().map(Self::answer))
    }

    fn encode_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncoderError> {
        Ok(texts
            .iter()
            .enumerate()
            .map(|(n, _)| {
                if n == 0 {
                    vec![1.0, 0.0]
                } else {
                    vec![0.0, 1.0]
                }
            })
            .collect())
    }

    fn unknown_words(&self, _: &[String]) -> Vec<String> {
        vec!["zebra".into()]
    }
}

struct Bench {
    engine: Engine,
    events: Receiver<Event>,
    batches: Receiver<usize>,
}

fn settings() -> Settings {
    Settings {
        prompts: Prompts::select("general", None).unwrap(),
        mode: Mode::Single,
        frames: Frames::First,
        batch_size: None,
        jobs: Some(2),
        exact: false,
        pass: PROMPT,
    }
}

fn bench(behaviour: Behaviour, synthetic_only: bool, settings: Settings) -> Bench {
    on_devices([("cpu", behaviour)], synthetic_only, settings)
}

/// An engine whose model is made on the first of these, and on the others in turn when one is lost.
fn on_devices<const N: usize>(
    devices: [(&'static str, Behaviour); N],
    synthetic_only: bool,
    settings: Settings,
) -> Bench {
    let (batches, seen) = unbounded();
    let (sender, events) = unbounded();
    let mut devices = devices.into_iter();
    let factory: Factory = Box::new(move || {
        let none = || EncoderError::Device("there is no other".into());
        let (device, behaviour) = devices.next().ok_or_else(none)?;
        let card = ModelCard {
            id: "fake".into(),
            digest: "blake3:0".into(),
            device: device.into(),
            dimension: 2,
            logit_scale: 10.0,
            logit_bias: None,
            synthetic_only,
        };
        Ok(Box::new(Fake {
            card,
            behaviour,
            batches: batches.clone(),
            under_way: None,
        }))
    });
    let engine = Engine::start(
        factory,
        settings,
        Arc::new(move |event| drop(sender.send(event))),
    );
    Bench {
        engine,
        events,
        batches: seen,
    }
}

impl Bench {
    fn submit(&self, path: &Path, lane: Lane, generation: u64) {
        self.engine
            .submit(Job {
                path: path.to_owned(),
                lane,
                generation,
            })
            .unwrap();
    }

    /// Finishes the work; the outcomes by generation.
    fn finish(self) -> BTreeMap<u64, Vec<Outcome>> {
        self.engine.finish();
        let mut all = BTreeMap::new();
        for event in self.events {
            if let Event::Done {
                generation,
                outcomes,
                ..
            } = event
            {
                assert!(
                    all.insert(generation, outcomes).is_none(),
                    "a file is reported once"
                );
            }
        }
        all
    }
}

/// `count` pictures in a folder of their own.
fn pictures(count: usize) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let paths = (0..count)
        .map(|n| {
            let path = folder.path().join(format!("{n}.png"));
            image::GrayImage::from_pixel(9, 7, image::Luma([n as u8]))
                .save(&path)
                .unwrap();
            path
        })
        .collect();
    (folder, paths)
}

#[test]
fn every_file_is_reported_once() {
    let (_folder, paths) = pictures(40);
    let bench = bench(Behaviour::Answer, false, settings());
    for (n, path) in paths.iter().enumerate() {
        bench.submit(path, Lane::Bulk, n as u64);
    }
    let done = bench.finish();
    assert_eq!(done.len(), 40);
    for outcomes in done.values() {
        let [Ok(record)] = outcomes.as_slice() else {
            panic!("{outcomes:?}")
        };
        assert_eq!((record.width, record.height, record.frame), (9, 7, Some(0)));
        assert_eq!(record.model, "fake");
    }
}

#[test]
fn a_damaged_file_fails_and_the_others_go_on() {
    let (folder, paths) = pictures(3);
    let bad = folder.path().join("bad.png");
    std::fs::write(&bad, &std::fs::read(&paths[0]).unwrap()[..40]).unwrap();
    let missing = folder.path().join("missing.png");
    let bench = bench(Behaviour::Answer, false, settings());
    for (n, path) in [&paths[0], &bad, &missing, &paths[1], &paths[2]]
        .into_iter()
        .enumerate()
    {
        bench.submit(path, Lane::Bulk, n as u64);
    }
    let done = bench.finish();
    let kind = |n: u64| done[&n][0].as_ref().err().map(|failure| failure.kind);
    assert_eq!([0, 3, 4].map(kind), [None; 3]);
    assert!(matches!(
        kind(1),
        Some(ErrorKind::Truncated | ErrorKind::Malformed)
    ));
    assert_eq!(kind(2), Some(ErrorKind::NotFound));
}

#[test]
fn memory_that_runs_out_halves_the_batch_and_loses_nothing() {
    let (_folder, paths) = pictures(30);
    let bench = bench(Behaviour::Memory(1), false, settings());
    for (n, path) in paths.iter().enumerate() {
        bench.submit(path, Lane::Bulk, n as u64);
    }
    let batches = bench.batches.clone();
    let done = bench.finish();
    assert!(done.values().all(|outcomes| outcomes[0].is_ok()) && done.len() == 30);
    let sizes: Vec<_> = batches.try_iter().collect();
    let too_large = sizes.iter().position(|&n| n > 1).unwrap_or(sizes.len());
    let small_again = sizes[too_large..].iter().skip_while(|&&n| n > 1);
    assert!(
        small_again.clone().all(|&n| n == 1),
        "the limit is remembered: {sizes:?}"
    );
}

#[test]
fn a_model_that_panics_or_fails_yields_failures_and_stays_alive() {
    for behaviour in [Behaviour::Panic, Behaviour::Fail] {
        let (_folder, paths) = pictures(5);
        let bench = bench(behaviour, false, settings());
        for (n, path) in paths.iter().enumerate() {
            bench.submit(path, Lane::Bulk, n as u64);
        }
        let done = bench.finish();
        assert_eq!(done.len(), 5);
        for outcomes in done.values() {
            assert_eq!(outcomes[0].as_ref().unwrap_err().kind, ErrorKind::Internal);
        }
    }
}

#[test]
fn a_gpu_loses_nothing_while_it_computes_ahead() {
    for behaviour in [Behaviour::Answer, Behaviour::Memory(1), Behaviour::Panic] {
        let fails = matches!(behaviour, Behaviour::Panic);
        let (_folder, paths) = pictures(40);
        let bench = on_devices([("cuda:0", behaviour)], false, settings());
        for (n, path) in paths.iter().enumerate() {
            let lane = if n % 7 == 0 {
                Lane::Interactive
            } else {
                Lane::Bulk
            };
            bench.submit(path, lane, n as u64);
        }
        let done = bench.finish();
        assert_eq!(done.len(), 40);
        for outcomes in done.values() {
            assert_eq!(outcomes[0].is_err(), fails, "{outcomes:?}");
        }
    }
}

/// Devices that were ready, and the devices of the results.
fn devices(events: &[Event]) -> (Vec<&str>, Vec<&str>) {
    let (mut ready, mut answered) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::Ready { device, .. } => ready.push(device.as_str()),
            Event::Done { outcomes, .. } => {
                let record = outcomes[0].as_ref().ok();
                answered.extend(record.map(|record| record.device.as_str()));
            }
            _ => {}
        }
    }
    (ready, answered)
}

#[test]
fn a_lost_gpu_makes_way_for_the_cpu_and_no_file_is_lost() {
    let (_folder, paths) = pictures(40);
    let settings = Settings {
        batch_size: Some(3),
        ..settings()
    };
    let models = [("cuda:0", Behaviour::Lost(2)), ("cpu", Behaviour::Answer)];
    let bench = on_devices(models, false, settings);
    for (n, path) in paths.iter().enumerate() {
        bench.submit(path, Lane::Bulk, n as u64);
    }
    bench.engine.finish();
    let events: Vec<Event> = bench.events.iter().collect();
    let (ready, answered) = devices(&events);
    assert_eq!(ready, ["cuda:0", "cpu"]);
    assert_eq!(answered.len(), 40);
    assert_eq!(answered.last(), Some(&"cpu"));
    let warned = events.iter().rev().find_map(|event| match event {
        Event::Ready { warnings, .. } => warnings.first(),
        _ => None,
    });
    assert!(warned.unwrap().contains("lost (gone)"), "{warned:?}");
}

#[test]
fn a_lost_gpu_that_nothing_replaces_is_said_once() {
    let (_folder, paths) = pictures(10);
    let bench = on_devices([("cuda:0", Behaviour::Lost(0))], false, settings());
    for (n, path) in paths.iter().enumerate() {
        // Refused from the failure on.
        let _ = bench.engine.submit(Job {
            path: path.clone(),
            lane: Lane::Bulk,
            generation: n as u64,
        });
    }
    bench.engine.finish();
    let events: Vec<Event> = bench.events.iter().collect();
    let failed = |event: &&Event| matches!(event, Event::Failed { message } if message.contains("there is no other"));
    assert_eq!(events.iter().filter(failed).count(), 1);
    assert!(devices(&events).1.is_empty());
}

#[test]
fn the_file_under_the_cursor_goes_ahead_of_bulk() {
    let (_folder, paths) = pictures(40);
    let (go, wait) = unbounded();
    let bench = bench(
        Behaviour::Wait(wait),
        false,
        Settings {
            batch_size: Some(2),
            jobs: Some(1),
            exact: false,
            pass: PROMPT,
            ..settings()
        },
    );
    for (n, path) in paths[1..].iter().enumerate() {
        bench.submit(path, Lane::Bulk, n as u64 + 1);
    }
    bench.submit(&paths[0], Lane::Interactive, 0);
    drop(go); // every wait returns from now on
    let mut order = Vec::new();
    while order.len() < 40 {
        if let Event::Done { generation, .. } = bench.events.recv().unwrap() {
            order.push(generation);
        }
    }
    let place = order.iter().position(|&n| n == 0).unwrap();
    assert!(place < 39, "not behind the bulk: {order:?}");
    bench.finish();
}

#[test]
fn what_nobody_waits_for_is_skipped() {
    let (_folder, paths) = pictures(20);
    let (go, wait) = unbounded();
    let bench = bench(
        Behaviour::Wait(wait),
        false,
        Settings {
            batch_size: Some(1),
            ..settings()
        },
    );
    for path in &paths {
        bench.submit(path, Lane::Bulk, 1);
    }
    bench.engine.cancel(2);
    bench.submit(&paths[0], Lane::Bulk, 2);
    drop(go);
    bench.engine.finish();
    let generations: Vec<u64> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Done { generation, .. } => Some(generation),
            _ => None,
        })
        .collect();
    assert_eq!(generations, [2]);
}

#[test]
fn a_model_that_cannot_be_read_is_said_once_and_frees_the_producer() {
    let (sender, events) = unbounded();
    let factory: Factory = Box::new(|| Err(EncoderError::MissingTensor("logit_scale".into())));
    let engine = Engine::start(
        factory,
        settings(),
        Arc::new(move |event| drop(sender.send(event))),
    );
    let (_folder, paths) = pictures(1);
    // More than the lane holds: this would hang if a failed engine kept its queue open.
    for _ in 0..2 * JOBS {
        let _ = engine.submit(Job {
            path: paths[0].clone(),
            lane: Lane::Bulk,
            generation: 0,
        });
    }
    engine.finish();
    let failures: Vec<_> = events
        .iter()
        .filter(|event| matches!(event, Event::Failed { .. }))
        .collect();
    assert!(
        matches!(&failures[..], [Event::Failed { message }] if message.contains("logit_scale")),
        "{failures:?}"
    );
}

#[test]
fn stopping_does_not_wait_for_a_pass_that_takes_long() {
    let (_folder, paths) = pictures(1);
    let (go, wait) = unbounded();
    let busy = bench(Behaviour::Wait(wait), false, settings());
    busy.submit(&paths[0], Lane::Bulk, 0);
    assert_eq!(busy.batches.recv(), Ok(1), "the pass has begun");
    assert!(
        !busy.engine.shutdown(Duration::from_millis(20)),
        "it is left behind"
    );
    drop(go);
    let idle = bench(Behaviour::Answer, false, settings());
    assert!(
        idle.engine.shutdown(Duration::from_secs(10)),
        "nothing to wait for"
    );
}

#[test]
fn a_model_for_phantoms_rejects_a_patients_picture() {
    let (_folder, paths) = pictures(1);
    let bench = bench(Behaviour::Answer, true, settings());
    bench.submit(&paths[0], Lane::Bulk, 0);
    let done = bench.finish();
    let verdict = &done[&0][0].as_ref().unwrap().verdict;
    assert_eq!(verdict.decision, Decision::Rejected);
    assert!(verdict.reason.as_ref().unwrap().contains("models pull"));
}

#[test]
fn unknown_words_are_named() {
    let bench = bench(Behaviour::Answer, false, settings());
    let ready = bench
        .events
        .iter()
        .find(|event| matches!(event, Event::Ready { .. }));
    let Some(Event::Ready { warnings, .. }) = ready else {
        panic!("never ready")
    };
    let named = |warning: &String| warning.contains("zebra") && warning.contains("general");
    assert!(warnings.iter().any(named), "{warnings:?}");
    bench.finish();
}

#[test]
fn multi_needs_absent_phrases() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    let text = "name=\"t\"\n[[condition]]\nname=\"a\"\nphrases=[\"x\"]\n[[condition]]\nname=\"b\"\nphrases=[\"y\"]\n";
    std::fs::write(&path, text).unwrap();
    let prompts = Prompts::select(path.to_str().unwrap(), None).unwrap();
    let bench = bench(
        Behaviour::Answer,
        false,
        Settings {
            prompts,
            mode: Mode::Multi,
            ..settings()
        },
    );
    let failed = bench
        .events
        .iter()
        .find(|event| matches!(event, Event::Failed { .. }));
    let Some(Event::Failed { message }) = failed else {
        panic!("accepted")
    };
    assert!(
        message.contains("absent") && message.contains('t'),
        "{message}"
    );
    bench.finish();
}

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
        for path in paths {
            self.submit(path, Lane::Bulk, 7);
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
