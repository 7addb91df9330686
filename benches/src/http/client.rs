//! A client: one connection that is kept, one request after the other. It does no more than it must, since it shares the
//! machine with what it measures.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection to the server.
pub struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// The socket's.
    pub async fn connect(at: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// Sends a request, and reads its answer to the end.
    ///
    /// # Errors
    /// The socket's, and any answer but `201`, replayed exactly if `replayed`.
    pub async fn post(&mut self, path: &str, key: &str, body: &str, replayed: bool) -> io::Result<()> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\nidempotency-key: {key}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(head) = self.head()? {
                let is = head.contains("\r\nidempotent-replayed: true");
                return match head.starts_with("HTTP/1.1 201") && is == replayed {
                    true => Ok(()),
                    false => Err(io::Error::other(format!("an answer that was not asked for: {head}"))),
                };
            }
        }
    }

    /// The head of the answer, when all of the answer is there.
    fn head(&self) -> io::Result<Option<&str>> {
        let text = std::str::from_utf8(&self.answer).map_err(io::Error::other)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
        Ok((body.len() >= length).then_some(head))
    }
}
