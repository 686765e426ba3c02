//! Answers that the server did not give: canned ones, and those that are changed on their way.

use super::coding;
use super::exchange::Answer;
use super::forward::Reply;
use bytes::Bytes;
use fieldsync_schemas::problem::PROBLEM_MEDIA_TYPE;
use fieldsync_schemas::scenario::{AnswerChange, CannedReply};
use fieldsync_schemas::{PROTOCOL_VERSION, REQUEST_ID_HEADER, VERSION_HEADER};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

/// The answer that a scenario writes itself. With `json` it stands for an answer of a server and has a server's headers;
/// with `text`, or without a body, it stands for whatever else answers on a network, and has none.
pub(super) fn canned(reply: &CannedReply) -> Result<Reply, String> {
    let status = StatusCode::from_u16(reply.status.unwrap_or(200)).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    let body = match (&reply.json, &reply.text) {
        (Some(json), _) => {
            let problem = status.is_client_error() || status.is_server_error();
            let media_type = if problem { PROBLEM_MEDIA_TYPE } else { "application/json" };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            headers.insert(VERSION_HEADER, HeaderValue::from_static(PROTOCOL_VERSION));
            headers.insert(REQUEST_ID_HEADER, HeaderValue::from_static("canned"));
            json.to_string()
        }
        (None, Some(text)) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            text.clone()
        }
        (None, None) => String::new(),
    };
    for (name, value) in &reply.headers {
        let name: HeaderName = name.parse().map_err(|_| format!("{name:?} is no name of a header"))?;
        headers.insert(name, value.parse().map_err(|_| format!("{value:?} is no value of a header"))?);
    }
    Ok(Reply { status, headers, body: body.into() })
}

/// The answer as the scenario changes it, plain or as cut gzip.
pub(super) fn altered(answer: &Answer, change: &AnswerChange) -> Result<Reply, String> {
    let mut body = answer.body.bytes.clone();
    let mut headers = answer.headers.clone();
    headers.remove(CONTENT_ENCODING);
    if !change.set.is_empty() || change.reverse.is_some() {
        let mut json: Value = serde_json::from_slice(&body).map_err(|error| format!("it is no JSON: {error}"))?;
        for (pointer, value) in &change.set {
            set(&mut json, pointer, value)?;
        }
        if let Some(pointer) = &change.reverse {
            let array = json.pointer_mut(pointer).and_then(Value::as_array_mut);
            array.ok_or_else(|| format!("there is no array at {pointer:?}"))?.reverse();
        }
        body = Bytes::from(json.to_string());
        headers.remove(ETAG);
    }
    if let Some(media_type) = &change.media_type {
        headers.insert(CONTENT_TYPE, media_type.parse().map_err(|_| format!("{media_type:?} is no media type"))?);
    }
    if change.cut_gzip {
        let mut whole = coding::gzip(&body);
        whole.truncate(whole.len() / 2);
        body = whole.into();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(Reply { status: answer.status, headers, body })
}

/// Sets a member or an item; null removes it. A member may be new, its parent not.
fn set(json: &mut Value, pointer: &str, value: &Value) -> Result<(), String> {
    let missing = || format!("there is no place {pointer:?}");
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return match pointer.is_empty() {
            true => {
                *json = value.clone();
                Ok(())
            }
            false => Err(format!("{pointer:?} is no JSON Pointer: it starts with /")),
        };
    };
    let last = last.replace("~1", "/").replace("~0", "~");
    match json.pointer_mut(parent).ok_or_else(missing)? {
        Value::Object(members) if value.is_null() => members.remove(&last).map(drop).ok_or_else(missing),
        Value::Object(members) => {
            members.insert(last, value.clone());
            Ok(())
        }
        Value::Array(items) => {
            let index: usize = last.parse().map_err(|_| missing())?;
            let item = items.get_mut(index).ok_or_else(missing)?;
            match value {
                Value::Null => drop(items.remove(index)),
                value => *item = value.clone(),
            }
            Ok(())
        }
        _ => Err(missing()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::Body;
    use super::*;
    use serde_json::json;

    fn answer(body: Value) -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Body::plain(body.to_string().into()) }
    }

    fn change(text: Value) -> AnswerChange {
        serde_json::from_value(text).unwrap()
    }

    fn altered_json(body: Value, by: Value) -> Result<Value, String> {
        altered(&answer(body), &change(by)).map(|reply| serde_json::from_slice(&reply.body).unwrap())
    }

    #[test]
    fn members_are_set_removed_and_turned_round() {
        let by = json!({"set": {"/a/b": 2, "/c": null, "/new~1name": 1, "/list/0": 9}, "reverse": "/list"});
        let got = altered_json(json!({"a": {"b": 1}, "c": 1, "list": [1, 2, 3]}), by);
        assert_eq!(got, Ok(json!({"a": {"b": 2}, "new/name": 1, "list": [3, 2, 9]})));
    }

    #[test]
    fn a_place_that_does_not_exist_is_an_error() {
        for by in [
            json!({"set": {"/a/b/c": 1}}),
            json!({"set": {"/x": null}}),
            json!({"reverse": "/a"}),
            json!({"set": {"a": 1}}),
        ] {
            assert!(altered_json(json!({"a": 1}), by.clone()).is_err(), "{by}");
        }
        let page = Answer { body: Body::plain("<html>".into()), ..answer(json!({})) };
        assert!(altered(&page, &change(json!({"set": {"/a": 1}}))).unwrap_err().starts_with("it is no JSON"));
    }

    #[test]
    fn cut_gzip_does_not_decode() {
        let reply = altered(&answer(json!({"a": "b".repeat(1000)})), &change(json!({"cut_gzip": true}))).unwrap();
        assert_eq!(reply.headers[CONTENT_ENCODING], "gzip");
        assert!(coding::decode(&reply.headers, &reply.body, 1 << 20).is_err());
    }

    #[test]
    fn canned_json_has_a_servers_headers_and_text_has_none() {
        let json: CannedReply =
            serde_json::from_value(json!({"status": 503, "json": {}, "headers": {"retry-after": "1"}})).unwrap();
        let reply = canned(&json).unwrap();
        assert_eq!(reply.headers[CONTENT_TYPE], PROBLEM_MEDIA_TYPE);
        assert_eq!(
            (&reply.headers["retry-after"], &reply.headers[VERSION_HEADER]),
            (&"1".parse().unwrap(), &PROTOCOL_VERSION.parse().unwrap())
        );
        let html = canned(&CannedReply { text: Some("<html>".to_owned()), ..Default::default() }).unwrap();
        assert_eq!((html.status, &html.body[..]), (StatusCode::OK, &b"<html>"[..]));
        assert!(
            html.headers[CONTENT_TYPE].to_str().unwrap().starts_with("text/html")
                && !html.headers.contains_key(VERSION_HEADER)
        );
    }
}
