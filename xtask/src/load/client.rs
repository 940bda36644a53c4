//! HTTP/1.1 as far as a client needs it, over a plain socket: a client must not eat what the server needs.

use super::pool::{Ask, Nonsense};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// An open connection.
pub struct Connection(BufReader<TcpStream>);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub told: Told,
    /// Whether it came to its end.
    pub whole: bool,
    /// Whether the connection may be used again.
    pub stays: bool,
    /// When it was asked, and when each token of a choice was told.
    pub asked: Instant,
    pub tokens: BTreeMap<String, Vec<Instant>>,
}

/// What was told: of each choice, its events in their order, byte by byte. What comes as a whole is one event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told(BTreeMap<String, Vec<String>>);

impl Told {
    pub fn events(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether this is the beginning of something else, for every choice.
    pub fn begins(&self, whole: &Told) -> bool {
        let begins =
            |(choice, events): (_, &Vec<String>)| whole.0.get(choice).is_some_and(|whole| whole.starts_with(events));
        self.0.iter().all(begins)
    }

    /// The first event that is not as it was alone.
    pub fn difference(&self, alone: &Told) -> String {
        for (choice, events) in &self.0 {
            let known = alone.0.get(choice).map_or(&[][..], |known| known);
            if let Some((place, said)) = events.iter().enumerate().find(|(place, said)| known.get(*place) != Some(said))
            {
                return format!("choice {choice}, event {place}: {said:?}, alone {:?}", known.get(place));
            }
        }
        format!("{} events, alone {}", self.events(), alone.events())
    }

    /// Takes down an event, or all of an answer; says which choice it belongs to. An answer's id and time are its own.
    fn take(&mut self, said: &str) -> String {
        let told = said.split_once("\"choices\":[").map_or(said, |(_, told)| told);
        let index = told.strip_prefix("{\"index\":").and_then(|rest| rest.split(',').next()).unwrap_or_default();
        self.0.entry(index.to_owned()).or_default().push(told.to_owned());
        index.to_owned()
    }
}

impl Connection {
    pub fn new(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection(BufReader::new(stream)))
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Asks, and listens as long as `goes_on` says so of the number of events.
    pub fn ask(&mut self, ask: &Ask, goes_on: impl Fn(usize) -> bool) -> io::Result<Answer> {
        let asked = Instant::now();
        self.send(&ask.request())?;
        self.hear(asked, goes_on)
    }

    /// Sends nonsense. Who leaves in the middle of it may be told nothing.
    pub fn babble(&mut self, nonsense: &Nonsense) -> io::Result<Option<Answer>> {
        let asked = Instant::now();
        self.send(&nonsense.bytes)?;
        if !nonsense.leaves {
            return self.hear(asked, |_| true).map(Some);
        }
        self.0.get_mut().shutdown(Shutdown::Write)?;
        Ok(self.hear(asked, |_| true).ok())
    }

    /// `GET`, all of the body.
    pub fn get(&mut self, path: &str) -> io::Result<String> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: load\r\n\r\n").as_bytes())?;
        let head = Head::read(&mut self.0)?;
        let mut text = String::new();
        Body::new(&mut self.0, &head).read_to_string(&mut text)?;
        Ok(text)
    }

    fn hear(&mut self, asked: Instant, goes_on: impl Fn(usize) -> bool) -> io::Result<Answer> {
        let head = Head::read(&mut self.0)?;
        let (mut told, mut tokens) = (Told::default(), BTreeMap::<String, Vec<Instant>>::new());
        let mut body = BufReader::new(Body::new(&mut self.0, &head));
        let mut whole = false;
        if head.events {
            let mut line = String::new();
            while goes_on(told.events()) && body.read_line(&mut line)? > 0 {
                if line == "data: [DONE]\n" {
                    whole = true;
                } else if let Some(said) = line.strip_prefix("data: ") {
                    let choice = told.take(said);
                    if said.contains("\"steps\":[{") {
                        tokens.entry(choice).or_default().push(Instant::now());
                    }
                }
                line.clear();
            }
        } else {
            let mut text = String::new();
            body.read_to_string(&mut text)?;
            told.take(&text);
            whole = true;
        }
        Ok(Answer { status: head.status, told, whole, stays: head.stays && whole, asked, tokens })
    }
}

/// What of a response's head matters here.
struct Head {
    status: u16,
    length: usize,
    chunked: bool,
    events: bool,
    stays: bool,
}

impl Head {
    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut head = Head { status: 0, length: 0, chunked: false, events: false, stays: true };
        let mut line = String::new();
        while from.read_line(&mut line)? > 2 {
            let text = line.trim_end().to_ascii_lowercase();
            match text.split_once(": ").unwrap_or_default() {
                ("content-length", length) => head.length = length.parse().map_err(io::Error::other)?,
                ("transfer-encoding", coding) => head.chunked = coding == "chunked",
                ("content-type", kind) => head.events = kind.starts_with("text/event-stream"),
                ("connection", said) => head.stays = said != "close",
                _ if head.status == 0 => {
                    let status = text.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3));
                    head.status = status.and_then(|status| status.parse().ok()).ok_or_else(|| broken(&line))?;
                }
                _ => {}
            }
            line.clear();
        }
        if head.status == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(head) }
    }
}

fn broken(line: &str) -> io::Error {
    io::Error::other(format!("{line:?} is not HTTP"))
}

/// A response's body, whichever way its end is told.
struct Body<'a> {
    stream: &'a mut BufReader<TcpStream>,
    /// Of the body, or of the chunk.
    left: usize,
    chunked: bool,
    /// Whether a chunk was read to its end.
    begun: bool,
}

impl<'a> Body<'a> {
    fn new(stream: &'a mut BufReader<TcpStream>, head: &Head) -> Self {
        Body { stream, left: head.length, chunked: head.chunked, begun: false }
    }

    /// Reads the head of the next chunk; the last one is empty.
    fn next_chunk(&mut self) -> io::Result<()> {
        let mut line = String::new();
        if std::mem::replace(&mut self.begun, true) {
            self.stream.read_line(&mut line)?;
            line.clear();
        }
        self.stream.read_line(&mut line)?;
        self.left = usize::from_str_radix(line.trim_end(), 16).map_err(|_| broken(&line))?;
        if self.left == 0 {
            self.chunked = false;
            self.stream.read_line(&mut line)?;
        }
        Ok(())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.chunked {
            self.next_chunk()?;
        }
        let most = into.len().min(self.left);
        if most == 0 {
            return Ok(0);
        }
        match self.stream.read(&mut into[..most])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.left -= read;
                Ok(read)
            }
        }
    }
}
