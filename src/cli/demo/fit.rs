//! JSON laid out for a page: as much on a line as fits, fields in the order they came in.

/// Lays out compact JSON in lines of about `width` characters; continued lines begin with `indent` spaces, and two more
/// for each level further in.
pub(super) fn fit(json: &str, indent: usize, width: usize) -> String {
    let mut page = Page { text: String::new(), column: indent, width };
    page.write(json, indent, 0);
    page.text
}

struct Page {
    text: String,
    column: usize,
    width: usize,
}

impl Page {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    /// Writes a value whose continued lines begin at `indent`, and behind which `rest` characters must still fit.
    fn write(&mut self, json: &str, indent: usize, rest: usize) {
        let flat = flat(json);
        let parts = parts(json).filter(|_| !self.fits(&flat, rest));
        let Some(parts) = parts else { return self.push(&flat) };
        let (open, close) = if json.starts_with('{') { ("{", "}") } else { ("[", "]") };
        self.push(open);
        for (index, part) in parts.iter().enumerate() {
            let (name, value) = split(part);
            let is_last = index + 1 == parts.len();
            let rest = if is_last { rest + 1 } else { 1 };
            // A container may go on on the next lines; then its name and its beginning must fit.
            let head = name.map(|name| format!("{name}: ")).unwrap_or_default();
            let first = match self::parts(value) {
                Some(inner) => inner.first().map_or(0, |part| self::flat(part).chars().count() + 2),
                None => value.chars().count() + rest,
            };
            if index > 0 && !self.fits(&head, first + 1) {
                self.text.push('\n');
                self.column = 0;
                self.push(&" ".repeat(indent + 2));
            } else if index > 0 {
                self.push(" ");
            }
            self.push(&head);
            self.write(value, indent + 2, rest);
            if !is_last {
                self.push(",");
            }
        }
        self.push(close);
    }

    fn fits(&self, text: &str, rest: usize) -> bool {
        self.column + text.chars().count() + rest <= self.width
    }
}

/// All on one line: `{"a": [1, 2]}`.
fn flat(json: &str) -> String {
    match parts(json) {
        None => json.to_owned(),
        Some(parts) => {
            let inner: Vec<_> = parts
                .iter()
                .map(|part| match split(part) {
                    (Some(name), value) => format!("{name}: {}", flat(value)),
                    (None, value) => flat(value),
                })
                .collect();
            let (open, close) = if json.starts_with('{') { ('{', '}') } else { ('[', ']') };
            format!("{open}{}{close}", inner.join(", "))
        }
    }
}

/// The elements of an array, or the fields of an object with their names; none of a scalar.
fn parts(json: &str) -> Option<Vec<&str>> {
    if !json.starts_with(['{', '[']) {
        return None;
    }
    let inner = json.get(1..json.len() - 1)?;
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, _) in top_level(inner, ',') {
        parts.push(inner.get(from..at)?);
        from = at + 1;
    }
    if !inner.is_empty() {
        parts.push(inner.get(from..)?);
    }
    Some(parts)
}

/// A field's name with its quotes, and its value; an element has no name.
fn split(part: &str) -> (Option<&str>, &str) {
    if !part.starts_with('"') {
        return (None, part);
    }
    match top_level(part, ':').next() {
        Some((at, _)) => (part.get(..at), part.get(at + 1..).unwrap_or_default()),
        None => (None, part),
    }
}

/// Where `sought` stands outside of strings and brackets.
fn top_level(json: &str, sought: char) -> impl Iterator<Item = (usize, char)> {
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    json.char_indices().filter(move |(_, c)| {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                _ => {}
            }
            return false;
        }
        match c {
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && *c == sought
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stands_on_one_line_and_the_rest_is_filled_up() {
        let json = r#"{"a":"x, \"y\": {","b":[1,2,{"c":null}],"d":[],"e":{}}"#;
        assert_eq!(
            fit(json, 0, 100),
            r#"{"a": "x, \"y\": {", "b": [1, 2, {"c": null}], "d": [], "e": {}}"#
        );
        let narrow = fit(json, 0, 30);
        assert!(narrow.lines().all(|line| line.chars().count() <= 30), "{narrow}");
        let parsed: serde_json::Value = serde_json::from_str(&narrow).unwrap();
        assert_eq!(parsed, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }
}
