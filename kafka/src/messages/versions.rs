//! What there is and in which versions.

use crate::codec::{Str, message};

message! {
    /// Asks what there is.
    pub struct ApiVersionsRequest<'a> {
        client_software_name: Str<'a> [3..],
        client_software_version: Str<'a> [3..],
    }

    /// What there is. See [`crate::versions`] for how it is put together.
    pub struct ApiVersionsResponse<'a> {
        error_code: i16,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32 [1..],
        supported_features: Vec<SupportedFeature<'a>> [tag 0, 3..],
        /// Counts up with each change of features.
        finalized_features_epoch: i64 [tag 1, 3..] = -1,
        finalized_features: Vec<FinalizedFeature<'a>> [tag 2, 3..],
        zk_migration_ready: bool [tag 3, 3..],
    }

    /// The versions of an API.
    pub struct ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    /// A feature that there could be.
    pub struct SupportedFeature<'a> {
        name: Str<'a>,
        min_version: i16,
        max_version: i16,
    }

    /// A feature that is in force.
    pub struct FinalizedFeature<'a> {
        name: Str<'a>,
        max_version_level: i16,
        min_version_level: i16,
    }
}
