use std::time::{Duration, SystemTime};

use jiff::tz::{Offset, TimeZone};

use super::*;
use crate::app::results::FileState;
use crate::library::export::tests::record;
use crate::library::{Failure, Review};
use crate::media::{ErrorKind, FileContent};

static UTC: TimeZone = TimeZone::UTC;

fn state(
    label: &str,
    probability: f64,
    urgency: impl Into<Option<f64>>,
    decision: Decision,
) -> FileState {
    let mut record = record(decision);
    record.modality = Some("CR".to_owned());
    let verdict = &mut record.verdict;
    label.clone_into(&mut verdict.label);
    (verdict.probability, verdict.urgency) = (probability, urgency.into());
    FileState::Done([record].into())
}

fn failed() -> FileState {
    FileState::Failed(Failure {
        kind: ErrorKind::Truncated,
        message: String::new(),
        content: FileContent::Image,
    })
}

/// Which of these pass: a sure pneumonia, a doubtful normal, a rejected tumor, one that failed, one that is queued.
fn passing(filter: &str) -> String {
    let states = [
        ('p', state("Pneumonia", 0.7, 0.95, Decision::Confident)),
        ('n', state("normal", 0.5, 0.5, Decision::Uncertain)),
        ('r', state("tumor", 0.9, 0.9, Decision::Rejected)),
        ('e', failed()),
        ('q', FileState::Queued),
    ];
    let terms = ParsedFilter::parse(filter);
    assert_eq!(terms.fault, None, "{filter}");
    let passes = |judged| terms.on_results.iter().all(|term| term.holds(judged));
    let passing = states.iter().filter(|(_, state)| {
        passes(Judged {
            state,
            reviews: None,
            modified: None,
            zone: &UTC,
        })
    });
    passing.map(|(letter, _)| *letter).collect()
}

#[test]
fn terms_choose_files_by_their_reviews() {
    let state = state("pneumonia", 0.7, 0.95, Decision::Confident);
    let blind = state.clone().blinded(true);
    let review = |labels: Option<&[&str]>, note: &str, flagged| ImageReviews {
        mine: Some(Review {
            labels: labels.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect()),
            note: note.to_owned(),
            flagged,
            prompts: state
                .record()
                .map_or_else(String::new, |own| own.prompts.clone()),
            ..Review::default()
        }),
        ..ImageReviews::default()
    };
    let others = ImageReviews {
        others: vec![Review {
            labels: Some(vec!["tumor".to_owned()]),
            ..Review::default()
        }],
        sampled: true,
        ..ImageReviews::default()
    };
    let reviews = [
        ('a', review(Some(&["pneumonia"]), "", false)),
        ('d', review(Some(&["Tumor"]), "", false)),
        ('0', review(Some(&[]), "", false)),
        ('n', review(None, "look", false)),
        ('f', review(None, "", true)),
        ('o', others),
    ];
    for (filter, expected) in [
        ("reviewed", "ad0"),
        ("!reviewed", "nfo"),
        ("flagged", "f"),
        ("noted", "n"),
        ("sampled", "o"),
        ("disagrees", "d0"),
        ("review:tum", "d"),
        ("review:tumor label:pneu", "d"),
    ] {
        let terms = ParsedFilter::parse(filter);
        assert_eq!((terms.fault, terms.words.as_str()), (None, ""), "{filter}");
        let passing = |state| -> String {
            let holds = |reviews| {
                let reviews = Some(reviews);
                let judged = Judged {
                    state,
                    reviews,
                    modified: None,
                    zone: &UTC,
                };
                terms.on_results.iter().all(|term| term.holds(judged))
            };
            let passing = reviews.iter().filter(|(_, reviews)| holds(reviews));
            passing.map(|(letter, _)| *letter).collect()
        };
        assert_eq!(passing(&state), expected, "{filter}");
        let hidden = filter.contains("disagrees") || filter.contains("label");
        let expected = if hidden { "" } else { expected };
        assert_eq!(passing(&blind), expected, "blind: {filter}");
    }
}

#[test]
fn terms_choose_files_by_their_results() {
    for (filter, expected) in [
        ("", "pnreq"),
        ("label:pneumonia", "p"),
        ("label:PNEU", "p"),
        ("!label:pneumonia", "nreq"),
        ("label:tumor", ""),
        ("label:", "pnreq"),
        ("modality:CR", "pnr"),
        ("modality:cr label:normal", "n"),
        ("modality:C", ""),
        ("p>0.6", "p"),
        ("probability>0.6", "p"),
        ("p>=0.7", "p"),
        ("p>0.7", ""),
        ("p<0.6", "n"),
        ("p<=0.5", "n"),
        ("!p>0.6", "nreq"),
        ("p>", "pnreq"),
        ("urgency>0.9", "p"),
        ("urgency>0.4 !uncertain", "p"),
        ("decision:rejected", "r"),
        ("decision:conf", "p"),
        ("rejected", "r"),
        ("uncertain", "n"),
        ("confident", "p"),
        ("error", "e"),
        ("!error !rejected", "pnq"),
        ("rejected error", ""),
        ("label:\"pneumonia\" chest", "p"),
    ] {
        assert_eq!(passing(filter), expected, "{filter}");
    }
}

#[test]
fn a_result_that_says_nothing_of_health_has_no_urgency_to_compare() {
    let state = state("wrist x-ray", 0.9, None, Decision::Confident);
    for (filter, expected) in [
        ("urgency<0.2", false),
        ("urgency>=0", false),
        ("!urgency>0.4", true),
        ("label:wrist p>0.8", true),
    ] {
        let judged = Judged {
            state: &state,
            reviews: None,
            modified: None,
            zone: &UTC,
        };
        let terms = ParsedFilter::parse(filter).on_results;
        let passes = terms.iter().all(|term| term.holds(judged));
        assert_eq!(passes, expected, "{filter}");
    }
}

#[test]
fn all_else_is_a_pattern_of_words_for_names() {
    for (filter, words) in [
        ("im !12", "im !12"),
        ("'error", "'error"),
        ("!'rejected ^a b$", "!'rejected ^a b$"),
        ("errors p", "errors p"),
        ("a label:x  b urgency>0.9", "a b"),
        ("12:30 =b a=b .dcm", "12:30 =b a=b .dcm"),
        ("'c:d", "'c:d"),
        ("größe:x", "größe:x"),
    ] {
        let parsed = ParsedFilter::parse(filter);
        assert_eq!(
            (parsed.words.as_str(), parsed.fault),
            (words, None),
            "{filter}"
        );
    }
}

#[test]
fn a_term_that_is_wrong_is_explained() {
    for (filter, expected) in [
        ("lable:x", "unknown term `lable`; did you mean `label`?"),
        ("urgncy>0.5", "did you mean `urgency`?"),
        (
            "time:2026",
            "use one of `label`, `review`, `modality`, `decision`, `set`, `p`, `probability`, `urgency`, `date`",
        ),
        ("date:x", "write date:2026-11 or date>2026-11-01"),
        ("date:2026-13", "`2026-13` is not a day, month or year"),
        ("date>26-1-1", "is not a day, month or year"),
        ("!lable:x", "did you mean `label`?"),
        ("p:0.5", "write p>0.5"),
        ("label>x", "write label:x"),
        ("p>60", "for 90 % write p>0.9"),
        ("urgency>high", "write urgency>0.9"),
        ("decision:rejekted", "did you mean `rejected`?"),
        (
            "decision:x",
            "use one of `rejected`, `uncertain`, `confident`",
        ),
        ("a lable:x urgncy>1", "did you mean `label`?"),
    ] {
        let fault = ParsedFilter::parse(filter).fault.unwrap_or_default();
        assert!(fault.contains(expected), "{filter}: {fault}");
    }
}

#[test]
fn dates_are_days_months_or_years_of_the_last_change() {
    let state = state("pneumonia", 0.7, 0.95, Decision::Confident);
    // Noon of 15 November 2026 in London.
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_794_744_000);
    let holds_in = |zone: &TimeZone, filter: &str, modified| {
        let terms = ParsedFilter::parse(filter);
        assert_eq!(terms.fault, None, "{filter}");
        terms.on_results.iter().all(|term| {
            term.holds(Judged {
                state: &state,
                reviews: None,
                modified,
                zone,
            })
        })
    };
    let holds = |filter: &str, modified| holds_in(&UTC, filter, modified);
    for (filter, expected) in [
        ("date:2026", true),
        ("date:2026-11", true),
        ("date:2026-10", false),
        ("!date:2025", true),
        ("date>2026-11-10", true),
        ("date<2026-11-20", true),
        ("date>2026-11", false),
        ("date>=2026-11", true),
        ("date<=2026-11", true),
        ("date<2026-11", false),
        ("date>2026-10 date<2026-12", true),
        ("date:2026-1", true),
        ("date>", true),
    ] {
        assert_eq!(holds(filter, Some(time)), expected, "{filter}");
    }
    assert!(!holds("date:2026", None) && holds("!date:2026", None));
    for (hours, day) in [(-11, 15), (0, 15), (11, 15), (12, 16), (14, 16)] {
        let zone = TimeZone::fixed(Offset::constant(hours));
        for other in 14..=17 {
            let is_that_day = holds_in(&zone, &format!("date:2026-11-{other}"), Some(time));
            assert_eq!(
                is_that_day,
                other == day,
                "{hours} hours from London: {other}"
            );
        }
    }
}
