//! Sectors (OpenID Connect Core §8.1): whose clients know a person by the same
//! pairwise `sub`.

use std::collections::BTreeSet;

use url::{Host, Url};

use super::{ClientMetadata, InvalidMetadata, RegisteredClient, SubjectType};
use crate::ids::ClientId;

/// A sector, of one client or of several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sector {
    /// All that belongs to a host.
    Host(String),
    /// A client that no host speaks for is a sector of its own.
    Client(ClientId),
}

impl RegisteredClient {
    /// Its sector; absent: it knows people by their public `sub`.
    #[must_use]
    pub fn sector(&self) -> Option<Sector> {
        if self.metadata.subject_type == SubjectType::Public {
            return None;
        }
        let own = || Sector::Client(self.client_id.clone());
        Some(self.metadata.sector_host().map_or_else(own, Sector::Host))
    }
}

impl ClientMetadata {
    /// The host of the sector identifier, or else the only one of the redirect
    /// URIs.
    fn sector_host(&self) -> Option<String> {
        if let Some(uri) = &self.sector_identifier_uri {
            return Url::parse(uri).ok()?.host_str().map(str::to_owned);
        }
        let mut places = self.places();
        if places.len() > 1 { None } else { places.pop_first().flatten() }
    }

    /// Several hosts are one sector only if one of them says so.
    pub(super) fn check_sector(&self) -> Result<(), InvalidMetadata> {
        let unsaid = self.sector_identifier_uri.is_none() && self.places().len() > 1;
        if self.subject_type == SubjectType::Pairwise && unsaid {
            return Err(InvalidMetadata::SeveralHosts);
        }
        Ok(())
    }

    /// The hosts of its redirect URIs. None is among them for the person's own
    /// device, which is the same place for every client and so belongs to none.
    fn places(&self) -> BTreeSet<Option<String>> {
        self.redirect_uris.iter().map(|uri| host(uri.as_str())).collect()
    }
}

fn host(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let here = match url.host()? {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    url.host_str().filter(|_| !here).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::redirect_uri::RedirectUri;

    fn pairwise(uris: &[&str]) -> ClientMetadata {
        ClientMetadata {
            subject_type: SubjectType::Pairwise,
            redirect_uris: uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect(),
            ..ClientMetadata::default()
        }
    }

    /// OpenID Connect Core §8.1
    #[test]
    fn the_sector_is_the_one_host_of_the_redirect_uris() {
        for (uris, sector) in [
            (&["https://rp.example/a", "https://RP.example:8443/b"][..], Some("rp.example")),
            (&["http://127.0.0.1/cb", "http://[::1]/cb"], None),
            (&["http://localhost/cb", "com.example.app://login/cb"], None),
        ] {
            let metadata = pairwise(uris);
            assert_eq!(metadata.check(), Ok(()), "{uris:?}");
            assert_eq!(metadata.sector_host().as_deref(), sector, "{uris:?}");
        }
    }

    /// OpenID Connect Core §8.1
    #[test]
    fn several_hosts_need_a_sector_identifier() {
        for uris in [
            ["https://a.example/cb", "https://b.example/cb"],
            ["https://a.example/cb", "http://localhost/cb"],
            ["https://a.example/cb", "com.example.app:/cb"],
        ] {
            let metadata = pairwise(&uris);
            assert_eq!(metadata.check(), Err(InvalidMetadata::SeveralHosts), "{uris:?}");
            assert_eq!(metadata.sector_host(), None);
            let uri = Some("https://sector.example/uris.json".to_owned());
            let said = ClientMetadata { sector_identifier_uri: uri, ..metadata };
            assert_eq!(said.check(), Ok(()));
            assert_eq!(said.sector_host().as_deref(), Some("sector.example"));
            let public = ClientMetadata { subject_type: SubjectType::Public, ..pairwise(&uris) };
            assert_eq!(public.check(), Ok(()));
        }
    }
}
