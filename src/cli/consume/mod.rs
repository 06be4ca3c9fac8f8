//! `ringmail consume`: records become lines.

mod format;
mod from;
pub(super) mod json;

use std::io::{self, BufWriter, ErrorKind, Write};

use ringmail_sdk::blocking::Consumer;
use ringmail_sdk::{ConsumedRecord, StartAt};

use self::format::Format;
use super::error::CliError;
use super::output::OutputError;
use super::server::ServerArgs;

/// Bytes of output that are gathered before they are written.
const WRITE_BYTES: usize = 256 * 1024;

/// What stands at the end of the help page.
pub(super) const AFTER_HELP: &str = "\
Where to begin (--from):
  start, end            at the first record there is, behind the last one
  1234                  at this offset
  2026-01-31T12:00:00Z  at the first record of this time (RFC 3339) or later
  @1769860800000        the same, in milliseconds since the Unix epoch

Format (--format):
  %t  topic        %k  key, byte for byte       %T  timestamp, ms since the Unix epoch
  %p  partition    %v  value, byte for byte     %h  headers: name=value,name=value
  %o  offset       \\n \\t \\r \\0 \\\\  as in C       %%  a percent sign

JSON (--json): one object a line with topic, partition, offset, timestamp, key, value and headers (a list of
objects with name and value). What is absent is null. A key, value or header that is not UTF-8 stands in
base64 under key_base64, value_base64 or name_base64 instead.

Exit codes:
  0  it worked; also when the reader of the output closes it, as `head` does
  1  it failed; standard error says why
  2  wrong usage
  3  the broker could not be reached";

/// Print the records of a topic, and follow it as new ones come
#[derive(Debug, clap::Args)]
pub(super) struct ConsumeCommand {
    #[command(flatten)]
    server: ServerArgs,

    /// The topic
    topic: String,

    /// Where to begin, in each partition
    #[arg(long, value_name = "PLACE", default_value = "end", value_parser = from::parse, allow_hyphen_values = true)]
    from: StartAt,

    /// Stop at the last record that there is now
    #[arg(long, short = 'e')]
    until_end: bool,

    /// Read this partition only; may be repeated
    #[arg(long = "partition", short, value_name = "N")]
    partitions: Vec<u32>,

    /// Stop after so many records
    #[arg(long, short = 'n', value_name = "N")]
    max: Option<u64>,

    /// What to print for each record
    #[arg(long, short, value_name = "FORMAT", default_value = "%v\\n")]
    format: Format,

    /// Print one JSON object a line
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl ConsumeCommand {
    pub fn run(self) -> Result<(), CliError> {
        let client = self.server.connect()?;
        let mut consumer = client.consumer();
        if self.partitions.is_empty() {
            consumer.assign_topic(&self.topic, self.from)?;
        } else {
            consumer.assign(self.partitions.iter().map(|p| (self.topic.as_str(), *p, self.from)))?;
        }
        if self.until_end {
            consumer.until_end()?;
        }
        let output = BufWriter::with_capacity(WRITE_BYTES, io::stdout().lock());
        match self.print(&mut consumer, output) {
            Err(Stop::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(Stop::Output(error)) => Err(OutputError::from(error).into()),
            Err(Stop::Failed(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    fn print(&self, consumer: &mut Consumer, mut output: impl Write) -> Result<(), Stop> {
        let mut left = self.max.unwrap_or(u64::MAX);
        while left > 0 {
            let next = consumer.next_batch();
            let Some(mut batch) = next.map_err(|error| Stop::Failed(error.into()))? else { break };
            for record in batch.records().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                self.write(&record, &mut output)?;
                left -= 1;
            }
            // Whoever follows the topic sees each record when it comes.
            output.flush()?;
        }
        Ok(())
    }

    fn write(&self, record: &ConsumedRecord<'_>, output: &mut impl Write) -> io::Result<()> {
        if self.json { json::write(record, output) } else { self.format.write(record, output) }
    }
}

/// Why printing ended before its time.
enum Stop {
    Output(io::Error),
    Failed(CliError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
