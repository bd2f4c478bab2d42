//! Overlapping forward passes on a GPU, and the loss of a GPU.

use super::*;

#[test]
fn no_file_is_lost_when_passes_overlap_on_a_gpu() {
    // A closed channel: no batch waits.
    let (_, go) = unbounded();
    for behaviour in [
        Behaviour::Answer,
        Behaviour::OutOfMemory(1, go),
        Behaviour::Panic,
    ] {
        let fails = matches!(behaviour, Behaviour::Panic);
        let (_folder, paths) = pictures(40);
        let test = on_devices([("cuda:0", behaviour)], false, settings());
        for (n, path) in paths.iter().enumerate() {
            let lane = if n % 7 == 0 {
                Lane::Interactive
            } else {
                Lane::Bulk
            };
            test.submit(path, lane, n as u64);
        }
        let done = test.finish();
        assert_eq!(done.len(), 40);
        for outcomes in done.values() {
            assert_eq!(outcomes[0].is_err(), fails, "{outcomes:?}");
        }
    }
}

/// The devices that became ready, and the devices of the results.
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
fn the_cpu_takes_over_from_a_lost_gpu_and_no_file_is_lost() {
    let (_folder, paths) = pictures(40);
    let settings = Settings {
        batch_size: Some(3),
        ..settings()
    };
    let models = [
        ("cuda:0", Behaviour::DeviceLost(2)),
        ("cpu", Behaviour::Answer),
    ];
    let test = on_devices(models, false, settings);
    for (n, path) in paths.iter().enumerate() {
        test.submit(path, Lane::Bulk, n as u64);
    }
    test.engine.finish();
    let events: Vec<Event> = test.events.iter().collect();
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
fn a_lost_gpu_without_a_replacement_is_reported_once() {
    let (_folder, paths) = pictures(10);
    let test = on_devices([("cuda:0", Behaviour::DeviceLost(0))], false, settings());
    for (n, path) in paths.iter().enumerate() {
        // Fails once the engine has failed.
        let _ = test.engine.submit(Job {
            path: path.clone(),
            lane: Lane::Bulk,
            generation: n as u64,
        });
    }
    test.engine.finish();
    let events: Vec<Event> = test.events.iter().collect();
    let failed = |event: &&Event| matches!(event, Event::Failed { message } if message.contains("there is no other"));
    assert_eq!(events.iter().filter(failed).count(), 1);
    assert!(devices(&events).1.is_empty());
}
