//! JSON laid out for a page: as much on a line as fits, fields in the order they came in.

/// Lays out compact JSON in lines of at most `width` characters, where no single value is longer; continued lines
/// begin with `indent` spaces.
pub(super) fn fit(json: &str, indent: usize, width: usize) -> String {
    let mut text = String::new();
    let mut column = indent;
    write(json, width, &mut column, &mut text);
    text
}

fn write(json: &str, width: usize, column: &mut usize, text: &mut String) {
    let parts = parts(json);
    let flat = flat(json);
    let length = flat.chars().count();
    let Some(parts) = parts.filter(|_| *column + length > width) else {
        *column += length;
        text.push_str(&flat);
        return;
    };
    let (open, close) = if json.starts_with('{') { ("{ ", " }") } else { ("[ ", " ]") };
    text.push_str(open);
    let indent = *column + 2;
    *column = indent;
    for (index, part) in parts.iter().enumerate() {
        let (name, value) = split(part);
        let rest = if index + 1 == parts.len() { close } else { "," };
        let length = self::flat(part).chars().count() + rest.len();
        if index > 0 && *column + 1 + length > width {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
            *column = indent;
        } else if index > 0 {
            text.push(' ');
            *column += 1;
        }
        if let Some(name) = name {
            text.push_str(name);
            text.push_str(": ");
            *column += name.chars().count() + 2;
        }
        write(value, width, column, text);
        text.push_str(rest);
        *column += rest.len();
    }
}

/// `{"a":[1,2]}` on one line: `{ "a": [1, 2] }` without the blanks at its ends.
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
