//! One who reads the stream of events from the first to the last, at whichever node answers.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::world::World;

#[derive(Default)]
pub struct Reader {
    seen: Mutex<Vec<String>>,
    /// How many events there are in the end.
    end: OnceLock<usize>,
}

impl Reader {
    pub fn ends_with(&self, events: usize) {
        self.end.set(events).expect("it is told once");
    }

    /// The ids of the events, in the order in which they came.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Reads until it has as many as there are.
    pub async fn read(&self, world: &World, token: &str) {
        let (mut after, mut node) = (String::new(), 0);
        while self.end.get().is_none_or(|end| self.seen.lock().unwrap().len() < *end) {
            let path = format!("/events?limit=500&wait=1&after={after}");
            let analyst = &world.nodes[node % world.nodes.len()].analyst;
            let asked = analyst.request(Method::GET, &path).bearer_auth(token).send();
            let answer = async {
                let answer = asked.await.ok().filter(|answer| answer.status() == 200)?;
                answer.text().await.ok()
            };
            let Some(body) = timeout(Duration::from_secs(10), answer).await.ok().flatten() else {
                node += 1;
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            for line in body.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                if let Some(id) = line["id"].as_str() {
                    self.seen.lock().unwrap().push(id.to_owned());
                }
                line["cursor"].as_str().unwrap().clone_into(&mut after);
            }
        }
    }
}
