use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::*;
use crate::encoder::{BuiltinFacts, ModelCard, PreparedImage, Preprocess};
use crate::media::ErrorKind;
use crate::scoring::Decision;
use crate::scoring::calibration::Calibrations;
use crate::scoring::known::KnownImages;

#[path = "tests/devices.rs"]
mod devices;
#[path = "tests/familiar.rs"]
mod familiar;
#[path = "tests/learning.rs"]
mod learning;
#[path = "tests/lint.rs"]
mod lint;
#[path = "tests/maps.rs"]
mod maps;
#[path = "tests/panics.rs"]
mod panics;
#[path = "tests/promote.rs"]
mod promote;
#[path = "tests/rescore.rs"]
mod rescore;
#[path = "tests/similar.rs"]
mod similar;
#[path = "tests/stored.rs"]
mod stored;

/// How the fake model treats a batch.
enum Behaviour {
    Answer,
    /// Runs out of memory beyond this many images; waits for the channel before each batch.
    OutOfMemory(usize, Receiver<()>),
    Panic,
    Fail,
    /// Encodes this many batches, then loses its device.
    DeviceLost(usize),
    /// Waits for the channel before each batch.
    Wait(Receiver<()>),
}

struct FakeEncoder {
    card: ModelCard,
    behaviour: Behaviour,
    batches: Sender<usize>,
    /// Number of images in the pending pass.
    pending: Option<usize>,
}

impl FakeEncoder {
    fn answer(count: usize) -> Vec<Vec<f32>> {
        vec![vec![1.0, 0.0]; count]
    }
}

impl Encoder for FakeEncoder {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn preprocess(&self) -> Preprocess {
        Preprocess::from_json(br#"{"size": 8, "crop_size": 8}"#, Path::new("test")).unwrap()
    }

    fn encode_images(&mut self, batch: &[PreparedImage]) -> Result<Vec<Vec<f32>>, EncoderError> {
        let _ = self.batches.send(batch.len());
        match &mut self.behaviour {
            Behaviour::DeviceLost(0) => return Err(EncoderError::DeviceLost("gone".into())),
            Behaviour::DeviceLost(left) => *left -= 1,
            Behaviour::OutOfMemory(most, go) => {
                let _ = go.recv();
                if batch.len() > *most {
                    return Err(EncoderError::OutOfMemory("full".into()));
                }
            }
            Behaviour::Answer => {}
            Behaviour::Panic => panic!("a fault in the model"),
            Behaviour::Fail => return Err(EncoderError::Torch("no".into())),
            Behaviour::Wait(go) => drop(go.recv()),
        }
        Ok(Self::answer(batch.len()))
    }

    fn begin_pass(
        &mut self,
        batch: &[PreparedImage],
    ) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        let before = self.pending.take();
        self.encode_images(batch)?;
        self.pending = Some(batch.len());
        Ok(before.map(Self::answer))
    }

    fn finish_pass(&mut self) -> Result<Option<Vec<Vec<f32>>>, EncoderError> {
        Ok(self.pending.take().map(Self::answer))
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

struct TestEngine {
    engine: Engine,
    events: Receiver<Event>,
    batches: Receiver<usize>,
}

pub(super) fn settings() -> Settings {
    Settings {
        prompts: Prompts::select("general", None).unwrap(),
        mode: Mode::Single,
        calibrations: Calibrations::default(),
        learned: crate::learn::LearnedSets::default(),
        frames: FrameSelection::First,
        batch_size: None,
        decode_threads: Some(2),
        exact: false,
        pass_time: INTERACTIVE_PASS_TIME,
        library: None,
        stores_results: true,
    }
}

/// What the model would know if it were the built-in one.
fn facts() -> BuiltinFacts {
    BuiltinFacts {
        known: Arc::new(KnownImages {
            dimension: 2,
            centres: vec![1.0, 0.0],
            whitening: vec![1.0, 0.0, 0.0, 1.0],
            limit: 10.0,
            slope: 1.0,
        }),
        findings: Vec::new(),
        taught: None,
    }
}

fn card(device: &str, is_builtin: bool) -> ModelCard {
    ModelCard {
        id: "fake".into(),
        digest: "blake3:0".into(),
        device: device.into(),
        dimension: 2,
        logit_scale: 10.0,
        logit_bias: None,
        builtin: is_builtin.then(|| Arc::new(facts())),
        kinds: &[],
    }
}

fn start(behaviour: Behaviour, is_builtin: bool, settings: Settings) -> TestEngine {
    on_devices([("cpu", behaviour)], is_builtin, settings)
}

/// Starts an engine whose model is opened on the first device, and on the next one whenever a device is lost.
fn on_devices<const N: usize>(
    devices: [(&'static str, Behaviour); N],
    is_builtin: bool,
    settings: Settings,
) -> TestEngine {
    let (batches, seen) = unbounded();
    let (sender, events) = unbounded();
    let mut devices = devices.into_iter();
    let factory: Factory = Box::new(move || {
        let none = || EncoderError::Device("there is no other".into());
        let (device, behaviour) = devices.next().ok_or_else(none)?;
        Ok(Box::new(FakeEncoder {
            card: card(device, is_builtin),
            behaviour,
            batches: batches.clone(),
            pending: None,
        }))
    });
    let engine = Engine::start(
        factory,
        settings,
        Arc::new(move |event| drop(sender.send(event))),
    );
    TestEngine {
        engine,
        events,
        batches: seen,
    }
}

impl TestEngine {
    fn submit(&self, path: &Path, lane: Lane, generation: u64) {
        self.engine
            .submit(Job {
                path: path.to_owned(),
                lane,
                generation,
            })
            .unwrap();
    }

    /// Waits until `count` images of a lane are decoded and not yet encoded.
    fn until_prepared(&self, lane: Lane, count: usize) {
        let begun = Instant::now();
        while self.engine.shared.prepared.waiting(lane) < count {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "not decoded in time"
            );
            std::thread::yield_now();
        }
    }

    /// Finishes all jobs; returns the outcomes by generation.
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
                    "a file is reported only once"
                );
            }
        }
        all
    }
}

/// Writes `count` images to a new folder.
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
fn every_file_is_reported_exactly_once() {
    let (_folder, paths) = pictures(40);
    let test = start(Behaviour::Answer, false, settings());
    for (n, path) in paths.iter().enumerate() {
        test.submit(path, Lane::Bulk, n as u64);
    }
    let done = test.finish();
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
    let test = start(Behaviour::Answer, false, settings());
    for (n, path) in [&paths[0], &bad, &missing, &paths[1], &paths[2]]
        .into_iter()
        .enumerate()
    {
        test.submit(path, Lane::Bulk, n as u64);
    }
    let done = test.finish();
    let kind = |n: u64| done[&n][0].as_ref().err().map(|failure| failure.kind);
    assert_eq!([0, 3, 4].map(kind), [None; 3]);
    assert!(matches!(
        kind(1),
        Some(ErrorKind::Truncated | ErrorKind::Malformed)
    ));
    assert_eq!(kind(2), Some(ErrorKind::NotFound));
}

#[test]
fn running_out_of_memory_halves_the_batch_and_loses_no_file() {
    let (_folder, paths) = pictures(30);
    let (go, wait) = unbounded();
    let test = start(Behaviour::OutOfMemory(1, wait), false, settings());
    test.submit(&paths[0], Lane::Bulk, 0);
    test.batches.recv().unwrap();
    // Bulk is not decoded during a forward pass.
    for (n, path) in paths.iter().enumerate().skip(1) {
        test.submit(path, Lane::Interactive, n as u64);
    }
    test.until_prepared(Lane::Interactive, 8);
    drop(go);
    let batches = test.batches.clone();
    let done = test.finish();
    assert!(done.values().all(|outcomes| outcomes[0].is_ok()) && done.len() == 30);
    let sizes: Vec<_> = batches.try_iter().collect();
    let too_large = sizes.iter().position(|&n| n > 1).expect("several at once");
    let rest = sizes[too_large..].iter().skip_while(|&&n| n > 1);
    let rest: Vec<_> = rest.collect();
    assert!(
        rest.len() > 1 && rest.iter().all(|n| **n == 1),
        "the limit is remembered: {sizes:?}"
    );
}

#[test]
fn an_engine_survives_a_model_that_panics_or_fails() {
    for behaviour in [Behaviour::Panic, Behaviour::Fail] {
        let (_folder, paths) = pictures(5);
        let test = start(behaviour, false, settings());
        for (n, path) in paths.iter().enumerate() {
            test.submit(path, Lane::Bulk, n as u64);
        }
        let done = test.finish();
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
    let test = start(
        Behaviour::Wait(wait),
        false,
        Settings {
            batch_size: Some(2),
            decode_threads: Some(1),
            exact: false,
            pass_time: INTERACTIVE_PASS_TIME,
            ..settings()
        },
    );
    for (n, path) in paths[1..].iter().enumerate() {
        test.submit(path, Lane::Bulk, n as u64 + 1);
    }
    let first = test.batches.recv().unwrap();
    test.submit(&paths[0], Lane::Interactive, 0);
    // The model is still computing its first batch.
    test.until_prepared(Lane::Interactive, 1);
    drop(go); // no batch waits from now on
    let mut order = Vec::new();
    while order.len() < 40 {
        if let Event::Done { generation, .. } = test.events.recv().unwrap() {
            order.push(generation);
        }
    }
    let place = order.iter().position(|&n| n == 0).unwrap();
    assert_eq!(place, first, "directly after the running batch: {order:?}");
    test.finish();
}

#[test]
fn cancelled_jobs_are_dropped() {
    let (_folder, paths) = pictures(20);
    let (go, wait) = unbounded();
    let test = start(
        Behaviour::Wait(wait),
        false,
        Settings {
            batch_size: Some(1),
            ..settings()
        },
    );
    for (n, path) in (0..).zip(&paths) {
        test.submit(path, Lane::Bulk, n);
    }
    for n in 0..19 {
        test.engine.cancel(n);
    }
    // Cancelling an unknown job does nothing.
    test.engine.cancel(99);
    drop(go);
    test.engine.finish();
    let (mut done, mut dropped) = (Vec::new(), Vec::new());
    for event in test.events {
        match event {
            Event::Done { generation, .. } => done.push(generation),
            Event::Dropped { generation } => dropped.push(generation),
            _ => {}
        }
    }
    dropped.sort_unstable();
    assert_eq!(done, [19]);
    assert_eq!(
        dropped,
        (0..19).collect::<Vec<_>>(),
        "each job ends exactly once"
    );
}

#[test]
fn a_model_that_cannot_be_opened_is_reported_once_and_ends_all_jobs() {
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
fn shutdown_does_not_wait_for_a_long_forward_pass() {
    let (_folder, paths) = pictures(1);
    let (go, wait) = unbounded();
    let busy = start(Behaviour::Wait(wait), false, settings());
    busy.submit(&paths[0], Lane::Bulk, 0);
    assert_eq!(busy.batches.recv(), Ok(1), "the pass has started");
    assert!(
        !busy.engine.shutdown(Duration::from_millis(20)),
        "the pass is still running"
    );
    drop(go);
    let idle = start(Behaviour::Answer, false, settings());
    assert!(
        idle.engine.shutdown(Duration::from_secs(10)),
        "nothing to wait for"
    );
}

#[test]
fn the_built_in_model_rejects_findings_of_real_images_and_names_their_kind() {
    let (_folder, paths) = pictures(1);
    let test = start(Behaviour::Answer, true, settings());
    test.submit(&paths[0], Lane::Bulk, 0);
    let done = test.finish();
    let verdict = &done[&0][0].as_ref().unwrap().verdict;
    assert_eq!(verdict.decision, Decision::Rejected);
    let reason = verdict.reason.as_ref().unwrap();
    assert!(
        reason.contains("models pull") && reason.contains("of the kind: "),
        "{reason}"
    );
}

#[test]
fn words_that_the_model_does_not_know_are_named() {
    let test = start(Behaviour::Answer, false, settings());
    let ready = test
        .events
        .iter()
        .find(|event| matches!(event, Event::Ready { .. }));
    let Some(Event::Ready { warnings, .. }) = ready else {
        panic!("the engine never became ready")
    };
    let named = |warning: &String| warning.contains("zebra") && warning.contains("general");
    assert!(warnings.iter().any(named), "{warnings:?}");
    test.finish();
}

/// A set without phrases for absence.
const PRESENCE_ALONE: &str = "name=\"t\"\n[[condition]]\nname=\"a\"\nphrases=[\"x\"]\n[[condition]]\nname=\"b\"\nphrases=[\"y\"]\n";

#[test]
fn a_set_that_a_mode_cannot_use_is_left_out_where_sets_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.toml"), PRESENCE_ALONE).unwrap();
    let prompts = Prompts::select("auto", Some(folder.path())).unwrap();
    let test = start(
        Behaviour::Answer,
        false,
        Settings {
            prompts,
            mode: Mode::Multi,
            ..settings()
        },
    );
    let mut events = test.events.iter();
    let warnings = events.find_map(|event| match event {
        Event::Ready { warnings, .. } => Some(warnings),
        Event::Failed { message } => panic!("{message}"),
        _ => None,
    });
    let warnings = warnings.expect("ready");
    let is_named = |warning: &String| warning.contains("`t`") && warning.contains("absent");
    assert!(warnings.iter().any(is_named), "{warnings:?}");
    test.finish();
}

#[test]
fn multi_mode_needs_absent_phrases() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    std::fs::write(&path, PRESENCE_ALONE).unwrap();
    let prompts = Prompts::select(path.to_str().unwrap(), None).unwrap();
    let test = start(
        Behaviour::Answer,
        false,
        Settings {
            prompts,
            mode: Mode::Multi,
            ..settings()
        },
    );
    let failed = test
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
    test.finish();
}
