-- Who may do what. No user has the name of a role. A grantee is a USER or a ROLE; the
-- role 'public' is everybody's and is no row.
CREATE TABLE roles (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE role_members (
    role_name TEXT NOT NULL,
    member_kind TEXT NOT NULL,
    member_name TEXT NOT NULL,
    admin_option BOOLEAN NOT NULL,
    grantor TEXT NOT NULL,
    PRIMARY KEY (role_name, member_kind, member_name)
);

-- object_kind and object_key are those of Securable; column_name is empty for the whole object.
CREATE TABLE grants (
    grantee_kind TEXT NOT NULL,
    grantee_name TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_key TEXT NOT NULL,
    privilege TEXT NOT NULL,
    column_name TEXT NOT NULL,
    grant_option BOOLEAN NOT NULL,
    grantor TEXT NOT NULL,
    PRIMARY KEY (grantee_kind, grantee_name, object_kind, object_key, privilege, column_name)
);

-- Until now every user could read and change everything and see everybody's queries. Those that are there may
-- go on doing so, by a role; users that are new may do nothing until something is granted to them.
INSERT INTO roles (name, owner, created_at)
    SELECT 'upgraded_users', '', 0 WHERE EXISTS (SELECT 1 FROM users WHERE NOT is_admin);

INSERT INTO role_members (role_name, member_kind, member_name, admin_option, grantor)
    SELECT 'upgraded_users', 'USER', name, FALSE, '' FROM users WHERE NOT is_admin;

INSERT INTO grants (grantee_kind, grantee_name, object_kind, object_key, privilege, column_name,
    grant_option, grantor)
    SELECT 'ROLE', 'upgraded_users', allowed.object_kind, '', allowed.privilege, '', FALSE, ''
    FROM roles CROSS JOIN (
        SELECT 'CATALOG' AS object_kind, 'SELECT' AS privilege
        UNION ALL SELECT 'CATALOG', 'INSERT'
        UNION ALL SELECT 'CATALOG', 'UPDATE'
        UNION ALL SELECT 'CATALOG', 'DELETE'
        UNION ALL SELECT 'CATALOG', 'CREATE'
        UNION ALL SELECT 'CATALOG', 'ALTER'
        UNION ALL SELECT 'CATALOG', 'DROP'
        UNION ALL SELECT 'ANY LOCATION', 'SELECT'
        UNION ALL SELECT 'ANY LOCATION', 'INSERT'
        UNION ALL SELECT 'ANY LOCATION', 'DELETE'
        UNION ALL SELECT 'ANY LOCATION', 'CREATE'
        UNION ALL SELECT 'SYSTEM', 'VIEW QUERIES'
        UNION ALL SELECT 'SYSTEM', 'MANAGE CLUSTER'
    ) AS allowed;
