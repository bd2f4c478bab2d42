use proptest::prelude::*;

use super::*;

fn verdict(label: &str, probability: f64, urgency: f64, decision: Decision) -> Verdict {
    Verdict {
        label: label.to_owned(),
        description: String::new(),
        probability,
        calibrated: false,
        decision,
        reason: None,
        scores: Vec::new(),
        urgency: Some(urgency),
        answers: Vec::new(),
        none_applies: false,
    }
}

fn holds(text: &str, verdict: &Verdict) -> bool {
    let expression = Expression::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"));
    expression.holds(verdict)
}

#[test]
fn comparisons_are_joined_as_in_words() {
    let result = verdict("Pneumonia", 0.8, 0.95, Decision::Confident);
    for (text, expected) in [
        ("urgency > 0.9", true),
        ("0.9 < urgency", true),
        ("urgency>.95", false),
        ("urgency >= 0.95", true),
        ("probability <= 0.8 and probability != 0.7", true),
        ("probability == 1", false),
        ("label == 'pneumonia'", true),
        ("\"PNEUMONIA\" != label", false),
        ("decision == 'confident'", true),
        ("not decision == \"confident\"", false),
        ("not not urgency > 0.9", true),
        // `and` binds more strongly than `or`.
        ("urgency > 0.9 or label == 'x' and label == 'y'", true),
        ("(urgency > 0.9 or label == 'x') and label == 'y'", false),
        ("not (urgency < 0.9 Or label == 'x')", true),
    ] {
        assert_eq!(holds(text, &result), expected, "{text}");
    }
}

#[test]
fn no_comparison_holds_with_an_urgency_that_a_result_does_not_have() {
    let mut result = verdict("chest x-ray", 0.99, 0.0, Decision::Confident);
    result.urgency = None;
    for text in ["urgency < 0.1", "urgency >= 0", "urgency != 0.5"] {
        assert!(!holds(text, &result), "{text}");
    }
    assert!(holds(
        "decision == 'confident' and probability > 0.9",
        &result
    ));
}

#[test]
fn a_rejected_result_has_only_a_decision() {
    let result = verdict("tumor", 0.99, 0.99, Decision::Rejected);
    for text in [
        "urgency > 0.9",
        "urgency <= 1",
        "probability > 0.1",
        "label == 'tumor'",
        "label != 'normal'",
        "decision == 'confident'",
    ] {
        assert!(!holds(text, &result), "{text}");
    }
    assert!(holds("decision == 'rejected'", &result));
    assert!(holds("decision != 'confident'", &result));
}

#[test]
fn errors_say_what_is_wrong_and_what_may_be_meant() {
    for (text, reason) in [
        (
            "",
            "it ends too early; a comparison such as `urgency > 0.9` is needed",
        ),
        (
            "urgency > 0.9 and",
            "it ends too early; a comparison such as `urgency > 0.9` is needed",
        ),
        (
            "urgncy > 0.9",
            "unknown name `urgncy`; did you mean `urgency`?",
        ),
        (
            "x > 0.9",
            "unknown name `x`; use one of `urgency`, `probability`, `label`, `decision`",
        ),
        (
            "urgency",
            "`urgency` must be compared, as in `urgency > 0.9`",
        ),
        ("not lable", "unknown name `lable`; did you mean `label`?"),
        ("urgency = 0.9", "`=` does not compare; use `==`"),
        ("urgency > 0.9 && label", "unexpected `&`; use `and`"),
        ("!label", "unexpected `!`; use `not`"),
        (
            "urgency > 90",
            "urgency is between 0 and 1, and never near 90; for 90 % write 0.9",
        ),
        ("urgency > 90%", "`90%` is not a number; for 90 % write 0.9"),
        (
            "urgency > 'high'",
            "urgency is a number, and cannot be compared with 'high'",
        ),
        (
            "label > 'a'",
            "label is a text, which `>` cannot compare; use `==` or `!=`",
        ),
        (
            "label == 0.9",
            "label is a text, and cannot be compared with `0.9`",
        ),
        (
            "label == tumor",
            "the text `tumor` must be in quotes: 'tumor'",
        ),
        (
            "label == 'tumor",
            "the text that begins with ' does not end",
        ),
        (
            "decision == 'confidnt'",
            "decision is never 'confidnt'; did you mean 'confident'?",
        ),
        (
            "decision == 'x'",
            "decision is never 'x'; it is one of 'confident', 'uncertain', 'rejected'",
        ),
        (
            "0.5 < urgency < 0.9",
            "unexpected `<`; join comparisons with `and` or `or`",
        ),
        (
            "0.5 < 0.9",
            "`0.5` and `0.9` are both values; compare one of `urgency`, `probability`, `label`, `decision`",
        ),
        ("(urgency > 0.9", "a parenthesis is not closed"),
        (
            "urgency > 0.9)",
            "unexpected `)`; join comparisons with `and` or `or`",
        ),
        (
            "and urgency > 0.9",
            "unexpected `and`; a comparison such as `urgency > 0.9` is needed there",
        ),
        ("urgency > 0.9 # high", "unexpected `#`"),
    ] {
        let error = Expression::parse(text).expect_err(text);
        assert_eq!(error, reason, "{text}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_long_chains_are_not() {
    for open in ["(", "not ", "(not "] {
        let text = format!("{}urgency > 0.9", open.repeat(100_000));
        let error = Expression::parse(&text).expect_err("too deep");
        assert!(error.contains("levels"), "{error}");
    }
    let text = vec!["urgency > 0.9"; 10_000].join(" and ");
    let result = verdict("a", 0.5, 0.95, Decision::Uncertain);
    assert!(holds(&text, &result));
}

type Predicate = fn(&Verdict) -> bool;

/// Comparisons, and whether they hold for a result, found independently of the parser.
const CASES: [(&str, Predicate); 4] = [
    ("urgency > 0.5", |v| {
        v.decision != Decision::Rejected && v.urgency.is_some_and(|urgency| urgency > 0.5)
    }),
    ("probability <= 0.25", |v| {
        v.decision != Decision::Rejected && v.probability <= 0.25
    }),
    ("label == 'a'", |v| {
        v.decision != Decision::Rejected && v.label == "a"
    }),
    ("decision != 'uncertain'", |v| {
        v.decision != Decision::Uncertain
    }),
];

/// A tree of comparisons, with parentheses around each of its nodes.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(usize),
    Not(Box<Tree>),
    Join(bool, Vec<Tree>),
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Self::Leaf(case) => CASES[*case].0.to_owned(),
            Self::Not(tree) => format!("not ({})", tree.text()),
            Self::Join(all, trees) => {
                let texts: Vec<_> = trees.iter().map(|t| format!("({})", t.text())).collect();
                texts.join(if *all { " and " } else { " or " })
            }
        }
    }

    fn holds(&self, verdict: &Verdict) -> bool {
        match self {
            Self::Leaf(case) => CASES[*case].1(verdict),
            Self::Not(tree) => !tree.holds(verdict),
            Self::Join(true, trees) => trees.iter().all(|tree| tree.holds(verdict)),
            Self::Join(false, trees) => trees.iter().any(|tree| tree.holds(verdict)),
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = (0..CASES.len()).prop_map(Tree::Leaf);
    leaf.prop_recursive(5, 40, 4, |inner| {
        let list = proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            inner.prop_map(|tree| Tree::Not(Box::new(tree))),
            (any::<bool>(), list).prop_map(|(all, trees)| Tree::Join(all, trees)),
        ]
    })
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    let decision = prop_oneof![
        Just(Decision::Confident),
        Just(Decision::Uncertain),
        Just(Decision::Rejected)
    ];
    let number = || (0..=4_u32).prop_map(|quarter| f64::from(quarter) / 4.0);
    ("[ab]", number(), number(), decision).prop_map(|(label, p, u, d)| verdict(&label, p, u, d))
}

proptest! {
    #[test]
    fn an_expression_means_what_its_tree_means(tree in trees(), verdict in verdicts()) {
        prop_assert_eq!(holds(&tree.text(), &verdict), tree.holds(&verdict));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,60}") {
        let _ = Expression::parse(&text);
    }

    #[test]
    fn any_words_are_parsed_or_refused(
        words in proptest::collection::vec("urgency|label|and|or|not|\\(|\\)|<|==|0\\.5|'a'|decision", 0..12)
    ) {
        let _ = Expression::parse(&words.join(" "));
    }
}
