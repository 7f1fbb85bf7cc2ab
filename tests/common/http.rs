//! A client of the dashboard.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;
use ureq::{
    Agent,
    http::{HeaderMap, Response},
};

use super::waiting::{DEADLINE, until};

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// A header, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// A client that keeps no cookies and follows nothing.
pub struct Client {
    agent: Agent,
    base: String,
    pub headers: Vec<(String, String)>,
}

impl Client {
    /// A client of `http://127.0.0.1:port`.
    pub fn new(port: u16) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(DEADLINE))
            .build()
            .new_agent();
        Self {
            agent,
            base: format!("http://127.0.0.1:{port}"),
            headers: Vec::new(),
        }
    }

    /// A client of another address by an agent of the test's own.
    pub fn with(agent: Agent, base: String) -> Self {
        Self {
            agent,
            base,
            headers: Vec::new(),
        }
    }

    /// Waits until the server answers at all.
    pub fn wait(self) -> Self {
        until("the dashboard is served", || {
            self.agent.get(format!("{}/healthz", self.base)).call().ok()
        });
        self
    }

    /// Sends what another one sends with every request.
    pub fn like(mut self, other: &Self) -> Self {
        self.headers.clone_from(&other.headers);
        self
    }

    /// Sends a header with every request from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(of, _)| of != name);
        self.headers.push((name.into(), value.into()));
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        answer(
            request
                .call()
                .unwrap_or_else(|error| panic!("GET {path}: {error}")),
        )
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let sent = request.send(body.to_string());
        answer(sent.unwrap_or_else(|error| panic!("POST {path}: {error}")))
    }

    /// Takes the CSRF token of the session, or of this machine.
    pub fn take_token(&mut self) {
        let session = self.get("/api/v1/session").json();
        let token = session["csrf"].as_str().expect("a token").to_owned();
        self.set("x-csrf-token", &token);
    }
}

fn answer(response: Response<ureq::Body>) -> Answer {
    let (parts, mut body) = response.into_parts();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.read_to_string().expect("a text"),
    }
}

/// A page that listens to the live events.
pub struct Listener {
    lines: BufReader<TcpStream>,
}

impl Listener {
    pub fn connect(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        write!(stream, "GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n").expect("sent");
        Self {
            lines: BufReader::new(stream),
        }
    }

    /// The next event of a kind.
    pub fn next(&mut self, kind: &str) -> String {
        let mut line = String::new();
        let mut is_it = false;
        loop {
            line.clear();
            let read = self.lines.read_line(&mut line).expect("a line in time");
            assert!(read > 0, "the stream has ended");
            if let Some(event) = line.strip_prefix("event: ") {
                is_it = event.trim() == kind;
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| is_it) {
                return data.trim().to_owned();
            }
        }
    }

    /// Whether the stream has ended within a time.
    pub fn has_ended(&mut self, time: Duration) -> bool {
        self.lines
            .get_ref()
            .set_read_timeout(Some(time))
            .expect("set");
        let mut line = String::new();
        loop {
            line.clear();
            match self.lines.read_line(&mut line) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}
