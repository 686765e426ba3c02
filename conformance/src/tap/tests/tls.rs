//! The tap towards a server with TLS whose certificate only `--ca-cert` makes trusted.

use super::super::{Settings, Tap, TapTrouble};
use super::{client, only};
use crate::tls_server;
use url::Url;

#[tokio::test]
async fn a_certificate_is_trusted_by_its_authority_and_only_then() {
    let port = tls_server::start("127.0.0.1:0", |request| {
        assert!(request.starts_with("GET /ds HTTP/1.1\r\n"), "{request}");
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_owned()
    });
    let base = Url::parse(&format!("https://localhost:{}/ds", port.await)).unwrap();
    let trusting = Tap::start(Settings { ca_cert: Some(tls_server::CA.to_vec()), ..Settings::default() }).unwrap();
    let port = trusting.port("tablet", &base).unwrap();
    assert_eq!(port.base_url().scheme(), "http");
    let answer = client().get(port.base_url().clone()).send().await.unwrap().text().await.unwrap();
    assert_eq!(answer, "hello");
    let port = Tap::start(Settings::default()).unwrap().port("tablet", &base).unwrap();
    client().get(port.base_url().clone()).send().await.expect_err("not trusted");
    assert!(matches!(only(&port).trouble, Some(TapTrouble::NoConnection { .. })));
}
