//! Reads a JSON body: never more of it than the limit, whatever its coding.

use super::fault::Fault;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use bytes::Bytes;
use fieldsync_core::problem::Trouble;
use fieldsync_schemas::problem::ProblemCode;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use std::io::Read;
use std::time::Duration;

/// How much of a refused body is taken in and thrown away: a client that writes all before it reads still gets its
/// answer.
const DISCARDED: usize = 4 << 20;
const DISCARDING: Duration = Duration::from_secs(2);
/// How long a body may stand still.
const STILL: Duration = Duration::from_secs(30);

enum Coding {
    Plain,
    Gzip,
}

/// The decoded body. What is refused is refused in this order: media type, coding, size.
pub(super) async fn json(headers: &HeaderMap, body: &mut Body, limit: u64) -> Result<Bytes, Fault> {
    media_type(headers)?;
    let coding = coding(headers)?;
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let sent = collect(body, limit).await?;
    match coding {
        Coding::Plain => Ok(sent),
        Coding::Gzip => unzip(&sent, limit),
    }
}

fn media_type(headers: &HeaderMap) -> Result<(), Fault> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Fault::new(ProblemCode::UnsupportedMediaType, "send the body as application/json"))
}

fn coding(headers: &HeaderMap) -> Result<Coding, Fault> {
    let codings: Vec<&[u8]> = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.as_bytes()).collect();
    match codings[..] {
        [] => Ok(Coding::Plain),
        [one] if one.trim_ascii().eq_ignore_ascii_case(b"identity") => Ok(Coding::Plain),
        [one] if one.trim_ascii().eq_ignore_ascii_case(b"gzip") => Ok(Coding::Gzip),
        _ => Err(Fault::new(ProblemCode::UnsupportedEncoding, "this server reads plain bodies and gzip")),
    }
}

async fn collect(body: &mut Body, limit: u64) -> Result<Bytes, Fault> {
    let mut read = Vec::new();
    loop {
        let frame = tokio::time::timeout(STILL, body.frame())
            .await
            .map_err(|_| Fault::new(ProblemCode::Malformed, "the body stood still"))?;
        let Some(frame) = frame else { return Ok(read.into()) };
        let frame = frame.map_err(|_| Fault::new(ProblemCode::Malformed, "the body ended early"))?;
        if let Some(data) = frame.data_ref() {
            if (read.len() + data.len()) as u64 > limit {
                return Err(too_large(limit));
            }
            read.extend_from_slice(data);
        }
    }
}

fn unzip(sent: &[u8], limit: u64) -> Result<Bytes, Fault> {
    let mut decoded = Vec::new();
    MultiGzDecoder::new(sent)
        .take(limit + 1)
        .read_to_end(&mut decoded)
        .map_err(|error| Fault::new(ProblemCode::Malformed, format!("the body is no gzip: {error}")))?;
    if decoded.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(decoded.into())
}

fn too_large(limit: u64) -> Fault {
    Trouble::new(ProblemCode::TooLarge, format!("the body is larger than the {limit} bytes that this server takes"))
        .with_limit("body_bytes", limit)
        .into()
}

/// Throws away what is left of a body, up to a point.
pub(super) async fn discard(mut body: Body) {
    let read = async {
        let mut left = DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Whoever is slower than this finds the connection closed.
    let _ = tokio::time::timeout(DISCARDING, read).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        zip.write_all(bytes).unwrap();
        zip.finish().unwrap()
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    async fn read(pairs: &[(&str, &str)], sent: Vec<u8>) -> Result<Bytes, ProblemCode> {
        json(&headers(pairs), &mut Body::from(sent), 1000).await.map_err(|fault| fault.0.code)
    }

    const JSON: (&str, &str) = ("content-type", "Application/JSON; charset=utf-8");

    #[tokio::test]
    async fn the_decoded_size_counts() {
        assert_eq!(read(&[JSON], vec![b' '; 1000]).await.unwrap().len(), 1000);
        assert_eq!(read(&[JSON], vec![b' '; 1001]).await.unwrap_err(), ProblemCode::TooLarge);
        let gzip = [JSON, ("content-encoding", "gzip")];
        assert_eq!(read(&gzip, zipped(&[b' '; 1000])).await.unwrap().len(), 1000);
        assert_eq!(read(&gzip, zipped(&[b' '; 100_000])).await.unwrap_err(), ProblemCode::TooLarge);
        assert_eq!(read(&gzip, b"{}".to_vec()).await.unwrap_err(), ProblemCode::Malformed);
    }

    #[tokio::test]
    async fn media_type_comes_before_coding() {
        let text = ("content-type", "text/plain");
        let brotli = ("content-encoding", "br");
        assert_eq!(read(&[text, brotli], Vec::new()).await.unwrap_err(), ProblemCode::UnsupportedMediaType);
        assert_eq!(read(&[], Vec::new()).await.unwrap_err(), ProblemCode::UnsupportedMediaType);
        assert_eq!(read(&[JSON, brotli], Vec::new()).await.unwrap_err(), ProblemCode::UnsupportedEncoding);
    }
}
