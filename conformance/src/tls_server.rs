//! A server with TLS, for tests of those who ask one. Its certificate is for `localhost`, by an authority that nobody
//! trusts unless told to; both are for these tests and nothing else.

use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// The certificate of the authority.
pub(crate) const CA: &[u8] = include_bytes!("tls_server/ca.pem");

/// Starts one at this address, and tells its port. It answers one request on each connection.
pub(crate) async fn start(listen: &str, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> u16 {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls_server/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls_server/server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(listen).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                // Whoever does not trust the certificate asks nothing.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                if let Ok(count @ 1..) = stream.read(&mut request).await {
                    let answer = answer(&String::from_utf8_lossy(&request[..count]));
                    _ = stream.write_all(answer.as_bytes()).await;
                    _ = stream.shutdown().await;
                }
            });
        }
    });
    port
}
