//! Servers that are reached through a proxy.

use crate::world::World;
use git::{Auth, CheckoutOptions, Error, Proxy, Reference, Remote, SshAuth};
use secrecy::SecretString;
use testkit::{
    certificate::Authority,
    git_server::GitServer,
    proxy::ProxyServer,
    ssh_server::{Key, SshServer},
};
use tls::Authorities;

async fn checkout(world: &World, remote: &Remote) -> Result<(), Error> {
    let options = CheckoutOptions::default();
    world.checkout_with(remote, &Reference::default(), &options).await.map(drop)
}

fn through(proxy: &ProxyServer, credentials: Option<(&str, &str)>) -> Proxy {
    Proxy {
        address: proxy.address(),
        credentials: credentials
            .map(|(user, password)| (user.to_owned(), SecretString::from(password.to_owned()))),
    }
}

/// The same repository over http, https and ssh, and what keeps the servers up.
async fn remotes(world: &World) -> anyhow::Result<(Vec<Remote>, impl Sized)> {
    let plain = GitServer::start(&world.root()).await?;
    let authority = Authority::new()?;
    let issued = authority.issue("localhost")?;
    let secure = GitServer::builder(&world.root()).tls(&issued, None)?.start().await?;
    let key = Key::ed25519()?;
    let ssh = SshServer::builder(&world.root())?.authorize(&key).start().await?;

    let mut remotes = vec![
        Remote::new(&plain.url("fleet"))?,
        Remote::new(&secure.url("fleet"))?,
        Remote::new(&ssh.url("fleet"))?,
    ];
    let ca = Authorities { pem: authority.pem().into_bytes(), with_system: false };
    remotes[1].tls.ca = Some(ca);
    remotes[2].auth = Auth::Ssh(SshAuth {
        identity: SecretString::from(key.private()?),
        passphrase: None,
        known_hosts: ssh.known_hosts()?,
    });
    Ok((remotes, (plain, secure, ssh)))
}

#[tokio::test]
async fn goes_through_an_http_proxy_and_a_socks_proxy() {
    let world = World::new();
    world.repository("fleet");
    let (remotes, _servers) = remotes(&world).await.unwrap();

    for proxy in [ProxyServer::http(None).await.unwrap(), ProxyServer::socks5(None).await.unwrap()]
    {
        for mut remote in remotes.clone() {
            remote.proxy = Some(through(&proxy, None));
            let before = proxy.targets().len();

            checkout(&world, &remote).await.unwrap();

            let target = format!("localhost:{}", remote.url().port().unwrap());
            let targets = proxy.targets();
            assert!(targets.len() > before, "{}", remote.url());
            assert!(targets[before..].iter().all(|found| *found == target), "{targets:?}");
        }
    }
}

#[tokio::test]
async fn identifies_itself_to_the_proxy() {
    let world = World::new();
    world.repository("fleet");
    let (remotes, _servers) = remotes(&world).await.unwrap();
    let credentials = Some(("flux", "pröxy"));

    for proxy in [
        ProxyServer::http(credentials).await.unwrap(),
        ProxyServer::socks5(credentials).await.unwrap(),
    ] {
        for mut remote in remotes.clone() {
            remote.proxy = Some(through(&proxy, credentials));
            checkout(&world, &remote).await.unwrap();

            let reached = proxy.targets().len();
            for wrong in [None, Some(("flux", "hush"))] {
                remote.proxy = Some(through(&proxy, wrong));
                let error = checkout(&world, &remote).await.unwrap_err();
                assert!(!format!("{error:?}").contains("hush"), "{error:?}");
            }
            assert_eq!(proxy.targets().len(), reached);
        }
    }
}

#[tokio::test]
async fn refuses_what_is_no_proxy() {
    let world = World::new();
    world.repository("fleet");
    let (remotes, _servers) = remotes(&world).await.unwrap();

    for mut remote in remotes {
        for address in ["ftp://user:hush@127.0.0.1:21", "not a proxy"] {
            remote.proxy = Some(Proxy { address: address.into(), credentials: None });
            let error = checkout(&world, &remote).await.unwrap_err();
            assert!(matches!(error, Error::InvalidProxy { .. }), "{error:?}");
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        }
    }
}
