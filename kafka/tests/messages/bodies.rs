//! Bodies of messages, found by trying: bytes that decode are changed a little, and what decodes to more is kept.

use proptest::prelude::*;
use proptest::test_runner::TestRng;
use ringmail_kafka::api::Api;
use ringmail_kafka::messages::{Request, Response};

/// Either direction of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Request,
    Response,
}

pub const SIDES: [Side; 2] = [Side::Request, Side::Response];

/// What `body` decodes to, encoded again.
pub fn encode_again(side: Side, api: Api, version: i16, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match side {
        Side::Request => Request::decode(api, version, body).ok()?.encode(version, &mut out),
        Side::Response => Response::decode(api, version, body).ok()?.encode(version, &mut out),
    }
    Some(out)
}

/// A body is searched for in so many bytes: what a message does not use is cut off.
const ROOM: usize = 600;
const TRIES: usize = 400;
/// Bodies do not grow further than this: larger ones show nothing new.
const ENOUGH: usize = 300;

/// The byte of which empty lists and strings are made: 1 where lengths are varints and count one more, else 0.
fn filler(api: Api, version: i16) -> u8 {
    api.is_flexible(version).into()
}

/// A body of something, as large and as varied as was found.
pub fn body(rng: &mut TestRng, side: Side, api: Api, version: i16) -> Vec<u8> {
    let filler = filler(api, version);
    // Fillers alone are no body if they say that there is a tagged field, and it is one that is known: other bytes between
    // them help.
    let mut best = (0..TRIES)
        .find_map(|_| {
            let bytes: Vec<u8> = (0..ROOM)
                .map(|_| if rng.random_range(0..4) == 0 { rng.random_range(0..3) } else { filler })
                .collect();
            let length = encode_again(side, api, version, &bytes)?.len();
            Some((bytes, length))
        })
        .unwrap_or_else(|| (vec![filler; ROOM], 0));
    for _ in 0..TRIES {
        let mut bytes = best.0.clone();
        for _ in 0..rng.random_range(1..4) {
            // Changes near the start shift everything after them: make most where the message is.
            let at = rng.random_range(0..(best.1 + 16).min(ROOM));
            bytes[at] = match rng.random_range(0..8) {
                0 => 0,
                1 => 1,
                2 => 2,
                3 => 3,
                4 => 0xff,
                5 => filler,
                6 => rng.random_range(b'a'..=b'z'),
                _ => rng.random(),
            };
        }
        let Some(encoded) = encode_again(side, api, version, &bytes) else { continue };
        if encoded.len() >= best.1 || best.1 > ENOUGH || rng.random_range(0..10) == 0 {
            best = (bytes, encoded.len());
        }
    }
    encode_again(side, api, version, &best.0)
        .unwrap_or_else(|| panic!("no body was found of {side:?} {api:?} {version}"))
}

/// Every API in every version, both ways.
pub fn everything() -> impl Iterator<Item = (Side, Api, i16)> {
    SIDES.into_iter().flat_map(|side| {
        Api::ALL.iter().flat_map(move |api| api.versions().map(move |version| (side, *api, version)))
    })
}
