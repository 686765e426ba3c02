//! The one thread that writes, and how waiting writes share a transaction.

use super::Failure;
use fieldsync_core::store::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// How many waiting writes share one transaction at most.
const SHARED: usize = 256;

/// Hands writes to the thread.
pub(super) struct Writer {
    writes: mpsc::Sender<Box<dyn Write>>,
}

/// A write whose result has any type.
trait Write: Send {
    /// Whether it went well; one that fails must not take its neighbours with it, nor leave half of itself behind.
    fn run(&mut self, connection: &Connection) -> bool;
    fn answer(self: Box<Self>, lost: Option<&str>);
}

struct Waiting<T, F> {
    work: Option<F>,
    done: Option<Result<T, Failure>>,
    answer: oneshot::Sender<Result<T, Failure>>,
}

impl<T, F> Write for Waiting<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, Failure> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.done = self.work.take().map(|work| work(connection));
        matches!(self.done, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, lost: Option<&str>) {
        let result = match (lost, self.done) {
            (Some(reason), _) => Err(reason.into()),
            (None, Some(done)) => done,
            (None, None) => Err("the write was never run".into()),
        };
        // Nobody waits any more where a request was given up; the write stands all the same.
        let _ = self.answer.send(result);
    }
}

impl Writer {
    pub(super) fn start(mut connection: Connection) -> std::io::Result<Self> {
        let (writes, waiting) = mpsc::channel::<Box<dyn Write>>();
        std::thread::Builder::new().name("fieldsync-writer".to_owned()).spawn(move || {
            while let Ok(first) = waiting.recv() {
                let mut shared = vec![first];
                shared.extend(waiting.try_iter().take(SHARED - 1));
                let lost = transact(&mut connection, &mut shared).err().map(|error| error.to_string());
                for write in shared {
                    write.answer(lost.as_deref());
                }
            }
        })?;
        Ok(Self { writes })
    }

    pub(super) async fn run<T, F>(&self, doing: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let write = Waiting { work: Some(work), done: None, answer };
        let gone = |source: Failure| StoreError { doing, source };
        self.writes.send(Box::new(write)).map_err(|_| gone("the writing thread has ended".into()))?;
        answered.await.map_err(|error| gone(error.into()))?.map_err(gone)
    }
}

/// Runs these writes in one transaction. One alone needs no savepoint, which would copy every page before it changes.
fn transact(connection: &mut Connection, writes: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let [alone] = writes {
        return if alone.run(&transaction) { transaction.commit() } else { transaction.rollback() };
    }
    for write in writes {
        transaction.prepare_cached("SAVEPOINT one")?.execute([])?;
        if !write.run(&transaction) {
            transaction.prepare_cached("ROLLBACK TO one")?.execute([])?;
        }
        transaction.prepare_cached("RELEASE one")?.execute([])?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(number: i64, fails: bool) -> impl FnOnce(&Connection) -> Result<(), Failure> + Send + 'static {
        move |connection| {
            connection.execute("INSERT INTO numbers VALUES (?1)", [number])?;
            if fails { Err("it failed after all".into()) } else { Ok(()) }
        }
    }

    #[tokio::test]
    async fn a_write_that_fails_leaves_nothing_behind_alone_or_among_others() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE numbers (number INTEGER)").unwrap();
        let writer = Writer::start(connection).unwrap();
        assert!(writer.run("put", put(1, true)).await.is_err());
        // These two wait together behind one that is held.
        let (release, held) = mpsc::channel();
        let (hold, failed, went_well, ()) = tokio::join!(
            writer.run("hold", move |_| Ok(held.recv()?)),
            writer.run("put", put(2, true)),
            writer.run("put", put(3, false)),
            async { release.send(()).unwrap() },
        );
        assert!(hold.is_ok() && failed.is_err() && went_well.is_ok());
        let count =
            |sql: &'static str| writer.run("count", move |c| Ok(c.query_row(sql, [], |row| row.get::<_, i64>(0))?));
        assert_eq!(count("SELECT COUNT(*) FROM numbers").await.unwrap(), 1);
        assert_eq!(count("SELECT number FROM numbers").await.unwrap(), 3);
    }
}
