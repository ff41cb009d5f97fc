//! Where files of releases are: at GitHub, or at a mirror with the same names.

use http::Uri;

use crate::hosts::K3sVersion;

const GITHUB: &str = "https://github.com/k3s-io/k3s";

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// K3s's own releases.
    GitHub,
    /// A server with `<address>/<version>/<name>`.
    At(Base),
}

/// The address of a mirror: `https`, without query, a slash at its end or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base(String);

/// Not an address of a mirror.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no mirror: give an https address without user, query and fragment, such as https://artifacts.example/k3s"
)]
pub struct MirrorError(String);

impl Mirror {
    /// A mirror by its address.
    ///
    /// # Errors
    /// When it is no such address.
    pub fn at(address: &str) -> Result<Self, MirrorError> {
        let refused = || MirrorError(address.chars().take(200).collect());
        let uri: Uri = address.parse().map_err(|_why| refused())?;
        let authority = uri.authority().ok_or_else(refused)?.as_str();
        let plain = uri.scheme_str() == Some("https")
            && uri.query().is_none()
            && !address.contains('#')
            && !authority.contains('@');
        if !plain {
            return Err(refused());
        }
        Ok(Self::At(Base(address.trim_end_matches('/').to_owned())))
    }

    /// The address of one file of a release.
    pub(super) fn file(&self, version: K3sVersion, name: &str) -> Result<Uri, MirrorError> {
        // A plus is a blank to some servers.
        let version = version.to_string().replace('+', "%2B");
        let address = match self {
            Self::GitHub => format!("{GITHUB}/releases/download/{version}/{name}"),
            Self::At(Base(base)) => format!("{base}/{version}/{name}"),
        };
        address.parse().map_err(|_why| MirrorError(address))
    }

    pub(super) fn install_script(&self, version: K3sVersion) -> Result<Uri, MirrorError> {
        match self {
            Self::GitHub => {
                let version = version.to_string().replace('+', "%2B");
                let address = format!("{GITHUB}/raw/{version}/install.sh");
                address.parse().map_err(|_why| MirrorError(address))
            }
            Self::At(_) => self.file(version, "install.sh"),
        }
    }

    /// Whether a redirect may lead there.
    pub(super) fn leads(&self, to: &Uri) -> bool {
        let host = to.host().unwrap_or_default().to_ascii_lowercase();
        let known = match self {
            Self::GitHub => host == "github.com" || host.ends_with(".githubusercontent.com"),
            Self::At(Base(base)) => {
                base.parse::<Uri>().is_ok_and(|base| base.authority() == to.authority())
            }
        };
        known && to.scheme_str() == Some("https")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_at_github_and_at_mirrors() {
        let version = K3sVersion::parse("v1.34.2+k3s1").expect("version");
        let of = |mirror: &Mirror, name| mirror.file(version, name).expect("address").to_string();
        assert_eq!(
            of(&Mirror::GitHub, "k3s-arm64"),
            "https://github.com/k3s-io/k3s/releases/download/v1.34.2%2Bk3s1/k3s-arm64"
        );
        let mirror = Mirror::at("https://artifacts.example:8443/k3s/").expect("mirror");
        assert_eq!(of(&mirror, "k3s"), "https://artifacts.example:8443/k3s/v1.34.2%2Bk3s1/k3s");
        assert_eq!(
            Mirror::GitHub.install_script(version).expect("address").to_string(),
            "https://github.com/k3s-io/k3s/raw/v1.34.2%2Bk3s1/install.sh"
        );
    }

    #[test]
    fn what_is_no_mirror_is_refused() {
        for bad in [
            "",
            "artifacts.example/k3s",
            "http://artifacts.example",
            "https://user:pass@artifacts.example",
            "https://artifacts.example/?token=1",
            "https://artifacts.example/#a",
        ] {
            assert!(Mirror::at(bad).is_err(), "{bad:?} should be refused");
        }
    }

    #[test]
    fn a_redirect_stays_with_its_mirror() {
        let mirror = Mirror::at("https://artifacts.example/k3s").expect("mirror");
        let may = |mirror: &Mirror, to: &str| mirror.leads(&to.parse().expect("address"));
        assert!(may(&mirror, "https://artifacts.example/elsewhere"));
        assert!(!may(&mirror, "https://artifacts.example:8443/k3s"));
        assert!(!may(&mirror, "http://artifacts.example/k3s"));
        assert!(may(&Mirror::GitHub, "https://release-assets.githubusercontent.com/a?sig=b"));
        for no in [
            "https://githubusercontent.com.example/a",
            "https://evilgithubusercontent.com/a",
            "http://github.com/a",
        ] {
            assert!(!may(&Mirror::GitHub, no), "{no}");
        }
    }
}
