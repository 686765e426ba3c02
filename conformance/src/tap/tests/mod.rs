//! The tap between a real client and real servers: what each side sees, fault by fault.

mod servers;
mod tls;

use super::*;
use fieldsync_schemas::scenario::{AnswerChange, CallKind, CannedReply};
use serde_json::{Value, json};
use servers::{Server, rogue};
use std::sync::atomic::Ordering;

fn fault(kind: CallKind, action: FaultAction) -> Fault {
    Fault { kind, action, about: None, after: 0, times: None }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn push(client: &reqwest::Client, port: &TapPort, body: &str) -> reqwest::Result<Value> {
    let request = client
        .post(format!("{}/push", port.base_url()))
        .header("content-type", "application/json")
        .body(body.to_owned());
    let bytes = request.send().await?.bytes().await?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())))
}

/// A server, a tap and a port for `tablet`.
async fn set_up() -> (Server, Tap, TapPort, reqwest::Client) {
    let server = Server::start().await;
    let tap = Tap::start(Settings::default()).unwrap();
    let port = tap.port("tablet", &server.base).unwrap();
    (server, tap, port, client())
}

fn only(port: &TapPort) -> SeenExchange {
    let mut seen = port.exchanges();
    assert_eq!(seen.len(), 1);
    seen.remove(0)
}

#[tokio::test]
async fn a_request_passes_unchanged_over_connections_that_are_kept() {
    let settings = Settings {
        headers: HeaderMap::from_iter([(http::header::FORWARDED, "by=tap".parse().unwrap())]),
        ..Settings::default()
    };
    let server = Server::start().await;
    let port = Tap::start(settings).unwrap().port("tablet", &server.base).unwrap();
    let client = client();
    for number in 1..=20 {
        assert_eq!(push(&client, &port, r#"{"a": "ä"}"#).await.unwrap()["n"], number);
    }
    let got = server.got();
    assert_eq!((got[0].path.as_str(), got[0].body.as_str()), ("/ds/a/push", r#"{"a": "ä"}"#));
    assert_eq!(got[0].headers["forwarded"], "by=tap");
    assert_eq!(got[0].headers["host"], format!("127.0.0.1:{}", server.base.port().unwrap()));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let seen = &port.exchanges()[19];
    let answer = seen.upstream.as_ref().unwrap();
    assert_eq!((seen.by.as_str(), seen.kind, seen.path.as_str()), ("tablet", CallKind::Push, "/push"));
    assert_eq!((answer.status.as_u16(), &answer.headers["x-server"]), (200, &"yes".parse().unwrap()));
    assert!(matches!(&seen.delivered, Delivered::Whole(delivered) if delivered.body.length == answer.body.length));
    assert!(
        seen.ended.is_some()
            && seen.fault.is_none()
            && seen.trouble.is_none()
            && !seen.request_headers.contains_key("forwarded")
    );
}

#[tokio::test]
async fn calls_are_counted_from_the_mark() {
    let (_server, _tap, port, client) = set_up().await;
    push(&client, &port, "{}").await.unwrap();
    port.mark();
    push(&client, &port, "{}").await.unwrap();
    client.get(port.base_url().clone()).send().await.unwrap();
    assert_eq!(port.calls_since_mark(), [(CallKind::Discovery, 1), (CallKind::Push, 1)].into());
}

#[tokio::test]
async fn a_port_that_is_dropped_closes_its_connections_and_lends_its_listener_again() {
    let (server, tap, port, client) = set_up().await;
    push(&client, &port, "{}").await.unwrap();
    let old = port.base_url().clone();
    drop(port);
    assert_eq!(tap.idle_listeners(), 1);
    assert!(client.get(old.clone()).send().await.is_err());
    let next = tap.port("phone", &server.base).unwrap();
    assert_eq!((next.base_url(), tap.idle_listeners()), (&old, 0));
    push(&client, &next, "{}").await.unwrap();
    assert_eq!(only(&next).by, "phone");
}

#[tokio::test]
async fn a_server_that_moved_is_found_again() {
    let (_server, tap, port, client) = set_up().await;
    let other = Server::start().await;
    tap.forget_connections();
    port.set_base(&other.base).unwrap();
    push(&client, &port, "{}").await.unwrap();
    assert_eq!(other.got().len(), 1);
}

#[tokio::test]
async fn drops_close_the_connection_at_their_place() {
    for (action, reaches_server, answered) in [
        (FaultAction::DropBeforeSend, 0, false),
        (FaultAction::DropAfterAnswer, 1, true),
        (FaultAction::DropMidAnswer(Part(None)), 1, true),
    ] {
        let (server, _tap, port, client) = set_up().await;
        port.inject(fault(CallKind::Push, action.clone()));
        let error = push(&client, &port, r#"{"a": 1}"#).await.expect_err("a drop is a failure of the network");
        assert!(error.is_request() || error.is_body() || error.is_decode(), "{action:?}: {error:?}");
        assert_eq!(server.got().len(), reaches_server, "{action:?}");
        let seen = only(&port);
        assert_eq!(seen.upstream.is_some(), answered, "{action:?}");
        match seen.delivered {
            Delivered::Half { bytes, .. } => {
                assert_eq!(
                    (&action, bytes as u64),
                    (&FaultAction::DropMidAnswer(Part(None)), seen.upstream.unwrap().body.length / 2)
                );
            }
            other => assert!(
                matches!(other, Delivered::Closed) && action != FaultAction::DropMidAnswer(Part(None)),
                "{other:?}"
            ),
        }
        // It lasts until the sync has ended.
        push(&client, &port, "{}").await.expect_err("still");
        port.sync_ended();
        push(&client, &port, "{}").await.expect("the sync has ended");
    }
}

#[tokio::test]
async fn half_an_answer_is_an_answer_with_a_head_and_half_a_body() {
    let (_server, _tap, port, client) = set_up().await;
    port.inject(fault(CallKind::Any, FaultAction::DropMidAnswer(Part(None))));
    let mut response = client.get(format!("{}/pull", port.base_url())).send().await.expect("the head comes whole");
    let whole = response.content_length().unwrap();
    let mut bytes = 0;
    let end = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes += chunk.len() as u64,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(end.is_err());
    assert_eq!(bytes, whole / 2);
}

/// What a device got of an answer: how many bytes, and whether that was all.
async fn got(response: reqwest::Result<reqwest::Response>) -> Option<(u64, bool)> {
    let mut response = response.ok()?;
    let mut bytes = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes += chunk.len() as u64,
            Ok(None) => return Some((bytes, true)),
            Err(_) => return Some((bytes, false)),
        }
    }
}

#[tokio::test]
async fn a_kill_strikes_once_at_its_place_before_the_device_sees_a_break() {
    let length = {
        let (_server, _tap, port, client) = set_up().await;
        got(client.get(format!("{}/pull", port.base_url())).send().await).await.unwrap().0
    };
    for (place, reaches_server, delivered) in [
        (KillPlace::BeforeSend, 0, None),
        (KillPlace::AfterAnswer, 1, None),
        (KillPlace::MidAnswer(Part(Some(0))), 1, Some((0, false))),
        (KillPlace::MidAnswer(Part(Some(3))), 1, Some((3, false))),
        (KillPlace::MidAnswer(Part(Some(-1))), 1, Some((length - 1, false))),
        (KillPlace::Answer(Duration::ZERO), 1, Some((length, true))),
        (KillPlace::Answer(Duration::from_millis(5)), 1, Some((length, true))),
    ] {
        let (server, _tap, port, client) = set_up().await;
        let killed = Arc::new(AtomicU64::new(0));
        let count = killed.clone();
        port.on_kill(Arc::new(move || {
            let count = count.clone();
            Box::pin(async move { _ = count.fetch_add(1, Ordering::SeqCst) })
        }));
        port.inject(Fault { times: Some(1), ..fault(CallKind::Any, FaultAction::Kill(place)) });
        let seen = got(client.get(format!("{}/pull", port.base_url())).send().await).await;
        assert_eq!((server.got().len(), seen), (reaches_server, delivered), "{place:?}");
        if !matches!(place, KillPlace::Answer(_)) {
            assert_eq!(killed.load(Ordering::SeqCst), 1, "{place:?}: the process ends before its connection does");
        }
        port.wait_kills().await;
        assert_eq!(killed.load(Ordering::SeqCst), 1, "{place:?}");
        push(&client, &port, "{}").await.expect("what is started next is spared");
    }
}

#[tokio::test]
async fn a_request_dropped_in_the_middle_reaches_the_server_by_half() {
    let (base, mut read) = rogue(b"", b"").await;
    let port = Tap::start(Settings::default()).unwrap().port("tablet", &base).unwrap();
    port.inject(fault(CallKind::Any, FaultAction::DropMidRequest(Part(None))));
    client().post(format!("{}push", port.base_url())).body("0123456789").send().await.expect_err("closed");
    let text = String::from_utf8(read.recv().await.unwrap()).unwrap();
    assert!(
        text.starts_with("POST /push HTTP/1.1\r\n")
            && text.contains("content-length: 10\r\n")
            && text.ends_with("\r\n\r\n01234"),
        "{text}"
    );
    client().get(port.base_url().clone()).send().await.expect_err("closed");
    let text = String::from_utf8(read.recv().await.unwrap()).unwrap();
    assert!(text.starts_with("GET / HTTP/1.1\r\n") && !text.contains("\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn a_held_request_waits_until_it_is_released() {
    let (server, _tap, port, client) = set_up().await;
    port.inject(fault(CallKind::Push, FaultAction::HoldRequest));
    let (released, pushed) = tokio::join!(
        async {
            port.wait_held().await;
            let before = server.got().len();
            port.release();
            before
        },
        push(&client, &port, "{}")
    );
    assert_eq!((released, pushed.unwrap()["n"].as_u64()), (0, Some(1)));
    push(&client, &port, "{}").await.expect("a release ends the hold");
}

#[tokio::test]
async fn a_held_answer_comes_after_others_and_other_faults_strike_besides() {
    let (server, _tap, port, client) = set_up().await;
    port.inject(Fault { times: Some(1), ..fault(CallKind::Push, FaultAction::HoldAnswer) });
    let (between, first) = tokio::join!(
        async {
            port.wait_held().await;
            let second = push(&client, &port, "{}").await.unwrap();
            let seen = port.exchanges();
            assert!(seen[0].upstream.is_some() && seen[0].ended.is_none());
            port.release();
            second
        },
        push(&client, &port, "{}")
    );
    assert_eq!((between["n"].as_u64(), first.unwrap()["n"].as_u64()), (Some(2), Some(1)));
    assert_eq!(server.got().len(), 2);
    port.inject(fault(CallKind::Push, FaultAction::HoldRequest));
    port.inject(fault(CallKind::Push, FaultAction::DropAfterAnswer));
    let ((), dropped) = tokio::join!(
        async {
            port.wait_held().await;
            port.release();
        },
        push(&client, &port, "{}")
    );
    dropped.expect_err("it was held, and then its answer was dropped");
    assert_eq!(server.got().len(), 3);
}

#[tokio::test]
async fn a_held_request_that_the_device_gave_up_still_reaches_the_server_late() {
    let (server, _tap, port, client) = set_up().await;
    port.inject(fault(CallKind::Push, FaultAction::HoldRequest));
    let given_up = tokio::select! {
        () = port.wait_held() => true,
        _ = push(&client, &port, r#"{"late": true}"#) => false,
    };
    assert!(given_up);
    drop(client);
    port.release();
    while !port.exchanges().iter().all(|seen| seen.ended.is_some()) {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.got()[0].body, r#"{"late": true}"#);
}

#[tokio::test]
async fn a_port_that_is_dropped_gives_up_what_it_holds() {
    let (server, _tap, port, client) = set_up().await;
    port.inject(fault(CallKind::Push, FaultAction::HoldRequest));
    let url = format!("{}/push", port.base_url());
    let waiting = tokio::spawn(async move { client.post(url).send().await });
    port.wait_held().await;
    drop(port);
    waiting.await.unwrap().expect_err("closed");
    assert_eq!(server.got().len(), 0);
}

#[tokio::test]
async fn a_duplicate_reaches_the_server_twice_at_the_same_time() {
    let (server, _tap, port, client) = set_up().await;
    port.inject(fault(CallKind::Push, FaultAction::Duplicate));
    server.open.send_replace(false);
    let (pushed, ()) = tokio::join!(push(&client, &port, r#"{"a": 1}"#), async {
        while server.got().len() < 2 {
            tokio::task::yield_now().await;
        }
        server.open.send_replace(true);
    });
    assert!([1, 2].contains(&pushed.unwrap()["n"].as_u64().unwrap()));
    let seen = port.exchanges();
    assert_eq!(seen.iter().map(|seen| seen.copy).collect::<Vec<_>>(), [false, true]);
    assert!(seen.iter().all(|seen| seen.upstream.is_some() && seen.request_body.bytes == *r#"{"a": 1}"#));
    assert!(matches!(seen[1].delivered, Delivered::Nothing));
    assert_eq!(port.calls_since_mark(), [(CallKind::Push, 1)].into());
}

#[tokio::test]
async fn a_replay_gives_the_answer_before_and_the_server_sees_nothing() {
    let (server, _tap, port, client) = set_up().await;
    port.inject(fault(CallKind::Push, FaultAction::Replay));
    push(&client, &port, "{}").await.expect_err("nothing to replay");
    assert_eq!(only(&port).trouble, Some(TapTrouble::NothingToReplay));
    port.sync_ended();
    let first = push(&client, &port, "{}").await.unwrap();
    port.inject(fault(CallKind::Push, FaultAction::Replay));
    assert_eq!(push(&client, &port, r#"{"b": 2}"#).await.unwrap(), first);
    assert_eq!(server.got().len(), 1);
}

#[tokio::test]
async fn canned_and_altered_answers_are_the_devices_only() {
    let (server, _tap, port, client) = set_up().await;
    let html = CannedReply { text: Some("<html>Welcome</html>".to_owned()), ..Default::default() };
    port.inject(Fault { times: Some(1), ..fault(CallKind::Push, FaultAction::Answer(html)) });
    assert_eq!(push(&client, &port, "{}").await.unwrap(), json!("<html>Welcome</html>"));
    assert_eq!(server.got().len(), 0);
    port.sync_ended();
    let change = AnswerChange {
        set: [("/n".to_owned(), json!(7)), ("/pad".to_owned(), Value::Null)].into(),
        reverse: Some("/list".to_owned()),
        ..Default::default()
    };
    port.inject(Fault { times: Some(1), ..fault(CallKind::Push, FaultAction::Alter(change)) });
    assert_eq!(push(&client, &port, "{}").await.unwrap(), json!({"n": 7, "list": [3, 2, 1]}));
    let seen = port.exchanges();
    assert!(seen[0].upstream.is_none());
    assert!(String::from_utf8_lossy(&seen[1].upstream.as_ref().unwrap().body.bytes).contains(r#""n": 1"#));
    port.sync_ended();
    let cut = AnswerChange { cut_gzip: true, ..Default::default() };
    port.inject(fault(CallKind::Push, FaultAction::Alter(cut)));
    assert!(push(&client, &port, "{}").await.expect_err("half a gzip").is_decode());
}

#[tokio::test]
async fn only_what_speaks_of_the_record_is_struck() {
    let (_server, _tap, port, client) = set_up().await;
    port.inject(Fault { about: Some("r-1".to_owned()), ..fault(CallKind::Push, FaultAction::DropBeforeSend) });
    push(&client, &port, r#"{"id": "r-2"}"#).await.unwrap();
    assert_eq!(port.unstruck(), ["drop push at before_send"]);
    push(&client, &port, r#"{"id": "r-1"}"#).await.expect_err("struck");
    assert_eq!(port.exchanges()[1].fault.as_deref(), Some("drop push at before_send"));
    assert!(port.unstruck().is_empty());
}

#[tokio::test]
async fn a_rogue_server_is_a_trouble_with_a_name() {
    let many_headers: &'static str = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(10_000)).leak();
    let endless = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    let bomb: &'static [u8] = {
        let body = coding::gzip(&vec![b' '; 10 << 20]);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat().leak()
    };
    let chunk: &'static str = format!("1000\r\n{}\r\n", "x".repeat(0x1000)).leak();
    type Expected = fn(&TapTrouble) -> bool;
    let cases: [(&'static [u8], &'static [u8], Expected); 9] = [
        (b"SSH-2.0-OpenSSH_9.6\r\n", b"", |trouble| matches!(trouble, TapTrouble::NotHttp(_))),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234", b"", |trouble| {
            matches!(trouble, TapTrouble::Broken(_))
        }),
        (b"HTTP/1.1 200", b"", |trouble| matches!(trouble, TapTrouble::Broken(_))),
        (many_headers.as_bytes(), b"", |trouble| matches!(trouble, TapTrouble::HeadTooLarge { .. })),
        (b"HTTP/1.1 200 OK\r\n", b"a: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n", |trouble| {
            matches!(trouble, TapTrouble::HeadTooLarge { .. })
        }),
        (endless, &[b'x'; 1 << 14], |trouble| matches!(trouble, TapTrouble::BodyTooLarge(_))),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk.as_bytes(), |trouble| {
            matches!(trouble, TapTrouble::BodyTooLarge(_))
        }),
        (bomb, b"", |trouble| matches!(trouble, TapTrouble::Undecodable(_))),
        (b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n", b"", |trouble| {
            matches!(trouble, TapTrouble::Redirect { .. })
        }),
    ];
    for (answer, endless, expected) in cases {
        let (base, _read) = rogue(answer, endless).await;
        let tap = Tap::start(Settings { body_limit: 1 << 20, ..Settings::default() }).unwrap();
        let port = tap.port("tablet", &base).unwrap();
        client().get(port.base_url().clone()).send().await.expect_err("a failure of the network");
        let seen = only(&port);
        assert!(
            seen.trouble.as_ref().is_some_and(expected),
            "{:?}: {:?}",
            String::from_utf8_lossy(&answer[..answer.len().min(40)]),
            seen.trouble
        );
        assert!(matches!(seen.delivered, Delivered::Closed));
    }
}

#[tokio::test]
async fn a_server_that_never_answers_or_is_not_there_is_a_failure_in_time() {
    let (silent, _read) = rogue(b"", b"").await;
    let tap = Tap::start(Settings { timeout: Duration::from_millis(50), ..Settings::default() }).unwrap();
    let port = tap.port("tablet", &silent).unwrap();
    client().get(port.base_url().clone()).send().await.expect_err("closed");
    assert_eq!(only(&port).trouble, Some(TapTrouble::Silent(Duration::from_millis(50))));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = tap.port("tablet", &format!("http://{closed}/").parse().unwrap()).unwrap();
    client().get(port.base_url().clone()).send().await.expect_err("closed");
    assert!(matches!(only(&port).trouble, Some(TapTrouble::NoConnection { .. })));
}

#[tokio::test]
async fn of_a_long_body_only_the_head_is_kept_after_it_was_examined() {
    let (server, tap, _port, client) = set_up().await;
    let long = format!(r#"{{"pad": "{}"}}"#, "x".repeat(3 << 20));
    let port = tap.port("phone", &server.base).unwrap();
    push(&client, &port, &long).await.unwrap();
    assert_eq!(server.got()[0].body.len(), long.len());
    let seen = only(&port);
    assert_eq!((seen.request_body.bytes.len(), seen.request_body.length), (KEPT, long.len() as u64));
    let found = wire::examine(&[seen], wire::Forms::default());
    assert!(
        found.iter().any(|finding| finding.rule.as_str() == "transport.messages.valid-requests"
            && finding.message.contains("replica")),
        "{found:?}"
    );
    assert!(!found.iter().any(|finding| finding.message.contains("no JSON")));
}

#[tokio::test]
async fn a_base_that_is_no_http_url_is_refused() {
    let tap = Tap::start(Settings::default()).unwrap();
    assert!(matches!(tap.port("tablet", &"ftp://host/".parse().unwrap()), Err(TapError::Base(_))));
    assert!(matches!(
        Tap::start(Settings { ca_cert: Some(b"x".to_vec()), ..Settings::default() }),
        Err(TapError::Certificates(_))
    ));
}

#[tokio::test]
async fn all_ports_share_one_pace() {
    let pace = crate::pace::Pace::new(50.try_into().unwrap());
    let server = Server::start().await;
    let tap = Tap::start(Settings { pace: Some(pace), ..Settings::default() }).unwrap();
    let scenario = tap.for_scenario();
    let (tablet, raw) =
        (tap.port("tablet", &server.base).unwrap(), scenario.raw_port("request", &server.base).unwrap());
    let client = client();
    let started = std::time::Instant::now();
    let asked = (0..5).flat_map(|_| [push(&client, &tablet, "{}"), push(&client, &raw, "{}")]);
    for answer in futures_util::future::join_all(asked).await {
        answer.unwrap();
    }
    assert!(started.elapsed() >= Duration::from_millis(9 * 20), "{:?}", started.elapsed());
    assert!(scenario.waited() >= Duration::from_millis(5 * 20), "{:?}", scenario.waited());
    assert!(scenario.waited() + tap.waited() <= started.elapsed() * 10);
}
