//! Producers: each does what a client does, and some go on although they are fenced.

use std::collections::{BTreeMap, BTreeSet};

use ringmail_coordinator::machine::{CallId, Producer};
use ringmail_coordinator::partition_for;
use ringmail_coordinator::transactions::GROUPS_TOPIC;
use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Request;
use ringmail_kafka::messages::transactions::AddOffsetsToTxnRequest;

use super::history::{History, order};
use super::{Chance, Seen};
use crate::host::{Host, TIMEOUT_MS, add_request, end_request, init_request};

const IDS: [&str; 3] = ["p", "q", "r"];
const CLIENTS_PER_ID: usize = 3;

/// What a client waits for.
#[derive(Debug, Clone)]
enum Asked {
    Init,
    Add((String, i32)),
    Offsets((String, i32)),
    End(bool),
}

#[derive(Debug)]
pub struct Client {
    id: &'static str,
    /// Of EndTxn; 5 means transactions of version 2.
    version: i16,
    producer: Option<Producer>,
    /// What was acknowledged to be part of the transaction.
    added: BTreeSet<(String, i32)>,
    /// How it wants the transaction to end: it asks until it knows that it did.
    ending: Option<bool>,
    /// With the newest producer of all when it asked.
    waiting: Option<(CallId, Asked, Option<Producer>)>,
}

#[derive(Debug)]
pub struct Clients {
    clients: Vec<Client>,
    /// The newest producer of each transactional id that anybody was told.
    newest: BTreeMap<&'static str, Producer>,
    /// Which client was told which producer.
    told: BTreeMap<(i64, i16), usize>,
}

impl Clients {
    pub fn new(chance: &mut Chance) -> Self {
        let mut client = |id| Client {
            id,
            version: if chance.one_in(2) { 4 } else { 5 },
            producer: None,
            added: BTreeSet::new(),
            ending: None,
            waiting: None,
        };
        let clients = IDS.into_iter().flat_map(|id| [id; CLIENTS_PER_ID]).map(&mut client).collect();
        Self { clients, newest: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Their connections are lost, and the answers with them.
    pub fn restarted(&mut self) {
        self.clients.iter_mut().for_each(|client| client.waiting = None);
    }

    /// One of them does something.
    pub fn act(&mut self, host: &mut Host, history: &History, chance: &mut Chance, seen: &mut Seen) {
        let index = chance.below(self.clients.len());
        if self.clients[index].waiting.is_some() {
            return self.take_answer(index, host, history, chance, seen);
        }
        let newest = self.newest.get(self.clients[index].id).copied();
        let client = &mut self.clients[index];
        // If all began at once they would do nothing but fence each other.
        if client.producer.is_none() && newest.is_some() && !chance.one_in(12) {
            return;
        }
        let (version, request, asked) = client.next(chance);
        client.waiting = Some((host.ask(version, request), asked, newest));
    }

    pub fn take_answers(&mut self, host: &mut Host, history: &History, chance: &mut Chance, seen: &mut Seen) {
        for index in 0..self.clients.len() {
            self.take_answer(index, host, history, chance, seen);
        }
    }

    fn take_answer(
        &mut self,
        index: usize,
        host: &mut Host,
        history: &History,
        chance: &mut Chance,
        seen: &mut Seen,
    ) {
        let client = &mut self.clients[index];
        let Some((call, ..)) = client.waiting else { return };
        if !host.answers.contains_key(&call) {
            return;
        }
        let (call, asked, newest) = client.waiting.take().expect("it waits");
        if chance.one_in(20) {
            // The connection was lost.
            host.answers.remove(&call);
            return;
        }
        let before = client.producer;
        let error = match asked {
            Asked::Init => host.init_answer(call).map(|producer| client.begin(producer)).err(),
            Asked::Add(partition) => host.add_answer(call)[0].known().map(|()| client.add(partition)).err(),
            Asked::Offsets(partition) => {
                host.offsets_answer(call).known().map(|()| client.add(partition)).err()
            }
            Asked::End(commit) => match host.end_answer(call) {
                Ok(producer) => {
                    let old = before.expect("whoever ends has a producer");
                    history.check_ended(host, client.id, old, commit, &client.added);
                    *(if commit { &mut seen.commits } else { &mut seen.aborts }) += 1;
                    client.begin(producer);
                    None
                }
                Err(error) => Some(error),
            },
        };
        match error {
            Some(error) => self.failed(index, error, chance, seen),
            None => {
                self.succeeded(index, before, newest);
                let rotated = newest.filter(|newest| self.newest[self.clients[index].id].id != newest.id);
                seen.rotated += usize::from(rotated.is_some());
            }
        }
    }

    fn succeeded(&mut self, index: usize, before: Option<Producer>, newest: Option<Producer>) {
        let client = &self.clients[index];
        let producer = client.producer.expect("success brings or keeps one");
        if before == Some(producer) {
            let fencing = newest.filter(|newest| order(*newest) > order(producer));
            assert_eq!(fencing, None, "{client:?} does something although it is fenced");
        }
        let owner = *self.told.entry(order(producer)).or_insert(index);
        assert_eq!(owner, index, "two are told to be {producer:?}");
        let newest = self.newest.entry(client.id).or_insert(producer);
        if order(producer) > order(*newest) {
            *newest = producer;
        }
    }

    fn failed(&mut self, index: usize, error: ErrorCode, chance: &mut Chance, seen: &mut Seen) {
        let client = &mut self.clients[index];
        match error {
            ErrorCode::ConcurrentTransactions => seen.concurrent += 1,
            ErrorCode::CoordinatorNotAvailable => {}
            ErrorCode::ProducerFenced
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::InvalidProducerIdMapping => {
                seen.fenced += 1;
                // Zombies do not always know that they are.
                if !chance.one_in(4) {
                    client.stop();
                }
            }
            ErrorCode::InvalidTxnState => {
                seen.late += 1;
                client.stop();
            }
            error => panic!("{error:?} for {client:?}"),
        }
    }
}

impl Client {
    fn begin(&mut self, producer: Producer) {
        self.stop();
        self.producer = Some(producer);
    }

    fn add(&mut self, partition: (String, i32)) {
        self.added.insert(partition);
    }

    fn stop(&mut self) {
        self.producer = None;
        self.added.clear();
        self.ending = None;
    }

    /// What it asks next.
    fn next(&mut self, chance: &mut Chance) -> (i16, Request<'static>, Asked) {
        let Some(producer) = self.producer else {
            return (5, init_request(self.id, TIMEOUT_MS, None), Asked::Init);
        };
        if let Some(commit) = self.ending {
            return (self.version, end_request(self.id, producer, commit), Asked::End(commit));
        }
        match chance.below(24) {
            0 => {
                // It had an error, and wants to go on.
                self.added.clear();
                (5, init_request(self.id, TIMEOUT_MS, Some(producer)), Asked::Init)
            }
            1..10 if !self.added.is_empty() => self.end(producer, chance),
            // Only a client of version 2 may end what never began.
            10 if self.version >= 5 && self.added.is_empty() => {
                self.ending = Some(false);
                (self.version, end_request(self.id, producer, false), Asked::End(false))
            }
            11..14 => {
                let group = if chance.one_in(2) { "g" } else { "h" };
                let request = AddOffsetsToTxnRequest {
                    transactional_id: self.id.into(),
                    producer_id: producer.id,
                    producer_epoch: producer.epoch,
                    group_id: group.into(),
                };
                let partition = (GROUPS_TOPIC.to_owned(), partition_for(group, 50));
                (4, Request::AddOffsetsToTxn(request), Asked::Offsets(partition))
            }
            _ => {
                let partition = (if chance.one_in(2) { "a" } else { "b" }, chance.below(4) as i32);
                let version = if self.version >= 5 { 5 } else { 3 };
                let request = add_request(version, self.id, producer, &[partition], false);
                (version, request, Asked::Add((partition.0.to_owned(), partition.1)))
            }
        }
    }

    fn end(&mut self, producer: Producer, chance: &mut Chance) -> (i16, Request<'static>, Asked) {
        let commit = !chance.one_in(3);
        self.ending = Some(commit);
        (self.version, end_request(self.id, producer, commit), Asked::End(commit))
    }
}

/// A code as a result.
trait Known {
    fn known(self) -> Result<(), ErrorCode>;
}

impl Known for ErrorCode {
    fn known(self) -> Result<(), ErrorCode> {
        if self == ErrorCode::None { Ok(()) } else { Err(self) }
    }
}
