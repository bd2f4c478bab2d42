use std::collections::BTreeMap;
use std::path::Path;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::*;
use crate::encoder::{Input, ModelCard};
use crate::media::ErrorKind;
use crate::scoring::Decision;

#[path = "tests/devices.rs"]
mod devices;
#[path = "tests/kept.rs"]
mod kept;
#[path = "tests/promote.rs"]
mod promote;
#[path = "tests/rescore.rs"]
mod rescore;

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
        kept: None,
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
    for (n, path) in (0..).zip(&paths) {
        bench.submit(path, Lane::Bulk, n);
    }
    for n in 0..19 {
        bench.engine.cancel(n);
    }
    // Those that are through, and those never heard of, are no matter.
    bench.engine.cancel(99);
    drop(go);
    bench.engine.finish();
    let (mut done, mut dropped) = (Vec::new(), Vec::new());
    for event in bench.events {
        match event {
            Event::Done { generation, .. } => done.push(generation),
            Event::Dropped { generation } => dropped.push(generation),
            _ => {}
        }
    }
    dropped.sort_unstable();
    assert_eq!(done, [19]);
    assert_eq!(dropped, (0..19).collect::<Vec<_>>(), "each job ends once");
}

#[test]
fn a_model_that_cannot_be_read_is_said_once_and_lets_all_go() {
    let (sender, events) = unbounded();
    let factory: Factory = Box::new(|| Err(EncoderError::MissingTensor("logit_scale".into())));
    let engine = Engine::start(
        factory,
        settings(),
        Arc::new(move |event| drop(sender.send(event))),
    );
    let (_folder, paths) = pictures(1);
    for generation in 0..2000 {
        let _ = engine.submit(Job {
            path: paths[0].clone(),
            lane: Lane::Bulk,
            generation,
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
