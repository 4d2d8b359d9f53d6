//! The forms of a login page: as much of HTML as filling them in takes.

/// A form of a page, with what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Where it goes; nothing: to the page's own address.
    pub action: Option<String>,
    pub is_post: bool,
    pub inputs: Vec<Input>,
    /// The name and value of its first button that sends it, if that has a name.
    pub button: Option<(String, String)>,
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub name: String,
    pub value: String,
    pub kind: InputKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// Sent as it is.
    Given,
    /// For the person to fill in.
    Text,
    Password,
}

/// What goes into which fields; a name that is not given is guessed.
#[derive(Debug, Clone, Default)]
pub struct FieldNames {
    pub username: Option<String>,
    pub password: Option<String>,
}

impl Form {
    /// The field for the password.
    #[must_use]
    pub fn password<'a>(&'a self, names: &'a FieldNames) -> Option<&'a str> {
        self.field(names.password.as_deref(), InputKind::Password)
    }

    /// The field for the user name: the first that takes text, unless it is named.
    #[must_use]
    pub fn username<'a>(&'a self, names: &'a FieldNames) -> Option<&'a str> {
        self.field(names.username.as_deref(), InputKind::Text)
    }

    fn field<'a>(&'a self, name: Option<&str>, kind: InputKind) -> Option<&'a str> {
        let wanted = |input: &&Input| match name {
            Some(name) => input.name == name,
            None => input.kind == kind,
        };
        self.inputs.iter().find(wanted).map(|input| input.name.as_str())
    }

    /// Does it ask the person for something that has to be typed?
    #[must_use]
    pub fn asks(&self) -> bool {
        self.inputs.iter().any(|input| input.kind != InputKind::Given)
    }

    /// The form as it is sent, with these fields filled in.
    #[must_use]
    pub fn filled(&self, fields: &[(&str, &str)]) -> String {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        for input in &self.inputs {
            let filled = fields.iter().find(|(name, _)| *name == input.name);
            text.append_pair(&input.name, filled.map_or(&input.value, |(_, value)| value));
        }
        if let Some((name, value)) = &self.button {
            text.append_pair(name, value);
        }
        text.finish()
    }
}

/// All forms of a page.
#[must_use]
pub fn forms(html: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    for tag in Tags(html) {
        match tag.name.as_str() {
            "form" => {
                forms.extend(open.take());
                let is_post = tag.get("method").is_some_and(|own| own.eq_ignore_ascii_case("post"));
                let action = tag.get("action").filter(|action| !action.is_empty());
                open = Some(Form { action, is_post, inputs: Vec::new(), button: None });
            }
            "/form" => forms.extend(open.take()),
            "input" | "button" => {
                if let Some(form) = &mut open {
                    form.take(&tag);
                }
            }
            _ => {}
        }
    }
    forms.extend(open);
    forms
}

impl Form {
    fn take(&mut self, tag: &Tag) {
        let default = if tag.name == "button" { "submit" } else { "text" };
        let kind = tag.get("type").unwrap_or_else(|| default.to_owned()).to_ascii_lowercase();
        let Some(name) = tag.get("name").filter(|name| !name.is_empty()) else { return };
        if tag.get("disabled").is_some() {
            return;
        }
        let value = tag.get("value");
        let kind = match kind.as_str() {
            "submit" => {
                self.button.get_or_insert_with(|| (name, value.unwrap_or_default()));
                return;
            }
            "button" | "reset" | "image" | "file" => return,
            "checkbox" | "radio" if tag.get("checked").is_none() => return,
            "checkbox" | "radio" => {
                let value = value.unwrap_or_else(|| "on".to_owned());
                self.inputs.push(Input { name, value, kind: InputKind::Given });
                return;
            }
            "hidden" => InputKind::Given,
            "password" => InputKind::Password,
            _ => InputKind::Text,
        };
        self.inputs.push(Input { name, value: value.unwrap_or_default(), kind });
    }
}

/// A tag: its name in lower case (`/form` for one that closes), and its attributes.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<String> {
        let found = self.attributes.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.clone())
    }
}

/// The tags of a text, one after the other; comments, scripts and styles are passed over.
struct Tags<'a>(&'a str);

impl Iterator for Tags<'_> {
    type Item = Tag;

    fn next(&mut self) -> Option<Tag> {
        loop {
            let (_, rest) = self.0.split_once('<')?;
            if let Some(comment) = rest.strip_prefix("!--") {
                self.0 = comment.split_once("-->").map_or("", |(_, rest)| rest);
                continue;
            }
            let end = |c: char| c.is_ascii_whitespace() || c == '>';
            let length = rest.find(end).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(length);
            let (attributes, rest) = attributes(rest);
            self.0 = rest;
            let name = name.trim_end_matches('/').to_ascii_lowercase();
            if name == "script" || name == "style" {
                let close = format!("</{name}");
                let at = rest.to_ascii_lowercase().find(&close);
                self.0 = at.and_then(|at| rest.get(at..)).unwrap_or_default();
            }
            return Some(Tag { name, attributes });
        }
    }
}

/// The attributes up to the end of a tag, and what comes after it.
fn attributes(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return (found, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (found, after);
        }
        let is_end = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
        // A name that begins with `=` is an error of the page, but has to be passed.
        let length = rest.char_indices().skip(1).find(|(_, c)| is_end(*c));
        let (name, after) = rest.split_at(length.map_or(rest.len(), |(at, _)| at));
        rest = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start_matches(|c: char| c.is_ascii_whitespace());
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            (value, rest) = if let Some(quote) = quote {
                let inner = after.get(1..).unwrap_or_default();
                inner.split_once(quote).unwrap_or((inner, ""))
            } else {
                let is_end = |c: char| c.is_ascii_whitespace() || c == '>';
                after.split_at(after.find(is_end).unwrap_or(after.len()))
            };
        }
        found.push((name.to_ascii_lowercase(), text_of(value)));
    }
}

/// A value with its character references resolved, those that forms are written with.
fn text_of(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        let reference = after.split_once(';').and_then(|(name, after)| Some((one(name)?, after)));
        if let Some((character, after)) = reference {
            text.push(character);
            rest = after;
        } else {
            text.push('&');
            rest = after;
        }
    }
    text.push_str(rest);
    text
}

fn one(name: &str) -> Option<char> {
    let number = |text: &str, radix| u32::from_str_radix(text, radix).ok().and_then(char::from_u32);
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let digits = name.strip_prefix('#')?;
            match digits.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => number(hexadecimal, 16),
                None => number(digits, 10),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOGIN: &str = r#"<!doctype html><script>if (1 < 2) "<form action='/trap'>"</script>
        <!-- <form method="post" action="/old"> -->
        <FORM id=f METHOD=post action="/login?a=1&amp;b=&#x22;2&#34;">
        <input type="hidden" name="csrf" value="x&amp;y"><input type=checkbox name=remember>
        <input name="user" value="" required autofocus/>
        <input type='PASSWORD' name='pass word'>
        <input name=gone disabled> <input type=submit value="No name">
        <button name="action" value="login">Go</button><button name="action" value="cancel">No</button>
        </form><form action="/search"><input name=q></form>"#;

    #[test]
    fn a_login_form_is_found_and_filled_in() {
        let forms = forms(LOGIN);
        assert_eq!(forms.len(), 2, "{forms:?}");
        let form = &forms[0];
        assert_eq!(form.action.as_deref(), Some("/login?a=1&b=\"2\""));
        assert!(form.is_post && form.asks());
        let names = FieldNames::default();
        let (user, password) = (form.username(&names).unwrap(), form.password(&names).unwrap());
        assert_eq!((user, password), ("user", "pass word"));
        let sent = form.filled(&[(user, "ada"), (password, "p&w")]);
        assert_eq!(sent, "csrf=x%26y&user=ada&pass+word=p%26w&action=login");
        assert!(!forms[1].is_post);
    }

    #[test]
    fn fields_can_be_named_where_they_are_not_what_they_look_like() {
        let page = "<form method=post><input name=realm><input name=login><input name=pin></form>";
        let forms = forms(page);
        let form = &forms[0];
        assert_eq!(form.password(&FieldNames::default()), None);
        let names =
            FieldNames { username: Some("login".to_owned()), password: Some("pin".to_owned()) };
        assert_eq!(form.username(&names), Some("login"));
        assert_eq!(form.password(&names), Some("pin"));
        assert_eq!(form.action, None);
    }

    #[test]
    fn a_form_of_buttons_only_asks_nothing() {
        let page = "<form method=post action=/consent><input type=hidden name=i value=7>\
                    <button type=submit name=action value=allow>Allow</button></form>";
        let forms = forms(page);
        assert!(!forms[0].asks());
        assert_eq!(forms[0].filled(&[]), "i=7&action=allow");
    }

    proptest! {
        #[test]
        fn any_text_at_all_is_read_to_its_end(text in "\\PC*", soup in "[<>/=\"'a-z &;#!-]*") {
            drop(forms(&text));
            drop(forms(&soup));
            prop_assert_eq!(forms(&format!("<form {text}")).len(), 1);
            let both = format!("<form {soup}><input {text}");
            prop_assert!(!forms(&both).is_empty());
        }
    }
}
