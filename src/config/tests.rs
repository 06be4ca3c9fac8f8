//! The behaviour of the configuration as a whole, through its public door.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use super::*;

fn error_of(text: &str) -> String {
    let error = Config::from_toml(text, "ringmail.toml").expect_err(text).to_string();
    assert!(!error.contains('\n'), "an error is one line: {error:?}");
    error
}

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn load(args: &ConfigArgs, variables: &[(&str, &str)]) -> Result<Config, String> {
    args.load_with(environment(variables)).map_err(|error| error.to_string())
}

fn set(assignments: &[&str]) -> ConfigArgs {
    ConfigArgs { set: assignments.iter().map(ToString::to_string).collect(), ..ConfigArgs::default() }
}

#[test]
fn the_default_file_says_what_the_defaults_are() {
    let file = Config::from_toml(DEFAULT_TOML, "default.toml").unwrap();
    assert_eq!(file, Config::default());
}

#[test]
fn the_default_file_spells_out_every_key_as_rendered() {
    assert_eq!(Config::default().render(), DEFAULT_TOML);
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(load(&ConfigArgs::default(), &[]), Ok(Config::default()));
    assert_eq!(Config::from_toml("", "empty.toml").unwrap(), Config::default());
}

#[test]
fn sizes_and_durations_can_be_strings_or_whole_numbers() {
    let text = "[log]\nsegment = 134217728\n[limits]\nidle_timeout = 1500\nhandshake_timeout = \"2s\"";
    let config = Config::from_toml(text, "ringmail.toml").unwrap();
    assert_eq!(config.log.segment, ByteSize::mib(128));
    assert_eq!(config.limits.idle_timeout, Millis::new(1_500));
    assert_eq!(config.limits.handshake_timeout, Millis::seconds(2));
}

#[test]
fn a_misspelt_key_is_refused_with_file_line_and_the_nearest_key() {
    assert_eq!(
        error_of("[log]\nwrite = \"1 MiB\"\nsegmnet = \"1 GiB\""),
        "ringmail.toml:3: there is no key log.segmnet; did you mean log.segment?"
    );
    assert_eq!(
        error_of("\n[lgo]\nsegment = \"1 GiB\""),
        "ringmail.toml:3: there is no key lgo.segment; did you mean log.segment?"
    );
    assert_eq!(error_of("[limit]"), "ringmail.toml:1: there is no key limit; did you mean [limits]?");
    assert_eq!(error_of("data = \"here\""), "ringmail.toml:1: there is no key data; did you mean node.data?");
    assert_eq!(
        error_of("[zookeeper]\nconnect = 1"),
        "ringmail.toml:2: there is no key zookeeper.connect; `ringmail config` lists all keys"
    );
}

#[test]
fn a_value_that_a_key_cannot_take_is_refused_with_file_line_and_key() {
    let error = error_of("[log]\n\nsegment = \"1 GB\"");
    assert!(error.starts_with("ringmail.toml:3: log.segment: \"1 GB\" is not a size: write"), "{error}");
    let error = error_of("[log]\nsegment.bytes = 1");
    assert!(error.starts_with("ringmail.toml:2: log.segment: "), "{error}");
    let error = error_of("[limits]\nconnections = -1");
    assert!(error.starts_with("ringmail.toml:2: limits.connections: "), "{error}");
    let error = error_of("[logging]\nformat = \"yaml\"");
    assert!(error.contains("`human`") && error.contains("`json`"), "{error}");
    let error = error_of("log = 1");
    assert!(error.contains("write [log]"), "{error}");
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    let error = error_of("[log]\nsegment = = 1");
    assert!(error.starts_with("ringmail.toml:2: this is not TOML: "), "{error}");
    let error = error_of("[log]\nwrite = 4096\nwrite = 8192");
    assert!(error.starts_with("ringmail.toml:3: this is not TOML: "), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let args = ConfigArgs { config: Some("no/such/file.toml".into()), ..ConfigArgs::default() };
    let error = load(&args, &[]).unwrap_err();
    assert!(
        error.starts_with("cannot read the configuration file no/such/file.toml: No such file"),
        "{error}"
    );
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ringmail.toml");
    fs::write(&path, "[log]\nwrite = 65536\nread_ahead = 65536\ntail_cache = \"16 MiB\"").unwrap();
    let variables = [("RINGMAIL_LOG_READ_AHEAD", "128 KiB"), ("RINGMAIL_LOG_TAIL_CACHE", "32 MiB")];
    let args = ConfigArgs { config: Some(path.clone()), ..set(&["log.tail_cache=64 MiB"]) };
    let config = load(&args, &variables).unwrap();
    assert_eq!(config.log.write, ByteSize::kib(64));
    assert_eq!(config.log.read_ahead, ByteSize::kib(128));
    assert_eq!(config.log.tail_cache, ByteSize::mib(64));
    assert_eq!(config.log.segment, Log::default().segment);

    let by_variable = [("RINGMAIL_CONFIG", path.to_str().unwrap())];
    let config = load(&ConfigArgs::default(), &by_variable).unwrap();
    assert_eq!(config.log.write, ByteSize::kib(64));
}

#[test]
fn every_kind_of_value_can_be_set_in_the_environment_and_by_flags() {
    let variables = [
        ("RINGMAIL_NODE_SHARDS", "3"),
        ("RINGMAIL_LOG_CLEAN_BELOW", "0.5"),
        ("RINGMAIL_KAFKA_SINGLE_PORT", "true"),
        ("RINGMAIL_TOPICS_RETENTION_SIZE", "1 GiB"),
        ("RINGMAIL_LOGGING_FORMAT", "json"),
        ("RINGMAIL_SERVER", "127.0.0.1:7411"),
        ("RINGMAIL_SERVICE_HOST", "10.0.0.7"),
        ("RINGMAIL_PORT_7411_TCP", "tcp://10.0.0.7:7411"),
        ("PATH", "/bin"),
    ];
    let args = ConfigArgs {
        data: Some("elsewhere".to_owned()),
        cores: Some("0-1".to_owned()),
        listen: Some("off".to_owned()),
        ..set(&["topics.retention_time=unlimited"])
    };
    let config = load(&args, &variables).unwrap();
    assert_eq!(config.node.shards, 3);
    assert_eq!(config.log.clean_below, 0.5);
    assert!(config.kafka.single_port);
    assert_eq!(config.topics.retention_size, Limit::At(ByteSize::mib(1024)));
    assert_eq!(config.topics.retention_time, Limit::Unlimited);
    assert_eq!(config.logging.format, LogFormat::Json);
    assert_eq!(config.node.data.to_str(), Some("elsewhere"));
    assert_eq!(config.node.cores, CoreSet::Listed(vec![0, 1]));
    assert_eq!(config.listen.native, ListenAddress::Off);
}

#[test]
fn wrong_variables_are_refused() {
    let error = load(&ConfigArgs::default(), &[("RINGMAIL_LOG_SEGMNET", "1")]).unwrap_err();
    assert_eq!(
        error,
        "environment: there is no key for RINGMAIL_LOG_SEGMNET; did you mean RINGMAIL_LOG_SEGMENT?"
    );
    let error = load(&ConfigArgs::default(), &[("RINGMAIL_NODE_SHARDS", "two")]).unwrap_err();
    assert_eq!(
        error,
        "environment variable RINGMAIL_NODE_SHARDS: node.shards: \"two\" is not a whole number: \
         write one, such as 8"
    );
    let bytes = [("RINGMAIL_NODE_DATA".into(), OsString::from_vec(vec![0xff]))];
    let error = ConfigArgs::default().load_with(bytes).unwrap_err().to_string();
    assert_eq!(error, "environment: the value of RINGMAIL_NODE_DATA is not UTF-8: correct or unset it");
}

#[test]
fn wrong_flags_are_refused() {
    let error = load(&set(&["log.segment"]), &[]).unwrap_err();
    assert!(error.starts_with("--set log.segment: write --set KEY=VALUE"), "{error}");
    let error = load(&set(&["log.segmnet=1"]), &[]).unwrap_err();
    assert_eq!(error, "--set: there is no key log.segmnet; did you mean log.segment?");
    let twice = ConfigArgs { data: Some("a".to_owned()), ..set(&["node.data=b"]) };
    let error = load(&twice, &[]).unwrap_err();
    assert_eq!(error, "--data and --set both set node.data: give one of them");
}

#[test]
fn values_that_do_not_go_together_are_refused_with_what_to_do() {
    for (assignments, expected) in [
        (
            &["log.segment=5000"][..],
            "log.segment = \"5000 B\": disks are written in blocks: write a multiple of 4 KiB",
        ),
        (
            &["log.segment=64 MiB", "log.write=16 MiB"],
            "log.segment = \"64 MiB\": a segment holds at least 8 writes",
        ),
        (&["log.write=0"], "log.write = \"0 B\""),
        (&["log.tail_cache=0"], "log.tail_cache = \"0 B\""),
        (&["log.clean_below=1"], "log.clean_below = 1.0: write a share from 0.0 (never) to 0.9"),
        (&["log.clean_below=nan"], "log.clean_below = nan"),
        (&["log.writes_in_flight=0"], "log.writes_in_flight = 0: write a number from 1 to 64"),
        (&["limits.batch=16 MiB"], "limits.batch = \"16 MiB\": a batch travels inside a request"),
        (
            &["limits.frame=32 MiB"],
            "limits.in_flight_per_connection = \"16 MiB\": the largest request must fit",
        ),
        (&["limits.in_flight_per_shard=8 MiB"], "limits.in_flight_per_shard"),
        (&["limits.fetch_response=1 MiB"], "limits.fetch_response"),
        (&["limits.connections=0"], "limits.connections = 0: write 1 or more"),
        (&["limits.partitions=9"], "limits.partitions = 9"),
        (&["topics.partitions=10001"], "topics.partitions = 10001"),
        (&["listen.native=127.0.0.1:65535"], "listen.native"),
        (&["listen.shard_ports_from=7410", "node.shards=4"], "listen.shard_ports_from = 7410"),
        (&["listen.kafka=127.0.0.1:7413", "node.shards=4"], "listen.kafka = \"127.0.0.1:7413\": its ports"),
        (&["listen.kafka_shard_ports_from=9092"], "listen.kafka_shard_ports_from = 9092"),
        (&["kafka.advertised_port=65535", "node.shards=2"], "kafka.advertised_port = 65535"),
        (&["kafka.advertised_host=broker:9092"], "kafka.advertised_host"),
        (&["kafka.node_id_base=-1"], "kafka.node_id_base = -1"),
        (&["node.data="], "node.data = \"\""),
        (&["node.advertised_host=broker:7411"], "node.advertised_host"),
        (&["logging.level=inof"], "logging.level = \"inof\": \"inof\" is not a level"),
    ] {
        let error = load(&set(assignments), &[]).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn shards_get_the_ports_after_the_shared_one() {
    let ports = |assignments: &[&str]| {
        let listen = load(&set(assignments), &[]).unwrap().listen;
        (listen.first_shard_port(), listen.first_kafka_shard_port())
    };
    assert_eq!(ports(&[]), (7412, 9093));
    assert_eq!(ports(&["listen.native=127.0.0.1:0", "listen.kafka=127.0.0.1:0"]), (0, 0));
    assert_eq!(ports(&["listen.shard_ports_from=9000", "node.shards=4"]), (9000, 9093));
    assert_eq!(ports(&["listen.kafka_shard_ports_from=9500"]), (7412, 9500));
}

#[test]
fn rendering_marks_what_differs_and_keeps_the_comments() {
    let config = load(&set(&["log.segment=64 MiB"]), &[]).unwrap();
    let rendered = config.render();
    assert!(rendered.contains("\nsegment = \"64 MiB\" # default: \"256 MiB\"\n"), "{rendered}");
    assert!(rendered.contains("\n# The size of a segment file."), "{rendered}");
}

/// TOML around the configuration's own names, right and wrong.
fn near_toml() -> impl Strategy<Value = String> {
    let section = prop_oneof!["node|listen|kafka|limits|log|topics|logging", "[a-z.\"]{1,6}"];
    let key = prop_oneof![
        "data|cores|shards|native|frame|batch|segment|write|clean_below|retention_time|level|format",
        "[a-z.\" ]{1,8}"
    ];
    let value = prop_oneof![
        "-?[0-9]{1,20}",
        "\"[0-9]{0,20} ?(B|KiB|TiB|ms|d|x)?\"",
        "[0-9]\\.[0-9]|nan|-inf|true|1979-05-27",
        "\\[1, \\{ a = \"\\\\n\" \\}\\]",
        any::<String>().prop_map(|text| format!("{text:?}")),
    ];
    let line = prop_oneof![
        section.prop_map(|section| format!("[{section}]")),
        (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
    ];
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

fn read_without_panic(text: &str) -> Result<(), TestCaseError> {
    match Config::from_toml(text, "any.toml") {
        Ok(config) => prop_assert_eq!(Config::from_toml(&config.render(), "rendered").unwrap(), config),
        Err(error) => prop_assert!(!error.to_string().contains('\n'), "{error}"),
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in any::<String>()) {
        read_without_panic(&text)?;
    }

    #[test]
    fn no_toml_makes_reading_panic(text in near_toml()) {
        read_without_panic(&text)?;
    }

    #[test]
    fn no_setting_makes_reading_panic(key in "(log|node|listen)\\.[a-z_]{1,9}|[ -~]{0,9}", value in any::<String>()) {
        if let Err(error) = set(&[&format!("{key}={value}")]).load_with([]) {
            let error = error.to_string();
            prop_assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn what_is_rendered_is_read_back(
        data in "[^\u{0}]{1,20}",
        shards in 0..64u16,
        write_blocks in 1..256u64,
        retention in prop_oneof![Just(Limit::Unlimited), any::<u64>().prop_map(|bytes| Limit::At(ByteSize::new(bytes)))],
        clean_below in 0.0..0.9,
    ) {
        let mut config = Config::default();
        config.node.data = data.into();
        config.node.shards = shards;
        config.log.write = ByteSize::kib(4 * write_blocks);
        config.log.clean_below = clean_below;
        config.topics.retention_size = retention;
        prop_assert_eq!(Config::from_toml(&config.render(), "rendered").unwrap(), config);
    }
}
