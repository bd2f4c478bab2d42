//! A server that speaks the chat-completions protocol, with the faults of real ones.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// One response.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// How the server answers a request.
pub enum Answer {
    Respond(Response),
    /// Accepts the request and says nothing.
    Silence,
}

/// A request that the server received.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub key: Option<String>,
    /// Everything before the body.
    pub head: String,
    pub body: Value,
}

impl Request {
    /// `json_schema`, `json_object`, or null.
    pub fn format(&self) -> &Value {
        &self.body["response_format"]["type"]
    }
}

pub struct Server {
    /// For `MEDIVISION_LLM_URL`.
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers with `answer`, which gets the request and the number of those before it.
    pub fn start(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        std::thread::spawn(move || {
            // Streams that are never answered stay open until the test ends.
            let mut silent = Vec::new();
            for stream in listener.incoming().flatten() {
                let Some(request) = read(&stream) else {
                    continue;
                };
                let number = {
                    let mut all = seen.lock().expect("no panic");
                    all.push(request.clone());
                    all.len() - 1
                };
                match answer(&request, number) {
                    // An error means that the client closed the connection.
                    Answer::Respond(response) => drop(write(stream, &response)),
                    Answer::Silence => silent.push(stream),
                }
            }
        });
        Self {
            url: format!("http://127.0.0.1:{port}/v1"),
            requests,
        }
    }

    /// Always answers with this text of the model.
    pub fn saying(text: &'static str) -> Self {
        Self::start(move |_, _| said(text))
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }
}

/// A complete answer of the model.
pub fn said(text: &str) -> Answer {
    let message = json!({ "role": "assistant", "content": text });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
    responding(
        200,
        &json!({ "object": "chat.completion", "choices": [choice] }),
    )
}

/// A response of this status.
pub fn responding(status: u16, body: &Value) -> Answer {
    Answer::Respond(Response {
        status,
        headers: Vec::new(),
        body: body.to_string(),
    })
}

/// An error in OpenAI's form.
pub fn failing(status: u16, message: &str) -> Answer {
    responding(status, &json!({ "error": { "message": message } }))
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    let length = header("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        path: head.split(' ').nth(1)?.to_owned(),
        key: header("authorization"),
        body: serde_json::from_slice(&body).ok()?,
        head,
    })
}

fn write(mut stream: TcpStream, response: &Response) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {} X\r\n", response.status)?;
    for (name, value) in &response.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    let length = response.body.len();
    write!(
        stream,
        "Content-Length: {length}\r\nConnection: close\r\n\r\n{}",
        response.body
    )?;
    stream.flush()
}
