//! What the program's HTTP clients share: certificates, time limits, headers.
//!
//! Only the hub's client and the one of language models create an agent. Code that must stay offline calls neither.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ureq::Agent;
use ureq::http::HeaderMap;
use ureq::tls::{RootCerts, TlsConfig};

/// Time limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestTimeouts {
    /// Looking up the host's name.
    pub resolve: Duration,
    /// Connecting.
    pub connect: Duration,
    /// From the end of the request to the response's headers.
    pub response: Duration,
    /// Each read from the connection; `None` sets no limit.
    pub read: Option<Duration>,
    /// The transfer of the response's whole body; `None` sets no limit.
    pub body: Option<Duration>,
}

/// The way of requests to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyUse {
    /// Through the proxy that the environment names (`HTTPS_PROXY`, `ALL_PROXY`, …), if any, except for hosts in `NO_PROXY`.
    Environment,
    /// Straight to the server, whatever the environment says.
    Direct,
}

/// An agent that trusts the system's certificates, follows no redirect, and returns error statuses as responses.
pub fn agent(timeouts: RequestTimeouts, route: ProxyUse) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_resolve(Some(timeouts.resolve))
        .timeout_connect(Some(timeouts.connect))
        .timeout_recv_response(Some(timeouts.response))
        .timeout_per_read(timeouts.read)
        .timeout_recv_body(timeouts.body)
        .user_agent(concat!("medivision-tui/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls);
    match route {
        ProxyUse::Environment => config,
        ProxyUse::Direct => config.proxy(None),
    }
    .build()
    .into()
}

/// The value of a header, if it is text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The time to wait that a `Retry-After` header names: in seconds, or until a date (RFC 9110, section 10.2.3).
pub fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::DateTimeParser::new()
        .parse_timestamp(value.trim())
        .ok()?;
    let left = date.duration_since(Timestamp::now());
    Some(Duration::try_from(left).unwrap_or_default())
}

/// The time until requests are allowed again, as a `RateLimit` header says whose quota is used up: `"api";r=0;t=55`
/// (draft-ietf-httpapi-ratelimit-headers-09).
pub fn rate_limit_reset(value: &str) -> Option<Duration> {
    let reset = |policy: &str| {
        let parameter = |name: &str| {
            let mut parts = policy.split(';').filter_map(|part| part.split_once('='));
            let (_, number) = parts.find(|(key, _)| key.trim() == name)?;
            number.trim().parse::<u64>().ok()
        };
        (parameter("r") == Some(0)).then(|| parameter("t"))?
    };
    let longest = value.split(',').filter_map(reset).max();
    longest.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_connection_that_falls_silent_is_given_up_however_long_a_body_may_take() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
            std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
            stream
        });
        let long = Duration::from_secs(600);
        let timeouts = RequestTimeouts {
            resolve: long,
            connect: long,
            response: long,
            read: Some(Duration::from_millis(200)),
            body: None,
        };
        let response = agent(timeouts, ProxyUse::Direct).get(&url).call().unwrap();
        // Held open.
        let _stream = server.join().unwrap();
        let error = response.into_body().read_to_string().unwrap_err();
        assert!(error.to_string().contains("timeout"), "{error}");
    }

    #[test]
    fn a_used_up_quota_says_when_it_is_filled_again() {
        let seconds = |value: &str| rate_limit_reset(value).map(|time| time.as_secs());
        assert_eq!(seconds(r#""api";r=0;t=55"#), Some(55));
        assert_eq!(seconds(r#""api"; r = 0; t = 7, "pages";r=3;t=90"#), Some(7));
        assert_eq!(seconds(r#""api";r=499;t=200"#), None);
        assert_eq!(seconds(r#""api";r=0"#), None);
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
