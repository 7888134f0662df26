//! Expressions in CEL that users write in specs: whether an object is healthy, whether a dependency
//! is ready, whether an event matters.
//!
//! [`Expression::parse`] takes any variables, [`Expression::compile`] those that are declared. What
//! the language is, and what is refused, is in `prepare`. Messages never hold values: objects may be
//! secret.
//!
//! Source: fluxcd/pkg `runtime/cel/expression.go`.

mod prepare;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kube_cel::KubeCelExt as _;
use kube_cel::cel::objects::Map;
use kube_cel::cel::parser::{Expression as Tree, Parser};
use kube_cel::cel::{Context, ExecutionError, Value};
use serde_json::Value as Json;

use prepare::Type;

/// How long the text of an expression may be, in bytes.
const MAX_LENGTH: usize = 8 * 1024;

/// How much of the stack the parser may use. It takes up to 200 KiB for each pair of brackets.
const PARSER_STACK: usize = 32 * 1024 * 1024;

/// How often the bodies of all macros together may be evaluated.
const MAX_STEPS: u64 = 1_000_000;

/// An expression that can be evaluated.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    tree: Arc<Tree>,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// The text is no expression.
    #[error("failed to parse the CEL expression '{text}': {message}")]
    Parse {
        /// The expression.
        text: String,
        /// What is wrong with it.
        message: String,
    },
    /// The value would be no truth value.
    #[error("CEL expression output type mismatch: expected bool, got {0}")]
    OutputType(&'static str),
    /// The expression does not fit the variables.
    #[error("failed to evaluate the CEL expression '{text}': {message}")]
    Evaluate {
        /// The expression.
        text: String,
        /// What is wrong.
        message: String,
    },
    /// The value is no truth value.
    #[error("failed to evaluate CEL expression as boolean: '{0}'")]
    NotBoolean(String),
}

impl Expression {
    /// Reads an expression with any variables. What is not defined is noticed when it is evaluated.
    ///
    /// # Errors
    ///
    /// When the text is no expression.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        Ok(Self::prepared(text, None)?.0)
    }

    /// Reads an expression that has a truth value and these variables, each of them an object.
    ///
    /// # Errors
    ///
    /// When the text is no such expression.
    pub fn compile(text: &str, variables: &[&str]) -> Result<Self, ExpressionError> {
        match Self::prepared(text, Some(variables))? {
            (expression, Type::Bool) => Ok(expression),
            (_, other) => Err(ExpressionError::OutputType(other.name())),
        }
    }

    fn prepared(text: &str, variables: Option<&[&str]>) -> Result<(Self, Type), ExpressionError> {
        let failed = |message| ExpressionError::Parse { text: text.to_owned(), message };
        if text.len() > MAX_LENGTH {
            return Err(failed(format!("it is longer than {MAX_LENGTH} bytes")));
        }
        prepare::check_text(text).map_err(failed)?;
        let (tree, output) = parse(text, variables).map_err(failed)?;
        Ok((Self { text: text.to_owned(), tree: Arc::new(tree) }, output))
    }

    /// Returns the expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the truth value of the expression.
    ///
    /// # Errors
    ///
    /// When the variables do not have what it asks for, or when the value is another one.
    pub fn is_true<'a>(
        &self,
        variables: impl IntoIterator<Item = (&'a str, &'a Json)>,
    ) -> Result<bool, ExpressionError> {
        let mut context = Context::default().with_all();
        register(&mut context);
        for (name, value) in variables {
            context.add_variable_from_value(name, to_value(value));
        }
        match Value::resolve(&self.tree, &context) {
            Ok(Value::Bool(value)) => Ok(value),
            Ok(_) => Err(ExpressionError::NotBoolean(self.text.clone())),
            Err(error) => {
                Err(ExpressionError::Evaluate { text: self.text.clone(), message: explain(&error) })
            }
        }
    }
}

/// Reads an expression on a thread of its own, which has the stack for it.
fn parse(text: &str, variables: Option<&[&str]>) -> Result<(Tree, Type), String> {
    let read = || {
        let parser = Parser::new().enable_optional_syntax(true);
        let mut tree = parser.parse(text).map_err(|errors| errors.to_string())?;
        let output = prepare::check(&tree, variables)?;
        prepare::rewrite(&mut tree);
        Ok((tree, output))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK);
        let thread = thread.spawn_scoped(scope, read).map_err(|error| error.to_string())?;
        thread.join().unwrap_or_else(|_| Err("the parser has failed".to_owned()))
    })
}

/// Adds what the library lacks, and what `prepare` replaces of it.
fn register(context: &mut Context<'_>) {
    let boolean = |value: bool| Ok::<_, ExecutionError>(Value::Bool(value));
    context.add_function("dyn", |value: Value| Ok::<_, ExecutionError>(value));
    context.add_function("type", |value: Value| {
        Ok::<_, ExecutionError>(Value::String(Arc::new(type_name(&value).to_owned())))
    });
    for name in prepare::TYPES {
        context.add_variable_from_value(name, Value::String(Arc::new(name.to_owned())));
    }
    context.add_function("bool", move |value: Value| match value {
        Value::Bool(value) => boolean(value),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "true" | "TRUE" | "True" => boolean(true),
            "0" | "f" | "false" | "FALSE" | "False" => boolean(false),
            _ => Err(ExecutionError::function_error("bool", "type conversion error")),
        },
        _ => Err(ExecutionError::NoSuchOverload),
    });
    let equal = move |a: Value, b: Value| boolean(a == b);
    context.add_function(prepare::EQUAL, equal);
    context.add_function(prepare::NOT_EQUAL, move |a: Value, b: Value| boolean(a != b));
    for (name, accepts) in prepare::COMPARISONS {
        context.add_function(name, move |a: Value, b: Value| {
            let order = a.partial_cmp(&b).ok_or(ExecutionError::NoSuchOverload)?;
            boolean(accepts(order))
        });
    }
    let steps = AtomicU64::new(0);
    context.add_function(prepare::STEP, move || {
        if steps.fetch_add(1, Ordering::Relaxed) < MAX_STEPS {
            boolean(true)
        } else {
            Err(ExecutionError::function_error(prepare::STEP, "it takes too many steps"))
        }
    });
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "bool",
        Value::Duration(_) => "google.protobuf.Duration",
        Value::Timestamp(_) => "google.protobuf.Timestamp",
        Value::Null => "null_type",
        Value::Function(..) | Value::Opaque(_) => "optional_type",
    }
}

/// Whole numbers are `int`, also those that are positive: the `uint` of the library's own conversion
/// cannot be calculated with.
fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(to_value).collect())),
        Json::Object(fields) => {
            let fields: HashMap<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), to_value(value))).collect();
            Value::Map(Map::from(fields))
        }
    }
}

/// Words an error as cel-go does, without the values that the library's own words hold.
fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::UndeclaredReference(name) => format!("no such attribute(s): {name}"),
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::Overflow(..) => "integer overflow".to_owned(),
        ExecutionError::FunctionError { function, message } if function == prepare::STEP => {
            message.clone()
        }
        ExecutionError::FunctionError { function, .. } => {
            format!("the arguments of '{function}' are not valid")
        }
        _ => "no such overload".to_owned(),
    }
}

#[cfg(test)]
mod tests;
