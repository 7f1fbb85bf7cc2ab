//! A simulated PLC behind a proxy that knows the frames of Modbus TCP: it records every byte that a client sends, and delays,
//! cuts, corrupts and swaps answers.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::Child,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::binary;
use pumphouse::{
    calendar::Minute,
    config::Modbus,
    modbus::{Place, Register},
    simulate::modbus::{register_map, serve},
    tags::{TAGS, Values, is_command},
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

/// Bytes of a request to read.
const REQUEST_BYTES: usize = 12;
/// Bytes of a frame's header that say how long it is.
const HEAD_BYTES: usize = 6;

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It comes late, but in time.
    Slow,
    /// It comes when nobody waits any more.
    TooLate,
    /// The connection is closed instead.
    Cut,
    /// The connection is closed in the middle of it.
    CutWithin,
    /// A bit of what is around the values is turned.
    Corrupt,
    /// The answer before comes in its place, whoever that was for.
    Swapped,
    /// It comes twice.
    Twice,
    /// It has another transaction id.
    WrongTransaction,
    /// It has another unit id.
    WrongUnit,
    /// It never comes.
    Lost,
    /// The unit says that it is busy.
    Busy,
}

impl Fault {
    pub const ALL: [Self; 11] = [
        Self::Slow,
        Self::TooLate,
        Self::Cut,
        Self::CutWithin,
        Self::Corrupt,
        Self::Swapped,
        Self::Twice,
        Self::WrongTransaction,
        Self::WrongUnit,
        Self::Lost,
        Self::Busy,
    ];
}

/// What the proxy does now.
#[derive(Debug, Default)]
pub struct Weather {
    /// Faults that are still to come, any of [`Fault::ALL`].
    pub faults_left: usize,
    /// Share of the answers that get one.
    pub share: f64,
    /// Units that answer nothing; 0 for all.
    pub silent_unit: Option<u8>,
    /// Faults so far.
    pub happened: Vec<Fault>,
}

/// What the connections share.
struct Shared {
    weather: Mutex<Weather>,
    /// Everything that clients sent, a text of bytes for each connection.
    recorded: Mutex<Vec<Vec<u8>>>,
    rng: Mutex<ChaCha8Rng>,
    last: Mutex<Vec<u8>>,
    timeout: Duration,
}

/// The PLC and the proxy before it; both end with their runtime.
pub struct ProxiedPlc {
    /// The proxy's address.
    pub address: SocketAddr,
    values: watch::Sender<Values>,
    shared: Arc<Shared>,
}

/// A slot's value in a minute; no two slots share one, and no two minutes of a day.
pub fn value_of(slot: usize, minute: Minute) -> f64 {
    match is_command(slot) {
        true => ((minute >> (slot % 6)) & 1) as f64,
        // Exact as f32.
        false => (slot as i64 * 2000 + minute.rem_euclid(1440)) as f64,
    }
}

impl ProxiedPlc {
    /// Starts both; `timeout` is the client's, real time.
    pub async fn start(seed: u64, timeout: Duration) -> Self {
        let (values, shown) = watch::channel([0.0; TAGS]);
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = server.local_addr().expect("an address");
        tokio::spawn(serve(server, shown));
        let shared = Arc::new(Shared {
            weather: Mutex::default(),
            recorded: Mutex::default(),
            rng: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            last: Mutex::default(),
            timeout,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let for_connections = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = for_connections.clone();
                tokio::spawn(async move {
                    let index = {
                        let mut recorded = shared.recorded.lock().expect("no panic");
                        recorded.push(Vec::new());
                        recorded.len() - 1
                    };
                    // It ends when one of the two has gone.
                    let _ = pass(client, target, index, &shared).await;
                });
            }
        });
        Self {
            address,
            values,
            shared,
        }
    }

    /// The PLC shows the values of a minute.
    pub fn show(&self, minute: Minute) {
        self.values
            .send_replace(std::array::from_fn(|slot| value_of(slot, minute)));
    }

    /// Changes the weather.
    pub fn set(&self, faults_left: usize, share: f64, silent_unit: Option<u8>) {
        let mut weather = self.shared.weather.lock().expect("no panic");
        (weather.faults_left, weather.share, weather.silent_unit) =
            (faults_left, share, silent_unit);
    }

    /// The faults that happened.
    pub fn happened(&self) -> Vec<Fault> {
        self.shared
            .weather
            .lock()
            .expect("no panic")
            .happened
            .clone()
    }

    /// Every byte that clients sent, by connection.
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.shared.recorded.lock().expect("no panic").clone()
    }

    /// A config that reads the PLC through the proxy; the pumps' commands are unit 2's.
    pub fn config(&self, timeout_s: f64) -> Modbus {
        let of_two_units = |register: Register| Register {
            unit: if is_command(register.slot) { 2 } else { 1 },
            ..register
        };
        Modbus {
            place: Place::Tcp {
                host: self.address.ip().to_string(),
                port: self.address.port(),
            },
            poll_interval_s: 60,
            takeover_after_min: 10,
            timeout: Duration::from_secs_f64(timeout_s),
            retry_s_max: 30,
            registers_max: 16,
            stale_after_s: 90.0,
            registers: register_map().into_iter().map(of_two_units).collect(),
        }
    }
}

/// Checks that each connection sent requests to read and nothing else; how many.
pub fn only_reads(recorded: &[Vec<u8>]) -> usize {
    let mut requests = 0;
    for bytes in recorded {
        for frame in bytes.chunks(REQUEST_BYTES) {
            assert_eq!(frame.len(), REQUEST_BYTES, "a whole request: {frame:?}");
            assert_eq!(frame[2..6], [0, 0, 0, 6], "a read's header: {frame:?}");
            assert!((1..=4).contains(&frame[7]), "function code {}", frame[7]);
            requests += 1;
        }
    }
    requests
}

async fn pass(
    client: TcpStream,
    target: SocketAddr,
    index: usize,
    shared: &Shared,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(target).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let mut request = Vec::new();
    loop {
        let mut bytes = [0; 256];
        let read = from_client.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        shared.recorded.lock().expect("no panic")[index].extend(&bytes[..read]);
        request.extend(&bytes[..read]);
        while request.len() >= REQUEST_BYTES {
            let frame: Vec<u8> = request.drain(..REQUEST_BYTES).collect();
            let silent = shared.weather.lock().expect("no panic").silent_unit;
            if silent == Some(0) || silent == Some(frame[6]) {
                continue;
            }
            server.write_all(&frame).await?;
            let mut answer = vec![0; HEAD_BYTES];
            server.read_exact(&mut answer).await?;
            answer.resize(HEAD_BYTES + usize::from(answer[5]), 0);
            server.read_exact(&mut answer[HEAD_BYTES..]).await?;
            for (wait, bytes) in spoil(answer, shared)? {
                sleep(wait).await;
                to_client.write_all(&bytes).await?;
            }
        }
    }
}

/// What the client gets instead of an answer, and after what waits; an error cuts the connection.
fn spoil(mut answer: Vec<u8>, shared: &Shared) -> std::io::Result<Vec<(Duration, Vec<u8>)>> {
    let mut rng = shared.rng.lock().expect("no panic");
    let last = std::mem::replace(&mut *shared.last.lock().expect("no panic"), answer.clone());
    let fault = {
        let mut weather = shared.weather.lock().expect("no panic");
        let strikes = weather.faults_left > 0 && rng.random_bool(weather.share);
        let fault = strikes.then(|| *Fault::ALL.choose(&mut *rng).expect("some"));
        weather.faults_left -= usize::from(strikes);
        weather.happened.extend(fault);
        fault
    };
    let cut = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let mut wait = Duration::ZERO;
    match fault {
        None => {}
        Some(Fault::Slow) => wait = shared.timeout / 4,
        Some(Fault::TooLate) => wait = shared.timeout * 3 / 2,
        Some(Fault::Cut) => return Err(cut()),
        Some(Fault::CutWithin) => {
            answer.truncate(rng.random_range(1..answer.len()));
            // The write after it fails.
            return Ok(vec![(wait, answer), (shared.timeout * 2, Vec::new())]);
        }
        Some(Fault::Corrupt) => {
            // Transaction, protocol, length, function, length of the values; the values of Modbus TCP have no checksum of their own.
            let at = *[0, 1, 2, 3, 4, 5, 6, 7, 8].choose(&mut *rng).expect("some");
            answer[at] ^= 1 << rng.random_range(0..8);
        }
        Some(Fault::Swapped) => answer = last,
        Some(Fault::Twice) => return Ok(vec![(wait, answer.clone()), (wait, answer)]),
        Some(Fault::WrongTransaction) => answer[1] ^= 1,
        Some(Fault::WrongUnit) => answer[6] ^= 3,
        Some(Fault::Lost) => return Ok(Vec::new()),
        Some(Fault::Busy) => {
            answer[5] = 3;
            answer[7] |= 0x80;
            answer.truncate(8);
            answer.push(6);
        }
    }
    Ok(vec![(wait, answer)])
}

/// A process that ends with its test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `simulate --modbus` and its config section, without the line above it.
pub fn simulated_plc() -> (Running, String) {
    let mut child = binary::command(Path::new("."), &["simulate", "--modbus", "127.0.0.1:0"]);
    let mut running = Running(child.spawn().expect("it starts"));
    let lines = BufReader::new(running.0.stdout.take().expect("its output")).lines();
    // 4 lines before the registers, and 6 for each.
    let lines: Vec<String> = lines
        .take(4 + 6 * TAGS)
        .map(|line| line.expect("text"))
        .collect();
    (running, lines[1..].join("\n") + "\n")
}
