//! Who has started the process.

use std::os::unix::fs::MetadataExt as _;

/// The name of whoever has started this process: `LOGNAME`, else `USER`, else that of the process's account; none where
/// there is none of these, as in a container whose account has no name.
pub fn account() -> Option<String> {
    let named = |name: &str| std::env::var_os(name)?.into_string().ok();
    let own = || {
        let uid = std::fs::metadata("/proc/self").ok()?.uid();
        name_of(&std::fs::read_to_string("/etc/passwd").ok()?, uid)
    };
    let is_there = |name: &String| !name.trim().is_empty();
    named("LOGNAME").filter(is_there).or_else(|| named("USER").filter(is_there)).or_else(own)
}

fn name_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_the_name_of_its_line() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nops:x:1001:1001::/home/ops:/bin/sh\n";
        assert_eq!(name_of(passwd, 1001).as_deref(), Some("ops"));
        assert_eq!(name_of(passwd, 1002), None);
    }
}
