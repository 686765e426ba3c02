//! The object storage of the reference server, as options and the environment name it.

use crate::command_error::CommandError;
use clap::Args;
use fieldsync_server::Bucket;
use url::Url;

/// Where files are.
#[derive(Debug, Clone, Default, Args)]
pub struct ObjectStorageOptions {
    /// A bucket that speaks the protocol of S3, into which files go, also straight from devices; a local folder where
    /// absent. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION are taken from the environment.
    #[arg(long, value_name = "URL/BUCKET", global = true)]
    pub object_storage: Option<String>,
}

impl ObjectStorageOptions {
    /// The bucket, which devices reach where the server does.
    pub fn bucket(&self) -> Result<Option<Bucket>, CommandError> {
        let Some(named) = &self.object_storage else { return Ok(None) };
        let wrong = || CommandError::usage(format!("{named:?} is no bucket: write http://host:port/bucket, or https"));
        let url = Url::parse(named).map_err(|_| wrong())?;
        let name = url.path().trim_matches('/');
        if !matches!(url.scheme(), "http" | "https") || name.is_empty() || name.contains('/') {
            return Err(wrong());
        }
        let endpoint = url.origin().ascii_serialization();
        let variable = |name: &str| {
            std::env::var(name)
                .map_err(|_| CommandError::usage(format!("the object storage needs {name}, which is not set")))
        };
        Ok(Some(Bucket {
            address: endpoint.clone(),
            endpoint,
            name: name.to_owned(),
            region: std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned()),
            access_key: variable("AWS_ACCESS_KEY_ID")?,
            secret_key: variable("AWS_SECRET_ACCESS_KEY")?,
        }))
    }
}
