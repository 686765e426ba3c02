//! A block of HTTP in the text: one exchange after another, each a request and its answer, as they go over the wire.
//!
//! A request begins with its line, such as `POST {base}/push`, an answer with its status line. Headers follow, then, after
//! an empty line, a JSON body. The whole block is one story: a `${name}` is the same value wherever it stands.

use http::StatusCode;
use serde_json::Value;

/// A message exchange shown in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownExchange {
    /// The method.
    pub method: String,
    /// The path, with `{base}` in the place of the base URL's.
    pub target: String,
    /// The request.
    pub request: ShownMessage,
    /// The status of the answer.
    pub status: u16,
    /// The answer.
    pub answer: ShownMessage,
}

/// One of the two messages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShownMessage {
    /// The headers that the text shows; others are there, too.
    pub headers: Vec<(String, String)>,
    /// The members of the body that the text shows; none where it shows no body.
    pub body: Option<Value>,
    /// The body as it stands in the text.
    pub body_text: String,
    /// The line of its first line.
    pub line: u32,
    /// The line on which the body's block of lines begins; that of the message where it has none.
    pub body_line: u32,
}

/// What a line is that begins a message.
#[derive(Debug)]
pub(super) enum Begin {
    /// A request.
    Request {
        /// Its method.
        method: String,
        /// Its target.
        target: String,
    },
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
    },
}

/// Reads a block whose first line has this number. A mistake comes with its line.
pub(super) fn read(text: &str, first_line: u32) -> Result<Vec<ShownExchange>, (u32, String)> {
    let mut exchanges: Vec<ShownExchange> = Vec::new();
    let mut unanswered: Option<ShownExchange> = None;
    for (begin, message) in messages(text, first_line)? {
        match (begin, unanswered.take()) {
            (Begin::Request { method, target }, None) => {
                unanswered = Some(ShownExchange {
                    method,
                    target,
                    request: message,
                    status: 0,
                    answer: ShownMessage::default(),
                });
            }
            (Begin::Answer { status }, Some(asked)) => {
                exchanges.push(ShownExchange { status, answer: message, ..asked });
            }
            (Begin::Request { .. }, Some(_)) => {
                return Err((message.line, "the request before it has no answer".to_owned()));
            }
            (Begin::Answer { .. }, None) => {
                return Err((message.line, "no request stands before this answer".to_owned()));
            }
        }
    }
    match unanswered {
        Some(asked) => Err((asked.request.line, "this request has no answer".to_owned())),
        None if exchanges.is_empty() => Err((first_line, "the block shows no exchange".to_owned())),
        None => Ok(exchanges),
    }
}

/// Reads the messages of a block, whatever their order.
pub(super) fn messages(text: &str, first_line: u32) -> Result<Vec<(Begin, ShownMessage)>, (u32, String)> {
    let mut messages = Vec::new();
    let mut lines = text.lines().zip(first_line..).peekable();
    while let Some((line, number)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |problem: String| (number, problem);
        let begin = begin(line).map_err(wrong)?.ok_or_else(|| {
            wrong(format!("{line:?} begins no message: write `POST {{base}}/push` or `HTTP/1.1 200 OK`"))
        })?;
        let mut content = Vec::new();
        while let Some(next) = lines.next_if(|(line, _)| matches!(self::begin(line), Ok(None))) {
            content.push(next);
        }
        messages.push((begin, message(&content, number)?));
    }
    Ok(messages)
}

fn begin(line: &str) -> Result<Option<Begin>, String> {
    if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let known: StatusCode = status.parse().map_err(|_| format!("{status:?} is no status"))?;
        if known.canonical_reason() != Some(reason) {
            let reason = known.canonical_reason().unwrap_or("no reason");
            return Err(format!("the status line reads `HTTP/1.1 {status} {reason}`"));
        }
        return Ok(Some(Begin::Answer { status: known.as_u16() }));
    }
    let Some((method, target)) = line.split_once(' ') else { return Ok(None) };
    let is_method = method.len() > 2 && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_target = (target.starts_with("{base}") || target.starts_with('/')) && !target.contains(' ');
    Ok((is_method && is_target).then(|| Begin::Request { method: method.to_owned(), target: target.to_owned() }))
}

fn message(content: &[(&str, u32)], line: u32) -> Result<ShownMessage, (u32, String)> {
    let end_of_head = content.iter().position(|(line, _)| line.trim().is_empty()).unwrap_or(content.len());
    let (head, rest) = content.split_at(end_of_head);
    let mut message = ShownMessage { line, body_line: line, ..ShownMessage::default() };
    for (text, number) in head {
        let (name, value) =
            text.split_once(": ").ok_or_else(|| (*number, format!("{text:?} is no header: write `Name: value`")))?;
        message.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let body = rest.iter().map(|(line, _)| *line).collect::<Vec<_>>().join("\n");
    if !body.trim().is_empty() {
        let first = rest[0].1;
        let json = serde_json::from_str(&body).map_err(|error| {
            let line = first + u32::try_from(error.line()).unwrap_or(1).saturating_sub(1);
            (line, format!("the body is not JSON: {error}"))
        })?;
        message.body = Some(json);
        message.body_line = first;
        message.body_text = body;
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TWO: &str = "GET {base}\n\nHTTP/1.1 200 OK\nFieldsync-Version: 2026-12-01\n\n{\n\n\"a\": 1}\n\nPOST {base}/pull\nX: y\n\n{}\n\nHTTP/1.1 410 Gone\n";

    #[test]
    fn a_block_is_one_exchange_after_another() {
        let [first, second] = &read(TWO, 10).unwrap()[..] else { panic!() };
        assert_eq!((first.method.as_str(), first.target.as_str(), first.status), ("GET", "{base}", 200));
        assert_eq!((first.request.line, first.answer.line, second.request.line), (10, 12, 19));
        assert_eq!(first.answer.headers, [("Fieldsync-Version".to_owned(), "2026-12-01".to_owned())]);
        assert_eq!((&first.request.body, &first.answer.body), (&None, &Some(json!({"a": 1}))));
        assert_eq!((&second.request.body, second.status), (&Some(json!({})), 410));
    }

    #[test]
    fn a_mistake_has_its_line() {
        let problem = |text: &str| read(text, 10).unwrap_err();
        assert!(problem("GET {base}\n\nHTTP/1.1 200 Fine\n").1.contains("HTTP/1.1 200 OK"));
        assert_eq!(problem("GET {base}\n\nGET {base}\n\nHTTP/1.1 200 OK\n").0, 12);
        assert_eq!(problem("HTTP/1.1 200 OK\n").0, 10);
        assert_eq!(problem("GET {base}\n").1, "this request has no answer");
        assert_eq!(problem("GET {base}\nwhat\n\nHTTP/1.1 200 OK\n").0, 11);
        assert_eq!(problem("GET {base}\n\nHTTP/1.1 200 OK\n\n{\n  \"a\": 1,\n}\n").0, 16);
        assert_eq!(problem("\n").1, "the block shows no exchange");
    }
}
