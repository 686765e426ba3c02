//! Subjects that implement nothing, or do harm: no scenario may pass them, and the run goes on.
//!
//! A server that cannot even be discovered blocks a run before its first scenario, which would prove little. So each of
//! these is put under the scenarios as it is, with a session and accounts made up for it.

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use fieldsync_conformance::replay::{AccountAccess, Stage};
use fieldsync_conformance::run::{self, Options};
use fieldsync_conformance::scenario::Case;
use fieldsync_conformance::spec::Spec;
use fieldsync_conformance::subject::reference::{ReferenceDevices, domains};
use fieldsync_conformance::subject::server::{Server, account_roles};
use fieldsync_core::session::session;
use fieldsync_core::store::Assignment;
use fieldsync_schemas::control::{Reach, Verb};
use fieldsync_schemas::domain::Domain;
use fieldsync_schemas::event::{Actor, Event, Verdict};
use fieldsync_schemas::id::Capability;
use fieldsync_schemas::registry::Profile;
use fieldsync_schemas::session::{Role, Session};
use fieldsync_schemas::time::Timestamp;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

/// What a subject does that implements nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// Answers 404 to everything.
    NotFound,
    /// Answers `200 {}` to everything.
    EmptyObject,
    /// Closes every connection.
    Closes,
    /// Answers every request with its own body.
    Echoes,
    /// Takes every request and never answers.
    NeverAnswers,
    /// Answers with a body that never ends.
    EndlessBody,
    /// Answers with a few kilobytes of gzip that unpack to a gigabyte.
    GzipBomb,
    /// Answers with bytes that are no text.
    InvalidUtf8,
    /// Redirects every request to itself.
    RedirectLoop,
    /// Answers with 10,000 headers.
    ManyHeaders,
    /// Closes the connection in the middle of the body.
    ClosesMidBody,
}

impl Null {
    /// Those that do nothing.
    pub const IDLE: [Null; 4] = [Null::NotFound, Null::EmptyObject, Null::Closes, Null::Echoes];
    /// Those that do harm.
    pub const HOSTILE: [Null; 7] = [
        Null::NeverAnswers,
        Null::EndlessBody,
        Null::GzipBomb,
        Null::InvalidUtf8,
        Null::RedirectLoop,
        Null::ManyHeaders,
        Null::ClosesMidBody,
    ];

    /// What it does, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Null::NotFound => "answers 404 to everything",
            Null::EmptyObject => "answers 200 {} to everything",
            Null::Closes => "closes every connection",
            Null::Echoes => "echoes every request",
            Null::NeverAnswers => "never answers",
            Null::EndlessBody => "answers with a body that never ends",
            Null::GzipBomb => "answers with a gzip bomb",
            Null::InvalidUtf8 => "answers with bytes that are no text",
            Null::RedirectLoop => "redirects every request to itself",
            Null::ManyHeaders => "answers with 10,000 headers",
            Null::ClosesMidBody => "closes the connection in the middle of the body",
        }
    }
}

/// The scenarios that pass a subject which implements nothing; there must be none. Scenarios that need a control verb are
/// run, too, as far as they come.
pub async fn passes(null: Null, cases: &[Case], spec: &Arc<Spec>) -> std::io::Result<Vec<String>> {
    let ended = verdicts(null, cases, spec, Duration::from_secs(5)).await?;
    let passed = ended.into_iter().filter(|(_, verdict)| matches!(verdict, Verdict::Pass | Verdict::Warn));
    Ok(passed.map(|(id, _)| id).collect())
}

/// How each scenario ends against such a subject, when it may take this long.
pub async fn verdicts(
    null: Null,
    cases: &[Case],
    spec: &Arc<Spec>,
    timeout: Duration,
) -> std::io::Result<Vec<(String, Verdict)>> {
    let server = Arc::new(NullServer::start(null).await?);
    let options = Options { judged: vec![Actor::Server], timeout, ..Options::default() };
    let cases: Vec<&Case> = cases.iter().collect();
    let devices = Arc::new(ReferenceDevices::default());
    let events = run::run(&cases, spec, server, devices, &options, &mut |_| {}).await;
    let ended = events.iter().filter_map(|event| match event {
        Event::Scenario(ended) => Some((ended.id.clone(), ended.verdict)),
        _ => None,
    });
    Ok(ended.collect())
}

struct NullServer {
    null: Null,
    base: Url,
    sessions: Vec<Session>,
    verbs: BTreeMap<Verb, Reach>,
    task: JoinHandle<()>,
}

impl NullServer {
    async fn start(null: Null) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = Url::parse(&format!("http://{}/base", listener.local_addr()?)).expect("an address makes a URL");
        let task = match null {
            Null::Closes => tokio::spawn(async move {
                while let Ok((connection, _)) = listener.accept().await {
                    drop(connection);
                }
            }),
            _ => tokio::spawn(async move {
                _ = axum::serve(listener, Router::new().fallback(move |request| answer(null, request))).await;
            }),
        };
        let verbs = Verb::KNOWN.iter().map(|verb| (verb.clone(), Reach::DataSet)).collect();
        Ok(Self { null, base, sessions: domains().iter().map(made_up_session).collect(), verbs, task })
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(null: Null, request: Request) -> Response {
    let json = |status, body| {
        let answer = Response::builder().status(status).header(http::header::CONTENT_TYPE, "application/json");
        answer.body(body).expect("constant headers are sound")
    };
    match null {
        Null::NotFound | Null::Closes => json(StatusCode::NOT_FOUND, Body::empty()),
        Null::EmptyObject => json(StatusCode::OK, Body::from("{}")),
        Null::Echoes => json(StatusCode::OK, request.into_body()),
        Null::NeverAnswers => std::future::pending().await,
        Null::EndlessBody => json(StatusCode::OK, Body::from_stream(endless())),
        Null::GzipBomb => {
            let mut answer = json(StatusCode::OK, Body::from(bomb()));
            answer.headers_mut().insert(http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            answer
        }
        Null::InvalidUtf8 => json(StatusCode::OK, Body::from(vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}'])),
        Null::RedirectLoop => {
            let mut answer = json(StatusCode::TEMPORARY_REDIRECT, Body::empty());
            let here = HeaderValue::from_str(&request.uri().to_string()).expect("a URI is a header value");
            answer.headers_mut().insert(http::header::LOCATION, here);
            answer
        }
        Null::ManyHeaders => {
            let mut answer = json(StatusCode::OK, Body::from("{}"));
            for number in 0..10_000 {
                let name = HeaderName::from_bytes(format!("x-{number}").as_bytes()).expect("letters and digits");
                answer.headers_mut().insert(name, HeaderValue::from_static("1"));
            }
            answer
        }
        Null::ClosesMidBody => {
            let broken = std::io::Error::other("closed in the middle");
            let parts = [Ok(Bytes::from_static(b"{\"epoch\":")), Err(broken)];
            json(StatusCode::OK, Body::from_stream(stream::iter(parts)))
        }
    }
}

fn endless() -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 65_536])))
}

/// A gigabyte of blanks, packed once.
fn bomb() -> Bytes {
    static BOMB: LazyLock<Bytes> = LazyLock::new(|| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for _ in 0..1024 {
            packed.write_all(&[b' '; 1 << 20]).expect("a Vec takes every byte");
        }
        Bytes::from(packed.finish().expect("a Vec takes every byte"))
    });
    BOMB.clone()
}

fn made_up_session(domain: &Domain) -> Session {
    let registry = fieldsync_core::registry::registry(domain).expect("the suite's own domain is sound");
    let capabilities: Vec<Capability> = fieldsync_conformance::spec::CAPABILITIES
        .iter()
        .map(|name| Capability::new(*name).expect("a constant that is a capability"))
        .collect();
    session(
        &"nobody".parse().expect("a constant that is a principal"),
        &Role::ReadWrite,
        &"e-0".parse().expect("a constant that is an epoch"),
        &domain.profile,
        &capabilities,
        domain.limits.unwrap_or_default(),
        &registry,
        None,
        &Assignment::default(),
        Timestamp::now(),
    )
}

#[async_trait]
impl Server for NullServer {
    fn name(&self) -> String {
        self.null.as_str().to_owned()
    }

    fn profiles(&self) -> Vec<Profile> {
        self.sessions.iter().map(|session| session.profile.clone()).collect()
    }

    fn capabilities(&self, profile: &Profile) -> &[Capability] {
        let session = self.sessions.iter().find(|session| session.profile == *profile);
        session.map(|session| &*session.capabilities).unwrap_or_default()
    }

    fn verbs(&self) -> &BTreeMap<Verb, Reach> {
        &self.verbs
    }

    fn account_names(&self) -> BTreeSet<String> {
        account_roles().into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    async fn stage(&self, profile: &Profile) -> Result<Stage, String> {
        let account = |name: &str| AccountAccess {
            user: name.to_owned(),
            password: Some("none".to_owned()),
            token: "none".to_owned(),
        };
        let session = self.sessions.iter().find(|session| session.profile == *profile);
        Ok(Stage {
            base: self.base.clone(),
            data_set: None,
            accounts: self.account_names().iter().map(|name| (name.clone(), account(name))).collect(),
            session: session.ok_or("a profile without a domain")?.clone(),
            control: None,
            restart: None,
        })
    }
}
