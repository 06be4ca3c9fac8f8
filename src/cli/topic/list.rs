//! `ringmail topic list`.

use ringmail_sdk::TopicSummary;
use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::output::{print, table};
use crate::cli::server::ServerArgs;

/// List all topics
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ListCommand {
    #[command(flatten)]
    server: ServerArgs,

    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

impl ListCommand {
    pub fn run(self) -> Result<(), CliError> {
        let topics = self.server.connect()?.admin().list_topics()?;
        print(&if self.json { as_json(&topics) } else { as_text(&topics) })?;
        Ok(())
    }
}

fn as_json(topics: &[TopicSummary]) -> String {
    let topics = topics.iter().map(|topic| json!({ "name": topic.name, "partitions": topic.partitions }));
    format!("{:#}\n", serde_json::Value::from_iter(topics))
}

fn as_text(topics: &[TopicSummary]) -> String {
    let rows = topics.iter().map(|topic| vec![topic.name.clone(), topic.partitions.to_string()]);
    table(&["TOPIC", "PARTITIONS"], rows.collect())
}
