//! A file that was handed over in bulk, and is wanted first.

use super::*;

#[test]
fn a_promoted_file_is_in_the_next_batch_wherever_it_waited() {
    let (_folder, paths) = pictures(40);
    let (go, wait) = unbounded();
    let one_at_a_time = Settings {
        batch_size: Some(2),
        jobs: Some(1),
        ..settings()
    };
    let bench = bench(Behaviour::Wait(wait), false, one_at_a_time);
    for (generation, path) in (0..).zip(&paths) {
        bench.submit(path, Lane::Bulk, generation);
    }
    let first = bench.batches.recv().unwrap();
    bench.engine.promote(39);
    while !bench.engine.shared.prepared.has_interactive() {
        std::thread::yield_now();
    }
    drop(go);
    let done = bench.events.iter().filter_map(|event| match event {
        Event::Done { generation, .. } => Some(generation),
        _ => None,
    });
    let order: Vec<u64> = done.take(40).collect();
    assert_eq!(order[first], 39, "{order:?}");
    bench.finish();
}
