//! Where a machine that boots from the network gets the root file system from.

use block::{Error, Result};

use crate::settings::{BootstrapUrl, Generator, OutputFormat};
use crate::{InitramfsPlan, Request};

/// The name of the ISO where no URL names it.
const DEFAULT_NAME: &str = "image.iso";

/// The root file system over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPlan {
    /// The whole URL of the ISO.
    pub url: String,
    /// The name of the ISO in the output: the last part of the URL's path.
    pub iso_name: String,
}

/// The plan for the network; `None` where the root file system does not come from it.
///
/// # Errors
///
/// [`Kind::Unsupported`](block::Kind::Unsupported) where the URL is missing or cannot be fetched by the initramfs.
pub(crate) fn choose(
    request: &Request,
    initramfs: InitramfsPlan,
    warnings: &mut Vec<String>,
) -> Result<Option<NetworkPlan>> {
    let what = "choosing where the root file system comes from";
    let InitramfsPlan::Bootstrap { generator, .. } = initramfs else {
        if let (Some(BootstrapUrl::Base(url) | BootstrapUrl::File(url)), true) =
            (&request.bootstrap_url, is_network(request.format))
        {
            warnings.push(format!(
                "the bootstrap URL {url} is not used: the initramfs is the whole system (initramfsType full-os)"
            ));
        }
        return Ok(None);
    };
    if !is_network(request.format) {
        return Ok(None);
    }
    let earlier = request.input.as_ref();
    let earlier = earlier.and_then(|input| input.bootstrap_url.as_ref());
    let Some(url) = request.bootstrap_url.as_ref().or(earlier) else {
        return Err(Error::unsupported(
            what,
            "a bootstrap initramfs that boots from the network needs a URL; give pxe.bootstrapBaseUrl or pxe.bootstrapFileUrl \
             (--bootstrap-url), or ask for initramfsType full-os",
        ));
    };
    let url = effective(url);
    let fetches = ["http://", "https://"];
    if generator == Generator::Native && !fetches.iter().any(|scheme| url.starts_with(scheme)) {
        let message = format!(
            "{url}: the native initramfs fetches http:// and https:// only; use one of them, or initramfs.generator: dracut"
        );
        return Err(Error::unsupported(what, message));
    }
    let path = url.split(['?', '#']).next().unwrap_or(&url);
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name == "." || name == ".." || path.matches('/').count() < 3 {
        let message = format!("{url} names no file");
        return Err(Error::unsupported(what, message));
    }
    if name == contract::media::HTTP_BOOT_ISO {
        let message =
            format!("{url}: {name} is the name of another file beside it; name the ISO otherwise");
        return Err(Error::unsupported(what, message));
    }
    Ok(Some(NetworkPlan {
        iso_name: name.to_owned(),
        url,
    }))
}

fn is_network(format: OutputFormat) -> bool {
    matches!(format, OutputFormat::PxeDir | OutputFormat::PxeTar)
}

/// The URL of the ISO.
fn effective(url: &BootstrapUrl) -> String {
    match url {
        BootstrapUrl::File(url) => url.clone(),
        BootstrapUrl::Base(url) => format!("{}/{DEFAULT_NAME}", url.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{DracutModules, InitramfsType};

    fn plan(url: Option<BootstrapUrl>, generator: Generator) -> Result<Option<NetworkPlan>> {
        let request = Request {
            format: OutputFormat::PxeDir,
            initramfs_type: Some(InitramfsType::Bootstrap),
            bootstrap_url: url,
            ..Request::default()
        };
        let initramfs = InitramfsPlan::Bootstrap {
            generator,
            dracut_modules: DracutModules::Liveos,
        };
        choose(&request, initramfs, &mut Vec::new())
    }

    #[test]
    fn the_iso_is_named_as_the_url_says() {
        let base = |url: &str| {
            let plan = plan(Some(BootstrapUrl::Base(url.to_owned())), Generator::Native);
            plan.ok().flatten().map(|plan| (plan.url, plan.iso_name))
        };
        let expected = Some(("http://h:80/x/image.iso".to_owned(), "image.iso".to_owned()));
        assert_eq!(base("http://h:80/x"), expected);
        assert_eq!(base("http://h:80/x/"), expected);
        let file = BootstrapUrl::File("http://h/a/my.iso?x=1".to_owned());
        let plan = plan(Some(file), Generator::Native).ok().flatten();
        assert_eq!(plan.map(|plan| plan.iso_name).as_deref(), Some("my.iso"));
    }

    #[test]
    fn what_no_machine_could_fetch_is_refused() {
        let refused = |url: Option<BootstrapUrl>, generator| {
            plan(url, generator).err().map(|error| error.to_string())
        };
        assert!(
            refused(None, Generator::Native).is_some_and(|text| text.contains("bootstrapBaseUrl"))
        );
        let nfs = || Some(BootstrapUrl::File("nfs://h/x.iso".to_owned()));
        assert!(refused(nfs(), Generator::Native).is_some_and(|text| text.contains("dracut")));
        assert_eq!(refused(nfs(), Generator::Dracut), None);
        let taken = BootstrapUrl::File("http://h/x/http-boot.iso".to_owned());
        let text = refused(Some(taken), Generator::Native);
        assert!(text.is_some_and(|text| text.contains("another file beside it")));
        for url in ["http://h/", "http://h", "http://h/x/"] {
            let url = Some(BootstrapUrl::File(url.to_owned()));
            assert!(
                refused(url, Generator::Native).is_some_and(|text| text.contains("names no file"))
            );
        }
    }
}
