//! Ids that are given out.

use ringmail_kafka::codec::Uuid;

use super::settings::MAX_CLIENT_ID_BYTES;

/// The id of a member: what the client is called, and a UUID that nobody can guess.
pub(crate) fn member_id(name: &str, random: Uuid) -> String {
    let Uuid(mut bytes) = random;
    // A random UUID says that it is one.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// As much of what a client calls itself as goes into ids.
pub(crate) fn client_part(client_id: &str) -> &str {
    &client_id[..client_id.floor_char_boundary(MAX_CLIENT_ID_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_id_is_what_the_client_calls_itself_and_a_random_uuid() {
        let id = member_id("app", Uuid([0xff; 16]));
        assert_eq!(id, "app-ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(client_part(&"ü".repeat(300)).len(), MAX_CLIENT_ID_BYTES - 1);
    }
}
