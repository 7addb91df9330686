//! A proxy before PostgreSQL that breaks the wire at a chosen message: before the server has it, after the server has
//! answered it, at once for the client while the server gets it late, or so that both wait for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the wire breaks at a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// The server never gets it.
    Before,
    /// The server answers it, and the client never hears.
    After,
    /// The client is cut off, and the server gets it a moment later.
    Late,
    /// The server gets it, and from then on nothing passes, though both sides stay connected: a firewall that has
    /// forgotten the connection, a host without power.
    Freeze,
}

/// How late a late message is: long enough for the client to ask on another connection first.
const LATE: Duration = Duration::from_millis(300);

#[derive(Default)]
struct Plan {
    next: Mutex<Option<(At, Break)>>,
    broken: AtomicUsize,
}

/// At which message of a client the wire breaks.
enum At {
    /// The next one that has these bytes in it.
    Bytes(Vec<u8>),
    /// When so many more batches of group commits have been sent.
    Batch(usize),
}

/// By this a connection of group commits is known: no other is told so.
const OF_BATCHES: &[u8] = b"enable_seqscan";

/// A proxy on a port of its own.
pub(crate) struct Proxy {
    pub(crate) url: String,
    plan: Arc<Plan>,
}

impl Proxy {
    /// A proxy before the server of this URL.
    pub(crate) async fn before(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::new(Plan::default());
        tokio::spawn(serve(listener, server, plan.clone()));
        let options = options.host("127.0.0.1").port(port).ssl_mode(sqlx::postgres::PgSslMode::Disable);
        Self { url: options.to_url_lossy().to_string(), plan }
    }

    /// Breaks the wire once, at the next message of a client that has these bytes in it.
    pub(crate) fn break_at(&self, bytes: &[u8], how: Break) {
        *self.plan.next.lock().unwrap() = Some((At::Bytes(bytes.to_vec()), how));
    }

    /// Breaks the wire once, at the so manieth batch of group commits from here, counted from 1.
    pub(crate) fn break_at_batch(&self, batch: usize, how: Break) {
        *self.plan.next.lock().unwrap() = Some((At::Batch(batch), how));
    }

    /// How often the wire was broken.
    pub(crate) fn broken(&self) -> usize {
        self.plan.broken.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, server: (String, u16), plan: Arc<Plan>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, plan) = (TcpStream::connect(server.clone()).await.unwrap(), plan.clone());
        tokio::spawn(async move {
            // An end of either side is an end of both.
            let _ = relay(client, server, &plan).await;
        });
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, plan: &Plan) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut of_batches = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let message = &asked[..read?];
                if message.is_empty() {
                    return Ok(());
                }
                of_batches |= has(message, OF_BATCHES);
                match breaks(plan, message, of_batches) {
                    None => server.write_all(message).await?,
                    Some(Break::Before) => return Ok(()),
                    Some(Break::After) => {
                        server.write_all(message).await?;
                        let _heard = server.read(&mut answered).await?;
                        return Ok(());
                    }
                    Some(Break::Freeze) => {
                        server.write_all(message).await?;
                        std::future::pending::<()>().await;
                    }
                    Some(Break::Late) => {
                        drop(client);
                        tokio::time::sleep(LATE).await;
                        server.write_all(message).await?;
                        let _heard = server.read(&mut answered).await?;
                        return Ok(());
                    }
                }
            }
            read = server.read(&mut answered) => {
                let answer = &answered[..read?];
                if answer.is_empty() {
                    return Ok(());
                }
                client.write_all(answer).await?;
            }
        }
    }
}

fn breaks(plan: &Plan, message: &[u8], of_batches: bool) -> Option<Break> {
    let mut next = plan.next.lock().unwrap();
    let (at, how) = next.as_mut()?;
    let found = match at {
        At::Bytes(bytes) => has(message, bytes),
        // What is bound is executed: a batch.
        At::Batch(left) if of_batches && message.starts_with(b"B") => {
            *left -= 1;
            *left == 0
        }
        At::Batch(_) => false,
    };
    let how = *how;
    found.then(|| {
        *next = None;
        plan.broken.fetch_add(1, Ordering::SeqCst);
        how
    })
}

fn has(message: &[u8], bytes: &[u8]) -> bool {
    message.windows(bytes.len()).any(|window| window == bytes)
}
