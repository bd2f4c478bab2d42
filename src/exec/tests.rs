use std::fs;

use super::*;
use crate::library::export::tests::record;
use crate::scoring::Decision;

/// How long anything may take on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// A time limit that no test waits for.
const NEVER: RunLimits = RunLimits {
    time: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};

fn runner(limits: RunLimits) -> CommandRunner {
    CommandRunner::new(limits).unwrap()
}

/// Requests a run of a shell script, in which `$1` is the path.
fn request(runner: &mut CommandRunner, script: &str) {
    let command = CommandLine::parse(&format!("sh -c '{script}' sh {{path}}")).unwrap();
    let record = record(Decision::Confident);
    runner
        .run(&command, Path::new("/in/a.dcm"), &record)
        .unwrap();
}

fn next(runner: &CommandRunner) -> FinishedRun {
    runner.finished().recv_timeout(DEADLINE).unwrap()
}

fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_true() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

/// Whether a process runs; a zombie does not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    !pid.is_empty() && stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Whether the process runs whose number a script wrote to a file.
fn is_alive_by(file: &Path) -> bool {
    is_alive(fs::read_to_string(file).unwrap_or_default().trim())
}

#[test]
fn a_program_gets_the_result_on_its_stdin() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut runner = runner(NEVER);
    request(
        &mut runner,
        &format!("cat > {}; echo $1 >&2", out.display()),
    );
    assert!(next(&runner).result.is_ok());
    let text = fs::read_to_string(out).unwrap();
    assert_eq!(
        text,
        json::line(&record(Decision::Confident)).unwrap() + "\n"
    );
}

#[test]
fn input_that_nobody_reads_is_no_failure() {
    let mut runner = runner(NEVER);
    // More than a pipe holds.
    let mut large = record(Decision::Confident);
    large.path = "a".repeat(1 << 20);
    for script in ["true", "exec <&-; true", "head -c 1 > /dev/null"] {
        let command = CommandLine::parse(&format!("sh -c '{script}'")).unwrap();
        runner.run(&command, Path::new("/a"), &large).unwrap();
        assert!(next(&runner).result.is_ok(), "{script}");
    }
}

#[test]
fn a_failure_says_which_command_failed_on_which_file_and_how() {
    let mut runner = runner(NEVER);
    request(&mut runner, "exit 3");
    let run = next(&runner);
    assert_eq!(run.path, Path::new("/in/a.dcm"));
    assert!(run.command.starts_with("sh -c 'exit 3'"), "{}", run.command);
    let failure = run.result.unwrap_err().to_string();
    assert_eq!(failure, "exit status: 3");
    let missing = CommandLine::parse("/no/such/program").unwrap();
    let record = record(Decision::Confident);
    runner.run(&missing, Path::new("/a"), &record).unwrap();
    let failure = next(&runner).result.unwrap_err();
    assert!(matches!(failure, RunFailure::NotStarted(_)), "{failure}");
}

#[test]
fn what_runs_too_long_is_ended_with_all_it_started() {
    let limits = RunLimits {
        time: Duration::from_millis(300),
        grace: Duration::from_millis(300),
    };
    let dir = tempfile::tempdir().unwrap();
    let (polite, stubborn) = (dir.path().join("polite"), dir.path().join("stubborn"));
    let mut runner = runner(limits);
    let script = "sleep 1000 & echo $! > ";
    request(&mut runner, &format!("{script} {}; wait", polite.display()));
    let failure = next(&runner).result.unwrap_err();
    assert!(matches!(failure, RunFailure::TimedOut(_)), "{failure}");
    wait_until("it is ended", || !is_alive_by(&polite));
    request(
        &mut runner,
        &format!(
            "trap \"\" TERM; {script} {}; while :; do wait; done",
            stubborn.display()
        ),
    );
    let failure = next(&runner).result.unwrap_err();
    assert!(matches!(failure, RunFailure::TimedOut(_)), "{failure}");
    wait_until("it is killed", || !is_alive_by(&stubborn));
}

#[test]
fn a_program_that_ends_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let mut runner = runner(NEVER);
    request(
        &mut runner,
        &format!("sleep 1000 & echo $! > {}", file.display()),
    );
    assert!(next(&runner).result.is_ok());
    wait_until("it is killed", || !is_alive_by(&file));
}

#[test]
fn four_run_at_once_and_the_others_wait_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut runner = runner(NEVER);
    let script = |number: usize| {
        let folder = dir.path().display();
        format!("touch {folder}/{number}; until test -e {folder}/go; do sleep 0.01; done")
    };
    for number in 0..MAX_WAITING_RUNS + MAX_PROGRAMS {
        assert!(runner.has_room(), "{number}");
        request(&mut runner, &script(number));
        if number < MAX_PROGRAMS {
            wait_until("it starts", || at(&number.to_string()).exists());
        }
    }
    assert!(!runner.has_room());
    assert_eq!(runner.unfinished_count(), MAX_WAITING_RUNS + MAX_PROGRAMS);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), MAX_PROGRAMS);
    fs::write(at("go"), "").unwrap();
    for _ in 0..MAX_WAITING_RUNS + MAX_PROGRAMS {
        assert!(next(&runner).result.is_ok());
    }
    assert!(runner.has_room());
    assert_eq!(runner.unfinished_count(), 0);
}

#[test]
fn dropping_it_kills_what_runs_and_starts_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut runner = runner(NEVER);
    let finished = runner.finished().clone();
    for _ in 0..=MAX_PROGRAMS {
        let folder = dir.path().display();
        request(&mut runner, &format!("touch {folder}/$$; exec sleep 1000"));
    }
    let started = || -> Vec<String> {
        let entries = fs::read_dir(dir.path()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    };
    wait_until("they run", || started().len() == MAX_PROGRAMS);
    assert!(started().iter().all(|pid| is_alive(pid)));
    drop(runner);
    assert_eq!(started().len(), MAX_PROGRAMS);
    assert!(!started().iter().any(|pid| is_alive(pid)));
    let failures: Vec<_> = finished.iter().map(|run| run.result.unwrap_err()).collect();
    assert_eq!(failures.len(), MAX_PROGRAMS + 1);
    assert!(
        failures
            .iter()
            .all(|failure| matches!(failure, RunFailure::Interrupted))
    );
}
