//! InitProducerId: a producer without transactions is given an id; one with them is its coordinator's business.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::transactions::{InitProducerIdRequest, InitProducerIdResponse};

use crate::kafka::requests::{Handled, Refused, Request};
use crate::kafka::sessions::Sessions;
use crate::kafka::waiter::{Reply, Waiter};
use crate::node::catalog::CatalogError;
use crate::node::logs::{Caller, Logs};

impl Sessions<'_> {
    pub(in crate::kafka) fn init_producer_id(
        &mut self,
        request: &Request<'_>,
        logs: &mut Logs,
    ) -> Result<Handled, Refused> {
        let body = InitProducerIdRequest::decode(request.header.version, request.body)?;
        match body.transactional_id.as_deref() {
            Some("") => self.answer_producer_id(&request.reply, Err(ErrorCode::InvalidRequest)),
            Some(_) => return self.coordinate(request, logs),
            None if self.own.draining => {
                self.answer_producer_id(&request.reply, Err(ErrorCode::CoordinatorNotAvailable));
            }
            None => logs.want_producer_id(Caller::Kafka(Waiter::ProducerId(request.reply))),
        }
        Ok(Handled::Done)
    }

    pub(in crate::kafka) fn gave_producer_id(&mut self, reply: &Reply, id: Result<i64, CatalogError>) {
        self.answer_producer_id(reply, id.map_err(|_| ErrorCode::CoordinatorNotAvailable));
    }

    fn answer_producer_id(&mut self, reply: &Reply, id: Result<i64, ErrorCode>) {
        let response = match id {
            Ok(producer_id) => InitProducerIdResponse { producer_id, ..Default::default() },
            Err(code) => {
                InitProducerIdResponse { error_code: code.number(), producer_epoch: -1, ..Default::default() }
            }
        };
        self.answer(reply, &response);
    }
}
