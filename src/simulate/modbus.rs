//! The simulated station's PLC, as a Modbus TCP server: its values at the addresses of [`register_map`]. It answers requests to
//! read, of any unit; every other request gets an exception.

use std::{
    fmt::Write,
    future::{Ready, ready},
    io,
};

use tokio::{net::TcpListener, sync::watch};
use tokio_modbus::{
    ExceptionCode, Request, Response,
    server::{
        Service,
        tcp::{Server, accept_tcp_connection},
    },
};

use crate::{
    modbus::{Kind, Register, Table, WordOrder},
    tags::{TAG_NAMES, TAGS, Values, is_command},
};

/// Address of the first holding register.
const FIRST_REGISTER: u16 = 100;

/// Where the simulated PLC has the tags: the six run commands as coils from 0 on, everything else as f32 in holding registers from
/// 100 on, by slot.
pub fn register_map() -> Vec<Register> {
    let (mut coil, mut word) = (0, FIRST_REGISTER);
    let register = |slot| {
        let (table, kind, next) = match is_command(slot) {
            true => (Table::Coil, Kind::Bool, &mut coil),
            false => (Table::Holding, Kind::F32, &mut word),
        };
        let address = *next;
        *next += kind.places();
        Register {
            slot,
            unit: 1,
            table,
            address,
            base: 0,
            kind,
            order: WordOrder::Abcd,
            scale: 1.0,
            offset: 0.0,
        }
    };
    (0..TAGS).map(register).collect()
}

/// A `[modbus]` section for the simulated PLC, to be put into a config.
pub fn config_section(url: &str) -> String {
    let mut text = format!("[modbus]\nurl = \"{url}\"\nunit = 1\n");
    for register in register_map() {
        // Writing into a text cannot fail.
        let _ = write!(
            text,
            "\n[[modbus.registers]]\ntag = \"{}\"\ntable = \"{}\"\naddress = {}\ntype = \"{}\"\n",
            TAG_NAMES[register.slot],
            register.table.name(),
            register.address,
            register.kind.name()
        );
    }
    text
}

/// Serves the newest values until it is dropped; NaN where a tag has none.
pub async fn serve(listener: TcpListener, values: watch::Receiver<Values>) -> io::Result<()> {
    let connected = |stream, peer| {
        let plc = Plc {
            values: values.clone(),
        };
        async move { accept_tcp_connection(stream, peer, |_| Ok(Some(plc.clone()))) }
    };
    let ended = |error: io::Error| log::debug!(cause = error.to_string(); "a client of the simulated PLC is gone");
    Server::new(listener).serve(&connected, ended).await
}

/// The server's side of a connection.
#[derive(Clone)]
struct Plc {
    values: watch::Receiver<Values>,
}

impl Service for Plc {
    type Request = Request<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Response, ExceptionCode>>;

    fn call(&self, request: Request<'static>) -> Self::Future {
        let values = *self.values.borrow();
        ready(match request {
            Request::ReadCoils(from, count) => {
                range(&coils(&values), 0, from, count).map(Response::ReadCoils)
            }
            Request::ReadHoldingRegisters(from, count) => {
                range(&words(&values), FIRST_REGISTER, from, count)
                    .map(Response::ReadHoldingRegisters)
            }
            Request::ReadDiscreteInputs(..) | Request::ReadInputRegisters(..) => {
                Err(ExceptionCode::IllegalDataAddress)
            }
            _ => Err(ExceptionCode::IllegalFunction),
        })
    }
}

fn coils(values: &Values) -> Vec<bool> {
    let commands = (0..TAGS).filter(|slot| is_command(*slot));
    commands.map(|slot| values[slot] == 1.0).collect()
}

fn words(values: &Values) -> Vec<u16> {
    let numbers = (0..TAGS).filter(|slot| !is_command(*slot));
    let words = |slot: usize| {
        let [a, b, c, d] = (values[slot] as f32).to_be_bytes();
        [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
    };
    numbers.flat_map(words).collect()
}

/// A range of a table that begins at address `first`.
fn range<T: Clone>(
    table: &[T],
    first: u16,
    from: u16,
    count: u16,
) -> Result<Vec<T>, ExceptionCode> {
    let start = from.checked_sub(first).map(usize::from);
    let wanted = start.and_then(|start| table.get(start..start + usize::from(count)));
    wanted
        .filter(|wanted| !wanted.is_empty())
        .map(<[T]>::to_vec)
        .ok_or(ExceptionCode::IllegalDataAddress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        modbus::registers::{Answer, decode, plan},
        tags::{COLUMNS, runtime_min},
    };

    #[test]
    fn the_map_covers_every_tag_in_two_ranges() {
        let reads = plan(&register_map(), 125);
        let ranges: Vec<_> = reads
            .iter()
            .map(|it| (it.table, it.address, it.count))
            .collect();
        assert_eq!(ranges, [(Table::Coil, 0, 6), (Table::Holding, 100, 42)]);
        let values: Values = std::array::from_fn(|slot| {
            if is_command(slot) {
                f64::from(slot as u8 % 2)
            } else {
                slot as f64
            }
        });
        let answers = [Answer::Bits(coils(&values)), Answer::Words(words(&values))];
        for (read, answer) in reads.iter().zip(&answers) {
            for (slot, value) in decode(read, answer) {
                assert_eq!(value, values[slot], "{}", COLUMNS[slot]);
            }
        }
        assert!(range(&words(&values), 100, 99, 2).is_err());
        assert!(range(&words(&values), 100, 141, 2).is_err());
        assert_eq!(
            range(&words(&values), 100, 140, 2).map(|it| it.len()),
            Ok(2)
        );
        assert_eq!(register_map()[runtime_min(5)].address, 140);
    }
}
