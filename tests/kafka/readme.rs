//! What README.md says of Kafka's protocol is what the broker offers.

use ringmail_kafka::api::Api;
use ringmail_kafka::messages::versions::{ApiVersionsRequest, ApiVersionsResponse};

use crate::broker::{Broker, Data};
use crate::frames::Kafka;

const README: &str = include_str!("../../README.md");
const TABLE: &str = "| key | API | versions |\n";

/// A row: key, name, versions.
fn row(line: &str) -> (i16, String, (i16, i16)) {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [key, name, versions] = cells[..] else { panic!("{line:?} is no row") };
    let (first, last) = versions.split_once('-').expect("FIRST-LAST");
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{line:?}: {text:?} is no number"));
    (number(key), name.to_owned(), (number(first), number(last)))
}

#[test]
fn the_table_of_apis_is_what_is_offered() {
    let (_, table) = README.split_once(TABLE).expect("README.md has the table");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let written: Vec<_> = rows.map(row).collect();

    let data = Data::new();
    let broker = Broker::start(&data.path());
    let ask = ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1".into() };
    let answer = Kafka::connect(&broker).ask(4, &ask);
    let response: ApiVersionsResponse<'_> = answer.body(4);
    let name = |key| Api::from_key(key).expect("offered APIs are known").info().name.to_owned();
    let mut offered: Vec<_> = response
        .api_keys
        .iter()
        .map(|api| (api.api_key, name(api.api_key), (api.min_version, api.max_version)))
        .collect();
    offered.sort_unstable();
    assert_eq!(written, offered);
}
