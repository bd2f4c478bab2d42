//! Passes that overlap on a GPU, and a GPU that is lost.

use super::*;

#[test]
fn a_gpu_loses_nothing_while_it_computes_ahead() {
    // A go that never has to be waited for.
    let (_, go) = unbounded();
    for behaviour in [
        Behaviour::Answer,
        Behaviour::Memory(1, go),
        Behaviour::Panic,
    ] {
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
