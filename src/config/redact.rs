//! What must not be shown of a setting.

/// Stands for a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// Whether a librdkafka property of this name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    ["password", "secret", "key", "token", "jaas", "oauthbearer.config"]
        .iter()
        .any(|part| name.to_ascii_lowercase().contains(part))
}

/// The URL without its password, wherever Postgres lets one stand.
///
/// What is no URL with a scheme is hidden as a whole: it may be a password in the wrong place.
pub(super) fn url(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return REDACTED.to_owned();
    };
    let (base, query) = rest.split_once('?').map_or((rest, None), |(b, q)| (b, Some(q)));
    // The last @ ends the credentials: a password with an @ or / in it must not leak its tail.
    let (credentials, host) = base.rsplit_once('@').map_or((None, base), |(c, h)| (Some(c), h));
    let mut shown = format!("{scheme}://");
    if let Some(credentials) = credentials {
        let (user, password) =
            credentials.split_once(':').map_or((credentials, None), |(u, p)| (u, Some(p)));
        shown.push_str(user);
        if password.is_some() {
            shown.push(':');
            shown.push_str(REDACTED);
        }
        shown.push('@');
    }
    shown.push_str(host);
    if let Some(query) = query {
        // A raw ? in a password would put its tail here; then nothing of the query is shown.
        let parameters: Vec<String> = if query.contains('@') && credentials.is_none() {
            vec![REDACTED.to_owned()]
        } else {
            query.split('&').map(parameter).collect()
        };
        shown.push('?');
        shown.push_str(&parameters.join("&"));
    }
    shown
}

fn parameter(text: &str) -> String {
    match text.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={REDACTED}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_wherever_it_stands() {
        for (text, shown) in [
            ("", ""),
            ("postgres://localhost/rollcall", "postgres://localhost/rollcall"),
            ("postgres://me@db:5432/x", "postgres://me@db:5432/x"),
            (
                "postgres://me:hunter2@db/x?sslmode=require",
                "postgres://me:[redacted]@db/x?sslmode=require",
            ),
            ("postgres://me:hun@ter/2@db/x", "postgres://me:[redacted]@db/x"),
            (
                "postgres:///x?host=/run&user=me&password=hunter2",
                "postgres:///x?host=/run&user=me&password=[redacted]",
            ),
            ("hunter2", "[redacted]"),
        ] {
            assert_eq!(url(text), shown);
        }
        assert!(!url("postgres://me:hun?ter2@db/x").contains("ter2"));
    }

    #[test]
    fn secret_properties_are_known_by_their_names() {
        for name in ["sasl.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("session.timeout.ms"));
    }
}
