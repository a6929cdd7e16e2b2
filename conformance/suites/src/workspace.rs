//! Where things are: the sources of published crates, and the folder for all that the suites make.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// This workspace, as Cargo knows it.
pub(crate) struct Workspace {
    metadata: Value,
    target: PathBuf,
}

impl Workspace {
    /// Asks Cargo, which fetches the sources of dependencies that are not there yet.
    pub(crate) fn open() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let asked = Command::new("cargo")
            .args(["metadata", "--format-version=1", "--filter-platform=host-tuple", "--manifest-path"])
            .arg(manifest)
            .output()
            .context("cargo metadata")?;
        ensure!(asked.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&asked.stderr));
        let metadata: Value = serde_json::from_slice(&asked.stdout).context("what cargo metadata printed")?;
        let target = metadata["target_directory"].as_str().context("no target directory in cargo metadata")?.into();
        Ok(Self { metadata, target })
    }

    /// The folder of this project.
    pub(crate) fn root(&self) -> Result<PathBuf> {
        Ok(self.metadata["workspace_root"].as_str().context("no workspace root in cargo metadata")?.into())
    }

    /// Cargo's own folder for what it builds.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The folder `name` among those of the suites, which is there from now on.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("suites").join(name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// Where Cargo keeps the source of a dependency of this workspace.
    pub(crate) fn source_of(&self, package: &str) -> Result<PathBuf> {
        let packages = self.metadata["packages"].as_array().context("no packages in cargo metadata")?;
        let found = packages.iter().find(|candidate| candidate["name"] == package);
        let manifest = found.and_then(|found| found["manifest_path"].as_str());
        let manifest = manifest.with_context(|| format!("the workspace does not depend on {package}"))?;
        Ok(Path::new(manifest).parent().context("a manifest without a folder")?.into())
    }
}
