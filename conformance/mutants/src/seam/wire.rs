//! The wire: requests before they reach the server, answers before they leave it.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use fieldsync_server::Parts;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use serde_json::Value;
use std::sync::Arc;

/// Changes the JSON bodies of answers to requests whose path ends like this, whatever their status.
pub fn answers(parts: Parts, ending: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Parts {
    whole_answers(parts, ending, move |head, body| {
        if let Ok(mut tree) = serde_json::from_slice(body) {
            change(&mut tree);
            *body = serde_json::to_vec(&tree).expect("a tree is plain JSON");
        }
        head.headers.remove(CONTENT_LENGTH);
    })
}

/// Changes the heads and bodies of answers to requests whose path ends like this.
pub fn whole_answers(
    parts: Parts,
    ending: &'static str,
    change: impl Fn(&mut http::response::Parts, &mut Vec<u8>) + Send + Sync + 'static,
) -> Parts {
    let change = Arc::new(change);
    around(parts, move |mut request: Request, next: Next| {
        let change = change.clone();
        async move {
            let fits = request.uri().path().ends_with(ending);
            // A body that is to be changed must not be compressed.
            request.headers_mut().remove(ACCEPT_ENCODING);
            let answer = next.run(request).await;
            if !fits {
                return answer;
            }
            let (mut head, body) = answer.into_parts();
            let mut body = collected(body).await;
            head.headers.remove(CONTENT_LENGTH);
            change(&mut head, &mut body);
            Response::from_parts(head, Body::from(body))
        }
    })
}

/// Changes the JSON bodies of requests whose path ends like this.
pub fn requests(parts: Parts, ending: &'static str, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Parts {
    whole_requests(parts, ending, move |_, body| {
        if let Ok(mut tree) = serde_json::from_slice(body) {
            change(&mut tree);
            *body = serde_json::to_vec(&tree).expect("a tree is plain JSON");
        }
    })
}

/// Changes the heads and bodies of requests whose path ends like this.
pub fn whole_requests(
    parts: Parts,
    ending: &'static str,
    change: impl Fn(&mut http::request::Parts, &mut Vec<u8>) + Send + Sync + 'static,
) -> Parts {
    let change = Arc::new(change);
    around(parts, move |request: Request, next: Next| {
        let change = change.clone();
        async move {
            if !request.uri().path().ends_with(ending) {
                return next.run(request).await;
            }
            let (mut head, body) = request.into_parts();
            let mut body = collected(body).await;
            head.headers.remove(CONTENT_LENGTH);
            change(&mut head, &mut body);
            next.run(Request::from_parts(head, Body::from(body))).await
        }
    })
}

/// Puts a function around every request.
pub fn around<F, A>(mut parts: Parts, wrap: F) -> Parts
where
    F: Fn(Request, Next) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let before = parts.layer.take();
    parts.layer = Some(Arc::new(move |router| {
        let router = match &before {
            Some(before) => before(router),
            None => router,
        };
        router.layer(from_fn(wrap.clone()))
    }));
    parts
}

async fn collected(body: Body) -> Vec<u8> {
    body.collect().await.map(|whole| whole.to_bytes().to_vec()).unwrap_or_default()
}
