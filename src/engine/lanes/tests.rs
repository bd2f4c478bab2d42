use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;

#[test]
fn interactive_items_come_first_and_never_in_one_batch_with_bulk() {
    let lanes = Lanes::new(8);
    for n in 0..3 {
        lanes.push(Lane::Bulk, n).unwrap();
    }
    lanes.push(Lane::Interactive, 9).unwrap();
    assert_eq!(lanes.pop_batch(8, Duration::ZERO).unwrap(), [9]);
    assert_eq!(lanes.pop_batch(2, Duration::ZERO).unwrap(), [0, 1]);
    assert_eq!(lanes.poll_batch(8), [2]);
    assert!(lanes.poll_batch(8).is_empty(), "does not wait");
}

#[test]
fn promoted_items_leave_the_bulk_lane_and_make_room_there() {
    let lanes = Lanes::new(2);
    lanes.push(Lane::Bulk, 1).unwrap();
    lanes.push(Lane::Bulk, 2).unwrap();
    lanes.promote(|n| *n == 2);
    lanes.push(Lane::Bulk, 3).unwrap();
    assert_eq!(
        [lanes.pop(), lanes.pop(), lanes.pop()],
        [Some(2), Some(1), Some(3)]
    );
}

#[test]
fn closing_refuses_new_items_and_keeps_those_in_the_queue() {
    let lanes = Lanes::new(8);
    lanes.push(Lane::Bulk, 1).unwrap();
    lanes.close();
    assert_eq!(lanes.push(Lane::Bulk, 2), Err(Closed));
    assert_eq!(lanes.pop(), Some(1));
    assert_eq!(lanes.pop(), None);
}

#[test]
fn a_full_lane_blocks_its_own_producer_only() {
    let lanes = Arc::new(Lanes::new(1));
    lanes.push(Lane::Bulk, 1).unwrap();
    let producer = {
        let lanes = Arc::clone(&lanes);
        thread::spawn(move || lanes.push(Lane::Bulk, 2))
    };
    lanes.push(Lane::Interactive, 3).unwrap();
    assert_eq!(lanes.pop(), Some(3));
    assert_eq!(lanes.pop(), Some(1));
    assert_eq!(lanes.pop(), Some(2), "was pushed once there was room");
    assert_eq!(producer.join().unwrap(), Ok(()));
}

#[test]
fn waking_returns_once_without_items_and_closing_ends_the_queue() {
    let lanes = Lanes::<u8>::new(1);
    lanes.wake();
    assert_eq!(lanes.pop_batch(8, Duration::ZERO), Some(Vec::new()));
    lanes.wake();
    lanes.push(Lane::Bulk, 1).unwrap();
    assert_eq!(lanes.pop_batch(8, Duration::ZERO), Some(vec![1]));
    lanes.close();
    assert_eq!(lanes.pop_batch(8, Duration::ZERO), None);
}

#[test]
fn a_batch_waits_for_expected_bulk_but_not_longer_than_necessary() {
    let long = Duration::from_secs(3600);
    let lanes = Arc::new(Lanes::new(8));
    let consumer = |limit, gather_time| {
        let lanes = Arc::clone(&lanes);
        thread::spawn(move || lanes.pop_batch(limit, gather_time))
    };
    for _ in 0..4 {
        lanes.expect_bulk();
    }
    lanes.push(Lane::Bulk, 1).unwrap();
    assert_eq!(
        lanes.pop_batch(2, Duration::ZERO),
        Some(vec![1]),
        "no time to gather"
    );
    lanes.push(Lane::Bulk, 2).unwrap();
    let full = consumer(2, long);
    lanes.push(Lane::Bulk, 3).unwrap();
    assert_eq!(full.join().unwrap(), Some(vec![2, 3]));
    lanes.push(Lane::Bulk, 4).unwrap();
    let last = consumer(2, long);
    for _ in 0..4 {
        lanes.resolve_bulk();
    }
    assert_eq!(last.join().unwrap(), Some(vec![4]), "no more is expected");
    lanes.expect_bulk();
    lanes.push(Lane::Bulk, 5).unwrap();
    lanes.push(Lane::Interactive, 6).unwrap();
    assert_eq!(lanes.pop_batch(2, long), Some(vec![6]));
    lanes.close();
    assert_eq!(lanes.pop_batch(2, long), Some(vec![5]));
}

#[test]
fn paused_bulk_stays_while_the_interactive_lane_goes_on() {
    let lanes = Arc::new(Lanes::new(8));
    lanes.pause_bulk();
    lanes.push(Lane::Bulk, 1).unwrap();
    lanes.push(Lane::Interactive, 2).unwrap();
    assert_eq!(lanes.pop(), Some(2));
    let consumer = {
        let lanes = Arc::clone(&lanes);
        thread::spawn(move || lanes.pop())
    };
    lanes.close();
    lanes.resume_bulk();
    assert_eq!(
        consumer.join().unwrap(),
        Some(1),
        "closing loses no paused items"
    );
    assert_eq!(lanes.pop(), None);
}

#[test]
fn closing_releases_a_waiting_producer() {
    let lanes = Arc::new(Lanes::new(1));
    lanes.push(Lane::Bulk, 1).unwrap();
    let producer = {
        let lanes = Arc::clone(&lanes);
        thread::spawn(move || lanes.push(Lane::Bulk, 2))
    };
    lanes.close();
    assert_eq!(producer.join().unwrap(), Err(Closed));
}

proptest! {
    #[test]
    fn no_item_is_lost_or_duplicated_and_each_lane_keeps_its_order(
        items in prop::collection::vec(any::<bool>(), 0..200),
        capacity in 1_usize..9,
        limit in 1_usize..9,
    ) {
        let lanes = Arc::new(Lanes::new(capacity));
        let producer = {
            let (lanes, items) = (Arc::clone(&lanes), items.clone());
            thread::spawn(move || {
                for (n, fast) in items.into_iter().enumerate() {
                    let lane = if fast { Lane::Interactive } else { Lane::Bulk };
                    lanes.push(lane, (fast, n)).unwrap();
                }
                lanes.close();
            })
        };
        let mut taken = Vec::new();
        while let Some(batch) = lanes.pop_batch(limit, Duration::ZERO) {
            prop_assert!(!batch.is_empty());
            prop_assert!(batch.len() <= limit);
            prop_assert!(batch.windows(2).all(|w| w[0].0 == w[1].0), "one lane per batch");
            taken.extend(batch);
        }
        producer.join().unwrap();
        for fast in [true, false] {
            let got: Vec<_> = taken.iter().filter(|t| t.0 == fast).map(|t| t.1).collect();
            let sent: Vec<_> = items.iter().enumerate().filter(|(_, f)| **f == fast).map(|(n, _)| n).collect();
            prop_assert_eq!(got, sent);
        }
    }
}
