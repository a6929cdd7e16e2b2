//! `nought keygen` makes keys that belong together, and shows the secret one to nobody else.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use nought::security::Certificate;

fn keygen(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_nought")).arg("keygen").args(arguments).output().unwrap()
}

#[test]
fn both_keys_go_to_standard_output() {
    let output = keygen(&["--metadata", "name=Anna"]);
    assert!(output.status.success());
    let certificate: Certificate = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    let keys = certificate.keys().unwrap();
    assert_eq!(keys.public_key(), certificate.public_key());
    assert_eq!(certificate.metadata().collect::<Vec<_>>(), [("name", "Anna")]);
    assert_ne!(keygen(&[]).stdout, keygen(&[]).stdout);
}

#[test]
fn files_are_written_once_and_the_secret_one_for_its_owner_alone() {
    let directory = std::env::temp_dir().join(format!("nought-keygen-{}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    let file = directory.join("anna");
    assert!(keygen(&[file.to_str().unwrap()]).status.success());
    let secret = directory.join("anna_secret");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&secret), 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains("secret-key"));
    let before = fs::read(&secret).unwrap();
    let keys = Certificate::load(&file).unwrap().keys().unwrap();
    assert_eq!(keys.public_key(), Certificate::load(&secret).unwrap().public_key());

    let again = keygen(&[file.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("anna_secret: File exists"));
    assert!(String::from_utf8_lossy(&again.stderr).contains("write another FILE"));
    assert_eq!(fs::read(&secret).unwrap(), before);

    // Half of a pair is not left behind.
    fs::write(directory.join("bert"), "").unwrap();
    assert_eq!(keygen(&[directory.join("bert").to_str().unwrap()]).status.code(), Some(1));
    assert!(!directory.join("bert_secret").exists());

    let nowhere = keygen(&[directory.join("none/anna").to_str().unwrap()]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("make the directory first"));
    fs::remove_dir_all(directory).unwrap();
}
