//! A list that a service hands out page by page.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{RetryPolicy, persist};

/// The pages of a list, each asked for again while that may help. `fetch` gets where a page begins,
/// `None` for the first, and returns what is on it and where the next begins.
///
/// How many pages a caller takes is bounded by the caller, or by the table that is read.
#[derive(Debug)]
pub struct Pages<K, F> {
    policy: RetryPolicy,
    fetch: F,
    next: Next<K>,
}

/// Where the next page begins.
#[derive(Debug)]
enum Next<K> {
    First,
    From(K),
    /// The last page was handed out.
    Nowhere,
}

impl<K: Clone, F> Pages<K, F> {
    /// Returns the pages of a list of which nothing was asked yet.
    pub fn new(policy: RetryPolicy, fetch: F) -> Self {
        Self { policy, fetch, next: Next::First }
    }

    /// Returns what is on the next page, which may be nothing; `None` after the last one.
    ///
    /// # Errors
    /// When the page cannot be read; see [`persist`].
    pub async fn next<P, E, A>(&mut self) -> Result<Option<P>, SdkError<E, Response>>
    where
        F: FnMut(Option<K>) -> A,
        A: Future<Output = Result<(P, Option<K>), SdkError<E, Response>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let from = match &self.next {
            Next::First => None,
            Next::From(key) => Some(key.clone()),
            Next::Nowhere => return Ok(None),
        };
        let (page, next) = persist(self.policy, || (self.fetch)(from.clone())).await?;
        self.next = next.map_or(Next::Nowhere, Next::From);
        Ok(Some(page))
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    type Fetched = Result<(Vec<u32>, Option<u32>), SdkError<ErrorMetadata, Response>>;

    const TWICE: RetryPolicy = RetryPolicy { initial_ms: 1, max_ms: 1, attempts: 2 };

    #[tokio::test]
    async fn every_page_is_handed_out_once_and_a_lost_one_is_asked_for_again() {
        let mut asked = vec![];
        let mut pages = Pages::new(TWICE, |from: Option<u32>| {
            asked.push(from);
            let page: Fetched = match (from, asked.len()) {
                (None, _) => Ok((vec![1, 2], Some(7))),
                (Some(7), 2) => Err(SdkError::timeout_error("lost")),
                (Some(7), _) => Ok((vec![], Some(8))),
                _ => Ok((vec![3], None)),
            };
            std::future::ready(page)
        });
        let mut found = vec![];
        while let Some(page) = pages.next().await.unwrap() {
            found.extend(page);
        }
        assert!(pages.next().await.unwrap().is_none(), "nothing follows the last page");
        assert_eq!(found, [1, 2, 3]);
        assert_eq!(asked, [None, Some(7), Some(7), Some(8)]);
    }

    #[tokio::test]
    async fn a_page_that_stays_away_is_an_error() {
        let mut pages = Pages::new(TWICE, |_: Option<u32>| {
            let page: Fetched = Err(SdkError::timeout_error("lost"));
            std::future::ready(page)
        });
        assert!(pages.next().await.is_err());
    }
}
