//! The receiving end of calls: a small HTTP server that keeps what it is sent and answers as it is told.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;

use super::{certificates::ServerCertificate, ports::free_port, waiting::until};

/// What the server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status and a text.
    Status(u16, &'static str),
    /// Go there instead.
    Redirect(String),
    /// The text of the request's authorization.
    Echo(u16),
    /// Nothing, until something else is told.
    Silence,
}

/// A call as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request line.
    pub line: String,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    pub body: Value,
}

impl Received {
    /// What says that a call is the same one.
    pub fn key(&self) -> &str {
        &self.headers["idempotency-key"]
    }

    pub fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }

    /// Reason and code, for comparing.
    pub fn what(&self) -> (&str, &str) {
        (self.text("reason"), self.text("code"))
    }
}

struct Shared {
    answer: Mutex<Answer>,
    told: Condvar,
    received: Mutex<Vec<Received>>,
    tls: Option<Arc<ServerConfig>>,
}

/// The server. It stays up until the test ends.
pub struct Receiver {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Receiver {
    pub fn start() -> Self {
        Self::start_at(free_port())
    }

    pub fn start_at(port: u16) -> Self {
        Self::listen(port, None)
    }

    pub fn start_tls(certificate: &ServerCertificate) -> Self {
        let chain = CertificateDer::pem_file_iter(&certificate.certificate)
            .expect("certificates")
            .collect::<Result<_, _>>()
            .expect("certificates");
        let key = PrivateKeyDer::from_pem_file(&certificate.key).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate with its key");
        Self::listen(free_port(), Some(Arc::new(config)))
    }

    fn listen(port: u16, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
        let shared = Arc::new(Shared {
            answer: Mutex::new(Answer::Status(202, "queued")),
            told: Condvar::new(),
            received: Mutex::default(),
            tls,
        });
        let of = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
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
        format!("{scheme}://127.0.0.1:{}/calls", self.port)
    }

    /// From now on it answers this.
    pub fn answer(&self, answer: Answer) {
        *lock(&self.shared.answer) = answer;
        self.shared.told.notify_all();
    }

    /// All calls so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// The first call, received already or to come, of a reason and a rule.
    #[track_caller]
    pub fn wait_for(&self, reason: &str, code: &str) -> Received {
        until(&format!("a call: {code} {reason}"), || {
            let mut received = self.received().into_iter();
            received.find(|call| call.what() == (reason, code))
        })
    }

    /// Waits for so many calls in all.
    #[track_caller]
    pub fn wait_for_count(&self, count: usize) -> Vec<Received> {
        until(&format!("{count} calls"), || {
            Some(self.received()).filter(|received| received.len() >= count)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that has failed leaves everything as it was.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
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
        let authorization = headers.get("authorization").cloned().unwrap_or_default();
        // What is told once a call can be seen is for later ones.
        let mut answer = lock(&self.answer).clone();
        lock(&self.received).push(Received {
            line: line.trim_end().to_owned(),
            headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        });
        if matches!(answer, Answer::Silence) {
            let told = self
                .told
                .wait_while(lock(&self.answer), |answer| {
                    matches!(answer, Answer::Silence)
                })
                .unwrap_or_else(PoisonError::into_inner);
            answer = told.clone();
        }
        let (status, more, text) = match answer {
            Answer::Status(status, text) => (status, String::new(), text.to_owned()),
            Answer::Echo(status) => (status, String::new(), authorization),
            Answer::Redirect(to) => (307, format!("Location: {to}\r\n"), String::new()),
            Answer::Silence => unreachable!("waited until it is another one"),
        };
        let length = text.len();
        let stream = stream.get_mut();
        write!(
            stream,
            "HTTP/1.1 {status} Told\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n{text}"
        )?;
        stream.flush()
    }
}
