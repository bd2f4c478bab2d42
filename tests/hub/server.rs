//! A hub with one repository: its protocol, its redirects to a storage on another host, and its failures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The repository's id.
pub const ID: &str = "test/model";
/// Its only commit.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The token that gives access if the model is gated.
pub const TOKEN: &str = "hf_secret";

/// The server's ends of two channels: it sends that it has paused, and waits for permission to continue.
pub type Pause = (Sender<()>, Receiver<()>);

/// How the server deviates from a healthy hub.
#[allow(
    clippy::struct_excessive_bools,
    reason = "the deviations are independent"
)]
#[derive(Default)]
pub struct HubBehaviour {
    /// The model's id, if it is not [`ID`].
    pub id: Option<&'static str>,
    /// A second model with the same files.
    pub second_id: Option<&'static str>,
    /// Files that only the second model has.
    pub hidden: &'static [&'static str],
    /// Demands [`TOKEN`].
    pub gated: bool,
    /// Cuts bodies of large files off after this many bytes, one number per request; later ones are complete.
    pub cuts: Vec<usize>,
    /// Announces a wrong hash for large files.
    pub lies: bool,
    /// Answers range requests with the whole file.
    pub ignores_ranges: bool,
    /// Answers every request for a large file with 416.
    pub refuses_ranges: bool,
    /// Announces this size for large files.
    pub size: Option<u64>,
    /// Announces large files' hashes without their size.
    pub names_no_size: bool,
    /// Answers requests for large files' bodies with this text.
    pub page: Option<&'static str>,
    /// The path of the endpoint, such as `/hf`.
    pub prefix: &'static str,
    /// Redirects small files to a path of its own by a relative `Location`, as the hub does.
    pub redirects_settings: bool,
    /// Redirects all files from 127.0.0.1, the mirror, to localhost, the hub, and names nothing.
    pub is_mirror: bool,
    /// Answers requests to the API with these statuses and headers first.
    pub failures: Vec<(u16, Option<&'static str>)>,
    /// The same for HEAD requests.
    pub head_failures: Vec<(u16, Option<&'static str>)>,
    /// Announces this size for small files.
    pub settings_size: Option<u64>,
    /// Rejects every token.
    pub rejects_tokens: bool,
    /// Answers requests as a web filter does: those to the storage, or all.
    pub filter: Option<Filter>,
    /// Names its files by something else than the hub's hashes.
    pub etags: Option<fn(&[u8]) -> String>,
    /// Pauses in the middle of a large file until told to continue.
    pub pause: Option<Pause>,
}

/// What a web filter blocks.
#[derive(Clone, Copy, PartialEq)]
pub enum Filter {
    /// The storage.
    Storage,
    /// The hub, too.
    All,
}

/// A request that the server received.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub host: String,
    pub range: Option<String>,
    pub token: Option<String>,
}

pub struct Server {
    /// For `HF_ENDPOINT`.
    pub endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

struct Hub {
    files: BTreeMap<String, Vec<u8>>,
    behaviour: Mutex<HubBehaviour>,
    requests: Arc<Mutex<Vec<Request>>>,
    port: u16,
    prefix: &'static str,
}

impl Server {
    /// Serves a folder's files.
    pub fn start(folder: &Path, behaviour: HubBehaviour) -> Self {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            files.insert(name, std::fs::read(path).unwrap());
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let prefix = behaviour.prefix;
        let hub = Arc::new(Hub {
            prefix,
            files,
            behaviour: Mutex::new(behaviour),
            requests: Arc::clone(&requests),
            port,
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hub = Arc::clone(&hub);
                // An error means that the client closed the connection, which is fine.
                std::thread::spawn(move || drop(hub.answer(stream)));
            }
        });
        Self {
            endpoint: format!("http://127.0.0.1:{port}{prefix}"),
            requests,
        }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Requests for the bodies of large files.
    pub fn downloads(&self) -> Vec<Request> {
        let all = self.requests().into_iter();
        all.filter(|r| r.method == "GET" && r.path.starts_with("/storage/"))
            .collect()
    }
}

/// A pause for the server, and the test's ends of its channels.
pub fn pause() -> (Pause, Receiver<()>, Sender<()>) {
    let ((stopped, seen), (go, wait)) = (channel(), channel());
    ((stopped, wait), seen, go)
}

/// Whether a file lies in the storage; as on the hub, by its name.
fn is_large(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|e| e == "safetensors" || e == "bin" || e == "pt")
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub fn sha1(bytes: &[u8]) -> String {
    hex(&Sha1::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, b| {
        write!(hex, "{b:02x}").unwrap();
        hex
    })
}

fn git_blob(bytes: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hex(&hasher.finalize())
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut words = first.split(' ').map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        host: String::new(),
        range: None,
        token: None,
    };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_lowercase().as_str() {
            "host" => value.clone_into(&mut request.host),
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Ok(request)
}

impl Hub {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let request = read(&stream)?;
        self.requests.lock().unwrap().push(request.clone());
        let body = request.method != "HEAD";
        let is_storage = request.path.starts_with("/storage/");
        let filter = self.behaviour.lock().unwrap().filter;
        if filter.is_some_and(|filter| is_storage || filter == Filter::All) {
            return send(stream, 403, &[], b"<html>Access denied</html>", body);
        }
        if let Some(name) = request.path.strip_prefix("/storage/") {
            return self.storage(stream, name, &request);
        }
        let Some(path) = request.path.strip_prefix(self.prefix) else {
            return send(stream, 404, &[], b"outside of the mirror", body);
        };
        {
            let mut behaviour = self.behaviour.lock().unwrap();
            let failures = if body && path.starts_with("/api/models/") {
                Some(&mut behaviour.failures)
            } else if !body {
                Some(&mut behaviour.head_failures)
            } else {
                None
            };
            if let Some(failures) = failures.filter(|failures| !failures.is_empty()) {
                let (status, wait) = failures.remove(0);
                let headers: Vec<_> = wait.into_iter().map(str::to_owned).collect();
                return send(stream, status, &headers, b"busy", body);
            }
        }
        let is_mirror = self.behaviour.lock().unwrap().is_mirror;
        if is_mirror && path.contains("/resolve/") && request.host.starts_with("127.0.0.1") {
            let location = format!("Location: http://localhost:{}{}", self.port, request.path);
            return send(stream, 308, &[location], b"moved", body);
        }
        let rejects = self.behaviour.lock().unwrap().rejects_tokens;
        if rejects && request.token.is_some() {
            let said = "X-Error-Message: Invalid credentials in Authorization header".to_owned();
            return send(stream, 401, &[said], b"{}", body);
        }
        let gated = self.behaviour.lock().unwrap().gated;
        if gated && request.token.as_deref() != Some(TOKEN) {
            let code = if request.token.is_some() { 403 } else { 401 };
            let headers = [
                "X-Error-Code: GatedRepo".into(),
                "X-Error-Message: Enable access to gated repositories".into(),
            ];
            return send(stream, code, &headers, b"{}", body);
        }
        let second = self.behaviour.lock().unwrap().second_id;
        let second = second.filter(|id| path.contains(&format!("/{id}/")));
        let id = self.behaviour.lock().unwrap().id.unwrap_or(ID);
        let hidden = self.behaviour.lock().unwrap().hidden;
        let hidden = if second.is_some() { &[] } else { hidden };
        let id = second.unwrap_or(id);
        let info = format!("/api/models/{id}/revision/");
        if let Some(revision) = path.strip_prefix(&info) {
            return self.info(stream, revision, hidden);
        }
        if let Some(name) = path.strip_prefix("/api/resolve-cache/") {
            let etag = format!("ETag: \"{}\"", git_blob(&self.files[name]));
            return send(stream, 200, &[etag], &self.files[name], body);
        }
        let files = format!("/{id}/resolve/{COMMIT}/");
        match path
            .strip_prefix(&files)
            .and_then(|name| self.files.get_key_value(name))
        {
            Some((name, content)) => self.file(stream, name, content, body),
            // Without a token the hub does not tell a missing repository from a private one.
            None if request.token.is_none() => {
                let said = "X-Error-Message: Invalid username or password.".to_owned();
                send(stream, 401, &[said], b"{}", body)
            }
            None => send(
                stream,
                404,
                &["X-Error-Code: RepoNotFound".into()],
                b"{}",
                body,
            ),
        }
    }

    fn info(&self, stream: TcpStream, revision: &str, hidden: &[&str]) -> std::io::Result<()> {
        if !["main", "v1", COMMIT].contains(&revision) {
            return send(
                stream,
                404,
                &["X-Error-Code: RevisionNotFound".into()],
                b"{}",
                true,
            );
        }
        let names: Vec<_> = self
            .files
            .keys()
            .filter(|name| !hidden.contains(&name.as_str()))
            .map(|n| serde_json::json!({"rfilename": n}))
            .collect();
        let info =
            serde_json::json!({"id": ID, "sha": COMMIT, "siblings": names, "private": false});
        send(stream, 200, &[], info.to_string().as_bytes(), true)
    }

    /// Sends a small file directly, and redirects to the storage for a large one.
    fn file(
        &self,
        stream: TcpStream,
        name: &str,
        content: &[u8],
        body: bool,
    ) -> std::io::Result<()> {
        let commit = format!("X-Repo-Commit: {COMMIT}");
        let etags = self.behaviour.lock().unwrap().etags;
        if let Some(etag) = etags.map(|etag| format!("ETag: \"{}\"", etag(content))) {
            return send(stream, 200, &[commit, etag], content, body);
        }
        if !is_large(name) && self.behaviour.lock().unwrap().redirects_settings {
            let location = format!("Location: {}/api/resolve-cache/{name}", self.prefix);
            return send(
                stream,
                307,
                &[commit, location],
                b"Temporary Redirect",
                body,
            );
        }
        if !is_large(name) {
            let etag = format!("ETag: W/\"{}\"", git_blob(content));
            let mut headers = vec![commit, etag];
            let size = self.behaviour.lock().unwrap().settings_size;
            headers.extend(size.map(|size| format!("X-Linked-Size: {size}")));
            return send(stream, 200, &headers, content, body);
        }
        let behaviour = self.behaviour.lock().unwrap();
        let hash = if behaviour.lies {
            sha256(b"else")
        } else {
            sha256(content)
        };
        let mut headers = vec![
            commit,
            format!("X-Linked-Etag: \"{hash}\""),
            // A different host for a client, though the same machine.
            format!("Location: http://localhost:{}/storage/{name}", self.port),
        ];
        if !behaviour.names_no_size {
            let size = behaviour.size.unwrap_or(content.len() as u64);
            headers.push(format!("X-Linked-Size: {size}"));
        }
        send(stream, 302, &headers, b"Found. Redirecting", body)
    }

    fn storage(&self, mut stream: TcpStream, name: &str, request: &Request) -> std::io::Result<()> {
        let content = &self.files[name];
        if request.method == "HEAD" {
            return send(stream, 200, &[], content, false);
        }
        let page = self.behaviour.lock().unwrap().page;
        if let Some(page) = page {
            return send(stream, 200, &[], page.as_bytes(), true);
        }
        if self.behaviour.lock().unwrap().refuses_ranges {
            return send(stream, 416, &[], b"", true);
        }
        let (cut, pause, ignores) = {
            let mut behaviour = self.behaviour.lock().unwrap();
            let cut = if behaviour.cuts.is_empty() {
                None
            } else {
                Some(behaviour.cuts.remove(0))
            };
            (cut, behaviour.pause.take(), behaviour.ignores_ranges)
        };
        let from = request.range.as_ref().filter(|_| !ignores);
        let from = from.and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let rest = &content[from.unwrap_or(0)..];
        let status = if from.is_some() {
            "206 Partial Content"
        } else {
            "200 OK"
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            rest.len()
        )?;
        if let Some((stopped, go)) = pause {
            let (half, other) = rest.split_at(rest.len() / 2);
            stream.write_all(half)?;
            stream.flush()?;
            let _ = stopped.send(());
            // The connection ends here if the test drops its end.
            if go.recv().is_err() {
                return Ok(());
            }
            return stream.write_all(other);
        }
        stream.write_all(&rest[..cut.unwrap_or(rest.len()).min(rest.len())])
    }
}

fn send(
    mut stream: TcpStream,
    status: u16,
    headers: &[String],
    content: &[u8],
    body: bool,
) -> std::io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {status} It\r\nConnection: close\r\nContent-Length: {}\r\n",
        content.len()
    );
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    if body {
        stream.write_all(content)?;
    }
    Ok(())
}
