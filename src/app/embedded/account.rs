//! Whom Postgres runs as: it refuses to be root.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use tokio::process::Command;

use super::Error;

/// An unprivileged account of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to start Postgres as, None being our own: only root needs another.
    ///
    /// `ours` is a file or directory that this process has just made; its owner is who we are.
    pub(super) fn choose(ours: &Path) -> Result<Option<Self>, Error> {
        let owner = std::fs::metadata(ours).map_err(Error::io("read who we are"))?.uid();
        if owner != 0 {
            return Ok(None);
        }
        let passwd =
            std::fs::read_to_string("/etc/passwd").map_err(Error::io("read /etc/passwd"))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find(&passwd, name))
            .map(Some)
            .ok_or(Error::NoAccount)
    }

    /// Gives a file or directory to the account.
    pub(super) fn give(self, path: &Path) -> Result<(), Error> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(Error::io(format!("give {} to an unprivileged account", path.display())))
    }

    /// Makes a command run as the account, without our groups.
    pub(super) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid: u32 = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then_some(Account { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_its_line() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n";
        assert_eq!(find(passwd, "nobody"), Some(Account { uid: 65534, gid: 65534 }));
        assert_eq!(find(passwd, "postgres"), None);
    }

    #[test]
    fn an_account_with_the_powers_of_root_does_not_help() {
        assert_eq!(find("postgres:x:0:0::/:/bin/sh", "postgres"), None);
    }
}
