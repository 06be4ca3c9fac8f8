//! Reads all records that a topic has now, and then follows it for ten seconds.
//!
//! ```text
//! cargo run -p ringmail-sdk --example consume -- 127.0.0.1:7411 greetings
//! ```

use std::time::Duration;

use ringmail_sdk::{Client, Error, StartAt};
use tokio::time::{Instant, timeout_at};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let server = args.next().unwrap_or_else(|| "127.0.0.1:7411".to_owned());
    let topic = args.next().unwrap_or_else(|| "greetings".to_owned());

    let client = Client::connect(&server).await?;
    let mut consumer = client.consumer();
    consumer.assign_topic(&topic, StartAt::Start).await?;
    consumer.until_end().await?;
    let (mut records, mut bytes) = (0, 0);
    while let Some(mut batch) = consumer.next_batch().await? {
        records += batch.len();
        bytes += batch.records().map(|record| record.value.map_or(0, <[u8]>::len)).sum::<usize>();
    }
    println!("{records} records, {bytes} bytes of values; what comes now:");

    consumer.assign_topic(&topic, StartAt::End).await?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Ok(record) = timeout_at(deadline, consumer.next()).await {
        let Some(record) = record? else { break };
        let value = String::from_utf8_lossy(record.value.unwrap_or_default());
        println!("{} {} {}: {value}", record.topic, record.partition, record.offset);
    }
    Ok(())
}
