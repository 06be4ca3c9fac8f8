//! The answer to ApiVersions: how clients find out what they talk to.
//!
//! It is the one request that is answered whatever its version: the client cannot know yet which there are. One of a version
//! past the last is answered in version 0 with error 35 and the versions of ApiVersions itself, so that the client can ask
//! again (KIP-35, KIP-511).

use crate::api::Api;
use crate::codec::DecodeError;
use crate::error::ErrorCode;
use crate::frame::{RequestHeader, put_response};
use crate::messages::Body;
use crate::messages::versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeature, SupportedFeature,
};

/// Clients that ask in versions before this one cannot read a feature whose lowest level is 0 (KAFKA-17492).
const LEVEL_ZERO_SINCE: i16 = 4;

/// A feature of the cluster, such as `transaction.version` (2: KIP-890) or `group.version` (1: KIP-848).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Kafka's name.
    pub name: &'static str,
    /// The lowest level that there could be.
    pub min: i16,
    /// The highest level that there could be.
    pub max: i16,
    /// The level that is in force; 0 for none.
    pub finalized: i16,
}

/// What a broker offers.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The APIs that it implements.
    pub apis: &'a [Api],
    /// Its features.
    pub features: &'a [Feature],
    /// Counts up with each change of features.
    pub features_epoch: i64,
}

impl Offer<'_> {
    /// Appends the whole answer to the request with this header and body.
    ///
    /// # Errors
    /// If the body is malformed.
    pub fn answer(
        &self,
        header: &RequestHeader<'_>,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        if !Api::ApiVersions.versions().contains(&header.version) {
            let answer = refusal(ErrorCode::UnsupportedVersion, vec![offered(Api::ApiVersions)]);
            put_response(out, 0, header.correlation, &answer);
            return Ok(());
        }
        let request = ApiVersionsRequest::decode(header.version, body)?;
        let named = is_software_name(&request.client_software_name)
            && is_software_name(&request.client_software_version);
        let answer = if named || header.version < 3 {
            self.response(header.version)
        } else {
            refusal(ErrorCode::InvalidRequest, Vec::new())
        };
        put_response(out, header.version, header.correlation, &answer);
        Ok(())
    }

    /// What is offered, for a client that asks in this version.
    pub fn response(&self, version: i16) -> ApiVersionsResponse<'static> {
        let readable = |feature: &&Feature| feature.min > 0 || version >= LEVEL_ZERO_SINCE;
        let supported =
            |f: &Feature| SupportedFeature { name: f.name.into(), min_version: f.min, max_version: f.max };
        let finalized = |f: &Feature| FinalizedFeature {
            name: f.name.into(),
            max_version_level: f.finalized,
            min_version_level: f.finalized,
        };
        ApiVersionsResponse {
            api_keys: self.apis.iter().copied().map(offered).collect(),
            supported_features: self.features.iter().filter(readable).map(supported).collect(),
            finalized_features_epoch: self.features_epoch,
            finalized_features: self.features.iter().filter(|f| f.finalized > 0).map(finalized).collect(),
            ..ApiVersionsResponse::default()
        }
    }
}

fn refusal(code: ErrorCode, api_keys: Vec<ApiVersion>) -> ApiVersionsResponse<'static> {
    ApiVersionsResponse { error_code: code.number(), api_keys, ..ApiVersionsResponse::default() }
}

fn offered(api: Api) -> ApiVersion {
    let info = api.info();
    ApiVersion { api_key: info.key, min_version: info.first_offered, max_version: info.last }
}

/// Whether clients may give this as the name or version of their software: letters and digits, with dashes and dots
/// between them (KIP-511).
pub fn is_software_name(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
    let outer = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    outer(bytes.first()) && outer(bytes.last()) && bytes.iter().copied().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer<'_> = Offer {
        apis: Api::ALL,
        features: &[
            Feature { name: "transaction.version", min: 0, max: 2, finalized: 2 },
            Feature { name: "group.version", min: 0, max: 1, finalized: 0 },
            Feature { name: "metadata.version", min: 7, max: 25, finalized: 25 },
        ],
        features_epoch: 3,
    };

    fn answer(version: i16, name: &'static str) -> Vec<u8> {
        let header = RequestHeader { api: Api::ApiVersions, version, correlation: 5, client_id: None };
        let request =
            ApiVersionsRequest { client_software_name: name.into(), client_software_version: "1.0".into() };
        let mut body = Vec::new();
        request.encode(version.min(4), &mut body);
        let mut out = Vec::new();
        OFFER.answer(&header, &body, &mut out).unwrap();
        out
    }

    #[test]
    fn a_version_past_the_last_is_answered_in_version_0() {
        // Length, correlation id, error 35, one API: key 18, versions 0 to 4. No tags, no throttle time.
        let expected = [&[0, 0, 0, 16, 0, 0, 0, 5, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4][..]].concat();
        assert_eq!(answer(5, "x"), expected);
        assert_eq!(answer(i16::MAX, "x"), expected);
        assert_eq!(answer(-1, "x"), expected);
    }

    #[test]
    fn every_version_lists_the_whole_table() {
        for version in 0..=4 {
            let out = answer(version, "client");
            // The header of this answer never has tags.
            let response = ApiVersionsResponse::decode(version, &out[8..]).unwrap();
            assert_eq!((response.error_code, response.api_keys.len()), (0, Api::ALL.len()));
            let produce = &response.api_keys[0];
            assert_eq!((produce.api_key, produce.min_version, produce.max_version), (0, 0, 13));
            assert!(response.api_keys.iter().all(|api| api.min_version <= api.max_version));
        }
    }

    #[test]
    fn features_whose_lowest_level_is_0_are_told_only_to_those_who_can_read_them() {
        let names = |version| {
            let response = OFFER.response(version);
            response.supported_features.iter().map(|f| f.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(3), ["metadata.version"]);
        assert_eq!(names(4), ["transaction.version", "group.version", "metadata.version"]);
        let finalized = OFFER.response(3).finalized_features;
        let levels: Vec<_> = finalized.iter().map(|f| (&*f.name, f.max_version_level)).collect();
        assert_eq!(levels, [("transaction.version", 2), ("metadata.version", 25)]);
    }

    #[test]
    fn names_of_client_software() {
        for name in ["a", "apache-kafka-java", "4.1.0", "a--.b"] {
            assert!(is_software_name(name), "{name}");
        }
        for name in ["", "-a", "a.", "a b", "a/b", "\u{fc}"] {
            assert!(!is_software_name(name), "{name}");
        }
        let refused = answer(3, "not a name");
        let response = ApiVersionsResponse::decode(3, &refused[8..]).unwrap();
        assert_eq!((response.error_code, response.api_keys.len()), (42, 0));
    }
}
