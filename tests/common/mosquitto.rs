//! A Mosquitto of the test's own, which can be killed and started again.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::{
    certificates::{Authority, ServerCertificate},
    ports::free_port,
    waiting::{DEADLINE, until, within},
};

/// Ports tried until one is still free when the broker takes it.
const PORTS_TRIED_MAX: u32 = 5;

/// A broker. Dropped, it is killed.
pub struct Mosquitto {
    /// Its port without TLS.
    pub port: u16,
    tls_port: Option<u16>,
    process: Option<Child>,
    folder: TempDir,
}

/// How a broker is set up.
#[derive(Default)]
pub struct Setup<'a> {
    /// The port without TLS; a free one when `None`.
    pub port: Option<u16>,
    /// A second port, with TLS.
    pub tls: Option<Tls<'a>>,
    /// A user and the password without which the broker does not take that user; who gives no name is welcome.
    pub user: Option<(&'a str, &'a str)>,
    /// What it still knows after a kill.
    pub persistence: Persistence,
}

/// A port with TLS.
pub struct Tls<'a> {
    /// The certificate to answer with.
    pub server: &'a ServerCertificate,
    /// Who must have signed a client's certificate; without, clients need none.
    pub clients: Option<&'a Authority>,
}

/// What a broker still knows after a kill.
#[derive(Clone, Copy, Default)]
pub enum Persistence {
    /// Nothing.
    #[default]
    None,
    /// Sessions, retained and waiting messages as they were at most so many seconds ago.
    EverySeconds(u32),
    /// Sessions, retained and waiting messages as they were after the last step of its loop.
    EveryChange,
}

impl Mosquitto {
    /// A broker on a free port.
    pub fn start() -> Self {
        Self::start_with(&Setup::default())
    }

    /// A broker on a port.
    pub fn start_on(port: u16) -> Self {
        Self::start_with(&Setup {
            port: Some(port),
            ..Setup::default()
        })
    }

    /// A broker.
    pub fn start_with(setup: &Setup<'_>) -> Self {
        let mut broker = Self {
            port: 0,
            tls_port: None,
            process: None,
            folder: TempDir::with_prefix("pumphouse-mosquitto-").expect("a folder"),
        };
        for _ in 0..PORTS_TRIED_MAX {
            broker.port = setup.port.unwrap_or_else(free_port);
            broker.tls_port = setup.tls.as_ref().map(|_| free_port());
            broker.configure(setup);
            match broker.launch() {
                Ok(()) => return broker,
                // Somebody was faster.
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("mosquitto does not start: {log}"),
            }
        }
        panic!("no port stays free");
    }

    /// Its port with TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("a broker set up with TLS")
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("killed");
            process.wait().expect("ended");
        }
    }

    /// Ends it as an operator does.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        kill_process(Pid::from_child(&process), Signal::TERM).expect("signalled");
        let ended = within(DEADLINE, || process.try_wait().expect("waited"));
        if ended.is_none() {
            // It may end in this very moment.
            let _ = process.kill();
            let _ = process.wait();
            panic!("mosquitto does not stop: {}", self.log());
        }
    }

    /// Starts it again on the same ports. One that runs is stopped first.
    pub fn restart(&mut self) {
        self.stop();
        if let Err(log) = self.launch() {
            panic!("mosquitto does not start again: {log}");
        }
    }

    fn configure(&self, setup: &Setup<'_>) {
        let folder = self.folder.path();
        let mut config = format!(
            "log_dest stderr\nlog_type error\nlog_type warning\nlog_type notice\nmax_queued_messages 0\n\
             listener {} 127.0.0.1\nallow_anonymous true\n",
            self.port
        );
        if geteuid().is_root() {
            // It would become another user, who cannot write here.
            config.push_str("user root\n");
        }
        if let Some((user, password)) = setup.user {
            let file = folder.join("users");
            let made = Command::new("mosquitto_passwd")
                .args(["-b", "-c"])
                .arg(&file)
                .args([user, password])
                .output()
                .expect("mosquitto_passwd runs");
            assert!(made.status.success(), "{made:?}");
            config.push_str(&format!("password_file {}\n", file.display()));
        }
        let saved = match setup.persistence {
            Persistence::None => None,
            Persistence::EverySeconds(seconds) => Some((false, seconds)),
            Persistence::EveryChange => Some((true, 1)),
        };
        if let Some((on_changes, interval)) = saved {
            config.push_str(&format!(
                "persistence true\npersistence_location {}/\nautosave_on_changes {on_changes}\nautosave_interval {interval}\n",
                folder.display()
            ));
        }
        if let Some(tls) = &setup.tls {
            config.push_str(&format!(
                "listener {} 127.0.0.1\ncertfile {}\nkeyfile {}\n",
                self.tls_port(),
                tls.server.certificate.display(),
                tls.server.key.display()
            ));
            if let Some(clients) = tls.clients {
                let file = clients.file();
                config.push_str(&format!(
                    "cafile {}\nrequire_certificate true\n",
                    file.display()
                ));
            }
        }
        fs::write(folder.join("mosquitto.conf"), config).expect("written");
    }

    /// Starts it and waits until it listens; its log when it ends instead.
    fn launch(&mut self) -> Result<(), String> {
        let log = File::create(self.folder.path().join("log")).expect("a log");
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|path| fs::exists(path).unwrap_or(false));
        let mut process = Command::new(program.unwrap_or("mosquitto"))
            .arg("-c")
            .arg(self.folder.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mosquitto is needed: apt-get install mosquitto");
        let ports: Vec<u16> = [self.port].into_iter().chain(self.tls_port).collect();
        let listens = until("mosquitto listens", || {
            if process.try_wait().expect("waited").is_some() {
                return Some(false);
            }
            let all = ports
                .iter()
                .all(|&port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
            all.then_some(true)
        });
        if listens {
            self.process = Some(process);
            Ok(())
        } else {
            Err(self.log())
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
