//! Many clients that join, crash, leave and commit, at random, with restarts and a disk that is full at times: no offset is
//! lost, no partition has two owners in a generation, and in the end all have their parts.

use std::collections::{BTreeMap, BTreeSet};

use ringmail_coordinator::machine::{CallId, Producer, WriteError};
use ringmail_kafka::error::ErrorCode::{self, *};

use super::client::*;
use super::host::*;

const PARTITIONS: u8 = 8;
const STEPS: usize = 500;
const SEEDS: u64 = 150;
const GROUPS: [&str; 2] = ["g", "h"];

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

enum State {
    Out,
    Joining(CallId),
    Syncing(CallId),
    In,
}

struct Client {
    joiner: Joiner,
    state: State,
    member: Option<Member>,
    owned: Vec<u8>,
}

/// Who owns what in a generation, by the id that a client keeps.
type Owners = BTreeMap<(String, i32), BTreeMap<String, Vec<u8>>>;

impl Client {
    fn new(number: usize) -> Self {
        let mut joiner = Joiner::new(GROUPS[number % GROUPS.len()]);
        match number % 3 {
            0 => joiner = joiner.instance(&format!("i{number}")),
            1 => joiner = joiner.version(3),
            _ => {}
        }
        joiner.client_id = format!("c{number}");
        Self { joiner, state: State::Out, member: Option::None, owned: Vec::new() }
    }

    fn member(&self) -> &Member {
        self.member.as_ref().expect("it has joined")
    }

    /// It does not know any more who it was.
    fn crash(&mut self) {
        self.joiner.id.clear();
        self.state = State::Out;
        self.owned.clear();
    }

    fn refused(&mut self, error: ErrorCode) {
        match error {
            RebalanceInProgress | CoordinatorNotAvailable | UnknownServerError => self.state = State::Out,
            UnknownMemberId | FencedInstanceId | IllegalGeneration => self.crash(),
            other => panic!("{other:?} is no answer to what a client may do"),
        }
    }

    /// Does what a client does next.
    fn act(&mut self, host: &mut Host, owners: &mut Owners) {
        match self.state {
            State::Out => self.state = State::Joining(self.joiner.join(host)),
            State::Joining(call) => self.has_joined(call, host),
            State::Syncing(call) => self.has_synced(call, host, owners),
            State::In => match self.member().heartbeat(host) {
                None => {}
                error => self.refused(error),
            },
        }
    }

    fn has_joined(&mut self, call: CallId, host: &mut Host) {
        let Some(answer) = joined(host, call) else { return };
        if answer.error_code != 0 {
            return self.refused(error(answer.error_code));
        }
        let member = Member::new(&self.joiner, &answer);
        self.joiner.id = member.id.clone();
        let assign = !member.leads.is_empty() && !member.skips;
        let mut parts: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for partition in (0..PARTITIONS).filter(|_| assign) {
            let owner = &member.leads[usize::from(partition) % member.leads.len()];
            parts.entry(owner).or_default().push(partition);
        }
        let parts: Vec<(&str, &[u8])> = parts.iter().map(|(&id, part)| (id, part.as_slice())).collect();
        self.state = State::Syncing(member.sync(host, &parts));
        self.member = Some(member);
    }

    fn has_synced(&mut self, call: CallId, host: &mut Host, owners: &mut Owners) {
        let Some(answer) = synced(host, call) else { return };
        if answer.error_code != 0 {
            return self.refused(error(answer.error_code));
        }
        self.owned = answer.assignment.into_owned();
        self.state = State::In;
        let member = self.member();
        let name = member.instance.as_ref().unwrap_or(&member.id).clone();
        let of_generation = owners.entry((member.group.clone(), member.generation)).or_default();
        of_generation.insert(name, self.owned.clone());
        let all: Vec<u8> = of_generation.values().flatten().copied().collect();
        let distinct: BTreeSet<u8> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len(), "two owners of one partition: {of_generation:?}");
    }
}

/// Offsets by group and partition, each with when it was given.
type Positions = BTreeMap<(&'static str, i32), (u64, i64)>;

/// What offsets there must be.
#[derive(Default)]
struct Model {
    last: u64,
    committed: Positions,
    staged: BTreeMap<i64, Positions>,
}

impl Model {
    fn commit(&mut self, group: &'static str, partition: i32, offset: i64) {
        self.last += 1;
        self.committed.insert((group, partition), (self.last, offset));
    }

    fn stage(&mut self, producer: i64, group: &'static str, offset: i64) {
        self.last += 1;
        self.staged.entry(producer).or_default().insert((group, 0), (self.last, offset));
    }

    fn mark(&mut self, producer: i64, commit: bool) {
        let staged = self.staged.remove(&producer).unwrap_or_default();
        for (at, offset) in staged.into_iter().filter(|_| commit) {
            let now = self.committed.entry(at).or_insert(offset);
            *now = offset.max(*now);
        }
    }

    fn check(&self, host: &mut Host) {
        for group in GROUPS {
            for partition in 0..i32::from(PARTITIONS) {
                let expected = self.committed.get(&(group, partition)).map_or(-1, |&(_, offset)| offset);
                assert_eq!(fetch(host, group, "a", partition).committed_offset, expected);
                let unstable =
                    partition == 0 && self.staged.values().any(|staged| staged.contains_key(&(group, 0)));
                let stable = fetch_with(host, group, "a", partition, true);
                assert_eq!(error(stable.error_code) == UnstableOffsetCommit, unstable);
            }
        }
    }
}

struct World {
    random: Random,
    host: Host,
    clients: Vec<Client>,
    owners: Owners,
    model: Model,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let clients = (0..2 + random.below(9) as usize).map(Client::new).collect();
        Self { random, host: Host::new(), clients, owners: Owners::new(), model: Model::default() }
    }

    fn step(&mut self) {
        let who = self.random.below(self.clients.len() as u64) as usize;
        self.host.refuse = self.random.one_in(20).then_some(WriteError::Unavailable);
        match self.random.below(100) {
            0 => self.restart(),
            1..4 => self.clients[who].crash(),
            4..7 => self.leave(who),
            7..20 => self.commit(who),
            20..25 => self.stage(),
            25..28 => self.mark(),
            28..40 => {
                let ms = self.random.below(2000);
                self.host.advance(ms);
            }
            _ => self.clients[who].act(&mut self.host, &mut self.owners),
        }
    }

    fn restart(&mut self) {
        if self.random.one_in(2) {
            self.host.compact();
        }
        self.host.restart();
        for client in &mut self.clients {
            if matches!(client.state, State::Joining(_) | State::Syncing(_)) {
                client.state = State::Out;
            }
        }
    }

    fn leave(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if let State::In = client.state {
            let error = client.member().leave(&mut self.host);
            assert!(matches!(error, None | UnknownMemberId | FencedInstanceId), "{error:?}");
            client.crash();
        }
    }

    fn commit(&mut self, who: usize) {
        let client = &mut self.clients[who];
        let State::In = client.state else { return };
        let offset = self.random.below(1 << 40) as i64;
        let Some(&partition) = client.owned.first() else { return };
        let member = client.member();
        let mut request =
            commit_request(&member.group, (&member.id, member.generation), "a", partition.into(), offset);
        request.group_instance_id = member.instance.as_deref().map(Into::into);
        match commit_with(&mut self.host, 9, request) {
            None => {
                let group = GROUPS.into_iter().find(|name| *name == member.group).expect("one of them");
                self.model.commit(group, partition.into(), offset);
            }
            error => client.refused(error),
        }
    }

    fn stage(&mut self) {
        let producer = Producer { id: self.random.below(3) as i64, epoch: 0 };
        let (group, offset) = (GROUPS[self.random.below(2) as usize], self.random.below(1 << 40) as i64);
        if stage(&mut self.host, producer, group, "a", offset) == None {
            self.model.stage(producer.id, group, offset);
        }
    }

    fn mark(&mut self) {
        let producer = Producer { id: self.random.below(3) as i64, epoch: 0 };
        let commit = self.random.one_in(2);
        self.host.mark(producer, commit);
        self.model.mark(producer.id, commit);
    }

    /// Nothing is in the way any more: all get their parts.
    fn settle(&mut self) {
        self.host.refuse = Option::None;
        for _ in 0..400 {
            self.host.advance(1000);
            self.clients.iter_mut().for_each(|client| client.act(&mut self.host, &mut self.owners));
        }
        for group in GROUPS {
            let members: Vec<&Client> =
                self.clients.iter().filter(|client| client.joiner.group == group).collect();
            if members.is_empty() {
                continue;
            }
            assert!(members.iter().all(|client| matches!(client.state, State::In)), "not all are members");
            assert_eq!(state(&mut self.host, group), ("Stable".into(), members.len()));
            let mut owned: Vec<u8> = members.iter().flat_map(|client| client.owned.iter().copied()).collect();
            owned.sort_unstable();
            assert_eq!(owned, (0..PARTITIONS).collect::<Vec<_>>());
        }
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_owned_twice() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        println!("seed {seed}, {} clients", world.clients.len());
        for step in 0..STEPS {
            world.step();
            if step % 50 == 0 {
                world.model.check(&mut world.host);
            }
        }
        world.settle();
        world.model.check(&mut world.host);
        world.host.restart();
        world.model.check(&mut world.host);
        for client in &world.clients {
            assert_eq!(client.member().heartbeat(&mut world.host), None);
        }
    }
}
