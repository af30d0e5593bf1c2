//! The tests of the module above.

use super::*;
use crate::error::ErrorCode;

fn parse(text: &str) -> StorageUrl {
    StorageUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn locations_have_one_normal_form() {
    let cases = [
        ("/data/lineitem", "file:///data/lineitem"),
        ("/data//lineitem/./", "file:///data/lineitem/"),
        ("/with blank/100%/ü", "file:///with%20blank/100%25/%C3%BC"),
        ("/a%20b", "file:///a%2520b"),
        ("file:///a%20b/", "file:///a%20b/"),
        ("file:/a/b", "file:///a/b"),
        ("file://localhost/a", "file:///a"),
        ("FILE:///a", "file:///a"),
        ("/", "file:///"),
        ("s3://bucket", "s3://bucket/"),
        (
            "s3a://bucket/t/day=2024-01-01/",
            "s3://bucket/t/day=2024-01-01/",
        ),
        ("gcs://bucket/x", "gs://bucket/x"),
        ("az://container/x", "az://container/x"),
        (
            "abfss://box@Account.dfs.core.windows.net/x",
            "abfss://box@account.dfs.core.windows.net/x",
        ),
        (
            "https://Example.org:8443/a/b.parquet",
            "https://example.org:8443/a/b.parquet",
        ),
    ];
    for (text, expected) in cases {
        let url = parse(text);
        assert_eq!(url.to_string(), expected, "{text}");
        assert_eq!(
            parse(expected),
            url,
            "the normal form of {text} is a fixed point"
        );
    }
}

#[test]
fn what_is_no_location_is_refused_with_a_reason() {
    for text in [
        "",
        "data/lineitem",
        "./x",
        "ftp://host/x",
        "hdfs://name/x",
        "/data/../etc",
        "file:///data/%2e%2e/etc",
        "s3://bucket/a/../b",
        "s3://bucket/a%2Fb",
        "s3://bucket/a%zz",
        "s3://bucket/%ff",
        "s3:///key",
        "s3://user:secret@bucket/x",
        "file://server/share",
        "http://user:secret@host/x",
        "http://host/x?token=1",
        "/a\u{0}b",
        "abfss://account/x",
    ] {
        let error = StorageUrl::parse(text).expect_err(text);
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{text}");
    }
}

#[test]
fn a_relative_path_needs_a_base() {
    let base = Path::new("/home/me");
    let url = StorageUrl::parse_with_base("data/", base).unwrap();
    assert_eq!(url.to_string(), "file:///home/me/data/");
    let url = StorageUrl::parse_with_base("s3://b/x", base).unwrap();
    assert_eq!(url.to_string(), "s3://b/x");
    assert!(StorageUrl::parse_with_base("../x", base).is_err());
}

#[test]
fn keys_and_stores_are_what_object_stores_expect() {
    let url = parse("s3://bucket/a%20b/c");
    assert_eq!(
        (url.key(), url.store_url().as_str()),
        ("a b/c", "s3://bucket")
    );
    let url = parse("/a b/c/");
    assert_eq!((url.key(), url.store_url().as_str()), ("a b/c", "file://"));
    assert_eq!(url.to_local_path(), Some(PathBuf::from("/a b/c")));
    assert_eq!(
        url.with_key("a b/c/d=1/f").unwrap().to_string(),
        "file:///a%20b/c/d=1/f"
    );
}

#[test]
fn containment_goes_by_component() {
    assert!(parse("/data").contains(&parse("/data/x")));
    assert!(parse("/data/").contains(&parse("/data")));
    assert!(!parse("/data").contains(&parse("/database")));
    assert!(!parse("s3://a/x").contains(&parse("s3://b/x/y")));
    assert!(parse("/").contains(&parse("/anything")));
}

#[test]
fn without_roots_only_object_stores_are_open() {
    let roots = AllowedRoots::new(Vec::new());
    assert!(roots.check(&parse("s3://bucket/x")).is_ok());
    for closed in ["/etc/passwd", "http://169.254.169.254/latest"] {
        let error = roots.check(&parse(closed)).expect_err(closed);
        assert_eq!(error.code(), ErrorCode::PermissionDenied);
        assert!(AllowedRoots::unrestricted().check(&parse(closed)).is_ok());
    }
}

#[test]
fn with_roots_everything_must_lie_under_one() {
    let roots = AllowedRoots::new(vec![
        parse("s3://bucket/open"),
        parse("https://example.org/"),
    ]);
    assert!(roots.check(&parse("s3://bucket/open/x")).is_ok());
    assert!(roots.check(&parse("https://example.org/x")).is_ok());
    for closed in ["s3://bucket/opening", "s3://other/x", "/tmp"] {
        assert!(roots.check(&parse(closed)).is_err(), "{closed}");
    }
}

#[cfg(unix)]
#[test]
fn links_do_not_lead_out_of_a_root() {
    let base = std::env::temp_dir().join(format!("skep-roots-{}", uuid::Uuid::new_v4()));
    let (open, secret) = (base.join("open"), base.join("secret"));
    std::fs::create_dir_all(open.join("t")).unwrap();
    std::fs::create_dir_all(&secret).unwrap();
    std::os::unix::fs::symlink(&secret, open.join("link")).unwrap();
    std::os::unix::fs::symlink(base.join("nowhere"), open.join("dangling")).unwrap();
    std::os::unix::fs::symlink(&open, base.join("alias")).unwrap();

    let at = |path: PathBuf| StorageUrl::from_local_path(&path).unwrap();
    let roots = AllowedRoots::new(vec![at(open.clone())]);
    assert!(roots.check(&at(open.join("t"))).is_ok());
    assert!(roots.check(&at(open.join("not/yet"))).is_ok());
    assert!(roots.check(&at(base.join("alias/t"))).is_ok());
    for closed in [
        open.join("link"),
        open.join("link/x"),
        open.join("dangling"),
        secret,
    ] {
        assert!(
            roots.check(&at(closed.clone())).is_err(),
            "{}",
            closed.display()
        );
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[test]
fn files_of_a_directory_that_is_withheld_are_not_allowed() {
    let directory = std::env::temp_dir().join(format!("skep-withheld-{}", std::process::id()));
    let place = |name: &str| StorageUrl::from_local_path(&directory.join(name)).unwrap();
    std::fs::create_dir_all(directory.join("warehouse")).unwrap();
    std::fs::write(directory.join("catalog.sqlite"), "x").unwrap();
    let root = StorageUrl::from_local_path(&directory).unwrap();
    let roots = AllowedRoots::new(vec![root.clone()]).withholding(root.clone());
    for refused in [root, place("catalog.sqlite"), place("new")] {
        assert!(roots.check(&refused).is_err(), "{refused}");
    }
    for allowed in [
        place("warehouse"),
        place("warehouse/t/a.parquet"),
        place("warehouse/t/"),
    ] {
        assert!(roots.check(&allowed).is_ok(), "{allowed}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
