//! Repeats requests that failed for a reason that may pass, with pauses in between.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::HubError;
use super::client::RequestError;
use super::fetch::PullProgress;

/// Consecutive attempts without any new bytes before a download fails.
pub(super) const MAX_IDLE_ATTEMPTS: u32 = 5;
/// The pause after the second of them, unless the hub asks for another; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that the hub may ask for; its limits of requests apply to periods of five minutes.
const MAX_PAUSE: Duration = Duration::from_secs(330);
/// How often a pause looks whether the user interrupts it.
const PAUSE_SLICE: Duration = Duration::from_millis(100);

/// Receives the progress; breaking interrupts the download.
pub(super) type ProgressCallback<'a> = &'a mut dyn FnMut(PullProgress) -> ControlFlow<()>;

/// Reports a step; an error if the user interrupts.
pub(super) fn report_step(report: ProgressCallback, step: PullProgress) -> Result<(), HubError> {
    match report(step) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(HubError::Interrupted),
    }
}

/// Makes a request until it succeeds or fails for good.
pub(super) fn retry<T>(
    report: ProgressCallback,
    mut request: impl FnMut() -> Result<T, RequestError>,
) -> Result<T, HubError> {
    let mut failures = 0;
    loop {
        let (url, reason, asked) = match request() {
            Ok(done) => return Ok(done),
            Err(RequestError::Permanent(error)) => return Err(error),
            Err(RequestError::Temporary {
                url,
                reason,
                retry_after,
            }) => (url, reason, retry_after),
        };
        failures += 1;
        if failures >= MAX_IDLE_ATTEMPTS {
            return Err(HubError::Busy { url, reason });
        }
        match pause_after(failures, asked) {
            Ok(time) => pause(report, time)?,
            Err(asked) => {
                let reason = format!("{reason}, and {asked}");
                return Err(HubError::Busy { url, reason });
            }
        }
    }
}

/// How long to wait after so many failures in succession, if the hub asked for a pause or not. An error says that it asked for
/// one that is too long.
pub(super) fn pause_after(failures: u32, asked: Option<Duration>) -> Result<Duration, String> {
    match asked {
        Some(asked) if asked > MAX_PAUSE => Err(format!(
            "asks to wait for {} minutes",
            asked.as_secs().div_ceil(60)
        )),
        Some(asked) => Ok(asked),
        None if failures < 2 => Ok(Duration::ZERO),
        None => Ok(FIRST_PAUSE * 2_u32.pow((failures - 2).min(MAX_IDLE_ATTEMPTS))),
    }
}

/// Waits, unless the user interrupts it.
pub(super) fn pause(report: ProgressCallback, time: Duration) -> Result<(), HubError> {
    let end = Instant::now() + time;
    report_step(report, PullProgress::Pausing(time))?;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::sleep(left.min(PAUSE_SLICE));
        report_step(report, PullProgress::Received(0))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_unless_the_hub_asks_for_another() {
        let own: Vec<_> = (1..=4).map(|n| pause_after(n, None).unwrap()).collect();
        assert_eq!(
            own.iter().map(Duration::as_millis).collect::<Vec<_>>(),
            [0, 500, 1000, 2000]
        );
        let asked = Some(Duration::from_secs(7));
        assert_eq!(pause_after(1, asked), Ok(Duration::from_secs(7)));
        let reason = pause_after(1, Some(Duration::from_secs(3601))).unwrap_err();
        assert!(reason.contains("61 minutes"), "{reason}");
    }

    #[test]
    fn a_pause_ends_at_once_when_interrupted() {
        let begun = Instant::now();
        let mut report = |step: PullProgress| match step {
            PullProgress::Received(0) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let ended = pause(&mut report, Duration::from_secs(300));
        assert!(matches!(ended, Err(HubError::Interrupted)));
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
