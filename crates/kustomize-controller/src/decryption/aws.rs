//! AWS KMS.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sops::{DataKey, KeyError};
use url::Url;

use super::account::Account;
use super::http::{self, Http, attempting};

/// The identity of a ServiceAccount that is proved to AWS.
const AUDIENCE: &str = "sts.amazonaws.com";

/// The annotation of a ServiceAccount with the role that it can take on.
const ROLE: &str = "eks.amazonaws.com/role-arn";

/// What requests are signed with.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) key_id: String,
    pub(crate) secret: SecretString,
    pub(crate) session: Option<SecretString>,
}

/// What the process was given for all Kustomizations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    pub(crate) credentials: Option<Credentials>,
    /// The role to take on with a token in a file.
    pub(crate) web_identity: Option<(String, PathBuf)>,
    /// Where services are asked, instead of at their own addresses.
    pub(crate) endpoint: Option<Url>,
}

/// How AWS is convinced, in the order of precedence.
pub(super) enum Access {
    Static(Credentials),
    Account(Account),
    Controller,
}

/// A key of AWS KMS.
pub(super) struct Key<'a> {
    pub(super) arn: &'a str,
    pub(super) role: &'a str,
    pub(super) context: &'a BTreeMap<String, String>,
    pub(super) encrypted: &'a str,
}

impl Credentials {
    /// Reads credentials as `sops.aws-kms` has them.
    pub(super) fn parse(content: &[u8]) -> Result<Self, goyaml::Error> {
        let documents = goyaml::parse_documents(&String::from_utf8_lossy(content))?;
        let fields = documents.into_iter().next().unwrap_or_default();
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            key_id: text("aws_access_key_id"),
            secret: text("aws_secret_access_key").into(),
            session: Some(text("aws_session_token")).filter(|it| !it.is_empty()).map(Into::into),
        })
    }
}

/// Decrypts a data key.
pub(super) async fn decrypt(
    http: &Http,
    defaults: &Defaults,
    access: &Access,
    key: Key<'_>,
) -> Result<DataKey, KeyError> {
    let place = Place::of(key.arn)
        .ok_or_else(|| KeyError::new(format!("no valid ARN found in '{}'", key.arn)))?;
    STANDARD
        .decode(key.encrypted)
        .map_err(|_| KeyError::new("error base64-decoding encrypted data key"))?;
    let failed = || attempting("failed to decrypt sops data key with AWS KMS");
    let api = Api { http, defaults, place };
    let mut credentials = api.credentials(access).await.map_err(failed())?;
    if !key.role.is_empty() {
        let attempt = format!("failed to assume role '{}'", key.role);
        credentials = api.assume(&credentials, key.role).await.map_err(attempting(attempt))?;
    }
    let body = json!({
        "CiphertextBlob": key.encrypted, "KeyId": key.arn, "EncryptionContext": key.context,
    });
    let headers =
        [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.Decrypt")];
    let request = api.signed("kms", &credentials, &headers, &body.to_string());
    let answer = http::send(request.map_err(failed())?).await.map_err(failed())?;
    let plain = http::text(&answer, "/Plaintext").map_err(failed())?;
    let plain = STANDARD.decode(plain.expose_secret());
    plain.map(DataKey::from).map_err(|_| KeyError::new("the plaintext is not base64"))
}

/// The region of a key, and the domain of its services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place<'a> {
    region: &'a str,
    domain: &'static str,
}

impl<'a> Place<'a> {
    /// Reads `arn:aws:kms:<region>:<account>:key/<id>`. It decides who is asked, so nothing but a
    /// region may stand there.
    fn of(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let ("arn", partition, "kms", region, account, resource) = (
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
        ) else {
            return None;
        };
        let domain = match partition {
            "aws-cn" => "amazonaws.com.cn",
            "aws-iso" => "c2s.ic.gov",
            "aws-iso-b" => "sc2s.sgov.gov",
            "aws-eusc" => "amazonaws.eu",
            "aws" | "aws-us-gov" => "amazonaws.com",
            _ => return None,
        };
        let is_region =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_valid = !region.is_empty()
            && region.bytes().all(is_region)
            && !account.is_empty()
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && (resource.starts_with("key/") || resource.starts_with("alias/"));
        is_valid.then_some(Self { region, domain })
    }
}

struct Api<'a> {
    http: &'a Http,
    defaults: &'a Defaults,
    place: Place<'a>,
}

impl Api<'_> {
    fn url(&self, service: &str) -> Result<Url, KeyError> {
        if let Some(endpoint) = &self.defaults.endpoint {
            return Ok(endpoint.clone());
        }
        let Place { region, domain } = self.place;
        let url = format!("https://{service}.{region}.{domain}/");
        Url::parse(&url).map_err(|_| KeyError::new(format!("'{url}' is no address of a service")))
    }

    async fn credentials(&self, access: &Access) -> Result<Credentials, KeyError> {
        match (access, &self.defaults.credentials, &self.defaults.web_identity) {
            (Access::Static(credentials), ..) | (Access::Controller, Some(credentials), _) => {
                Ok(credentials.clone())
            }
            (Access::Account(account), ..) => {
                let role = account.annotations().await?.remove(ROLE).unwrap_or_default();
                if !is_role(&role) {
                    let reference = account.reference();
                    return Err(KeyError::new(format!(
                        "failed to get provider identity from service account '{reference}' \
                         annotations: invalid {ROLE} annotation: '{role}'"
                    )));
                }
                let token = account.token(AUDIENCE).await?;
                let super::Reference { namespace, name } = account.reference();
                let session = format!("{name}.{namespace}.{}.fluxcd.io", self.place.region);
                self.exchange(&role, &session, &token).await
            }
            (Access::Controller, None, Some((role, file))) => {
                let token = tokio::fs::read_to_string(file).await.map_err(|error| {
                    KeyError::new(format!("failed to read {}: {error}", file.display()))
                })?;
                self.exchange(role, "kustomize-controller", &token.into()).await
            }
            (Access::Controller, None, None) => Err(KeyError::new(
                "no credentials: neither sops.aws-kms in the Secret, nor a service account, nor \
                 AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE or AWS_ACCESS_KEY_ID of the \
                 controller; the roles of nodes and pods are not supported by this version",
            )),
        }
    }

    /// Exchanges the identity of a ServiceAccount for a role.
    async fn exchange(
        &self,
        role: &str,
        session: &str,
        token: &SecretString,
    ) -> Result<Credentials, KeyError> {
        // Longer names are refused.
        let session: String = session.chars().take(64).collect();
        let body = form(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", role),
            ("RoleSessionName", &session),
            ("WebIdentityToken", token.expose_secret().trim()),
        ]);
        let request = self.http.post(self.url("sts")?.as_str());
        let request = request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(body);
        let answer = http::send(request).await?;
        credentials(&answer, "AssumeRoleWithWebIdentity")
    }

    /// Takes on a role.
    async fn assume(&self, own: &Credentials, role: &str) -> Result<Credentials, KeyError> {
        let body = form(&[
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", role),
            ("RoleSessionName", "sops@kustomize-controller"),
        ]);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let request = self.signed("sts", own, &headers, &body)?;
        let answer = http::send(request.header(ACCEPT, "application/json")).await?;
        credentials(&answer, "AssumeRole")
    }

    /// Returns a request with a signature of version 4.
    fn signed(
        &self,
        service: &str,
        credentials: &Credentials,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<RequestBuilder, KeyError> {
        let url = self.url(service)?;
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let host = match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let mut all = headers.to_vec();
        all.extend([("host", host.as_str()), ("x-amz-date", time.as_str())]);
        let session = credentials.session.as_ref().map(ExposeSecret::expose_secret);
        all.extend(session.map(|session| ("x-amz-security-token", session)));
        let scope = Scope { time: &time, region: self.place.region, service };
        let authorization = scope.authorize(credentials, url.path(), all.clone(), body);
        let mut request = self.http.post(url.as_str()).header(AUTHORIZATION, authorization);
        for (name, value) in all {
            if name != HOST.as_str() {
                request = request.header(name, value);
            }
        }
        Ok(request.body(body.to_owned()))
    }
}

/// Where and when a signature counts.
struct Scope<'a> {
    /// E.g. `20150830T123600Z`.
    time: &'a str,
    region: &'a str,
    service: &'a str,
}

impl Scope<'_> {
    /// Returns the header that signs a POST without a query.
    ///
    /// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>
    fn authorize(
        &self,
        credentials: &Credentials,
        path: &str,
        mut headers: Vec<(&str, &str)>,
        body: &str,
    ) -> String {
        headers.sort_unstable();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = format!("POST\n{path}\n\n");
        for (name, value) in &headers {
            let _ = writeln!(canonical, "{name}:{}", value.trim());
        }
        let _ = write!(canonical, "\n{names}\n{}", hex::encode(Sha256::digest(body)));
        let Self { time, region, service } = self;
        let date = time.get(..8).unwrap_or_default();
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            hex::encode(Sha256::digest(canonical))
        );
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        };
        let mut key = sign(format!("AWS4{}", credentials.secret.expose_secret()).as_bytes(), date);
        for part in [region, service, "aws4_request"] {
            key = sign(key.as_ref(), part);
        }
        let signature = hex::encode(sign(key.as_ref(), &text));
        let id = &credentials.key_id;
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
    }
}

/// Returns the credentials of an answer of STS.
fn credentials(answer: &serde_json::Value, action: &str) -> Result<Credentials, KeyError> {
    let text = |name: &str| {
        http::text(answer, &format!("/{action}Response/{action}Result/Credentials/{name}"))
    };
    Ok(Credentials {
        key_id: text("AccessKeyId")?.expose_secret().to_owned(),
        secret: text("SecretAccessKey")?,
        session: Some(text("SessionToken")?),
    })
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn is_role(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    next() == "arn"
        && next().starts_with("aws")
        && next() == "iam"
        && next().is_empty()
        && next().bytes().all(|byte| byte.is_ascii_digit())
        && next().strip_prefix("role/").is_some_and(|name| !name.is_empty() && name.len() <= 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_only_the_services_of_the_region() {
        let place = |arn| Place::of(arn).map(|place| (place.region, place.domain));
        let arn = "arn:aws:kms:eu-west-1:123456789012:key/x";
        assert_eq!(place(arn), Some(("eu-west-1", "amazonaws.com")));
        let arn = "arn:aws-cn:kms:cn-north-1:123456789012:alias/x";
        assert_eq!(place(arn), Some(("cn-north-1", "amazonaws.com.cn")));
        for arn in [
            "arn:aws:kms:evil.example.com/:123456789012:key/x",
            "arn:aws:s3:eu-west-1:123456789012:key/x",
            "arn:aws:kms:eu-west-1:x:key/x",
            "arn:aws:kms:eu-west-1:1:other/x",
            "arn:aws:kms::1:key/x",
            "",
        ] {
            assert_eq!(place(arn), None, "{arn}");
        }
    }

    #[test]
    fn signs_as_the_suite_of_aws_has_it() {
        // `post-vanilla` of the test suite of signature version 4.
        let credentials = Credentials {
            key_id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session: None,
        };
        let time = "20150830T123600Z";
        let scope = Scope { time, region: "us-east-1", service: "service" };
        let headers = vec![("host", "example.amazonaws.com"), ("x-amz-date", time)];
        assert_eq!(
            scope.authorize(&credentials, "/", headers, ""),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
    }

    #[test]
    fn knows_the_names_of_roles() {
        assert!(is_role("arn:aws:iam::123456789012:role/a/b"));
        assert!(is_role("arn:aws-us-gov:iam::1:role/x"));
        assert!(
            !is_role("") && !is_role("arn:aws:iam::1:user/x") && !is_role("arn:aws:iam:x:1:role/x")
        );
    }
}
