//! Rejects, archive and outbox: a store in memory behind the network.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::net::{Net, Service};

/// One worker's way to the store that all share.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    pub(crate) net: Net,
    pub(crate) store: Arc<InMemory>,
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects")
    }
}

impl Objects {
    /// Makes one call, whose effect happens at one moment. The store in memory never waits.
    async fn call<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&InMemory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        let answer = self.net.call(Service::Objects, move |_| effect(&store)).await;
        answer.map_err(|reason| Error::Generic { store: "objects", source: reason.into() })?
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory answers at once")
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        if location.as_ref().starts_with("outbox") {
            self.net.lock().world.mark("the outbox was used");
        }
        let location = location.clone();
        self.call(move |store| at_once(store.put_opts(&location, payload, opts))).await
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented {
            operation: "put_multipart".to_owned(),
            implementer: "no object of a run is that large".to_owned(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let location = location.clone();
        self.call(move |store| at_once(store.get_opts(&location, options))).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |location: Path| {
            let this = this.clone();
            async move {
                let one = stream::iter([Ok(location.clone())]).boxed();
                let delete = move |store: &InMemory| {
                    at_once(store.delete_stream(one).try_collect::<Vec<_>>()).map(drop)
                };
                this.call(delete).await.map(|()| location)
            }
        };
        locations.and_then(delete).boxed()
    }

    /// All times are the same, as within one second of a store that keeps seconds.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            let list = move |store: &InMemory| {
                at_once(store.list(prefix.as_ref()).try_collect::<Vec<_>>())
            };
            let mut metas = this.call(list).await?;
            for meta in &mut metas {
                meta.last_modified = "2025-06-15T15:06:40Z".parse().expect("a time");
            }
            Ok(stream::iter(metas.into_iter().map(Ok)))
        };
        listed.try_flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
