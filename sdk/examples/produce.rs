//! Sends records by key and prints where the first of them was stored.
//!
//! ```text
//! cargo run -p ringmail-sdk --example produce -- 127.0.0.1:7411 greetings
//! ```

use ringmail_sdk::{Client, Error, ErrorCode, HeadersBuf, ProducerConfig, Record};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let server = args.next().unwrap_or_else(|| "127.0.0.1:7411".to_owned());
    let topic = args.next().unwrap_or_else(|| "greetings".to_owned());

    let client = Client::connect(&server).await?;
    match client.admin().create_topic(&topic, 4, &[]).await {
        Err(error) if error.code() == Some(ErrorCode::TopicExists) => {}
        created => println!("created `{topic}` with {} partitions", created?.partitions),
    }

    let config = ProducerConfig { linger: std::time::Duration::from_millis(5), ..Default::default() };
    let producer = client.producer_with(&topic, config).await?;
    let mut headers = HeadersBuf::new();
    headers.push(b"source", Some(b"example")).expect("the name and the value are short");

    let first = producer.send_wait(Record::new(b"hello").key(b"en").headers(&headers)).await?;
    for n in 0..100_000 {
        // Waits only while the buffer is full: while the broker is slower than this loop.
        let (key, value) = (format!("key {}", n % 100), format!("record {n}"));
        producer.send_wait(Record::new(value.as_bytes()).key(key.as_bytes())).await?;
    }
    producer.flush().await?;

    let offset = producer.delivered(first).await?;
    println!("the first record is in partition {} at offset {offset}; all are synced", first.partition);
    Ok(())
}
