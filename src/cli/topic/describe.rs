//! `ringmail topic describe`.

use ringmail_sdk::{ConfigSource, TopicDescription};
use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::output::{print, table};
use crate::cli::server::ServerArgs;

/// Show a topic's settings and partitions
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DescribeCommand {
    #[command(flatten)]
    server: ServerArgs,

    /// The topic's name
    name: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl DescribeCommand {
    pub fn run(self) -> Result<(), CliError> {
        let admin = self.server.connect()?.admin();
        let topic = admin.describe_topic(&self.name).map_err(CliError::about(&self.name))?;
        print(&if self.json { as_json(&self.name, &topic) } else { as_text(&self.name, &topic) })?;
        Ok(())
    }
}

fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Default => "default",
        ConfigSource::Topic => "topic",
    }
}

fn as_json(name: &str, topic: &TopicDescription) -> String {
    let settings = topic
        .settings
        .iter()
        .map(|s| (s.key.clone(), json!({ "value": s.value, "source": source(s.source) })));
    let partitions = topic.partitions.iter().enumerate().map(|(number, p)| {
        json!({
            "partition": number, "shard": p.shard, "log": p.log,
            "start": p.log_start, "end": p.high_watermark, "bytes": p.bytes,
        })
    });
    let object = json!({
        "name": name,
        "id": topic.id,
        "settings": serde_json::Map::from_iter(settings),
        "partitions": serde_json::Value::from_iter(partitions),
    });
    format!("{object:#}\n")
}

fn as_text(name: &str, topic: &TopicDescription) -> String {
    let settings =
        topic.settings.iter().map(|s| vec![s.key.clone(), s.value.clone(), source(s.source).to_owned()]);
    let partitions = topic.partitions.iter().enumerate().map(|(number, p)| {
        let records = p.high_watermark.saturating_sub(p.log_start);
        let numbers = [number as u64, p.shard.into(), p.log_start, p.high_watermark, records, p.bytes];
        numbers.map(|n| n.to_string()).to_vec()
    });
    format!(
        "topic {name}, id {}\n\n{}\n{}",
        topic.id,
        table(&["SETTING", "VALUE", "FROM"], settings.collect()),
        table(&["PARTITION", "SHARD", "START", "END", "RECORDS", "BYTES"], partitions.collect()),
    )
}
