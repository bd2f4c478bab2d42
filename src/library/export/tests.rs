use super::*;
use crate::library::Record;
use crate::media::{DicomOrigin, ErrorKind, FileContent, FileFormat};
use crate::scoring::{Mode, Score, Verdict};

/// A result for tests.
pub(crate) fn record(decision: Decision) -> Record {
    let score = |condition: &str, probability| Score {
        condition: condition.into(),
        probability,
        max: None,
        similarity: 0.25,
        threshold: None,
        normal: false,
        calibrated: false,
    };
    Record {
        path: "in/a.dcm".into(),
        path_bytes: None,
        frame: Some(0),
        aggregate: None,
        verdict: Verdict {
            label: "pneumonia".into(),
            description: "=HYPERLINK(\"x\"), two\nlines".into(),
            probability: 0.75,
            calibrated: false,
            decision,
            reason: None,
            scores: vec![score("pneumonia", 0.75), score("normal", 0.25)],
            urgency: Some(0.75),
            answers: Vec::new(),
            none_applies: false,
        },
        content: "blake3:00".into(),
        kind: FileFormat::Dicom,
        width: 2,
        height: 1,
        frames: 1,
        modality: Some("DX".into()),
        body_part: None,
        model: "demo".into(),
        model_digest: "blake3:01".into(),
        prompts: "general".into(),
        prompts_digest: "blake3:02".into(),
        mode: Mode::Single,
        calibrated: false,
        learned: None,
        device: "cpu".into(),
        at: "2026-01-31T10:00:00Z".into(),
        notice: super::super::NOTICE,
        synthetic: false,
        origin: DicomOrigin::default(),
        embedding: None,
    }
}

fn write_all(format: ResultFormat, outcomes: &[(&str, Outcome)]) -> String {
    let prompts = Prompts::select("general", None).unwrap();
    let mut out = Vec::new();
    let mut writer = ResultWriter::new(&mut out, format, &prompts);
    for (path, outcome) in outcomes {
        writer.write(Path::new(path), outcome).unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    String::from_utf8(out).unwrap()
}

fn failure() -> Outcome {
    Err(Failure {
        kind: ErrorKind::Truncated,
        message: "the file ends early".into(),
        content: FileContent::Image,
    })
}

#[test]
fn a_json_line_has_the_keys_of_the_contract_in_order() {
    let text = write_all(
        ResultFormat::Jsonl,
        &[("in/a.dcm", Ok(record(Decision::Confident)))],
    );
    let value: Map<String, Value> = serde_json::from_str(&text).unwrap();
    let keys: Vec<_> = value.keys().map(String::as_str).collect();
    let expected = "path frame label description probability decision reason scores content kind width height frames \
                    modality body_part model model_digest prompts prompts_digest mode calibrated device at notice";
    assert_eq!(keys.join(" "), expected);
    assert_eq!(value["reason"], Value::Null);
    assert_eq!(
        value["scores"][0],
        json!({"condition": "pneumonia", "probability": 0.75, "similarity": 0.25})
    );
}

#[test]
fn a_failed_file_is_written_as_an_error_object() {
    let text = write_all(ResultFormat::Jsonl, &[("in/b.dcm", failure())]);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({"path": "in/b.dcm", "error": {"kind": "truncated", "message": "the file ends early"}})
    );
}

#[test]
fn a_csv_has_columns_for_scalars_errors_and_conditions() {
    let text = write_all(
        ResultFormat::Csv,
        &[
            ("in/a.dcm", Ok(record(Decision::Confident))),
            ("b", failure()),
        ],
    );
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header: Vec<_> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    let expected = "path,frame,label,description,probability,decision,reason,content,kind,width,height,frames,\
                    modality,body_part,model,model_digest,prompts,prompts_digest,mode,calibrated,device,at,notice,error_kind,\
                    error_message,p:pneumonia,p:tumor,p:fracture,p:normal";
    assert_eq!(header.join(","), expected);
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(
        (&rows[0][0], &rows[0][4], &rows[0][25], &rows[0][26]),
        ("in/a.dcm", "0.75", "0.75", "")
    );
    assert_eq!(
        (&rows[1][0], &rows[1][23], &rows[1][24]),
        ("b", "truncated", "the file ends early")
    );
    assert!(text.lines().next().unwrap().starts_with("path,") && text.contains("\r\n"));
}

#[test]
fn a_cell_that_a_spreadsheet_could_run_as_a_formula_is_disarmed() {
    let text = write_all(
        ResultFormat::Csv,
        &[("in/a.dcm", Ok(record(Decision::Confident)))],
    );
    assert!(
        text.contains("\"'=HYPERLINK(\"\"x\"\"), two\nlines\""),
        "{text}"
    );
    for start in ["=", "+", "-", "@", "\t", "\r"] {
        assert!(cell(Some(&json!(format!("{start}1")))).starts_with('\''));
    }
    assert_eq!(cell(Some(&json!(-1.5))), "-1.5", "numbers are not text");
}

#[test]
fn a_csv_without_results_still_has_its_header() {
    assert!(write_all(ResultFormat::Csv, &[]).starts_with("path,frame,"));
    assert_eq!(write_all(ResultFormat::Jsonl, &[]), "");
}

#[test]
fn a_rejected_image_has_scores_but_no_label() {
    let text = write_all(
        ResultFormat::Jsonl,
        &[("in/a.dcm", Ok(record(Decision::Rejected)))],
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    for key in ["label", "description", "probability"] {
        assert_eq!(value.get(key), Some(&Value::Null), "{key}");
    }
    assert_eq!(value["decision"], "rejected");
    assert_eq!(value["scores"][0]["condition"], "pneumonia");
    let text = write_all(
        ResultFormat::Csv,
        &[("in/a.dcm", Ok(record(Decision::Rejected)))],
    );
    assert!(text.contains("\r\nin/a.dcm,0,,,,rejected,,"), "{text}");
    assert!(text.contains(",0.75,,,0.25"), "the scores stay: {text}");
}

#[test]
fn the_table_shows_no_label_for_a_rejected_image() {
    let sure = write_all(
        ResultFormat::Table,
        &[("a", Ok(record(Decision::Confident)))],
    );
    assert!(sure.contains("pneumonia") && sure.contains("75.0%"));
    let rejected = write_all(
        ResultFormat::Table,
        &[("a", Ok(record(Decision::Rejected)))],
    );
    assert!(
        rejected.contains("rejected") && !rejected.contains("pneumonia") && !rejected.contains('%')
    );
}

#[test]
fn control_characters_do_not_reach_the_table() {
    let text = write_all(ResultFormat::Table, &[("a\u{1b}[2Jb", failure())]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn where_operating_points_are_known_a_table_names_the_conditions_that_reach_theirs() {
    let mut alone = record(Decision::Uncertain);
    alone.mode = Mode::Multi;
    let score = |condition: &str, probability, threshold| Score {
        condition: condition.to_owned(),
        probability,
        max: None,
        similarity: 0.2,
        threshold,
        normal: false,
        calibrated: false,
    };
    alone.verdict.scores = vec![
        score("pneumonia", 0.4, Some(0.3)),
        score("tumor", 0.6, Some(0.7)),
        score("fracture", 0.2, Some(0.1)),
    ];
    let prompts = Prompts::select("general", None).unwrap();
    let mut out = Vec::new();
    let mut writer = ResultWriter::new(&mut out, ResultFormat::Csv, &prompts).showing_present(true);
    writer.write(Path::new("a.png"), &Ok(alone)).unwrap();
    let single = record(Decision::Uncertain);
    writer.write(Path::new("b.png"), &Ok(single)).unwrap();
    writer.write(Path::new("c.png"), &failure()).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(out.as_slice());
    let rows = reader.records().map(Result::unwrap);
    let ends: Vec<String> = rows
        .map(|row| row.iter().next_back().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(ends, ["present", "pneumonia; fracture", "", ""]);
}

#[test]
fn a_tiny_number_is_written_with_an_exponent() {
    for (value, text) in [
        (7.25e-81, "7.25e-81"),
        (1e-5, "0.00001"),
        (0.0, "0"),
        (1.0, "1"),
        (0.125, "0.125"),
    ] {
        assert_eq!(number(value), text);
    }
}

#[test]
fn a_report_claims_what_the_result_claims() {
    use crate::library::export::report::{Concept, Observation, Observer, ReportedStatement};
    let score = |condition: &str, probability, normal, calibrated: bool| Score {
        condition: condition.to_owned(),
        probability,
        max: None,
        similarity: 0.2,
        threshold: calibrated.then_some(0.5),
        normal,
        calibrated,
    };
    let said = |pneumonia, tumor, none_applies| {
        let mut alone = record(Decision::Uncertain);
        alone.mode = Mode::Multi;
        alone.learned = Some(12);
        alone.verdict.none_applies = none_applies;
        alone.verdict.scores = vec![
            score("pneumonia", pneumonia, false, true),
            score("tumor", tumor, false, false),
            score("normal", 0.6, true, false),
        ];
        Observation::of_result(&alone)
    };
    let both = said(0.7, 0.9, false);
    let found = ["pneumonia", "tumor"].map(Concept::condition);
    assert_eq!(both.findings, found);
    let names: Vec<&Concept> = both.numbers.iter().map(|number| &number.name).collect();
    let probability = Concept::private("probability", "Probability, calibrated");
    let mere = Concept::private("score", "Score, not calibrated");
    assert_eq!(names, [&probability, &mere, &mere]);
    let Observer::Program(parameters) = &both.observer else {
        panic!("a program")
    };
    assert!(parameters.contains(&"learned=12".to_owned()));
    let none = said(0.1, 0.2, true);
    assert_eq!(none.findings, []);
    let words = ReportedStatement::Text("none of the conditions".to_owned());
    assert!(none.evaluations.iter().any(|(_, said)| *said == words));
}
