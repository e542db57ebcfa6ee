"""The platform's background jobs, a file a job."""
