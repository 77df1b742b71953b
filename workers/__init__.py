"""The worker processes. `worker_base.Worker.process_job` is the one place that runs a job."""
