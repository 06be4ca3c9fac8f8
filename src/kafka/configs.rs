//! Configuration of topics and brokers: described, replaced, changed.

use std::borrow::Cow;
use std::net::IpAddr;

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResponse, AlteredConfigs, ConfigResource,
    ConfigSynonym, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse, DescribedConfig,
    DescribedConfigs, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResponse, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::broker_configs::BrokerConfig;
use super::changes::{Fault, Item, occur_twice};
use super::cluster::Cluster;
use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;
use super::waiter::Reply;
use crate::node::catalog::{Command, ConfigChange, ConfigKey, ConfigOp, Effect, Source, Topic, TopicKey};
use crate::node::logs::Logs;

/// The types of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

/// The first version of ListConfigResources that is about more than client metrics.
const LIST_ALL: i16 = 1;

/// Kafka's number for where a value comes from.
pub(super) fn source_code(source: Source) -> i8 {
    match source {
        Source::Topic => 1,
        Source::Broker => 4,
        Source::Default => 5,
    }
}

/// What of a configuration is to be shown.
#[derive(Clone, Copy)]
struct Shown<'a> {
    /// `None` for all keys.
    keys: Option<&'a [Cow<'a, str>]>,
    synonyms: bool,
    documentation: bool,
}

impl Shown<'_> {
    fn has(&self, name: &str) -> bool {
        self.keys.is_none_or(|keys| keys.iter().any(|key| key == name))
    }
}

impl Sessions<'_> {
    pub(super) fn describe_configs(
        &mut self,
        request: &Request<'_>,
        logs: &Logs,
    ) -> Result<Handled, Refused> {
        let wanted = DescribeConfigsRequest::decode(request.header.version, request.body)?;
        let local = self.local(request);
        let own = &self.own.settings;
        let broker = |name: &str| Node::find(name, &own.cluster, local);
        let describe = |resource: &'_ DescribeConfigsResource<'_>| {
            let shown = Shown {
                keys: resource.configuration_keys.as_deref(),
                synonyms: wanted.include_synonyms,
                documentation: wanted.include_documentation,
            };
            let configs = match resource.resource_type {
                TOPIC => describe_topic(&resource.resource_name, shown, logs),
                // What was changed for all brokers while they run: nothing ever is.
                BROKER if resource.resource_name.is_empty() => Ok(Vec::new()),
                BROKER => broker(&resource.resource_name)
                    .map(|node| describe_broker(&node, shown, &own.broker_configs)),
                CLIENT_METRICS | GROUP => Ok(Vec::new()),
                other => Err(unknown_type(other)),
            };
            let (error_code, error_message, configs) = match configs {
                Ok(configs) => (0, None, configs),
                Err(fault) => (fault.code.number(), Some(fault.words), Vec::new()),
            };
            let resource_name = Cow::Owned(resource.resource_name.clone().into_owned());
            DescribedConfigs {
                error_code,
                error_message,
                resource_type: resource.resource_type,
                resource_name,
                configs,
            }
        };
        let results = wanted.resources.iter().map(describe).collect();
        let response = DescribeConfigsResponse { results, ..DescribeConfigsResponse::default() };
        let mut answer = Vec::new();
        ringmail_kafka::frame::put_response(
            &mut answer,
            request.reply.version,
            request.reply.correlation,
            &response,
        );
        self.answer_with(&request.reply, |output| output.copied().extend_from_slice(&answer));
        Ok(Handled::Done)
    }

    pub(super) fn alter_configs(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let wanted = AlterConfigsRequest::decode(request.header.version, request.body)?;
        let resource =
            |one: &AlterConfigsResource<'_>| (one.resource_type, one.resource_name.clone().into_owned());
        let twice = occur_twice(wanted.resources.iter().map(resource));
        let item = |one: &AlterConfigsResource<'_>| {
            let entries = one.configs.iter().map(|config| (config.name.as_ref(), config.value.as_deref()));
            let change =
                if twice.contains(&resource(one)) { Err(named_twice()) } else { replacement(entries) };
            alteration(one.resource_type, &one.resource_name, change)
        };
        let items = wanted.resources.iter().map(item).collect();
        self.change(request, items, wanted.validate_only, logs);
        Ok(Handled::Done)
    }

    pub(super) fn incremental_alter_configs(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let wanted = IncrementalAlterConfigsRequest::decode(request.header.version, request.body)?;
        let resource = |one: &IncrementalAlterConfigsResource<'_>| {
            (one.resource_type, one.resource_name.clone().into_owned())
        };
        let twice = occur_twice(wanted.resources.iter().map(resource));
        let item = |one: &IncrementalAlterConfigsResource<'_>| {
            let change = if twice.contains(&resource(one)) { Err(named_twice()) } else { edits(one) };
            alteration(one.resource_type, &one.resource_name, change)
        };
        let items = wanted.resources.iter().map(item).collect();
        self.change(request, items, wanted.validate_only, logs);
        Ok(Handled::Done)
    }

    pub(super) fn answer_replaced(&mut self, reply: &Reply, items: &[Item]) {
        let responses = items.iter().map(altered).collect();
        self.answer(reply, &AlterConfigsResponse { responses, ..AlterConfigsResponse::default() });
    }

    pub(super) fn answer_altered(&mut self, reply: &Reply, items: &[Item]) {
        let responses = items.iter().map(altered).collect();
        self.answer(
            reply,
            &IncrementalAlterConfigsResponse { responses, ..IncrementalAlterConfigsResponse::default() },
        );
    }

    pub(super) fn list_config_resources(
        &mut self,
        request: &Request<'_>,
        logs: &Logs,
    ) -> Result<Handled, Refused> {
        let wanted = ListConfigResourcesRequest::decode(request.header.version, request.body)?;
        let types = wanted.resource_types;
        let lists = |kind| request.header.version >= LIST_ALL && (types.is_empty() || types.contains(&kind));
        let resource =
            |resource_type, name: String| ConfigResource { resource_name: name.into(), resource_type };
        let mut config_resources = Vec::new();
        if lists(TOPIC) {
            config_resources
                .extend(logs.catalog().topics().map(|(name, _)| resource(TOPIC, name.to_owned())));
        }
        if lists(BROKER) {
            let nodes = self.own.settings.cluster.brokers();
            config_resources.extend(nodes.map(|(node, _)| resource(BROKER, node.to_string())));
        }
        let error_code = match types
            .iter()
            .find(|kind| ![TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP].contains(kind))
        {
            Some(_) => ErrorCode::UnsupportedVersion.number(),
            None => 0,
        };
        let response = ListConfigResourcesResponse {
            error_code,
            config_resources,
            ..ListConfigResourcesResponse::default()
        };
        self.answer(&request.reply, &response);
        Ok(Handled::Done)
    }
}

/// The loggers of a broker.
const BROKER_LOGGER: i8 = 8;

fn named_twice() -> Fault {
    Fault::new(ErrorCode::InvalidRequest, "the request names the resource more than once: name it once")
}

fn unknown_type(resource: i8) -> Fault {
    let words =
        format!("resources of type {resource} have no configuration here: ask for topics (2) or brokers (4)");
    Fault::new(ErrorCode::InvalidRequest, words)
}

fn describe_topic<'a>(
    name: &str,
    shown: Shown<'_>,
    logs: &'a Logs,
) -> Result<Vec<DescribedConfig<'a>>, Fault> {
    let topic = logs.catalog().topic(name);
    let unknown = || Fault::new(ErrorCode::UnknownTopicOrPartition, format!("there is no topic {name:?}"));
    let topic = topic.ok_or_else(unknown)?;
    Ok(ConfigKey::all()
        .filter(|key| shown.has(key.name()))
        .map(|key| topic_config(key, topic, shown))
        .collect())
}

fn topic_config<'a>(key: ConfigKey, topic: &'a Topic, shown: Shown<'_>) -> DescribedConfig<'a> {
    let config = &topic.config;
    let synonym =
        |name, value, source| ConfigSynonym { name: Cow::Borrowed(name), value: Some(value), source };
    let mut synonyms = Vec::new();
    if shown.synonyms {
        if config.source(key) == Source::Topic {
            synonyms.push(synonym(key.name(), config.text(key), source_code(Source::Topic)));
        }
        let inherited = source_code(config.inherited_source(key));
        let name = key.key().broker.unwrap_or(key.name());
        synonyms.push(synonym(name, config.inherited(key), inherited));
    }
    DescribedConfig {
        name: key.name().into(),
        value: Some(config.text(key)),
        read_only: false,
        config_source: source_code(config.source(key)),
        is_sensitive: false,
        synonyms,
        config_type: key.key().rule.config_type() as i8,
        documentation: shown.documentation.then(|| documentation(key.key())),
    }
}

/// What a key means, and whether it does anything here.
pub(super) fn documentation(key: &TopicKey) -> Cow<'static, str> {
    match key.effect {
        Effect::Acts => key.words.into(),
        Effect::Kept(why) => {
            format!("{} Ringmail keeps and reports it, and does nothing else with it: {why}.", key.words)
                .into()
        }
    }
}

/// A broker, as far as it differs from others.
struct Node {
    id: String,
    listener: String,
}

impl Node {
    /// The broker of this id, for a client that has connected to the address `local`.
    fn find(name: &str, cluster: &Cluster, local: IpAddr) -> Result<Self, Fault> {
        let found = cluster.brokers().find(|(id, _)| id.to_string() == name);
        let unknown = || {
            Fault::new(ErrorCode::InvalidRequest, format!("there is no broker {name:?}: give the id of one"))
        };
        let (id, port) = found.ok_or_else(unknown)?;
        let listener = format!("PLAINTEXT://{}:{port}", cluster.host(local));
        Ok(Self { id: id.to_string(), listener })
    }

    fn value<'a>(&self, config: &'a BrokerConfig) -> Option<Cow<'a, str>> {
        match config.name {
            "broker.id" | "node.id" => Some(self.id.clone().into()),
            "advertised.listeners" | "listeners" => Some(self.listener.clone().into()),
            _ => config.value.as_deref().map(Cow::Borrowed),
        }
    }
}

fn describe_broker<'a>(
    node: &Node,
    shown: Shown<'_>,
    configs: &'a [BrokerConfig],
) -> Vec<DescribedConfig<'a>> {
    let describe = |config: &'a BrokerConfig| {
        let value = node.value(config);
        let source = source_code(config.source);
        let synonym = || ConfigSynonym { name: config.name.into(), value: value.clone(), source };
        DescribedConfig {
            name: config.name.into(),
            synonyms: if shown.synonyms { vec![synonym()] } else { Vec::new() },
            value: value.clone(),
            read_only: true,
            config_source: source,
            is_sensitive: false,
            config_type: config.config_type as i8,
            documentation: shown.documentation.then(|| config.words.clone()),
        }
    };
    configs.iter().filter(|config| shown.has(config.name)).map(describe).collect()
}

fn replacement<'a>(entries: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Result<ConfigChange, Fault> {
    let entry = |(name, value): (&str, Option<&str>)| match value {
        Some(value) => Ok((name.to_owned(), value.to_owned())),
        None => Err(no_value(name)),
    };
    entries.map(entry).collect::<Result<_, _>>().map(ConfigChange::Replace)
}

fn no_value(name: &str) -> Fault {
    Fault::new(ErrorCode::InvalidConfig, format!("{name} has no value: give it one, or delete the entry"))
}

fn edits(resource: &IncrementalAlterConfigsResource<'_>) -> Result<ConfigChange, Fault> {
    let twice = occur_twice(resource.configs.iter().map(|config| config.name.as_ref()));
    if let Some(name) = twice.first() {
        return Err(Fault::new(
            ErrorCode::InvalidRequest,
            format!("{name} is changed more than once: change it once"),
        ));
    }
    let mut edits = Vec::with_capacity(resource.configs.len());
    for config in &resource.configs {
        let value = config.value.as_ref().map(|value| value.clone().into_owned());
        let op = match (config.config_operation, value) {
            (0, Some(value)) => ConfigOp::Set(value),
            (1, _) => ConfigOp::Reset,
            (2, Some(value)) => ConfigOp::Append(value),
            (3, Some(value)) => ConfigOp::Subtract(value),
            (0 | 2 | 3, None) => return Err(no_value(&config.name)),
            (other, _) => {
                let words = format!("{other} is no operation: write 0 set, 1 delete, 2 append or 3 subtract");
                return Err(Fault::new(ErrorCode::InvalidRequest, words));
            }
        };
        edits.push((config.name.clone().into_owned(), op));
    }
    Ok(ConfigChange::Edit(edits))
}

fn alteration(resource: i8, name: &str, change: Result<ConfigChange, Fault>) -> Item {
    let command = match (resource, change) {
        (_, Err(fault)) => Err(fault),
        (TOPIC, Ok(config)) => Ok(Command::Alter { name: name.to_owned(), partitions: 0, config }),
        (BROKER, Ok(_)) => Err(Fault::new(
            ErrorCode::InvalidRequest,
            "the configuration of brokers is not changed while they run: change ringmail's file, and restart it",
        )),
        (other, Ok(_)) => Err(unknown_type(other)),
    };
    Item::new(name, command).of_resource(resource)
}

fn altered(item: &Item) -> AlteredConfigs<'_> {
    let (error_code, error_message) = item.error();
    let resource_name = Cow::Borrowed(item.name.as_deref().unwrap_or_default());
    AlteredConfigs { error_code, error_message, resource_type: item.resource, resource_name }
}
