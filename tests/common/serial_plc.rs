//! PLCs on a serial line, simulated behind a pseudo terminal.

use std::{
    fs::File,
    io::{Read, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// How the line is.
pub const CALM: u8 = 0;
/// Every third answer has a bit turned, wherever.
pub const NOISY: u8 = 1;
/// Every third answer comes when nobody waits any more.
pub const LATE: u8 = 2;

/// A line with units 1 and 2, which hold `1000 × unit + address` at every address; all others are silent.
pub struct SerialLine {
    /// The device to open.
    pub device: PathBuf,
    /// How it is.
    pub weather: Arc<AtomicU8>,
}

/// The two ends of a pseudo terminal: ours, and the device of the other.
pub fn terminal() -> (File, PathBuf) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&ours).expect("granted");
    unlockpt(&ours).expect("unlocked");
    let name = ptsname(&ours, Vec::new()).expect("a name");
    (
        File::from(ours),
        PathBuf::from(name.into_string().expect("plain")),
    )
}

impl SerialLine {
    /// Starts it; `late` is how late an answer is that nobody waits for.
    pub fn start(late: Duration) -> Self {
        let (mut ours, device) = terminal();
        let weather = Arc::new(AtomicU8::new(CALM));
        let seen = weather.clone();
        // Kept open, so that the line stays while nobody has opened it.
        let kept = rustix::fs::open(
            &device,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY,
            rustix::fs::Mode::empty(),
        )
        .expect("the device opens");
        let mut raw = rustix::termios::tcgetattr(&kept).expect("its settings");
        raw.make_raw();
        rustix::termios::tcsetattr(&kept, rustix::termios::OptionalActions::Now, &raw)
            .expect("raw");
        std::thread::spawn(move || {
            let _kept = kept;
            let (mut request, mut answers) = (Vec::new(), 0_usize);
            let mut byte = [0];
            while ours.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
                if request.len() < 8 {
                    continue;
                }
                let frame = std::mem::take(&mut request);
                assert_eq!(frame[6..], checksum(&frame[..6]), "{frame:?}");
                assert!((1..=4).contains(&frame[1]), "function code {}", frame[1]);
                let Some(mut answer) = answer(&frame) else {
                    continue;
                };
                answers += 1;
                match seen.load(Ordering::SeqCst) {
                    NOISY if answers % 3 == 0 => {
                        let at = answers % answer.len();
                        answer[at] ^= 1 << (answers % 8);
                    }
                    LATE if answers % 3 == 0 => std::thread::sleep(late),
                    _ => {}
                }
                if ours.write_all(&answer).is_err() {
                    return;
                }
            }
        });
        Self { device, weather }
    }
}

/// The answer of unit 1 or 2 to a request for words.
fn answer(request: &[u8]) -> Option<Vec<u8>> {
    let (unit, function) = (request[0], request[1]);
    if !(1..=2).contains(&unit) || !(3..=4).contains(&function) {
        return None;
    }
    let address = u16::from_be_bytes([request[2], request[3]]);
    let count = u16::from_be_bytes([request[4], request[5]]);
    let mut answer = vec![unit, function, count as u8 * 2];
    for address in address..address + count {
        answer.extend((u16::from(unit) * 1000 + address).to_be_bytes());
    }
    answer.extend(checksum(&answer));
    Some(answer)
}

/// CRC-16 of Modbus, lower byte first.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let crc = bytes.iter().fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xA001,
            _ => crc >> 1,
        })
    });
    crc.to_le_bytes()
}

/// Two pseudo terminals wired to each other, as a cable between two serial ports: the devices of both.
pub fn cable() -> [PathBuf; 2] {
    let ((ours, device), (other_ours, other_device)) = (terminal(), terminal());
    for device in [&device, &other_device] {
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let kept =
            rustix::fs::open(device, flags, rustix::fs::Mode::empty()).expect("the device opens");
        let mut raw = rustix::termios::tcgetattr(&kept).expect("its settings");
        raw.make_raw();
        rustix::termios::tcsetattr(&kept, rustix::termios::OptionalActions::Now, &raw)
            .expect("raw");
        // Kept open for the whole test, so that the cable stays while a port is closed.
        std::mem::forget(kept);
    }
    for (mut from, mut to) in [
        (
            ours.try_clone().expect("a clone"),
            other_ours.try_clone().expect("a clone"),
        ),
        (other_ours, ours),
    ] {
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    }
    [device, other_device]
}
