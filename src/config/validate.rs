//! Rules that single values cannot be checked against: ranges, and how keys depend on each other.

use std::net::IpAddr;

use super::keys::table_of;
use super::{ByteSize, Config, ConfigError, CoreSet, ListenAddress};

/// Writes and reads are aligned to this, the block size of O_DIRECT access.
const BLOCK: ByteSize = ByteSize::kib(4);

/// A segment holds at least this many of the largest writes, so that what is lost at its end stays small.
const WRITES_PER_SEGMENT: u64 = 8;

/// A quarter of the entries of a shard's disk ring, so that writes, reads and upkeep leave each other room.
const MOST_IN_FLIGHT: u16 = 64;

/// A broken rule: the key to change, and what must hold.
struct Broken(&'static str, String);

type Rule = Result<(), Broken>;

fn require(holds: bool, key: &'static str, rule: impl FnOnce() -> String) -> Rule {
    if holds { Ok(()) } else { Err(Broken(key, rule())) }
}

fn at_least_one(key: &'static str, value: u64) -> Rule {
    require(value >= 1, key, || "write 1 or more".to_owned())
}

impl Config {
    /// Checks what the values mean together.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let rules = [
            Self::validate_node,
            Self::validate_ports,
            Self::validate_kafka,
            Self::validate_request_sizes,
            Self::validate_counts,
            Self::validate_segments,
            Self::validate_disk_traffic,
            Self::validate_logging,
        ];
        let broken = rules.into_iter().try_for_each(|rule| rule(self));
        broken.map_err(|Broken(key, rule)| {
            let (section, name) = key.split_once('.').expect("keys have a section");
            let value = table_of(self)[section][name].to_string();
            ConfigError::Invalid { key, value, rule }
        })
    }

    fn validate_node(&self) -> Rule {
        let node = &self.node;
        require(!node.data.as_os_str().is_empty(), "node.data", || {
            "write the path of a directory".to_owned()
        })?;
        require(is_host(&node.advertised_host), "node.advertised_host", || {
            "write a host name or IP address alone, without a port; ports come from [listen]".to_owned()
        })
    }

    fn validate_ports(&self) -> Rule {
        let listen = &self.listen;
        let keys = ("listen.native", "listen.shard_ports_from");
        let native = self.check_shard_ports(listen.native, listen.shard_ports_from, keys)?;
        let keys = ("listen.kafka", "listen.kafka_shard_ports_from");
        let kafka = if self.kafka.single_port {
            let port = listen.kafka.get().map_or(0, |address| u64::from(address.port()));
            Some((port, port))
        } else {
            self.check_shard_ports(listen.kafka, listen.kafka_shard_ports_from, keys)?
        };
        let (Some(native), Some(kafka)) = (native, kafka) else { return Ok(()) };
        let same_host = listen.native.get().zip(listen.kafka.get()).is_some_and(|(native, kafka)| {
            native.ip() == kafka.ip() || native.ip().is_unspecified() || kafka.ip().is_unspecified()
        });
        let apart = native.1 < kafka.0 || kafka.1 < native.0 || kafka.0 == 0;
        require(apart || !same_host, "listen.kafka", || {
            format!(
                "its ports {} to {} include some of the native protocol's, {} to {}: keep them apart",
                kafka.0, kafka.1, native.0, native.1
            )
        })
    }

    /// Checks the ports of one protocol; gives the first and the last of them, unless the kernel is to choose some.
    fn check_shard_ports(
        &self,
        shared: ListenAddress,
        from: u16,
        (shared_key, from_key): (&'static str, &'static str),
    ) -> Result<Option<(u64, u64)>, Broken> {
        let Some(address) = shared.get() else { return Ok(None) };
        let shards = match (self.node.shards, &self.node.cores) {
            (0, CoreSet::Listed(cores)) => cores.len() as u64,
            // One port must exist even if the number of cores is not known yet.
            (0, CoreSet::All) => 1,
            (shards, _) => u64::from(shards),
        };
        let (key, first) = match from {
            0 if address.port() == 0 => return Ok(None),
            0 => (shared_key, u64::from(address.port()) + 1),
            from => (from_key, u64::from(from)),
        };
        let last = first + shards - 1;
        require(last <= u64::from(u16::MAX), key, || {
            format!("the shards' ports would be {first} to {last}: write a port that leaves them below 65536")
        })?;
        let shared = u64::from(address.port());
        require(shared < first || shared > last, key, || {
            format!(
                "the shards' ports {first} to {last} include {shared}, that of {shared_key}: keep them apart"
            )
        })?;
        Ok((shared > 0).then_some((first.min(shared), last.max(shared))))
    }

    fn validate_kafka(&self) -> Rule {
        let kafka = &self.kafka;
        require(is_host(&kafka.advertised_host), "kafka.advertised_host", || {
            "write a host name or IP address alone, without a port; that is kafka.advertised_port".to_owned()
        })?;
        let shards = u32::from(self.node.shards.max(1));
        let last_port = u32::from(kafka.advertised_port) + if kafka.single_port { 0 } else { shards - 1 };
        require(last_port <= u32::from(u16::MAX), "kafka.advertised_port", || {
            format!("the shards' ports would end at {last_port}: write a port that leaves them below 65536")
        })?;
        let last = i64::from(kafka.node_id_base) + i64::from(u16::MAX);
        require(kafka.node_id_base >= 0 && last <= i64::from(i32::MAX), "kafka.node_id_base", || {
            "write a number from 0 to 2000000000".to_owned()
        })
    }

    fn validate_request_sizes(&self) -> Rule {
        let limits = &self.limits;
        require(limits.batch >= BLOCK, "limits.batch", || format!("write {BLOCK} or more"))?;
        require(limits.batch < limits.frame, "limits.batch", || {
            format!("a batch travels inside a request, so write less than limits.frame ({})", limits.frame)
        })?;
        require(limits.frame <= ByteSize::mib(1024), "limits.frame", || {
            "lengths on the wire end at 1 GiB: write less".to_owned()
        })?;
        require(limits.in_flight_per_connection >= limits.frame, "limits.in_flight_per_connection", || {
            format!("the largest request must fit, so write limits.frame ({}) or more", limits.frame)
        })?;
        require(
            limits.in_flight_per_shard >= limits.in_flight_per_connection,
            "limits.in_flight_per_shard",
            || {
                format!(
                    "one connection must not fill the shard, so write limits.in_flight_per_connection ({}) or more",
                    limits.in_flight_per_connection
                )
            },
        )?;
        require(limits.fetch_response >= limits.batch, "limits.fetch_response", || {
            format!("an answer must hold the largest batch, so write limits.batch ({}) or more", limits.batch)
        })
    }

    fn validate_counts(&self) -> Rule {
        let limits = &self.limits;
        at_least_one("limits.connections", limits.connections.into())?;
        at_least_one("limits.idle_timeout", limits.idle_timeout.millis())?;
        at_least_one("limits.handshake_timeout", limits.handshake_timeout.millis())?;
        at_least_one("limits.partitions_per_topic", limits.partitions_per_topic.into())?;
        at_least_one("limits.subscriptions_per_connection", limits.subscriptions_per_connection.into())?;
        at_least_one("topics.partitions", self.topics.partitions.into())?;
        require(limits.partitions >= limits.partitions_per_topic, "limits.partitions", || {
            format!(
                "all topics together may have no fewer than one may, so write limits.partitions_per_topic ({}) or more",
                limits.partitions_per_topic
            )
        })?;
        require(self.topics.partitions <= limits.partitions_per_topic, "topics.partitions", || {
            format!("write limits.partitions_per_topic ({}) or less", limits.partitions_per_topic)
        })
    }

    fn validate_segments(&self) -> Rule {
        let log = &self.log;
        block_multiple("log.segment", log.segment)?;
        block_multiple("log.write", log.write)?;
        let smallest = log.write.bytes().saturating_mul(WRITES_PER_SEGMENT);
        require(log.segment.bytes() >= smallest, "log.segment", || {
            format!(
                "a segment holds at least {WRITES_PER_SEGMENT} writes: write {} or more, or lower log.write",
                ByteSize::new(smallest)
            )
        })?;
        let two_batches = self.limits.batch.bytes().saturating_mul(2);
        require(log.segment.bytes() >= two_batches, "log.segment", || {
            format!(
                "a segment holds at least two of the largest batches: write {} or more, or lower limits.batch",
                ByteSize::new(two_batches)
            )
        })?;
        require(log.segment <= ByteSize::mib(4096), "log.segment", || {
            "a start after a crash reads the newest segment again: write 4 GiB or less".to_owned()
        })?;
        require(log.tail_cache >= log.write, "log.tail_cache", || {
            format!("the newest write must fit, so write log.write ({}) or more", log.write)
        })?;
        require((0.0..=0.9).contains(&log.clean_below), "log.clean_below", || {
            "write a share from 0.0 (never) to 0.9".to_owned()
        })
    }

    fn validate_disk_traffic(&self) -> Rule {
        let log = &self.log;
        for (key, count) in
            [("log.writes_in_flight", log.writes_in_flight), ("log.reads_in_flight", log.reads_in_flight)]
        {
            require((1..=MOST_IN_FLIGHT).contains(&count), key, || {
                format!("write a number from 1 to {MOST_IN_FLIGHT}")
            })?;
        }
        block_multiple("log.read_ahead", log.read_ahead)?;
        require(log.read_ahead <= log.segment, "log.read_ahead", || {
            format!("write the size of a segment, log.segment ({}), or less", log.segment)
        })?;
        require(log.clean_bandwidth >= BLOCK, "log.clean_bandwidth", || {
            format!("write {BLOCK} or more; to turn copying off, set log.clean_below to 0.0")
        })
    }

    fn validate_logging(&self) -> Rule {
        let filter = crate::logging::filter(&self.logging.level);
        filter.map(drop).map_err(|error| Broken("logging.level", error.to_string()))
    }
}

/// Whether the text is a host name or an IP address, or empty.
fn is_host(text: &str) -> bool {
    let is_name = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':' || c == '/');
    is_name || text.parse::<IpAddr>().is_ok()
}

fn block_multiple(key: &'static str, size: ByteSize) -> Rule {
    let holds = size >= BLOCK && size.bytes().is_multiple_of(BLOCK.bytes());
    require(holds, key, || format!("disks are written in blocks: write a multiple of {BLOCK}"))
}
