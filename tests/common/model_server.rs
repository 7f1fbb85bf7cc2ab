//! A model's server: a list of turns told beforehand, in either dialect, and every way in which such a server can fail. It holds
//! each request against its dialect's rules and keeps it.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pumphouse::config::Dialect;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::{Map, Value, json};

use super::{certificates::ServerCertificate, waiting::DEADLINE};

/// What is sent at once while a body does not end.
static PIECE: [u8; 64 * 1024] = [b' '; 64 * 1024];
/// How long a server that hangs looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Step {
    /// 200 with this.
    Answer(Value),
    /// A status, its further headers, and a text.
    Status(u16, String, String),
    /// The status and what the request said in the header with the key.
    Echo(u16),
    /// These bytes as they are, and the end.
    Raw(Vec<u8>),
    /// These bytes as they are, and nothing more.
    Stall(Vec<u8>),
    /// A head, and a byte of the body each second.
    Drip,
    /// A head, and a body that does not end.
    Endless,
    /// A body of so many bytes, as announced.
    Huge(usize),
    /// The end, at once.
    Close,
}

impl Step {
    /// A status with an error as JSON.
    pub fn error(status: u16, message: &str) -> Self {
        let body = json!({"type": "error", "error": {"type": "an_error", "message": message}});
        Self::Status(status, String::new(), body.to_string())
    }

    /// 200 with a text.
    pub fn text(body: &str) -> Self {
        Self::Status(200, String::new(), body.to_owned())
    }

    /// Go there instead.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::Status(status, format!("Location: {to}\r\n"), String::new())
    }
}

/// A model's turn in a dialect: words, and calls of tools with their arguments.
pub fn turn(dialect: Dialect, text: &str, calls: &[(&str, Value)]) -> Step {
    Step::Answer(match dialect {
        Dialect::Anthropic => anthropic_turn(text, calls),
        Dialect::OpenAi => openai_turn(text, calls),
    })
}

fn anthropic_turn(text: &str, calls: &[(&str, Value)]) -> Value {
    let mut content = Vec::new();
    if !text.is_empty() {
        content.push(json!({"type": "text", "text": text}));
    }
    for (n, (name, input)) in calls.iter().enumerate() {
        content.push(
            json!({"type": "tool_use", "id": format!("toolu_{n}"), "name": name, "input": input}),
        );
    }
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": if calls.is_empty() { "end_turn" } else { "tool_use" }, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 10},
    })
}

/// As llama.cpp answers: `content` is null beside calls, there are more fields than anybody asked for, and no `usage`.
fn openai_turn(text: &str, calls: &[(&str, Value)]) -> Value {
    let content = if text.is_empty() {
        Value::Null
    } else {
        json!(text)
    };
    let mut message = json!({"role": "assistant", "content": content, "reasoning_content": "hm"});
    if !calls.is_empty() {
        let calls = calls.iter().enumerate().map(|(n, (name, arguments))| {
            // A text goes as it is, so that it can be none of JSON.
            let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
            json!({"id": format!("call{n}"), "type": "function", "function": {"name": name, "arguments": arguments}})
        });
        message["tool_calls"] = calls.collect();
    }
    json!({
        "choices": [{"finish_reason": if calls.is_empty() { "stop" } else { "tool_calls" }, "index": 0, "message": message}],
        "created": 1, "model": "m", "object": "chat.completion", "timings": {"predicted_ms": 1.0},
    })
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request line.
    pub line: String,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    pub body: Value,
}

impl Asked {
    /// What the last message says, all of it as text.
    pub fn last(&self) -> String {
        let messages = self.body["messages"].as_array().expect("messages");
        messages.last().expect("a message").to_string()
    }

    /// The contents of the results that answer the last turn, in order, and which of them are errors.
    pub fn results(&self) -> Vec<(String, bool)> {
        let messages = self.body["messages"].as_array().expect("messages");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let last = messages.last().expect("a message");
        if let Some(blocks) = last["content"].as_array() {
            let results = blocks.iter();
            return results
                .map(|block| (text(&block["content"]), block["is_error"] == true))
                .collect();
        }
        let calls = messages
            .iter()
            .rposition(|message| message["role"] == "assistant");
        let results = messages[calls.expect("a turn") + 1..].iter();
        let results = results.map(|message| text(&message["content"]));
        results
            .map(|content| (content.clone(), content.starts_with("refused: ")))
            .collect()
    }
}

struct Shared {
    dialect: Dialect,
    key: Option<String>,
    steps: Mutex<VecDeque<Step>>,
    asked: Mutex<Vec<Asked>>,
    faults: Mutex<Vec<String>>,
    is_over: AtomicBool,
    tls: Option<Arc<ServerConfig>>,
}

/// The server. It stays up until it is dropped.
pub struct ModelServer {
    pub port: u16,
    shared: Arc<Shared>,
}

impl ModelServer {
    /// A server that expects this key, or none, and does this, request by request.
    pub fn start(dialect: Dialect, key: Option<&str>, steps: Vec<Step>) -> Self {
        Self::listen(dialect, key, steps, None)
    }

    pub fn start_tls(
        dialect: Dialect,
        key: Option<&str>,
        steps: Vec<Step>,
        certificate: &ServerCertificate,
    ) -> Self {
        let chain = CertificateDer::pem_file_iter(&certificate.certificate)
            .expect("certificates")
            .collect::<Result<_, _>>()
            .expect("certificates");
        let private = PrivateKeyDer::from_pem_file(&certificate.key).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .expect("a certificate with its key");
        Self::listen(dialect, key, steps, Some(Arc::new(config)))
    }

    fn listen(
        dialect: Dialect,
        key: Option<&str>,
        steps: Vec<Step>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            dialect,
            key: key.map(str::to_owned),
            steps: Mutex::new(steps.into()),
            asked: Mutex::default(),
            faults: Mutex::default(),
            is_over: AtomicBool::new(false),
            tls,
        });
        let of = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = of.clone();
                // A client that goes away halfway is no fault of the test.
                std::thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { port, shared }
    }

    /// The address for a config.
    pub fn url(&self) -> String {
        let scheme = match self.shared.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// All requests.
    ///
    /// # Panics
    /// When one was not of the dialect, or there were more than steps.
    #[track_caller]
    pub fn asked(&self) -> Vec<Asked> {
        let faults = lock(&self.shared.faults);
        assert!(
            faults.is_empty(),
            "requests of the wrong shape: {faults:#?}"
        );
        lock(&self.shared.asked).clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the listener, so that the port is closed.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that has failed leaves everything as it was.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        match &self.tls {
            None => self.exchange(stream),
            Some(config) => {
                let connection =
                    ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
                self.exchange(StreamOwned::new(connection, stream))
            }
        }
    }

    fn exchange(&self, stream: impl Read + Write) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let asked = receive(&mut stream)?;
        let mut faults = lock(&self.faults);
        if let Err(fault) = self.check(&asked) {
            faults.push(format!("{fault}\n{asked:#?}"));
        }
        let step = lock(&self.steps).pop_front().unwrap_or_else(|| {
            faults.push("a request more than there are steps".into());
            Step::Close
        });
        drop(faults);
        let key = self.key_in(&asked).unwrap_or_default().to_owned();
        lock(&self.asked).push(asked);
        self.act(step, &key, stream.get_mut())
    }

    fn act(&self, step: Step, key: &str, stream: &mut impl Write) -> std::io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        match step {
            Step::Answer(body) => send(stream, 200, "", &body.to_string()),
            Step::Status(status, headers, body) => send(stream, status, &headers, &body),
            Step::Echo(status) => {
                let body = json!({"error": {"message": format!("you sent {key} here")}});
                send(stream, status, "", &body.to_string())
            }
            Step::Raw(bytes) => say(stream, &bytes),
            Step::Stall(bytes) => {
                say(stream, &bytes)?;
                self.wait(DEADLINE);
                Ok(())
            }
            Step::Drip => {
                say(
                    stream,
                    format!("{head}Content-Length: 1000\r\n\r\n").as_bytes(),
                )?;
                while !self.wait(Duration::from_secs(1)) {
                    say(stream, b" ")?;
                }
                Ok(())
            }
            Step::Endless => {
                say(
                    stream,
                    format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes(),
                )?;
                loop {
                    say(stream, format!("{:x}\r\n", PIECE.len()).as_bytes())?;
                    say(stream, &PIECE)?;
                    say(stream, b"\r\n")?;
                }
            }
            Step::Huge(size) => {
                say(
                    stream,
                    format!("{head}Content-Length: {size}\r\n\r\n").as_bytes(),
                )?;
                say(stream, &vec![b' '; size])
            }
            Step::Close => Ok(()),
        }
    }

    /// Waits until the time is over or the test; `true` for the test.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.is_over.load(Ordering::Relaxed) {
                return true;
            }
            std::thread::sleep(LOOK);
        }
        false
    }

    fn key_in<'a>(&self, asked: &'a Asked) -> Option<&'a str> {
        match self.dialect {
            Dialect::Anthropic => asked.headers.get("x-api-key").map(String::as_str),
            Dialect::OpenAi => asked.headers.get("authorization")?.strip_prefix("Bearer "),
        }
    }

    /// What a server of the dialect would refuse.
    fn check(&self, asked: &Asked) -> Result<(), String> {
        let (path, other_header) = match self.dialect {
            Dialect::Anthropic => ("/v1/messages", "authorization"),
            Dialect::OpenAi => ("/v1/chat/completions", "x-api-key"),
        };
        ensure(
            asked.line == format!("POST {path} HTTP/1.1"),
            "the request line",
        )?;
        ensure(
            asked
                .headers
                .get("content-type")
                .is_some_and(|it| it == "application/json"),
            "content-type",
        )?;
        ensure(self.key_in(asked) == self.key.as_deref(), "the key")?;
        ensure(
            !asked.headers.contains_key(other_header),
            "a header of the other dialect",
        )?;
        let body = asked.body.as_object().ok_or("the body is no object")?;
        ensure(body.get("model").is_some_and(Value::is_string), "model")?;
        match self.dialect {
            Dialect::Anthropic => {
                let version = asked.headers.get("anthropic-version");
                ensure(
                    version.is_some_and(|it| it == "2023-06-01"),
                    "anthropic-version",
                )?;
                check_anthropic(body)
            }
            Dialect::OpenAi => check_openai(body),
        }
    }
}

fn receive(stream: &mut impl BufRead) -> std::io::Result<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    if line.is_empty() {
        // Somebody who has looked whether there is a server.
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Asked {
        line: line.trim_end().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

fn send(stream: &mut impl Write, status: u16, headers: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Told\r\n{headers}Content-Length: {length}\r\n\r\n");
    say(stream, format!("{head}{body}").as_bytes())
}

fn say(stream: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

fn ensure(is_right: bool, what: &str) -> Result<(), String> {
    is_right
        .then_some(())
        .ok_or_else(|| format!("wrong: {what}"))
}

fn only(object: &Map<String, Value>, allowed: &[&str]) -> Result<(), String> {
    let strange = object.keys().find(|key| !allowed.contains(&key.as_str()));
    strange.map_or(Ok(()), |key| {
        Err(format!("a field that nobody knows: {key}"))
    })
}

fn is_said(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

fn is_schema(value: &Value) -> bool {
    value["type"] == "object"
        && value["properties"]["sql"]["type"] == "string"
        && value["required"] == json!(["sql"])
}

fn list<'a>(value: Option<&'a Value>, what: &str) -> Result<&'a Vec<Value>, String> {
    let list = value
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty());
    list.ok_or_else(|| format!("{what} is missing or empty"))
}

fn ids(blocks: &[Value], kind: &str, key: &str) -> BTreeSet<String> {
    let blocks = blocks.iter().filter(|block| block["type"] == kind);
    blocks
        .filter_map(|block| block[key].as_str().map(str::to_owned))
        .collect()
}

fn check_anthropic(body: &Map<String, Value>) -> Result<(), String> {
    only(
        body,
        &[
            "model",
            "max_tokens",
            "system",
            "messages",
            "tools",
            "tool_choice",
        ],
    )?;
    ensure(
        body.get("max_tokens")
            .and_then(Value::as_u64)
            .is_some_and(|n| n > 0),
        "max_tokens",
    )?;
    ensure(body.get("system").is_some_and(is_said), "system")?;
    for tool in list(body.get("tools"), "tools")? {
        ensure(
            is_said(&tool["name"]) && is_said(&tool["description"]),
            "a tool's name or description",
        )?;
        ensure(is_schema(&tool["input_schema"]), "a tool's input_schema")?;
    }
    let choice = body
        .get("tool_choice")
        .map_or(&Value::Null, |choice| &choice["type"]);
    ensure(
        matches!(choice.as_str(), Some("auto" | "none")),
        "tool_choice",
    )?;
    let mut open = BTreeSet::new();
    let messages = list(body.get("messages"), "messages")?;
    for (n, message) in messages.iter().enumerate() {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        ensure(message["role"] == role, "the roles do not alternate")?;
        let Some(blocks) = message["content"].as_array() else {
            ensure(is_said(&message["content"]), "an empty message")?;
            ensure(open.is_empty(), "a call without its result")?;
            continue;
        };
        ensure(!blocks.is_empty(), "a message without blocks")?;
        ensure(blocks.iter().all(is_anthropic_block), "a block")?;
        let results = ids(blocks, "tool_result", "tool_use_id");
        ensure(results == open, "the results are not those of the calls")?;
        open = ids(blocks, "tool_use", "id");
    }
    ensure(
        messages.len() % 2 == 1 && open.is_empty(),
        "the last message is not the user's",
    )
}

fn is_anthropic_block(block: &Value) -> bool {
    match block["type"].as_str() {
        Some("text") => is_said(&block["text"]),
        Some("tool_use") => {
            is_said(&block["id"]) && is_said(&block["name"]) && block["input"].is_object()
        }
        Some("tool_result") => is_said(&block["content"]) && block["is_error"].is_boolean(),
        Some("thinking") => true,
        _ => false,
    }
}

fn check_openai(body: &Map<String, Value>) -> Result<(), String> {
    only(
        body,
        &[
            "model",
            "messages",
            "tools",
            "tool_choice",
            "max_completion_tokens",
            "stream",
        ],
    )?;
    ensure(
        body.get("stream").is_none_or(|stream| stream == false),
        "stream",
    )?;
    if body.contains_key("tools") {
        for tool in list(body.get("tools"), "tools")? {
            let function = &tool["function"];
            ensure(
                tool["type"] == "function" && is_said(&function["description"]),
                "a tool",
            )?;
            ensure(
                is_said(&function["name"]) && is_schema(&function["parameters"]),
                "a function",
            )?;
        }
    }
    let choice = body.get("tool_choice");
    ensure(
        choice.is_none() || body.contains_key("tools"),
        "tool_choice without tools",
    )?;
    ensure(
        choice.is_none_or(|it| it == "auto" || it == "none"),
        "tool_choice",
    )?;
    let messages = list(body.get("messages"), "messages")?;
    ensure(
        messages[0]["role"] == "system" && is_said(&messages[0]["content"]),
        "the system's message",
    )?;
    let mut open = VecDeque::new();
    for message in &messages[1..] {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().map(str::to_owned);
            ensure(
                id.is_some() && id == open.pop_front(),
                "a result without its call",
            )?;
            ensure(is_said(&message["content"]), "an empty result")?;
            continue;
        }
        ensure(open.is_empty(), "a call without its result")?;
        match message["role"].as_str() {
            Some("user") => ensure(is_said(&message["content"]), "an empty message")?,
            Some("assistant") => open = openai_calls(message)?,
            _ => return Err("a role that nobody knows".into()),
        }
    }
    let last = messages.last().map(|message| &message["role"]);
    ensure(
        last.is_some_and(|role| role != "assistant") && open.is_empty(),
        "nothing to answer",
    )
}

/// The ids of the calls in a turn.
fn openai_calls(message: &Value) -> Result<VecDeque<String>, String> {
    let Some(calls) = message.get("tool_calls") else {
        ensure(is_said(&message["content"]), "an empty turn")?;
        return Ok(VecDeque::new());
    };
    ensure(
        message["content"].is_string() || message["content"].is_null(),
        "content",
    )?;
    let mut ids = VecDeque::new();
    for call in list(Some(calls), "tool_calls")? {
        let (id, function) = (&call["id"], &call["function"]);
        ensure(
            is_said(id) && call["type"] == "function" && is_said(&function["name"]),
            "a call",
        )?;
        let arguments = function["arguments"].as_str().unwrap_or_default();
        let arguments = serde_json::from_str::<Value>(arguments);
        ensure(
            arguments.is_ok_and(|it| it.is_object()),
            "a call's arguments",
        )?;
        ids.extend(id.as_str().map(str::to_owned));
    }
    Ok(ids)
}
