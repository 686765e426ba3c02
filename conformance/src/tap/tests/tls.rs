//! The tap towards a server with TLS whose certificate only `--ca-cert` makes trusted. The certificates here are for
//! this test and nothing else.

use super::super::{Settings, Tap, TapTrouble};
use super::{client, only};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use url::Url;

const CA: &[u8] = include_bytes!("tls/ca.pem");

/// A server that answers one request on each connection.
async fn server() -> Url {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("https://localhost:{}/ds", listener.local_addr().unwrap().port())).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.unwrap();
            assert!(String::from_utf8_lossy(&request[..count]).starts_with("GET /ds HTTP/1.1\r\n"));
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
            _ = stream.shutdown().await;
        }
    });
    base
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_authority_and_only_then() {
    let base = server().await;
    let trusting = Tap::start(Settings { ca_cert: Some(CA.to_vec()), ..Settings::default() }).unwrap();
    let port = trusting.port("tablet", &base).unwrap();
    assert_eq!(port.base_url().scheme(), "http");
    let answer = client().get(port.base_url().clone()).send().await.unwrap().text().await.unwrap();
    assert_eq!(answer, "hello");
    let port = Tap::start(Settings::default()).unwrap().port("tablet", &base).unwrap();
    client().get(port.base_url().clone()).send().await.expect_err("not trusted");
    assert!(matches!(only(&port).trouble, Some(TapTrouble::NoConnection { .. })));
}
