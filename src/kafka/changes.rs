//! Requests that change the catalog, item by item: each is carried out by itself, and answered for itself, once all are done.

use std::borrow::Cow;
use std::sync::Arc;

use ringmail_kafka::api::Api;
use ringmail_kafka::codec::Uuid;
use ringmail_kafka::error::ErrorCode;

use super::error;
use super::requests::Request;
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::catalog::{CatalogError, Change, Command};
use crate::node::logs::{Caller, Logs};
use crate::node::slab::Key;

/// Items of one request that wait for the keeper of the catalog at once.
const WINDOW: usize = 64;

/// Why an item is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: ErrorCode,
    /// One line: what is wrong and what to do.
    pub(super) words: Cow<'static, str>,
}

impl Fault {
    pub(super) fn new(code: ErrorCode, words: impl Into<Cow<'static, str>>) -> Self {
        Self { code, words: words.into() }
    }
}

impl From<CatalogError> for Fault {
    fn from(refused: CatalogError) -> Self {
        Self::new(error::of_catalog(&refused), refused.to_string())
    }
}

/// How far an item is.
#[derive(Debug)]
enum Step {
    /// This is to be done.
    Wanted(Command),
    /// The keeper has been asked.
    Waiting,
    /// It was done, if there was anything to do; or it was refused.
    Done(Result<Option<Arc<Change>>, Fault>),
}

/// A part of a request.
#[derive(Debug)]
pub(super) struct Item {
    /// The topic, or another resource.
    pub(super) name: Option<String>,
    /// The topic, if it was given so.
    pub(super) id: Uuid,
    /// The type of the resource, where there are several.
    pub(super) resource: i8,
    step: Step,
}

impl Item {
    /// An item that comes to a command, or is refused.
    pub(super) fn new(name: impl Into<String>, command: Result<Command, Fault>) -> Self {
        let step = command.map_or_else(|fault| Step::Done(Err(fault)), Step::Wanted);
        Self { name: Some(name.into()), id: Uuid::ZERO, resource: 0, step }
    }

    /// The same, of a type of resources.
    pub(super) fn of_resource(self, resource: i8) -> Self {
        Self { resource, ..self }
    }

    /// The same, for a topic that was given by its id.
    pub(super) fn of_id(self, id: Uuid) -> Self {
        Self { id, ..self }
    }

    /// What came of it, once all is done.
    pub(super) fn result(&self) -> Result<Option<&Change>, &Fault> {
        match &self.step {
            Step::Done(result) => result.as_ref().map(|change| change.as_deref()),
            Step::Wanted(_) | Step::Waiting => unreachable!("answers are made once all is done"),
        }
    }

    /// Code and words for the answer.
    pub(super) fn error(&self) -> (i16, Option<Cow<'_, str>>) {
        match self.result() {
            Ok(_) => (ErrorCode::None.number(), None),
            Err(fault) => (fault.code.number(), Some(Cow::Borrowed(&fault.words))),
        }
    }
}

/// A request whose items are being carried out.
#[derive(Debug)]
pub(super) struct Changes {
    reply: Reply,
    items: Vec<Item>,
    /// The first item that was not begun.
    next: usize,
    /// Items that the keeper was asked for.
    outstanding: usize,
}

impl Sessions<'_> {
    /// Carries out the items of a request, or only says what would come of them.
    pub(super) fn change(
        &mut self,
        request: &Request<'_>,
        mut items: Vec<Item>,
        validate_only: bool,
        logs: &mut Logs,
    ) {
        let draining = self.own.draining;
        for item in items.iter_mut().filter(|_| validate_only || draining) {
            if let Step::Wanted(command) = std::mem::replace(&mut item.step, Step::Waiting) {
                let going_down =
                    || Fault::new(ErrorCode::NotController, "the broker is shutting down: try again");
                let planned =
                    if draining { Err(going_down()) } else { logs.plan(command).map_err(Fault::from) };
                item.step = Step::Done(planned.map(|change| Some(Arc::new(change))));
            }
        }
        let changes = Changes { reply: request.reply, items, next: 0, outstanding: 0 };
        let key = self.own.changes.insert(changes);
        self.go_on_changing(key, logs);
    }

    /// An item was carried out, or could not be.
    pub(super) fn changed(
        &mut self,
        key: Key,
        part: u32,
        result: Result<Arc<Change>, CatalogError>,
        logs: &mut Logs,
    ) {
        let Some(changes) = self.own.changes.get_mut(key) else { return };
        changes.items[part as usize].step = Step::Done(result.map(Some).map_err(Fault::from));
        changes.outstanding -= 1;
        self.go_on_changing(key, logs);
    }

    fn go_on_changing(&mut self, key: Key, logs: &mut Logs) {
        let Some(changes) = self.own.changes.get_mut(key) else { return };
        while changes.outstanding < WINDOW && changes.next < changes.items.len() {
            let part = changes.next;
            changes.next += 1;
            let step = &mut changes.items[part].step;
            match std::mem::replace(step, Step::Waiting) {
                Step::Wanted(command) => {
                    changes.outstanding += 1;
                    let waiter = Waiter::Change { changes: key, part: part as u32 };
                    logs.change_catalog(command, Caller::Kafka(waiter));
                }
                other => *step = other,
            }
        }
        if changes.outstanding == 0
            && let Some(Changes { reply, items, .. }) = self.own.changes.remove(key)
        {
            self.answer_changes(&reply, &items, logs);
        }
    }

    fn answer_changes(&mut self, reply: &Reply, items: &[Item], logs: &Logs) {
        match reply.api {
            Api::CreateTopics => self.answer_created(reply, items, logs),
            Api::DeleteTopics => self.answer_deleted(reply, items),
            Api::CreatePartitions => self.answer_grown(reply, items),
            Api::AlterConfigs => self.answer_replaced(reply, items),
            Api::IncrementalAlterConfigs => self.answer_altered(reply, items),
            api => unreachable!("{api:?} does not change the catalog"),
        }
    }
}

/// Whether each of these occurs once: those that do not are refused, all of them.
pub(super) fn occur_twice<T: Ord + Clone>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut sorted: Vec<T> = all.collect();
    sorted.sort_unstable();
    let mut twice: Vec<T> =
        sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()).collect();
    twice.dedup();
    twice
}
