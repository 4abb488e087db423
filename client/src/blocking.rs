//! The client of tools and scripts: one call at a time.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use pulse_schemas::{
    codec::{self, Encoding},
    command::{CommandType, client::Welcome},
    envelope::{Envelope, Kind},
    frame::{
        FrameDecoder,
        stream::{StreamFrame, is_stream},
    },
};
use serde_json::Value;

use crate::{CallError, Ids, Incoming, Introduction, LIMIT, outcome};

trait Socket: Read + Write {
    fn set_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()>;
}

impl Socket for UnixStream {
    fn set_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        self.set_read_timeout(timeout)
    }
}

impl Socket for TcpStream {
    fn set_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        self.set_read_timeout(timeout)
    }
}

pub struct Client {
    socket: Box<dyn Socket + Send>,
    decoder: FrameDecoder,
    /// Where bytes arrive; made once, because clearing it costs more than an answer.
    buffer: Box<[u8]>,
    encoding: Encoding,
    ids: Ids,
    waiting: VecDeque<Incoming>,
    welcome: Option<Welcome>,
}

impl Client {
    pub fn connect_unix(path: &Path, who: &Introduction) -> Result<Client, CallError> {
        Client::start(Box::new(UnixStream::connect(path)?), who)
    }

    pub fn connect_tcp(address: SocketAddr, who: &Introduction) -> Result<Client, CallError> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Client::start(Box::new(socket), who)
    }

    fn start(socket: Box<dyn Socket + Send>, who: &Introduction) -> Result<Client, CallError> {
        let mut client = Client {
            socket,
            decoder: FrameDecoder::new(LIMIT),
            buffer: vec![0; 64 * 1024].into_boxed_slice(),
            encoding: who.encoding,
            ids: Ids::new(),
            waiting: VecDeque::new(),
            welcome: None,
        };
        let welcome: Welcome = client.send(&who.hello())?;
        client.encoding = welcome.encoding;
        client.welcome = Some(welcome);
        Ok(client)
    }

    /// What Pulse answered to the hello.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    /// Sends a typed command and waits for its typed answer.
    pub fn send<C: CommandType>(&mut self, command: &C) -> Result<C::Reply, CallError> {
        let payload = serde_json::to_value(command)?;
        let reply = self.call(C::SPEC.domain.name(), C::SPEC.name, payload)?;
        Ok(serde_json::from_value(reply)?)
    }

    /// Sends any command and waits for its answer.
    pub fn call(&mut self, domain: &str, name: &str, payload: Value) -> Result<Value, CallError> {
        let id = self.post(domain, name, payload)?;
        loop {
            let envelope = self.receive()?;
            if envelope.cid.as_deref() == Some(&id) {
                return outcome(envelope);
            }
            self.keep(envelope)?;
        }
    }

    /// Sends a command without waiting; the answer comes with [`Client::answers`].
    pub fn post(&mut self, domain: &str, name: &str, payload: Value) -> Result<String, CallError> {
        let id = self.ids.next();
        self.post_envelope(&Envelope::command(id.clone(), domain, name, payload))?;
        Ok(id)
    }

    /// Sends an envelope as it is, for callers that choose ids and revisions.
    pub fn post_envelope(&mut self, envelope: &Envelope) -> Result<(), CallError> {
        let mut bytes = Vec::new();
        codec::encode_frame(self.encoding, envelope, LIMIT, &mut bytes)
            .map_err(|error| CallError::Unreadable(error.to_string()))?;
        self.socket.write_all(&bytes)?;
        Ok(())
    }

    /// Sends one frame of a binary stream.
    pub fn post_stream(&mut self, frame: &StreamFrame) -> Result<(), CallError> {
        let (mut body, mut bytes) = (Vec::new(), Vec::new());
        frame.write(&mut body).map_err(|error| CallError::Unreadable(error.to_string()))?;
        pulse_schemas::frame::write(&body, LIMIT, &mut bytes)?;
        self.socket.write_all(&bytes)?;
        Ok(())
    }

    /// The next answer to a posted command: its id and what became of it.
    pub fn answer(&mut self) -> Result<(String, Result<Value, CallError>), CallError> {
        loop {
            let envelope = self.receive()?;
            match envelope.cid.clone() {
                Some(id) => return Ok((id, outcome(envelope))),
                None => self.keep(envelope)?,
            }
        }
    }

    /// The next event or stream frame; none when nothing came in time.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Incoming>, CallError> {
        if let Some(incoming) = self.waiting.pop_front() {
            return Ok(Some(incoming));
        }
        self.socket.set_timeout(Some(timeout))?;
        let received = self.receive();
        self.socket.set_timeout(None)?;
        match received {
            Ok(envelope) => {
                self.keep(envelope)?;
                Ok(self.waiting.pop_front())
            }
            Err(CallError::TimedOut) => Ok(self.waiting.pop_front()),
            Err(error) => Err(error),
        }
    }

    /// Puts what nobody waits for aside; an error without a call ends things.
    fn keep(&mut self, envelope: Envelope) -> Result<(), CallError> {
        if envelope.kind == Kind::Error && envelope.cid.is_none() {
            return Err(CallError::Closed { why: envelope.error });
        }
        if envelope.domain == "client" && envelope.name == "heartbeat" && envelope.cid.is_none() {
            let id = self.ids.next();
            let empty = Value::Object(serde_json::Map::new());
            self.post_envelope(&Envelope::event(id, "client", "heartbeat", empty))?;
            return Ok(());
        }
        self.waiting.push_back(Incoming::Event(Box::new(envelope)));
        Ok(())
    }

    fn receive(&mut self) -> Result<Envelope, CallError> {
        loop {
            while let Some(body) = self.decoder.next()? {
                if is_stream(body) {
                    let frame = StreamFrame::read(body)
                        .map_err(|error| CallError::Unreadable(error.to_string()))?;
                    self.waiting.push_back(Incoming::Stream(frame));
                } else {
                    let (_, envelope) = codec::decode_any(body)?;
                    return Ok(envelope);
                }
            }
            match self.socket.read(&mut self.buffer) {
                Ok(0) => return Err(CallError::Closed { why: None }),
                Ok(count) => self.decoder.push(&self.buffer[..count]),
                // A signal came by; the bytes are still to come.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(CallError::TimedOut),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
