//! The client without async: sends the lines of standard input, and reads them back.
//!
//! ```text
//! seq 5 | cargo run -p ringmail-sdk --example blocking -- 127.0.0.1:7411 lines
//! ```

use std::error::Error;

use ringmail_sdk::blocking::Client;
use ringmail_sdk::{ErrorCode, Record, StartAt};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let server = args.next().unwrap_or_else(|| "127.0.0.1:7411".to_owned());
    let topic = args.next().unwrap_or_else(|| "lines".to_owned());

    let client = Client::connect(&server)?;
    match client.admin().create_topic(&topic, 1, &[]) {
        Err(error) if error.code() == Some(ErrorCode::TopicExists) => {}
        created => drop(created?),
    }
    let producer = client.producer(&topic)?;
    for line in std::io::stdin().lines() {
        producer.send(Record::new(line?.as_bytes()))?;
    }
    producer.flush()?;

    let mut consumer = client.consumer();
    consumer.assign_topic(&topic, StartAt::Start)?;
    consumer.until_end()?;
    while let Some(record) = consumer.next()? {
        println!("{}: {}", record.offset, String::from_utf8_lossy(record.value.unwrap_or_default()));
    }
    Ok(())
}
