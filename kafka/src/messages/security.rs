//! SASL, access control lists, SCRAM credentials, quotas.

use crate::codec::{Blob, Str, message};

message! {
    /// Which mechanism is to be used. After version 0 tokens follow without frames of this protocol.
    pub struct SaslHandshakeRequest<'a> {
        mechanism: Str<'a>,
    }

    /// Which there are.
    pub struct SaslHandshakeResponse<'a> {
        error_code: i16,
        mechanisms: Vec<Str<'a>>,
    }

    /// A step of the mechanism.
    pub struct SaslAuthenticateRequest<'a> {
        auth_bytes: Blob<'a>,
    }

    /// The answer to it.
    pub struct SaslAuthenticateResponse<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        auth_bytes: Blob<'a>,
        session_lifetime_ms: i64 [1..],
    }

    /// Asks for access control lists; null matches everything.
    pub struct DescribeAclsRequest<'a> {
        resource_type_filter: i8,
        resource_name_filter: Option<Str<'a>>,
        pattern_type_filter: i8 = 3,
        principal_filter: Option<Str<'a>>,
        host_filter: Option<Str<'a>>,
        operation: i8,
        permission_type: i8,
    }

    /// The lists.
    pub struct DescribeAclsResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        resources: Vec<AclResource<'a>>,
    }

    /// Of one resource.
    pub struct AclResource<'a> {
        resource_type: i8,
        resource_name: Str<'a>,
        pattern_type: i8 = 3,
        acls: Vec<AclEntry<'a>>,
    }

    /// One entry.
    pub struct AclEntry<'a> {
        principal: Str<'a>,
        host: Str<'a>,
        operation: i8,
        permission_type: i8,
    }

    /// Adds entries.
    pub struct CreateAclsRequest<'a> {
        creations: Vec<AclCreation<'a>>,
    }

    /// One of them.
    pub struct AclCreation<'a> {
        resource_type: i8,
        resource_name: Str<'a>,
        resource_pattern_type: i8 = 3,
        principal: Str<'a>,
        host: Str<'a>,
        operation: i8,
        permission_type: i8,
    }

    /// Which were added.
    pub struct CreateAclsResponse<'a> {
        throttle_time_ms: i32,
        results: Vec<AclResult<'a>>,
    }

    /// One of them.
    pub struct AclResult<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
    }

    /// Takes entries away.
    pub struct DeleteAclsRequest<'a> {
        filters: Vec<AclFilter<'a>>,
    }

    /// Which of them are meant.
    pub struct AclFilter<'a> {
        resource_type_filter: i8,
        resource_name_filter: Option<Str<'a>>,
        pattern_type_filter: i8 = 3,
        principal_filter: Option<Str<'a>>,
        host_filter: Option<Str<'a>>,
        operation: i8,
        permission_type: i8,
    }

    /// Which were taken away.
    pub struct DeleteAclsResponse<'a> {
        throttle_time_ms: i32,
        filter_results: Vec<DeletedAcls<'a>>,
    }

    /// By one filter.
    pub struct DeletedAcls<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        matching_acls: Vec<DeletedAcl<'a>>,
    }

    /// One of them.
    pub struct DeletedAcl<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        resource_type: i8,
        resource_name: Str<'a>,
        pattern_type: i8 = 3,
        principal: Str<'a>,
        host: Str<'a>,
        operation: i8,
        permission_type: i8,
    }

    /// Asks for SCRAM credentials; null for all users.
    pub struct DescribeUserScramCredentialsRequest<'a> {
        users: Option<Vec<ScramUser<'a>>>,
    }

    /// A user.
    pub struct ScramUser<'a> {
        name: Str<'a>,
    }

    /// The credentials, without what is secret.
    pub struct DescribeUserScramCredentialsResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        results: Vec<ScramCredentials<'a>>,
    }

    /// Of one user.
    pub struct ScramCredentials<'a> {
        user: Str<'a>,
        error_code: i16,
        error_message: Option<Str<'a>>,
        credential_infos: Vec<ScramCredential>,
    }

    /// One of them.
    pub struct ScramCredential {
        /// 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
        iterations: i32,
    }

    /// Changes SCRAM credentials.
    pub struct AlterUserScramCredentialsRequest<'a> {
        deletions: Vec<ScramDeletion<'a>>,
        upsertions: Vec<ScramUpsertion<'a>>,
    }

    /// Deletes one.
    pub struct ScramDeletion<'a> {
        name: Str<'a>,
        mechanism: i8,
    }

    /// Sets one.
    pub struct ScramUpsertion<'a> {
        name: Str<'a>,
        mechanism: i8,
        iterations: i32,
        salt: Blob<'a>,
        salted_password: Blob<'a>,
    }

    /// Which were changed.
    pub struct AlterUserScramCredentialsResponse<'a> {
        throttle_time_ms: i32,
        results: Vec<ScramResult<'a>>,
    }

    /// Of one user.
    pub struct ScramResult<'a> {
        user: Str<'a>,
        error_code: i16,
        error_message: Option<Str<'a>>,
    }

    /// Asks for quotas.
    pub struct DescribeClientQuotasRequest<'a> {
        components: Vec<QuotaFilter<'a>>,
        strict: bool,
    }

    /// Which of them are meant.
    pub struct QuotaFilter<'a> {
        entity_type: Str<'a>,
        /// 0 of that name, 1 the default, 2 any.
        match_type: i8,
        name: Option<Str<'a>>,
    }

    /// The quotas. `entries` is dereferenced by Java: null only with an error.
    pub struct DescribeClientQuotasResponse<'a> {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<Str<'a>>,
        entries: Option<Vec<QuotaEntry<'a>>> = Some(Vec::new()),
    }

    /// Of one entity.
    pub struct QuotaEntry<'a> {
        entity: Vec<QuotaEntity<'a>>,
        values: Vec<QuotaValue<'a>>,
    }

    /// A part of its name; null for the default.
    pub struct QuotaEntity<'a> {
        entity_type: Str<'a>,
        entity_name: Option<Str<'a>>,
    }

    /// One quota.
    pub struct QuotaValue<'a> {
        key: Str<'a>,
        value: f64,
    }

    /// Changes quotas.
    pub struct AlterClientQuotasRequest<'a> {
        entries: Vec<QuotaAlteration<'a>>,
        /// Whether only to say what would happen.
        validate_only: bool,
    }

    /// Of one entity.
    pub struct QuotaAlteration<'a> {
        entity: Vec<QuotaEntity<'a>>,
        ops: Vec<QuotaOp<'a>>,
    }

    /// One quota.
    pub struct QuotaOp<'a> {
        key: Str<'a>,
        value: f64,
        remove: bool,
    }

    /// Which were changed.
    pub struct AlterClientQuotasResponse<'a> {
        throttle_time_ms: i32,
        entries: Vec<QuotaResult<'a>>,
    }

    /// Of one entity.
    pub struct QuotaResult<'a> {
        error_code: i16,
        error_message: Option<Str<'a>>,
        entity: Vec<QuotaEntity<'a>>,
    }
}
