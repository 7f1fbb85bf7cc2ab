//! The wire to a PLC, which only requests to read can leave.
//!
//! *Invariants.*
//! - What leaves is a sequence of whole requests, each with a function code from 1 to 4 and of a read's length.
//! - A byte leaves only after its whole request was looked at; after a refusal nothing leaves any more.

use std::{
    io::{Error, ErrorKind, Result},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How requests are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Transaction 2, protocol 2, length 2, unit 1, then function 1, address 2, count 2.
    Tcp,
    /// Unit 1, function 1, address 2, count 2, checksum 2.
    Rtu,
}

impl Framing {
    /// Bytes of every request to read.
    const fn request_bytes(self) -> usize {
        match self {
            Self::Tcp => 12,
            Self::Rtu => 8,
        }
    }

    /// Whether the beginning of a request can still become one to read.
    fn allows(self, begun: &[u8]) -> bool {
        let is = |at: usize, allowed: std::ops::RangeInclusive<u8>| {
            begun.get(at).is_none_or(|byte| allowed.contains(byte))
        };
        match self {
            Self::Tcp => {
                is(2, 0..=0) && is(3, 0..=0) && is(4, 0..=0) && is(5, 6..=6) && is(7, 1..=4)
            }
            Self::Rtu => is(1, 1..=4),
        }
    }
}

/// A connection that refuses to send anything but requests to read.
#[derive(Debug)]
pub struct ReadOnlyWire<T> {
    inner: T,
    framing: Framing,
    /// The beginning of a request.
    begun: Vec<u8>,
    /// Whole requests that were looked at and have not left yet.
    leaving: Vec<u8>,
    has_refused: bool,
}

impl<T> ReadOnlyWire<T> {
    /// A wire over a connection on which nothing was sent yet.
    pub fn new(inner: T, framing: Framing) -> Self {
        Self {
            inner,
            framing,
            begun: Vec::new(),
            leaving: Vec::new(),
            has_refused: false,
        }
    }

    /// Takes bytes in; an error when they are no request to read.
    fn look_at(&mut self, bytes: &[u8]) -> Result<()> {
        for &byte in bytes {
            self.begun.push(byte);
            if !self.framing.allows(&self.begun) {
                self.has_refused = true;
                self.begun.clear();
                self.leaving.clear();
                return self.unless_refused();
            }
            if self.begun.len() == self.framing.request_bytes() {
                self.leaving.append(&mut self.begun);
            }
        }
        Ok(())
    }

    fn unless_refused(&self) -> Result<()> {
        match self.has_refused {
            true => Err(Error::new(
                ErrorKind::PermissionDenied,
                "the wire takes requests to read only",
            )),
            false => Ok(()),
        }
    }
}

impl<T: AsyncWrite + Unpin> ReadOnlyWire<T> {
    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.leaving.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, &self.leaving))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.leaving.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadOnlyWire<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.unless_refused()?;
        ready!(self.poll_leave(context))?;
        self.look_at(bytes)?;
        // What cannot leave now leaves with the next write or flush.
        if let Poll::Ready(left) = self.poll_leave(context) {
            left?;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.unless_refused()?;
        ready!(self.poll_leave(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_leave(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadOnlyWire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, into)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_modbus::{
        client::{rtu, tcp},
        prelude::{Client, Reader, Slave, Writer},
    };

    use super::*;

    const NOTHING: [u8; 0] = [];

    async fn sent(mut other_end: DuplexStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        other_end.read_to_end(&mut bytes).await.expect("read");
        bytes
    }

    /// A library's client of each framing that can write, above the wire, and the wire's other end.
    fn clients() -> [(tokio_modbus::client::Context, DuplexStream); 2] {
        let (near, far) = duplex(4096);
        let over_tcp = tcp::attach_slave(ReadOnlyWire::new(near, Framing::Tcp), Slave(1));
        let (near, far_rtu) = duplex(4096);
        let over_rtu = rtu::attach_slave(ReadOnlyWire::new(near, Framing::Rtu), Slave(1));
        [(over_tcp, far), (over_rtu, far_rtu)]
    }

    #[tokio::test]
    async fn no_other_function_code_leaves_whoever_asks() {
        for function in ["5", "6", "15", "16", "22", "23", "43"] {
            for (mut client, far) in clients() {
                let refused = match function {
                    "5" => client.write_single_coil(1, true).await.is_err(),
                    "6" => client.write_single_register(1, 2).await.is_err(),
                    "15" => client.write_multiple_coils(1, &[true]).await.is_err(),
                    "16" => client.write_multiple_registers(1, &[2]).await.is_err(),
                    "22" => client.masked_write_register(1, 2, 3).await.is_err(),
                    "23" => client
                        .read_write_multiple_registers(1, 1, 1, &[2])
                        .await
                        .is_err(),
                    _ => {
                        use tokio_modbus::{Request, prelude::ReadCode};
                        let request = Request::ReadDeviceIdentification(ReadCode::Basic, 0);
                        client.call(request).await.is_err()
                    }
                };
                assert!(refused, "function code {function}");
                // Poisoned: not even a read goes out now.
                assert!(client.read_coils(0, 1).await.is_err());
                drop(client);
                assert_eq!(sent(far).await, NOTHING, "function code {function}");
            }
        }
    }

    #[tokio::test]
    async fn reads_leave_however_they_are_cut_and_a_write_behind_them_does_not() {
        let tcp_read = [0, 7, 0, 0, 0, 6, 1, 3, 0, 100, 0, 2];
        let mut tcp_write = tcp_read;
        tcp_write[7] = 6;
        let (rtu_read, rtu_write) = (
            [1, 4, 0, 0, 0, 1, 0x31, 0xCA],
            [1, 6, 0, 0, 0, 1, 0x48, 0x0A],
        );
        for piece in 1..=12 {
            for (framing, read, write) in [
                (Framing::Tcp, &tcp_read[..], &tcp_write[..]),
                (Framing::Rtu, &rtu_read[..], &rtu_write[..]),
            ] {
                let (near, far) = duplex(3);
                let reading = tokio::spawn(sent(far));
                let mut wire = ReadOnlyWire::new(near, framing);
                for bytes in [read, read].concat().chunks(piece) {
                    wire.write_all(bytes).await.expect("a read leaves");
                    wire.flush().await.expect("a read leaves");
                }
                let mut refused = false;
                for bytes in write.chunks(piece) {
                    refused |= wire.write_all(bytes).await.is_err();
                    refused |= wire.flush().await.is_err();
                }
                assert!(refused);
                assert!(wire.write_all(read).await.is_err(), "poisoned");
                drop(wire);
                assert_eq!(reading.await.expect("read"), [read, read].concat());
            }
        }
    }

    #[tokio::test]
    async fn a_frame_that_lies_about_its_length_does_not_hide_a_write() {
        let hidden = [
            0, 1, 0, 0, 0, 18, 1, 3, 0, 0, 0, 1, 0, 2, 0, 0, 0, 6, 1, 6, 0, 1, 0, 1,
        ];
        let (near, far) = duplex(64);
        let mut wire = ReadOnlyWire::new(near, Framing::Tcp);
        assert!(wire.write_all(&hidden).await.is_err());
        drop(wire);
        assert_eq!(sent(far).await, NOTHING);
    }
}
