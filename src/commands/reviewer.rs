//! Who reviews images: who says so, or runs the program.

/// Who reviews images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewer {
    /// The name under which reviews are kept.
    pub name: String,
    /// Whether results and the reviews of others are hidden.
    pub blind: bool,
}

/// The table of this machine's users.
const USERS: &str = "/etc/passwd";

/// The name of the user who runs the program: what the environment says, else the table of users, else the number.
pub(super) fn login() -> String {
    let named = ["LOGNAME", "USER"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok());
    let mut named = named.filter(|name| !name.trim().is_empty());
    let from_table = || {
        let uid = rustix::process::getuid().as_raw();
        let users = std::fs::read(USERS).unwrap_or_default();
        let name = user_name(&String::from_utf8_lossy(&users), uid);
        name.unwrap_or_else(|| format!("uid {uid}"))
    };
    named.next().unwrap_or_else(from_table)
}

/// The name of a user in a table as in passwd(5): `name:password:uid:…`.
fn user_name(users: &str, uid: u32) -> Option<String> {
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?.parse::<u32>();
        number.is_ok_and(|own| own == uid).then_some(name)
    })?;
    Some(found.to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::user_name;

    #[test]
    fn a_user_without_a_login_in_the_environment_has_a_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\n# none\nana:x:1000:1000::/home/ana:/bin/sh\n:x:7:7::/:\n";
        for (uid, name) in [
            (0, Some("root")),
            (1000, Some("ana")),
            (7, None),
            (12, None),
        ] {
            assert_eq!(user_name(users, uid).as_deref(), name, "{uid}");
        }
    }
}
