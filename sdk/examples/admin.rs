//! Creates a topic, describes it and all others, and deletes it.
//!
//! ```text
//! cargo run -p ringmail-sdk --example admin -- 127.0.0.1:7411
//! ```

use ringmail_sdk::{Client, ConfigSource, Error, OffsetQuery};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7411".to_owned());
    let client = Client::connect(&server).await?;
    println!("{} answers in {:?}", client.server().await?.server, client.ping().await?);

    let admin = client.admin();
    let created = admin.create_topic("admin-example", 2, &[("retention.ms", "3600000")]).await?;
    println!("created topic {:#x}", created.id);
    admin.alter_topic("admin-example", 3, &[]).await?;

    for topic in admin.list_topics().await? {
        let description = admin.describe_topic(&topic.name).await?;
        let set = description.settings.iter().filter(|setting| setting.source == ConfigSource::Topic);
        let set: Vec<String> = set.map(|setting| format!("{}={}", setting.key, setting.value)).collect();
        println!("{}: {} partitions, {}", topic.name, topic.partitions, set.join(" "));
        for (partition, state) in description.partitions.iter().enumerate() {
            let offsets = state.log_start..state.high_watermark;
            println!("  {partition}: on shard {}, offsets {offsets:?}, {} bytes", state.shard, state.bytes);
        }
    }

    let ends = admin.list_offsets("admin-example", &[(0, OffsetQuery::Last), (2, OffsetQuery::Last)]).await?;
    println!("ends of partitions 0 and 2: {ends:?}");
    admin.delete_topic("admin-example").await
}
