use super::*;
use fieldsync_schemas::scenario::CallKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Sends a pull to a server that says this, byte for byte, and hangs up.
async fn told(answer: &'static [u8]) -> (Result<Answer, NetworkFailure>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}/data", listener.local_addr().unwrap())).unwrap();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"{\"feeds\":{}}") {
            let mut some = [0; 1024];
            let count = socket.read(&mut some).await.unwrap();
            request.extend_from_slice(&some[..count]);
        }
        socket.write_all(answer).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    let transport = HttpTransport::new(http_client().unwrap(), base, Duration::from_secs(10));
    let body = Some(r#"{"feeds":{}}"#.to_owned());
    let token = Some("t".to_owned());
    let call = Call { kind: CallKind::Pull, path: "/pull".into(), body, token, transfer: None, bytes: Vec::new() };
    let answer = transport.send(call).await;
    (answer, server.await.unwrap())
}

#[tokio::test]
async fn a_request_names_version_and_token() {
    let (answer, request) = told(
        b"HTTP/1.1 429 No\r\ncontent-type: application/json; charset=utf-8\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}",
    )
    .await;
    let media_type = Some("application/json".to_owned());
    assert_eq!(answer.unwrap(), Answer { retry_after: Some(7), ..Answer::new(429, media_type, b"{}".to_vec()) });
    assert!(request.starts_with("POST /data/pull HTTP/1.1\r\n"), "{request}");
    for header in ["fieldsync-version: 2026-12-01", "authorization: Bearer t", "content-type: application/json"] {
        assert!(request.contains(header), "{header} in {request}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (answer, _) = told(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(answer.unwrap().status, 302);
}

#[tokio::test]
async fn what_is_cut_is_no_answer() {
    for cut in [
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{}"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 12\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae",
        b"HTTP/1.1 200",
        b"",
    ] {
        let (answer, _) = told(cut).await;
        assert!(answer.is_err(), "{}", String::from_utf8_lossy(cut));
    }
}
