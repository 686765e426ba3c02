//! One exchange from end to end: the request is recorded, the faults strike, the server is asked, and the device gets
//! what is left of the answer.

use super::Settings;
use super::alter;
use super::coding;
use super::connection::UpstreamRequest;
use super::exchange::{Answer, Body, Delivered, SeenExchange};
use super::fault::{Fault, FaultAction, KillPlace, Part};
use super::port::{Kill, Port};
use super::route::Place;
use super::trouble::TapTrouble;
use super::upstream::Origin;
use bytes::Bytes;
use fieldsync_schemas::scenario::CallKind;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, LOCATION};
use http::header::{PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, request};
use http_body_util::Full;
use std::sync::Arc;
use std::time::Instant;

/// What the connection to the device does next.
pub(super) enum Deliver {
    /// It carries this answer, and then the process of the device ends, where that was asked for.
    Whole(Response<Full<Bytes>>, Option<Kill>),
    /// It carries this answer up to so many bytes of its body, the process of the device ends where that was asked for,
    /// and it is closed.
    Half(Response<Full<Bytes>>, usize, Option<Kill>),
    /// It is closed.
    Nothing,
}

/// An answer as it goes over a connection, encoded.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What belongs to one connection and not to a message.
const OF_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    CONTENT_LENGTH,
];

/// Where a request leads.
pub(super) enum Goal {
    /// To the server that the port leads to.
    Server,
    /// To an object storage.
    Storage(Origin),
}

/// Takes a request of a device to its goal, and the answer back.
pub(super) async fn pass(
    port: &Arc<Port>,
    goal: &Goal,
    head: request::Parts,
    body: Result<Bytes, TapTrouble>,
) -> Deliver {
    let mut exchange = Exchange::begin(port, goal, head, body.as_ref().ok());
    let body = match body {
        Ok(body) => body,
        Err(trouble) => return exchange.fail(trouble),
    };
    let struck = port.strike(exchange.seen.kind, &exchange.seen.request_body.bytes);
    exchange.seen.fault = struck.label();
    port.struck(exchange.number, &exchange.seen.fault);
    let hold = |place: FaultAction| struck.hold.as_deref().is_some_and(|fault| fault.action == place);
    if hold(FaultAction::HoldRequest) {
        port.hold().await;
    }
    // It strikes even where the server has no answer.
    let kill = struck.other.as_ref().and_then(|fault| fault.kills_after()).map(|delay| Kill::of(port, delay));
    let planned = exchange.plan(&body, struck.other.as_deref()).await;
    if hold(FaultAction::HoldAnswer) {
        port.hold().await;
    }
    match (planned, kill) {
        (Ok(planned @ (Planned::Whole(..) | Planned::Half(..))), kill) => exchange.deliver(planned, kill),
        (planned, kill) => {
            if let Some(kill) = kill {
                kill.strike().await;
            }
            match planned {
                Ok(planned) => exchange.deliver(planned, None),
                Err(trouble) => exchange.fail(trouble),
            }
        }
    }
}

/// What the device is to get, were it to get it now.
enum Planned {
    Whole(Reply, Arc<Answer>),
    Half(Reply, Part),
    Nothing,
}

struct Exchange<'a> {
    port: &'a Arc<Port>,
    goal: &'a Goal,
    head: request::Parts,
    upstream_path: String,
    number: usize,
    seen: SeenExchange,
}

impl<'a> Exchange<'a> {
    fn begin(port: &'a Arc<Port>, goal: &'a Goal, mut head: request::Parts, body: Option<&Bytes>) -> Self {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let (place, kind) = match goal {
            Goal::Server => {
                let place = port.route().place(path);
                let kind = place.kind(&head.method);
                (place, kind)
            }
            Goal::Storage(_) => {
                let place = Place { path: path.to_owned(), below_base: false, upstream: path.to_owned() };
                (place, CallKind::Store)
            }
        };
        if let Some(secret) = head.headers.get_mut(AUTHORIZATION) {
            secret.set_sensitive(true);
        }
        let request_body = match body.map(|body| (body, coding::decode(&head.headers, body, port.settings.body_limit)))
        {
            None => Body::default(),
            Some((_, Ok(Some(decoded)))) => Body::plain(decoded),
            Some((body, Ok(None))) => Body::recorded(body),
            Some((body, Err(reason))) => Body { undecoded: Some(reason), ..Body::recorded(body) },
        };
        let seen = SeenExchange {
            by: port.name.clone(),
            caller: port.caller,
            kind,
            method: head.method.clone(),
            path: place.path,
            below_base: place.below_base,
            request_headers: head.headers.clone(),
            request_body,
            upstream: None,
            delivered: Delivered::Pending,
            fault: None,
            trouble: None,
            copy: false,
            started: Instant::now(),
            ended: None,
            examined: None,
        };
        Self { port, goal, head, upstream_path: place.upstream, number: port.begin(seen.clone()), seen }
    }

    /// Does what the fault leaves to be done.
    async fn plan(&mut self, body: &Bytes, fault: Option<&Fault>) -> Result<Planned, TapTrouble> {
        let Some(fault) = fault else {
            return self.ask(body).await.map(|(reply, answer)| Planned::Whole(reply, answer));
        };
        match &fault.action {
            FaultAction::DropBeforeSend | FaultAction::Kill(KillPlace::BeforeSend) => Ok(Planned::Nothing),
            FaultAction::DropMidRequest(part) | FaultAction::Kill(KillPlace::MidRequest(part)) => {
                let (head, _) = self.upstream_request(body)?.into_parts();
                self.port.turn().await;
                self.port.client.send_part(&self.origin(), &head, body, *part).await?;
                Ok(Planned::Nothing)
            }
            FaultAction::DropAfterAnswer | FaultAction::Kill(KillPlace::AfterAnswer) => {
                self.ask(body).await.map(|_| Planned::Nothing)
            }
            FaultAction::DropMidAnswer(part) | FaultAction::Kill(KillPlace::MidAnswer(part)) => {
                let (reply, _) = self.ask(body).await?;
                // A part of nothing would look whole.
                Ok(if reply.body.is_empty() { Planned::Nothing } else { Planned::Half(reply, *part) })
            }
            FaultAction::Duplicate => self.ask_twice(body).await.map(|(reply, answer)| Planned::Whole(reply, answer)),
            FaultAction::Replay => {
                let earlier =
                    self.port.earlier_answer(self.seen.kind, self.number).ok_or(TapTrouble::NothingToReplay)?;
                let mut headers = earlier.headers.clone();
                headers.remove(http::header::CONTENT_ENCODING);
                Ok(self.given(Reply { status: earlier.status, headers, body: earlier.body.bytes.clone() }))
            }
            FaultAction::Answer(reply) => {
                alter::canned(reply).map(|reply| self.given(reply)).map_err(TapTrouble::NotAltered)
            }
            FaultAction::Alter(change) => {
                // Plain, so that nothing but the change is different.
                self.head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
                let (_, answer) = self.ask(body).await?;
                alter::altered(&answer, change).map(|reply| self.given(reply)).map_err(TapTrouble::NotAltered)
            }
            FaultAction::Kill(KillPlace::Answer(_)) | FaultAction::HoldRequest | FaultAction::HoldAnswer => {
                self.ask(body).await.map(|(reply, answer)| Planned::Whole(reply, answer))
            }
        }
    }

    /// An answer that the server did not give.
    fn given(&self, reply: Reply) -> Planned {
        let body = Body::plain(reply.body.clone());
        let answer = Arc::new(Answer { status: reply.status, headers: reply.headers.clone(), body });
        Planned::Whole(reply, answer)
    }

    /// Asks the server, and records what it answers.
    async fn ask(&self, body: &Bytes) -> Result<(Reply, Arc<Answer>), TapTrouble> {
        let asked = self.ask_unrecorded(body).await;
        self.port.answered(self.number, asked.as_ref().map(|(_, answer)| answer));
        asked
    }

    /// Asks the server twice at once. The answer that comes first is the device's; both are waited for, so that the
    /// record is whole.
    async fn ask_twice(&self, body: &Bytes) -> Result<(Reply, Arc<Answer>), TapTrouble> {
        let copy = self.port.begin(SeenExchange { copy: true, ..self.seen.clone() });
        let (one, other) = (self.ask_unrecorded(body), self.ask_unrecorded(body));
        tokio::pin!(one, other);
        let (first, second) = tokio::select! {
            first = &mut one => (first, other.await),
            first = &mut other => (first, one.await),
        };
        self.port.answered(self.number, first.as_ref().map(|(_, answer)| answer));
        self.port.answered(copy, second.as_ref().map(|(_, answer)| answer));
        self.port.end(copy, Delivered::Nothing);
        first
    }

    async fn ask_unrecorded(&self, body: &Bytes) -> Result<(Reply, Arc<Answer>), TapTrouble> {
        self.port.turn().await;
        let asked = self.ask_now(body).await;
        if let (CallKind::Slot, Some(storage), Ok((_, answer))) = (self.seen.kind, &self.port.settings.storage, &asked)
        {
            storage.learn(&answer.body.bytes, self.port);
        }
        if let Some(made) = self.port.settings.made.as_ref().filter(|_| self.seen.kind == CallKind::Push) {
            let answer = asked.as_ref().ok().map(|(_, answer)| answer.as_ref());
            made.note(&self.port.base, &self.seen.request_body.bytes, answer);
        }
        asked
    }

    async fn ask_now(&self, body: &Bytes) -> Result<(Reply, Arc<Answer>), TapTrouble> {
        let request = self.upstream_request(body)?;
        let Settings { in_process, timeout, body_limit, .. } = &*self.port.settings;
        let (head, body) = match (self.goal, in_process) {
            (Goal::Server, Some(server)) => tokio::time::timeout(*timeout, server.ask(request, *body_limit))
                .await
                .unwrap_or(Err(TapTrouble::Silent(*timeout)))?
                .into_parts(),
            _ => self.port.client.call(&self.origin(), request).await?,
        };
        if head.status.is_redirection() && head.status != StatusCode::NOT_MODIFIED {
            let location = head
                .headers
                .get(LOCATION)
                .map_or_else(String::new, |to| String::from_utf8_lossy(to.as_bytes()).into_owned());
            return Err(TapTrouble::Redirect { status: head.status, location });
        }
        let decoded =
            coding::decode(&head.headers, &body, self.port.settings.body_limit).map_err(TapTrouble::Undecodable)?;
        let kept = decoded.map_or_else(|| Body::recorded(&body), Body::plain);
        let answer = Arc::new(Answer { status: head.status, headers: head.headers.clone(), body: kept });
        Ok((Reply { status: head.status, headers: head.headers, body }, answer))
    }

    fn origin(&self) -> Origin {
        match self.goal {
            Goal::Server => self.port.route().origin,
            Goal::Storage(origin) => origin.clone(),
        }
    }

    /// The request as the server gets it: without what belongs to the device's connection, with the headers that every
    /// request is to have.
    fn upstream_request(&self, body: &Bytes) -> Result<UpstreamRequest, TapTrouble> {
        let unusable = |error: http::Error| TapTrouble::RequestBroken(error.to_string());
        let uri: Uri = self.upstream_path.parse().map_err(|error: http::uri::InvalidUri| unusable(error.into()))?;
        let host = self.origin().to_string();
        let mut request = Request::builder()
            .method(self.head.method.clone())
            .uri(uri)
            .body(Full::new(body.clone()))
            .map_err(unusable)?;
        let headers = request.headers_mut();
        *headers = self.head.headers.clone();
        for name in OF_CONNECTION.iter().chain([&EXPECT]) {
            headers.remove(name);
        }
        // A storage gets what was signed, the host among it.
        if let Goal::Server = self.goal {
            headers.insert(HOST, HeaderValue::try_from(host).map_err(|error| unusable(error.into()))?);
            for (name, value) in &self.port.settings.headers {
                headers.insert(name, value.clone());
            }
        }
        Ok(request)
    }

    fn deliver(self, planned: Planned, kill: Option<Kill>) -> Deliver {
        match planned {
            Planned::Whole(reply, answer) => {
                self.port.end(self.number, Delivered::Whole(answer));
                Deliver::Whole(reply.response(), kill)
            }
            Planned::Half(reply, part) => {
                let bytes = part.of(reply.body.len());
                self.port.end(self.number, Delivered::Half { status: reply.status, bytes });
                Deliver::Half(reply.response(), bytes, kill)
            }
            Planned::Nothing => {
                self.port.end(self.number, Delivered::Closed);
                Deliver::Nothing
            }
        }
    }

    fn fail(self, trouble: TapTrouble) -> Deliver {
        self.port.answered(self.number, Err(&trouble));
        self.port.end(self.number, Delivered::Closed);
        Deliver::Nothing
    }
}

impl Reply {
    fn response(mut self) -> Response<Full<Bytes>> {
        for name in &OF_CONNECTION {
            self.headers.remove(name);
        }
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
