//! What a response asks the client to do next: go elsewhere, or come back later.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ureq::Body;
use ureq::http::Response;
use url::Url;

use super::HubError;
use super::client::header;

/// Where a redirect leads, if the response is one. Its `Location` may be relative to the URL that was requested (RFC 3986,
/// section 5). A redirect from https to http is refused.
pub(super) fn redirect_target(
    requested: &Url,
    response: &Response<Body>,
) -> Result<Option<Url>, HubError> {
    let location = header(response.headers(), "location");
    match location {
        Some(location) if response.status().is_redirection() => {
            let target = resolve(requested, location);
            target.map(Some).map_err(|reason| HubError::Response {
                url: requested.to_string(),
                reason,
            })
        }
        _ => Ok(None),
    }
}

fn resolve(requested: &Url, location: &str) -> Result<Url, String> {
    let shown = || crate::media::clean(location);
    let target = requested
        .join(location)
        .map_err(|e| format!("it redirects to `{}`: {e}", shown()))?;
    let is_allowed = match requested.scheme() {
        "http" => matches!(target.scheme(), "http" | "https"),
        _ => target.scheme() == "https",
    };
    if !is_allowed {
        return Err(format!(
            "it redirects to `{}`, which is not encrypted",
            shown()
        ));
    }
    Ok(target)
}

/// The time to wait that a `Retry-After` header names: in seconds, or until a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::DateTimeParser::new()
        .parse_timestamp(value.trim())
        .ok()?;
    let left = date.duration_since(Timestamp::now());
    Some(Duration::try_from(left).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(base: &str, location: &str) -> Result<String, String> {
        resolve(&Url::parse(base).unwrap(), location).map(String::from)
    }

    #[test]
    fn locations_are_relative_to_the_request() {
        let base = "https://mirror.example/hf/org/name/resolve/main/config.json";
        for (location, target) in [
            (
                "/hf/api/resolve-cache/x",
                "https://mirror.example/hf/api/resolve-cache/x",
            ),
            (
                "other.json",
                "https://mirror.example/hf/org/name/resolve/main/other.json",
            ),
            (
                "../v1/config.json?a=b",
                "https://mirror.example/hf/org/name/resolve/v1/config.json?a=b",
            ),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("https://cdn.example/y", "https://cdn.example/y"),
        ] {
            assert_eq!(resolved(base, location).as_deref(), Ok(target));
        }
    }

    #[test]
    fn a_redirect_may_not_leave_https() {
        let base = "https://hub.example/a";
        for location in ["http://hub.example/a", "file:///etc/passwd", "ftp://x/y"] {
            let reason = resolved(base, location).unwrap_err();
            assert!(reason.contains(location), "{reason}");
        }
        assert!(resolved("http://127.0.0.1/a", "http://localhost/b").is_ok());
        assert!(resolved("http://127.0.0.1/a", "file:///etc/passwd").is_err());
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO)
        );
        assert!(retry_after("Sat, 06 Nov 2094 08:49:37 GMT") > Some(Duration::from_secs(86_400)));
        assert_eq!(retry_after("soon"), None);
    }
}
