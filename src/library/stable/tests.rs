use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::library::export::tests::record;
use crate::media::DicomOrigin;
use crate::scoring::Score;
use crate::scoring::calibration::Calibrations;

const STABLE_AFTER: Duration = Duration::from_secs(60);
/// Everything that was requested is answered.
const ALL_ANSWERED: RequestProgress = RequestProgress {
    newest: 0,
    oldest_pending: None,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn tracker() -> StableSeries {
    let prompts = Prompts::select("general", None).expect("it ships");
    StableSeries::new(
        STABLE_AFTER,
        &prompts,
        Mode::Single,
        &Calibrations::default(),
    )
}

/// The result of an instance, with its content as the number after it.
fn instance(study: &str, series: &str, instance: &str, content: u32) -> Record {
    let prompts = Prompts::select("general", None).expect("it ships");
    let mut record = record(Decision::Confident);
    record.prompts_digest = prompts.sets()[0].digest.clone();
    record.content = format!("blake3:{content:02}");
    record.origin = DicomOrigin {
        instance: Some(instance.to_owned()),
        series: Some(series.to_owned()),
        study: (!study.is_empty()).then(|| study.to_owned()),
        station: None,
        ..DicomOrigin::default()
    };
    record
}

fn with_scores(mut record: Record, scores: &[(&str, f64)]) -> Record {
    let score = |&(condition, probability): &(&str, f64)| Score {
        condition: condition.to_owned(),
        probability,
        max: None,
        similarity: probability / 2.0,
        threshold: None,
        normal: false,
        calibrated: false,
    };
    record.verdict.scores = scores.iter().map(score).collect();
    record
}

/// The series or study, and the number of instances, of each line.
fn told(lines: &[AggregateRecord]) -> Vec<(&str, usize)> {
    let uid = |line: &AggregateRecord| (line.series.is_some(), line.instances);
    lines
        .iter()
        .map(|line| match uid(line) {
            (true, count) => (line.series.as_deref().unwrap_or_default(), count),
            (false, count) => (line.study.as_deref().unwrap_or_default(), count),
        })
        .collect()
}

#[test]
fn a_series_gets_a_line_when_it_is_quiet_and_another_one_after_a_later_instance() {
    let mut series = tracker();
    for (at, content) in [(0, 1), (50, 2), (100, 3)] {
        let path = format!("in/a/{content}.dcm");
        let record = instance("9", "9.1", &content.to_string(), content);
        series.add(seconds(at), Path::new(&path), &record);
        assert_eq!(series.due(seconds(at), ALL_ANSWERED), []);
    }
    assert_eq!(series.next_due(seconds(100)), Some(STABLE_AFTER));
    assert!(!series.is_due(seconds(159)));
    assert!(series.is_due(seconds(160)));
    let lines = series.due(seconds(160), ALL_ANSWERED);
    assert_eq!(told(&lines), [("9.1", 3)], "the study has no other series");
    assert_eq!(lines[0].study.as_deref(), Some("9"));
    assert_eq!(
        (lines[0].path.as_str(), lines[0].aggregate),
        ("in/a", "mean")
    );
    assert_eq!(
        (series.next_due(seconds(160)), series.is_due(seconds(999))),
        (None, false)
    );
    let late = instance("9", "9.1", "4", 4);
    series.add(seconds(1000), Path::new("in/b/4.dcm"), &late);
    assert_eq!(series.due(seconds(1059), ALL_ANSWERED), []);
    let lines = series.due(seconds(1060), ALL_ANSWERED);
    assert_eq!(told(&lines), [("9.1", 4)]);
    assert_eq!(lines[0].path, "in");
}

#[test]
fn the_line_has_mean_and_highest_probability() {
    let mut series = tracker();
    for (content, pneumonia) in [(1, 0.9), (2, 0.6)] {
        let record = instance("9", "9.1", &content.to_string(), content);
        let record = with_scores(
            record,
            &[("pneumonia", pneumonia), ("normal", 1.0 - pneumonia)],
        );
        series.add(seconds(0), Path::new("in/a.dcm"), &record);
    }
    let lines = series.due(STABLE_AFTER, ALL_ANSWERED);
    let verdict = &lines[0].verdict;
    assert_eq!(
        (verdict.label.as_str(), verdict.decision),
        ("pneumonia", Decision::Confident)
    );
    assert!((verdict.probability - 0.75).abs() < 1e-12);
    let first = &verdict.scores[0];
    assert!((first.similarity - 0.375).abs() < 1e-12);
    assert_eq!(first.max, Some(0.9));
    assert_eq!(
        (verdict.scores[1].condition.as_str(), verdict.scores[1].max),
        ("normal", Some(0.4))
    );
}

#[test]
fn a_line_about_uncalibrated_results_has_nothing_of_a_calibration() {
    use crate::scoring::calibration::{Calibration, ConditionCalibration};
    let prompts = Prompts::select("general", None).expect("it ships");
    let scored = |calibrated| {
        let record = instance("", "1.2", "1.2.1", 1);
        let mut own = with_scores(record, &[("pneumonia", 0.4), ("normal", 0.6)]);
        // Of a label about which too little is known, another condition may be calibrated.
        own.mode = Mode::Multi;
        own.verdict.scores[0].calibrated = calibrated;
        let calibration = Calibration {
            model: own.model.clone(),
            model_digest: own.model_digest.clone(),
            prompts: "general".to_owned(),
            prompts_digest: own.prompts_digest.clone(),
            mode: Mode::Multi,
            learned: None,
            fit: None,
            synthetic: false,
            at: String::new(),
            images: 40,
            error_before: 0.1,
            error_after: 0.1,
            single: None,
            conditions: vec![ConditionCalibration {
                condition: "pneumonia".to_owned(),
                slope: 1.0,
                offset: 0.0,
                threshold: 0.3,
                positives: 20,
                confidence: None,
            }],
            normal: Vec::new(),
            left_out: Vec::new(),
        };
        let all = Calibrations(vec![calibration]);
        let mut series = StableSeries::new(STABLE_AFTER, &prompts, Mode::Multi, &all);
        series.add(seconds(0), Path::new("in/a.dcm"), &own);
        series.due(STABLE_AFTER, ALL_ANSWERED).remove(0)
    };
    let line = scored(true);
    assert_eq!(
        (line.verdict.label.as_str(), line.calibrated),
        ("pneumonia", true)
    );
    let line = scored(false);
    assert_eq!(line.verdict.label, "normal");
    assert!(
        line.verdict
            .scores
            .iter()
            .all(|own| own.threshold.is_none())
    );
}

#[test]
fn a_line_has_the_mode_of_the_results_that_it_is_about() {
    let prompts = Prompts::select("general", None).expect("it ships");
    let mut series = StableSeries::new(
        STABLE_AFTER,
        &prompts,
        Mode::Multi,
        &Calibrations::default(),
    );
    series.add(
        seconds(0),
        Path::new("in/a.dcm"),
        &instance("", "1.2", "1", 1),
    );
    let lines = series.due(STABLE_AFTER, ALL_ANSWERED);
    assert_eq!(lines[0].mode, Mode::Single);
}

#[test]
fn a_study_with_several_series_gets_a_line_after_theirs() {
    let mut series = tracker();
    series.add(seconds(0), Path::new("in/1"), &instance("9", "9.2", "1", 1));
    series.add(
        seconds(30),
        Path::new("in/2"),
        &instance("9", "9.1", "2", 2),
    );
    series.add(seconds(30), Path::new("in/3"), &instance("", "7", "3", 3));
    assert_eq!(told(&series.due(seconds(60), ALL_ANSWERED)), [("9.2", 1)]);
    let lines = series.due(seconds(90), ALL_ANSWERED);
    assert_eq!(told(&lines), [("7", 1), ("9.1", 1), ("9", 2)]);
    assert_eq!((&lines[0].study, &lines[2].series), (&None, &None));
    // A later series makes a line for itself and for the study, not for the others.
    series.add(
        seconds(100),
        Path::new("in/4"),
        &instance("9", "9.3", "4", 4),
    );
    assert_eq!(
        told(&series.due(seconds(160), ALL_ANSWERED)),
        [("9.3", 1), ("9", 3)]
    );
}

#[test]
fn a_study_waits_until_the_last_of_its_lines_is_returned() {
    let mut series = tracker();
    let records = [instance("9", "9.1", "1", 1), instance("9", "9.2", "2", 2)];
    let study = StudyKey::Study("9".into());
    for (record, at) in records.iter().zip([0, 30]) {
        assert_eq!(series.waiting_study(record).is_some(), at > 0);
        series.add(seconds(at), Path::new("in/x"), record);
        assert_eq!(series.waiting_study(record), Some(study.clone()));
    }
    assert_eq!(told(&series.due(seconds(60), ALL_ANSWERED)), [("9.1", 1)]);
    assert_eq!(series.take_quiet(), []);
    let lines = series.due(seconds(90), ALL_ANSWERED);
    assert_eq!(told(&lines), [("9.2", 1), ("9", 2)]);
    assert_eq!(series.take_quiet(), [study]);
    assert_eq!(series.take_quiet(), []);
    assert_eq!(series.waiting_study(&records[0]), None);
    // What is dropped for want of room waits no longer, either.
    series.add(seconds(99), Path::new("in/3"), &instance("", "7", "3", 3));
    let late = instance("", "8", "4", 4);
    series.add(seconds(99), Path::new("in/4"), &late);
    series.max_instances = 1;
    assert_eq!(told(&series.due(seconds(99), ALL_ANSWERED)), [("7", 1)]);
    assert_eq!(series.take_quiet(), [StudyKey::Alone("7".into())]);
    assert_eq!(
        series.waiting_study(&late),
        Some(StudyKey::Alone("8".into()))
    );
}

#[test]
fn what_is_requested_before_a_line_is_due_is_waited_for() {
    let mut series = tracker();
    series.add(seconds(0), Path::new("in/1"), &instance("9", "9.1", "1", 1));
    let progress = |newest, oldest_pending| RequestProgress {
        newest,
        oldest_pending,
    };
    assert_eq!(series.due(seconds(60), progress(5, Some(4))), []);
    assert!(series.is_due(seconds(60)));
    // Later requests are not waited for.
    assert_eq!(series.due(seconds(61), progress(9, Some(5))), []);
    let mut answered = series.due(seconds(61), progress(9, Some(6)));
    assert_eq!(told(&answered), [("9.1", 1)]);
    // An instance that was among them begins the wait anew.
    series.add(
        seconds(62),
        Path::new("in/2"),
        &instance("9", "9.1", "2", 2),
    );
    assert_eq!(series.due(seconds(122), progress(9, Some(7))), []);
    series.add(
        seconds(123),
        Path::new("in/3"),
        &instance("9", "9.1", "3", 3),
    );
    assert_eq!(series.due(seconds(124), progress(9, None)), []);
    answered = series.due(seconds(183), progress(9, None));
    assert_eq!(told(&answered), [("9.1", 3)]);
}

#[test]
fn copies_are_no_new_instances_and_changed_ones_replace() {
    let mut series = tracker();
    let record = instance("9", "9.1", "1", 1);
    series.add(seconds(0), Path::new("in/1"), &record);
    series.add(seconds(50), Path::new("in/copy"), &record);
    assert_eq!(told(&series.due(seconds(60), ALL_ANSWERED)), [("9.1", 1)]);
    series.add(seconds(70), Path::new("in/renamed"), &record);
    assert_eq!(series.due(seconds(1000), ALL_ANSWERED), []);
    series.add(
        seconds(1000),
        Path::new("in/1"),
        &instance("9", "9.1", "1", 2),
    );
    assert_eq!(told(&series.due(seconds(1060), ALL_ANSWERED)), [("9.1", 1)]);
    // Back to the first content: these instances have been told of, but not last.
    series.add(seconds(1100), Path::new("in/1"), &record);
    assert_eq!(told(&series.due(seconds(1160), ALL_ANSWERED)), [("9.1", 1)]);
}

#[test]
fn a_renamed_instance_counts_where_it_is_and_a_copy_does_not() {
    let mut series = tracker();
    let records = [1, 2].map(|number: u32| instance("9", "9.1", &number.to_string(), number));
    for (record, file) in records.iter().zip(["1", "2"]) {
        series.add(seconds(0), &Path::new("in/ct7_tmp").join(file), record);
    }
    for (record, file) in records.iter().zip(["1", "2"]) {
        let path = Path::new("in/ct7").join(file);
        series.note_renamed(&path, record);
        series.add(seconds(50), &path, record);
        series.add(seconds(50), &Path::new("in/copies").join(file), record);
    }
    let unknown = instance("9", "9.2", "3", 3);
    series.note_renamed(Path::new("in/other/3"), &unknown);
    let lines = series.due(seconds(60), ALL_ANSWERED);
    assert_eq!(told(&lines), [("9.1", 2)], "a rename is no new instance");
    assert_eq!(lines[0].path, "in/ct7");
}

#[test]
fn rejected_instances_do_not_count_unless_all_are_rejected() {
    let mut series = tracker();
    let rejected = |content: u32| {
        let record = instance("9", "9.1", &content.to_string(), content);
        let mut record = with_scores(record, &[("tumor", 1.0)]);
        record.verdict = record.verdict.reject("a photograph".to_owned());
        record
    };
    series.add(seconds(0), Path::new("in/1"), &rejected(1));
    let lines = series.due(seconds(60), ALL_ANSWERED);
    assert_eq!((lines[0].instances, lines[0].rejected), (1, 1));
    assert_eq!(lines[0].verdict.decision, Decision::Rejected);
    assert_eq!(lines[0].verdict.reason.as_deref(), Some("a photograph"));
    let accepted = with_scores(instance("9", "9.1", "2", 2), &[("fracture", 0.9)]);
    series.add(seconds(70), Path::new("in/2"), &accepted);
    let lines = series.due(seconds(130), ALL_ANSWERED);
    assert_eq!((lines[0].instances, lines[0].rejected), (2, 1));
    assert_eq!(lines[0].verdict.label, "fracture");
    assert!((lines[0].verdict.probability - 0.9).abs() < 1e-12);
}

#[test]
fn images_scored_by_different_prompts_get_lines_of_their_own() {
    let mut series = tracker();
    let other = Prompts::select("chest-xray", None).expect("it ships");
    series.use_prompts(&other);
    let mut record = instance("9", "9.1", "1", 1);
    series.add(seconds(0), Path::new("in/1"), &record);
    record.prompts_digest = other.sets()[0].digest.clone();
    record.origin.instance = Some("2".to_owned());
    series.add(seconds(0), Path::new("in/2"), &record);
    let lines = series.due(seconds(60), ALL_ANSWERED);
    assert_eq!(told(&lines), [("9.1", 1), ("9.1", 1)]);
    assert_ne!(lines[0].prompts_digest, lines[1].prompts_digest);
    // When the first one is scored by the other set, too, there is one line about both.
    record.origin.instance = Some("1".to_owned());
    series.add(seconds(70), Path::new("in/1"), &record);
    assert_eq!(told(&series.due(seconds(130), ALL_ANSWERED)), [("9.1", 2)]);
}

#[test]
fn the_number_of_remembered_instances_is_bounded_and_no_series_goes_without_a_line() {
    let mut series = tracker();
    series.max_instances = 10;
    let mut lines = Vec::new();
    for number in 0..100 {
        let uid = format!("9.{}", number / 4);
        let record = instance(&uid, &uid, &number.to_string(), number);
        // From the 50th on they come faster than they become quiet.
        let now = seconds(u64::from(number.min(50)) * 30);
        series.add(now, Path::new("in/x"), &record);
        lines.extend(series.due(now, ALL_ANSWERED));
        assert!(series.instances <= 10);
        let remembered: usize = series.studies.values().map(StudyState::instances).sum();
        assert_eq!(series.instances, remembered);
    }
    lines.extend(series.due(seconds(9999), ALL_ANSWERED));
    let mut told = told(&lines);
    told.sort_unstable();
    let expected: BTreeSet<String> = (0..25).map(|uid| format!("9.{uid}")).collect();
    assert!(told.iter().map(|(uid, _)| *uid).eq(&expected), "{told:?}");
    assert!(told.iter().all(|(_, count)| *count == 4), "{told:?}");
    assert!(series.quiet.len() <= 10 && series.gathering.is_empty() && series.settling.is_empty());
}

/// The instances of a series by number, with their contents.
type Contents = BTreeMap<u32, u32>;

proptest! {
    /// Compares with a simulation that looks at every series in every second.
    #[test]
    fn each_set_of_instances_gets_one_line_once_it_is_quiet(
        arrivals in proptest::collection::vec((0_u64..4, 0_u32..3, 0_u32..4, 0_u32..2), 1..40)
    ) {
        let prompts = Prompts::select("general", None).expect("it ships");
        let mut tracker = StableSeries::new(seconds(2), &prompts, Mode::Single, &Calibrations::default());
        let mut simulated: BTreeMap<u32, (Contents, Option<u64>, Contents)> = BTreeMap::new();
        let mut contents_of_sets: HashMap<(u32, Contents), String> = HashMap::new();
        let (mut now, mut arrivals) = (0, arrivals.into_iter().peekable());
        let mut wait = arrivals.peek().map_or(0, |next| next.0);
        while now < 500 {
            while let Some((_, series, number, content)) = arrivals.next_if(|_| wait == 0) {
                let record = instance("", &series.to_string(), &number.to_string(), content);
                tracker.add(seconds(now), Path::new("in/x"), &record);
                let (known, newest, _) = simulated.entry(series).or_default();
                if known.insert(number, content) != Some(content) {
                    *newest = Some(now);
                }
                wait = arrivals.peek().map_or(0, |next| next.0);
            }
            let lines = tracker.due(seconds(now), ALL_ANSWERED);
            let mut expected = Vec::new();
            for (series, (known, newest, told)) in &mut simulated {
                if newest.is_some_and(|newest| newest + 2 <= now) {
                    *newest = None;
                    // Which number has which content does not matter.
                    let set = |contents: &Contents| {
                        let mut set: Vec<u32> = contents.values().copied().collect();
                        set.sort_unstable();
                        set
                    };
                    if set(told) != set(known) {
                        expected.push((*series, known.clone()));
                    }
                    told.clone_from(known);
                }
            }
            let mut found = told(&lines);
            found.sort_unstable();
            let wanted: Vec<(String, usize)> =
                expected.iter().map(|(series, known)| (series.to_string(), known.len())).collect();
            prop_assert!(found.iter().copied().eq(wanted.iter().map(|(s, n)| (s.as_str(), *n))), "at {}: {:?}, not {:?}", now, found, wanted);
            for (series, known) in expected {
                let line = lines.iter().find(|line| line.series == Some(series.to_string()));
                let content = line.expect("found above").content.clone();
                let before = contents_of_sets.insert((series, known), content.clone());
                prop_assert!(before.is_none_or(|before| before == content));
            }
            now += 1;
            wait = wait.saturating_sub(1);
        }
        prop_assert!(arrivals.peek().is_none());
        let later = tracker.due(seconds(9999), ALL_ANSWERED);
        prop_assert_eq!(later.len(), 0);
    }
}
