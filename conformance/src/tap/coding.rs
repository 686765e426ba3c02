//! Content codings, decoded within a bound: a small body that becomes an endless one is refused.

use bytes::Bytes;
use http::{HeaderMap, header};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use zstd::zstd_safe::{DCtx, ResetDirective};

/// The decoded body; nothing where it is plain already.
pub(super) fn decode(headers: &HeaderMap, body: &Bytes, limit: usize) -> Result<Option<Bytes>, String> {
    let Some(coding) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
    let coding = coding.to_str().unwrap_or_default().trim();
    if body.is_empty() || coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    let decoded = match coding.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(&body[..]), limit),
        "zstd" => unzstd(body, limit),
        other => return Err(format!("the coding {other:?} is neither gzip nor zstd")),
    };
    match decoded {
        Ok(Some(decoded)) => Ok(Some(decoded.into())),
        Ok(None) => Err(format!("it has more than {limit} bytes once {coding} is undone")),
        Err(error) => Err(format!("it is no {coding}: {error}")),
    }
}

/// Undoes zstd with a context that is kept: a new one costs more than most bodies.
fn unzstd(body: &[u8], limit: usize) -> io::Result<Option<Vec<u8>>> {
    thread_local! {
        static CONTEXT: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
    }
    CONTEXT.with_borrow_mut(|context| {
        // What came before may have been cut in its middle.
        if context.reset(ResetDirective::SessionOnly).is_err() {
            *context = DCtx::create();
        }
        bounded(zstd::stream::read::Decoder::with_context(body, context), limit)
    })
}

fn bounded(decoder: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut decoded = Vec::new();
    decoder.take(limit as u64 + 1).read_to_end(&mut decoded)?;
    Ok((decoded.len() <= limit).then_some(decoded))
}

/// The body as gzip.
pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("a vector takes every byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(coding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, http::HeaderValue::from_static(coding))])
    }

    #[test]
    fn gzip_and_zstd_come_back_and_plain_stays() {
        let zstd = zstd::encode_all(&b"hello"[..], 1).unwrap();
        assert_eq!(decode(&coded("gzip"), &gzip(b"hello").into(), 100).unwrap().unwrap(), "hello");
        assert_eq!(decode(&coded("zstd"), &zstd.into(), 100).unwrap().unwrap(), "hello");
        assert_eq!(decode(&HeaderMap::new(), &"hello".into(), 100), Ok(None));
    }

    #[test]
    fn what_was_cut_leaves_nothing_behind() {
        let whole: Bytes = zstd::encode_all(&b"hello hello hello"[..], 1).unwrap().into();
        assert!(decode(&coded("zstd"), &whole.slice(..whole.len() - 3), 100).is_err());
        assert_eq!(decode(&coded("zstd"), &whole, 100).unwrap().unwrap(), "hello hello hello");
    }

    #[test]
    fn a_bomb_is_refused_at_the_bound() {
        let bomb: Bytes = gzip(&vec![0; 10_000_000]).into();
        assert!(bomb.len() < 100_000);
        assert_eq!(
            decode(&coded("gzip"), &bomb, 1000),
            Err("it has more than 1000 bytes once gzip is undone".to_owned())
        );
    }

    #[test]
    fn a_cut_or_unknown_coding_is_refused() {
        let whole = gzip(b"hello hello hello");
        assert!(decode(&coded("gzip"), &Bytes::copy_from_slice(&whole[..whole.len() / 2]), 100).is_err());
        assert!(decode(&coded("br"), &"x".into(), 100).unwrap_err().contains("\"br\""));
    }
}
