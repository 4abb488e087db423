//! Jobs: long work, by whomever it was started.

use super::prelude::*;
use crate::job::JobState;

commands! {
    /// Jobs: long work, by whomever it was started.
    domain Job;

    /// Lists jobs, newest first.
    ask List {
        state: Option<JobState>,
        #[serde(default)]
        page: Page,
    } -> Jobs {
        jobs: Vec<Job>,
    }
    example r#"{"state": "running"}"#;

    /// Tells about one job.
    ask Get {
        job: JobId,
    } -> JobReply {
        job: Job,
    }
    example r#"{"job": "job_1"}"#;

    /// Stops a job as soon as it can stop.
    put Cancel emits ["job.finished"] {
        job: JobId,
    } -> Done
    example r#"{"job": "job_1"}"#;

    /// Starts a failed job again.
    act Retry emits ["job.progress"] {
        job: JobId,
    } -> Retried {
        job: JobId,
    }
    example r#"{"job": "job_1"}"#;

    /// Answers once a job is over, or after a time.
    ask Wait {
        job: JobId,
        timeout_ms: Option<u32>,
    } -> Waited {
        job: Job,
    }
    example r#"{"job": "job_1", "timeoutMs": 10000}"#;
}
