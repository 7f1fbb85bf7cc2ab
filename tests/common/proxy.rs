//! A TCP proxy that does to connections what networks do: it delays, stalls, cuts, garbles and chokes them.
//!
//! One thread owns all sockets and steps them whenever one is ready, a piece is due or an order comes. An order has been
//! carried out when its call returns.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Result, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    ops::Range,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt::set_socket_linger,
};

use super::{ports::free_port, waiting::until};

/// Bytes of one direction of a connection that may be on their way.
const ON_THE_WAY_MAX: usize = 64 << 10;
/// Bytes read at once.
const PIECE_BYTES_MAX: usize = 16 << 10;
/// Bytes of garbage at once.
const GARBAGE_BYTES_MAX: usize = 64;
/// Longest wait for the server to take a connection; on one machine it takes or refuses it at once.
const CONNECT_MAX: Duration = Duration::from_millis(500);
/// A limited direction gets its share for so long at once.
const SHARE: Duration = Duration::from_millis(5);

/// What the proxy does.
#[derive(Clone, Debug, PartialEq)]
pub enum Mode {
    /// Forwards.
    Pass,
    /// Forwards everything so much later.
    Delay(Duration),
    /// Takes and keeps connections, and forwards nothing: half-open ones, as behind a dead router. Nothing is lost; what
    /// has come goes on when the mode changes.
    Stall(Way),
    /// Resets all connections, and refuses new ones.
    Cut,
    /// Adds random bytes to what the server says, at once and with every piece of it.
    Garbage,
    /// Resets each connection after a random time.
    Lifetime(Range<Duration>),
    /// Forwards so many bytes a second in each direction of each connection.
    Bandwidth(u32),
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
    Both,
}

/// A running proxy. Dropped, it closes all connections.
pub struct Proxy {
    port: u16,
    orders: mpsc::Sender<Order>,
    wake: UnixStream,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    accepted: AtomicUsize,
}

enum Order {
    Set(Mode, mpsc::Sender<()>),
    CutAll(mpsc::Sender<()>),
    End,
}

impl Proxy {
    /// A proxy that forwards to a target, which may be down; what is random follows from the seed.
    pub fn start(target: SocketAddr, seed: u64) -> Self {
        let port = free_port();
        let (orders, queue) = mpsc::channel();
        let (wake, woken) = UnixStream::pair().expect("a pair of sockets");
        woken.set_nonblocking(true).expect("not blocking");
        let counts = Arc::new(Counts::default());
        let station = Station {
            port,
            target,
            mode: Mode::Pass,
            rng: ChaCha8Rng::seed_from_u64(seed),
            listener: Some(listen(port)),
            connections: Vec::new(),
            orders: queue,
            woken,
            counts: counts.clone(),
        };
        let thread = std::thread::Builder::new().name("proxy".into());
        let thread = thread.spawn(move || station.run()).expect("a thread");
        Self {
            port,
            orders,
            wake,
            counts,
            thread: Some(thread),
        }
    }

    /// A proxy in front of a port of this machine.
    pub fn before(port: u16, seed: u64) -> Self {
        Self::start((Ipv4Addr::LOCALHOST, port).into(), seed)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what it does, to connections that are there as well.
    pub fn set(&self, mode: Mode) {
        self.order(|done| Order::Set(mode, done));
    }

    /// Resets all connections; new ones are welcome as the mode has it.
    pub fn cut_all(&self) {
        self.order(Order::CutAll);
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// Connections taken since the start.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    fn order(&self, order: impl FnOnce(mpsc::Sender<()>) -> Order) {
        let (done, told) = mpsc::channel();
        self.orders.send(order(done)).expect("the proxy runs");
        (&self.wake).write_all(&[0]).expect("the proxy runs");
        told.recv().expect("the proxy carries out the order");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // When it cannot be told, it has ended.
        let _ = self.orders.send(Order::End);
        let _ = (&self.wake).write_all(&[0]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Station {
    port: u16,
    target: SocketAddr,
    mode: Mode,
    rng: ChaCha8Rng,
    listener: Option<TcpListener>,
    connections: Vec<Connection>,
    orders: mpsc::Receiver<Order>,
    woken: UnixStream,
    counts: Arc<Counts>,
}

struct Connection {
    client: TcpStream,
    /// Not there while nothing is forwarded.
    server: Option<TcpStream>,
    to_server: Flow,
    to_client: Flow,
    reset_at: Option<Instant>,
}

/// One direction of a connection.
struct Flow {
    way: Way,
    /// Pieces, and when each is due.
    waiting: VecDeque<(Instant, Vec<u8>)>,
    waiting_bytes: usize,
    /// The sender has said everything.
    ended: bool,
    /// The receiver knows.
    closed: bool,
    /// Bytes that may go now, where bandwidth is limited.
    share_bytes: f64,
    shared_at: Instant,
}

impl Station {
    fn run(mut self) {
        loop {
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Set(mode, done) => {
                        self.set(mode);
                        self.count();
                        // The caller may have given up.
                        let _ = done.send(());
                    }
                    Order::CutAll(done) => {
                        self.connections.drain(..).for_each(Connection::reset);
                        self.count();
                        let _ = done.send(());
                    }
                    Order::End => return,
                }
            }
            self.accept();
            self.step();
            self.count();
            self.wait();
        }
    }

    fn count(&self) {
        let open = self.connections.len();
        self.counts.open.store(open, Ordering::SeqCst);
    }

    fn set(&mut self, mode: Mode) {
        self.mode = mode;
        if self.mode == Mode::Cut {
            self.listener = None;
            self.connections.drain(..).for_each(Connection::reset);
        } else if self.listener.is_none() {
            self.listener = Some(listen(self.port));
        }
        let now = Instant::now();
        for connection in &mut self.connections {
            connection.reset_at = end_of_life(&self.mode, now, &mut self.rng);
            if self.mode == Mode::Garbage && !connection.to_client.ended {
                connection
                    .to_client
                    .push(now, garbled(Vec::new(), &mut self.rng));
            }
        }
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        // Whatever else than a connection comes, the next look shows it again.
        while let Ok((client, _)) = listener.accept() {
            prepare(&client);
            self.counts.accepted.fetch_add(1, Ordering::SeqCst);
            let now = Instant::now();
            self.connections.push(Connection {
                client,
                server: None,
                to_server: Flow::new(Way::ToServer),
                to_client: Flow::new(Way::ToClient),
                reset_at: end_of_life(&self.mode, now, &mut self.rng),
            });
        }
    }

    fn step(&mut self) {
        let mut place = 0;
        while let Some(connection) = self.connections.get_mut(place) {
            let open = match connection.reset_at {
                Some(at) if at <= Instant::now() => Err(ErrorKind::ConnectionReset.into()),
                _ => connection.step(self.target, &self.mode, &mut self.rng),
            };
            match open {
                Ok(true) => place += 1,
                Ok(false) => drop(self.connections.swap_remove(place)),
                Err(_) => self.connections.swap_remove(place).reset(),
            }
        }
    }

    /// Waits until there is something to do.
    fn wait(&mut self) {
        let now = Instant::now();
        let mut sockets = vec![PollFd::new(&self.woken, PollFlags::IN)];
        sockets.extend(
            self.listener
                .iter()
                .map(|it| PollFd::new(it, PollFlags::IN)),
        );
        let mut next: Option<Instant> = None;
        let mut sooner = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        for connection in &self.connections {
            connection.reset_at.into_iter().for_each(&mut sooner);
            let Some(server) = &connection.server else {
                continue;
            };
            let mut wanted = [PollFlags::empty(); 2];
            for (flow, from, to) in [(&connection.to_server, 0, 1), (&connection.to_client, 1, 0)] {
                wanted[from].set(PollFlags::IN, flow.wants_to_read(&self.mode));
                match flow.next_write(&self.mode, now) {
                    Some(at) if at <= now => wanted[to] |= PollFlags::OUT,
                    Some(at) => sooner(at),
                    None => {}
                }
            }
            for (socket, flags) in [&connection.client, server].into_iter().zip(wanted) {
                // One of which nothing is wanted would wake for its end again and again.
                if !flags.is_empty() {
                    sockets.push(PollFd::new(socket, flags));
                }
            }
        }
        let left = next.map(|at| at.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec::try_from(left).expect("a short time"));
        // Interrupted, it looks once more than needed.
        let _ = poll(&mut sockets, left.as_ref());
        drop(sockets);
        let mut bytes = [0; 64];
        while matches!(self.woken.read(&mut bytes), Ok(1..)) {}
    }
}

impl Connection {
    /// Moves what can be moved; whether the connection is still open. An error means that a side has reset it.
    fn step(&mut self, target: SocketAddr, mode: &Mode, rng: &mut ChaCha8Rng) -> Result<bool> {
        if self.server.is_none() && *mode != Mode::Stall(Way::Both) {
            let server = TcpStream::connect_timeout(&target, CONNECT_MAX)?;
            prepare(&server);
            self.server = Some(server);
        }
        let Some(server) = &self.server else {
            return Ok(true);
        };
        self.to_server.step(&self.client, server, mode, rng)?;
        self.to_client.step(server, &self.client, mode, rng)?;
        Ok(!(self.to_server.closed && self.to_client.closed))
    }

    /// Ends it so that both sides see a reset.
    fn reset(self) {
        for socket in [Some(&self.client), self.server.as_ref()]
            .into_iter()
            .flatten()
        {
            set_socket_linger(socket, Some(Duration::ZERO)).expect("a socket that lingers not");
        }
    }
}

impl Flow {
    fn new(way: Way) -> Self {
        Self {
            way,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            ended: false,
            closed: false,
            share_bytes: 0.0,
            shared_at: Instant::now(),
        }
    }

    fn push(&mut self, due: Instant, bytes: Vec<u8>) {
        self.waiting_bytes += bytes.len();
        self.waiting.push_back((due, bytes));
    }

    fn stalls(&self, mode: &Mode) -> bool {
        matches!(mode, Mode::Stall(way) if *way == Way::Both || *way == self.way)
    }

    fn wants_to_read(&self, mode: &Mode) -> bool {
        !self.stalls(mode) && !self.ended && self.waiting_bytes < ON_THE_WAY_MAX
    }

    /// When the next bytes may go.
    fn next_write(&self, mode: &Mode, now: Instant) -> Option<Instant> {
        let &(due, _) = self.waiting.front().filter(|_| !self.stalls(mode))?;
        match mode {
            Mode::Bandwidth(_) if self.share_bytes < 1.0 => Some(due.max(now + SHARE)),
            _ => Some(due),
        }
    }

    fn step(
        &mut self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        mode: &Mode,
        rng: &mut ChaCha8Rng,
    ) -> Result<()> {
        if self.stalls(mode) {
            return Ok(());
        }
        let mut buffer = [0; PIECE_BYTES_MAX];
        while self.wants_to_read(mode) {
            let Some(length) = unless_it_blocks(from.read(&mut buffer))? else {
                break;
            };
            self.ended = length == 0;
            let mut bytes = buffer[..length].to_vec();
            if self.way == Way::ToClient && *mode == Mode::Garbage && !self.ended {
                bytes = garbled(bytes, rng);
            }
            let delay = match mode {
                Mode::Delay(delay) => *delay,
                _ => Duration::ZERO,
            };
            self.push(Instant::now() + delay, bytes);
        }
        let now = Instant::now();
        let mut share = self.share(mode, now);
        while let Some((due, bytes)) = self.waiting.front_mut() {
            let length = bytes.len().min(share);
            if *due > now || (length == 0 && !bytes.is_empty()) {
                return Ok(());
            }
            if length > 0 {
                let Some(written) = unless_it_blocks(to.write(&bytes[..length]))? else {
                    return Ok(());
                };
                bytes.drain(..written);
                self.waiting_bytes -= written;
                self.share_bytes -= written as f64;
                share -= written;
            }
            if bytes.is_empty() {
                self.waiting.pop_front();
            }
        }
        if self.ended && !self.closed {
            // The end comes behind everything that was said; the other side may have gone.
            let _ = to.shutdown(Shutdown::Write);
            self.closed = true;
        }
        Ok(())
    }

    /// How many bytes may go now.
    fn share(&mut self, mode: &Mode, now: Instant) -> usize {
        let Mode::Bandwidth(bytes_per_s) = *mode else {
            self.share_bytes = 0.0;
            self.shared_at = now;
            return usize::MAX;
        };
        let rate = f64::from(bytes_per_s);
        let passed = now.duration_since(self.shared_at).as_secs_f64();
        // What was not used is gone, but for two shares of it, and for a byte at the lowest rates.
        let most = (rate * 2.0 * SHARE.as_secs_f64()).max(1.0);
        self.share_bytes = (self.share_bytes + rate * passed).min(most);
        self.shared_at = now;
        self.share_bytes as usize
    }
}

fn listen(port: u16) -> TcpListener {
    let listener = until("the proxy listens", || {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
    });
    listener.set_nonblocking(true).expect("not blocking");
    listener
}

fn prepare(socket: &TcpStream) {
    socket.set_nonblocking(true).expect("not blocking");
    // A socket that is gone already tells when it is read.
    let _ = socket.set_nodelay(true);
}

/// `None` when nothing can be moved now.
fn unless_it_blocks(moved: Result<usize>) -> Result<Option<usize>> {
    match moved {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        moved => moved.map(Some),
    }
}

fn end_of_life(mode: &Mode, now: Instant, rng: &mut ChaCha8Rng) -> Option<Instant> {
    match mode {
        Mode::Lifetime(range) => Some(now + rng.random_range(range.clone())),
        _ => None,
    }
}

/// Bytes with random ones among them.
fn garbled(bytes: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut garbage = vec![0; rng.random_range(1..=GARBAGE_BYTES_MAX)];
    rng.fill_bytes(&mut garbage);
    let at = rng.random_range(0..=bytes.len());
    [&bytes[..at], &garbage, &bytes[at..]].concat()
}
