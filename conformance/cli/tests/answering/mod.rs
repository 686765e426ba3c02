//! Servers that have one answer.

use std::io::{Read, Write};
use std::net::TcpListener;

/// A server that answers everything with this.
pub fn answering(status: &str, body: &str) -> String {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            _ = stream.read(&mut [0; 4096]);
            _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/visits")
}
