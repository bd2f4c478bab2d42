//! Keeps the user's keys out of what a server says: some quote the key that they refuse, and what they say is shown, logged and saved.

use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::Endpoint;

/// What stands in place of a secret.
const HIDDEN: &str = "•••";
/// Characters from which on a secret is hidden wherever it occurs. Shorter ones are placeholders such as `none`, which servers on the same
/// machine are given; they are hidden where they stand alone, and not in answers, of which they may be words.
const MIN_SECRET_CHARS: usize = 8;

/// What must not be shown: the key, and the values of the address's query, of which one may be a key.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        Self::new(endpoint.key.as_deref(), &endpoint.url)
    }

    fn new(key: Option<&str>, url: &Url) -> Self {
        let mut all: Vec<String> = key.map(str::to_owned).into_iter().collect();
        for part in url.query().unwrap_or_default().split('&') {
            let raw = part.split_once('=').map_or(part, |(_, value)| value);
            let decoded = form_urlencoded::parse(raw.as_bytes()).next();
            let decoded = decoded.map(|(text, _)| text.into_owned());
            // Short values are options such as `alt=json`.
            let values = [Some(raw.to_owned()), decoded].into_iter().flatten();
            all.extend(values.filter(|value| value.len() >= MIN_SECRET_CHARS));
        }
        // One that contains another comes first.
        all.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(all)
    }

    /// A response without the secrets, however its JSON escapes them. `is_answer`: whether it is one of success.
    pub(super) fn hidden_in(&self, response: String, is_answer: bool) -> String {
        if self.0.is_empty() {
            return response;
        }
        if let Ok(mut value) = serde_json::from_str(&response)
            && self.hide_in(&mut value, is_answer)
        {
            return self.hidden(&value.to_string(), is_answer);
        }
        self.hidden(&response, is_answer)
    }

    /// Hides the secrets in all texts of a value; false if there were none.
    fn hide_in(&self, value: &mut Value, is_answer: bool) -> bool {
        match value {
            Value::String(text) => {
                let hidden = self.hidden(text, is_answer);
                let has_changed = hidden != *text;
                *text = hidden;
                has_changed
            }
            Value::Array(values) => values.iter_mut().fold(false, |changed, value| {
                self.hide_in(value, is_answer) | changed
            }),
            Value::Object(fields) => {
                let mut has_changed = false;
                let mut hidden = Map::new();
                for (name, mut value) in std::mem::take(fields) {
                    let shown = self.hidden(&name, is_answer);
                    has_changed |= self.hide_in(&mut value, is_answer) || shown != name;
                    hidden.insert(shown, value);
                }
                *fields = hidden;
                has_changed
            }
            _ => false,
        }
    }

    fn hidden(&self, text: &str, is_answer: bool) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            if secret.len() >= MIN_SECRET_CHARS {
                text.replace(secret, HIDDEN)
            } else if is_answer {
                text
            } else {
                without_word(&text, secret)
            }
        })
    }
}

/// A text without a word where that is no part of another.
fn without_word(text: &str, word: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, found) = rest.split_at(at);
        let after = &found[word.len()..];
        shown.push_str(before);
        let is_part =
            shown.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        shown.push_str(if is_part { word } else { HIDDEN });
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets(key: &str, query: &str) -> Secrets {
        let url = Url::parse(&format!("http://x/v1?{query}")).unwrap();
        Secrets::new(Some(key), &url)
    }

    #[test]
    fn a_key_is_hidden_however_it_is_written() {
        let own = secrets("sk-TOP/SECRET", "key=q%2FSECRET-1&alt=json&bare-SECRET");
        for said in [
            "bad key: sk-TOP/SECRET.".to_owned(),
            json!({ "error": { "message": "sk-TOP/SECRET, q%2FSECRET-1 and q/SECRET-1" } })
                .to_string(),
            r#"{"error": "sk-TOP\/SECRET \u0073k-TOP/SECRET"}"#.to_owned(),
            json!([{ "bare-SECRET": 1 }]).to_string(),
        ] {
            for is_answer in [false, true] {
                let shown = own.hidden_in(said.clone(), is_answer);
                assert!(shown.contains(HIDDEN), "{shown}");
                assert!(!shown.contains("SECRET"), "{shown}");
            }
        }
        let plain = "{ \"error\": \"json, please\" }";
        assert_eq!(own.hidden_in(plain.to_owned(), false), plain);
    }

    #[test]
    fn a_placeholder_is_hidden_where_it_stands_alone_and_never_in_an_answer() {
        let own = secrets("x", "");
        let said =
            |is_answer| own.hidden_in("x-ray: maximum exceeded by `x`".to_owned(), is_answer);
        assert_eq!(said(false), "•••-ray: maximum exceeded by `•••`");
        assert_eq!(said(true), "x-ray: maximum exceeded by `x`");
    }
}
