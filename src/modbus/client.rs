//! A connection to a PLC that can only read.
//!
//! *Invariants.*
//! - The library's client is private to this file, and no other function code than 1 to 4 is named in it.
//! - Every call ends within its time.
//! - After a [`Trouble::Broken`] the connection must be dropped: an answer may still be on its way, and on a serial line nothing
//!   tells it from the next one.

use std::{io::ErrorKind, time::Duration};

use serial2_tokio::{CharSize, FlowControl, SerialPort, Settings, StopBits};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_modbus::{
    ExceptionCode, Request, Response,
    client::{Context, rtu, tcp},
    prelude::{Client, Slave, SlaveContext},
};

use super::{
    Parity, Place, Table,
    registers::{Answer, Read},
    wire::{Framing, ReadOnlyWire},
};

/// Bits on a serial line for one byte: start, 8 of data, parity or a second stop bit, stop.
const BITS_PER_BYTE: f64 = 11.0;
/// Silence between two frames on a serial line, bytes; the protocol asks for 3.5.
const SILENCE_BYTES: f64 = 4.0;
/// Shortest silence, whatever the rate.
const SILENCE_MIN: Duration = Duration::from_millis(2);
/// Looks for the end of a late answer, each as long as the time for an answer.
const QUIET_LOOKS_MAX: u32 = 3;

/// Why a read brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The unit answered that it cannot, for now: it is busy, or a gateway does not reach it.
    #[error("the unit is not ready: {0}")]
    NotReady(String),
    /// The unit refuses the read.
    #[error("the unit refuses: {0}")]
    Refused(String),
    /// There is no connection, or none that can be trusted.
    #[error("{0}")]
    Broken(String),
}

/// A connection for reading.
pub struct PlcReader {
    context: Context,
    timeout: Duration,
    /// Silence before each request; none over TCP.
    silence: Duration,
}

impl PlcReader {
    /// Connects within `time`, which is that of every answer, too. After trouble (`late`) a serial line is first heard until it is
    /// quiet: what arrives then belongs to nobody.
    pub async fn connect(place: &Place, time: Duration, late: bool) -> Result<Self, Trouble> {
        match place {
            Place::Tcp { host, port } => {
                let connecting = timeout(time, TcpStream::connect((host.as_str(), *port)));
                let stream = connecting
                    .await
                    .map_err(|_| {
                        Trouble::Broken(format!("connect to {place}: no answer within {time:?}"))
                    })?
                    .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
                    .map_err(|error| Trouble::Broken(format!("connect to {place}: {error}")))?;
                let wire = ReadOnlyWire::new(stream, Framing::Tcp);
                Ok(Self {
                    context: tcp::attach_slave(wire, Slave(0)),
                    timeout: time,
                    silence: Duration::ZERO,
                })
            }
            Place::Rtu {
                device,
                baud,
                parity,
                stop_bits,
            } => {
                let broken = |error: std::io::Error| {
                    Trouble::Broken(format!("open {}: {error}", device.display()))
                };
                let mut port = SerialPort::open(device, |mut settings: Settings| {
                    settings.set_raw();
                    settings.set_baud_rate(*baud)?;
                    settings.set_char_size(CharSize::Bits8);
                    settings.set_parity(match parity {
                        Parity::None => serial2_tokio::Parity::None,
                        Parity::Even => serial2_tokio::Parity::Even,
                        Parity::Odd => serial2_tokio::Parity::Odd,
                    });
                    settings.set_stop_bits(match stop_bits {
                        2 => StopBits::Two,
                        _ => StopBits::One,
                    });
                    settings.set_flow_control(FlowControl::None);
                    Ok(settings)
                })
                .map_err(broken)?;
                if late {
                    hear_out(&mut port, time).await.map_err(broken)?;
                }
                port.discard_buffers().map_err(broken)?;
                let silence_s = SILENCE_BYTES * BITS_PER_BYTE / f64::from(*baud);
                let wire = ReadOnlyWire::new(port, Framing::Rtu);
                Ok(Self {
                    context: rtu::attach_slave(wire, Slave(0)),
                    timeout: time,
                    silence: Duration::from_secs_f64(silence_s).max(SILENCE_MIN),
                })
            }
        }
    }

    /// Makes a read: function code 1 for coils, 2 for discrete inputs, 3 for holding registers, 4 for input registers.
    pub async fn read(&mut self, read: &Read) -> Result<Answer, Trouble> {
        let (address, count) = (read.address, read.count);
        let request = match read.table {
            Table::Coil => Request::ReadCoils(address, count),
            Table::Discrete => Request::ReadDiscreteInputs(address, count),
            Table::Holding => Request::ReadHoldingRegisters(address, count),
            Table::Input => Request::ReadInputRegisters(address, count),
        };
        match (read.table, self.answer(read.unit, request).await?) {
            (Table::Coil, Response::ReadCoils(bits))
            | (Table::Discrete, Response::ReadDiscreteInputs(bits)) => {
                bits_of(bits, count).map(Answer::Bits)
            }
            (Table::Holding, Response::ReadHoldingRegisters(words))
            | (Table::Input, Response::ReadInputRegisters(words)) => {
                words_of(words, count).map(Answer::Words)
            }
            (_, other) => Err(strange(&other)),
        }
    }

    /// The answer to one request. The library compares transaction, unit and function.
    async fn answer(&mut self, unit: u8, request: Request<'static>) -> Result<Response, Trouble> {
        if !self.silence.is_zero() {
            sleep(self.silence).await;
        }
        self.context.set_slave(Slave(unit));
        match timeout(self.timeout, self.context.call(request)).await {
            Err(_) => Err(Trouble::Broken(format!(
                "no answer within {:?}",
                self.timeout
            ))),
            Ok(Err(tokio_modbus::Error::Protocol(_))) => Err(Trouble::Broken(
                "the answer belongs to another request".into(),
            )),
            // The library gives the last error of the system where the other side has closed.
            Ok(Err(tokio_modbus::Error::Transport(error))) => {
                Err(Trouble::Broken(match error.kind() {
                    ErrorKind::InvalidData => format!("the answer makes no sense: {error}"),
                    ErrorKind::PermissionDenied => error.to_string(),
                    _ => "the connection was closed".into(),
                }))
            }
            Ok(Ok(Err(exception))) => Err(exceptional(exception)),
            Ok(Ok(Ok(response))) => Ok(response),
        }
    }
}

/// Bits come in whole bytes.
fn bits_of(mut bits: Vec<bool>, count: u16) -> Result<Vec<bool>, Trouble> {
    if bits.len() != usize::from(count).next_multiple_of(8) && bits.len() != usize::from(count) {
        return Err(wrong_length(bits.len(), count));
    }
    bits.truncate(usize::from(count));
    Ok(bits)
}

fn words_of(words: Vec<u16>, count: u16) -> Result<Vec<u16>, Trouble> {
    match words.len() == usize::from(count) {
        true => Ok(words),
        false => Err(wrong_length(words.len(), count)),
    }
}

fn wrong_length(length: usize, count: u16) -> Trouble {
    Trouble::Broken(format!("the answer has {length} values instead of {count}"))
}

fn strange(response: &Response) -> Trouble {
    Trouble::Broken(format!(
        "the answer has the function code {}",
        response.function_code().value()
    ))
}

fn exceptional(exception: ExceptionCode) -> Trouble {
    let text = exception.to_string().to_lowercase();
    match exception {
        ExceptionCode::Acknowledge
        | ExceptionCode::ServerDeviceBusy
        | ExceptionCode::GatewayPathUnavailable
        | ExceptionCode::GatewayTargetDevice => Trouble::NotReady(text),
        _ => Trouble::Refused(text),
    }
}

/// Reads until nothing comes for as long as an answer may take.
async fn hear_out(port: &mut SerialPort, time: Duration) -> std::io::Result<()> {
    let mut bytes = [0; 256];
    let end = Instant::now() + time * QUIET_LOOKS_MAX;
    while let Ok(read) = timeout_at(end.min(Instant::now() + time), port.read(&mut bytes)).await {
        if read? == 0 || Instant::now() >= end {
            break;
        }
    }
    Ok(())
}
