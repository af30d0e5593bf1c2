//! A store whose uploads are aborted where they are given up before they are complete: object stores keep, and
//! charge for, the parts of an upload that nobody completes or aborts.

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use std::fmt;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A store that does everything as the one in it, and leaves no parts of uploads.
#[derive(Clone, Debug)]
pub struct AbortingStore(Arc<dyn ObjectStore>);

impl AbortingStore {
    /// Writes to `store`.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self(store)
    }
}

impl fmt::Display for AbortingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for AbortingStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.0.put_multipart_opts(location, options).await?;
        Ok(Box::new(AbortingUpload {
            upload: Some(upload),
            runtime: Handle::current(),
            location: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

/// An upload that is aborted when it is dropped before it is complete.
#[derive(Debug)]
struct AbortingUpload {
    upload: Option<Box<dyn MultipartUpload>>,
    runtime: Handle,
    location: Path,
}

impl AbortingUpload {
    fn open(&mut self) -> Result<&mut Box<dyn MultipartUpload>> {
        self.upload
            .as_mut()
            .ok_or_else(|| object_store::Error::Generic {
                store: "upload",
                source: "the upload has ended".into(),
            })
    }
}

#[async_trait]
impl MultipartUpload for AbortingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match self.open() {
            Ok(upload) => upload.put_part(data),
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let completed = self.open()?.complete().await?;
        self.upload = None;
        Ok(completed)
    }

    async fn abort(&mut self) -> Result<()> {
        self.open()?.abort().await?;
        self.upload = None;
        Ok(())
    }
}

impl Drop for AbortingUpload {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else {
            return;
        };
        let location = self.location.clone();
        self.runtime.spawn(async move {
            if let Err(error) = upload.abort().await {
                tracing::warn!(%location, %error, "an upload that was given up was not aborted");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::ObjectStoreExt;
    use object_store::buffered::BufWriter;
    use object_store::memory::InMemory;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::AsyncWriteExt;

    /// A store that counts the uploads that were aborted and fails every part that is too many.
    #[derive(Debug)]
    struct Counting {
        inner: InMemory,
        aborted: Arc<AtomicUsize>,
    }

    #[derive(Debug)]
    struct CountingUpload {
        inner: Box<dyn MultipartUpload>,
        aborted: Arc<AtomicUsize>,
        parts: usize,
    }

    impl fmt::Display for Counting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("counting")
        }
    }

    #[async_trait]
    impl MultipartUpload for CountingUpload {
        fn put_part(&mut self, data: PutPayload) -> UploadPart {
            self.parts += 1;
            if self.parts > 2 {
                return Box::pin(async {
                    Err(object_store::Error::Generic {
                        store: "counting",
                        source: "503".into(),
                    })
                });
            }
            self.inner.put_part(data)
        }

        async fn complete(&mut self) -> Result<PutResult> {
            self.inner.complete().await
        }

        async fn abort(&mut self) -> Result<()> {
            self.aborted.fetch_add(1, Ordering::SeqCst);
            self.inner.abort().await
        }
    }

    #[async_trait]
    impl ObjectStore for Counting {
        async fn put_opts(&self, at: &Path, data: PutPayload, o: PutOptions) -> Result<PutResult> {
            self.inner.put_opts(at, data, o).await
        }

        async fn put_multipart_opts(
            &self,
            at: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            Ok(Box::new(CountingUpload {
                inner: self.inner.put_multipart_opts(at, options).await?,
                aborted: Arc::clone(&self.aborted),
                parts: 0,
            }))
        }

        async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
            self.inner.get_opts(at, options).await
        }

        fn delete_stream(
            &self,
            all: BoxStream<'static, Result<Path>>,
        ) -> BoxStream<'static, Result<Path>> {
            self.inner.delete_stream(all)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.inner.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    /// Writes `parts` parts, completes the file or not, and says how many uploads were aborted.
    async fn aborted_after(parts: usize, completes: bool) -> usize {
        let aborted = Arc::new(AtomicUsize::new(0));
        let store = Counting {
            inner: InMemory::new(),
            aborted: Arc::clone(&aborted),
        };
        let store = Arc::new(AbortingStore::new(Arc::new(store)));
        let path = Path::from("a/b");
        let mut writer = BufWriter::with_capacity(Arc::clone(&store) as _, path.clone(), 5 << 20);
        for _ in 0..parts {
            // The store fails in between, which the writer says when it likes.
            drop(writer.write_all(&vec![7; 5 << 20]).await);
        }
        if completes {
            drop(writer.shutdown().await);
        }
        drop(writer);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let is_there = store.head(&path).await.is_ok();
        assert_eq!(is_there, completes && parts <= 2);
        aborted.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn an_upload_that_is_given_up_is_aborted() {
        assert_eq!(aborted_after(2, false).await, 1);
    }

    #[tokio::test]
    async fn an_upload_that_fails_is_aborted() {
        assert_eq!(aborted_after(6, true).await, 1);
    }

    #[tokio::test]
    async fn an_upload_that_is_complete_is_not() {
        assert_eq!(aborted_after(2, true).await, 0);
    }
}
