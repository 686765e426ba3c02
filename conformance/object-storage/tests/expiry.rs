//! A signature that expires between a slot and its first byte. No scenario waits for that: the storage refuses by its own
//! clock, which nobody moves. So here it is waited for, with signatures that last a few seconds.

use async_trait::async_trait;
use fieldsync_client::transport::{FileBytes, http_client};
use fieldsync_client::{
    Answer, Call, Credentials, Device, DeviceOptions, HttpTransport, NetworkFailure, Password, SyncOutcome, Transport,
};
use fieldsync_core::store::DataSetName;
use fieldsync_object_storage::{BUCKET, Keys, ObjectStorage};
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::scenario::{CallKind, FileStatus};
use fieldsync_schemas::session::Role;
use fieldsync_server::{Bucket, Parts, PasswordCost, Server, Settings, SqliteStore, add_user, domain_from_yaml};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LIFE: Duration = Duration::from_secs(3);
const DOMAIN: &str = include_str!("../../../fixtures/domain/version-wins.yaml");
const FILE: &[u8] = b"a file of a record";

/// Sends the first file only once its signature has expired, and keeps what the storage answers.
struct Late {
    http: HttpTransport,
    told: Arc<Mutex<Vec<u16>>>,
}

#[async_trait]
impl Transport for Late {
    async fn send(&self, call: Call) -> Result<Answer, NetworkFailure> {
        self.http.send(call).await
    }

    async fn send_file(&self, call: Call, file: FileBytes) -> Result<Answer, NetworkFailure> {
        assert_eq!(call.kind, CallKind::Store);
        if self.told.lock().unwrap().is_empty() {
            // The storage counts whole seconds.
            let (begun, enough) = (Instant::now(), LIFE + Duration::from_millis(1100));
            while begun.elapsed() < enough {
                tokio::time::sleep(enough.saturating_sub(begun.elapsed())).await;
            }
        }
        let answer = self.http.send_file(call, file).await?;
        self.told.lock().unwrap().push(answer.status);
        Ok(answer)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_signature_expired_before_it_went_goes_by_another_slot() {
    let keys = Keys { access: "tests".to_owned(), secret: "a secret of tests".to_owned() };
    let storage = ObjectStorage::start(&keys).await.unwrap();
    let bucket = Bucket {
        endpoint: storage.endpoint(),
        address: storage.endpoint(),
        name: BUCKET.to_owned(),
        region: "us-east-1".to_owned(),
        access_key: keys.access,
        secret_key: keys.secret,
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path()).unwrap());
    let domain = domain_from_yaml(DOMAIN).unwrap();
    let data_set = domain.name.to_string();
    let grants = [(DataSetName(data_set.clone()), Role::ReadWrite)];
    add_user(&*store, "amina", "right", PasswordCost::LEAST, &grants).await.unwrap();
    let parts = Parts::with_files(store, Some(&bucket)).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings { upload_life: LIFE, ..Settings::new(vec![domain]) };
    let running = Server::start(settings, parts, listener).await.unwrap();

    let base_url = format!("{}/{data_set}", running.base_url()).parse::<url::Url>().unwrap();
    let password = Password { user: "amina".to_owned(), password: "right".to_owned() };
    let options = DeviceOptions {
        credentials: Credentials { token: None, password: Some(password) },
        capabilities: ["attachments-proxied", "attachments-direct"].map(|name| name.parse().unwrap()).into(),
        ..DeviceOptions::new(base_url.clone(), http_client().unwrap())
    };
    let told = Arc::new(Mutex::new(Vec::new()));
    let http = HttpTransport::new(options.http.clone(), base_url, options.request_timeout);
    let late: Arc<dyn Transport> = Arc::new(Late { http, told: told.clone() });
    let tablet = Device::open(DeviceOptions { transport: Some(late), ..options.clone() }).unwrap();
    // A store of its own.
    let fresh = DeviceOptions::new(options.base_url.clone(), options.http.clone());
    let phone = Device::open(DeviceOptions { store: fresh.store, files: fresh.files, ..options }).unwrap();

    let type_name = "film".parse::<fieldsync_schemas::id::TypeName>().unwrap();
    let id = tablet.create(type_name.clone(), None, Default::default()).unwrap();
    let record = RecordRef { type_name, id };
    let file = tablet.attach(&record, "image/jpeg", FILE).unwrap();
    assert_eq!(tablet.sync().await.outcome, SyncOutcome::Ok);
    let told = told.lock().unwrap().clone();
    assert_eq!((told[0], told.last()), (403, Some(&200)), "{told:?}");
    assert_eq!(tablet.files(&record).unwrap()[0].status, FileStatus::Synced);
    assert_eq!(phone.sync().await.outcome, SyncOutcome::Ok);
    assert_eq!(phone.file(&file).unwrap().as_deref(), Some(FILE));
    running.stop().await;
}
