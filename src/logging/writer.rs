//! Writing log lines without ever waiting for whoever reads them.
//!
//! A shard must not block, and standard error does: on a terminal that is paused, on a pipe whose reader is
//! slow. So events are handed to a thread through a bounded queue. When the queue is full, lines are dropped,
//! counted, and the loss logged.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written before further ones are dropped.
const QUEUE_LINES: usize = 4_096;

/// How long the end of the process waits for lines to be written.
const FLUSH_TIME: Duration = Duration::from_secs(1);

enum Message {
    Line(Vec<u8>),
    /// All lines before this are to be written; then the sender is told.
    Flush(SyncSender<()>),
}

/// Where events are written to, from any thread.
#[derive(Clone)]
pub(super) struct Lines {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// Writes out what was logged when it is dropped. To be held until the process ends.
#[must_use = "what was logged last is lost unless the guard is held until the process ends"]
pub struct LoggingGuard {
    queue: SyncSender<Message>,
}

impl Lines {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(super) fn start(sink: impl Write + Send + 'static) -> io::Result<(Self, LoggingGuard)> {
        let (queue, messages) = sync_channel(QUEUE_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let lines = Self { queue: queue.clone(), dropped: Arc::clone(&dropped) };
        thread::Builder::new()
            .name("ringmail-log".to_owned())
            .spawn(move || write_all(&messages, sink, &dropped))?;
        Ok((lines, LoggingGuard { queue }))
    }

    fn push(&self, line: Vec<u8>) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write_all(messages: &Receiver<Message>, mut sink: impl Write, dropped: &AtomicU64) {
    for message in messages {
        match message {
            // There is nowhere left to report that standard error does not take a line.
            Message::Line(line) => {
                let _ = sink.write_all(&line);
            }
            Message::Flush(done) => {
                let _ = sink.flush();
                // Whoever asked may have given up waiting.
                let _ = done.send(());
            }
        }
        let lines = dropped.swap(0, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "log lines were dropped: standard error is not read fast enough");
        }
    }
}

impl Drop for LoggingGuard {
    fn drop(&mut self) {
        let deadline = Instant::now() + FLUSH_TIME;
        let (done, written) = sync_channel(1);
        let mut request = Message::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(request) {
            if Instant::now() >= deadline {
                return;
            }
            request = back;
            thread::sleep(Duration::from_millis(1));
        }
        // Time may run out when nobody reads standard error; the process ends regardless.
        let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// One event being formatted.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, text: Vec::new() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.lines.push(std::mem::take(&mut self.text));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A sink that takes lines only while its gate is open.
    #[derive(Clone, Default)]
    struct Gated {
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            self.written.lock().unwrap().extend_from_slice(part);
            Ok(part.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn dropping_the_guard_writes_everything() {
        let sink = Gated::default();
        let (lines, guard) = Lines::start(sink.clone()).unwrap();
        for number in 0..1_000 {
            writeln!(lines.make_writer(), "line {number}").unwrap();
        }
        drop(guard);
        let written = String::from_utf8(sink.written.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().count(), 1_000);
        assert!(written.ends_with("line 999\n"));
    }

    #[test]
    fn a_stuck_sink_neither_blocks_the_writer_nor_the_end() {
        let sink = Gated::default();
        let (lines, guard) = Lines::start(sink.clone()).unwrap();
        let stuck = sink.written.lock().unwrap();
        for number in 0..2 * QUEUE_LINES {
            writeln!(lines.make_writer(), "line {number}").unwrap();
        }
        let dropped = lines.dropped.load(Ordering::Relaxed) as usize;
        assert!((QUEUE_LINES - 2..=QUEUE_LINES).contains(&dropped), "{dropped}");
        let started = Instant::now();
        drop(guard);
        assert!(started.elapsed() < 2 * FLUSH_TIME);
        drop(stuck);
    }
}
