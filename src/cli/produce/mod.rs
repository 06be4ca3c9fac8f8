//! `ringmail produce`: lines become records.

mod header;
mod lines;
mod tally;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use ringmail_sdk::blocking::Producer;
use ringmail_sdk::{Acks, Compression, HeadersBuf, Partitioner, ProducerConfig, Record};

use self::header::Header;
use self::lines::Lines;
use self::tally::Tally;
use super::error::CliError;
use super::server::ServerArgs;

/// Bytes that are read from the input at once.
const READ_BYTES: usize = 256 * 1024;
/// How often the progress bar is drawn, at most.
const REDRAW: Duration = Duration::from_millis(100);

/// Send the lines of standard input, or of a file, as records
///
/// Each line is the value of a record, byte for byte, without its newline. What was sent and how fast is
/// printed to standard error at the end, when everything is stored.
#[derive(Debug, clap::Args)]
pub(super) struct ProduceCommand {
    #[command(flatten)]
    server: ServerArgs,

    /// The topic
    topic: String,

    /// Read this file instead of standard input
    #[arg(long, short)]
    file: Option<PathBuf>,

    /// What stands between key and value in each line; the first one counts
    #[arg(long, short = 'K', value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    key_separator: Option<String>,

    /// The key of all records
    #[arg(long, short, conflicts_with = "key_separator")]
    key: Option<String>,

    /// A header of all records; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    headers: Vec<Header>,

    /// The partition of all records; otherwise by key, or all in turn if there is none
    #[arg(long, short, value_name = "N")]
    partition: Option<u32>,

    /// When the broker acknowledges: never, once written (survives a crash of the broker), or once synced
    /// (survives a power cut)
    #[arg(long, value_enum, default_value_t = AcksArg::Synced)]
    acks: AcksArg,

    /// How batches are compressed
    #[arg(long, short = 'z', value_enum, default_value_t = CompressionArg::None)]
    compression: CompressionArg,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AcksArg {
    None,
    Written,
    Synced,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum CompressionArg {
    None,
    Lz4,
    Zstd,
}

impl ProduceCommand {
    pub fn run(self) -> Result<(), CliError> {
        let (input, progress) = self.input()?;
        let tally = Tally::default();
        let producer = self.server.connect()?.producer_with(&self.topic, self.config(&tally))?;
        let start = Instant::now();
        let sent = self.send(&producer, input, &progress, &tally);
        let flushed = producer.flush();
        progress.finish_and_clear();
        let (records, bytes) = sent?;
        flushed.map_err(|error| tally.failure(records, error))?;
        eprintln!("{}", self.summary(records, bytes, start.elapsed()));
        Ok(())
    }

    fn config(&self, tally: &Tally) -> ProducerConfig {
        ProducerConfig {
            acks: match self.acks {
                AcksArg::None => Acks::None,
                AcksArg::Written => Acks::Written,
                AcksArg::Synced => Acks::Synced,
            },
            compression: match self.compression {
                CompressionArg::None => Compression::None,
                CompressionArg::Lz4 => Compression::Lz4,
                CompressionArg::Zstd => Compression::Zstd,
            },
            partitioner: self.partition.map_or(Partitioner::KeyHash, Partitioner::Fixed),
            on_delivery: Some(tally.on_delivery()),
            ..ProducerConfig::default()
        }
    }

    /// The input, and a progress bar if somebody watches a file being read.
    fn input(&self) -> Result<(Box<dyn Read>, ProgressBar), CliError> {
        let Some(path) = &self.file else { return Ok((Box::new(io::stdin()), ProgressBar::hidden())) };
        let failed = |cause| CliError::Read { path: path.clone(), cause };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let progress = if io::stderr().is_terminal() { bar(length) } else { ProgressBar::hidden() };
        Ok((Box::new(file), progress))
    }

    /// Sends all lines; returns how many records and bytes of values they were.
    fn send(
        &self,
        producer: &Producer,
        input: Box<dyn Read>,
        progress: &ProgressBar,
        tally: &Tally,
    ) -> Result<(u64, u64), CliError> {
        let mut headers = HeadersBuf::new();
        self.headers.iter().for_each(|header| header.push_to(&mut headers));
        let mut lines = Lines::new(BufReader::with_capacity(READ_BYTES, input));
        let (mut records, mut bytes) = (0, 0);
        let mut drawn = Instant::now();
        while let Some(line) = lines.next().map_err(|cause| self.unreadable(cause))? {
            let (key, value) = self.key_and_value(line, records)?;
            let record = Record { key, ..Record::new(value) }.headers(&headers);
            bytes += value.len() as u64;
            producer.send(record)?;
            records += 1;
            if tally.has_failed() {
                break;
            }
            if records % 1024 == 0 && drawn.elapsed() >= REDRAW {
                drawn = Instant::now();
                progress.set_position(lines.bytes_read());
            }
        }
        Ok((records, bytes))
    }

    fn key_and_value<'l>(
        &'l self,
        line: &'l [u8],
        sent: u64,
    ) -> Result<(Option<&'l [u8]>, &'l [u8]), CliError> {
        let Some(separator) = &self.key_separator else {
            return Ok((self.key.as_deref().map(str::as_bytes), line));
        };
        match lines::split_once(line, separator.as_bytes()) {
            Some((key, value)) => Ok((Some(key), value)),
            None => Err(CliError::NoSeparator { line: sent + 1, separator: separator.clone(), sent }),
        }
    }

    fn unreadable(&self, cause: io::Error) -> CliError {
        let path = self.file.clone().unwrap_or_else(|| "standard input".into());
        CliError::Read { path, cause }
    }

    fn summary(&self, records: u64, bytes: u64, took: Duration) -> String {
        let level = match self.acks {
            AcksArg::None => "sent, not acknowledged",
            AcksArg::Written => "written",
            AcksArg::Synced => "stored and synced",
        };
        let seconds = took.as_secs_f64();
        let rate = (records as f64 / seconds.max(1e-9)) as u64;
        format!(
            "{} records, {} of values, in {seconds:.3} s ({} records/s): {level}",
            HumanCount(records),
            HumanBytes(bytes),
            HumanCount(rate),
        )
    }
}

fn bar(length: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    ProgressBar::new(length).with_style(style.expect("the template is well formed"))
}
