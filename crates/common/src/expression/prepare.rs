//! What is done to an expression before it is evaluated: names and types are checked, and where the
//! library differs from cel-go the tree is changed.
//!
//! - Numbers of different types are compared by value.
//! - A field of what is no map is an error rather than `false`.
//! - An optional field that is missing is none rather than an error.
//! - Macros count their steps, since they can be nested.

use std::cmp::Ordering;

use kube_cel::cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, operators,
};

/// The operators as functions, under names that no expression can call.
pub(super) const EQUAL: &str = "@equal";
pub(super) const NOT_EQUAL: &str = "@not_equal";
pub(super) const STEP: &str = "@step";

type Accepts = fn(Ordering) -> bool;

pub(super) const COMPARISONS: [(&str, Accepts); 4] = [
    ("@less", Ordering::is_lt),
    ("@less_or_equal", Ordering::is_le),
    ("@greater", Ordering::is_gt),
    ("@greater_or_equal", Ordering::is_ge),
];

/// The types that have a name in expressions.
pub(super) const TYPES: [&str; 9] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type"];

/// How deep brackets, and in the tree calls and fields, may be nested.
const MAX_BRACKETS: usize = 32;
const MAX_DEPTH: usize = 64;

/// How many signs may follow each other, and how many parts may be strung together by operators of
/// the same rank or by dots: each is one level of the tree.
const MAX_RUN: usize = 64;

/// The functions and methods that expressions may call, with what they return.
///
/// Source: the environment of fluxcd/pkg `runtime/cel/expression.go`: the standard library,
/// optional types, and the extensions for strings, sets and encoders of cel-go.
const FUNCTIONS: [(&str, Type); 59] = [
    ("base64.decode", Type::Other("bytes")),
    ("base64.encode", Type::Other("string")),
    ("bool", Type::Bool),
    ("bytes", Type::Other("bytes")),
    ("charAt", Type::Other("string")),
    ("contains", Type::Bool),
    ("double", Type::Other("double")),
    ("duration", Type::Other("google.protobuf.Duration")),
    ("dyn", Type::Dyn),
    ("endsWith", Type::Bool),
    ("format", Type::Other("string")),
    ("getDate", Type::Other("int")),
    ("getDayOfMonth", Type::Other("int")),
    ("getDayOfWeek", Type::Other("int")),
    ("getDayOfYear", Type::Other("int")),
    ("getFullYear", Type::Other("int")),
    ("getHours", Type::Other("int")),
    ("getMilliseconds", Type::Other("int")),
    ("getMinutes", Type::Other("int")),
    ("getMonth", Type::Other("int")),
    ("getSeconds", Type::Other("int")),
    ("hasValue", Type::Bool),
    ("indexOf", Type::Other("int")),
    ("int", Type::Other("int")),
    ("join", Type::Other("string")),
    ("lastIndexOf", Type::Other("int")),
    ("lowerAscii", Type::Other("string")),
    ("matches", Type::Bool),
    ("optional.none", Type::Other("optional_type")),
    ("optional.of", Type::Other("optional_type")),
    ("optional.ofNonZeroValue", Type::Other("optional_type")),
    ("or", Type::Other("optional_type")),
    ("orValue", Type::Dyn),
    ("replace", Type::Other("string")),
    ("reverse", Type::Other("string")),
    ("sets.contains", Type::Bool),
    ("sets.equivalent", Type::Bool),
    ("sets.intersects", Type::Bool),
    ("size", Type::Other("int")),
    ("split", Type::Other("list(string)")),
    ("startsWith", Type::Bool),
    ("string", Type::Other("string")),
    ("strings.quote", Type::Other("string")),
    ("substring", Type::Other("string")),
    ("timestamp", Type::Other("google.protobuf.Timestamp")),
    ("trim", Type::Other("string")),
    ("type", Type::Other("type")),
    ("uint", Type::Other("uint")),
    ("upperAscii", Type::Other("string")),
    ("value", Type::Dyn),
    (operators::EQUALS, Type::Bool),
    (operators::NOT_EQUALS, Type::Bool),
    (operators::LESS, Type::Bool),
    (operators::LESS_EQUALS, Type::Bool),
    (operators::GREATER, Type::Bool),
    (operators::GREATER_EQUALS, Type::Bool),
    (operators::IN, Type::Bool),
    (operators::LOGICAL_NOT, Type::Bool),
    (operators::NOT_STRICTLY_FALSE, Type::Bool),
];

/// The type of an expression, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Dyn,
    Other(&'static str),
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Dyn => "dyn",
            Self::Other(name) => name,
        }
    }
}

/// Refuses a text whose tree would be too deep for the parser, which recurses.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    let mut brackets = 0_usize;
    let mut run = 0_usize;
    let mut quote = None;
    let mut is_escaped = false;
    for (index, char) in text.char_indices() {
        if let Some(end) = quote {
            match char {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                _ if char == end => quote = None,
                _ => {}
            }
            continue;
        }
        match char {
            '"' | '\'' => quote = Some(char),
            '(' | '[' | '{' => {
                brackets += 1;
                run += 1;
            }
            ')' | ']' | '}' => brackets = brackets.saturating_sub(1),
            '!' | '-' | '+' | '*' | '/' | '%' | '.' | '?' | '<' | '>' | '=' => run += 1,
            'i' if text[index..].starts_with("in") => run += 1,
            // These are balanced by the parser, or begin something new.
            '&' | '|' | ',' => run = 0,
            _ => {}
        }
        if brackets > MAX_BRACKETS || run > MAX_RUN {
            return Err("it is nested too deep".to_owned());
        }
    }
    Ok(())
}

/// Checks names, where those of variables are given, and returns the type.
pub(super) fn check(tree: &IdedExpr, variables: Option<&[&str]>) -> Result<Type, String> {
    Check { variables, locals: Vec::new(), depth: 0 }.visit(tree)
}

struct Check<'a> {
    variables: Option<&'a [&'a str]>,
    /// The variables of macros, the innermost last.
    locals: Vec<(String, Type)>,
    depth: usize,
}

impl Check<'_> {
    fn visit(&mut self, tree: &IdedExpr) -> Result<Type, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        let r#type = self.inside(tree)?;
        self.depth -= 1;
        Ok(r#type)
    }

    fn inside(&mut self, tree: &IdedExpr) -> Result<Type, String> {
        match &tree.expr {
            Expr::Literal(literal) => Ok(literal_type(literal)),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => {
                self.visit(&select.operand)?;
                Ok(if select.test { Type::Bool } else { Type::Dyn })
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.visit(element)?;
                }
                Ok(Type::Other("list(dyn)"))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err("messages are not supported".to_owned());
                    };
                    self.visit(&entry.key)?;
                    self.visit(&entry.value)?;
                }
                Ok(Type::Other("map(dyn, dyn)"))
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(it) => {
                self.visit(&it.iter_range)?;
                let accumulated = self.visit(&it.accu_init)?;
                let outer = self.locals.len();
                let iterated = std::iter::once(&it.iter_var).chain(&it.iter_var2);
                self.locals.extend(iterated.map(|name| (name.clone(), Type::Dyn)));
                self.locals.push((it.accu_var.clone(), accumulated));
                self.visit(&it.loop_cond)?;
                self.visit(&it.loop_step)?;
                let result = self.visit(&it.result)?;
                self.locals.truncate(outer);
                Ok(result)
            }
            // The library panics at both.
            Expr::Struct(_) => Err("messages are not supported".to_owned()),
            Expr::Unspecified => Err("it is empty".to_owned()),
        }
    }

    fn variable(&self, name: &str) -> Result<Type, String> {
        if let Some((_, r#type)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return Ok(*r#type);
        }
        let Some(variables) = self.variables else { return Ok(Type::Dyn) };
        if variables.contains(&name) {
            return Ok(Type::Other("map(string, dyn)"));
        }
        if TYPES.contains(&name) { Ok(Type::Other("type")) } else { Err(undeclared(name)) }
    }

    fn call(&mut self, call: &CallExpr) -> Result<Type, String> {
        let namespace = match call.target.as_deref() {
            Some(IdedExpr { expr: Expr::Ident(name), .. }) => {
                returned(&format!("{name}.{}", call.func_name))
            }
            _ => None,
        };
        if let (Some(target), None) = (&call.target, namespace) {
            self.visit(target)?;
        }
        let types: Vec<Type> =
            call.args.iter().map(|arg| self.visit(arg)).collect::<Result<_, _>>()?;
        if let Some(r#type) = namespace {
            return Ok(r#type);
        }
        let same = |types: &[Type]| match types {
            [a, b] if a == b => *a,
            _ => Type::Dyn,
        };
        match call.func_name.as_str() {
            operators::LOGICAL_AND | operators::LOGICAL_OR => Ok(Type::Bool),
            operators::CONDITIONAL => Ok(same(types.get(1..).unwrap_or_default())),
            operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO => Ok(same(&types)),
            operators::NEGATE => Ok(types.first().copied().unwrap_or(Type::Dyn)),
            operators::INDEX => Ok(Type::Dyn),
            operators::OPT_INDEX | operators::OPT_SELECT => Ok(Type::Other("optional_type(dyn)")),
            name => match returned(name) {
                Some(r#type) => Ok(r#type),
                // Without declarations it is noticed when it is called.
                None if self.variables.is_none() => Ok(Type::Dyn),
                None => Err(undeclared(name)),
            },
        }
    }
}

fn returned(name: &str) -> Option<Type> {
    FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, r#type)| *r#type)
}

fn undeclared(name: &str) -> String {
    format!("undeclared reference to '{name}' (in container '')")
}

fn literal_type(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Other("bytes"),
        LiteralValue::Double(_) => Type::Other("double"),
        LiteralValue::Int(_) => Type::Other("int"),
        LiteralValue::Null => Type::Other("null_type"),
        LiteralValue::String(_) => Type::Other("string"),
        LiteralValue::UInt(_) => Type::Other("uint"),
    }
}

/// Changes the tree of a checked expression so that it means what it means to cel-go.
pub(super) fn rewrite(tree: &mut IdedExpr) {
    let id = tree.id;
    match &mut tree.expr {
        Expr::Call(call) => {
            if let Some(target) = &mut call.target {
                rewrite(target);
            }
            call.args.iter_mut().for_each(rewrite);
            let name = match call.func_name.as_str() {
                operators::EQUALS => EQUAL,
                operators::NOT_EQUALS => NOT_EQUAL,
                operators::LESS => COMPARISONS[0].0,
                operators::LESS_EQUALS => COMPARISONS[1].0,
                operators::GREATER => COMPARISONS[2].0,
                operators::GREATER_EQUALS => COMPARISONS[3].0,
                operators::OPT_SELECT => operators::OPT_INDEX,
                _ => return,
            };
            name.clone_into(&mut call.func_name);
        }
        Expr::Select(select) => {
            rewrite(&mut select.operand);
            if !select.test {
                let operand = std::mem::take(&mut *select.operand);
                let field = LiteralValue::String(select.field.as_str().into());
                let field = IdedExpr { id, expr: Expr::Literal(field) };
                tree.expr = function(operators::INDEX, vec![operand, field]);
            }
        }
        Expr::List(list) => list.elements.iter_mut().for_each(rewrite),
        Expr::Map(map) => map.entries.iter_mut().for_each(rewrite_entry),
        Expr::Comprehension(it) => {
            for part in [
                &mut it.iter_range,
                &mut it.accu_init,
                &mut it.loop_cond,
                &mut it.loop_step,
                &mut it.result,
            ] {
                rewrite(part);
            }
            let condition = std::mem::take(&mut it.loop_cond);
            let step = IdedExpr { id, expr: function(STEP, Vec::new()) };
            let end = Expr::Literal(LiteralValue::Boolean(false.into()));
            let end = IdedExpr { id, expr: end };
            let expr = function(operators::CONDITIONAL, vec![step, condition, end]);
            it.loop_cond = IdedExpr { id, expr };
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

fn rewrite_entry(entry: &mut IdedEntryExpr) {
    match &mut entry.expr {
        EntryExpr::MapEntry(entry) => {
            rewrite(&mut entry.key);
            rewrite(&mut entry.value);
        }
        EntryExpr::StructField(field) => rewrite(&mut field.value),
    }
}

fn function(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args })
}
