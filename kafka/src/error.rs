//! Kafka's error codes.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Why something was refused, in Kafka's words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[repr(i16)]
        pub enum ErrorCode { $($(#[$doc])* $name = $number),* }

        impl ErrorCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code of this number.
            pub fn from_number(number: i16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// Kafka's name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// Something is wrong in the broker; see its log.
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR";
    /// Nothing is wrong.
    #[default]
    None = 0, "NONE";
    /// The offset is before the start of the partition or past its end.
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE";
    /// The checksum or the form of a batch is wrong.
    CorruptMessage = 2, "CORRUPT_MESSAGE";
    /// There is no such topic or partition here.
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION";
    /// The size asked for is not one.
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE";
    /// The partition has no leader yet.
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE";
    /// Another broker leads the partition; fetch the metadata again.
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER";
    /// It took longer than the request allows.
    RequestTimedOut = 7, "REQUEST_TIMED_OUT";
    /// The broker is not there.
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE";
    /// The replica is not there.
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE";
    /// The batch is over the limit of the topic.
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE";
    /// There is a newer controller.
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH";
    /// The metadata of a commit is over the limit.
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE";
    /// The connection was lost.
    NetworkException = 13, "NETWORK_EXCEPTION";
    /// The coordinator is still reading its state.
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS";
    /// There is no coordinator now.
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE";
    /// Another broker coordinates this group or transactional id.
    NotCoordinator = 16, "NOT_COORDINATOR";
    /// Topics may not be called that, or it is an internal one.
    InvalidTopic = 17, "INVALID_TOPIC_EXCEPTION";
    /// The batch is larger than a segment.
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE";
    /// Fewer replicas are in sync than the topic asks for.
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS";
    /// The same, found out after the append.
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND";
    /// `acks` is none of -1, 0 and 1.
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS";
    /// The generation is not that of the group.
    IllegalGeneration = 22, "ILLEGAL_GENERATION";
    /// The member has no protocol in common with the group.
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL";
    /// Groups may not be called that.
    InvalidGroupId = 24, "INVALID_GROUP_ID";
    /// The group has no such member.
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID";
    /// The session timeout is outside what the broker allows.
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT";
    /// The group rebalances; join again.
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS";
    /// The commit is too large to be stored.
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE";
    /// The client may not do that with the topic.
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED";
    /// The client may not do that with the group.
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED";
    /// The client may not do that with the cluster.
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED";
    /// A timestamp is outside what the topic allows.
    InvalidTimestamp = 32, "INVALID_TIMESTAMP";
    /// The broker does not offer the SASL mechanism.
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM";
    /// The request does not fit how far SASL is.
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE";
    /// The version of the API is not offered.
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION";
    /// There is a topic of that name.
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS";
    /// The number of partitions is not one, or lower than it was.
    InvalidPartitions = 37, "INVALID_PARTITIONS";
    /// The replication factor is not possible.
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR";
    /// The assignment of replicas is not possible.
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT";
    /// A configuration key is unknown, or cannot have the value.
    InvalidConfig = 40, "INVALID_CONFIG";
    /// Another broker is the controller.
    NotController = 41, "NOT_CONTROLLER";
    /// The request contradicts itself, or what came before it.
    InvalidRequest = 42, "INVALID_REQUEST";
    /// The format of the stored records does not allow it.
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT";
    /// A policy forbids it.
    PolicyViolation = 44, "POLICY_VIOLATION";
    /// A batch of the producer is missing before this one.
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER";
    /// The batch was stored already.
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER";
    /// There is a newer producer with this id.
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH";
    /// The transaction is not in a state that allows it.
    InvalidTxnState = 48, "INVALID_TXN_STATE";
    /// The producer id is not that of the transactional id.
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING";
    /// The timeout of the transaction is over the limit.
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT";
    /// The transaction before is still being completed; try again.
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS";
    /// There is a newer transaction coordinator.
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED";
    /// The client may not use the transactional id.
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED";
    /// The broker has no security configured.
    SecurityDisabled = 54, "SECURITY_DISABLED";
    /// Not tried, because something before it failed.
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED";
    /// The disk failed.
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR";
    /// There is no such log directory.
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND";
    /// Name or password is wrong.
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED";
    /// Nothing is known of the producer any more.
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID";
    /// The partition is being moved.
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS";
    /// Delegation tokens are switched off.
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED";
    /// There is no such delegation token.
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND";
    /// The token belongs to somebody else.
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH";
    /// Tokens are not given out on this kind of connection.
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED";
    /// The client may not do that with tokens.
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED";
    /// The token has expired.
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED";
    /// The kind of principal is not known.
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE";
    /// The group has members.
    NonEmptyGroup = 68, "NON_EMPTY_GROUP";
    /// There is no such group.
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND";
    /// There is no such fetch session.
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND";
    /// The epoch of the fetch session is not the next one.
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH";
    /// The leader has no listener of this name.
    ListenerNotFound = 72, "LISTENER_NOT_FOUND";
    /// Topics may not be deleted.
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED";
    /// The leader epoch is an old one.
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH";
    /// The leader epoch is newer than the broker knows.
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH";
    /// The client does not know the compression of the batches.
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE";
    /// The broker was restarted.
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH";
    /// The offset is not known yet, shortly after an election.
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE";
    /// Join again with the member id in this answer.
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED";
    /// The preferred leader is not there.
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE";
    /// The group has as many members as it may.
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED";
    /// Another member has taken over the instance id.
    FencedInstanceId = 82, "FENCED_INSTANCE_ID";
    /// No replica can become leader.
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE";
    /// The leader is the preferred one already.
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED";
    /// The partition is not being moved.
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS";
    /// The group reads the topic: its offsets cannot be deleted.
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC";
    /// A record breaks a rule of the topic.
    InvalidRecord = 87, "INVALID_RECORD";
    /// A transaction has offsets pending; try again.
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT";
    /// A quota was exceeded.
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED";
    /// There is a newer producer with the transactional id.
    ProducerFenced = 90, "PRODUCER_FENCED";
    /// There is no such resource.
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND";
    /// A resource is named twice.
    DuplicateResource = 92, "DUPLICATE_RESOURCE";
    /// The credential is not acceptable.
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL";
    /// The voters do not agree.
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET";
    /// The version of the feature is not possible.
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION";
    /// The features could not be updated.
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED";
    /// A forwarded principal could not be read.
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE";
    /// There is no such snapshot.
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND";
    /// The position is past the end of the snapshot.
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE";
    /// There is no topic of that id here.
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID";
    /// The broker id is taken.
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION";
    /// The broker id is not registered.
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED";
    /// The topic has another id.
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID";
    /// The cluster has another id.
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID";
    /// There is no such transactional id.
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND";
    /// A fetch session mixes topic ids and names.
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR";
    /// A replica cannot be in sync.
    IneligibleReplica = 107, "INELIGIBLE_REPLICA";
    /// A leader was elected meanwhile.
    NewLeaderElected = 108, "NEW_LEADER_ELECTED";
    /// The offset is in tiered storage.
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE";
    /// The member epoch was fenced; give up all partitions and join again.
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH";
    /// Another member still has the instance id.
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID";
    /// The group does not have the assignor.
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR";
    /// The member epoch is old; send another heartbeat first.
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH";
    /// The request came to the wrong kind of endpoint.
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE";
    /// The kind of endpoint is not supported.
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE";
    /// The controller is not known.
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID";
    /// The telemetry subscription is old.
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID";
    /// The telemetry is too large.
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE";
    /// The registration of the broker is not valid.
    InvalidRegistration = 119, "INVALID_REGISTRATION";
    /// The transaction can only be aborted.
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE";
    /// The record is not in a state that allows it.
    InvalidRecordState = 121, "INVALID_RECORD_STATE";
    /// There is no such share session.
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND";
    /// The epoch of the share session is not the next one.
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH";
    /// The epoch of the share state is an old one.
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH";
    /// The key of the voter is another.
    InvalidVoterKey = 125, "INVALID_VOTER_KEY";
    /// The voter is one already.
    DuplicateVoter = 126, "DUPLICATE_VOTER";
    /// There is no such voter.
    VoterNotFound = 127, "VOTER_NOT_FOUND";
    /// The regular expression is not one.
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION";
    /// The client is to begin again from its bootstrap servers.
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED";
    /// The topology is not valid.
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY";
    /// The epoch of the topology is not valid.
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH";
    /// The epoch of the topology is an old one.
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED";
    /// There are as many share sessions as there may be.
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED";
}

impl ErrorCode {
    /// The number in answers.
    #[inline]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// Whether clients try again by themselves.
    pub fn is_retriable(self) -> bool {
        matches!(
            self,
            Self::CorruptMessage
                | Self::UnknownTopicOrPartition
                | Self::LeaderNotAvailable
                | Self::NotLeaderOrFollower
                | Self::RequestTimedOut
                | Self::ReplicaNotAvailable
                | Self::NetworkException
                | Self::CoordinatorLoadInProgress
                | Self::CoordinatorNotAvailable
                | Self::NotCoordinator
                | Self::NotEnoughReplicas
                | Self::NotEnoughReplicasAfterAppend
                | Self::NotController
                | Self::ConcurrentTransactions
                | Self::KafkaStorageError
                | Self::FetchSessionIdNotFound
                | Self::InvalidFetchSessionEpoch
                | Self::ListenerNotFound
                | Self::FencedLeaderEpoch
                | Self::UnknownLeaderEpoch
                | Self::OffsetNotAvailable
                | Self::PreferredLeaderNotAvailable
                | Self::EligibleLeadersNotAvailable
                | Self::ElectionNotNeeded
                | Self::UnstableOffsetCommit
                | Self::ThrottlingQuotaExceeded
                | Self::UnknownTopicId
                | Self::InconsistentTopicId
                | Self::FetchSessionTopicIdError
                | Self::ShareSessionNotFound
                | Self::InvalidShareSessionEpoch
                | Self::ShareSessionLimitReached
        )
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.number()
    }
}
