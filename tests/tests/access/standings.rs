//! The ways in which somebody may stand to a table.

/// The privileges of tables.
pub const PRIVILEGES: [&str; 6] = ["SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "DROP"];

/// How somebody stands to the tables of a database of its own.
#[derive(Clone, Debug)]
pub struct Standing {
    /// For messages, and the name of the database.
    pub name: String,
    /// What an administrator says about each table, with `{t}` in its place.
    pub of_table: Vec<String>,
    /// What an administrator says about the database, with `{d}` in its place.
    pub of_database: Vec<String>,
    /// What the user says first.
    pub own: Vec<String>,
    /// What they may do with the tables: privileges, `SELECT(a)`, or `OWNER`.
    pub has: Vec<&'static str>,
    /// Whether they may know of the database although they may do nothing with its tables.
    pub sees_database: bool,
}

fn standing(name: &str, has: &[&'static str]) -> Standing {
    Standing {
        name: name.to_lowercase().replace(' ', "_"),
        of_table: Vec::new(),
        of_database: Vec::new(),
        own: Vec::new(),
        has: has.to_vec(),
        sees_database: false,
    }
}

/// The user in question is `u`; they have the role `r`, and by it `s`.
pub fn standings() -> Vec<Standing> {
    let mut all = vec![
        standing("none", &[]),
        Standing {
            of_table: vec!["ALTER TABLE {t} OWNER TO u".to_owned()],
            ..standing("owner", &["OWNER"])
        },
        Standing {
            of_database: vec!["ALTER DATABASE {d} SET OWNER USER u".to_owned()],
            ..standing("owner of database", &["OWNER"])
        },
        Standing {
            of_table: vec!["GRANT SELECT (a) ON {t} TO u".to_owned()],
            ..standing("one column", &["SELECT(a)"])
        },
        Standing {
            of_table: vec!["GRANT SELECT ON {t} TO ROLE s".to_owned()],
            ..standing("role of role", &["SELECT"])
        },
        Standing {
            of_table: vec![
                "GRANT ALL ON {t} TO u".to_owned(),
                "REVOKE ALL ON {t} FROM u".to_owned(),
            ],
            ..standing("revoked", &[])
        },
        Standing {
            of_table: vec!["GRANT ALL ON {t} TO ROLE r".to_owned()],
            own: vec!["SET ROLE NONE".to_owned()],
            ..standing("role not enabled", &[])
        },
        Standing {
            of_table: vec!["GRANT ALL ON {t} TO ROLE r".to_owned()],
            own: vec!["SET ROLE s".to_owned()],
            ..standing("other role enabled", &[])
        },
        Standing {
            of_table: vec!["GRANT ALL ON {t} TO ROLE other".to_owned()],
            ..standing("role of others", &[])
        },
        Standing {
            of_table: vec!["GRANT ALL ON {t} TO other_user".to_owned()],
            ..standing("granted to others", &[])
        },
        Standing {
            of_database: vec!["GRANT CREATE ON DATABASE {d} TO u".to_owned()],
            sees_database: true,
            ..standing("may create beside", &["CREATE"])
        },
    ];
    for privilege in PRIVILEGES {
        let on_table = |to: &str| vec![format!("GRANT {privilege} ON TABLE {{t}} TO {to}")];
        let on_database = vec![format!("GRANT {privilege} ON DATABASE {{d}} TO USER u")];
        all.extend([
            Standing {
                of_table: on_table("USER u"),
                ..standing(&format!("direct {privilege}"), &[privilege])
            },
            Standing {
                of_table: on_table("ROLE r"),
                ..standing(&format!("role {privilege}"), &[privilege])
            },
            Standing {
                of_table: on_table("PUBLIC"),
                ..standing(&format!("public {privilege}"), &[privilege])
            },
            Standing {
                of_database: on_database,
                sees_database: true,
                ..standing(&format!("database {privilege}"), &[privilege])
            },
        ]);
    }
    let all_on = |name: &str, to: &str| Standing {
        of_table: vec![format!("GRANT ALL PRIVILEGES ON {{t}} TO {to}")],
        ..standing(name, &PRIVILEGES)
    };
    all.extend([all_on("direct all", "u"), all_on("role all", "r")]);
    all
}

impl Standing {
    /// Whether they may know of its tables.
    pub fn sees(&self) -> bool {
        self.has.iter().any(|has| *has != "CREATE")
    }

    /// Whether they have one of `any_of`.
    pub fn has_any(&self, any_of: &[&str]) -> bool {
        let owns = self.has.contains(&"OWNER");
        owns || any_of.iter().any(|wanted| self.has.contains(wanted))
    }
}
