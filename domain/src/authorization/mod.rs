//! From the raw parameters of an authorization request to one that can be
//! trusted, and to what was approved of it.

mod approved;
mod checks;
mod request;
mod request_object;

pub use self::approved::{Authentication, Authorization};
pub use self::checks::{
    CheckedRequest, ErrorRedirect, PkcePolicy, Rejection, RequestError, RequestPolicy, Via,
    check_request,
};
pub use self::request::{AuthorizationRequest, Parameters, SealedParameters, Source};
pub use self::request_object::{Addressee, RequestObjectError, read_request_object};
