//! `[authorization]`: what an authorization request must have.

use std::path::Path;

use chancery_domain::authorization::{CustomParameter, NotCustom};
use chancery_domain::protocol::response_type::ResponseType;

use super::declaration::{Check, Report, settings};
use super::outbound::BlockedHost;
use super::problem::Refusal;
use super::value::{Kind, TextSetting, choice, protocol_value};

settings! {
    /// What an authorization request must have.
    Authorization in "authorization" {
        /// The response types that clients may be registered for. All but `code` bring
        /// tokens by the browser, where they can leak: the implicit and hybrid flows, which
        /// RFC 9700 §2.1.2 advises against.
        response_types: Vec<ResponseType> = default ["code"];
        /// Give `sid`, which names the person's session, in authorization responses of
        /// OpenID Connect too, and not in the ID token only.
        sid_in_response: bool = default false;
        /// Take only requests that were pushed before (RFC 9126 §5).
        require_par: bool = default false;
        /// Let public clients push requests too, within
        /// `limits.public_pushes_per_minute`.
        par_public_clients: bool = default true;
        /// Who must use PKCE (RFC 7636): public clients, all, or none.
        require_pkce: RequirePkce = default "public";
        /// Take the PKCE method `plain` too, which protects less (RFC 7636 §7.2). Never for
        /// clients of the FAPI 2.0 profile.
        pkce_plain: bool = default false;
        /// Let clients that authenticate push redirect URIs that they did not register
        /// (RFC 9126 §2.4): https ones.
        par_unregistered_redirect_uris: bool = default false;
        /// Take requests as signed request objects in the parameter `request` (RFC 9101
        /// §5.1), pushed or not.
        request_parameter: bool = default true;
        /// Take requests as signed request objects that are fetched from a `request_uri`
        /// which the client registered (RFC 9101 §5.2).
        request_uri_parameter: bool = default true;
        /// Hosts and networks that no request object is fetched from, besides those of
        /// `[outbound]`.
        request_uri_blocked_hosts: Vec<BlockedHost> =
            default ["localhost", "127.0.0.0/8", "::1"];
        /// Take only requests that are signed request objects (RFC 9101 §10.5).
        require_signed_request_object: bool = default false;
        /// Parameters of no standard that are kept, sealed, with the request, for hooks.
        /// All others are ignored.
        custom_parameters: Vec<CustomParameter> = default [];
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

impl TextSetting for CustomParameter {
    const KIND: Kind = Kind::text("names of parameters");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        Self::parse(text).map_err(|error| {
            let remedy = match error {
                NotCustom::Malformed => "give names like tenant or org.example.tenant",
                NotCustom::Standard => "leave it out: the server has its own rules for it",
            };
            Refusal::new(format!("\"{text}\" {error}"), remedy)
        })
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
        let takes_objects = self.request_parameter || self.request_uri_parameter;
        if self.require_signed_request_object && !takes_objects {
            report.contradiction(
                "require_signed_request_object",
                "is true while authorization.request_parameter and request_uri_parameter are \
                 false, which leaves no way to send one",
                "set one of them the other way",
            );
        }
    }
}
