//! Name, connection and certificate: what has to work before anybody speaks HTTP.

use super::{Findings, Part, Step, Visit};
use crate::tap::tls;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, Error as TlsError};

/// How long a connection may take. A slow network is slower than this only where nothing else would work either.
const PATIENCE: Duration = Duration::from_secs(10);

/// Finds the host, connects, and looks at its certificate.
pub(super) async fn reach(visit: &Visit, found: &mut Findings) -> Step<()> {
    let url = &visit.url;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(found.problem(Part::Name, format!("{url} names no host"), "write it as https://host/data-set"));
    };
    let addresses = look_up(host, port, found).await?;
    let stream = connect(&addresses, host, port, found).await?;
    match url.scheme() {
        "https" => look_at_certificate(visit, host, stream, found).await,
        _ if addresses.iter().all(|address| address.ip().is_loopback()) => {
            found.good(Part::Tls, "none, and the server is on this machine");
            Ok(())
        }
        _ => {
            found.careful(
                Part::Tls,
                "none: everybody on the way reads the passwords and the records",
                "use https outside of tests",
            );
            Ok(())
        }
    }
}

async fn look_up(host: &str, port: u16, found: &mut Findings) -> Step<Vec<SocketAddr>> {
    // A literal IPv6 address stands in brackets in a URL.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let looked = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((name, port))).await;
    let advice = "check the spelling of the URL, and whether this machine has a network and a name server";
    match looked {
        Err(_) => Err(found.problem(Part::Name, format!("no name server answered for {host}"), advice)),
        Ok(Err(error)) => {
            Err(found.problem(Part::Name, format!("there is no host {host} for this machine: {error}"), advice))
        }
        Ok(Ok(addresses)) => {
            let addresses: Vec<SocketAddr> = addresses.collect();
            let ips: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            if ips.is_empty() {
                return Err(found.problem(Part::Name, format!("{host} has no address"), advice));
            }
            let is_address = name.parse::<std::net::IpAddr>().is_ok();
            let words = if is_address {
                "none: the URL has the address itself"
            } else {
                &format!("{host} is {}", ips.join(", "))
            };
            found.good(Part::Name, words);
            Ok(addresses)
        }
    }
}

async fn connect(addresses: &[SocketAddr], host: &str, port: u16, found: &mut Findings) -> Step<TcpStream> {
    let mut last = None;
    for address in addresses {
        match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                found.good(Part::Network, format!("port {port} of {} takes connections", address.ip()));
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }
    let error = last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable));
    let (words, advice) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            format!("{host} is there, but nothing listens on port {port}"),
            "start the server, or correct the port of the URL",
        ),
        io::ErrorKind::TimedOut => (
            format!("{host} does not answer on port {port}"),
            "a firewall may drop it, or the host is off; try from another network",
        ),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => (
            format!("there is no way from here to {host}: {error}"),
            "check whether this machine has a network, and whether it needs a VPN",
        ),
        _ => (format!("no connection to port {port} of {host}: {error}"), "check the network of this machine"),
    };
    Err(found.problem(Part::Network, words, advice))
}

async fn look_at_certificate(visit: &Visit, host: &str, stream: TcpStream, found: &mut Findings) -> Step<()> {
    let roots = visit.ca_cert.as_deref().map(tls::certificates).transpose();
    let roots = match roots {
        Ok(roots) => roots.unwrap_or_default(),
        Err(error) => {
            let advice = "name a PEM file of the authority that signed the server's certificate";
            return Err(found.problem(Part::Tls, error.to_string(), advice));
        }
    };
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return Err(found.problem(Part::Tls, format!("{host} is no name for a certificate"), "use a DNS name"));
    };
    let connector = match tls::connector(roots) {
        Ok(connector) => connector,
        Err(error) => {
            return Err(found.problem(Part::Tls, error.to_string(), "check the certificates of this machine"));
        }
    };
    match tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => {
            let version = stream.get_ref().1.protocol_version().map(|version| format!("{version:?}"));
            let version = version.unwrap_or_default().replace("TLSv1_", "TLS 1.");
            found.good(Part::Tls, format!("the certificate of {host} is trusted ({version})"));
            Ok(())
        }
        Ok(Err(error)) => {
            let (words, advice) = in_words(&error, host);
            Err(found.problem(Part::Tls, words, advice))
        }
        Err(_) => Err(found.problem(
            Part::Tls,
            "the server took the connection, and never began TLS",
            "perhaps it speaks plain HTTP on this port: try http://",
        )),
    }
}

/// What a failed handshake means.
fn in_words(error: &io::Error, host: &str) -> (String, String) {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let why = |words: &str, advice: &str| (words.to_owned(), advice.to_owned());
    match inner {
        Some(TlsError::InvalidCertificate(certificate)) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                why("the certificate of the server has expired", "renew it, or set this machine's clock right")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                why("the certificate of the server is not valid yet", "set this machine's clock right")
            }
            CertificateError::UnknownIssuer => why(
                "nobody whom this machine trusts signed the certificate of the server",
                "name the authority's certificate with --ca-cert; in a foreign network somebody may read along",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
                format!("the certificate of the server is not for {host}"),
                "use the name that stands in it; in a foreign network it may be that of a login page".to_owned(),
            ),
            CertificateError::Revoked => why("the certificate of the server was revoked", "it needs another one"),
            other => {
                (format!("the certificate of the server is not taken: {other}"), "mend the certificate".to_owned())
            }
        },
        Some(TlsError::InvalidMessage(_)) => {
            why("what listens there does not speak TLS", "perhaps it speaks plain HTTP on this port: try http://")
        }
        // The platform's verifier says some of it in words of its own.
        Some(other) if other.to_string().contains("UnknownIssuer") => why(
            "nobody whom this machine trusts signed the certificate of the server",
            "name the authority's certificate with --ca-cert; in a foreign network somebody may read along",
        ),
        _ => (format!("TLS failed: {error}"), "check the server's TLS settings: TLS 1.2 or 1.3".to_owned()),
    }
}
