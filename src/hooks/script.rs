//! Scripts (Rhai), sandboxed: no files, no network, no clock, no randomness, no
//! `eval`, no modules; so many operations, values so large, calls so deep, so
//! much time. A script is therefore a function of its input, and may be asked
//! again.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, LogicPackage, MoreStringPackage, Package as _,
};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Position, Scope};
use serde_json::Value;
use tokio::time::Instant;

use super::convert::{from_dynamic, to_dynamic};
use super::failure::{Failure, Kind};
use crate::config::hooks::Point;

/// The longest script that is read, in bytes.
const LONGEST: u64 = 262_144;

/// How many operations a run may take: some milliseconds. Times the size of a value,
/// it bounds the memory too: what is put into a map by its index is not counted
/// with the whole.
const OPERATIONS: u64 = 50_000;

/// All text in one value, in bytes.
const TEXT: usize = 16_384;

/// All elements of arrays in one value, and all members of maps.
const ELEMENTS: usize = 512;

/// Functions that wait for each other.
const CALLS: usize = 16;

/// Variables of one function at one time.
const VARIABLES: usize = 64;

/// How much a run may do in the thread that serves requests; one that wants more
/// is begun again in a thread of its own.
const BRIEF: Budget = Budget { operations: 4_000, time: Duration::from_micros(300) };

/// How many runs of a script that wanted more are not tried there again.
const SLOW_FOR: u32 = 1000;

/// How often the time is looked at, in operations.
const LOOK: u64 = 32;

/// A script that compiles.
pub struct Script {
    ast: AST,
    /// It did not end within [`BRIEF`]: how many more runs are not tried there.
    slow_for: AtomicU32,
}

/// Why a script can't be used. The message names the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("{path} can't be read: {why}", path = path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("{path} is longer than {LONGEST} bytes", path = path.display())]
    TooLong { path: PathBuf },
    #[error("{path}:{line}:{column}: {why}", path = path.display())]
    Wrong { path: PathBuf, line: usize, column: usize, why: String },
    #[error("{path}:{line}: {name} takes one parameter, the input", path = path.display())]
    Parameters { path: PathBuf, line: usize, name: String },
}

/// What a run may use up.
#[derive(Debug, Clone, Copy)]
struct Budget {
    operations: u64,
    time: Duration,
}

thread_local! {
    /// The end of the run that is going on in this thread.
    static END: Cell<Option<(u64, Instant)>> = const { Cell::new(None) };
}

/// One engine for all: it holds the functions that scripts may call, and no state.
static ENGINE: LazyLock<Engine> = LazyLock::new(engine);

fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    // What is not named here is not there: sleep, exit, timestamps, blobs.
    for module in [
        ArithmeticPackage::new().as_shared_module(),
        BasicStringPackage::new().as_shared_module(),
        BasicIteratorPackage::new().as_shared_module(),
        BasicFnPackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
    ] {
        engine.register_global_module(module);
    }
    engine
        .disable_symbol("eval")
        .set_max_operations(OPERATIONS)
        .set_max_string_size(TEXT)
        .set_max_array_size(ELEMENTS)
        .set_max_map_size(ELEMENTS)
        .set_max_call_levels(CALLS)
        .set_max_expr_depths(64, 32)
        .set_max_variables(VARIABLES)
        .set_max_functions(128)
        .set_fail_on_invalid_map_property(false)
        .set_strict_variables(true)
        .on_print(|_| {})
        .on_debug(|_, _, _| {});
    engine.on_progress(|done| {
        let (operations, deadline) = END.get()?;
        let over = done > operations || (done % LOOK == 0 && Instant::now() >= deadline);
        over.then_some(Dynamic::UNIT)
    });
    engine
}

impl Script {
    /// Reads and compiles a file.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let unreadable = |error: std::io::Error| ScriptError::Unreadable {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > LONGEST {
            return Err(ScriptError::TooLong { path: path.to_owned() });
        }
        Self::compile(path, &std::fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Compiles a text, which stands in this file.
    pub fn compile(path: &Path, text: &str) -> Result<Self, ScriptError> {
        let ast = ENGINE.compile(text).map_err(|error| {
            let (line, column) = place(error.position());
            ScriptError::Wrong {
                path: path.to_owned(),
                line,
                column,
                why: error.err_type().to_string(),
            }
        })?;
        let bad = ast.iter_functions().find(|function| {
            Point::ALL.iter().any(|point| point.as_str() == function.name)
                && function.params.len() != 1
        });
        if let Some(function) = bad {
            let name = function.name.to_owned();
            let line = line_of(text, &name);
            return Err(ScriptError::Parameters { path: path.to_owned(), line, name });
        }
        Ok(Self { ast, slow_for: AtomicU32::new(0) })
    }

    /// Has it a function for this point?
    #[must_use]
    pub fn has(&self, point: Point) -> bool {
        self.ast.iter_functions().any(|function| function.name == point.as_str())
    }

    /// Does it ask for a thread of its own?
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.slow_for.load(Ordering::Relaxed) > 0
    }

    /// Runs it here, if it is a matter of microseconds; None: it is not.
    pub fn run_briefly(&self, point: Point, input: &Value) -> Option<Result<Value, Failure>> {
        let one_less = |runs: u32| runs.checked_sub(1);
        let slow = self.slow_for.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        if slow.is_ok() {
            return None;
        }
        let result = self.run_within(point, input, BRIEF);
        if matches!(&result, Err(failure) if failure.kind == Kind::TookTooLong) {
            self.slow_for.store(SLOW_FOR, Ordering::Relaxed);
            return None;
        }
        Some(result)
    }

    /// Runs it here, however long it takes within its limits.
    pub fn run(&self, point: Point, input: &Value, time: Duration) -> Result<Value, Failure> {
        self.run_within(point, input, Budget { operations: OPERATIONS, time })
    }

    fn run_within(&self, point: Point, input: &Value, budget: Budget) -> Result<Value, Failure> {
        END.set(Some((budget.operations, Instant::now() + budget.time)));
        // The engine is not expected to panic; should it, one request fails, and not a thread.
        let result = catch_unwind(AssertUnwindSafe(|| {
            let options = CallFnOptions::new().eval_ast(false);
            let (scope, name) = (&mut Scope::new(), point.as_str());
            let input = (to_dynamic(input),);
            let output = ENGINE.call_fn_with_options(options, scope, &self.ast, name, input);
            output
                .map_err(|error| failure(&error))
                .and_then(|output: Dynamic| from_dynamic(&output))
        }));
        END.set(None);
        result.unwrap_or_else(|_| Err(Failure::new(Kind::Failed, "the script engine panicked")))
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script(…)")
    }
}

fn place(position: Position) -> (usize, usize) {
    (position.line().unwrap_or(0), position.position().unwrap_or(0))
}

/// Where a function begins, for a message.
fn line_of(text: &str, name: &str) -> usize {
    let begins = |line: &str| {
        let words = line.trim_start().trim_start_matches("private ").strip_prefix("fn ");
        words.is_some_and(|rest| rest.trim_start().starts_with(name))
    };
    text.lines().position(begins).map_or(0, |index| index + 1)
}

/// What went wrong, without any value: those may be a person's.
fn failure(error: &EvalAltResult) -> Failure {
    use EvalAltResult as E;

    let mut error = error;
    while let E::ErrorInFunctionCall(_, _, inner, _) = error {
        error = inner;
    }
    let (line, column) = place(error.position());
    let what = match error {
        E::ErrorTerminated(..) | E::ErrorTooManyOperations(_) => {
            let text = format!("it was cut off at line {line}: too many operations, or too long");
            return Failure::new(Kind::TookTooLong, text);
        }
        E::ErrorDataTooLarge(what, _) => {
            let text = format!("it was cut off at line {line}: {what} is over the limit");
            return Failure::new(Kind::TooLarge, text);
        }
        E::ErrorStackOverflow(_) => {
            let text = format!("it was cut off at line {line}: calls are nested too deeply");
            return Failure::new(Kind::TooLarge, text);
        }
        E::ErrorTooManyVariables(_) => {
            let text = format!("it was cut off at line {line}: too many variables");
            return Failure::new(Kind::TooLarge, text);
        }
        E::ErrorVariableNotFound(name, _) => format!("there is no variable {name}"),
        E::ErrorFunctionNotFound(signature, _) => format!("there is no function {signature}"),
        E::ErrorMismatchDataType(wanted, found, _) => {
            format!("a value is {found} where {wanted} belongs")
        }
        E::ErrorMismatchOutputType(wanted, found, _) => {
            format!("a result is {found} where {wanted} belongs")
        }
        E::ErrorIndexingType(what, _) => format!("can't be indexed: {what}"),
        E::ErrorDotExpr(what, _) => format!("a property can't be had: {what}"),
        E::ErrorArrayBounds(..) | E::ErrorStringBounds(..) => {
            "an index is out of bounds".to_owned()
        }
        E::ErrorArithmetic(..) => "an arithmetic error".to_owned(),
        E::ErrorFor(_) => "a loop goes over what is no list".to_owned(),
        E::ErrorRuntime(..) => "it threw an error".to_owned(),
        _ => "it failed".to_owned(),
    };
    Failure::new(Kind::Failed, format!("line {line}, column {column}: {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn script(text: &str) -> Script {
        Script::compile(Path::new("x.rhai"), text).unwrap()
    }

    fn body(text: &str) -> Result<Value, Failure> {
        script(&format!("fn token(input) {{ {text} }}")).run(Point::Token, &json!({}), SECOND)
    }

    fn error(text: &str) -> String {
        Script::compile(Path::new("x.rhai"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_script_gives_what_its_function_returns() {
        let script = script("fn token(input) { #{ deny: `no ${input.client.name}` } }");
        let input = json!({ "client": { "name": "shop" } });
        let brief = script.run_briefly(Point::Token, &input).unwrap();
        assert_eq!(brief, Ok(json!({ "deny": "no shop" })));
        assert_eq!(script.run(Point::Token, &input, SECOND), Ok(json!({ "deny": "no shop" })));
        assert!(script.has(Point::Token) && !script.has(Point::Par));
    }

    #[test]
    fn an_error_names_its_line() {
        assert!(error("\n\nfn token(input) { let }").starts_with("x.rhai:3:"));
        assert_eq!(error("\nfn token() { 1 }"), "x.rhai:2: token takes one parameter, the input");
        // A variable that is not there is found before anything runs.
        assert!(error("fn token(input) {\n inptu.x }").starts_with("x.rhai:2:"));
        let failed = body("let a = 1;\n a / 0").unwrap_err();
        assert!(failed.to_string().contains("line 2"), "{failed}");
    }

    #[test]
    fn nothing_of_the_machine_is_there() {
        for text in [
            "import \"x\" as y; fn token(input) { 1 }",
            "fn token(input) { eval(\"1\") }",
            "export const A = 1;",
        ] {
            assert!(Script::compile(Path::new("x.rhai"), text).is_err(), "{text}");
        }
        for text in ["sleep(1)", "timestamp()", "exit()", "open(\"x\")", "rand()", "blob(10)"] {
            let failed = body(text).unwrap_err();
            assert!(failed.to_string().contains("there is no function"), "{text}: {failed}");
        }
    }

    #[test]
    fn what_never_ends_is_cut_off() {
        for text in [
            "loop { }",
            "while true { let x = 1; }",
            "let x = 0; for i in 0..999999999 { x += i; }",
        ] {
            let script = script(&format!("fn token(input) {{ {text} }}"));
            let brief = script.run_briefly(Point::Token, &json!({}));
            assert_eq!(brief, None, "{text}");
            assert!(script.is_slow());
            let failed = script.run(Point::Token, &json!({}), SECOND).unwrap_err();
            assert_eq!(failed.kind, Kind::TookTooLong, "{failed}");
        }
        let brief = Duration::from_millis(2);
        let slow = script("fn token(input) { let s = \"\"; loop { s = \"x\".to_upper(); } }");
        let before = Instant::now();
        let failed = slow.run(Point::Token, &json!({}), brief).unwrap_err();
        assert_eq!(failed.kind, Kind::TookTooLong);
        assert!(before.elapsed() < SECOND);
    }

    #[test]
    fn what_grows_without_end_is_cut_off() {
        for text in [
            "let s = \"x\"; loop { s += s; }",
            "let a = [1]; loop { a += a; }",
            "let a = []; loop { a.push(1); }",
            "let a = []; loop { a = [a]; }",
            "let s = \"x\"; s.pad(1000000, \"y\"); s",
            "let a = []; a.pad(1000000, 1); a",
            "let a = []; loop { a.push(\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"); }",
        ] {
            let failed = body(text).unwrap_err();
            assert_eq!(failed.kind, Kind::TooLarge, "{text}: {failed}");
        }
        // Piece by piece, a map is cut off by its operations.
        let text = "let m = #{}; let i = 0; let s = \"\"; s.pad(16000, \"x\"); \
                    loop { m[i.to_string()] = s + i; i += 1; }";
        assert_eq!(body(text).unwrap_err().kind, Kind::TookTooLong);
        let deep = script("fn f(n) { f(n + 1) } fn token(input) { f(0) }");
        let failed = deep.run(Point::Token, &json!({}), SECOND).unwrap_err();
        assert_eq!(failed.kind, Kind::TooLarge, "{failed}");
    }

    #[test]
    fn what_a_script_throws_is_not_repeated() {
        let failed = body("throw \"alice@example.com\"").unwrap_err().to_string();
        assert!(!failed.contains("alice") && failed.contains("threw"), "{failed}");
        let failed = body("let m = #{}; m[\"alice\"].x.y").map(|_| ());
        assert!(!format!("{failed:?}").contains("alice"));
    }
}
