use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use super::*;

fn budget(total: u64) -> &'static Budget {
    Box::leak(Box::new(Budget::new(total)))
}

/// Longer than any of these tests takes: whatever has not happened by then never will.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Blocks until `count` requests are waiting.
fn until_waiting(budget: &Budget, count: usize) {
    let begun = Instant::now();
    while budget.lock().queue.len() < count {
        assert!(
            begun.elapsed() < TEST_TIMEOUT,
            "{count} requests never wait"
        );
        thread::yield_now();
    }
}

/// Reserves `bytes`; gives up after [`TEST_TIMEOUT`].
fn reserve(budget: &'static Budget, bytes: u64, urgent: bool) -> Reservation {
    let begun = Instant::now();
    let wait = WaitPolicy {
        urgent,
        cancelled: &|| begun.elapsed() > TEST_TIMEOUT,
    };
    budget.reserve(bytes, wait).expect("granted in time")
}

/// Runs `work` on a thread and returns the receiver of its result.
fn outcome<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver
}

#[test]
fn a_request_beyond_the_budget_is_refused_and_names_the_option() {
    let budget = budget(100 << 20);
    let wait = WaitPolicy::default();
    let error = budget.reserve(81 << 20, wait).expect_err("too large");
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(error.message.contains("--memory"), "{error}");
    assert!(budget.reserve(80 << 20, wait).is_ok());
}

#[test]
fn threads_never_exceed_the_budget_together_and_all_finish() {
    let budget = budget(1000);
    let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for n in 0..8_u64 {
            let (held, most) = (&held, &most);
            scope.spawn(move || {
                for round in 0..200 {
                    let bytes = 80 * ((n * 7 + round) % 10 + 1);
                    let mut one = reserve(budget, bytes, n == 0);
                    let now = held.fetch_add(charged(bytes), Ordering::SeqCst);
                    most.fetch_max(now + charged(bytes), Ordering::SeqCst);
                    // Give the others a chance to try.
                    thread::yield_now();
                    held.fetch_sub(charged(bytes) - charged(bytes / 2), Ordering::SeqCst);
                    one.shrink(bytes / 2);
                    held.fetch_sub(charged(bytes / 2), Ordering::SeqCst);
                }
            });
        }
    });
    assert!(most.into_inner() <= 1000);
    assert_eq!(budget.lock().active, 0);
}

#[test]
fn requests_are_served_in_order_and_urgent_ones_first() {
    let budget = budget(100);
    let all = reserve(budget, 80, false);
    let (sender, order) = mpsc::channel();
    for (n, (name, urgent)) in [("a", false), ("b", false), ("c", true), ("d", true)]
        .into_iter()
        .enumerate()
    {
        let sender = sender.clone();
        thread::spawn(move || {
            let _one = reserve(budget, 80, urgent);
            sender.send(name)
        });
        until_waiting(budget, n + 1);
    }
    drop(all);
    let next = || order.recv_timeout(TEST_TIMEOUT).expect("in time");
    assert_eq!([next(), next(), next(), next()], ["c", "d", "a", "b"]);
}

#[test]
fn a_cancelled_request_stops_waiting_and_does_not_block_the_next() {
    let budget = budget(100);
    let all = reserve(budget, 80, false);
    let unwanted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&unwanted);
    let cancelled = outcome(move || {
        let wait = WaitPolicy {
            cancelled: &|| flag.load(Ordering::Relaxed),
            ..WaitPolicy::default()
        };
        budget.reserve(80, wait).map(drop)
    });
    until_waiting(budget, 1);
    let next = outcome(move || drop(reserve(budget, 8, false)));
    until_waiting(budget, 2);
    unwanted.store(true, Ordering::Relaxed);
    assert!(
        cancelled
            .recv_timeout(TEST_TIMEOUT)
            .expect("in time")
            .is_err()
    );
    drop(all);
    next.recv_timeout(TEST_TIMEOUT).expect("in time");
}

struct TestCache(Mutex<Vec<Reserved<&'static str>>>);

impl Evict for TestCache {
    fn evict(&self) {
        self.0.lock().expect("no panic").clear();
    }
}

#[test]
fn caches_are_evicted_for_a_waiting_decode() {
    let budget = budget(100);
    let cache = Arc::new(TestCache(Mutex::default()));
    let weak = Arc::downgrade(&cache);
    budget.register(weak);
    let kept = reserve(budget, 80, false);
    let kept = Reserved::new("frame", kept).keep(40);
    cache.0.lock().expect("no panic").push(kept);
    let small = reserve(budget, 40, false);
    assert_eq!(cache.0.lock().expect("no panic").len(), 1);
    drop(small);
    drop(reserve(budget, 80, false));
    assert_eq!(cache.0.lock().expect("no panic").len(), 0);
}

/// A thread that draws one frame may decode another; other threads wait until it has been drawn.
#[test]
fn a_kept_frame_in_use_blocks_other_threads_but_not_its_own() {
    let budget = budget(100);
    let drawn = reserve(budget, 60, false);
    let drawn = Reserved::new("frame", drawn).keep(60);
    let other = outcome(move || {
        let _reserved = reserve(budget, 80, false);
        budget.lock().kept
    });
    until_waiting(budget, 1);
    drop(reserve(budget, 80, false));
    assert_eq!(budget.lock().kept, charged(60));
    drop(drawn);
    assert_eq!(other.recv_timeout(TEST_TIMEOUT), Ok(0));
}
