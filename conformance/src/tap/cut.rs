//! A connection to a device that can break in the middle of an answer, at an exact byte, and end the device's process there.
//!
//! The HTTP library writes whole answers; the break happens below it. Once armed, the connection lets the head of the
//! next answer and so many bytes of its body through, and then fails every write, upon which it is closed. Where the
//! process of the device is to end, the connection is closed only afterwards: the device sees no break.

use super::port::Kill;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Where a connection breaks; shared between the connection and those who answer on it.
#[derive(Clone, Default)]
pub(super) struct Cut(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    place: Place,
    /// What happens at the place.
    then: Then,
    /// The write that waits for the end of the device's process.
    waiting: Option<Waker>,
}

#[derive(Default)]
enum Place {
    /// Everything goes through.
    #[default]
    Whole,
    /// The head goes through: so many bytes of its end were seen, and so many of the body follow.
    Head { ending: usize, then: usize },
    /// So many bytes go through.
    Body(usize),
}

#[derive(Default)]
enum Then {
    /// The connection breaks.
    #[default]
    Break,
    /// The process of the device ends, and then the connection breaks.
    KillAndBreak(Kill),
    /// The process of the device is being ended.
    Killing,
    /// The process of the device ends, and the connection goes on for as long as it lasts.
    Kill(Kill),
}

const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";

impl Cut {
    /// Breaks the connection after the head of the next answer and this many bytes of its body.
    pub(super) fn after(&self, bytes: usize, kill: Option<Kill>) {
        self.arm(bytes, kill.map_or(Then::Break, Then::KillAndBreak));
    }

    /// Ends the device's process after the head of the next answer and this many bytes, which are its whole body.
    pub(super) fn kill_after(&self, bytes: usize, kill: Kill) {
        self.arm(bytes, Then::Kill(kill));
    }

    fn arm(&self, bytes: usize, then: Then) {
        let mut state = self.state();
        state.place = Place::Head { ending: 0, then: bytes };
        state.then = then;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of these bytes may be written now.
    fn allowed(&self, bytes: &[u8]) -> usize {
        match &self.state().place {
            Place::Whole => bytes.len(),
            Place::Body(left) => bytes.len().min(*left),
            Place::Head { ending, then } => match end_of_head(*ending, bytes) {
                Ok(end) => bytes.len().min(end + then),
                Err(_) => bytes.len(),
            },
        }
    }

    /// These bytes were written.
    fn wrote(&self, bytes: &[u8]) {
        let mut state = self.state();
        let left = match &mut state.place {
            Place::Whole => return,
            Place::Body(left) => *left - bytes.len().min(*left),
            Place::Head { ending, then } => match end_of_head(*ending, bytes) {
                Ok(end) => *then - (bytes.len() - end).min(*then),
                Err(seen) => return *ending = seen,
            },
        };
        state.place = Place::Body(left);
        if left > 0 {
            return;
        }
        match std::mem::take(&mut state.then) {
            Then::Kill(kill) => {
                state.place = Place::Whole;
                tokio::spawn(kill.strike());
            }
            Then::KillAndBreak(kill) => {
                state.then = Then::Killing;
                let cut = self.clone();
                tokio::spawn(async move {
                    kill.strike().await;
                    cut.killed();
                });
            }
            then => state.then = then,
        }
    }

    /// The device's process has ended: the connection breaks.
    fn killed(&self) {
        let mut state = self.state();
        state.then = Then::Break;
        if let Some(waiting) = state.waiting.take() {
            waiting.wake();
        }
    }

    /// Whether the connection breaks now, or waits for the end of the device's process.
    fn broken(&self, context: &Context<'_>) -> Poll<io::Error> {
        let mut state = self.state();
        if matches!(state.then, Then::Killing) {
            state.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(io::ErrorKind::BrokenPipe.into())
    }
}

/// Where the head ends in these bytes, or how much of its end they end with.
fn end_of_head(mut seen: usize, bytes: &[u8]) -> Result<usize, usize> {
    for (index, byte) in bytes.iter().enumerate() {
        seen = if *byte == END_OF_HEAD[seen] { seen + 1 } else { usize::from(*byte == b'\r') };
        if seen == END_OF_HEAD.len() {
            return Ok(index + 1);
        }
    }
    Err(seen)
}

/// The connection itself.
pub(super) struct CutStream {
    pub(super) stream: TcpStream,
    pub(super) cut: Cut,
}

impl AsyncRead for CutStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for CutStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let allowed = self.cut.allowed(bytes);
        if allowed == 0 && !bytes.is_empty() {
            return self.cut.broken(context).map(Err);
        }
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..allowed]))?;
        self.cut.wrote(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes in pieces of this size, as far as it goes.
    fn written(cut: &Cut, bytes: &[u8], piece: usize) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let next = &bytes[done..bytes.len().min(done + piece)];
            let allowed = cut.allowed(next);
            if allowed == 0 {
                break;
            }
            cut.wrote(&next[..allowed]);
            done += allowed;
        }
        done
    }

    #[test]
    fn a_cut_counts_from_the_end_of_the_head_however_it_is_written() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789";
        for piece in 1..answer.len() + 1 {
            let cut = Cut::default();
            cut.after(5, None);
            assert_eq!(written(&cut, answer, piece), answer.len() - 5, "pieces of {piece}");
        }
        assert_eq!(written(&Cut::default(), answer, 7), answer.len());
    }
}
