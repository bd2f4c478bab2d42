//! Where a response sends the client.

use ureq::Body;
use ureq::http::Response;
use url::Url;

use super::HubError;
use crate::http::header;

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
}
