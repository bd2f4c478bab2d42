//! `watch`: classifies the files in a folder and those that arrive, and prints results as they come, until a signal.

mod follow_up;
mod follower;
mod hourly;
mod line_file;
mod metrics;
mod moves;
mod output;
mod reloading;
mod reported;
mod reports;
mod signals;
mod systemd;

use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;

use super::print;
use super::progress::ProgressLine;
use super::run::{self, Run};
use super::summary::Summary;
use super::{CommandSetup, Fault, exit, leave, shown};
use crate::cli;
use crate::library::StableSeries;
use crate::watch::{Watch, WatchEvent, WatchOptions};
use follow_up::FollowUps;
use follower::{FollowEnd, Follower};
use output::{WatchOutput, shown_columns};
use reloading::Reloading;
use reports::Reports;

/// Shortest polling interval in seconds: scanning more often is of no use.
const MIN_POLL_INTERVAL: f64 = 0.05;

/// Reads the settings again.
pub type SettingsReader<'a> = &'a dyn Fn() -> Result<CommandSetup, Fault>;

/// Watches until a signal; returns the exit code. `reread` is called when SIGHUP requests it.
pub fn run(
    arguments: &cli::WatchArgs,
    setup: &CommandSetup,
    reread: SettingsReader,
) -> Result<u8, Fault> {
    let poll = arguments.poll.map(interval).transpose()?;
    let reports = Reports::new(&arguments.dir, arguments.metrics.as_deref())?;
    let prompts = setup.load_prompts_by_rules()?;
    let settings = arguments.results.settings(prompts.clone(), setup);
    let follow_ups = FollowUps::new(
        arguments.exec.as_deref(),
        arguments.move_to.as_deref(),
        &arguments.dir,
        setup.rules.clone(),
        (reports.metrics().clone(), settings.library.clone()),
    )?;
    if let Some(library) = &settings.library {
        library.report_conflicts_to(Box::new(|sentence| {
            print::message(format_args!("warning: {}", crate::media::clean(sentence)));
        }));
    }
    let series = arguments.stable_after.map(|after| {
        let calibrations = settings.learned.calibrations(&settings.calibrations);
        StableSeries::new(after, &prompts, settings.mode, &calibrations)
    });
    let fits = (settings.calibrations.clone(), settings.learned.clone());
    let shows = shown_columns(settings.mode, &fits, &prompts);
    let library = settings.library.clone();
    let output = WatchOutput::open(arguments, &prompts, library, shows)?;
    let signals = signals::receive()?;
    let (sender, events) = unbounded();
    let watch = Watch::start(
        &arguments.dir,
        WatchOptions { poll },
        Box::new(move |event| {
            panic_if_tested(&event);
            drop(sender.send(event));
        }),
    )
    .map_err(Fault::usage)?;
    let factory = setup.factory(arguments.results.fit);
    let progress = ProgressLine::hidden();
    let mut follower = Follower {
        run: Run::start(factory, settings, run::messages(), &progress),
        signals,
        reloading: Reloading {
            reread,
            setup: setup.clone(),
            prompts,
            fits,
            fit: arguments.results.fit,
        },
        output,
        watch: Some(watch),
        has_lost_watch: false,
        folder: shown(&arguments.dir),
        begun: Instant::now(),
        is_scanned: false,
        series,
        summary: Summary::default(),
        reports,
        follow_ups,
    };
    let ended = follower.follow_to_end(&events);
    if let Err(fault) = &ended {
        follower.give_up(fault);
    }
    let code = match ended {
        Ok(_) if follower.has_lost_watch => exit::SOME_FAILED,
        // Nobody reads the output any more.
        Err(_) if follower.output.is_closed() => exit::OK,
        Err(fault) => {
            follower.run.shutdown();
            return Err(fault);
        }
        Ok(_) => exit::OK,
    };
    let _blocked = follower.reports.may_block();
    if matches!(ended, Ok(FollowEnd::Drained)) {
        follower.run.finish();
    } else if !follower.run.shutdown() {
        // A forward pass cannot be stopped. All finished results have been written.
        leave(code);
    }
    Ok(code)
}

/// Panics on request, for the test that the end of the watch's thread is noticed.
fn panic_if_tested(event: &WatchEvent) {
    let is_due = cfg!(debug_assertions) && *event == WatchEvent::Scanned;
    let is_requested = is_due && std::env::var_os("MEDIVISION_TEST_PANIC").is_some();
    assert!(!is_requested, "requested by a test");
}

fn interval(seconds: f64) -> Result<Duration, Fault> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|_| seconds >= MIN_POLL_INTERVAL)
        .ok_or_else(|| {
            let reason = format!("--poll {seconds}: must be at least {MIN_POLL_INTERVAL} seconds");
            Fault::usage(reason)
        })
}
