//! Lines of output against the JSON schema that the binary prints.

use std::process::Command;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medivision-tui"));
    let output = command.args(["export", "--schema"]).output();
    let output = output.expect("the binary starts");
    assert!(output.status.success());
    let schema = serde_json::from_slice(&output.stdout).expect("JSON");
    jsonschema::draft202012::meta::validate(&schema).expect("a schema");
    jsonschema::draft202012::new(&schema).expect("a schema")
});

/// Whether a line has the form of the schema.
pub(crate) fn is_valid(line: &Value) -> bool {
    SCHEMA.is_valid(line)
}
