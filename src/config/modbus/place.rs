//! Where a PLC is, from its address.

use std::path::PathBuf;

use crate::modbus::{Parity, Place};

/// Port of Modbus TCP.
const PORT: u16 = 502;
/// Rate of a serial line when its address does not say, bits a second.
const BAUD: u32 = 19_200;

/// The place of an address; an error says what is wrong with it.
pub(super) fn place(url: &str) -> Result<Place, String> {
    let believed = match (url.strip_prefix("tcp://"), url.strip_prefix("rtu://")) {
        (Some(rest), _) => tcp(rest),
        (None, Some(rest)) => rtu(rest),
        (None, None) => Err(None),
    };
    believed.map_err(|what| {
        what.unwrap_or_else(|| {
            format!("{url:?} is no PLC's address; write \"tcp://192.0.2.10:502\" or \"rtu:///dev/ttyUSB0?baud=19200&parity=even\"")
        })
    })
}

/// `host`, `host:port` or `[address]:port`; `None` for what is no address.
fn tcp(rest: &str) -> Result<Place, Option<String>> {
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(None)?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or(None)?),
            };
            (host, port)
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    let port = port.map_or(Ok(PORT), str::parse).map_err(|_| None)?;
    if host.is_empty() || port == 0 || host.contains(['/', '?', '@', ' ']) {
        return Err(None);
    }
    Ok(Place::Tcp {
        host: host.to_owned(),
        port,
    })
}

/// `/dev/…` and its settings; `None` for what is no device.
fn rtu(rest: &str) -> Result<Place, Option<String>> {
    let (device, settings) = rest.split_once('?').unwrap_or((rest, ""));
    if !device.starts_with('/') || device.len() < 2 {
        return Err(None);
    }
    let fault = |what: &str| Some(what.to_owned());
    let (mut baud, mut parity, mut stop_bits) = (BAUD, Parity::Even, 1);
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        match setting.split_once('=') {
            Some(("baud", rate)) => {
                let rate = rate
                    .parse()
                    .ok()
                    .filter(|rate| (300..=4_000_000).contains(rate));
                baud = rate.ok_or_else(|| {
                    fault("baud must be a rate from 300 to 4000000 bits a second")
                })?;
            }
            Some(("parity", "none")) => parity = Parity::None,
            Some(("parity", "even")) => parity = Parity::Even,
            Some(("parity", "odd")) => parity = Parity::Odd,
            Some(("parity", _)) => return Err(fault("parity must be none, even or odd")),
            Some(("stop", "1")) => stop_bits = 1,
            Some(("stop", "2")) => stop_bits = 2,
            Some(("stop", _)) => return Err(fault("stop must be 1 or 2")),
            _ => {
                return Err(Some(format!(
                    "{setting:?} is none of baud=…, parity=… and stop=…"
                )));
            }
        }
    }
    Ok(Place::Rtu {
        device: PathBuf::from(device),
        baud,
        parity,
        stop_bits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_plcs() {
        let tcp = |host: &str, port| Place::Tcp {
            host: host.into(),
            port,
        };
        for (url, expected) in [
            ("tcp://plc", tcp("plc", 502)),
            ("tcp://[2001:db8::1]", tcp("2001:db8::1", 502)),
            ("tcp://[::1]:1502", tcp("::1", 1502)),
        ] {
            assert_eq!(place(url), Ok(expected), "{url}");
        }
        let rtu = Place::Rtu {
            device: "/dev/ttyS1".into(),
            baud: 9600,
            parity: Parity::None,
            stop_bits: 2,
        };
        assert_eq!(
            place("rtu:///dev/ttyS1?baud=9600&parity=none&stop=2"),
            Ok(rtu)
        );
        for url in [
            "plc:502",
            "tcp://",
            "tcp://plc:0",
            "tcp://plc:x",
            "tcp://a/b",
            "tcp://[::1",
            "rtu://ttyS1",
            "rtu:///",
            "rtu:///dev/a?baud=1",
            "rtu:///dev/a?parity=mark",
            "rtu:///dev/a?stop=3",
            "rtu:///dev/a?speed=9600",
        ] {
            assert!(place(url).is_err(), "{url}");
        }
    }
}
