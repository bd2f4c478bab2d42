use std::path::Path;

use super::*;
use crate::scoring::Decision;

fn rules(text: &str) -> Result<Rules, ConfigError> {
    Rules::new(&Config::parse(text, Path::new("c.toml"))?)
}

fn verdict(urgency: f64) -> Verdict {
    Verdict {
        label: "pneumonia".to_owned(),
        description: String::new(),
        probability: 0.8,
        calibrated: false,
        decision: Decision::Confident,
        reason: None,
        scores: Vec::new(),
        urgency: Some(urgency),
        answers: Vec::new(),
        none_applies: false,
    }
}

const CHEST: ImageTraits = ImageTraits {
    modality: Some("CR"),
    body_part: Some("CHEST"),
    station: Some("XRAY1"),
    kind: None,
};

#[test]
fn an_error_names_line_and_rule_and_says_what_to_do() {
    let model = "c.toml:2: a rule cannot choose the model, as one model is open for all images; choose it with --model, or with \
                 `model` at the top of this file";
    for (text, said) in [
        ("[[rule]]\nmodel = \"biomedclip\"\n", model),
        (
            "[[rule]]\nwehn = \"urgency > 0.9\"\n",
            "c.toml:2: unknown key `wehn` in `rule`; did you mean `when`?",
        ),
        (
            "[[rule]]\nmodality = \"CR\"\n",
            "c.toml:2: invalid type: string \"CR\", expected a sequence in `rule.modality`",
        ),
        (
            "[[rule]]\nstation = []\nbell = true\n",
            "c.toml:2: rule 1: `station` is empty; leave it out to admit all images",
        ),
        (
            "[[rule]]\nbell = true\n\n[[rule]]\nname = \"urgent\"\nbell = true\nwhen = \"urgncy > 0.9\"\n",
            "c.toml:7: rule `urgent`: when: unknown name `urgncy`; did you mean `urgency`?",
        ),
        (
            "[[rule]]\nexec = \"  \"\n",
            "c.toml:2: rule 1: `exec` has no words",
        ),
        (
            "[[rule]]\nprompts = \"general\"\nwhen = \"urgency > 0.9\"\n",
            "c.toml:3: rule 1: `when` decides on `exec` and `bell`, and the rule has neither",
        ),
        (
            "[[rule]]\nprompts = \"auto\"\n",
            "c.toml:2: rule 1: `auto` chooses among all sets; name the set for these images",
        ),
        (
            "theme = \"dark\"\n[[rule]]\nname = \"idle\"\nmodality = [\"CR\"]\n",
            "c.toml:2: rule `idle`: it does nothing; give it `prompts`, `exec` or `bell = true`",
        ),
        (
            "rule = 3\n",
            "c.toml:1: invalid type: integer `3`, expected a sequence in `rule`",
        ),
    ] {
        let error = rules(text).expect_err(text);
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn a_rule_applies_if_all_its_conditions_hold() {
    let all = "[[rule]]\nmodality = [\"cr\", \"DX\"]\nbody_part = [\"Chest\"]\nstation = [\"xray1\"]\n\
               when = \"urgency > 0.9\"\nexec = \"page doctor\"\n";
    let rules = rules(all).expect("valid");
    let exec = [RuleAction::Exec("page doctor")];
    assert_eq!(rules.actions(CHEST, &verdict(0.95)), exec);
    assert_eq!(rules.actions(CHEST, &verdict(0.9)), []);
    let spaced = ImageTraits {
        modality: Some("DX "),
        ..CHEST
    };
    assert_eq!(rules.actions(spaced, &verdict(0.95)), exec);
    for image in [
        ImageTraits {
            modality: Some("CT"),
            ..CHEST
        },
        ImageTraits {
            body_part: None,
            ..CHEST
        },
        ImageTraits {
            station: Some("XRAY10"),
            ..CHEST
        },
        ImageTraits::default(),
    ] {
        assert_eq!(rules.actions(image, &verdict(0.95)), [], "{image:?}");
    }
}

#[test]
fn all_rules_that_apply_act_and_the_bell_rings_once() {
    let text = "[[rule]]\nbell = true\nexec = \"first\"\n[[rule]]\nmodality = [\"CT\"]\nexec = \"never\"\n\
                [[rule]]\nbell = true\nexec = \"second\"\n";
    let rules = rules(text).expect("valid");
    let expected = [
        RuleAction::Exec("first"),
        RuleAction::Exec("second"),
        RuleAction::Bell,
    ];
    assert_eq!(rules.actions(CHEST, &verdict(0.0)), expected);
}
