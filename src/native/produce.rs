//! Produce: a batch is handed to its log from where it was received; the answer follows once it is as durable as asked.

use ringmail_shards::api::{AppendError, Appended, Payload};
use ringmail_wire::protocol::{Acks, Message, ProduceRequest, ProduceResponse};

use super::error::Fault;
use super::requests::{Handled, Request};
use super::sessions::Sessions;
use super::waiter::{Reply, Waiter};
use crate::node::logs::{Caller, Logs, Refusal};

impl Sessions<'_> {
    #[inline]
    pub(super) fn produce(&mut self, request: &Request<'_>, logs: &mut Logs) -> Result<Handled, Fault> {
        let ProduceRequest { log, acks, batch } = ProduceRequest::from_body(request.body)?;
        if acks == Acks::None {
            return Ok(self.produce_silently(request, log, batch, logs));
        }
        if self.own.draining {
            return Err(Fault::shutting_down());
        }
        if logs.catalog().is_internal(log) {
            return Err(Fault::internal());
        }
        let reply = request.reply();
        match logs.append(log, Payload::Ringmail(batch), acks, Caller::Native(Waiter::Produce(reply))) {
            Ok(()) => {
                self.begin(&reply);
                Ok(Handled::Done)
            }
            Err(Refusal::Busy(shard)) => Ok(self.stall(request, shard)),
            Err(Refusal::Error(error)) => Err(error.into()),
        }
    }

    /// A client that wants no answer gets none, whatever happens.
    fn produce_silently(
        &mut self,
        request: &Request<'_>,
        log: u64,
        batch: &[u8],
        logs: &mut Logs,
    ) -> Handled {
        let begun = if self.own.draining {
            Err(Refusal::Error(AppendError::Closed))
        } else if logs.catalog().is_internal(log) {
            Err(Refusal::Error(AppendError::UnknownLog(log)))
        } else {
            logs.append(log, Payload::Ringmail(batch), Acks::None, Caller::Native(Waiter::Unacknowledged))
        };
        match begun {
            Ok(()) => Handled::Done,
            Err(Refusal::Busy(shard)) => self.stall(request, shard),
            Err(Refusal::Error(error)) => {
                self.produce_failed_silently(error);
                Handled::Done
            }
        }
    }

    pub(super) fn produce_failed_silently(&mut self, error: AppendError) {
        self.own.refused_silently += 1;
        let total = self.own.refused_silently;
        let Fault { code, message } = error.into();
        tracing::debug!(?code, %message, total, "a batch was refused whose producer wants no acknowledgement");
    }

    #[inline]
    pub(super) fn produced(&mut self, reply: Reply, result: Result<Appended, AppendError>) {
        self.settle(&reply);
        match result {
            Ok(Appended { base_offset, .. }) => self.answer(&reply, &ProduceResponse { base_offset }),
            Err(error) => self.refuse(&reply, &error.into()),
        }
    }
}
