//! `[authorization]`: what an authorization request must have.

use chancery_domain::protocol::response_type::ResponseType;

use super::declaration::{Check, Report, settings};
use super::value::{choice, protocol_value};

settings! {
    /// What an authorization request must have.
    Authorization in "authorization" {
        /// The response types that clients may be registered for. All but `code` bring
        /// tokens by the browser, where they can leak: the implicit and hybrid flows, which
        /// RFC 9700 §2.1.2 advises against.
        response_types: Vec<ResponseType> = default ["code"];
        /// Take only requests that were pushed before (RFC 9126 §5).
        require_par: bool = default false;
        /// Let public clients push requests too, within
        /// `limits.public_pushes_per_minute`.
        par_public_clients: bool = default true;
        /// Who must use PKCE (RFC 7636): public clients, all, or none.
        require_pkce: RequirePkce = default "public";
        /// Take requests as signed request objects in the parameter `request` (RFC 9101
        /// §5.1), pushed or not.
        request_parameter: bool = default true;
        /// Take only requests that are signed request objects (RFC 9101 §10.5).
        require_signed_request_object: bool = default false;
    }
}

protocol_value!(ResponseType, "response types");

choice! {
    /// Who must use PKCE.
    RequirePkce, "who" {
        /// Clients that can't keep a secret.
        Public = "public",
        All = "all",
        None = "none",
    }
}

impl Check for Authorization {
    fn check(&self, report: &mut Report<'_>) {
        if self.response_types.is_empty() {
            report.contradiction(
                "response_types",
                "is empty, so nobody could log in",
                "give at least one",
            );
        }
        if self.require_par && !self.par_public_clients {
            report.contradiction(
                "par_public_clients",
                "is false while authorization.require_par is true, which shuts out public clients",
                "set one of the two the other way; to shut out public clients, register none",
            );
        }
        if self.require_signed_request_object && !self.request_parameter {
            report.contradiction(
                "request_parameter",
                "is false while authorization.require_signed_request_object is true, which \
                 leaves no way to send one",
                "set one of the two the other way",
            );
        }
    }
}
