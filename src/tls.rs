//! Where a connection needs TLS, and what one failed of, in words that say what to do about it: pure.

use std::{error::Error, io, net::IpAddr};

use rustls::{AlertDescription, CertificateError, Error as TlsError, pki_types::UnixTime};

use crate::calendar::utc_text;

/// Whether a host is this machine, so that nobody is on the way to it.
pub fn is_local(host: &str) -> bool {
    host == "localhost"
        || host.starts_with('/')
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// What is behind an error when it is one of TLS; `host` is who was called. `None` for any other error.
pub fn explain(error: &(dyn Error + 'static), host: &str, has_ca_file: bool) -> Option<String> {
    Some(match cause(error)? {
        TlsError::InvalidCertificate(fault) => {
            format!("the certificate of {host} {}", refusal(fault, has_ca_file))
        }
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => format!(
            "{host} demands a certificate from its clients: name client_cert_file and client_key_file"
        ),
        TlsError::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError),
        ) => format!("{host} does not accept the certificate in client_cert_file ({alert:?})"),
        TlsError::InvalidMessage(_) => format!("{host} does not speak TLS on this port"),
        _ => return None,
    })
}

/// Why a server's certificate is refused.
fn refusal(fault: &CertificateError, has_ca_file: bool) -> String {
    match fault {
        CertificateError::Expired => "has expired".into(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("has expired on {}", date(not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "is not valid before {}: is this machine's clock right?",
            date(not_before)
        ),
        CertificateError::NotValidForName => "is for another name".into(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("is for another name: {}", names(presented))
        }
        CertificateError::UnknownIssuer if has_ca_file => {
            "is signed by an authority that ca_file does not have".into()
        }
        CertificateError::UnknownIssuer => {
            "is signed by an authority that the system does not trust: name it as ca_file".into()
        }
        CertificateError::BadSignature => "is not signed by the authority that it names".into(),
        CertificateError::Revoked => "has been revoked".into(),
        _ => "cannot be accepted".into(),
    }
}

/// The names of a certificate as `DnsName("…")` or `IpAddress(…)`, without that.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "it has none as subjectAltName".into();
    }
    let bare = presented.iter().map(|name| {
        let inner = name
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"')
    });
    bare.collect::<Vec<_>>().join(", ")
}

fn date(time: &UnixTime) -> String {
    let text = utc_text(time.as_secs() as i64 / 60);
    text.split_once('T')
        .map_or(text.clone(), |(date, _)| date.into())
}

/// The error of TLS that an error comes from.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref() {
            return Some(cause);
        }
        // An I/O error has what it wraps not as its source, but in itself.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_fault_behind_io_errors_and_names_it() {
        let say = |fault: TlsError| {
            let wrapped = io::Error::new(io::ErrorKind::InvalidData, fault);
            explain(&wrapped, "broker.example", true)
        };
        let certificate = |fault| say(TlsError::InvalidCertificate(fault));
        let at = |secs| UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs));
        let expired = CertificateError::ExpiredContext {
            time: at(1_700_000_000),
            not_after: at(1_609_459_200),
        };
        assert_eq!(
            certificate(expired).as_deref(),
            Some("the certificate of broker.example has expired on 2021-01-01")
        );
        assert_eq!(
            certificate(CertificateError::UnknownIssuer).as_deref(),
            Some(
                "the certificate of broker.example is signed by an authority that ca_file does not have"
            )
        );
        assert_eq!(
            say(TlsError::AlertReceived(AlertDescription::UnknownCA)).as_deref(),
            Some("broker.example does not accept the certificate in client_cert_file (UnknownCA)")
        );
        let other = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(explain(&other, "broker.example", true), None);
    }

    #[test]
    fn lists_the_names_that_a_certificate_has() {
        let presented = [
            "DnsName(\"a.example\")".to_owned(),
            "IpAddress(10.0.0.1)".into(),
        ];
        assert_eq!(names(&presented), "a.example, 10.0.0.1");
        assert!(names(&[]).contains("none"));
    }
}
