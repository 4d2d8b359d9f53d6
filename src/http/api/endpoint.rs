//! One endpoint of an API: its route, what it takes and what it answers.

use std::rc::Rc;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::operator::Operator;
use super::problem::Problem;
use super::{Api, LONGEST_BODY};
use crate::admin::{Operation, Outcome, perform};
use crate::http::render;
use crate::lookups::{Order, Page, Part};
use crate::services::Services;

type Answered = LocalBoxFuture<'static, Result<HttpResponse, Problem>>;

type Handler =
    Rc<dyn Fn(&'static Api, web::Data<Services>, HttpRequest, web::Bytes, StatusCode) -> Answered>;

/// One endpoint.
#[derive(Clone)]
pub struct Endpoint {
    pub method: Method,
    /// Below that of its API.
    pub path: &'static str,
    /// Its name in the document.
    pub id: &'static str,
    pub summary: &'static str,
    pub success: StatusCode,
    /// Is it about something that there may be none of?
    pub finds: bool,
    /// The members of an object: the parameters in path and query.
    pub parameters: fn(&mut SchemaGenerator) -> Schema,
    /// None: it takes no body.
    pub body: Option<fn(&mut SchemaGenerator) -> Schema>,
    pub answer: fn(&mut SchemaGenerator) -> Schema,
    /// Of the answer.
    pub media_type: &'static str,
    handler: Handler,
}

/// A file, as an answer.
pub struct Download {
    /// What it is called, unless whoever gets it calls it otherwise: no quotes.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A call of an endpoint by somebody who may.
pub struct Call<P, B> {
    pub services: web::Data<Services>,
    pub operator: Operator,
    /// From path and query.
    pub parameters: P,
    pub body: B,
}

impl<P, B> Call<P, B> {
    /// Carries an operation out in the caller's name.
    pub async fn perform(&self, operation: Operation) -> Result<Outcome, Problem> {
        Ok(perform(&self.services, operation, &self.operator.name).await?)
    }
}

/// What an endpoint takes as its body.
pub trait Body: Sized + 'static {
    const SCHEMA: Option<fn(&mut SchemaGenerator) -> Schema>;

    fn read(request: &HttpRequest, bytes: &[u8]) -> Result<Self, Problem>;
}

/// None; one that comes nevertheless is not looked at.
pub struct NoBody;

impl Body for NoBody {
    const SCHEMA: Option<fn(&mut SchemaGenerator) -> Schema> = None;

    fn read(_: &HttpRequest, _: &[u8]) -> Result<Self, Problem> {
        Ok(Self)
    }
}

/// A JSON value.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + 'static> Body for Json<T> {
    const SCHEMA: Option<fn(&mut SchemaGenerator) -> Schema> =
        Some(SchemaGenerator::subschema_for::<T>);

    fn read(request: &HttpRequest, bytes: &[u8]) -> Result<Self, Problem> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let json = content_type.is_some_and(|text| {
            let essence = text.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
                || essence.eq_ignore_ascii_case("application/merge-patch+json")
        });
        if !json {
            return Err(Problem::not_json());
        }
        // The message of serde names what is wrong and where, but may quote the value.
        serde_json::from_slice(bytes).map(Self).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                Problem::invalid(format!("the body does not fit its schema: {error}"))
            }
            _ => Problem::bad_request(format!(
                "the body is no JSON: see line {}, column {}",
                error.line(),
                error.column()
            )),
        })
    }
}

/// No parameters.
#[derive(Deserialize, JsonSchema)]
pub struct Nothing {}

/// Which part of a list.
#[derive(Deserialize, JsonSchema)]
pub struct PartOfList {
    /// How many at most.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// Those after this one: `next` of the list before.
    #[schemars(length(min = 1, max = 255))]
    pub after: Option<String>,
}

/// How many there are in a part of a list, unless told otherwise.
pub fn fifty() -> u32 {
    50
}

impl PartOfList {
    /// The oldest first, or by the alphabet.
    pub fn first_to_last(self) -> Result<Part, Problem> {
        self.part(Order::FirstToLast)
    }

    /// The newest first.
    pub fn last_to_first(self) -> Result<Part, Problem> {
        self.part(Order::LastToFirst)
    }

    fn part(self, order: Order) -> Result<Part, Problem> {
        if !(1..=1000).contains(&self.limit) {
            return Err(Problem::bad_request("limit must be from 1 to 1000"));
        }
        let fits = |after: &String| (1..=255).contains(&after.len()) && !after.contains('\0');
        if !self.after.as_ref().is_none_or(fits) {
            return Err(Problem::bad_request("after must be the `next` of a list"));
        }
        Ok(Part { order, after: self.after, limit: self.limit })
    }
}

/// A part of a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct List<T> {
    pub items: Vec<T>,
    /// Where the next part begins (`after`); absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> List<T> {
    /// The first `limit` of these, of which there is one more if there is a next part; `name` is
    /// what it goes on after.
    pub fn of(mut items: Vec<T>, limit: u32, name: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(name);
        Self { items, next }
    }

    /// The same, of what comes of each.
    pub fn map<U>(self, item: impl FnMut(T) -> U) -> List<U> {
        List { items: self.items.into_iter().map(item).collect(), next: self.next }
    }
}

impl<T> From<Page<T>> for List<T> {
    fn from(page: Page<T>) -> Self {
        Self { items: page.rows, next: page.next }
    }
}

impl Endpoint {
    /// An endpoint that answers by this function.
    pub fn new<P, B, A, F>(
        method: Method,
        path: &'static str,
        (id, summary): (&'static str, &'static str),
        call: impl Fn(Call<P, B>) -> F + Copy + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + 'static,
        B: Body,
        A: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<A, Problem>> + 'static,
    {
        let handler = handler(call, |status, answer| render::json(status, &answer));
        let answer: fn(&mut SchemaGenerator) -> Schema = |generator| generator.subschema_for::<A>();
        Self::made::<P, B>(method, path, (id, summary), (answer, "application/json", handler))
    }

    /// An endpoint that answers with a file.
    pub fn file<P, B, F>(
        method: Method,
        path: &'static str,
        (id, summary, media_type): (&'static str, &'static str, &'static str),
        call: impl Fn(Call<P, B>) -> F + Copy + 'static,
    ) -> Self
    where
        P: DeserializeOwned + JsonSchema + 'static,
        B: Body,
        F: Future<Output = Result<Download, Problem>> + 'static,
    {
        let handler = handler(call, move |status, file: Download| {
            let disposition = format!("attachment; filename=\"{}\"", file.name);
            render::uncached(status)
                .content_type(media_type)
                .insert_header((CONTENT_DISPOSITION, disposition))
                .body(file.bytes)
        });
        // Bytes have no schema (OpenAPI 3.1 §4.8.14.3).
        let answer: fn(&mut SchemaGenerator) -> Schema = |_| Schema::from(true);
        Self::made::<P, B>(method, path, (id, summary), (answer, media_type, handler))
    }

    fn made<P: JsonSchema, B: Body>(
        method: Method,
        path: &'static str,
        (id, summary): (&'static str, &'static str),
        (answer, media_type, handler): (fn(&mut SchemaGenerator) -> Schema, &'static str, Handler),
    ) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            success: StatusCode::OK,
            finds: path.contains('{'),
            parameters: |generator| P::json_schema(generator),
            body: B::SCHEMA,
            answer,
            media_type,
            handler,
        }
    }

    /// It is about something that its parameters name: there may be none.
    pub const fn finds(mut self) -> Self {
        self.finds = true;
        self
    }

    /// It answers 201.
    pub fn creates(mut self) -> Self {
        self.success = StatusCode::CREATED;
        self
    }

    /// Answers a request to its API.
    pub fn answer(
        &self,
        api: &'static Api,
        request: HttpRequest,
        body: Result<web::Bytes, actix_web::Error>,
    ) -> LocalBoxFuture<'static, HttpResponse> {
        let (handler, success) = (Rc::clone(&self.handler), self.success);
        Box::pin(async move {
            let Some(services) = request.app_data::<web::Data<Services>>().cloned() else {
                return Problem::internal(&"no services").into_response();
            };
            let answer = if let Ok(body) = body {
                handler(api, services, request, body, success).await
            } else {
                // Longer than the limit; a stranger is told that they are one.
                let operator = Operator::of(api, &services, &request).await;
                operator.and(Err(Problem::too_large(LONGEST_BODY)))
            };
            answer.unwrap_or_else(Problem::into_response)
        })
    }
}

/// Reads a request, asks whether its sender may, calls this function, renders its answer so.
fn handler<P, B, A, F>(
    call: impl Fn(Call<P, B>) -> F + Copy + 'static,
    render: impl Fn(StatusCode, A) -> HttpResponse + Copy + 'static,
) -> Handler
where
    P: DeserializeOwned + 'static,
    B: Body,
    A: 'static,
    F: Future<Output = Result<A, Problem>> + 'static,
{
    Rc::new(move |api, services, request, bytes, success| {
        Box::pin(async move {
            let operator = Operator::of(api, &services, &request).await?;
            let parameters = parameters(&request)?;
            let body = B::read(&request, &bytes)?;
            let answer = call(Call { services, operator, parameters, body }).await?;
            Ok(render(success, answer))
        })
    })
}

/// Path and query as one object.
fn parameters<P: DeserializeOwned>(request: &HttpRequest) -> Result<P, Problem> {
    let query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let mut pairs: Vec<(String, String)> = query.into_owned().collect();
    for (name, value) in request.match_info().iter() {
        let decoded = percent_decoded(value)
            .ok_or_else(|| Problem::bad_request(format!("{name} in the path is no UTF-8")))?;
        pairs.retain(|(own, _)| own != name);
        pairs.push((name.to_owned(), decoded));
    }
    let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    serde_urlencoded::from_str(&encoded).map_err(|error| Problem::bad_request(error.to_string()))
}

fn percent_decoded(text: &str) -> Option<String> {
    // `+` is itself in a path.
    let encoded = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let (name, _) = url::form_urlencoded::parse(encoded.as_bytes()).next()?;
    (!name.contains('\u{fffd}')).then(|| name.into_owned())
}
