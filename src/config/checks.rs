//! What texts may be.

/// Checks that text has at most `most` characters, all of them ASCII letters, digits or in `more`.
fn plain(text: &str, most: usize, more: &str) -> bool {
    text.len() <= most && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

pub(super) fn is_servers(text: &str) -> bool {
    let is_server = |server: &str| {
        server.trim().rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    text.split(',').all(is_server)
}

pub(super) fn is_group(text: &str) -> bool {
    !text.is_empty() && plain(text, 249, "._-")
}

pub(super) fn is_prefix(text: &str) -> bool {
    plain(text, 200, "._-")
}

pub(super) fn is_source(text: &str) -> bool {
    !text.is_empty() && plain(text, 64, "._~-")
}

pub(super) fn is_line(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

pub(super) fn is_kind(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

pub(super) fn is_path(text: &str) -> bool {
    !text.contains('\0')
}

pub(super) fn is_word(text: &str) -> bool {
    text.len() <= 1_000 && !text.chars().any(char::is_control)
}

pub(super) fn is_claim(text: &str) -> bool {
    !text.is_empty() && is_word(text)
}

pub(super) fn is_origins(text: &str) -> bool {
    let is_origin = |origin: &str| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && plain(host, 255, ".-:[]"))
    };
    text.is_empty() || text == "*" || text.split(',').all(|origin| is_origin(origin.trim()))
}

/// Keys that come over a network without TLS are anybody's keys.
pub(super) fn is_key_url(text: &str) -> bool {
    let after = |scheme: &str| text.strip_prefix(scheme).filter(|rest| !rest.starts_with('/'));
    let host = |rest: &str| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        ["localhost", "127.0.0.1", "[::1]"].contains(&name)
    };
    let graphic = text.chars().all(|c| c.is_ascii_graphic());
    text.is_empty()
        || graphic
            && (after("https://").is_some_and(|rest| !rest.is_empty())
                || after("http://").is_some_and(host))
}

pub(super) fn is_filter(text: &str) -> bool {
    tracing_subscriber::EnvFilter::builder().parse(text).is_ok()
}
