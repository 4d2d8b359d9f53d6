//! Look-ups find what was asked for, page by page, under the names of the standards.

use chancery::lookups::{GrantFilter, Part};
use chancery_domain::ids::AggregateKind;
use chancery_projections::clients::Clients;
use chancery_projections::grants::Grants;

use crate::world::{Who, World, id, soon};

#[tokio::test]
async fn grants_are_found_by_subject_client_and_state_page_by_page() {
    let world = World::new().await;
    let running = world.project(&Grants);
    let (anna, bert) = (id(0xa), id(0xb));
    let session = id(0xc);
    for number in 1..=12 {
        let subject = if number % 3 == 0 { &bert } else { &anna };
        let client = if number % 2 == 0 { "even" } else { "odd" };
        let who = Who { subject, session: &session };
        world.active_grant(&id(number), client, "openid", who).await;
    }
    let revoked = r#"{"cause":"revoked_by_client","at":40}"#;
    let last = world.append(AggregateKind::Grant, &id(2), "GrantRevoked", revoked).await;
    soon("the rows", running.progress.caught_up_to(last)).await.unwrap();

    let lookups = world.lookups();
    let found = async |filter: GrantFilter, limit| {
        let mut numbers = Vec::new();
        let mut pages = 0;
        let mut part = Part::last(limit);
        loop {
            let page = lookups.grants(&filter, part.clone()).await.unwrap();
            assert!(page.rows.len() <= usize::try_from(limit).unwrap());
            numbers.extend(
                page.rows
                    .iter()
                    .map(|row| u64::from_str_radix(&row.grant_id.to_string(), 16).unwrap()),
            );
            pages += 1;
            part.after = page.next;
            if part.after.is_none() {
                return (numbers, pages);
            }
        }
    };
    let none = GrantFilter::default();
    let subject = Some(anna.parse().unwrap());
    let of_anna = GrantFilter { subject, ..none.clone() };
    assert_eq!(found(of_anna.clone(), 3).await, (vec![11, 10, 8, 7, 5, 4, 2, 1], 3));
    let even = GrantFilter { client_id: Some("even".parse().unwrap()), ..none.clone() };
    assert_eq!(found(even, 6).await, (vec![12, 10, 8, 6, 4, 2], 1));
    let state = Some("active".to_owned());
    let active_of_anna = GrantFilter { state, ..of_anna };
    assert_eq!(found(active_of_anna, 100).await.0, [11, 10, 8, 7, 5, 4, 1]);
    let session_id = Some(session.parse().unwrap());
    assert_eq!(found(GrantFilter { session_id, ..none }, 5).await.1, 3);
}

#[tokio::test]
async fn a_client_is_told_as_rfc_7591_names_it() {
    let world = World::new().await;
    let running = world.project(&Clients);
    let last = world.client("rp").await;
    soon("the row", running.progress.caught_up_to(last)).await.unwrap();
    let client = world.lookups().client(&"rp".parse().unwrap()).await.unwrap().unwrap();
    let json = serde_json::to_value(&client).unwrap();
    assert_eq!(json["client_id"], "rp");
    assert_eq!(json["client_id_issued_at"], 5);
    assert_eq!(json["client_name"], "rp's");
    assert_eq!(json["token_endpoint_auth_method"], "none");
    assert_eq!(json["state"], "enabled");
    assert!(world.lookups().client(&"nobody".parse().unwrap()).await.unwrap().is_none());
}
