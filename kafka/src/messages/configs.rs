//! Configuration of topics, brokers and groups.

use crate::codec::{Str, message};

message! {
    /// What is configured.
    pub struct DescribeConfigsRequest<'a> {
        resources: Vec<DescribeConfigsResource<'a>>,
        include_synonyms: bool,
        include_documentation: bool [3..],
    }

    /// Of one resource; null for all keys.
    pub struct DescribeConfigsResource<'a> {
        resource_type: i8,
        resource_name: Str<'a>,
        configuration_keys: Option<Vec<Str<'a>>>,
    }

    /// The configuration.
    pub struct DescribeConfigsResponse<'a> {
        throttle_time_ms: i32,
        results: Vec<DescribedConfigs<'a>>,
    }

    /// Of one resource.
    pub struct DescribedConfigs<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        resource_type: i8,
        resource_name: Str<'a>,
        configs: Vec<DescribedConfig<'a>>,
    }

    /// One key.
    pub struct DescribedConfig<'a> {
        name: Str<'a>,
        value: Option<Str<'a>>,
        read_only: bool,
        /// Where the value comes from: 1 the topic, 4 the broker's file, 5 the default.
        config_source: i8 = -1,
        is_sensitive: bool,
        synonyms: Vec<ConfigSynonym<'a>>,
        /// 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password.
        config_type: i8 [3..],
        documentation: Option<Str<'a>> [3..],
    }

    /// What the value would be without the one that counts.
    pub struct ConfigSynonym<'a> {
        name: Str<'a>,
        value: Option<Str<'a>>,
        source: i8,
    }

    /// Replaces configurations: what is not named gets its default again.
    pub struct AlterConfigsRequest<'a> {
        resources: Vec<AlterConfigsResource<'a>>,
        /// Whether only to say what would happen.
        validate_only: bool,
    }

    /// Of one resource.
    pub struct AlterConfigsResource<'a> {
        resource_type: i8,
        resource_name: Str<'a>,
        configs: Vec<AlterableConfig<'a>>,
    }

    /// One key.
    pub struct AlterableConfig<'a> {
        name: Str<'a>,
        value: Option<Str<'a>>,
    }

    /// Which were replaced.
    pub struct AlterConfigsResponse<'a> {
        throttle_time_ms: i32,
        responses: Vec<AlteredConfigs<'a>>,
    }

    /// Of one resource.
    pub struct AlteredConfigs<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        resource_type: i8,
        resource_name: Str<'a>,
    }

    /// Changes single keys.
    pub struct IncrementalAlterConfigsRequest<'a> {
        resources: Vec<IncrementalAlterConfigsResource<'a>>,
        /// Whether only to say what would happen.
        validate_only: bool,
    }

    /// Of one resource.
    pub struct IncrementalAlterConfigsResource<'a> {
        resource_type: i8,
        resource_name: Str<'a>,
        configs: Vec<IncrementalConfig<'a>>,
    }

    /// One key.
    pub struct IncrementalConfig<'a> {
        name: Str<'a>,
        /// 0 set, 1 delete, 2 append, 3 subtract.
        config_operation: i8,
        value: Option<Str<'a>>,
    }

    /// Which were changed.
    pub struct IncrementalAlterConfigsResponse<'a> {
        throttle_time_ms: i32,
        responses: Vec<AlteredConfigs<'a>>,
    }

    /// Which resources have configurations; before version 1 client metrics alone.
    pub struct ListConfigResourcesRequest {
        resource_types: Vec<i8> [1..],
    }

    /// The resources.
    pub struct ListConfigResourcesResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        config_resources: Vec<ConfigResource<'a>>,
    }

    /// One of them.
    pub struct ConfigResource<'a> {
        resource_name: Str<'a>,
        resource_type: i8 [1..] = 16,
    }
}
