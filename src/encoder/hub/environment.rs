//! What the environment variables of the hub's clients say.

use std::path::PathBuf;

/// The value of an environment variable, unless it is unset or empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether an environment variable switches something on.
pub(super) fn is_on(name: &str) -> bool {
    let on = |value: String| ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str());
    variable(name).is_some_and(on)
}

/// Whether `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` forbids network access.
pub fn is_offline_by_environment() -> bool {
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
        .into_iter()
        .any(is_on)
}

/// The path in an environment variable.
pub(super) fn path_variable(name: &str) -> Option<PathBuf> {
    Some(PathBuf::from(expanded(&variable(name)?, &variable)))
}

/// A path with `~` at its start, and `$NAME` and `${NAME}` anywhere, replaced by what they mean, as `huggingface_hub` does: nobody else
/// does so in a file of environment variables. What has no meaning stays.
fn expanded(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let rest = text.strip_prefix('~');
    let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let home = rest.and_then(|rest| Some(variable("HOME")? + rest));
    let text = home.unwrap_or_else(|| text.to_owned());
    let (mut all, mut left) = (String::new(), text.as_str());
    while let Some((before, after)) = left.split_once('$') {
        all.push_str(before);
        let braced = after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let plain = || after.split_at(after.find(is_end).unwrap_or(after.len()));
        let (name, tail) = braced.unwrap_or_else(plain);
        let written = &after[..after.len() - tail.len()];
        all.push_str(&variable(name).unwrap_or_else(|| format!("${written}")));
        left = tail;
    }
    all + left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_environment_are_expanded_as_by_other_clients() {
        let variable = |name: &str| match name {
            "HOME" => Some("/home/ana".to_owned()),
            "DISK_2" => Some("/mnt/2".to_owned()),
            _ => None,
        };
        for (given, expected) in [
            ("~/hf", "/home/ana/hf"),
            ("~", "/home/ana"),
            ("~bob/hf", "~bob/hf"),
            ("/a/~/b", "/a/~/b"),
            ("$HOME/hf", "/home/ana/hf"),
            ("${DISK_2}/hf/$NONE/x", "/mnt/2/hf/$NONE/x"),
            ("$DISK_2.a/${NONE}", "/mnt/2.a/${NONE}"),
            ("/a$", "/a$"),
        ] {
            assert_eq!(expanded(given, &variable), expected, "{given}");
        }
    }
}
