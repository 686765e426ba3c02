//! Why a server could not be reached, in words: an HTTP client keeps the cause below the error that it shows.

use std::error::Error;
use std::io::ErrorKind;

/// What lies below a failed request, and what to do.
pub fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time: it hangs, or something between drops what is sent".to_owned();
    }
    let mut causes: Vec<&(dyn Error + 'static)> = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    let kinds = || causes.iter().filter_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()));
    let words = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
    let all = causes.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    if kinds().any(|kind| kind == ErrorKind::ConnectionRefused) {
        "connection refused: is the server running, and is this its address?".to_owned()
    } else if kinds().any(|kind| matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)) {
        format!("the connection was cut: {words}")
    } else if all.contains("dns error") {
        format!("its name is not known: {words}")
    } else if all.contains("certificate") {
        format!("its certificate is not trusted: {words}; --ca-cert FILE names who signs it")
    } else if all.contains("corrupt message") || all.contains("InvalidContentType") {
        format!("it does not speak TLS there: {words}; is it http:// rather than https://?")
    } else {
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    async fn asked(url: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(5)).build().unwrap();
        why(&client.get(url).send().await.unwrap_err())
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(asked(&format!("http://127.0.0.1:{port}/")).await.starts_with("connection refused"));
        let told = asked("http://no-such-host.invalid/").await;
        assert!(told.starts_with("its name is not known"), "{told}");
    }

    #[tokio::test]
    async fn plain_http_behind_https_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let told = asked(&format!("https://127.0.0.1:{port}/")).await;
        assert!(told.starts_with("it does not speak TLS there"), "{told}");
    }
}
