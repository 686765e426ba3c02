//! A plain file over HTTP: what the same bytes cost without the protocol, and without a look at them. The server is in a
//! process of its own, as the reference is, and at the end the file is on the disk, as the reference has it.

use crate::Outcome;
use crate::server::ServerProcess;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DIR: &str = "FIELDSYNC_BENCH_PLAIN";
const PIECE: usize = 256 << 10;

/// In the child: serves, and ends the process. In the benchmark itself: does nothing.
pub fn serve_if_asked() -> Outcome {
    let Some(dir) = std::env::var_os(DIR) else { return Ok(()) };
    tokio::runtime::Runtime::new()?.block_on(async {
        let app = Router::new().route("/file", get(give).put(take)).with_state(Path::new(&dir).join("served"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}/file", listener.local_addr()?);
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        tokio::select! {
            served = axum::serve(listener, app) => served?,
            ended = ended => drop(ended??),
        }
        Outcome::Ok(())
    })?;
    std::process::exit(0)
}

async fn give(State(path): State<PathBuf>) -> Result<Body, StatusCode> {
    let file = File::open(path).await.map_err(|_| StatusCode::NOT_FOUND)?;
    Ok(Body::from_stream(pieces(file)))
}

async fn take(State(path): State<PathBuf>, body: Body) -> Result<StatusCode, StatusCode> {
    kept(&path, body).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn kept(path: &Path, body: Body) -> Outcome {
    let mut file = File::create(path).await?;
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        file.write_all(&piece?).await?;
    }
    file.flush().await?;
    Ok(file.sync_data().await?)
}

fn pieces(file: File) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = file.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (piece.freeze(), file)))
    })
}

/// A server of one file. It ends, and its data with it, when this is dropped.
pub struct PlainServer {
    _process: ServerProcess,
    url: String,
    dir: tempfile::TempDir,
}

impl PlainServer {
    /// Starts one whose file is below `parent`.
    pub fn start(parent: &str) -> Outcome<Self> {
        let dir = tempfile::tempdir_in(parent)?;
        let mut child = Command::new(std::env::current_exe()?)
            .env(DIR, dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url)?;
        Ok(Self { _process: ServerProcess(child), url: url.trim_end().to_owned(), dir })
    }

    /// Sends these bytes, from a file on the disk, and gets them again into another one; what either took, in seconds.
    pub async fn move_file(&self, mut content: impl Read) -> Outcome<(f64, f64)> {
        let (ours, theirs) = (self.dir.path().join("ours"), self.dir.path().join("again"));
        let mut file = std::fs::File::create(&ours)?;
        std::io::copy(&mut content, &mut file)?;
        file.sync_all()?;
        let http = reqwest::Client::new();
        let began = Instant::now();
        let body = reqwest::Body::wrap_stream(pieces(File::open(&ours).await?));
        http.put(&self.url).body(body).send().await?.error_for_status()?;
        let up = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let mut answer = http.get(&self.url).send().await?.error_for_status()?;
        let mut file = std::fs::File::create(&theirs)?;
        while let Some(piece) = answer.chunk().await? {
            file.write_all(&piece)?;
        }
        file.sync_all()?;
        let down = began.elapsed().as_secs_f64();
        if std::fs::metadata(&theirs)?.len() != std::fs::metadata(&ours)?.len() {
            return Err("the plain file did not come back whole".into());
        }
        Ok((up, down))
    }
}
