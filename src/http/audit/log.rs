//! The Merkle log for whoever wants to watch it: checkpoints, tiles (C2SP
//! tlog-tiles) and proofs. Nothing in it is secret: hashes, positions, times.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::api::problem::Problem;
use crate::http::cors;
use crate::services::Services;
use crate::transparency::proofs::{Inclusion, ProofError, Proofs, base64, entry_bundle, tile};
use crate::transparency::{TILE_WIDTH, keys};

/// What never changes: a year.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// What may be followed by another at any moment.
const BRIEFLY: &str = "public, max-age=1";

/// The routes: before those of the audit API, which are below the same path.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .route("/audit/log/checkpoint", web::get().to(checkpoint))
        .route("/audit/log/keys", web::get().to(signing_keys))
        .route("/audit/log/inclusion", web::get().to(inclusion))
        .route("/audit/log/consistency", web::get().to(consistency))
        .route("/audit/log/tile/{place:.*}", web::get().to(one_tile));
}

/// The last checkpoint (C2SP tlog-checkpoint).
async fn checkpoint(services: web::Data<Services>) -> HttpResponse {
    match Proofs::latest(&*services.store).await {
        Ok(proofs) => public(BRIEFLY, "text/plain; charset=utf-8", proofs.checkpoint.note),
        Err(error) => refused(&error),
    }
}

/// Every key that ever signed, with its times.
async fn signing_keys(services: web::Data<Services>) -> HttpResponse {
    let origin = match Proofs::latest(&*services.store).await {
        Ok(proofs) => proofs.checkpoint.origin,
        Err(error) => return refused(&error),
    };
    match keys::published(&*services.store, &origin).await {
        Ok(keys) => {
            let keys = json!({ "origin": origin, "keys": keys });
            public(BRIEFLY, "application/json", keys.to_string())
        }
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
struct Which {
    position: Option<u64>,
    index: Option<u64>,
    size: Option<u64>,
    format: Option<String>,
}

/// The proof that an event is in the log: by its position in the log of events,
/// or by its index among the leaves.
async fn inclusion(services: web::Data<Services>, which: web::Query<Which>) -> HttpResponse {
    let result = async {
        let proofs = Proofs::latest(&*services.store).await?;
        let size = which.size.unwrap_or(proofs.checkpoint.size);
        let index = match (which.position, which.index) {
            (Some(position), None) => {
                let entry = proofs.entry(position).await?;
                entry.map(|(index, _)| index).filter(|index| *index < size)
            }
            (None, Some(index)) => Some(index),
            _ => return Ok(Err("name the event: ?position= or ?index=")),
        };
        let Some(index) = index else {
            return Ok(Err("no event with this position is sealed (yet)"));
        };
        let inclusion = proofs.of_index(index, size).await?;
        Ok::<_, ProofError>(Ok((proofs.checkpoint, inclusion)))
    };
    let (checkpoint, inclusion) = match result.await {
        Ok(Ok(found)) => found,
        Ok(Err(why)) => return Problem::not_found(why).into_response(),
        Err(error) => return refused(&error),
    };
    if which.format.as_deref() == Some("tlog-proof") {
        if inclusion.size != checkpoint.size {
            let why = "a tlog-proof carries the last checkpoint: leave size out";
            return Problem::bad_request(why).into_response();
        }
        let text = tlog_proof(&inclusion, &checkpoint.note);
        return public("no-cache", "text/plain; charset=utf-8", text);
    }
    with_checkpoint(inclusion.json(), &checkpoint.note)
}

/// A proof as JSON, with the checkpoint that vouches for it.
fn with_checkpoint(mut answer: Value, note: &str) -> HttpResponse {
    if let Some(members) = answer.as_object_mut() {
        members.insert("checkpoint".to_owned(), note.into());
    }
    public("no-cache", "application/json", answer.to_string())
}

/// C2SP tlog-proof: the index, the proof and the checkpoint in one text.
fn tlog_proof(inclusion: &Inclusion, note: &str) -> String {
    let mut text = format!("c2sp.org/tlog-proof@v1\nindex {}\n", inclusion.index);
    for hash in &inclusion.proof {
        text.push_str(&base64(hash));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(note);
    text
}

#[derive(Deserialize)]
struct Sizes {
    old: u64,
    new: Option<u64>,
}

/// The proof that the log of one size continues that of a smaller one.
async fn consistency(services: web::Data<Services>, sizes: web::Query<Sizes>) -> HttpResponse {
    let result = async {
        let proofs = Proofs::latest(&*services.store).await?;
        let new = sizes.new.unwrap_or(proofs.checkpoint.size);
        let consistency = proofs.consistency(sizes.old, new).await?;
        Ok::<_, ProofError>((proofs.checkpoint, consistency))
    };
    match result.await {
        Ok((checkpoint, consistency)) => with_checkpoint(consistency.json(), &checkpoint.note),
        Err(error) => refused(&error),
    }
}

/// A tile of hashes or a bundle of entries; full ones never change.
async fn one_tile(request: HttpRequest, services: web::Data<Services>) -> HttpResponse {
    let none = || Problem::not_found("there is no such tile").into_response();
    let place = TilePlace::parse(request.match_info().get("place").unwrap_or_default());
    let Some(TilePlace { level, index, width }) = place else { return none() };
    let found = match level {
        Some(level) => tile(&*services.store, level, index, width).await,
        None => entry_bundle(&*services.store, index, width).await,
    };
    match found {
        // A part of a tile stays what it is, but goes when the tile is full.
        Ok(Some(data)) if width < TILE_WIDTH => {
            public("public, max-age=3600", "application/octet-stream", data)
        }
        Ok(Some(data)) => public(FOR_GOOD, "application/octet-stream", data),
        Ok(None) => none(),
        Err(error) => failed(&error),
    }
}

/// Which tile a path names: `LEVEL/NUMBER`, or `LEVEL/NUMBER.p/WIDTH` for a part of
/// one, where the number is in groups of three digits, all but the last after an
/// `x` (C2SP tlog-tiles). (The library's own reader of paths panics at some.)
#[derive(Debug, PartialEq, Eq)]
struct TilePlace {
    /// None: a bundle of entries.
    level: Option<u8>,
    index: u64,
    width: usize,
}

impl TilePlace {
    fn parse(path: &str) -> Option<Self> {
        // Above 63 bits there are no tiles.
        const HIGHEST: u8 = 7;
        let (level, rest) = path.split_once('/')?;
        let level = match level {
            "entries" => None,
            level => Some(decimal(level).filter(|level| *level <= u64::from(HIGHEST))?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, decimal(width).filter(|it| (1..256).contains(it))?),
            None => (rest, 256),
        };
        let mut groups = number.split('/').rev();
        let mut all = vec![three_digits(groups.next()?)?];
        for group in groups {
            all.push(three_digits(group.strip_prefix('x')?)?);
        }
        let leading_zeros = all.len() > 1 && all.last() == Some(&0);
        if leading_zeros || all.len() > 6 {
            return None;
        }
        let index = all.iter().rev().fold(0, |number, group| number * 1000 + group);
        let level = level.map(u8::try_from).transpose().ok()?;
        Some(Self { level, index, width: usize::try_from(width).ok()? })
    }
}

/// A number without sign or leading zeros.
fn decimal(text: &str) -> Option<u64> {
    let plain = text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}

fn three_digits(text: &str) -> Option<u64> {
    let plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn public(
    cache: &'static str,
    content_type: &'static str,
    body: impl actix_web::body::MessageBody + 'static,
) -> HttpResponse {
    let mut answer = HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, cache))
        .insert_header((CONTENT_TYPE, content_type))
        .body(body);
    cors::for_all(&mut answer);
    answer
}

fn refused(error: &ProofError) -> HttpResponse {
    match error {
        ProofError::NothingSealed => Problem::not_found("nothing is sealed yet").into_response(),
        ProofError::TooLong { .. } => Problem::bad_request(error.to_string()).into_response(),
        ProofError::Tampered(_) | ProofError::Store(_) => failed(error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> HttpResponse {
    Problem::internal(error).into_response()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tiles_are_named_as_c2sp_has_it() {
        let tile = |level, index, width| Some(TilePlace { level, index, width });
        assert_eq!(TilePlace::parse("0/000"), tile(Some(0), 0, 256));
        assert_eq!(TilePlace::parse("0/x001/x234/067"), tile(Some(0), 1_234_067, 256));
        assert_eq!(TilePlace::parse("3/x001/000.p/255"), tile(Some(3), 1000, 255));
        assert_eq!(TilePlace::parse("entries/x999/999.p/1"), tile(None, 999_999, 1));
        for bad in [
            "",
            "0",
            "0/",
            "/000",
            "8/000",
            "00/000",
            "+1/000",
            "0/0",
            "0/0000",
            "0/x000/001",
            "0/001/002",
            "0/x001/x002",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/01",
            "0/000.p/",
            "0/000.p",
            "data/000",
            "entries",
            "0/-01",
            "0/x001/x000/x000/x000/x000/x000/000",
        ] {
            assert_eq!(TilePlace::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "(entries|[0-9]{1,4})?/?(x?[0-9]{3}/){0,8}[0-9.p/x]{0,12}") {
            let _ = TilePlace::parse(&path);
        }
    }
}
