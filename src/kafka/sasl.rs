//! SASL: there is none yet. Clients that want to authenticate are told so as by a broker whose listener asks for no
//! authentication.

use ringmail_kafka::error::ErrorCode;
use ringmail_kafka::messages::Body;
use ringmail_kafka::messages::security::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};

use super::requests::{Handled, Refused, Request};
use super::sessions::Sessions;

impl Sessions<'_> {
    pub(super) fn sasl_handshake(&mut self, request: &Request<'_>) -> Result<Handled, Refused> {
        SaslHandshakeRequest::decode(request.header.version, request.body)?;
        let error_code = ErrorCode::IllegalSaslState.number();
        self.answer(&request.reply, &SaslHandshakeResponse { error_code, mechanisms: Vec::new() });
        Ok(Handled::Done)
    }

    pub(super) fn sasl_authenticate(&mut self, request: &Request<'_>) -> Result<Handled, Refused> {
        SaslAuthenticateRequest::decode(request.header.version, request.body)?;
        let words = "this listener asks for no authentication: connect without SASL";
        let response = SaslAuthenticateResponse {
            error_code: ErrorCode::IllegalSaslState.number(),
            error_message: Some(words.into()),
            ..SaslAuthenticateResponse::default()
        };
        self.answer(&request.reply, &response);
        Ok(Handled::Done)
    }
}
