//! Files that move from the bulk lane to the interactive one.

use super::*;

#[test]
fn a_promoted_file_is_in_the_next_batch_whichever_queue_it_was_in() {
    let (_folder, paths) = pictures(40);
    let (go, wait) = unbounded();
    let one_at_a_time = Settings {
        batch_size: Some(2),
        decode_threads: Some(1),
        ..settings()
    };
    let test = start(Behaviour::Wait(wait), false, one_at_a_time);
    for (generation, path) in (0..).zip(&paths) {
        test.submit(path, Lane::Bulk, generation);
    }
    let first = test.batches.recv().unwrap();
    test.engine.promote(39);
    while !test.engine.shared.prepared.has_interactive() {
        std::thread::yield_now();
    }
    drop(go);
    let done = test.events.iter().filter_map(|event| match event {
        Event::Done { generation, .. } => Some(generation),
        _ => None,
    });
    let order: Vec<u64> = done.take(40).collect();
    assert_eq!(order[first], 39, "{order:?}");
    test.finish();
}
