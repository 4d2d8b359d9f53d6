//! Values as written, and the types that settings have.

use std::path::{Path, PathBuf};

use chancery_domain::time::Lifetime;
use toml::de::{DeFloat, DeInteger, DeValue};

use super::declaration::Setting;
use super::problem::{Place, Refusal, nearest};

/// A value as written, with the place of each part.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub value: Value,
    pub place: Place,
}

/// What TOML and environment variables can say, as far as settings use it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
    Fraction(f64),
    Switch(bool),
    List(Vec<Item>),
    /// The names, with their places, and their values.
    Table(Vec<(String, Place, Item)>),
    /// Something that no setting takes: a date, too big a number.
    Other(&'static str),
}

impl Value {
    /// What it is, for a message.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Fraction(_) => "a fraction",
            Self::Switch(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }

    /// As TOML would have it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        match self {
            Self::Text(text) => toml::Value::String(text.clone()).to_string(),
            Self::Number(number) => number.to_string(),
            Self::Fraction(number) => format!("{number:?}"),
            Self::Switch(switch) => switch.to_string(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(|item| item.value.to_toml()).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Table(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(name, _, item)| {
                        let name = toml::Value::String(name.clone());
                        format!("{name} = {}", item.value.to_toml())
                    })
                    .collect();
                format!("{{ {} }}", entries.join(", "))
            }
            Self::Other(kind) => (*kind).to_owned(),
        }
    }
}

/// Where the lines of a text begin, to turn offsets into lines and columns.
pub struct Lines<'t>(&'t str);

impl<'t> Lines<'t> {
    #[must_use]
    pub const fn of(text: &'t str) -> Self {
        Self(text)
    }

    /// The place of a byte; columns count characters.
    #[must_use]
    pub fn place(&self, offset: usize) -> Place {
        let before = self.0.get(..offset).unwrap_or(self.0);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place::File {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

/// Turns a parsed TOML value into an item; `place` says where an offset is.
pub fn from_toml(value: &toml::Spanned<DeValue<'_>>, place: &impl Fn(usize) -> Place) -> Item {
    let converted = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => integer(number),
        DeValue::Boolean(switch) => Value::Switch(*switch),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| from_toml(item, place)).collect())
        }
        DeValue::Table(table) => Value::Table(
            table
                .iter()
                .map(|(name, item)| {
                    let at = place(name.span().start);
                    (name.get_ref().clone().into_owned(), at, from_toml(item, place))
                })
                .collect(),
        ),
        DeValue::Float(float) => fraction(float),
        DeValue::Datetime(_) => Value::Other("a date"),
    };
    Item { value: converted, place: place(value.span().start) }
}

fn integer(number: &DeInteger<'_>) -> Value {
    let digits = number.as_str().replace('_', "");
    i64::from_str_radix(&digits, number.radix())
        .map_or(Value::Other("too big a number"), Value::Number)
}

fn fraction(float: &DeFloat<'_>) -> Value {
    let digits = float.as_str().replace('_', "");
    digits.parse().map_or(Value::Other("a fraction"), Value::Fraction)
}

/// What a type of setting looks like from outside.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub shape: Shape,
    /// What to give, as in "give …".
    pub what: &'static str,
    /// Where only these are good.
    pub choices: &'static [&'static str],
    pub redaction: Redaction,
}

impl Kind {
    #[must_use]
    pub const fn text(what: &'static str) -> Self {
        Self { shape: Shape::Text, what, choices: &[], redaction: Redaction::None }
    }
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Text,
    Number,
    Fraction,
    Switch,
    List,
}

/// What of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redaction {
    /// All of it.
    None,
    /// Nothing.
    Whole,
    /// All but the password of a URL.
    UrlPassword,
}

/// What reading a value needs to know besides the value.
pub struct Context<'a> {
    pub setting: &'static Setting,
    /// Relative paths start here: in the folder of the file that names them, or
    /// in the working directory.
    pub base: &'a Path,
    /// Takes refusals, each with its place.
    pub refused: &'a mut Vec<(Place, Refusal)>,
}

impl Context<'_> {
    pub(super) fn refuse(&mut self, place: &Place, refusal: Refusal) {
        self.refused.push((place.clone(), refusal));
    }

    pub(super) fn refuse_type(&mut self, item: &Item, wanted: Shape) {
        let wanted_name = match wanted {
            Shape::Text => "a string",
            Shape::Number | Shape::Fraction => "a number",
            Shape::Switch => "true or false",
            Shape::List => "a list",
        };
        let name = match &item.place {
            Place::Environment { variable } => variable,
            Place::Default | Place::File { .. } | Place::CommandLine => self.setting.name,
        };
        let remedy = match (&item.value, wanted) {
            (Value::Text(text), Shape::Number) if text.parse::<i64>().is_ok() => {
                format!("write it without quotes: {name} = {text}")
            }
            (Value::Text(text), Shape::Fraction) if text.parse::<f64>().is_ok() => {
                format!("write it without quotes: {name} = {text}")
            }
            (Value::Text(text), Shape::Switch) if text.parse::<bool>().is_ok() => {
                format!("write it without quotes: {name} = {text}")
            }
            (value @ (Value::Text(_) | Value::Number(_)), Shape::List)
                if self.setting.kind.redaction == Redaction::None =>
            {
                format!("put it in brackets: {name} = [{}]", value.to_toml())
            }
            _ => format!("for example: {name} = {}", self.setting.text),
        };
        let message = format!("is {} where {wanted_name} belongs", item.value.kind());
        self.refuse(&item.place, Refusal::new(message, remedy));
    }
}

/// A type that a setting can have.
pub trait SettingValue: Sized {
    const KIND: Kind;

    /// Reads it; what is wrong goes to the context.
    fn read(item: &Item, context: &mut Context<'_>) -> Option<Self>;

    /// What stands for it where nothing is set and there is no default.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

/// A type that is read from a string.
pub trait TextSetting: Sized {
    const KIND: Kind;

    /// Reads it; relative paths start at `base`.
    fn parse(text: &str, base: &Path) -> Result<Self, Refusal>;
}

impl<T: TextSetting> SettingValue for T {
    const KIND: Kind = <T as TextSetting>::KIND;

    fn read(item: &Item, context: &mut Context<'_>) -> Option<Self> {
        let Value::Text(text) = &item.value else {
            context.refuse_type(item, Shape::Text);
            return None;
        };
        T::parse(text, context.base).map_err(|refusal| context.refuse(&item.place, refusal)).ok()
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    const KIND: Kind = T::KIND;

    fn read(item: &Item, context: &mut Context<'_>) -> Option<Self> {
        T::read(item, context).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: SettingValue> SettingValue for Vec<T> {
    const KIND: Kind = Kind { shape: Shape::List, ..T::KIND };

    fn read(item: &Item, context: &mut Context<'_>) -> Option<Self> {
        let Value::List(items) = &item.value else {
            context.refuse_type(item, Shape::List);
            return None;
        };
        // All are read before the first that is wrong ends it.
        let read: Vec<_> = items.iter().map(|item| T::read(item, context)).collect();
        read.into_iter().collect()
    }
}

impl SettingValue for bool {
    const KIND: Kind = Kind { shape: Shape::Switch, ..Kind::text("true or false") };

    fn read(item: &Item, context: &mut Context<'_>) -> Option<Self> {
        let Value::Switch(switch) = item.value else {
            context.refuse_type(item, Shape::Switch);
            return None;
        };
        Some(switch)
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl SettingValue for $type {
            const KIND: Kind = Kind { shape: Shape::Number, ..Kind::text("A number") };

            fn read(item: &Item, context: &mut Context<'_>) -> Option<Self> {
                let Value::Number(number) = item.value else {
                    context.refuse_type(item, Shape::Number);
                    return None;
                };
                let range = context.setting.range.clone().unwrap_or(0..=i64::from(<$type>::MAX));
                let (least, most) = (range.start(), range.end());
                if range.contains(&number) && let Ok(number) = <$type>::try_from(number) {
                    return Some(number);
                }
                let what = context.setting.kind.what.to_lowercase();
                context.refuse(&item.place, Refusal::new(
                    format!("{number} is out of range"),
                    format!("give {what} from {least} to {most}"),
                ));
                None
            }
        }
    )*};
}

whole_numbers!(u16, u32);

impl SettingValue for Lifetime {
    const KIND: Kind = Kind { shape: Shape::Number, ..Kind::text("Seconds") };

    fn read(item: &Item, context: &mut Context<'_>) -> Option<Self> {
        u32::read(item, context).map(Self::from_seconds)
    }
}

impl TextSetting for String {
    const KIND: Kind = Kind::text("strings");

    fn parse(text: &str, _: &Path) -> Result<Self, Refusal> {
        if text.trim().is_empty() {
            return Err(Refusal::new("is empty", "give a text, or leave the setting out"));
        }
        Ok(text.to_owned())
    }
}

impl TextSetting for PathBuf {
    const KIND: Kind = Kind::text("a path");

    fn parse(text: &str, base: &Path) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Err(Refusal::new("is empty", "give a path"));
        }
        Ok(base.join(text))
    }
}

/// A text that is one of a few.
pub fn one_of<T: Copy>(
    text: &str,
    choices: &'static [&'static str],
    values: &[T],
) -> Result<T, Refusal> {
    let found = choices.iter().zip(values).find(|(choice, _)| **choice == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let meant = nearest(text, choices.iter().copied())
            .map_or_else(String::new, |choice| format!("did you mean \"{choice}\"? "));
        Refusal::new(
            format!("\"{text}\" is not known here"),
            format!("{meant}give one of: {}", choices.join(", ")),
        )
    })
}

/// An enum whose variants are written as words.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $what:literal {
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            const WORDS: &[&str] = &[$($word),+];

            /// The word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::config::value::TextSetting for $name {
            const KIND: $crate::config::value::Kind = $crate::config::value::Kind {
                choices: Self::WORDS,
                ..$crate::config::value::Kind::text($what)
            };

            fn parse(
                text: &str,
                _: &std::path::Path,
            ) -> Result<Self, $crate::config::problem::Refusal> {
                $crate::config::value::one_of(text, Self::WORDS, &[$(Self::$variant),+])
            }
        }
    };
}

pub(crate) use choice;

/// A protocol value of the domain, as a setting.
macro_rules! protocol_value {
    ($name:ty, $what:literal) => {
        impl $crate::config::value::TextSetting for $name {
            const KIND: $crate::config::value::Kind = $crate::config::value::Kind {
                choices: Self::NAMES,
                ..$crate::config::value::Kind::text($what)
            };

            fn parse(
                text: &str,
                _: &std::path::Path,
            ) -> Result<Self, $crate::config::problem::Refusal> {
                $crate::config::value::one_of(text, Self::NAMES, Self::ALL)
            }
        }
    };
}

pub(crate) use protocol_value;
